//! Owns the judge of the simulation of links: what does not hold, and how a history ends by it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

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

/// What went wrong, and with what.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) wrong: Wrong,
    about: String,
}

/// How a history went.
pub(super) type History = Result<(), Violation>;

/// The history ends where this is not so.
pub(super) fn holds(so: bool, wrong: Wrong, about: impl FnOnce() -> String) {
    if !so {
        // Not by a panic: it is what whoever plays is there to see.
        resume_unwind(Box::new(Violation { wrong, about: about() }));
    }
}

/// Plays a history of this seed; a panic goes on its way.
pub(super) fn played(seed: u64, play: impl FnOnce()) -> History {
    let Err(ended) = catch_unwind(AssertUnwindSafe(play)) else { return Ok(()) };
    match ended.downcast::<Violation>() {
        Ok(violation) => Err(*violation),
        Err(panic) => {
            println!("ROOKERY_SEED={seed}");
            resume_unwind(panic)
        }
    }
}

impl World {
    /// In the end everything is there, once and in order.
    pub(super) fn check(&self) {
        holds(self.held.is_empty(), Wrong::Unconfirmed, || "something waits for ever".to_owned());
        let mut count = self.sent.get(&u64::MAX).copied().unwrap_or(0);
        for rows in self.rows.iter().map(Rows::all) {
            count += rows.len() as u64;
            for from in 0..SENDERS {
                let of = rows.iter().filter(|row| row.0 == from).map(|row| row.1);
                let of: Vec<u64> = of.collect();
                let each: BTreeSet<u64> = of.iter().copied().collect();
                holds(each.len() == of.len(), Wrong::Twice, || format!("{of:?}"));
                holds(of.is_sorted(), Wrong::Disordered, || format!("{of:?}"));
            }
        }
        let sent: u64 = self.sent.iter().filter(|(from, _)| **from < SENDERS).map(|it| it.1).sum();
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
