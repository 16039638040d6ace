//! XEP-0384 OMEMO Encryption.

use crate::stage::play;

// XEP-0384 §5.3
#[test]
fn device_lists_and_bundles_are_open_and_many_bundles_stand_on_one_node() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:omemo:2:devices'><item id='current'><devices xmlns='urn:xmpp:omemo:2'><device id='12'/></devices></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/phone   sends    <iq type='set' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:omemo:2:bundles'><item id='12'><bundle xmlns='urn:xmpp:omemo:2'><spk id='1'>AA==</spk></bundle></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>open</value></field><field var='pubsub#max_items'><value>max</value></field><field var='pubsub#persist_items'><value>true</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p2'>…</iq>
        romeo/phone   sends    <iq type='set' id='p3'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:omemo:2:bundles'><item id='13'><bundle xmlns='urn:xmpp:omemo:2'><spk id='2'>AA==</spk></bundle></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>open</value></field><field var='pubsub#max_items'><value>max</value></field><field var='pubsub#persist_items'><value>true</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p3'>…</iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:omemo:2:devices'></items></pubsub></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:omemo:2:devices'><item id='current'><devices xmlns='urn:xmpp:omemo:2'><device id='12'/></devices></item></items></pubsub></iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:omemo:2:bundles'><item id='12'/></items></pubsub></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:omemo:2:bundles'><item id='12'><bundle xmlns='urn:xmpp:omemo:2'><spk id='1'>AA==</spk></bundle></item></items></pubsub></iq>
        everyone      is quiet
    ");
}

// XEP-0384 §5.3.2, XEP-0060 §7.1.5
#[test]
fn who_finds_a_node_that_is_not_open_configures_it_and_publishes_again() {
    play("
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:omemo:2:devices'><item id='current'><devices xmlns='urn:xmpp:omemo:2'><device id='12'/></devices></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/phone   sends    <iq type='set' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:omemo:2:devices'><item id='current'><devices xmlns='urn:xmpp:omemo:2'><device id='12'/></devices></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='error' id='p2'>{error cancel conflict}…</iq>
        romeo/phone   sends    <iq type='set' id='c1'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='urn:xmpp:omemo:2:devices'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config</value></field><field var='pubsub#access_model'><value>open</value></field></x></configure></pubsub></iq>
        romeo/phone   receives <iq type='result' id='c1'/>
        romeo/phone   sends    <iq type='set' id='p3'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:omemo:2:devices'><item id='current'><devices xmlns='urn:xmpp:omemo:2'><device id='12'/></devices></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p3'>…</iq>
        everyone      is quiet
    ");
}
