//! XEP-0084 User Avatar.

use crate::stage::play;

// XEP-0084 §4.1, §4.2
#[test]
fn an_avatar_is_published_in_two_parts_and_fetched_by_its_hash() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:avatar:data'><item id='112b30e12063e66ac00da71d934a45b4fc6404fe'><data xmlns='urn:xmpp:avatar:data'>R0lGODlhIG5vdCByZWFsbHk=</data></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/phone   sends    <iq type='set' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:avatar:metadata'><item id='112b30e12063e66ac00da71d934a45b4fc6404fe'><metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='17' id='112b30e12063e66ac00da71d934a45b4fc6404fe' type='image/gif'/></metadata></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p2'>…</iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'></items></pubsub></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'><item id='112b30e12063e66ac00da71d934a45b4fc6404fe'><metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='17' id='112b30e12063e66ac00da71d934a45b4fc6404fe' type='image/gif'/></metadata></item></items></pubsub></iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:data'><item id='112b30e12063e66ac00da71d934a45b4fc6404fe'/></items></pubsub></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:data'><item id='112b30e12063e66ac00da71d934a45b4fc6404fe'><data xmlns='urn:xmpp:avatar:data'>R0lGODlhIG5vdCByZWFsbHk=</data></item></items></pubsub></iq>
        everyone      is quiet
    ");
}

// XEP-0084 §4.1: an image of 100 KiB
#[test]
fn an_avatar_may_be_large() {
    let data = format!("<data xmlns='urn:xmpp:avatar:data'>{}</data>", "QUJD".repeat(34_133));
    play(&format!("
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:avatar:data'><item id='large'>{data}</item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/phone   sends    <iq type='get' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:data'><item id='large'/></items></pubsub></iq>
        romeo/phone   receives <iq type='result' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:data'><item id='large'>{data}</item></items></pubsub></iq>
        everyone      is quiet
    "));
}
