//! Members that meet on loopback, each with its threads and its disk, on real time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proto::MemberId;
use tempfile::TempDir;
use tonic::Code;
use xmpp::Shard;

use super::moves::Empty;
use super::net::{call, client};
use crate::clock::BootTime;
use crate::config::{Mesh, Remembered};
use crate::lineage::tests::Slate;
use crate::peer::{Peers, Security, Settings};
use crate::plan::{Plan, Roles, Status};
use crate::watch::PlanHandle;
use crate::{Cluster, Config, Error, Terms, wire};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A member that may start, stop and start again.
struct Member {
    config: Config,
    directory: TempDir,
}

impl Member {
    /// Starts it on a thread of its own.
    fn start(&self) -> std::thread::JoinHandle<Result<Cluster, Error>> {
        let (config, path) = (self.config.clone(), self.directory.path().to_owned());
        std::thread::spawn(move || Cluster::start(config, &path))
    }

    fn started(&self) -> Cluster {
        self.start().join().unwrap().unwrap()
    }
}

fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let free = |_| std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let sockets: Vec<_> = (0..count).map(free).collect();
    sockets.iter().map(|socket| socket.local_addr().unwrap()).collect()
}

/// So many members that know of the first three.
fn members(count: usize, expect: usize) -> Vec<Member> {
    let addresses = free_addresses(count);
    let seeds: Vec<_> = addresses.iter().take(3).map(ToString::to_string).collect();
    let member = |(number, address): (usize, &SocketAddr)| Member {
        config: Config {
            name: format!("m{}", number + 1),
            addr: address.to_string(),
            private_store: false,
            start_patience: PATIENCE,
            mesh: Some(Mesh {
                listen: *address,
                security: Security::InsecureDev,
                seeds: seeds.clone(),
                dns: None,
                name_servers: Vec::new(),
                bootstrap_expect: expect,
                moves: Arc::new(Empty),
            }),
            ..Config::default()
        },
        directory: TempDir::new().unwrap(),
    };
    addresses.iter().enumerate().map(member).collect()
}

fn start(members: &[Member]) -> Vec<Cluster> {
    let starting: Vec<_> = members.iter().map(Member::start).collect();
    starting.into_iter().map(|starting| starting.join().unwrap().unwrap()).collect()
}

/// Waits until something is so.
fn until(what: &str, so: impl Fn() -> bool) {
    until_of(&[], what, so);
}

/// The same; if it never is so, it is shown how these stand.
fn until_of(clusters: &[Cluster], what: &str, so: impl Fn() -> bool) {
    let begun = BootTime::now();
    let standings = || {
        let of = |it: &Cluster| (it.standing.borrow().clone(), it.status());
        clusters.iter().map(of).collect::<Vec<_>>()
    };
    while !so() {
        let waited = BootTime::now().since(begun);
        assert!(waited < PATIENCE, "{what} never came: {:#?}", standings());
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn owned(cluster: &Cluster, by: MemberId) -> usize {
    cluster.plan().get().ownerships().filter(|(_, held)| held.owner == by).count()
}

fn status(cluster: &Cluster, of: MemberId) -> Option<Status> {
    cluster.plan().get().member(of).map(|member| member.status)
}

fn parts(cluster: &Cluster, part: &str) -> usize {
    cluster.status().members.iter().filter(|row| row.part == part).count()
}

/// Where the member is that leads. On a busy machine there may be none for a while.
fn leading(clusters: &[Cluster]) -> usize {
    let at = || {
        let leader = clusters[0].status().leader?;
        clusters.iter().position(|cluster| cluster.member_id().to_string() == leader)
    };
    until("a leader", || at().is_some());
    at().unwrap_or(0)
}

/// Waits until all may act. A busy machine may cost one its lease, and even its shards: it then gets both
/// again.
fn until_all_act(clusters: &[Cluster]) {
    for cluster in clusters {
        let id = cluster.member_id();
        let acts = || cluster.lease().holds() && status(cluster, id) == Some(Status::Up);
        until("the lease", acts);
    }
}

#[test]
fn three_members_begin_one_cluster_lose_one_take_over_and_have_it_back() {
    let members = members(3, 3);
    let mut clusters = start(&members);
    let plans: Vec<Plan> = clusters.iter().map(|c| Plan::clone(c.plan().get())).collect();
    assert!(plans.iter().all(|plan| plan.cluster() == plans[0].cluster()));
    until_all_act(&clusters);
    for cluster in &clusters {
        until("its share", || (1364..=1367).contains(&owned(&clusters[0], cluster.member_id())));
    }
    until("standbys", || clusters[0].plan().get().ownerships().all(|(_, s)| s.standby.is_some()));
    until("three voters", || parts(&clusters[0], "leader") + parts(&clusters[0], "voter") == 3);

    // One stops without a word: its shards go to the others, at higher epochs.
    let at = (leading(&clusters) + 1) % 3;
    let gone = clusters.remove(at);
    let (id, incarnation) = (gone.member_id(), gone.incarnation());
    let before = Plan::clone(gone.plan().get());
    drop(gone);
    until("the expulsion", || status(&clusters[0], id) == Some(Status::Expelled));
    assert_eq!(owned(&clusters[0], id), 0);
    let after = Plan::clone(clusters[0].plan().get());
    for shard in Shard::all().filter(|shard| before.owner(*shard).unwrap().0 == id) {
        assert!(after.epoch_of(shard) > before.epoch_of(shard));
    }
    until_all_act(&clusters);

    // It comes back as a new process and gets its share.
    let back = members[at].started();
    assert_eq!(back.member_id(), id);
    assert!(back.incarnation() > incarnation);
    until("shards", || owned(&back, id) > 0);
    let voters = clusters[0].standing.borrow().voters.clone();
    assert!(voters.len() == 3 && voters.contains(&id), "it had a vote all the time: {voters:?}");
    assert_eq!(back.plan().get().cluster(), after.cluster());
}

#[test]
fn members_that_all_come_back_elsewhere_are_one_cluster_again() {
    let mut members = members(3, 3);
    let clusters = start(&members);
    let before = Plan::clone(clusters[0].plan().get());
    drop(clusters);
    let addresses = free_addresses(3);
    let seeds: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    for (member, address) in members.iter_mut().zip(&addresses) {
        assert!(before.members().all(|known| known.info.addr != address.to_string()));
        member.config.addr = address.to_string();
        let mesh = member.config.mesh.as_mut().unwrap();
        (mesh.listen, mesh.seeds) = (*address, seeds.clone());
    }
    let clusters = start(&members);
    until_all_act(&clusters);
    let after = Plan::clone(clusters[0].plan().get());
    assert_eq!((after.cluster(), after.generation()), (before.cluster(), before.generation()));
    let at = |addr: &str| after.members().any(|member| member.info.addr == addr);
    assert!(seeds.iter().all(|seed| at(seed)));
}

#[test]
fn members_tell_each_other_what_their_clocks_say() {
    let clusters = start(&members(3, 3));
    let others = |cluster: &Cluster| {
        let rows = cluster.status().members.into_iter();
        rows.filter_map(|row| row.clock_ahead_millis).collect::<Vec<i64>>()
    };
    for cluster in &clusters {
        until("two others' time", || others(cluster).len() == 2);
        // All of them run here: an answer may have been late.
        assert!(others(cluster).iter().all(|ahead| ahead.unsigned_abs() < 1_000));
        assert!(cluster.status().members.iter().all(|row| row.wrong_clock().is_none()));
    }
}

#[test]
fn a_leader_that_dies_is_followed_by_another_and_the_rest_go_on() {
    let members = members(3, 3);
    let mut clusters = start(&members);
    let at = leading(&clusters);
    let id = clusters[at].member_id();
    drop(clusters.remove(at));
    let other = || clusters[0].status().leader.is_some_and(|leader| leader != id.to_string());
    until("another leader", other);
    until("the expulsion", || owned(&clusters[1], id) == 0);
    until_all_act(&clusters);
}

#[test]
fn a_cluster_grows_from_one_member_and_the_rest_learn_or_follow() {
    let members = members(8, 1);
    let mut clusters = vec![members[0].started()];
    clusters.extend(start(&members[1..]));
    until_of(&clusters, "five voters", || {
        parts(&clusters[0], "leader") + parts(&clusters[0], "voter") == 5
    });
    until("two learners", || parts(&clusters[0], "learner") == 2);
    until("an observer", || parts(&clusters[0], "observer") == 1);
    until_all_act(&clusters);
    for cluster in &clusters {
        // One more than its share is not too much; where seven have that, the eighth lacks seven.
        let share = || (505..=513).contains(&owned(cluster, cluster.member_id()));
        until_of(&clusters, "its share", share);
    }
    let index = clusters[0].status().applied;
    until("the same plan everywhere", || {
        clusters.iter().all(|cluster| cluster.status().applied >= index)
    });
    let observes = || {
        let rows = clusters[0].status().members.into_iter();
        let observer = rows.filter(|row| row.part == "observer").map(|row| row.id).next()?;
        clusters.iter().position(|cluster| cluster.member_id().to_string() == observer)
    };
    until("an observer", || observes().is_some_and(|at| at > 0));
    let observer = observes().unwrap();
    // An observer's word reaches the leader, and it is told of what came of it.
    let observer = clusters.remove(observer);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(observer.operator().drain(None)).unwrap();
    until("it is empty", || owned(&observer, observer.member_id()) == 0);
    runtime.block_on(observer.leave());
    until("it is out", || status(&clusters[0], observer.member_id()) == Some(Status::Expelled));
    runtime.block_on(clusters[0].operator().remove("m9")).unwrap_err();
    let id = observer.member_id().to_string();
    runtime.block_on(clusters[0].operator().remove(&id)).unwrap();
    until("it is forgotten", || status(&clusters[0], observer.member_id()).is_none());
}

#[test]
fn a_member_that_leaves_is_followed_at_once() {
    // Nobody is silent for so long within this test: only its own word can be why.
    let lease = Terms { ttl: PATIENCE * 10, ..Terms::default() };
    let mut members = members(3, 3);
    members.iter_mut().for_each(|member| member.config.lease = lease);
    let clusters = start(&members);
    let at = leading(&clusters);
    let (gone, other) = (&clusters[at], &clusters[(at + 1) % 3]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(gone.leave());
    assert!(!gone.lease().holds());
    until("the expulsion", || owned(other, gone.member_id()) == 0);
    // It does not come back by itself.
    until("its silence", || !gone.lease().holds() && gone.lease().is_over());
    assert_eq!(status(other, gone.member_id()), Some(Status::Expelled));
}

#[test]
fn homes_with_stores_of_their_own_are_no_cluster_but_edges_may_join_one() {
    let mut members = members(3, 1);
    for member in &mut members {
        member.config.private_store = true;
    }
    members[2].config.roles = Roles::EDGE;
    let home = members[0].started();
    let edge = members[2].started();
    assert_eq!(owned(&edge, home.member_id()), 4096);
    assert_eq!(owned(&edge, edge.member_id()), 0);
    until("its lease", || edge.lease().holds());
    // A second home asks to be let in, again and again, in vain.
    let info = crate::plan::MemberInfo {
        private_store: true,
        addr: members[1].config.addr.clone(),
        ..crate::plan::MemberInfo::new(MemberId(77), "m2")
    };
    let second = stranger("m2");
    let joining = wire::Joining { member: Some(crate::plan::codec::info_to_wire(&info)) };
    let joined = second.runtime().block_on(async {
        let (channel, _) = second.connect_to(&members[0].config.addr).await.unwrap();
        call(client(channel).join(joining), PATIENCE).await.unwrap()
    });
    assert!(joined.refused.contains("a store that they share"), "{}", joined.refused);
}

#[test]
fn the_plan_is_followed_at_members_that_take_part_in_raft() {
    let mut members = members(3, 1);
    members[1].config.roles = Roles::EDGE;
    members[2].config.roles = Roles::EDGE;
    let mut clusters = vec![members[0].started()];
    clusters.extend(start(&members[1..]));
    until("observers", || parts(&clusters[0], "observer") == 2);
    let watch = |from: usize, at: usize| {
        let net = clusters[from].net.as_ref().unwrap().clone();
        let at = clusters[at].member_id();
        net.shared.peers.runtime().clone().block_on(async move {
            let mut client = client(net.channel(at).await.unwrap());
            client.watch_plan(wire::Watching {}).await.map(drop).map_err(|status| status.code())
        })
    };
    until("the leader's news", || watch(1, 0) == Ok(()));
    // They would wait for each other.
    assert_eq!(watch(1, 2), Err(Code::Unavailable));
    assert_eq!(watch(2, 1), Err(Code::Unavailable));
}

/// The way of somebody to members who is none.
fn stranger(name: &str) -> Peers {
    let settings = Settings {
        name: name.to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        security: Security::InsecureDev,
    };
    Peers::open(&settings, PlanHandle::fixed(Plan::new())).unwrap()
}

#[test]
fn strangers_and_members_of_other_clusters_get_no_answer_and_junk_does_no_harm() {
    let (ours, others) = (members(1, 1), members(1, 1));
    let (cluster, foreign) = (ours[0].started(), others[0].started());
    let address = ours[0].config.addr.clone();
    let before = cluster.status();

    // A member of another cluster, of the same name even.
    let greeted = foreign.net.as_ref().unwrap().clone();
    let runtime = greeted.shared.peers.runtime().clone();
    let error = runtime.block_on(greeted.hello(&address)).err().unwrap().to_string();
    assert!(error.contains("another cluster"), "{error}");

    // Under a name that the plan does not know.
    let stranger = stranger("m7");
    let beating = wire::Beating { member: cluster.member_id().0, ..wire::Beating::default() };
    let batch = |bytes: &[u8]| wire::RaftMessages { messages: vec![bytes.to_vec().into()] };
    stranger.runtime().block_on(async {
        let (channel, _) = stranger.connect_to(&address).await.unwrap();
        let code = |status: tonic::Status| status.code();
        let mut client = client(channel);
        let denied = client.beat(beating).await.map(drop).map_err(code);
        assert_eq!(denied, Err(Code::PermissionDenied));
        let denied = client.ask(wire::Asking::default()).await.map(drop).map_err(code);
        assert_eq!(denied, Err(Code::PermissionDenied));
        let words = futures_util::stream::iter([batch(b"junk")]);
        let denied = client.raft(words).await.map(drop).map_err(code);
        assert_eq!(denied, Err(Code::PermissionDenied));
        let denied = client.watch_plan(wire::Watching {}).await.map(drop).map_err(code);
        assert_eq!(denied, Err(Code::PermissionDenied));
    });

    // Under a member's own name: what it says is looked at before raft sees it.
    let insider = self::stranger("m1");
    insider.runtime().block_on(async {
        let (channel, _) = insider.connect_to(&address).await.unwrap();
        let mut client = client(channel);
        let junk = [&b"junk"[..], &[0x0B; 4096], &[], &[0xFF; 100]].map(batch);
        client.raft(futures_util::stream::iter(junk)).await.unwrap();
        let huge = batch(&vec![0; 5 << 20]);
        assert!(client.raft(futures_util::stream::iter([huge])).await.is_err());
    });
    until("its lease", || cluster.lease().holds());
    let after = cluster.status();
    assert_eq!((before.term, before.last), (after.term, after.last));
}

#[test]
fn the_last_of_three_goes_on_alone_when_an_operator_says_so() {
    let members = members(3, 3);
    let clusters = start(&members);
    let before = Plan::clone(clusters[0].plan().get());
    assert!(Cluster::recover(members[0].directory.path(), None).is_err(), "a server runs there");
    drop(clusters);
    let Remembered { generation, .. } =
        Cluster::recover(members[0].directory.path(), None).unwrap();
    assert_eq!(generation, 2);
    let alone = members[0].started();
    assert_eq!(alone.plan().get().cluster(), before.cluster());
    assert_eq!(owned(&alone, alone.member_id()), 4096);
    for shard in Shard::all() {
        assert!(alone.plan().get().epoch_of(shard) > before.epoch_of(shard));
    }
    // One of the others may join again when it has lost its log.
    std::fs::remove_dir_all(members[1].directory.path().join("raft")).unwrap();
    let second = members[1].started();
    assert_eq!(second.plan().get().generation(), 2);
    until("its lease", || second.lease().holds());
}

#[test]
fn a_member_with_an_empty_disk_replaces_the_one_of_its_name_when_that_is_dead() {
    let members = members(3, 3);
    let mut clusters = start(&members);
    let at = (leading(&clusters) + 1) % 3;
    let old = clusters.remove(at);
    let old_id = old.member_id();
    drop(old);
    std::fs::remove_dir_all(members[at].directory.path().join("raft")).unwrap();
    let new = members[at].started();
    assert_ne!(new.member_id(), old_id);
    assert_eq!(status(&clusters[0], old_id), None);
    until("its vote", || clusters[0].standing.borrow().voters.contains(&new.member_id()));
    assert!(!clusters[0].standing.borrow().voters.contains(&old_id));
}

/// So many members on one store that remembers their cluster.
fn members_on(slate: &Arc<Slate>, count: usize, expect: usize) -> Vec<Member> {
    let mut members = members(count, expect);
    members.iter_mut().for_each(|member| member.config.marker = Some(slate.clone()));
    members
}

#[test]
fn two_halves_that_begin_at_once_on_one_store_are_not_two_clusters() {
    let slate = Arc::new(Slate::default());
    let mut members = members_on(&slate, 2, 1);
    for member in &mut members {
        // Neither knows of the other.
        let mesh = member.config.mesh.as_mut().unwrap();
        mesh.seeds = vec![member.config.addr.clone()];
    }
    let mut starting: Vec<_> = members.iter().map(Member::start).collect();
    until("one that begins", || starting.iter().any(std::thread::JoinHandle::is_finished));
    let at = starting.iter().position(std::thread::JoinHandle::is_finished).unwrap();
    let winner = starting.remove(at).join().unwrap().unwrap();
    let loser = starting.remove(0);
    let asked = slate.recalls.load(Ordering::SeqCst);
    until("that the other tries again", || slate.recalls.load(Ordering::SeqCst) > asked + 1);
    assert!(!loser.is_finished());
    let mark = slate.held().unwrap();
    assert_eq!((mark.remembered, mark.by), (winner.to_remember(), winner.member_id()));
    assert_eq!(mark.remembered.generation, 1);
    slate.is_broken.store(true, Ordering::SeqCst);
    assert!(matches!(loser.join().unwrap(), Err(Error::Marker(_))));
}

#[test]
fn members_that_all_lost_their_disks_are_the_same_cluster_above_the_former_one() {
    let slate = Arc::new(Slate::default());
    let mut members = members_on(&slate, 3, 3);
    let clusters = start(&members);
    let before = Plan::clone(clusters[0].plan().get());
    drop(clusters);
    slate.rest();
    let former: Vec<TempDir> = members
        .iter_mut()
        .map(|member| std::mem::replace(&mut member.directory, TempDir::new().unwrap()))
        .collect();
    let clusters = start(&members);
    let after = Plan::clone(clusters[0].plan().get());
    assert_eq!((after.cluster(), after.hash_key()), (before.cluster(), before.hash_key()));
    assert_eq!((before.generation(), after.generation()), (1, 2));
    assert!(Shard::all().all(|shard| after.epoch_of(shard) > before.epoch_of(shard)));
    drop(clusters);
    slate.rest();
    // Whoever finds a former disk again is left behind, whatever its operator says.
    let ghost = Cluster::start(members[0].config.clone(), former[0].path());
    assert!(matches!(ghost.err(), Some(Error::LeftBehind)));
    let recovered = Cluster::recover(former[1].path(), Some(slate));
    assert!(matches!(recovered, Err(Error::LeftBehind)));
}
