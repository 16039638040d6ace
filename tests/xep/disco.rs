//! XEP-0030 Service Discovery.

use crate::stage::play;

// XEP-0030 §3.1
#[test]
fn the_server_says_what_it_is_and_what_it_can_do() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{domain}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        romeo/phone receives <iq type='result' from='{domain}' to='{romeo/phone}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info' node='{none}'>
                             <identity category='server' type='im'/>
                             <feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/>
                             <feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:mam:2'/><feature var='urn:xmpp:blocking'/>…</query></iq>
        everyone    is quiet
    ");
}

// XEP-0030 §3.1, §8
#[test]
fn an_account_describes_itself_to_its_owner_and_not_to_strangers() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='get' to='{romeo}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        romeo/phone   receives <iq type='result' from='{romeo}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'>
                               <identity category='account' type='registered'/><feature var='urn:xmpp:mam:2'/>…</query></iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='d2'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='d2'>{error cancel service-unavailable}…</iq>
        juliet/garden sends    <iq type='get' to='nobody@{domain}' id='d3'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        juliet/garden receives <iq type='error' id='d3'>{error cancel service-unavailable}…</iq>
        everyone      is quiet
    ");
}

// XEP-0030 §4.1, §8
#[test]
fn the_items_of_an_account_are_its_resources_for_those_who_may_see_them() {
    play("
        romeo/phone   connects
        romeo/laptop  connects
        juliet/garden connects
        romeo/phone   sends    <iq type='get' to='{romeo}' id='d1'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
        romeo/phone   receives <iq type='result' id='d1'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='{romeo/phone}'/><item jid='{romeo/laptop}'/></query></iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='d2'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
        juliet/garden receives <iq type='result' id='d2'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
        everyone      is quiet
    ");
}

// XEP-0030 §7
#[test]
fn an_unknown_node_is_not_found() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{domain}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info' node='nowhere'/></iq>
        romeo/phone receives <iq type='error' id='d1'>{error cancel item-not-found}…</iq>
        romeo/phone sends    <iq type='get' id='d2'><query xmlns='http://jabber.org/protocol/disco#info' node='nowhere'/></iq>
        romeo/phone receives <iq type='error' id='d2'>{error cancel item-not-found}…</iq>
        everyone    is quiet
    ");
}
