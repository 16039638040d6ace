//! Owns what is true of all members together, for whoever asks one of them: their sessions, their streams with other
//! servers, who is in their rooms. Each knows its own; the others are asked over gRPC (`proto/administration.proto`).

mod asking;
mod occupants;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use accounts::administration;
use cluster::plan::Status;
use cluster::{Peers, PlanHandle};
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{Iter, iter};
use proto::{Body, MemberId, Route, SessionId};
use router::Router;
use router::directory::Seen;
use tokio::time::timeout;
use tonic::server::NamedService as _;
use tonic::service::Routes;
use tonic::{Request, Response};
use xmpp::{BareJid, FullJid};

use crate::federation::Federation;
use crate::rooms::Rooms;
use pb::administration_client::AdministrationClient;
use pb::administration_server::{Administration, AdministrationServer};

/// The messages of `proto/administration.proto`.
#[expect(
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated code has its own style"
)]
mod pb {
    include!(concat!(env!("OUT_DIR"), "/rookery.administration.rs"));
}

/// How long a member may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sessions in one message.
const PAGE: usize = 1_000;

/// All members, as this one sees them.
#[derive(Clone)]
pub struct Members {
    /// Who has a connection to this one.
    pub router: Router,
    /// Who they are.
    pub plan: PlanHandle,
    /// The way to the others; none for a member alone.
    pub peers: Option<Peers>,
    /// Streams with other servers and components.
    pub federation: Arc<dyn Federation>,
    /// Rooms.
    pub rooms: Arc<dyn Rooms>,
    /// Sessions of this member that wait to be resumed.
    pub waiting: Waiting,
}

/// Lists sessions that wait to be resumed, of a full or bare address; all where none is named.
pub type Waiting = Arc<dyn Fn(Option<&str>) -> Vec<Seen> + Send + Sync>;

/// Sessions of all members that have answered.
struct Found {
    /// Each with the name of its member, by address.
    sessions: Vec<(String, Seen)>,
    /// The names of members that have not.
    silent: Vec<String>,
}

impl Members {
    /// Lets other members ask this one.
    pub fn serve(&self) {
        if let Some(peers) = &self.peers {
            let server = AdministrationServer::new(Service {
                router: self.router.clone(),
                federation: Arc::clone(&self.federation),
                rooms: Arc::clone(&self.rooms),
                waiting: Arc::clone(&self.waiting),
            });
            peers.serve(AdministrationServer::<Service>::NAME, Routes::new(server));
        }
    }

    /// Those that are not expelled, with their names.
    fn present(&self) -> Vec<(MemberId, String)> {
        let plan = self.plan.latest();
        let present = plan.members().filter(|member| member.status != Status::Expelled);
        present.map(|member| (member.info.id, member.info.name.clone())).collect()
    }

    /// The sessions of a full or bare address; all where none is named.
    async fn sessions(&self, jid: Option<&str>) -> Found {
        let me = self.router.member();
        let answers = self.present().into_iter().map(async |(id, name)| {
            let seen = match &self.peers {
                Some(peers) if id != me => ask(peers.clone(), id, jid).await,
                _ => Some(own(&self.router, &self.waiting, jid)),
            };
            (name, seen)
        });
        let mut found = Found { sessions: Vec::new(), silent: Vec::new() };
        for (name, seen) in join_all(answers).await {
            match seen {
                Some(seen) => {
                    found.sessions.extend(seen.into_iter().map(|seen| (name.clone(), seen)));
                }
                None => found.silent.push(name),
            }
        }
        found.sessions.sort_by(|(_, a), (_, b)| a.jid.cmp(&b.jid));
        found
    }
}

impl administration::Sessions for Members {
    fn list(&self, of: Option<String>) -> BoxFuture<'static, administration::Seen> {
        let members = self.clone();
        Box::pin(async move {
            let Found { sessions, silent } = members.sessions(of.as_deref()).await;
            let session = |(member, Seen { id, jid, address, since, idle, until })| {
                administration::Session { id, jid, address, since, idle, until, member }
            };
            administration::Seen { sessions: sessions.into_iter().map(session).collect(), silent }
        })
    }

    fn order(&self, to: Route, body: Body) {
        self.router.order(to, body);
    }
}

/// The sessions of this member: those that have a connection here, and those that live here and have none.
fn own(router: &Router, waiting: &Waiting, jid: Option<&str>) -> Vec<Seen> {
    let mut seen = router.directory().list(jid);
    seen.extend(waiting(jid));
    seen
}

/// What another member says; none if it does not in time.
async fn ask(peers: Peers, member: MemberId, jid: Option<&str>) -> Option<Vec<Seen>> {
    let jid = jid.unwrap_or_default().to_owned();
    let runtime = peers.runtime().clone();
    let asked = runtime.spawn(timeout(PATIENCE, async move {
        let channel = peers.connect(member).await.ok()?;
        let mut client = AdministrationClient::new(channel);
        let mut pages = client.sessions(pb::Which { jid }).await.ok()?.into_inner();
        let mut seen = Vec::new();
        while let Some(page) = pages.message().await.ok()? {
            seen.extend(page.sessions.into_iter().filter_map(read));
        }
        Some(seen)
    }));
    asked.await.ok()?.ok()?
}

/// What others ask for.
struct Service {
    router: Router,
    federation: Arc<dyn Federation>,
    rooms: Arc<dyn Rooms>,
    waiting: Waiting,
}

#[tonic::async_trait]
impl Administration for Service {
    type SessionsStream = Iter<std::vec::IntoIter<Result<pb::Sessions, tonic::Status>>>;

    async fn sessions(
        &self,
        request: Request<pb::Which>,
    ) -> Result<Response<Self::SessionsStream>, tonic::Status> {
        let jid = request.into_inner().jid;
        let jid = Some(jid.as_str()).filter(|jid| !jid.is_empty());
        let seen = own(&self.router, &self.waiting, jid);
        let pages: Vec<_> = seen
            .chunks(PAGE)
            .map(|page| Ok(pb::Sessions { sessions: page.iter().map(write).collect() }))
            .collect();
        Ok(Response::new(iter(pages)))
    }

    type StreamsStream = Iter<std::vec::IntoIter<Result<pb::Streams, tonic::Status>>>;

    async fn streams(
        &self,
        _: Request<pb::Everything>,
    ) -> Result<Response<Self::StreamsStream>, tonic::Status> {
        let pages: Vec<_> = streams::pages(self.federation.streams()).into_iter().map(Ok).collect();
        Ok(Response::new(iter(pages)))
    }

    async fn reset(
        &self,
        request: Request<pb::Remote>,
    ) -> Result<Response<pb::Count>, tonic::Status> {
        let domain = request.into_inner().domain;
        let domain = Some(domain.as_str()).filter(|domain| !domain.is_empty());
        let count = self.federation.reset(domain) as u64;
        Ok(Response::new(pb::Count { count }))
    }

    async fn occupants(
        &self,
        request: Request<pb::Rooms>,
    ) -> Result<Response<pb::Occupancy>, tonic::Status> {
        let count =
            |jid: &String| BareJid::parse(jid).map_or(0, |room| self.rooms.occupants(&room)) as u64;
        let occupants = request.into_inner().jids.iter().map(count).collect();
        Ok(Response::new(pb::Occupancy { occupants }))
    }

    async fn ask(
        &self,
        request: Request<pb::Question>,
    ) -> Result<Response<pb::Answer>, tonic::Status> {
        let stanza = asking::answer(&*self.rooms, request.into_inner()).await;
        Ok(Response::new(pb::Answer { stanza }))
    }
}

fn write(seen: &Seen) -> pb::Session {
    pb::Session {
        account: seen.id.account.to_string(),
        uid: seen.id.uid,
        jid: seen.jid.to_string(),
        address: seen.address.clone(),
        since: seen.since,
        idle: seen.idle,
        until: seen.until,
    }
}

fn read(session: pb::Session) -> Option<Seen> {
    let pb::Session { account, uid, jid, address, since, idle, until } = session;
    let (account, jid) = (BareJid::parse(&account).ok()?, FullJid::parse(&jid).ok()?);
    Some(Seen { id: SessionId { account, uid }, jid, address, since, idle, until })
}
