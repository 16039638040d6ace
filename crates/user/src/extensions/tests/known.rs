//! XEP-0012, XEP-0030 and XEP-0199 on trial: what may be known of the account.

use std::time::Duration;

use xmpp::ns;

use super::{Account, condition};

const LAST: &str = "<query xmlns='jabber:iq:last'/>";
const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
const ITEMS: &str = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";
const JULIET: &str = "juliet@capulet.lit/balcony";
const TYBALT: &str = "tybalt@capulet.lit/sword";

fn account() -> Account {
    let mut account = Account::new();
    account.bind(1, "orchard");
    account.subscribe("juliet@capulet.lit");
    account
}

#[test]
fn the_account_tells_its_identity_and_features_to_those_who_may_know() {
    let mut account = account();
    let answer = account.asks(1, "get", INFO);
    let query = answer.child("query", ns::DISCO_INFO).unwrap();
    let identity = query.child("identity", ns::DISCO_INFO).unwrap();
    assert_eq!(identity.attr("category"), Some("account"));
    assert_eq!(identity.attr("type"), Some("registered"));
    let features: Vec<_> = query.children().filter_map(|child| child.attr("var")).collect();
    for feature in [ns::DISCO_INFO, ns::MAM, ns::MAM_EXTENDED, ns::STANZA_ID, ns::VCARD] {
        assert!(features.contains(&feature), "{feature}");
    }
    assert_eq!(account.is_asked(JULIET, "get", INFO).attr("type"), Some("result"));
    assert_eq!(condition(&account.is_asked(TYBALT, "get", INFO)), "service-unavailable");
    let node = INFO.replace("/>", " node='n'/>");
    assert_eq!(condition(&account.asks(1, "get", &node)), "item-not-found");
    assert_eq!(condition(&account.is_asked(TYBALT, "get", &node)), "service-unavailable");
}

#[test]
fn resources_are_items_and_strangers_see_none() {
    let mut account = account();
    let mut items = |from| {
        let answer = account.is_asked(from, "get", ITEMS);
        let query = answer.child("query", ns::DISCO_ITEMS).unwrap().clone();
        query.children().map(|item| item.attr("jid").unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(items(JULIET), ["romeo@montague.lit/orchard"]);
    assert_eq!(items(TYBALT), [""; 0]);
}

#[test]
fn the_account_answers_pings_of_those_who_may_know() {
    let mut account = account();
    assert_eq!(account.asks(1, "get", PING).attr("type"), Some("result"));
    assert_eq!(account.is_asked(JULIET, "get", PING).attr("type"), Some("result"));
    assert_eq!(condition(&account.is_asked(TYBALT, "get", PING)), "service-unavailable");
}

fn seconds(account: &mut Account, from: &str) -> (Option<String>, String) {
    let answer = account.is_asked(from, "get", LAST);
    let query = answer.child("query", ns::LAST).unwrap();
    (query.attr("seconds").map(str::to_owned), query.text())
}

/// The client says good-bye and its session ends.
fn leave(account: &mut Account, status: &str) {
    let presence = format!("<presence type='unavailable'><status>{status}</status></presence>");
    account.says(1, &presence);
    account.end(1);
}

#[test]
fn last_activity_is_for_those_who_may_see_presence() {
    let mut account = account();
    assert_eq!(condition(&account.is_asked(TYBALT, "get", LAST)), "forbidden");
    assert_eq!(seconds(&mut account, JULIET), (Some("0".into()), String::new()));
    leave(&mut account, "Heading Home");
    account.trial.advance(Duration::from_secs(903));
    let expected = (Some("903".into()), "Heading Home".to_owned());
    assert_eq!(seconds(&mut account, JULIET), expected);
    account.restart();
    account.subscribe("juliet@capulet.lit");
    let expected = (Some("904".into()), "Heading Home".to_owned());
    assert_eq!(seconds(&mut account, JULIET), expected);
    assert_eq!(condition(&account.is_asked(TYBALT, "get", LAST)), "forbidden");
}

#[test]
fn strangers_do_not_ask_resources_either() {
    let mut account = account();
    let ask = |from| {
        format!("<iq type='get' id='1' from='{from}' to='romeo@montague.lit/orchard'>{LAST}</iq>")
    };
    let sent = account.hears(&ask(TYBALT));
    assert_eq!(condition(&sent[0].xml), "forbidden");
    let sent = account.hears(&ask(JULIET));
    assert_eq!(sent[0].session, Some(1));
}

#[test]
fn nobody_knows_when_an_account_left_that_never_came() {
    let mut account = Account::new();
    account.subscribe("juliet@capulet.lit");
    assert_eq!(condition(&account.is_asked(JULIET, "get", LAST)), "item-not-found");
}
