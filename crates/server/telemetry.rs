//! Owns logs: text or JSON lines on stderr, filtered as configured. Never bodies, never secrets: what is
//! logged are the fixed fields member, shard, epoch, route, jid, session, stanza, id, xep, peer, error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Subscriber;

use crate::config::{LogFormat, Telemetry};

/// Starts logging for the whole process.
///
/// # Errors
/// The filter makes no sense.
pub fn start(config: &Telemetry) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|error| anyhow::anyhow!("telemetry.log {:?}: {error}", config.log))?;
    let builder = Subscriber::builder().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Json => tracing::subscriber::set_global_default(builder.json().finish()),
        // Escapes in a field's text are printed escaped, so that no client can draw on a terminal.
        LogFormat::Text => {
            tracing::subscriber::set_global_default(builder.with_ansi(false).finish())
        }
    };
    // In one process with several servers, as in tests, the first one's settings hold.
    drop(started);
    Ok(())
}
