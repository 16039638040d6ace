//! Owns connections that come in, and which service each request goes to. Knows none of them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::unfold;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::service::Routes;
use tonic::transport::Server;
use tower::{Service, ServiceExt as _};

use super::handshake::{Guard, HANDSHAKE_PATIENCE, Proven};
use super::{CONNECTION_WINDOW, KEEPALIVE, KEEPALIVE_PATIENCE, STREAM_WINDOW};
use crate::clock::BootTime;

/// What members are offered, by the full name of each service. A clone is the same.
#[derive(Clone, Default)]
pub(super) struct Services {
    by_name: Arc<RwLock<BTreeMap<&'static str, Routes>>>,
}

/// The most connections that prove who they are at a time; more wait in the system's queue.
const HANDSHAKES: usize = 64;

/// The most calls at a time on one connection.
const CALLS: u32 = 1024;

/// After the system has refused a connection: it has none to give for now.
const PAUSE: Duration = Duration::from_millis(50);

/// Takes connections for ever.
pub(super) async fn listen(socket: TcpListener, guard: Guard, services: Services) {
    let (sender, receiver) = mpsc::channel(1);
    let accepting = accept(socket, guard, sender);
    let incoming = unfold(receiver, |mut receiver| async move {
        let connection = receiver.recv().await?;
        Some((Ok::<_, io::Error>(connection), receiver))
    });
    let server = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_PATIENCE))
        .max_concurrent_streams(CALLS)
        .serve_with_incoming(services, incoming);
    let (served, ()) = tokio::join!(server, accepting);
    if let Err(error) = served {
        tracing::error!(%error, "the listener for members has ended");
    }
}

async fn accept(socket: TcpListener, guard: Guard, proven: mpsc::Sender<Proven>) {
    let complaints = Arc::<Complaints>::default();
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    let mut welcomes = JoinSet::new();
    while let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await {
        let connection = match socket.accept().await {
            Ok((connection, _)) => connection,
            Err(error) => {
                tracing::warn!(%error, "could not take a member's connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        let (guard, proven, complaints) = (guard.clone(), proven.clone(), Arc::clone(&complaints));
        while welcomes.try_join_next().is_some() {}
        welcomes.spawn(async move {
            welcome(connection, &guard, &proven, &complaints).await;
            drop(permit);
        });
    }
}

async fn welcome(
    connection: TcpStream,
    guard: &Guard,
    proven: &mpsc::Sender<Proven>,
    complaints: &Complaints,
) {
    let from = connection.peer_addr().map_or_else(|_| "?".to_owned(), |from| from.to_string());
    let proving = async {
        let mut connection = guard.accept(connection).await?;
        guard.answer(&mut connection).await?;
        Ok::<_, io::Error>(connection)
    };
    match timeout(HANDSHAKE_PATIENCE, proving).await {
        // The listener has ended: nobody is there to be told.
        Ok(Ok(connection)) => drop(proven.send(connection).await),
        Ok(Err(error)) => complaints.say(&from, &error.to_string(), BootTime::now()),
        Err(_) => complaints.say(&from, "it did not say who it is", BootTime::now()),
    }
}

/// What is logged of strangers: whoever comes again and again, such as a scanner, does not fill the log.
#[derive(Default)]
struct Complaints {
    /// When the last one was logged, and how many were not since.
    last: Mutex<(Option<BootTime>, u64)>,
}

/// At most one complaint in this time.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

impl Complaints {
    fn say(&self, from: &str, error: &str, now: BootTime) {
        match self.due(now) {
            None => {
                tracing::debug!(peer = from, error, "refused a connection to the members' port")
            }
            Some(0) => {
                tracing::warn!(peer = from, error, "refused a connection to the members' port")
            }
            Some(more) => tracing::warn!(
                peer = from,
                error,
                "refused a connection to the members' port, and {more} more since this was last said"
            ),
        }
    }

    /// Whether it is time to say something, and how much was not said since.
    fn due(&self, now: BootTime) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (said, unsaid) = *last;
        if said.is_some_and(|said| now.since(said) < COMPLAIN_EVERY) {
            last.1 += 1;
            return None;
        }
        *last = (Some(now), 0);
        Some(unsaid)
    }
}

impl Services {
    pub(super) fn add(&self, name: &'static str, routes: Routes) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.insert(name, routes);
    }

    /// The routes of the service that a path of the form `/SERVICE/METHOD` names.
    fn of(&self, path: &str) -> Option<Routes> {
        let (name, _) = path.strip_prefix('/')?.split_once('/')?;
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl Service<Request<Body>> for Services {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let routes = self.of(request.uri().path());
        Box::pin(async move {
            match routes {
                Some(routes) => routes.oneshot(request).await,
                None => Ok(Status::unimplemented("no such service here").into_http()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_logged_once_in_a_while_and_the_others_counted() {
        let complaints = Complaints::default();
        let at = |seconds: u64| BootTime(seconds * 1_000_000_000);
        let due = [1, 2, 9, 10, 11, 12, 21].map(|seconds| complaints.due(at(seconds)));
        assert_eq!(due, [Some(0), None, None, None, Some(3), None, Some(1)]);
    }
}
