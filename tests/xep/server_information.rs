//! XEP-0485 PubSub Server Information.

use crate::stage::{play, play_with};

const PUBSUB: &str = "xmlns='http://jabber.org/protocol/pubsub'";
const DISCO: &str = "xmlns='http://jabber.org/protocol/disco#info'";

// XEP-0485 §3, §4
#[test]
fn a_node_says_which_domains_are_served_and_nobody_changes_it() {
    play_with("[pubsub]\nserver_information = true\n[[domain]]\nname = 'localhost'\n[[domain]]\nname = 'other.example'\n", &format!("
        romeo/phone   connects
        romeo/phone   sends    <iq type='get' to='{{domain}}' id='1'><query {DISCO}/></iq>
        romeo/phone   receives <iq type='result' id='1'><query {DISCO}>…<feature var='urn:xmpp:serverinfo:0'/>…</query></iq>
        romeo/phone   sends    <iq type='get' to='pubsub.{{domain}}' id='2'><query {DISCO} node='serverinfo'/></iq>
        romeo/phone   receives <iq type='result' id='2'><query {DISCO} node='serverinfo'>…<identity category='pubsub' type='leaf'/>…</query></iq>
        romeo/phone   sends    <iq type='get' to='pubsub.{{domain}}' id='3'><pubsub {PUBSUB}><items node='serverinfo'/></pubsub></iq>
        romeo/phone   receives <iq type='result' id='3'><pubsub {PUBSUB}><items node='serverinfo'><item id='current'><serverinfo xmlns='urn:xmpp:serverinfo:0'><domain name='localhost'/><domain name='other.example'/></serverinfo></item></items>…</pubsub></iq>
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='4'><pubsub {PUBSUB}><publish node='serverinfo'><item><x xmlns='urn:x'/></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='error' id='4'>…{{error auth forbidden}}</iq>
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='5'><pubsub {PUBSUB}><create node='serverinfo'/></pubsub></iq>
        romeo/phone   receives <iq type='error' id='5'>…{{error cancel conflict}}</iq>
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='6'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete node='serverinfo'/></pubsub></iq>
        romeo/phone   receives <iq type='error' id='6'>…{{error auth forbidden}}</iq>
    "));
}

// XEP-0485 §7
#[test]
fn nothing_is_said_where_the_operator_has_not_agreed() {
    play(&format!("
        romeo/phone   connects
        romeo/phone   sends    <iq type='get' to='pubsub.{{domain}}' id='3'><pubsub {PUBSUB}><items node='serverinfo'/></pubsub></iq>
        romeo/phone   receives <iq type='error' id='3'>…{{error cancel item-not-found}}</iq>
    "));
}
