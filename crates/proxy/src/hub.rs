//! Owns who waits for whom. Two clients that name the same address are a pair; it begins when the requester says so. What
//! they send before is thrown away (XEP-0065 §10.1).

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meter::{By, Counter, Subscriber};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use xmpp::BareJid;

use crate::config::Config;
use crate::socks::Address;

/// Clients that wait, and those for whom bytes are carried.
pub struct Hub {
    config: Config,
    table: Mutex<Table>,
    /// What is counted.
    pub figures: Figures,
}

/// Figures of bytestreams.
#[derive(Debug)]
pub struct Figures {
    /// Bytestreams that have begun.
    pub begun: Counter,
    /// Bytes that were carried.
    pub bytes: Counter,
    /// Connections now.
    pub connections: Counter,
    /// Connections that were closed, and bytestreams that did not begin, by why.
    pub refused: By<7>,
}

impl Default for Figures {
    fn default() -> Self {
        let refused = ["full", "address", "socks", "third", "late", "alone", "account"];
        Self {
            begun: Counter::default(),
            bytes: Counter::default(),
            connections: Counter::default(),
            refused: By::new(refused),
        }
    }
}

#[derive(Default)]
struct Table {
    streams: HashMap<Address, Stream>,
    /// Bytestreams of each account.
    of_account: HashMap<BareJid, usize>,
    /// Connections, and those of each address that carry nothing yet.
    connections: usize,
    waiting: HashMap<Subscriber, usize>,
    next: u64,
}

/// A bytestream, from its first client on.
struct Stream {
    /// Another one may have the same address later.
    number: u64,
    begun: watch::Sender<bool>,
    /// The way to the first client, until the second one has come.
    to_first: Option<oneshot::Sender<TcpStream>>,
    /// Whose it is, when it has begun.
    account: Option<BareJid>,
}

/// Why a bytestream does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody has come for it.
    Unknown,
    /// One client has come, but not the other.
    Alone,
    /// The account has too many.
    TooMany,
}

/// A client's place at a bytestream. Whoever leaves it ends the bytestream.
pub(crate) struct Seat {
    hub: Arc<Hub>,
    address: Address,
    number: u64,
    begun: watch::Receiver<bool>,
    side: Side,
}

/// Which of two.
enum Side {
    /// It is given the other one.
    First(oneshot::Receiver<TcpStream>),
    /// It gives itself to the other one.
    Second(Option<oneshot::Sender<TcpStream>>),
}

/// A connection's place among all.
pub(crate) struct Pass {
    hub: Arc<Hub>,
    from: Subscriber,
    waits: bool,
}

/// What was found at a client that waits.
enum Look {
    Open,
    Begun,
    Closed,
}

impl Hub {
    /// Nobody is there yet.
    #[must_use]
    pub fn new(config: Config) -> Arc<Self> {
        Arc::new(Self { config, table: Mutex::default(), figures: Figures::default() })
    }

    /// Settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Lets bytes be carried for an account.
    ///
    /// # Errors
    /// Not both clients are there, or the account has too many bytestreams.
    pub fn begin(&self, address: Address, account: &BareJid) -> Result<(), Refusal> {
        let mut table = self.table();
        let count = table.of_account.get(account).copied().unwrap_or_default();
        let Some(stream) = table.streams.get_mut(&address) else { return Err(Refusal::Unknown) };
        let refused = |reason, refusal| {
            self.figures.refused.of(reason).add_one();
            Err(refusal)
        };
        // A bytestream that has begun is nobody's to begin.
        if stream.account.is_some() {
            return Err(Refusal::Unknown);
        }
        if stream.to_first.is_some() {
            return refused("alone", Refusal::Alone);
        }
        if count >= self.config.streams_per_account {
            return refused("account", Refusal::TooMany);
        }
        stream.account = Some(account.clone());
        stream.begun.send_replace(true);
        table.of_account.insert(account.clone(), count + 1);
        self.figures.begun.add_one();
        Ok(())
    }

    /// A place for a connection from there; none where there are too many.
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Pass> {
        let (from, mut table) = (Subscriber::from(ip), self.table());
        if table.connections >= self.config.connections {
            self.figures.refused.of("full").add_one();
            return None;
        }
        let waiting = table.waiting.entry(from).or_default();
        if *waiting >= self.config.waiting_per_address {
            self.figures.refused.of("address").add_one();
            return None;
        }
        *waiting += 1;
        table.connections += 1;
        self.figures.connections.add_one();
        Some(Pass { hub: Arc::clone(self), from, waits: true })
    }

    /// A client comes for a bytestream; none where both have come (§10.1).
    pub(crate) fn sit(self: &Arc<Self>, address: Address) -> Option<Seat> {
        let mut table = self.table();
        if let Some(stream) = table.streams.get_mut(&address) {
            let Some(to_first) = stream.to_first.take() else {
                self.figures.refused.of("third").add_one();
                return None;
            };
            let (number, begun) = (stream.number, stream.begun.subscribe());
            let side = Side::Second(Some(to_first));
            return Some(Seat { hub: Arc::clone(self), address, number, begun, side });
        }
        let number = table.next;
        table.next += 1;
        let ((begin, begun), (to_first, first)) = (watch::channel(false), oneshot::channel());
        let stream = Stream { number, begun: begin, to_first: Some(to_first), account: None };
        table.streams.insert(address, stream);
        let side = Side::First(first);
        Some(Seat { hub: Arc::clone(self), address, number, begun, side })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing that is done while it is held can leave it half done.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Throws away what a client sends before its bytestream begins. Nothing can begin meanwhile.
    fn throw_away(&self, address: &Address, tcp: &TcpStream) -> Look {
        let table = self.table();
        if table.streams.get(address).is_some_and(|stream| stream.account.is_some()) {
            return Look::Begun;
        }
        match tcp.try_read(&mut [0; 4_096]) {
            Ok(0) => Look::Closed,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Look::Closed,
            _ => Look::Open,
        }
    }

    fn leave(&self, address: &Address, number: u64) {
        let mut table = self.table();
        if table.streams.get(address).is_none_or(|stream| stream.number != number) {
            return;
        }
        let account = table.streams.remove(address).and_then(|stream| stream.account);
        if let Some(account) = account {
            let count = table.of_account.remove(&account).unwrap_or_default();
            if count > 1 {
                table.of_account.insert(account, count - 1);
            }
        }
    }
}

impl Seat {
    /// Waits until the bytestream begins; false where it does not, since one of both has gone.
    pub(crate) async fn wait(&mut self, tcp: &TcpStream) -> bool {
        loop {
            tokio::select! {
                begun = self.begun.wait_for(|begun| *begun) => return begun.is_ok(),
                readable = tcp.readable() => {
                    if readable.is_err() {
                        return false;
                    }
                    match self.hub.throw_away(&self.address, tcp) {
                        Look::Open => {}
                        Look::Begun => return true,
                        Look::Closed => return false,
                    }
                }
            }
        }
    }

    /// Brings both together: the first gets the other one's connection, the second gets nothing and is done.
    pub(crate) async fn meet(&mut self, tcp: TcpStream) -> Option<(TcpStream, TcpStream)> {
        match &mut self.side {
            Side::First(other) => Some((tcp, other.await.ok()?)),
            Side::Second(first) => {
                // A first one that has gone has ended the bytestream.
                drop(first.take()?.send(tcp));
                None
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // The bytestream is the first one's, once the second has given itself away.
        if !matches!(self.side, Side::Second(None)) {
            self.hub.leave(&self.address, self.number);
        }
    }
}

impl Pass {
    /// From now on bytes are carried.
    pub(crate) fn carries(&mut self) {
        if std::mem::take(&mut self.waits) {
            forget(&mut self.hub.table(), self.from);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut table = self.hub.table();
        table.connections = table.connections.saturating_sub(1);
        if self.waits {
            forget(&mut table, self.from);
        }
        self.hub.figures.connections.take_one();
    }
}

/// One fewer waits from there.
fn forget(table: &mut Table, from: Subscriber) {
    if let Some(waiting) = table.waiting.get_mut(&from) {
        *waiting = waiting.saturating_sub(1);
        if *waiting == 0 {
            table.waiting.remove(&from);
        }
    }
}
