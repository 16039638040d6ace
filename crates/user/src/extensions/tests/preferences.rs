//! XEP-0441 on trial.

use xmpp::{Element, ns};

use super::archive::archived;
use super::{Account, condition};
use crate::Config;
use crate::config::{Accounts, ArchiveDefault};

const GET: &str = "<prefs xmlns='urn:xmpp:mam:2'/>";

fn prefs(default: &str, always: &[&str], never: &[&str]) -> String {
    let jids =
        |jids: &[&str]| jids.iter().map(|jid| format!("<jid>{jid}</jid>")).collect::<String>();
    format!(
        "<prefs xmlns='urn:xmpp:mam:2' default='{default}'><always>{}</always><never>{}</never></prefs>",
        jids(always),
        jids(never)
    )
}

fn says(account: &mut Account, to: &str) {
    account.says(1, &format!("<message type='chat' to='{to}'><body>{to}</body></message>"));
}

#[test]
fn the_configured_default_holds_until_the_owner_says_otherwise() {
    let config = Config { archive_default: ArchiveDefault::Never, ..Config::default() };
    let mut account = Account::with(config);
    account.bind(1, "orchard");
    let expected = Element::parse(prefs("never", &[], &[]).as_bytes()).unwrap();
    assert_eq!(account.asks(1, "get", GET).child("prefs", ns::MAM), Some(&expected));
    says(&mut account, "a@x");
    assert!(archived(&mut account, 1).is_empty());
    let always = prefs("always", &[], &[]);
    let answer = account.asks(1, "set", &always);
    let expected = Element::parse(always.as_bytes()).unwrap();
    assert_eq!(answer.child("prefs", ns::MAM), Some(&expected));
    says(&mut account, "b@x");
    account.restart();
    account.bind(1, "orchard");
    says(&mut account, "c@x");
    assert_eq!(archived(&mut account, 1), ["b@x", "c@x"]);
}

#[test]
fn lists_match_bare_addresses_with_any_resource_and_never_wins() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    let set = prefs("never", &["a@x", "b@x/r", "c@x"], &["c@x", "d@x/r"]);
    account.asks(1, "set", &set);
    for to in ["a@x", "a@x/r", "b@x", "b@x/r", "c@x", "d@x/r", "e@x"] {
        says(&mut account, to);
    }
    assert_eq!(archived(&mut account, 1), ["a@x", "a@x/r", "b@x/r"]);
}

#[test]
fn by_roster_only_contacts_are_archived() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    account.subscribe("juliet@capulet.lit");
    account.asks(1, "set", &prefs("roster", &[], &[]));
    says(&mut account, "juliet@capulet.lit/balcony");
    says(&mut account, "tybalt@capulet.lit");
    assert_eq!(archived(&mut account, 1), ["juliet@capulet.lit/balcony"]);
}

#[test]
fn what_cannot_be_kept_changes_nothing() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    let jids: Vec<String> =
        (0..=Accounts::default().archive_preferences).map(|n| format!("a{n}@x")).collect();
    let jids: Vec<&str> = jids.iter().map(String::as_str).collect();
    let many = prefs("never", &jids, &[]);
    assert_eq!(condition(&account.asks(1, "set", &many)), "policy-violation");
    assert_eq!(condition(&account.asks(1, "set", &prefs("perhaps", &[], &[]))), "bad-request");
    assert_eq!(condition(&account.asks(1, "set", &prefs("never", &["@"], &[]))), "jid-malformed");
    account.memory.refuse_writes(Some(store::Error::Full("the disk")));
    let refused = account.asks(1, "set", &prefs("never", &[], &[]));
    assert_eq!(condition(&refused), "resource-constraint");
    let answer = account.asks(1, "get", GET);
    assert_eq!(answer.child("prefs", ns::MAM).unwrap().attr("default"), Some("always"));
}
