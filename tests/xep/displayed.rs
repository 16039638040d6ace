//! XEP-0490 Message Displayed Synchronization.

use crate::stage::play;

const READ: &str = "<displayed xmlns='urn:xmpp:mds:displayed:0'><stanza-id xmlns='urn:xmpp:sid:0' by='{juliet}' id='17'/></displayed>";
/// Of a client that wants to be told, and nothing else.
const HASH: &str = "EVWFxN2SnwLWYtrg1AXLzY/E+/0=";
const ITEMS: &str = "<iq type='get' id='i'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:mds:displayed:0'/></pubsub></iq>";

// §4.5, §5.2: kept on the node, taken out before the message is sent, copied or archived.
#[test]
fn a_client_tells_the_sender_and_its_own_other_clients_in_one_message() {
    play(&format!("
        romeo/phone   connects
        juliet/garden connects
        juliet/house  connects
        juliet/garden sends    <iq type='get' to='{{juliet}}' id='d'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        juliet/garden receives <iq type='result' id='d'><query xmlns='http://jabber.org/protocol/disco#info'>…<feature var='urn:xmpp:mds:server-assist:0'/>…</query></iq>
        juliet/house  sends    <iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>
        juliet/house  receives <iq type='result' id='c'/>
        juliet/garden sends    <message to='{{romeo}}' type='chat' id='m'><displayed xmlns='urn:xmpp:chat-markers:0' id='his'/>{READ}<store xmlns='urn:xmpp:hints'/></message>
        romeo/phone   receives <message id='m' from='{{juliet/garden}}'><displayed xmlns='urn:xmpp:chat-markers:0' id='his'/><store xmlns='urn:xmpp:hints'/><stanza-id xmlns='urn:xmpp:sid:0'/></message>
        juliet/house  receives <message><sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' id='m'><displayed xmlns='urn:xmpp:chat-markers:0' id='his'/><store xmlns='urn:xmpp:hints'/><stanza-id xmlns='urn:xmpp:sid:0'/></message></forwarded></sent></message>
        juliet/house  sends    {ITEMS}
        juliet/house  receives <iq type='result' id='i'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:mds:displayed:0'><item id='{{romeo}}'>{READ}</item></items></pubsub></iq>
        juliet/house  sends    <iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>
        juliet/house  receives <message><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/><message xmlns='jabber:client' id='m'><displayed xmlns='urn:xmpp:chat-markers:0' id='his'/><store xmlns='urn:xmpp:hints'/></message></forwarded></result></message>
        juliet/house  receives <iq type='result' id='q'>…</iq>
        romeo/phone   sends    <iq type='get' to='{{juliet}}' id='i'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:mds:displayed:0'/></pubsub></iq>
        romeo/phone   receives <iq type='error' id='i'>…</iq>
        everyone      is quiet
    "));
}

// §4.2, §4.3: as any private node; a client whose capabilities ask for it is told.
#[test]
fn a_client_publishes_how_far_it_has_read_and_others_of_the_account_are_told() {
    play(&format!("
        romeo/phone   connects
        juliet/house  binds
        juliet/house  sends    <presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' ver='{HASH}'/></presence>
        juliet/house  hears    <presence from='{{juliet/house}}'>…</presence>
                               <iq type='get' from='{{juliet}}' id='{{$ask}}'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:x#{HASH}'/></iq>
        juliet/house  sends    <iq type='result' to='{{juliet}}' id='{{$ask}}'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:x#{HASH}'><feature var='urn:xmpp:mds:displayed:0+notify'/></query></iq>
        juliet/garden connects
        juliet/garden sends    <iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:mds:displayed:0'><item id='{{romeo}}'>{READ}</item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#persist_items'><value>true</value></field><field var='pubsub#max_items'><value>max</value></field><field var='pubsub#send_last_published_item'><value>never</value></field><field var='pubsub#access_model'><value>whitelist</value></field></x></publish-options></pubsub></iq>
        juliet/garden receives <iq type='result' id='p'>…</iq>
        juliet/house  receives <message from='{{juliet}}' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:mds:displayed:0'><item id='{{romeo}}'>{READ}</item></items></event></message>
        juliet/garden sends    <message to='{{romeo}}'><displayed xmlns='urn:xmpp:chat-markers:0' id='his'/>{READ}</message>
        juliet/house  receives <message from='{{juliet}}' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:mds:displayed:0'><item id='{{romeo}}'>{READ}</item></items></event></message>
        romeo/phone   receives <message from='{{juliet/garden}}'><displayed xmlns='urn:xmpp:chat-markers:0' id='his'/></message>
        everyone      is quiet
    "));
}
