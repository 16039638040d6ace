//! The log as raft's storage, and the group on it: alone, and with members whose words a test carries.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ::raft::eraftpb::{Entry as LogEntry, HardState, Message, MessageType};
use ::raft::{GetEntriesContext, Storage};
use bytes::Bytes;
use proto::MemberId;
use protobuf::Message as _;
use tempfile::TempDir;

use super::group::{Group, TICK};
use super::log::{LogError, RaftLog, Update};
use crate::clock::BootTime;
use crate::hash::HashKey;
use crate::lease::vitals::Vitals;
use crate::lease::{Grant, Heartbeat, Terms};
use crate::plan::{Applied, Bootstrap, ClusterUuid, Entry, MemberInfo, Plan, Refusal, Status};

fn mint(id: u64) -> MemberId {
    MemberId(id)
}

fn open(directory: &Path) -> Result<RaftLog, LogError> {
    RaftLog::open(directory, mint(7))
}

fn entry(index: u64, term: u64, data: &[u8]) -> LogEntry {
    let mut entry = LogEntry::default();
    (entry.index, entry.term) = (index, term);
    entry.data = data.to_vec().into();
    entry
}

fn hard_state(term: u64, commit: u64) -> HardState {
    let mut state = HardState::default();
    (state.term, state.commit, state.vote) = (term, commit, 7);
    state
}

fn write(log: &mut RaftLog, entries: Vec<LogEntry>, state: HardState) {
    log.write(Update { entries, hard_state: Some(state), sync: true, ..Update::default() })
        .unwrap();
}

/// A log with entries 2 to `last`, all committed.
fn filled(directory: &Path, last: u64) -> RaftLog {
    let mut log = open(directory).unwrap();
    log.initialize(&[mint(7)], vec![1, 2, 3]).unwrap();
    let entries = (2..=last).map(|index| entry(index, 2, &[9; 100])).collect();
    write(&mut log, entries, hard_state(2, last));
    log
}

fn all(log: &RaftLog) -> Vec<LogEntry> {
    let (first, last) = (log.first_index().unwrap(), log.last_index().unwrap());
    log.entries(first, last + 1, None, GetEntriesContext::empty(false)).unwrap()
}

/// What a killed process leaves: a copy of the directory, taken while the log is open.
fn killed(directory: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for file in files(directory) {
        let to = copy.path().join(file.strip_prefix(directory).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&file, to).unwrap();
    }
    copy
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for row in std::fs::read_dir(directory).unwrap() {
        let path = row.unwrap().path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

#[test]
fn a_new_log_has_a_new_member_and_keeps_it() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).unwrap();
    assert!(!log.is_initialized());
    assert_eq!((log.identity().member, log.identity().incarnation), (mint(7), 1));
    assert!(matches!(open(directory.path()), Err(LogError::InUse)));
    drop(log);
    let again = RaftLog::open(directory.path(), mint(8)).unwrap();
    assert_eq!((again.identity().member, again.identity().incarnation), (mint(7), 2));
}

#[test]
fn a_log_opened_again_has_all_that_was_kept() {
    let directory = TempDir::new().unwrap();
    let log = filled(directory.path(), 9);
    let before = all(&log);
    drop(log);
    let log = open(directory.path()).unwrap();
    assert_eq!(all(&log), before);
    let state = log.initial_state().unwrap();
    assert_eq!(state.hard_state, hard_state(2, 9));
    assert_eq!(state.conf_state.voters, [7]);
    assert_eq!((log.term(1), log.term(9)), (Ok(1), Ok(2)));
    assert_eq!(log.snapshot().data.to_vec(), [1, 2, 3]);
}

#[test]
fn a_killed_process_leaves_all_that_was_flushed() {
    let directory = TempDir::new().unwrap();
    let log = filled(directory.path(), 40);
    let copy = killed(directory.path());
    let after = open(copy.path()).unwrap();
    assert_eq!(all(&after), all(&log));
    assert_eq!(after.initial_state().unwrap().hard_state, hard_state(2, 40));
}

#[test]
fn entries_of_a_later_leader_replace_what_they_contradict() {
    let directory = TempDir::new().unwrap();
    let mut log = filled(directory.path(), 5);
    write(
        &mut log,
        vec![entry(6, 2, b"a"), entry(7, 2, b"b"), entry(8, 2, b"c")],
        hard_state(2, 5),
    );
    write(&mut log, vec![entry(6, 3, b"d")], hard_state(3, 5));
    assert_eq!(log.last_index(), Ok(6));
    let before = all(&log);
    drop(log);
    let log = open(directory.path()).unwrap();
    assert_eq!(all(&log), before);
    assert_eq!(log.term(6), Ok(3));
}

#[test]
fn entries_must_follow_the_log() {
    let directory = TempDir::new().unwrap();
    let mut log = filled(directory.path(), 5);
    for index in [0, 1, 7] {
        let entries = vec![entry(index, 2, b"")];
        let gap = log.write(Update { entries, ..Update::default() });
        assert!(matches!(gap, Err(LogError::Gap { last: 5, .. })), "{index}");
    }
    assert_eq!(log.last_index(), Ok(5));
}

#[test]
fn a_snapshot_replaces_entries_but_for_the_last() {
    let directory = TempDir::new().unwrap();
    let mut log = filled(directory.path(), 20);
    let mut snapshot = log.snapshot().clone();
    snapshot.data = vec![4].into();
    (snapshot.mut_metadata().index, snapshot.mut_metadata().term) = (18, 2);
    log.compact(snapshot.clone(), 3).unwrap();
    assert_eq!((log.first_index(), log.last_index()), (Ok(16), Ok(20)));
    assert_eq!(log.since_snapshot(), (2, 200));
    let compacted = ::raft::Error::Store(::raft::StorageError::Compacted);
    assert_eq!(log.term(14), Err(compacted));
    assert_eq!(log.term(15), Ok(2));
    drop(log);
    let mut log = open(directory.path()).unwrap();
    assert_eq!((log.first_index(), log.last_index()), (Ok(16), Ok(20)));
    assert_eq!(Storage::snapshot(&log, 18, 1), Ok(snapshot.clone()));
    assert!(Storage::snapshot(&log, 19, 1).is_err());
    // A leader's snapshot beyond the log replaces all of it, in one update with what follows.
    (snapshot.mut_metadata().index, snapshot.mut_metadata().term) = (19, 4);
    log.write(Update {
        snapshot: Some(snapshot),
        entries: vec![entry(20, 4, b"new")],
        hard_state: Some(hard_state(4, 19)),
        sync: true,
    })
    .unwrap();
    drop(log);
    let log = open(directory.path()).unwrap();
    assert_eq!(all(&log), [entry(20, 4, b"new")]);
    assert_eq!(log.term(19), Ok(4));
}

#[test]
fn a_log_that_lost_committed_entries_is_torn() {
    let directory = TempDir::new().unwrap();
    let mut log = filled(directory.path(), 5);
    write(&mut log, Vec::new(), hard_state(2, 6));
    drop(log);
    let torn = open(directory.path()).err().unwrap();
    let text = torn.to_string();
    assert!(text.contains("committed are missing"), "{text}");
}

#[test]
fn a_damaged_log_is_refused_or_sound_and_never_a_panic() {
    let directory = TempDir::new().unwrap();
    let log = filled(directory.path(), 30);
    let whole = all(&log);
    drop(log);
    let mut refused = 0;
    for file in files(directory.path()) {
        // The journal is laid out in advance: only what is written of it is worth damaging.
        let bytes = std::fs::read(&file).unwrap();
        let len = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64);
        let [gone, empty, cut] = [Damage::Gone, Damage::Cut(0), Damage::Cut(len / 2)];
        for damage in [gone, empty, cut, Damage::Flip(len / 5), Damage::Flip(len)] {
            let copy = killed(directory.path());
            damage.apply(&copy.path().join(file.strip_prefix(directory.path()).unwrap()));
            match open(copy.path()) {
                Err(_) => refused += 1,
                // The last that was written may be lost; what was there at the last start may not.
                Ok(log) => {
                    assert_eq!(log.identity().incarnation, 2, "{file:?} {damage:?}");
                    assert!(whole.starts_with(&all(&log)), "{file:?} {damage:?}");
                }
            }
        }
    }
    assert!(refused > 0);
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Gone,
    Cut(u64),
    Flip(u64),
}

impl Damage {
    fn apply(self, file: &Path) {
        match self {
            Self::Gone => std::fs::remove_file(file).unwrap(),
            Self::Cut(len) => {
                let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
                file.set_len(len).unwrap();
            }
            Self::Flip(at) => {
                let mut bytes = std::fs::read(file).unwrap();
                if let Some(byte) = bytes.get_mut(usize::try_from(at).unwrap()) {
                    *byte ^= 0x55;
                }
                std::fs::write(file, bytes).unwrap();
            }
        }
    }
}

/// Members of a group whose words the test carries, on virtual time.
struct Town {
    groups: Vec<Group>,
    cut: BTreeSet<MemberId>,
    /// So many snapshots vanish on their way, of which nobody is told.
    loses: usize,
    now: BootTime,
    directory: TempDir,
}

impl Town {
    fn of(count: u64) -> Self {
        let directory = TempDir::new().unwrap();
        let voters: Vec<_> = (1..=count).map(MemberId).collect();
        let group = |id: &MemberId| {
            let mut log = RaftLog::open(&directory.path().join(id.to_string()), *id).unwrap();
            log.initialize(&voters, Plan::new().encode()).unwrap();
            Group::new(log, Terms::default()).unwrap()
        };
        Self {
            groups: voters.iter().map(group).collect(),
            cut: BTreeSet::new(),
            loses: 0,
            now: BootTime(0),
            directory,
        }
    }

    fn group(&mut self, id: MemberId) -> &mut Group {
        let at = usize::try_from(id.0).unwrap() - 1;
        &mut self.groups[at]
    }

    /// Lets a tick pass, and carries words until nobody has more.
    fn tick(&mut self) {
        self.now = self.now + TICK;
        let ids: Vec<_> = (1..).map(MemberId).take(self.groups.len()).collect();
        for &id in ids.iter().filter(|id| !self.cut.contains(id)).collect::<Vec<_>>() {
            let now = self.now;
            self.group(id).tick(now);
        }
        loop {
            let mut words: Vec<(MemberId, MemberId, Bytes)> = Vec::new();
            for &id in &ids {
                let now = self.now;
                let done = self.group(id).work(now).unwrap();
                done.fates.into_iter().for_each(|(fate, applied)| fate(applied));
                words.extend(done.messages.into_iter().map(|(to, message)| (id, to, message)));
            }
            words.retain(|(from, to, _)| !self.cut.contains(from) && !self.cut.contains(to));
            words.retain(|(_, _, message)| {
                let is_lost = self.loses > 0 && is_snapshot(message);
                self.loses -= usize::from(is_lost);
                !is_lost
            });
            if words.is_empty() {
                return;
            }
            for (from, to, message) in words {
                let now = self.now;
                self.group(to).step(from, &message, now);
            }
        }
    }

    /// Lets time pass until a member that is not cut off leads.
    fn elect(&mut self) -> MemberId {
        for _ in 0..200 {
            self.tick();
            let cut = self.cut.clone();
            let leaders = self.groups.iter().filter_map(|group| group.leads());
            if let Some(leader) = leaders.into_iter().find(|leader| !cut.contains(leader)) {
                return leader;
            }
        }
        panic!("no leader in 10 s");
    }

    fn propose(&mut self, at: MemberId, entry: &Entry) -> Receiver<Applied> {
        let (sender, receiver) = channel();
        let fate = Box::new(move |applied| {
            let _unsent = sender.send(applied);
        });
        self.group(at).propose(entry, fate);
        receiver
    }

    /// A member asks the leader for its lease.
    fn beat(&mut self, member: MemberId, leader: MemberId) -> Receiver<Grant> {
        let (sender, receiver) = channel();
        let now = self.now;
        let applied = self.group(member).plan().index();
        let heartbeat =
            Heartbeat { member, incarnation: 1, sent: now, applied, vitals: Vitals::default() };
        let answer = Box::new(move |grant| {
            let _unsent = sender.send(grant);
        });
        assert!(self.group(leader).heartbeat(heartbeat, answer, now).is_none());
        receiver
    }
}

fn is_snapshot(message: &[u8]) -> bool {
    let message = Message::parse_from_bytes(message).unwrap();
    message.get_msg_type() == MessageType::MsgSnapshot
}

fn bootstrap(members: u64) -> Entry {
    let info = |id| MemberInfo::new(id, id.to_string());
    Entry::Bootstrap(Bootstrap {
        cluster: ClusterUuid(5),
        generation: 1,
        hash_key: HashKey::new([3; 16]),
        feature_level: 1,
        members: (1..=members).map(MemberId).map(info).collect(),
    })
}

#[test]
fn a_group_of_one_elects_itself_at_once_and_applies() {
    let mut town = Town::of(1);
    let me = MemberId(1);
    let fate = town.propose(me, &bootstrap(1));
    town.tick();
    assert_eq!(fate.try_recv(), Ok(Ok(())));
    assert!(town.group(me).plan().is_bootstrapped());
    let again = town.propose(me, &bootstrap(1));
    town.tick();
    assert_eq!(again.try_recv(), Ok(Err(Refusal::AlreadyBootstrapped)));
    let grant = town.beat(me, me);
    town.tick();
    assert_eq!(grant.try_recv().unwrap().sent, BootTime(100_000_000));
}

#[test]
fn a_group_that_starts_again_goes_on_from_its_last_snapshot() {
    let mut town = Town::of(1);
    let me = MemberId(1);
    let _fate = town.propose(me, &bootstrap(1));
    town.tick();
    for weight in 0..400 {
        let _fate = town.propose(me, &Entry::SetWeight { member: me, weight });
        let _grant = town.beat(me, me);
        town.tick();
    }
    let before = town.group(me).plan().clone();
    town.groups.clear();
    let log = RaftLog::open(&town.directory.path().join(me.to_string()), me).unwrap();
    let (first, snapshot) = (log.first_index().unwrap(), log.snapshot().get_metadata().index);
    assert!(1 < first && first < snapshot && snapshot < before.index());
    let mut group = Group::new(log, Terms::default()).unwrap();
    assert_eq!(group.plan().index(), snapshot);
    group.work(town.now).unwrap();
    assert_eq!(*group.plan(), before);
}

#[test]
fn three_members_agree_and_a_silent_one_is_expelled() {
    let mut town = Town::of(3);
    let leader = town.elect();
    let fate = town.propose(leader, &bootstrap(3));
    town.tick();
    town.tick();
    assert_eq!(fate.try_recv(), Ok(Ok(())));
    let silent = MemberId(leader.0 % 3 + 1);
    let other = MemberId(silent.0 % 3 + 1);
    town.cut.insert(silent);
    let mut expelled_at = None;
    for tick in 0..40 {
        if tick % 4 == 0 {
            let grants = [town.beat(leader, leader), town.beat(other, leader)];
            town.tick();
            town.tick();
            assert!(grants.iter().all(|grant| grant.try_recv().is_ok()), "tick {tick}");
        }
        town.tick();
        let status = town.group(leader).plan().member(silent).unwrap().status;
        if status == Status::Expelled {
            expelled_at = Some(town.now);
            break;
        }
    }
    let expelled_at = expelled_at.expect("the silent member is expelled");
    assert!(expelled_at > BootTime(0) + Terms::default().silence());
    let plans = [leader, other].map(|id| town.group(id).plan().clone());
    assert_eq!(plans[0], plans[1]);
    let owned = plans[0].ownerships().filter(|(_, held)| held.owner == silent);
    assert_eq!(owned.count(), 0);
    // Back again, it learns that it is out, and is not granted anything.
    town.cut.clear();
    let grant = town.beat(silent, leader);
    (0..20).for_each(|_| town.tick());
    assert!(grant.try_recv().is_err());
    assert_eq!(town.group(silent).plan().member(silent).unwrap().status, Status::Expelled);
}

#[test]
fn a_voter_that_is_silent_for_long_gives_its_vote_to_one_that_learns() {
    let mut town = Town::of(4);
    let leader = town.elect();
    let _fate = town.propose(leader, &bootstrap(4));
    let tick = |town: &mut Town| {
        let all = (1..=4).map(MemberId).filter(|id| !town.cut.contains(id));
        for id in all.collect::<Vec<_>>() {
            let _grant = town.beat(id, leader);
        }
        town.tick();
        assert_eq!(town.group(leader).leads(), Some(leader));
    };
    // Of four, three vote and one learns.
    (0..100).for_each(|_| tick(&mut town));
    let before = town.group(leader).standing();
    let [spare] = before.learners[..] else { panic!("{before:?}") };
    assert_eq!(before.voters.len(), 3);
    let dead = *before.voters.iter().find(|id| **id != leader).unwrap();
    town.cut.insert(dead);
    let mut bad = false;
    let since = town.now;
    while town.group(leader).standing().voters.contains(&dead) {
        tick(&mut town);
        // The way to the spare is bad for a moment, while there is nothing new to tell it.
        if town.now.since(since) > Duration::from_secs(20) && !std::mem::replace(&mut bad, true) {
            town.group(leader).unreachable(spare);
        }
        assert!(town.now.since(since) < Duration::from_secs(35), "it votes for ever");
    }
    assert!(town.now.since(since) > Duration::from_secs(30), "a restart takes no longer");
    assert_eq!(town.group(leader).plan().member(dead).unwrap().status, Status::Expelled);
    let after = town.group(leader).standing();
    assert!(after.voters.contains(&spare) && after.voters.contains(&leader));
    assert_eq!(after.voters.len(), 3);
}

#[test]
fn a_leader_that_is_cut_off_grants_nothing() {
    let mut town = Town::of(3);
    let leader = town.elect();
    let _fate = town.propose(leader, &bootstrap(3));
    town.tick();
    town.tick();
    town.cut.insert(leader);
    let grant = town.beat(leader, leader);
    // Its own election timer runs on, but nobody answers.
    for _ in 0..30 {
        let now = town.now;
        town.group(leader).tick(now);
        town.tick();
    }
    assert!(grant.try_recv().is_err());
    assert_ne!(town.elect(), leader);
}

#[test]
fn a_member_far_behind_gets_the_plan_as_a_snapshot() {
    catches_up(0, Duration::from_secs(2));
}

// A queue on its way was full, or the process at its end was not yet what it says it is.
#[test]
fn a_snapshot_that_was_lost_without_a_word_is_sent_again() {
    catches_up(1, Duration::from_secs(12));
}

fn catches_up(lost: usize, patience: Duration) {
    let mut town = Town { loses: lost, ..Town::of(3) };
    let leader = town.elect();
    let fate = town.propose(leader, &bootstrap(3));
    town.tick();
    town.tick();
    assert_eq!(fate.try_recv(), Ok(Ok(())));
    let behind = MemberId(leader.0 % 3 + 1);
    town.cut.insert(behind);
    for weight in 0..400 {
        let member = behind;
        let _unused = town.propose(leader, &Entry::SetWeight { member, weight });
        if weight % 20 == 0 {
            let _grants = (1..=3).map(|id| town.beat(MemberId(id), leader)).count();
            town.tick();
        }
    }
    town.tick();
    town.cut.clear();
    let since = town.now;
    while town.now.since(since) < patience {
        let _grants = (1..=3).map(|id| town.beat(MemberId(id), leader)).count();
        town.tick();
    }
    assert_eq!(town.loses, 0);
    let expected = town.group(leader).plan().clone();
    assert_eq!(expected.member(behind).unwrap().info.weight, 399);
    assert_eq!(*town.group(behind).plan(), expected);
}
