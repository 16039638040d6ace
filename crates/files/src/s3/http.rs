//! Owns the connections to an S3-compatible store: HTTP/1.1, one request each, with or without TLS.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::try_unfold;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, BodyStream, Empty, StreamBody};
use hyper::body::{Frame, Incoming as Received};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::storage::{Incoming, Outgoing};

/// For a connection to be there.
const CONNECT: Duration = Duration::from_secs(10);
/// For an answer to begin once all is said, and for more of it to come.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) type Answer = Response<Received>;
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The way to a store.
pub(super) struct Client {
    /// As the header names it.
    host: String,
    address: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Client {
    /// To an endpoint, such as `https://s3.example.org`.
    pub(super) fn new(
        endpoint: &str,
        authorities: impl FnOnce() -> Result<String, String>,
    ) -> Result<Self, String> {
        let (host, is_secure) = match endpoint.trim_end_matches('/').split_once("://") {
            Some(("https", host)) => (host, true),
            Some(("http", host)) => (host, false),
            _ => return Err(format!("endpoint {endpoint:?} does not begin with https://")),
        };
        let wrong = || format!("endpoint {endpoint:?} has no host, or more than a host");
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => name,
            _ => host,
        };
        if name.is_empty() || host.contains(['/', '?', '@', ' ']) {
            return Err(wrong());
        }
        let port = if is_secure { 443 } else { 80 };
        let address = if name == host { format!("{host}:{port}") } else { host.to_owned() };
        let tls = if is_secure {
            let name = name.trim_matches(['[', ']']).to_owned();
            let name = ServerName::try_from(name).map_err(|_| wrong())?;
            Some((connector(&authorities()?)?, name))
        } else {
            None
        };
        Ok(Self { host: host.to_owned(), address, tls })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Sends a request on a connection of its own, which ends with the answer.
    pub(super) async fn send(&self, mut request: Request<Body>) -> Result<Answer, String> {
        let host = self.host.parse().map_err(|_| "the host is none".to_owned())?;
        request.headers_mut().insert(HOST, host);
        let tcp = within(CONNECT, TcpStream::connect(&self.address)).await?;
        match &self.tls {
            None => talk(TokioIo::new(tcp), request).await,
            Some((tls, name)) => {
                let tls = within(CONNECT, tls.connect(name.clone(), tcp)).await?;
                talk(TokioIo::new(tls), request).await
            }
        }
    }
}

async fn talk<I>(io: I, request: Request<Body>) -> Result<Answer, String>
where
    I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (mut sender, connection) = within(CONNECT, http1::handshake(io)).await?;
    // What goes wrong with it, the answer says.
    drop(actix_rt::spawn(connection));
    // What is being sent has a patience of its own, for each chunk.
    let sends = request.method() == hyper::Method::PUT;
    let answer = sender.send_request(request);
    match sends {
        true => answer.await.map_err(|error| error.to_string()),
        false => within(PATIENCE, answer).await,
    }
}

async fn within<T, E: std::fmt::Display>(
    time: Duration,
    act: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match timeout(time, act).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("it took too long".to_owned()),
    }
}

fn connector(authorities: &str) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(authorities.as_bytes());
    roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    if roots.is_empty() {
        return Err("ca_file has no certificate".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

/// A body of nothing.
pub(super) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body of exactly so many bytes; one that ends early breaks the request, and then the other says so.
pub(super) fn exactly(bytes: Incoming, size: u64) -> (Body, impl Fn() -> bool) {
    let short = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&short);
    let next = move |(mut bytes, left): (Incoming, u64)| {
        let told = Arc::clone(&told);
        async move {
            if left == 0 {
                return Ok(None);
            }
            let chunk = bytes.recv().await.unwrap_or_default();
            match left.checked_sub(chunk.len() as u64).filter(|_| !chunk.is_empty()) {
                Some(left) => Ok(Some((Frame::data(chunk), (bytes, left)))),
                None => {
                    told.store(true, Ordering::Release);
                    Err(io::ErrorKind::UnexpectedEof.into())
                }
            }
        }
    };
    let body = StreamBody::new(try_unfold((bytes, size), next).boxed());
    (body.boxed_unsync(), move || short.load(Ordering::Acquire))
}

/// The bytes of an answer.
pub(super) fn stream(answer: Answer) -> Outgoing {
    let next = |mut body: BodyStream<Received>| async move {
        loop {
            let frame = match timeout(PATIENCE, body.next()).await {
                Ok(Some(frame)) => frame.map_err(io::Error::other)?,
                Ok(None) => return Ok(None),
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            };
            if let Ok(chunk) = frame.into_data() {
                return Ok(Some((chunk, body)));
            }
        }
    };
    try_unfold(BodyStream::new(answer.into_body()), next).boxed()
}
