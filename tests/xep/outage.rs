//! XEP-0455 Service Outage Status.

use crate::stage::play_with;

// XEP-0455 §2.1
#[test]
fn clients_learn_where_the_state_of_the_service_is_told() {
    play_with("[contact]\nexternal_status = ['https://status.montague.example/chat.json']", "
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{domain}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        romeo/phone receives <iq type='result' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'>…
                             <x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:sos:0</value></field>
                             <field var='external-status-addresses'><value>https://status.montague.example/chat.json</value></field></x></query></iq>
        everyone    is quiet
    ");
}
