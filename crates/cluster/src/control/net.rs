//! Owns what the parts of the control plane share, and the client's side of each call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::MemberId;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tonic::Status as RpcStatus;
use tonic::transport::Channel;

use super::PROTOCOL;
use super::common::Common;
use super::founding::Founding;
use super::skew::Skews;
use super::staying::Staying;
use crate::ask::{Ask, Verdict};
use crate::clock::{self, BootTime};
use crate::config::Mesh;
use crate::lease::vitals::Senses;
use crate::peer::{PeerError, PeerName, Peers};
use crate::plan::codec::{info_from_wire, info_to_wire, moves_to_wire};
use crate::plan::{MemberInfo, Plan, Status};
use crate::raft::driver::{Command, News};
use crate::raft::group::Standing;
use crate::wire;
use crate::wire::control_client::ControlClient;

/// What all parts share. A clone is the same.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) peers: Peers,
    pub(crate) mesh: Mesh,
    /// How long a grant lasts.
    pub(crate) lease_ttl: Duration,
    /// This process, with its present incarnation.
    pub(crate) me: Mutex<MemberInfo>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) plan: watch::Receiver<Arc<Plan>>,
    pub(crate) standing: watch::Receiver<Standing>,
    pub(crate) news: broadcast::Sender<News>,
    pub(crate) founding: Mutex<Founding>,
    /// The present incarnation, for the lease.
    pub(crate) incarnation: Arc<AtomicU64>,
    pub(crate) channels: Mutex<BTreeMap<MemberId, Channel>>,
    pub(crate) senses: Arc<Senses>,
    pub(crate) common: Common,
    pub(crate) skews: Skews,
    pub(crate) staying: Staying,
}

/// Why a member did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("{0}")]
    Call(#[from] Box<RpcStatus>),
    #[error("no answer in time")]
    Late,
    #[error("{0}")]
    Refused(String),
}

impl CallError {
    /// For operators, who care for no codes of gRPC.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Call(status) if !status.message().is_empty() => status.message().to_owned(),
            error => error.to_string(),
        }
    }
}

/// An answer within a network is there long before.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Before the leader is looked for again.
const PAUSE: Duration = Duration::from_millis(50);

/// The most bytes of one message: a Raft message and what is around it.
pub(crate) const MAX_BYTES: usize = crate::raft::MAX_MESSAGE + (64 << 10);

impl Net {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn me(&self) -> MemberInfo {
        self.shared.me.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// This process takes part anew.
    pub(crate) fn renewed(&self, incarnation: u64) {
        self.shared.me.lock().unwrap_or_else(PoisonError::into_inner).incarnation = incarnation;
        self.shared.incarnation.store(incarnation, Ordering::Release);
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.shared.plan.borrow())
    }

    pub(crate) fn leader(&self) -> Option<MemberId> {
        self.shared.standing.borrow().leader
    }

    /// What this member says of itself.
    pub(crate) fn greeting(&self) -> wire::Greeting {
        let plan = self.plan();
        let cluster = plan.is_bootstrapped().then(|| plan.cluster().0.to_be_bytes().to_vec());
        wire::Greeting {
            member: Some(info_to_wire(&self.me())),
            cluster_uuid: cluster.unwrap_or_default().into(),
            generation: plan.generation(),
            protocol_min: PROTOCOL.0,
            protocol_max: PROTOCOL.1,
            bootstrap_expect: u32::try_from(self.shared.mesh.bootstrap_expect).unwrap_or(u32::MAX),
            leader: self.leader().map_or(0, |id| id.0),
            common: self.shared.common.own(),
            wall_millis: clock::wall_millis(),
        }
    }

    /// Judges what another member has said of itself under a proven name.
    pub(crate) fn judge(
        &self,
        name: &str,
        greeting: &wire::Greeting,
    ) -> Result<MemberInfo, String> {
        let info = info_from_wire(greeting.member.clone()).map_err(|error| error.to_string())?;
        if info.name != name {
            return Err(format!("its certificate proves the name {name}, not {}", info.name));
        }
        if greeting.protocol_min > PROTOCOL.1 || greeting.protocol_max < PROTOCOL.0 {
            return Err("its program is too new or too old for this one".to_owned());
        }
        let plan = self.plan();
        if plan.member(info.id).is_some_and(|known| known.info.name != info.name) {
            return Err("its id belongs to another name".to_owned());
        }
        let ours = plan.cluster().0.to_be_bytes();
        let both = plan.is_bootstrapped() && !greeting.cluster_uuid.is_empty();
        if both && greeting.cluster_uuid != ours[..] {
            return Err("it is a member of another cluster".to_owned());
        }
        if both && greeting.generation < plan.generation() {
            return Err("it was left behind when the cluster was recovered by force; remove its directory `raft` to let it join anew".to_owned());
        }
        self.shared.common.compare(&info, &greeting.common);
        self.shared.peers.met(info.id, info.incarnation, &info.name, &info.addr);
        Ok(info)
    }

    /// Says hello to whoever is at an address.
    pub(crate) async fn hello(
        &self,
        address: &str,
    ) -> Result<(Channel, MemberInfo, wire::Greeting), CallError> {
        let (channel, name) = self.shared.peers.connect_to(address).await?;
        let (info, greeting) = self.greet(channel.clone(), &name).await?;
        Ok((channel, info, greeting))
    }

    async fn greet(
        &self,
        channel: Channel,
        name: &PeerName,
    ) -> Result<(MemberInfo, wire::Greeting), CallError> {
        let greeting = call(client(channel).hello(self.greeting()), PATIENCE).await?;
        let info = self.judge(name.as_str(), &greeting).map_err(CallError::Refused)?;
        Ok((info, greeting))
    }

    /// A connection to a member, over which it has said who it is; one for all calls.
    pub(crate) async fn channel(&self, member: MemberId) -> Result<Channel, CallError> {
        let known = self.lock_channels().get(&member).cloned();
        if let Some(channel) = known {
            return Ok(channel);
        }
        let (channel, name) = self.shared.peers.meet(member).await?;
        let (info, _) = self.greet(channel.clone(), &name).await?;
        if info.id != member {
            return Err(CallError::Refused(format!("{} is another member now", name.as_str())));
        }
        self.lock_channels().insert(member, channel.clone());
        Ok(channel)
    }

    /// A call to a member failed: the next makes another connection.
    pub(crate) fn forget_channel(&self, member: MemberId) {
        self.lock_channels().remove(&member);
    }

    fn lock_channels(&self) -> std::sync::MutexGuard<'_, BTreeMap<MemberId, Channel>> {
        self.shared.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the leader, wherever it is, until it has answered.
    ///
    /// # Errors
    ///
    /// It refused, or there was no answer in time.
    pub(crate) async fn ask(&self, ask: Ask, patience: Duration) -> Result<(), CallError> {
        let begun = BootTime::now();
        let mut others = 0_usize;
        let mut last = CallError::Late;
        while BootTime::now().since(begun) < patience {
            let leader = self.leader().or_else(|| self.another(&mut others));
            let verdict = match leader {
                Some(leader) if leader != self.me().id => self.ask_at(leader, &ask).await,
                _ => self.ask_here(ask.clone()).await,
            };
            match verdict {
                Ok(Verdict::Done) => return Ok(()),
                Ok(Verdict::Refused(why)) => return Err(CallError::Refused(why)),
                Ok(Verdict::Elsewhere(leader)) => self.hint(leader),
                Err(error) => {
                    tracing::debug!(%error, "asked the leader in vain");
                    self.hint(None);
                    last = error;
                }
            }
            sleep(PAUSE).await;
        }
        Err(last)
    }

    /// Some member that may know the leader; another one each time.
    fn another(&self, number: &mut usize) -> Option<MemberId> {
        let (plan, me) = (self.plan(), self.me().id);
        let others: Vec<_> = plan
            .members()
            .filter(|member| member.status != Status::Expelled && member.info.id != me)
            .map(|member| member.info.id)
            .collect();
        *number = number.wrapping_add(1);
        others.get(*number % others.len().max(1)).copied()
    }

    pub(crate) fn hint(&self, leader: Option<MemberId>) {
        self.tell(Command::Hint(leader));
    }

    /// Asks this member, as it may lead.
    pub(crate) async fn ask_here(&self, ask: Ask) -> Result<Verdict, CallError> {
        let (sender, receiver) = oneshot::channel();
        let answered = Box::new(move |verdict| {
            // Whoever asked has given up.
            sender.send(verdict).ok();
        });
        self.tell(Command::Ask(ask, answered));
        let answer = timeout(PATIENCE, receiver).await.map_err(|_| CallError::Late)?;
        answer.map_err(|_| CallError::Late)
    }

    async fn ask_at(&self, leader: MemberId, ask: &Ask) -> Result<Verdict, CallError> {
        let channel = self.channel(leader).await?;
        let answer = call(client(channel).ask(to_wire(ask)), PATIENCE).await;
        let decision = answer.inspect_err(|_| self.forget_channel(leader))?;
        Ok(match decision {
            wire::Decision { done: true, .. } => Verdict::Done,
            wire::Decision { refused, .. } if !refused.is_empty() => Verdict::Refused(refused),
            wire::Decision { leader, .. } => {
                Verdict::Elsewhere((leader != 0).then_some(MemberId(leader)))
            }
        })
    }

    /// Tells this member's group. A full queue drops it, as the network may.
    pub(crate) fn tell(&self, command: Command) {
        if self.shared.commands.try_send(command).is_err() {
            tracing::debug!("dropped a word to the group: it is busy or gone");
        }
    }
}

pub(crate) fn client(channel: Channel) -> ControlClient<Channel> {
    ControlClient::new(channel)
        .max_decoding_message_size(MAX_BYTES)
        .max_encoding_message_size(MAX_BYTES)
}

/// One call with a bound on its time.
pub(crate) async fn call<T>(
    calling: impl Future<Output = Result<tonic::Response<T>, RpcStatus>>,
    patience: Duration,
) -> Result<T, CallError> {
    match timeout(patience, calling).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(CallError::Call(Box::new(status))),
        Err(_) => Err(CallError::Late),
    }
}

fn to_wire(ask: &Ask) -> wire::Asking {
    use wire::asking::What;
    let what = match ask {
        Ask::Join(info) => What::Join(info_to_wire(info)),
        Ask::Up(info) => What::Up(info_to_wire(info)),
        Ask::Drain(member) => What::Drain(member.0),
        Ask::Restore(member) => What::Restore(member.0),
        Ask::Remove(member) => What::Remove(member.0),
        Ask::Leave { member, incarnation } => {
            What::Leave(wire::Leave { member: member.0, incarnation: *incarnation })
        }
        Ask::Release { owner, moves } => {
            What::Release(wire::Releasing { owner: owner.0, moves: moves_to_wire(moves) })
        }
        Ask::CallOff { owner, moves } => {
            What::CallOff(wire::Releasing { owner: owner.0, moves: moves_to_wire(moves) })
        }
    };
    wire::Asking { what: Some(what) }
}
