//! XEP-0163 Personal Eventing Protocol.

use sha1::{Digest as _, Sha1};

use crate::stage::play;

/// The hash of the capabilities of a client of this name, which wants tunes (XEP-0115 §5.1).
pub(crate) fn hash(name: &str) -> String {
    let text =
        format!("client/pc//{name}<http://jabber.org/protocol/disco#info<urn:x:tune+notify<");
    auth::encoding::encode(&Sha1::digest(text))
}

/// Romeo and Juliet come, and see each other's presence.
pub(crate) const SEE_EACH_OTHER: &str = "
    romeo/phone   connects
    juliet/garden connects
    juliet/garden sends    <presence to='{romeo}' type='subscribe'/>
    romeo/phone   receives <presence from='{juliet}' type='subscribe'/>
    romeo/phone   sends    <presence to='{juliet}' type='subscribed'/>
    juliet/garden receives <presence from='{romeo/phone}'/>
    romeo/phone   sends    <presence to='{juliet}' type='subscribe'/>
    juliet/garden receives <presence from='{romeo}' type='subscribe'/>
    juliet/garden sends    <presence to='{romeo}' type='subscribed'/>
    romeo/phone   receives <presence from='{juliet/garden}'/>
";

/// Romeo and Juliet see each other's presence, and Juliet's client, which nobody has seen yet, wants tunes: the server
/// asks for both accounts. `name`: the client's, which no other story's has.
pub(crate) fn juliet_wants_tunes(name: &str) -> String {
    let hash = hash(name);
    format!(
        "
    {SEE_EACH_OTHER}
    juliet/garden sends    <presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:client' ver='{hash}'/></presence>
    romeo/phone   receives <presence from='{{juliet/garden}}'>…</presence>
    juliet/garden hears    <iq type='get' from='{{juliet}}' to='{{juliet/garden}}' id='{{$own}}'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:client#{hash}'/></iq>
                           <presence from='{{juliet/garden}}'>…</presence>
                           <iq type='get' from='{{romeo}}' to='{{juliet/garden}}' id='{{$his}}'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:client#{hash}'/></iq>
    juliet/garden sends    <iq type='result' to='{{romeo}}' id='{{$his}}'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:client#{hash}'><identity category='client' type='pc' name='{name}'/>
                           <feature var='urn:x:tune+notify'/><feature var='http://jabber.org/protocol/disco#info'/></query></iq>
    juliet/garden sends    <iq type='result' to='{{juliet}}' id='{{$own}}'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:client#{hash}'><identity category='client' type='pc' name='{name}'/>
                           <feature var='urn:x:tune+notify'/><feature var='http://jabber.org/protocol/disco#info'/></query></iq>
    everyone      is quiet
"
    )
}

// XEP-0163 §3, §4.3; XEP-0060 §7.1.4, §9.2
#[test]
fn who_may_see_presence_and_asks_by_capabilities_gets_what_is_published() {
    let prelude = juliet_wants_tunes("One");
    play(&format!("{prelude}
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:tune'><item id='current'><tune xmlns='urn:x:tune'>Lute</tune></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:tune'><item id='current'/></publish></pubsub></iq>
        juliet/garden receives <message from='{{romeo}}' to='{{juliet/garden}}' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:x:tune'><item id='current'><tune xmlns='urn:x:tune'>Lute</tune></item></items></event></message>
        romeo/phone   sends    <iq type='set' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:mood'><item><mood xmlns='urn:x:mood'/></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:mood'><item id='{{$mood}}'/></publish></pubsub></iq>
        everyone      is quiet
    "));
}

// XEP-0163 §4.3.3 rule 2, §4.3.4
#[test]
fn who_arrives_gets_the_last_item_once() {
    let prelude = juliet_wants_tunes("Two");
    play(&format!("{prelude}
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:tune'><item id='a'><tune xmlns='urn:x:tune'>Lute</tune></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        juliet/garden receives <message from='{{romeo}}'><event xmlns='http://jabber.org/protocol/pubsub#event'>…</event></message>
        juliet/window binds
        juliet/window sends    <presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:other' ver='6R4YA8zrm6RUGqkIjTK2hd0oyc0='/></presence>
        juliet/window hears    <presence from='{{juliet/window}}'>…</presence>
                               <presence from='{{juliet/garden}}'>…</presence>
                               <presence from='{{romeo/phone}}' to='{{juliet/window}}'/>
                               <message from='{{romeo}}' to='{{juliet/window}}' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:x:tune'><item id='a'><tune xmlns='urn:x:tune'>Lute</tune></item></items></event><delay xmlns='urn:xmpp:delay' from='{{romeo}}'/></message>
        juliet/garden receives <presence from='{{juliet/window}}'>…</presence>
        romeo/phone   receives <presence from='{{juliet/window}}'>…</presence>
        juliet/window sends    <presence><show>away</show><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:other' ver='6R4YA8zrm6RUGqkIjTK2hd0oyc0='/></presence>
        juliet/window receives <presence from='{{juliet/window}}'>…</presence>
        juliet/garden receives <presence from='{{juliet/window}}'>…</presence>
        romeo/phone   receives <presence from='{{juliet/window}}'>…</presence>
        everyone      is quiet
    "));
}

// XEP-0163 §4.3, §4.3.4: the account's own resources
#[test]
fn own_clients_get_events_of_each_other_and_the_last_item_when_they_come() {
    play("
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:tune'><item id='a'><tune xmlns='urn:x:tune'>Lute</tune></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/laptop  binds
        romeo/laptop  sends    <presence><c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>RapgvB2GRQIP1moEeURyAn168aHioCSACjC2J9ET8Ic=</hash></c></presence>
        romeo/laptop  hears    <iq type='get' from='{romeo}' to='{romeo/laptop}' id='{$ask}'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:xmpp:caps#sha-256.RapgvB2GRQIP1moEeURyAn168aHioCSACjC2J9ET8Ic='/></iq>
                               <presence from='{romeo/laptop}'>…</presence>
                               <presence from='{romeo/phone}'/>
        romeo/phone   receives <presence from='{romeo/laptop}'>…</presence>
        romeo/laptop  sends    <iq type='result' id='{$ask}' to='{romeo}'><query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc' name='T'/><feature var='urn:x:tune+notify'/><feature var='http://jabber.org/protocol/disco#info'/></query></iq>
        romeo/laptop  receives <message from='{romeo}' to='{romeo/laptop}' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:x:tune'><item id='a'><tune xmlns='urn:x:tune'>Lute</tune></item></items></event><delay xmlns='urn:xmpp:delay'/></message>
        romeo/phone   sends    <iq type='set' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:tune'><item id='b'><tune xmlns='urn:x:tune'>Harp</tune></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p2'>…</iq>
        romeo/laptop  receives <message from='{romeo}' to='{romeo/laptop}' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:x:tune'><item id='b'><tune xmlns='urn:x:tune'>Harp</tune></item></items></event></message>
        everyone      is quiet
    ");
}

// XEP-0060 §6.5.9.6, §7.1.3.1; XEP-0163 §6.2
#[test]
fn strangers_read_only_what_is_open_and_publish_nothing() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:tune'><item id='a'><tune xmlns='urn:x:tune'/></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/phone   sends    <iq type='set' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:key'><item id='a'><key xmlns='urn:x:key'/></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p2'>…</iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:tune'/></pubsub></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='i1'><error type='auth'><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><presence-subscription-required xmlns='http://jabber.org/protocol/pubsub#errors'/></error></iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:key'/></pubsub></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:key'><item id='a'><key xmlns='urn:x:key'/></item></items></pubsub></iq>
        juliet/garden sends    <iq type='set' to='{romeo}' id='i3'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:key'><item id='a'><key xmlns='urn:x:key'/></item></publish></pubsub></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='i3'>{error auth forbidden}</iq>
        juliet/garden sends    <iq type='set' to='{romeo}' id='i4'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:new'><item id='a'><key xmlns='urn:x:key'/></item></publish></pubsub></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='i4'>{error cancel item-not-found}</iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='d1'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='d1'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='{romeo}' node='urn:x:key'/></query></iq>
        everyone      is quiet
    ");
}

// XEP-0060 §4.5, §6.5.9.5
#[test]
fn a_node_for_groups_of_the_roster_is_read_by_who_is_in_one() {
    let refused = "<error type='auth'><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><not-in-roster-group xmlns='http://jabber.org/protocol/pubsub#errors'/></error>";
    play(&format!("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:tune'><item id='a'><tune xmlns='urn:x:tune'/></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>roster</value></field>
                               <field var='pubsub#roster_groups_allowed'><value>Friends</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        juliet/garden sends    <iq type='get' to='{{romeo}}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:tune'/></pubsub></iq>
        juliet/garden receives <iq type='error' from='{{romeo}}' id='i1'>{refused}</iq>
        romeo/phone   sends    <iq type='set' id='r1'><query xmlns='jabber:iq:roster'><item jid='{{juliet}}'><group>Friends</group></item></query></iq>
        romeo/phone   receives <iq type='result' id='r1'/>
        juliet/garden sends    <iq type='get' to='{{romeo}}' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:tune'/></pubsub></iq>
        juliet/garden receives <iq type='result' from='{{romeo}}' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:tune'><item id='a'><tune xmlns='urn:x:tune'/></item></items></pubsub></iq>
    "));
}

// XEP-0163 §6.1
#[test]
fn an_account_says_that_it_is_a_pubsub_service() {
    play("
        romeo/phone  connects
        romeo/phone  sends    <iq type='get' to='{romeo}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        romeo/phone  receives <iq type='result' from='{romeo}' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'><identity category='account' type='registered'/><identity category='pubsub' type='pep'/>…</query></iq>
    ");
}

const SUBSCRIBED: &str = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><subscription node='urn:x:n' jid='{juliet}' subscription='subscribed'/></pubsub>";

// XEP-0163 §7.1
#[test]
fn who_may_not_see_presence_any_more_is_not_subscribed_any_more() {
    play(&format!("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <presence to='{{romeo}}' type='subscribe'/>
        romeo/phone   receives <presence from='{{juliet}}' type='subscribe'/>
        romeo/phone   sends    <presence to='{{juliet}}' type='subscribed'/>
        juliet/garden receives <presence from='{{romeo/phone}}'/>
        romeo/phone   sends    <iq type='set' id='c1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='urn:x:n'/></pubsub></iq>
        romeo/phone   receives <iq type='result' id='c1'/>
        juliet/garden sends    <iq type='set' to='{{romeo}}' id='s1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='urn:x:n' jid='{{juliet}}'/></pubsub></iq>
        juliet/garden receives <iq type='result' from='{{romeo}}' id='s1'>{SUBSCRIBED}</iq>
        romeo/phone   sends    <presence to='{{juliet}}' type='unsubscribed'/>
        juliet/garden receives <presence from='{{romeo/phone}}' type='unavailable'/>
        juliet/garden receives <message from='{{romeo}}'><event xmlns='http://jabber.org/protocol/pubsub#event'><subscription node='urn:x:n' jid='{{juliet}}' subscription='none'/></event></message>
        romeo/phone   sends    <iq type='get' id='l1'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><subscriptions node='urn:x:n'/></pubsub></iq>
        romeo/phone   receives <iq type='result' id='l1'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><subscriptions node='urn:x:n'/></pubsub></iq>
        everyone      is quiet
    "));
}

// XEP-0163 §4.3.4: she shares her presence before she may see his.
#[test]
fn a_new_subscriber_whose_client_is_known_gets_the_last_item() {
    let info = "<query xmlns='http://jabber.org/protocol/disco#info' node='urn:client#XxNOH3zyqigLFHtwhx/IdRKQZeE='><identity category='client' type='pc' name='Late'/>
                           <feature var='urn:x:tune+notify'/><feature var='http://jabber.org/protocol/disco#info'/></query>";
    play(&format!("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:tune'><item id='a'><tune xmlns='urn:x:tune'>Lute</tune></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/phone   sends    <presence to='{{juliet}}' type='subscribe'/>
        juliet/garden receives <presence from='{{romeo}}' type='subscribe'/>
        juliet/garden sends    <presence to='{{romeo}}' type='subscribed'/>
        romeo/phone   receives <presence from='{{juliet/garden}}'/>
        juliet/garden sends    <presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:client' ver='XxNOH3zyqigLFHtwhx/IdRKQZeE='/></presence>
        romeo/phone   receives <presence from='{{juliet/garden}}'>…</presence>
        juliet/garden hears    <iq type='get' from='{{juliet}}' id='{{$own}}'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:client#XxNOH3zyqigLFHtwhx/IdRKQZeE='/></iq>
                               <presence from='{{juliet/garden}}'>…</presence>
                               <iq type='get' from='{{romeo}}' id='{{$his}}'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:client#XxNOH3zyqigLFHtwhx/IdRKQZeE='/></iq>
        juliet/garden sends    <iq type='result' to='{{romeo}}' id='{{$his}}'>{info}</iq>
        juliet/garden sends    <iq type='result' to='{{juliet}}' id='{{$own}}'>{info}</iq>
        everyone      is quiet
        juliet/garden sends    <presence to='{{romeo}}' type='subscribe'/>
        romeo/phone   receives <presence from='{{juliet}}' type='subscribe'/>
        romeo/phone   sends    <presence to='{{juliet}}' type='subscribed'/>
        juliet/garden hears    <presence from='{{romeo/phone}}'/>
                               <message from='{{romeo}}' to='{{juliet/garden}}'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:x:tune'><item id='a'><tune xmlns='urn:x:tune'>Lute</tune></item></items></event><delay xmlns='urn:xmpp:delay'/></message>
        everyone      is quiet
    "));
}

// XEP-0115 §6.2: what it wants is not known yet.
#[test]
fn a_client_that_has_not_said_what_it_can_do_is_asked_again_when_it_shows_itself() {
    let caps = format!(
        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:client' ver='{}'/>",
        hash("Silent")
    );
    play(&format!("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <presence to='{{juliet}}' type='subscribe'/>
        juliet/garden receives <presence from='{{romeo}}' type='subscribe'/>
        juliet/garden sends    <presence to='{{romeo}}' type='subscribed'/>
        romeo/phone   receives <presence from='{{juliet/garden}}'/>
        juliet/garden sends    <presence>{caps}</presence>
        romeo/phone   receives <presence from='{{juliet/garden}}'>…</presence>
        juliet/garden hears    <iq type='get' from='{{juliet}}' id='{{$own}}'>…</iq>
                               <presence from='{{juliet/garden}}'>…</presence>
                               <iq type='get' from='{{romeo}}' id='{{$his}}'>…</iq>
        juliet/garden sends    <iq type='error' to='{{romeo}}' id='{{$his}}'><error type='wait'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
        everyone      is quiet
        juliet/garden sends    <presence><show>away</show>{caps}</presence>
        romeo/phone   receives <presence from='{{juliet/garden}}'>…</presence>
        juliet/garden hears    <presence from='{{juliet/garden}}'>…</presence>
                               <iq type='get' from='{{romeo}}' id='{{$again}}'>…</iq>
        everyone      is quiet
    "));
}
