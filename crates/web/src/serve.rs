//! Owns the listeners of HTTP: the small one for operators, and the Unix socket for administration.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use router::Router;

use crate::accounts::Accounts;
use crate::{administration, health};

/// Headers must be there within this.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Most bytes of a request's body.
const BODY_BYTES: usize = 64 << 10;

/// What HTTP asks of others.
#[derive(Clone)]
pub struct Services {
    /// Accounts.
    pub accounts: Accounts,
    /// The way to actors.
    pub router: Router,
    /// Writes the page of metrics.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) services: Services,
    ready: Arc<AtomicBool>,
}

/// Running listeners.
pub struct Handle {
    addresses: Vec<SocketAddr>,
    ready: Arc<AtomicBool>,
    servers: Vec<ServerHandle>,
    socket: PathBuf,
}

/// Why HTTP cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// An address cannot be listened on.
    #[error("cannot listen on {place}: {cause}")]
    Listen {
        /// The address or socket.
        place: String,
        /// Why.
        cause: std::io::Error,
    },
}

/// Starts listening on these addresses and on the Unix socket. Runs on the calling thread's system.
///
/// # Errors
/// An address or the socket cannot be listened on.
pub fn start(
    addresses: &[SocketAddr],
    socket: &Path,
    services: Services,
) -> Result<Handle, WebError> {
    let ready = Arc::new(AtomicBool::new(false));
    let shared = web::Data::new(Shared { services, ready: Arc::clone(&ready) });
    let listener = private_socket(socket).map_err(at(socket.display().to_string()))?;
    let data = shared.clone();
    let administration = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .app_data(web::JsonConfig::default().limit(BODY_BYTES))
            .configure(administration::routes)
            .configure(health::routes)
    })
    .workers(1)
    .disable_signals()
    .client_request_timeout(REQUEST_TIMEOUT)
    .listen_uds(listener)
    .map_err(at(socket.display().to_string()))?
    .run();
    let mut servers = vec![administration.handle()];
    actix_rt::spawn(administration);
    let mut bound = Vec::new();
    if !addresses.is_empty() {
        let mut server =
            HttpServer::new(move || App::new().app_data(shared.clone()).configure(health::routes))
                .workers(1)
                .max_connections(1_024)
                .disable_signals()
                .client_request_timeout(REQUEST_TIMEOUT);
        for address in addresses {
            server = server.bind(address).map_err(at(address.to_string()))?;
        }
        bound = server.addrs();
        let server = server.run();
        servers.push(server.handle());
        actix_rt::spawn(server);
    }
    Ok(Handle { addresses: bound, ready, servers, socket: socket.to_owned() })
}

/// A Unix socket of mode 0600. The data directory is locked by the store, so one that is there is a dead
/// process's.
fn private_socket(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn at(place: String) -> impl FnOnce(std::io::Error) -> WebError {
    |cause| WebError::Listen { place, cause }
}

impl Shared {
    pub(crate) fn why_not_ready(&self) -> Option<&'static str> {
        if !self.ready.load(Ordering::Acquire) {
            return Some("starting or draining");
        }
        (!self.services.router.lease().holds()).then_some("no valid lease")
    }
}

impl Handle {
    /// The addresses of health and metrics, with the ports that were given.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Says whether clients should come here.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// Stops listening, and takes the socket away.
    pub async fn stop(self) {
        for server in self.servers {
            server.stop(false).await;
        }
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(%error, "the administration socket was gone already");
        }
    }
}
