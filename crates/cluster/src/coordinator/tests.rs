//! What a leader does to a plan, step by step, on time that the test makes.

use std::collections::BTreeSet;

use proto::MemberId;
use xmpp::Shard;

use super::voters::{Candidate, Conf, next};
use super::*;
use crate::hash::HashKey;
use crate::lease::vitals::Vitals;
use crate::plan::{MemberInfo, heirs};

fn info(id: u64) -> MemberInfo {
    MemberInfo {
        addr: format!("10.0.0.{id}:7400"),
        ..MemberInfo::new(MemberId(id), format!("m{id}"))
    }
}

/// A plan, a leader's coordinator, and the time.
pub(super) struct Town {
    pub(super) plan: Plan,
    pub(super) coordinator: Coordinator,
    pub(super) now: BootTime,
}

impl Town {
    pub(super) fn of(members: u64) -> Self {
        let plan = Plan::shared_by(HashKey::new([1; 16]), (1..=members).map(info));
        Self { plan, coordinator: Coordinator::default(), now: BootTime(1) }
    }

    pub(super) fn apply(&mut self, entry: Entry) {
        self.plan.apply(self.plan.index() + 1, entry).unwrap();
    }

    /// A member says how it is.
    pub(super) fn says(&mut self, id: u64, vitals: Vitals) {
        let (member, sent) = (MemberId(id), BootTime(0));
        let heartbeat = Heartbeat { member, incarnation: 1, sent, applied: 0, vitals };
        self.coordinator.hear(&heartbeat, &self.plan, self.now);
    }

    fn join(&mut self, id: u64) {
        self.apply(Entry::Join(info(id)));
        self.apply(Entry::Up(info(id)));
    }

    fn step(&mut self) -> Option<Entry> {
        self.now = self.now + Duration::from_millis(100);
        let entry = self.coordinator.next(&self.plan, self.now);
        if let Some(entry) = entry.clone() {
            self.apply(entry);
        }
        entry
    }

    /// Steps until nothing is left to do, with owners that let go at once. The most moves at a time.
    fn settle(&mut self) -> usize {
        let mut most = 0;
        for _ in 0..4000 {
            let stepped = self.step();
            let moves = self.moving();
            most = most.max(moves.len());
            if !moves.is_empty() {
                self.apply(Entry::Release(moves));
            } else if stepped.is_none() {
                return most;
            }
        }
        panic!("it never ends");
    }

    fn moving(&self) -> Vec<MoveId> {
        let moving = self.plan.ownerships().filter_map(|(shard, held)| match held.phase {
            Phase::Moving { since, .. } => Some(MoveId { shard, since }),
            Phase::Active => None,
        });
        moving.collect()
    }

    fn owned(&self, id: u64) -> usize {
        self.plan.ownerships().filter(|(_, held)| held.owner == MemberId(id)).count()
    }

    fn standbys(&self, owner: u64, standby: u64) -> usize {
        let pair = |held: &crate::plan::Ownership| {
            held.owner == MemberId(owner) && held.standby == Some(MemberId(standby))
        };
        self.plan.ownerships().filter(|(_, held)| pair(held)).count()
    }
}

#[test]
fn every_shard_gets_a_standby_and_each_owners_are_spread_over_all_others() {
    let mut town = Town::of(3);
    town.settle();
    for (_, held) in town.plan.ownerships() {
        assert!(held.standby.is_some_and(|standby| standby != held.owner));
    }
    for (owner, standby) in [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)] {
        assert!((682..=684).contains(&town.standbys(owner, standby)), "{owner} {standby}");
    }
    assert_eq!(town.step(), None, "a cluster at rest writes nothing");
}

#[test]
fn a_member_alone_has_no_standby_and_nothing_to_do() {
    let mut town = Town::of(1);
    assert_eq!(town.step(), None);
}

#[test]
fn standbys_are_in_another_zone_where_there_is_one() {
    let mut plan = Town::of(3);
    plan.apply(Entry::Up(MemberInfo { zone: "a".into(), incarnation: 2, ..info(1) }));
    plan.apply(Entry::Up(MemberInfo { zone: "a".into(), incarnation: 2, ..info(2) }));
    plan.apply(Entry::Up(MemberInfo { zone: "b".into(), incarnation: 2, ..info(3) }));
    plan.settle();
    assert_eq!((plan.standbys(1, 2), plan.standbys(2, 1)), (0, 0));
    assert_eq!(plan.standbys(1, 3), plan.owned(1));
}

#[test]
fn an_expelled_members_shards_go_to_all_others_and_get_new_standbys() {
    let mut town = Town::of(3);
    town.settle();
    let heirs = heirs(&town.plan, MemberId(1)).unwrap();
    town.apply(Entry::Expel { member: MemberId(1), incarnation: 1, heirs });
    assert!(town.owned(2).abs_diff(town.owned(3)) <= 4, "{}", town.owned(2));
    town.settle();
    for (_, held) in town.plan.ownerships() {
        assert!(held.standby.is_some_and(|s| s != held.owner && s != MemberId(1)));
    }
}

#[test]
fn a_newcomer_gets_its_share_a_few_at_a_time() {
    let mut town = Town::of(3);
    town.settle();
    town.join(4);
    let most = town.settle();
    assert!(most <= moves::IN_FLIGHT, "{most} moves at a time");
    for id in 1..=4 {
        assert!((1020..=1026).contains(&town.owned(id)), "{id} has {}", town.owned(id));
    }
    let standby: usize = (1..=3).map(|owner| town.standbys(owner, 4)).sum();
    assert!(standby > 800, "{standby}");
}

#[test]
fn a_member_that_is_to_go_is_emptied() {
    let mut town = Town::of(3);
    town.settle();
    town.apply(Entry::Drain(MemberId(2)));
    let most = town.settle();
    assert!(most <= moves::IN_FLIGHT, "{most}");
    assert_eq!(town.owned(2), 0);
    assert_eq!(town.owned(1) + town.owned(3), 4096);
    assert_eq!(town.standbys(1, 2) + town.standbys(3, 2), 0);
}

#[test]
fn a_move_whose_owner_does_not_let_go_is_called_off_and_its_shard_left_in_peace() {
    let mut town = Town::of(1);
    town.settle();
    town.join(2);
    while town.moving().is_empty() {
        assert!(town.step().is_some());
    }
    let moves = town.moving();
    let mut aborted = None;
    for _ in 0..610 {
        if let Some(Entry::Abort(moves)) = town.step() {
            aborted = Some(moves);
            break;
        }
    }
    assert_eq!(aborted, Some(moves.clone()));
    let shards: Vec<Shard> = moves.iter().map(|moved| moved.shard).collect();
    for _ in 0..90 {
        town.step();
        let again: Vec<_> = town.moving().iter().map(|moved| moved.shard).collect();
        assert!(shards.iter().all(|shard| !again.contains(shard)));
        town.apply(Entry::Release(town.moving()));
    }
}

#[test]
fn a_move_whose_owner_cannot_let_go_now_is_called_off_at_once() {
    let mut town = Town::of(1);
    town.settle();
    town.join(2);
    while town.moving().is_empty() {
        assert!(town.step().is_some());
    }
    let stays = town.moving()[0];
    let unknown = MoveId { since: 1, ..town.moving()[1] };
    town.coordinator.call_off([stays, unknown]);
    assert_eq!(town.step(), Some(Entry::Abort(vec![stays])));
    assert!(!town.moving().contains(&stays));
}

#[test]
fn a_move_is_called_off_though_another_one_ended_on_the_way_into_the_log() {
    let mut town = Town::of(1);
    town.settle();
    town.join(2);
    while town.moving().is_empty() {
        assert!(town.step().is_some());
    }
    let [ends, stays] = [0, 1].map(|at| town.moving()[at]);
    town.coordinator.call_off([ends, stays]);
    town.coordinator.call_off([stays]);
    let abort = town.coordinator.next(&town.plan, town.now);
    assert_eq!(abort, Some(Entry::Abort(vec![ends, stays])));
    town.apply(Entry::Release(vec![ends]));
    let refused = town.plan.apply(town.plan.index() + 1, abort.unwrap());
    assert!(refused.is_err() && town.moving().contains(&stays));
    assert_eq!(town.step(), Some(Entry::Abort(vec![stays])));
}

#[test]
fn what_has_rested_moves_though_the_plan_is_the_same() {
    let mut town = Town::of(16);
    town.settle();
    town.apply(Entry::Drain(MemberId(2)));
    while town.moving().is_empty() {
        assert!(town.step().is_some());
    }
    let stays = town.moving()[0];
    town.coordinator.call_off([stays]);
    town.settle();
    assert_eq!(town.owned(2), 1, "all but one have gone");
    assert_eq!(town.step(), None);
    town.now = town.now + REST;
    town.settle();
    assert_eq!(town.owned(2), 0);
}

#[test]
fn what_was_proposed_is_awaited() {
    let mut town = Town::of(2);
    let now = town.now;
    let first = town.coordinator.next(&town.plan, now);
    assert!(first.is_some());
    assert_eq!(town.coordinator.next(&town.plan, now + Duration::from_millis(900)), None);
    assert_eq!(town.coordinator.next(&town.plan, now + Duration::from_millis(1100)), first);
}

fn candidates(count: u64) -> Vec<Candidate> {
    let candidate = |id| Candidate {
        id: MemberId(id),
        fit: true,
        dead: false,
        caught_up: true,
        zone: String::new(),
        host: id.to_string(),
    };
    (1..=count).map(candidate).collect()
}

fn conf(voters: &[u64], learners: &[u64]) -> Conf {
    let set = |ids: &[u64]| ids.iter().copied().map(MemberId).collect::<BTreeSet<_>>();
    Conf { voters: set(voters), learners: set(learners) }
}

/// What it comes to in the end.
fn settled(begin: Conf, members: &[Candidate]) -> Conf {
    let mut conf = begin;
    for _ in 0..20 {
        match next(MemberId(1), &conf, members) {
            Some(next) => conf = next,
            None => return conf,
        }
    }
    panic!("it never ends");
}

#[test]
fn as_many_vote_as_the_cluster_is_large() {
    let grown = |count| settled(conf(&[1], &[]), &candidates(count));
    assert_eq!(grown(1), conf(&[1], &[]));
    assert_eq!(grown(2), conf(&[1], &[2]));
    assert_eq!(grown(3), conf(&[1, 2, 3], &[]));
    assert_eq!(grown(4), conf(&[1, 2, 3], &[4]));
    assert_eq!(grown(5), conf(&[1, 2, 3, 4, 5], &[]), "of five members two may fail");
    assert_eq!(grown(6), conf(&[1, 2, 3, 4, 5], &[6]));
    assert_eq!(grown(7), conf(&[1, 2, 3, 4, 5], &[6, 7]));
    assert_eq!(grown(200).voters.len(), 5);
}

#[test]
fn nobody_votes_before_it_has_the_log() {
    let mut members = candidates(3);
    members[2].caught_up = false;
    assert_eq!(settled(conf(&[1], &[]), &members), conf(&[1], &[2, 3]));
    members[2].caught_up = true;
    assert_eq!(settled(conf(&[1], &[2, 3]), &members), conf(&[1, 2, 3], &[]));
}

#[test]
fn votes_are_given_by_odd_numbers_to_who_is_ready() {
    let mut members = candidates(8);
    members[3..].iter_mut().for_each(|member| member.caught_up = false);
    let learners: Vec<u64> = (2..=7).collect();
    assert_eq!(settled(conf(&[1], &learners), &members).voters, conf(&[1, 2, 3], &[]).voters);
    members[3].caught_up = true;
    assert_eq!(settled(conf(&[1], &learners), &members).voters, conf(&[1, 2, 3], &[]).voters);
    members[5].caught_up = true;
    let grown = settled(conf(&[1, 2, 3], &[4, 5, 6, 7]), &members);
    assert_eq!(grown.voters, conf(&[1, 2, 3, 4, 6], &[]).voters);
}

#[test]
fn a_dead_voter_is_replaced_where_there_is_a_spare_and_kept_where_there_is_none() {
    let mut members = candidates(3);
    members[2].dead = true;
    members[2].fit = false;
    assert_eq!(next(MemberId(1), &conf(&[1, 2, 3], &[]), &members), None);
    let mut members = candidates(4);
    members[1].dead = true;
    let replaced = settled(conf(&[1, 2, 3], &[4]), &members);
    assert_eq!(replaced.voters, conf(&[1, 3, 4], &[]).voters);
}

#[test]
fn a_forgotten_voter_goes_at_once_and_the_leader_stays() {
    let members = candidates(4);
    let rest = [&members[..1], &members[2..]].concat();
    assert_eq!(settled(conf(&[1, 2, 3], &[4]), &rest), conf(&[1, 3, 4], &[]));
    assert_eq!(settled(conf(&[1, 2, 3], &[]), &members[..2]), conf(&[1], &[2]));
}

#[test]
fn voters_are_spread_over_zones_and_hosts() {
    let mut members = candidates(7);
    for (at, member) in members.iter_mut().enumerate() {
        member.zone = if at < 3 { "a" } else { "b" }.into();
        member.host = if at < 2 { "one".into() } else { at.to_string() };
    }
    let learners: Vec<u64> = (2..=7).collect();
    let voters = next(MemberId(1), &conf(&[1], &learners), &members).unwrap().voters;
    assert!(!voters.contains(&MemberId(2)), "never two on one host where it can be avoided");
    assert_eq!(voters.len(), 5);
}
