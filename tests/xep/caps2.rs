//! XEP-0390 Entity Capabilities 2.0.

use crate::stage::play;

// XEP-0390 §4.4: a hash that is not that of the answer counts for nobody else
#[test]
fn a_forged_hash_poisons_nobody() {
    play("
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:tune'><item id='a'><tune xmlns='urn:x:tune'>Lute</tune></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/phone   sends    <presence><c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>Zm9yZ2VkIGZvcmdlZCBmb3JnZWQgZm9yZ2VkIGZvcmc=</hash></c></presence>
        romeo/phone   hears    <iq type='get' from='{romeo}' to='{romeo/phone}' id='{$a}'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:xmpp:caps#sha-256.Zm9yZ2VkIGZvcmdlZCBmb3JnZWQgZm9yZ2VkIGZvcmc='/></iq>
                               <presence from='{romeo/phone}'>…</presence>
        romeo/phone   sends    <iq type='result' id='{$a}' to='{romeo}'><query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc' name='T'/><feature var='urn:x:tune+notify'/></query></iq>
        romeo/phone   receives <message from='{romeo}'><event xmlns='http://jabber.org/protocol/pubsub#event'>…</event><delay xmlns='urn:xmpp:delay'/></message>
        juliet/garden connects
        juliet/garden sends    <presence><c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>Zm9yZ2VkIGZvcmdlZCBmb3JnZWQgZm9yZ2VkIGZvcmc=</hash></c></presence>
        juliet/garden hears    <iq type='get' from='{juliet}' to='{juliet/garden}' id='{$b}'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:xmpp:caps#sha-256.Zm9yZ2VkIGZvcmdlZCBmb3JnZWQgZm9yZ2VkIGZvcmc='/></iq>
                               <presence from='{juliet/garden}'>…</presence>
        juliet/garden sends    <iq type='error' id='{$b}' to='{juliet}'/>
        everyone      is quiet
    ");
}
