//! Owns the trait of whatever carries frames between members, and the two loops over it: one for each lane that
//! this member sends on, one for each connection that a peer has opened.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use proto::MemberId;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::links::Links;
use super::pb::{Frame, Hello, Reply};
use super::peer::{Lane, Peer};

/// How long an opening, and a frame that is to go out, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between attempts to open a lane.
const PAUSE: Duration = Duration::from_millis(100);
/// Confirmations are gathered for so long.
const GATHER: Duration = Duration::from_millis(2);
/// A frame whose plan does not come is looked at without it after so long.
const PLAN_PATIENCE: Duration = Duration::from_secs(2);
/// Frames and replies that wait in a pipe.
pub const PIPE_DEPTH: usize = 4;

/// Where a process of a peer is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Who.
    pub member: MemberId,
    /// Which process of it.
    pub incarnation: u64,
    /// The network address, as the plan says.
    pub addr: String,
}

/// One connection of a lane, seen from the member that opened it. Dropping either end is a cut.
#[derive(Debug)]
pub struct Pipe {
    /// To the peer.
    pub frames: mpsc::Sender<Frame>,
    /// From it.
    pub replies: mpsc::Receiver<Reply>,
}

/// A lane's connection could not be opened, or broke.
#[derive(Debug, thiserror::Error)]
#[error("the lane is cut: {0}")]
pub struct Cut(pub String);

/// Carries frames to other members. Keeps their order and shape while a connection lasts; promises no more.
pub trait Carrier: Send + Sync + 'static {
    /// Opens a connection for a lane.
    fn open(&self, to: Address, lane: u32) -> BoxFuture<'static, Result<Pipe, Cut>>;
}

/// Sends on a lane until the peer's process is gone.
pub(crate) async fn send(links: Arc<Links>, peer: Arc<Peer>, to: Address, lane: usize) {
    loop {
        tokio::select! {
            () = peer.ended.notified() => return,
            cut = once(&links, &peer, &to, lane) => tracing::debug!(error = %cut, member = %to.member, "lane {lane} is cut"),
        }
        if let Some(lane) = peer.lanes.get(lane) {
            lane.out().disconnected(links.now());
        }
        if peer.is_over() || links.lease().until_valid().await.is_err() {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// One connection, until it breaks.
async fn once(links: &Links, peer: &Peer, to: &Address, number: usize) -> Cut {
    let Some(lane) = peer.lanes.get(number) else { return cut("there is no such lane") };
    let open = links.carrier().open(to.clone(), u32::try_from(number).unwrap_or(0));
    let mut pipe = match timeout(PATIENCE, open).await {
        Ok(Ok(pipe)) => pipe,
        Ok(Err(error)) => return error,
        Err(_) => return cut("no answer"),
    };
    let hello = Frame { hello: Some(links.hello(to, number)), ..Frame::default() };
    if pipe.frames.send(hello).await.is_err() {
        return cut("it broke at once");
    }
    let Ok(Some(welcome)) = timeout(PATIENCE, pipe.replies.recv()).await else {
        return cut("no welcome");
    };
    let fates = lane.out().connected(welcome, links.now());
    links.resolve(peer, fates);
    loop {
        // Rule A: a frame leaves only while the lease holds.
        if !links.lease().holds() && links.lease().until_valid().await.is_err() {
            return cut("the lease is over");
        }
        let frame = lane.out().next_frame(links.plan_index(), links.now());
        if let Some(frame) = frame {
            match timeout(PATIENCE, pipe.frames.send(frame)).await {
                Ok(Ok(())) => continue,
                _ => return cut("a frame did not go out"),
            }
        }
        tokio::select! {
            () = lane.out_wake.notified() => {}
            reply = pipe.replies.recv() => match reply {
                Some(reply) => {
                    let fates = lane.out().hear(reply, links.now());
                    links.resolve(peer, fates);
                }
                None => return cut("the peer closed it"),
            },
        }
    }
}

/// Serves a connection that a peer has opened, until it breaks or a later one takes its place; says why.
pub(crate) async fn serve(
    links: &Links,
    mut frames: mpsc::Receiver<Frame>,
    replies: mpsc::Sender<Reply>,
) -> Cut {
    let Ok(Some(Frame { hello: Some(hello), .. })) = timeout(PATIENCE, frames.recv()).await else {
        return cut("no greeting");
    };
    let Some((peer, number)) = greet(links, &hello).await else {
        return cut("nobody that this member knows");
    };
    let Some(lane) = peer.lanes.get(number) else { return cut("there is no such lane") };
    let (connection, welcome) = lane.connected();
    if replies.send(welcome).await.is_err() {
        return cut("it broke at once");
    }
    let over = serve_connection(links, (&peer, lane, connection), frames, replies).await;
    // It may have been woken for what another connection is to say.
    lane.into_wake.notify_one();
    over
}

async fn serve_connection(
    links: &Links,
    (peer, lane, connection): (&Peer, &Lane, u64),
    mut frames: mpsc::Receiver<Frame>,
    replies: mpsc::Sender<Reply>,
) -> Cut {
    loop {
        let waits = lane.into().is_waiting();
        let taken = tokio::select! {
            () = peer.ended.notified() => return cut("the peer's process is gone"),
            () = lane.into_wake.notified() => {
                sleep(GATHER).await;
                Ok(())
            }
            () = sleep(PLAN_PATIENCE), if waits => links.take_without_plan(lane, connection),
            frame = frames.recv() => match frame {
                Some(_) if peer.is_over() => return cut("the peer's process is gone"),
                Some(frame) => links.take(lane, connection, frame),
                None => return cut("the peer closed it"),
            },
        };
        if let Err(error) = taken {
            return Cut(error.to_string());
        }
        if !links.lease().holds() && links.lease().until_valid().await.is_err() {
            return cut("the lease is over");
        }
        let reply = match lane.receiver_of(connection) {
            Ok(mut receiver) => receiver.reply(),
            Err(error) => return Cut(error.to_string()),
        };
        if let Some(reply) = reply
            && !matches!(timeout(PATIENCE, replies.send(reply)).await, Ok(Ok(())))
        {
            return cut("a reply did not go out");
        }
    }
}

/// The peer behind a greeting. One that the plan does not know yet may be in the next one.
async fn greet(links: &Links, hello: &Hello) -> Option<(Arc<Peer>, usize)> {
    for _ in 0..20 {
        if let Some(found) = links.known(hello) {
            return Some(found);
        }
        sleep(PAUSE).await;
    }
    None
}

fn cut(why: &str) -> Cut {
    Cut(why.to_owned())
}
