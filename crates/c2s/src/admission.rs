//! Owns what is counted of clients that come in and are refused; who may come in, `socket::admission` decides.

use std::net::IpAddr;
use std::sync::Arc;

use meter::Pressure;
use socket::Most;

use crate::listener::Kind;
use crate::metrics::{self, Metrics};

/// Counts connections of clients. Shared by all threads.
#[derive(Debug)]
pub(crate) struct Admission {
    places: Arc<socket::Admission>,
    metrics: Arc<Metrics>,
}

/// The place of one connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    place: socket::Permit,
    metrics: Arc<Metrics>,
    transport: &'static str,
}

impl Admission {
    /// Of so many connections.
    pub(crate) fn new(most: Most, pressure: Arc<Pressure>, metrics: Arc<Metrics>) -> Self {
        Self { places: socket::Admission::new(most, pressure), metrics }
    }

    /// A place for a connection; none when all are taken.
    pub(crate) fn enter(&self, transport: Kind) -> Option<Permit> {
        let refused = |why| self.metrics.refused.of(why).add_one();
        let place = self.places.enter().map_err(refused).ok()?;
        let (metrics, transport) = (Arc::clone(&self.metrics), metrics::transport(transport));
        metrics.accepted.add_one();
        metrics.connections.of(transport).add_one();
        Some(Permit { place, metrics, transport })
    }

    /// Connections now.
    pub(crate) fn count(&self) -> usize {
        self.places.count()
    }

    /// Waits until there are none.
    pub(crate) async fn empty(&self) {
        self.places.empty().await;
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
        let refused = |why| self.metrics.refused.of(why).add_one();
        self.place.comes_from(address).map_err(refused).is_ok()
    }

    /// The client has proved who it is: its account's limits hold from here on.
    pub(crate) fn becomes_known(&mut self) {
        self.place.becomes_known();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.metrics.connections.of(self.transport).take_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_in_and_who_is_refused_is_counted() {
        let metrics = Arc::new(Metrics::default());
        let admission = Admission::new(
            Most { all: 2, of_one_address: 1 },
            Arc::default(),
            Arc::clone(&metrics),
        );
        let here = IpAddr::from([192, 0, 2, 1]);
        let mut first = admission.enter(Kind::Clear).unwrap();
        let mut second = admission.enter(Kind::Clear).unwrap();
        assert!(first.comes_from(here) && !second.comes_from(here));
        assert!(admission.enter(Kind::Clear).is_none());
        drop(second);
        let refused = |why| metrics.refused.each().find(|(known, _)| *known == why).unwrap().1;
        assert_eq!((refused("address"), refused("all")), (1, 1));
        let open = metrics.connections.each().map(|(_, count)| count).sum::<u64>();
        assert_eq!((metrics.accepted.get(), open, admission.count()), (2, 1, 1));
    }
}
