//! Owns bytes on their way from one client to the other, at a measured rate, until both have said all or nothing comes
//! any more.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep, sleep_until};

use crate::hub::Hub;

/// Read at once.
const CHUNK: usize = 64 << 10;
/// Carried at once above the rate.
const BURST: Duration = Duration::from_millis(250);

/// A rate that several share: when all that was carried will have been paid for.
#[derive(Clone)]
pub(crate) struct Pace {
    paid_at: Rc<Cell<Instant>>,
    bytes_per_second: u32,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: u32) -> Self {
        Self { paid_at: Rc::new(Cell::new(Instant::now())), bytes_per_second }
    }

    /// Counts so many bytes; when the next may be carried.
    fn count(&self, bytes: usize) -> Instant {
        let bytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        let cost = Duration::from_secs_f64(bytes / f64::from(self.bytes_per_second.max(1)));
        let paid_at = self.paid_at.get().max(Instant::now()) + cost;
        self.paid_at.set(paid_at);
        paid_at.checked_sub(BURST).unwrap_or(paid_at)
    }
}

/// Carries bytes both ways.
pub(crate) async fn carry((one, other): (TcpStream, TcpStream), hub: &Hub, all: &Pace) {
    let last = Cell::new(Instant::now());
    let ((from_one, to_one), (from_other, to_other)) = (one.into_split(), other.into_split());
    let way = Way { hub, all, last: &last };
    let both = async {
        tokio::try_join!(way.run(from_one, to_other), way.run(from_other, to_one)).map(|_| ())
    };
    let idle = Duration::from_secs(hub.config().idle_seconds.max(1));
    let silence = async {
        while last.get().elapsed() < idle {
            sleep_until(last.get() + idle).await;
        }
    };
    tokio::select! {
        done = both => {
            if let Err(error) = done {
                tracing::debug!(%error, "a bytestream broke");
            }
        }
        () = silence => hub.figures.refused.of("late").add_one(),
    }
}

struct Way<'a> {
    hub: &'a Hub,
    all: &'a Pace,
    last: &'a Cell<Instant>,
}

impl Way<'_> {
    /// In one direction, until the end of it, which is passed on.
    async fn run(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let own = Pace::new(self.hub.config().bytes_per_second);
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = from.read(&mut chunk).await?;
            self.last.set(Instant::now());
            let Some(came) = chunk.get(..count).filter(|came| !came.is_empty()) else {
                return to.shutdown().await;
            };
            to.write_all(came).await?;
            self.last.set(Instant::now());
            self.hub.figures.bytes.add(count as u64);
            let next = own.count(count).max(self.all.count(count));
            if next > Instant::now() {
                // Never so long that it looks like silence.
                tokio::select! {
                    () = sleep_until(next) => {}
                    () = sleep(Duration::from_secs(30)) => {}
                }
                self.last.set(Instant::now());
            }
        }
    }
}
