//! Owns the question whether an envelope has come before: at least once between members, once for the entity. Pure.
//!
//! An envelope is known by its origin and its sender ([`Seen`]). A receipt that is dropped takes the mark back, since
//! what failed must be done when it comes again; the receipt of a repeat is settled as that of the first one is, since
//! nobody may count on what is not safe yet. What a former owner of the entity has put into the archive is known by its
//! row: that much of it is done, but nobody can tell what else was.
//!
//! Bounds: [`Repeats::WINDOWS`] windows; rows are kept in mind for [`Repeats::MEMORY`].

use std::collections::HashMap;
use std::time::Duration;

use proto::{Body, Envelope, Firsts, Mark, Seen};
use store::ArchiveId;
use xmpp::Origin;

/// What came for one entity of late.
#[derive(Default)]
pub(crate) struct Repeats {
    seen: Seen,
    firsts: Firsts<Mark>,
    /// When it was told what a former owner has archived, and that.
    rows: Option<(Duration, HashMap<Origin, ArchiveId>)>,
}

impl Repeats {
    /// Most windows. More senders at once, and the one that was used longest ago is forgotten.
    pub(crate) const WINDOWS: usize = 256;
    /// How long it is kept in mind what a former owner has archived.
    pub(crate) const MEMORY: Duration = Duration::from_secs(600);
    /// Rows of an archive that are looked at.
    pub(crate) const ROWS: usize = 256;

    /// Whether the envelope has come before; if not, it is marked, and the mark is taken back if its receipt
    /// turns out to be dropped. The receipt of one that has come before is taken.
    pub(crate) fn has(&mut self, envelope: &mut Envelope) -> bool {
        for failed in self.firsts.take_failed() {
            self.seen.forget(failed);
        }
        let mark = mark_of(envelope);
        let receipt = envelope.receipt.take();
        if self.seen.see(mark, envelope.again, Self::WINDOWS) {
            receipt.into_iter().for_each(|repeat| self.firsts.join(mark, repeat));
            return true;
        }
        envelope.receipt = receipt.map(|receipt| self.firsts.watch(mark, receipt));
        false
    }

    /// Whether it is known what a former owner has archived.
    pub(crate) fn knows_rows(&self) -> bool {
        self.rows.is_some()
    }

    /// A former owner has acted on these, as far as the archive goes.
    pub(crate) fn take_rows(
        &mut self,
        rows: impl Iterator<Item = (Origin, ArchiveId)>,
        now: Duration,
    ) {
        let of_clients = rows.filter(|(origin, _)| matches!(origin, Origin::Client { .. }));
        self.rows = Some((now, of_clients.collect()));
    }

    /// The row in which a former owner has put what comes again.
    pub(crate) fn row_of(&mut self, origin: Origin, now: Duration) -> Option<ArchiveId> {
        let (since, rows) = self.rows.as_mut()?;
        if now.saturating_sub(*since) >= Self::MEMORY {
            *rows = HashMap::new();
        }
        rows.get(&origin).copied()
    }
}

fn mark_of(envelope: &Envelope) -> Mark {
    match &envelope.body {
        Body::Stanza(stanza) => Mark::of(envelope.origin, stanza),
        _ => Mark::new(envelope.origin, None),
    }
}

#[cfg(test)]
mod tests {
    use proto::{Ledger, Route};
    use xmpp::{BareJid, Epoch, Head, Jid, Kind, MessageType, Stanza};

    use super::*;

    fn message(seq: u64) -> Envelope {
        let from = Some(Jid::parse("a@x/r").unwrap());
        let kind = Kind::Message(MessageType::Chat);
        let stanza = Stanza::new(Head { kind, id: None, from, to: None, lang: None }, "");
        let to = Route::User(BareJid::parse("b@x").unwrap());
        let origin = Origin::Client { session: 7, seq, part: 0 };
        Envelope::new(to, Body::Stanza(stanza), origin, Epoch(1))
    }

    fn has(repeats: &mut Repeats, seq: u64) -> bool {
        repeats.has(&mut message(seq))
    }

    #[test]
    fn what_failed_is_done_when_it_comes_again_and_what_did_not_is_not() {
        let mut repeats = Repeats::default();
        for (faulty, known) in [(true, false), (false, true)] {
            let ledger = Ledger::new(0, || {});
            let seq = if faulty { 1 } else { 2 };
            let mut envelope = message(seq).with_receipt(Some(ledger.open()));
            assert!(!repeats.has(&mut envelope));
            let receipt = envelope.receipt.unwrap();
            if faulty {
                drop(receipt)
            } else {
                receipt.release()
            }
            assert_eq!(ledger.standing().faulty, faulty);
            assert_eq!(ledger.standing().handled, u64::from(!faulty));
            assert_eq!(has(&mut repeats, seq), known);
        }
    }

    #[test]
    fn a_repeat_is_safe_when_the_first_one_is_and_not_before() {
        for faulty in [false, true] {
            let (mut repeats, ledger) = (Repeats::default(), Ledger::new(0, || {}));
            let mut first = message(1).with_receipt(Some(Ledger::new(0, || {}).open()));
            assert!(!repeats.has(&mut first));
            for _ in 0..2 {
                let mut repeat = message(1).with_receipt(Some(ledger.open()));
                assert!(repeats.has(&mut repeat) && repeat.receipt.is_none());
            }
            assert_eq!((ledger.standing().handled, ledger.standing().faulty), (0, false));
            let receipt = first.receipt.unwrap();
            if faulty {
                drop(receipt);
                assert!(ledger.standing().faulty && !has(&mut repeats, 1));
                continue;
            }
            receipt.release();
            assert_eq!((ledger.standing().handled, ledger.standing().faulty), (2, false));
            assert!(repeats.has(&mut message(1).with_receipt(Some(ledger.open()))));
            assert_eq!(ledger.standing().handled, 3);
        }
    }

    #[test]
    fn what_a_former_owner_has_archived_is_known_for_a_while_by_its_row() {
        let mut repeats = Repeats::default();
        let origin = |seq| Origin::Client { session: 7, seq, part: 0 };
        assert!(!repeats.knows_rows());
        repeats.take_rows([(origin(3), ArchiveId(30))].into_iter(), Duration::ZERO);
        assert_eq!(repeats.row_of(origin(3), Duration::ZERO), Some(ArchiveId(30)));
        assert_eq!(repeats.row_of(origin(4), Duration::ZERO), None);
        assert!(!has(&mut repeats, 3), "what else was done nobody knows");
        assert_eq!(repeats.row_of(origin(3), Repeats::MEMORY), None);
        assert!(repeats.knows_rows());
    }
}
