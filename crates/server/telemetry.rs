//! Owns logs and traces: text or JSON lines on stderr, filtered as configured, and spans of sampled stanzas for
//! a collector. Never bodies, never secrets: what is logged are the fixed fields member, shard, epoch, route,
//! jid, session, stanza, id, xep, peer, error.

pub mod export;
pub mod panics;

use std::io::stderr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use router::trace;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{LogFormat, Telemetry};

/// What is exported at the end may take so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of spans, in the whole process: there is one subscriber for all.
pub(crate) static SPANS: LazyLock<Arc<export::Figures>> = LazyLock::new(Arc::default);

/// Telemetry under way; dropped at the very end, it exports what is left.
pub struct Running {
    filter: reload::Handle<EnvFilter, Registry>,
    traces: Option<SdkTracerProvider>,
}

/// Starts logging, and tracing where a collector is configured, for the whole process, which is told by the name of its
/// member. In one process with several servers, as in tests, the first one's settings hold.
///
/// # Errors
/// The filter makes no sense, or the collector's address.
pub fn start(config: &Telemetry, member: Option<&str>) -> anyhow::Result<Running> {
    let (filter, handle) = reload::Layer::new(filter(config)?);
    // Stations are for the collector. The hints keep what no level lets through as cheap as it can be.
    let no_station = filter_fn(|it| !is_station(it)).with_max_level_hint(LevelFilter::TRACE);
    let logs = lines(config.log_format).with_filter(filter.and(no_station));
    let registry = tracing_subscriber::registry().with(logs);
    panics::report();
    if config.otlp.is_empty() {
        // Somebody else was first: see above.
        drop(tracing::subscriber::set_global_default(registry));
        return Ok(Running { filter: handle, traces: None });
    }
    let traces = export::start(&config.otlp, member, &SPANS)?;
    let stations = tracing_opentelemetry::layer()
        .with_tracer(traces.tracer("rookery"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(is_station).with_max_level_hint(LevelFilter::INFO));
    drop(tracing::subscriber::set_global_default(registry.with(stations)));
    trace::set_sample_ratio(config.sample_ratio);
    Ok(Running { filter: handle, traces: Some(traces) })
}

fn filter(config: &Telemetry) -> anyhow::Result<EnvFilter> {
    // What the library for HTTP says of its workers helps nobody, unless it is asked for.
    EnvFilter::try_new(format!("actix_server=warn,{}", config.log))
        .map_err(|error| anyhow::anyhow!("telemetry.log {:?}: {error}", config.log))
}

/// Refuses a filter that would silence what it was meant to show: a word that is no level is taken for the name of a
/// part of the program, of which there is none.
///
/// # Errors
/// What is wrong, for people.
pub fn check(log: &str) -> Result<(), String> {
    let levels = "error, warn, info, debug, trace and off are levels, c2s=debug gives a part of the program its own";
    let wrong = |what: &str| Err(format!("telemetry.log {log:?}: {what:?} is no level; {levels}"));
    // Spans, in brackets, may go without a level.
    let words = log.split(',').map(str::trim);
    for word in words.filter(|word| !word.is_empty() && !word.contains('[')) {
        let level = word.rsplit_once('=').map_or(word, |(_, level)| level);
        if level.is_empty() || level.parse::<LevelFilter>().is_err() {
            return wrong(level);
        }
    }
    EnvFilter::try_new(log).map(drop).map_err(|error| format!("telemetry.log {log:?}: {error}"))
}

impl Running {
    /// Logs and traces as much as this says from now on; where to, and in which form, stays.
    ///
    /// # Errors
    /// The filter makes no sense; then nothing changes.
    pub fn change(&self, config: &Telemetry) -> anyhow::Result<()> {
        self.filter.reload(filter(config)?)?;
        if self.traces.is_some() {
            trace::set_sample_ratio(config.sample_ratio);
        }
        Ok(())
    }
}

fn is_station(metadata: &Metadata<'_>) -> bool {
    metadata.target() == trace::TARGET
}

/// Lines on stderr. Escapes in a field's text are printed escaped, so that no client can draw on a terminal.
fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    match format {
        LogFormat::Json => fmt::layer().json().with_writer(stderr).boxed(),
        LogFormat::Text => fmt::layer().with_ansi(false).with_writer(stderr).boxed(),
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(traces) = &self.traces
            && let Err(error) = traces.shutdown_with_timeout(PATIENCE)
        {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}
