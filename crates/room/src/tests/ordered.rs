//! Rooms that their service makes, and asks for operators.

use std::sync::mpsc;

use xmpp::{BareJid, Element, ns};

use super::stage::Stage;
use crate::Config;
use crate::affiliation::Affiliation;
use crate::room::Phase;

const SERVICE: &str = "chat.x.org";

/// What the room answers, and what it sends because of it.
fn asks(stage: &mut Stage, ty: &str, payload: &str) -> (Option<Element>, Vec<String>) {
    let (tells, hears) = mpsc::channel();
    let shared = &stage.trial.entity.shared;
    assert!(shared.await_answer("q", Box::new(move |answer| tells.send(answer).unwrap())));
    let sent = stage.asks(SERVICE, ty, payload);
    let answer = hears.try_recv().ok().map(|answer| {
        let mut bytes = Vec::new();
        answer.write(&mut bytes);
        Element::parse(&bytes).unwrap()
    });
    (answer, sent)
}

fn create(fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(var, value)| {
            format!("<field var='muc#roomconfig_{var}'><value>{value}</value></field>")
        })
        .collect();
    format!(
        "<create xmlns='urn:rookery:rooms:0'><x xmlns='jabber:x:data' type='submit'>{fields}</x></create>"
    )
}

/// The condition of an error.
fn refused(answer: Option<Element>) -> String {
    let answer = answer.expect("an answer");
    let error = answer.child("error", answer.ns()).unwrap_or_else(|| panic!("{answer:?}"));
    error.children().next().unwrap().name().to_owned()
}

#[test]
fn a_room_that_the_service_makes_is_there_for_its_owners_and_stays() {
    let mut stage = Stage::absent(Config::default());
    let (form, _) = asks(&mut stage, "get", "<create xmlns='urn:rookery:rooms:0'/>");
    let form = form.unwrap();
    let form = form.child("create", "urn:rookery:rooms:0").unwrap();
    assert!(form.child("x", ns::DATA_FORMS).is_some());
    assert!(!stage.trial.entity.is_there(), "asked for alone it is not made");
    for (fields, error) in [
        (&[("roomname", "Coven")][..], "not-acceptable"),
        (&[("roomowners", "x.org")], "not-acceptable"),
        (&[("roomowners", "hag@x.org"), ("persistentroom", "0")], "not-acceptable"),
        (&[("roomowners", "hag@x.org"), ("whois", "dogs")], "not-acceptable"),
    ] {
        assert_eq!(refused(asks(&mut stage, "set", &create(fields)).0), error, "{fields:?}");
        assert!(!stage.trial.entity.is_there());
    }
    let fields = [("roomowners", "hag@x.org"), ("roomadmins", "bat@x.org"), ("roomname", "Coven")];
    let (answer, sent) = asks(&mut stage, "set", &create(&fields));
    assert_eq!(answer.unwrap().attr("type"), Some("result"));
    assert_eq!(sent, ["chat.x.org: listed"]);
    stage.restart();
    let room = &stage.trial.entity;
    let of = |who: &str| room.affiliation_of(&BareJid::parse(who).unwrap());
    assert!(matches!(room.phase, Phase::Open) && room.settings.persistent);
    assert_eq!(room.settings.name, "Coven");
    assert_eq!([of("hag@x.org"), of("bat@x.org")], [Affiliation::Owner, Affiliation::Admin]);
    stage.enters("owl@x.org/tree", "owl");
    let again = asks(&mut stage, "set", &create(&fields)).0;
    assert_eq!(refused(again), "conflict", "there is one");
}

// Nobody else makes rooms so.
#[test]
fn an_order_of_somebody_else_is_none() {
    for who in ["crone@x.org/desktop", "crone@x.org", "x.org", "elsewhere.org"] {
        let mut stage = Stage::absent(Config::default());
        let said = stage.asks(who, "set", &create(&[("roomowners", "crone@x.org")]));
        assert_eq!(said, [format!("{who}: iq error cancel item-not-found")]);
        assert!(!stage.trial.entity.is_there());
    }
}

#[test]
fn what_the_service_asks_is_answered_to_who_waits_and_other_domains_are_answered_as_people() {
    let mut stage = Stage::new();
    let list =
        |role: &str| format!("<query xmlns='{}'><item role='{role}'/></query>", ns::MUC_ADMIN);
    let (answer, sent) = asks(&mut stage, "get", &list("moderator"));
    let answer = answer.unwrap();
    let item = answer.child("query", ns::MUC_ADMIN).and_then(|it| it.children().next()).unwrap();
    assert_eq!((item.attr("nick"), sent), (Some("first"), vec![]));
    let (answer, sent) = asks(&mut stage, "get", &list("king"));
    assert_eq!((refused(answer), sent), ("bad-request".to_owned(), vec![]));
    stage.trial.entity.shared.give_up("q");
    // Nobody waits here: it was the service itself that asked.
    assert_eq!(stage.asks(SERVICE, "get", &list("moderator")), ["chat.x.org: iq result"]);
    assert_eq!(
        stage.asks(SERVICE, "get", &list("king")),
        ["chat.x.org: iq error modify bad-request"]
    );
    let ping = stage.asks("elsewhere.org", "get", "<ping xmlns='urn:xmpp:ping'/>");
    assert_eq!(ping, ["elsewhere.org: iq result"]);
}
