//! Owns who may come in: how many connections there are, in all and from each address before log-in, and how many
//! the memory has room for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use meter::{Places, Pressure};
use tokio::sync::Notify;

use crate::listener::Kind;
use crate::metrics::{self, Metrics};

/// Counts connections. Shared by all threads; its memory is bounded by the number of connections.
#[derive(Debug)]
pub(crate) struct Admission {
    most: usize,
    most_per_address: usize,
    pressure: Arc<Pressure>,
    metrics: Arc<Metrics>,
    counts: Mutex<Counts>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    places: Places,
    strangers: HashMap<Network, usize>,
}

/// What counts as one address: all of a /64 is one subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Network(u64, bool);

/// The place of one connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    transport: &'static str,
    stranger: Option<Network>,
}

impl Admission {
    /// Limits of `usize::MAX` are none.
    pub(crate) fn new(
        (most, most_per_address): (usize, usize),
        pressure: Arc<Pressure>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let (counts, left) = (Mutex::default(), Notify::new());
        Arc::new(Self { most, most_per_address, pressure, metrics, counts, left })
    }

    /// A place for a connection; none when all are taken.
    pub(crate) fn enter(self: &Arc<Self>, transport: Kind) -> Option<Permit> {
        let mut counts = self.lock();
        if counts.all >= self.most {
            self.metrics.refused.of("all").add_one();
            return None;
        }
        let all = counts.all;
        if !counts.places.has_one(self.pressure.level(), all) {
            self.metrics.refused.of("memory").add_one();
            return None;
        }
        counts.all += 1;
        self.metrics.accepted.add_one();
        let transport = metrics::transport(transport);
        self.metrics.connections.of(transport).add_one();
        Some(Permit { admission: Arc::clone(self), transport, stranger: None })
    }

    /// Connections now.
    pub(crate) fn count(&self) -> usize {
        self.lock().all
    }

    /// Waits until there are none.
    pub(crate) async fn empty(&self) {
        loop {
            // Registers first, then looks.
            let left = self.left.notified();
            if self.count() == 0 {
                return;
            }
            left.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// How the connection's stream begins, as the metrics name it.
    pub(crate) fn transport(&self) -> &'static str {
        self.transport
    }

    /// The connection's address is known: whether there is a place for one more stranger from there.
    #[must_use]
    pub(crate) fn comes_from(&mut self, address: IpAddr) -> bool {
        self.becomes_known();
        let network = Network::of(address);
        let mut counts = self.admission.lock();
        let count = counts.strangers.entry(network).or_default();
        if *count >= self.admission.most_per_address {
            self.admission.metrics.refused.of("address").add_one();
            return false;
        }
        *count += 1;
        self.stranger = Some(network);
        true
    }

    /// The client has proved who it is: its account's limits hold from here on, so that many people
    /// behind one address can be there at once.
    pub(crate) fn becomes_known(&mut self) {
        let Some(network) = self.stranger.take() else { return };
        let mut counts = self.admission.lock();
        if let Some(count) = counts.strangers.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                counts.strangers.remove(&network);
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.becomes_known();
        self.admission.lock().all -= 1;
        self.admission.left.notify_waiters();
        self.admission.metrics.connections.of(self.transport).take_one();
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(u32::from(address)), false),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                let network =
                    [a, b, c, d].into_iter().fold(0, |sum, word| sum << 16 | u64::from(word));
                Self(network, true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(most: usize, per_address: usize) -> Arc<Admission> {
        Admission::new((most, per_address), Arc::default(), Arc::new(Metrics::default()))
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        let admission = admission(1, 9);
        let first = admission.enter(Kind::Clear).expect("the first place");
        assert!(admission.enter(Kind::Clear).is_none());
        drop(first);
        assert!(admission.enter(Kind::Clear).is_some());
        assert_eq!((admission.count(), admission.metrics.refused.get()), (0, 1));
    }

    #[test]
    fn nobody_comes_where_memory_is_tight() {
        let admission = admission(9, 9);
        admission.pressure.note(90, 100);
        assert!(admission.enter(Kind::Clear).is_none());
        admission.pressure.note(10, 100);
        assert!(admission.enter(Kind::Clear).is_some());
        let refused = admission.metrics.refused.each().find(|(why, _)| *why == "memory");
        assert_eq!(refused, Some(("memory", 1)));
    }

    #[test]
    fn one_address_cannot_take_every_place_of_strangers() {
        let admission = admission(9, 1);
        let (mut first, mut second) =
            (admission.enter(Kind::Clear).unwrap(), admission.enter(Kind::Clear).unwrap());
        let address = |text: &str| text.parse().expect("an address");
        assert!(first.comes_from(address("192.0.2.1")));
        assert!(!second.comes_from(address("::ffff:192.0.2.1")), "the same, written otherwise");
        assert!(second.comes_from(address("192.0.2.2")));
        first.becomes_known();
        let mut third = admission.enter(Kind::Clear).unwrap();
        assert!(third.comes_from(address("192.0.2.1")), "who has logged in is no stranger");
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_address() {
        let admission = admission(9, 1);
        let (mut first, mut second) =
            (admission.enter(Kind::Clear).unwrap(), admission.enter(Kind::Clear).unwrap());
        assert!(first.comes_from("2001:db8::1".parse().unwrap()));
        assert!(!second.comes_from("2001:db8::2".parse().unwrap()));
        assert!(second.comes_from("2001:db8:0:1::2".parse().unwrap()));
    }
}
