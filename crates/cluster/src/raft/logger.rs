//! Owns the way of what raft itself has to say into our tracing.

use slog::{Drain, Level, Logger, Never, OwnedKVList, Record};

/// A logger for raft. Its news are of interest to whoever looks into elections only.
pub(super) fn logger() -> Logger {
    Logger::root(ToTracing, slog::o!())
}

struct ToTracing;

impl Drain for ToTracing {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
        match record.level() {
            Level::Critical | Level::Error => tracing::error!("raft: {}", record.msg()),
            Level::Warning => tracing::warn!("raft: {}", record.msg()),
            Level::Info => tracing::debug!("raft: {}", record.msg()),
            Level::Debug | Level::Trace => tracing::trace!("raft: {}", record.msg()),
        }
        Ok(())
    }
}
