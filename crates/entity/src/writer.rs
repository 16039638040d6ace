//! Owns the writes of one arbiter's turn: all that its entities keep goes to the store in one call.

use std::cell::RefCell;
use std::rc::Rc;

use proto::Receipt;
use router::trace::Span;
use store::{Batch, SharedStore};

/// What follows a write, with the receipt that went along.
pub(crate) type Done = Box<dyn FnOnce(Result<(), store::Error>, Option<Receipt>)>;

/// Collects until the end of the turn. Bounded by the store, which refuses what is too much.
pub(crate) struct Writer {
    store: SharedStore,
    commits: RefCell<Vec<Commit>>,
}

/// A batch, and what belongs to its answer.
pub(crate) struct Commit {
    pub(crate) batch: Batch,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) done: Option<Done>,
    /// Ends with the answer.
    pub(crate) span: Option<Span>,
}

impl Writer {
    pub(crate) fn new(store: SharedStore) -> Rc<Self> {
        Rc::new(Self { store, commits: RefCell::default() })
    }

    pub(crate) fn store(&self) -> &SharedStore {
        &self.store
    }

    /// Keeps a batch with the turn's others.
    pub(crate) fn push(&self, commit: Commit) {
        self.commits.borrow_mut().push(commit);
        router::local::mark_unsaved();
    }

    /// Hands the turn's batches to the store. The answers come in a task of their own, in order.
    pub(crate) fn flush(&self) {
        let commits = std::mem::take(&mut *self.commits.borrow_mut());
        if commits.is_empty() {
            return;
        }
        let (batches, rest): (Vec<_>, Vec<_>) =
            commits.into_iter().map(|c| (c.batch, (c.receipt, c.done, c.span))).unzip();
        let reply = self.store.commit(batches);
        actix_rt::spawn(async move {
            for (result, (receipt, done, span)) in reply.await.into_iter().zip(rest) {
                if let (Some(span), Err(error)) = (&span, &result) {
                    span.note("error", error);
                }
                drop(span);
                settle(result, receipt, done);
            }
        });
    }
}

/// Without a `done`, a refused write is a fault of the stanza that caused it: its receipt is dropped, its
/// stream ends, and the client sends it again.
fn settle(result: Result<(), store::Error>, receipt: Option<Receipt>, done: Option<Done>) {
    match (done, result) {
        (Some(done), result) => done(result, receipt),
        (None, Ok(())) => {
            if let Some(receipt) = receipt {
                receipt.release();
            }
        }
        (None, Err(error)) => {
            tracing::warn!(error = %error, "a write was refused");
            drop(receipt);
        }
    }
}
