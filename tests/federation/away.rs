//! What becomes of stanzas for a server that is not there, or not who it should be.

use super::land::{
    Authority, Land, Proof, add, arrive, condition, free, hears, hears_body, log_in, settings,
};
use crate::stage::Stage;

#[test]
fn what_is_sent_while_the_other_server_is_away_arrives_when_it_is_back() {
    let mut land = Land::start(Proof::Certificate);
    let (mut romeo, mut juliet) = land.lovers();
    romeo.send("<message to='juliet@b.example' type='chat'><body>before</body></message>");
    hears_body(&mut juliet, "before");
    drop(juliet);
    land.b.terminate();
    romeo.send("<enable xmlns='urn:xmpp:sm:3'/>");
    hears(&mut romeo, |it| it.name() == "enabled");
    for text in ["first", "second", "third"] {
        let to = "juliet@b.example";
        romeo.send(format!("<message to='{to}' type='chat'><body>{text}</body></message>"));
    }
    romeo.send("<r xmlns='urn:xmpp:sm:3'/>");
    let early = hears(&mut romeo, |it| it.name() == "a");
    assert_eq!(early.attr("h"), Some("0"), "nothing has left yet");
    land.b.restart();
    let mut juliet = arrive(&land.b, "juliet@b.example");
    // What the other server had when it went does not come again.
    for text in ["first", "second", "third"] {
        let heard = hears(&mut juliet, |it| it.name() == "message");
        assert_eq!(super::land::body(&heard).as_deref(), Some(text));
    }
    hears(&mut romeo, |it| it.attr("h") == Some("3"));
}

/// A server that is to reach `b.example` at this address.
fn alone(authority: &Authority, route: std::net::SocketAddr, extra: &str) -> Stage {
    let files = authority.certify(&["a.example", "conference.a.example"]);
    let own = ("a.example", Some(&files));
    let settings = settings(own, free(), ("b.example", route), &authority.file());
    let stage = Stage::start(&settings.replace("wait_seconds = 60", extra));
    add(&stage, "romeo@a.example");
    stage
}

#[test]
fn a_server_that_never_comes_gives_an_error_in_time() {
    let authority = Authority::new();
    let stage = alone(&authority, free(), "wait_seconds = 2");
    let mut romeo = log_in(&stage, "romeo@a.example");
    romeo.send("<message to='x@b.example' id='m'><body>hi</body></message>");
    romeo.send("<iq to='b.example' type='get' id='i'><ping xmlns='urn:xmpp:ping'/></iq>");
    romeo.send("<presence to='r@conference.b.example/n'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    let mut names = Vec::new();
    for _ in 0..3 {
        let error = hears(&mut romeo, |it| it.attr("type") == Some("error"));
        assert_eq!(condition(&error).as_deref(), Some("remote-server-timeout"));
        names.push(error.name().to_owned());
    }
    // Each of two domains has a queue of its own.
    names.sort();
    assert_eq!(names, ["iq", "message", "presence"]);
}

#[test]
fn a_server_that_says_nothing_gives_an_error_in_time_and_keeps_nobody_waiting() {
    let authority = Authority::new();
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stage = alone(&authority, mute.local_addr().unwrap(), "wait_seconds = 3");
    let mut romeo = log_in(&stage, "romeo@a.example");
    romeo.send("<message to='x@b.example' id='m'><body>hi</body></message>");
    // Meanwhile everything else goes on.
    romeo.send("<message to='romeo@a.example' type='chat'><body>to myself</body></message>");
    hears_body(&mut romeo, "to myself");
    let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
    assert_eq!(condition(&error).as_deref(), Some("remote-server-timeout"));
}

#[test]
fn domains_that_are_denied_or_off_are_refused_at_once() {
    let authority = Authority::new();
    let stage = alone(&authority, free(), "deny = ['b.example']");
    let mut romeo = log_in(&stage, "romeo@a.example");
    romeo.send("<message to='x@b.example' id='m'><body>hi</body></message>");
    let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
    assert_eq!(condition(&error).as_deref(), Some("not-allowed"));
}

#[test]
fn a_server_with_a_certificate_for_others_hears_nothing() {
    let authority = Authority::new();
    let (s2s, files) = (free(), authority.certify(&["other.example"]));
    let own = ("b.example", Some(&files));
    let b = Stage::start(&settings(own, s2s, ("a.example", free()), &authority.file()));
    add(&b, "juliet@b.example");
    let mut juliet = log_in(&b, "juliet@b.example");
    let stage = alone(&authority, s2s, "wait_seconds = 60");
    let mut romeo = log_in(&stage, "romeo@a.example");
    romeo.send("<message to='juliet@b.example' id='m'><body>secret</body></message>");
    let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
    let why = error.child("error", "").unwrap();
    let why = why.child("text", xmpp::ns::STANZAS).unwrap().text();
    // What exactly is wrong is for the operator.
    assert_eq!(why, "the other server does not prove who it is");
    stage.await_log("not for b.example");
    juliet.send("<message to='juliet@b.example' type='chat'><body>mine</body></message>");
    let first = hears(&mut juliet, |it| it.name() == "message");
    assert_eq!(super::land::body(&first).as_deref(), Some("mine"));
}

#[test]
fn three_hundred_servers_that_do_not_answer_hold_up_nobody() {
    let authority = Authority::new();
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (mute, absent) = (mute.local_addr().unwrap(), free());
    let route = |number: usize| {
        let to = if number.is_multiple_of(2) { mute } else { absent };
        format!("'d{number}.example' = '{to}'\n")
    };
    let routes: String = (0..300).map(route).collect();
    let files = authority.certify(&["a.example"]);
    let own = ("a.example", Some(&files));
    let settings = settings(own, free(), ("b.example", mute), &authority.file());
    let settings = settings.replace("[s2s.route]\n", &format!("[s2s.route]\n{routes}"));
    let stage = Stage::start(&settings.replace("wait_seconds = 60", "wait_seconds = 4"));
    add(&stage, "romeo@a.example");
    let mut romeo = log_in(&stage, "romeo@a.example");
    let say = |number: usize| {
        format!("<message to='x@d{number}.example' id='m'><body>hi</body></message>")
    };
    romeo.send((0..300).map(say).collect::<String>());
    romeo.send("<message to='romeo@a.example' type='chat'><body>to myself</body></message>");
    hears_body(&mut romeo, "to myself");
    for _ in 0..300 {
        let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
        assert_eq!(condition(&error).as_deref(), Some("remote-server-timeout"));
    }
}
