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

/// What a room says of an occupant.
fn of_room(nick: &str, ty: &str, more: &str) -> String {
    format!(
        "<presence from='room@conference.example.com/{nick}' to='juliet@example.com/balcony'{ty}>\
         <x xmlns='http://jabber.org/protocol/muc#user'>{more}</x></presence>"
    )
}

// XEP-0045 §7.2.2, §7.6, §7.14
#[test]
fn a_session_is_inside_where_a_room_has_let_it_in_and_as_long_as_it_is_there() {
    let at = |nick: &str| vec![format!("room@conference.example.com/{nick}")];
    let mut stage = stage();
    stage.sends("balcony", &format!("<presence to='{ROOM}'/>"));
    stage.hears(&of_room("other", "", "<item role='participant'/>"));
    assert_eq!(stage.inside("balcony"), [""; 0], "nobody has let it in yet");
    stage.hears(&of_room("assigned", "", "<status code='110'/><status code='210'/>"));
    assert_eq!(stage.inside("balcony"), at("assigned"));
    let renamed = "<item nick='k'/><status code='110'/><status code='303'/>";
    stage.hears(&of_room("assigned", " type='unavailable'", renamed));
    assert_eq!(stage.inside("balcony"), at("k"));
    stage.hears(&of_room("k", " type='unavailable'", "<status code='110'/><status code='307'/>"));
    assert_eq!(stage.inside("balcony"), [""; 0]);
    stage.sends("balcony", &format!("<presence to='{ROOM}'/>"));
    stage.hears(&of_room("k", "", "<status code='110'/>"));
    assert_eq!(stage.inside("balcony"), at("k"));
    stage.sends("balcony", &format!("<presence to='{ROOM}' type='unavailable'/>"));
    assert_eq!(stage.inside("balcony"), [""; 0], "it has left, whatever the room knows");
    stage.hears(&of_room("k", "", "<status code='110'/>"));
    assert_eq!(stage.inside("balcony"), [""; 0], "no room is entered by somebody else's word");
}

// XEP-0045 §7.14, §7.2.2: the room answers in order, and what others do under the nick that is asked for is not of the session.
#[test]
fn a_session_that_leaves_a_room_and_comes_in_again_at_once_is_inside() {
    let mut stage = stage();
    let farewell = of_room("j", " type='unavailable'", "<status code='110'/>");
    let renamed = of_room("j", " type='unavailable'", "<item nick='k'/><status code='303'/>");
    for before in [&farewell, &renamed] {
        stage.sends("balcony", "<presence to='room@conference.example.com/j'/>");
        stage.hears(&of_room("j", "", "<status code='110'/>"));
        stage.sends("balcony", "<presence to='room@conference.example.com/j' type='unavailable'/>");
        stage.sends("balcony", "<presence to='room@conference.example.com/j'/>");
        stage.hears(before);
        stage.hears(&of_room("j", "", "<status code='110'/>"));
        assert_eq!(stage.inside("balcony"), ["room@conference.example.com/j"], "{before}");
    }
}

// What two clients of one occupant cause may come to one that has left, and asks for another nick: so it would claim to be
// inside although that is refused.
#[test]
fn what_a_room_has_said_before_a_farewell_does_not_outlive_it() {
    let mut stage = stage();
    stage.sends("balcony", "<presence to='room@conference.example.com/j'/>");
    stage.hears(&of_room("j", "", "<status code='110'/>"));
    stage.sends("balcony", "<presence to='room@conference.example.com/j' type='unavailable'/>");
    stage.sends("balcony", "<presence to='room@conference.example.com/k'/>");
    stage.hears(&of_room("j", "", "<status code='110'/>"));
    stage.hears(&of_room("j", " type='unavailable'", "<status code='110'/>"));
    assert_eq!(stage.inside("balcony"), [""; 0]);
    assert_eq!(stage.directed("balcony"), 1, "it may be let in still");
}

// XEP-0045 §7.14: the room, or the account, has another owner, who may not know all.
#[test]
fn a_room_of_its_server_that_asks_for_a_session_hears_if_it_is_not_there_or_keeps_it() {
    let asks = |resource: &str| {
        format!("<presence from='{ROOM}' to='juliet@example.com/{resource}' type='probe'/>")
    };
    let gone = |resource: &str| {
        format!("<presence from='juliet@example.com/{resource}' to='{ROOM}' type='unavailable'/>")
    };
    let mut stage = stage();
    stage.hears(&asks("nowhere")).is(&[&gone("nowhere")]);
    stage.hears(&asks("balcony")).is(&[&gone("balcony")]);
    stage.sends("balcony", &format!("<presence to='{ROOM}'/>"));
    stage.hears(&asks("balcony")).is(&[]);
    assert_eq!(stage.inside("balcony").len(), 1, "the room says so");
    stage.is_brought_back("chamber");
    stage.hears(&asks("chamber")).is(&[]);
    assert_eq!((stage.directed("chamber"), stage.inside("chamber").len()), (1, 1));
    stage.ends("chamber").has(&gone("chamber"));
}

// XEP-0045 §7.2.8
#[test]
fn a_nick_that_a_room_of_its_server_refuses_is_not_remembered() {
    let refused = |nick: &str| {
        format!(
            "<presence from='room@conference.example.com/{nick}' to='juliet@example.com/balcony' type='error'>\
             <error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
        )
    };
    let mut stage = stage();
    stage.sends("balcony", "<presence to='room@conference.example.com/j'/>");
    stage.hears(&of_room("j", "", "<status code='110'/>"));
    stage.sends("balcony", "<presence to='room@conference.example.com/taken'/>");
    assert_eq!(stage.directed("balcony"), 2);
    stage.hears(&refused("taken"));
    assert_eq!(stage.directed("balcony"), 1);
    stage.hears(&refused("j"));
    assert_eq!(stage.directed("balcony"), 1, "it is inside under this one");
    assert_eq!(stage.inside("balcony"), ["room@conference.example.com/j"]);
}

// XEP-0045 §7.14: also where the owner of the room does not know yet who has left.
#[test]
fn a_session_hears_a_room_of_its_server_until_it_has_left() {
    let said = "<message from='room@conference.example.com/other' to='juliet@example.com/balcony' \
                type='groupchat'><body>hi</body></message>";
    let mut stage = stage();
    assert_eq!(stage.hears(said).0.len(), 0, "it was never there");
    stage.sends("balcony", &format!("<presence to='{ROOM}'/>"));
    stage.hears(&of_room("j", "", "<status code='110'/>"));
    assert_eq!(stage.hears(said).0.len(), 1);
    stage.sends("balcony", &format!("<presence to='{ROOM}' type='unavailable'/>"));
    assert_eq!(stage.hears(said).0.len(), 0, "it has left");
    stage.sends("balcony", &format!("<presence to='{ROOM}'/>"));
    stage.hears(&of_room("j", "", "<status code='110'/>"));
    stage.hears(&of_room("j", " type='unavailable'", "<status code='110'/><status code='307'/>"));
    assert_eq!(stage.hears(said).0.len(), 0, "it was removed");
    stage.sends("balcony", &format!("<presence to='{ROOM}'/>"));
    stage.hears(&of_room("assigned", "", "<status code='110'/><status code='210'/>"));
    assert_eq!(stage.directed("balcony"), 1, "it has asked for another nick");
    let removed = "<status code='110'/><status code='307'/>";
    stage.hears(&of_room("assigned", " type='unavailable'", removed));
    assert_eq!(stage.hears(said).0.len(), 0, "it was removed under the nick that it was given");
    let elsewhere = said.replace("conference.example.com", "rooms.example.net");
    assert_eq!(
        stage.hears(&elsewhere).0.len(),
        1,
        "of rooms elsewhere nobody else knows who is inside"
    );
}

// XEP-0045 §7.14: also a room that subscribes, as imported ones may, is known to have the session inside.
#[test]
fn a_room_of_its_server_that_is_a_subscriber_is_remembered_as_any_other() {
    let said = "<message from='room@conference.example.com/other' to='juliet@example.com/balcony' \
                type='groupchat'><body>hi</body></message>";
    let mut stage = stage();
    stage.stands("room@conference.example.com", State::From);
    stage.sends("balcony", "<presence/>");
    stage.sends("balcony", &format!("<presence to='{ROOM}'/>"));
    assert_eq!(stage.directed("balcony"), 1);
    stage.hears(&of_room("j", "", "<status code='110'/>"));
    assert_eq!(stage.inside("balcony"), [ROOM]);
    assert_eq!(stage.hears(said).0.len(), 1);
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
