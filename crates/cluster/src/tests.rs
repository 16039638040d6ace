//! This process as a member alone, on a real disk and real time.

use std::sync::Arc;
use std::time::Duration;

use proto::MemberId;
use tempfile::TempDir;
use xmpp::{BareJid, Epoch, Shard};

use crate::clock::BootTime;
use crate::lineage::tests::Slate;
use crate::{Cluster, Config, Error, LogError, Remembered};

fn start(directory: &TempDir) -> Cluster {
    Cluster::start(Config::default(), directory.path()).unwrap()
}

fn epoch(cluster: &Cluster) -> (MemberId, Epoch) {
    let mut plan = cluster.plan();
    plan.get().owner(Shard::new(77).unwrap()).unwrap()
}

#[test]
fn a_member_alone_owns_everything_and_may_act() {
    let directory = TempDir::new().unwrap();
    let begun = BootTime::now();
    let cluster = start(&directory);
    let took = BootTime::now().since(begun);
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(cluster.lease().holds());
    assert_eq!(epoch(&cluster), (cluster.member_id(), Epoch((1 << 32) + 1)));
    let jid = BareJid::parse("juliet@capulet.example").unwrap();
    let fence = cluster.plan().get().fence(cluster.member_id(), &jid).unwrap();
    assert_eq!(fence.epoch, Epoch((1 << 32) + 1));
    let status = serde_json::to_value(cluster.status()).unwrap();
    assert_eq!(status["members"][0]["shards"], 4096);
    assert_eq!(status["members"][0]["status"], "up");
    assert_eq!(status["leader"], status["member"]);
    assert_eq!(status["lease"], true);
}

#[test]
fn a_member_that_starts_again_is_the_same_at_higher_epochs() {
    let directory = TempDir::new().unwrap();
    let mut seen: Option<(Remembered, MemberId, Epoch)> = None;
    for start_number in 1..=3 {
        let cluster = start(&directory);
        let (owner, epoch) = epoch(&cluster);
        let now = (cluster.to_remember(), cluster.member_id(), epoch);
        assert_eq!(owner, cluster.member_id());
        assert_eq!(cluster.status().members[0].incarnation, start_number);
        // The leader's first entry of its term, and the start: nothing else.
        assert_eq!(cluster.status().last, 1 + 2 * start_number);
        if let Some((remembered, member, before)) = seen {
            assert_eq!((now.0, now.1), (remembered, member));
            assert!(epoch > before);
        }
        seen = Some(now);
        cluster.stop();
    }
}

#[test]
fn a_store_that_remembers_a_cluster_gets_it_back_in_the_next_generation() {
    let slate = Arc::new(Slate::default());
    let config = Config { marker: Some(slate.clone()), ..Config::default() };
    let begin =
        |config: &Config, directory: &TempDir| Cluster::start(config.clone(), directory.path());
    let directories = [(); 2].map(|()| TempDir::new().unwrap());
    let first = begin(&config, &directories[0]).unwrap();
    let before = first.to_remember();
    let impatient = Config { start_patience: Duration::from_secs(2), ..config.clone() };
    let second = begin(&impatient, &directories[1]);
    assert!(matches!(second.err(), Some(Error::Acting)), "the first one acts");
    drop(first);
    slate.rest();
    let second = begin(&config, &directories[1]).unwrap();
    assert_eq!(second.to_remember(), Remembered { generation: 2, ..before });
    assert!(epoch(&second).1 > Epoch((1 << 32) + u64::from(u32::MAX)));
    drop(second);
    slate.rest();
    assert!(matches!(begin(&config, &directories[0]).err(), Some(Error::LeftBehind)));
}

#[test]
fn a_member_that_lost_its_log_is_another_member_of_the_same_cluster() {
    let directory = TempDir::new().unwrap();
    let first = start(&directory);
    let (remembered, member, before) = (first.to_remember(), first.member_id(), epoch(&first).1);
    drop(first);
    std::fs::remove_dir_all(directory.path().join("raft")).unwrap();
    for generation in [2, 2] {
        let second = start(&directory);
        assert_ne!(second.member_id(), member);
        assert_eq!(second.to_remember(), Remembered { generation, ..remembered });
        assert!(epoch(&second).1 > before);
    }
}

#[test]
fn a_journal_that_is_gone_is_not_taken_for_a_first_start() {
    let directory = TempDir::new().unwrap();
    drop(start(&directory));
    for row in std::fs::read_dir(directory.path().join("raft")).unwrap() {
        let path = row.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "jnl") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let error = Cluster::start(Config::default(), directory.path()).err().unwrap();
    assert!(matches!(error, Error::Log(LogError::Torn(_))), "{error}");
}

#[test]
fn two_processes_cannot_be_the_same_member() {
    let directory = TempDir::new().unwrap();
    let _first = start(&directory);
    let second = Cluster::start(Config::default(), directory.path());
    assert!(matches!(second.err(), Some(Error::Log(LogError::InUse))));
}

#[test]
fn the_lease_ends_when_the_member_stops_and_nobody_waits_for_it() {
    let directory = TempDir::new().unwrap();
    let cluster = start(&directory);
    let lease = cluster.lease();
    let mut plan = cluster.plan();
    cluster.stop();
    assert!(!lease.holds());
    assert!(plan.get().is_bootstrapped(), "readers keep the last plan");
    cluster.stop();
}

/// I12, and the half of D5 that needs real time: no entry is caused by anything but membership, while the
/// lease is renewed again and again.
#[test]
fn the_lease_is_renewed_for_longer_than_it_lasts_without_an_entry() {
    let directory = TempDir::new().unwrap();
    let cluster = start(&directory);
    let (before, lease) = (cluster.status(), cluster.lease());
    let begun = BootTime::now();
    let mut renewals = 0;
    let mut remaining = lease.remaining();
    while BootTime::now().since(begun) < Duration::from_millis(1500) {
        let now = lease.remaining();
        renewals += usize::from(now > remaining);
        remaining = now;
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let after = cluster.status();
    assert!(lease.holds());
    assert!(renewals >= 3, "{renewals}");
    assert_eq!((before.last, before.commit), (after.last, after.commit));
}
