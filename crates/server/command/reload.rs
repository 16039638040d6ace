//! Owns what SIGHUP does: certificates, and of the configuration how much is logged and traced, hold as they are now;
//! what else has changed is named, since it takes a restart.

use crate::config::{Config, ConfigError, changes::changes};
use crate::telemetry;
use crate::wiring::Server;

/// What takes effect without a restart.
const AT_ONCE: [&str; 2] = ["telemetry.log", "telemetry.sample_ratio"];

/// Where the configuration comes from, to be read again.
pub(super) type Source<'a> = &'a dyn Fn() -> Result<Config, ConfigError>;

/// Reads again what can be read again. `config` is what holds.
pub(super) fn reload(
    (server, telemetry): (&Server, &telemetry::Running),
    config: &mut Config,
    source: Source<'_>,
) {
    match server.reload() {
        Ok(()) => tracing::info!("certificates were read again"),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "no certificate was read again")
        }
    }
    let taken = source().map_err(anyhow::Error::from).and_then(|new| {
        telemetry.change(&new.telemetry)?;
        Ok(new)
    });
    match taken {
        Ok(new) => {
            let changed = changes(config, &new);
            let (at_once, later): (Vec<_>, Vec<_>) =
                changed.into_iter().partition(|name| AT_ONCE.contains(&&name[..]));
            if !at_once.is_empty() {
                tracing::info!("changed: {}", at_once.join(", "));
            }
            if !later.is_empty() {
                tracing::warn!("changed, but takes a restart: {}", later.join(", "));
            }
            config.telemetry = new.telemetry;
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the configuration stays as it was");
        }
    }
}
