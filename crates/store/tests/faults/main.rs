//! Faults that only a whole process or a whole disk can have.

#![expect(clippy::disallowed_methods, reason = "a test that waits has a limit by the clock")]

mod crash;
mod full_disk;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use xmpp::{BareJid, Bucket, Epoch, Fence};

/// Waits for a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// Whose rows they are.
fn owner() -> BareJid {
    BareJid::parse("juliet@capulet.example").expect("is an address")
}

/// By what right they are written.
fn fence() -> Fence {
    Fence { bucket: Bucket::new(7).expect("is a bucket"), epoch: Epoch(1) }
}
