//! XEP-0157 Contact Addresses for XMPP Services.

use crate::stage::play_with;

// XEP-0157 §3
#[test]
fn who_runs_the_server_can_be_found() {
    play_with("
        [contact]
        abuse = ['mailto:abuse@montague.example']
    ", "
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{domain}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        romeo/phone receives <iq type='result' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'>
                             <x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>
                             <field var='abuse-addresses'><value>mailto:abuse@montague.example</value></field>…</x>…</query></iq>
        everyone    is quiet
    ");
}
