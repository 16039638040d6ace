//! A stage for tests of a room: who comes from where, stanzas as text, what is sent in short.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use entity::trial::Trial;
use proto::{Body, Envelope, Hosts, Ledger, Route};
use store::SharedStore;
use store::memory::Memory;
use xmpp::{BareJid, Bucket, Element, Epoch, Fence, Origin, Stanza, kept};

use crate::{Config, Room, Shared};

/// A room and its store.
pub(super) struct Stage {
    pub(super) trial: Trial<Room>,
    pub(super) memory: Arc<Memory>,
    config: Config,
}

pub(super) fn room() -> BareJid {
    BareJid::parse("coven@chat.x.org").unwrap()
}

pub(super) fn fence() -> Fence {
    Fence { bucket: Bucket::of_hash(0), epoch: Epoch(1) }
}

/// The memory engine has done what it was asked before it answers.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("memory does not wait"),
    }
}

impl Stage {
    /// An open room whose owner is crone, inside as `first`.
    pub(super) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(super) fn with(config: Config) -> Self {
        let mut stage = Self::absent(config);
        stage.made("");
        stage
    }

    /// The same, but it stays.
    pub(super) fn persistent() -> Self {
        let mut stage = Self::absent(Config::default());
        stage.made("<field var='muc#roomconfig_persistentroom'><value>1</value></field>");
        stage
    }

    /// A name that nobody uses.
    pub(super) fn absent(config: Config) -> Self {
        Self::on(Arc::new(Memory::new()), config)
    }

    fn on(memory: Arc<Memory>, config: Config) -> Self {
        let bare = |text| BareJid::parse(text).unwrap();
        let hosts = Hosts::new([bare("x.org")], [bare("chat.x.org")]);
        let store = Arc::clone(&memory) as SharedStore;
        let shared = Arc::new(Shared::new(config.clone()));
        let trial = Trial::new(&Route::Room(room()), shared, hosts, store).unwrap();
        Self { trial, memory, config }
    }

    pub(super) fn made(&mut self, fields: &str) {
        self.gets("<presence xmlns='jabber:client' from='crone@x.org/desktop' to='coven@chat.x.org/first'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
        self.gets("<message xmlns='jabber:client' from='chat.x.org' to='coven@chat.x.org'><created xmlns='urn:rookery:rooms:0'/></message>");
        let form = format!(
            "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>{fields}</x></query>"
        );
        let said = self.asks("crone@x.org/desktop", "set", &form);
        assert!(said.contains(&"crone@x.org/desktop: iq result".to_owned()), "{said:?}");
    }

    /// The room is loaded again, as after a restart.
    pub(super) fn restart(&mut self) {
        let now = self.trial.now;
        *self = Self::on(Arc::clone(&self.memory), self.config.clone());
        self.trial.now = now;
    }

    /// The room as another member loads it.
    pub(super) fn again(&self) -> Self {
        let mut again = Self::on(Arc::clone(&self.memory), self.config.clone());
        again.trial.now = self.trial.now;
        again
    }

    pub(super) fn enters(&mut self, who: &str, nick: &str) {
        let said = self.gets(&format!("<presence xmlns='jabber:client' from='{who}' to='coven@chat.x.org/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"));
        assert!(said.contains(&format!("{who}: presence")), "{said:?}");
    }

    /// Somebody sends this.
    pub(super) fn gets(&mut self, xml: &str) -> Vec<String> {
        self.sent(xml).into_iter().map(word).collect()
    }

    /// The same; and whether the sender's server may acknowledge it.
    pub(super) fn gets_for(&mut self, xml: &str) -> (Vec<String>, bool) {
        let ledger = Ledger::new(0, || {});
        let body = Body::Stanza(stanza(xml));
        let sent = self.trial.receive_with(Route::Room(room()), body, Some(ledger.open()));
        let said = sent.into_iter().map(word).collect();
        (said, ledger.standing().handled == 1)
    }

    /// Somebody sends this; what it causes, and whether the sender's server may acknowledge it before that has arrived.
    pub(super) fn sent_by(&mut self, origin: Origin, xml: &str) -> (Vec<Envelope>, bool) {
        let ledger = Ledger::new(0, || {});
        let (to, body) = (Route::Room(room()), Body::Stanza(stanza(xml)));
        let sent = self.trial.receive_for(to, body, origin, Some(ledger.open()));
        (sent, ledger.standing().handled == 1)
    }

    pub(super) fn asks(&mut self, who: &str, ty: &str, payload: &str) -> Vec<String> {
        self.gets(&request(who, ty, payload))
    }

    /// The one answer to a request.
    pub(super) fn answer(&mut self, who: &str, ty: &str, payload: &str) -> Element {
        let mut sent = self.sent(&request(who, ty, payload));
        assert_eq!(sent.len(), 1);
        let Body::Stanza(stanza) = sent.remove(0).body else { panic!("not a stanza") };
        let mut bytes = Vec::new();
        stanza.write(&mut bytes);
        Element::parse(&bytes).unwrap()
    }

    pub(super) fn advances(&mut self, seconds: u64) -> Vec<String> {
        self.trial.advance(Duration::from_secs(seconds)).into_iter().map(word).collect()
    }

    pub(super) fn sent(&mut self, xml: &str) -> Vec<Envelope> {
        self.trial.receive(Route::Room(room()), Body::Stanza(stanza(xml)))
    }
}

pub(super) fn request(who: &str, ty: &str, payload: &str) -> String {
    format!(
        "<iq xmlns='jabber:client' type='{ty}' id='q' from='{who}' to='coven@chat.x.org'>{payload}</iq>"
    )
}

pub(super) fn stanza(xml: &str) -> Stanza {
    kept::read(xml.as_bytes()).unwrap_or_else(|| panic!("not canonical: {xml}"))
}

/// To whom, and the condition of an error, else the body's text, else the word of a service, else name and
/// type.
pub(super) fn word(Envelope { body, receipt, .. }: Envelope) -> String {
    if let Some(receipt) = receipt {
        receipt.release();
    }
    let Body::Stanza(stanza) = body else { panic!("a room sends stanzas alone") };
    let to = stanza.head().to.as_ref().map(ToString::to_string).unwrap_or_default();
    let name = stanza.kind().name();
    if let Some(error) = stanza.child("error", "") {
        let condition = error.children().next().unwrap().name().to_owned();
        return format!("{to}: {name} error {} {condition}", error.attr("type").unwrap());
    }
    if let Some(body) = stanza.child("body", "") {
        return format!("{to}: {}", body.text());
    }
    if let Some(word) = stanza.children().find(|child| child.ns == crate::birth::NS) {
        return format!("{to}: {}", word.name);
    }
    match stanza.kind().type_str() {
        Some(ty) => format!("{to}: {name} {ty}"),
        None => format!("{to}: {name}"),
    }
}
