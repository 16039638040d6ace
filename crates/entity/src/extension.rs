//! Owns the shape of an extension: what one XEP adds to one kind of entity.
//!
//! Each entity has one ordered list of its extensions; the order is the order in which a stanza meets
//! them. disco features, IQ tables and the published table of extensions are read off the lists.

use proto::session::ClientState;
use store::Write;
use xmpp::{Element, IqType, Stanza, StanzaError};

use crate::command::Command;
use crate::context::Context;
use crate::entity::Entity;
use crate::slot::SlotKind;

/// What one XEP adds to one kind of entity. Fill in what it has; the rest is [`Extension::NONE`].
pub struct Extension<E: Entity> {
    /// The number, such as `"0280"`; `"6121"` and the like for RFCs.
    pub number: &'static str,
    /// The title, such as `"Message Carbons"`.
    pub title: &'static str,
    /// The version that is implemented, such as `"1.0.1"`.
    pub version: &'static str,
    /// What disco says of the entity because of it (XEP-0030).
    pub features: &'static [&'static str],
    /// The IQ requests that it answers.
    pub iqs: &'static [Iq<E>],
    /// The commands that it has (XEP-0050).
    pub commands: &'static [Command<E>],
    /// Sees what the entity's owner sends.
    pub outbound: Option<Stage<E>>,
    /// Sees what others send to the entity.
    pub inbound: Option<Stage<E>>,
    /// Sees sessions come and go.
    pub session: Option<SessionStage<E>>,
    /// What it keeps of the entity or of a session of it.
    pub slots: &'static [SlotKind],
}

/// One IQ request that an extension answers.
pub struct Iq<E: Entity> {
    /// `get` or `set`.
    pub ty: IqType,
    /// The payload's name.
    pub name: &'static str,
    /// The payload's namespace.
    pub ns: &'static str,
    /// Who may ask.
    pub who: Who,
    /// Answers it.
    pub handle: Handle<E>,
}

/// Answers a request.
pub type Handle<E> = fn(&mut E, &Request, &mut Context<'_, E>) -> Result<Answer, StanzaError>;

/// Who may send a request to an account or room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Only the entity's own sessions.
    Owner,
    /// Anybody; the handler decides what they may know.
    Anybody,
}

/// An IQ request.
pub struct Request {
    /// The whole stanza.
    pub stanza: Stanza,
    /// Its one child (RFC 6120 §8.2.3).
    pub payload: Element,
    /// The session of the entity's own that asks, if it is one.
    pub session: Option<u64>,
}

/// What a handler says to a request.
#[derive(Debug)]
pub enum Answer {
    /// An empty result.
    Done,
    /// A result.
    Result(Element),
    /// The handler sends the answer itself, in this turn or a later one.
    Later,
}

/// A stanza on its way through the stages of an entity.
pub struct Passage {
    /// The stanza; a stage may put another one in its place.
    pub stanza: Stanza,
    /// Outbound: the session that sent it.
    pub session: Option<u64>,
    /// Rows that must be kept because of it, such as its archive row. They are kept in one batch with
    /// what the entity itself keeps of it, so that a refusal by the store has one answer: who sent it
    /// is told, unless a session took it all the same.
    pub writes: Vec<Write>,
}

/// What a stage says.
#[derive(Debug)]
pub enum Verdict {
    /// On to the next stage.
    Pass,
    /// The stage has taken care of the stanza.
    Stop,
    /// The sender gets this error.
    Refuse(StanzaError),
}

/// A stage of a stanza's way.
pub type Stage<E> = fn(&mut E, &mut Passage, &mut Context<'_, E>) -> Verdict;

/// A stage of a session's life.
pub type SessionStage<E> = fn(&mut E, u64, SessionEvent, &mut Context<'_, E>);

/// What happens to a session of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// A resource was bound.
    Bound,
    /// It became available, with initial presence (RFC 6121 §4.2).
    Available,
    /// It became unavailable, by its own word or because it ended.
    Unavailable,
    /// Somebody looks at it, or nobody does (XEP-0352).
    State(ClientState),
    /// It is over.
    Ended,
}

impl<E: Entity> Extension<E> {
    /// Nothing at all.
    pub const NONE: Self = Self {
        number: "",
        title: "",
        version: "",
        features: &[],
        iqs: &[],
        commands: &[],
        outbound: None,
        inbound: None,
        session: None,
        slots: &[],
    };
}

/// An entity's extensions, in order, with the lookups made from them.
pub struct Extensions<E: Entity> {
    list: &'static [Extension<E>],
}

impl<E: Entity> Extensions<E> {
    /// The list in order.
    pub const fn new(list: &'static [Extension<E>]) -> Self {
        Self { list }
    }

    /// Every extension in order.
    pub fn iter(&self) -> impl Iterator<Item = &'static Extension<E>> + use<E> {
        self.list.iter()
    }

    /// Every disco feature once, in order of the list.
    pub fn features(&self) -> Vec<&'static str> {
        let mut features: Vec<&'static str> = Vec::new();
        for feature in self.list.iter().flat_map(|extension| extension.features) {
            if !features.contains(feature) {
                features.push(feature);
            }
        }
        features
    }

    /// Every command in order.
    pub fn commands(&self) -> impl Iterator<Item = &'static Command<E>> + use<E> {
        self.list.iter().flat_map(|extension| extension.commands)
    }

    /// The types of all slots.
    pub fn slots(&self) -> impl Iterator<Item = &'static SlotKind> + Clone + use<E> {
        self.list.iter().flat_map(|extension| extension.slots)
    }

    /// Who answers a request, if anybody. The lists are short; names are compared before namespaces.
    pub fn iq(&self, ty: IqType, name: &str, ns: &str) -> Option<&'static Iq<E>> {
        self.list
            .iter()
            .flat_map(|extension| extension.iqs)
            .find(|iq| iq.ty == ty && iq.name == name && iq.ns == ns)
    }

    /// Requests that two extensions answer: a fault that each entity's tests look for.
    pub fn conflicts(&self) -> Vec<(IqType, &'static str, &'static str)> {
        let all: Vec<_> = self.list.iter().flat_map(|extension| extension.iqs).collect();
        let same = |a: &Iq<E>, b: &Iq<E>| a.ty == b.ty && a.name == b.name && a.ns == b.ns;
        all.iter()
            .enumerate()
            .filter(|(index, iq)| all[..*index].iter().any(|before| same(before, iq)))
            .map(|(_, iq)| (iq.ty, iq.name, iq.ns))
            .collect()
    }
}
