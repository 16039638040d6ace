//! Owns the control threads: each has a name and a runtime of its own.

use std::future::Future;
use std::io;
use std::thread::{Builder, JoinHandle};

/// Runs a future to its end on a thread of its own.
///
/// # Errors
///
/// The system gives no thread, or no runtime.
pub(crate) fn spawn(
    name: &str,
    future: impl Future<Output = ()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    Builder::new().name(format!("rookery-{name}")).spawn(move || runtime.block_on(future))
}
