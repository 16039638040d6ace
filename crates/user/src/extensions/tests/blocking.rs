//! XEP-0191 on trial.

use xmpp::{Jid, ns};

use super::{Account, condition, to};
use crate::config::Accounts;
use crate::extensions::blocking;

const LIST: &str = "<blocklist xmlns='urn:xmpp:blocking'/>";

fn block(jid: &str) -> String {
    format!("<block xmlns='urn:xmpp:blocking'><item jid='{jid}'/></block>")
}

fn unblock(jid: &str) -> String {
    format!("<unblock xmlns='urn:xmpp:blocking'><item jid='{jid}'/></unblock>")
}

fn blocked(account: &mut Account) -> Vec<String> {
    let answer = account.asks(1, "get", LIST);
    let list = answer.child("blocklist", ns::BLOCKING).unwrap();
    list.children().map(|item| item.attr("jid").unwrap().to_owned()).collect()
}

fn is_blocked(account: &Account, jid: &str) -> bool {
    blocking::is_blocked(account.user(), &Jid::parse(jid).unwrap())
}

#[test]
fn what_is_blocked_is_listed_and_survives_a_restart() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    assert_eq!(blocked(&mut account), [""; 0]);
    assert_eq!(account.asks(1, "set", &block("tybalt@capulet.lit")).attr("type"), Some("result"));
    account.restart();
    account.bind(1, "orchard");
    assert_eq!(blocked(&mut account), ["tybalt@capulet.lit"]);
    account.asks(1, "set", &unblock("tybalt@capulet.lit"));
    account.restart();
    assert!(!is_blocked(&account, "tybalt@capulet.lit"));
}

#[test]
fn a_block_without_items_is_a_bad_request_and_an_unblock_without_items_is_all() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    let none = "<block xmlns='urn:xmpp:blocking'/>";
    assert_eq!(condition(&account.asks(1, "set", none)), "bad-request");
    assert_eq!(condition(&account.asks(1, "set", &block("@"))), "jid-malformed");
    account.asks(1, "set", &block("a@x"));
    account.asks(1, "set", &block("b@x"));
    account.asks(1, "set", "<unblock xmlns='urn:xmpp:blocking'/>");
    assert_eq!(blocked(&mut account), [""; 0]);
}

#[test]
fn addresses_match_from_the_resource_to_the_domain() {
    let cases = [
        ("a@x/r", ["a@x/r"].as_slice(), ["a@x", "a@x/s", "x"].as_slice()),
        ("a@x", &["a@x", "a@x/r"], &["b@x", "x", "x/a"]),
        ("x/r", &["x/r"], &["x", "a@x/r", "x/s"]),
        ("x", &["x", "a@x", "a@x/r", "x/r"], &["y", "x.y"]),
    ];
    for (named, matching, others) in cases {
        let mut account = Account::new();
        account.bind(1, "orchard");
        account.asks(1, "set", &block(named));
        assert!(matching.iter().all(|jid| is_blocked(&account, jid)), "{named}");
        assert!(!others.iter().any(|jid| is_blocked(&account, jid)), "{named}");
    }
}

#[test]
fn resources_of_the_account_never_block_each_other() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    account.asks(1, "set", &block("montague.lit"));
    assert!(is_blocked(&account, "mercutio@montague.lit"));
    assert!(!is_blocked(&account, "romeo@montague.lit/phone"));
}

#[test]
fn every_session_that_asked_for_the_list_gets_pushes() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    account.bind(2, "phone");
    account.bind(3, "tablet");
    account.asks(1, "get", LIST);
    account.asks(2, "get", LIST);
    for payload in [block("a@x"), unblock("a@x"), "<unblock xmlns='urn:xmpp:blocking'/>".into()] {
        let sent = account.says(3, &format!("<iq type='set' id='b'>{payload}</iq>"));
        assert_eq!(to(&sent, 3).len(), 1, "the answer alone");
        for session in [1, 2] {
            let pushes = to(&sent, session);
            assert_eq!(pushes.len(), 1);
            assert_eq!(pushes[0].attr("type"), Some("set"));
            let expected = xmpp::Element::parse(payload.as_bytes()).unwrap();
            assert_eq!(pushes[0].children().next(), Some(&expected));
        }
    }
}

#[test]
fn a_blocked_sender_gets_through_with_nothing_and_sees_somebody_offline() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    account.asks(1, "set", &block("tybalt@capulet.lit"));
    let says = |kind: &str, ty: &str, to: &str| {
        format!(
            "<{kind} type='{ty}' id='1' from='tybalt@capulet.lit/sword' to='{to}'>\
             <body>draw</body></{kind}>"
        )
    };
    for to in ["romeo@montague.lit", "romeo@montague.lit/orchard"] {
        for (kind, ty) in [
            ("presence", "unavailable"),
            ("presence", "subscribe"),
            ("presence", "probe"),
            ("message", "error"),
            ("iq", "result"),
            ("iq", "error"),
        ] {
            let sent = account.hears(&says(kind, ty, to));
            assert!(sent.is_empty(), "{kind} {ty}: {sent:?}");
        }
        for (kind, ty) in [("message", "chat"), ("iq", "get"), ("iq", "set")] {
            let sent = account.hears(&says(kind, ty, to));
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].xml.attr("to"), Some("tybalt@capulet.lit/sword"));
            assert_eq!(condition(&sent[0].xml), "service-unavailable");
        }
    }
    assert_eq!(super::archive::archived(&mut account, 1), [""; 0]);
}

#[test]
fn nothing_goes_to_a_blocked_address() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    account.asks(1, "set", &block("tybalt@capulet.lit"));
    for xml in [
        "<message type='chat' to='tybalt@capulet.lit'><body>peace</body></message>",
        "<iq type='get' id='1' to='tybalt@capulet.lit/sword'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<presence to='tybalt@capulet.lit'/>",
    ] {
        let sent = account.says(1, xml);
        assert_eq!(sent.len(), 1, "{xml}: {sent:?}");
        assert_eq!(condition(&sent[0].xml), "not-acceptable");
        let error = sent[0].xml.child("error", "").unwrap();
        assert!(error.child("blocked", ns::BLOCKING_ERRORS).is_some());
    }
}

#[test]
fn presence_goes_away_and_comes_back_for_those_who_may_see_it() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    account.subscribe("juliet@capulet.lit");
    account.subscribe("nurse@capulet.lit");
    let presences = |sent: &[super::Sent]| {
        let mut seen: Vec<_> = sent
            .iter()
            .filter(|sent| sent.xml.name() == "presence")
            .map(|sent| {
                let ty = sent.xml.attr("type").unwrap_or("available");
                format!("{ty} {}", sent.xml.attr("to").unwrap())
            })
            .collect();
        seen.sort();
        seen
    };
    let mut says = |payload: String| {
        presences(&account.says(1, &format!("<iq type='set' id='b'>{payload}</iq>")))
    };
    assert_eq!(says(block("stranger@verona.lit")), [""; 0]);
    assert_eq!(says(block("nurse@capulet.lit")), ["unavailable nurse@capulet.lit"]);
    // The nurse sees somebody offline already.
    assert_eq!(says(block("capulet.lit")), ["unavailable juliet@capulet.lit"]);
    assert_eq!(says(unblock("nurse@capulet.lit")), [""; 0]);
    let all = ["available juliet@capulet.lit", "available nurse@capulet.lit"];
    assert_eq!(says(unblock("capulet.lit")), all);
}

#[test]
fn too_many_addresses_and_a_store_that_refuses_change_nothing() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    let items: String = (0..=Accounts::default().blocked_addresses)
        .map(|n| format!("<item jid='a{n}@x'/>"))
        .collect();
    let many = format!("<block xmlns='urn:xmpp:blocking'>{items}</block>");
    assert_eq!(condition(&account.asks(1, "set", &many)), "resource-constraint");
    account.asks(1, "set", &block("a@x"));
    account.memory.refuse_writes(Some(store::Error::Full("the disk")));
    assert_eq!(condition(&account.asks(1, "set", &block("b@x"))), "resource-constraint");
    assert_eq!(condition(&account.asks(1, "set", &unblock("a@x"))), "resource-constraint");
    assert_eq!(blocked(&mut account), ["a@x"]);
}
