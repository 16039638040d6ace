//! Owns the way to other members: who they are is proven here, once, for every service that members offer
//! each other. One listener takes all connections; TLS 1.3 with certificates on both sides, or the plain
//! form for trials on loopback. Knows no service.
//!
//! A certificate proves a member's *name*: its URI `spiffe://TRUST-DOMAIN/member/NAME`. The trust domain is
//! configured; so a certificate for another purpose, or for another cluster of the same authority, is none.
//!
//! | module | owns |
//! |---|---|
//! | [`certificate`] | certificates of members: read, checked, made for operators |
//! | `handshake` | a connection whose other end has proven its name |
//! | `listener` | connections that come in, and the services behind them |
//!
//! ```ignore
//! peers.serve(LanesServer::<Lanes>::NAME, Routes::new(LanesServer::new(lanes)));
//! let channel = peers.connect(member).await?;       // a connection of its own; the name is verified
//! let name = peer::name(request.extensions());      // in a service: who asks
//! let member = peers.member(request.extensions());  // the same as the plan knows it
//! ```

pub mod certificate;
mod handshake;
mod listener;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use proto::MemberId;
use tokio::runtime::{Handle, Runtime};
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};

use crate::plan::{Plan, Status};
use crate::watch::PlanHandle;
pub use certificate::{CertificateError, Files};
use handshake::Guard;
use listener::Services;

/// How members prove to each other who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS 1.3 with certificates on both sides.
    Mutual(Files),
    /// Nothing is proven or protected: for trials on loopback.
    InsecureDev,
}

/// Where and as whom this member meets others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// This member's name.
    pub name: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How names are proven.
    pub security: Security,
}

/// The proven name of the member at the other end, in a request's extensions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerName(Arc<str>);

/// The way to other members. A clone is the same.
#[derive(Clone)]
pub struct Peers {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    address: SocketAddr,
    guard: Guard,
    plan: PlanHandle,
    services: Services,
    /// Where members were met that the plan does not know yet, or knows elsewhere.
    met: Mutex<BTreeMap<MemberId, Met>>,
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
}

/// Who was met where.
#[derive(Clone, Debug)]
struct Met {
    incarnation: u64,
    name: String,
    address: String,
}

/// Why another member cannot be met.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Without certificates members meet on loopback only.
    #[error("{0} is not loopback: members without certificates meet on loopback only")]
    NotLoopback(String),
    /// The plan does not say where the member is.
    #[error("member {0} has no address in the plan")]
    Unknown(MemberId),
    /// An address is not of the form `host:port`.
    #[error("{0:?} is not an address of the form host:port")]
    Address(String),
    /// It cannot be reached, or is not who it should be.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where.
        address: String,
        /// Why.
        #[source]
        cause: tonic::transport::Error,
    },
}

/// A silent peer is noticed within the sum of both.
const KEEPALIVE: Duration = Duration::from_millis(500);
const KEEPALIVE_PATIENCE: Duration = Duration::from_millis(700);

/// Flow control of HTTP/2 in bytes: a smaller window holds two threads back.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

/// Resolving, connecting, shaking hands.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Threads that carry words between members. Control threads and arbiters never wait for them.
const THREADS: usize = 2;

impl Peers {
    /// Whether others could be met so, as far as the certificates go.
    ///
    /// # Errors
    ///
    /// One cannot be used.
    pub fn check(settings: &Settings) -> Result<(), PeerError> {
        Ok(Guard::new(settings).map(drop)?)
    }

    /// Listens, on a runtime of its own. Services are added with [`Peers::serve`].
    ///
    /// # Errors
    ///
    /// A certificate cannot be used, or the address cannot be listened on.
    pub fn open(settings: &Settings, plan: PlanHandle) -> Result<Self, PeerError> {
        let address = settings.listen;
        if settings.security == Security::InsecureDev && !address.ip().is_loopback() {
            return Err(PeerError::NotLoopback(address.to_string()));
        }
        let guard = Guard::new(settings)?;
        let failed = |cause| PeerError::Listen { address, cause };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("rookery-mesh")
            .enable_all()
            .build()
            .map_err(failed)?;
        let socket = std::net::TcpListener::bind(address).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let services = Services::default();
        let handle = runtime.handle().clone();
        let _in_runtime = handle.enter();
        let socket = tokio::net::TcpListener::from_std(socket).map_err(failed)?;
        drop(handle.spawn(listener::listen(socket, guard.clone(), services.clone())));
        let shared = Shared {
            name: settings.name.clone(),
            address,
            guard,
            plan,
            services,
            met: Mutex::default(),
            handle: handle.clone(),
            runtime: Mutex::new(Some(runtime)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// This member's name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The plan by which it knows others.
    pub fn plan(&self) -> PlanHandle {
        self.shared.plan.clone()
    }

    /// Where this member listens, with the port that was given.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// The runtime on which services and links run. Not for whoever keeps leases or hosts actors.
    pub fn runtime(&self) -> &Handle {
        &self.shared.handle
    }

    /// Offers a service under its full name (`NamedService::NAME`). One of the same name is replaced.
    pub fn serve(&self, name: &'static str, routes: Routes) {
        self.shared.services.add(name, routes);
    }

    /// A connection of its own to a member where the plan says that it is, with its name verified. When the
    /// connection breaks the channel makes another to the same member, where that was then.
    ///
    /// # Errors
    ///
    /// [`PeerError`]; normally within 5 s.
    pub async fn connect(&self, member: MemberId) -> Result<Channel, PeerError> {
        Ok(self.meet(member).await?.0)
    }

    /// As [`Peers::connect`], with the name.
    pub(crate) async fn meet(&self, member: MemberId) -> Result<(Channel, PeerName), PeerError> {
        let Met { name, address, .. } = self.find(member).ok_or(PeerError::Unknown(member))?;
        self.dial(&address, Some(name)).await
    }

    /// A connection to whoever is at an address; gives the name that it has proven.
    ///
    /// # Errors
    ///
    /// [`PeerError`].
    pub(crate) async fn connect_to(&self, address: &str) -> Result<(Channel, PeerName), PeerError> {
        self.dial(address, None).await
    }

    /// The member of the plan that has proven its name in a request; none where the plan has no such member.
    pub fn member(&self, extensions: &tonic::Extensions) -> Option<MemberId> {
        let name = name(extensions)?;
        let plan = self.shared.plan.latest();
        let mut members = plan.members();
        let found = members.find(|m| m.info.name == name && m.status != Status::Expelled);
        found.map(|member| member.info.id)
    }

    /// Notes where a process of a member was met, for the time until the plan says it.
    pub(crate) fn met(&self, member: MemberId, incarnation: u64, name: &str, address: &str) {
        let met = Met { incarnation, name: name.to_owned(), address: address.to_owned() };
        let mut all = self.shared.met.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < Plan::MAX_MEMBERS || all.contains_key(&member) {
            all.insert(member, met);
        }
    }

    /// Reads the certificates again. Connections from now on use them; those that there are go on.
    ///
    /// # Errors
    ///
    /// One cannot be used; the ones before stay in force.
    pub fn reload(&self) -> Result<(), CertificateError> {
        self.shared.guard.reload()
    }

    /// Ends all connections.
    pub(crate) fn stop(&self) {
        let runtime = self.shared.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }

    /// Where a member is: as its latest process says.
    fn find(&self, member: MemberId) -> Option<Met> {
        let met = self.shared.met.lock().unwrap_or_else(PoisonError::into_inner);
        let met = met.get(&member).cloned();
        let plan = self.shared.plan.latest();
        let planned = plan.member(member).map(|member| &member.info).map(|info| Met {
            incarnation: info.incarnation,
            name: info.name.clone(),
            address: info.addr.clone(),
        });
        let both = planned.into_iter().chain(met).filter(|found| !found.address.is_empty());
        both.max_by_key(|found| found.incarnation)
    }

    async fn dial(
        &self,
        address: &str,
        expected: Option<String>,
    ) -> Result<(Channel, PeerName), PeerError> {
        if address.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(PeerError::Address(address.to_owned()));
        }
        let failed = |cause| PeerError::Connect { address: address.to_owned(), cause };
        let (connector, seen) = self.shared.guard.connector(address.to_owned(), expected);
        let endpoint = Endpoint::from_static("http://member")
            .connect_timeout(CONNECT_PATIENCE)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_PATIENCE)
            .keep_alive_while_idle(true);
        let service = tower::service_fn(move |_| {
            let connector = Arc::clone(&connector);
            async move { connector.connect().await.map(TokioIo::new) }
        });
        let channel = endpoint.connect_with_connector(service).await.map_err(failed)?;
        let name = seen.get().cloned().ok_or_else(|| PeerError::Address(address.to_owned()))?;
        Ok((channel, name))
    }
}

impl PeerName {
    pub(crate) fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The proven name of whoever sent a request; none outside of [`Peers`]' listener.
pub fn name(extensions: &tonic::Extensions) -> Option<&str> {
    extensions.get::<PeerName>().map(PeerName::as_str)
}
