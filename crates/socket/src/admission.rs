//! Owns which connections are taken: so many in all, so many from one address that have not proved who they are, and
//! none where memory is tight.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meter::{Places, Pressure};

/// Counts connections.
#[derive(Debug)]
pub struct Admission {
    most: usize,
    most_per_address: usize,
    pressure: Arc<Pressure>,
    counts: Mutex<Counts>,
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
    /// So many in all, and so many strangers from one address.
    #[must_use]
    pub fn new((most, most_per_address): (usize, usize), pressure: Arc<Pressure>) -> Arc<Self> {
        Arc::new(Self { most, most_per_address, pressure, counts: Mutex::default() })
    }

    /// A place for a connection.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Permit, &'static str> {
        let network = network(address);
        let mut counts = self.lock();
        if counts.all >= self.most {
            return Err("all");
        }
        let all = counts.all;
        // Other servers try again, and keep what they have for us.
        if !counts.places.has_one(self.pressure.level(), all) {
            return Err("memory");
        }
        let strangers = counts.strangers.entry(network).or_default();
        if *strangers >= self.most_per_address {
            return Err("address");
        }
        *strangers += 1;
        counts.all += 1;
        Ok(Permit { admission: Arc::clone(self), stranger: Some(network) })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// It has proved who it is, and counts no longer for its address.
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

    #[test]
    fn one_address_takes_so_many_places_until_it_has_proved_who_it_is() {
        let admission = Admission::new((3, 1), Arc::default());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut first = admission.enter(address("2001:db8::1")).unwrap();
        assert_eq!(admission.enter(address("2001:db8::2")).err(), Some("address"));
        let second = admission.enter(address("192.0.2.1")).unwrap();
        first.becomes_known();
        let _third = admission.enter(address("2001:db8::2")).unwrap();
        assert_eq!(admission.enter(address("192.0.2.2")).err(), Some("all"));
        drop(second);
        assert!(admission.enter(address("192.0.2.2")).is_ok());
    }

    #[test]
    fn nobody_comes_where_memory_is_tight() {
        let pressure = Arc::<Pressure>::default();
        let admission = Admission::new((3, 1), Arc::clone(&pressure));
        pressure.note(90, 100);
        let address = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(admission.enter(address).err(), Some("memory"));
        pressure.note(10, 100);
        assert!(admission.enter(address).is_ok());
    }
}
