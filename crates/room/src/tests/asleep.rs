//! Rooms that sleep between their turns, or move: all that is not in their rows goes with them.

use std::time::Duration;

use entity::Entity;

use super::stage::Stage;
use crate::{Config, Pace, Rates};

const ARCHIVE_OFF: &str = "<field var='muc#roomconfig_enablearchiving'><value>0</value></field>";

fn says(stage: &mut Stage, who: &str, text: &str) -> Vec<String> {
    stage.gets(&format!("<message xmlns='jabber:client' type='groupchat' from='{who}' to='coven@chat.x.org'><body>{text}</body></message>"))
}

fn admin(item: &str) -> String {
    format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query>")
}

/// What the room is, as whoever goes on with it gets it.
fn state(stage: &Stage) -> Vec<u8> {
    stage.trial.entity.snapshot(stage.trial.now).expect("somebody is inside").to_vec()
}

#[test]
fn occupants_with_their_clients_roles_and_nicks_stay_over_a_sleep() {
    let mut stage = Stage::new();
    stage.enters("hag@x.org/pda", "hag");
    stage.gets("<presence xmlns='jabber:client' xml:lang='de' from='hag@x.org/laptop' to='coven@chat.x.org/hag'><x xmlns='http://jabber.org/protocol/muc'/><show>dnd</show></presence>");
    stage.enters("bat@x.org/cave", "bat");
    let mute = admin("<item nick='bat' role='visitor'/>");
    stage.asks("crone@x.org/desktop", "set", &mute);
    stage.gets(
        "<presence xmlns='jabber:client' from='crone@x.org/desktop' to='coven@chat.x.org/eldest'/>",
    );
    let before = state(&stage);
    stage.trial.nap();
    assert_eq!(state(&stage), before);
    let room = &stage.trial.entity;
    let of = |room: &crate::Room, nick: &str| room.occupants.of_nick(nick).cloned().unwrap();
    assert_eq!(of(room, "hag").sessions.len(), 2);
    assert!(!of(room, "hag").marks.is_empty());
    assert_eq!(of(room, "hag").shown().unwrap().lang.as_deref(), Some("de"));
    assert_eq!(of(room, "bat").role, crate::affiliation::Role::Visitor);
    assert_eq!(of(room, "eldest").who.as_str(), "crone@x.org");
    assert_eq!(room.shared.occupants(&room.jid), 3);
    assert_eq!(says(&mut stage, "hag@x.org/pda", "hi").len(), 4);
    let last = stage.trial.entity.occupants.last_number();
    stage.trial.nap();
    stage.enters("owl@x.org/tree", "owl");
    assert_eq!(stage.trial.entity.occupants.of_nick("owl").unwrap().number, last + 1);
}

#[test]
fn what_was_asked_and_what_may_be_answered_stays_over_a_sleep() {
    let mut stage = Stage::new();
    stage.trial.drowsy = true;
    stage.enters("hag@x.org/pda", "hag");
    let said = stage.gets("<iq xmlns='jabber:client' type='get' id='v' from='hag@x.org/pda' to='coven@chat.x.org/first'><query xmlns='jabber:iq:version'/></iq>");
    assert_eq!(said, ["crone@x.org/desktop: iq get"]);
    let id = stage.trial.entity.slots.snapshot();
    let id = String::from_utf8_lossy(&id[0].value).into_owned();
    let id = &id[id.find(|c: char| c.is_ascii_hexdigit()).unwrap()..][..16];
    let said = stage.gets(&format!("<iq xmlns='jabber:client' type='result' id='{id}' from='crone@x.org/desktop' to='coven@chat.x.org/hag'/>"));
    assert_eq!(said, ["hag@x.org/pda: iq result"]);

    stage.gets("<message xmlns='jabber:client' from='crone@x.org/desktop' to='coven@chat.x.org'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='bat@x.org'/></x></message>");
    let said = stage.gets("<message xmlns='jabber:client' from='bat@x.org/cave' to='coven@chat.x.org'><x xmlns='http://jabber.org/protocol/muc#user'><decline to='crone@x.org'/></x></message>");
    assert_eq!(said, ["crone@x.org/desktop: message"]);
}

#[test]
fn who_waits_for_an_admin_waits_over_a_sleep() {
    let mut stage = Stage::absent(Config::default());
    stage.made("<field var='muc#roomconfig_membersonly'><value>1</value></field><field var='muc#register'><value>1</value></field>");
    stage.trial.drowsy = true;
    let form = |ty: &str, fields: &str| {
        format!(
            "<x xmlns='jabber:x:data' type='{ty}'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>{fields}</x>"
        )
    };
    let nick = "<field var='muc#register_roomnick'><value>owl</value></field>";
    let ask = format!("<query xmlns='jabber:iq:register'>{}</query>", form("submit", nick));
    let said = stage.asks("owl@x.org/tree", "set", &ask);
    assert!(said.contains(&"crone@x.org/desktop: message".to_owned()), "{said:?}");
    let allow = format!("{nick}<field var='muc#register_allow'><value>1</value></field>");
    stage.gets(&format!("<message xmlns='jabber:client' from='crone@x.org/desktop' to='coven@chat.x.org'>{}</message>", form("submit", &allow)));
    stage.enters("owl@x.org/tree", "owl");
}

#[test]
fn nobody_speaks_sooner_or_more_because_the_room_slept() {
    let slow = "<field var='muc#roomconfig_slow_mode_duration'><value>30</value></field>";
    let rates = Rates {
        enabled: true,
        occupant: Pace { per_second: 1, burst: 3 },
        room: Pace { per_second: 1, burst: 9 },
    };
    let mut stage = Stage::absent(Config { rates, ..Config::default() });
    stage.made(slow);
    stage.trial.drowsy = true;
    stage.enters("hag@x.org/pda", "hag");
    assert_eq!(says(&mut stage, "hag@x.org/pda", "one").len(), 2);
    let refused = ["hag@x.org/pda: message error wait policy-violation"];
    assert_eq!(says(&mut stage, "hag@x.org/pda", "two"), refused);
    stage.advances(31);
    assert_eq!(says(&mut stage, "hag@x.org/pda", "three").len(), 2);
    let heard = (0..6).filter(|_| says(&mut stage, "crone@x.org/desktop", "so").len() == 2);
    assert_eq!(heard.count(), 3, "the owner need not wait, but has sent what he may");
}

// XEP-0045 §5.1
#[test]
fn voice_given_or_taken_in_a_moderated_room_lasts_over_visits_and_sleeps() {
    let mut stage = Stage::absent(Config::default());
    stage.made("<field var='muc#roomconfig_moderatedroom'><value>1</value></field>");
    stage.trial.drowsy = true;
    let mut visit = |item: &str| {
        stage.enters("hag@x.org/pda", "hag");
        if !item.is_empty() {
            stage.asks("crone@x.org/desktop", "set", &admin(item));
        }
        let role = stage.trial.entity.occupants.of_nick("hag").unwrap().role;
        stage.gets("<presence xmlns='jabber:client' type='unavailable' from='hag@x.org/pda' to='coven@chat.x.org/hag'/>");
        role.as_str()
    };
    assert_eq!(visit(""), "visitor");
    assert_eq!(visit("<item nick='hag' role='participant'/>"), "participant");
    assert_eq!(visit(""), "participant");
    assert_eq!(visit("<item nick='hag' role='moderator'/>"), "moderator");
    assert_eq!(visit(""), "participant", "who moderates does so for one visit");
    assert_eq!(visit("<item nick='hag' role='visitor'/>"), "visitor");
    assert_eq!(visit("<item jid='hag@x.org' affiliation='member'/>"), "participant");
    assert_eq!(visit("<item nick='hag' role='visitor'/>"), "visitor");
    assert_eq!(visit(""), "visitor", "a member who has lost it too");
    assert_eq!(visit("<item jid='hag@x.org' affiliation='none'/>"), "visitor");
}

#[test]
fn what_no_archive_brings_back_goes_along_and_the_order_goes_on() {
    let mut stage = Stage::absent(Config::default());
    stage.made(ARCHIVE_OFF);
    assert!(!stage.trial.entity.settings.archived);
    says(&mut stage, "crone@x.org/desktop", "by the pricking");
    let last = stage.trial.entity.last_id.get();
    stage.trial.nap();
    assert_eq!(stage.trial.entity.last_id.get(), last);
    let said = stage.gets("<presence xmlns='jabber:client' from='hag@x.org/pda' to='coven@chat.x.org/hag'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    assert!(said.contains(&"hag@x.org/pda: by the pricking".to_owned()), "{said:?}");
}

#[test]
fn a_room_that_waits_for_its_configuration_waits_as_long_as_before() {
    let mut stage = Stage::absent(Config::default());
    stage.trial.drowsy = true;
    stage.gets("<presence xmlns='jabber:client' from='crone@x.org/desktop' to='coven@chat.x.org/first'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    stage.gets("<message xmlns='jabber:client' from='chat.x.org' to='coven@chat.x.org'><created xmlns='urn:rookery:rooms:0'/></message>");
    stage.advances(599);
    assert!(matches!(stage.trial.entity.phase, crate::room::Phase::Locked));
    stage.advances(2);
    assert!(matches!(stage.trial.entity.phase, crate::room::Phase::Open));
    assert_eq!(stage.trial.entity.occupants.len(), 1);
}

#[test]
fn snapshots_that_cannot_be_are_refused() {
    let mut stage = Stage::new();
    stage.enters("hag@x.org/pda", "hag");
    let whole = state(&stage);
    let mut restore = |bytes: Vec<u8>| {
        let mut result = None;
        stage.trial.act(|room, cx| {
            room.occupants.clear();
            result = Some(room.restore(&bytes, cx));
        });
        result.unwrap()
    };
    assert!(restore(whole.clone()).is_ok());
    assert!(restore(b"\xff\xff".to_vec()).is_err());
    assert!(restore([whole.clone(), whole.clone()].concat()).is_err(), "everybody is in twice");
    let text = |from: &[u8], to: &[u8]| {
        let at = whole.windows(from.len()).position(|it| it == from).unwrap();
        [&whole[..at], to, &whole[at + from.len()..]].concat()
    };
    assert!(restore(text(b"coven@chat.x.org/hag", b"haven@chat.x.org/hag")).is_err());
    assert!(restore(text(b"hag@x.org/pda", b"bat@x.org/pda")).is_err());
    for cut in 0..whole.len() {
        // Whatever it is, it is no panic.
        restore(whole[..cut].to_vec()).ok();
    }
    stage.trial.advance(Duration::ZERO);
}

// Both may have come before it has ended: whoever knocks would be forgotten with it.
#[test]
fn a_room_that_is_not_there_stays_for_who_knocks_right_behind_a_question() {
    let mut stage = Stage::absent(Config::default());
    stage.asks(
        "crone@x.org/desktop",
        "get",
        "<query xmlns='http://jabber.org/protocol/muc#owner'/>",
    );
    assert!(stage.trial.closed);
    stage.gets("<presence xmlns='jabber:client' from='crone@x.org/desktop' to='coven@chat.x.org/first'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    assert!(!stage.trial.closed, "the directory is asked");
}
