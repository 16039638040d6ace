//! Owns the envelope: one thing on its way to one actor, with everything that must travel beside it.

use bytes::Bytes;
use xmpp::{BareJid, Epoch, Jid, Origin, Stanza};

use crate::member::{ArbiterId, MemberId};
use crate::receipt::Receipt;
use crate::route::{ConnectionId, Hosts, Route};
use crate::session::{ConnectionCommand, ConnectionEvent, UserEvent};

/// One thing on its way to one actor.
#[derive(Debug)]
pub struct Envelope {
    /// Whom it is for.
    pub to: Route,
    /// What it is.
    pub body: Body,
    /// What caused it; the identity by which a repeated envelope is known.
    pub origin: Origin,
    /// The epoch by which the sender acts; a receiver with a newer plan refuses an older one.
    pub epoch: Epoch,
    /// Responsibility for the stanza that caused it; none where nobody waits for an acknowledgement.
    pub receipt: Option<Receipt>,
    /// How many members it has passed. More than [`Envelope::MAX_HOPS`] is a routing fault.
    pub hops: u8,
    /// It has come over a link, where what is sent may come again.
    pub crossed: bool,
    /// It was sent before, to a process that is gone and may have acted on it.
    pub again: bool,
    /// The trace that it belongs to, where sampled.
    pub trace: Option<Box<TraceContext>>,
    /// Who else gets the stanza in it. A stanza for many stays one envelope until it is at the member where they
    /// live; what is known of `to` alone is known of the first.
    pub targets: Vec<Target>,
}

/// One more recipient of an envelope's stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Who.
    pub jid: Jid,
    /// By how many parts its origin is later than the envelope's.
    pub part: u16,
}

/// What an envelope carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A stanza, for the actor to act on.
    Stanza(Stanza),
    /// From a connection to its session (or, before there is one, to its user). A session that has been
    /// resumed by another connection knows by the first field what is late.
    FromConnection(ConnectionId, ConnectionEvent),
    /// From a session to its connection.
    ToConnection(ConnectionCommand),
    /// Between a session and its user.
    User(UserEvent),
    /// From the router to every session: this member's process is gone, and its sockets with it.
    MemberGone(MemberId),
    /// About the second copy of an entity.
    Copy(CopyUpdate),
    /// From a member to the new owner of shards.
    Announced(Announced),
    /// From a member to the owner of a component's domain, or of a lane to another server.
    HeldStreams(HeldStreams),
    /// A component that may see who is here has another stream (XEP-0356 §8): to every member, and there to every account
    /// that has a session.
    ComponentConnected(BareJid),
    /// A component that may see people's contacts has come (XEP-0356 §8): to every account, which asks its contacts at other
    /// servers unless somebody is there, who has done so.
    AskContacts(BareJid),
    /// What a component can do in the server's place, as an answer to disco#info (XEP-0355 §7.2): to every member.
    Disclosed(Stanza),
    /// From an actor to itself, by its waker: something that it shares with other threads has changed.
    Woken,
}

/// About the second copy of an entity: from its owner to whoever keeps the copy, and when the owner is gone, to
/// the new one. What is in it is the entity's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyUpdate {
    /// From the owner: all of it.
    Whole(Bytes),
    /// From the owner: what has changed since.
    Change(Bytes),
    /// From the owner: there is nothing to keep any more.
    Forget,
    /// To a new owner: a copy.
    Kept {
        /// Of the former owner, when it gave `whole`.
        epoch: Epoch,
        /// All of it.
        whole: Bytes,
        /// What has changed since, oldest first.
        changes: Vec<Bytes>,
        /// Who keeps it until it hears [`CopyUpdate::Forget`]; none: nobody.
        by: Option<MemberId>,
    },
    /// To a new owner: what another entity has with this one.
    Claim(Bytes),
}

/// A thread of a member has told a new owner all that it holds of its shards, as they stand in a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Who says so.
    pub by: MemberId,
    /// The index of the plan.
    pub plan: u64,
    /// Which of the member's threads.
    pub arbiter: ArbiterId,
    /// How many threads it has.
    pub arbiters: u16,
}

/// All streams of a component, or all to another server, that a member holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldStreams {
    /// The member.
    pub member: MemberId,
    /// Their numbers.
    pub numbers: Vec<u64>,
    /// To another server: the domain of ours that they are for.
    pub local: Option<BareJid>,
    /// To another server: ways that other lanes take first.
    pub spare: Vec<u64>,
}

/// W3C trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Of the whole trace.
    pub trace_id: u128,
    /// Of the span that sent the envelope.
    pub span_id: u64,
}

impl Envelope {
    /// An envelope passes at most edge, home, home, edge, and one more after a shard moved.
    pub const MAX_HOPS: u8 = 8;

    /// An envelope that starts here.
    pub fn new(to: Route, body: Body, origin: Origin, epoch: Epoch) -> Self {
        Self {
            to,
            body,
            origin,
            epoch,
            receipt: None,
            hops: 0,
            crossed: false,
            again: false,
            trace: None,
            targets: Vec::new(),
        }
    }

    /// To these recipients of the stanza in it, the first one and the others; none where there is nobody.
    #[must_use]
    pub fn with_recipients(mut self, recipients: Vec<Target>, hosts: &Hosts) -> Option<Self> {
        let mut targets = recipients.into_iter();
        let Target { jid, part } = targets.next()?;
        self.to = self.route_to(&jid, hosts);
        self.origin = self.origin.later(part);
        if let Body::Stanza(stanza) = self.body {
            self.body = Body::Stanza(stanza.with_to(jid));
        }
        let from_first = |it: Target| Target { part: it.part.wrapping_sub(part), ..it };
        self.targets = targets.map(from_first).collect();
        Some(self)
    }

    /// Where the stanza in it goes for one of its recipients.
    #[must_use]
    pub fn route_to(&self, jid: &Jid, hosts: &Hosts) -> Route {
        let from = match &self.body {
            Body::Stanza(stanza) => stanza.head().from.as_ref(),
            _ => None,
        };
        Route::between(from, jid, hosts)
    }

    /// Every recipient of the stanza in it.
    pub fn recipients(&self) -> impl Iterator<Item = Target> + '_ {
        let first = match &self.body {
            Body::Stanza(stanza) => stanza.head().to.clone(),
            _ => None,
        };
        let first = first.map(|jid| Target { jid, part: 0 });
        first.into_iter().chain(self.targets.iter().cloned())
    }

    /// The envelope of one recipient, as if it had been sent to that one alone.
    #[must_use]
    pub fn copy_for(&self, Target { jid, part }: Target, to: Route) -> Self {
        let body = match &self.body {
            Body::Stanza(stanza) => Body::Stanza(stanza.clone().with_to(jid)),
            body => body.clone(),
        };
        let copy = Self {
            to,
            body,
            origin: self.origin.later(part),
            epoch: self.epoch,
            receipt: None,
            hops: self.hops,
            crossed: self.crossed,
            again: self.again,
            trace: self.trace.clone(),
            targets: Vec::new(),
        };
        copy.with_share(self.receipt.clone())
    }

    /// An envelope for each recipient.
    #[must_use]
    pub fn expand(mut self, hosts: &Hosts) -> Vec<Self> {
        if self.targets.is_empty() {
            return vec![self];
        }
        let copy = |target: Target| {
            let to = self.route_to(&target.jid, hosts);
            self.copy_for(target, to)
        };
        let copies = self.recipients().map(copy).collect();
        if let Some(receipt) = self.receipt.take() {
            receipt.release();
        }
        copies
    }

    /// With a share of the responsibility for the stanza that caused it.
    ///
    /// What another server has caused, no other server is waited for: two servers that acknowledge only what is safe
    /// would wait for each other for ever, each of them having the other's answer behind a stanza that it has not
    /// answered yet. The links between members keep it all the same until it has arrived.
    #[must_use]
    pub fn with_share(self, share: Option<Receipt>) -> Self {
        let goes_back = self.origin.is_of_server() && matches!(self.to, Route::Remote(_));
        match share {
            Some(share) if goes_back => {
                share.release();
                self.with_receipt(Some(Receipt::unwatched()))
            }
            share => self.with_receipt(share),
        }
    }

    /// With this receipt, whatever has caused it.
    #[must_use]
    pub fn with_receipt(mut self, receipt: Option<Receipt>) -> Self {
        self.receipt = receipt;
        self
    }

    /// As a part of the trace that what caused it belongs to.
    #[must_use]
    pub fn with_trace(mut self, trace: Option<Box<TraceContext>>) -> Self {
        self.trace = trace;
        self
    }

    /// Whether it stays within an account: from a session to its user, from a user to its session, from an entity to
    /// itself.
    pub fn is_within(&self) -> bool {
        matches!(
            (&self.to, &self.body),
            (_, Body::User(_) | Body::Woken) | (Route::Session(_), Body::Stanza(_))
        )
    }

    /// Whether a full mailbox may refuse it. Control envelopes have a reserve and are never refused.
    pub fn may_be_refused(&self) -> bool {
        matches!(self.body, Body::Stanza(_))
    }
}

#[cfg(test)]
mod tests {
    use xmpp::{Epoch, Head, IqType, Kind};

    use super::*;
    use crate::receipt::Standing;
    use crate::{Ledger, RemoteId};

    fn caused_by(origin: Origin, to: Route) -> Envelope {
        let head =
            Head { kind: Kind::Iq(IqType::Result), id: None, from: None, to: None, lang: None };
        Envelope::new(to, Body::Stanza(Stanza::new(head, "")), origin, Epoch::default())
    }

    #[test]
    fn only_what_another_server_has_caused_and_goes_to_one_is_not_waited_for() {
        let domain = BareJid::parse("b.example").unwrap();
        let remote = Route::Remote(RemoteId { domain: domain.clone(), lane: 0 });
        let client = Origin::Client { session: Origin::session_number(u64::MAX), seq: 1, part: 0 };
        let server = Origin::of_server(0, 1).later(3);
        for (origin, to, is_waited_for) in [
            (client, Route::User(domain.clone()), true),
            (client, remote.clone(), true),
            (server, Route::User(domain), true),
            (server, remote, false),
        ] {
            let ledger = Ledger::new(0, || {});
            let envelope = caused_by(origin, to.clone()).with_share(Some(ledger.open()));
            let handled = u64::from(!is_waited_for);
            let standing =
                Standing { handled, faulty: false, open: 1 - usize::from(!is_waited_for) };
            assert_eq!(ledger.standing(), standing, "{origin:?} {to:?}");
            // The links keep it in any case.
            envelope.receipt.expect("it has one").release();
            assert_eq!(ledger.standing().handled, 1);
        }
    }
}
