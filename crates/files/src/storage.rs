//! Owns the trait of places where files are kept.

use std::io;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;

use crate::FileId;

/// What a place answers, later.
pub type Reply<T> = BoxFuture<'static, Result<T, Error>>;

/// The bytes of a file on their way in. The way ends early where the client gives up.
pub type Incoming = mpsc::Receiver<Bytes>;

/// The bytes of a file on their way out.
pub type Outgoing = BoxStream<'static, io::Result<Bytes>>;

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its bytes.
    pub size: u64,
    /// What it is said to be.
    pub content_type: String,
}

/// A place where files are kept. All members of a cluster have the same one. Files never change.
pub trait Storage: Send + Sync + 'static {
    /// Keeps a file, once all its bytes have come; until then, and where they do not, nothing is to be seen of it.
    fn put(&self, id: FileId, meta: Meta, bytes: Incoming) -> Reply<()>;

    /// What is known of a file; none: there is none.
    fn meta(&self, id: FileId) -> Reply<Option<Meta>>;

    /// So many bytes of a file that is there, from a place in it on.
    fn read(&self, id: FileId, first: u64, count: u64) -> Reply<Outgoing>;

    /// Removes a file, if there is one.
    fn remove(&self, id: FileId) -> Reply<()>;

    /// Removes what has ended by this time, in seconds since 1970-01-01 UTC, and what never became a file; how many files
    /// it were. Other members may do the same at the same time.
    fn sweep(&self, now: u64) -> Reply<usize>;
}

/// Why a place did not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is such a file already.
    #[error("the file is there already")]
    Taken,
    /// The bytes ended early.
    #[error("the bytes ended early")]
    Short,
    /// No room.
    #[error("no room for the file")]
    Full,
    /// The place failed; what it says is for operators.
    #[error("the storage failed while it {doing}: {cause}")]
    Failed {
        /// What was tried.
        doing: &'static str,
        /// What was said.
        cause: String,
    },
}

impl Error {
    /// Of an operation on files.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| match error.kind() {
            io::ErrorKind::AlreadyExists => Self::Taken,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Failed { doing, cause: error.to_string() },
        }
    }
}
