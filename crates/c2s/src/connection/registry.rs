//! Owns the list of a thread's connections, so that a gate can end all of its own.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use xmpp::StreamError;

use super::handle::Handle;

thread_local! {
    static CONNECTIONS: RefCell<HashMap<u64, Rc<Handle>>> = RefCell::default();
    static NEXT: Cell<u64> = const { Cell::new(1) };
}

/// A connection is on this thread now.
pub(super) fn add(handle: &Rc<Handle>) {
    let number = NEXT.replace(NEXT.get() + 1);
    handle.set_number(number);
    CONNECTIONS.with_borrow_mut(|connections| connections.insert(number, Rc::clone(handle)));
}

/// And now no longer.
pub(super) fn remove(number: u64) {
    // Dropped outside: the connection's end may look at the list again.
    let _handle = CONNECTIONS.with_borrow_mut(|connections| connections.remove(&number));
}

/// Ends the streams of a gate's connections with an error.
pub(crate) fn end_all(gate: u64, error: &StreamError) {
    for handle in of(gate) {
        handle.end(error.clone());
    }
}

/// Ends the streams of a gate's connections, since the member is cut off from the others.
pub(crate) fn isolate_all(gate: u64) {
    for handle in of(gate) {
        handle.isolate();
    }
}

/// Ends so many of a gate's streams that are not ending yet.
pub(crate) fn end_some(gate: u64, most: usize, error: &StreamError) {
    for handle in of(gate).into_iter().filter(|handle| !handle.is_ending()).take(most) {
        handle.end(error.clone());
    }
}

/// Drops a gate's connections as if their sockets had broken.
pub(crate) fn drop_all(gate: u64) {
    for handle in of(gate) {
        handle.break_off();
    }
}

/// Some connection of this thread.
#[cfg(test)]
pub(super) fn any() -> Option<Rc<Handle>> {
    CONNECTIONS.with_borrow(|connections| connections.values().next().cloned())
}

fn of(gate: u64) -> Vec<Rc<Handle>> {
    CONNECTIONS.with_borrow(|connections| {
        connections.values().filter(|handle| handle.gate() == gate).cloned().collect()
    })
}
