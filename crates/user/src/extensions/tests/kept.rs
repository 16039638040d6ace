//! XEP-0049 and XEP-0054 on trial: what clients keep with the account.

use xmpp::ns;

use super::{Account, condition};
use crate::config::Accounts;

fn account() -> Account {
    let mut account = Account::new();
    account.bind(1, "orchard");
    account
}

fn query(inner: &str) -> String {
    format!("<query xmlns='jabber:iq:private'>{inner}</query>")
}

#[test]
fn private_xml_comes_back_as_it_was_kept() {
    let mut account = account();
    let kept = "<storage xmlns='storage:bookmarks'><conference jid='r@m'/></storage>";
    let answer = account.asks(1, "set", &query(&format!("{kept}<notes xmlns='storage:notes'/>")));
    assert_eq!((answer.attr("type"), answer.children().count()), (Some("result"), 0));
    account.restart();
    account.bind(1, "orchard");
    let answer = account.asks(1, "get", &query("<storage xmlns='storage:bookmarks'/>"));
    let storage = answer.child("query", ns::PRIVATE).unwrap().children().next().unwrap();
    assert_eq!(*storage, xmpp::Element::parse(kept.as_bytes()).unwrap());
}

#[test]
fn private_xml_that_was_never_kept_comes_back_empty() {
    let answer = account().asks(1, "get", &query("<storage xmlns='storage:bookmarks'/>"));
    let storage = answer.child("query", ns::PRIVATE).unwrap();
    assert_eq!(storage.child("storage", "storage:bookmarks").unwrap().children().count(), 0);
}

#[test]
fn private_xml_has_one_root_with_a_namespace_of_its_own() {
    let mut account = account();
    let cases = [
        ("get", "", "not-acceptable"),
        ("set", "", "not-acceptable"),
        ("get", "<a xmlns='urn:a'/><b xmlns='urn:b'/>", "bad-request"),
        ("get", "<a/>", "not-acceptable"),
        ("set", "<a/>", "not-acceptable"),
    ];
    for (ty, inner, expected) in cases {
        assert_eq!(condition(&account.asks(1, ty, &query(inner))), expected, "{ty} {inner}");
    }
}

#[test]
fn private_xml_is_bounded_and_nobody_elses() {
    let mut account = account();
    let chunk = "x".repeat(Accounts::default().private_bytes / 4);
    let put = |name: &str| query(&format!("<{name} xmlns='urn:x'>{chunk}</{name}>"));
    for name in ["a", "b", "c"] {
        assert_eq!(account.asks(1, "set", &put(name)).attr("type"), Some("result"));
    }
    assert_eq!(condition(&account.asks(1, "set", &put("d"))), "policy-violation");
    assert_eq!(account.asks(1, "set", &put("a")).attr("type"), Some("result"), "replaced");
    let many: String =
        (0..=Accounts::default().private_items).map(|n| format!("<a xmlns='urn:{n}'/>")).collect();
    assert_eq!(condition(&account.asks(1, "set", &query(&many))), "policy-violation");
    for ty in ["get", "set"] {
        let answer = account.is_asked("tybalt@capulet.lit/s", ty, &query("<a xmlns='urn:x'/>"));
        assert_eq!(condition(&answer), "forbidden");
    }
}

const CARD: &str = "<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>";
const NO_CARD: &str = "<vCard xmlns='vcard-temp'/>";

#[test]
fn a_card_is_read_by_everybody_and_written_by_its_owner() {
    let mut account = account();
    assert_eq!(condition(&account.asks(1, "get", NO_CARD)), "item-not-found");
    let stranger = "tybalt@capulet.lit/sword";
    assert_eq!(condition(&account.is_asked(stranger, "get", NO_CARD)), "service-unavailable");
    assert_eq!(account.asks(1, "set", CARD).attr("type"), Some("result"));
    let card = xmpp::Element::parse(CARD.as_bytes()).unwrap();
    assert_eq!(account.asks(1, "get", NO_CARD).children().next(), Some(&card));
    assert_eq!(account.is_asked(stranger, "get", NO_CARD).children().next(), Some(&card));
    assert_eq!(condition(&account.is_asked(stranger, "set", CARD)), "forbidden");
    assert_eq!(account.asks(1, "set", NO_CARD).attr("type"), Some("result"));
    assert_eq!(condition(&account.asks(1, "get", NO_CARD)), "item-not-found");
}

#[test]
fn a_card_too_large_and_a_store_that_refuses_are_told() {
    let mut account = account();
    let photo = "x".repeat(Accounts::default().vcard_bytes);
    let large = format!("<vCard xmlns='vcard-temp'><PHOTO>{photo}</PHOTO></vCard>");
    assert_eq!(condition(&account.asks(1, "set", &large)), "policy-violation");
    account.memory.refuse_writes(Some(store::Error::Full("the disk")));
    assert_eq!(condition(&account.asks(1, "set", CARD)), "resource-constraint");
    let private = query("<a xmlns='urn:x'/>");
    assert_eq!(condition(&account.asks(1, "set", &private)), "resource-constraint");
}
