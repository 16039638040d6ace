//! MUC/Sub: what waits for somebody whose clients are all away, and who is told of it (XEP-0160, XEP-0357, XEP-0191).

use super::super::made;
use super::{heard, hears, said, says, subscribes};
use crate::stage::{play, play_with};

const PUSH: &str = "urn:xmpp:push:0";
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

/// Hag's client is gone, and her home knows.
fn hag_leaves() -> &'static str {
    "
        hag/pda       sends    <presence to='{crone/desktop}'/>
        crone/desktop receives <presence from='{hag/pda}' type='{none}'/>
        hag/pda       leaves
        crone/desktop receives <presence from='{hag/pda}' type='unavailable'/>
    "
}

fn state() -> &'static str {
    "
        crone/desktop sends    <message type='groupchat' to='{room coven}'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>
        crone/desktop receives <message type='groupchat'>…</message>
        crone/desktop sends    <message type='groupchat' to='{room coven}'><subject>spells</subject></message>
        crone/desktop receives <message type='groupchat'>…</message>
    "
}

#[test]
fn what_was_said_waits_and_nothing_else_does() {
    let late = |text: &str| {
        let delay = "</event><delay xmlns='urn:xmpp:delay'>…</delay></message>";
        said("coven", "first", text).replace("</event></message>", delay)
    };
    let mam = "urn:xmpp:mam:2";
    play(&format!(
        "
        {}
        {}{}
        {}
        {}
        {}{}
        {}
        hag/pda       connects
        hag/pda       receives {}
        hag/pda       receives {}
        # The room has an archive of its own.
        hag/pda       sends    <iq type='set' id='q'><query xmlns='{mam}'/></iq>
        hag/pda       receives <iq type='result' id='q'><fin xmlns='{mam}' complete='true'>…</fin></iq>
        everyone is quiet
    ",
        a_phone_that_is_away(&["messages", "subject", "presence"]),
        says("crone/desktop", "1"),
        hears("crone/desktop", "first", "1"),
        told(1, ""),
        state(),
        says("crone/desktop", "2"),
        hears("crone/desktop", "first", "2"),
        // What is told of is kept.
        told(2, ""),
        late("1"),
        late("2"),
    ));
}

// XEP-0357 §7
fn told(count: u32, more: &str) -> String {
    format!(
        "app/server    receives <iq type='set' id='{{$push{count}}}' from='{{hag}}'><pubsub xmlns='{PUBSUB}'><publish node='n1'><item><notification xmlns='{PUSH}'><x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:push:summary</value></field><field var='message-count'><value>{count}</value></field>{more}</x></notification></item></publish></pubsub></iq>"
    )
}

fn a_phone_that_is_away(nodes: &[&str]) -> String {
    format!(
        "
        app/server    connects
        app/server    sends    <presence to='{{hag}}'/>
        {}
        hag/pda       sends    <iq type='set' id='e1'><enable xmlns='{PUSH}' jid='{{app/server}}' node='n1'/></iq>
        hag/pda       receives <iq type='result' id='e1'/>
        {}
        ",
        heard(nodes),
        hag_leaves(),
    )
}

#[test]
fn a_service_for_push_notifications_is_told_of_what_is_said_in_a_room() {
    play(&format!(
        "
        {}
        {}{}
        {}
        {}
        {}{}
        {}
        everyone is quiet
    ",
        a_phone_that_is_away(&["messages", "subject"]),
        says("crone/desktop", "1"),
        hears("crone/desktop", "first", "1"),
        told(1, ""),
        state(),
        says("crone/desktop", "2"),
        hears("crone/desktop", "first", "2"),
        told(2, ""),
    ));
}

#[test]
fn where_the_operator_lets_it_a_service_is_told_who_has_said_what() {
    let who = "<field var='last-message-sender'><value>{room coven}/first</value></field><field var='last-message-body'><value>1</value></field>";
    play_with(
        "[push]\nsender = true\nbody = true\n",
        &format!(
            "
        {}
        {}{}
        {}
        everyone is quiet
    ",
            a_phone_that_is_away(&["messages", "subject"]),
            says("crone/desktop", "1"),
            hears("crone/desktop", "first", "1"),
            told(1, who),
        ),
    );
}

// XEP-0191 §3.3: the room, or one of its people.
#[test]
fn what_is_blocked_is_not_heard() {
    let block = |id: &str, jid: &str| {
        format!(
            "
        hag/pda       sends    <iq type='set' id='{id}'><block xmlns='urn:xmpp:blocking'><item jid='{jid}'/></block></iq>
        hag/pda       receives <iq type='result' id='{id}'/>
            "
        )
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        bat/cave      connects
        {}
        {}
        {}
        {}
        {}{}
        bat/cave      receives {}
        {}{}
        hag/pda       receives {}
        bat/cave      receives {}
        {}
        {}{}
        bat/cave      receives {}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        subscribes("hag/pda", "coven", "hag", &["messages"]),
        subscribes("bat/cave", "coven", "bat", &["messages"]),
        block("b1", "{room coven}/first"),
        says("crone/desktop", "1"),
        hears("crone/desktop", "first", "1"),
        said("coven", "first", "1"),
        says("bat/cave", "2"),
        hears("crone/desktop", "bat", "2"),
        said("coven", "bat", "2"),
        said("coven", "bat", "2"),
        block("b2", "{room coven}"),
        says("bat/cave", "3"),
        hears("crone/desktop", "bat", "3"),
        said("coven", "bat", "3"),
    ));
}
