//! Owns a collector of traces (OTLP over gRPC), as small as can be: it keeps what it is sent.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// Spans are exported every second; longer than this, and they do not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A collector that runs as long as the test.
pub(crate) struct Collector {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    spans: Mutex<Vec<Span>>,
    /// Which member has made each, by its id.
    members: Mutex<HashMap<Vec<u8>, String>>,
    came: Condvar,
}

struct Keeper(Arc<Kept>);

#[tonic::async_trait]
impl TraceService for Keeper {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_process in request.into_inner().resource_spans {
            let resource = of_process.resource.unwrap_or_default();
            let member = attribute(&resource.attributes, "service.instance.id").unwrap_or_default();
            let scopes = of_process.scope_spans.into_iter();
            let spans: Vec<Span> = scopes.flat_map(|scope| scope.spans).collect();
            let ids = spans.iter().map(|span| (span.span_id.clone(), member.clone()));
            self.0.members.lock().unwrap().extend(ids);
            self.0.spans.lock().unwrap().extend(spans);
        }
        self.0.came.notify_all();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::<Kept>::default();
        let service = TraceServiceServer::new(Keeper(Arc::clone(&kept)));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let incoming =
                    TcpIncoming::from(tokio::net::TcpListener::from_std(listener).unwrap());
                Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
            });
        });
        Self { address, kept }
    }

    /// The settings of a server that sends this share of its traces here.
    pub(crate) fn settings(&self, sample_ratio: f64) -> String {
        format!("[telemetry]\notlp = 'http://{}'\nsample_ratio = {sample_ratio:?}\n", self.address)
    }

    /// The name of the member that has made a span.
    pub(crate) fn member_of(&self, span: &Span) -> String {
        self.kept.members.lock().unwrap()[&span.span_id].clone()
    }

    /// What has come, as soon as there is enough of it.
    pub(crate) fn spans(&self, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let spans = self.kept.spans.lock().unwrap();
        let (spans, late) =
            self.kept.came.wait_timeout_while(spans, PATIENCE, |spans| !enough(spans)).unwrap();
        assert!(!late.timed_out(), "too little came: {spans:#?}");
        spans.clone()
    }
}

/// A field of a span.
pub(crate) fn field(span: &Span, name: &str) -> Option<String> {
    attribute(&span.attributes, name)
}

fn attribute(all: &[KeyValue], name: &str) -> Option<String> {
    let found = all.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        other => Some(format!("{other:?}")),
    }
}
