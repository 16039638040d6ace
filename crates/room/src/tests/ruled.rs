//! How much those may ask of a room who rule it, and to how many strangers it writes because of them (XEP-0045 §9.5,
//! §14.6, §18.1).

use super::stage::Stage;
use crate::affiliation::{Affiliation, Role};
use crate::{Config, Pace, Rates};

const CRONE: &str = "crone@x.org/desktop";
const TOO_MUCH: &str = "crone@x.org/desktop: iq error wait policy-violation";

/// So much at once, of one person and of the room.
fn rates(occupant: u32, room: u32) -> Rates {
    let pace = |burst| Pace { per_second: 1, burst };
    Rates { enabled: true, occupant: pace(occupant), room: pace(room) }
}

/// An open room with hag inside, and these rates.
fn room_with(rates: Rates) -> Stage {
    let mut stage = Stage::with(Config { rates, ..Config::default() });
    stage.enters("hag@x.org/pda", "hag");
    stage
}

/// Changes lists, as the owner.
fn set(stage: &mut Stage, items: &str) -> Vec<String> {
    let query = format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{items}</query>");
    stage.asks(CRONE, "set", &query)
}

/// So many people, of this affiliation from now on.
fn people(count: usize, affiliation: &str) -> String {
    let item = |number| format!("<item affiliation='{affiliation}' jid='m{number}@x.org'/>");
    (0..count).map(item).collect()
}

// §9.5, §18.1 item 2
#[test]
fn whoever_changes_many_people_at_once_lets_none_of_them_be_written_to() {
    for members_only in [true, false] {
        let mut stage = Stage::absent(Config::default());
        let value = u8::from(members_only);
        stage.made(&format!(
            "<field var='muc#roomconfig_membersonly'><value>{value}</value></field>"
        ));
        let mut written_to = |count: usize| {
            let said = set(&mut stage, &people(count, "member"));
            assert!(said.contains(&format!("{CRONE}: iq result")), "{said:?}");
            set(&mut stage, &people(count, "none"));
            said.iter().filter(|it| it.starts_with('m')).count()
        };
        assert_eq!([written_to(20), written_to(21), written_to(1)], [20, 0, 1]);
    }
}

// §18.1 item 2: whoever is told why is told no more than of who invites them.
#[test]
fn a_reason_has_a_bound() {
    let mut stage = Stage::new();
    let mut bans = |who: &str, length: usize| {
        let reason = format!("<reason>{}</reason>", "x".repeat(length));
        set(&mut stage, &format!("<item affiliation='outcast' jid='{who}@x.org'>{reason}</item>"))
    };
    assert!(bans("bat", 4_096).contains(&format!("{CRONE}: iq result")));
    assert_eq!(bans("owl", 4_097), [format!("{CRONE}: iq error modify not-acceptable")]);
    assert_eq!(stage.trial.entity.affiliations.count(Affiliation::Outcast), 1);
}

// §14.6
#[test]
fn nobody_changes_roles_more_often_than_he_may_send() {
    let mut stage = room_with(rates(8, 100));
    let may_toggle = |stage: &mut Stage, number: usize| {
        let role = ["visitor", "participant"][number % 2];
        set(stage, &format!("<item nick='hag' role='{role}'/>")) != [TOO_MUCH]
    };
    // Entering and configuring have taken two.
    assert_eq!((0..200).filter(|number| may_toggle(&mut stage, *number)).count(), 6);
    let role = stage.trial.entity.occupants.of_nick("hag").map(|inside| inside.role);
    assert_eq!(role, Some(Role::Participant));
    stage.advances(1);
    assert!(may_toggle(&mut stage, 0));
}

// §14.6: each of these tells everybody, and they take from one budget.
#[test]
fn whatever_changes_the_room_counts() {
    let requests = [
        "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_roomname'><value>{}</value></field></x></query>",
        "<vCard xmlns='vcard-temp'><FN>{}</FN></vCard>",
        "<moderate xmlns='urn:xmpp:message-moderate:1' id='{}'><retract xmlns='urn:xmpp:message-retract:1'/></moderate>",
        "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:create' action='execute'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:hats:commands</value></field><field var='hats#title'><value>T{}</value></field><field var='hats#uri'><value>u:1</value></field></x></command>",
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='m{}@x.org'/></query>",
    ];
    for request in requests {
        let mut stage = room_with(rates(5, 100));
        let mut asks = |number: usize| {
            let request = request.replace("{}", &number.to_string());
            stage.asks(CRONE, "set", &request) == [TOO_MUCH]
        };
        let refused: Vec<bool> = (0..4).map(&mut asks).collect();
        assert_eq!(refused, [false, false, false, true], "{request}");
    }
}

// §14.6: whoever reads changes nothing, and whoever rules is not held up by those whom he rules.
#[test]
fn a_request_counts_once_and_not_against_the_room_and_reading_counts_for_nothing() {
    let mut stage = room_with(rates(4, 1));
    let speaks = "<message xmlns='jabber:client' type='groupchat' from='hag@x.org/pda' to='coven@chat.x.org'><body>hi</body></message>";
    assert_eq!(stage.gets(speaks).len(), 2);
    assert_eq!(stage.gets(speaks), ["hag@x.org/pda: message error wait policy-violation"]);
    for _ in 0..9 {
        let said = stage.asks(CRONE, "set", "<query xmlns='urn:xmpp:mam:2'/>");
        assert!(said.contains(&format!("{CRONE}: iq result")), "{said:?}");
    }
    let said = set(&mut stage, &people(500, "member"));
    assert!(said.contains(&format!("{CRONE}: iq result")), "{said:?}");
    let said = set(&mut stage, "<item nick='hag' role='none'/>");
    assert!(said.contains(&"hag@x.org/pda: presence unavailable".to_owned()), "{said:?}");
    assert_eq!(set(&mut stage, &people(1, "none")), [TOO_MUCH]);
}

// §8.4: else one request of many items would tell everybody many times.
#[test]
fn nobody_is_given_two_roles_by_one_request() {
    let mut stage = room_with(Config::default().rates);
    let both = "<item nick='hag' role='visitor'/><item nick='hag' role='participant'/>";
    assert_eq!(set(&mut stage, both), [format!("{CRONE}: iq error modify bad-request")]);
}

// Who administers the service decides what may be sent, and operators ask in its name.
#[test]
fn who_administers_the_service_may_ask_as_often_as_he_likes() {
    let admins = vec![xmpp::BareJid::parse("root@x.org").unwrap()];
    let mut stage = Stage::with(Config { rates: rates(3, 3), admins, ..Config::default() });
    for who in ["root@x.org/shell", "chat.x.org"] {
        for number in 0..9 {
            let item = format!("<item affiliation='member' jid='m{number}@x.org'/>");
            let query =
                format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query>");
            let said = stage.asks(who, "set", &query);
            assert!(said.contains(&format!("{who}: iq result")), "{said:?}");
        }
    }
}

// §8.6, §9.9, §14.6: what is decided by a form as well.
#[test]
fn decisions_by_forms_count() {
    let field =
        |var: &str, value: &str| format!("<field var='{var}'><value>{value}</value></field>");
    let voice = field("muc#request_allow", "1") + &field("muc#roomnick", "nobody");
    let registration = field("muc#register_allow", "1") + &field("muc#register_roomnick", "nobody");
    for (kind, fields) in [("request", voice), ("register", registration)] {
        let mut stage = room_with(rates(5, 100));
        let kind = field("FORM_TYPE", &format!("http://jabber.org/protocol/muc#{kind}"));
        let form = format!(
            "<message xmlns='jabber:client' from='{CRONE}' to='coven@chat.x.org'><x xmlns='jabber:x:data' type='submit'>{kind}{fields}</x></message>"
        );
        let refused = "crone@x.org/desktop: message error wait policy-violation";
        let refused: Vec<bool> = (0..4).map(|_| stage.gets(&form) == [refused]).collect();
        assert_eq!(refused, [false, false, false, true], "{kind}");
    }
}
