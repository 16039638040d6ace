//! Events and data of a contact of another domain (XEP-0163, XEP-0115, XEP-0084, XEP-0384).

use super::across::{play, play_over_deaths};
use crate::xep::pep;

const PUBSUB: &str = "xmlns='http://jabber.org/protocol/pubsub'";
const OWNER: &str = "xmlns='http://jabber.org/protocol/pubsub#owner'";
const EVENT: &str = "xmlns='http://jabber.org/protocol/pubsub#event'";

/// A form that goes along with what is published or created.
pub(super) fn form(ty: &str, fields: &[(&str, &str)]) -> String {
    let field = |(var, value): &(&str, &str)| {
        format!("<field var='pubsub#{var}'><value>{value}</value></field>")
    };
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#{ty}</value></field>{fields}</x>"
    )
}

/// Publishes an item of a node of Romeo's own; `options`: conditions, which make the node.
fn publishes(node: &str, id: &str, options: &[(&str, &str)]) -> String {
    let options = match options {
        [] => String::new(),
        fields => format!("<publish-options>{}</publish-options>", form("publish-options", fields)),
    };
    format!("romeo/phone   sends    <iq type='set' id='p{id}'><pubsub {PUBSUB}><publish node='{node}'><item id='{id}'><e xmlns='urn:x'>{id}</e></item></publish>{options}</pubsub></iq>
        romeo/phone   receives <iq type='result' id='p{id}'>…</iq>
        ")
}

/// An event of Romeo's, as Juliet's clients get it.
fn event(to: &str, id: &str, more: &str) -> String {
    format!(
        "<message from='{{romeo}}' to='{{{to}}}' type='headline'><event {EVENT}><items node='urn:x:tune'><item id='{id}'><e xmlns='urn:x'>{id}</e></item></items></event>{more}</message>"
    )
}

/// Juliet, of the other domain, sees Romeo's presence, he hers, and her client wants tunes.
fn juliet_wants_tunes(name: &str) -> String {
    format!("juliet lives on b\n{}", pep::juliet_wants_tunes(name))
}

/// Her presence, with the capabilities of a client of this name.
fn present(name: &str) -> String {
    format!(
        "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:client' ver='{}'/></presence>",
        pep::hash(name)
    )
}

// XEP-0163 §3, §4.3: by capabilities that both servers have asked her client for.
#[test]
fn a_contact_of_another_domain_gets_what_its_client_wants() {
    play(&format!(
        "{}{}
        juliet/garden receives {}
        {}
        everyone      is quiet
    ",
        juliet_wants_tunes("Across"),
        publishes("urn:x:tune", "lute", &[]),
        event("juliet/garden", "lute", ""),
        publishes("urn:x:mood", "merry", &[])
    ));
}

// XEP-0163 §4.3.4
#[test]
fn a_contact_of_another_domain_gets_the_last_item_when_it_comes() {
    let present = present("Arrival");
    play(&format!(
        "{}{}
        juliet/garden receives {}
        juliet/window binds
        juliet/window sends    {present}
        juliet/window hears    <presence from='{{juliet/window}}'>…</presence>
                               <presence from='{{juliet/garden}}'>…</presence>
                               <presence from='{{romeo/phone}}'/>
                               {}
        # Her server asks in the name of the account, so that both hear where he is (RFC 6121 §4.3.1).
        juliet/garden hears    <presence from='{{juliet/window}}'>…</presence>
                               <presence from='{{romeo/phone}}' to='{{juliet}}'/>
        romeo/phone   receives <presence from='{{juliet/window}}'>…</presence>
        everyone      is quiet
    ",
        juliet_wants_tunes("Arrival"),
        publishes("urn:x:tune", "lute", &[]),
        event("juliet/garden", "lute", ""),
        event("juliet/window", "lute", "<delay xmlns='urn:xmpp:delay' from='{romeo}'/>")
    ));
}

/// What a node says to somebody who asks for its items.
fn asks(who: &str, node: &str, answer: &str) -> String {
    format!("{who} sends    <iq type='get' to='{{romeo}}' id='i'><pubsub {PUBSUB}><items node='{node}'/></pubsub></iq>
        {who} receives <iq from='{{romeo}}' id='i' {answer}</iq>
        ")
}

fn refused(condition: &str, why: &str) -> String {
    format!(
        "type='error'>…<error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><{why} xmlns='http://jabber.org/protocol/pubsub#errors'/></error>"
    )
}

// XEP-0060 §4.5, §6.5.9: lists of keys are open (XEP-0384 §5.3), pictures are for contacts (XEP-0084). What Juliet's client can
// do is not said: nothing here depends on it, and a server whose stream has broken asks for it once more.
#[test]
fn access_models_hold_for_people_of_another_domain() {
    let item = |id: &str| {
        format!("type='result'>…<pubsub {PUBSUB}><items><item id='{id}'>…</item></items></pubsub>")
    };
    play(&format!(
        "juliet lives on b
        tybalt lives on b
        {}
        tybalt/street connects
        {}{}{}{}{}{}{}{}{}
        everyone      is quiet
    ",
        pep::SEE_EACH_OTHER,
        publishes("urn:xmpp:omemo:2:devices", "current", &[("access_model", "open")]),
        publishes("urn:xmpp:avatar:data", "picture", &[]),
        publishes("urn:x:diary", "today", &[("access_model", "whitelist")]),
        asks("juliet/garden", "urn:xmpp:omemo:2:devices", &item("current")),
        asks("tybalt/street", "urn:xmpp:omemo:2:devices", &item("current")),
        asks("juliet/garden", "urn:xmpp:avatar:data", &item("picture")),
        asks(
            "tybalt/street",
            "urn:xmpp:avatar:data",
            &refused("not-authorized", "presence-subscription-required")
        ),
        asks("juliet/garden", "urn:x:diary", &refused("not-allowed", "closed-node")),
        asks("tybalt/street", "urn:x:diary", &refused("not-allowed", "closed-node")),
    ));
}

// XEP-0060 §8.9: the one whom its owner lets in reads a closed node, also from another domain.
#[test]
fn a_member_of_another_domain_reads_a_closed_node() {
    play(&format!("tybalt lives on b
        romeo/phone   connects
        tybalt/street connects
        {}
        romeo/phone   sends    <iq type='set' id='a'><pubsub {OWNER}><affiliations node='urn:x:diary'><affiliation jid='{{tybalt}}' affiliation='member'/></affiliations></pubsub></iq>
        romeo/phone   receives <iq type='result' id='a'/>
        {}
        tybalt/street sends    <iq type='set' to='{{romeo}}' id='p'><pubsub {PUBSUB}><publish node='urn:x:diary'><item id='no'/></publish></pubsub></iq>
        tybalt/street receives <iq type='error' id='p'>{{error auth forbidden}}</iq>
        everyone      is quiet
    ",
        publishes("urn:x:diary", "today", &[("access_model", "whitelist")]),
        asks("tybalt/street", "urn:x:diary", "type='result'>…"),
    ));
}

// XEP-0163 §4.3, §7.1: from either side.
#[test]
fn events_end_with_the_subscription_to_presence() {
    let gone = "juliet/garden receives <presence from='{romeo/phone}' type='unavailable'/>";
    for (name, ends) in [
        (
            "Ended by him",
            format!(
                "romeo/phone   sends    <presence to='{{juliet}}' type='unsubscribed'/>\n{gone}"
            ),
        ),
        (
            "Ended by her",
            format!("juliet/garden sends    <presence to='{{romeo}}' type='unsubscribe'/>\n{gone}"),
        ),
    ] {
        play(&format!(
            "{}{}
            juliet/garden receives {}
            {ends}
            {}
            everyone      is quiet
            {}
            everyone      is quiet
        ",
            juliet_wants_tunes(name),
            publishes("urn:x:tune", "lute", &[]),
            event("juliet/garden", "lute", ""),
            publishes("urn:x:tune", "harp", &[]),
            asks(
                "juliet/garden",
                "urn:x:tune",
                &refused("not-authorized", "presence-subscription-required")
            )
        ));
    }
}

// XEP-0163 §4.3.4: what was published while her server was away does not reach her; the last of it does when she comes.
#[test]
fn a_contact_whose_server_was_away_gets_the_last_item_when_it_is_back() {
    let (name, node) = ("Away", "urn:x:tune");
    play_over_deaths(&format!("nurse lives on b
        {}{}
        juliet/garden receives {}
        server b dies
        juliet/garden loses the stream
        {}
        romeo/phone   sends    <message to='{{nurse}}' type='chat' id='m'><body>behind the event</body></message>
        server b starts again
        nurse/kitchen connects
        nurse/kitchen finds    <message from='{{romeo/phone}}' id='m'>…</message>
        juliet/garden binds
        juliet/garden sends    {}
        juliet/garden finds    {}
    ", juliet_wants_tunes(name), publishes(node, "lute", &[]), event("juliet/garden", "lute", ""), publishes(node, "harp", &[]),
        present(name), event("juliet/garden", "harp", "…")));
}
