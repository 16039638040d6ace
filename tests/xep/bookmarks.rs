//! XEP-0402 PEP Native Bookmarks.

use crate::stage::play;

// XEP-0402 §5.3.1
#[test]
fn a_bookmark_stands_in_the_old_places_as_well() {
    play("
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:bookmarks:1'><item id='coven@rooms.lit'><conference xmlns='urn:xmpp:bookmarks:1' name='Coven' autojoin='true'><nick>Hecate</nick><extensions><e xmlns='urn:x'/></extensions></conference></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>whitelist</value></field><field var='pubsub#persist_items'><value>true</value></field><field var='pubsub#max_items'><value>max</value></field><field var='pubsub#send_last_published_item'><value>never</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        everyone      is quiet
        romeo/phone   sends    <iq type='get' id='b1'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query></iq>
        romeo/phone   receives <iq type='result' id='b1'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference xmlns='storage:bookmarks' jid='coven@rooms.lit' name='Coven' autojoin='true'><nick>Hecate</nick></conference></storage></query></iq>
        romeo/phone   sends    <iq type='get' id='b2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='storage:bookmarks'></items></pubsub></iq>
        romeo/phone   receives <iq type='result' id='b2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='storage:bookmarks'><item id='current'><storage xmlns='storage:bookmarks'><conference xmlns='storage:bookmarks' jid='coven@rooms.lit' name='Coven' autojoin='true'><nick>Hecate</nick></conference></storage></item></items></pubsub></iq>
        romeo/phone   sends    <iq type='set' id='r1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><retract node='urn:xmpp:bookmarks:1' notify='true'><item id='coven@rooms.lit'/></retract></pubsub></iq>
        romeo/phone   receives <iq type='result' id='r1'/>
        everyone      is quiet
        romeo/phone   sends    <iq type='get' id='b3'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query></iq>
        romeo/phone   receives <iq type='result' id='b3'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query></iq>
        romeo/phone   sends    <iq type='get' id='b4'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='storage:bookmarks'></items></pubsub></iq>
        romeo/phone   receives <iq type='result' id='b4'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='storage:bookmarks'><item id='current'><storage xmlns='storage:bookmarks'/></item></items></pubsub></iq>
    ");
}

// XEP-0402 §8, XEP-0223 §4
#[test]
fn others_read_no_bookmarks() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:bookmarks:1'><item id='coven@rooms.lit'><conference xmlns='urn:xmpp:bookmarks:1' name='Coven' autojoin='true'><nick>Hecate</nick><extensions><e xmlns='urn:x'/></extensions></conference></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>whitelist</value></field><field var='pubsub#persist_items'><value>true</value></field><field var='pubsub#max_items'><value>max</value></field><field var='pubsub#send_last_published_item'><value>never</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        everyone      is quiet
        juliet/garden sends    <iq type='get' to='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'></items></pubsub></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='i1'>{error cancel not-allowed}…</iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='storage:bookmarks'></items></pubsub></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='i2'>{error cancel not-allowed}…</iq>
    ");
}
