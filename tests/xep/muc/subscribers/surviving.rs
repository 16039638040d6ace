//! MUC/Sub: people who hear rooms whose owner dies. Each story has several rooms, so that whoever dies owns some.

use super::super::made;
use super::{NS, asks, nodes, said, subscribes};
use crate::stage::play_over_deaths;

const ROOMS: [&str; 4] = ["coven", "heath", "moor", "dell"];

/// Crone is inside of every room; hag, whose home and socket are on these members, hears all of them.
fn all_heard((home, edge): (char, char)) -> String {
    let mut story = format!(
        "
        crone lives on c
        crone/desktop connects on c
        hag lives on {home}
        hag/pda connects on {edge}
        "
    );
    for room in ROOMS {
        story += &made("crone/desktop", room, "first");
        story += &subscribes("hag/pda", room, "hag", &["messages"]);
    }
    story
}

fn says(who: &str, id: &str) -> String {
    let say = |room: &str| {
        format!(
            "{who} sends <message type='groupchat' id='{room}-{id}' to='{{room {room}}}'><body>{id}</body></message>\n"
        )
    };
    ROOMS.map(say).concat()
}

/// Crone hears it inside, once in every room.
fn crone_hears(id: &str) -> String {
    let heard = |room: &str| {
        format!("<message type='groupchat' id='{room}-{id}'><body>{id}</body>…</message>\n")
    };
    format!("crone/desktop hears {}", ROOMS.map(heard).concat())
}

/// Hag hears it outside, once of every room.
fn hag_hears(nick: &str, id: &str) -> String {
    format!("hag/pda hears {}", ROOMS.map(|room| said(room, nick, id) + "\n").concat())
}

fn hag_finds_her_rooms() -> String {
    let line = |room: &str| {
        let nodes = nodes(&["messages"]);
        format!("<subscription jid='{{room {room}}}' nick='hag'>{nodes}</subscription>")
    };
    let answer =
        format!("<subscriptions xmlns='{NS}'>{}</subscriptions>", ROOMS.map(line).concat());
    asks(
        "hag/pda",
        "get",
        "conference.{domain}",
        &format!("<subscriptions xmlns='{NS}'/>"),
        &answer,
    )
}

#[test]
fn somebody_goes_on_hearing_and_speaking_when_one_owner_after_the_other_dies() {
    play_over_deaths(&format!(
        "
        {}
        everyone is quiet
        server a dies
        {}{}{}
        {}
        everyone is quiet
        server b dies
        {}{}{}
        {}
        everyone is quiet
        ",
        all_heard(('b', 'c')),
        says("crone/desktop", "1"),
        crone_hears("1"),
        hag_hears("first", "1"),
        hag_finds_her_rooms(),
        says("hag/pda", "2"),
        crone_hears("2"),
        hag_hears("hag", "2"),
        hag_finds_her_rooms(),
    ));
}

#[test]
fn what_is_under_way_when_the_owner_dies_is_heard_outside_once() {
    play_over_deaths(&format!(
        "
        {}
        everyone is quiet
        {}
        server a dies
        {}{}
        everyone is quiet
        {}{}{}
        everyone is quiet
        ",
        all_heard(('c', 'c')),
        says("crone/desktop", "1"),
        crone_hears("1"),
        hag_hears("first", "1"),
        says("hag/pda", "2"),
        crone_hears("2"),
        hag_hears("hag", "2"),
    ));
}

#[test]
fn a_room_in_which_nobody_is_goes_on_for_those_who_hear_it() {
    let leave = |room: &str| {
        format!(
            "
            crone/desktop sends    <presence type='unavailable' to='{{room {room}}}/first'/>
            crone/desktop receives <presence type='unavailable' from='{{room {room}}}/first'>…</presence>
            "
        )
    };
    play_over_deaths(&format!(
        "
        {}
        {}
        everyone is quiet
        {}
        server a dies
        {}
        everyone is quiet
        {}{}
        everyone is quiet
        ",
        all_heard(('c', 'c')),
        ROOMS.map(leave).concat(),
        says("hag/pda", "1"),
        hag_hears("hag", "1"),
        says("hag/pda", "2"),
        hag_hears("hag", "2"),
    ));
}
