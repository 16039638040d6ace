//! XEP-0223 Persistent Storage of Private Data via PubSub.

use crate::stage::play;

// XEP-0223 §3
#[test]
fn private_data_is_read_by_its_owner_alone() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:private'><item id='current'><e xmlns='urn:x'/></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#persist_items'><value>true</value></field><field var='pubsub#access_model'><value>whitelist</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:private'></items></pubsub></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='i1'>{error cancel not-allowed}…</iq>
        romeo/phone   sends    <iq type='get' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:private'></items></pubsub></iq>
        romeo/phone   receives <iq type='result' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:private'><item id='current'><e xmlns='urn:x'/></item></items></pubsub></iq>
        everyone      is quiet
    ");
}
