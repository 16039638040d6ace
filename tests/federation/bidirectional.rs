//! XEP-0288 Bidirectional Server-to-Server Connections.

use xmpp::ns;

use super::land::{Authority, Client, add, free, hears_body, log_in, settings};
use super::peer::{Facing, certified, dialled, take};
use crate::stage::Stage;

#[test]
fn a_server_that_we_have_called_speaks_on_the_same_stream_in_its_own_name_alone() {
    let Facing { mut romeo, listener, config, stage: _stage, .. } = Facing::start(60);
    let say = |body: &str| {
        format!("<message to='juliet@b.example' type='chat'><body>{body}</body></message>")
    };
    romeo.send(say("hi"));
    let mut peer = take(&listener, &config);
    assert!(peer.stanza().find("body", "").is_some());
    peer.say("<message from='juliet@b.example' to='romeo@a.example' type='chat'><body>back</body></message>");
    let heard = hears_body(&mut romeo, "back");
    assert_eq!(heard.attr("from"), Some("juliet@b.example"));
    // Ours goes on in the other direction.
    romeo.send(say("again"));
    assert_eq!(peer.stanza().child("body", "").unwrap().text(), "again");
    // It speaks for nobody else.
    peer.say("<message from='x@c.example' to='romeo@a.example' type='chat'><body>forged</body></message>");
    let error = peer.nonza();
    assert!(error.child("invalid-from", ns::STREAMS).is_some(), "{error:?}");
    drop(peer);
    romeo.send(say("once more"));
    let mut peer = take(&listener, &config);
    assert_eq!(peer.stanza().child("body", "").unwrap().text(), "once more");
    peer.say("<message from='juliet@b.example' to='romeo@a.example' type='chat'><body>true</body></message>");
    // They hear that it is not sure what has arrived on the stream that broke.
    let is_said = |it: &xmpp::Element| it.name() == "message" && it.attr("type") != Some("error");
    let next = super::land::hears(&mut romeo, is_said);
    assert_eq!(super::land::body(&next).as_deref(), Some("true"), "nothing forged came before");
}

#[test]
fn another_domain_of_a_server_that_we_have_called_is_let_in_on_the_same_stream_and_answered_there()
{
    let Facing { mut romeo, listener, authority, stage: _stage, .. } = Facing::start(60);
    let config = certified(&authority, &["b.example", "conference.b.example"]);
    romeo.send("<message to='juliet@b.example'><body>hi</body></message>");
    let mut peer = take(&listener, &config);
    assert_eq!(peer.stanza().child("body", "").unwrap().text(), "hi");

    let ask = |domain: &str| {
        format!(
            "<db:result xmlns:db='jabber:server:dialback' from='{domain}' to='a.example'>key</db:result>"
        )
    };
    peer.say(&ask("irc.b.example"));
    let refused = peer.nonza();
    assert_eq!(refused.attr("type"), Some("error"), "{refused:?}");
    peer.say(&ask("conference.b.example"));
    let answer = peer.nonza();
    assert_eq!(answer.attr("type"), Some("valid"), "{answer:?}");
    peer.say("<message from='r@conference.b.example/nurse' to='romeo@a.example'><body>all</body></message>");
    hears_body(&mut romeo, "all");
    // What is for it goes by the same stream, and so in order; else a connection would have been waited for.
    romeo.send("<message to='r@conference.b.example'><body>here too</body></message>");
    let heard = peer.stanza();
    assert_eq!(heard.child("body", "").unwrap().text(), "here too");
    assert_eq!(heard.head().to.as_ref().unwrap().domainpart(), "conference.b.example");
}

// XEP-0288 §2.2: whoever is given a key asks about it on another stream, and that may be one of ours.
#[test]
fn a_server_that_we_have_called_asks_about_our_key_on_the_same_stream() {
    let mut facing =
        Facing::start_with("[s2s]\npolicies = { 'conference.b.example' = 'dialback' }\n");
    facing.says("hi");
    let mut peer = take(&facing.listener, &facing.config);
    assert_eq!(peer.body(), "hi");
    // The certificate is not for this one, so that another stream is opened.
    facing.romeo.send("<message to='r@conference.b.example'><body>by key</body></message>");
    let (mut other, result) = dialled(&facing.listener, &facing.config);
    let mut asks = |to: &str, key: &str| {
        peer.say(&format!(
            "<db:verify xmlns:db='jabber:server:dialback' from='conference.b.example' to='{to}' \
             id='x'>{key}</db:verify>"
        ));
        let answer = peer.nonza();
        assert_eq!(answer.attr("id"), Some("x"), "{answer:?}");
        answer.attr("type").unwrap().to_owned()
    };
    assert_eq!(asks("a.example", "forged"), "invalid");
    assert_eq!(asks("c.example", &result.text()), "error");
    assert_eq!(asks("a.example", &result.text()), "valid");
    other.say(
        "<db:result xmlns:db='jabber:server:dialback' from='conference.b.example' \
         to='a.example' type='valid'/>",
    );
    assert_eq!(other.body(), "by key");
    // The stream goes on.
    facing.says("again");
    assert_eq!(peer.body(), "again");
}

/// Romeo of a server that reaches the other one, and Juliet of the other one, which reaches nobody.
struct OneWay {
    a: Stage,
    b: Stage,
    romeo: Client,
    juliet: Client,
    _authority: Authority,
}

fn one_way() -> OneWay {
    let authority = Authority::new();
    let ends = [free(), free()];
    let files = ["a.example", "b.example"].map(|name| authority.certify(&[name]));
    let start = |own: usize, name, other| {
        Stage::start(&settings((name, Some(&files[own])), ends[own], other, &authority.file()))
    };
    let a = start(0, "a.example", ("b.example", ends[1]));
    // Nobody is there.
    let b = start(1, "b.example", ("a.example", free()));
    add(&a, "romeo@a.example");
    add(&b, "juliet@b.example");
    let (romeo, juliet) = (log_in(&a, "romeo@a.example"), log_in(&b, "juliet@b.example"));
    OneWay { a, b, romeo, juliet, _authority: authority }
}

fn to_romeo(body: &str) -> String {
    format!("<message to='romeo@a.example' type='chat'><body>{body}</body></message>")
}

fn to_juliet(body: &str) -> String {
    format!("<message to='juliet@b.example' type='chat'><body>{body}</body></message>")
}

#[test]
fn who_cannot_be_called_is_answered_on_the_stream_that_it_has_opened() {
    let OneWay { a, b, romeo, juliet, .. } = &mut one_way();
    // What waits for a server that cannot be reached goes when that one calls.
    juliet.send(to_romeo("waited"));
    romeo.send(to_juliet("hi"));
    hears_body(juliet, "hi");
    hears_body(romeo, "waited");
    juliet.send((0..500).map(|number| to_romeo(&number.to_string())).collect::<String>());
    for number in 0..500 {
        let next = super::land::hears(romeo, |it| it.name() == "message");
        assert_eq!(super::land::body(&next), Some(number.to_string()));
    }
    let list = b.run(&["s2s", "list"]).unwrap();
    assert!(list.contains("b.example to a.example  open, on a shared stream"), "{list}");

    // Where the stream ends, what has not arrived goes by the next one.
    assert_eq!(a.run(&["s2s", "reset", "b.example"]).unwrap(), "1 begin anew\n");
    juliet.send(to_romeo("anew"));
    romeo.send(to_juliet("once more"));
    hears_body(juliet, "once more");
    hears_body(romeo, "anew");
}

#[test]
fn a_server_that_acknowledges_what_it_was_answered_is_sent_nothing_twice() {
    let OneWay { b, romeo, juliet, .. } = &mut one_way();
    romeo.send(to_juliet("hi"));
    hears_body(juliet, "hi");
    juliet.send("<enable xmlns='urn:xmpp:sm:3'/>");
    super::land::hears(juliet, |it| it.name() == "enabled");
    for number in 0..50 {
        juliet.send(to_romeo(&number.to_string()));
    }
    juliet.send("<r xmlns='urn:xmpp:sm:3'/>");
    // Handled is what the other server has acknowledged.
    super::land::hears(juliet, |it| it.name() == "a" && it.attr("h") == Some("50"));
    b.run(&["s2s", "reset", "a.example"]).unwrap();
    juliet.send(to_romeo("end"));
    for number in 0..50 {
        let next = super::land::hears(romeo, |it| it.name() == "message");
        assert_eq!(super::land::body(&next), Some(number.to_string()));
    }
    let next = super::land::hears(romeo, |it| it.name() == "message");
    assert_eq!(super::land::body(&next).as_deref(), Some("end"));
}
