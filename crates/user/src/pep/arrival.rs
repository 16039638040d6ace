//! Owns how a contact's resource that seemed to be there all along is known for a newcomer: its server fell, and could not
//! say that it had gone. A server shows a newcomer and asks for the presence of its contacts at once (RFC 6121 §4.2.2), in
//! whichever order; presence that only changes comes without the other. Pure.

/// So long after the one the other may come, in microseconds.
const TOGETHER: u64 = 10_000_000;

/// When a resource did what newcomers do, in microseconds since 1970-01-01 UTC; 0: never.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrival {
    /// It came, was taken for a newcomer, and has not asked yet.
    came: u64,
    /// It sent presence.
    shown: u64,
    /// It, or somebody in the name of its account, asked for presence.
    asked: u64,
}

impl Arrival {
    /// A newcomer.
    pub(super) fn at(now: u64) -> Self {
        Self { came: now, ..Self::default() }
    }

    /// Presence has come: whether it is that of another newcomer.
    pub(super) fn shows(&mut self, now: u64) -> bool {
        // Whatever it is, the one who is known would have asked before.
        (self.came, self.shown) = (0, now);
        self.is_anew(now)
    }

    /// A probe has come: whether it is that of another newcomer.
    pub(super) fn asks(&mut self, now: u64) -> bool {
        if is_lately(self.came, now) {
            // It is that of the one who is known.
            *self = Self::default();
            return false;
        }
        self.asked = now;
        self.is_anew(now)
    }

    fn is_anew(&mut self, now: u64) -> bool {
        let is_anew = is_lately(self.shown, now) && is_lately(self.asked, now);
        if is_anew {
            *self = Self::default();
        }
        is_anew
    }
}

fn is_lately(at: u64, now: u64) -> bool {
    at + TOGETHER > now
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    const NOW: u64 = 1_000 * SECOND;

    #[test]
    fn whoever_shows_himself_and_asks_has_come_in_whichever_order_once() {
        let mut arrival = Arrival::at(NOW);
        assert!(!arrival.asks(NOW), "he is known");
        assert!(!arrival.shows(NOW + 1) && arrival.asks(NOW + 2));
        assert!(!arrival.shows(NOW + 3));
        let mut arrival = Arrival::at(NOW);
        assert!(!arrival.asks(NOW + 1) && !arrival.asks(NOW + 2) && arrival.shows(NOW + 3));
        assert!(!arrival.asks(NOW + 4));
        // One who was shown for another reason has not asked.
        let mut arrival = Arrival::at(NOW);
        assert!(!arrival.shows(NOW + 1) && arrival.asks(NOW + 2));
    }

    #[test]
    fn whoever_only_changes_or_asked_long_ago_has_not() {
        let mut arrival = Arrival::at(NOW);
        assert!(!arrival.shows(NOW + 1) && !arrival.shows(NOW + 2));
        let mut arrival = Arrival::at(NOW);
        assert!(!arrival.asks(NOW + TOGETHER) && !arrival.shows(NOW + 2 * TOGETHER));
        assert!(!arrival.asks(NOW + 3 * TOGETHER));
    }
}
