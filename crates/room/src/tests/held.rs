//! What a room tells of people waits until its second copy knows them, and what follows goes behind it.

use entity::Entity;
use proto::{Receipt, Route};

use super::stage::{self, Stage};
use crate::{hold, queue};

const CRONE: &str = "crone@x.org/desktop";
const HAG: &str = "hag@x.org/pda";
const BAT: &str = "bat@x.org/cave";

/// A room that another member has a copy of.
fn copied() -> Stage {
    let mut stage = Stage::persistent();
    stage.trial.is_copied(true);
    stage.trial.see_to_copy(None);
    learns(&mut stage);
    stage
}

/// The copy learns what it is told; who hears of what then.
fn learns(stage: &mut Stage) -> Vec<String> {
    let told = stage.trial.take_told().into_iter().filter_map(|(_, receipt)| receipt);
    told.for_each(Receipt::release);
    let sent = stage.trial.settle(Route::Room(stage::room()));
    sent.into_iter().map(stage::word).collect()
}

fn knock(who: &str, nick: &str) -> String {
    format!(
        "<presence xmlns='jabber:client' from='{who}' to='coven@chat.x.org/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )
}

fn to(who: &str, said: &[String]) -> usize {
    said.iter().filter(|line| line.starts_with(who)).count()
}

// XEP-0045 §7.14: whoever saw him would see him for ever, if nobody knew of him but an owner that is gone.
#[test]
fn nobody_hears_of_who_has_come_before_the_second_copy_knows_of_him() {
    let mut stage = copied();
    for (who, nick) in [(HAG, "hag"), (BAT, "bat")] {
        assert_eq!(stage.gets(&knock(who, nick)), [""; 0]);
        assert!(!stage.trial.entity.is_settled(), "it does not move meanwhile");
    }
    assert_eq!(stage.trial.entity.occupants.len(), 3, "nobody waits to be let in");
    let said = learns(&mut stage);
    assert_eq!((to(CRONE, &said), to(BAT, &said)), (2, 4), "{said:?}");
    let places = ["hag@x.org/pda: message", "bat@x.org/cave: presence"]
        .map(|line| said.iter().position(|it| it == line));
    assert!(places.is_sorted(), "in order: {said:?}");
    assert!(stage.trial.entity.is_settled());
    let farewell = format!(
        "<presence xmlns='jabber:client' type='unavailable' from='{HAG}' to='coven@chat.x.org/hag'/>"
    );
    assert_eq!(stage.gets(&farewell), [""; 0]);
    assert_eq!(to(CRONE, &learns(&mut stage)), 1);
}

#[test]
fn what_is_said_goes_behind_what_waits_and_waits_for_nothing_else() {
    let mut stage = copied();
    let speaks = |text: &str| {
        format!(
            "<message xmlns='jabber:client' type='groupchat' from='{CRONE}' to='coven@chat.x.org'><body>{text}</body></message>"
        )
    };
    assert_eq!(stage.gets(&speaks("a")), ["crone@x.org/desktop: a"]);
    learns(&mut stage);
    assert_eq!(stage.gets(&knock(HAG, "hag")), [""; 0]);
    assert_eq!(stage.gets(&speaks("b")), [""; 0]);
    let said = learns(&mut stage);
    let to_crone: Vec<&String> = said.iter().filter(|line| line.starts_with(CRONE)).collect();
    assert_eq!(to_crone, ["crone@x.org/desktop: presence", "crone@x.org/desktop: b"]);
    assert_eq!(said.last().map(String::as_str), Some("hag@x.org/pda: b"));
}

#[test]
fn where_nobody_keeps_a_copy_any_more_nothing_waits() {
    let mut stage = copied();
    assert_eq!(stage.gets(&knock(HAG, "hag")), [""; 0]);
    stage.trial.has_standby = false;
    let said = stage.gets(&knock(BAT, "bat"));
    assert_eq!((to(CRONE, &said), to(HAG, &said) > 1), (2, true), "{said:?}");
    assert!(stage.trial.entity.is_settled());
}

/// A room that does no more until its copy has learned what it has done.
fn clogged() -> Stage {
    let mut stage = copied();
    for number in 0..hold::MOST {
        let who = format!("hag{number}@x.org/pda");
        assert_eq!(stage.gets(&knock(&who, &number.to_string())), [""; 0]);
    }
    assert_eq!(stage.trial.entity.occupants.len(), 1 + hold::MOST);
    stage
}

fn first() -> String {
    format!(
        "<message xmlns='jabber:client' type='groupchat' from='{CRONE}' to='coven@chat.x.org'><body>first</body></message>"
    )
}

#[test]
fn a_room_that_has_no_copy_any_more_goes_on_with_what_waits() {
    let mut stage = clogged();
    assert_eq!(stage.gets(&first()), [""; 0]);
    stage.trial.has_standby = false;
    let told = stage.trial.see_to_copy(None);
    assert!(told.len() >= hold::MOST, "what was held back goes");
    let said: Vec<String> =
        stage.trial.settle(Route::Room(stage::room())).into_iter().map(stage::word).collect();
    assert!(said.contains(&format!("{CRONE}: first")), "{said:?}");
}

#[test]
fn a_room_whose_copy_learns_nothing_does_no_more_and_refuses_what_it_cannot_let_wait() {
    let mut stage = clogged();
    for _ in 0..queue::MOST {
        assert_eq!(stage.gets(&first()), [""; 0]);
    }
    assert_eq!(
        stage.gets(&knock(BAT, "bat")),
        [format!("{BAT}: presence error wait resource-constraint")]
    );
    let (mut heard, mut next) = (Vec::new(), learns(&mut stage));
    while !next.is_empty() {
        heard.append(&mut next);
        next = learns(&mut stage);
    }
    // Most of them come faster than one may speak, and each of those is told so.
    let answers =
        ["first", "message error wait policy-violation"].map(|it| format!("{CRONE}: {it}"));
    assert_eq!(heard.iter().filter(|it| answers.contains(it)).count(), queue::MOST);
    assert!(stage.trial.entity.is_settled());
}

#[test]
fn what_waits_is_told_before_the_end_of_the_room() {
    let mut stage = copied();
    assert_eq!(stage.gets(&knock(HAG, "hag")), [""; 0]);
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>";
    let mut said = stage.asks(CRONE, "set", destroy);
    said.extend(learns(&mut stage));
    let to_hag: Vec<&String> = said.iter().filter(|line| line.starts_with(HAG)).collect();
    assert_eq!(to_hag.first().map(|it| it.as_str()), Some("hag@x.org/pda: presence"), "{said:?}");
    assert_eq!(to_hag.last().map(|it| it.as_str()), Some("hag@x.org/pda: presence unavailable"));
}
