//! What becomes of what is on its way when another server closes a stream, breaks it, dies, acknowledges nothing or too late, or
//! says what cannot be (RFC 6120 §4.4, XEP-0198 §4).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cluster::clock::BootTime;
use stream::Event;
use xmpp::ns;

use super::attacks::let_in_both_ways;
use super::land::{Client, Land, Proof, body, condition, hears, hears_body, log_in};
use super::peer::{Called, Facing, counting};
use crate::redis::archive;

/// A server that lets each stream come about, and then ends it like this; how often it was called by the time that
/// Romeo hears of his message, which waits for four seconds.
fn calls_of(ends: fn(Called)) -> usize {
    let mut facing = Facing::start(4);
    let calls = Arc::new(AtomicUsize::new(0));
    let (count, (listener, config)) = (Arc::clone(&calls), facing.door());
    std::thread::spawn(move || {
        loop {
            let peer = counting(&listener, &config);
            count.fetch_add(1, Ordering::SeqCst);
            ends(peer);
        }
    });
    facing.says("one");
    let error = hears(&mut facing.romeo, |it| it.attr("id") == Some("one"));
    assert_eq!(condition(&error).as_deref(), Some("remote-server-timeout"), "{error:?}");
    calls.load(Ordering::SeqCst)
}

#[test]
fn a_server_that_closes_each_stream_at_once_is_called_ever_less_often() {
    let calls = calls_of(Called::closes);
    assert!((2..=8).contains(&calls), "{calls} calls in four seconds");
}

#[test]
fn a_server_that_breaks_each_stream_at_once_is_called_ever_less_often() {
    let calls = calls_of(Called::breaks);
    assert!((2..=8).contains(&calls), "{calls} calls in four seconds");
}

#[test]
fn senders_hear_of_what_may_be_lost_with_a_server_that_does_not_count() {
    let mut facing = Facing::start(60);
    facing.says("one");
    facing.romeo.send(
        "<iq type='get' to='juliet@b.example/x' id='two'><query xmlns='jabber:iq:version'/></iq>\
         <presence to='juliet@b.example'><status>here</status></presence>",
    );
    let mut peer = facing.takes();
    for name in ["message", "iq", "presence"] {
        assert_eq!(peer.stanza().kind().name(), name);
    }
    peer.breaks();
    for id in ["one", "two"] {
        let error = hears(&mut facing.romeo, |it| it.attr("type") == Some("error"));
        let told = (error.attr("id"), condition(&error));
        assert_eq!(told, (Some(id), Some("remote-server-timeout".to_owned())), "{error:?}");
    }
    // Presence does no harm where it comes twice.
    let mut peer = facing.takes();
    assert_eq!(peer.stanza().kind().name(), "presence");
    // What was said on a stream that ends in order has been heard.
    facing.says("three");
    assert_eq!(peer.body(), "three");
    peer.closes();
    facing.says("four");
    // This stream stays: with it "four" would come back.
    let mut peer = facing.takes();
    assert_eq!(peer.body(), "four");
    facing.romeo.send("<message to='romeo@a.example'><body>mine</body></message>");
    let next = hears(&mut facing.romeo, |it| it.name() == "message");
    assert_eq!(body(&next).as_deref(), Some("mine"), "{next:?}");
}

#[test]
fn what_is_not_acknowledged_goes_again_in_its_order_before_all_else() {
    let mut facing = Facing::start(60);
    for text in ["1", "2", "3", "4", "5"] {
        facing.says(text);
    }
    let mut peer = facing.takes_counting();
    for text in ["1", "2", "3", "4", "5"] {
        assert_eq!(peer.body(), text);
    }
    peer.say("<a xmlns='urn:xmpp:sm:3' h='2'/>");
    peer.breaks();
    facing.says("6");
    let mut peer = facing.takes_counting();
    for text in ["3", "4", "5", "6"] {
        assert_eq!(peer.body(), text);
    }
}

#[test]
fn a_server_that_acknowledges_more_than_it_was_sent_is_told_so() {
    let mut facing = Facing::start(60);
    facing.says("one");
    let mut peer = facing.takes_counting();
    assert_eq!(peer.body(), "one");
    peer.say("<a xmlns='urn:xmpp:sm:3' h='9'/>");
    let mut said = peer.nonza();
    while said.name() != "error" {
        said = peer.nonza();
    }
    assert!(said.child("undefined-condition", ns::STREAMS).is_some(), "{said:?}");
    let detail = said.child("handled-count-too-high", "urn:xmpp:sm:3").unwrap();
    assert_eq!((detail.attr("h"), detail.attr("send-count")), (Some("9"), Some("1")));
    assert_eq!(facing.takes_counting().body(), "one", "it has not acknowledged anything");
}

#[test]
fn nothing_is_lost_when_the_other_server_dies() {
    const COUNT: usize = 60;
    let mut land = Land::start(Proof::Certificate);
    let (mut romeo, mut juliet) = land.lovers();
    romeo.send("<enable xmlns='urn:xmpp:sm:3'/>");
    hears(&mut romeo, |it| it.name() == "enabled");
    let say = |number: usize| {
        format!("<message to='juliet@b.example' type='chat'><body>{number}</body></message>")
    };
    romeo.send((0..COUNT / 2).map(say).collect::<String>());
    hears_body(&mut juliet, "5");
    land.b.kill_and_restart();
    romeo.send((COUNT / 2..COUNT).map(say).collect::<String>());
    romeo.send("<r xmlns='urn:xmpp:sm:3'/>");
    let all = COUNT.to_string();
    hears(&mut romeo, |it| it.attr("h") == Some(all.as_str()));
    // What was acknowledged is kept, over the death too; what was not has come again.
    let mut juliet = log_in(&land.b, "juliet@b.example");
    let mut kept = BTreeSet::new();
    for text in archive(&mut juliet) {
        let number: usize = text.parse().unwrap();
        if kept.insert(number) {
            assert_eq!(kept.len(), number + 1, "{number} came too early");
        }
    }
    assert_eq!(kept.len(), COUNT);
}

/// What waits for four seconds has come back by then, with this much for a busy machine.
const IN_TIME: Duration = Duration::from_secs(10);

#[test]
fn what_a_server_never_acknowledges_comes_back_in_time_and_does_not_go_again() {
    let mut facing = Facing::start(4);
    let began = BootTime::now();
    facing.says("one");
    let mut peer = facing.takes_counting();
    assert_eq!(peer.body(), "one");
    let error = hears(&mut facing.romeo, |it| it.attr("id") == Some("one"));
    assert_eq!(condition(&error).as_deref(), Some("remote-server-timeout"), "{error:?}");
    let took = BootTime::now().since(began);
    assert!(took < IN_TIME, "{took:?}");
    // The stream is given up.
    facing.says("two");
    let mut peer = facing.takes_counting();
    assert_eq!(peer.body(), "two");
}

const COUNT: usize = 20;

/// All from some number on come back in time, and in order.
fn the_rest_comes_back(romeo: &mut Client, began: BootTime) {
    let mut expected = None;
    while expected != Some(COUNT) {
        let error = hears(romeo, |it| it.attr("type") == Some("error"));
        assert_eq!(condition(&error).as_deref(), Some("remote-server-timeout"), "{error:?}");
        let number: usize = error.attr("id").unwrap().parse().unwrap();
        assert_eq!(*expected.get_or_insert(number), number);
        expected = Some(number + 1);
    }
    let took = BootTime::now().since(began);
    assert!(took < IN_TIME, "{took:?}");
}

#[test]
fn what_a_server_acknowledges_too_slowly_comes_back_in_time_and_the_stream_goes_on() {
    let mut facing = Facing::start(4);
    let (listener, config) = facing.door();
    let peer = std::thread::spawn(move || {
        let (mut peer, mut bodies) = (counting(&listener, &config), Vec::new());
        let mut handled = 0;
        while bodies.last().is_none_or(|last| last != "end") {
            match peer.next() {
                Event::Stanza(stanza) => bodies.push(stanza.child("body", "").unwrap().text()),
                // One more whenever it is asked.
                Event::Nonza(_) => {
                    handled += 1;
                    peer.say(&format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>"));
                }
                other => panic!("something else: {other:?}"),
            }
        }
        bodies
    });
    let began = BootTime::now();
    let say = |number: usize| {
        format!(
            "<message to='juliet@b.example' type='chat' id='{number}'><body>{number}</body></message>"
        )
    };
    facing.romeo.send((0..COUNT).map(say).collect::<String>());
    the_rest_comes_back(&mut facing.romeo, began);
    facing.says("end");
    let all = (0..COUNT).map(|number| number.to_string()).chain(["end".to_owned()]);
    assert_eq!(peer.join().unwrap(), all.collect::<Vec<_>>(), "nothing came twice");
}

#[test]
fn what_goes_by_a_stream_that_a_slow_server_has_opened_comes_back_in_time_too() {
    let land = Land::start_with(Proof::Certificate, "[s2s]\nwait_seconds = 4\n");
    let (mut romeo, _juliet) = land.lovers();
    let mut other = let_in_both_ways(&land, "other.example");
    other.say("<enable xmlns='urn:xmpp:sm:3'/>");
    other.hears("enabled");
    std::thread::spawn(move || {
        let mut handled = 0;
        while other.next().is_some_and(|it| it.name() == "r") {
            handled += 1;
            other.say(&format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>"));
        }
    });
    let began = BootTime::now();
    let say = |number: usize| {
        format!("<message to='x@other.example' type='chat' id='{number}'><body>hi</body></message>")
    };
    romeo.send((0..COUNT).map(say).collect::<String>());
    the_rest_comes_back(&mut romeo, began);
}
