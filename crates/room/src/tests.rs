//! Rooms on trial: what is kept, what is refused, what is bounded.

mod asked;
mod asleep;
mod commanded;
mod discovered;
mod heard;
mod held;
mod moved;
mod ordered;
mod people;
mod remembered;
mod ruled;
mod said;
mod simulation;
mod stage;
mod subscribed;
mod taken_over;
mod told;

use entity::Entity;
use proto::Route;
use store::{ArchiveQuery, Error, Store};

use self::stage::{Stage, fence};
use crate::affiliation::Affiliation;
use crate::birth;
use crate::room::Phase;
use crate::{Config, EXTENSIONS, Pace, Rates, Room, queue};

fn archived(stage: &Stage) -> usize {
    let query = ArchiveQuery { limit: 1_000, ..ArchiveQuery::default() };
    let page = stage.memory.query(fence(), stage::room(), query);
    stage::block_on(page).unwrap().rows.len()
}

#[test]
fn no_two_extensions_answer_the_same_request() {
    assert_eq!(EXTENSIONS.conflicts(), []);
    assert_eq!(crate::directory::EXTENSIONS.conflicts(), []);
}

// An acknowledged message is in the archive; one that is not kept is refused, and nobody hears it.
#[test]
fn a_message_that_the_store_refuses_is_answered_with_an_error_and_heard_by_nobody() {
    let mut stage = Stage::new();
    stage.enters("hag@x.org/pda", "hag");
    let hi = "<message xmlns='jabber:client' type='groupchat' id='m' from='hag@x.org/pda' to='coven@chat.x.org'><body>hi</body></message>";
    let (said, acknowledged) = stage.gets_for(hi);
    assert_eq!(said, ["crone@x.org/desktop: hi", "hag@x.org/pda: hi"]);
    assert!(acknowledged && archived(&stage) == 1);
    stage.memory.refuse_writes(Some(Error::Full("the disk")));
    let (said, acknowledged) = stage.gets_for(hi);
    assert_eq!(said, ["hag@x.org/pda: message error wait resource-constraint"]);
    assert!(acknowledged, "the error is the answer");
    assert_eq!((archived(&stage), stage.trial.entity.history.len()), (1, 1));
    stage.memory.refuse_writes(None);
    let (said, _) = stage.gets_for(hi);
    assert_eq!(said.len(), 2);
}

#[test]
fn a_change_that_the_store_refuses_is_no_change() {
    let mut stage = Stage::new();
    stage.enters("hag@x.org/pda", "hag");
    stage.memory.refuse_writes(Some(Error::Full("the disk")));
    let ban = "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast' jid='hag@x.org'/></query>";
    let said = stage.asks("crone@x.org/desktop", "set", ban);
    assert_eq!(said, ["crone@x.org/desktop: iq error cancel internal-server-error"]);
    assert_eq!(stage.trial.entity.occupants.len(), 2);
    let form = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_roomname'><value>New</value></field></x></query>";
    let said = stage.asks("crone@x.org/desktop", "set", form);
    assert_eq!(said, ["crone@x.org/desktop: iq error cancel internal-server-error"]);
    assert_eq!(stage.trial.entity.settings.name, "");
}

// §10.2: also where the store goes away half way.
#[test]
fn a_form_is_kept_with_its_lists_of_people_or_not_at_all() {
    let form = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_roomname'><value>New</value></field><field var='muc#roomconfig_roomadmins'><value>hag@x.org</value></field></x></query>";
    for accepted in 0..2 {
        let mut stage = Stage::new();
        stage.memory.refuse_writes_after(accepted, Some(Error::Full("the disk")));
        let said = stage.asks("crone@x.org/desktop", "set", form);
        let room = &stage.trial.entity;
        let admins = room.affiliations.count(Affiliation::Admin);
        let is_done = said.contains(&"crone@x.org/desktop: iq result".to_owned());
        assert_eq!(
            (is_done, admins, &*room.settings.name),
            match accepted {
                0 => (false, 0, ""),
                _ => (true, 1, "New"),
            }
        );
    }
}

// §10.9: whoever is told that the room is none any more has not to come back for it.
#[test]
fn a_room_whose_end_is_not_kept_goes_on_with_everybody_inside() {
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy><reason>x</reason></destroy></query>";
    let mut stage = Stage::persistent();
    stage.enters("hag@x.org/pda", "hag");
    stage.memory.refuse_writes(Some(Error::Full("the disk")));
    let said = stage.asks("crone@x.org/desktop", "set", destroy);
    assert_eq!(said, ["crone@x.org/desktop: iq error wait resource-constraint"]);
    stage.memory.refuse_writes(None);
    let hi = "<message xmlns='jabber:client' type='groupchat' from='hag@x.org/pda' to='coven@chat.x.org'><body>hi</body></message>";
    assert_eq!(stage.gets(hi), ["crone@x.org/desktop: hi", "hag@x.org/pda: hi"]);
    // It is kept, but what else there is is not erased: nobody brings the room back.
    stage.memory.refuse_writes_after(1, Some(Error::Full("the disk")));
    let said = stage.asks("crone@x.org/desktop", "set", destroy);
    for who in ["crone@x.org/desktop", "hag@x.org/pda"] {
        assert!(said.contains(&format!("{who}: presence unavailable")), "{said:?}");
    }
    let error = "crone@x.org/desktop: iq error cancel internal-server-error".to_owned();
    assert!(said.contains(&error), "{said:?}");
    stage.memory.refuse_writes(None);
    stage.restart();
    assert!(matches!(stage.trial.entity.phase, Phase::Destroyed(_)));
}

// §10.9
#[test]
fn the_name_of_a_destroyed_room_is_free_when_the_configuration_says_so() {
    let day = std::time::Duration::from_secs(86_400);
    let mut stage = Stage::absent(Config { tombstone: day, ..Config::default() });
    stage.made("<field var='muc#roomconfig_persistentroom'><value>1</value></field>");
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>";
    stage.asks("crone@x.org/desktop", "set", destroy);
    let knock = "<presence xmlns='jabber:client' from='hag@x.org/pda' to='coven@chat.x.org/hag'><x xmlns='http://jabber.org/protocol/muc'/></presence>";
    let mut comes = |after: u64| {
        stage.advances(after);
        stage.restart();
        stage.gets(knock)
    };
    assert_eq!(comes(86_399), ["hag@x.org/pda: presence error cancel gone"]);
    assert_eq!(comes(1), ["chat.x.org: create"]);
}

// What is not announced is not answered, and is there again when the owner wants the archive back.
#[test]
fn an_archive_that_was_turned_off_is_not_shown() {
    let mut stage = Stage::new();
    stage.gets("<message xmlns='jabber:client' type='groupchat' from='crone@x.org/desktop' to='coven@chat.x.org'><body>hi</body></message>");
    let mut ask = |archived: bool| {
        let value = u8::from(archived);
        stage.asks("crone@x.org/desktop", "set", &format!("<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_enablearchiving'><value>{value}</value></field></x></query>"));
        stage.asks("crone@x.org/desktop", "set", "<query xmlns='urn:xmpp:mam:2'/>")
    };
    let refused = ["crone@x.org/desktop: iq error cancel service-unavailable"];
    assert_eq!(ask(false), refused);
    assert_eq!(ask(true).len(), 2, "a message and the answer");
}

// What the configuration says of pages holds for rooms too.
#[test]
fn a_page_of_the_archive_has_no_more_messages_than_configured() {
    let mut stage = Stage::with(Config { archive_page: 2, ..Config::default() });
    for _ in 0..3 {
        stage.gets("<message xmlns='jabber:client' type='groupchat' from='crone@x.org/desktop' to='coven@chat.x.org'><body>hi</body></message>");
    }
    let said = stage.asks("crone@x.org/desktop", "set", "<query xmlns='urn:xmpp:mam:2'/>");
    assert_eq!(said.len(), 3, "two messages and the answer");
}

// XEP-0424 §5
#[test]
fn a_subject_that_was_taken_back_is_none_after_a_restart_either() {
    let mut stage = Stage::persistent();
    stage.gets("<message xmlns='jabber:client' type='groupchat' from='crone@x.org/desktop' to='coven@chat.x.org'><subject>Fire</subject></message>");
    let room = &stage.trial.entity;
    let id = room.shared.config.ids.write(room.last_id.get());
    stage.restart();
    assert!(stage.trial.entity.subject.is_some());
    stage.enters("crone@x.org/desktop", "first");
    stage.gets(&format!("<message xmlns='jabber:client' type='groupchat' from='crone@x.org/desktop' to='coven@chat.x.org'><retract xmlns='urn:xmpp:message-retract:1' id='{id}'/></message>"));
    assert!(stage.trial.entity.subject.is_none());
    stage.restart();
    assert!(stage.trial.entity.subject.is_none());
}

// §10.2
#[test]
fn an_owner_who_is_named_among_the_admins_too_stays_one() {
    let crone = "<value>crone@x.org</value>";
    let field =
        |var: &str, values: &str| format!("<field var='muc#roomconfig_room{var}'>{values}</field>");
    for owners in [field("owners", crone), String::new()] {
        let mut stage = Stage::new();
        let form = owners + &field("admins", &format!("{crone}<value>hag@x.org</value>"));
        let form = format!(
            "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>{form}</x></query>"
        );
        stage.asks("crone@x.org/desktop", "set", &form);
        let list = &stage.trial.entity.affiliations;
        let count = |affiliation| list.count(affiliation);
        assert_eq!((count(Affiliation::Owner), count(Affiliation::Admin)), (1, 1));
    }
}

// §9.1
#[test]
fn nobody_bans_who_administers_the_service() {
    let admins = vec![xmpp::BareJid::parse("root@x.org").unwrap()];
    let mut stage = Stage::with(Config { admins, ..Config::default() });
    for who in ["root@x.org", "chat.x.org"] {
        let ban = format!(
            "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast' jid='{who}'/></query>"
        );
        let said = stage.asks("crone@x.org/desktop", "set", &ban);
        assert_eq!(said, ["crone@x.org/desktop: iq error cancel not-allowed"]);
    }
    assert_eq!(stage.trial.entity.affiliations.count(Affiliation::Outcast), 0);
}

// §7.2.2, §7.6, §7.7: an id says nothing to a client that has not given it.
#[test]
fn the_id_of_a_presence_goes_to_the_client_that_sent_it_alone() {
    let mut stage = Stage::new();
    let mut ids = |client: &str, nick: &str, content: &str| {
        let presence = format!(
            "<presence xmlns='jabber:client' id='n' from='crone@x.org/{client}' to='coven@chat.x.org/{nick}'>{content}</presence>"
        );
        let of = |envelope: proto::Envelope| {
            let proto::Body::Stanza(stanza) = envelope.body else { return None };
            let is_there = stanza.kind() == xmpp::Kind::Presence(xmpp::PresenceType::Available);
            let head = stanza.head();
            is_there.then(|| (head.to.as_ref().unwrap().to_string(), head.id.is_some()))
        };
        let mut all: Vec<_> = stage.sent(&presence).into_iter().filter_map(of).collect();
        all.sort();
        all
    };
    let both = |phone, desktop| {
        [("crone@x.org/desktop".to_owned(), desktop), ("crone@x.org/phone".to_owned(), phone)]
    };
    let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
    assert_eq!(ids("phone", "first", x), both(true, false));
    assert_eq!(ids("phone", "first", "<show>dnd</show>"), both(true, false));
    assert_eq!(ids("desktop", "other", ""), both(false, true));
}

// §4.2
#[test]
fn an_empty_room_that_is_to_stay_no_longer_ends_at_once() {
    let mut stage = Stage::persistent();
    stage.gets("<presence xmlns='jabber:client' type='unavailable' from='crone@x.org/desktop' to='coven@chat.x.org/first'/>");
    let said = stage.asks("crone@x.org/desktop", "set", "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_persistentroom'><value>0</value></field></x></query>");
    assert!(said.contains(&"crone@x.org/desktop: iq result".to_owned()), "{said:?}");
    assert!(said.contains(&"chat.x.org: ended".to_owned()), "{said:?}");
    assert!(stage.trial.closed);
}

// The order of a room goes on over a restart, also where the clock was set back.
#[test]
fn ids_of_messages_only_grow_over_restarts_and_clocks_that_go_back() {
    let mut stage = Stage::persistent();
    let hi = "<message xmlns='jabber:client' type='groupchat' id='m' from='crone@x.org/desktop' to='coven@chat.x.org'><body>hi</body></message>";
    stage.gets(hi);
    let before = stage.trial.entity.last_id.get();
    stage.restart();
    stage.trial.now.unix_micros = 5;
    stage.enters("crone@x.org/desktop", "first");
    let entered = stage.trial.entity.last_id.get();
    assert!(entered > before);
    assert_eq!(stage.trial.entity.history.len(), 1);
    stage.gets(hi);
    assert!(stage.trial.entity.last_id.get() > entered);
}

// A temporary room has ended with those who were in it; nothing of it is left when somebody asks.
#[test]
fn a_temporary_room_that_is_loaded_without_occupants_is_no_room() {
    let mut stage = Stage::new();
    stage.gets("<message xmlns='jabber:client' type='groupchat' from='crone@x.org/desktop' to='coven@chat.x.org'><body>hi</body></message>");
    assert_eq!(archived(&stage), 1);
    stage.restart();
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    let said = stage.asks("hag@x.org/pda", "get", info);
    assert!(said.contains(&"hag@x.org/pda: iq error cancel item-not-found".to_owned()), "{said:?}");
    assert!(said.contains(&"chat.x.org: ended".to_owned()), "{said:?}");
    assert_eq!(archived(&stage), 0);
    assert!(stage.trial.closed);
}

#[test]
fn rows_that_cannot_be_read_are_no_room_but_an_error() {
    let shared = std::sync::Arc::default();
    let route = Route::Room(stage::room());
    let torn = |item: &'static str, value: &'static [u8]| store::Row {
        kind: store::Kind::Room,
        item: item.into(),
        value: value.into(),
    };
    let birth = birth::Birth { creator: stage::room(), at: 1, secret: [1; 32], locked: false };
    let whole = store::Row { value: birth.to_bytes(), ..torn(birth::BIRTH, b"") };
    assert!(Room::load(&route, vec![torn(birth::BIRTH, b"<room")], &shared).is_err());
    assert!(Room::load(&route, vec![whole.clone()], &shared).is_err());
    assert!(Room::load(&route, vec![whole, torn(birth::SETTINGS, b"")], &shared).is_err());
    let absent = Room::load(&route, Vec::new(), &shared).unwrap();
    assert!(matches!(absent.phase, Phase::Absent));
}

#[test]
fn what_waits_in_a_room_is_bounded() {
    let mut stage = Stage::new();
    stage.trial.entity.queue.block();
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    for _ in 0..queue::MOST {
        assert!(stage.asks("crone@x.org/desktop", "get", ping).is_empty());
    }
    let said = stage.asks("crone@x.org/desktop", "get", ping);
    assert_eq!(said, ["crone@x.org/desktop: iq error wait resource-constraint"]);
}

#[test]
fn an_occupant_and_a_room_send_no_more_than_they_may() {
    // Entering takes one, and so does configuring.
    let rates = Rates {
        enabled: true,
        occupant: Pace { per_second: 1, burst: 5 },
        room: Pace { per_second: 1, burst: 6 },
    };
    let mut stage = Stage::with(Config { rates, ..Config::default() });
    stage.enters("hag@x.org/pda", "hag");
    let mut say = |who: &str| {
        let said = stage.gets(&format!("<message xmlns='jabber:client' type='groupchat' from='{who}' to='coven@chat.x.org'><body>hi</body></message>"));
        said[0].ends_with("hi")
    };
    let heard: Vec<bool> = (0..5).map(|_| say("hag@x.org/pda")).collect();
    assert_eq!(heard, [true, true, true, true, false]);
    let heard: Vec<bool> = (0..3).map(|_| say("crone@x.org/desktop")).collect();
    assert_eq!(heard, [true, true, false], "the room has had its six");
}

// §7.5: what is remembered of private messages is bounded; the oldest cannot come back any more.
#[test]
fn so_many_private_messages_may_come_back() {
    let rates = Rates { enabled: false, ..Config::default().rates };
    let mut stage = Stage::with(Config { rates, ..Config::default() });
    stage.enters("hag@x.org/pda", "hag");
    for id in 0..257 {
        stage.gets(&format!("<message xmlns='jabber:client' type='chat' id='{id}' from='crone@x.org/desktop' to='coven@chat.x.org/hag'><body>psst</body></message>"));
    }
    let mut comes_back = |id: u32| {
        let error = format!(
            "<message xmlns='jabber:client' type='error' id='{id}' from='hag@x.org/pda' to='coven@chat.x.org/first'><error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        );
        stage.gets(&error).len()
    };
    assert_eq!([comes_back(0), comes_back(1), comes_back(256)], [0, 1, 1]);
}

// §14.6: also what takes something back.
#[test]
fn retractions_count_as_messages() {
    let rates = Rates {
        enabled: true,
        occupant: Pace { per_second: 1, burst: 4 },
        room: Pace { per_second: 1, burst: 500 },
    };
    let mut stage = Stage::with(Config { rates, ..Config::default() });
    stage.enters("hag@x.org/pda", "hag");
    let id = stage.trial.entity.shared.config.ids.write(store::ArchiveId(7));
    let mut tries = || {
        let said = stage.gets(&format!("<message xmlns='jabber:client' type='groupchat' id='r' from='hag@x.org/pda' to='coven@chat.x.org'><retract xmlns='urn:xmpp:message-retract:1' id='{id}'/></message>"));
        said == ["hag@x.org/pda: message error wait policy-violation"]
    };
    assert_eq!((0..4).map(|_| tries()).collect::<Vec<_>>(), [false, false, false, true]);
}

// §14.6: each tells all who are inside, and whoever decides.
#[test]
fn nobody_registers_more_often_than_he_may_send() {
    let rates = Rates {
        enabled: true,
        occupant: Pace { per_second: 1, burst: 4 },
        room: Pace { per_second: 1, burst: 500 },
    };
    let mut stage = Stage::with(Config { rates, ..Config::default() });
    let nick = "<x xmlns='jabber:x:data' type='submit'><field var='muc#register_roomnick'><value>owl</value></field></x>";
    let mut ask = |what: &str| {
        let query = format!("<query xmlns='jabber:iq:register'>{what}</query>");
        let said = stage.asks("owl@x.org/tree", "set", &query);
        said.iter().any(|it| it == "owl@x.org/tree: iq error wait policy-violation")
    };
    let refused: Vec<bool> = (0..3).flat_map(|_| [ask(nick), ask("<remove/>")]).collect();
    assert_eq!(refused, [false, false, false, false, true, true]);
}

// More than one page, and no more than the limit; `tests/crowds.rs` has 100,000.
#[test]
fn large_lists_are_paged_and_limited() {
    let mut stage = Stage::with(Config { affiliations: 3_000, ..Config::default() });
    let list = "<query xmlns='http://jabber.org/protocol/muc#admin'>{}</query>";
    let mut added = 0;
    while added < 2_900 {
        let items: String = (added..added + 1_000.min(2_900 - added))
            .map(|number| format!("<item affiliation='member' jid='m{number}@x.org'/>"))
            .collect();
        let said = stage.asks("crone@x.org/desktop", "set", &list.replace("{}", &items));
        assert!(said.contains(&"crone@x.org/desktop: iq result".to_owned()), "{said:?}");
        added += 1_000.min(2_900 - added);
    }
    let items: String = (0..100)
        .map(|number| format!("<item affiliation='member' jid='z{number}@x.org'/>"))
        .collect();
    let said = stage.asks("crone@x.org/desktop", "set", &list.replace("{}", &items));
    assert_eq!(said, ["crone@x.org/desktop: iq error wait resource-constraint"]);
    assert_eq!(stage.trial.entity.affiliations.count(Affiliation::Member), 2_900);
    let page = |stage: &mut Stage, set: &str| {
        let get = list.replace("{}", &format!("<item affiliation='member'/>{set}"));
        let answer = stage.answer("crone@x.org/desktop", "get", &get);
        let query = answer.child("query", xmpp::ns::MUC_ADMIN).unwrap();
        let items = query.children().filter(|child| child.name() == "item").count();
        let set = query.child("set", xmpp::ns::RSM).unwrap();
        let text = |name| set.child(name, xmpp::ns::RSM).unwrap().text();
        (items, text("last"), text("count"))
    };
    let (items, last, count) = page(&mut stage, "");
    assert_eq!((items, count.as_str()), (1_000, "2900"));
    let after = format!(
        "<set xmlns='http://jabber.org/protocol/rsm'><max>2000</max><after>{last}</after></set>"
    );
    let (items, next, _) = page(&mut stage, &after);
    assert_eq!(items, 1_000);
    assert!(next > last);
    versions_are_told_in_parts(&mut stage);
}

// XEP-0463 §5.2.1: a list of 2,901 is told in parts, from each of which a client may go on.
fn versions_are_told_in_parts(stage: &mut Stage) {
    let mut parts = |since: &str| {
        let knock = format!(
            "<presence xmlns='jabber:client' from='crone@x.org/desktop' to='coven@chat.x.org/first'><x xmlns='http://jabber.org/protocol/muc'><mav xmlns='urn:xmpp:muc:affiliations:1'{since}/></x></presence>"
        );
        let stanza = xmpp::kept::read(knock.as_bytes()).unwrap();
        let sent = stage.trial.receive(Route::Room(stage::room()), proto::Body::Stanza(stanza));
        let part = |envelope: proto::Envelope| {
            let proto::Body::Stanza(stanza) = envelope.body else { return None };
            let x = stanza.child("x", xmpp::ns::MUC_USER)?;
            let mav = x.child("mav", xmpp::ns::AFFILIATIONS)?.clone();
            let items = x.children().filter(|child| child.name() == "item").count();
            let text = |name| mav.attr(name).map(str::to_owned);
            let is_message = matches!(stanza.kind(), xmpp::Kind::Message(_));
            is_message.then(|| (text("since"), text("until"), items))
        };
        sent.into_iter().filter_map(part).collect::<Vec<_>>()
    };
    let all = parts("");
    assert_eq!(all.iter().map(|part| part.2).collect::<Vec<_>>(), [1_000, 1_000, 901]);
    assert_eq!((all[0].0.as_ref(), &all[1].0, &all[2].0), (None, &all[0].1, &all[1].1));
    let rest = parts(&format!(" since='{}'", all[1].1.as_ref().unwrap()));
    assert_eq!(rest, all[2..]);
}

#[test]
fn a_room_that_nobody_answers_for_is_not_made_and_who_knocked_is_told() {
    let mut stage = Stage::absent(Config::default());
    let knock = "<presence xmlns='jabber:client' id='n' from='crone@x.org/desktop' to='coven@chat.x.org/first'><x xmlns='http://jabber.org/protocol/muc'/></presence>";
    assert_eq!(stage.gets(knock), ["chat.x.org: create"]);
    let said = stage.advances(20);
    assert_eq!(said, ["crone@x.org/desktop: presence error wait remote-server-timeout"]);
    assert!(stage.trial.closed);
}
