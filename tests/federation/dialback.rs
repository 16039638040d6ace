//! XEP-0220 Server Dialback, version 1.1.1: what becomes of a key that is not right, that nobody can check, or that is
//! not wanted (§2.4, §2.5).

use std::net::{SocketAddr, TcpListener};

use super::impostor::Impostor;
use super::land::{Authority, add, condition, free, hears, log_in, settings};
use super::peer::{asked, certified, dialled};
use crate::stage::Stage;

/// A server of `a.example` that lets others in by dialback, and looks for `b.example` here; and where it is.
fn believer(authority: &Authority, b: SocketAddr) -> (Stage, SocketAddr) {
    let s2s = free();
    let settings = settings(("a.example", None), s2s, ("b.example", b), &authority.file());
    (Stage::start(&settings), s2s)
}

/// The type and the condition of what a server hears that has given a key; none of the latter where there is no error.
fn result_of(claims: &mut Impostor) -> (String, Option<String>) {
    let result = claims.hears("result");
    let error = result.children().find(|it| it.name() == "error");
    let condition = error.and_then(|it| it.children().next()).map(|it| it.name().to_owned());
    (result.attr("type").unwrap().to_owned(), condition)
}

const CLAIM: &str = "<db:result from='b.example' to='a.example'>key</db:result>";

#[test]
fn whoever_gives_a_key_hears_what_the_one_says_who_knows_it_and_that_nobody_can_say() {
    let error = |condition: &str| {
        format!(
            "type='error'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:verify>"
        )
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (ours, strangers) = (Authority::new(), Authority::new());
    let config = certified(&strangers, &["b.example"]);
    let (_stage, s2s) = believer(&ours, listener.local_addr().unwrap());
    // What is said of the key, what follows, and with which condition.
    let cases = [
        ("type='valid'/>".to_owned(), "valid", None),
        ("type='invalid'/>".to_owned(), "invalid", None),
        (error("item-not-found"), "error", Some("remote-server-not-found")),
        (error("remote-server-timeout"), "error", Some("remote-server-not-found")),
        (error("policy-violation"), "error", Some("remote-server-not-found")),
    ];
    for (says, kind, condition) in cases {
        let mut claims = Impostor::secured(s2s, "b.example", None);
        claims.say(CLAIM);
        let (mut knows, verify) = asked(&listener, &config);
        let pair = (verify.attr("from"), verify.attr("to"), verify.text());
        assert_eq!(pair, (Some("a.example"), Some("b.example"), "key".to_owned()));
        let id = verify.attr("id").unwrap();
        let head = "<db:verify xmlns:db='jabber:server:dialback' from='b.example' to='a.example'";
        knows.say(&format!("{head} id='{id}' {says}"));
        let told = (kind.to_owned(), condition.map(str::to_owned));
        assert_eq!(result_of(&mut claims), told, "{says}");
    }
    // One that ends the stream without a word knows nothing; nor does one that is not there.
    let mut claims = Impostor::secured(s2s, "b.example", None);
    claims.say(CLAIM);
    asked(&listener, &config).0.breaks();
    let nobody_can_say = ("error".to_owned(), Some("remote-server-timeout".to_owned()));
    assert_eq!(result_of(&mut claims), nobody_can_say);
    drop(listener);
    claims.say(CLAIM);
    assert_eq!(result_of(&mut claims), nobody_can_say);
}

#[test]
fn senders_hear_soon_that_their_server_is_not_believed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (ours, strangers) = (Authority::new(), Authority::new());
    let config = certified(&strangers, &["b.example"]);
    let (stage, _) = believer(&ours, listener.local_addr().unwrap());
    add(&stage, "romeo@a.example");
    let mut romeo = log_in(&stage, "romeo@a.example");
    let refusal = "type='error'><error type='cancel'>\
                   <policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>";
    let cases = [
        (refusal, "remote-server-timeout", "policy-violation"),
        ("type='invalid'/>", "internal-server-error", "our dialback key is wrong"),
    ];
    for (says, expected, why) in cases {
        romeo.send("<message to='juliet@b.example' id='m'><body>hi</body></message>");
        let (mut peer, result) = dialled(&listener, &config);
        assert_eq!(result.text().len(), 64, "a key");
        let head = "<db:result xmlns:db='jabber:server:dialback' from='b.example' to='a.example'";
        peer.say(&format!("{head} {says}"));
        // Sixty seconds would be left.
        let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
        assert_eq!(condition(&error).as_deref(), Some(expected), "{error:?}");
        let list = stage.run(&["s2s", "list"]).unwrap();
        assert!(list.contains(why), "{list}");
        stage.run(&["s2s", "reset", "b.example"]).unwrap();
    }
}
