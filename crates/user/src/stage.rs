//! A stage for tests of the account's ways: sessions by number, stanzas as text, what is sent in short.

use std::sync::Arc;

use auth::{Account, Credentials};
use entity::trial::Trial;
use proto::session::{ConnectionCommand, UserEvent};
use proto::{ArbiterId, Body, ConnectionId, Envelope, Hosts, Ledger, MemberId, Receipt, Route};
use store::memory::Memory;
use store::{Batch, Key, Kind, SharedStore, Store, Write};
use xmpp::{BareJid, Bucket, Epoch, Fence, Stanza, kept};

use crate::User;
use crate::config::{Accounts, Config};
use crate::roster::{self, Item, Subscription};

pub(crate) const ROMEO: &str = "romeo@x.org";

/// Romeo's account and its store.
pub(crate) struct Stage {
    pub(crate) trial: Trial<User>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) config: Config,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let memory = Arc::new(Memory::new());
        let row = Account::new(Credentials::decoy(b"secret", "romeo", 10_000)).encode();
        put_account(&memory, Some(row));
        Self::on(memory, config)
    }

    pub(crate) fn limited(accounts: Accounts) -> Self {
        Self::with(Config::from(accounts))
    }

    pub(crate) fn without_account() -> Self {
        Self::on(Arc::new(Memory::new()), Config::default())
    }

    fn on(memory: Arc<Memory>, config: Config) -> Self {
        let hosts = Hosts::new([BareJid::parse("x.org").unwrap()], []);
        let store = Arc::clone(&memory) as SharedStore;
        let shared = Arc::new(config.clone());
        let mut trial = Trial::new(&Route::User(romeo()), shared, hosts, store).unwrap();
        trial.drowsy = true;
        Self { trial, memory, config }
    }

    /// The account is loaded again, as after a restart.
    pub(crate) fn restart(&mut self) {
        let now = self.trial.now;
        *self = Self::on(Arc::clone(&self.memory), self.config.clone());
        self.trial.now = now;
    }

    /// A connection binds a resource; its session's number.
    pub(crate) fn bind(&mut self, resource: &str) -> u64 {
        let said = self.wish(Some(resource));
        let start = said.iter().find(|said| said.starts_with("start "));
        assert_eq!(start, Some(&format!("start {ROMEO}/{resource}")), "{said:?}");
        self.uid(resource)
    }

    /// A connection binds a resource, or leaves it to the server; what is said.
    pub(crate) fn wish(&mut self, resource: Option<&str>) -> Vec<String> {
        let connection = ConnectionId { member: MemberId(1), arbiter: ArbiterId(0), number: 1 };
        let resource = resource.map(Arc::from);
        let event =
            proto::session::ConnectionEvent::Bind { resource, iq_id: "b".into(), carbons: false };
        self.hears(Body::FromConnection(connection, event))
    }

    /// A session that is available with a priority.
    pub(crate) fn available(&mut self, resource: &str, priority: i8) -> u64 {
        let uid = self.bind(resource);
        self.says(uid, &format!("<presence><priority>{priority}</priority></presence>"));
        uid
    }

    pub(crate) fn uid(&self, resource: &str) -> u64 {
        self.trial.entity.sessions.of_resource(resource).unwrap().id.uid
    }

    /// A client sends this.
    pub(crate) fn says(&mut self, session: u64, xml: &str) -> Vec<String> {
        let from = self.trial.entity.sessions.get(session).unwrap().jid.clone();
        let stanza = stanza(xml).with_from(from.into());
        self.hears(Body::User(UserEvent::Outbound { session, stanza }))
    }

    /// Somebody else sends this.
    pub(crate) fn gets(&mut self, xml: &str) -> Vec<String> {
        self.hears(Body::Stanza(stanza(xml)))
    }

    /// Somebody else sends this; what is said, and whether their server may acknowledge it.
    pub(crate) fn gets_for(&mut self, xml: &str) -> (Vec<String>, bool) {
        let ledger = Ledger::new(0, || {});
        let said = self.gets_with(xml, ledger.open());
        (said, ledger.standing().handled == 1)
    }

    /// Somebody else sends this, for which this receipt is to be released.
    pub(crate) fn gets_with(&mut self, xml: &str, receipt: Receipt) -> Vec<String> {
        let body = Body::Stanza(stanza(xml));
        let sent = self.trial.receive_with(Route::User(romeo()), body, Some(receipt));
        self.told(sent)
    }

    pub(crate) fn hears(&mut self, body: Body) -> Vec<String> {
        let sent = self.trial.receive(Route::User(romeo()), body);
        self.told(sent)
    }

    /// A session ends and gives back.
    pub(crate) fn ends(&mut self, session: u64, unacknowledged: &[&str]) -> Vec<String> {
        let unacknowledged = unacknowledged.iter().map(|xml| stanza(xml)).collect();
        self.hears(Body::User(UserEvent::Ended { session, unacknowledged }))
    }

    /// Makes somebody a subscriber of the account's presence.
    pub(crate) fn subscribe(&mut self, contact: &str) {
        let contact = BareJid::parse(contact).unwrap();
        let mut item = Item::default();
        item.subscription = Subscription::From;
        self.trial.act(|user, cx| {
            let edit = user.roster.put(&romeo(), &contact, item, cx.now);
            roster::keep(user, edit, cx, |_, kept, _| assert!(kept.is_ok()));
        });
    }

    pub(crate) fn told(&self, sent: Vec<Envelope>) -> Vec<String> {
        sent.into_iter().map(|envelope| self.text(envelope)).collect()
    }

    fn text(&self, Envelope { to, body, receipt, .. }: Envelope) -> String {
        if let Some(receipt) = receipt {
            receipt.release();
        }
        let resource = match &to {
            Route::Session(id) => self.trial.entity.sessions.get(id.uid),
            _ => None,
        };
        let resource = resource.map_or("gone", |entry| entry.jid.resource());
        match (to, body) {
            (Route::Session(_), Body::Stanza(stanza)) => format!("{resource}: {}", short(&stanza)),
            (Route::Session(_), Body::User(UserEvent::Start { jid, .. })) => format!("start {jid}"),
            (Route::Session(_), Body::User(UserEvent::End(error))) => {
                format!("{resource} ends: {}", error.condition.name())
            }
            (Route::Session(_), Body::User(UserEvent::Stored { stanza, .. })) => {
                format!("{resource} late: {}", short(&stanza))
            }
            (
                Route::Connection(_),
                Body::ToConnection(ConnectionCommand::BindRefused { error, .. }),
            ) => {
                format!("refused: {} {}", error.ty.as_str(), error.condition.name())
            }
            (_, Body::Stanza(stanza)) => {
                let to = stanza.head().to.as_ref().map_or("", |to| to.as_str());
                format!("to {to}: {}", short(&stanza))
            }
            (to, body) => panic!("unexpected {body:?} to {to:?}"),
        }
    }
}

/// Puts the account's row in place, or takes it away.
pub(crate) fn put_account(memory: &Memory, row: Option<Vec<u8>>) {
    let key = Key::new(romeo(), Kind::Account, "");
    let write = match row {
        Some(row) => Write::Put(key, row.into()),
        None => Write::Delete(key),
    };
    let fence = Fence { bucket: Bucket::of_hash(0), epoch: Epoch(1) };
    // What was committed stays, whoever waits for the answer.
    drop(memory.commit(vec![Batch::new(fence).with(write)]));
}

pub(crate) fn romeo() -> BareJid {
    BareJid::parse(ROMEO).unwrap()
}

/// A stanza out of canonical text.
pub(crate) fn stanza(xml: &str) -> Stanza {
    kept::read(xml.as_bytes()).unwrap_or_else(|| panic!("not canonical: {xml}"))
}

/// The condition of an error, else the body's text, else name and type.
pub(crate) fn short(stanza: &Stanza) -> String {
    let (name, ty) = (stanza.kind().name(), stanza.kind().type_str());
    if let Some(error) = stanza.child("error", "") {
        let condition = error.children().next().unwrap().name().to_owned();
        return format!("{name} error {} {condition}", error.attr("type").unwrap());
    }
    match (stanza.child("body", ""), ty) {
        (Some(body), _) => body.text(),
        (None, Some(ty)) => format!("{name} {ty}"),
        (None, None) => name.to_owned(),
    }
}
