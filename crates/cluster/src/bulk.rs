//! Owns what lives in a shard on its way to the member that is to own it: bytes in bounded parts, over a
//! connection of its own (proto/bulk.proto). Knows not what they mean.
//!
//! What is large may be brought before, while the shard is still served ([`Hands::bring`]): of it only what has changed
//! goes again, so that the shard stands still for less.
//!
//! A handover is judged by whether it goes on: it ends where nothing has moved for [`PATIENCE`], however long the whole
//! takes. What a member takes at a time is bounded by [`space`], and by its memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{Stream, StreamExt as _, iter};
use proto::MemberId;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tonic::server::NamedService as _;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use crate::hash::HashKey;
use crate::peer::{PeerError, Peers};
use crate::plan::MoveId;
use crate::wire;
use crate::wire::bulk_client::BulkClient;
use crate::wire::bulk_server::{Bulk, BulkServer};

mod arriving;
mod blocks;
mod parts;
pub mod space;

use arriving::{Arriving, Kind};
pub use blocks::Brought;
use parts::{Entity, Parts};
use space::{Space, Spaces};

/// The longest part that is taken: one entity at its own bounds, and what is around it.
const LONGEST_PART: usize = 32 << 20;

/// A shard of so many bytes is taken whatever memory there is: without it no member could be emptied.
const SMALL: usize = 8 << 20;

/// Between two parts.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between the last part and the answer: what is on its way still arrives, and whoever takes it sees to its place.
const ANSWER_PATIENCE: Duration = Duration::from_secs(6);

/// For so long what was brought is kept: a leader has called the move off by then.
const KEPT: Duration = Duration::from_secs(60);

/// Why nothing is taken of a shard.
const UNKNOWN: &str = "the plan knows no such move";

/// Whoever takes shards in.
pub trait Takes: fmt::Debug + Send + Sync + 'static {
    /// Whether there is memory for a large shard.
    fn has_memory(&self) -> bool;

    /// Keeps what lives in a shard that is to move here, until the plan says what becomes of it; and with it the `space`
    /// that it takes.
    ///
    /// # Errors
    ///
    /// Why it is not taken; then the shard stays where it is.
    fn take(
        &self,
        moved: MoveId,
        entities: Vec<Bytes>,
        space: Space,
    ) -> BoxFuture<'static, Result<(), String>>;
}

/// A shard could not be handed over: it stays where it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandError {
    /// The member cannot be met.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The connection broke, or the other member has no room.
    #[error("{}", .0.message())]
    Call(#[from] Box<Status>),
    /// Nothing has moved for too long.
    #[error("nothing has moved for some seconds")]
    Stuck,
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

    /// Brings what is large in a shard that is still served, as far as it is there now. It is kept there for a minute.
    ///
    /// # Errors
    ///
    /// [`HandError`]; then everything goes when the shard is handed over.
    pub async fn bring(
        &self,
        to: MemberId,
        moved: MoveId,
        entities: impl Iterator<Item = Bytes> + Send + 'static,
    ) -> Result<Brought, HandError> {
        let (key, brought) = (self.key(), Arc::<Mutex<Brought>>::default());
        let noted = Arc::clone(&brought);
        let blocks = entities.flat_map(move |entity| {
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.new_of(&key, &entity)
        });
        let blocks = blocks.map(|block| (block.len(), Entity::Whole(block)));
        self.send(to, Call::Bring, Parts::new(moved, None, blocks)).await?;
        let mut brought = brought.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *brought))
    }

    /// Hands a member what lives in a shard, as fast as that one takes it; returns when it has all. `entities` is asked
    /// for the next one when there is room on the way, and must give `count` of them.
    ///
    /// # Errors
    ///
    /// [`HandError`].
    pub async fn hand(
        &self,
        to: MemberId,
        moved: MoveId,
        count: usize,
        entities: impl Iterator<Item = Bytes> + Send + 'static,
        brought: Brought,
    ) -> Result<(), HandError> {
        let key = self.key();
        let entities = entities.map(move |entity| match brought.pieces_of(&key, &entity) {
            Some(pieces) => (entity.len(), Entity::Pieced(pieces)),
            None => (entity.len(), Entity::Whole(entity)),
        });
        self.send(to, Call::Hand, Parts::new(moved, Some(count), entities)).await
    }

    /// By it blocks are called; all members have the same.
    fn key(&self) -> HashKey {
        *self.peers.plan().latest().hash_key()
    }

    async fn send(
        &self,
        to: MemberId,
        call: Call,
        parts: impl Iterator<Item = wire::Part> + Send + 'static,
    ) -> Result<(), HandError> {
        let (goes_on, progress) = watch::channel(());
        let parts = iter(parts).then(move |part| {
            goes_on.send_replace(());
            async {
                // Leases are renewed by the same threads.
                yield_now().await;
                part
            }
        });
        let sent = tokio::select! {
            sent = self.try_send(to, call, parts) => sent,
            () = until_stuck(progress) => Err(HandError::Stuck),
        };
        if sent.is_err() {
            // The next one makes another connection.
            self.channels().remove(&to);
        }
        sent
    }

    async fn try_send(
        &self,
        to: MemberId,
        call: Call,
        parts: impl Stream<Item = wire::Part> + Send + 'static,
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
        let (mut client, parts) = (BulkClient::new(channel), Request::new(parts));
        let taken = match call {
            Call::Hand => client.hand(parts).await,
            Call::Bring => client.bring(parts).await,
        };
        let taken = taken.map_err(Box::new)?.into_inner();
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
    let (spaces, brought) = (Spaces::default(), Arc::default());
    let service = Service { peers: peers.clone(), takes, spaces, brought };
    let server = BulkServer::new(service).max_decoding_message_size(LONGEST_PART);
    peers.serve(BulkServer::<Service>::NAME, Routes::new(server));
}

/// Waits until no part has gone for too long, or after the last one no answer has come.
async fn until_stuck(mut progress: watch::Receiver<()>) {
    loop {
        match timeout(PATIENCE, progress.changed()).await {
            Ok(Ok(())) => {}
            // All parts have gone.
            Ok(Err(_)) => return sleep(ANSWER_PATIENCE).await,
            Err(_) => return,
        }
    }
}

#[derive(Clone, Copy)]
enum Call {
    Hand,
    Bring,
}

struct Service {
    peers: Peers,
    takes: Arc<dyn Takes>,
    spaces: Spaces,
    /// What each member has brought last.
    brought: Arc<Mutex<BTreeMap<MemberId, Arriving>>>,
}

type Answer = Result<Response<wire::Taken>, Status>;

#[tonic::async_trait]
impl Bulk for Service {
    async fn hand(&self, request: Request<Streaming<wire::Part>>) -> Answer {
        let from = self.sender(&request)?;
        let arriving = self.collect(Kind::Entities, from, request.into_inner()).await?;
        let (moved, entities, space) = arriving.whole()?;
        let taken = match self.owns(from, moved).await {
            true => self.takes.take(moved, entities, space).await,
            false => Err(UNKNOWN.to_owned()),
        };
        let refused = taken.err().unwrap_or_default();
        Ok(Response::new(wire::Taken { refused }))
    }

    async fn bring(&self, request: Request<Streaming<wire::Part>>) -> Answer {
        let from = self.sender(&request)?;
        let arriving = self.collect(Kind::Blocks, from, request.into_inner()).await?;
        let moved = arriving.moved().ok_or_else(|| Status::invalid_argument("no move"))?;
        if !self.owns(from, moved).await {
            return Ok(Response::new(wire::Taken { refused: UNKNOWN.to_owned() }));
        }
        self.brought().insert(from, arriving);
        let brought = Arc::clone(&self.brought);
        self.peers.runtime().spawn(async move {
            sleep(KEPT).await;
            let mut brought = brought.lock().unwrap_or_else(PoisonError::into_inner);
            brought.retain(|by, it| *by != from || it.moved() != Some(moved));
        });
        Ok(Response::new(wire::Taken::default()))
    }
}

impl Service {
    fn sender<T>(&self, request: &Request<T>) -> Result<MemberId, Status> {
        let from = self.peers.member(request.extensions());
        from.ok_or_else(|| Status::permission_denied("no member of this cluster"))
    }

    fn brought(&self) -> MutexGuard<'_, BTreeMap<MemberId, Arriving>> {
        self.brought.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the plan says, or says soon, that this shard moves away from that member.
    async fn owns(&self, from: MemberId, moved: MoveId) -> bool {
        let mut plan = self.peers.plan();
        let known =
            async { while plan.get().index() < moved.since && plan.changed().await.is_ok() {} };
        // A plan that does not come is answered as it is.
        timeout(PATIENCE, known).await.ok();
        plan.get().owner(moved.shard).is_some_and(|(owner, _)| owner == from)
    }

    /// Takes what comes, as long as there is room for it.
    async fn collect(
        &self,
        kind: Kind,
        from: MemberId,
        mut parts: Streaming<wire::Part>,
    ) -> Result<Arriving, Status> {
        // What it has brought before is of use for this alone, or for nothing any more.
        let brought = self.brought().remove(&from);
        let key = *self.peers.plan().latest().hash_key();
        let mut arriving = Arriving::new(kind, key, self.spaces.begin(), brought);
        let late = || Status::deadline_exceeded("the next part did not come");
        while let Some(part) = timeout(PATIENCE, parts.message()).await.map_err(|_| late())?? {
            let is_whole = arriving.take(part)?;
            if arriving.bytes() > SMALL && !self.takes.has_memory() {
                return Err(Status::resource_exhausted("its memory does not suffice there"));
            }
            if is_whole {
                return Ok(arriving);
            }
        }
        Err(Status::aborted("the rest did not come"))
    }
}

#[cfg(test)]
mod tests;
