//! Owns how often an address may try to register (XEP-0205 §4.3). Pure: time is handed in.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use auth::throttle::Recent;
use meter::Subscriber;

const WINDOW: Duration = Duration::from_secs(60);

/// Addresses that are remembered at least.
const CAPACITY: usize = 16_384;

/// The tries of the last minute. Bounded: each address has as many as it may make.
#[derive(Debug)]
pub struct Rate {
    tries: Recent<Subscriber, VecDeque<Duration>>,
    per_minute: usize,
}

impl Rate {
    /// Lets each address try so often in any minute.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self { tries: Recent::new(CAPACITY), per_minute: per_minute as usize }
    }

    /// Counts a try, if it may be made now. `now` is the time since any fixed start.
    pub fn may_try(&mut self, now: Duration, address: IpAddr) -> bool {
        let tries = self.tries.entry(Subscriber::from(address));
        while tries.front().is_some_and(|first| now.saturating_sub(*first) >= WINDOW) {
            tries.pop_front();
        }
        let may = tries.len() < self.per_minute;
        if may {
            tries.push_back(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn no_minute_sees_more_tries_of_one_address() {
        let mut rate = Rate::new(2);
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let tries = [0, 30, 31, 59, 60, 61, 90].map(|at| rate.may_try(seconds(at), one));
        assert_eq!(tries, [true, true, false, false, true, false, true]);
        assert!(rate.may_try(seconds(31), other));
    }

    #[test]
    fn a_network_of_one_subscriber_is_one_address() {
        let mut rate = Rate::new(1);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(rate.may_try(seconds(0), address("2001:db8::1")));
        assert!(!rate.may_try(seconds(0), address("2001:db8::2:1")));
        assert!(rate.may_try(seconds(0), address("2001:db8:0:1::1")));
    }
}
