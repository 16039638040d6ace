//! XEP-0353 Jingle Message Initiation.

use crate::stage::play;

const STORE: &str = "<store xmlns='urn:xmpp:hints'/>";

/// A word about the call, with the hint that §3 asks for.
fn word(name: &str) -> String {
    let payload = match name {
        "propose" => "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>",
        _ => "",
    };
    format!("<{name} xmlns='urn:xmpp:jingle-message:0' id='call'>{payload}</{name}>{STORE}")
}

// §3.1, §3.3: every client rings, and stops when one of them takes the call; all of it is history.
#[test]
fn every_client_rings_and_stops_when_one_of_them_takes_the_call() {
    let [propose, ringing, proceed, finish] = ["propose", "ringing", "proceed", "finish"].map(word);
    let stored = "<stanza-id xmlns='urn:xmpp:sid:0'/>";
    let carbon = |way: &str, id: &str, content: &str| {
        format!(
            "<message><{way} xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' id='{id}'>{content}{stored}</message></forwarded></{way}></message>"
        )
    };
    let old = |id: &str, content: &str| {
        format!(
            "<message><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/><message xmlns='jabber:client' id='{id}'>{content}</message></forwarded></result></message>"
        )
    };
    play(&format!(
        "
        romeo/phone   connects
        juliet/garden connects
        juliet/house  connects
        juliet/house  sends    <iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>
        juliet/house  receives <iq type='result' id='c'/>
        juliet/garden sends    <iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>
        juliet/garden receives <iq type='result' id='c'/>
        romeo/phone   sends    <message to='{{juliet}}' type='chat' id='1'>{propose}</message>
        juliet/garden receives <message from='{{romeo/phone}}' id='1'>{propose}{stored}</message>
        juliet/house  receives <message from='{{romeo/phone}}' id='1'>{propose}{stored}</message>
        juliet/garden sends    <message to='{{romeo/phone}}' type='chat' id='2'>{ringing}</message>
        romeo/phone   receives <message from='{{juliet/garden}}' id='2'>{ringing}{stored}</message>
        juliet/house  receives {}
        juliet/garden sends    <message to='{{romeo/phone}}' type='chat' id='3'>{proceed}</message>
        romeo/phone   receives <message from='{{juliet/garden}}' id='3'>{proceed}{stored}</message>
        juliet/house  receives {}
        romeo/phone   sends    <message to='{{juliet/garden}}' type='chat' id='4'>{finish}</message>
        juliet/garden receives <message from='{{romeo/phone}}' id='4'>{finish}{stored}</message>
        juliet/house  receives {}
        juliet/house  sends    <iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>
        juliet/house  receives {}
        juliet/house  receives {}
        juliet/house  receives {}
        juliet/house  receives {}
        juliet/house  receives <iq type='result' id='q'>…</iq>
        everyone      is quiet
    ",
        carbon("sent", "2", &ringing),
        carbon("sent", "3", &proceed),
        carbon("received", "4", &finish),
        old("1", &propose),
        old("2", &ringing),
        old("3", &proceed),
        old("4", &finish)
    ));
}

// §3.1, XEP-0160: who is away hears of the call later, with the time.
#[test]
fn who_is_away_hears_of_the_call_when_he_comes() {
    let (propose, retract) = (word("propose"), word("retract"));
    play(&format!("
        romeo/phone   connects
        romeo/phone   sends    <message to='{{juliet}}' type='chat' id='1'>{propose}</message>
        romeo/phone   sends    <message to='{{juliet}}' type='chat' id='2'>{retract}</message>
        romeo/phone   is quiet
        juliet/garden binds
        juliet/garden sends    <presence/>
        juliet/garden finds    <message from='{{romeo/phone}}' id='1'>{propose}<stanza-id xmlns='urn:xmpp:sid:0'/><delay xmlns='urn:xmpp:delay'>…</delay></message>
        juliet/garden receives <message from='{{romeo/phone}}' id='2'>{retract}<stanza-id xmlns='urn:xmpp:sid:0'/><delay xmlns='urn:xmpp:delay'>…</delay></message>
        everyone      is quiet
    "));
}
