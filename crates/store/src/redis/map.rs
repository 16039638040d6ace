//! Owns which server has which bucket: all of them one, or as `CLUSTER SLOTS` says.

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};
use xmpp::Bucket;

use super::config::{Address, Endpoints};
use super::link::{Fault, call, command, connect};
use super::tags::slot;

/// Which server has which bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Map {
    /// Whether it is a cluster's.
    pub(super) is_cluster: bool,
    primaries: Vec<Address>,
    /// The place of each slot's primary in `primaries`; beyond it where nobody has the slot.
    slots: Vec<u16>,
}

impl Map {
    /// One server has everything.
    pub(super) fn single(address: Address) -> Self {
        let slots = vec![0; usize::from(Bucket::COUNT)];
        Self { is_cluster: false, primaries: vec![address], slots }
    }

    /// Every primary.
    pub(super) fn primaries(&self) -> &[Address] {
        &self.primaries
    }

    /// The primary of a bucket.
    pub(super) fn primary(&self, bucket: Bucket) -> Option<&Address> {
        self.at(bucket.number())
    }

    /// The primary of a hash tag.
    pub(super) fn primary_of(&self, tag: &[u8]) -> Option<&Address> {
        self.at(slot(tag))
    }

    fn at(&self, slot: u16) -> Option<&Address> {
        let place = self.slots.get(usize::from(slot))?;
        self.primaries.get(usize::from(*place))
    }

    /// Asks a server.
    pub(super) async fn ask(
        connection: &mut MultiplexedConnection,
        asked: &Address,
    ) -> Result<Self, Fault> {
        let mut ask = Pipeline::new();
        ask.add_command(command("CLUSTER", &["SLOTS"]));
        match call(connection, &ask).await?.pop() {
            Some(Value::Array(ranges)) => Ok(Self::of_ranges(&ranges, asked)),
            Some(Value::ServerError(error)) if error.to_string().contains("cluster support") => {
                Ok(Self::single(asked.clone()))
            }
            other => Err(Fault::Refused(format!("it does not say who has which slot: {other:?}"))),
        }
    }

    /// Asks one server after the other until one answers.
    pub(super) async fn find(endpoints: &Endpoints, others: &[Address]) -> Result<Self, Fault> {
        let mut last = Fault::Lost("there is no server to ask".to_owned());
        for address in others.iter().chain(&endpoints.seeds) {
            let answer = match connect(endpoints, address).await {
                Ok(mut connection) => Self::ask(&mut connection, address).await,
                Err(fault) => Err(fault),
            };
            match answer {
                // A node that has lost sight of the others knows nothing.
                Ok(map) if map.primaries.is_empty() => {
                    last = Fault::Later(format!("{address} knows of no slots"));
                }
                Ok(map) => return Ok(map),
                Err(fault) => last = Fault::Lost(format!("{address}: {fault}")),
            }
        }
        Err(last)
    }

    fn of_ranges(ranges: &[Value], asked: &Address) -> Self {
        let slots = vec![u16::MAX; usize::from(Bucket::COUNT)];
        let mut map = Self { is_cluster: true, primaries: Vec::new(), slots };
        for range in ranges {
            let Some((from, to, primary)) = read_range(range, asked) else { continue };
            let known = map.primaries.iter().position(|known| *known == primary);
            let place = known.unwrap_or_else(|| {
                map.primaries.push(primary);
                map.primaries.len() - 1
            });
            if let (Ok(place), Some(slots)) = (u16::try_from(place), map.slots.get_mut(from..=to)) {
                slots.fill(place);
            }
        }
        map
    }
}

/// A range of slots: first, last, primary, replicas.
fn read_range(range: &Value, asked: &Address) -> Option<(usize, usize, Address)> {
    let Value::Array(parts) = range else { return None };
    let [Value::Int(from), Value::Int(to), Value::Array(primary), ..] = &parts[..] else {
        return None;
    };
    let host = match primary.first()? {
        Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
        _ => String::new(),
    };
    let Value::Int(port) = primary.get(1)? else { return None };
    let host = match (host.as_str(), asked) {
        // It does not know its own name: it is where it was asked.
        ("" | "?", Address::Tcp(host, _)) => host.clone(),
        _ => host,
    };
    let address = Address::Tcp(host, u16::try_from(*port).ok()?);
    Some((usize::try_from(*from).ok()?, usize::try_from(*to).ok()?, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: i64, to: i64, host: &str, port: i64) -> Value {
        let node = vec![Value::BulkString(host.into()), Value::Int(port)];
        Value::Array(vec![Value::Int(from), Value::Int(to), Value::Array(node)])
    }

    #[test]
    fn slots_are_their_primaries_and_what_nobody_has_is_nobodys() {
        let asked = Address::Tcp("seed".to_owned(), 1);
        let ranges = [range(0, 9, "", 7000), range(20, 16_383, "b", 7001), range(10, 11, "", 7000)];
        let map = Map::of_ranges(&ranges, &asked);
        let at = |slot| map.at(slot).map(ToString::to_string);
        assert_eq!(map.primaries().len(), 2);
        assert_eq!(at(9).as_deref(), Some("seed:7000"));
        assert_eq!(at(11).as_deref(), Some("seed:7000"));
        assert_eq!(at(12), None);
        assert_eq!(at(16_383).as_deref(), Some("b:7001"));
    }

    #[test]
    fn ranges_that_make_no_sense_are_passed_over() {
        let asked = Address::Unix;
        let ranges =
            [range(-1, 5, "a", 1), range(0, 99_999, "a", 1), range(7, 3, "a", 1), Value::Nil];
        let map = Map::of_ranges(&ranges, &asked);
        assert!((0..Bucket::COUNT).all(|slot| map.at(slot).is_none()));
    }
}
