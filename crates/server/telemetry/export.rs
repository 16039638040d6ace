//! Owns the way of finished spans to a collector (OTLP over gRPC): a bounded queue, and one thread with a
//! runtime of its own. No arbiter ever waits for it: where the queue is full, a span is dropped and counted.

use std::sync::mpsc::{Receiver as Done, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use meter::Counter;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    Sampler, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor,
};
use tokio::sync::mpsc::{Receiver, Sender, channel as bounded};
use tokio::time::{Instant, timeout_at};

/// Most spans that wait for the collector.
const QUEUE: usize = 8_192;
/// Most spans of one request.
const BATCH: usize = 512;
/// A span waits so long for others to go with.
const EVERY: Duration = Duration::from_secs(1);
/// A collector that does not answer within this has failed.
const ANSWER: Duration = Duration::from_secs(3);

/// What became of spans.
#[derive(Debug, Default)]
pub struct Figures {
    /// The collector has them.
    pub exported: Counter,
    /// There was no room to wait.
    pub dropped: Counter,
    /// The collector did not take them.
    pub failed: Counter,
}

/// The sending end of the queue.
#[derive(Debug)]
struct Queue {
    sender: RwLock<Option<Sender<SpanData>>>,
    done: std::sync::Mutex<Done<()>>,
    figures: Arc<Figures>,
}

/// Starts the thread, and answers what hands spans to it. Every span that reaches it is exported: whether a
/// stanza is sampled was decided where its trace began.
///
/// # Errors
/// The address is none, or the system gives no thread.
pub(super) fn start(
    collector: &str,
    member: Option<&str>,
    figures: &Arc<Figures>,
) -> anyhow::Result<SdkTracerProvider> {
    let (sender, spans) = bounded(QUEUE);
    let (started, begun) = channel();
    let (over, done) = channel();
    let (address, counted) = (collector.to_owned(), Arc::clone(figures));
    let resource = resource(member);
    let described = resource.clone();
    std::thread::Builder::new().name("telemetry".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime.map_err(anyhow::Error::from) {
            Ok(runtime) => runtime.block_on(async {
                // Within the runtime, which the connection to the collector lives on.
                let exporter = exporter(&address, &described);
                let usable = exporter.is_ok();
                drop(started.send(exporter.as_ref().map(drop).map_err(ToString::to_string)));
                if let (true, Ok(exporter)) = (usable, exporter) {
                    run(spans, exporter, &counted).await;
                }
            }),
            Err(error) => drop(started.send(Err(error.to_string()))),
        }
        drop(over);
    })?;
    begun.recv()?.map_err(|error| anyhow::anyhow!("telemetry.otlp {collector:?}: {error}"))?;
    let queue = Queue {
        sender: RwLock::new(Some(sender)),
        done: std::sync::Mutex::new(done),
        figures: Arc::clone(figures),
    };
    Ok(SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(resource)
        .with_span_processor(queue)
        .build())
}

/// What all spans of this process have in common; its member is an instance of the service.
fn resource(member: Option<&str>) -> Resource {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let instance = member.map(|name| KeyValue::new("service.instance.id", name.to_owned()));
    Resource::builder_empty()
        .with_service_name("rookery")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("host.name", host.trim().to_owned()))
        .with_attribute(KeyValue::new("process.pid", i64::from(std::process::id())))
        .with_attributes(instance)
        .build()
}

fn exporter(collector: &str, resource: &Resource) -> anyhow::Result<SpanExporter> {
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(collector)
        .with_timeout(ANSWER)
        // What fails is counted; trying again would hold up what comes behind.
        .with_retry_policy(opentelemetry_otlp::RetryPolicy::disabled())
        .build()?;
    exporter.set_resource(resource);
    Ok(exporter)
}

/// Exports until the queue is closed, and then what is left in it.
async fn run(mut spans: Receiver<SpanData>, exporter: SpanExporter, figures: &Figures) {
    let mut fails = false;
    while let Some(first) = spans.recv().await {
        let batch = gather(first, &mut spans).await;
        let count = batch.len() as u64;
        match exporter.export(batch).await {
            Ok(()) => {
                figures.exported.add(count);
                if std::mem::take(&mut fails) {
                    tracing::info!("the collector of traces takes spans again");
                }
            }
            Err(error) => {
                figures.failed.add(count);
                // Once, not for every batch: it may be away for long.
                if !std::mem::replace(&mut fails, true) {
                    tracing::warn!(%error, "the collector of traces does not take spans");
                }
            }
        }
    }
}

/// What goes with this span: all that comes in the next moment.
async fn gather(first: SpanData, spans: &mut Receiver<SpanData>) -> Vec<SpanData> {
    let deadline = Instant::now() + EVERY;
    let mut batch = vec![first];
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        match timeout_at(deadline, spans.recv_many(&mut batch, room)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    batch
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        if sender.as_ref().is_none_or(|sender| sender.try_send(span).is_err()) {
            self.figures.dropped.add_one();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// Closes the queue, and waits until what is in it is exported.
    fn shutdown_with_timeout(&self, patience: Duration) -> OTelSdkResult {
        drop(self.sender.write().unwrap_or_else(PoisonError::into_inner).take());
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        match done.recv_timeout(patience) {
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => Err(OTelSdkError::Timeout(patience)),
            // The thread has ended.
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};

    use super::*;

    /// The provider, and what the thread holds while it runs.
    fn queue(
        sender: Sender<SpanData>,
        figures: &Arc<Figures>,
    ) -> (SdkTracerProvider, std::sync::mpsc::Sender<()>) {
        let (over, done) = channel::<()>();
        let queue = Queue {
            sender: RwLock::new(Some(sender)),
            done: std::sync::Mutex::new(done),
            figures: Arc::clone(figures),
        };
        let provider = SdkTracerProvider::builder().with_span_processor(queue).build();
        (provider, over)
    }

    #[test]
    fn what_the_queue_has_no_room_for_is_dropped_and_counted() {
        let (sender, mut spans) = bounded(2);
        let figures = Arc::<Figures>::default();
        let (provider, thread) = queue(sender, &figures);
        let tracer = provider.tracer("test");
        (0..5).for_each(|number| tracer.start(format!("span {number}")).end());
        assert_eq!(figures.dropped.get(), 3);
        drop(thread);
        provider.shutdown().unwrap();
        let kept: Vec<_> = std::iter::from_fn(|| spans.try_recv().ok()).collect();
        assert_eq!(
            kept.iter().map(|span| span.name.as_ref()).collect::<Vec<_>>(),
            ["span 0", "span 1"]
        );
    }

    #[test]
    fn an_end_waits_for_no_longer_than_its_patience() {
        let (sender, _spans) = bounded(2);
        let (provider, _thread) = queue(sender, &Arc::default());
        let end = provider.shutdown_with_timeout(Duration::from_millis(20));
        assert!(end.is_err(), "the thread still runs");
    }
}
