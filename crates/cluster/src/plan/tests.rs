//! What the plan does with each entry, and what holds whatever comes.

use proptest::prelude::*;

use super::*;

const ONE: MemberId = MemberId(1);
const TWO: MemberId = MemberId(2);
const THREE: MemberId = MemberId(3);

fn info(id: MemberId, incarnation: u64) -> MemberInfo {
    MemberInfo { incarnation, ..MemberInfo::new(id, format!("rookery-{}", id.0)) }
}

fn bootstrap(members: &[MemberId]) -> Entry {
    Entry::Bootstrap(Bootstrap {
        cluster: ClusterUuid(0xC0FFEE),
        generation: 3,
        hash_key: HashKey::new([5; 16]),
        feature_level: 1,
        members: members.iter().map(|id| info(*id, 1)).collect(),
    })
}

/// A plan that counts indices itself.
struct Log(Plan);

impl Log {
    fn of(members: &[MemberId]) -> Self {
        let mut log = Self(Plan::new());
        log.apply(bootstrap(members)).unwrap();
        log
    }

    fn apply(&mut self, entry: Entry) -> Applied {
        let entry = Entry::decode(&entry.encode()).unwrap();
        self.0.apply(self.0.index() + 1, entry)
    }

    /// Lets a third member in.
    fn with_third(mut self) -> Self {
        self.apply(Entry::Join(info(THREE, 1))).unwrap();
        self.apply(Entry::Up(info(THREE, 1))).unwrap();
        self
    }

    fn of_member(&self, id: MemberId) -> Vec<Shard> {
        let owned = self.0.ownerships().filter(|(_, held)| held.owner == id);
        owned.map(|(shard, _)| shard).collect()
    }

    fn status(&self, id: MemberId) -> Status {
        self.0.member(id).unwrap().status
    }

    fn prepare(&mut self, shard: Shard, member: MemberId) -> MoveId {
        self.apply(Entry::Prepare(vec![Assignment { shard, member }])).unwrap();
        let since = self.0.index();
        MoveId { shard, since }
    }

    fn expel(&mut self, member: MemberId) -> Applied {
        let heirs = heirs(&self.0, member).unwrap();
        let incarnation = self.0.member(member).unwrap().info.incarnation;
        self.apply(Entry::Expel { member, incarnation, heirs })
    }
}

fn shard(number: u16) -> Shard {
    Shard::new(number).unwrap()
}

#[test]
fn a_cluster_begins_with_all_shards_owned_at_the_first_epoch() {
    let log = Log::of(&[ONE]);
    for shard in Shard::all() {
        assert_eq!(log.0.owner(shard), Some((ONE, Epoch((3 << 32) + 1))));
    }
    assert_eq!(log.0.cluster().to_string(), "00000000-0000-0000-0000-000000c0ffee");
    assert_eq!(log.of_member(TWO), []);
    let two = Log::of(&[ONE, TWO]);
    assert_eq!((two.of_member(ONE).len(), two.of_member(TWO).len()), (2048, 2048));
}

#[test]
fn nothing_is_owned_before_the_cluster_begins_and_it_begins_once() {
    let mut log = Log(Plan::new());
    assert_eq!(log.0.owner(shard(0)), None);
    assert_eq!(log.apply(Entry::Drain(ONE)), Err(Refusal::NotBootstrapped));
    assert_eq!(log.apply(bootstrap(&[])), Err(Refusal::BadBootstrap));
    assert_eq!(log.apply(bootstrap(&[ONE, ONE])), Err(Refusal::BadBootstrap));
    assert!(!log.0.is_bootstrapped());
    log.apply(bootstrap(&[ONE])).unwrap();
    assert_eq!(log.apply(bootstrap(&[TWO])), Err(Refusal::AlreadyBootstrapped));
    assert_eq!(log.0.index(), 5);
}

#[test]
fn a_start_with_a_new_incarnation_raises_the_epochs_of_its_shards_only() {
    let mut log = Log::of(&[ONE, TWO]);
    let before = log.0.clone();
    log.apply(Entry::Up(info(ONE, 2))).unwrap();
    for (shard, held) in log.0.ownerships() {
        let old = before.epoch_of(shard).unwrap();
        let expected = if held.owner == ONE { old.next() } else { old };
        assert_eq!(held.epoch, expected);
    }
    assert_eq!(log.0.member(ONE).unwrap().shards_changed, 2);
    let known = 2;
    for incarnation in [1, 2] {
        let refused = log.apply(Entry::Up(info(ONE, incarnation)));
        assert_eq!(refused, Err(Refusal::StaleIncarnation { member: ONE, known }));
    }
}

#[test]
fn a_new_member_joins_then_comes_up_and_owns_nothing_yet() {
    let mut log = Log::of(&[ONE]);
    let up = Entry::Up(info(TWO, 1));
    assert_eq!(log.apply(up.clone()), Err(Refusal::UnknownMember(TWO)));
    log.apply(Entry::Join(info(TWO, 1))).unwrap();
    log.apply(Entry::Join(info(TWO, 1))).unwrap();
    assert_eq!(log.status(TWO), Status::Joining);
    log.apply(up).unwrap();
    assert_eq!(log.status(TWO), Status::Up);
    assert_eq!(log.of_member(TWO), []);
}

#[test]
fn one_name_belongs_to_one_member_at_a_time() {
    let mut log = Log::of(&[ONE, TWO]);
    let same_name = MemberInfo { name: "rookery-2".into(), ..info(THREE, 1) };
    let join = Entry::Join(same_name);
    assert_eq!(log.apply(join.clone()), Err(Refusal::NameTaken(THREE)));
    log.expel(TWO).unwrap();
    log.apply(join).unwrap();
    assert_eq!(log.0.member(TWO), None);
    assert_eq!(log.status(THREE), Status::Joining);
}

#[test]
fn a_member_that_does_not_know_the_feature_level_stays_out() {
    let mut log = Log::of(&[ONE]);
    let newer = MemberInfo { features: (2, 9), ..info(TWO, 1) };
    assert_eq!(log.apply(Entry::Join(newer)), Err(Refusal::FeatureLevel(TWO)));
    let nameless = MemberInfo { name: String::new(), ..info(TWO, 1) };
    assert_eq!(log.apply(Entry::Join(nameless)), Err(Refusal::BadInfo(TWO)));
}

#[test]
fn an_expelled_members_shards_go_to_the_target_of_their_move_else_to_the_standby_else_around() {
    let mut log = Log::of(&[ONE, TWO]).with_third();
    let owned = log.of_member(ONE);
    log.prepare(owned[0], TWO);
    log.apply(Entry::SetStandby(vec![(owned[0], Some(THREE)), (owned[1], Some(TWO))])).unwrap();
    let before = log.0.clone();
    log.expel(ONE).unwrap();
    assert_eq!(log.status(ONE), Status::Expelled);
    assert_eq!(log.of_member(ONE), []);
    assert_eq!(log.0.ownership(owned[0]).unwrap().phase, Phase::Active);
    assert_eq!(log.0.ownership(owned[1]).unwrap().standby, None);
    for shard in &owned {
        assert_eq!(log.0.epoch_of(*shard), before.epoch_of(*shard).map(Epoch::next));
    }
    assert_eq!(log.0.owner(owned[0]).unwrap().0, TWO);
    assert_eq!(log.0.owner(owned[1]).unwrap().0, TWO);
    // THREE had nothing and takes what nobody is named for.
    assert_eq!(log.of_member(THREE).len(), 2046);
    assert_eq!(log.expel(ONE), Err(Refusal::UnknownMember(ONE)));
}

#[test]
fn an_expulsion_must_name_one_able_heir_for_each_shard() {
    let mut log = Log::of(&[ONE, TWO]);
    let good = heirs(&log.0, ONE).unwrap();
    let mut expel =
        |heirs: Vec<Assignment>| log.apply(Entry::Expel { member: ONE, incarnation: 1, heirs });
    assert_eq!(expel(good[1..].to_vec()), Err(Refusal::BadHeirs(ONE)));
    assert_eq!(expel([&good[..], &good[..1]].concat()), Err(Refusal::BadHeirs(ONE)));
    let mut bad = good.clone();
    bad[7].member = ONE;
    let shard = bad[7].shard;
    assert_eq!(expel(bad), Err(Refusal::BadTarget { shard, member: ONE }));
    assert_eq!(expel(good), Ok(()));
    assert_eq!(heirs(&log.0, TWO), None, "nobody is left to inherit");
}

#[test]
fn an_expelled_member_comes_back_with_a_new_incarnation_only() {
    let mut log = Log::of(&[ONE, TWO]);
    log.expel(TWO).unwrap();
    assert_eq!(log.apply(Entry::Up(info(TWO, 2))), Err(Refusal::UnknownMember(TWO)));
    let stale = Err(Refusal::StaleIncarnation { member: TWO, known: 1 });
    assert_eq!(log.apply(Entry::Join(info(TWO, 1))), stale);
    log.apply(Entry::Join(info(TWO, 2))).unwrap();
    assert_eq!(log.status(TWO), Status::Joining);
}

#[test]
fn a_shard_moves_when_its_owner_lets_go() {
    let mut log = Log::of(&[ONE]);
    log.apply(Entry::Join(info(TWO, 1))).unwrap();
    let to_two = |number| Assignment { shard: shard(number), member: TWO };
    let early = log.apply(Entry::Prepare(vec![to_two(0)]));
    assert_eq!(early, Err(Refusal::BadTarget { shard: shard(0), member: TWO }));
    log.apply(Entry::Up(info(TWO, 1))).unwrap();
    let epoch = log.0.epoch_of(shard(0)).unwrap();
    log.apply(Entry::SetStandby(vec![(shard(0), Some(TWO))])).unwrap();
    let moved = log.prepare(shard(0), TWO);
    assert_eq!(log.0.owner(shard(0)), Some((ONE, epoch)), "the owner still acts");
    assert_eq!(log.apply(Entry::Prepare(vec![to_two(0)])), Err(Refusal::Moving(shard(0))));
    assert_eq!(log.apply(Entry::Prepare(vec![to_two(1); 2])), Err(Refusal::Moving(shard(1))));
    log.apply(Entry::Release(vec![moved])).unwrap();
    assert_eq!(log.0.owner(shard(0)), Some((TWO, epoch.next())));
    let index = log.0.index();
    assert_eq!(log.0.member(ONE).unwrap().shards_changed, index);
    assert_eq!(log.0.member(TWO).unwrap().shards_changed, index);
}

#[test]
fn a_move_is_under_way_from_its_owner_until_it_is_called_off() {
    let mut log = Log::of(&[ONE, TWO]);
    let shard = log.of_member(ONE)[0];
    let moved = log.prepare(shard, TWO);
    assert!(log.0.is_under_way(moved, ONE) && !log.0.is_under_way(moved, TWO));
    log.apply(Entry::Abort(vec![moved])).unwrap();
    assert!(!log.0.is_under_way(moved, ONE));
    let again = log.prepare(shard, TWO);
    assert!(log.0.is_under_way(again, ONE) && !log.0.is_under_way(moved, ONE));
}

#[test]
fn a_shard_that_moves_to_its_standby_is_kept_by_its_former_owner_until_another_one_is_named() {
    for drains in [false, true] {
        let mut log = Log::of(&[ONE, TWO, THREE]);
        let [first, second] = [0, 1].map(|at| log.of_member(ONE)[at]);
        log.apply(Entry::SetStandby(vec![(first, Some(TWO)), (second, Some(THREE))])).unwrap();
        if drains {
            log.apply(Entry::Drain(ONE)).unwrap();
        }
        let moves = [first, second].map(|shard| log.prepare(shard, TWO));
        log.apply(Entry::Release(moves.to_vec())).unwrap();
        let standby = |log: &Log, shard| log.0.ownership(shard).unwrap().standby;
        assert_eq!(standby(&log, first), Some(ONE));
        assert_eq!(standby(&log, second), Some(THREE), "one that keeps it already goes on");
        log.apply(Entry::SetStandby(vec![(first, Some(THREE))])).unwrap();
        assert_eq!(standby(&log, first), Some(THREE));
    }
}

#[test]
fn letting_go_for_an_aborted_move_does_not_count_for_the_next() {
    let mut log = Log::of(&[ONE, TWO]);
    let shard = log.of_member(ONE)[0];
    let first = log.prepare(shard, TWO);
    log.apply(Entry::Abort(vec![first])).unwrap();
    let second = log.prepare(shard, TWO);
    assert_eq!(log.apply(Entry::Release(vec![first])), Err(Refusal::NotMoving(shard)));
    assert_eq!(log.apply(Entry::Release(vec![second, second])), Err(Refusal::NotMoving(shard)));
    log.apply(Entry::Release(vec![second])).unwrap();
    assert_eq!(log.0.owner(shard).unwrap().0, TWO);
}

#[test]
fn a_move_ends_when_either_side_starts_again() {
    for restarted in [ONE, TWO] {
        let mut log = Log::of(&[ONE, TWO]);
        let shard = log.of_member(ONE)[0];
        let moved = log.prepare(shard, TWO);
        log.apply(Entry::Up(info(restarted, 2))).unwrap();
        assert_eq!(log.apply(Entry::Release(vec![moved])), Err(Refusal::NotMoving(shard)));
    }
}

#[test]
fn a_draining_member_is_given_nothing_more_but_inherits_if_nobody_else_can() {
    let mut log = Log::of(&[ONE, TWO]);
    log.apply(Entry::Drain(TWO)).unwrap();
    log.apply(Entry::Drain(TWO)).unwrap();
    let shard = log.of_member(ONE)[0];
    let prepared = log.apply(Entry::Prepare(vec![Assignment { shard, member: TWO }]));
    assert_eq!(prepared, Err(Refusal::BadTarget { shard, member: TWO }));
    log.expel(ONE).unwrap();
    assert_eq!(log.of_member(TWO).len(), 4096);
}

#[test]
fn a_drain_is_called_off_and_the_member_is_given_shards_again() {
    let mut log = Log::of(&[ONE, TWO]);
    log.apply(Entry::Drain(TWO)).unwrap();
    log.apply(Entry::Restore(TWO)).unwrap();
    log.apply(Entry::Restore(TWO)).unwrap();
    let shard = log.of_member(ONE)[0];
    log.apply(Entry::Prepare(vec![Assignment { shard, member: TWO }])).unwrap();
    log.expel(TWO).unwrap();
    assert_eq!(log.apply(Entry::Restore(TWO)), Err(Refusal::UnknownMember(TWO)));
}

#[test]
fn the_last_member_that_takes_shards_is_not_drained() {
    let mut log = Log::of(&[ONE, TWO]);
    log.apply(Entry::Drain(TWO)).unwrap();
    assert_eq!(log.apply(Entry::Drain(ONE)), Err(Refusal::LastHome(ONE)));
    log.apply(Entry::Up(info(TWO, 2))).unwrap();
    log.apply(Entry::Drain(ONE)).unwrap();
}

#[test]
fn the_feature_level_rises_only_to_what_everybody_knows() {
    let mut log = Log::of(&[ONE]);
    for level in [0, 1] {
        let refused = log.apply(Entry::SetFeature(level));
        assert_eq!(refused, Err(Refusal::BadFeatureLevel(level)));
    }
    // Level 2 does not pass the codec of this program, so it goes to the plan directly.
    assert_eq!(log.0.apply(9, Entry::SetFeature(2)), Err(Refusal::BadFeatureLevel(2)));
}

#[test]
fn an_entry_that_is_not_known_stops_the_member() {
    assert_eq!(Entry::decode(&[]), Err(CodecError::UnknownEntry));
    // Field 15, a message of no bytes: a kind of entry from the future.
    assert_eq!(Entry::decode(&[0x7A, 0]), Err(CodecError::UnknownEntry));
    let level = Entry::SetFeature(FEATURE_LEVEL + 1).encode();
    assert_eq!(Entry::decode(&level), Err(CodecError::UnknownLevel(FEATURE_LEVEL + 1)));
    let nowhere = wire_assignment(u32::from(Shard::COUNT));
    assert_eq!(Entry::decode(&nowhere), Err(CodecError::Field("shard")));
    assert!(matches!(Entry::decode(&[0xFF]), Err(CodecError::Bytes(_))));
}

fn wire_assignment(shard: u32) -> Vec<u8> {
    use crate::wire;
    let moves = vec![wire::Assignment { shard, member: 1 }];
    let change = wire::entry::Change::Prepare(wire::Prepare { moves });
    prost::Message::encode_to_vec(&wire::Entry { change: Some(change) })
}

#[test]
fn only_the_long_expelled_are_forgotten() {
    let mut log = Log::of(&[ONE]);
    for id in (10..).map(MemberId).take(Plan::MAX_MEMBERS) {
        log.apply(Entry::Join(info(id, 1))).unwrap();
        log.expel(id).unwrap();
    }
    assert_eq!(log.0.members().count(), 1 + 256);
    assert_eq!(log.0.member(MemberId(10)), None);
    assert_eq!(log.status(MemberId(9 + 1024)), Status::Expelled);
    for id in (5000..).map(MemberId).take(Plan::MAX_MEMBERS - 257) {
        log.apply(Entry::Join(info(id, 1))).unwrap();
    }
    assert_eq!(log.apply(Entry::Join(info(THREE, 1))), Err(Refusal::ClusterFull));
}

#[test]
fn a_whole_plan_survives_its_bytes() {
    assert_eq!(Plan::decode(&Plan::new().encode()).unwrap(), Plan::new());
    let mut log = Log::of(&[ONE, TWO]).with_third();
    let shard = log.of_member(ONE)[5];
    log.prepare(shard, TWO);
    log.apply(Entry::SetStandby(vec![(shard, Some(THREE))])).unwrap();
    log.expel(TWO).unwrap();
    let bytes = log.0.encode();
    assert!(bytes.len() < 64 << 10, "{}", bytes.len());
    assert_eq!(Plan::decode(&bytes).unwrap(), log.0);
    for cut in [1, bytes.len() / 2, bytes.len() - 1] {
        assert!(Plan::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

/// Any change that a leader might propose, sensible or not, in small numbers so that they meet.
fn any_entry() -> impl Strategy<Value = Entry> {
    let id = (1u64..=4).prop_map(MemberId);
    let spot = (0u16..6).prop_map(shard);
    let moved = (spot.clone(), 1u64..60).prop_map(|(shard, since)| MoveId { shard, since });
    let assigned =
        (spot.clone(), id.clone()).prop_map(|(shard, member)| Assignment { shard, member });
    let anyone = (id.clone(), 1u64..6).prop_map(|(id, incarnation)| info(id, incarnation));
    let standby = (spot, proptest::option::of(id.clone()));
    prop_oneof![
        Just(bootstrap(&[ONE, TWO])),
        anyone.clone().prop_map(Entry::Join),
        anyone.prop_map(Entry::Up),
        id.clone().prop_map(Entry::Drain),
        id.clone().prop_map(Entry::Restore),
        proptest::collection::vec(assigned, 1..4).prop_map(Entry::Prepare),
        proptest::collection::vec(moved.clone(), 1..3).prop_map(Entry::Release),
        proptest::collection::vec(moved, 1..3).prop_map(Entry::Abort),
        proptest::collection::vec(standby, 1..3).prop_map(Entry::SetStandby),
        (id.clone(), 0u32..3).prop_map(|(member, weight)| Entry::SetWeight { member, weight }),
        // Completed with the heirs of the plan it meets.
        (id, 1u64..6).prop_map(|(member, incarnation)| Entry::Expel {
            member,
            incarnation,
            heirs: Vec::new(),
        }),
    ]
}

/// What must hold between two plans in succession.
fn check_step(before: &Plan, after: &Plan, applied: Applied) {
    if applied.is_err() {
        let mut unchanged = before.clone();
        unchanged.skip(after.index());
        assert_eq!(&unchanged, after, "a refused entry leaves no trace");
    }
    for ((shard, old), (_, new)) in before.ownerships().zip(after.ownerships()) {
        assert!(new.epoch >= old.epoch, "{shard:?}");
        assert!(new.owner == old.owner || new.epoch > old.epoch, "{shard:?}");
    }
    assert_eq!(after.ownerships().count(), usize::from(Shard::COUNT));
    for (shard, held) in after.ownerships() {
        let member = |id| after.member(id).unwrap();
        assert_ne!(member(held.owner).status, Status::Expelled, "{shard:?}");
        if let Some(standby) = held.standby {
            assert_ne!(standby, held.owner);
            assert_ne!(member(standby).status, Status::Expelled, "{shard:?}");
        }
        if let Phase::Moving { to, since } = held.phase {
            assert_ne!(member(to).status, Status::Expelled, "{shard:?}");
            assert!(to != held.owner && since <= after.index());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_comes_each_shard_has_one_present_owner_and_rising_epochs(
        entries in proptest::collection::vec(any_entry(), 1..60)
    ) {
        let mut log = Log::of(&[ONE, TWO]);
        for entry in entries {
            let before = log.0.clone();
            let entry = match entry {
                Entry::Expel { member, incarnation, .. } => {
                    let heirs = heirs(&before, member).unwrap_or_default();
                    Entry::Expel { member, incarnation, heirs }
                }
                entry => entry,
            };
            let applied = log.apply(entry);
            check_step(&before, &log.0, applied);
        }
        prop_assert_eq!(Plan::decode(&log.0.encode()).unwrap(), log.0);
    }
}
