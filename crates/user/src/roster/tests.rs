//! The roster by what clients ask of it.

use std::time::Duration;

use proto::Now;
use xmpp::{BareJid, Element, StanzaCondition};

use super::iq::{GROUP_BYTES_MAX, GROUPS_MAX, NAME_BYTES_MAX, parse};
use super::{Item, Roster};
use crate::presence::tests::stage::Stage;
use crate::subscription::State;

/// The time at which a trial begins.
const FIRST: u64 = 1_700_000_000_000_000;

fn set(id: &str, item: &str) -> String {
    format!("<iq type='set' id='{id}'><query xmlns='jabber:iq:roster'>{item}</query></iq>")
}

fn get(ver: &str) -> String {
    format!("<iq type='get' id='g'><query xmlns='jabber:iq:roster' {ver}/></iq>")
}

fn result(id: &str) -> String {
    format!("balcony: <iq to='juliet@example.com/balcony' type='result' id='{id}'/>")
}

fn roster(ver: u64, items: &str) -> String {
    format!(
        "balcony: <iq to='juliet@example.com/balcony' type='result' id='g'>\
         <query xmlns='jabber:iq:roster' ver='{ver:x}'>{items}</query></iq>"
    )
}

fn push(resource: &str, ver: u64, item: &str) -> String {
    format!(
        "{resource}: <iq from='juliet@example.com' to='juliet@example.com/{resource}' type='set' \
         id='push-{ver:x}'><query xmlns='jabber:iq:roster' ver='{ver:x}'>{item}</query></iq>"
    )
}

#[test]
fn an_empty_roster_is_an_empty_query() {
    let mut stage = Stage::new(&["balcony"]);
    stage.sends("balcony", &get("")).is(&[&roster(0, "")]);
    stage.sends("balcony", &get("ver=''")).is(&[&roster(0, "")]);
    stage.sends("balcony", &get("ver='0'")).is(&[&result("g")]);
}

#[test]
fn a_set_is_answered_kept_and_pushed_to_interested_resources() {
    let mut stage = Stage::new(&["balcony", "chamber", "crypt"]);
    stage.sends("balcony", &get(""));
    stage.sends("chamber", &get(""));
    let item = "<item jid='nurse@example.com' name='Nurse' subscription='none'>\
                <group>Servants</group></item>";
    let asked = "<item jid='Nurse@example.com' name='Nurse' subscription='both' ask='subscribe' \
                 approved='true'><group>Servants</group></item>";
    stage.sends("balcony", &set("s", asked)).is(&[
        &result("s"),
        &push("balcony", FIRST, item),
        &push("chamber", FIRST, item),
    ]);
    assert!(stage.again().roster().iter().eq(stage.roster().iter()));
    stage.sends("balcony", &get("")).is(&[&roster(FIRST, item)]);
}

#[test]
fn an_update_puts_name_and_groups_in_place_and_leaves_the_subscription() {
    let mut stage = Stage::new(&["balcony"]);
    stage.stands("romeo@example.net", State::FromOut);
    stage.sends(
        "balcony",
        &set("a", "<item jid='romeo@example.net' name='R'><group>G</group></item>"),
    );
    stage.sends("balcony", &set("b", "<item jid='romeo@example.net' name=''/>"));
    let item = "<item jid='romeo@example.net' subscription='from' ask='subscribe'/>";
    stage.sends("balcony", &get("")).is(&[&roster(FIRST + 2, item)]);
}

#[test]
fn a_set_that_is_not_kept_is_refused_and_changes_nothing() {
    let mut stage = Stage::new(&["balcony"]);
    stage.sends("balcony", &get(""));
    stage.refuses_writes(true);
    let refused = stage.sends("balcony", &set("s", "<item jid='romeo@example.net'/>"));
    assert_eq!(refused.0.len(), 1);
    assert!(refused.0[0].contains("type='error' id='s'"), "{refused:?}");
    assert_eq!(stage.roster().len(), 0);
    stage.refuses_writes(false);
    let version = FIRST + 1;
    stage.sends("balcony", &get(&format!("ver='{FIRST:x}'"))).is(&[&roster(version, "")]);
}

#[test]
fn edits_that_follow_each_other_are_taken_back_together_or_the_last_one_stands() {
    let owner = BareJid::parse("juliet@example.com").unwrap();
    let contact = BareJid::parse("romeo@example.net").unwrap();
    let now = Now { unix_micros: FIRST, elapsed: Duration::ZERO };
    let mut roster = Roster::default();
    let put = |roster: &mut Roster, name: &str| {
        let item = Item { name: name.into(), ..Item::default() };
        let mut edit = roster.put(&owner, &contact, item, now);
        edit.undo.left = roster.marks(&contact);
        edit.undo
    };
    let (first, second) = (put(&mut roster, "first"), put(&mut roster, "second"));
    roster.undo(first);
    let name = roster.iter().next().map(|(_, item)| item.name.to_string());
    assert_eq!(name.as_deref(), Some("second"));
    roster.undo(second);
    assert_eq!(roster.len(), 0);
    assert!(roster.refused.is_empty());
}

#[test]
fn a_removal_ends_the_subscriptions_both_ways() {
    let mut stage = Stage::new(&["balcony"]);
    stage.sends("balcony", "<presence/>");
    stage.sends("balcony", &get(""));
    stage.stands("romeo@example.net", State::Both);
    let removed = "<item jid='romeo@example.net' subscription='remove'/>";
    stage.sends("balcony", &set("r", removed)).is(&[
        &result("r"),
        &push("balcony", FIRST + 1, removed),
        "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribe'/>",
        "<presence from='juliet@example.com/balcony' to='romeo@example.net' type='unavailable'/>",
        "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribed'/>",
    ]);
    assert_eq!(stage.again().roster().len(), 0);
    let refused = stage.sends("balcony", &set("r", removed));
    assert!(refused.0[0].contains("<item-not-found"), "{refused:?}");
}

#[test]
fn a_removal_takes_back_a_request_and_leaves_that_of_the_contact() {
    let mut stage = Stage::new(&["balcony"]);
    stage.stands("romeo@example.net", State::NoneOutIn);
    let removed = "<item jid='romeo@example.net' subscription='remove'/>";
    stage.sends("balcony", &set("r", removed)).is(&[
        &result("r"),
        "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribe'/>",
    ]);
    assert_eq!(stage.state_of("romeo@example.net"), State::NoneIn);
    stage.stands("nurse@example.com", State::None);
    let removed = "<item jid='nurse@example.com' subscription='remove'/>";
    stage.sends("balcony", &set("r", removed));
}

#[test]
fn a_cache_is_brought_up_to_date_by_pushes_in_order_of_change() {
    let mut stage = Stage::new(&["balcony"]);
    for name in ["a", "b", "c", "d"] {
        stage.sends("balcony", &set("s", &format!("<item jid='{name}@example.com'/>")));
    }
    stage.sends("balcony", &set("s", "<item jid='d@example.com' name='D'/>"));
    stage.sends("balcony", &set("s", "<item jid='a@example.com' name='A'/>"));
    stage.sends("balcony", &get(&format!("ver='{:x}'", FIRST + 3))).is(&[
        &result("g"),
        &push("balcony", FIRST + 4, "<item jid='d@example.com' name='D' subscription='none'/>"),
        &push("balcony", FIRST + 5, "<item jid='a@example.com' name='A' subscription='none'/>"),
    ]);
    stage.sends("balcony", &get(&format!("ver='{:x}'", FIRST + 5))).is(&[&result("g")]);
}

#[test]
fn the_whole_roster_comes_where_pushes_would_not_do() {
    let mut stage = Stage::new(&["balcony"]);
    for name in ["a", "b", "c"] {
        stage.sends("balcony", &set("s", &format!("<item jid='{name}@example.com'/>")));
    }
    let whole = |stage: &mut Stage, ver: &str| {
        let heard = stage.sends("balcony", &get(&format!("ver='{ver}'")));
        heard.0.len() == 1 && heard.0[0].contains("<query")
    };
    assert!(whole(&mut stage, &format!("{FIRST:x}")), "more than half has changed");
    assert!(whole(&mut stage, &format!("{:x}", FIRST + 9)), "a version that was never given");
    assert!(whole(&mut stage, "ver14"), "not a version of ours");
    assert!(!whole(&mut stage, &format!("{:x}", FIRST + 1)), "one of three has changed");
    stage.sends("balcony", &set("r", "<item jid='a@example.com' subscription='remove'/>"));
    assert!(whole(&mut stage, &format!("{:x}", FIRST + 2)), "from before a removal");
    assert!(!whole(&mut stage, &format!("{:x}", FIRST + 3)), "the version of the removal");
}

#[test]
fn versions_grow_over_the_loss_of_the_roster() {
    let mut stage = Stage::new(&["balcony"]);
    stage.sends("balcony", &set("s", "<item jid='a@example.com'/>"));
    let mut again = stage.again();
    again.stands("b@example.com", State::To);
    let versions: Vec<u64> = again.roster().iter().map(|(_, item)| item.version).collect();
    assert_eq!(versions, [FIRST, FIRST + 1]);
}

#[test]
fn a_full_roster_takes_changes_and_no_new_items() {
    let mut stage = Stage::new(&["balcony"]);
    for number in 0..8 {
        stage.sends("balcony", &set("s", &format!("<item jid='c{number}@example.com'/>")));
    }
    let refused = stage.sends("balcony", &set("s", "<item jid='more@example.com'/>"));
    assert!(refused.0[0].contains("<resource-constraint"), "{refused:?}");
    stage.sends("balcony", &set("s", "<item jid='c1@example.com' name='C'/>")).is(&[&result("s")]);
}

#[test]
fn the_account_is_no_item_of_its_own_roster() {
    let mut stage = Stage::new(&["balcony"]);
    let refused = stage.sends("balcony", &set("s", "<item jid='juliet@example.com'/>"));
    assert!(refused.0[0].contains("<not-allowed"), "{refused:?}");
}

#[test]
fn a_stranger_neither_sees_nor_changes_the_roster() {
    let mut stage = Stage::new(&["balcony"]);
    stage.stands("romeo@example.net", State::Both);
    for (ty, item) in [("get", ""), ("set", "<item jid='romeo@example.net'/>")] {
        let refused = stage.hears(&format!(
            "<iq from='romeo@example.net/o' to='juliet@example.com' type='{ty}' id='x'>\
             <query xmlns='jabber:iq:roster'>{item}</query></iq>"
        ));
        assert_eq!(refused.0.len(), 1);
        assert!(refused.0[0].contains("<forbidden"), "{refused:?}");
    }
}

#[test]
fn answers_to_pushes_are_ignored() {
    let mut stage = Stage::new(&["balcony"]);
    stage.sends("balcony", "<iq type='result' id='push-1'/>").is(&[]);
    let error = "<iq type='error' id='push-1' to='juliet@example.com'><error type='cancel'/></iq>";
    stage.sends("balcony", error).is(&[]);
}

#[test]
fn a_get_with_items_is_a_bad_request() {
    let mut stage = Stage::new(&["balcony"]);
    let wrong =
        "<iq type='get' id='g'><query xmlns='jabber:iq:roster'><item jid='a@b'/></query></iq>";
    assert!(stage.sends("balcony", wrong).0[0].contains("<bad-request"));
}

#[test]
fn sets_that_break_the_rules_get_the_error_of_the_rule() {
    let long = |bytes: usize| "x".repeat(bytes);
    let groups = |count: usize| -> String {
        (0..count).map(|number| format!("<group>{number}</group>")).collect()
    };
    let cases = [
        (String::new(), StanzaCondition::BadRequest),
        ("<item/>".into(), StanzaCondition::BadRequest),
        ("<item jid='a@b'/><item jid='c@d'/>".into(), StanzaCondition::BadRequest),
        ("<item jid='a@b/c'/>".into(), StanzaCondition::BadRequest),
        ("<item jid='@b'/>".into(), StanzaCondition::JidMalformed),
        (
            "<item jid='a@b'><group>g</group><group>g</group></item>".into(),
            StanzaCondition::BadRequest,
        ),
        ("<item jid='a@b'><group/></item>".into(), StanzaCondition::NotAcceptable),
        (
            format!("<item jid='a@b' name='{}'/>", long(NAME_BYTES_MAX + 1)),
            StanzaCondition::NotAcceptable,
        ),
        (
            format!("<item jid='a@b'><group>{}</group></item>", long(GROUP_BYTES_MAX + 1)),
            StanzaCondition::NotAcceptable,
        ),
        (
            format!("<item jid='a@b'>{}</item>", groups(GROUPS_MAX + 1)),
            StanzaCondition::NotAcceptable,
        ),
    ];
    for (items, condition) in cases {
        let query = format!("<query xmlns='jabber:iq:roster'>{items}</query>");
        let error = parse(&Element::parse(query.as_bytes()).unwrap()).unwrap_err();
        assert_eq!(error.condition, condition, "{items:.80}");
    }
    let full = format!(
        "<query xmlns='jabber:iq:roster'><item jid='a@b' name='{}'>{}</item></query>",
        long(NAME_BYTES_MAX),
        groups(GROUPS_MAX)
    );
    assert!(parse(&Element::parse(full.as_bytes()).unwrap()).is_ok());
}
