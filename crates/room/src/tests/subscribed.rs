//! Rooms that people hear without being inside.

use entity::{Copy, Entity, Mirror};
use proto::{Body, Envelope, Route};
use xmpp::{Epoch, ns};

use super::stage::{self, Stage};
use super::taken_over::is_question;

const SUBSCRIBE: &str = "<subscribe xmlns='urn:xmpp:mucsub:0' nick='hag'>\
    <event node='urn:xmpp:mucsub:nodes:messages'/></subscribe>";
const HAG: &str = "hag@x.org/pda";
const CRONE: &str = "crone@x.org/desktop";

fn says(stage: &mut Stage, who: &str, text: &str) -> Vec<Envelope> {
    stage.sent(&format!(
        "<message xmlns='jabber:client' type='groupchat' from='{who}' to='coven@chat.x.org'><body>{text}</body></message>"
    ))
}

/// How many hear it outside, and how many inside.
fn copies(sent: &[Envelope]) -> (usize, usize) {
    let is_event = |it: &&Envelope| {
        let Body::Stanza(stanza) = &it.body else { return false };
        stanza.find("event", ns::PUBSUB_EVENT).is_some()
    };
    let events = sent.iter().filter(is_event).count();
    (events, sent.len() - events)
}

/// What its second copy learns of all that there is.
fn copy(stage: &mut Stage) -> Option<Copy> {
    let mut news = None;
    stage.trial.act(|room, cx| news = Some(room.mirror(true, cx)));
    match news.unwrap() {
        Mirror::Whole(whole) => {
            Some(Copy { epoch: Epoch(1), whole, changes: Vec::new(), of_socket: false })
        }
        _ => None,
    }
}

/// What a new owner sends at once.
fn sent_by_heir(stage: &Stage, copy: Option<Copy>) -> Vec<Envelope> {
    let copies = copy.into_iter().collect();
    let mut heir = stage.again();
    let mut sent = heir.trial.act(|room, cx| room.take_over(copies, Vec::new(), cx).unwrap());
    sent.retain(|envelope| !is_question(envelope));
    sent
}

fn release(sent: Vec<Envelope>) {
    sent.into_iter().filter_map(|it| it.receipt).for_each(proto::Receipt::release);
}

#[test]
fn who_hears_the_room_is_told_beside_the_occupants_and_as_one_of_them_where_he_is_inside() {
    let mut stage = Stage::new();
    stage.enters("bat@x.org/cave", "bat");
    assert_eq!(copies(&says(&mut stage, CRONE, "1")), (0, 2));
    for who in ["hag", "wicca", "earl"] {
        let subscribe = SUBSCRIBE.replace("nick='hag'", &format!("nick='{who}'"));
        let said = stage.asks(&format!("{who}@x.org/pda"), "set", &subscribe);
        assert_eq!(said, [format!("{who}@x.org: heard")]);
    }
    assert_eq!(copies(&says(&mut stage, CRONE, "2")), (3, 2));
    stage.enters("wicca@x.org/tower", "wicca");
    assert_eq!(copies(&says(&mut stage, CRONE, "3")), (2, 3));
}

#[test]
fn a_room_that_does_not_allow_it_does_not_announce_it() {
    for allowed in [true, false] {
        let mut stage = Stage::absent(crate::Config::default());
        let field = "muc#roomconfig_allow_subscription";
        let value = u8::from(allowed);
        stage.made(&format!("<field var='{field}'><value>{value}</value></field>"));
        let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
        let answer = stage.answer(HAG, "get", info);
        let query = answer.child("query", ns::DISCO_INFO).unwrap();
        let told = query.children().any(|it| it.attr("var") == Some(ns::MUCSUB));
        assert_eq!(told, allowed);
    }
}

#[test]
fn rows_bring_back_who_hears_the_room_and_keep_it_from_ending() {
    let mut stage = Stage::new();
    stage.asks(HAG, "set", SUBSCRIBE);
    stage.restart();
    assert_eq!(copies(&says(&mut stage, HAG, "1")), (1, 0));
    let said = stage.asks(HAG, "set", "<unsubscribe xmlns='urn:xmpp:mucsub:0'/>");
    assert_eq!(said, ["hag@x.org: heard", "chat.x.org: ended"]);
}

#[test]
fn what_was_under_way_to_those_who_hear_an_empty_room_is_sent_again_as_the_same() {
    let mut stage = Stage::persistent();
    stage.asks(HAG, "set", SUBSCRIBE);
    stage.gets("<presence xmlns='jabber:client' type='unavailable' from='crone@x.org/desktop' to='coven@chat.x.org/first'/>");
    assert!(copy(&mut stage).is_some());
    release(says(&mut stage, HAG, "reached"));
    stage.trial.receive(Route::Room(stage::room()), Body::Woken);
    let under_way = says(&mut stage, HAG, "under way");
    let whole = copy(&mut stage);
    let again = sent_by_heir(&stage, whole);
    assert_eq!((copies(&again), again[0].origin), ((1, 0), under_way[0].origin));
    assert!(again[0].again && again[0].crossed);
}

#[test]
fn what_was_said_before_the_room_was_loaded_is_not_under_way() {
    let mut stage = Stage::persistent();
    stage.asks(HAG, "set", SUBSCRIBE);
    release(says(&mut stage, CRONE, "long ago"));
    stage.restart();
    stage.enters(CRONE, "first");
    let whole = copy(&mut stage);
    assert!(sent_by_heir(&stage, whole).is_empty());
}
