//! Directed presence (RFC 6121 §4.6).

use super::stage;
use crate::config::Accounts;
use crate::subscription::State;

const ROOM: &str = "room@conference.example.com/j";

#[test]
fn directed_presence_goes_its_way_and_is_taken_back_at_the_end() {
    let mut stage = stage();
    stage.sends("balcony", "<presence/>");
    stage.sends("balcony", &format!("<presence to='{ROOM}'><show>dnd</show></presence>")).is(&[
        &format!(
            "<presence from='juliet@example.com/balcony' to='{ROOM}'><show>dnd</show></presence>"
        ),
    ]);
    let later = stage.sends("balcony", "<presence><show>away</show></presence>");
    assert!(!later.0.iter().any(|line| line.contains(ROOM)), "later presence is not for the room");
    stage.ends("balcony").has(&format!(
        "<presence from='juliet@example.com/balcony' to='{ROOM}' type='unavailable'/>"
    ));
}

#[test]
fn a_resource_that_never_was_available_takes_its_directed_presence_back_as_well() {
    let mut stage = stage();
    stage.sends("balcony", "<presence to='romeo@example.net'/>");
    stage.sends("balcony", "<presence type='unavailable'><status>bye</status></presence>").is(&[
        "<presence from='juliet@example.com/balcony' to='romeo@example.net' type='unavailable'>\
         <status>bye</status></presence>",
    ]);
    stage.ends("balcony").is(&[]);
}

#[test]
fn what_the_client_took_back_itself_is_not_taken_back_again() {
    let mut stage = stage();
    stage.sends("balcony", &format!("<presence to='{ROOM}'/>"));
    stage.sends("balcony", &format!("<presence to='{ROOM}' type='unavailable'/>")).is(&[&format!(
        "<presence from='juliet@example.com/balcony' to='{ROOM}' type='unavailable'/>"
    )]);
    stage.ends("balcony").is(&[]);
}

#[test]
fn whoever_says_goodbye_need_not_hear_one() {
    let mut stage = stage();
    stage.sends("balcony", &format!("<presence to='{ROOM}'/>"));
    stage.sends("chamber", &format!("<presence to='{ROOM}'/>"));
    let other = "room@conference.example.com/other";
    for (from, left) in [(other, 1), (ROOM, 0)] {
        stage.hears(&format!(
            "<presence from='{from}' to='juliet@example.com/balcony' type='unavailable'/>"
        ));
        assert_eq!((stage.directed("balcony"), stage.directed("chamber")), (left, 1), "{from}");
    }
    stage.hears(
        "<presence from='room@conference.example.com' to='juliet@example.com' type='unavailable'/>",
    );
    assert_eq!(stage.directed("chamber"), 0);
}

#[test]
fn a_subscriber_is_told_once() {
    let mut stage = stage();
    stage.sends("balcony", "<presence to='mercutio@example.com'/>");
    stage.sends("balcony", "<presence/>");
    stage.sends("balcony", "<presence to='romeo@example.net'/>");
    assert_eq!(stage.directed("balcony"), 1, "a subscriber of an available resource is not noted");
    let gone = stage.ends("balcony");
    for to in ["mercutio@example.com", "romeo@example.net"] {
        let told = gone.0.iter().filter(|line| line.contains(&format!("to='{to}'"))).count();
        assert_eq!(told, 1, "{to}");
    }
}

#[test]
fn a_subscription_that_ends_takes_the_directed_presence_with_it() {
    let mut stage = stage();
    stage.stands("tybalt@example.org", State::From);
    stage.sends("balcony", "<presence/>");
    stage.sends("balcony", "<presence to='tybalt@example.org'/>");
    stage.sends("balcony", "<presence to='tybalt@example.org' type='unsubscribed'/>").has(
        "<presence from='juliet@example.com/balcony' to='tybalt@example.org' type='unavailable'/>",
    );
}

#[test]
fn more_addresses_than_can_be_remembered_are_refused() {
    let mut stage = stage();
    for number in 0..Accounts::default().directed_presence {
        stage.sends("balcony", &format!("<presence to='r{number}@example.org'/>"));
    }
    let refused = stage.sends("balcony", "<presence to='more@example.org' id='d'/>");
    assert_eq!(refused.0.len(), 1);
    assert!(refused.0[0].starts_with(
        "balcony: <presence from='more@example.org' to='juliet@example.com/balcony' type='error' id='d'>\
         <error type='wait'><resource-constraint"
    ));
    let known = stage.sends("balcony", "<presence to='r7@example.org'/>");
    known.is(&["<presence from='juliet@example.com/balcony' to='r7@example.org'/>"]);
    stage.sends("balcony", "<presence to='r7@example.org' type='unavailable'/>");
    stage
        .sends("balcony", "<presence to='more@example.org'/>")
        .is(&["<presence from='juliet@example.com/balcony' to='more@example.org'/>"]);
}
