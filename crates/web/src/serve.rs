//! Owns the listeners of HTTP: the small one for operators, and the Unix socket for administration.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use router::Router;

use crate::accounts::Accounts;
use crate::health::Unmet;
use crate::members::Members;
use crate::rooms::{self, Rooms};
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
    /// Rooms.
    pub rooms: Arc<dyn Rooms>,
    /// The way to actors.
    pub router: Router,
    /// All members.
    pub members: Members,
    /// Writes the page of metrics.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Why clients should not come here, beside that the server starts or drains.
    pub unready: Check,
    /// Why this process should be started again. Never for anything of the cluster: a cluster without a
    /// majority does not get one by ending its members.
    pub dead: Check,
    /// The cluster in an operator's hands.
    pub cluster: cluster::Operator,
    /// Counts the connections of clients to this member.
    pub connections: Arc<dyn Fn() -> usize + Send + Sync>,
}

/// Looks for conditions that are not met.
pub type Check = Arc<dyn Fn() -> Vec<Unmet> + Send + Sync>;

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) services: Services,
    phase: Arc<AtomicU8>,
}

/// How far the server is: [`Shared::phase`].
const STARTING: u8 = 0;
const SERVING: u8 = 1;
const DRAINING: u8 = 2;

/// Running listeners.
pub struct Handle {
    addresses: Vec<SocketAddr>,
    phase: Arc<AtomicU8>,
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
    let phase = Arc::new(AtomicU8::new(STARTING));
    let shared = web::Data::new(Shared { services, phase: Arc::clone(&phase) });
    let listener = private_socket(socket).map_err(at(socket.display().to_string()))?;
    let data = shared.clone();
    let administration = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .app_data(web::JsonConfig::default().limit(BODY_BYTES))
            .configure(administration::routes)
            .configure(rooms::routes)
            .configure(crate::cluster::routes)
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
    Ok(Handle { addresses: bound, phase, servers, socket: socket.to_owned() })
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
    /// Everything for which clients should not come here.
    pub(crate) fn unready(&self) -> Vec<Unmet> {
        let phase = match self.phase.load(Ordering::Acquire) {
            SERVING => None,
            DRAINING => Some(Unmet::new("serving", "the server drains")),
            _ => Some(Unmet::new("serving", "the server starts")),
        };
        let lease = (!self.services.router.lease().holds())
            .then(|| Unmet::new("lease", "this member has no valid lease"));
        let mut unmet: Vec<Unmet> = phase.into_iter().chain(lease).collect();
        unmet.extend((self.services.unready)());
        unmet
    }
}

impl Handle {
    /// The addresses of health and metrics, with the ports that were given.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Says whether clients should come here.
    pub fn set_ready(&self, ready: bool) {
        self.phase.store(if ready { SERVING } else { DRAINING }, Ordering::Release);
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
