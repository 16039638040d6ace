//! Owns Juliet: an account on trial with a few sessions, spoken to and heard in XML.

use std::sync::Arc;
use std::time::Duration;

use entity::Entity;
use entity::trial::Trial;
use proto::session::UserEvent;
use proto::{Body, Envelope, Hosts, Receipt, Route, SessionId};
use store::memory::Memory;
use xmpp::{BareJid, Element, Head, Jid, Kind, Stanza, ns};

use crate::User;
use crate::config::{Accounts, Config};
use crate::roster::Roster;
use crate::sessions::SessionEntry;
use crate::subscription::{Standing, State};

/// Juliet's account.
pub(crate) struct Stage {
    trial: Trial<User>,
    memory: Arc<Memory>,
    /// Of what was sent for the account itself.
    receipts: Vec<Receipt>,
}

/// What the account sent in one turn, each as `resource: <stanza/>` for one of its sessions, and as
/// `<stanza/>` for the way out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heard(pub(crate) Vec<String>);

impl Stage {
    /// With these sessions, none of them available or interested.
    pub(crate) fn new(resources: &[&str]) -> Self {
        let mut stage = Self::load(Arc::new(Memory::new()));
        for (uid, resource) in (1..).zip(resources) {
            let id = SessionId { account: juliet(), uid };
            let jid = juliet().with_resource(resource).unwrap();
            stage.trial.entity.sessions.insert(SessionEntry::new(id, jid));
        }
        stage
    }

    fn load(memory: Arc<Memory>) -> Self {
        let hosts =
            Hosts::new([juliet().domain()], [BareJid::parse("conference.example.com").unwrap()]);
        let config = Arc::new(Config::from(Accounts { roster_items: 8, ..Accounts::default() }));
        let mut trial = Trial::<User>::new(&route(), config, hosts, memory.clone()).unwrap();
        trial.entity.exists = true;
        Self { trial, memory, receipts: Vec::new() }
    }

    /// The account as it is loaded again from its store, without sessions.
    pub(crate) fn again(&self) -> Self {
        Self::load(self.memory.clone())
    }

    pub(crate) fn roster(&self) -> &Roster {
        &self.trial.entity.roster
    }

    pub(crate) fn inside(&self, resource: &str) -> Vec<String> {
        let entry = self.trial.entity.sessions.of_resource(resource).unwrap();
        entry.inside.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn directed(&self, resource: &str) -> usize {
        self.trial.entity.sessions.of_resource(resource).unwrap().directed.len()
    }

    /// As a session that goes on from its second copy.
    pub(crate) fn is_brought_back(&mut self, resource: &str) {
        let entry = self.trial.entity.sessions.of_resource_mut(resource);
        entry.unwrap().is_brought_back = true;
    }

    /// Brings a contact into a state, past all words.
    pub(crate) fn stands(&mut self, contact: &str, state: State) {
        let contact = BareJid::parse(contact).unwrap();
        let request = stanza(&format!("<presence from='{contact}' type='subscribe'/>"));
        let standing = (Standing { state, approved: false }, Some(&request));
        let now = self.trial.now;
        drop(self.trial.entity.roster.stand(&juliet(), &contact, standing, now));
    }

    pub(crate) fn state_of(&self, contact: &str) -> State {
        self.roster().standing(&BareJid::parse(contact).unwrap()).state
    }

    pub(crate) fn is_interested(&mut self, resource: &str) {
        let uid = self.uid(resource);
        self.trial.entity.sessions.get_mut(uid).unwrap().interested = true;
    }

    pub(crate) fn is_no_account(&mut self) {
        self.trial.entity.exists = false;
    }

    /// From now on nothing is kept.
    pub(crate) fn refuses_writes(&mut self, refuses: bool) {
        self.memory.refuse_writes(refuses.then_some(store::Error::Full("a test")));
    }

    /// A client sends a stanza.
    pub(crate) fn sends(&mut self, resource: &str, xml: &str) -> Heard {
        let session = self.uid(resource);
        let from = juliet().with_resource(resource).unwrap();
        let stanza = stanza(xml).with_from(from.into());
        self.hear(Body::User(UserEvent::Outbound { session, stanza }))
    }

    /// Somebody else sends a stanza to the account.
    pub(crate) fn hears(&mut self, xml: &str) -> Heard {
        self.hear(Body::Stanza(stanza(xml)))
    }

    /// A session ends without a word.
    pub(crate) fn ends(&mut self, resource: &str) -> Heard {
        let session = self.uid(resource);
        self.hear(Body::User(UserEvent::Ended { session, unacknowledged: Vec::new() }))
    }

    fn uid(&self, resource: &str) -> u64 {
        self.trial.entity.sessions.of_resource(resource).unwrap().id.uid
    }

    /// Whoever was sent something has kept it.
    pub(crate) fn are_confirmed(&mut self) {
        self.receipts.drain(..).for_each(Receipt::release);
        drop(self.trial.settle(route()));
    }

    /// What was sent is lost on its way.
    pub(crate) fn are_lost(&mut self) {
        self.receipts.clear();
        drop(self.trial.settle(route()));
    }

    /// The clock moves on.
    pub(crate) fn waits(&mut self, time: Duration) -> Heard {
        let sent = self.trial.advance(time);
        self.heard(sent)
    }

    pub(crate) fn may_sleep(&self) -> bool {
        self.trial.entity.may_sleep(self.trial.now)
    }

    pub(crate) fn closed(&self) -> bool {
        self.trial.closed
    }

    fn hear(&mut self, body: Body) -> Heard {
        let sent = self.trial.receive(route(), body);
        self.heard(sent)
    }

    fn heard(&mut self, sent: Vec<Envelope>) -> Heard {
        Heard(sent.into_iter().map(|sent| self.show(sent)).collect())
    }

    fn show(&mut self, envelope: Envelope) -> String {
        if let Some(receipt) = envelope.receipt {
            self.receipts.push(receipt);
        }
        let Body::Stanza(stanza) = envelope.body else {
            panic!("only stanzas are sent here");
        };
        let xml = canonical(&written(&stanza));
        match envelope.to {
            Route::Session(id) => {
                let entry = self.trial.entity.sessions.get(id.uid);
                format!("{}: {xml}", entry.unwrap().jid.resource())
            }
            _ => xml,
        }
    }
}

impl Heard {
    /// Just this was heard, in this order.
    #[track_caller]
    pub(crate) fn is(&self, expected: &[&str]) {
        let expected: Vec<String> = expected.iter().map(|line| canonical(line)).collect();
        assert_eq!(self.0, expected);
    }

    /// This was heard among others.
    #[track_caller]
    pub(crate) fn has(&self, expected: &str) {
        assert!(self.0.contains(&canonical(expected)), "{expected}\nis not in\n{:#?}", self.0);
    }
}

fn juliet() -> BareJid {
    BareJid::parse("juliet@example.com").unwrap()
}

fn route() -> Route {
    Route::User(juliet())
}

/// With the attributes of all elements in one order, so that lines compare as XML.
fn canonical(line: &str) -> String {
    match line.split_once(": <") {
        Some((resource, xml)) if !resource.starts_with('<') => {
            format!("{resource}: {}", written(&stanza(&format!("<{xml}"))))
        }
        _ => written(&stanza(line)),
    }
}

fn written(stanza: &Stanza) -> String {
    let mut out = Vec::new();
    stanza.write(&mut out);
    String::from_utf8(out).unwrap()
}

fn stanza(xml: &str) -> Stanza {
    let element = Element::parse(xml.as_bytes()).unwrap_or_else(|_| panic!("not XML: {xml}"));
    let jid = |name| element.attr(name).map(|text| Jid::parse(text).unwrap());
    let head = Head {
        kind: Kind::parse(element.name(), element.attr("type")).unwrap(),
        id: element.attr("id").map(Into::into),
        from: jid("from"),
        to: jid("to"),
        lang: element.attr_ns("lang", ns::XML).map(Into::into),
    };
    Stanza::build(head, &element.children().cloned().collect::<Vec<_>>())
}
