//! Owns the list of a thread's connections, so that a gate can end all of its own.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use xmpp::StreamError;

use super::line::Line;

thread_local! {
    static LINES: RefCell<HashMap<u64, Rc<Line>>> = RefCell::default();
    static NEXT: Cell<u64> = const { Cell::new(1) };
}

/// A connection is on this thread now.
pub(super) fn add(line: &Rc<Line>) {
    let number = NEXT.replace(NEXT.get() + 1);
    line.set_number(number);
    LINES.with_borrow_mut(|lines| lines.insert(number, Rc::clone(line)));
}

/// And now no longer.
pub(super) fn remove(number: u64) {
    // Dropped outside: the connection's end may look at the list again.
    let _line = LINES.with_borrow_mut(|lines| lines.remove(&number));
}

/// Ends the streams of a gate's connections with an error.
pub(crate) fn end_all(gate: u64, error: &StreamError) {
    for line in of(gate) {
        line.end(error.clone());
    }
}

/// Ends the streams of a gate's connections, since the member is cut off from the others.
pub(crate) fn isolate_all(gate: u64) {
    for line in of(gate) {
        line.isolate();
    }
}

/// Ends so many of a gate's streams that are not ending yet.
pub(crate) fn end_some(gate: u64, most: usize, error: &StreamError) {
    for line in of(gate).into_iter().filter(|line| !line.is_ending()).take(most) {
        line.end(error.clone());
    }
}

/// Drops a gate's connections as if their sockets had broken.
pub(crate) fn drop_all(gate: u64) {
    for line in of(gate) {
        line.break_off();
    }
}

/// Some connection of this thread.
#[cfg(test)]
pub(super) fn any() -> Option<Rc<Line>> {
    LINES.with_borrow(|lines| lines.values().next().cloned())
}

fn of(gate: u64) -> Vec<Rc<Line>> {
    LINES.with_borrow(|lines| lines.values().filter(|line| line.gate() == gate).cloned().collect())
}
