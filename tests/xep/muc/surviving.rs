//! Rooms whose owner dies. Each story has several rooms, so that whoever dies owns some of them.

use super::{enters, made};
use crate::stage::play_over_deaths;

const ROOMS: [&str; 4] = ["coven", "heath", "moor", "dell"];
const INSIDE: [&str; 3] = ["crone/desktop", "hag/pda", "bat/cave"];

/// Three people whose homes and sockets are on these members, inside of every room.
fn all_inside(crone: (char, char), hag: (char, char), bat: (char, char)) -> String {
    let lives = |who: &str, client: &str, (home, edge): (char, char)| {
        format!("{who} lives on {home}\n{client} connects on {edge}\n")
    };
    let mut story = lives("crone", INSIDE[0], crone) + &lives("hag", INSIDE[1], hag);
    story += &lives("bat", INSIDE[2], bat);
    for room in ROOMS {
        story += &made("crone/desktop", room, "first");
        story += &enters("hag/pda", room, "hag", &["crone/desktop"]);
        story += &enters("bat/cave", room, "bat", &["crone/desktop", "hag/pda"]);
    }
    story
}

/// Somebody speaks in every room.
fn says(who: &str, id: &str) -> String {
    let say = |room: &str| {
        format!(
            "{who} sends <message type='groupchat' id='{room}-{id}' to='{{room {room}}}'><body>{id}</body></message>\n"
        )
    };
    ROOMS.map(say).concat()
}

/// Everybody hears it in every room, once.
fn all_hear(id: &str) -> String {
    let heard = |room: &str| {
        format!("<message type='groupchat' id='{room}-{id}'><body>{id}</body>…</message>\n")
    };
    let heard = ROOMS.map(heard).concat();
    INSIDE.map(|who| format!("{who} hears {heard}")).concat()
}

#[test]
fn everybody_stays_inside_and_hears_everything_when_one_owner_after_the_other_dies() {
    play_over_deaths(&format!(
        "
        {}
        everyone is quiet
        server a dies
        {}{}
        everyone is quiet
        {}{}
        server b dies
        {}{}
        everyone is quiet
        {}{}
        everyone is quiet
        ",
        all_inside(('c', 'c'), ('c', 'c'), ('c', 'c')),
        says("hag/pda", "1"),
        all_hear("1"),
        says("bat/cave", "2"),
        all_hear("2"),
        says("crone/desktop", "3"),
        all_hear("3"),
        says("hag/pda", "4"),
        all_hear("4"),
    ));
}

#[test]
fn who_has_his_home_at_the_owner_stays_inside_too() {
    play_over_deaths(&format!(
        "
        {}
        everyone is quiet
        server a dies
        {}{}
        everyone is quiet
        {}{}
        everyone is quiet
        ",
        all_inside(('a', 'b'), ('b', 'c'), ('c', 'b')),
        says("hag/pda", "1"),
        all_hear("1"),
        says("crone/desktop", "2"),
        all_hear("2"),
    ));
}

#[test]
fn what_is_under_way_when_the_owner_dies_is_heard_by_all_once() {
    play_over_deaths(&format!(
        "
        {}
        everyone is quiet
        {}
        server a dies
        {}
        everyone is quiet
        {}{}
        everyone is quiet
        ",
        all_inside(('b', 'c'), ('c', 'c'), ('b', 'b')),
        says("hag/pda", "1"),
        all_hear("1"),
        says("bat/cave", "2"),
        all_hear("2"),
    ));
}

// §6.3: also rooms that do not stay.
#[test]
fn the_service_knows_its_rooms_whoever_of_the_members_dies() {
    let asks = |id: &str| {
        let items: String = ["coven", "dell", "heath", "moor"]
            .map(|room| format!("<item jid='{{room {room}}}'/>"))
            .concat();
        format!(
            "
            hag/pda sends    <iq type='get' id='{id}' to='conference.{{domain}}'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
            hag/pda receives <iq type='result' id='{id}'><query xmlns='http://jabber.org/protocol/disco#items'>{items}</query></iq>
            "
        )
    };
    play_over_deaths(&format!(
        "
        {}
        {}
        server a dies
        {}
        everyone is quiet
        server b dies
        {}
        everyone is quiet
        ",
        all_inside(('c', 'c'), ('c', 'c'), ('c', 'c')),
        asks("1"),
        asks("2"),
        asks("3"),
    ));
}
