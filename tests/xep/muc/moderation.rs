//! XEP-0425 Moderated Message Retraction.

use super::{enters, made};
use crate::stage::play;

const RETRACT: &str = "urn:xmpp:message-retract:1";
const MODERATE: &str = "urn:xmpp:message-moderate:1";

// XEP-0425 §4: whoever was moderated takes nothing away from that.
#[test]
fn what_a_moderator_took_back_stays_so() {
    let tombstone = format!(
        "<message xmlns='jabber:client' id='m1'><retracted xmlns='{RETRACT}' id='{{$word}}'><moderated xmlns='{MODERATE}'>…</moderated><reason>Spam</reason></retracted>…</message>"
    );
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <message type='groupchat' id='m1' to='{{room coven}}'><body>DM me</body></message>
        hag/pda       receives <message id='m1'><stanza-id xmlns='urn:xmpp:sid:0' id='{{$sid}}'/>…</message>
        crone/desktop receives <message id='m1'>…</message>
        crone/desktop sends    <iq type='set' id='1' to='{{room coven}}'><moderate xmlns='{MODERATE}' id='{{$sid}}'><retract xmlns='{RETRACT}'/><reason>Spam</reason></moderate></iq>
        crone/desktop receives <message id='{{$word}}'>…</message>
        crone/desktop receives <iq type='result' id='1'/>
        hag/pda       receives <message id='{{$word}}'>…</message>
        hag/pda       sends    <message type='groupchat' id='r1' to='{{room coven}}'><retract xmlns='{RETRACT}' id='{{$sid}}'/></message>
        hag/pda       receives <message id='r1'>…</message>
        crone/desktop receives <message id='r1'>…</message>
        everyone is quiet
        hag/pda       sends    <iq type='set' id='q' to='{{room coven}}'><query xmlns='urn:xmpp:mam:2'/></iq>
        hag/pda       receives <message><result xmlns='urn:xmpp:mam:2' id='{{$sid}}'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/>{tombstone}</forwarded></result></message>
        hag/pda       receives <message><result xmlns='urn:xmpp:mam:2'>…</result></message>
        hag/pda       receives <message><result xmlns='urn:xmpp:mam:2'>…</result></message>
        hag/pda       receives <iq type='result' id='q'>…</iq>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// XEP-0425 §3, §4
#[test]
fn a_moderator_takes_back_what_another_has_said() {
    let moderate = |who: &str, id: &str, message: &str| {
        format!(
            "{who} sends <iq type='set' id='{id}' to='{{room coven}}'><moderate xmlns='{MODERATE}' id='{message}'><retract xmlns='{RETRACT}'/><reason>Spam</reason></moderate></iq>"
        )
    };
    let told = format!(
        "<message type='groupchat' id='{{$word}}' from='{{room coven}}'><retract xmlns='{RETRACT}' id='{{$sid}}'><moderated xmlns='{MODERATE}' by='{{room coven}}/first'><occupant-id xmlns='urn:xmpp:occupant-id:0'/></moderated><reason>Spam</reason></retract><stanza-id xmlns='urn:xmpp:sid:0' by='{{room coven}}'/></message>"
    );
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <message type='groupchat' id='m1' to='{{room coven}}'><body>DM me</body></message>
        hag/pda       receives <message id='m1'><stanza-id xmlns='urn:xmpp:sid:0' id='{{$sid}}'/>…</message>
        crone/desktop receives <message id='m1'>…</message>
        {}
        hag/pda       receives <iq type='error' id='1'>{{error auth forbidden}}</iq>
        {}
        crone/desktop receives <iq type='error' id='2'>{{error cancel item-not-found}}</iq>
        {}
        crone/desktop receives {told}
        crone/desktop receives <iq type='result' id='3'/>
        hag/pda       receives {told}
        hag/pda       sends    <iq type='set' id='q' to='{{room coven}}'><query xmlns='urn:xmpp:mam:2'/></iq>
        hag/pda       receives <message><result xmlns='urn:xmpp:mam:2' id='{{$sid}}'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/>
                               <message xmlns='jabber:client' id='m1' from='{{room coven}}/hag'><retracted xmlns='{RETRACT}' id='{{$word}}'><moderated xmlns='{MODERATE}'>…</moderated><reason>Spam</reason></retracted>…</message></forwarded></result></message>
        hag/pda       receives <message><result xmlns='urn:xmpp:mam:2'>…</result></message>
        hag/pda       receives <iq type='result' id='q'>…</iq>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        moderate("hag/pda", "1", "{$sid}"),
        moderate("crone/desktop", "2", "0000000000000abc"),
        moderate("crone/desktop", "3", "{$sid}"),
    ));
}
