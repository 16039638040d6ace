//! What others send, on trial (RFC 6121 §8.5). The table of messages is [`crate::rules`]'s.

use crate::stage::{Stage, romeo, stanza};

const FROM: &str = "from='juliet@y.org/b'";

fn message(to: &str, ty: &str, text: &str) -> String {
    format!("<message {FROM} to='{to}' type='{ty}' id='m'><body>{text}</body></message>")
}

fn iq(to: &str, ty: &str) -> String {
    format!("<iq {FROM} to='{to}' type='{ty}' id='q'><q xmlns='urn:q'/></iq>")
}

/// Romeo's sessions: two that take messages, one of negative priority, one not available.
fn full_house() -> Stage {
    let mut stage = Stage::new();
    stage.available("one", 0);
    stage.available("two", 5);
    stage.available("negative", -1);
    stage.bind("silent");
    stage
}

const REFUSED: &str = "to juliet@y.org/b: message error cancel service-unavailable";
const REFUSED_IQ: &str = "to juliet@y.org/b: iq error cancel service-unavailable";

#[test]
fn messages_reach_whom_the_rules_pick() {
    let both = ["one: hi", "two: hi"];
    let rows: &[(&str, &str, &[&str])] = &[
        ("romeo@x.org", "chat", &both),
        ("romeo@x.org", "normal", &both),
        ("romeo@x.org", "headline", &both),
        ("romeo@x.org", "groupchat", &[REFUSED]),
        ("romeo@x.org/one", "chat", &["one: hi"]),
        ("romeo@x.org/negative", "normal", &["negative: hi"]),
        ("romeo@x.org/silent", "headline", &["silent: hi"]),
        ("romeo@x.org/two", "groupchat", &["two: hi"]),
        ("romeo@x.org/none", "chat", &both),
        ("romeo@x.org/none", "normal", &[REFUSED]),
        ("romeo@x.org/none", "groupchat", &[REFUSED]),
        ("romeo@x.org/none", "headline", &[]),
    ];
    let mut stage = full_house();
    for (to, ty, expected) in rows {
        let said = stage.gets(&message(to, ty, "hi"));
        assert_eq!(said.as_slice(), *expected, "{ty} to {to}");
    }
}

#[test]
fn errors_and_results_are_never_answered() {
    let mut stage = full_house();
    for xml in [
        format!("<message {FROM} to='romeo@x.org' type='error'/>"),
        format!("<message {FROM} to='romeo@x.org/none' type='error'/>"),
        iq("romeo@x.org", "result"),
        iq("romeo@x.org/none", "result"),
        iq("romeo@x.org/none", "error"),
        iq("romeo@x.org", "error"),
    ] {
        assert!(stage.gets(&xml).is_empty(), "{xml}");
    }
    let error = format!("<message {FROM} to='romeo@x.org/one' type='error'/>");
    assert_eq!(stage.gets(&error), ["one: message error"]);
}

#[test]
fn a_name_without_an_account_answers_requests_and_messages_only() {
    for (xml, expected) in [
        (iq("romeo@x.org", "get"), Some(REFUSED_IQ)),
        (iq("romeo@x.org/r", "set"), Some(REFUSED_IQ)),
        (iq("romeo@x.org", "result"), None),
        (message("romeo@x.org", "chat", "hi"), Some(REFUSED)),
        (message("romeo@x.org/r", "groupchat", "hi"), Some(REFUSED)),
        (message("romeo@x.org", "headline", "hi"), None),
        (format!("<presence {FROM} to='romeo@x.org'/>"), None),
        (format!("<presence {FROM} to='romeo@x.org' type='subscribe'/>"), None),
    ] {
        let mut stage = Stage::without_account();
        assert_eq!(stage.gets(&xml), Vec::from_iter(expected), "{xml}");
        assert!(stage.trial.closed, "whoever is added later must be found");
    }
}

#[test]
fn requests_to_the_account_are_answered_by_the_server() {
    let mut stage = full_house();
    assert_eq!(stage.gets(&iq("romeo@x.org", "get")), [REFUSED_IQ]);
    let two = format!(
        "<iq {FROM} to='romeo@x.org' type='get' id='q'><a xmlns='urn:a'/><a xmlns='urn:a'/></iq>"
    );
    assert_eq!(stage.gets(&two), ["to juliet@y.org/b: iq error modify bad-request"]);
    let owners = format!(
        "<iq {FROM} to='romeo@x.org' type='get' id='q'><blocklist xmlns='urn:xmpp:blocking'/></iq>"
    );
    assert_eq!(stage.gets(&owners), ["to juliet@y.org/b: iq error auth forbidden"]);
}

#[test]
fn a_request_reaches_a_resource_only_from_who_may_know_of_it() {
    let to_one = iq("romeo@x.org/one", "get");
    let mut stage = full_house();
    assert_eq!(stage.gets(&to_one), [REFUSED_IQ]);
    assert_eq!(stage.gets(&iq("romeo@x.org/one", "result")), ["one: iq result"]);
    assert_eq!(stage.gets(&iq("romeo@x.org/one", "error")), ["one: iq error"]);

    stage.subscribe("juliet@y.org");
    assert_eq!(stage.gets(&to_one), ["one: iq get"]);
    assert_eq!(stage.gets(&iq("romeo@x.org/none", "get")), [REFUSED_IQ]);

    let mut stage = full_house();
    let one = stage.uid("one");
    stage.says(one, "<presence to='juliet@y.org/c'/>");
    assert_eq!(stage.gets(&to_one), ["one: iq get"]);

    for from in ["romeo@x.org/two", "romeo@x.org", "x.org"] {
        let xml = to_one.replace("juliet@y.org/b", from);
        assert_eq!(stage.gets(&xml), ["one: iq get"], "{from}");
    }
}

#[test]
fn recipients_are_known_before_delivery() {
    let stage = full_house();
    let uids = |names: &[&str]| names.iter().map(|name| stage.uid(name)).collect::<Vec<_>>();
    let of = |to: &str, ty: &str| {
        super::recipients(&stage.trial.entity, &stanza(&message(to, ty, "hi"))).to_vec()
    };
    assert_eq!(of("romeo@x.org", "chat"), uids(&["one", "two"]));
    assert_eq!(of("romeo@x.org/silent", "chat"), uids(&["silent"]));
    assert!(of("romeo@x.org/none", "normal").is_empty());
    assert_eq!(stage.trial.entity.jid, romeo());
}

#[test]
fn the_address_of_a_message_is_not_rewritten() {
    let mut stage = full_house();
    let body = proto::Body::Stanza(stanza(&message("romeo@x.org", "chat", "hi")));
    for envelope in stage.trial.receive(proto::Route::User(romeo()), body) {
        if let proto::Body::Stanza(stanza) = envelope.body {
            assert_eq!(stanza.head().to.as_ref().unwrap(), &xmpp::Jid::from(romeo()));
        }
    }
}
