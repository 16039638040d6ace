//! XEP-0222 Persistent Storage of Public Data via PubSub.

use crate::stage::play;

// XEP-0222 §3
#[test]
fn public_data_is_read_by_everybody() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:public'><item id='current'><e xmlns='urn:x'/></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#persist_items'><value>true</value></field><field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:public'></items></pubsub></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:public'><item id='current'><e xmlns='urn:x'/></item></items></pubsub></iq>
        romeo/phone   sends    <iq type='get' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:public'></items></pubsub></iq>
        romeo/phone   receives <iq type='result' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:public'><item id='current'><e xmlns='urn:x'/></item></items></pubsub></iq>
        everyone      is quiet
    ");
}
