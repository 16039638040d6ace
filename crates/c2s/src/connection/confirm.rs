//! Owns the stanzas of a client that counts (XEP-0198) and whose session has not confirmed them yet: when to
//! stop reading, and when to tell the client of what is confirmed. Pure.

use std::collections::VecDeque;

use proto::session::ConnectionEvent;

/// With more unconfirmed than this, reading stops.
const STANZAS_MAX: usize = 256;
/// Or with more bytes.
const BYTES_MAX: usize = 1 << 20;
/// With so many confirmed that the client has not been told of, it is told unasked.
const UNTOLD_MAX: u32 = 16;

/// The client's stanzas since it enabled stream management.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed {
    /// Of each, oldest first: its bytes, and the stanza itself where the session is on another member.
    stanzas: VecDeque<(u32, Option<ConnectionEvent>)>,
    bytes: usize,
    /// h, modulo 2^32.
    confirmed: u32,
    told: u32,
    /// The client asked when not all was confirmed.
    curious: bool,
}

impl Unconfirmed {
    /// Of a session that has handled this many.
    pub(super) fn from(h: u32) -> Self {
        Self { confirmed: h, told: h, ..Self::default() }
    }

    /// The client sent a stanza; the event is there where it must be kept.
    pub(super) fn push(&mut self, bytes: usize, event: Option<ConnectionEvent>) {
        self.bytes += bytes;
        self.stanzas.push_back((u32::try_from(bytes).unwrap_or(u32::MAX), event));
    }

    /// The session has handled `h` in all. Fewer than before would be old news.
    pub(super) fn confirm(&mut self, h: u32) {
        let risen = h.wrapping_sub(self.confirmed);
        if risen > u32::MAX / 2 {
            return;
        }
        let risen = usize::try_from(risen).unwrap_or(usize::MAX).min(self.stanzas.len());
        let bytes: usize = self.stanzas.drain(..risen).map(|(bytes, _)| bytes as usize).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        self.confirmed = h;
        if self.stanzas.is_empty() {
            self.stanzas = VecDeque::new();
        }
    }

    /// The client asks: the h to answer at once.
    pub(super) fn asked(&mut self) -> u32 {
        self.curious = !self.stanzas.is_empty();
        self.told = self.confirmed;
        self.confirmed
    }

    /// Whether the client should be told of h unasked: it had asked before all was confirmed, or has not
    /// heard for long.
    pub(super) fn has_news(&self) -> bool {
        let untold = self.confirmed.wrapping_sub(self.told);
        untold >= UNTOLD_MAX || (untold > 0 && self.curious)
    }

    /// The h to tell, if there are news.
    pub(super) fn news(&mut self) -> Option<u32> {
        if !self.has_news() {
            return None;
        }
        self.curious &= !self.stanzas.is_empty();
        self.told = self.confirmed;
        Some(self.confirmed)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.stanzas.len()
    }

    /// The stanzas themselves, oldest first; none where one was not kept.
    pub(super) fn events(&self) -> Option<Vec<ConnectionEvent>> {
        self.stanzas.iter().map(|(_, event)| event.clone()).collect()
    }

    /// The h that the client has not been told of, if there is one.
    pub(super) fn last(&mut self) -> Option<u32> {
        let untold = self.told != self.confirmed;
        self.told = self.confirmed;
        untold.then_some(self.confirmed)
    }

    /// Whether there is room for more.
    pub(super) fn has_room(&self) -> bool {
        self.stanzas.len() <= STANZAS_MAX && self.bytes <= BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use proto::session::ClientState;

    use super::*;

    #[test]
    fn too_many_stanzas_or_bytes_stop_reading_until_some_are_confirmed() {
        let mut few = Unconfirmed::default();
        for _ in 0..=STANZAS_MAX {
            assert!(few.has_room());
            few.push(1, None);
        }
        assert!(!few.has_room());
        few.confirm(1);
        assert!(few.has_room());
        let mut large = Unconfirmed::default();
        large.push(BYTES_MAX, None);
        assert!(large.has_room());
        large.push(1, None);
        assert!(!large.has_room());
        large.confirm(1);
        assert_eq!((large.has_room(), large.bytes), (true, 1));
    }

    #[test]
    fn a_client_that_asked_is_told_of_every_rise_until_all_is_confirmed() {
        let mut unconfirmed = Unconfirmed::from(u32::MAX);
        (0..3).for_each(|_| unconfirmed.push(10, None));
        assert_eq!(unconfirmed.asked(), u32::MAX);
        assert_eq!(unconfirmed.news(), None);
        unconfirmed.confirm(1);
        assert_eq!((unconfirmed.news(), unconfirmed.news()), (Some(1), None));
        unconfirmed.confirm(2);
        assert_eq!(unconfirmed.news(), Some(2));
        unconfirmed.push(10, None);
        unconfirmed.confirm(3);
        assert_eq!(unconfirmed.news(), None, "what came behind the question was not asked for");
    }

    #[test]
    fn a_client_that_never_asks_is_told_now_and_then() {
        let mut unconfirmed = Unconfirmed::default();
        (0..UNTOLD_MAX).for_each(|_| unconfirmed.push(10, None));
        unconfirmed.confirm(UNTOLD_MAX - 1);
        assert_eq!(unconfirmed.news(), None);
        unconfirmed.confirm(UNTOLD_MAX);
        assert_eq!(unconfirmed.news(), Some(UNTOLD_MAX));
    }

    #[test]
    fn a_stream_that_ends_has_told_all_that_is_confirmed() {
        let mut unconfirmed = Unconfirmed::from(5);
        assert_eq!(unconfirmed.last(), None);
        unconfirmed.push(10, None);
        unconfirmed.confirm(6);
        assert_eq!((unconfirmed.last(), unconfirmed.last()), (Some(6), None));
    }

    #[test]
    fn what_cannot_be_said_again_as_a_whole_is_not_said_again() {
        let event = |state| Some(ConnectionEvent::ClientState(state));
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.push(1, None);
        unconfirmed.push(1, event(ClientState::Active));
        unconfirmed.push(1, event(ClientState::Inactive));
        assert_eq!(unconfirmed.events(), None);
        unconfirmed.confirm(2);
        assert_eq!(unconfirmed.events(), event(ClientState::Inactive).map(|event| vec![event]));
    }

    #[test]
    fn what_was_confirmed_stays_so() {
        let mut unconfirmed = Unconfirmed::from(u32::MAX);
        (0..2).for_each(|_| unconfirmed.push(10, None));
        unconfirmed.confirm(0);
        unconfirmed.confirm(u32::MAX);
        assert_eq!((unconfirmed.len(), unconfirmed.asked()), (1, 0));
    }

    #[test]
    fn a_count_beyond_what_was_sent_does_no_harm() {
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.push(10, None);
        unconfirmed.confirm(77);
        assert_eq!((unconfirmed.bytes, unconfirmed.asked()), (0, 77));
    }
}
