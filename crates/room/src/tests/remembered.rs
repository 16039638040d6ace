//! What a room remembers while nobody is inside: over a restart what admins and members rely on, and for a while, in
//! memory, what is soon over.

use entity::Entity;
use store::Error;

use super::stage::Stage;
use crate::Config;
use crate::affiliation::{Affiliation, Role};

const CRONE: &str = "crone@x.org/desktop";
const HAG: &str = "hag@x.org/pda";
const DAY: u64 = 86_400;

/// A room that stays, with these fields of its configuration.
fn room_with(fields: &[(&str, &str)], config: Config) -> Stage {
    let mut stage = Stage::absent(config);
    let persistent = ("persistentroom", "1");
    let field = |(var, value): &(&str, &str)| {
        format!("<field var='muc#roomconfig_{var}'><value>{value}</value></field>")
    };
    stage.made(&fields.iter().chain([&persistent]).map(field).collect::<String>());
    stage
}

fn leaves(stage: &mut Stage, who: &str, nick: &str) {
    stage.gets(&format!(
        "<presence xmlns='jabber:client' type='unavailable' from='{who}' to='coven@chat.x.org/{nick}'/>"
    ));
}

fn says(stage: &mut Stage, who: &str) -> Vec<String> {
    stage.gets(&format!("<message xmlns='jabber:client' type='groupchat' from='{who}' to='coven@chat.x.org'><body>hi</body></message>"))
}

fn sets(stage: &mut Stage, item: &str) -> Vec<String> {
    let query = format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query>");
    stage.asks(CRONE, "set", &query)
}

fn role_of(stage: &Stage, nick: &str) -> Role {
    stage.trial.entity.occupants.of_nick(nick).unwrap().role
}

/// Somebody visits: as what.
fn visits(stage: &mut Stage, who: &str) -> Role {
    stage.enters(who, "guest");
    let role = role_of(stage, "guest");
    leaves(stage, who, "guest");
    role
}

/// A form about a registration.
fn form(ty: &str, fields: &[(&str, &str)]) -> String {
    let field = |(var, value): &(&str, &str)| {
        format!("<field var='muc#{var}'><value>{value}</value></field>")
    };
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<x xmlns='jabber:x:data' type='{ty}'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>{fields}</x>"
    )
}

fn registers(stage: &mut Stage, who: &str, nick: &str) -> Vec<String> {
    let form = form("submit", &[("register_roomnick", nick)]);
    stage.asks(who, "set", &format!("<query xmlns='jabber:iq:register'>{form}</query>"))
}

/// The room is put out of memory, or the server starts anew.
const ENDS: [fn(&mut Stage); 2] = [|stage| stage.trial.passivate(), Stage::restart];

// XEP-0045 §7.10, §9.9
#[test]
fn who_has_registered_waits_for_an_admin_until_one_comes() {
    for end in ENDS {
        let mut stage = room_with(&[("membersonly", "1")], Config::default());
        leaves(&mut stage, CRONE, "first");
        for (who, nick) in [("rat@x.org/a", "rat"), (HAG, "hag")] {
            assert_eq!(registers(&mut stage, who, nick), [format!("{who}: iq result")]);
        }
        end(&mut stage);
        let knock = "<presence xmlns='jabber:client' from='crone@x.org/desktop' to='coven@chat.x.org/first'><x xmlns='http://jabber.org/protocol/muc'/></presence>";
        let said = stage.gets(knock);
        let asked = said.iter().filter(|it| **it == format!("{CRONE}: message"));
        assert_eq!(asked.count(), 2, "{said:?}");
        let decide = |nick: &str, allow: &str| {
            let form = form("submit", &[("register_roomnick", nick), ("register_allow", allow)]);
            format!(
                "<message xmlns='jabber:client' id='d' from='{CRONE}' to='coven@chat.x.org'>{form}</message>"
            )
        };
        stage.gets(&decide("hag", "1"));
        stage.gets(&decide("rat", "0"));
        end(&mut stage);
        let list = &stage.trial.entity.affiliations;
        assert_eq!((list.count(Affiliation::Member), list.count(Affiliation::Owner)), (1, 1));
        assert_eq!(stage.trial.entity.registrations.iter().count(), 0);
    }
}

// XEP-0077 §3.2
#[test]
fn who_does_not_want_to_register_any_more_does_not_wait() {
    let mut stage = room_with(&[("membersonly", "1")], Config::default());
    registers(&mut stage, HAG, "hag");
    assert_eq!(stage.trial.entity.registrations.iter().count(), 1);
    let said = stage.asks(HAG, "set", "<query xmlns='jabber:iq:register'><remove/></query>");
    assert!(said.contains(&format!("{HAG}: iq result")), "{said:?}");
    assert_eq!(stage.trial.entity.registrations.iter().count(), 0);
    stage.restart();
    assert_eq!(stage.trial.entity.registrations.iter().count(), 0);
}

#[test]
fn whose_registration_is_not_kept_is_told_and_does_not_wait() {
    let mut stage = room_with(&[("membersonly", "1")], Config::default());
    stage.memory.refuse_writes(Some(Error::Full("the disk")));
    let said = registers(&mut stage, HAG, "hag");
    assert_eq!(said, [format!("{HAG}: iq error wait resource-constraint")]);
    assert_eq!(stage.trial.entity.registrations.iter().count(), 0);
}

// XEP-0045 §5.1
#[test]
fn voice_given_or_taken_lasts_until_an_affiliation_says_something_else() {
    for end in ENDS {
        let mut stage = room_with(&[("moderatedroom", "1")], Config::default());
        sets(&mut stage, "<item jid='bat@x.org' affiliation='member'/>");
        for (who, nick) in [(HAG, "hag"), ("bat@x.org/cave", "bat")] {
            stage.enters(who, nick);
        }
        let both = "<item nick='hag' role='participant'/><item nick='bat' role='visitor'/>";
        let said = sets(&mut stage, both);
        assert!(said.contains(&format!("{CRONE}: iq result")), "{said:?}");
        for (who, nick) in [(HAG, "hag"), ("bat@x.org/cave", "bat"), (CRONE, "first")] {
            leaves(&mut stage, who, nick);
        }
        end(&mut stage);
        assert_eq!(visits(&mut stage, HAG), Role::Participant);
        assert_eq!(visits(&mut stage, "bat@x.org/cave"), Role::Visitor);
        stage.enters(CRONE, "first");
        sets(&mut stage, "<item jid='bat@x.org' affiliation='none'/>");
        sets(&mut stage, "<item jid='bat@x.org' affiliation='member'/>");
        end(&mut stage);
        assert_eq!(visits(&mut stage, "bat@x.org/cave"), Role::Participant);
    }
}

// A role and an affiliation in one request: of the role it is remembered what the affiliation does not say.
#[test]
fn who_becomes_a_member_and_loses_voice_at_once_comes_back_without() {
    let mut stage = room_with(&[("moderatedroom", "1")], Config::default());
    stage.enters(HAG, "hag");
    sets(
        &mut stage,
        "<item jid='hag@x.org' affiliation='member'/><item nick='hag' role='visitor'/>",
    );
    leaves(&mut stage, HAG, "hag");
    stage.restart();
    assert_eq!(visits(&mut stage, HAG), Role::Visitor);
}

#[test]
fn voice_that_is_not_kept_or_too_much_is_not_given_and_whoever_gives_it_is_told() {
    let config = Config { affiliations: 2, ..Config::default() };
    let mut stage = room_with(&[("moderatedroom", "1")], config);
    let give = |stage: &mut Stage, nick: &str| {
        sets(stage, &format!("<item nick='{nick}' role='participant'/>"))
    };
    for nick in ["a", "b", "c"] {
        stage.enters(&format!("{nick}@x.org/a"), nick);
    }
    stage.memory.refuse_writes(Some(Error::Full("the disk")));
    assert_eq!(give(&mut stage, "a"), [format!("{CRONE}: iq error cancel internal-server-error")]);
    assert_eq!(role_of(&stage, "a"), Role::Visitor);
    stage.memory.refuse_writes(None);
    for nick in ["a", "b"] {
        give(&mut stage, nick);
        assert_eq!(role_of(&stage, nick), Role::Participant);
    }
    assert_eq!(give(&mut stage, "c"), [format!("{CRONE}: iq error wait resource-constraint")]);
    let request = "<message xmlns='jabber:client' id='v' from='crone@x.org/desktop' to='coven@chat.x.org'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field><field var='muc#roomnick'><value>c</value></field><field var='muc#request_allow'><value>1</value></field></x></message>";
    assert_eq!(stage.gets(request), [format!("{CRONE}: message error wait resource-constraint")]);
    assert_eq!(role_of(&stage, "c"), Role::Visitor);
    // The usual role needs no place, and makes one.
    sets(&mut stage, "<item nick='a' role='visitor'/>");
    give(&mut stage, "c");
    assert_eq!(role_of(&stage, "c"), Role::Participant);
}

/// Whether an empty room may be put out of memory.
fn may_sleep(stage: &Stage) -> bool {
    stage.trial.entity.may_sleep(stage.trial.now)
}

// XEP-0045 §7.8.2
#[test]
fn who_was_invited_may_decline_for_a_day_though_everybody_has_left() {
    let mut stage = room_with(&[], Config::default());
    for who in ["owl", "bat"] {
        stage.gets(&format!("<message xmlns='jabber:client' from='{CRONE}' to='coven@chat.x.org'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='{who}@x.org'/></x></message>"));
    }
    leaves(&mut stage, CRONE, "first");
    let decline = |stage: &mut Stage, who: &str| {
        stage.trial.passivate();
        stage.gets(&format!("<message xmlns='jabber:client' from='{who}@x.org/a' to='coven@chat.x.org'><x xmlns='http://jabber.org/protocol/muc#user'><decline/></x></message>"))
    };
    stage.advances(DAY - 1);
    assert_eq!(decline(&mut stage, "owl"), [format!("{CRONE}: message")]);
    stage.advances(2);
    assert!(may_sleep(&stage));
    let late = ["bat@x.org/a: message error cancel item-not-found"];
    assert_eq!(decline(&mut stage, "bat"), late);
}

// XEP-0500 §6
#[test]
fn nobody_speaks_sooner_because_everybody_had_left() {
    let mut stage = room_with(&[("slow_mode_duration", "300")], Config::default());
    stage.enters(HAG, "hag");
    assert_eq!(says(&mut stage, HAG).len(), 2);
    leaves(&mut stage, HAG, "hag");
    leaves(&mut stage, CRONE, "first");
    stage.advances(200);
    stage.trial.passivate();
    stage.enters(HAG, "hag");
    let refused = [format!("{HAG}: message error wait policy-violation")];
    assert_eq!(says(&mut stage, HAG), refused);
    leaves(&mut stage, HAG, "hag");
    assert!(!may_sleep(&stage));
    stage.advances(100);
    assert!(may_sleep(&stage));
}

#[test]
fn what_was_said_in_a_room_without_an_archive_is_shown_for_a_day_though_everybody_has_left() {
    let mut stage = room_with(&[("enablearchiving", "0")], Config::default());
    assert_eq!(says(&mut stage, CRONE).len(), 1);
    leaves(&mut stage, CRONE, "first");
    stage.advances(DAY - 1);
    stage.trial.passivate();
    assert_eq!(stage.trial.entity.history.len(), 1);
    stage.advances(2);
    assert!(may_sleep(&stage));
    stage.trial.passivate();
    assert_eq!(stage.trial.entity.history.len(), 0);
}

// What it has in rows keeps no room in memory.
#[test]
fn a_room_with_nothing_but_rows_is_put_out_of_memory() {
    let mut stage = room_with(&[("moderatedroom", "1")], Config::default());
    stage.enters(HAG, "hag");
    sets(&mut stage, "<item nick='hag' role='participant'/>");
    assert_eq!(says(&mut stage, CRONE).len(), 2);
    assert!(!may_sleep(&stage), "somebody is inside");
    leaves(&mut stage, HAG, "hag");
    leaves(&mut stage, CRONE, "first");
    assert!(may_sleep(&stage));
}
