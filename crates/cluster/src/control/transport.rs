//! Owns Raft messages and heartbeats on their way out. Neither waits for the network: what cannot be sent
//! now is dropped, and asked again.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use proto::MemberId;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::net::{CallError, Net, PATIENCE, call, client};
use crate::clock::BootTime;
use crate::lease::{Grant, Heartbeat};
use crate::raft::driver::Command;
use crate::raft::transport::{Answer, Transport};
use crate::wire;

/// The way of this member's words to all others.
pub(crate) struct Outgoing {
    net: Net,
    lanes: BTreeMap<MemberId, mpsc::Sender<Bytes>>,
}

/// The most Raft messages that wait for one member.
const QUEUE: usize = 256;

/// The most bytes of messages that travel together; the last may pass it.
const BATCH_BYTES: usize = 1 << 20;

/// Between attempts to reach a member: doubled each time.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A lane that carried nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

impl Outgoing {
    pub(crate) fn new(net: Net) -> Self {
        Self { net, lanes: BTreeMap::new() }
    }
}

impl Transport for Outgoing {
    fn send(&mut self, to: MemberId, message: Bytes) -> bool {
        let open = self.lanes.get(&to).filter(|lane| !lane.is_closed());
        let lane = match open {
            Some(lane) => lane.clone(),
            None => {
                let (lane, messages) = mpsc::channel(QUEUE);
                self.net.shared.peers.runtime().spawn(carry(self.net.clone(), to, messages));
                self.lanes.insert(to, lane.clone());
                lane
            }
        };
        lane.try_send(message).is_ok()
    }

    fn heartbeat(&mut self, leader: MemberId, heartbeat: Heartbeat, answer: Answer) {
        let net = self.net.clone();
        self.net.shared.peers.runtime().spawn(async move {
            match beat(&net, leader, heartbeat).await {
                Ok(Some(grant)) => answer(grant),
                Ok(None) => {}
                Err(error) => tracing::debug!(peer = %leader, %error, "a heartbeat was lost"),
            }
        });
    }
}

/// Gets one heartbeat answered.
async fn beat(
    net: &Net,
    leader: MemberId,
    heartbeat: Heartbeat,
) -> Result<Option<Grant>, CallError> {
    let channel = net.channel(leader).await?;
    let beating = wire::Beating {
        member: heartbeat.member.0,
        incarnation: heartbeat.incarnation,
        sent: heartbeat.sent.0,
        applied: heartbeat.applied,
        lag_millis: u64::try_from(heartbeat.vitals.lag.as_millis()).unwrap_or(u64::MAX),
        unreached: heartbeat.vitals.unreached.iter().map(|id| id.0).collect(),
        weight: heartbeat.vitals.weight,
    };
    // A grant that comes later than its time is worth nothing.
    let patience = net.shared.lease_ttl.min(PATIENCE);
    let beaten = call(client(channel).beat(beating), patience).await;
    let beaten = beaten.inspect_err(|_| net.forget_channel(leader))?;
    if !beaten.granted {
        if !net.shared.standing.borrow().follows && beaten.leader != 0 {
            net.hint(Some(MemberId(beaten.leader)));
        }
        return Ok(None);
    }
    Ok(Some(Grant {
        // What it gives back is not believed: it answers this heartbeat.
        sent: heartbeat.sent,
        ttl: Duration::from_nanos(beaten.ttl_nanos).min(net.shared.lease_ttl),
        min_index: beaten.min_index,
    }))
}

/// Carries Raft messages to one member for as long as there are any.
async fn carry(net: Net, to: MemberId, mut messages: mpsc::Receiver<Bytes>) {
    let mut pause = PAUSE;
    while let Ok(Some(first)) = timeout(IDLE, messages.recv()).await {
        let begun = BootTime::now();
        if let Err(error) = stream(&net, to, first, &mut messages).await {
            tracing::debug!(peer = %to, %error, "raft messages are lost");
        }
        net.forget_channel(to);
        // What waits is older than what raft will send when it hears that somebody is there again, and goes first: what
        // raft sends once it knows that this is lost must not be lost with it.
        while messages.try_recv().is_ok() {}
        net.tell(Command::Unreachable(to));
        pause = match BootTime::now().since(begun) > LONGEST_PAUSE {
            true => PAUSE,
            false => (pause * 2).min(LONGEST_PAUSE),
        };
        sleep(pause).await;
    }
}

/// Carries messages over one connection until it breaks.
async fn stream(
    net: &Net,
    to: MemberId,
    first: Bytes,
    messages: &mut mpsc::Receiver<Bytes>,
) -> Result<(), CallError> {
    let channel = net.channel(to).await?;
    let (batches, receiver) = mpsc::channel::<wire::RaftMessages>(4);
    let outgoing = unfold(receiver, |mut receiver| async move {
        let batch = receiver.recv().await?;
        Some((batch, receiver))
    });
    let mut client = client(channel);
    let mut calling = std::pin::pin!(client.raft(outgoing));
    let mut next = Some(first);
    loop {
        if let Some(first) = next.take() {
            let batch = wire::RaftMessages { messages: collect(first, messages) };
            tokio::select! {
                sent = batches.send(batch) => {
                    if sent.is_err() {
                        return Err(CallError::Late);
                    }
                }
                ended = &mut calling => return ended.map(drop).map_err(|s| Box::new(s).into()),
            }
        }
        tokio::select! {
            message = messages.recv() => match message {
                Some(message) => next = Some(message),
                None => return Ok(()),
            },
            ended = &mut calling => return ended.map(drop).map_err(|s| Box::new(s).into()),
        }
    }
}

/// All that waits, within bounds.
fn collect(first: Bytes, messages: &mut mpsc::Receiver<Bytes>) -> Vec<Bytes> {
    let mut bytes = first.len();
    let mut batch = vec![first];
    while bytes < BATCH_BYTES && batch.len() < QUEUE {
        let Ok(message) = messages.try_recv() else { break };
        bytes += message.len();
        batch.push(message);
    }
    batch
}
