//! Servers that say what is no stream, say nothing, or read nothing; and that nobody else notices (RFC 6120 §4.9, §13.12).

use std::net::TcpListener;

use super::impostor::Impostor;
use super::land::{Land, Proof, condition, hears, hears_body};
use super::peer::{certified, take_with};

#[test]
fn what_is_no_stream_between_servers_ends_with_the_error_that_says_so() {
    let land = Land::start(Proof::Certificate);
    let header = |attributes: &str| {
        format!("<stream:stream xmlns:stream='http://etherx.jabber.org/streams' {attributes}>")
    };
    let of = "xmlns='jabber:server' from='evil.example' version='1.0'";
    let good = header(&format!("{of} to='a.example'"));
    let after = |text: &str| format!("{good}{text}");
    let long = format!("<message><body>{}", "x".repeat(100_000));
    let cases = [
        (header(&format!("{of} to='elsewhere.example'")), "host-unknown"),
        (header(of), "improper-addressing"),
        (
            header("xmlns='jabber:server' from='a.example' to='a.example' version='1.0'"),
            "invalid-from",
        ),
        (header("xmlns='jabber:server' from='@' to='a.example' version='1.0'"), "invalid-from"),
        (header("xmlns='jabber:server' from='evil.example' to='a.example'"), "unsupported-version"),
        (
            header("xmlns='jabber:client' from='evil.example' to='a.example' version='1.0'"),
            "invalid-namespace",
        ),
        ("<?xml version='1.0' encoding='UTF-16'?>".to_owned() + &good, "unsupported-encoding"),
        (after("<message></presence>"), "not-well-formed"),
        (after("<!-- a word -->"), "restricted-xml"),
        (after("<?php ?>"), "restricted-xml"),
        (after("<message>&unknown;</message>"), "restricted-xml"),
        (after("<message from='a@evil.example' to='romeo@a.example'/>"), "not-authorized"),
        (after("<query xmlns='urn:example'/>"), "unsupported-stanza-type"),
        (after(&long), "policy-violation"),
    ];
    for (said, expected) in cases {
        let mut impostor = Impostor::begins(land.s2s[0], &said);
        let mut next = impostor.next().unwrap_or_else(|| panic!("nothing is said to {said}"));
        if next.name() == "features" {
            next = impostor.hears("error");
        }
        let found = next.children().next().map(|it| it.name().to_owned());
        assert_eq!(
            found.as_deref(),
            Some(expected),
            "{}",
            said.chars().take(300).collect::<String>()
        );
        assert!(impostor.next().is_none(), "{expected}: it goes on");
    }
}

#[test]
fn what_follows_starttls_in_the_clear_is_not_believed_later() {
    let land = Land::start(Proof::Certificate);
    let (mut romeo, mut juliet) = land.lovers();
    let files = land.authority.certify(&["evil.example"]);
    let mut impostor = Impostor::dial(land.s2s[0], "evil.example");
    impostor.hears("features");
    let injected =
        "<message from='x@evil.example' to='romeo@a.example'><body>injected</body></message>";
    impostor.say(&format!("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{injected}"));
    impostor.hears("proceed");
    if let Some(mut impostor) = impostor.shakes_hands(Some(&files)) {
        impostor.reopen("evil.example");
        impostor.hears("features");
        impostor
            .say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
        impostor.hears("success");
    }
    juliet.send("<message to='romeo@a.example'><body>true</body></message>");
    let first = hears(&mut romeo, |it| it.name() == "message");
    assert_eq!(super::land::body(&first).as_deref(), Some("true"));
}

#[test]
fn two_hundred_servers_that_say_nothing_are_noticed_by_nobody() {
    let land = Land::start(Proof::Certificate);
    let (mut romeo, mut juliet) = land.lovers();
    let mut idle: Vec<Impostor> =
        (0..200).map(|_| Impostor::dial(land.s2s[0], "evil.example")).collect();
    for impostor in &mut idle {
        impostor.hears("features");
    }
    for number in 0..20 {
        let text = number.to_string();
        juliet.send(format!("<message to='romeo@a.example'><body>{text}</body></message>"));
        hears_body(&mut romeo, &text);
        romeo.send(format!("<message to='juliet@b.example'><body>{text}</body></message>"));
        hears_body(&mut juliet, &text);
    }
}

#[test]
fn a_server_that_reads_nothing_holds_up_only_what_is_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let route = listener.local_addr().unwrap();
    let few = format!("[s2s]\nqueue_bytes = 200000\n[s2s.route]\n'c.example' = '{route}'\n");
    let land = Land::start_with(Proof::Certificate, &few);
    let (mut romeo, mut juliet) = land.lovers();
    let config = certified(&land.authority, &["c.example"]);
    romeo.send("<message to='x@c.example'><body>hi</body></message>");
    let mut deaf = take_with(&listener, &config, "");
    assert_eq!(deaf.body(), "hi");
    let long = "x".repeat(50_000);
    // What the systems keep, and then the queue, takes some of it.
    let full = (0..1_000).find(|number| {
        romeo
            .send(format!("<message to='x@c.example' id='{number}'><body>{long}</body></message>"));
        romeo.send(format!("<message to='juliet@b.example'><body>{number}</body></message>"));
        hears_body(&mut juliet, &number.to_string());
        romeo.send("<iq type='get' to='a.example' id='turn'><ping xmlns='urn:xmpp:ping'/></iq>");
        let next = hears(&mut romeo, |it| {
            it.attr("id") == Some("turn") || it.attr("type") == Some("error")
        });
        next.attr("id") != Some("turn") && {
            assert_eq!(condition(&next).as_deref(), Some("resource-constraint"), "{next:?}");
            true
        }
    });
    assert!(full.is_some(), "it takes everything");
}
