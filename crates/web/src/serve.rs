//! Owns the listeners of HTTP: the small one for operators, and the Unix socket for administration.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use accounts::Administration;
use actix_rt::Arbiter;
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use router::Router;
use tokio::sync::watch;

use crate::clients::{self, Clients, IsSecure};
use crate::converse;
use crate::forward::Forwarder;
use crate::health::Unmet;
use crate::listener::{self, Listener};
use crate::members::Members;
use crate::rooms;
use crate::{administration, health, invitations, upload};

/// Headers must be there within this.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Most bytes of a request's body.
const BODY_BYTES: usize = 64 << 10;

/// What HTTP asks of others.
#[derive(Clone)]
pub struct Services {
    /// Accounts, sessions, invitations.
    pub administration: Administration,
    /// Accounts as files.
    pub transfer: Arc<dyn crate::transfer::Transfer>,
    /// The way to actors.
    pub router: Router,
    /// All members, and what all of them have: sessions, streams, rooms.
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
    /// What clients find over HTTP.
    pub clients: clients::Services,
    /// Files; none where none are taken.
    pub files: Option<Arc<files::Keeper>>,
}

/// Where to listen.
#[derive(Clone, Copy, Debug)]
pub struct Listen<'a> {
    /// For operators and, where there are any, clients; without TLS.
    pub http: &'a [SocketAddr],
    /// For clients alone, with TLS.
    pub https: &'a [SocketAddr],
    /// Whether clients find anything here.
    pub clients: bool,
}

/// Looks for conditions that are not met.
pub type Check = Arc<dyn Fn() -> Vec<Unmet> + Send + Sync>;

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) services: Services,
    pub(crate) clients: Arc<Clients>,
    phase: Arc<AtomicU8>,
}

/// How far the server is: [`Shared::phase`].
const STARTING: u8 = 0;
const SERVING: u8 = 1;
const DRAINING: u8 = 2;

/// Running listeners.
pub struct Handle {
    /// Of HTTP, and of HTTPS.
    addresses: [Vec<SocketAddr>; 2],
    phase: Arc<AtomicU8>,
    server: ServerHandle,
    stop: watch::Sender<bool>,
    threads: Vec<Arbiter>,
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
        cause: io::Error,
    },
}

/// Starts listening on these addresses and on the Unix socket. The latter is served on the calling thread's system.
///
/// # Errors
/// An address or the socket cannot be listened on.
pub fn start(listen: Listen<'_>, socket: &Path, services: Services) -> Result<Handle, WebError> {
    let phase = Arc::new(AtomicU8::new(STARTING));
    let (http_listeners, http_addresses) = bind(listen.http)?;
    let (https_listeners, https_addresses) = bind(listen.https)?;
    let clients = Arc::new(Clients {
        origins: services.clients.config.origins.clone(),
        proxies: services.clients.config.proxies.clone(),
        url: services.clients.config.url.clone(),
        domains: services.clients.domains.clone(),
        open: services.clients.open.clone(),
        converse: services.clients.config.converse.clone(),
        port: https_addresses.first().map(SocketAddr::port),
        gate: Arc::clone(&services.clients.gate),
        figures: Arc::clone(&services.clients.figures),
        forwarder: Forwarder::open(services.members.peers.clone(), &services.clients.gate),
    });
    let shared = web::Data::new(Shared { services, clients, phase: Arc::clone(&phase) });
    let listener = private_socket(socket).map_err(at(socket.display().to_string()))?;
    let data = shared.clone();
    let administration = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .app_data(web::JsonConfig::default().limit(BODY_BYTES))
            .configure(administration::routes)
            .configure(crate::transfer::routes)
            .configure(invitations::routes)
            .configure(rooms::routes)
            .configure(crate::cluster::routes)
            .configure(crate::federation::routes)
            .configure(crate::cpim::routes)
            .configure(health::routes)
    })
    .workers(1)
    .disable_signals()
    .client_request_timeout(REQUEST_TIMEOUT)
    .listen_uds(listener)
    .map_err(at(socket.display().to_string()))?
    .run();
    let server = administration.handle();
    actix_rt::spawn(administration);
    let (stop, stopped) = watch::channel(false);
    let (data, data_of_https) = (shared.clone(), shared.clone());
    let http = move |config: &mut web::ServiceConfig| {
        config.app_data(data.clone()).app_data(IsSecure(false));
        if listen.clients {
            for_clients(config, &data);
        }
        config.configure(health::routes);
    };
    let https = move |config: &mut web::ServiceConfig| {
        config.app_data(data_of_https.clone()).app_data(IsSecure(true));
        for_clients(config, &data_of_https);
    };
    let places = listener::places();
    let served = |socket, tls| {
        let (clients, places) = (Arc::clone(&shared.clients), Arc::clone(&places));
        Listener { socket, tls, clients, places }
    };
    let tls = &shared.services.clients.tls;
    let http_listeners = http_listeners.into_iter().map(|socket| served(socket, None));
    let https_listeners =
        https_listeners.into_iter().map(|socket| served(socket, Some(Arc::clone(tls))));
    // Whoever watches over this process is not to wait for clients.
    let threads = vec![
        listener::start(http_listeners.collect(), http, &stopped),
        listener::start(https_listeners.collect(), https, &stopped),
    ];
    let addresses = [http_addresses, https_addresses];
    Ok(Handle { addresses, phase, server, stop, threads, socket: socket.to_owned() })
}

/// What clients find.
fn for_clients(config: &mut web::ServiceConfig, shared: &Shared) {
    config.configure(clients::routes).configure(crate::posh::routes).configure(invitations::pages);
    converse::routes(config, shared.clients.converse.as_ref());
    config.configure(upload::routes);
}

/// Begins to listen; with the addresses, as they are.
fn bind(addresses: &[SocketAddr]) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), WebError> {
    let (mut listeners, mut bound) = (Vec::new(), Vec::new());
    for address in addresses {
        let wrong = || at(address.to_string());
        let listener = socket::bind(*address).map_err(wrong())?;
        bound.push(listener.local_addr().map_err(wrong())?);
        listeners.push(listener);
    }
    Ok((listeners, bound))
}

/// A Unix socket of mode 0600. The data directory is locked by the store, so one that is there is a dead
/// process's.
///
/// # Errors
/// It cannot be made.
pub fn private_socket(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn at(place: String) -> impl FnOnce(io::Error) -> WebError {
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
    /// The addresses of HTTP, with the ports that were given.
    pub fn http_addresses(&self) -> &[SocketAddr] {
        &self.addresses[0]
    }

    /// The addresses of HTTPS, with the ports that were given.
    pub fn https_addresses(&self) -> &[SocketAddr] {
        &self.addresses[1]
    }

    /// Says whether clients should come here.
    pub fn set_ready(&self, ready: bool) {
        self.phase.store(if ready { SERVING } else { DRAINING }, Ordering::Release);
    }

    /// Stops listening, and takes the socket away.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.server.stop(false).await;
        for thread in self.threads {
            thread.stop();
            // A thread that panicked has said so.
            drop(thread.join());
        }
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(%error, "the administration socket was gone already");
        }
    }
}
