//! XEP-0045 Multi-User Chat. Leaving a room (§7.14), and being removed because nobody is there (§11, §18.1.2).

use std::process::Command;

use super::{enters, made};
use crate::stage::{Stage, play, play_over_restarts};

const USER: &str = "http://jabber.org/protocol/muc#user";

// §7.14
#[test]
fn who_leaves_is_told_first_and_may_say_why() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <presence type='unavailable' to='{{room coven}}/hag'><status>goblins</status></presence>
        hag/pda       receives <presence type='unavailable' from='{{room coven}}/hag'><status>goblins</status>…<x xmlns='{USER}'><item affiliation='none' role='none'/><status code='110'/></x></presence>
        crone/desktop receives <presence type='unavailable' from='{{room coven}}/hag'><status>goblins</status>…<x xmlns='{USER}'><item affiliation='none' role='none' jid='{{hag/pda}}'/></x></presence>
        hag/pda       sends    <message type='groupchat' id='m' to='{{room coven}}'><body>hi</body></message>
        hag/pda       receives <message type='error' id='m'>{{error modify not-acceptable}}</message>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §7.14, last paragraph but two
#[test]
fn who_goes_offline_leaves_all_rooms() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       leaves
        crone/desktop receives <presence type='unavailable' from='{{room coven}}/hag'>…</presence>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §7.14: the same where the socket is lost, and nobody will come back for the session.
#[test]
fn whose_connection_is_lost_leaves_all_rooms() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       vanishes
        crone/desktop receives <presence type='unavailable' from='{{room coven}}/hag'>…</presence>
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §18.1.2, §11.1
#[test]
fn an_occupant_whose_client_answers_with_an_error_is_removed() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <message type='error' id='x' to='{{room coven}}/first'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
        hag/pda       receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='none'/><status code='110'/><status code='333'/></x></presence>
        crone/desktop receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='none'/><status code='333'/></x></presence>
        # Other errors say nothing about who is there.
        crone/desktop sends    <message type='error' id='x' to='{{room coven}}/first'><error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §11.2
#[test]
fn a_service_that_stops_says_so() {
    let stage = Stage::start("");
    stage.add_accounts(&["crone"]);
    let login = town::client::Login {
        address: stage.c2s,
        domain: "localhost",
        name: "crone",
        password: crate::stage::PASSWORD,
    };
    let mut crone = town::Client::log_in(&login);
    crone.bind("desktop");
    let room = "coven@conference.localhost";
    let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
    crone.send(format!("<presence to='{room}/first'>{x}</presence>"));
    while !crone.next().expect("the room answers").is("message", "") {}
    let done = Command::new("kill").arg(stage.pid().to_string()).status().unwrap();
    assert!(done.success());
    let farewell = crone.next().expect("the room says that it stops");
    let x = farewell.child("x", USER).unwrap();
    let codes: Vec<_> = x.children().filter_map(|child| child.attr("code")).collect();
    assert_eq!((farewell.attr("type"), codes), (Some("unavailable"), vec!["110", "332"]));
}

// §11.2: all who are inside of all rooms.
#[test]
fn everybody_in_every_room_hears_that_the_service_stops() {
    let mut stage = Stage::start("");
    let stops = |room: &str, nick: &str| {
        format!(
            "<presence type='unavailable' from='{{room {room}}}/{nick}'>…<x xmlns='{USER}'><item role='none'/><status code='110'/><status code='332'/></x></presence>\n"
        )
    };
    let all = |nick: &str| [stops("coven", nick), stops("heath", nick)].concat();
    play_over_restarts(
        &mut stage,
        &format!(
            "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {}
        {}
        everyone      is quiet
        server        is stopped
        crone/desktop hears {}
        hag/pda       hears {}
        server        starts again
    ",
            made("crone/desktop", "coven", "first"),
            made("crone/desktop", "heath", "first"),
            enters("hag/pda", "coven", "hag", &["crone/desktop"]),
            enters("hag/pda", "heath", "hag", &["crone/desktop"]),
            all("first"),
            all("hag"),
        ),
    );
}
