//! XEP-0060 Publish-Subscribe.

use crate::stage::play;

/// A form that goes along with what is published or created.
fn form(ty: &str, fields: &[(&str, &str)]) -> String {
    let field = |(var, value): &(&str, &str)| {
        format!("<field var='pubsub#{var}'><value>{value}</value></field>")
    };
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#{ty}</value></field>{fields}</x>"
    )
}

/// Three items on a node of Romeo's own, which his phone wants no events of.
fn three_items() -> String {
    let options = form("publish-options", &[("max_items", "max"), ("access_model", "open")]);
    let publish = |id: &str| {
        format!(
            "romeo/phone sends <iq type='set' id='p{id}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:n'><item id='{id}'><e xmlns='urn:x'>{id}</e></item></publish><publish-options>{options}</publish-options></pubsub></iq>
            romeo/phone receives <iq type='result' id='p{id}'>…</iq>
            "
        )
    };
    format!("romeo/phone connects\n{}{}{}", publish("a"), publish("b"), publish("c"))
}

// §7.1.5
#[test]
fn options_of_publishing_are_conditions_and_make_the_node() {
    let unmet = form("publish-options", &[("access_model", "presence")]);
    let unknown = form("publish-options", &[("colour", "red")]);
    play(&format!("{}
        romeo/phone sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:n'><item id='d'><e xmlns='urn:x'/></item></publish><publish-options>{unmet}</publish-options></pubsub></iq>
        romeo/phone receives <iq type='error' id='p1'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>…<precondition-not-met xmlns='http://jabber.org/protocol/pubsub#errors'/></error></iq>
        romeo/phone sends    <iq type='set' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:n'><item id='d'><e xmlns='urn:x'/></item></publish><publish-options>{unknown}</publish-options></pubsub></iq>
        romeo/phone receives <iq type='error' id='p2'>{{error cancel conflict}}…</iq>
        romeo/phone sends    <iq type='get' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'/></pubsub></iq>
        romeo/phone receives <iq type='result' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'><item id='a'><e xmlns='urn:x'>a</e></item><item id='b'><e xmlns='urn:x'>b</e></item><item id='c'><e xmlns='urn:x'>c</e></item></items></pubsub></iq>
        everyone    is quiet
    ", three_items()));
}

// §6.5.4, §6.5.7, §6.5.8, §5.5; XEP-0059
#[test]
fn items_are_read_by_id_by_pages_and_from_the_end() {
    play(&format!("{}
        juliet/garden connects
        juliet/garden sends    <iq type='get' to='{{romeo}}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'/><set xmlns='http://jabber.org/protocol/rsm'><max>1</max><after>a</after></set></pubsub></iq>
        juliet/garden receives <iq type='result' from='{{romeo}}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'><item id='b'><e xmlns='urn:x'>b</e></item></items><set xmlns='http://jabber.org/protocol/rsm'><first index='1'>b</first><last>b</last><count>3</count></set></pubsub></iq>
        juliet/garden sends    <iq type='get' to='{{romeo}}' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n' max_items='2'/></pubsub></iq>
        juliet/garden receives <iq type='result' from='{{romeo}}' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'><item id='b'>…</item><item id='c'>…</item></items></pubsub></iq>
        juliet/garden sends    <iq type='get' to='{{romeo}}' id='i3'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'><item id='a'/><item id='z'/></items></pubsub></iq>
        juliet/garden receives <iq type='result' from='{{romeo}}' id='i3'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'><item id='a'>…</item></items></pubsub></iq>
        juliet/garden sends    <iq type='get' to='{{romeo}}' id='i4'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'><item id='z'/></items></pubsub></iq>
        juliet/garden receives <iq type='error' from='{{romeo}}' id='i4'>{{error cancel item-not-found}}</iq>
        juliet/garden sends    <iq type='get' to='{{romeo}}' id='i5'><query xmlns='http://jabber.org/protocol/disco#items' node='urn:x:n'/></iq>
        juliet/garden receives <iq type='result' from='{{romeo}}' id='i5'><query xmlns='http://jabber.org/protocol/disco#items' node='urn:x:n'><item jid='{{romeo}}' name='a'/><item jid='{{romeo}}' name='b'/><item jid='{{romeo}}' name='c'/></query></iq>
        everyone      is quiet
    ", three_items()));
}

// §7.2, §8.5, §8.4, §6.1
#[test]
fn subscribers_hear_what_is_retracted_purged_and_deleted() {
    play(&format!("{}
        juliet/garden connects
        juliet/garden sends    <iq type='set' to='{{romeo}}' id='s1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='urn:x:n' jid='{{juliet/garden}}'/></pubsub></iq>
        juliet/garden hears    <iq type='result' from='{{romeo}}' id='s1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscription node='urn:x:n' jid='{{juliet/garden}}' subscription='subscribed'/></pubsub></iq>
                               <message from='{{romeo}}'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:x:n'><item id='c'><e xmlns='urn:x'>c</e></item></items></event><delay xmlns='urn:xmpp:delay'/></message>
        romeo/phone   sends    <iq type='set' id='r1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><retract node='urn:x:n' notify='true'><item id='b'/></retract></pubsub></iq>
        romeo/phone   receives <iq type='result' id='r1'/>
        juliet/garden receives <message from='{{romeo}}'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:x:n'><retract id='b'/></items></event></message>
        romeo/phone   sends    <iq type='set' id='r2'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><purge node='urn:x:n'/></pubsub></iq>
        romeo/phone   receives <iq type='result' id='r2'/>
        juliet/garden receives <message from='{{romeo}}'><event xmlns='http://jabber.org/protocol/pubsub#event'><purge node='urn:x:n'/></event></message>
        juliet/garden sends    <iq type='get' to='{{romeo}}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'/></pubsub></iq>
        juliet/garden receives <iq type='result' from='{{romeo}}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'/></pubsub></iq>
        romeo/phone   sends    <iq type='set' id='r3'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete node='urn:x:n'/></pubsub></iq>
        romeo/phone   receives <iq type='result' id='r3'/>
        juliet/garden receives <message from='{{romeo}}'><event xmlns='http://jabber.org/protocol/pubsub#event'><delete node='urn:x:n'/></event></message>
        juliet/garden sends    <iq type='set' to='{{romeo}}' id='u1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><unsubscribe node='urn:x:n' jid='{{juliet/garden}}'/></pubsub></iq>
        juliet/garden receives <iq type='error' from='{{romeo}}' id='u1'>{{error cancel item-not-found}}</iq>
        everyone      is quiet
    ", three_items()));
}

// §8.6: an account whose owner must say yes
#[test]
fn a_request_for_a_subscription_waits_for_the_owner() {
    let config = form("node_config", &[("access_model", "authorize")]);
    let yes = form("subscribe_authorization", &[("node", "urn:x:n"), ("allow", "1")]);
    let yes = yes
        .replace("</x>", "<field var='pubsub#subscriber_jid'><value>{juliet}</value></field></x>");
    play(&format!("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='c1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='urn:x:n'/><configure>{config}</configure></pubsub></iq>
        romeo/phone   receives <iq type='result' id='c1'/>
        juliet/garden sends    <iq type='set' to='{{romeo}}' id='s1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='urn:x:n' jid='{{juliet}}'/></pubsub></iq>
        juliet/garden receives <iq type='result' from='{{romeo}}' id='s1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscription node='urn:x:n' jid='{{juliet}}' subscription='pending'/></pubsub></iq>
        romeo/phone   receives <message from='{{romeo}}' id='{{$ask}}'><x xmlns='jabber:x:data' type='form'>…</x></message>
        juliet/garden sends    <iq type='get' to='{{romeo}}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'/></pubsub></iq>
        juliet/garden receives <iq type='error' from='{{romeo}}' id='i1'>{{error auth not-authorized}}…</iq>
        romeo/phone   sends    <message to='{{romeo}}' id='{{$ask}}'>{yes}</message>
        juliet/garden receives <message from='{{romeo}}'><event xmlns='http://jabber.org/protocol/pubsub#event'><subscription node='urn:x:n' jid='{{juliet}}' subscription='subscribed'/></event></message>
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:n'><item id='a'><e xmlns='urn:x'/></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        juliet/garden receives <message from='{{romeo}}' to='{{juliet}}'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:x:n'><item id='a'><e xmlns='urn:x'/></item></items></event></message>
        everyone      is quiet
    "));
}

// §5.1, §5.2, §8.1, §6.1, §7.1, §5.4: a service
#[test]
fn a_node_of_the_service_is_made_found_subscribed_to_and_fed() {
    let config = form("node_config", &[("title", "Musings")]);
    play(&format!("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <iq type='get' to='{{domain}}' id='d0'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
        juliet/garden receives <iq type='result' id='d0'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='conference.{{domain}}'/><item jid='pubsub.{{domain}}'/></query></iq>
        juliet/garden sends    <iq type='get' to='pubsub.{{domain}}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        juliet/garden receives <iq type='result' from='pubsub.{{domain}}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'><identity category='pubsub' type='service'/>…</query></iq>
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='c1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='musings'/><configure>{config}</configure></pubsub></iq>
        romeo/phone   receives <iq type='result' from='pubsub.{{domain}}' id='c1'/>
        juliet/garden sends    <iq type='set' to='pubsub.{{domain}}' id='s1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='musings' jid='{{juliet}}'/></pubsub></iq>
        juliet/garden receives <iq type='result' from='pubsub.{{domain}}' id='s1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscription node='musings' jid='{{juliet}}' subscription='subscribed'/></pubsub></iq>
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='musings'><item id='a'><e xmlns='urn:x'/></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' from='pubsub.{{domain}}' id='p1'>…</iq>
        juliet/garden receives <message from='pubsub.{{domain}}' to='{{juliet}}' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='musings'><item id='a'><e xmlns='urn:x'/></item></items></event></message>
        juliet/garden sends    <iq type='set' to='pubsub.{{domain}}' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='musings'><item id='b'><e xmlns='urn:x'/></item></publish></pubsub></iq>
        juliet/garden receives <iq type='error' from='pubsub.{{domain}}' id='p2'>{{error auth forbidden}}</iq>
        juliet/garden sends    <iq type='get' to='pubsub.{{domain}}' id='d2'><query xmlns='http://jabber.org/protocol/disco#info' node='musings'/></iq>
        juliet/garden receives <iq type='result' from='pubsub.{{domain}}' id='d2'><query xmlns='http://jabber.org/protocol/disco#info' node='musings'><identity category='pubsub' type='leaf'/>…</query></iq>
        juliet/garden sends    <iq type='get' to='pubsub.{{domain}}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='musings'/></pubsub></iq>
        juliet/garden receives <iq type='result' from='pubsub.{{domain}}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='musings'><item id='a'><e xmlns='urn:x'/></item></items></pubsub></iq>
        everyone      is quiet
    "));
}

// §8.6, §8.8.1, §8.9: a service
#[test]
fn owners_of_a_services_node_approve_list_and_affiliate() {
    let config = form("node_config", &[("access_model", "authorize")]);
    let yes = form("subscribe_authorization", &[("node", "secrets"), ("allow", "1")]);
    let yes = yes
        .replace("</x>", "<field var='pubsub#subscriber_jid'><value>{juliet}</value></field></x>");
    play(&format!("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='c1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='secrets'/><configure>{config}</configure></pubsub></iq>
        romeo/phone   receives <iq type='result' id='c1'/>
        juliet/garden sends    <iq type='set' to='pubsub.{{domain}}' id='s1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='secrets' jid='{{juliet}}'/></pubsub></iq>
        juliet/garden receives <iq type='result' id='s1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscription node='secrets' jid='{{juliet}}' subscription='pending'/></pubsub></iq>
        romeo/phone   receives <message from='pubsub.{{domain}}' to='{{romeo}}' id='{{$ask}}'><x xmlns='jabber:x:data' type='form'>…</x>…</message>
        romeo/phone   sends    <message to='pubsub.{{domain}}' id='{{$ask}}'>{yes}</message>
        juliet/garden receives <message from='pubsub.{{domain}}'><event xmlns='http://jabber.org/protocol/pubsub#event'><subscription node='secrets' jid='{{juliet}}' subscription='subscribed'/></event></message>
        romeo/phone   sends    <iq type='get' to='pubsub.{{domain}}' id='l1'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><subscriptions node='secrets'/></pubsub></iq>
        romeo/phone   receives <iq type='result' id='l1'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><subscriptions node='secrets'><subscription jid='{{juliet}}' subscription='subscribed'/></subscriptions></pubsub></iq>
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='a1'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><affiliations node='secrets'><affiliation jid='{{juliet}}' affiliation='outcast'/></affiliations></pubsub></iq>
        romeo/phone   receives <iq type='result' id='a1'/>
        juliet/garden receives <message from='pubsub.{{domain}}'><event xmlns='http://jabber.org/protocol/pubsub#event'><subscription node='secrets' jid='{{juliet}}' subscription='none'/></event></message>
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='x1'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete node='secrets'/></pubsub></iq>
        romeo/phone   receives <iq type='result' id='x1'/>
        everyone      is quiet
    "));
}

const PUBSUB: &str = "xmlns='http://jabber.org/protocol/pubsub'";
const OWNER: &str = "xmlns='http://jabber.org/protocol/pubsub#owner'";
const EVENT: &str = "xmlns='http://jabber.org/protocol/pubsub#event'";

/// Juliet is subscribed to a node of the service that is Romeo's. All stories share the service.
fn juliet_listens(node: &str) -> String {
    format!("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='c1'><pubsub {PUBSUB}><create node='{node}'/></pubsub></iq>
        romeo/phone   receives <iq type='result' id='c1'/>
        juliet/garden sends    <iq type='set' to='pubsub.{{domain}}' id='s1'><pubsub {PUBSUB}><subscribe node='{node}' jid='{{juliet}}'/></pubsub></iq>
        juliet/garden receives <iq type='result' id='s1'><pubsub {PUBSUB}><subscription node='{node}' jid='{{juliet}}' subscription='subscribed'/></pubsub></iq>
    ")
}

// §14.3, §12.14, §4.1
#[test]
fn who_may_not_read_gets_nothing_and_is_not_subscribed_any_more() {
    let closed = form("node_config", &[("access_model", "whitelist")]);
    play(&format!("{}
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='c2'><pubsub {OWNER}><configure node='closed'>{closed}</configure></pubsub></iq>
        romeo/phone   receives <iq type='result' id='c2'/>
        juliet/garden receives <message from='pubsub.{{domain}}'><event {EVENT}><subscription node='closed' jid='{{juliet}}' subscription='none'/></event></message>
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='p1'><pubsub {PUBSUB}><publish node='closed'><item id='a'><e xmlns='urn:x'/></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='o1'><pubsub {OWNER}><subscriptions node='closed'><subscription jid='{{juliet}}' subscription='subscribed'/><subscription jid='{{romeo}}' subscription='subscribed'/></subscriptions></pubsub></iq>
        romeo/phone   receives <iq type='error' id='o1'><pubsub {OWNER}><subscriptions node='closed'><subscription jid='{{juliet}}' subscription='none'/></subscriptions></pubsub>{{error modify not-acceptable}}</iq>
        everyone      is quiet
    ", juliet_listens("closed")));
}

// §12.11, §6.2.3.3
#[test]
fn several_items_are_taken_back_at_once_and_another_resource_unsubscribes() {
    play(&format!("{}
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='p1'><pubsub {PUBSUB}><publish node='open'><item id='a'><e xmlns='urn:x'/></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='p2'><pubsub {PUBSUB}><publish node='open'><item id='b'><e xmlns='urn:x'/></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p2'>…</iq>
        juliet/garden receives <message from='pubsub.{{domain}}'><event {EVENT}><items node='open'><item id='a'>…</item></items></event></message>
        juliet/garden receives <message from='pubsub.{{domain}}'><event {EVENT}><items node='open'><item id='b'>…</item></items></event></message>
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='r1'><pubsub {PUBSUB}><retract node='open'><item id='a'/><item id='z'/></retract></pubsub></iq>
        romeo/phone   receives <iq type='error' id='r1'>{{error cancel item-not-found}}</iq>
        romeo/phone   sends    <iq type='set' to='pubsub.{{domain}}' id='r2'><pubsub {PUBSUB}><retract node='open'><item id='a'/><item id='b'/></retract></pubsub></iq>
        romeo/phone   receives <iq type='result' id='r2'/>
        juliet/garden receives <message from='pubsub.{{domain}}'><event {EVENT}><items node='open'><retract id='a'/><retract id='b'/></items></event></message>
        juliet/garden sends    <iq type='set' to='pubsub.{{domain}}' id='s2'><pubsub {PUBSUB}><subscribe node='open' jid='{{juliet/garden}}'/></pubsub></iq>
        juliet/garden receives <iq type='result' id='s2'>…</iq>
        juliet/window connects
        juliet/window sends    <iq type='set' to='pubsub.{{domain}}' id='u1'><pubsub {PUBSUB}><unsubscribe node='open' jid='{{juliet/garden}}'/></pubsub></iq>
        juliet/window receives <iq type='result' id='u1'/>
        juliet/garden receives <message from='pubsub.{{domain}}'><event {EVENT}><subscription node='open' jid='{{juliet/garden}}' subscription='none'/></event></message>
        everyone      is quiet
    ", juliet_listens("open")));
}
