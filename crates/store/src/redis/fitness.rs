//! Owns what is judged of a server again and again while it is used: whether it still promises what it did when it was
//! opened, and whether it takes writes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redis::Pipeline;
use redis::aio::MultiplexedConnection;
use xmpp::Bucket;

use super::config::Address;
use super::link::{Fault, call, checked, command};
use super::shared::Shared;
use super::{begin, levels, names};

/// What is wrong with servers, each with the reason.
#[derive(Default)]
pub(super) struct Fitness {
    /// They do not promise any more what was asked for.
    unfit: Mutex<HashMap<Address, String>>,
    /// They refuse writes.
    refusing: Mutex<HashMap<Address, String>>,
    /// Whether any does: asked with every stanza.
    refuses: AtomicBool,
}

type Faults<'a> = MutexGuard<'a, HashMap<Address, String>>;

impl Fitness {
    /// Whether a server does not promise any more what was asked for.
    pub(super) fn is_lost(&self) -> bool {
        !lock(&self.unfit).is_empty()
    }

    /// Whether a server is known to refuse writes. One of many is enough: whose message would not be kept is not known
    /// before it is written.
    pub(super) fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Acquire)
    }

    /// A server refuses writes, for this reason; or takes them.
    pub(super) fn set_refusing(&self, address: &Address, why: Option<String>) {
        let mut refusing = lock(&self.refusing);
        match note(&mut refusing, address, why) {
            News::Wrong(error) => {
                tracing::error!(peer = %address, error, "a Redis server refuses writes");
            }
            News::Well => tracing::info!(peer = %address, "a Redis server takes writes again"),
            News::None => {}
        }
        self.refuses.store(!refusing.is_empty(), Ordering::Release);
    }

    fn set_unfit(&self, address: &Address, why: Option<String>) {
        match note(&mut lock(&self.unfit), address, why) {
            News::Wrong(error) => {
                tracing::error!(peer = %address, error, "a Redis server does not promise any more what it did");
            }
            News::Well => {
                tracing::info!(peer = %address, "a Redis server promises again what it did");
            }
            News::None => {}
        }
    }

    /// Only these servers are used.
    pub(super) fn forget_others(&self, used: &[Address]) {
        lock(&self.unfit).retain(|address, _| used.contains(address));
        let mut refusing = lock(&self.refusing);
        refusing.retain(|address, _| used.contains(address));
        self.refuses.store(!refusing.is_empty(), Ordering::Release);
    }
}

/// Judges a server, by a bucket of it.
pub(super) async fn judge(
    shared: &Shared,
    address: &Address,
    bucket: Option<Bucket>,
    connection: &mut MultiplexedConnection,
) {
    match promises(shared, connection).await {
        Ok(()) => shared.fitness.set_unfit(address, None),
        Err(Fault::Refused(told)) => shared.fitness.set_unfit(address, Some(told)),
        // Whether it is there is looked at elsewhere.
        Err(_) => return,
    }
    let Some(bucket) = bucket.filter(|_| shared.open().is_ok()) else { return };
    let mut ask = Pipeline::new();
    ask.add_command(command("SET", &[&names::beat(bucket), "1"]));
    let Ok(mut answers) = call(connection, &ask).await else { return };
    let why = match answers.pop().map(checked) {
        // The bucket is elsewhere by now.
        Some(Err(Fault::Moved)) if shared.map().is_cluster => None,
        Some(Err(fault)) => Some(fault.to_string()),
        _ => None,
    };
    shared.fitness.set_refusing(address, why);
}

async fn promises(shared: &Shared, connection: &mut MultiplexedConnection) -> Result<(), Fault> {
    begin::never_evicts(connection).await?;
    levels::check(connection, shared.config.durability).await
}

/// What is to be logged.
enum News {
    None,
    Wrong(String),
    Well,
}

fn note(faults: &mut HashMap<Address, String>, address: &Address, why: Option<String>) -> News {
    match why {
        Some(why) => match faults.insert(address.clone(), why.clone()) {
            Some(_) => News::None,
            None => News::Wrong(why),
        },
        None => faults.remove(address).map_or(News::None, |_| News::Well),
    }
}

fn lock(faults: &Mutex<HashMap<Address, String>>) -> Faults<'_> {
    faults.lock().unwrap_or_else(PoisonError::into_inner)
}
