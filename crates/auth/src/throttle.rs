//! How often one may try: by address, and by account and address together. Whoever guesses is
//! slowed down; an account is never locked for other addresses. Time is handed in.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::net::IpAddr;
use std::time::Duration;

use meter::Subscriber;

/// Failed tries from one address that are never exceeded in any [`WINDOW`].
pub const MAX_TRIES_PER_ADDRESS: u32 = 60;

/// The window for [`MAX_TRIES_PER_ADDRESS`].
pub const WINDOW: Duration = Duration::from_secs(15);

/// Half the tries may come at once; the other half is the most that can be earned back in one
/// window. So no window sees more than the sum.
const BURST: u32 = MAX_TRIES_PER_ADDRESS / 2;
/// The time in which an address earns one try back.
const TRY: Duration = Duration::from_millis(15_000 / BURST as u64);

/// Failed tries for one account from one address that cost nothing.
const FREE_TRIES: u32 = 3;
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(8);
/// After this long without a try the account's tries from an address are forgotten.
const FORGET: Duration = Duration::from_secs(15 * 60);

/// What a try meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Judge it now.
    Allow,
    /// Judge it after this time.
    Delay(Duration),
    /// Do not judge it; answer not-authorized or close. Nothing was counted.
    Refuse,
}

/// The tries of late. Bounded memory: each of the two tables holds at most twice `capacity`
/// entries of some 40 octets; when full, the entries untouched for longest are forgotten.
#[derive(Debug)]
pub struct Throttle {
    addresses: Recent<Subscriber, Bucket>,
    pairs: Recent<(Subscriber, u64), Tries>,
    hasher: RandomState,
}

/// The time when all tries of an address are earned back (a leaky bucket as one instant).
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    full_at: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    count: u32,
    last: Duration,
}

impl Throttle {
    /// A throttle that remembers at least the last `capacity` addresses and as many pairs of
    /// account and address.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            addresses: Recent::new(capacity),
            pairs: Recent::new(capacity),
            hasher: RandomState::new(),
        }
    }

    /// Asks to judge one proof or password, and counts it as failed until
    /// [`Throttle::succeeded`] takes it back. Ask at the last moment before judging, so that
    /// log-ins under way do not count. `now` is the time since any fixed start; `account` is a
    /// bare JID, so that its spellings are one.
    pub fn attempt(&mut self, now: Duration, address: IpAddr, account: &str) -> Verdict {
        let network = Subscriber::from(address);
        let bucket = self.addresses.entry(network);
        let full_at = bucket.full_at.max(now) + TRY;
        if full_at > now + TRY * BURST {
            return Verdict::Refuse;
        }
        bucket.full_at = full_at;

        let account = self.hasher.hash_one(account);
        let tries = self.pairs.entry((network, account));
        if now.saturating_sub(tries.last) > FORGET {
            tries.count = 0;
        }
        tries.last = now;
        tries.count = tries.count.saturating_add(1);
        match tries.delay() {
            Duration::ZERO => Verdict::Allow,
            delay => Verdict::Delay(delay),
        }
    }

    /// The attempt succeeded: it no longer counts for the address, and the account's failed tries
    /// from this address are forgotten. Failed tries for other accounts stay, so that a guesser
    /// gains nothing from an account of its own.
    pub fn succeeded(&mut self, address: IpAddr, account: &str) {
        let network = Subscriber::from(address);
        let bucket = self.addresses.entry(network);
        bucket.full_at = bucket.full_at.saturating_sub(TRY);
        let account = self.hasher.hash_one(account);
        self.pairs.forget(&(network, account));
    }

    /// The entries held, for metrics.
    #[must_use]
    pub fn len(&self) -> usize {
        self.addresses.len() + self.pairs.len()
    }

    /// Whether nobody has tried yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Tries {
    fn delay(self) -> Duration {
        match self.count.checked_sub(FREE_TRIES + 1) {
            None => Duration::ZERO,
            Some(doublings) => {
                FIRST_DELAY.saturating_mul(1 << doublings.min(16)).min(LONGEST_DELAY)
            }
        }
    }
}

/// A map of bounded size in two generations: what is touched moves to the young one; when that is
/// full it becomes the old one, and the former old one is forgotten.
#[derive(Debug)]
pub struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    capacity: usize,
}

impl<K: Hash + Eq + Copy, V: Default> Recent<K, V> {
    /// One that remembers at least the last `capacity` keys, and at most twice as many.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), capacity: capacity.max(1) }
    }

    /// What is known of a key.
    pub fn entry(&mut self, key: K) -> &mut V {
        let known = self.old.remove(&key);
        if self.young.len() >= self.capacity && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.entry(key).or_insert_with(|| known.unwrap_or_default())
    }

    fn forget(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests;
