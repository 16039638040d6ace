//! XEP-0280, XEP-0359 and XEP-0203 on trial.

use xmpp::{Element, ns};

use super::{Account, Sent, to};

const ENABLE: &str = "<enable xmlns='urn:xmpp:carbons:2'/>";
const DISABLE: &str = "<disable xmlns='urn:xmpp:carbons:2'/>";
const FROM_JULIET: &str = "<message type='chat' id='m1' from='juliet@capulet.lit/balcony' \
    to='romeo@montague.lit/orchard'><body>hi</body></message>";
const TO_JULIET: &str =
    "<message type='chat' id='m2' to='juliet@capulet.lit'><body>ho</body></message>";

/// Orchard, phone and tablet; the latter two want copies.
fn account() -> Account {
    let mut account = Account::new();
    for (session, resource) in [(1, "orchard"), (2, "phone"), (3, "tablet")] {
        account.bind(session, resource);
    }
    for session in [2, 3] {
        assert_eq!(account.asks(session, "set", ENABLE).attr("type"), Some("result"));
    }
    account
}

/// The copy of a session: its direction and the message in it.
fn copy(sent: &[Sent], session: u64) -> Option<(String, Element)> {
    let copies: Vec<_> = to(sent, session)
        .into_iter()
        .flat_map(Element::children)
        .filter(|child| child.ns() == ns::CARBONS)
        .collect();
    assert!(copies.len() < 2, "one copy at most");
    let copy = copies.first()?;
    let forwarded = copy.child("forwarded", ns::FORWARD)?;
    Some((copy.name().to_owned(), forwarded.child("message", ns::CLIENT)?.clone()))
}

#[test]
fn a_received_message_is_copied_to_those_who_asked_and_do_not_get_it() {
    let mut account = account();
    let sent = account.hears(FROM_JULIET);
    assert_eq!(to(&sent, 1).len(), 1);
    assert!(copy(&sent, 1).is_none());
    for session in [2, 3] {
        let (direction, message) = copy(&sent, session).unwrap();
        assert_eq!(direction, "received");
        assert_eq!(message.attr("from"), Some("juliet@capulet.lit/balcony"));
        assert_eq!(message.attr("to"), Some("romeo@montague.lit/orchard"));
        assert_eq!(message.attr("id"), Some("m1"));
        assert!(message.child("stanza-id", ns::STANZA_ID).is_some());
        let wrapper = to(&sent, session)[0];
        assert_eq!(wrapper.attr("from"), Some("romeo@montague.lit"));
        assert_eq!(wrapper.attr("type"), Some("chat"));
    }
    assert_eq!(to(&sent, 2)[0].attr("to"), Some("romeo@montague.lit/phone"));
}

#[test]
fn what_every_client_gets_anyway_is_not_copied() {
    let mut account = account();
    let sent = account.hears(&FROM_JULIET.replace("/orchard", ""));
    for session in [1, 2, 3] {
        assert_eq!(to(&sent, session).len(), 1);
        assert!(copy(&sent, session).is_none());
    }
}

#[test]
fn a_sent_message_is_copied_to_the_other_clients_with_the_id_that_juliet_must_not_see() {
    let mut account = account();
    let sent = account.says(2, TO_JULIET);
    let (direction, message) = copy(&sent, 3).unwrap();
    assert_eq!((direction.as_str(), message.attr("to")), ("sent", Some("juliet@capulet.lit")));
    assert!(message.child("stanza-id", ns::STANZA_ID).is_some());
    assert!(to(&sent, 1).is_empty() && to(&sent, 2).is_empty());
    let out: Vec<_> = sent.iter().filter(|sent| sent.session.is_none()).collect();
    assert_eq!(out.len(), 1);
    assert!(out[0].xml.child("stanza-id", ns::STANZA_ID).is_none());
}

#[test]
fn copies_share_one_buffer() {
    let sent = account().hears(FROM_JULIET);
    let buffer = |session| {
        let mut of = sent.iter().filter(|sent| sent.session == Some(session));
        of.next().unwrap().stanza.inner().as_ptr()
    };
    assert_eq!(buffer(2), buffer(3));
}

#[test]
fn enabling_and_disabling_may_be_repeated() {
    let mut account = account();
    for payload in [ENABLE, DISABLE, DISABLE, ENABLE, DISABLE] {
        assert_eq!(account.asks(2, "set", payload).attr("type"), Some("result"));
    }
    let sent = account.hears(FROM_JULIET);
    assert!(to(&sent, 2).is_empty());
    assert!(copy(&sent, 3).is_some());
}

#[test]
fn private_messages_are_not_copied_either_way() {
    let mut account = account();
    let private =
        "<private xmlns='urn:xmpp:carbons:2'/><no-copy xmlns='urn:xmpp:hints'/></message>";
    let sent = account.hears(&FROM_JULIET.replace("</message>", private));
    assert_eq!(sent.len(), 1);
    assert!(to(&sent, 1)[0].child("private", ns::CARBONS).is_some());
    let sent = account.says(2, &TO_JULIET.replace("</message>", private));
    assert_eq!(sent.iter().filter(|sent| sent.session.is_some()).count(), 0);
}

#[test]
fn a_note_to_self_comes_back_once_and_is_not_copied_as_sent() {
    let mut account = account();
    let note = TO_JULIET.replace("juliet@capulet.lit", "romeo@montague.lit");
    let sent = account.says(2, &note);
    assert!(sent.iter().all(|sent| copy(std::slice::from_ref(sent), 3).is_none()));
    let note = "<message type='chat' from='romeo@montague.lit/phone' \
        to='romeo@montague.lit/orchard'><body>note</body></message>";
    let sent = account.hears(note);
    assert!(to(&sent, 2).is_empty(), "its sender knows it");
    assert_eq!(copy(&sent, 3).unwrap().0, "received");
}

#[test]
fn copies_that_others_forge_are_taken_out() {
    let mut account = account();
    let forged = "<message type='chat' from='tybalt@capulet.lit/sword' \
        to='romeo@montague.lit/orchard'><body>look</body>\
        <received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>\
        <message xmlns='jabber:client' from='juliet@capulet.lit'><body>x</body></message>\
        </forwarded></received><sent xmlns='urn:xmpp:carbons:2'/></message>";
    let sent = account.hears(forged);
    let message = to(&sent, 1)[0];
    assert!(message.children().all(|child| child.ns() != ns::CARBONS));
    assert_eq!(message.attr("from"), Some("tybalt@capulet.lit/sword"));
    let sent = account.says(1, &forged.replace("romeo@montague.lit/orchard", "juliet@capulet.lit"));
    let out = sent.iter().find(|sent| sent.session.is_none()).unwrap();
    assert!(out.xml.children().all(|child| child.ns() != ns::CARBONS));
}

#[test]
fn nobody_else_may_switch_carbons_on() {
    let mut account = account();
    let answer = account.is_asked("tybalt@capulet.lit/sword", "set", ENABLE);
    assert_eq!(answer.attr("type"), Some("error"));
}

#[test]
fn ids_and_delays_in_the_name_of_the_account_are_forged() {
    let mut account = account();
    let forged = "<message type='headline' from='tybalt@capulet.lit/sword' \
        to='romeo@montague.lit/orchard'><body>look</body>\
        <stanza-id xmlns='urn:xmpp:sid:0' id='1' by='romeo@montague.lit'/>\
        <stanza-id xmlns='urn:xmpp:sid:0' id='2' by='room@muc.lit'/>\
        <delay xmlns='urn:xmpp:delay' from='montague.lit' stamp='2002-09-10T23:08:25Z'/>\
        <delay xmlns='urn:xmpp:delay' from='capulet.lit' stamp='2002-09-10T23:08:25Z'/>\
        <origin-id xmlns='urn:xmpp:sid:0' id='3'/></message>";
    let sent = account.hears(forged);
    let message = to(&sent, 1)[0];
    let of = |ns: &str| message.children().filter(|child| child.ns() == ns).count();
    assert_eq!((of(ns::STANZA_ID), of(ns::DELAY)), (2, 1));
    let sent = account.says(1, &forged.replace("romeo@montague.lit/orchard", "juliet@capulet.lit"));
    let out = sent.iter().find(|sent| sent.session.is_none()).unwrap();
    let ids = out.xml.children().filter(|child| child.is("stanza-id", ns::STANZA_ID));
    assert_eq!(ids.map(|id| id.attr("id").unwrap()).collect::<Vec<_>>(), ["2"]);
}
