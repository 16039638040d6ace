//! Pairs of people who talk over three members and one Redis while a member is killed or stands still, or all of these
//! at once. What `cluster::drain` does is judged there.

mod endurance;
mod fences;
mod network;
mod restarts;
mod severed;
mod speaker;
mod verdict;
mod ways;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use cluster::clock::BootTime;
use cluster::plan::Status as MemberStatus;

use super::figures::figure;
use super::quarters::{Quarters, Watched, is_ready, member, status, until, until_acts};
use town::Client;
use town::client::Login;

use crate::redis::{self, archive};
use crate::stage::machine::{Machine, can_shift_boot, stood_still};
use crate::stage::{PASSWORD, Stage};
use speaker::{History, Scene, Speaker};
use verdict::Verdict;

/// Pairs that talk.
const PAIRS: usize = 6;

/// What happens to a member.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Its process is killed, and started again.
    Dies,
    /// It stands still for longer than its lease lasts.
    Pauses,
}

/// The members and everybody who talks over them.
struct Play {
    stages: Watched,
    scene: Arc<Scene>,
    names: Vec<String>,
    speakers: Vec<thread::JoinHandle<History>>,
    /// For each death and each account, microseconds until it was served again.
    outages: Vec<u64>,
    _quarters: Quarters,
    redis: Option<redis::Server>,
    /// Where the test reaches that one.
    redis_at: IpAddr,
}

impl Play {
    fn begin() -> Self {
        Self::begin_with("")
    }

    /// As [`Play::begin`], with this laid over each member's configuration, keys of the cluster's own first.
    fn begin_with(more: &str) -> Self {
        let (redis, store) = redis::redis();
        let quarters = Quarters::of(3, 3);
        let stages = quarters.start_all(3, &format!("{more}{store}"));
        Self::of(stages, quarters, redis)
    }

    /// Lets people talk over these members.
    fn of(stages: Vec<Stage>, quarters: Quarters, redis: impl Into<Option<redis::Server>>) -> Self {
        stages.iter().for_each(until_acts);
        let names: Vec<String> = (0..PAIRS * 2).map(|number| format!("person{number}")).collect();
        stages[0].add_accounts(&names);
        let scene = Arc::new(Scene {
            members: Mutex::new(stages.iter().map(|stage| stage.c2s).collect()),
            ends: AtomicBool::new(false),
            over: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            done: AtomicU64::new(0),
            asks: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            begun: BootTime::now(),
            places: (0..names.len()).map(|at| AtomicUsize::new(at % 3)).collect(),
            served: names.iter().map(|_| AtomicU64::new(0)).collect(),
        });
        let speaker = |(at, name): (usize, &String)| {
            let speaker = Speaker::new(&scene, (name, &names[at ^ 1]), at);
            thread::spawn(move || speaker.talk())
        };
        let speakers = names.iter().enumerate().map(speaker).collect();
        let (stages, outages) = (Watched(stages), Vec::new());
        let (redis, redis_at) = (redis.into(), Ipv4Addr::LOCALHOST.into());
        Self { stages, scene, names, speakers, outages, _quarters: quarters, redis, redis_at }
    }

    /// Waits until so much more was acknowledged: everybody talks.
    fn go_on(&self, messages: u64) {
        let acknowledged = || self.scene.acknowledged.load(Ordering::Acquire);
        let so_far = acknowledged();
        until("acknowledgements", || acknowledged() >= so_far + messages);
    }

    /// Waits until something that everybody has said since then is acknowledged: every account is served, and every
    /// client has found a member. Notes how long that takes for each.
    fn await_service(&mut self, since: u64) {
        let mut waiting: Vec<usize> = (0..self.names.len()).collect();
        until("service", || {
            let now = self.scene.now();
            let served = |it: &mut usize| self.scene.served[*it].load(Ordering::Acquire) >= since;
            let times = waiting.extract_if(.., served).map(|_| now - since);
            self.outages.extend(times);
            waiting.is_empty()
        });
    }

    fn suffer(&mut self, fault: Fault, victim: usize) {
        match fault {
            Fault::Dies => {
                self.lose(victim);
                self.stages[victim].restart();
            }
            Fault::Pauses => {
                self.stages[victim].signal("STOP");
                self.await_status(victim, MemberStatus::Expelled);
                self.go_on(100);
                self.stages[victim].signal("CONT");
            }
        }
        self.await_return(victim);
    }

    /// A member's process is killed; the others take over, and all talk on.
    fn lose(&mut self, victim: usize) {
        let places = self.scene.places.iter().map(|place| place.load(Ordering::Acquire));
        assert!(places.into_iter().any(|place| place != victim), "all are at the one that dies");
        let since = self.scene.now();
        self.stages[victim].kill();
        self.await_service(since);
        self.await_status(victim, MemberStatus::Expelled);
        self.go_on(100);
    }

    /// Waits until a member is what it was, and all talk on.
    fn await_return(&mut self, victim: usize) {
        self.scene.members.lock().unwrap()[victim] = self.stages[victim].c2s;
        self.await_status(victim, MemberStatus::Up);
        self.stages.iter().for_each(until_acts);
        self.go_on(100);
    }

    /// Waits until a member is this for the others.
    fn await_status(&self, of: usize, status: MemberStatus) {
        let (name, other) = (format!("m{}", of + 1), &self.stages[(of + 1) % 3]);
        until("its status", || member(other, &name).status == status);
    }

    /// How many shards the member of this number, from 1, has.
    fn shards_of(&self, number: usize) -> usize {
        member(&self.stages[0], &format!("m{number}")).shards
    }

    /// Which process each member is for the others.
    fn incarnations(&self) -> Vec<u64> {
        let seen = |number| member(&self.stages[0], &format!("m{number}")).incarnation;
        (1..=3).map(seen).collect()
    }

    /// Lets everybody come to an end, and judges. Members run on: if it is judged badly, they show what they said last.
    fn end(&mut self) -> Verdict {
        self.scene.ends.store(true, Ordering::Release);
        let all = self.names.len() as u64;
        until("the last acknowledgement", || self.scene.done.load(Ordering::Acquire) == all);
        self.scene.asks.store(true, Ordering::Release);
        until("the last answer", || self.scene.answered.load(Ordering::Acquire) >= all);
        self.scene.over.store(true, Ordering::Release);
        let histories: Vec<History> =
            self.speakers.drain(..).map(|speaker| speaker.join().unwrap()).collect();
        let mut verdict = Verdict::default();
        for (at, name) in self.names.iter().enumerate() {
            let address = self.stages[at % 3].c2s;
            let login = Login { address, domain: "localhost", name, password: PASSWORD };
            let mut reader = None;
            until("a reader", || {
                // On a busy machine a member may be without its lease for a while.
                reader = Client::try_log_in(&login).ok();
                reader.is_some()
            });
            let mut reader = reader.expect("it is awaited");
            reader.bind("reader");
            let kept = archive(&mut reader);
            verdict.add(&self.names[at ^ 1], &kept, (&histories[at], &histories[at ^ 1]));
        }
        if let Some(redis) = &self.redis {
            self.judge_fences(redis);
        }
        // For whoever must find out what went wrong.
        println!("{}", self.stages[0].run(&["session", "list"]).unwrap_or_default());
        verdict
    }
}

/// Pairs talk over members while something happens to these; then what all saw is judged, with the members still there to
/// show what they said. Nothing is played where there is no Redis.
fn talk_while<W>(
    begin: impl FnOnce() -> (W, Play),
    happens: impl FnOnce(&mut W, &mut Play),
    judge: impl FnOnce(&Verdict),
) {
    if !redis::fixture::is_there() {
        return;
    }
    // What members need outlives them.
    let (mut world, mut play) = begin();
    play.go_on(300);
    happens(&mut world, &mut play);
    judge(&play.end());
}

/// As [`talk_while`], over three members on one Redis that have this in their configuration.
fn talk_on_redis_while(more: &str, happens: impl FnOnce(&mut Play), judge: impl FnOnce(&Verdict)) {
    talk_while(|| ((), Play::begin_with(more)), |(), play| happens(play), judge);
}

#[test]
fn what_is_acknowledged_is_there_whichever_member_is_killed() {
    let happens = |play: &mut Play| (0..3).for_each(|victim| play.suffer(Fault::Dies, victim));
    talk_on_redis_while("", happens, |verdict| {
        verdict.judge();
        assert!(verdict.acknowledged > 600 && verdict.resumed > 0, "{verdict:#?}");
    });
}

#[test]
fn what_is_acknowledged_is_there_when_a_member_stood_still() {
    talk_on_redis_while("", |play| play.suffer(Fault::Pauses, 2), Verdict::judge);
}

/// For how many seconds longer than this machine those of the members have been up.
const BOOTED: [u64; 3] = [0, 1_000, 10_000_000];

#[test]
fn what_is_acknowledged_is_there_though_no_two_machines_have_been_up_for_as_long() {
    if !can_shift_boot() {
        return;
    }
    let happens = |play: &mut Play| {
        play.suffer(Fault::Dies, 0);
        play.suffer(Fault::Pauses, 1);
        play.suffer(Fault::Dies, 2);
    };
    let begin = || {
        let (redis, store) = redis::redis();
        let quarters = Quarters::of(3, 3);
        let start = |(number, booted)| {
            let machine = Machine { booted: Some(booted), ..Machine::default() };
            quarters.start_on(machine, number, &store)
        };
        let starting: Vec<_> = (1..).zip(BOOTED).map(start).collect();
        let stages = starting.into_iter().map(|starting| starting.join().unwrap()).collect();
        ((), Play::of(stages, quarters, redis))
    };
    talk_while(begin, |(), play| happens(play), Verdict::judge);
}

// As a virtual machine whose host stops it: when it goes on, it takes its lease for good, until somebody answers it.
#[test]
fn what_is_acknowledged_is_there_though_a_member_does_not_know_that_it_stood_still() {
    if !redis::fixture::is_there() {
        return;
    }
    let begin = || {
        let (redis, store) = redis::redis();
        let quarters = Quarters::of(3, 3);
        let start = |number| {
            let machine = Machine { is_virtual: true, ..Machine::default() };
            quarters.start_on(machine, number, &store)
        };
        let starting: Vec<_> = (1..=3).map(start).collect();
        let stages = starting.into_iter().map(|starting| starting.join().unwrap()).collect();
        ((), Play::of(stages, quarters, redis))
    };
    let happens = |play: &mut Play| {
        for victim in [1, 2, 0] {
            play.stages[victim].signal("STOP");
            let since = BootTime::now();
            play.await_status(victim, MemberStatus::Expelled);
            play.go_on(100);
            stood_still(&play.stages[victim].dir, BootTime::now().since(since));
            play.stages[victim].signal("CONT");
            play.await_return(victim);
        }
        let fenced = "rookery_store_refusals_total{reason=\"fenced\"}";
        let refused: f64 = play.stages.iter().map(|stage| figure(stage, fenced)).sum();
        assert!(refused > 0.0, "none of them took itself for the owner of anything");
    };
    talk_while(begin, |(), play| happens(play), Verdict::judge);
}

/// Longer than any client is kept by a member that may not act.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn sessions_go_on_where_they_are_when_most_members_stood_still() {
    let happens = |play: &mut Play| {
        let before = play.incarnations();
        let others = [1, 2];
        others.iter().for_each(|at| play.stages[*at].signal("STOP"));
        let since = BootTime::now();
        until("the end of its lease", || !status(&play.stages[0]).lease);
        // It acts for nobody, and keeps what it has: nobody has taken over.
        until("a while", || {
            assert!(!status(&play.stages[0]).lease && !is_ready(&play.stages[0]));
            BootTime::now().since(since) > LONG
        });
        let since = play.scene.now();
        others.iter().for_each(|at| play.stages[*at].signal("CONT"));
        play.await_service(since);
        play.stages.iter().for_each(until_acts);
        assert_eq!(play.incarnations(), before, "all were merely late");
        play.go_on(100);
    };
    let more = "[lease]\npreset = 'noisy'\n[c2s]\nisolation_seconds = 2\n";
    talk_on_redis_while(more, happens, |verdict| {
        verdict.judge();
        assert!(verdict.resumed > 0, "{verdict:#?}");
    });
}
