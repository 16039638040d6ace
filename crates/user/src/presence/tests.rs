//! Presence and subscriptions by what goes in and what comes out.

mod blocked;
mod directed;
mod outbox;
mod probes;
pub(crate) mod stage;
mod subscriptions;

use stage::Stage;
use xmpp::{Head, Kind, PresenceType, Stanza};

use super::broadcast::priority;
use crate::subscription::State;

/// Romeo sees Juliet, Juliet sees the nurse, and Paris and Juliet have nothing to do with each other.
fn stage() -> Stage {
    let mut stage = Stage::new(&["balcony", "chamber"]);
    stage.stands("romeo@example.net", State::Both);
    stage.stands("nurse@example.com", State::To);
    stage.stands("mercutio@example.com", State::From);
    stage.stands("paris@example.org", State::None);
    stage
}

#[test]
fn initial_presence_is_shown_to_subscribers_and_to_itself_and_asks_for_that_of_contacts() {
    let mut stage = stage();
    stage.sends("balcony", "<presence id='p1'><show>away</show></presence>").is(&[
        "<presence from='juliet@example.com/balcony' to='mercutio@example.com' id='p1'>\
         <show>away</show></presence>",
        "<presence from='juliet@example.com/balcony' to='romeo@example.net' id='p1'>\
         <show>away</show></presence>",
        "balcony: <presence from='juliet@example.com/balcony' to='juliet@example.com/balcony' \
         id='p1'><show>away</show></presence>",
        "<presence from='juliet@example.com/balcony' to='nurse@example.com' type='probe'/>",
        "<presence from='juliet@example.com' to='romeo@example.net' type='probe'/>",
    ]);
}

#[test]
fn a_second_resource_and_the_first_learn_of_each_other() {
    let mut stage = stage();
    stage.sends("chamber", "<presence><priority>5</priority></presence>");
    let heard = stage.sends("balcony", "<presence/>");
    heard.has(
        "chamber: <presence from='juliet@example.com/balcony' to='juliet@example.com/chamber'/>",
    );
    heard.has(
        "balcony: <presence from='juliet@example.com/chamber' to='juliet@example.com/balcony'>\
         <priority>5</priority></presence>",
    );
}

#[test]
fn later_presence_is_shown_without_asking_again() {
    let mut stage = stage();
    stage.sends("balcony", "<presence/>");
    stage.sends("balcony", "<presence><show>dnd</show></presence>").is(&[
        "<presence from='juliet@example.com/balcony' to='mercutio@example.com'>\
         <show>dnd</show></presence>",
        "<presence from='juliet@example.com/balcony' to='romeo@example.net'>\
         <show>dnd</show></presence>",
        "balcony: <presence from='juliet@example.com/balcony' to='juliet@example.com/balcony'>\
         <show>dnd</show></presence>",
    ]);
}

#[test]
fn unavailable_presence_is_shown_whole_to_subscribers_resources_and_the_one_that_sent_it() {
    let mut stage = stage();
    stage.sends("balcony", "<presence/>");
    stage.sends("chamber", "<presence/>");
    let gone = "<presence type='unavailable'><status>vacation</status></presence>";
    stage.sends("balcony", gone).is(&[
        "<presence from='juliet@example.com/balcony' to='mercutio@example.com' type='unavailable'>\
         <status>vacation</status></presence>",
        "<presence from='juliet@example.com/balcony' to='romeo@example.net' type='unavailable'>\
         <status>vacation</status></presence>",
        "chamber: <presence from='juliet@example.com/balcony' to='juliet@example.com/chamber' \
         type='unavailable'><status>vacation</status></presence>",
        "balcony: <presence from='juliet@example.com/balcony' to='juliet@example.com/balcony' \
         type='unavailable'><status>vacation</status></presence>",
    ]);
    stage.sends("balcony", gone).is(&[]);
}

#[test]
fn a_session_that_ends_without_a_word_is_shown_as_unavailable() {
    let mut stage = stage();
    stage.sends("balcony", "<presence/>");
    stage.sends("chamber", "<presence/>");
    stage.ends("balcony").is(&[
        "<presence from='juliet@example.com/balcony' to='mercutio@example.com' type='unavailable'/>",
        "<presence from='juliet@example.com/balcony' to='romeo@example.net' type='unavailable'/>",
        "chamber: <presence from='juliet@example.com/balcony' to='juliet@example.com/chamber' \
         type='unavailable'/>",
    ]);
}

#[test]
fn a_session_that_never_was_available_ends_in_silence() {
    stage().ends("balcony").is(&[]);
}

#[test]
fn presence_after_unavailable_is_initial_again() {
    let mut stage = stage();
    stage.sends("balcony", "<presence/>");
    stage.sends("balcony", "<presence type='unavailable'/>");
    let again = stage.sends("balcony", "<presence/>");
    again.has("<presence from='juliet@example.com' to='romeo@example.net' type='probe'/>");
}

#[test]
fn a_wrong_priority_is_a_bad_request_and_changes_nothing() {
    let mut stage = stage();
    stage.sends("balcony", "<presence id='p'><priority>128</priority></presence>").is(&[
        "balcony: <presence from='juliet@example.com' to='juliet@example.com/balcony' type='error' \
         id='p'><error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>\
         a priority is a number from -128 to 127</text></error></presence>",
    ]);
    stage.ends("balcony").is(&[]);
}

#[test]
fn a_priority_is_one_number_from_minus_128_to_127() {
    let cases = [
        ("", Some(0)),
        ("<priority>-128</priority>", Some(-128)),
        ("<priority> 127\n</priority>", Some(127)),
        ("<priority>+5</priority>", Some(5)),
        ("<priority xmlns='urn:other'>900</priority>", Some(0)),
        ("<priority>-129</priority>", None),
        ("<priority>128</priority>", None),
        ("<priority/>", None),
        ("<priority>high</priority>", None),
        ("<priority>1.0</priority>", None),
        ("<priority>1<x/></priority>", None),
        ("<priority>1</priority><priority>2</priority>", None),
    ];
    for (inner, expected) in cases {
        let kind = Kind::Presence(PresenceType::Available);
        let head = Head { kind, id: None, from: None, to: None, lang: None };
        assert_eq!(priority(&Stanza::new(head, inner)).ok(), expected, "{inner}");
    }
}

#[test]
fn presence_of_others_goes_to_available_resources_or_to_the_one_it_names() {
    let mut stage = stage();
    stage.sends("balcony", "<presence/>");
    let to_all = "<presence from='romeo@example.net/orchard' to='juliet@example.com'/>";
    stage.hears(to_all).is(&[&format!("balcony: {to_all}")]);
    let to_one = "<presence from='romeo@example.net/orchard' to='juliet@example.com/chamber'/>";
    stage.hears(to_one).is(&[&format!("chamber: {to_one}")]);
    stage
        .hears("<presence from='romeo@example.net/orchard' to='juliet@example.com/crypt'/>")
        .is(&[]);
}

#[test]
fn nothing_but_a_probe_is_answered_where_there_is_no_account() {
    let mut stage = stage();
    stage.is_no_account();
    for ty in ["subscribe", "subscribed", "unsubscribe", "unsubscribed", "unavailable", "error"] {
        let xml = format!("<presence from='a@b' to='juliet@example.com' type='{ty}'/>");
        stage.hears(&xml).is(&[]);
    }
    stage
        .hears("<presence from='a@b/c' to='juliet@example.com' type='probe' id='q'/>")
        .is(&["<presence from='juliet@example.com' to='a@b' type='unsubscribed' id='q'/>"]);
}

#[test]
fn an_error_reaches_the_resource_that_caused_it_and_is_never_answered() {
    let mut stage = stage();
    stage.sends("balcony", "<presence/>");
    let error = "<presence from='room@conference.example.com/j' to='juliet@example.com/balcony' \
                 type='error'><error type='cancel'/></presence>";
    stage.hears(error).is(&[&format!("balcony: {error}")]);
    stage
        .hears("<presence from='romeo@example.net' to='juliet@example.com' type='error'/>")
        .is(&[]);
    stage
        .hears("<presence from='romeo@example.net' to='juliet@example.com/x' type='error'/>")
        .is(&[]);
}

#[test]
fn an_error_about_a_request_that_waits_reaches_the_clients() {
    let mut stage = stage();
    stage.stands("lost@example.org", State::NoneOut);
    stage.sends("balcony", "<presence/>");
    let error = "<presence from='lost@example.org' to='juliet@example.com' type='error'/>";
    stage.hears(error).is(&[&format!("balcony: {error}")]);
}
