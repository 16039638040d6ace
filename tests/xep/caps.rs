//! XEP-0115 Entity Capabilities.

use crate::stage::play;

// XEP-0115 §6.3
#[test]
fn the_features_of_a_stream_carry_the_servers_capabilities_and_their_node_is_known() {
    play("
        romeo/phone  opens a stream
        romeo/phone  receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/phone  receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/phone  sends    <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain romeo}</auth>
        romeo/phone  receives <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
        romeo/phone  opens a stream
        romeo/phone  receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/phone  receives <features xmlns='http://etherx.jabber.org/streams'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:rookery' ver='{$ver}'/>…</features>
        romeo/laptop connects
        romeo/laptop sends    <iq type='get' to='{domain}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:rookery#{$ver}'/></iq>
        romeo/laptop receives <iq type='result' from='{domain}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:rookery#{$ver}'>
                              <identity category='server' type='im'/><feature var='http://jabber.org/protocol/caps'/>…</query></iq>
        romeo/laptop sends    <iq type='get' to='{domain}' id='d2'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:rookery#older'/></iq>
        romeo/laptop receives <iq type='error' from='{domain}' id='d2'>{error cancel item-not-found}…</iq>
    ");
}
