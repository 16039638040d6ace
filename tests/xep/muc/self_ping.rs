//! XEP-0410 MUC Self-Ping (Schrödinger's Chat).

use super::{enters, made};
use crate::stage::play;

// XEP-0410 §3.2, §3.3
#[test]
fn the_room_says_whether_a_client_is_still_inside() {
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        hag/pda       sends    <iq type='get' id='1' to='{{room coven}}/hag'>{ping}</iq>
        hag/pda       receives <iq type='error' id='1' from='{{room coven}}/hag'><error type='modify' by='{{room coven}}'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
        {}
        hag/pda       sends    <iq type='get' id='2' to='{{room coven}}/hag'>{ping}</iq>
        hag/pda       receives <iq type='result' id='2' from='{{room coven}}/hag'/>
        # Somebody else's nick is somebody else's client.
        hag/pda       sends    <iq type='get' id='3' to='{{room coven}}/first'>{ping}</iq>
        crone/desktop receives <iq type='get' id='{{$id}}' from='{{room coven}}/hag'>{ping}</iq>
        crone/desktop sends    <iq type='result' id='{{$id}}' to='{{room coven}}/hag'/>
        hag/pda       receives <iq type='result' id='3' from='{{room coven}}/first'/>
        hag/pda       sends    <iq type='get' id='4' to='{{room coven}}/nobody'>{ping}</iq>
        hag/pda       receives <iq type='error' id='4'>{{error cancel item-not-found}}</iq>
        hag/pda       sends    <iq type='get' id='5' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        hag/pda       receives <iq type='result' id='5'><query xmlns='http://jabber.org/protocol/disco#info'>…<feature var='http://jabber.org/protocol/muc#self-ping-optimization'/></query></iq>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// XEP-0410 §3.2: anything but these errors means "not inside"; `item-not-found` would mean "another nick".
#[test]
fn a_room_that_is_no_more_says_that_nobody_is_inside() {
    play("
        hag/pda connects
        hag/pda sends    <iq type='get' id='1' to='{room cave}/hag'><ping xmlns='urn:xmpp:ping'/></iq>
        hag/pda receives <iq type='error' id='1' from='{room cave}/hag'>{error modify not-acceptable}…</iq>
        hag/pda sends    <iq type='get' id='2' to='{room cave}'><ping xmlns='urn:xmpp:ping'/></iq>
        hag/pda receives <iq type='error' id='2'>{error cancel item-not-found}…</iq>
        everyone is quiet
    ");
}
