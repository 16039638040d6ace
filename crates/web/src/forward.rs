//! Owns the way of requests of BOSH whose session lives on another member: there and back over gRPC
//! (`proto/gate.proto`), so that it does not matter to which member a balancer of HTTP sends them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::Bytes;
use cluster::Peers;
use proto::MemberId;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::server::NamedService as _;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::clients::{Gate, Posted, Way};
use pb::gate_client::GateClient;
use pb::gate_server::{Gate as Offered, GateServer};

/// The messages of `proto/gate.proto`.
#[expect(
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    reason = "generated code has its own style"
)]
mod pb {
    include!(concat!(env!("OUT_DIR"), "/rookery.gate.rs"));
}

/// Requests are held for up to a minute (XEP-0124 §7.2).
const PATIENCE: Duration = Duration::from_secs(70);

/// Most bytes of a request or a response: the largest stanza that may be configured, and what is around it.
const MOST_BYTES: usize = 20 << 20;

/// Most requests on their way at a time.
const PLACES: usize = 20_000;

/// The way to other members.
pub(crate) struct Forwarder {
    peers: Option<Peers>,
    /// One for each member that was asked; their number is bounded by the plan.
    channels: Mutex<HashMap<MemberId, Channel>>,
    places: Arc<Semaphore>,
}

impl Forwarder {
    /// Takes requests of other members for `gate`, where there are others.
    pub(crate) fn open(peers: Option<Peers>, gate: &Arc<dyn Gate>) -> Self {
        if let Some(peers) = &peers {
            let service = Service { peers: peers.clone(), gate: Arc::clone(gate) };
            let server = GateServer::new(service)
                .max_decoding_message_size(MOST_BYTES)
                .max_encoding_message_size(MOST_BYTES);
            peers.serve(GateServer::<Service>::NAME, Routes::new(server));
        }
        Self { peers, channels: Mutex::default(), places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// Has a request answered by this member; none: it does not, or not in time.
    pub(crate) async fn post(&self, member: MemberId, way: Way, body: Bytes) -> Option<Posted> {
        let peers = self.peers.clone()?;
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let known = self.channels().get(&member).cloned();
        let request = pb::PostRequest {
            peer: way.peer.to_string(),
            is_secure: way.is_secure,
            body: body.into(),
        };
        let runtime = peers.runtime().clone();
        let asked = runtime.spawn(timeout(PATIENCE, async move {
            let _place = place;
            let channel = match known {
                Some(channel) => channel,
                None => peers.connect(member).await.ok()?,
            };
            let mut client = GateClient::new(channel.clone())
                .max_decoding_message_size(MOST_BYTES)
                .max_encoding_message_size(MOST_BYTES);
            Some((channel, client.post(request).await.ok()?.into_inner()))
        }));
        let answered = AbortOnDrop(asked).answer().await;
        match answered {
            Some((channel, pb::PostResponse { content, body })) => {
                self.channels().insert(member, channel);
                Some(Posted { content: content.into(), body })
            }
            None => {
                // It may be somewhere else by now.
                self.channels().remove(&member);
                None
            }
        }
    }

    fn channels(&self) -> std::sync::MutexGuard<'_, HashMap<MemberId, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that hangs up waits for nothing any more.
struct AbortOnDrop<T>(JoinHandle<Result<Option<T>, tokio::time::error::Elapsed>>);

impl<T> AbortOnDrop<T> {
    async fn answer(mut self) -> Option<T> {
        (&mut self.0).await.ok()?.ok()?
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What others ask for.
struct Service {
    peers: Peers,
    gate: Arc<dyn Gate>,
}

#[tonic::async_trait]
impl Offered for Service {
    async fn post(
        &self,
        request: Request<pb::PostRequest>,
    ) -> Result<Response<pb::PostResponse>, Status> {
        if self.peers.member(request.extensions()).is_none() {
            return Err(Status::permission_denied("no member of this cluster"));
        }
        let pb::PostRequest { peer, is_secure, body } = request.into_inner();
        let peer = peer.parse().map_err(|_| Status::invalid_argument("no address of a client"))?;
        let posted = self.gate.post(Way { peer, is_secure }, body.into()).await;
        let Posted { content, body } =
            posted.map_err(|_| Status::not_found("the session lives elsewhere"))?;
        Ok(Response::new(pb::PostResponse { content: content.into_owned(), body }))
    }
}
