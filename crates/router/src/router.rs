//! Owns the way from a route to an arbiter: route -> bucket -> shard -> plan -> member -> arbiter.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use cluster::plan::Status;
use cluster::{HashKey, Lease, Plan, PlanHandle};
use meter::Counter;
use proto::wire::Crossing;
use proto::{
    ArbiterId, Body, ConnectionId, CopyId, Envelope, Hosts, MemberId, RemoteId, Route, StreamId,
};
use xmpp::{BareJid, Bucket, Epoch, Fence, Jid, Origin, Shard, Stanza};

use crate::directory::Directory;
use crate::inbox::{Inbox, Post};
use crate::link::{Links, lane_of};
use crate::local::{self, Refusal};

/// How often it is looked whether others have taken what was sent.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Shared by all threads of the process.
#[derive(Clone)]
pub struct Router {
    shared: Arc<Shared>,
}

struct Shared {
    id: u64,
    member: MemberId,
    plan: PlanHandle,
    lease: Lease,
    hosts: Hosts,
    inboxes: Vec<Inbox>,
    directory: Arc<Directory>,
    refused: Counter,
    gone: Counter,
    links: OnceLock<Weak<Links>>,
    /// The gate to other servers, where there is one.
    others: OnceLock<Weak<dyn RemoteGate>>,
    /// The gate to components, where there is one.
    components: OnceLock<Weak<dyn RemoteGate>>,
    /// In the place of a session's number in what operators cause: like those, no other has it.
    operator: u64,
    orders: AtomicU64,
    /// Shards that nothing from outside gets into: a bit for each.
    closed: [AtomicU64; CLOSED_WORDS],
}

const CLOSED_WORDS: usize = Shard::COUNT as usize / 64;

/// Where envelopes go that leave the cluster here: for other servers' domains or components that this member owns, or
/// for a component's stream that it holds.
pub trait RemoteGate: Send + Sync {
    /// Takes an envelope whose route is [`Route::Remote`] or [`Route::Component`], or a [`Route::Stream`]; gives it back,
    /// with the reason, where it does not. Called from any thread.
    fn take(&self, envelope: Envelope) -> Option<(Envelope, Refusal)>;

    /// Whether something is on its way out that whoever owns this shard sends. Called from any thread.
    fn is_sending(&self, _shard: Shard) -> bool {
        false
    }
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To an arbiter of this member.
    Here(ArbiterId),
    /// To another member.
    Member(MemberId),
    /// What has no state has no owner: whatever arbiter asks.
    Anywhere,
    /// To another server.
    Remote,
    /// The shard has no owner that we know of.
    Nobody,
}

impl Router {
    /// `inboxes` has one entry per arbiter of this member.
    pub fn new(
        member: MemberId,
        plan: PlanHandle,
        lease: Lease,
        hosts: Hosts,
        inboxes: Vec<Inbox>,
    ) -> Self {
        static ROUTERS: AtomicU64 = AtomicU64::new(0);
        let id = ROUTERS.fetch_add(1, Ordering::Relaxed);
        let (refused, gone) = (Counter::default(), Counter::default());
        let directory = Arc::default();
        let shared = Shared {
            id,
            member,
            plan,
            lease,
            hosts,
            inboxes,
            directory,
            refused,
            gone,
            links: OnceLock::new(),
            others: OnceLock::new(),
            components: OnceLock::new(),
            operator: Origin::session_number(RandomState::new().hash_one(member)),
            orders: AtomicU64::new(1),
            closed: std::array::from_fn(|_| AtomicU64::new(0)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Looks at the plan through this thread's own reader, which costs one atomic load.
    fn with_plan<T>(&self, look: impl FnOnce(&Arc<Plan>) -> T) -> T {
        thread_local! {
            static READERS: RefCell<Vec<(u64, PlanHandle)>> = const { RefCell::new(Vec::new()) };
        }
        READERS.with_borrow_mut(|readers| {
            let index = match readers.iter().position(|(id, _)| *id == self.shared.id) {
                Some(index) => index,
                None => {
                    readers.push((self.shared.id, self.shared.plan.clone()));
                    readers.len() - 1
                }
            };
            look(readers[index].1.get())
        })
    }

    /// The domains of this cluster.
    pub fn hosts(&self) -> &Hosts {
        &self.shared.hosts
    }

    /// Who has a connection here.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.shared.directory
    }

    /// This member.
    pub fn member(&self) -> MemberId {
        self.shared.member
    }

    /// The right to act, checked where effects leave.
    pub fn lease(&self) -> &Lease {
        &self.shared.lease
    }

    /// The route of an address (RFC 6120 §10).
    pub fn route_of(&self, to: &Jid) -> Route {
        Route::of(to, &self.shared.hosts)
    }

    /// The route of an address to which somebody writes.
    pub fn route_between(&self, from: Option<&Jid>, to: &Jid) -> Route {
        Route::between(from, to, &self.shared.hosts)
    }

    /// The bucket of a bare JID.
    pub fn bucket(&self, jid: &BareJid) -> Bucket {
        self.with_plan(|plan| plan.hash_key().bucket(jid))
    }

    /// By what right this member acts for a bare JID; none where another member, or nobody, owns it.
    pub fn fence(&self, jid: &BareJid) -> Option<Fence> {
        self.with_plan(|plan| plan.fence(self.shared.member, jid))
    }

    /// The arbiter of this member on which a bare JID's actors live.
    pub fn arbiter_of(&self, bucket: Bucket) -> ArbiterId {
        let count = u16::try_from(self.shared.inboxes.len()).unwrap_or(u16::MAX).max(1);
        ArbiterId(bucket.number() % count)
    }

    /// Where a route leads.
    pub fn place(&self, route: &Route) -> Place {
        self.locate(route).0
    }

    /// Where a route leads, and the bucket of its address.
    pub(crate) fn locate(&self, route: &Route) -> (Place, Option<Bucket>) {
        match route {
            Route::Connection(connection) => (self.place_connection(connection), None),
            Route::Domain(_) => (Place::Anywhere, None),
            Route::Remote(id) => self.place_remote(id),
            Route::User(jid) | Route::Room(jid) | Route::Nodes(jid) | Route::Component(jid) => {
                self.place_jid(jid)
            }
            Route::Stream(stream) => (self.place_stream(stream), None),
            Route::Session(session) => self.place_jid(&session.account),
            Route::Service(id) => self.place_jid(&id.by),
            Route::Copy(copy) => (self.place_copy(copy), None),
            Route::Member(member) if *member == self.shared.member => (Place::Anywhere, None),
            Route::Member(member) => (Place::Member(*member), None),
        }
    }

    /// A copy is where its entity would be, were the member its owner.
    fn place_copy(&self, copy: &CopyId) -> Place {
        match copy.of.key() {
            Some(jid) if copy.member == self.shared.member => {
                Place::Here(self.arbiter_of(self.bucket(jid)))
            }
            Some(_) => Place::Member(copy.member),
            None => Place::Nobody,
        }
    }

    fn place_connection(&self, connection: &ConnectionId) -> Place {
        if connection.member == self.shared.member {
            Place::Here(connection.arbiter)
        } else {
            Place::Member(connection.member)
        }
    }

    fn place_stream(&self, stream: &StreamId) -> Place {
        if stream.member == self.shared.member {
            Place::Here(self.arbiter_of(self.bucket(&stream.domain)))
        } else {
            Place::Member(stream.member)
        }
    }

    /// The way to another server's domain begins at the owner of its queue, if this member has a gate to others: then
    /// its owner has one too.
    fn place_remote(&self, id: &RemoteId) -> (Place, Option<Bucket>) {
        match self.shared.others.get() {
            Some(_) => self.place_hashed(|key| key.remote_bucket(id)),
            None => (Place::Remote, None),
        }
    }

    fn place_jid(&self, jid: &BareJid) -> (Place, Option<Bucket>) {
        self.place_hashed(|key| key.bucket(jid))
    }

    fn place_hashed(&self, bucket: impl Fn(&HashKey) -> Bucket) -> (Place, Option<Bucket>) {
        let (bucket, owner) = self.with_plan(|plan| {
            let bucket = bucket(plan.hash_key());
            (bucket, plan.owner(bucket.shard()))
        });
        let place = match owner {
            Some((owner, _)) if owner == self.shared.member => Place::Here(self.arbiter_of(bucket)),
            Some((owner, _)) => Place::Member(owner),
            None => Place::Nobody,
        };
        (place, Some(bucket))
    }

    /// The lane of an envelope to another member.
    pub(crate) fn lane_of(&self, envelope: &Envelope, bucket: Option<Bucket>) -> usize {
        lane_of(envelope, bucket, |from| self.bucket(&from.bare()))
    }

    /// The buckets of everybody whom a stanza in an envelope is for.
    pub(crate) fn buckets_of(&self, envelope: &Envelope) -> Vec<Bucket> {
        envelope.recipients().map(|target| self.bucket(&target.jid.bare())).collect()
    }

    /// What an envelope for this bucket carries to another member.
    pub(crate) fn crossing(&self, envelope: &Envelope, bucket: Option<Bucket>) -> Crossing {
        let epoch = bucket.and_then(|it| self.with_plan(|plan| plan.epoch_of(it.shard())));
        let receipt = envelope.receipt.is_some();
        Crossing { bucket, epoch: epoch.unwrap_or_default(), receipt, anew: false }
    }

    /// The plan that this thread goes by.
    pub fn plan(&self) -> Arc<Plan> {
        self.with_plan(Arc::clone)
    }

    /// The process that the plan knows as this member, and whether it has it out.
    pub fn standing(&self) -> Option<(u64, bool)> {
        let own = |plan: &Arc<Plan>| {
            let own = plan.member(self.member())?;
            Some((own.info.incarnation, own.status == Status::Expelled))
        };
        self.with_plan(own)
    }

    /// The index of the plan that this thread goes by.
    pub fn plan_index(&self) -> u64 {
        self.with_plan(|plan| plan.index())
    }

    /// The index of the plan that the ways to other members go by.
    pub fn linked_plan_index(&self) -> u64 {
        self.links().map_or(0, |links| links.plan_index())
    }

    /// The cluster's UUID, in halves.
    pub(crate) fn cluster(&self) -> [u64; 2] {
        let uuid = self.with_plan(|plan| plan.cluster()).0;
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
        [half(uuid >> 64), half(uuid)]
    }

    /// From now on nothing gets into a shard of this member's but what its entities say to each other: it waits at
    /// whoever sends it, or goes to whom the next plan names.
    pub fn close(&self, shard: Shard) {
        let (word, bit) = self.closed(shard);
        word.fetch_or(bit, Ordering::SeqCst);
    }

    /// Waits until all that was let in before shards were [closed](Self::close) has been taken by the arbiters that it is
    /// for. Says whether it has: not where this member may not act.
    pub async fn has_let_in_all(&self) -> bool {
        if let Some(links) = self.links() {
            links.finish_deliveries();
        }
        // First what each has for the others goes into their inboxes, then all that is in there is taken.
        for _ in 0..2 {
            let heard: Vec<_> = self.shared.inboxes.iter().map(Inbox::has_handed_on).collect();
            for heard in heard {
                if heard.await.is_err() {
                    return false;
                }
            }
        }
        true
    }

    /// What waits for a shard goes on.
    pub fn open(&self, shard: Shard) {
        let (word, bit) = self.closed(shard);
        word.fetch_and(!bit, Ordering::SeqCst);
        self.tell_all(|| Post::Look);
    }

    /// Whether nothing from outside gets into a bucket's shard.
    pub(crate) fn is_closed(&self, bucket: Bucket) -> bool {
        let (word, bit) = self.closed(bucket.shard());
        word.load(Ordering::SeqCst) & bit != 0
    }

    fn closed(&self, shard: Shard) -> (&AtomicU64, u64) {
        let number = usize::from(shard.number());
        (&self.shared.closed[number / 64], 1 << (number % 64))
    }

    /// Waits until others have taken all that the entities of a shard have sent.
    pub async fn sent_all(&self, shard: Shard) {
        while self.links().is_some_and(|links| !links.outputs.is_none(shard)) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until nothing is on its way to other servers that the owner of a shard sends.
    pub async fn sent_out_all(&self, shard: Shard) {
        let is_sending = || {
            let gate = self.shared.others.get().and_then(Weak::upgrade);
            gate.is_some_and(|gate| gate.is_sending(shard))
        };
        while is_sending() {
            tokio::time::sleep(LOOK_EVERY * 10).await;
        }
    }

    /// From now on there is a way to other servers, as long as the gate is there.
    pub fn open_to_others(&self, gate: &Arc<dyn RemoteGate>) {
        // As with links: a second time changes nothing.
        drop(self.shared.others.set(Arc::downgrade(gate)));
    }

    /// From now on there is a way to components, as long as the gate is there.
    pub fn open_to_components(&self, gate: &Arc<dyn RemoteGate>) {
        drop(self.shared.components.set(Arc::downgrade(gate)));
    }

    /// Hands an envelope to the gate that it leaves by, which may give it back.
    pub(crate) fn send_out(&self, envelope: Envelope) -> Option<(Envelope, Refusal)> {
        let gate = match &envelope.to {
            Route::Component(_) => &self.shared.components,
            Route::Stream(stream) if self.is_component(&stream.domain) => &self.shared.components,
            _ => &self.shared.others,
        };
        match gate.get().and_then(Weak::upgrade) {
            Some(gate) => gate.take(envelope),
            None => Some((envelope, Refusal::NoRemote)),
        }
    }

    /// Whether a component speaks for a domain.
    pub(crate) fn is_component(&self, domain: &BareJid) -> bool {
        matches!(self.route_of(&Jid::from(domain.clone())), Route::Component(_))
    }

    /// From now on there is a way to other members.
    pub(crate) fn connect(&self, links: &Arc<Links>) {
        // A router is linked once; a second time would be a fault of the wiring, and changes nothing.
        drop(self.shared.links.set(Arc::downgrade(links)));
    }

    /// The way to other members, if there is one.
    pub fn links(&self) -> Option<Arc<Links>> {
        self.shared.links.get().and_then(Weak::upgrade)
    }

    /// The epoch of what this member sends on behalf of a bare JID.
    pub fn epoch(&self, jid: &BareJid) -> Epoch {
        self.fence(jid).map(|fence| fence.epoch).unwrap_or_default()
    }

    /// By what right its owner acts for a bare JID: for operators, who change rows wherever they are.
    pub fn owners_fence(&self, jid: &BareJid) -> Option<Fence> {
        self.with_plan(|plan| plan.owners_fence(jid))
    }

    /// Sends an actor what an operator of this member orders. Control envelopes are never refused.
    pub fn order(&self, to: Route, body: Body) {
        let seq = self.shared.orders.fetch_add(1, Ordering::Relaxed);
        let origin = Origin::Client { session: self.shared.operator, seq, part: 0 };
        let epoch = to.key().map(|jid| self.epoch(jid)).unwrap_or_default();
        drop(self.post(vec![Envelope::new(to, body, origin, epoch)]));
    }

    /// Sends from any thread. On an arbiter this is the arbiter's own turn; elsewhere the envelopes go
    /// into inboxes, and what does not fit comes back.
    pub fn post(&self, envelopes: Vec<Envelope>) -> Vec<Envelope> {
        if local::is_arbiter() {
            local::route(envelopes);
            return Vec::new();
        }
        let mut refused = Vec::new();
        for envelope in envelopes {
            let arbiter = match self.locate(&envelope.to) {
                (Place::Here(arbiter), _) => arbiter,
                // Always the same one, whoever owns the shard: what waits there for its way is passed by nothing.
                (_, Some(bucket)) => self.arbiter_of(bucket),
                // Any arbiter can find out what to say to it.
                _ => ArbiterId(0),
            };
            refused.extend(self.push(arbiter, vec![envelope]));
        }
        refused
    }

    /// Puts a batch into an arbiter's inbox; gives back what does not fit.
    fn push(&self, arbiter: ArbiterId, batch: Vec<Envelope>) -> Vec<Envelope> {
        self.put(arbiter, batch, Inbox::push)
    }

    /// The same, of what was let into the shards that it is for.
    pub(crate) fn let_in(&self, arbiter: ArbiterId, batch: Vec<Envelope>) -> Vec<Envelope> {
        self.put(arbiter, batch, Inbox::let_in)
    }

    fn put(
        &self,
        arbiter: ArbiterId,
        batch: Vec<Envelope>,
        put: impl FnOnce(&Inbox, Vec<Envelope>) -> Vec<Envelope>,
    ) -> Vec<Envelope> {
        let Some(inbox) = self.shared.inboxes.get(usize::from(arbiter.0)) else {
            return batch;
        };
        let refused = put(inbox, batch);
        if !refused.is_empty() {
            self.shared.refused.add(refused.len() as u64);
        }
        refused
    }

    /// Whether an arbiter has room for another stanza.
    pub(crate) fn has_room(&self, arbiter: ArbiterId) -> bool {
        self.shared.inboxes.get(usize::from(arbiter.0)).is_some_and(Inbox::has_room)
    }

    /// Tells an arbiter something. Nobody is there only when the process stops.
    pub(crate) fn tell(&self, arbiter: ArbiterId, post: Post) {
        if let Some(inbox) = self.shared.inboxes.get(usize::from(arbiter.0)) {
            drop(inbox.tell(post));
        }
    }

    /// Has a component that has another stream be told who is here, on every member.
    pub fn tell_of_component(&self, domain: &BareJid) {
        self.tell_all(|| Post::ComponentConnected(domain.clone()));
        self.order_others(|| Body::ComponentConnected(domain.clone()));
    }

    /// Tells every member what a component can do in the server's place: its answer to disco#info (XEP-0355 §7.2).
    pub fn disclose(&self, answer: &Stanza) {
        self.hosts().disclosed().learn(answer);
        self.order_others(|| Body::Disclosed(answer.clone()));
    }

    fn order_others(&self, word: impl Fn() -> Body) {
        let me = self.shared.member;
        let plan = self.plan();
        let others = plan.members().filter(|it| it.info.id != me && it.status != Status::Expelled);
        for member in others {
            self.order(Route::Member(member.info.id), word());
        }
    }

    /// Tells every arbiter.
    pub(crate) fn tell_all(&self, post: impl Fn() -> Post) {
        for inbox in &self.shared.inboxes {
            drop(inbox.tell(post()));
        }
    }

    /// Envelopes waiting in front of each arbiter, for metrics.
    pub fn waiting(&self) -> Vec<usize> {
        self.shared.inboxes.iter().map(Inbox::waiting).collect()
    }

    /// Stanzas for connections that had gone, since the start, for metrics. With stream management the
    /// session has them still.
    pub fn gone(&self) -> u64 {
        self.shared.gone.get()
    }

    /// A stanza came for a connection that had gone.
    pub fn count_gone(&self) {
        self.shared.gone.add_one();
    }

    /// Envelopes that an inbox had no room for since the start, for metrics.
    pub fn refused(&self) -> u64 {
        self.shared.refused.get()
    }
}

#[cfg(test)]
mod tests;
