//! Pairs of people who talk over three members and one Redis while a member is killed or stands still; and
//! the judge of what each of them saw and of what their archives have. What `cluster::drain` does is judged there.

mod endurance;
mod network;
mod severed;
mod speaker;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use cluster::clock::BootTime;
use cluster::plan::Status as MemberStatus;

use super::quarters::{PATIENT, Quarters, Watched, member, until, until_acts};
use town::Client;
use town::client::Login;

use crate::redis::{self, archive};
use crate::stage::{PASSWORD, Stage};
use speaker::{History, Scene, Speaker};

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
    _redis: redis::Server,
}

impl Play {
    fn begin() -> Self {
        let (redis, store) = redis::redis();
        let quarters = Quarters::of(3, 3);
        let stages = quarters.start_all(3, &format!("{PATIENT}{store}"));
        Self::of(stages, quarters, redis)
    }

    /// Lets people talk over these members.
    fn of(stages: Vec<Stage>, quarters: Quarters, redis: redis::Server) -> Self {
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
            served: names.iter().map(|_| AtomicU64::new(0)).collect(),
        });
        let speaker = |(at, name): (usize, &String)| {
            let speaker = Speaker::new(&scene, (name, &names[at ^ 1]), at);
            thread::spawn(move || speaker.talk())
        };
        let speakers = names.iter().enumerate().map(speaker).collect();
        let (stages, outages) = (Watched(stages), Vec::new());
        Self { stages, scene, names, speakers, outages, _quarters: quarters, _redis: redis }
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
        let name = format!("m{}", victim + 1);
        let other = (victim + 1) % 3;
        let is = |stages: &[Stage], status| member(&stages[other], &name).status == status;
        match fault {
            Fault::Dies => {
                let since = self.scene.now();
                self.stages[victim].kill();
                self.await_service(since);
                until("the takeover", || is(&self.stages, MemberStatus::Expelled));
                self.go_on(100);
                self.stages[victim].restart();
            }
            Fault::Pauses => {
                self.stages[victim].signal("STOP");
                until("the takeover", || is(&self.stages, MemberStatus::Expelled));
                self.go_on(100);
                self.stages[victim].signal("CONT");
            }
        }
        self.scene.members.lock().unwrap()[victim] = self.stages[victim].c2s;
        until("its return", || is(&self.stages, MemberStatus::Up));
        self.stages.iter().for_each(until_acts);
        self.go_on(100);
    }

    /// Lets everybody come to an end, and judges.
    fn end(self) -> Verdict {
        self.scene.ends.store(true, Ordering::Release);
        let all = self.names.len() as u64;
        until("the last acknowledgement", || self.scene.done.load(Ordering::Acquire) == all);
        self.scene.asks.store(true, Ordering::Release);
        until("the last answer", || self.scene.answered.load(Ordering::Acquire) >= all);
        self.scene.over.store(true, Ordering::Release);
        let histories: Vec<History> =
            self.speakers.into_iter().map(|speaker| speaker.join().unwrap()).collect();
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
        verdict
    }
}

/// What all saw, added up.
#[derive(Debug, Default)]
struct Verdict {
    acknowledged: usize,
    /// Acknowledged, and not in the recipient's archive.
    lost: usize,
    /// More than once in an archive, or before a client.
    doubled: usize,
    /// Acknowledged, and the recipient's client never got it.
    not_given: usize,
    /// Given behind one that was said later.
    reordered: usize,
    /// Streams that were resumed, and sessions that could not be.
    resumed: usize,
    begun_anew: usize,
    /// Words that the partner is gone, who never goes.
    absences: usize,
    bounced: usize,
    notes: Vec<String>,
}

impl Verdict {
    /// Every message that was acknowledged is kept once and was given once; every session went on, nobody saw anybody
    /// go, and nobody was turned away. What came out of order is told.
    fn judge(&self) {
        let Self { acknowledged, resumed, .. } = self;
        let reordered = self.reordered;
        println!("{acknowledged} acknowledged, {resumed} resumed, {reordered} out of order");
        assert_eq!([self.lost, self.doubled, self.not_given], [0; 3], "{self:#?}");
        assert_eq!([self.begun_anew, self.absences, self.bounced], [0; 3], "{self:#?}");
    }

    /// What went wrong, by name.
    fn rows(&self) -> [(&'static str, usize); 7] {
        [
            ("acknowledged and not in the archive", self.lost),
            ("more than once", self.doubled),
            ("acknowledged and never given", self.not_given),
            ("given behind later ones", self.reordered),
            ("sessions that could not be resumed", self.begun_anew),
            ("partners said to be gone", self.absences),
            ("messages that came back", self.bounced),
        ]
    }

    /// Adds what one got of what the partner, who has this name, said. An archive has what both said, by the same
    /// numbers.
    fn add(&mut self, name: &str, kept: &[String], (own, partner): (&History, &History)) {
        let kept = kept.iter().map(|body| body.parse().unwrap());
        let [kept, given] = [times(kept), times(own.received.iter().copied())];
        let [own_said, said] = [own, partner].map(|who| times(who.acknowledged.iter().copied()));
        let count = |of: &HashMap<u64, usize>, number| of.get(&number).copied().unwrap_or(0);
        for number in partner.acknowledged.iter().copied() {
            let due = count(&said, number).min(1) + count(&own_said, number).min(1);
            let (in_archive, given) = (count(&kept, number), count(&given, number));
            self.acknowledged += 1;
            self.lost += usize::from(in_archive < due);
            self.doubled += usize::from(given > 1 || in_archive > due);
            self.not_given += usize::from(given == 0);
            if in_archive != due || given != 1 {
                self.notes.push(format!(
                    "{name} said {number}: {in_archive} of {due} kept, {given} given"
                ));
            }
        }
        let reordered = own.received.windows(2).filter(|two| two[0] > two[1]);
        for two in reordered {
            self.reordered += 1;
            self.notes.push(format!("{name} said {}, which was given behind {}", two[1], two[0]));
        }
        self.notes.extend(own.notes.iter().cloned());
        self.resumed += own.resumed;
        self.begun_anew += own.lost_sessions;
        self.absences += own.absences;
        self.bounced += own.bounced;
    }
}

/// How often each number is there.
fn times(numbers: impl Iterator<Item = u64>) -> HashMap<u64, usize> {
    let mut times = HashMap::new();
    numbers.for_each(|number| *times.entry(number).or_default() += 1);
    times
}

#[test]
fn what_is_acknowledged_is_there_whichever_member_is_killed() {
    if !redis::fixture::is_there() {
        return;
    }
    let mut play = Play::begin();
    play.go_on(300);
    for victim in 0..3 {
        play.suffer(Fault::Dies, victim);
    }
    let verdict = play.end();
    verdict.judge();
    assert_eq!(verdict.reordered, 0, "{verdict:#?}");
    assert!(verdict.acknowledged > 600 && verdict.resumed > 0, "{verdict:#?}");
}

#[test]
fn what_is_acknowledged_is_there_when_a_member_stood_still() {
    if !redis::fixture::is_there() {
        return;
    }
    let mut play = Play::begin();
    play.go_on(300);
    play.suffer(Fault::Pauses, 2);
    let verdict = play.end();
    verdict.judge();
    assert_eq!(verdict.reordered, 0, "{verdict:#?}");
}
