//! MUC/Sub: how hearing a room ends, and that it does not end by itself.

use super::super::{configured, made, made_with};
use super::{NS, asks, event, heard, hears, said, says, subscribes};
use crate::stage::{Stage, play, play_alone, play_over_restarts};

const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const USER: &str = "http://jabber.org/protocol/muc#user";

/// Crone changes what somebody is, who is told.
fn changes(affiliation: &str, who: &str) -> String {
    format!(
        "
        crone/desktop sends    <iq type='set' id='a' to='{{room coven}}'><query xmlns='{ADMIN}'><item affiliation='{affiliation}' jid='{{{who}}}'/></query></iq>
        crone/desktop hears    <iq type='result' id='a'/>
                               <message><x xmlns='{USER}'>…</x>…</message>
        "
    )
}

#[test]
fn it_ends_with_a_ban() {
    play(&format!(
        "
        {}
        {}
        hag/pda       receives <message from='{{room coven}}'><x xmlns='{USER}'>…</x>…</message>
        {}{}
        {}
        hag/pda       receives <message type='error' from='{{room coven}}'>{{error modify not-acceptable}}…</message>
        everyone is quiet
    ",
        heard(&["messages"]),
        changes("outcast", "hag"),
        says("crone/desktop", "1"),
        hears("crone/desktop", "first", "1"),
        says("hag/pda", "2"),
    ));
}

#[test]
fn in_a_room_for_members_it_ends_with_membership() {
    let fields = [("muc#roomconfig_membersonly", "1")];
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       receives <message from='{{room coven}}'>…</message>
        {}
        {}
        hag/pda       receives <message from='{{room coven}}'>…</message>
        {}{}
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &fields),
        changes("member", "hag"),
        subscribes("hag/pda", "coven", "hag", &["messages"]),
        changes("none", "hag"),
        says("crone/desktop", "1"),
        hears("crone/desktop", "first", "1"),
    ));
}

#[test]
fn it_ends_where_the_room_is_for_members_from_now_on_or_does_not_allow_it() {
    let told = "crone/desktop receives <message type='groupchat' from='{room coven}'><x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>\n";
    for field in [("muc#roomconfig_membersonly", "1"), ("muc#roomconfig_allow_subscription", "0")] {
        play(&format!(
            "
        {}
        {}
        {told}
        {}{}
        everyone is quiet
    ",
            heard(&["messages"]),
            configured("crone/desktop", "coven", &[field]),
            says("crone/desktop", "1"),
            hears("crone/desktop", "first", "1"),
        ));
    }
}

// Whose list lives at another member, hears of it soon.
#[test]
fn what_has_ended_is_in_no_list() {
    let off = [("muc#roomconfig_allow_subscription", "0")];
    let list = format!("<subscriptions xmlns='{NS}'/>");
    let no_rooms = |who: &str| asks(who, "get", "conference.{domain}", &list, &list);
    play_alone(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        bat/cave      connects
        {}
        {}
        {}
        {}
        hag/pda       receives <message from='{{room coven}}'>…</message>
        {}
        {}
        crone/desktop receives <message type='groupchat' from='{{room coven}}'>…</message>
        {}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        subscribes("hag/pda", "coven", "hag", &["messages"]),
        subscribes("bat/cave", "coven", "bat", &["messages"]),
        changes("outcast", "hag"),
        no_rooms("hag/pda"),
        configured("crone/desktop", "coven", &off),
        no_rooms("bat/cave"),
    ));
}

#[test]
fn a_room_that_does_not_stay_stays_while_somebody_hears_it() {
    let leaves = "
        crone/desktop sends    <presence type='unavailable' to='{room coven}/first'/>
        crone/desktop receives <presence type='unavailable' from='{room coven}/first'>…</presence>
        ";
    play(&format!(
        "
        {}
        {leaves}
        {}
        hag/pda       receives {}
        {}
        hag/pda       sends    <message type='groupchat' id='m' to='{{room coven}}'><body>2</body></message>
        hag/pda       receives <message type='error' id='m'>{{error cancel item-not-found}}…</message>
        everyone is quiet
    ",
        heard(&["messages"]),
        says("hag/pda", "1"),
        said("coven", "hag", "1"),
        asks("hag/pda", "set", "{room coven}", &format!("<unsubscribe xmlns='{NS}'/>"), ""),
    ));
}

#[test]
fn it_outlives_a_restart_of_the_server() {
    let mut stage = Stage::start("[store]\nengine = 'embedded'\n");
    play_over_restarts(
        &mut stage,
        &format!(
            "
        {}
        server        is stopped
        crone/desktop vanishes
        hag/pda       vanishes
        server        starts again
        hag/pda       connects
        {}
        {}
        hag/pda       receives {}
        everyone is quiet
    ",
            heard(&["messages"]),
            asks(
                "hag/pda",
                "get",
                "conference.{domain}",
                &format!("<subscriptions xmlns='{NS}'/>"),
                &format!(
                    "<subscriptions xmlns='{NS}'><subscription jid='{{room coven}}' nick='hag'>…</subscription></subscriptions>"
                ),
            ),
            says("hag/pda", "1"),
            said("coven", "hag", "1"),
        ),
    );
}

// XEP-0077 §3.2
#[test]
fn it_ends_with_the_account() {
    let told =
        |name: &str| event("coven", "subscribers", &format!("<{name} xmlns='{NS}' nick='hag'/>"));
    play(&format!(
        "
        crone/desktop connects
        bat/cave      connects
        hag/pda       connects
        {}
        {}
        {}
        bat/cave      receives {}
        hag/pda       sends    <iq type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query></iq>
        hag/pda       receives <iq type='result' id='r'/>
        hag/pda       receives {{stream-error not-authorized}}
        hag/pda       loses the stream
        bat/cave      receives {}
        bat/cave      is quiet
    ",
        made("crone/desktop", "coven", "first"),
        subscribes("bat/cave", "coven", "bat", &["subscribers"]),
        subscribes("hag/pda", "coven", "hag", &["messages"]),
        told("subscribe"),
        told("unsubscribe"),
    ));
}
