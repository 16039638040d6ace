//! Owns the unplanned takeover on one arbiter: shuts the gates of shards whose owner is gone, tells new owners what is
//! held here, and lets entities go on from their second copies when all have spoken.
//!
//! ```text
//! a plan -> gates shut (at once, before anything for the shards is delivered)
//!        -> told: copies kept here, sockets, claims; then "all said" to each member whose shards have changed
//! all members have said so -> entities start from the best copy -> what waited is delivered
//! ```

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cluster::Plan;
use cluster::plan::Ownership;
use futures_util::future::join_all;
use proto::{Announced, Body, CopyId, CopyUpdate, Envelope, MemberId, Route};
use tokio::sync::oneshot;
use xmpp::{BareJid, Epoch, Origin, Shard};

use super::Host;
use super::copies::{Copies, Told};
use super::gates::{Gates, Passage, taken, to_tell};
use super::handoff::Part;
use crate::actor::{Act, ActorState, Order};
use crate::refuse::Fault;

/// So many are told in a row before others have their turn.
const STEP: usize = 64;
/// How often to look whether there is room on the way to a member.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long it is known which shards have new owners: longer than anything stands still.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Longer than what comes from another member stood still there before it was expected here.
const ON_THE_WAY: Duration = Duration::from_secs(10);
/// Before a keeper for whom there was no room is told again.
const PAUSE: Duration = Duration::from_millis(100);

/// What an arbiter knows of takeovers.
#[derive(Default)]
pub(super) struct Takeover {
    /// The plan of the last look.
    plan: Option<Arc<Plan>>,
    gates: Gates,
    /// What this member keeps as a standby.
    pub(super) copies: Copies,
    /// What was told of shards that wait.
    told: HashMap<Route, Told>,
    /// The plan up to which everything was told from here.
    said: Option<Arc<Plan>>,
    speaking: bool,
    /// Members that died while gates were shut.
    gone: Vec<MemberId>,
    /// What shards have new owners of late, and since when: for what stood still then.
    recent: Vec<(Duration, Act)>,
}

impl Host {
    /// Looks at the plan where there is another one. Cheap enough to be asked before each delivery.
    pub(super) fn keep_up(&self) {
        if !self.linked.get() || self.arbiter.router.plan_index() == self.seen.get() {
            return;
        }
        let now = self.arbiter.router.plan();
        self.seen.set(now.index());
        let before = self.takeover.borrow_mut().plan.replace(Arc::clone(&now));
        self.arbiter.follow(Arc::clone(&now));
        let me = self.arbiter.router.member();
        if before.as_deref().is_some_and(|before| is_another(before, &now, me)) {
            // What was given to a former self has been given to somebody else since.
            self.takeover.borrow_mut().copies = Copies::default();
            actix_rt::spawn(async {
                router::local::edges().iter().for_each(|edge| edge.expelled())
            });
        }
        let lost = lost(before.as_deref(), &now, me);
        if !lost.is_empty() {
            self.give_up(&lost);
        }
        let since = now.member(me).map_or(0, |member| member.shards_changed);
        let mut takeover = self.takeover.borrow_mut();
        for (shard, owner) in taken(before.as_deref(), &now) {
            if owner == me {
                takeover.gates.shut(shard, since);
            }
        }
        drop(takeover);
        self.open_ready();
        let without = before.map(|before| without_copies(&before, &now, me)).unwrap_or_default();
        if !without.is_empty() {
            self.mirror_again(without);
        }
    }

    /// Somebody else owns these shards, or another right is needed for them: what is here of them says nothing more.
    fn give_up(&self, lost: &HashSet<Shard>) {
        let routes: Vec<Route> =
            lost.iter().flat_map(|shard| self.entities(Part::Shard(*shard))).collect();
        for route in routes {
            if let Some(entry) = self.table.borrow().get(&route) {
                entry.mailbox.order(Order::of(Act::End));
            }
            self.forget(&route);
        }
        let mut waiting = Vec::new();
        for shard in lost {
            waiting.extend(self.takeover.borrow_mut().gates.open(*shard));
        }
        if !waiting.is_empty() {
            actix_rt::spawn(async move { router::local::route(waiting) });
        }
    }

    /// What was to be told a keeper has found no way or no room on it: it is told all, a little later, and whoever waits
    /// goes on waiting until it has that.
    pub(super) fn note_lost_copy(&self, envelope: &mut Envelope) {
        let (Route::Copy(id), Body::Copy(update)) = (&envelope.to, &envelope.body) else { return };
        if !matches!(update, CopyUpdate::Whole(_) | CopyUpdate::Change(_)) {
            return;
        }
        let (host, of, receipt) = (self.arbiter.host(), id.of.clone(), envelope.receipt.take());
        actix_rt::spawn(async move {
            tokio::time::sleep(PAUSE).await;
            let entry = |host: Rc<Self>| Some(Rc::clone(&host.table.borrow().get(&of)?.mailbox));
            match (host.and_then(entry), receipt) {
                (Some(mailbox), receipt) => {
                    mailbox.order(Order { receipt, ..Order::of(Act::Mirror(true)) });
                }
                // There is nothing left to be kept.
                (None, Some(receipt)) => receipt.release(),
                (None, None) => {}
            }
        });
    }

    /// Lets pass what need not wait for its shard.
    pub(super) fn pass_gates(&self, route: &Route, run: Vec<Envelope>) -> Vec<Envelope> {
        if self.takeover.borrow().gates.is_empty() || !has_shard(route) {
            return run;
        }
        let Some(key) = route.key() else { return run };
        let shard = self.arbiter.router.bucket(key).shard();
        let (mut pass, mut full) = (Vec::new(), Vec::new());
        let mut takeover = self.takeover.borrow_mut();
        for envelope in run {
            let within = envelope.is_within();
            match takeover.gates.pass(shard, envelope, within) {
                Passage::Passes(envelope) => pass.push(envelope),
                Passage::Waits => {}
                Passage::Full(envelope) => full.push(envelope),
            }
        }
        drop(takeover);
        for envelope in full {
            self.arbiter.refuse(envelope, Fault::Mailbox);
        }
        pass
    }

    /// Takes what is said about a copy: kept for its owner, or told to a new one.
    pub(super) fn take_copies(&self, id: &CopyId, run: Vec<Envelope>) {
        let Some(key) = id.of.key() else { return };
        let shard = self.arbiter.router.bucket(key).shard();
        let mut takeover = self.takeover.borrow_mut();
        for envelope in run {
            let Body::Copy(update) = envelope.body else { continue };
            match update {
                CopyUpdate::Kept { .. } | CopyUpdate::Claim(_) => {
                    if takeover.gates.is_shut(shard) {
                        takeover.told.entry((*id.of).clone()).or_default().take(update);
                    }
                }
                update => takeover.copies.take((*id.of).clone(), envelope.epoch, update),
            }
            if let Some(receipt) = envelope.receipt {
                receipt.release();
            }
        }
    }

    /// Whether the former owner of a shard is gone without having handed it over: what lives there goes on from copies.
    pub fn goes_on_from_copies(&self, shard: Shard) -> bool {
        self.keep_up();
        self.takeover.borrow().gates.is_shut(shard)
    }

    /// A thread of a member has said all it holds.
    pub(super) fn hear_announced(&self, announced: Announced) {
        self.keep_up();
        self.takeover.borrow_mut().gates.hear(announced);
        self.open_ready();
    }

    /// While gates are shut, sessions may come back whose sockets have died meanwhile.
    pub(super) fn note_gone(&self, member: MemberId) {
        let mut takeover = self.takeover.borrow_mut();
        if !takeover.gates.is_empty() {
            takeover.gone.push(member);
        }
    }

    fn open_ready(&self) {
        let Some(host) = self.arbiter.host() else { return };
        let mut takeover = self.takeover.borrow_mut();
        let Some(plan) = takeover.plan.clone() else { return };
        let shards = takeover.gates.ready(&plan);
        if shards.is_empty() {
            return;
        }
        let is_of = |route: &Route| {
            route.key().is_some_and(|key| shards.contains(&plan.hash_key().bucket(key).shard()))
        };
        let mut told: HashMap<Route, Told> =
            takeover.told.extract_if(|route, _| is_of(route)).collect();
        for (route, copy) in takeover.copies.remove(is_of) {
            told.entry(route).or_default().add(copy);
        }
        drop(takeover);
        actix_rt::spawn(async move {
            host.go_on_from(told).await;
            host.open(&shards);
        });
    }

    /// Entities start from what there is of them.
    async fn go_on_from(&self, told: HashMap<Route, Told>) {
        let mut all = Vec::new();
        for (route, Told { copies, claims, by: former }) in told {
            let fence = route.key().and_then(|key| self.arbiter.router.fence(key));
            let Some(fence) = fence.filter(|_| !self.table.borrow().has(&route)) else {
                continue;
            };
            let (restored, done) = oneshot::channel();
            let restored = Some(restored);
            let packed = ActorState { copies, claims, former, restored, ..ActorState::default() };
            if self.plant(&route, fence, Some(packed)).is_some() {
                all.push(done);
            }
        }
        if all.is_empty() {
            return;
        }
        let count = all.len();
        let gone_on = join_all(all).await.into_iter().filter(|done| *done == Ok(true)).count();
        tracing::info!("{gone_on} of {count} entities go on from their copies");
    }

    fn open(&self, shards: &[Shard]) {
        let mut waiting = Vec::new();
        let mut takeover = self.takeover.borrow_mut();
        for shard in shards {
            waiting.extend(takeover.gates.open(*shard));
        }
        let gone = match takeover.gates.is_empty() {
            true => std::mem::take(&mut takeover.gone),
            false => takeover.gone.clone(),
        };
        drop(takeover);
        for member in gone {
            self.tell_gone(member);
        }
        router::LocalHost::deliver(self, waiting);
    }

    /// Tells new owners what is held here, where there is something new to tell.
    pub(super) fn speak(&self) {
        let Some(host) = self.arbiter.host() else { return };
        if std::mem::replace(&mut self.takeover.borrow_mut().speaking, true) {
            return;
        }
        actix_rt::spawn(async move {
            while let Some((before, now)) = host.unsaid() {
                host.say_all(before.as_deref(), &now).await;
                host.takeover.borrow_mut().said = Some(now);
            }
            host.takeover.borrow_mut().speaking = false;
        });
    }

    fn unsaid(&self) -> Option<(Option<Arc<Plan>>, Arc<Plan>)> {
        let takeover = self.takeover.borrow();
        let now = takeover.plan.clone()?;
        let is_new = takeover.said.as_ref().is_none_or(|said| said.index() < now.index());
        // The ways follow the plan a little later.
        let is_linked = self.arbiter.router.linked_plan_index() >= now.index();
        (is_new && is_linked).then(|| (takeover.said.clone(), now))
    }

    async fn say_all(&self, before: Option<&Plan>, now: &Plan) {
        // Before the first plan nothing was held here.
        let taken = if before.is_some() { taken(before, now) } else { HashMap::new() };
        let owner = |jid: &BareJid| taken.get(&now.hash_key().bucket(jid).shard()).copied();
        if !taken.is_empty() {
            self.say_copies(now, &owner).await;
            self.say_sockets(now, &owner).await;
            self.say_claims(&Arc::new(taken.clone()), now).await;
        }
        for member in to_tell(before, now) {
            if self.has_way(member, now).await {
                router::local::tell_announced(member, now.index());
            }
        }
    }

    /// What is kept here of entities that have a new owner: until a standby of its own has that, it stays here too. This
    /// member's own are where they are needed.
    pub(super) async fn say_copies(
        &self,
        now: &Plan,
        owner: &dyn Fn(&BareJid) -> Option<MemberId>,
    ) {
        let me = self.arbiter.router.member();
        let owner = |route: &Route| route.key().and_then(owner).filter(|owner| *owner != me);
        let routes: Vec<Route> = self
            .takeover
            .borrow()
            .copies
            .routes()
            .filter(|it| owner(it).is_some())
            .cloned()
            .collect();
        for (place, route) in routes.into_iter().enumerate() {
            let Some(member) = owner(&route) else { continue };
            if place.is_multiple_of(STEP) {
                self.has_way(member, now).await;
            }
            let Some(copy) = self.takeover.borrow().copies.get(&route).cloned() else { continue };
            let (epoch, whole, changes) = (copy.epoch, copy.whole, copy.changes);
            self.say(member, route, CopyUpdate::Kept { epoch, whole, changes, by: Some(me) });
        }
    }

    async fn say_sockets(&self, now: &Plan, owner: &dyn Fn(&BareJid) -> Option<MemberId>) {
        for (place, edge) in router::local::edges().into_iter().enumerate() {
            let envelopes = edge.announce(owner);
            let to = envelopes.iter().find_map(|it| match &it.to {
                Route::Copy(copy) => Some(copy.member),
                _ => None,
            });
            router::local::route(envelopes);
            if let Some(member) = to.filter(|_| place.is_multiple_of(STEP)) {
                self.has_way(member, now).await;
            }
        }
    }

    pub(super) async fn say_claims(&self, taken: &Arc<HashMap<Shard, MemberId>>, now: &Plan) {
        let act = Act::Announce(Arc::clone(taken), *now.hash_key());
        self.remember(act.clone());
        self.order(Part::Whole, act).await;
    }

    fn remember(&self, announced: Act) {
        let now = self.arbiter.now().elapsed;
        let recent = &mut self.takeover.borrow_mut().recent;
        recent.retain(|(at, _)| now.saturating_sub(*at) < REMEMBERED);
        recent.push((now, announced));
    }

    /// What entities have missed that have stood still since then, here or at the member that they come from.
    pub(super) fn missed(&self, since: Duration) -> Vec<Act> {
        let since = since.saturating_sub(ON_THE_WAY);
        let takeover = self.takeover.borrow();
        let missed = takeover.recent.iter().filter(|(at, _)| *at >= since);
        missed.map(|(_, act)| act.clone()).collect()
    }

    fn say(&self, member: MemberId, of: Route, update: CopyUpdate) {
        let Some(key) = of.key() else { return };
        let shard = self.arbiter.router.bucket(key).shard();
        let origin = Origin::Shard { shard, epoch: Epoch::default(), counter: 0 };
        let to = Route::Copy(CopyId { member, of: Box::new(of) });
        router::local::route(vec![Envelope::new(to, Body::Copy(update), origin, Epoch::default())]);
    }

    /// Waits until there is a way to a member with room on it; false if there will be none.
    async fn has_way(&self, member: MemberId, now: &Plan) -> bool {
        let is_linked = self.arbiter.router.links().is_some();
        while is_linked && router::local::is_busy_with_copies(member) != Some(false) {
            if self.arbiter.router.plan_index() > now.index() && self.is_out(member) {
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        true
    }

    fn is_out(&self, member: MemberId) -> bool {
        let plan = self.arbiter.router.plan();
        plan.member(member).is_none_or(|it| it.status == cluster::plan::Status::Expelled)
    }

    /// Every entity whose standby is another one now gives it a copy.
    fn mirror_again(&self, shards: Vec<Shard>) {
        let parts = shards.into_iter().map(Part::Shard);
        let all: Vec<_> = parts.flat_map(|part| self.mailboxes(part)).collect();
        actix_rt::spawn(async move {
            for mailboxes in all.chunks(STEP) {
                for mailbox in mailboxes {
                    mailbox.order(Order::of(Act::Mirror(false)));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
    }
}

fn has_shard(route: &Route) -> bool {
    matches!(route, Route::User(_) | Route::Session(_) | Route::Room(_) | Route::Nodes(_))
}

/// Whether this member was expelled, and has come back.
fn is_another(before: &Plan, now: &Plan, me: MemberId) -> bool {
    let incarnation = |plan: &Plan| plan.member(me).map(|member| member.info.incarnation);
    incarnation(before).is_some_and(|former| Some(former) != incarnation(now))
}

/// The shards that were this member's.
fn lost(before: Option<&Plan>, now: &Plan, me: MemberId) -> HashSet<Shard> {
    let Some(before) = before else { return HashSet::new() };
    let mine = before.ownerships().filter(|(_, held)| held.owner == me);
    let gone = |shard: &Shard| before.owner(*shard) != now.owner(*shard);
    mine.map(|(shard, _)| shard).filter(gone).collect()
}

/// This member's shards whose standby is another process than before.
fn without_copies(before: &Plan, now: &Plan, me: MemberId) -> Vec<Shard> {
    let process = |plan: &Plan, id: Option<MemberId>| {
        id.and_then(|id| plan.member(id)).map(|member| (member.info.id, member.info.incarnation))
    };
    let mine = now.ownerships().filter(|(_, held)| held.owner == me);
    let differs = |(shard, held): &(Shard, &Ownership)| {
        let was = before.ownership(*shard).and_then(|was| was.standby);
        process(before, was) != process(now, held.standby)
    };
    mine.filter(differs).map(|(shard, _)| shard).collect()
}
