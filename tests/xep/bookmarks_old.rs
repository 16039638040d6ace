//! XEP-0048 Bookmarks.

use crate::stage::play;

// XEP-0048 §3, XEP-0402 §5.3.2: what the old form cannot say stays
#[test]
fn a_list_in_private_xml_becomes_items() {
    play("
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:bookmarks:1'><item id='coven@rooms.lit'><conference xmlns='urn:xmpp:bookmarks:1' name='Coven' autojoin='true'><nick>Hecate</nick><extensions><e xmlns='urn:x'/></extensions></conference></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>whitelist</value></field><field var='pubsub#persist_items'><value>true</value></field><field var='pubsub#max_items'><value>max</value></field><field var='pubsub#send_last_published_item'><value>never</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        everyone      is quiet
        romeo/phone   sends    <iq type='set' id='b1'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference xmlns='storage:bookmarks' jid='coven@rooms.lit' name='Coven' autojoin='true'><nick>Hecate</nick></conference><conference xmlns='storage:bookmarks' jid='heath@rooms.lit' name='Heath'/><url xmlns='storage:bookmarks' url='https://a.example'/></storage></query></iq>
        romeo/phone   receives <iq type='result' id='b1'/>
        everyone      is quiet
        romeo/phone   sends    <iq type='get' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'></items></pubsub></iq>
        romeo/phone   receives <iq type='result' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'><item id='coven@rooms.lit'><conference xmlns='urn:xmpp:bookmarks:1' name='Coven' autojoin='true'><nick>Hecate</nick><extensions><e xmlns='urn:x'/></extensions></conference></item><item id='heath@rooms.lit'><conference xmlns='urn:xmpp:bookmarks:1' name='Heath'/></item></items></pubsub></iq>
        romeo/phone   sends    <iq type='set' id='r1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><retract node='urn:xmpp:bookmarks:1' notify='true'><item id='coven@rooms.lit'/></retract></pubsub></iq>
        romeo/phone   receives <iq type='result' id='r1'/>
        everyone      is quiet
        romeo/phone   sends    <iq type='get' id='b2'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query></iq>
        romeo/phone   receives <iq type='result' id='b2'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference xmlns='storage:bookmarks' jid='heath@rooms.lit' name='Heath'/><url xmlns='storage:bookmarks' url='https://a.example'/></storage></query></iq>
    ");
}

// XEP-0048 §3.1, XEP-0402 §5.3.2
#[test]
fn a_list_on_the_old_node_becomes_items_and_takes_away_those_that_are_not_in_it() {
    play("
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='b1'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference xmlns='storage:bookmarks' jid='heath@rooms.lit' name='Heath'/></storage></query></iq>
        romeo/phone   receives <iq type='result' id='b1'/>
        everyone      is quiet
        romeo/phone   sends    <iq type='set' id='b2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='storage:bookmarks'><item id='current'><storage xmlns='storage:bookmarks'><conference xmlns='storage:bookmarks' jid='coven@rooms.lit' name='Coven' autojoin='true'><nick>Hecate</nick></conference></storage></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='b2'>…</iq>
        everyone      is quiet
        romeo/phone   sends    <iq type='get' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'></items></pubsub></iq>
        romeo/phone   receives <iq type='result' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'><item id='coven@rooms.lit'>…</item></items></pubsub></iq>
        romeo/phone   sends    <iq type='get' id='b3'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query></iq>
        romeo/phone   receives <iq type='result' id='b3'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference xmlns='storage:bookmarks' jid='coven@rooms.lit' name='Coven' autojoin='true'><nick>Hecate</nick></conference></storage></query></iq>
    ");
}
