//! XEP-0352 Client State Indication.

use crate::stage::play;

// XEP-0352 §3.2: of several presences of one sender the last is enough.
#[test]
fn an_inactive_client_hears_the_last_presence_only_once_somebody_looks() {
    play(
        "
        romeo/phone  connects
        romeo/laptop connects
        romeo/phone  sends    <inactive xmlns='urn:xmpp:csi:0'/>
        romeo/phone  sends    <iq type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone  receives <iq type='result' id='p1'/>
        romeo/laptop sends    <presence><show>away</show></presence>
        romeo/laptop receives <presence from='{romeo/laptop}'><show>away</show></presence>
        romeo/laptop sends    <presence><show>dnd</show></presence>
        romeo/laptop receives <presence from='{romeo/laptop}'><show>dnd</show></presence>
        romeo/phone  sends    <active xmlns='urn:xmpp:csi:0'/>
        romeo/phone  receives <presence from='{romeo/laptop}'><show>dnd</show></presence>
        everyone     is quiet
    ",
    );
}

// XEP-0352 §3.2
#[test]
fn a_message_reaches_an_inactive_client_at_once_and_behind_what_was_held() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <inactive xmlns='urn:xmpp:csi:0'/>
        romeo/phone   sends    <iq type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone   receives <iq type='result' id='p1'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>hi</body></message>
        romeo/phone   receives <message><composing xmlns='http://jabber.org/protocol/chatstates'/></message>
        romeo/phone   receives <message><body>hi</body>…</message>
        everyone      is quiet
    ");
}

// XEP-0352 §5.1: a client is active until it says otherwise, and again once a stream is resumed.
#[test]
fn a_resumed_client_is_active_again() {
    play(
        "
        romeo/laptop connects
        romeo/phone  connects
        romeo/laptop is quiet
        romeo/phone  sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone  receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        romeo/phone  sends    <inactive xmlns='urn:xmpp:csi:0'/>
        romeo/phone  vanishes
        romeo/laptop sends    <presence><show>away</show></presence>
        romeo/laptop receives <presence from='{romeo/laptop}'><show>away</show></presence>
        romeo/phone  logs in
        romeo/phone  sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone  receives <resumed xmlns='urn:xmpp:sm:3'/>
        romeo/phone  receives <presence from='{romeo/laptop}'><show>away</show></presence>
        romeo/laptop sends    <presence><show>dnd</show></presence>
        romeo/laptop receives <presence from='{romeo/laptop}'><show>dnd</show></presence>
        romeo/phone  receives <presence from='{romeo/laptop}'><show>dnd</show></presence>
        everyone     is quiet
    ",
    );
}
