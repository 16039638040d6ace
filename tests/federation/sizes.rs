//! What is too much for another server comes back alone, and the rest goes on (XEP-0478, RFC 6120 §4.9.3.14).

use std::net::TcpListener;

use stream::Event;
use xmpp::{Stanza, ns};

use super::land::{Authority, Land, Proof, condition, hears, hears_body};
use super::peer::{Called, Facing, certified, take_with};

fn text(stanza: &Stanza) -> String {
    stanza.child("body", "").unwrap().text()
}

fn say(id: &str, body: &str) -> String {
    format!("<message to='juliet@b.example' type='chat' id='{id}'><body>{body}</body></message>")
}

#[test]
fn a_message_that_grows_over_the_limit_on_its_way_comes_back_and_holds_up_nothing() {
    let land = Land::start(Proof::Certificate);
    let (mut romeo, mut juliet) = land.lovers();
    // As much as a client may say; here its sender is added to it.
    let room = 262_142 - say("big", "").len();
    romeo.send(say("big", &"x".repeat(room)) + &say("next", "next"));
    let error = hears(&mut romeo, |it| it.attr("id") == Some("big"));
    assert_eq!(condition(&error).as_deref(), Some("policy-violation"), "{error:?}");
    hears_body(&mut juliet, "next");
    let list = land.a.run(&["s2s", "list"]).unwrap();
    assert!(list.contains("a.example to b.example  open, acknowledged"), "{list}");
}

/// The other end of a stream on which it counts what it gets, and takes so many bytes at once.
fn take(listener: &TcpListener, authority: &Authority, limits: &str) -> Called {
    let config = certified(authority, &["b.example"]);
    let mut peer = take_with(listener, &config, &format!("<sm xmlns='urn:xmpp:sm:3'/>{limits}"));
    assert!(peer.nonza().is("enable", ns::SM));
    peer.say("<enabled xmlns='urn:xmpp:sm:3'/>");
    peer
}

#[test]
fn a_message_for_which_streams_are_ended_comes_back_after_the_second_and_the_rest_arrives() {
    let Facing { mut romeo, listener, authority, stage: _stage, .. } = Facing::start(60);
    romeo.send(say("1", "first") + &say("2", "poison") + &say("3", "last"));
    let ends = "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                </stream:error></stream:stream>";
    let stanza = |peer: &mut Called| loop {
        if let Event::Stanza(stanza) = peer.next() {
            break text(&stanza);
        }
    };

    let mut peer = take(&listener, &authority, "");
    assert_eq!((stanza(&mut peer), stanza(&mut peer)), ("first".to_owned(), "poison".to_owned()));
    peer.say(ends);
    let mut peer = take(&listener, &authority, "");
    assert_eq!(stanza(&mut peer), "first");
    peer.say("<a xmlns='urn:xmpp:sm:3' h='1'/>");
    assert_eq!(stanza(&mut peer), "poison");
    peer.say(ends);
    let error = hears(&mut romeo, |it| it.attr("type") == Some("error"));
    assert_eq!(error.attr("id"), Some("2"), "{error:?}");
    assert_eq!(condition(&error).as_deref(), Some("policy-violation"), "{error:?}");

    // This one says how much it takes.
    let limits = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>1000</max-bytes></limits>";
    let mut peer = take(&listener, &authority, limits);
    assert_eq!(stanza(&mut peer), "last");
    peer.say("<a xmlns='urn:xmpp:sm:3' h='1'/>");
    romeo.send(say("4", &"x".repeat(1_000)) + &say("5", "short"));
    let error = hears(&mut romeo, |it| it.attr("type") == Some("error"));
    assert_eq!(error.attr("id"), Some("4"), "{error:?}");
    assert_eq!(stanza(&mut peer), "short");
}
