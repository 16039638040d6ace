//! Owns the server's side of the control plane: whoever asks has proven a name, and says nothing for others
//! but what a member may.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use proto::MemberId;
use tokio::sync::{broadcast, oneshot};
use tokio::time::{interval, timeout};
use tonic::{Request, Response, Status as RpcStatus, Streaming};

use super::net::{CallError, Net, PATIENCE};
use crate::ask::{Ask, Verdict};
use crate::clock::BootTime;
use crate::lease::Heartbeat;
use crate::lease::vitals::Vitals;
use crate::peer;
use crate::plan::codec::{info_from_wire, moves_from_wire};
use crate::plan::{Plan, Status};
use crate::raft::driver::{Command, News};
use crate::wire;
use crate::wire::control_server::Control;

/// The service.
pub(crate) struct Service {
    pub(crate) net: Net,
}

/// The most Raft messages of one batch.
const MAX_BATCH: usize = 1024;

/// How often who follows the plan hears something.
const NEWS_PACE: Duration = Duration::from_secs(1);

type Answer<T> = Result<Response<T>, RpcStatus>;

#[tonic::async_trait]
impl Control for Service {
    async fn hello(&self, request: Request<wire::Greeting>) -> Answer<wire::Greeting> {
        let name = sender(&request)?;
        let greeting = request.into_inner();
        let info = self.net.judge(&name, &greeting).map_err(RpcStatus::failed_precondition)?;
        let mut founding = self.net.shared.founding.lock().unwrap_or_else(PoisonError::into_inner);
        founding.met(info, &greeting, BootTime::now());
        drop(founding);
        Ok(Response::new(self.net.greeting()))
    }

    async fn found(&self, request: Request<wire::Founding>) -> Answer<wire::Promise> {
        let name = sender(&request)?;
        let wire::Founding { plan, settled } = request.into_inner();
        let plan = Plan::decode(&plan).map_err(|error| invalid(&error))?;
        let bootstrapped = self.net.plan().is_bootstrapped();
        let mut founding = self.net.shared.founding.lock().unwrap_or_else(PoisonError::into_inner);
        let promised = match bootstrapped {
            true => Err("this member is in a cluster"),
            false => founding.asked(&name, plan, settled, BootTime::now()),
        };
        let why_not = promised.err().unwrap_or_default().to_owned();
        Ok(Response::new(wire::Promise { given: promised.is_ok(), why_not }))
    }

    async fn join(&self, request: Request<wire::Joining>) -> Answer<wire::Joined> {
        let name = sender(&request)?;
        let info = info_from_wire(request.into_inner().member).map_err(|e| invalid(&e))?;
        if *info.name != *name {
            return Err(foreign());
        }
        if !self.net.plan().is_bootstrapped() {
            return Ok(Response::new(wire::Joined::default()));
        }
        let id = info.id;
        // Who is of the first members may begin before there is a leader.
        let first = self.net.plan().index() == 1 && self.net.plan().member(id).is_some();
        let asked = if first { Ok(()) } else { self.net.ask(Ask::Join(info), PATIENCE * 2).await };
        let refused = match asked {
            Ok(()) => String::new(),
            Err(CallError::Refused(why)) => why,
            Err(error) => return Err(RpcStatus::unavailable(error.to_string())),
        };
        let mut plan = self.net.shared.plan.clone();
        let known = plan.wait_for(|plan| !refused.is_empty() || plan.member(id).is_some());
        let plan =
            timeout(PATIENCE, known).await.map_err(|_| late())?.map_err(|_| late())?.encode();
        let leader = self.net.leader().map_or(0, |id| id.0);
        Ok(Response::new(wire::Joined { plan: plan.into(), leader, refused }))
    }

    async fn beat(&self, request: Request<wire::Beating>) -> Answer<wire::Beaten> {
        self.check(&request, MemberId(request.get_ref().member))?;
        let beating = request.into_inner();
        let unreached = beating.unreached.into_iter().take(Plan::MAX_MEMBERS).map(MemberId);
        let heartbeat = Heartbeat {
            member: MemberId(beating.member),
            incarnation: beating.incarnation,
            sent: BootTime(beating.sent),
            applied: beating.applied,
            vitals: Vitals {
                lag: Duration::from_millis(beating.lag_millis),
                unreached: unreached.collect(),
                weight: beating.weight,
            },
        };
        let (sender, receiver) = oneshot::channel();
        let answer = Box::new(move |grant| {
            // Whoever asked has given up.
            sender.send(grant).ok();
        });
        self.net.tell(Command::Heartbeat(heartbeat, answer));
        let beaten = match timeout(PATIENCE, receiver).await {
            Ok(Ok(grant)) => wire::Beaten {
                granted: true,
                sent: grant.sent.0,
                ttl_nanos: u64::try_from(grant.ttl.as_nanos()).unwrap_or(0),
                min_index: grant.min_index,
                leader: 0,
            },
            _ => wire::Beaten {
                leader: self.net.leader().map_or(0, |id| id.0),
                ..wire::Beaten::default()
            },
        };
        Ok(Response::new(beaten))
    }

    async fn raft(&self, request: Request<Streaming<wire::RaftMessages>>) -> Answer<wire::Nothing> {
        let name = sender(&request)?;
        let mut batches = request.into_inner();
        while let Some(batch) = batches.message().await? {
            // Looked up each time: the plan may have another member of that name meanwhile.
            let from = self.member_named(&name).ok_or_else(foreign)?;
            if batch.messages.len() > MAX_BATCH {
                return Err(RpcStatus::resource_exhausted("too many messages at once"));
            }
            for message in batch.messages {
                self.net.tell(Command::Step(from, message));
            }
        }
        Ok(Response::new(wire::Nothing {}))
    }

    async fn ask(&self, request: Request<wire::Asking>) -> Answer<wire::Decision> {
        let name = sender(&request)?;
        let asker = self.member_named(&name).ok_or_else(foreign)?;
        let ask = self.asked(asker, request.into_inner())?;
        let verdict = self.net.ask_here(ask).await;
        Ok(Response::new(match verdict {
            Ok(Verdict::Done) => wire::Decision { done: true, ..wire::Decision::default() },
            Ok(Verdict::Refused(refused)) => {
                wire::Decision { refused, ..wire::Decision::default() }
            }
            Ok(Verdict::Elsewhere(leader)) => {
                let leader = leader.map_or(0, |id| id.0);
                wire::Decision { leader, ..wire::Decision::default() }
            }
            Err(_) => wire::Decision::default(),
        }))
    }

    type WatchPlanStream = Pin<Box<dyn Stream<Item = Result<wire::PlanNews, RpcStatus>> + Send>>;

    async fn watch_plan(&self, request: Request<wire::Watching>) -> Answer<Self::WatchPlanStream> {
        let name = sender(&request)?;
        self.member_named(&name).ok_or_else(foreign)?;
        let watcher = Watcher {
            net: self.net.clone(),
            news: self.net.shared.news.subscribe(),
            index: None,
            pace: interval(NEWS_PACE),
            silent: 0,
        };
        if !watcher.hears() {
            return Err(late());
        }
        let stream = unfold(watcher, |mut watcher| async move {
            let news = watcher.next().await?;
            Some((Ok(news), watcher))
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

impl Service {
    /// Whether a request comes from the member that it speaks for.
    fn check<T>(&self, request: &Request<T>, member: MemberId) -> Result<(), RpcStatus> {
        let name = sender(request)?;
        let plan = self.net.plan();
        let known = plan.member(member).is_some_and(|known| *known.info.name == *name);
        known.then_some(()).ok_or_else(foreign)
    }

    /// The member of a name, also one that is expelled and still votes.
    fn member_named(&self, name: &str) -> Option<MemberId> {
        let plan = self.net.plan();
        let named = plan.members().filter(|member| member.info.name == name);
        let id = named.max_by_key(|member| member.status != Status::Expelled);
        id.map(|member| member.info.id)
    }

    /// What a member may ask for: for itself, or for another what an operator there wants.
    fn asked(&self, asker: MemberId, asking: wire::Asking) -> Result<Ask, RpcStatus> {
        use wire::asking::What;
        let own = |member: MemberId| (member == asker).then_some(member).ok_or_else(foreign);
        Ok(match asking.what.ok_or_else(|| RpcStatus::invalid_argument("asks for nothing"))? {
            // The member that was asked first has checked its name.
            What::Join(info) => {
                Ask::Join(info_from_wire(Some(info)).map_err(|error| invalid(&error))?)
            }
            What::Up(info) => {
                let info = info_from_wire(Some(info)).map_err(|error| invalid(&error))?;
                own(info.id)?;
                Ask::Up(info)
            }
            What::Drain(member) => Ask::Drain(MemberId(member)),
            What::Restore(member) => Ask::Restore(MemberId(member)),
            What::Remove(member) => Ask::Remove(MemberId(member)),
            What::Leave(leave) => {
                Ask::Leave { member: own(MemberId(leave.member))?, incarnation: leave.incarnation }
            }
            What::Release(released) => Ask::Release {
                owner: own(MemberId(released.owner))?,
                moves: moves_from_wire(&released.moves).map_err(|error| invalid(&error))?,
            },
            What::CallOff(stay) => Ask::CallOff {
                owner: own(MemberId(stay.owner))?,
                moves: moves_from_wire(&stay.moves).map_err(|error| invalid(&error))?,
            },
        })
    }
}

/// Whoever follows the plan.
struct Watcher {
    net: Net,
    news: broadcast::Receiver<News>,
    /// Up to where it was told; none: it needs the whole.
    index: Option<u64>,
    pace: tokio::time::Interval,
    /// For how many paces Raft has said nothing here.
    silent: u32,
}

/// Longer than any election, in paces.
const MAX_SILENT: u32 = 2;

impl Watcher {
    /// Whether this member gets the plan by Raft: one that follows another itself has no news, and may follow in a ring.
    fn hears(&self) -> bool {
        self.net.shared.standing.borrow().follows
    }

    async fn next(&mut self) -> Option<wire::PlanNews> {
        let leader = self.net.leader().map_or(0, |id| id.0);
        let Some(index) = self.index else {
            let plan = self.net.plan();
            self.index = Some(plan.index());
            return Some(wire::PlanNews { leader, plan: plan.encode().into(), changes: vec![] });
        };
        let news = tokio::select! {
            news = self.news.recv() => Some(news),
            _ = self.pace.tick() => None,
        };
        let changes = match news {
            Some(Ok(News::Entry(at, _))) if at <= index => vec![],
            Some(Ok(News::Entry(at, entry))) if at == index + 1 => {
                self.index = Some(at);
                vec![wire::Change { index: at, entry }]
            }
            // A gap: more has happened than is kept, or the plan came whole.
            Some(Ok(_) | Err(broadcast::error::RecvError::Lagged(_))) => {
                self.index = None;
                vec![]
            }
            Some(Err(broadcast::error::RecvError::Closed)) => return None,
            None => {
                self.silent = if self.hears() { 0 } else { self.silent + 1 };
                if self.silent > MAX_SILENT {
                    return None;
                }
                vec![]
            }
        };
        Some(wire::PlanNews { leader, plan: Bytes::new(), changes })
    }
}

/// The proven name of whoever asks.
fn sender<T>(request: &Request<T>) -> Result<Arc<str>, RpcStatus> {
    peer::name(request.extensions()).map(Arc::from).ok_or_else(foreign)
}

fn foreign() -> RpcStatus {
    RpcStatus::permission_denied("no member of this cluster, or not the one that it says")
}

fn late() -> RpcStatus {
    RpcStatus::unavailable("the plan is late")
}

fn invalid(error: &crate::plan::CodecError) -> RpcStatus {
    RpcStatus::invalid_argument(error.to_string())
}
