//! Owns how fast secrets may be tried from one address. Pure: time is handed in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use meter::Subscriber;

/// Between two tries of an address: at most 100 in ten seconds.
const PACE: Duration = Duration::from_millis(110);

/// When whoever is behind an address may try again. One entry for each with a try under way or shortly after; their number is
/// bounded by that of connections.
#[derive(Debug, Default)]
pub(crate) struct AttemptLimit {
    next: HashMap<Subscriber, Duration>,
}

impl AttemptLimit {
    /// How long a try has to wait; it is counted.
    pub(crate) fn enter(&mut self, address: IpAddr, now: Duration) -> Duration {
        self.next.retain(|_, next| *next > now);
        let next = self.next.entry(address.into()).or_insert(now);
        let wait = next.saturating_sub(now);
        *next += PACE;
        wait
    }

    /// The try was right: it does not count.
    pub(crate) fn was_right(&mut self, address: IpAddr) {
        if let Some(next) = self.next.get_mut(&address.into()) {
            *next = next.saturating_sub(PACE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_guesses_waits_and_nobody_else_does() {
        let mut attempts = AttemptLimit::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let (guesser, other) = (address("2001:db8::1"), address("192.0.2.2"));
        let now = Duration::from_secs(1);
        let next_door = |host| address(&format!("2001:db8::{host}"));
        let waits: Vec<_> = (0..91).map(|host| attempts.enter(next_door(host), now)).collect();
        assert_eq!(waits[0], Duration::ZERO);
        assert!(waits.is_sorted() && waits[90] > Duration::from_millis(9_800), "{waits:?}");
        assert_eq!(attempts.enter(other, now), Duration::ZERO);
        attempts.was_right(other);
        assert_eq!(attempts.enter(other, now), Duration::ZERO);
        assert_eq!(attempts.enter(guesser, now + Duration::from_secs(60)), Duration::ZERO);
        assert_eq!(attempts.next.len(), 1);
    }
}
