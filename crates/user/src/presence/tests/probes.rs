//! Probes (RFC 6121 §4.3, §4.6.6).

use super::stage;

#[test]
fn a_subscriber_gets_the_last_presence_of_each_available_resource_with_its_own_id() {
    let mut stage = stage();
    stage.sends("balcony", "<presence id='b'><show>away</show></presence>");
    stage.sends("chamber", "<presence id='c'/>");
    stage
        .hears("<presence from='romeo@example.net' to='juliet@example.com' type='probe' id='q'/>")
        .is(&[
            "<presence from='juliet@example.com/balcony' to='romeo@example.net' id='b'>\
         <show>away</show></presence>",
            "<presence from='juliet@example.com/chamber' to='romeo@example.net' id='c'/>",
        ]);
}

#[test]
fn a_probe_from_a_resource_is_answered_there() {
    let mut stage = stage();
    stage.sends("balcony", "<presence/>");
    stage
        .hears("<presence from='romeo@example.net/o' to='juliet@example.com' type='probe'/>")
        .is(&["<presence from='juliet@example.com/balcony' to='romeo@example.net/o'/>"]);
}

#[test]
fn a_subscriber_learns_that_nobody_is_there_and_since_when() {
    let mut stage = stage();
    let probe = "<presence from='romeo@example.net' to='juliet@example.com' type='probe' id='q'/>";
    stage.hears(probe).is(&[
        "<presence from='juliet@example.com' to='romeo@example.net' type='unavailable' id='q'/>",
    ]);
    stage.sends("balcony", "<presence/>");
    stage.ends("balcony");
    stage.ends("chamber");
    stage.hears(probe).is(&[
        "<presence from='juliet@example.com' to='romeo@example.net' type='unavailable' id='q'>\
         <delay xmlns='urn:xmpp:delay' from='juliet@example.com' stamp='2023-11-14T22:13:20Z'/>\
         </presence>",
    ]);
}

#[test]
fn a_stranger_learns_nothing_but_that_it_has_no_subscription() {
    let mut stage = stage();
    stage.sends("balcony", "<presence/>");
    for to in ["juliet@example.com", "juliet@example.com/balcony", "juliet@example.com/crypt"] {
        for from in ["paris@example.org/p", "nurse@example.com", "x@y"] {
            let bare = from.split('/').next().unwrap();
            let xml = format!("<presence from='{from}' to='{to}' type='probe' id='q'/>");
            stage.hears(&xml).is(&[&format!(
                "<presence from='juliet@example.com' to='{bare}' type='unsubscribed' id='q'/>"
            )]);
        }
    }
}

#[test]
fn a_probe_of_one_resource_learns_of_that_one_only_and_no_details() {
    let mut stage = stage();
    stage.sends("balcony", "<presence><show>away</show></presence>");
    stage
        .hears("<presence from='romeo@example.net' to='juliet@example.com/balcony' type='probe'/>")
        .is(&["<presence from='juliet@example.com/balcony' to='romeo@example.net'/>"]);
    for resource in ["chamber", "crypt"] {
        let to = format!("juliet@example.com/{resource}");
        let probe = format!("<presence from='romeo@example.net' to='{to}' type='probe' id='q'/>");
        stage.hears(&probe).is(&[&format!(
            "<presence from='{to}' to='romeo@example.net' type='unavailable' id='q'/>"
        )]);
    }
}

// What rooms of its own server ask is another thing (`directed.rs`).
#[test]
fn whoever_got_directed_presence_may_ask_for_that_resource() {
    let mut stage = stage();
    stage.sends(
        "balcony",
        "<presence to='room@conference.example.net/j'><show>dnd</show></presence>",
    );
    stage.sends("chamber", "<presence/>");
    for from in ["room@conference.example.net/j", "room@conference.example.net"] {
        let probe =
            format!("<presence from='{from}' to='juliet@example.com/balcony' type='probe'/>");
        stage
            .hears(&probe)
            .is(&[&format!("<presence from='juliet@example.com/balcony' to='{from}'/>")]);
    }
    let probe = |to: &str| {
        format!("<presence from='room@conference.example.net/j' to='{to}' type='probe'/>")
    };
    stage.hears(&probe("juliet@example.com/chamber")).is(&[
        "<presence from='juliet@example.com' to='room@conference.example.net' type='unsubscribed'/>",
    ]);
    stage.ends("balcony");
    stage.hears(&probe("juliet@example.com")).is(&[
        "<presence from='juliet@example.com' to='room@conference.example.net' type='unsubscribed'/>",
    ]);
}

#[test]
fn another_occupant_of_a_room_may_not_ask() {
    let mut stage = stage();
    stage.sends("balcony", "<presence to='room@conference.example.net/j'/>");
    stage
        .hears(
            "<presence from='room@conference.example.net/x' to='juliet@example.com/balcony' \
             type='probe'/>",
        )
        .is(&["<presence from='juliet@example.com' to='room@conference.example.net' \
               type='unsubscribed'/>"]);
}

#[test]
fn a_clients_own_probe_goes_its_way_without_error() {
    let mut stage = stage();
    stage
        .sends("balcony", "<presence to='romeo@example.net' type='probe'/>")
        .is(&["<presence from='juliet@example.com/balcony' to='romeo@example.net' type='probe'/>"]);
    stage.sends("balcony", "<presence type='probe'/>").is(&[]);
}
