//! Owns what lives in a shard on its way to the member that is to own it: bytes in bounded parts, over a
//! connection of its own (proto/bulk.proto). Knows not what they mean.
//!
//! Bounds: [`PART_BYTES`] a part, [`MOST_BYTES`] a shard. More, and the shard does not move.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use proto::MemberId;
use tokio::time::timeout;
use tonic::server::NamedService as _;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use xmpp::Shard;

use crate::peer::{PeerError, Peers};
use crate::plan::MoveId;
use crate::wire;
use crate::wire::bulk_client::BulkClient;
use crate::wire::bulk_server::{Bulk, BulkServer};

/// A part closes at this many bytes; the last entity in it may pass it.
const PART_BYTES: usize = 256 << 10;

/// The longest part that is taken: one entity at its own bounds, and what is around it.
const LONGEST_PART: usize = 32 << 20;

/// The most bytes of one shard.
pub const MOST_BYTES: usize = 512 << 20;

/// Between two parts, and before the answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whoever takes shards in.
pub trait Takes: fmt::Debug + Send + Sync + 'static {
    /// Keeps what lives in a shard that is to move here, until the plan says what becomes of it.
    ///
    /// # Errors
    ///
    /// Why it is not taken; then the shard stays where it is.
    fn take(&self, moved: MoveId, entities: Vec<Bytes>) -> BoxFuture<'static, Result<(), String>>;
}

/// A shard could not be handed over: it stays where it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandError {
    /// The member cannot be met.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The connection broke.
    #[error("{0}")]
    Call(#[from] Box<Status>),
    /// It was too slow.
    #[error("no answer in time")]
    Late,
    /// There is more than a member takes.
    #[error("a shard of {0} bytes is too large to move")]
    TooLarge(usize),
    /// The other member does not want it.
    #[error("{0}")]
    Refused(String),
}

/// Hands shards over: one connection to each member that takes any.
pub struct Hands {
    peers: Peers,
    channels: Mutex<BTreeMap<MemberId, Channel>>,
}

impl Hands {
    /// By connections of these peers.
    pub fn new(peers: Peers) -> Self {
        Self { peers, channels: Mutex::default() }
    }

    /// Hands a member what lives in a shard; returns when it has all.
    ///
    /// # Errors
    ///
    /// [`HandError`].
    pub async fn hand(
        &self,
        to: MemberId,
        moved: MoveId,
        entities: Vec<Bytes>,
    ) -> Result<(), HandError> {
        let bytes = entities.iter().map(Bytes::len).sum();
        if bytes > MOST_BYTES {
            return Err(HandError::TooLarge(bytes));
        }
        // A shard that takes longer than this is called off by the leader.
        let handed = timeout(PATIENCE, self.try_hand(to, moved, entities)).await;
        let handed = handed.unwrap_or(Err(HandError::Late));
        if handed.is_err() {
            // The next one makes another connection.
            self.channels().remove(&to);
        }
        handed
    }

    async fn try_hand(
        &self,
        to: MemberId,
        moved: MoveId,
        entities: Vec<Bytes>,
    ) -> Result<(), HandError> {
        let known = self.channels().get(&to).cloned();
        let channel = match known {
            Some(channel) => channel,
            None => {
                let channel = self.peers.connect(to).await?;
                self.channels().insert(to, channel.clone());
                channel
            }
        };
        let mut client = BulkClient::new(channel);
        let handing = client.hand(Request::new(stream::iter(parts(moved, entities))));
        let taken = handing.await.map_err(Box::new)?.into_inner();
        match taken.refused.is_empty() {
            true => Ok(()),
            false => Err(HandError::Refused(taken.refused)),
        }
    }

    fn channels(&self) -> MutexGuard<'_, BTreeMap<MemberId, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes in what other members hand over.
pub fn serve(peers: &Peers, takes: Arc<dyn Takes>) {
    let service = Service { peers: peers.clone(), takes };
    let server = BulkServer::new(service).max_decoding_message_size(LONGEST_PART);
    peers.serve(BulkServer::<Service>::NAME, Routes::new(server));
}

fn parts(moved: MoveId, entities: Vec<Bytes>) -> Vec<wire::Part> {
    let moving = wire::Moving { shard: moved.shard.number().into(), since: moved.since };
    let total = entities.len() as u64;
    let mut parts = vec![wire::Part { moving: Some(moving), ..wire::Part::default() }];
    let mut bytes = 0;
    for entity in entities {
        if bytes >= PART_BYTES {
            parts.push(wire::Part::default());
            bytes = 0;
        }
        bytes += entity.len();
        if let Some(part) = parts.last_mut() {
            part.entities.push(entity);
        }
    }
    parts.push(wire::Part { total: Some(total), ..wire::Part::default() });
    parts
}

struct Service {
    peers: Peers,
    takes: Arc<dyn Takes>,
}

#[tonic::async_trait]
impl Bulk for Service {
    async fn hand(
        &self,
        request: Request<Streaming<wire::Part>>,
    ) -> Result<Response<wire::Taken>, Status> {
        let from = self.peers.member(request.extensions());
        let from = from.ok_or_else(|| Status::permission_denied("no member of this cluster"))?;
        let (moved, entities) = collect(request.into_inner()).await?;
        let taken = match self.owns(from, moved).await {
            true => self.takes.take(moved, entities).await,
            false => Err("the plan knows no such move".to_owned()),
        };
        let refused = taken.err().unwrap_or_default();
        Ok(Response::new(wire::Taken { refused }))
    }
}

impl Service {
    /// Whether the plan says, or says soon, that this shard moves away from that member.
    async fn owns(&self, from: MemberId, moved: MoveId) -> bool {
        let mut plan = self.peers.plan();
        let known =
            async { while plan.get().index() < moved.since && plan.changed().await.is_ok() {} };
        // A plan that does not come is answered as it is.
        timeout(PATIENCE, known).await.ok();
        plan.get().owner(moved.shard).is_some_and(|(owner, _)| owner == from)
    }
}

async fn collect(mut parts: Streaming<wire::Part>) -> Result<(MoveId, Vec<Bytes>), Status> {
    let late = || Status::deadline_exceeded("the next part did not come");
    let invalid = |what: &'static str| Status::invalid_argument(what);
    let (mut moved, mut entities, mut bytes) = (None, Vec::new(), 0);
    while let Some(part) = timeout(PATIENCE, parts.message()).await.map_err(|_| late())?? {
        if let Some(moving) = part.moving {
            let shard = u16::try_from(moving.shard).ok().and_then(Shard::new);
            let shard = shard.ok_or_else(|| invalid("there is no such shard"))?;
            moved = Some(MoveId { shard, since: moving.since });
        }
        bytes += part.entities.iter().map(Bytes::len).sum::<usize>();
        if bytes > MOST_BYTES {
            return Err(Status::resource_exhausted("the shard is too large"));
        }
        entities.extend(part.entities);
        if let Some(total) = part.total {
            let moved = moved.ok_or_else(|| invalid("no move was named"))?;
            let all = total == entities.len() as u64;
            return all.then_some((moved, entities)).ok_or_else(|| invalid("a part is missing"));
        }
    }
    Err(Status::aborted("the rest did not come"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_goes_in_parts_of_which_the_last_counts_all() {
        let moved = MoveId { shard: Shard::new(7).unwrap(), since: 9 };
        let entities = vec![Bytes::from(vec![1; 100 << 10]); 7];
        let parts = parts(moved, entities);
        assert_eq!(parts.first().unwrap().moving.unwrap().shard, 7);
        assert_eq!(parts.iter().map(|part| part.entities.len()).collect::<Vec<_>>(), [3, 3, 1, 0]);
        assert_eq!(parts.last().unwrap().total, Some(7));
    }
}
