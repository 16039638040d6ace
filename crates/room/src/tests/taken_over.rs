//! Rooms whose owner has died: a new one goes on from their second copy.

use entity::{Copy, Entity, Mirror};
use prost::Message;
use proto::{Body, Envelope, Route};
use store::{ArchiveQuery, Store};
use xmpp::{Epoch, Jid, Kind, Origin, PresenceType, Stanza, kept};

use super::stage::{self, Stage};
use crate::affiliation::Role;
use crate::snapshot::pb;
use crate::{Config, Rates, mirror, past};

/// What the second copy of a room has.
#[derive(Default)]
pub(super) struct Standby(pub(super) Option<Copy>);

impl Standby {
    pub(super) fn learns(&mut self, stage: &mut Stage) {
        let anew = self.0.is_none();
        let mut news = None;
        stage.trial.act(|room, cx| news = Some(room.mirror(anew, cx)));
        match (news.unwrap(), &mut self.0) {
            (Mirror::Whole(whole), copy) => {
                *copy =
                    Some(Copy { epoch: Epoch(1), whole, changes: Vec::new(), of_socket: false });
            }
            (Mirror::Change(change), Some(copy)) => copy.changes.push(change),
            (Mirror::Same, _) => {}
            (Mirror::Nothing, copy) => *copy = None,
            (Mirror::Change(_), None) => panic!("a change of nothing"),
        }
    }
}

/// The owner dies: the room at the new one, and what it sends at once.
pub(super) fn heir(
    stage: &Stage,
    copy: Option<Copy>,
    claims: Vec<bytes::Bytes>,
) -> (Stage, Vec<Envelope>) {
    let mut heir = stage.again();
    let copies = copy.into_iter().collect();
    let mut sent = heir.trial.act(|room, cx| room.take_over(copies, claims, cx).unwrap());
    sent.retain(|envelope| !is_question(envelope));
    (heir, sent)
}

/// Whether it is for a home alone, and no client hears of it (`ask.rs`).
pub(super) fn is_question(envelope: &Envelope) -> bool {
    let probe = Kind::Presence(PresenceType::Probe);
    matches!(&envelope.body, Body::Stanza(stanza) if stanza.kind() == probe)
}

fn message(who: &str, text: &str) -> Stanza {
    let xml = format!(
        "<message xmlns='jabber:client' type='groupchat' from='{who}' to='coven@chat.x.org'><body>{text}</body></message>"
    );
    kept::read(xml.as_bytes()).unwrap()
}

fn says(stage: &mut Stage, who: &str, text: &str) -> Vec<Envelope> {
    stage.trial.receive(Route::Room(stage::room()), Body::Stanza(message(who, text)))
}

/// To whom, what, and as what it is known again.
fn heard(sent: &[Envelope]) -> Vec<(String, String, Origin)> {
    let mut all: Vec<_> = sent
        .iter()
        .filter_map(|envelope| {
            let Body::Stanza(stanza) = &envelope.body else { return None };
            let body = stanza.child("body", "")?.text();
            Some((stanza.head().to.as_ref()?.to_string(), body, envelope.origin))
        })
        .collect();
    all.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    all
}

fn release(sent: Vec<Envelope>) {
    sent.into_iter().filter_map(|it| it.receipt).for_each(proto::Receipt::release);
}

/// All of it but what may still be sent.
fn state(stage: &Stage) -> pb::RoomSnapshot {
    let whole = stage.trial.entity.snapshot(stage.trial.now).unwrap();
    let mut whole = pb::RoomSnapshot::decode(whole).unwrap();
    whole.budget = None;
    whole.occupants.iter_mut().for_each(|occupant| occupant.budget = None);
    whole
}

#[test]
fn whoever_was_inside_is_inside_as_he_was_and_nobody_is_told() {
    let mut stage = Stage::persistent();
    let mut standby = Standby::default();
    standby.learns(&mut stage);
    for (who, nick) in
        [("hag@x.org/pda", "hag"), ("bat@x.org/cave", "bat"), ("owl@x.org/tree", "owl")]
    {
        stage.enters(who, nick);
        standby.learns(&mut stage);
    }
    stage.enters("hag@x.org/laptop", "hag");
    let list =
        |item: &str| format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query>");
    stage.asks("crone@x.org/desktop", "set", &list("<item nick='bat' role='visitor'/>"));
    standby.learns(&mut stage);
    stage.asks("crone@x.org/desktop", "set", &list("<item jid='hag@x.org' affiliation='admin'/>"));
    stage
        .gets("<presence xmlns='jabber:client' from='hag@x.org/pda' to='coven@chat.x.org/witch'/>");
    stage.gets("<presence xmlns='jabber:client' type='unavailable' from='owl@x.org/tree' to='coven@chat.x.org/owl'/>");
    stage.trial.settle(Route::Room(stage::room()));
    standby.learns(&mut stage);
    let before = state(&stage);
    let (heir, sent) = heir(&stage, standby.0, Vec::new());
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(state(&heir), before);
    let room = &heir.trial.entity;
    assert_eq!(room.occupants.of_nick("bat").unwrap().role, Role::Visitor);
    let witch = room.occupants.of_nick("witch").unwrap();
    assert_eq!((witch.role, witch.sessions.len()), (Role::Moderator, 2));
    assert!(room.occupants.of_nick("owl").is_none());
    assert_eq!(room.shared.occupants(&room.jid), 3);
}

// Whoever went on without it would leave for ever unsaid what the former owner had not told all.
#[test]
fn a_new_owner_waits_for_a_past_that_cannot_be_read() {
    let mut stage = Stage::persistent();
    let mut standby = Standby::default();
    standby.learns(&mut stage);
    let first = heard(&says(&mut stage, "crone@x.org/desktop", "a"));
    standby.learns(&mut stage);
    let (doing, cause) = ("looked", "it does not answer".into());
    stage.memory.refuse_lists(Some(store::Error::Engine { doing, cause }));
    let (mut heir, sent) = heir(&stage, standby.0, Vec::new());
    assert!(sent.is_empty() && says(&mut heir, "crone@x.org/desktop", "b").is_empty());
    assert!(!heir.trial.entity.is_settled(), "it does not move meanwhile");
    heir.memory.refuse_lists(None);
    let sent = heard(&heir.trial.advance(past::PAUSE));
    assert_eq!(sent[..1], first);
    assert_eq!(sent[1..].iter().map(|(_, body, _)| &body[..]).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn messages_that_may_not_have_reached_all_are_sent_again_as_the_same_and_no_others() {
    let mut stage = Stage::persistent();
    let mut standby = Standby::default();
    stage.enters("hag@x.org/pda", "hag");
    standby.learns(&mut stage);
    release(says(&mut stage, "hag@x.org/pda", "reached"));
    stage.trial.receive(Route::Room(stage::room()), Body::Woken);
    standby.learns(&mut stage);
    let (first, second) =
        (says(&mut stage, "hag@x.org/pda", "a"), says(&mut stage, "hag@x.org/pda", "b"));
    standby.learns(&mut stage);
    let expected = [heard(&first), heard(&second)].concat();
    let last = stage.trial.entity.last_id.get();
    let (mut heir, sent) = heir(&stage, standby.0.take(), Vec::new());
    let mut again = heard(&sent);
    again.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    assert_eq!(again, expected);
    assert!(sent.iter().all(|envelope| envelope.again && envelope.crossed));
    let new = heard(&says(&mut heir, "crone@x.org/desktop", "c"));
    assert!(heir.trial.entity.last_id.get() > last);
    assert!(
        new.iter()
            .all(|(_, body, origin)| body == "c" && expected.iter().all(|it| it.2 != *origin))
    );
}

// More than one page of the archive.
#[test]
fn however_much_may_not_have_reached_all_is_sent_again() {
    let rates = Rates { enabled: false, ..Config::default().rates };
    let mut stage = Stage::with(Config { rates, ..Config::default() });
    let mut standby = Standby::default();
    standby.learns(&mut stage);
    let under_way: Vec<_> = (0..1_005)
        .flat_map(|number| says(&mut stage, "crone@x.org/desktop", &number.to_string()))
        .collect();
    standby.learns(&mut stage);
    let (_, sent) = heir(&stage, standby.0, Vec::new());
    assert_eq!(heard(&sent), heard(&under_way));
}

// Whoever has entered since never had it, and would take it for new.
#[test]
fn what_was_said_before_the_owner_loaded_the_room_is_not_sent_again() {
    let mut stage = Stage::persistent();
    release(says(&mut stage, "crone@x.org/desktop", "long ago"));
    stage.restart();
    stage.enters("hag@x.org/pda", "hag");
    let mut standby = Standby::default();
    standby.learns(&mut stage);
    let (_, sent) = heir(&stage, standby.0, Vec::new());
    assert!(heard(&sent).is_empty(), "{sent:?}");
}

/// The texts of its archive.
fn archived(stage: &Stage) -> Vec<Option<String>> {
    let query = ArchiveQuery { limit: 9, ..ArchiveQuery::default() };
    let page = stage.memory.query(stage::fence(), stage::room(), query);
    let rows = stage::block_on(page).unwrap().rows.into_iter();
    rows.map(|row| Some(kept::read(&row.stanza)?.child("body", "")?.text())).collect()
}

// XEP-0424 §5: the tombstone is kept with the word that asks for it. The owner dies between that and whatever follows.
#[test]
fn what_was_taken_back_is_not_readable_when_the_owner_dies_at_once() {
    let mut stage = Stage::persistent();
    let mut standby = Standby::default();
    standby.learns(&mut stage);
    release(says(&mut stage, "crone@x.org/desktop", "secret"));
    standby.learns(&mut stage);
    assert_eq!(archived(&stage), [Some("secret".to_owned())]);
    let room = &stage.trial.entity;
    let id = room.shared.config.ids.write(room.last_id.get());
    stage.trial.hold_writes();
    stage.gets(&format!("<message xmlns='jabber:client' type='groupchat' id='r' from='crone@x.org/desktop' to='coven@chat.x.org'><retract xmlns='urn:xmpp:message-retract:1' id='{id}'/></message>"));
    stage.trial.hold_answers();
    drop(stage.trial.let_writes_go());
    let (heir, _) = heir(&stage, standby.0, Vec::new());
    assert_eq!(archived(&heir), [None, None], "a tombstone, and what made it one");
    assert!(heir.trial.entity.history.is_empty());
}

// XEP-0424 §5: an archive that cannot be read says so to whoever takes something back; nobody hears of it.
#[test]
fn a_retraction_is_refused_where_the_store_keeps_no_tombstone() {
    let mut stage = Stage::persistent();
    release(says(&mut stage, "crone@x.org/desktop", "secret"));
    let room = &stage.trial.entity;
    let id = room.shared.config.ids.write(room.last_id.get());
    stage.memory.refuse_writes(Some(store::Error::Full("the disk")));
    let said = stage.gets(&format!("<message xmlns='jabber:client' type='groupchat' id='r' from='crone@x.org/desktop' to='coven@chat.x.org'><retract xmlns='urn:xmpp:message-retract:1' id='{id}'/></message>"));
    assert_eq!(said, ["crone@x.org/desktop: message error wait resource-constraint"]);
    assert_eq!(stage.trial.entity.history.len(), 1);
}

#[test]
fn what_is_sent_once_more_to_the_room_was_heard_already() {
    let mut stage = Stage::persistent();
    let mut standby = Standby::default();
    standby.learns(&mut stage);
    let sent = says(&mut stage, "crone@x.org/desktop", "hi");
    let cause = stage.trial.last_origin();
    standby.learns(&mut stage);
    drop(sent);
    let (mut heir, sent) = heir(&stage, standby.0.take(), Vec::new());
    assert_eq!(heard(&sent).len(), 1);
    let repeat = |heir: &mut Stage| {
        let body = Body::Stanza(message("crone@x.org/desktop", "hi"));
        heir.trial.receive_as(Route::Room(stage::room()), body, cause)
    };
    assert!(heard(&repeat(&mut heir)).is_empty());
}

#[test]
fn a_message_of_no_archive_is_in_the_copy_until_it_has_reached_all() {
    let mut stage = Stage::absent(Config::default());
    stage.made("<field var='muc#roomconfig_enablearchiving'><value>0</value></field>");
    let mut standby = Standby::default();
    standby.learns(&mut stage);
    release(says(&mut stage, "crone@x.org/desktop", "reached"));
    standby.learns(&mut stage);
    stage.trial.receive(Route::Room(stage::room()), Body::Woken);
    let under_way = says(&mut stage, "crone@x.org/desktop", "under way");
    standby.learns(&mut stage);
    let (_, sent) = heir(&stage, standby.0.take(), Vec::new());
    assert_eq!(heard(&sent), heard(&under_way));
    standby.learns(&mut stage);
    let (heir, sent) = heir(&stage, standby.0, Vec::new());
    assert_eq!(heard(&sent), heard(&under_way), "a copy made anew has it too");
    assert_eq!(heir.trial.entity.history.len(), 2);
}

#[test]
fn who_is_in_no_copy_but_says_that_he_is_inside_is_let_in_silently_if_he_may() {
    let stage = Stage::persistent();
    let jid = |text: &str| Jid::parse(text).unwrap();
    let claim =
        |who: &str, nick: &str| mirror::claim(&jid(who), &jid(&format!("coven@chat.x.org/{nick}")));
    let claims = vec![
        claim("hag@x.org/pda", "hag"),
        claim("hag@x.org/laptop", "hag"),
        claim("bat@x.org/cave", "hag"),
        bytes::Bytes::from_static(b"<none/>"),
    ];
    let (heir, sent) = heir(&stage, None, claims);
    // Whoever cannot be inside is told.
    let [Envelope { body: Body::Stanza(told), .. }] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(told.head().to, Some(jid("bat@x.org/cave")));
    assert_eq!(told.kind(), Kind::Presence(PresenceType::Unavailable));
    let hag = heir.trial.entity.occupants.of_nick("hag").unwrap();
    assert_eq!(
        (hag.who.as_str(), hag.sessions.len(), hag.role),
        ("hag@x.org", 2, Role::Participant)
    );
    assert_eq!(heir.trial.entity.occupants.len(), 1);
}

// What is neither in rows nor somebody's coming or going (`crate::deeds`).
#[test]
fn invitations_requests_voices_and_registrations_go_on_at_the_new_owner() {
    let mut stage = Stage::absent(Config::default());
    let yes = |var: &str| format!("<field var='muc#roomconfig_{var}'><value>1</value></field>");
    stage.made(&[yes("persistentroom"), yes("membersonly"), yes("moderatedroom")].concat());
    let list =
        |item: &str| format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query>");
    for who in ["hag", "bat"] {
        let member = format!("<item jid='{who}@x.org' affiliation='member'/>");
        stage.asks("crone@x.org/desktop", "set", &list(&member));
        stage.enters(&format!("{who}@x.org/pda"), who);
    }
    let mut standby = Standby::default();
    standby.learns(&mut stage);
    let invite = |who: &str| {
        format!(
            "<message xmlns='jabber:client' from='crone@x.org/desktop' to='coven@chat.x.org'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='{who}@x.org'/></x></message>"
        )
    };
    let decline = |who: &str| {
        format!(
            "<message xmlns='jabber:client' from='{who}@x.org/a' to='coven@chat.x.org'><x xmlns='http://jabber.org/protocol/muc#user'><decline to='crone@x.org'/></x></message>"
        )
    };
    stage.gets(&invite("owl"));
    stage.gets(&invite("earl"));
    standby.learns(&mut stage);
    stage.gets(&decline("earl"));
    stage.asks("crone@x.org/desktop", "set", &list("<item nick='bat' role='visitor'/>"));
    stage.gets("<presence xmlns='jabber:client' type='unavailable' from='bat@x.org/pda' to='coven@chat.x.org/bat'/>");
    stage.asks("rat@x.org/a", "set", "<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'><value>rat</value></field></x></query>");
    let ask = "<iq xmlns='jabber:client' type='get' id='v' from='hag@x.org/pda' to='coven@chat.x.org/first'><query xmlns='jabber:iq:version'/></iq>";
    let asked = stage.sent(ask);
    standby.learns(&mut stage);
    let before = state(&stage);
    assert_eq!(before.slots.len(), 2, "{:?}", before.slots);
    let (mut heir, _) = heir(&stage, standby.0, Vec::new());
    assert_eq!(state(&heir), before);
    assert!(heir.gets(&decline("earl"))[0].ends_with("message error cancel item-not-found"));
    assert_eq!(heir.gets(&decline("owl")), ["crone@x.org/desktop: message"]);
    let [Envelope { body: Body::Stanza(asked), .. }] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    let id = asked.head().id.clone().unwrap();
    let answer = format!(
        "<iq xmlns='jabber:client' type='result' id='{id}' from='crone@x.org/desktop' to='coven@chat.x.org/hag'/>"
    );
    assert_eq!(heir.gets(&answer), ["hag@x.org/pda: iq result"]);
    assert!(heir.gets(&answer).is_empty(), "once");
    heir.enters("bat@x.org/pda", "bat");
    assert_eq!(heir.trial.entity.occupants.of_nick("bat").unwrap().role, Role::Visitor);
    assert_eq!(heir.trial.entity.registrations.iter().count(), 1);
}

// XEP-0500 §6: who has spoken waits at the new owner too; a message that was lost with the former one was not said.
#[test]
fn slow_mode_goes_on_at_the_new_owner() {
    let mut stage = Stage::absent(Config::default());
    stage.made("<field var='muc#roomconfig_slow_mode_duration'><value>30</value></field>");
    stage.enters("hag@x.org/pda", "hag");
    let mut standby = Standby::default();
    standby.learns(&mut stage);
    says(&mut stage, "hag@x.org/pda", "one");
    standby.learns(&mut stage);
    let (mut heir, _) = heir(&stage, standby.0, Vec::new());
    assert_eq!(heard(&says(&mut heir, "hag@x.org/pda", "two")), []);
    let again = |heir: &mut Stage| {
        let body = Body::Stanza(message("hag@x.org/pda", "lost"));
        let origin = Origin::Client { session: 5, seq: 5, part: 0 };
        heir.trial.receive_again(Route::Room(stage::room()), body, origin)
    };
    assert_eq!(heard(&again(&mut heir)).len(), 2);
    heir.advances(31);
    assert_eq!(heard(&says(&mut heir, "hag@x.org/pda", "three")).len(), 2);
}

fn without_an_archive() -> Stage {
    let mut stage = Stage::absent(Config::default());
    stage.made("<field var='muc#roomconfig_enablearchiving'><value>0</value></field>");
    stage
}

// Otherwise a new owner would say it once more as something else.
#[test]
fn a_message_of_no_archive_is_told_nobody_before_the_copy_has_it() {
    let mut stage = without_an_archive();
    let mut standby = Standby::default();
    standby.learns(&mut stage);
    stage.trial.has_standby = true;
    let route = || Route::Room(stage::room());
    let turn = |stage: &mut Stage, text: &str| {
        let body = Body::Stanza(message("crone@x.org/desktop", text));
        let receive = |room: &mut crate::Room, cx: &mut entity::Context<'_, crate::Room>| {
            let envelope = Envelope::new(route(), body, cx.origin(), Epoch(1));
            room.receive(envelope, cx);
        };
        heard(&stage.trial.act(receive))
    };
    assert_eq!([turn(&mut stage, "one"), turn(&mut stage, "two")], [vec![], vec![]]);
    stage.trial.settle(route());
    let mut waits = Vec::new();
    stage.trial.act(|room, cx| {
        waits = room.fan_outs.take_copying();
        drop(room.mirror(false, cx));
    });
    assert_eq!(waits.len(), 2);
    waits.pop().unwrap().release();
    assert_eq!(heard(&stage.trial.settle(route())), [], "the first one is not there yet");
    waits.pop().unwrap().release();
    let told = heard(&stage.trial.settle(route()));
    assert_eq!(told.iter().map(|it| &*it.1).collect::<Vec<_>>(), ["one", "two"]);
}

// Whoever dies between that has told it some, or nobody: it is the same at the new owner, who knows it when it comes
// again.
#[test]
fn a_message_of_no_archive_is_the_same_at_the_new_owner_and_known_when_it_comes_again() {
    let mut stage = without_an_archive();
    let mut standby = Standby::default();
    standby.learns(&mut stage);
    let sent = heard(&says(&mut stage, "crone@x.org/desktop", "hi"));
    let cause = stage.trial.last_origin();
    standby.learns(&mut stage);
    let (mut heir, again) = heir(&stage, standby.0, Vec::new());
    assert_eq!((sent.len(), heard(&again)), (1, sent));
    let body = Body::Stanza(message("crone@x.org/desktop", "hi"));
    let repeat = heir.trial.receive_again(Route::Room(stage::room()), body, cause);
    assert_eq!(heard(&repeat), []);
}

// XEP-0045 §10.9: the owner has ended the room, and died before all had heard of it.
#[test]
fn who_says_that_he_is_inside_of_a_room_that_was_ended_is_told_that_he_is_not() {
    let jid = |text: &str| Jid::parse(text).unwrap();
    let stage = Stage::absent(Config::default());
    let claim = mirror::claim(&jid("hag@x.org/pda"), &jid("coven@chat.x.org/hag"));
    let (_, sent) = heir(&stage, None, vec![claim]);
    let [Envelope { body: Body::Stanza(told), .. }] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(told.head().to, Some(jid("hag@x.org/pda")));
    assert_eq!(told.kind(), Kind::Presence(PresenceType::Unavailable));
}

// XEP-0045 §7.5: what was sent to one over the former owner comes back over the new one, and once.
#[test]
fn a_private_message_comes_back_at_the_new_owner() {
    let mut stage = Stage::persistent();
    stage.enters("hag@x.org/pda", "hag");
    let mut standby = Standby::default();
    let send = |id: &str| {
        format!(
            "<message xmlns='jabber:client' type='chat' id='{id}' from='crone@x.org/desktop' to='coven@chat.x.org/hag'><body>psst</body></message>"
        )
    };
    let error = |id: &str| {
        format!(
            "<message xmlns='jabber:client' type='error' id='{id}' from='hag@x.org/pda' to='coven@chat.x.org/first'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        )
    };
    stage.gets(&send("1"));
    standby.learns(&mut stage);
    stage.gets(&send("2"));
    stage.gets(&send("3"));
    let back = ["crone@x.org/desktop: message error cancel service-unavailable"];
    assert_eq!(stage.gets(&error("3")), back);
    standby.learns(&mut stage);
    let before = state(&stage);
    let (mut heir, _) = heir(&stage, standby.0, Vec::new());
    assert_eq!(state(&heir), before);
    for id in ["1", "2"] {
        assert_eq!(heir.gets(&error(id)), back);
    }
    assert_eq!(heir.gets(&error("3")).len(), 2, "what has come back is forgotten: a ghost");
}

#[test]
fn an_empty_room_that_remembers_something_has_a_copy_and_one_that_does_not_has_none() {
    let mut stage = Stage::persistent();
    let mut standby = Standby::default();
    standby.learns(&mut stage);
    let leaves = "<presence xmlns='jabber:client' type='unavailable' from='crone@x.org/desktop' to='coven@chat.x.org/first'/>";
    stage.gets("<message xmlns='jabber:client' from='crone@x.org/desktop' to='coven@chat.x.org'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='owl@x.org'/></x></message>");
    stage.gets(leaves);
    standby.learns(&mut stage);
    assert!(standby.0.is_some());
    stage.gets("<message xmlns='jabber:client' from='owl@x.org/a' to='coven@chat.x.org'><x xmlns='http://jabber.org/protocol/muc#user'><decline/></x></message>");
    standby.learns(&mut stage);
    assert!(standby.0.is_none());
}

// The answer to a request that two owners have passed on is known by the one id that both have given it.
#[test]
fn a_request_that_is_passed_on_once_more_goes_on_under_the_same_id() {
    let mut stage = Stage::persistent();
    stage.enters("hag@x.org/pda", "hag");
    let mut standby = Standby::default();
    standby.learns(&mut stage);
    let ask = "<iq xmlns='jabber:client' type='get' id='v' from='hag@x.org/pda' to='coven@chat.x.org/first'><query xmlns='jabber:iq:version'/></iq>";
    let id_of = |sent: &[Envelope]| {
        let [Envelope { body: Body::Stanza(asked), .. }] = sent else { panic!("{sent:?}") };
        asked.head().id.clone().unwrap()
    };
    let first = id_of(&stage.sent(ask));
    let cause = stage.trial.last_origin();
    let other = id_of(&stage.sent(ask));
    assert_ne!(first, other);
    // The owner dies before the copy has learned of either.
    let (mut heir, _) = heir(&stage, standby.0, Vec::new());
    let body = Body::Stanza(kept::read(ask.as_bytes()).unwrap());
    let again = heir.trial.receive_as(Route::Room(stage::room()), body, cause);
    assert_eq!(id_of(&again), first);
}
