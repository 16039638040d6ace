//! Owns which connections are taken: so many in all, so many from one address that have not proved who they are, and
//! none where memory is tight.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meter::{Places, Pressure};
use tokio::sync::Notify;

/// Counts connections. Shared by all threads; its memory is bounded by the number of connections.
#[derive(Debug)]
pub struct Admission {
    most: usize,
    most_per_address: usize,
    pressure: Arc<Pressure>,
    counts: Mutex<Counts>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    places: Places,
    strangers: HashMap<IpAddr, usize>,
}

/// The place of one connection; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    stranger: Option<IpAddr>,
}

impl Admission {
    /// So many in all, and so many strangers from one address; `usize::MAX` is no limit.
    #[must_use]
    pub fn new((most, most_per_address): (usize, usize), pressure: Arc<Pressure>) -> Arc<Self> {
        let (counts, left) = (Mutex::default(), Notify::new());
        Arc::new(Self { most, most_per_address, pressure, counts, left })
    }

    /// A place for a connection, wherever it comes from.
    ///
    /// # Errors
    /// Which limit is reached: `all` or `memory`.
    pub fn enter(self: &Arc<Self>) -> Result<Permit, &'static str> {
        let mut counts = self.lock();
        if counts.all >= self.most {
            return Err("all");
        }
        let all = counts.all;
        if !counts.places.has_one(self.pressure.level(), all) {
            return Err("memory");
        }
        counts.all += 1;
        Ok(Permit { admission: Arc::clone(self), stranger: None })
    }

    /// A place for a connection from this address.
    ///
    /// # Errors
    /// Which limit is reached: `all`, `memory` or `address`.
    pub fn enter_from(self: &Arc<Self>, address: IpAddr) -> Result<Permit, &'static str> {
        let mut permit = self.enter()?;
        permit.comes_from(address)?;
        Ok(permit)
    }

    /// Connections now.
    pub fn count(&self) -> usize {
        self.lock().all
    }

    /// Waits until there are none.
    pub async fn empty(&self) {
        loop {
            // Registers first, then looks.
            let left = self.left.notified();
            if self.count() == 0 {
                return;
            }
            left.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Where the connection comes from.
    ///
    /// # Errors
    /// `address`: there is no place for one more stranger from there.
    pub fn comes_from(&mut self, address: IpAddr) -> Result<(), &'static str> {
        self.becomes_known();
        let network = network(address);
        let mut counts = self.admission.lock();
        let strangers = counts.strangers.entry(network).or_default();
        if *strangers >= self.admission.most_per_address {
            return Err("address");
        }
        *strangers += 1;
        self.stranger = Some(network);
        Ok(())
    }

    /// It has proved who it is, and counts no longer for its address: many people can be there behind one.
    pub fn becomes_known(&mut self) {
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
    }
}

/// All of a /64 is one subscriber.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_takes_so_many_places_until_it_has_proved_who_it_is() {
        let admission = Admission::new((3, 1), Arc::default());
        let mut first = admission.enter_from(address("2001:db8::1")).unwrap();
        assert_eq!(admission.enter_from(address("2001:db8::2")).err(), Some("address"));
        let second = admission.enter_from(address("192.0.2.1")).unwrap();
        let written_otherwise = admission.enter_from(address("::ffff:192.0.2.1"));
        assert_eq!(written_otherwise.err(), Some("address"));
        first.becomes_known();
        let _third = admission.enter_from(address("2001:db8::2")).unwrap();
        assert_eq!(admission.enter_from(address("192.0.2.2")).err(), Some("all"));
        drop(second);
        assert!(admission.enter_from(address("192.0.2.2")).is_ok());
        assert_eq!(admission.count(), 2);
    }

    #[test]
    fn nobody_comes_where_memory_is_tight() {
        let pressure = Arc::<Pressure>::default();
        let admission = Admission::new((3, 1), Arc::clone(&pressure));
        pressure.note(90, 100);
        assert_eq!(admission.enter().err(), Some("memory"));
        pressure.note(10, 100);
        assert!(admission.enter().is_ok());
    }
}
