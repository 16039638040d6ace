//! What one account may have of anything: for each bound of `[accounts]`, a story that reaches it, with the
//! error that tells.

use std::sync::OnceLock;

use crate::stage::{Stage, play_on};

const SMALL: &str = "
    [accounts]
    sessions = 2
    roster_items = 2
    subscription_requests = 1
    directed_presence = 1
    blocked_addresses = 2
    offline_bytes = 1000
    private_items = 2
    private_bytes = 300
    vcard_bytes = 300
    archive_preferences = 2
    nodes = 2
    items_of_node = 2
    items = 3
    item_bytes = 100
    items_bytes = 250
    people_of_node = 1
    [archive]
    page_messages = 2
";

fn play(story: &str) {
    static SHARED: OnceLock<Stage> = OnceLock::new();
    play_on(SHARED.get_or_init(|| Stage::start(SMALL)), story);
}

// RFC 6120 §7.6.2.1
#[test]
fn sessions_are_bounded() {
    play("
        romeo/phone  connects
        romeo/laptop connects
        romeo/tablet logs in
        romeo/tablet sends    <iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>tablet</resource></bind></iq>
        romeo/tablet receives <iq type='error' id='b'>{error wait resource-constraint}…</iq>
    ");
}

// RFC 6121 §2.3.3
#[test]
fn roster_items_are_bounded() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='set' id='r1'><query xmlns='jabber:iq:roster'><item jid='a@x.example'/></query></iq>
        romeo/phone receives <iq type='result' id='r1'/>
        romeo/phone sends    <iq type='set' id='r2'><query xmlns='jabber:iq:roster'><item jid='b@x.example'/></query></iq>
        romeo/phone receives <iq type='result' id='r2'/>
        romeo/phone sends    <iq type='set' id='r3'><query xmlns='jabber:iq:roster'><item jid='c@x.example'/></query></iq>
        romeo/phone receives <iq type='error' id='r3'>{error wait resource-constraint}…</iq>
        romeo/phone sends    <iq type='set' id='r4'><query xmlns='jabber:iq:roster'><item jid='b@x.example' name='B'/></query></iq>
        romeo/phone receives <iq type='result' id='r4'/>
        romeo/phone sends    <presence to='d@x.example' type='subscribe' id='p'/>
        romeo/phone receives <presence from='d@x.example' type='error' id='p'>{error wait resource-constraint}…</presence>
        everyone    is quiet
    ");
}

// RFC 6121 §3.1.3, last warning; §3.1.2: who asked hears of the error.
#[test]
fn requests_that_wait_for_an_answer_are_bounded_and_the_next_one_is_refused() {
    play("
        juliet/garden connects
        romeo/phone   connects
        paris/house   connects
        romeo/phone   sends    <presence to='{juliet}' type='subscribe' id='s1'/>
        juliet/garden receives <presence from='{romeo}' type='subscribe' id='s1'/>
        paris/house   sends    <presence to='{juliet}' type='subscribe' id='s2'/>
        paris/house   receives <presence from='{juliet}' type='error' id='s2'>{error wait resource-constraint}…</presence>
        juliet/garden is quiet
        juliet/garden sends    <presence to='{romeo}' type='unsubscribed'/>
        paris/house   sends    <presence to='{juliet}' type='subscribe' id='s3'/>
        juliet/garden receives <presence from='{paris}' type='subscribe' id='s3'/>
        everyone      is quiet
    ");
}

// RFC 6121 §4.6.3
#[test]
fn directed_presence_is_bounded() {
    play("
        juliet/garden connects
        nurse/kitchen connects
        romeo/phone   connects
        romeo/phone   sends    <presence to='{juliet/garden}'/>
        juliet/garden receives <presence from='{romeo/phone}'/>
        romeo/phone   sends    <presence to='{nurse/kitchen}' id='d'/>
        romeo/phone   receives <presence from='{nurse/kitchen}' type='error' id='d'>{error wait resource-constraint}…</presence>
        everyone      is quiet
    ");
}

// XEP-0191 §3.3
#[test]
fn blocked_addresses_are_bounded() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='set' id='b1'><block xmlns='urn:xmpp:blocking'><item jid='a@x.example'/><item jid='b@x.example'/></block></iq>
        romeo/phone receives <iq type='result' id='b1'/>
        romeo/phone sends    <iq type='set' id='b2'><block xmlns='urn:xmpp:blocking'><item jid='c@x.example'/></block></iq>
        romeo/phone receives <iq type='error' id='b2'>{error wait resource-constraint}…</iq>
        romeo/phone sends    <iq type='get' id='b3'><blocklist xmlns='urn:xmpp:blocking'/></iq>
        romeo/phone receives <iq type='result' id='b3'><blocklist xmlns='urn:xmpp:blocking'><item jid='a@x.example'/><item jid='b@x.example'/></blocklist></iq>
    ");
}

// XEP-0160 §2 rule 3
#[test]
fn bytes_of_stored_messages_are_bounded() {
    let long = "x".repeat(600);
    play(&format!("
        juliet/garden connects
        romeo/phone   logs in
        juliet/garden sends    <message to='{{romeo}}' type='chat' id='m1'><body>{long}</body></message>
        juliet/garden sends    <message to='{{romeo}}' type='chat' id='m2'><body>{long}</body></message>
        juliet/garden receives <message type='error' from='{{romeo}}' id='m2'>{{error cancel service-unavailable}}…</message>
        romeo/phone   connects
        romeo/phone   receives <message id='m1'><body>{long}</body>…</message>
        everyone      is quiet
    "));
}

// XEP-0049 §3
#[test]
fn private_xml_is_bounded_in_number_and_bytes() {
    let long = "x".repeat(300);
    play(&format!("
        romeo/phone connects
        romeo/phone sends    <iq type='set' id='s1'><query xmlns='jabber:iq:private'><a xmlns='urn:a'/><a xmlns='urn:b'/></query></iq>
        romeo/phone receives <iq type='result' id='s1'/>
        romeo/phone sends    <iq type='set' id='s2'><query xmlns='jabber:iq:private'><a xmlns='urn:c'/></query></iq>
        romeo/phone receives <iq type='error' id='s2'>{{error modify policy-violation}}…</iq>
        romeo/phone sends    <iq type='set' id='s3'><query xmlns='jabber:iq:private'><a xmlns='urn:a'>{long}</a></query></iq>
        romeo/phone receives <iq type='error' id='s3'>{{error modify policy-violation}}…</iq>
        romeo/phone sends    <iq type='get' id='g'><query xmlns='jabber:iq:private'><a xmlns='urn:a'/></query></iq>
        romeo/phone receives <iq type='result' id='g'><query xmlns='jabber:iq:private'><a xmlns='urn:a'/></query></iq>
    "));
}

// XEP-0054 §3.2
#[test]
fn bytes_of_a_vcard_are_bounded() {
    let long = "x".repeat(300);
    play(&format!("
        romeo/phone connects
        romeo/phone sends    <iq type='set' id='v1'><vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard></iq>
        romeo/phone receives <iq type='result' id='v1'/>
        romeo/phone sends    <iq type='set' id='v2'><vCard xmlns='vcard-temp'><FN>{long}</FN></vCard></iq>
        romeo/phone receives <iq type='error' id='v2'>{{error modify policy-violation}}…</iq>
        romeo/phone sends    <iq type='get' id='v3'><vCard xmlns='vcard-temp'/></iq>
        romeo/phone receives <iq type='result' id='v3'><vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard></iq>
    "));
}

// XEP-0441 §2.1
#[test]
fn addresses_in_archiving_preferences_are_bounded() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' default='always'><always><jid>a@x.example</jid><jid>b@x.example</jid></always><never><jid>c@x.example</jid></never></prefs></iq>
        romeo/phone receives <iq type='error' id='p'>{error modify policy-violation}…</iq>
        romeo/phone sends    <iq type='get' id='g'><prefs xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone receives <iq type='result' id='g'><prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never/></prefs></iq>
    ");
}

// XEP-0059 §2.1
#[test]
fn messages_of_a_page_are_bounded() {
    let result = |number: u32| {
        format!(
            "romeo/phone receives <message><result xmlns='urn:xmpp:mam:2' id='{{$i{number}}}'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/>
             <message xmlns='jabber:client' id='m{number}'>…</message></forwarded></result></message>"
        )
    };
    play(&format!("
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <message to='{{juliet/garden}}' type='chat' id='m1'><body>1</body></message>
                               <message to='{{juliet/garden}}' type='chat' id='m2'><body>2</body></message>
                               <message to='{{juliet/garden}}' type='chat' id='m3'><body>3</body></message>
        romeo/phone   sends    <iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>100</max></set></query></iq>
        {}
        {}
        romeo/phone   receives <iq type='result' id='q'><fin xmlns='urn:xmpp:mam:2' complete='{{none}}'>…</fin></iq>
        romeo/phone   is quiet
    ", result(1), result(2)));
}

// XEP-0060 §7.1.2.5, §7.1.3.5, §6.1.3.9; XEP-0163
#[test]
fn nodes_items_and_subscriptions_are_bounded() {
    play("
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='a'><item id='1'><e xmlns='urn:e'>x</e></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='pubsub#max_items'><value>max</value></field><field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/phone   sends    <iq type='set' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='a'><item id='2'><e xmlns='urn:e'>x</e></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p2'>…</iq>
        romeo/phone   sends    <iq type='set' id='p3'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='a'><item id='3'><e xmlns='urn:e'>x</e></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p3'>…</iq>
        romeo/phone   sends    <iq type='get' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='a'/></pubsub></iq>
        romeo/phone   receives <iq type='result' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='a'><item id='2'>…</item><item id='3'>…</item></items></pubsub></iq>
        romeo/phone   sends    <iq type='set' id='p4'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='b'><item id='1'><e xmlns='urn:e'>x</e></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='pubsub#max_items'><value>max</value></field><field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p4'>…</iq>
        romeo/phone   sends    <iq type='set' id='p5'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='b'><item id='2'><e xmlns='urn:e'>x</e></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='error' id='p5'>{error cancel resource-constraint}…</iq>
        romeo/phone   sends    <iq type='set' id='p6'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='c'><item id='1'><e xmlns='urn:e'>x</e></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='error' id='p6'>{error cancel resource-constraint}…</iq>
        romeo/phone   sends    <iq type='set' id='p7'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='b'><item id='1'><e xmlns='urn:e'>xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx</e></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='error' id='p7'>{error modify not-acceptable}…</iq>
        romeo/phone   sends    <iq type='set' id='p8'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='b'><item id='1'><e xmlns='urn:e'>xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx</e></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p8'>…</iq>
        romeo/phone   sends    <iq type='set' id='p9'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='a'><item id='2'><e xmlns='urn:e'>xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx</e></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p9'>…</iq>
        romeo/phone   sends    <iq type='set' id='p10'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='a'><item id='3'><e xmlns='urn:e'>xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx</e></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='error' id='p10'>{error cancel resource-constraint}…</iq>
        juliet/garden connects
        juliet/garden sends    <iq type='set' to='{romeo}' id='s1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='a' jid='{juliet}'/></pubsub></iq>
        juliet/garden hears    <iq type='result' id='s1'>…</iq>
                               <message from='{romeo}'>…</message>
        juliet/garden sends    <iq type='set' to='{romeo}' id='s2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='a' jid='{juliet/garden}'/></pubsub></iq>
        juliet/garden receives <iq type='error' id='s2'>{error modify policy-violation}…</iq>
        everyone      is quiet
    ");
}
