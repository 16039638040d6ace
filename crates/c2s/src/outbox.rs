//! Owns the out-buffer of a connection: bytes that the socket has not taken yet. Its memory comes from a
//! pool of the thread and goes back when all is sent, so that an idle connection holds none.

use std::cell::RefCell;

use stream::{Framing, websocket};

/// Above this many bytes unsent, the session is told to give no more for now.
pub(crate) const HIGH: usize = 256 << 10;
/// Below this many, it is told to go on.
pub(crate) const LOW: usize = 64 << 10;
/// Above this many, the connection is given up: whoever fills it does not heed the word. A session that is
/// resumed sends all it has kept at once, so that a queue of 1 MiB and its tags must fit.
pub(crate) const MOST: usize = 2 << 20;

/// A new buffer holds some stanzas before it grows.
const LEAST: usize = 2 << 10;
/// Larger buffers are given back to the allocator.
const POOLED_BYTES: usize = 64 << 10;
/// Buffers that a thread keeps: as many as connections are dirty in one turn where a large room speaks.
const POOLED: usize = 1024;
/// What they may hold together.
const POOL_BYTES: usize = 4 << 20;

/// Buffers to be used again.
#[derive(Default)]
struct Pool {
    buffers: Vec<Vec<u8>>,
    /// What they hold.
    bytes: usize,
}

impl Pool {
    fn take(&mut self) -> Option<Vec<u8>> {
        let buffer = self.buffers.pop()?;
        self.bytes -= buffer.capacity();
        Some(buffer)
    }

    fn put(&mut self, buffer: Vec<u8>) {
        if self.buffers.len() < POOLED && self.bytes + buffer.capacity() <= POOL_BYTES {
            self.bytes += buffer.capacity();
            self.buffers.push(buffer);
        }
    }
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// Bytes on their way to a socket.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    framing: Framing,
    bytes: Vec<u8>,
    sent: usize,
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Outbox {
    /// For the elements of a stream.
    pub(crate) fn framed(framing: Framing) -> Self {
        Self { framing, bytes: Vec::new(), sent: 0 }
    }

    /// How elements are laid down here.
    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// Appends one element, as its stream's framing wants it.
    pub(crate) fn element(&mut self, write: impl FnOnce(Framing, &mut Vec<u8>)) {
        let framing = self.framing;
        let out = self.end();
        let start = out.len();
        write(framing, out);
        if framing == Framing::WebSocket && out.len() > start {
            websocket::seal(out, start);
        }
    }

    /// Where to append what is to be sent.
    pub(crate) fn end(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            let pooled = POOL.with_borrow_mut(Pool::take);
            self.bytes = pooled.unwrap_or_else(|| Vec::with_capacity(LEAST));
        }
        &mut self.bytes
    }

    /// What is not sent yet.
    pub(crate) fn unsent(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// Bytes not sent yet.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether all is sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The socket took this many.
    pub(crate) fn advance(&mut self, sent: usize) {
        self.sent = (self.sent + sent).min(self.bytes.len());
        if self.is_empty() {
            self.give_back();
        } else if self.sent >= LOW {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    fn give_back(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        self.sent = 0;
        bytes.clear();
        if !(1..=POOLED_BYTES).contains(&bytes.capacity()) {
            return;
        }
        // When the thread ends, the pool may have gone before what is left of its connections.
        let _pooled = POOL.try_with(|pool| {
            if let Ok(mut pool) = pool.try_borrow_mut() {
                pool.put(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_order_however_the_socket_takes_them() {
        let mut outbox = Outbox::default();
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        outbox.end().extend_from_slice(&bytes);
        let mut taken = Vec::new();
        for step in [1, 70_000, 3, 100_000].into_iter().cycle() {
            let Some(chunk) = outbox.unsent().get(..step.min(outbox.len())) else { break };
            if chunk.is_empty() {
                break;
            }
            taken.extend_from_slice(chunk);
            outbox.advance(step);
        }
        assert_eq!(taken, bytes);
    }

    #[test]
    fn an_outbox_may_outlive_the_pool_of_its_thread() {
        thread_local! {
            static EARLIER: RefCell<Outbox> = RefCell::default();
            static LATER: RefCell<Outbox> = RefCell::default();
        }
        let ended = std::thread::spawn(|| {
            EARLIER.with_borrow_mut(|outbox| outbox.sent = 0);
            let mut outbox = Outbox::default();
            outbox.end().push(b' ');
            drop(outbox);
            LATER.with_borrow_mut(|outbox| outbox.end().push(b' '));
            EARLIER.with_borrow_mut(|outbox| outbox.end().push(b' '));
        });
        assert!(ended.join().is_ok());
    }

    #[test]
    fn an_outbox_without_bytes_holds_no_memory() {
        let mut outbox = Outbox::default();
        outbox.end().extend_from_slice(b"<presence/>");
        outbox.advance(11);
        assert_eq!((outbox.bytes.capacity(), outbox.len()), (0, 0));
        let pooled = outbox.end().capacity();
        assert!(pooled >= 11, "the next one takes the memory over");
    }
}
