//! MUC/Sub: where it is told and allowed, and who may not hear a room, as they may not enter it.

use super::super::{configured, enters, made, made_with};
use super::{NS, asks, heard, nodes, subscribes};
use crate::stage::{play, play_with};

const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";

fn subscribe(nick: &str) -> String {
    format!("<subscribe xmlns='{NS}' {nick}>{}</subscribe>", nodes(&["messages"]))
}

fn refused(who: &str, nick: &str, error: &str) -> String {
    asks(who, "set", "{room coven}", &subscribe(nick), error)
}

#[test]
fn rooms_and_their_service_tell_that_it_is_allowed() {
    let told = format!(
        "<query xmlns='http://jabber.org/protocol/disco#info'>…<feature var='{NS}'/></query>"
    );
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        asks("hag/pda", "get", "conference.{domain}", INFO, &told),
        asks("hag/pda", "get", "{room coven}", INFO, &told),
    ));
}

#[test]
fn what_the_configuration_does_not_allow_an_owner_may() {
    let story = format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {}
        crone/desktop finds    <message>…<x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>
        {}
        everyone is quiet
        ",
        made("crone/desktop", "coven", "first"),
        refused("hag/pda", "nick='hag'", "{error cancel not-allowed}…"),
        // The answer may come before or behind what all are told.
        configured("crone/desktop", "coven", &[("muc#roomconfig_allow_subscription", "1")]),
        subscribes("hag/pda", "coven", "hag", &["messages"]),
    );
    play_with("[room.defaults]\nallow_subscription = false\n", &story);
}

#[test]
fn who_may_not_enter_may_not_hear_the_room() {
    let members = [("muc#roomconfig_membersonly", "1")];
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {}
        crone/desktop sends    <iq type='set' id='b' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast' jid='{{hag}}'/></query></iq>
        crone/desktop hears    <iq type='result' id='b'/>
                               <message>…</message>
        hag/pda       receives <message>…</message>
        {}
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &members),
        refused("hag/pda", "nick='hag'", "{error auth registration-required}…"),
        refused("hag/pda", "", "{error auth registration-required}…"),
        refused("hag/pda", "nick='hag'", "{error auth forbidden}…"),
    ));
}

#[test]
fn a_password_must_be_known_and_then_the_archive_is_open() {
    let fields = [
        ("muc#roomconfig_passwordprotectedroom", "1"),
        ("muc#roomconfig_roomsecret", "cauldronburn"),
    ];
    let right = "nick='hag' password='cauldronburn'";
    let mam = "<query xmlns='urn:xmpp:mam:2'/>";
    let answer = format!("<subscribe xmlns='{NS}' nick='hag'>{}</subscribe>", nodes(&["messages"]));
    let query = |answer: &str| asks("hag/pda", "set", "{room coven}", mam, answer);
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}{}{}{}{}
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &fields),
        refused("hag/pda", "nick='hag'", "{error auth not-authorized}…"),
        refused("hag/pda", "nick='hag' password='x'", "{error auth not-authorized}…"),
        query("{error auth forbidden}…"),
        refused("hag/pda", right, &answer),
        query("<fin xmlns='urn:xmpp:mam:2'>…</fin>"),
    ));
}

// XEP-0045 §7.2.8, §7.10: a nick is one person's, inside or not.
#[test]
fn a_nick_belongs_to_one_inside_outside_and_while_nobody_is_there() {
    let conflict = "{error cancel conflict}…";
    let named =
        format!("<subscribe xmlns='{NS}' nick='witch'>{}</subscribe>", nodes(&["messages"]));
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        bat/cave      connects
        {}
        {}
        {}
        {}
        {}
        bat/cave      sends    <presence to='{{room coven}}/HAG'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        bat/cave      receives <presence type='error' from='{{room coven}}/HAG'>{{error cancel conflict}}…</presence>
        # Another nick leaves the old one.
        {}
        {}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        refused("hag/pda", "nick='First'", conflict),
        refused("hag/pda", "nick=' '", "{error modify jid-malformed}…"),
        subscribes("hag/pda", "coven", "hag", &["messages"]),
        refused("bat/cave", "nick='hag'", conflict),
        refused("hag/pda", "nick='witch'", &named),
        enters("bat/cave", "coven", "hag", &["crone/desktop"]),
    ));
}

#[test]
fn no_more_people_hear_a_room_than_the_configuration_lets() {
    let again =
        format!("<subscribe xmlns='{NS}' nick='witch'>{}</subscribe>", nodes(&["messages"]));
    play_with(
        "[room]\nsubscribers = 1\n",
        &format!(
            "
        {}
        {}
        {}
        everyone is quiet
    ",
            heard(&["messages"]),
            refused("crone/desktop", "nick='first'", "{error wait resource-constraint}…"),
            refused("hag/pda", "nick='witch'", &again),
        ),
    );
}

#[test]
fn moderators_alone_ask_for_others() {
    let for_bat = format!("<subscribe xmlns='{NS}' jid='{{bat}}' nick='bat'/>");
    let end = format!("<unsubscribe xmlns='{NS}' jid='{{bat}}'/>");
    let ask = |who: &str, what: &str, answer: &str| asks(who, "set", "{room coven}", what, answer);
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        bat/cave      connects
        {}
        {}{}{}{}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        ask("hag/pda", &for_bat, "{error auth forbidden}…"),
        ask("crone/desktop", &for_bat, &format!("<subscribe xmlns='{NS}' nick='bat'/>")),
        ask("hag/pda", &end, "{error auth forbidden}…"),
        ask("crone/desktop", &end, ""),
    ));
}
