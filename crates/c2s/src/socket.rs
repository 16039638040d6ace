//! Owns what a connection's stream comes and goes by: a socket of TCP, or the requests of BOSH. Knows nothing of
//! what is said.
//!
//! | module | owns |
//! |---|---|
//! | [`tcp`] | TCP, with TLS on top where there is TLS |
//! | [`bosh`] | requests of HTTP, and their responses |

pub(crate) mod bosh;
mod tcp;

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::task::{Context, Poll};

use stream::{Effect, Event};
use tokio::time::Instant;

use crate::outbox::Outbox;
use crate::tls::TlsConnection;

pub(crate) use bosh::Bosh;
pub(crate) use tcp::Tcp;

/// Bytes of one read. Whoever sends as much lets others have their turn: a whole round of them must stay short.
pub(crate) const READ_BYTES: usize = 8 << 10;

/// Entries that the lists of a thread keep room for.
const LISTED: usize = 256;

/// What a stream comes and goes by, on the thread that it is registered with.
pub(crate) enum Socket {
    Tcp(Tcp),
    Bosh(Box<Bosh>),
}

/// A socket on its way to another thread.
pub(crate) enum DetachedSocket {
    Tcp(tcp::DetachedTcp),
    Bosh(Box<Bosh>),
}

/// What a read led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// There may be bytes; with TLS there may be none.
    Some,
    /// The peer will send no more.
    End,
}

/// How far a write came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// All is out.
    All,
    /// The socket takes no more for now.
    Short,
}

/// Room to read into. A thread has one, as reads do not overlap.
#[derive(Default)]
pub(crate) struct Scratch {
    raw: Vec<u8>,
    came: Range<usize>,
    plain: Vec<u8>,
    events: Vec<Event>,
    effects: Vec<Effect>,
}

thread_local! {
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

impl Scratch {
    /// The thread's.
    pub(crate) fn take() -> Self {
        let mut scratch = SCRATCH.take().unwrap_or_default();
        scratch.raw.resize(READ_BYTES, 0);
        scratch
    }

    /// For the next one.
    pub(crate) fn give_back(mut self) {
        self.came = 0..0;
        self.plain.clear();
        self.plain.shrink_to(2 * READ_BYTES);
        SCRATCH.set(Some(self));
    }

    /// What came from the socket.
    pub(crate) fn raw(&self) -> &[u8] {
        self.raw.get(self.came.clone()).unwrap_or_default()
    }

    /// Puts something else in the place of what came from the socket.
    pub(crate) fn set_raw(&mut self, bytes: &[u8]) {
        self.raw.clear();
        self.raw.extend_from_slice(bytes);
        self.came = 0..bytes.len();
    }

    /// Empty lists for what comes of a read, so that their memory is used again.
    pub(crate) fn take_lists(&mut self) -> (Vec<Event>, Vec<Effect>) {
        (std::mem::take(&mut self.events), std::mem::take(&mut self.effects))
    }

    /// For the next one. What is left in them is void.
    pub(crate) fn give_lists_back(&mut self, mut events: Vec<Event>, mut effects: Vec<Effect>) {
        events.clear();
        events.shrink_to(LISTED);
        effects.clear();
        effects.shrink_to(LISTED);
        (self.events, self.effects) = (events, effects);
    }

    /// What the stream says.
    pub(crate) fn plain(&self) -> &[u8] {
        &self.plain
    }
}

impl Socket {
    /// The TLS of the connection, where it is done here.
    pub(crate) fn tls(&mut self) -> Option<&mut TlsConnection> {
        match self {
            Self::Tcp(tcp) => tcp.tls(),
            Self::Bosh(_) => None,
        }
    }

    /// Writes `out` as far as it goes. What is the last goes with the end, where both go in one.
    pub(crate) fn write_or_keep(&mut self, out: &mut Outbox, is_last: bool) -> io::Result<Written> {
        match self {
            Self::Tcp(tcp) => tcp.write(out),
            Self::Bosh(_) if is_last => Ok(Written::All),
            Self::Bosh(bosh) => Ok(bosh.write(out)),
        }
    }

    /// Whether there is something below the out-buffer that has not been taken.
    pub(crate) fn has_unsent(&self) -> bool {
        matches!(self, Self::Tcp(tcp) if tcp.has_unsent())
    }

    /// Waits until the socket takes more.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_writable(cx),
            // Whatever comes wakes the task.
            Self::Bosh(bosh) if bosh.can_write() => Poll::Ready(Ok(())),
            Self::Bosh(_) => Poll::Pending,
        }
    }

    /// Says that nothing more will be sent than what is left in `out`: nothing is, but for BOSH, where
    /// `condition` says why.
    pub(crate) fn end(&mut self, out: &mut Outbox, condition: Option<&str>) {
        match self {
            Self::Tcp(tcp) => tcp.end(),
            Self::Bosh(bosh) => bosh.end(out, condition),
        }
    }

    /// When something is due though nothing came.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Tcp(_) => None,
            Self::Bosh(bosh) => bosh.deadline(),
        }
    }

    /// Takes the socket off this thread.
    pub(crate) fn detach(self) -> io::Result<DetachedSocket> {
        Ok(match self {
            Self::Tcp(tcp) => DetachedSocket::Tcp(tcp.detach()?),
            Self::Bosh(bosh) => DetachedSocket::Bosh(bosh),
        })
    }
}

impl DetachedSocket {
    /// Puts the socket on this thread.
    pub(crate) fn attach(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(tcp) => Socket::Tcp(tcp.attach()?),
            Self::Bosh(bosh) => Socket::Bosh(bosh),
        })
    }
}
