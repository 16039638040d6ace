//! How much another server may send, and have answered, on a stream that ours has opened: as much as on one of its own.

use std::time::Duration;

use cluster::clock::BootTime;
use stream::Event;
use xmpp::ns;

use super::land::{body, condition, hears};
use super::peer::{Called, Facing, take, take_both_ways};

const COUNTS: &str = "<sm xmlns='urn:xmpp:sm:3'/>";

fn to_romeo(text: &str) -> String {
    format!(
        "<message from='juliet@b.example' to='romeo@a.example' type='chat'><body>{text}</body></message>"
    )
}

/// A stream for both ways, on which it is not said yet whether the other end counts.
fn enabling(facing: &mut Facing) -> Called {
    facing.says("hi");
    let mut peer = take_both_ways(&facing.listener, &facing.config, COUNTS);
    assert_eq!(peer.nonza().name(), "enable");
    peer
}

// Who does not read cannot be told why: the connection ends.
#[test]
fn a_server_that_wants_answers_and_takes_none_is_read_no_further_and_let_go() {
    const MOST: usize = 64 << 20;
    let mut facing = Facing::start(60);
    facing.says("hi");
    let mut peer = take(&facing.listener, &facing.config);
    assert!(peer.stanza().find("body", "").is_some());
    let asks = "<r xmlns='urn:xmpp:sm:3'/><db:result xmlns:db='jabber:server:dialback' \
                from='irc.b.example' to='a.example'>key</db:result>";
    let taken = peer.floods(asks, MOST);
    assert!(taken < MOST, "all of it was taken");
    let error = hears(&mut facing.romeo, |it| it.attr("id") == Some("hi"));
    assert_eq!(condition(&error).as_deref(), Some("remote-server-timeout"), "{error:?}");
    let list = facing.stage.run(&["s2s", "list"]).unwrap();
    assert!(list.contains("it did not answer in time"), "{list}");
}

#[test]
fn what_comes_before_a_server_has_said_whether_it_counts_waits_in_order_and_is_bounded() {
    const MOST: usize = 1_024;
    let mut facing = Facing::start(60);
    let mut peer = enabling(&mut facing);
    peer.say(&(0..MOST).map(|number| to_romeo(&number.to_string())).collect::<String>());
    peer.say("<enabled xmlns='urn:xmpp:sm:3'/>");
    for number in 0..MOST {
        let next = hears(&mut facing.romeo, |it| it.name() == "message");
        assert_eq!(body(&next), Some(number.to_string()));
    }
    assert_eq!(peer.body(), "hi");

    let mut facing = Facing::start(60);
    let mut peer = enabling(&mut facing);
    peer.say(&to_romeo("early").repeat(MOST + 1));
    let error = peer.nonza();
    assert!(error.child("policy-violation", ns::STREAMS).is_some(), "{error:?}");
}

// Two servers that acknowledge what is safe would else wait for each other: each has its answer to the other behind a
// stanza that it wants acknowledged itself.
#[test]
fn a_request_is_acknowledged_before_its_answer_is() {
    let mut facing = Facing::start(60);
    let mut peer = enabling(&mut facing);
    peer.say("<enabled xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(peer.body(), "hi");
    peer.say(
        "<iq from='juliet@b.example/x' to='romeo@a.example/nowhere' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>\
         <r xmlns='urn:xmpp:sm:3'/>",
    );
    let (mut is_answered, mut is_handled) = (false, false);
    while !is_answered || !is_handled {
        match peer.next() {
            Event::Stanza(stanza) => is_answered |= stanza.head().id.as_deref() == Some("p"),
            Event::Nonza(nonza) => {
                is_handled |= nonza.is("a", ns::SM) && nonza.attr("h") == Some("1")
            }
            other => panic!("something else: {other:?}"),
        }
    }
}

#[test]
fn a_server_that_sends_fast_on_a_stream_of_ours_is_read_slowly_and_loses_nothing() {
    const COUNT: usize = 100;
    let slow = "[s2s]\nstanzas_per_second = 10\n[limits]\nenabled = true\n";
    let mut facing = Facing::start_with(slow);
    facing.says("hi");
    let mut peer = take(&facing.listener, &facing.config);
    assert!(peer.stanza().find("body", "").is_some());
    let began = BootTime::now();
    peer.say(&(0..COUNT).map(|number| to_romeo(&number.to_string())).collect::<String>());
    for number in 0..COUNT {
        let next = hears(&mut facing.romeo, |it| it.name() == "message");
        assert_eq!(body(&next), Some(number.to_string()));
    }
    peer.say(&to_romeo("last"));
    let next = hears(&mut facing.romeo, |it| it.name() == "message");
    assert_eq!(body(&next).as_deref(), Some("last"));
    // Fifty come at once, the rest at ten a second.
    let took = BootTime::now().since(began);
    assert!(took > Duration::from_secs(3), "{took:?}");
}
