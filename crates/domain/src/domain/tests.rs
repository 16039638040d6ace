//! The server on trial.

use std::time::Duration;

use entity::trial::Trial;
use proto::{Hosts, RemoteId};
use store::memory::Memory;
use xmpp::{Element, Head, Jid, Stanza, ns};

use super::*;
use crate::extensions::caps::caps;
use crate::{Config, Contact, Service, stream_features};

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn shared() -> Shared {
    Shared {
        config: Config::default(),
        version: "0.1.0".into(),
        features: vec![ns::CARBONS, ns::BLOCKING, ns::PING],
        external: Vec::new(),
        administration: None,
        powers: Arc::default(),
        services: vec![Service {
            jid: bare("rooms.capulet.lit"),
            identity: ("conference", "text"),
            name: "Rooms".into(),
            features: vec![ns::MUC],
        }],
    }
}

fn trial_of(jid: &str, shared: Shared) -> Trial<Domain> {
    let hosts = Hosts::new([bare("capulet.lit")], [bare("rooms.capulet.lit")]);
    let store = Arc::new(Memory::new());
    Trial::new(&Route::Domain(bare(jid)), Arc::new(shared), hosts, store).unwrap()
}

fn stanza(name: &str, ty: Option<&str>, to: &str, inner: &str) -> Stanza {
    let head = Head {
        kind: Kind::parse(name, ty).unwrap(),
        id: Some("q".into()),
        from: Some(Jid::parse("romeo@montague.lit/orchard").unwrap()),
        to: Some(Jid::parse(to).unwrap()),
        lang: None,
    };
    Stanza::new(head, inner.to_owned())
}

fn sends(trial: &mut Trial<Domain>, stanza: Stanza) -> Vec<Element> {
    let route = Route::Domain(trial.entity.jid.clone());
    let seen = |envelope: Envelope| {
        let Body::Stanza(stanza) = envelope.body else { panic!("not a stanza") };
        let remote = RemoteId { domain: bare("montague.lit"), lane: 0 };
        assert_eq!(envelope.to, Route::Remote(remote));
        let mut bytes = Vec::new();
        stanza.write(&mut bytes);
        Element::parse(&bytes).unwrap()
    };
    trial.receive(route, Body::Stanza(stanza)).into_iter().map(seen).collect()
}

/// The one answer to a request.
fn asks(trial: &mut Trial<Domain>, ty: &str, payload: &str) -> Element {
    let to = trial.entity.jid.to_string();
    let mut sent = sends(trial, stanza("iq", Some(ty), &to, payload));
    assert_eq!(sent.len(), 1, "{payload}");
    let answer = sent.remove(0);
    assert_eq!(answer.attr("id"), Some("q"));
    assert_eq!(answer.attr("from"), Some(to.as_str()));
    answer
}

fn server() -> Trial<Domain> {
    trial_of("capulet.lit", shared())
}

fn condition(xml: &Element) -> &str {
    xml.child("error", "").unwrap().children().next().unwrap().name()
}

const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
const ITEMS: &str = "<query xmlns='http://jabber.org/protocol/disco#items'/>";

fn features(info: &Element) -> Vec<&str> {
    let query = info.child("query", ns::DISCO_INFO).unwrap();
    query
        .children()
        .filter(|child| child.name() == "feature")
        .filter_map(|f| f.attr("var"))
        .collect()
}

#[test]
fn the_server_tells_what_it_and_its_accounts_can_do() {
    let info = asks(&mut server(), "get", INFO);
    let identity = info.child("query", ns::DISCO_INFO).unwrap().children().next().unwrap();
    assert_eq!((identity.attr("category"), identity.attr("type")), (Some("server"), Some("im")));
    let features = features(&info);
    for feature in [ns::DISCO_INFO, ns::CAPS, ns::CARBONS, ns::BLOCKING, ns::PING, ns::VERSION] {
        assert_eq!(features.iter().filter(|f| **f == feature).count(), 1, "{feature}");
    }
}

#[test]
fn the_node_of_the_capabilities_answers_the_same_and_is_mirrored() {
    let mut server = server();
    let caps = caps(&shared());
    let node = format!("{}#{}", caps.node, caps.ver);
    let info = asks(&mut server, "get", &INFO.replace("/>", &format!(" node='{node}'/>")));
    assert_eq!(info.child("query", ns::DISCO_INFO).unwrap().attr("node"), Some(node.as_str()));
    assert_eq!(features(&info), features(&asks(&mut server, "get", INFO)));
    for wrong in ["x", "urn:rookery#x", &caps.node] {
        let info = asks(&mut server, "get", &INFO.replace("/>", &format!(" node='{wrong}'/>")));
        assert_eq!(condition(&info), "item-not-found");
    }
}

#[test]
fn services_are_items_with_an_identity_of_their_own() {
    let items = asks(&mut server(), "get", ITEMS);
    let item = items.child("query", ns::DISCO_ITEMS).unwrap().children().next().unwrap();
    assert_eq!(item.attr("jid"), Some("rooms.capulet.lit"));
    let mut rooms = trial_of("rooms.capulet.lit", shared());
    let info = asks(&mut rooms, "get", INFO);
    let identity = info.child("query", ns::DISCO_INFO).unwrap().children().next().unwrap();
    assert_eq!(identity.attr("category"), Some("conference"));
    assert!(features(&info).contains(&ns::MUC) && !features(&info).contains(&ns::CARBONS));
    let items = asks(&mut rooms, "get", ITEMS);
    assert_eq!(items.child("query", ns::DISCO_ITEMS).unwrap().children().count(), 0);
}

#[test]
fn contact_addresses_are_a_form_where_they_are_configured() {
    let form = |shared| {
        let info = asks(&mut trial_of("capulet.lit", shared), "get", INFO);
        info.child("query", ns::DISCO_INFO).unwrap().child("x", ns::DATA_FORMS).cloned()
    };
    assert_eq!(form(shared()), None);
    let contact = Contact { abuse: vec!["mailto:abuse@capulet.lit".into()], ..Contact::default() };
    let config = Config { contact, ..Config::default() };
    let x = form(Shared { config, ..shared() }).unwrap();
    let form = xmpp::forms::Form::parse(&x).unwrap();
    assert_eq!(form.form_type(), Some("http://jabber.org/network/serverinfo"));
    assert_eq!(form.lines("abuse-addresses").as_deref(), Some("mailto:abuse@capulet.lit"));
    assert!(form.field("sales-addresses").is_none());
}

#[test]
fn the_server_answers_pings_and_tells_its_version_time_and_uptime() {
    let mut server = server();
    server.advance(Duration::from_secs(90));
    let ping = asks(&mut server, "get", "<ping xmlns='urn:xmpp:ping'/>");
    assert_eq!((ping.attr("type"), ping.children().count()), (Some("result"), 0));
    let version = asks(&mut server, "get", "<query xmlns='jabber:iq:version'/>");
    let version = version.child("query", ns::VERSION).unwrap();
    assert_eq!(version.child("name", ns::VERSION).unwrap().text(), "Rookery");
    assert_eq!(version.child("version", ns::VERSION).unwrap().text(), "0.1.0");
    assert!(version.child("os", ns::VERSION).is_none());
    let time = asks(&mut server, "get", "<time xmlns='urn:xmpp:time'/>");
    let time = time.child("time", ns::TIME).unwrap();
    assert_eq!(time.child("tzo", ns::TIME).unwrap().text(), "+00:00");
    assert_eq!(time.child("utc", ns::TIME).unwrap().text(), "2023-11-14T22:14:50Z");
    let last = asks(&mut server, "get", "<query xmlns='jabber:iq:last'/>");
    assert_eq!(last.child("query", ns::LAST).unwrap().attr("seconds"), Some("90"));
}

#[test]
fn the_operating_system_is_told_only_where_it_was_configured() {
    let config = Config { os: Some("Debian".into()), ..Config::default() };
    let mut server = trial_of("capulet.lit", Shared { config, ..shared() });
    let version = asks(&mut server, "get", "<query xmlns='jabber:iq:version'/>");
    let os = version.child("query", ns::VERSION).unwrap().child("os", ns::VERSION);
    assert_eq!(os.unwrap().text(), "Debian");
}

#[test]
fn every_request_is_answered_and_no_answer_is() {
    let mut server = server();
    let unknown = "<query xmlns='urn:unknown'/>";
    for ty in ["get", "set"] {
        assert_eq!(condition(&asks(&mut server, ty, unknown)), "service-unavailable");
        assert_eq!(condition(&asks(&mut server, ty, "")), "bad-request");
        assert_eq!(condition(&asks(&mut server, ty, &unknown.repeat(2))), "bad-request");
        assert!(
            sends(&mut server, stanza("iq", Some("result"), "capulet.lit", unknown)).is_empty()
        );
        assert!(sends(&mut server, stanza("iq", Some("error"), "capulet.lit", unknown)).is_empty());
    }
    let ping = stanza("iq", Some("get"), "capulet.lit/r", "<ping xmlns='urn:xmpp:ping'/>");
    assert_eq!(condition(&sends(&mut server, ping)[0]), "service-unavailable");
}

#[test]
fn messages_to_the_server_bounce_and_presence_vanishes() {
    let mut server = server();
    for ty in [None, Some("chat"), Some("groupchat"), Some("headline")] {
        let sent = sends(&mut server, stanza("message", ty, "capulet.lit", "<body>hi</body>"));
        assert_eq!(condition(&sent[0]), "service-unavailable");
    }
    assert!(sends(&mut server, stanza("message", Some("error"), "capulet.lit", "")).is_empty());
    for ty in [None, Some("unavailable"), Some("probe"), Some("unsubscribe"), Some("error")] {
        assert!(sends(&mut server, stanza("presence", ty, "capulet.lit", "")).is_empty(), "{ty:?}");
    }
    let sent = sends(&mut server, stanza("presence", Some("subscribe"), "capulet.lit", ""));
    assert_eq!(sent[0].attr("type"), Some("unsubscribed"));
    assert_eq!(sent[0].attr("to"), Some("romeo@montague.lit"));
}

#[test]
fn no_two_extensions_answer_the_same_request() {
    assert_eq!(EXTENSIONS.conflicts(), []);
}

#[test]
fn streams_are_offered_the_capabilities_of_the_server() {
    let features = stream_features(&shared());
    assert_eq!(features.caps, Some(caps(&shared())));
    assert!(features.sm && features.csi);
}
