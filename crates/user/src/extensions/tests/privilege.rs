//! What a component that has come makes an account ask (XEP-0356 §8 rule 1).

use std::sync::Arc;

use auth::Seal;
use entity::Powers;
use proto::{Body, Route};
use store::{Key, Kind};
use xmpp::BareJid;
use xmpp::privilege::{Access, Presence, Privileges};

use super::{Account, ROMEO, put, romeo, seen};
use crate::Config;
use crate::roster::Subscription;

const COMPONENT: &str = "pubsub.montague.lit";

/// An account with contacts of all kinds, and a component that may see this much.
fn account(presence: Presence) -> Account {
    let privileges = Privileges {
        domain: BareJid::parse(COMPONENT).unwrap(),
        roster: Access::Get,
        push: false,
        message: false,
        presence,
        iq: Vec::new(),
        delegated: Vec::new(),
    };
    let powers = Arc::new(Powers { all: vec![privileges], seal: Seal::new(&[]) });
    let mut account = Account::with(Config { powers, ..Config::default() });
    for (contact, subscription) in [
        ("both@capulet.lit", Subscription::Both),
        ("to@capulet.lit", Subscription::To),
        ("from@capulet.lit", Subscription::From),
        ("none@capulet.lit", Subscription::None),
        ("blocked@capulet.lit", Subscription::Both),
        ("local@montague.lit", Subscription::Both),
    ] {
        account.shares(contact, subscription);
    }
    put(&account.memory, Key::new(romeo(), Kind::Block, "blocked@capulet.lit"), b"");
    account.restart();
    account
}

/// Whom the account asks when it is told of a component; that it asks by its bare address.
fn asked(account: &mut Account, component: &str) -> Vec<String> {
    let body = Body::AskContacts(BareJid::parse(component).unwrap());
    let sent = seen(account.trial.receive(Route::User(romeo()), body));
    let to = |sent: super::Sent| {
        assert_eq!((sent.xml.attr("type"), sent.xml.attr("from")), (Some("probe"), Some(ROMEO)));
        sent.xml.attr("to").unwrap().to_owned()
    };
    sent.into_iter().map(to).collect()
}

#[test]
fn an_account_where_nobody_is_asks_whom_it_may_see_elsewhere() {
    let mut account = account(Presence::Roster);
    assert_eq!(asked(&mut account, COMPONENT), ["both@capulet.lit", "to@capulet.lit"]);
    assert!(account.trial.entity.sessions.is_empty());
    let answer =
        format!("<presence from='to@capulet.lit/x' to='{ROMEO}'><show>dnd</show></presence>");
    let sent = account.hears(&answer);
    let [shown] = &sent[..] else { panic!("to the component alone: {sent:?}") };
    assert_eq!(shown.xml.attr("to"), Some(COMPONENT));
    assert_eq!(shown.xml.attr("from"), Some("to@capulet.lit/x"));
    assert_eq!(shown.xml.child("show", "").unwrap().text(), "dnd");
    use entity::Entity as _;
    assert!(account.user().may_sleep(account.trial.now), "nothing of it is kept");
}

#[test]
fn a_session_that_is_available_has_asked_and_one_that_is_not_has_not() {
    let mut account = account(Presence::Roster);
    account.bind(1, "here");
    assert_eq!(asked(&mut account, COMPONENT), [""; 0]);
    account.trial.entity.sessions.get_mut(1).unwrap().presence = None;
    assert_eq!(asked(&mut account, COMPONENT).len(), 2);
}

#[test]
fn nobody_is_asked_for_a_component_that_may_not_see_it_nor_for_an_account_that_is_not_there() {
    for presence in [Presence::None, Presence::Managed] {
        assert_eq!(asked(&mut account(presence), COMPONENT), [""; 0], "{presence:?}");
    }
    let mut account = account(Presence::Roster);
    assert_eq!(asked(&mut account, "irc.montague.lit"), [""; 0]);
    account.trial.entity.exists = false;
    assert_eq!(asked(&mut account, COMPONENT), [""; 0]);
}
