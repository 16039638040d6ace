//! XEP-0421 Occupant identifiers for semi-anonymous MUCs.

use super::made;
use crate::stage::play;

const X: &str = "<x xmlns='http://jabber.org/protocol/muc'/>";
const USER: &str = "http://jabber.org/protocol/muc#user";

fn id(name: &str) -> String {
    format!("<occupant-id xmlns='urn:xmpp:occupant-id:0' id='{{${name}}}'/>")
}

// XEP-0421 §4, §4.1
#[test]
fn an_occupants_id_stays_over_nicks_and_visits_and_is_in_all_that_the_room_says_of_him() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        hag/pda       sends    <presence to='{{room coven}}/hag'>{X}</presence>
        hag/pda       receives <presence from='{{room coven}}/first'>{}…</presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>{}…</presence>
        hag/pda       receives <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/hag'>{}…</presence>
        hag/pda       sends    <presence type='unavailable' to='{{room coven}}/hag'/>
        hag/pda       receives <presence type='unavailable'>{}…</presence>
        crone/desktop receives <presence type='unavailable'>{}…</presence>
        hag/pda       sends    <presence to='{{room coven}}/other'>{X}</presence>
        hag/pda       receives <presence from='{{room coven}}/first'>{}…</presence>
        hag/pda       receives <presence from='{{room coven}}/other'>{}…</presence>
        hag/pda       receives <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/other'>{}…</presence>
        hag/pda       sends    <message type='groupchat' id='m' to='{{room coven}}'><body>hi</body></message>
        hag/pda       receives <message id='m'>{}…</message>
        crone/desktop receives <message id='m'>{}…</message>
        hag/pda       sends    <message type='chat' id='p' to='{{room coven}}/first'><body>hi</body></message>
        crone/desktop receives <message id='p'>{}…</message>
        hag/pda       sends    <iq type='set' id='q' to='{{room coven}}'><query xmlns='urn:xmpp:mam:2'/></iq>
        hag/pda       receives <message><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/>
                               <message xmlns='jabber:client' from='{{room coven}}/other' to='{{none}}'><body>hi</body>{}<stanza-id xmlns='urn:xmpp:sid:0'/></message></forwarded></result></message>
        hag/pda       receives <iq type='result' id='q'>…</iq>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        id("crone"),
        id("hag"),
        id("hag"),
        id("hag"),
        id("hag"),
        id("crone"),
        id("hag"),
        id("hag"),
        id("hag"),
        id("hag"),
        id("hag"),
        id("hag"),
    ));
}

// XEP-0421 §2, §4.1
#[test]
fn in_another_room_he_has_another_id() {
    play(&format!(
        "
        crone/desktop connects
        {}
        crone/desktop sends    <presence to='{{room coven}}/first'>{X}</presence>
        crone/desktop receives <presence>{}<x xmlns='{USER}'>…</x></presence>
        crone/desktop receives <message><subject/></message>
        {}
        crone/desktop sends    <presence to='{{room heath}}/first'>{X}</presence>
        crone/desktop receives <presence>{}<x xmlns='{USER}'>…</x></presence>
        crone/desktop receives <message><subject/></message>
        crone/desktop sends    <iq type='get' id='1' to='{{room heath}}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        crone/desktop receives <iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#info'>…<feature var='urn:xmpp:occupant-id:0'/></query></iq>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        id("one"),
        made("crone/desktop", "heath", "first"),
        id("other"),
    ));
}
