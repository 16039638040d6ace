//! Archives and people of other domains (XEP-0313, XEP-0359).

use super::across::play;
use crate::xep::muc::{configured, enters, made};

const MAM: &str = "urn:xmpp:mam:2";
const USER: &str = "http://jabber.org/protocol/muc#user";

/// Somebody asks an archive.
fn asks(who: &str, id: &str, archive: &str) -> String {
    format!(
        "{who} sends    <iq type='set' id='{id}' to='{archive}'><query xmlns='{MAM}' queryid='{id}'/></iq>\n"
    )
}

/// They get this message.
fn gets(who: &str, (id, archive): (&str, &str), (row, message): (&str, &str)) -> String {
    format!(
        "{who} receives <message from='{archive}'><result xmlns='{MAM}' queryid='{id}' id='{row}'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/>{message}</forwarded></result></message>\n"
    )
}

/// That was all.
fn done(who: &str, id: &str) -> String {
    format!(
        "{who} receives <iq type='result' id='{id}'><fin xmlns='{MAM}' complete='true'>…</fin></iq>\n"
    )
}

fn refused(who: &str, id: &str) -> String {
    format!("{who} receives <iq type='error' id='{id}'>{{error auth forbidden}}…</iq>\n")
}

// XEP-0313 §4.2, XEP-0359 §5: each end keeps a message under an id of its own, and tells nobody else's.
#[test]
fn both_ends_keep_a_chat_each_under_its_own_id() {
    let message = |more: &str| {
        format!(
            "<message xmlns='jabber:client' from='{{romeo/phone}}' to='{{juliet}}' type='chat' id='m'><body>hi</body>{more}</message>"
        )
    };
    play(&format!("
        juliet        lives on b
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <message to='{{juliet}}' type='chat' id='m'><body>hi</body><stanza-id xmlns='urn:xmpp:sid:0' by='{{juliet}}' id='forged'/></message>
        juliet/garden receives <message from='{{romeo/phone}}' id='m'><body>hi</body><stanza-id xmlns='urn:xmpp:sid:0' by='{{juliet}}' id='{{$hers}}'/></message>
        {}{}{}{}{}{}
        everyone      is quiet
    ",
        asks("juliet/garden", "1", "{juliet}"),
        gets("juliet/garden", ("1", "{juliet}"), ("{$hers}", &message("…"))),
        done("juliet/garden", "1"),
        asks("romeo/phone", "2", "{romeo}"),
        gets("romeo/phone", ("2", "{romeo}"), ("{$his}", &message("…"))),
        done("romeo/phone", "2"),
    ));
}

// XEP-0313 §8.1
#[test]
fn nobody_of_another_domain_reads_the_archive_of_an_account_or_its_ends() {
    play(&format!(
        "
        juliet        lives on b
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <message to='{{juliet}}' type='chat' id='m'><body>hi</body></message>
        juliet/garden receives <message from='{{romeo/phone}}' id='m'>…</message>
        {}{}
        romeo/phone   sends    <iq type='get' id='2' to='{{juliet}}'><metadata xmlns='{MAM}'/></iq>
        {}
        romeo/phone   sends    <iq type='get' id='3' to='{{juliet}}'><prefs xmlns='{MAM}'/></iq>
        romeo/phone   receives <iq type='error' id='3'>{{error auth forbidden}}…</iq>
        everyone      is quiet
    ",
        asks("romeo/phone", "1", "{juliet}"),
        refused("romeo/phone", "1"),
        refused("romeo/phone", "2")
    ));
}

/// Juliet has a room at her domain, in which Romeo is, of the other one, and has spoken.
fn romeo_has_spoken() -> String {
    format!("
        juliet        lives on b
        tybalt        lives on b
        juliet/garden connects
        romeo/phone   connects
        {}{}
        romeo/phone   sends    <message type='groupchat' id='m1' to='{{room hall b}}'><body>all</body></message>
        romeo/phone   receives <message from='{{room hall b}}/romeo' type='groupchat' id='m1'><body>all</body><stanza-id xmlns='urn:xmpp:sid:0' by='{{room hall b}}' id='{{$one}}'/>…</message>
        juliet/garden receives <message from='{{room hall b}}/romeo' type='groupchat' id='m1'><body>all</body><stanza-id xmlns='urn:xmpp:sid:0' by='{{room hall b}}' id='{{$one}}'/>…</message>
        ",
        made("juliet/garden", "hall b", "juliet"),
        enters("romeo/phone", "hall b", "romeo", &["juliet/garden"]),
    )
}

const ROOM: &str = "{room hall b}";

// XEP-0313 §6.1.2, XEP-0359: the same id for all, wherever they are.
#[test]
fn the_archive_of_a_room_of_another_domain_has_what_was_said_under_the_id_that_all_heard() {
    let message = |more: &str| {
        format!(
            "<message xmlns='jabber:client' from='{ROOM}/romeo' type='groupchat' id='m1'><body>all</body>{more}</message>"
        )
    };
    play(&format!("{}
        romeo/phone   sends    <iq type='get' id='d' to='{ROOM}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        romeo/phone   receives <iq type='result' id='d' from='{ROOM}'><query xmlns='http://jabber.org/protocol/disco#info'>…<feature var='{MAM}'/>…</query></iq>
        {}{}{}{}{}{}
        romeo/phone   sends    <iq type='get' id='3' to='{ROOM}'><metadata xmlns='{MAM}'/></iq>
        romeo/phone   receives <iq type='result' id='3'><metadata xmlns='{MAM}'><start id='{{$one}}'/><end id='{{$one}}'/></metadata></iq>
        everyone      is quiet
    ", romeo_has_spoken(),
        asks("romeo/phone", "1", ROOM), gets("romeo/phone", ("1", ROOM), ("{$one}", &message("…"))), done("romeo/phone", "1"),
        asks("juliet/garden", "2", ROOM),
        gets("juliet/garden", ("2", ROOM), ("{$one}", &message(&format!("<x xmlns='{USER}'><item jid='{{romeo}}'/></x>…")))),
        done("juliet/garden", "2")));
}

// XEP-0313 §6.1.2: a room for its members, of which they are none, or one who was shut out.
#[test]
fn who_may_not_enter_a_room_of_another_domain_does_not_read_what_was_said() {
    let told = |who: &str, code: u16| {
        format!(
            "{who} receives <message from='{ROOM}' type='groupchat'><x xmlns='{USER}'><status code='{code}'/></x></message>\n"
        )
    };
    let private = configured("juliet/garden", "hall b", &[("muc#roomconfig_membersonly", "1")]);
    play(&format!("{}
        tybalt/street connects
        {}{}
        juliet/garden sends    <iq type='set' id='a' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='{{romeo}}'/></query></iq>
        juliet/garden finds    <iq type='result' id='a'/>
        romeo/phone   finds    <presence from='{ROOM}/romeo'><x xmlns='{USER}'><item affiliation='member'>…</item>…</x>…</presence>
        juliet/garden finds    <presence from='{ROOM}/romeo'>…<x xmlns='{USER}'><item affiliation='member'>…</item>…</x>…</presence>
        {private}
        juliet/garden finds    <message type='groupchat'><x xmlns='{USER}'><status code='104'/></x></message>
        {}
        {}{}{}{}{}
        juliet/garden sends    <iq type='set' id='b' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast' jid='{{romeo}}'/></query></iq>
        romeo/phone   finds    <presence type='unavailable' from='{ROOM}/romeo'><x xmlns='{USER}'><item affiliation='outcast' role='none'>…</item><status code='301'/>…</x>…</presence>
        {}{}
    ", romeo_has_spoken(),
        asks("tybalt/street", "0", ROOM),
        "tybalt/street finds <iq type='result' id='0'>…</iq>\n",
        told("romeo/phone", 104),
        asks("tybalt/street", "1", ROOM), refused("tybalt/street", "1"),
        asks("romeo/phone", "2", ROOM), gets("romeo/phone", ("2", ROOM), ("{$one}", "…")), done("romeo/phone", "2"),
        asks("romeo/phone", "3", ROOM), refused("romeo/phone", "3")));
}
