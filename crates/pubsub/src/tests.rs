//! Owns the tests of a service that the stories cannot play.

use std::sync::Arc;

use entity::trial::Trial;
use proto::{Body, Hosts, Route};
use store::SharedStore;
use store::memory::Memory;
use xmpp::{BareJid, Stanza, kept};

use crate::{Config, Service};

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

struct Stage {
    trial: Trial<Service>,
}

impl Stage {
    fn new() -> Self {
        let hosts = Hosts::new([jid("x.org")], []).with_pubsub([jid("p.x.org")]);
        let store: SharedStore = Arc::new(Memory::new());
        let route = Route::Nodes(jid("p.x.org"));
        let mut trial = Trial::new(&route, Arc::new(Config::default()), hosts, store).unwrap();
        trial.drowsy = true;
        Self { trial }
    }

    /// Somebody sends this; what is sent, as text.
    fn hears(&mut self, xml: &str) -> Vec<String> {
        let stanza: Stanza = kept::read(xml.as_bytes()).unwrap();
        let sent = self.trial.receive(Route::Nodes(jid("p.x.org")), Body::Stanza(stanza));
        let text = |body| match body {
            Body::Stanza(stanza) => {
                let mut bytes = Vec::new();
                stanza.write(&mut bytes);
                String::from_utf8(bytes).unwrap()
            }
            other => panic!("unexpected {other:?}"),
        };
        sent.into_iter().map(|envelope| text(envelope.body)).collect()
    }

    fn asks(&mut self, from: &str, inner: &str) -> Vec<String> {
        let pubsub = format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{inner}</pubsub>");
        self.hears(&format!("<iq type='set' id='q' from='{from}' to='p.x.org'>{pubsub}</iq>"))
    }
}

const PUBLISH: &str = "<publish node='n'><item id='a'><e xmlns='u'/></item></publish>";

// XEP-0060 §12.4
#[test]
fn who_is_gone_is_not_subscribed_any_more() {
    let mut stage = Stage::new();
    stage.asks("romeo@x.org/r", PUBLISH);
    stage.asks("ann@b.org/r", "<subscribe node='n' jid='ann@b.org'/>");
    assert_eq!(stage.asks("romeo@x.org/r", PUBLISH).len(), 2);
    for (condition, left) in [("service-unavailable", 2), ("gone", 1)] {
        stage.hears(&format!(
            "<message type='error' from='ann@b.org' to='p.x.org'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        ));
        assert_eq!(stage.asks("romeo@x.org/r", PUBLISH).len(), left, "{condition}");
    }
}

#[test]
fn no_two_extensions_answer_the_same_request() {
    assert_eq!(crate::EXTENSIONS.conflicts(), []);
}

#[test]
fn a_service_takes_neither_messages_nor_friends() {
    let mut stage = Stage::new();
    let said = stage.hears("<message from='a@b.org/r' to='p.x.org'><body>hi</body></message>");
    assert!(said[0].contains("service-unavailable"), "{said:?}");
    let said = stage.hears("<presence type='subscribe' from='a@b.org' to='p.x.org'/>");
    assert!(said[0].contains("unsubscribed"), "{said:?}");
}
