//! XEP-0359 Unique and Stable Stanza IDs.

use crate::stage::play;

// XEP-0359 §3
#[test]
fn an_id_in_the_accounts_name_is_the_accounts_own_and_others_stay() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>hi</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/>
                               <stanza-id xmlns='urn:xmpp:sid:0' id='forged' by='{romeo}'/><stanza-id xmlns='urn:xmpp:sid:0' id='kept' by='room@muc.example'/></message>
        romeo/phone   receives <message><body>hi</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/><stanza-id xmlns='urn:xmpp:sid:0' id='kept' by='room@muc.example'/>
                               <stanza-id xmlns='urn:xmpp:sid:0' id='{$id}' by='{romeo}'/></message>
        romeo/phone   sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$id}'>…</result></message>
        romeo/phone   receives <iq type='result' id='q1'><fin xmlns='urn:xmpp:mam:2'>…</fin></iq>
        everyone      is quiet
    ");
}

// XEP-0359 §3 rule 2
#[test]
fn a_forged_id_is_taken_out_where_none_is_added() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='headline'><body>news</body><stanza-id xmlns='urn:xmpp:sid:0' id='forged' by='{romeo}'/></message>
        romeo/phone   receives <message type='headline'><body>news</body></message>
        everyone      is quiet
    ");
}
