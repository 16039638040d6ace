//! Owns the judge of the simulation of links: what does not hold.

use seeded::holds;

use super::*;

/// What does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It was confirmed, and a store may forget it or does not have it.
    Lost,
    /// It is nowhere in the end, though all was confirmed.
    Missing,
    /// It was done more than once.
    Twice,
    /// It was done behind what was sent later.
    Disordered,
    /// Its sender was told that it did not arrive, and it did.
    AnsweredAndThere,
    /// It is not confirmed in the end, or was given up.
    Unconfirmed,
}

/// How a history went.
pub(super) type History = seeded::History<Wrong>;

impl World {
    /// In the end everything is there, once and in order.
    pub(super) fn check(&self) {
        holds(self.held.is_empty(), Wrong::Unconfirmed, || "something waits for ever".to_owned());
        let mut count = self.sent.get(&u64::MAX).copied().unwrap_or(0);
        for rows in self.rows.iter().map(Rows::all) {
            count += rows.len() as u64;
            for from in 0..u64::from(SENDERS) {
                let of = rows.iter().filter(|row| row.0 == from).map(|row| row.1);
                let of: Vec<u64> = of.collect();
                let each: BTreeSet<u64> = of.iter().copied().collect();
                holds(each.len() == of.len(), Wrong::Twice, || format!("{of:?}"));
                holds(of.is_sorted(), Wrong::Disordered, || format!("{of:?}"));
            }
        }
        let sent: u64 =
            self.sent.iter().filter(|(from, _)| **from < u64::from(SENDERS)).map(|it| it.1).sum();
        holds(count == sent, Wrong::Missing, || format!("{count} of {sent} are there"));
        for (from, ledger) in (0..).zip(&self.ledgers) {
            let (standing, sent) = (ledger.standing(), self.sent[&from]);
            let all = standing.handled == sent && !standing.faulty;
            holds(all, Wrong::Unconfirmed, || format!("{standing:?} of {sent}"));
        }
    }

    /// Nothing confirmed is lost, whatever becomes of the primary.
    pub(super) fn is_durable(&self, origin: Origin) {
        let Origin::Client { session, seq, .. } = origin else { panic!("a client's") };
        let durable = self.rows.iter().any(|rows| rows.is_safe((session, seq)));
        holds(durable, Wrong::Lost, || format!("{origin:?}"));
    }
}
