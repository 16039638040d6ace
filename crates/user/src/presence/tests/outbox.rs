//! Words of subscription on their way: kept until the contact's home has them, said again where it has not.

use std::time::Duration;

use super::stage::Stage;
use crate::stage::Stage as Account;
use crate::subscription::State;

const SUBSCRIBE: &str =
    "<presence from='juliet@example.com' to='romeo@example.net' type='subscribe' id='s'/>";
const UNSUBSCRIBE: &str =
    "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribe'/>";
const UNSUBSCRIBED: &str =
    "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribed'/>";

fn subscribes() -> Stage {
    let mut stage = Stage::new(&["balcony"]);
    stage
        .sends("balcony", "<presence to='romeo@example.net' type='subscribe' id='s'/>")
        .is(&[SUBSCRIBE]);
    stage
}

/// Something that wakes the account and changes nothing.
fn wakes(stage: &mut Stage) -> super::stage::Heard {
    stage.hears("<presence from='a@b' to='juliet@example.com' type='unavailable'/>")
}

#[test]
fn a_word_that_nobody_confirmed_is_said_again_when_the_account_is_loaded_again() {
    let stage = subscribes();
    let mut again = stage.again();
    wakes(&mut again).is(&[SUBSCRIBE]);
    wakes(&mut again).is(&[]);
    again.are_confirmed();
    let mut later = again.again();
    wakes(&mut later).is(&[]);
    assert_eq!(later.state_of("romeo@example.net"), State::NoneOut);
}

#[test]
fn an_account_stays_awake_until_its_words_are_confirmed() {
    let mut stage = subscribes();
    stage.ends("balcony");
    assert!(!stage.may_sleep());
    stage.are_confirmed();
    assert!(stage.may_sleep());
}

#[test]
fn a_word_that_came_back_is_said_again_after_longer_and_longer() {
    let mut stage = subscribes();
    for wait in [1, 2, 4] {
        stage.are_lost();
        stage.waits(Duration::from_secs(wait) - Duration::from_millis(1)).is(&[]);
        stage.waits(Duration::from_millis(1)).is(&[SUBSCRIBE]);
    }
    stage.are_confirmed();
    stage.waits(Duration::from_secs(600)).is(&[]);
    wakes(&mut stage.again()).is(&[]);
}

#[test]
fn the_last_word_about_a_direction_counts() {
    let mut stage = subscribes();
    stage.sends("balcony", "<presence to='romeo@example.net' type='unsubscribe'/>");
    let mut again = stage.again();
    wakes(&mut again).is(&[UNSUBSCRIBE]);
    // What was said before is confirmed late: it takes nothing with it.
    stage.are_confirmed();
    wakes(&mut stage.again()).is(&[]);
}

#[test]
fn a_removed_contact_hears_of_it_even_if_the_account_is_loaded_again_before() {
    let mut stage = Stage::new(&["balcony"]);
    stage.stands("romeo@example.net", State::Both);
    let removed = "<iq type='set' id='r'><query xmlns='jabber:iq:roster'>\
                   <item jid='romeo@example.net' subscription='remove'/></query></iq>";
    let heard = stage.sends("balcony", removed);
    heard.has(UNSUBSCRIBE);
    heard.has(UNSUBSCRIBED);
    wakes(&mut stage.again()).is(&[UNSUBSCRIBE, UNSUBSCRIBED]);
    stage.are_confirmed();
    wakes(&mut stage.again()).is(&[]);
}

#[test]
fn a_word_that_was_not_kept_is_never_said() {
    let mut stage = Stage::new(&["balcony"]);
    stage.refuses_writes(true);
    let refused = stage.sends("balcony", "<presence to='romeo@example.net' type='subscribe'/>");
    assert!(refused.0[0].contains("type='error'"), "{refused:?}");
    stage.refuses_writes(false);
    wakes(&mut stage).is(&[]);
    wakes(&mut stage.again()).is(&[]);
}

#[test]
fn an_account_that_is_no_more_says_its_last_words_once() {
    let stage = subscribes();
    let mut again = stage.again();
    again.is_no_account();
    wakes(&mut again).is(&[SUBSCRIBE]);
    assert!(!again.closed(), "it would be loaded again by each confirmation, and say it again");
    again.are_confirmed();
    assert!(again.closed());
    wakes(&mut again.again()).is(&[]);
}

// The other side: what it could not keep is not confirmed; what comes twice changes nothing more.
#[test]
fn a_word_is_confirmed_when_what_follows_from_it_is_kept() {
    const ASKS: &str = "<presence from='juliet@y.org' to='romeo@x.org' type='subscribe'/>";
    let mut romeo = Account::new();
    romeo.memory.refuse_writes(Some(store::Error::Full("a test")));
    assert_eq!(romeo.gets_for(ASKS), (vec![], false));
    romeo.memory.refuse_writes(None);
    let session = romeo.available("r", 0);
    assert_eq!(romeo.gets_for(ASKS), (vec!["r: presence subscribe".to_owned()], true));
    assert_eq!(romeo.gets_for(ASKS), (vec![], true));
    romeo.says(session, "<presence to='juliet@y.org' type='subscribed'/>");
    let (said, confirmed) = romeo.gets_for(ASKS);
    assert_eq!((&said[0][..], confirmed), ("to juliet@y.org: presence subscribed", true));
}
