//! Owns the Service entity: a publish-subscribe service at its own address. Its nodes come out of its rows; the engine
//! changes them, and nobody is told of anything before it is kept.

use std::sync::Arc;

use entity::refuse::store_error;
use entity::{Context, Entity, LoadError, Timer, answer};
use nodes::collection::{KINDS, Unreadable};
use nodes::{Collection, Outcome, Place, Turn};
use proto::{Body, Envelope, Now, Route};
use store::{Kind as RowKind, Row};
use xmpp::{
    BareJid, Jid, Kind, MessageType, PresenceType, Stanza, StanzaCondition, StanzaError, ns,
};

use crate::config::Config;
use crate::people::Known;
use crate::{EXTENSIONS, server_information, tell};

/// A publish-subscribe service.
pub struct Service {
    /// Its address, a domain.
    pub jid: BareJid,
    /// Its nodes.
    pub(crate) collection: Collection,
    /// Changes that are not answered by the store.
    under_way: usize,
    /// A change was refused: what is here is not what is kept.
    stale: bool,
}

impl Entity for Service {
    type Shared = Config;

    const KINDS: &'static [RowKind] = &KINDS;
    const NAME: &'static str = "pubsub";

    fn load(route: &Route, rows: Vec<Row>, _: &Arc<Config>) -> Result<Self, LoadError> {
        let Route::Nodes(jid) = route else { return Err(LoadError { kind: RowKind::Node }) };
        let collection = read_rows(jid, &rows)?;
        Ok(Self { jid: jid.clone(), collection, under_way: 0, stale: false })
    }

    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>) {
        let Body::Stanza(stanza) = envelope.body else {
            debug_assert!(false, "a word for somebody else came to a pubsub service");
            return;
        };
        if let Some(payload) = &cx.shared.information {
            let (node, title) = (server_information::NODE, server_information::EXTENSION.title);
            self.collection.say(node, title, payload, cx.now.unix_micros);
        }
        match stanza.kind() {
            Kind::Iq(ty) if ty.is_request() => answer::answer(&EXTENSIONS, self, stanza, cx),
            Kind::Message(MessageType::Error) => self.bounced(&stanza, cx),
            Kind::Message(_) => self.hear(&stanza, cx),
            Kind::Presence(PresenceType::Subscribe) => answer::deny(&stanza, cx),
            _ => {}
        }
    }

    fn wake(&mut self, _: Timer, _: &mut Context<'_, Self>) {}

    fn may_sleep(&self, _: Now) -> bool {
        true
    }
}

fn read_rows(jid: &BareJid, rows: &[Row]) -> Result<Collection, LoadError> {
    let unreadable = |Unreadable(kind)| LoadError { kind };
    Collection::load(jid.clone(), Place::Service, rows).map_err(unreadable)
}

impl Service {
    /// Has the engine do something in somebody's name. What comes of it must be finished.
    pub(crate) fn act(
        &mut self,
        from: &Jid,
        cx: &mut Context<'_, Self>,
        act: impl FnOnce(&mut Collection, &mut Turn<'_>) -> Result<Outcome, StanzaError>,
    ) -> Result<Outcome, StanzaError> {
        if self.stale {
            let error = StanzaError::from(StanzaCondition::ResourceConstraint);
            return Err(error.with_text("the store refused a change just now"));
        }
        let (shared, hosts, now) = (Arc::clone(cx.shared), cx.hosts, cx.now.unix_micros);
        let people = Known { config: &shared, hosts };
        let mut fresh = || format!("{:016x}", cx.random_u64());
        let mut turn = Turn::new(from, &people, &shared.limits, now, &mut fresh);
        act(&mut self.collection, &mut turn)
    }

    /// Keeps what came of a request, then answers it and tells of it.
    pub(crate) fn finish(
        &mut self,
        mut outcome: Outcome,
        request: Option<Stanza>,
        cx: &mut Context<'_, Self>,
    ) {
        let writes = std::mem::take(&mut outcome.writes);
        if writes.is_empty() {
            return tell::tell(self, outcome, request, cx);
        }
        self.under_way += 1;
        cx.commit_then(writes, move |service, cx, kept| {
            service.settle(&outcome, kept.is_ok(), cx);
            match (kept, request) {
                (Ok(()), request) => tell::tell(service, outcome, request, cx),
                (Err(error), Some(request)) => cx.send_error(&request, store_error(&error)),
                (Err(error), None) => drop(store_error(&error)),
            }
        });
    }

    /// The store has answered. Where it refused, and nothing else is under way, the nodes are loaded again.
    fn settle(&mut self, outcome: &Outcome, kept: bool, cx: &mut Context<'_, Self>) {
        self.under_way -= 1;
        self.stale |= !kept;
        self.collection.release(&outcome.held);
        if self.stale && self.under_way == 0 {
            let owner = self.jid.clone();
            cx.read(
                move |store, fence| store.load(fence, owner, &KINDS),
                |service, cx, rows| service.load_again(rows, cx),
            );
        }
    }

    fn load_again(&mut self, rows: Result<Vec<Row>, store::Error>, cx: &mut Context<'_, Self>) {
        match rows.map(|rows| read_rows(&self.jid, &rows)) {
            Ok(Ok(collection)) => (self.collection, self.stale) = (collection, false),
            // Whoever comes next finds the service as it is kept.
            Ok(Err(error)) => {
                tracing::error!(jid = %self.jid, %error, "a service cannot be loaded");
                cx.close();
            }
            Err(error) => {
                tracing::warn!(jid = %self.jid, %error, "a service cannot be loaded");
                cx.close();
            }
        }
    }

    /// An owner's word on who may subscribe (XEP-0060 §8.6); any other message is not for a service.
    fn hear(&mut self, stanza: &Stanza, cx: &mut Context<'_, Self>) {
        let x = stanza.child("x", ns::DATA_FORMS).filter(Collection::is_decision);
        let (Some(x), Some(from)) = (x, stanza.head().from.clone()) else {
            return cx.send_error(stanza, StanzaCondition::ServiceUnavailable);
        };
        match self.act(&from, cx, |collection, turn| collection.decide(&x, turn)) {
            Ok(outcome) => self.finish(outcome, None, cx),
            Err(error) => cx.send_error(stanza, error),
        }
    }

    /// An event came back: who is gone is not subscribed any more (§12.4).
    fn bounced(&mut self, stanza: &Stanza, cx: &mut Context<'_, Self>) {
        let Some(from) = stanza.head().from.clone() else { return };
        let gone = [StanzaCondition::Gone, StanzaCondition::ItemNotFound];
        let error = stanza.child("error", "");
        let is_gone = error.is_some_and(|error| {
            gone.iter().any(|it| error.child(it.name(), ns::STANZAS).is_some())
        });
        if is_gone {
            let outcome = self.act(&from, cx, |collection, _| Ok(collection.forget(&from)));
            if let Ok(outcome) = outcome {
                self.finish(outcome, None, cx);
            }
        }
    }
}
