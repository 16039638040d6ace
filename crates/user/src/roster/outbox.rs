//! Owns subscription stanzas on their way to contacts: each is kept beside the roster until the contact's
//! home has confirmed it, so that the two sides cannot come to see a subscription differently because one of
//! them fell (RFC 6121 §3.1.2, §3.1.5, §3.2.2, §3.3.2).
//!
//! A stanza is kept in the batch of the change that it tells of, and sent when that is durable. It carries a
//! receipt of its own; released, the contact has kept what follows from it, and its row goes.
//! Dropped, or with the account loaded again before, it is sent once more: the state tables make a repeated
//! stanza harmless.
//!
//! Bound: two stanzas for each contact, one about either direction; a newer one takes the place of an older.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entity::{Context, Timer};
use proto::Ledger;
use store::{Key, Kind, Row, Write};
use xmpp::{BareJid, Kind as StanzaKind, Stanza, kept};

use super::{Edit, Roster, row};
use crate::User;
use crate::subscription::SubscriptionType;

/// Rings when stanzas that came back are to be sent again.
pub(crate) const AGAIN: Timer = Timer("subscription words", 0);

/// How long the first repetition waits; each further one twice as long, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// What an account has said to its contacts and does not know to be kept by them.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    stanzas: BTreeMap<Slot, Unconfirmed>,
    /// How often stanzas came back since the last one that was confirmed.
    failures: u32,
}

/// Whom a subscription stanza is for, and which direction of the subscription it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    contact: BareJid,
    direction: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    /// What the account sees of the contact: `subscribe`, `unsubscribe`.
    To,
    /// What the contact sees of the account: `subscribed`, `unsubscribed`.
    From,
}

#[derive(Debug)]
struct Unconfirmed {
    stanza: Stanza,
    /// Settled when the contact's home has kept it; none: it is to be sent.
    ledger: Option<Arc<Ledger>>,
}

impl Outbox {
    /// Takes a row; none if it cannot be read. Rows of other things that wait are given back as they are.
    pub(super) fn take(&mut self, row: &Row) -> Option<bool> {
        let Some(direction) = row.item.first().and_then(|tag| Direction::of_tag(*tag)) else {
            return Some(false);
        };
        let contact = row::read_contact(row.item.get(1..)?)?;
        let stanza = kept::read(&row.value)?;
        self.stanzas.insert(Slot { contact, direction }, Unconfirmed { stanza, ledger: None });
        Some(true)
    }

    /// Whether every stanza is known to have arrived.
    pub(crate) fn is_empty(&self) -> bool {
        self.stanzas.is_empty()
    }

    /// Takes the stanzas whose receipts have settled: rows to remove, and whether any came back.
    fn settle(&mut self, owner: &BareJid) -> (Vec<Write>, bool) {
        let (mut writes, mut came_back) = (Vec::new(), false);
        self.stanzas.retain(|slot, it| {
            let Some(standing) = it.ledger.as_ref().map(|ledger| ledger.standing()) else {
                return true;
            };
            if standing.faulty {
                (it.ledger, came_back) = (None, true);
            } else if standing.handled > 0 {
                writes.push(Write::Delete(slot.key(owner)));
            }
            standing.faulty || standing.handled == 0
        });
        if !writes.is_empty() {
            self.failures = 0;
        }
        (writes, came_back)
    }

    fn next_wait(&mut self) -> Duration {
        let wait = FIRST * 2_u32.saturating_pow(self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        wait.min(LONGEST)
    }
}

impl Slot {
    /// None for anything but a subscription stanza to a contact.
    fn of(stanza: &Stanza) -> Option<Self> {
        let StanzaKind::Presence(ty) = stanza.kind() else { return None };
        let direction = match SubscriptionType::of(ty)? {
            SubscriptionType::Subscribe | SubscriptionType::Unsubscribe => Direction::To,
            SubscriptionType::Subscribed | SubscriptionType::Unsubscribed => Direction::From,
        };
        Some(Self { contact: stanza.head().to.as_ref()?.bare(), direction })
    }

    /// Beside requests, whose rows are named by the contact alone: no address begins with a tag.
    fn key(&self, owner: &BareJid) -> Key {
        let item = [&[self.direction.tag()], self.contact.as_str().as_bytes()].concat();
        Key::new(owner.clone(), Kind::Pending, Bytes::from(item))
    }
}

impl Direction {
    fn tag(self) -> u8 {
        match self {
            Self::To => b'>',
            Self::From => b'<',
        }
    }

    fn of_tag(tag: u8) -> Option<Self> {
        [Self::To, Self::From].into_iter().find(|direction| direction.tag() == tag)
    }
}

impl Roster {
    /// Keeps a stanza with the edit that it tells of. When the edit is durable, [`send`] follows.
    pub(crate) fn tell(&mut self, edit: &mut Edit, owner: &BareJid, stanza: &Stanza) {
        let Some(slot) = Slot::of(stanza) else { return };
        edit.writes.push(Write::Put(slot.key(owner), kept::write(&row::without_excess(stanza))));
        // An older one is taken back by this one, whose row takes the place of its row.
        self.outbox.stanzas.remove(&slot);
    }
}

/// Sends a stanza that has just been kept.
pub(crate) fn send(user: &mut User, stanza: Stanza, cx: &mut Context<'_, User>) {
    let Some(slot) = Slot::of(&stanza) else { return };
    let ledger = post(stanza.clone(), cx);
    let unconfirmed = Unconfirmed { stanza: row::without_excess(&stanza), ledger: Some(ledger) };
    user.roster.outbox.stanzas.insert(slot, unconfirmed);
}

/// Sends what was not sent since the account was loaded, or came back.
pub(crate) fn send_again(user: &mut User, cx: &mut Context<'_, User>) {
    for it in user.roster.outbox.stanzas.values_mut().filter(|it| it.ledger.is_none()) {
        it.ledger = Some(post(it.stanza.clone(), cx));
    }
}

/// Receipts have settled: what arrived is forgotten, what came back is sent again after a while.
pub(crate) fn settle(user: &mut User, cx: &mut Context<'_, User>) {
    let (writes, came_back) = user.roster.outbox.settle(&user.jid);
    if !writes.is_empty() {
        // Where a row stays, its stanza is sent once more when the account is loaded again.
        cx.commit(writes);
    }
    if came_back {
        let wait = user.roster.outbox.next_wait();
        tracing::warn!(
            jid = %user.jid,
            "a contact's home has not kept a subscription stanza; it is told again in {wait:?}"
        );
        cx.set_timer(AGAIN, wait);
    }
}

fn post(stanza: Stanza, cx: &mut Context<'_, User>) -> Arc<Ledger> {
    let wake = cx.waker();
    let ledger = Ledger::new(0, move || wake());
    cx.send_for(stanza, ledger.open());
    ledger
}
