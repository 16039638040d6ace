//! Owns messages that the store refused though they were acknowledged to their senders already: what sessions
//! gave back (XEP-0198 §4), and what stands behind stored ones. They wait in memory and are stored again
//! after a while, at most [`TRIES`] times.
//!
//! Bound: [`Accounts::offline_bytes`]. Full, or out of tries: they are lost, logged and counted
//! ([`Figures::messages_lost`]).
//!
//! [`Accounts::offline_bytes`]: crate::config::Accounts::offline_bytes
//! [`Figures::messages_lost`]: crate::Figures::messages_lost

use std::time::Duration;

use entity::{Context, Timer};
use xmpp::Stanza;

use super::{Entry, store};
use crate::User;

/// Rings when they are to be stored again.
pub(crate) const AGAIN: Timer = Timer("refused messages", 0);

/// How long they wait for the first try; for each further one twice as long, up to [`LONGEST`].
pub(super) const FIRST: Duration = Duration::from_secs(1);
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// About ten minutes.
pub(super) const TRIES: u32 = 15;

/// What waits to be stored again.
#[derive(Debug, Default)]
pub(super) struct Refused {
    waiting: Vec<Stanza>,
    bytes: usize,
    /// Tries that failed since the last one that did not.
    failures: u32,
    /// The timer is set.
    ringing: bool,
}

impl Refused {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The store takes messages again.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// What waits, as data: with the tries that failed.
pub(crate) fn as_data(user: &User) -> (Vec<Stanza>, u32) {
    let refused = &user.offline.refused;
    (refused.waiting.clone(), refused.failures)
}

/// What waited goes on to wait; it is tried soon, unless the timer is set again as it was.
pub(crate) fn restore(
    user: &mut User,
    (waiting, failures): (Vec<Stanza>, u32),
    cx: &mut Context<'_, User>,
) {
    let ringing = !waiting.is_empty();
    let bytes = waiting.iter().map(Stanza::len).sum();
    user.offline.refused = Refused { waiting, bytes, failures, ringing };
    if ringing {
        cx.set_timer(AGAIN, FIRST);
    }
}

/// The store has refused a message that nobody else answers for.
pub(super) fn hold(user: &mut User, stanza: Stanza, cx: &mut Context<'_, User>) {
    let refused = &mut user.offline.refused;
    let full = refused.bytes + stanza.len() > cx.shared.accounts.offline_bytes;
    if full || refused.failures >= TRIES {
        return lose(user, cx);
    }
    refused.bytes += stanza.len();
    refused.waiting.push(stanza.detached());
    if !refused.ringing {
        refused.ringing = true;
        cx.set_timer(AGAIN, pause(refused.failures));
    }
}

/// How long to wait until a store is asked again that has failed so often before.
pub(super) fn pause(failures: u32) -> Duration {
    (FIRST * 2_u32.saturating_pow(failures.min(16))).min(LONGEST)
}

/// A message that was acknowledged is lost.
pub(super) fn lose(user: &User, cx: &Context<'_, User>) {
    cx.shared.figures.messages_lost.add_one();
    tracing::error!(jid = %user.jid, "a message that was acknowledged is lost: the store does not take it");
}

/// Tries once more.
pub(crate) fn try_again(user: &mut User, cx: &mut Context<'_, User>) {
    let refused = &mut user.offline.refused;
    let waiting = std::mem::take(&mut refused.waiting);
    (refused.bytes, refused.ringing) = (0, false);
    refused.failures += 1;
    for stanza in waiting {
        store(user, Entry { stanza, writes: Vec::new(), cause: None, taken: true }, cx);
    }
}
