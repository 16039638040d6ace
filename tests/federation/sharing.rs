//! Several domains on one stream (XEP-0220 §2.6).

use xmpp::ns;

use super::land::{Land, Proof, hears, hears_body};
use super::peer::{Facing, certified, take_with};

const FEATURES: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";

#[test]
fn another_domain_of_the_same_server_is_asked_for_on_the_stream_that_is_there() {
    let Facing { mut romeo, listener, authority, stage: _stage, .. } = Facing::start(60);
    let names = ["b.example", "conference.b.example", "irc.b.example"];
    let config = certified(&authority, &names);

    let say = |to: &str, body: &str| format!("<message to='{to}'><body>{body}</body></message>");
    romeo.send(say("juliet@b.example", "hi"));
    let mut peer = take_with(&listener, &config, FEATURES);
    assert_eq!(peer.stanza().child("body", "").unwrap().text(), "hi");
    romeo.send(say("r@conference.b.example", "all"));
    let asked = peer.nonza();
    assert!(asked.is("result", "jabber:server:dialback"), "{asked:?}");
    let pair = (asked.attr("from"), asked.attr("to"));
    assert_eq!(pair, (Some("a.example"), Some("conference.b.example")));
    assert_eq!(asked.text().len(), 64, "a key");
    peer.say("<db:result xmlns:db='jabber:server:dialback' from='conference.b.example' to='a.example' type='valid'/>");
    let heard = peer.stanza();
    assert_eq!(heard.child("body", "").unwrap().text(), "all");
    assert_eq!(heard.head().to.as_ref().unwrap().domainpart(), "conference.b.example");

    // Where it is refused, the stream goes on, and the other domain gets one of its own.
    romeo.send(say("x@irc.b.example", "elsewhere"));
    assert_eq!(peer.nonza().attr("to"), Some("irc.b.example"));
    peer.say(
        "<db:result xmlns:db='jabber:server:dialback' from='irc.b.example' to='a.example' type='error'>\
         <error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>",
    );
    let mut other = super::peer::Opening::of(&listener);
    assert_eq!(other.to(), "irc.b.example");
    romeo.send(say("juliet@b.example", "still here"));
    assert_eq!(peer.stanza().child("body", "").unwrap().text(), "still here");

    // What nobody has asked for ends it (XEP-0220 §3.1).
    peer.say("<db:result xmlns:db='jabber:server:dialback' from='c.example' to='a.example' type='valid'/>");
    let error = peer.nonza();
    assert!(error.child("policy-violation", ns::STREAMS).is_some(), "{error:?}");
}

/// A room and its service's server speak on one stream with a third.
fn a_room_shares(proof: Proof) {
    let land = Land::start_with(proof, "[s2s]\nbidirectional = false");
    let (mut romeo, mut juliet) = land.lovers();
    romeo.send("<message to='juliet@b.example' type='chat'><body>hi</body></message>");
    hears_body(&mut juliet, "hi");
    juliet.send("<message to='romeo@a.example' type='chat'><body>hi</body></message>");
    hears_body(&mut romeo, "hi");
    let room = "r@conference.b.example";
    let join =
        |nick: &str| format!("<presence to='{room}/{nick}'><x xmlns='{}'/></presence>", ns::MUC);
    juliet.send(join("juliet"));
    hears(&mut juliet, |it| it.attr("from") == Some("r@conference.b.example/juliet"));
    juliet.send(format!(
        "<iq type='set' to='{room}' id='c'><query xmlns='{}'><x xmlns='jabber:x:data' type='submit'/></query></iq>",
        ns::MUC_OWNER
    ));
    hears(&mut juliet, |it| it.attr("id") == Some("c"));
    romeo.send(join("romeo"));
    hears(&mut romeo, |it| it.attr("from") == Some("r@conference.b.example/romeo"));
    for number in 0..50 {
        romeo
            .send(format!("<message to='{room}' type='groupchat'><body>{number}</body></message>"));
    }
    for number in 0..50 {
        hears_body(&mut juliet, &number.to_string());
        hears_body(&mut romeo, &number.to_string());
    }
    let there = land.a.run(&["s2s", "list"]).unwrap();
    let shared = "a.example to conference.b.example  open, on a shared stream";
    assert!(there.contains(shared), "{there}");
    let back = land.b.run(&["s2s", "list"]).unwrap();
    let shared = "conference.b.example to a.example  open, on a shared stream";
    assert!(back.contains(shared), "{back}");
}

#[test]
fn a_room_speaks_on_the_stream_of_its_server_by_certificates() {
    a_room_shares(Proof::Certificate);
}

#[test]
fn a_room_speaks_on_the_stream_of_its_server_by_dialback() {
    a_room_shares(Proof::Dialback);
}
