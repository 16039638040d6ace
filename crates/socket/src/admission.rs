//! Owns which connections are taken: so many in all, so many from one address that have not proved who they are, and
//! none where memory is tight.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meter::{Places, Pressure, Subscriber};
use tokio::sync::Notify;

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// In all.
    pub all: usize,
    /// Of strangers from one address.
    pub of_one_address: usize,
}

impl Most {
    /// No limit.
    pub const UNLIMITED: Self = Self { all: usize::MAX, of_one_address: usize::MAX };
}

/// Counts connections. Shared by all threads; its memory is bounded by the number of connections.
#[derive(Debug)]
pub struct Admission {
    most: Most,
    pressure: Arc<Pressure>,
    counts: Mutex<Counts>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    places: Places,
    strangers: HashMap<Subscriber, usize>,
}

/// The place of one connection; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    stranger: Option<Subscriber>,
}

impl Admission {
    /// Of so many connections.
    #[must_use]
    pub fn new(most: Most, pressure: Arc<Pressure>) -> Arc<Self> {
        let (counts, left) = (Mutex::default(), Notify::new());
        Arc::new(Self { most, pressure, counts, left })
    }

    /// A place for a connection, wherever it comes from.
    ///
    /// # Errors
    /// Which limit is reached: `all` or `memory`.
    pub fn enter(self: &Arc<Self>) -> Result<Permit, &'static str> {
        let mut counts = self.lock();
        if counts.all >= self.most.all {
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
        let subscriber = Subscriber::from(address);
        let mut counts = self.admission.lock();
        let strangers = counts.strangers.entry(subscriber).or_default();
        if *strangers >= self.admission.most.of_one_address {
            return Err("address");
        }
        *strangers += 1;
        self.stranger = Some(subscriber);
        Ok(())
    }

    /// It has proved who it is, and counts no longer for its address: many people can be there behind one.
    pub fn becomes_known(&mut self) {
        let Some(subscriber) = self.stranger.take() else { return };
        let mut counts = self.admission.lock();
        if let Some(count) = counts.strangers.get_mut(&subscriber) {
            *count -= 1;
            if *count == 0 {
                counts.strangers.remove(&subscriber);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_takes_so_many_places_until_it_has_proved_who_it_is() {
        let admission = Admission::new(Most { all: 3, of_one_address: 1 }, Arc::default());
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
        let admission = Admission::new(Most { all: 3, of_one_address: 1 }, Arc::clone(&pressure));
        pressure.note(90, 100);
        assert_eq!(admission.enter().err(), Some("memory"));
        pressure.note(10, 100);
        assert!(admission.enter().is_ok());
    }
}
