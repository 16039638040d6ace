//! Keeping: few verbs over typed keys. What an engine does with them is its own business; words of one
//! engine never leave its file. Every call carries a [`Fence`], every engine passes the tests of `contract`.
//!
//! | module | owns |
//! |---|---|
//! | [`key`] | whose rows there are, and of what kind |
//! | [`batch`] | writes that are kept together or not at all |
//! | [`archive`] | archive rows and queries over them (XEP-0313) |
//! | [`measured`] | what is measured of any engine |
//! | [`memory`] | the engine that forgets, for tests |
//! | [`embedded`] | the engine on a directory: group commit with fsync |
//! | [`redis`] | the engine on a Redis server or cluster: group commit with WAIT |
//! | [`walk`] | where a walk over owners stands |
//! | [`migrate`] | from one engine to another |
//! | `contract` | what every engine must do (feature `contract`) |

pub mod archive;
pub mod batch;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod embedded;
pub mod key;
pub mod measured;
pub mod memory;
pub mod migrate;
pub mod redis;
mod value;
pub mod walk;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use xmpp::BareJid;

pub use self::redis::Redis;
pub use archive::{ArchiveId, ArchivePage, ArchiveQuery, ArchiveRow, Slice};
pub use batch::{Batch, Write};
pub use embedded::{Embedded, free_bytes};
pub use key::{Key, Kind, Row};
pub use measured::Measured;
pub use memory::Memory;
pub use value::{split_origin, write_origin};
pub use walk::{Cursor, Walked};
pub use xmpp::{Bucket, Epoch, Fence};

/// What a call answers, later. Engines do their work on threads of their own; dropping the future does
/// not undo the call.
pub type Reply<T> = BoxFuture<'static, Result<T, Error>>;

/// A place where rows are kept. A read sees what was answered before it was asked for; between calls that
/// were not waited for, only [`Store::commit`] and [`Store::claim`] promise an order.
pub trait Store: Send + Sync + 'static {
    /// Makes `fence.epoch` the least epoch that the bucket accepts from now on. An owner claims each
    /// bucket of a shard before its first write.
    fn claim(&self, fence: Fence) -> Reply<()>;

    /// All rows of `owner` of these kinds, in key order. Kinds are bounded per owner by whoever writes them.
    fn load(&self, fence: Fence, owner: BareJid, kinds: &'static [Kind]) -> Reply<Vec<Row>>;

    /// One row.
    fn get(&self, fence: Fence, key: Key) -> Reply<Option<Bytes>>;

    /// Rows of `owner` and `kind` behind `after`, at most `limit`, in key order.
    fn scan(
        &self,
        fence: Fence,
        owner: BareJid,
        kind: Kind,
        after: Option<Bytes>,
        limit: usize,
    ) -> Reply<Vec<Row>>;

    /// Keeps each batch whole or not at all, in the order given and in the order of calls; answers when
    /// they are as durable as the engine promises. One answer per batch.
    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'static, Vec<Result<(), Error>>>;

    /// A page of an archive (XEP-0313 §4).
    fn query(&self, fence: Fence, owner: BareJid, query: ArchiveQuery) -> Reply<ArchivePage>;

    /// Owners that have a row of `kind`, behind `after`, at most `limit`, in order; over all buckets, for
    /// administration. Not for the way of a stanza.
    fn owners(&self, kind: Kind, after: Option<BareJid>, limit: usize) -> Reply<Vec<BareJid>>;

    /// The next owners that have a row of `kind`, over all buckets, at most `limit`, of which 0 counts as 1: for whoever
    /// goes over all of them and needs no order, for which some engines pay dearly. Whoever has one all the while comes once.
    fn walk(&self, kind: Kind, from: Cursor, limit: usize) -> Reply<Walked> {
        let limit = limit.max(1);
        let owners = self.owners(kind, from.after, limit);
        Box::pin(async move { Ok(Walked::of(0, owners.await?, limit)) })
    }

    /// Removes every row and archive row of `owner`.
    fn erase(&self, fence: Fence, owner: BareJid) -> Reply<()>;

    /// Removes archive rows older than this, of all owners, at most `limit`; answers how many.
    fn expire(&self, before_unix_micros: u64, limit: usize) -> Reply<usize>;

    /// Whether it takes what is to be kept, as far as is known: false while the disk is as good as full, or the engine
    /// has failed.
    fn can_keep(&self) -> bool {
        true
    }

    /// Why nothing at all is served from it, as far as is known, in words for operators.
    fn fault(&self) -> Option<&'static str> {
        None
    }

    /// Bytes waiting to become durable; the bound is [`MAX_WAITING_BYTES`].
    fn waiting_bytes(&self) -> usize;

    /// Finishes what was accepted, then lets go of files and threads.
    fn close(&self) -> Reply<()>;
}

/// Several rows, in order.
pub fn get_all(store: &dyn Store, fence: Fence, keys: Vec<Key>) -> Reply<Vec<Option<Bytes>>> {
    let replies: Vec<_> = keys.into_iter().map(|key| store.get(fence, key)).collect();
    Box::pin(async move {
        let mut rows = Vec::with_capacity(replies.len());
        for reply in replies {
            rows.push(reply.await?);
        }
        Ok(rows)
    })
}

/// A store, shared by all threads.
pub type SharedStore = Arc<dyn Store>;

/// More than this waiting to become durable, and [`Store::commit`] refuses with [`Error::Full`].
pub const MAX_WAITING_BYTES: usize = 64 << 20;

/// Why a call was not done. Nothing of a refused batch is kept.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's epoch is no longer the bucket's.
    #[error("epoch {} of bucket {} was superseded by {current}", .fence.epoch.0, .fence.bucket.number())]
    Fenced {
        /// What the caller said.
        fence: Fence,
        /// What the bucket accepts.
        current: u64,
    },
    /// No room: on the disk, or in the queue before it.
    #[error("no room to keep more: {0}")]
    Full(&'static str),
    /// An item longer than [`Key::ITEM_BYTES_MAX`], in bytes.
    #[error("a row's item of {0} bytes is too long")]
    TooLong(usize),
    /// The engine failed; what it says is for operators.
    #[error("the store failed while it {doing}: {cause}")]
    Engine {
        /// What was tried.
        doing: &'static str,
        /// What the engine said.
        cause: Arc<str>,
    },
    /// Another process has the directory.
    #[error("{0} is used by another process")]
    InUse(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}
