//! XEP-0292 vCard4 Over XMPP.

use crate::stage::play;

// XEP-0292 §4.1
#[test]
fn a_card_on_its_node_is_read_by_everybody() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:vcard4'><item id='current'><vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Romeo</text></fn></vcard></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:vcard4'></items></pubsub></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:vcard4'><item id='current'><vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Romeo</text></fn></vcard></item></items></pubsub></iq>
        romeo/phone   sends    <iq type='get' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:vcard4'></items></pubsub></iq>
        romeo/phone   receives <iq type='result' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:vcard4'><item id='current'><vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Romeo</text></fn></vcard></item></items></pubsub></iq>
        everyone      is quiet
    ");
}
