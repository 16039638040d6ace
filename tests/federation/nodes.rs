//! What people do at a publish-subscribe service of another domain (XEP-0060).

use super::across::{play, play_over_deaths};

const PUBSUB: &str = "xmlns='http://jabber.org/protocol/pubsub'";
const OWNER: &str = "xmlns='http://jabber.org/protocol/pubsub#owner'";
const EVENT: &str = "xmlns='http://jabber.org/protocol/pubsub#event'";

/// Juliet has made a node at the service of her domain, with this configuration, and Romeo of the other domain has subscribed.
fn romeo_listens(node: &str, fields: &[(&str, &str)]) -> String {
    let config = super::personal::form("node_config", fields);
    format!("
        juliet        lives on b
        juliet/garden connects
        romeo/phone   connects
        juliet/garden sends    <iq type='set' to='{{pubsub b}}' id='c1'><pubsub {PUBSUB}><create node='{node}'/><configure>{config}</configure></pubsub></iq>
        juliet/garden receives <iq type='result' from='{{pubsub b}}' id='c1'/>
        romeo/phone   sends    <iq type='set' to='{{pubsub b}}' id='s1'><pubsub {PUBSUB}><subscribe node='{node}' jid='{{romeo}}'/></pubsub></iq>
        romeo/phone   receives <iq type='result' from='{{pubsub b}}' id='s1'><pubsub {PUBSUB}><subscription node='{node}' jid='{{romeo}}' subscription='subscribed'/></pubsub></iq>
        ")
}

/// Somebody publishes this item; the service answers.
fn publishes(who: &str, node: &str, id: &str) -> String {
    format!("{who} sends    <iq type='set' to='{{pubsub b}}' id='p{id}'><pubsub {PUBSUB}><publish node='{node}'><item id='{id}'><e xmlns='urn:x'>{id}</e></item></publish></pubsub></iq>
        {who} receives <iq type='result' from='{{pubsub b}}' id='p{id}'><pubsub {PUBSUB}><publish node='{node}'><item id='{id}'/></publish></pubsub></iq>
        ")
}

/// Romeo hears of it.
fn romeo_hears(node: &str, id: &str) -> String {
    format!("romeo/phone   receives <message from='{{pubsub b}}' to='{{romeo}}' type='headline'><event {EVENT}><items node='{node}'><item id='{id}'><e xmlns='urn:x'>{id}</e></item></items></event></message>
        ")
}

// §5.1, §5.2, §5.4, §5.5: from the other domain's address down to the items of a node.
#[test]
fn a_node_of_another_domain_is_found_from_its_server_down() {
    play(&format!("{}{}{}
        romeo/phone   sends    <iq type='get' to='{{domain b}}' id='1'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
        romeo/phone   receives <iq type='result' from='{{domain b}}' id='1'><query xmlns='http://jabber.org/protocol/disco#items'>…<item jid='{{pubsub b}}'/>…</query></iq>
        romeo/phone   sends    <iq type='get' to='{{pubsub b}}' id='2'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
        romeo/phone   receives <iq type='result' from='{{pubsub b}}' id='2'><query xmlns='http://jabber.org/protocol/disco#items'>…<item jid='{{pubsub b}}' node='found' name='Musings'/>…</query></iq>
        romeo/phone   sends    <iq type='get' to='{{pubsub b}}' id='3'><query xmlns='http://jabber.org/protocol/disco#info' node='found'/></iq>
        romeo/phone   receives <iq type='result' from='{{pubsub b}}' id='3'><query xmlns='http://jabber.org/protocol/disco#info' node='found'><identity category='pubsub' type='leaf'/>…</query></iq>
        romeo/phone   sends    <iq type='get' to='{{pubsub b}}' id='4'><query xmlns='http://jabber.org/protocol/disco#items' node='found'/></iq>
        romeo/phone   receives <iq type='result' from='{{pubsub b}}' id='4'><query xmlns='http://jabber.org/protocol/disco#items' node='found'><item jid='{{pubsub b}}' name='a'/></query></iq>
        romeo/phone   sends    <iq type='get' to='{{pubsub b}}' id='5'><pubsub {PUBSUB}><items node='found'/></pubsub></iq>
        romeo/phone   receives <iq type='result' from='{{pubsub b}}' id='5'><pubsub {PUBSUB}><items node='found'><item id='a'><e xmlns='urn:x'>a</e></item></items></pubsub></iq>
        everyone      is quiet
    ", romeo_listens("found", &[("title", "Musings")]), publishes("juliet/garden", "found", "a"), romeo_hears("found", "a")));
}

// §6.1, §6.2, §7.1.2.1, §7.2, §8.4: as long as they are subscribed.
#[test]
fn a_subscriber_of_another_domain_hears_what_happens_until_he_unsubscribes() {
    play(&format!("{}{}{}
        juliet/garden sends    <iq type='set' to='{{pubsub b}}' id='r1'><pubsub {PUBSUB}><retract node='left' notify='true'><item id='a'/></retract></pubsub></iq>
        juliet/garden receives <iq type='result' id='r1'/>
        romeo/phone   receives <message from='{{pubsub b}}'><event {EVENT}><items node='left'><retract id='a'/></items></event></message>
        romeo/phone   sends    <iq type='get' to='{{pubsub b}}' id='s2'><pubsub {PUBSUB}><subscriptions/></pubsub></iq>
        romeo/phone   receives <iq type='result' id='s2'><pubsub {PUBSUB}><subscriptions><subscription node='left' jid='{{romeo}}' subscription='subscribed'/></subscriptions></pubsub></iq>
        romeo/phone   sends    <iq type='set' to='{{pubsub b}}' id='u1'><pubsub {PUBSUB}><unsubscribe node='left' jid='{{romeo}}'/></pubsub></iq>
        romeo/phone   hears    <iq type='result' from='{{pubsub b}}' id='u1'/>
                               <message from='{{pubsub b}}' to='{{romeo}}'><event {EVENT}><subscription node='left' jid='{{romeo}}' subscription='none'/></event></message>
        {}
        romeo/phone   sends    <iq type='set' to='{{pubsub b}}' id='u2'><pubsub {PUBSUB}><unsubscribe node='left' jid='{{romeo}}'/></pubsub></iq>
        romeo/phone   receives <iq type='error' from='{{pubsub b}}' id='u2'><error type='cancel'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><not-subscribed xmlns='http://jabber.org/protocol/pubsub#errors'/></error></iq>
        everyone      is quiet
    ", romeo_listens("left", &[]), publishes("juliet/garden", "left", "a"), romeo_hears("left", "a"), publishes("juliet/garden", "left", "b")));
}

// §8.4.2
#[test]
fn a_subscriber_of_another_domain_is_told_that_a_node_is_gone() {
    play(&format!("{}
        juliet/garden sends    <iq type='set' to='{{pubsub b}}' id='d1'><pubsub {OWNER}><delete node='gone'/></pubsub></iq>
        juliet/garden receives <iq type='result' id='d1'/>
        romeo/phone   receives <message from='{{pubsub b}}' to='{{romeo}}'><event {EVENT}><delete node='gone'/></event></message>
        romeo/phone   sends    <iq type='get' to='{{pubsub b}}' id='i1'><pubsub {PUBSUB}><items node='gone'/></pubsub></iq>
        romeo/phone   receives <iq type='error' from='{{pubsub b}}' id='i1'>{{error cancel item-not-found}}</iq>
        everyone      is quiet
    ", romeo_listens("gone", &[])));
}

// §7.1.3.1, §8.9, §6.1.3.1: what a stranger may not do, and what the owner lets them.
#[test]
fn a_stranger_publishes_where_the_owner_lets_him() {
    let forbidden = |id: &str| {
        format!(
            "romeo/phone   receives <iq type='error' from='{{pubsub b}}' id='{id}'>{{error auth forbidden}}</iq>"
        )
    };
    play(&format!("{}
        romeo/phone   sends    <iq type='set' to='{{pubsub b}}' id='1'><pubsub {PUBSUB}><publish node='shared'><item id='a'><e xmlns='urn:x'/></item></publish></pubsub></iq>
        {}
        romeo/phone   sends    <iq type='set' to='{{pubsub b}}' id='2'><pubsub {OWNER}><delete node='shared'/></pubsub></iq>
        {}
        romeo/phone   sends    <iq type='set' to='{{pubsub b}}' id='3'><pubsub {PUBSUB}><create node='of-romeo'/></pubsub></iq>
        {}
        romeo/phone   sends    <iq type='set' to='{{pubsub b}}' id='4'><pubsub {PUBSUB}><subscribe node='shared' jid='{{juliet}}'/></pubsub></iq>
        romeo/phone   receives <iq type='error' id='4'><error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><invalid-jid xmlns='http://jabber.org/protocol/pubsub#errors'/></error></iq>
        juliet/garden sends    <iq type='set' to='{{pubsub b}}' id='5'><pubsub {OWNER}><affiliations node='shared'><affiliation jid='{{romeo}}' affiliation='publisher'/></affiliations></pubsub></iq>
        juliet/garden receives <iq type='result' id='5'/>
        {}{}
        juliet/garden sends    <iq type='get' to='{{pubsub b}}' id='6'><pubsub {PUBSUB}><items node='shared'/></pubsub></iq>
        juliet/garden receives <iq type='result' id='6'><pubsub {PUBSUB}><items node='shared'><item id='b'><e xmlns='urn:x'>b</e></item></items></pubsub></iq>
        everyone      is quiet
    ", romeo_listens("shared", &[]), forbidden("1"), forbidden("2"), forbidden("3"),
        publishes("romeo/phone", "shared", "b"), romeo_hears("shared", "b")));
}

// What is published while their server is away comes when it is back; and is there to be read.
#[test]
fn a_subscriber_whose_server_was_away_gets_what_was_published_meanwhile() {
    play_over_deaths(&format!("{}
        server a dies
        romeo/phone   loses the stream
        {}
        server a starts again
        romeo/phone   connects
        romeo/phone   finds    <message from='{{pubsub b}}' to='{{romeo}}'><event {EVENT}><items node='away'><item id='a'><e xmlns='urn:x'>a</e></item></items></event>…</message>
        romeo/phone   sends    <iq type='get' to='{{pubsub b}}' id='i1'><pubsub {PUBSUB}><items node='away'/></pubsub></iq>
        romeo/phone   finds    <iq type='result' from='{{pubsub b}}' id='i1'><pubsub {PUBSUB}><items node='away'><item id='a'>…</item></items></pubsub></iq>
        juliet/garden sends    <iq type='set' to='{{pubsub b}}' id='d1'><pubsub {OWNER}><delete node='away'/></pubsub></iq>
        romeo/phone   finds    <message from='{{pubsub b}}' to='{{romeo}}'><event {EVENT}><delete node='away'/></event></message>
    ", romeo_listens("away", &[("notification_type", "normal")]), publishes("juliet/garden", "away", "a")));
}
