//! XEP-0504 Data Policy.

use crate::stage::play_with;

// XEP-0504 §3
#[test]
fn people_can_read_what_becomes_of_their_data() {
    play_with("[data_policy]\nauth_data = 'hidden'\ndata_retention = '720'\nfull_erasure = true\naccess_policy = ['admins']", "
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{domain}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        romeo/phone receives <iq type='result' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'>…
                             <x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:data-policy:0</value></field>
                             <field var='auth_data' type='list-single'><value>hidden</value></field>
                             <field var='data_retention' type='text-single'><value>720</value></field>
                             <field var='access_policy' type='list-multi'><value>admins</value></field>
                             <field var='full_erasure' type='boolean'><value>1</value></field></x></query></iq>
        everyone    is quiet
    ");
}
