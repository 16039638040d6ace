//! Rooms with people of two domains (XEP-0045): invited, spoken to alone, thrown out, and lost with their server.

use super::across::{play, play_over_deaths};
use crate::xep::muc::{configured, enters, made, made_with};

const USER: &str = "http://jabber.org/protocol/muc#user";
const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const ROOM: &str = "{room hall b}";

/// Juliet has a room at her domain; Romeo, of the other one, is in it.
fn two() -> String {
    format!(
        "
        juliet        lives on b
        juliet/garden connects
        romeo/phone   connects
        {}{}",
        made("juliet/garden", "hall b", "juliet"),
        enters("romeo/phone", "hall b", "romeo", &["juliet/garden"]),
    )
}

// §7.8.1, §7.8.2, XEP-0249
#[test]
fn people_of_another_domain_are_invited_and_decline() {
    play(&format!("
        juliet        lives on b
        juliet/garden connects
        romeo/phone   connects
        {}
        juliet/garden sends    <message id='i' to='{ROOM}'><x xmlns='{USER}'><invite to='{{romeo}}'><reason>Come</reason></invite></x></message>
        romeo/phone   receives <message id='i' from='{ROOM}' to='{{romeo}}'><x xmlns='{USER}'><invite from='{ROOM}/juliet'><reason>Come</reason></invite><password>balcony</password></x>…</message>
        romeo/phone   sends    <message id='d' to='{ROOM}'><x xmlns='{USER}'><decline to='{{juliet}}'><reason>Later</reason></decline></x></message>
        juliet/garden receives <message id='d' from='{ROOM}' to='{{juliet/garden}}'><x xmlns='{USER}'><decline from='{{romeo}}'><reason>Later</reason></decline></x>…</message>
        juliet/garden sends    <message id='x' to='{{romeo}}'><x xmlns='jabber:x:conference' jid='{ROOM}' password='balcony'/></message>
        romeo/phone   receives <message id='x' from='{{juliet/garden}}'><x xmlns='jabber:x:conference' jid='{ROOM}' password='balcony'/>…</message>
        romeo/phone   sends    <presence to='{ROOM}/romeo'><x xmlns='http://jabber.org/protocol/muc'><password>balcony</password></x></presence>
        romeo/phone   finds    <message type='groupchat' from='{ROOM}'><subject/></message>
        juliet/garden receives <presence from='{ROOM}/romeo'>…</presence>
        everyone      is quiet
    ", made_with("juliet/garden", "hall b", "juliet",
        &[("muc#roomconfig_passwordprotectedroom", "1"), ("muc#roomconfig_roomsecret", "balcony")])));
}

// §7.8.2: whom nobody can reach.
#[test]
fn an_invitation_to_nobody_of_another_domain_comes_back() {
    play(&format!("
        juliet        lives on b
        juliet/garden connects
        {}
        juliet/garden sends    <message id='i' to='{ROOM}'><x xmlns='{USER}'><invite to='nobody@{{domain a}}'/></x></message>
        juliet/garden receives <message type='error' id='i' from='{ROOM}' to='{{juliet/garden}}'>{{error cancel service-unavailable}}</message>
        everyone      is quiet
    ", made("juliet/garden", "hall b", "juliet")));
}

// §7.5: also from who is thrown out meanwhile, nothing more.
#[test]
fn occupants_of_two_domains_whisper() {
    let whisper = |from: &str, to: &str, nicks: (&str, &str)| {
        format!("
        {from} sends    <message type='chat' id='w' to='{ROOM}/{}'><body>psst</body><x xmlns='{USER}'/></message>
        {to} receives <message type='chat' id='w' from='{ROOM}/{}' to='{{{to}}}'><body>psst</body><x xmlns='{USER}'/>…</message>
        ", nicks.1, nicks.0)
    };
    play(&format!("{}{}{}
        romeo/phone   sends    <message type='chat' id='w' to='{ROOM}/nobody'><body>psst</body></message>
        romeo/phone   receives <message type='error' id='w' from='{ROOM}/nobody'>{{error cancel item-not-found}}</message>
        everyone      is quiet
    ", two(), whisper("romeo/phone", "juliet/garden", ("romeo", "juliet")), whisper("juliet/garden", "romeo/phone", ("juliet", "romeo"))));
}

// §8.2, §9.1
#[test]
fn an_occupant_of_another_domain_is_kicked_and_banned() {
    let sets = |id: &str, item: &str| {
        format!(
            "juliet/garden sends <iq type='set' id='{id}' to='{ROOM}'><query xmlns='{ADMIN}'><item {item}/></query></iq>\n"
        )
    };
    let out = |who: &str, code: u16, more: &str| {
        format!(
            "<presence type='unavailable' from='{ROOM}/romeo' to='{{{who}}}'>…<x xmlns='{USER}'><item role='none'>…</item><status code='{code}'/>{more}…</x></presence>"
        )
    };
    let myself = "<status code='110'/>";
    let enters = enters("romeo/phone", "hall b", "romeo", &["juliet/garden"]);
    play(&format!("{}
        {}
        juliet/garden hears    <iq type='result' id='k'/>
                               {}
        romeo/phone   receives {}
        romeo/phone   sends    <message type='groupchat' id='m' to='{ROOM}'><body>all</body></message>
        romeo/phone   receives <message type='error' id='m' from='{ROOM}'>{{error modify not-acceptable}}…</message>
        {enters}
        {}
        juliet/garden hears    <iq type='result' id='b'/>
                               {}
        romeo/phone   receives {}
        romeo/phone   sends    <presence id='p' to='{ROOM}/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        romeo/phone   receives <presence type='error' id='p'>…{{error auth forbidden}}</presence>
        everyone      is quiet
    ", two(),
        sets("k", "nick='romeo' role='none'"), out("juliet/garden", 307, ""), out("romeo/phone", 307, myself),
        sets("b", "affiliation='outcast' jid='{romeo}'"), out("juliet/garden", 301, ""), out("romeo/phone", 301, myself)));
}

// §9.1: a whole domain is shut out, and let in again.
#[test]
fn a_ban_of_another_domain_keeps_all_its_people_out() {
    let sets = |id: &str, affiliation: &str| {
        format!("juliet/garden sends <iq type='set' id='{id}' to='{ROOM}'><query xmlns='{ADMIN}'><item affiliation='{affiliation}' jid='{{domain a}}'/></query></iq>
        juliet/garden finds    <iq type='result' id='{id}'/>")
    };
    play(&format!("
        juliet        lives on b
        juliet/garden connects
        romeo/phone   connects
        {}
        {}
        romeo/phone   sends    <presence id='p' to='{ROOM}/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        romeo/phone   receives <presence type='error' id='p'>…{{error auth forbidden}}</presence>
        {}
        romeo/phone   sends    <presence to='{ROOM}/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        romeo/phone   finds    <message type='groupchat' from='{ROOM}'><subject/></message>
    ", made("juliet/garden", "hall b", "juliet"), sets("1", "outcast"), sets("2", "none")));
}

// §18.1.2: what cannot be brought to them says that they are not there.
#[test]
fn an_occupant_whose_server_has_died_leaves_the_room() {
    play_over_deaths(&format!("{}
        server a dies
        romeo/phone   loses the stream
        server a starts again
        juliet/garden sends    <message type='groupchat' id='m' to='{ROOM}'><body>all</body></message>
        juliet/garden receives <message type='groupchat' id='m' from='{ROOM}/juliet'>…</message>
        juliet/garden receives <presence type='unavailable' from='{ROOM}/romeo'>…<x xmlns='{USER}'><item role='none'/>…<status code='333'/></x></presence>
        romeo/phone   binds
        romeo/phone   sends    <message type='groupchat' id='n' to='{ROOM}'><body>still here?</body></message>
        romeo/phone   finds    <message type='error' id='n' from='{ROOM}'>{{error modify not-acceptable}}…</message>
    ", two()));
}

// XEP-0410: while its server is away nobody knows. When it is back they are told what they are there: they may stand in
// it again, since what had not been acknowledged is said once more. They may come in again in any case.
#[test]
fn who_is_in_a_room_whose_server_has_died_is_told_when_it_is_back_and_comes_again() {
    play_over_deaths(&format!("{}
        {}
        romeo/phone   finds    <message type='groupchat'><x xmlns='{USER}'><status code='104'/></x></message>
        juliet/garden finds    <message type='groupchat'><x xmlns='{USER}'><status code='104'/></x></message>
        server b dies
        juliet/garden loses the stream
        romeo/phone   sends    <iq type='get' id='p' to='{ROOM}/romeo'><ping xmlns='urn:xmpp:ping'/></iq>
        server b starts again
        romeo/phone   finds    <iq id='p' from='{ROOM}/romeo'>…</iq>
        romeo/phone   sends    <presence to='{ROOM}/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        romeo/phone   finds    <presence from='{ROOM}/romeo'>…<x xmlns='{USER}'>…<status code='110'/></x></presence>
    ", two(), configured("juliet/garden", "hall b", &[("muc#roomconfig_persistentroom", "1")])));
}
