//! Owns the trial of an account with all its extensions: stanzas in as text, what is sent out as trees.

mod archive;
mod blocking;
mod carbons;
mod kept;
mod known;
mod pep;
mod preferences;
mod privilege;
mod push;

use std::sync::Arc;
use std::time::Duration;

use entity::trial::Trial;
use proto::session::UserEvent;
use proto::{Body, Envelope, Hosts, Route, SessionId};
use store::memory::Memory;
use store::{Batch, Key, Kind, SharedStore, Write};
use xmpp::{BareJid, Bucket, Element, Epoch, Fence, Head, Jid, Kind as StanzaKind, Stanza, ns};

use crate::roster::{self, Item, Subscription};
use crate::sessions::SessionEntry;
use crate::{Config, User};

/// Romeo's account, with a store that can be told to refuse.
pub(super) struct Account {
    pub(super) trial: Trial<User>,
    pub(super) memory: Arc<Memory>,
    config: Config,
}

/// Something that the account sent.
#[derive(Debug)]
pub(super) struct Sent {
    /// To which session, if it went straight to one.
    pub(super) session: Option<u64>,
    /// The stanza.
    pub(super) stanza: Stanza,
    /// The same as a tree.
    pub(super) xml: Element,
}

/// The row of an account that may be used; its credentials are not read here.
const ENABLED: &[u8] = &[1, 0];

pub(super) const ROMEO: &str = "romeo@montague.lit";

fn romeo() -> BareJid {
    BareJid::parse(ROMEO).unwrap()
}

impl Account {
    /// An account without sessions.
    pub(super) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(super) fn with(config: Config) -> Self {
        let memory = Arc::new(Memory::new());
        put(&memory, Key::new(romeo(), Kind::Account, ""), ENABLED);
        let trial = start(&memory, &config);
        Self { trial, memory, config }
    }

    /// The process ends, and the account is loaded again, without sessions.
    pub(super) fn restart(&mut self) {
        let (now, counted) = (self.trial.now, Duration::from_secs(1));
        self.trial = start(&self.memory, &self.config);
        self.trial.now = now;
        self.trial.advance(counted);
    }

    /// Binds a session that is available with a priority.
    pub(super) fn bind(&mut self, uid: u64, resource: &str) {
        let jid = romeo().with_resource(resource).unwrap();
        let mut entry = SessionEntry::new(SessionId { account: romeo(), uid }, jid);
        let presence =
            format!("<presence from='{ROMEO}/{resource}'><status>here</status></presence>");
        entry.presence = Some(stanza(&presence));
        self.trial.entity.sessions.insert(entry);
    }

    /// A session's client sends this.
    pub(super) fn says(&mut self, session: u64, xml: &str) -> Vec<Sent> {
        let from = self.trial.entity.sessions.get(session).unwrap().jid.clone();
        let stanza = stanza(xml).with_from(from.into());
        let body = Body::User(UserEvent::Outbound { session, stanza });
        seen(self.trial.receive(Route::User(romeo()), body))
    }

    /// A session is over.
    pub(super) fn end(&mut self, session: u64) -> Vec<Sent> {
        self.end_with(session, Vec::new())
    }

    /// A session is over, and gives back what its client has not acknowledged.
    pub(super) fn end_with(&mut self, session: u64, unacknowledged: Vec<Stanza>) -> Vec<Sent> {
        let body = Body::User(UserEvent::Ended { session, unacknowledged });
        seen(self.trial.receive(Route::User(romeo()), body))
    }

    /// Somebody else sends this.
    pub(super) fn hears(&mut self, xml: &str) -> Vec<Sent> {
        seen(self.trial.receive(Route::User(romeo()), Body::Stanza(stanza(xml))))
    }

    /// The one answer to a request of a session's client.
    pub(super) fn asks(&mut self, session: u64, ty: &str, payload: &str) -> Element {
        let mut sent = self.says(session, &format!("<iq type='{ty}' id='q'>{payload}</iq>"));
        sent.retain(|sent| sent.session == Some(session) && sent.xml.attr("id") == Some("q"));
        assert_eq!(sent.len(), 1, "one answer: {sent:?}");
        sent.remove(0).xml
    }

    /// The one answer to a request that somebody else sends to the account.
    pub(super) fn is_asked(&mut self, from: &str, ty: &str, payload: &str) -> Element {
        let xml = format!("<iq type='{ty}' id='q' from='{from}' to='{ROMEO}'>{payload}</iq>");
        let mut sent = self.hears(&xml);
        assert_eq!(sent.len(), 1, "one answer: {sent:?}");
        assert_eq!(sent[0].xml.attr("to"), Some(from));
        sent.remove(0).xml
    }

    /// Makes somebody a subscriber of the account's presence, as the roster has it.
    pub(super) fn subscribe(&mut self, contact: &str) {
        self.shares(contact, Subscription::From);
    }

    /// What the account and a contact may see of each other.
    pub(super) fn shares(&mut self, contact: &str, subscription: Subscription) {
        let contact = BareJid::parse(contact).unwrap();
        let mut item = Item::default();
        item.subscription = subscription;
        self.trial.act(|user, cx| {
            let edit = user.roster.put(&romeo(), &contact, item, cx.now);
            roster::keep(user, edit, cx, |_, kept, _| assert!(kept.is_ok()));
        });
    }

    /// A trial that begins anew must not lose what it has.
    pub(super) fn user(&self) -> &User {
        &self.trial.entity
    }
}

fn start(memory: &Arc<Memory>, config: &Config) -> Trial<User> {
    let hosts = Hosts::new([BareJid::parse("montague.lit").unwrap()], []);
    let store: SharedStore = Arc::clone(memory) as SharedStore;
    let mut trial =
        Trial::new(&Route::User(romeo()), Arc::new(config.clone()), hosts, store).unwrap();
    trial.drowsy = true;
    trial
}

/// Keeps a row behind the account's back.
pub(super) fn put(memory: &Memory, key: Key, value: &'static [u8]) {
    use store::Store;
    let fence = Fence { bucket: Bucket::of_hash(0), epoch: Epoch(1) };
    let batch = Batch::new(fence).with(Write::Put(key, value.into()));
    // The memory store does its work before it returns.
    drop(memory.commit(vec![batch]));
}

/// Reads a stanza.
pub(super) fn stanza(xml: &str) -> Stanza {
    let tree = Element::parse(xml.as_bytes()).unwrap();
    let jid = |name| tree.attr(name).map(|text| Jid::parse(text).unwrap());
    let head = Head {
        kind: StanzaKind::parse(tree.name(), tree.attr("type")).unwrap(),
        id: tree.attr("id").map(Into::into),
        from: jid("from"),
        to: jid("to"),
        lang: None,
    };
    let content: Vec<Element> = tree.children().cloned().collect();
    Stanza::build(head, &content)
}

fn seen(envelopes: Vec<Envelope>) -> Vec<Sent> {
    let see = |envelope: Envelope| {
        let Body::Stanza(stanza) = envelope.body else { return None };
        let session = match envelope.to {
            Route::Session(session) => Some(session.uid),
            _ => None,
        };
        let mut bytes = Vec::new();
        stanza.write(&mut bytes);
        let xml = Element::parse(&bytes).unwrap();
        Some(Sent { session, stanza, xml })
    };
    envelopes.into_iter().filter_map(see).collect()
}

/// The condition of an error.
pub(super) fn condition(xml: &Element) -> &str {
    let error = xml.child("error", "").unwrap_or_else(|| panic!("no error: {xml:?}"));
    error.children().find(|child| child.ns() == ns::STANZAS).unwrap().name()
}

/// What was sent to one session.
pub(super) fn to(sent: &[Sent], session: u64) -> Vec<&Element> {
    sent.iter().filter(|sent| sent.session == Some(session)).map(|sent| &sent.xml).collect()
}

#[test]
fn no_two_extensions_answer_the_same_request() {
    assert_eq!(super::EXTENSIONS.conflicts(), []);
}

#[test]
fn every_extension_names_itself() {
    for extension in super::EXTENSIONS.iter() {
        assert!(!extension.number.is_empty() && !extension.title.is_empty());
        assert!(!extension.version.is_empty(), "{}", extension.number);
    }
}

#[test]
fn rows_that_cannot_be_read_stop_the_account_from_loading() {
    for (kind, item, value) in [
        (Kind::Block, "@", &b""[..]),
        (Kind::Setting, "archive", b"<prefs"),
        (Kind::Setting, "last", b"1234"),
    ] {
        let memory = Arc::new(Memory::new());
        put(&memory, Key::new(romeo(), kind, item), value);
        let route = Route::User(romeo());
        let store: SharedStore = memory;
        let trial = Trial::<User>::new(&route, Arc::default(), Hosts::default(), store);
        assert_eq!(trial.err().map(|error| error.kind), Some(kind), "{item}");
    }
}
