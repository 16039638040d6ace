//! A room full of people over three members and one Redis, while its owner is killed again and again, or hands
//! it over; and the judge of what each of them heard and saw (XEP-0045 §7.4: one order for all).
//!
//! `ROOKERY_ASSEMBLY=300,10` has 300 of them, and its owner dies ten times; with `huge` [`huge`] is played too. With
//! `ROOKERY_ALONE` nothing else is played meanwhile, and they wait for the next message no longer than is promised.

mod churn;
mod copies;
mod counted;
mod huge;
mod occupant;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use cluster::plan::Status as MemberStatus;
use town::Client;
use town::client::Login;

use super::quarters::{Quarters, ask, member, until, until_acts};
use super::report;
use crate::redis::{self, archive_of};
use crate::stage::{PASSWORD, Stage};
use counted::{Counted, Members};
use occupant::{Occupant, ROOM, Record, Scene};

/// How many speak: so many on each member.
const SPEAKERS: usize = 6;

/// When the owner of a room dies, of a hundred people ninety-nine hear the next message sooner than this: where nothing else is
/// played meanwhile, as is promised, and where other tests are.
const SILENCE: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(10)];

/// Between two messages of one.
const PACE: Duration = Duration::from_millis(250);

/// The members, and everybody who is in the room.
struct Assembly {
    stages: Vec<Stage>,
    members: Members,
    scene: Arc<Scene>,
    names: Vec<String>,
    occupants: Vec<JoinHandle<Record>>,
    _quarters: Quarters,
    _redis: redis::Server,
}

/// How many are in the room, and how often its owner dies.
fn size() -> (usize, usize) {
    let asked = std::env::var("ROOKERY_ASSEMBLY").unwrap_or_default();
    let numbers = asked.split_once(',');
    let read = numbers.and_then(|(all, deaths)| Some((all.parse().ok()?, deaths.parse().ok()?)));
    read.unwrap_or((60, 3))
}

impl Assembly {
    /// So many are inside, and some speak.
    fn begin(all: usize, more: &str) -> Self {
        let assembly = Self::gather(all, more);
        assembly.speak();
        assembly
    }

    /// Speakers speak from now on.
    fn speak(&self) {
        self.scene.begins.store(true, Ordering::Release);
    }

    /// The room is made by the first one; then so many enter, and each sees all others.
    fn gather(all: usize, more: &str) -> Self {
        let (redis, store) = redis::redis();
        let quarters = Quarters::of(3, 3);
        let stages = quarters.start_all(3, &format!("{more}{store}"));
        stages.iter().for_each(until_acts);
        let names: Vec<String> = (0..all).map(|number| format!("person{number}")).collect();
        stages[0].add_accounts(&names);
        make(&stages[0], &names[0]);
        let members: Members = Arc::new(Mutex::new(stages.iter().map(|stage| stage.c2s).collect()));
        let scene = Arc::new(Scene { all, ..Scene::default() });
        let occupant = |(number, name): (usize, &String)| {
            let stream = Counted::new(name, number, &members);
            let occupant = Occupant::new(&scene, stream, (number < SPEAKERS).then_some(PACE));
            let occupant = if number == 0 { occupant.first() } else { occupant };
            std::thread::spawn(move || occupant.attend())
        };
        let occupants = names.iter().enumerate().map(occupant).collect();
        let assembly =
            Self { stages, members, scene, names, occupants, _quarters: quarters, _redis: redis };
        until("everybody inside", || assembly.scene.inside.load(Ordering::Acquire) == all);
        assembly
    }

    /// Waits until the first one has heard so many more.
    fn go_on(&self, messages: usize) {
        let heard = || self.scene.heard.load(Ordering::Acquire);
        let so_far = heard();
        until("messages", || heard() >= so_far + messages);
    }

    /// The number of the member at which the room is.
    fn owner(&self) -> usize {
        let mut owner = None;
        until("the room's owner", || {
            owner = owner_by(&self.stages[0]);
            owner.is_some()
        });
        owner.unwrap()
    }

    /// The room's owner dies, and comes back when the room has gone on without it.
    fn lose_owner(&mut self) {
        self.scene.deaths.fetch_add(1, Ordering::AcqRel);
        let victim = self.owner();
        let (name, other) = (format!("m{}", victim + 1), (victim + 1) % 3);
        self.stages[victim].kill();
        let is = |stages: &[Stage], status| member(&stages[other], &name).status == status;
        until("the takeover", || is(&self.stages, MemberStatus::Expelled));
        self.go_on(50);
        self.stages[victim].restart();
        self.members.lock().unwrap()[victim] = self.stages[victim].c2s;
        until("its return", || is(&self.stages, MemberStatus::Up));
        self.stages.iter().for_each(until_acts);
        // A second death is a second fault when the copies are there again.
        until("standbys", || has_standbys(&self.stages[other]));
        self.go_on(50);
    }

    /// Nothing new is said, and all that was is acknowledged.
    fn fall_silent(&self) {
        self.scene.ends.store(true, Ordering::Release);
        until("the last acknowledgement", || self.scene.silent.load(Ordering::Acquire) == SPEAKERS);
    }

    /// The end is said, and comes before all; so many are inside beside the occupants.
    fn close(&self, guests: usize) {
        let all = self.names.len() + guests;
        self.scene.closes.store(true, Ordering::Release);
        until("the end before all", || self.scene.done.load(Ordering::Acquire) >= all);
    }

    /// Everybody may go.
    fn disperse(&self) {
        self.scene.over.store(true, Ordering::Release);
    }

    /// Lets everybody come to an end, and judges by the archive, which this member reads.
    fn judge(self, reads: usize) -> Verdict {
        self.fall_silent();
        self.close(0);
        self.disperse();
        let (kept, records) = self.records(reads);
        let verdict = Verdict::of(&kept, &records);
        verdict.judge();
        verdict
    }

    /// What the archive has, which this member reads, and what everybody saw.
    fn records(self, reads: usize) -> (Vec<String>, Vec<Record>) {
        let records = self.occupants.into_iter().map(|occupant| occupant.join().unwrap());
        let records: Vec<Record> = records.collect();
        let kept = archive_of(&mut reader(&self.stages[reads], &self.names[0]), ROOM);
        (kept, records)
    }
}

/// What all heard, added up.
#[derive(Debug, Default)]
struct Verdict {
    /// Messages that were said, and acknowledged.
    said: usize,
    /// Streams that were resumed.
    resumed: usize,
    /// Said, and not in the archive; more than once there; in another order than its speaker has said them.
    archive: Faults,
    /// In the archive, and not heard by somebody, and so on.
    heard: Faults,
    /// Sessions that could not be resumed.
    begun_anew: usize,
    /// Whose presence came and went without reason.
    flaps: usize,
    refused: usize,
    /// How long each heard nothing after each death, the shortest first.
    silences: Vec<Duration>,
    notes: Vec<String>,
}

/// What may become of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Faults {
    lost: usize,
    doubled: usize,
    reordered: usize,
}

impl Verdict {
    fn of(kept: &[String], records: &[Record]) -> Self {
        let mut verdict = Self::default();
        for record in records {
            verdict.said += record.said.len();
            let of_one = |text: &&String| record.said.contains(*text);
            let own: Vec<String> = kept.iter().filter(of_one).cloned().collect();
            verdict.archive.add(&record.said, &own);
            let faults = Faults::between(kept, &record.heard);
            if faults != Faults::default() {
                let (name, list) = (&record.name, differences(kept, &record.heard));
                verdict.notes.push(format!("{name} {faults:?}: {list:?}"));
                verdict.notes.extend(record.notes.iter().cloned());
            }
            verdict.heard.add(kept, &record.heard);
            verdict.resumed += record.resumed;
            verdict.begun_anew += record.begun - 1;
            verdict.flaps += record.flaps.len();
            verdict.refused += record.refused.len();
            verdict.silences.extend(&record.silences);
            for seen in record.flaps.iter().chain(&record.refused).take(3) {
                verdict.notes.push(format!("{} saw {seen:?}", record.name));
            }
            if record.begun > 1 {
                verdict.notes.extend(record.notes.iter().cloned());
            }
        }
        verdict.silences.sort_unstable();
        verdict
    }

    /// Every message is kept once and was heard by everybody once, in one order; nobody left, nobody was turned away.
    fn judge(&self) {
        let none = Faults::default();
        assert_eq!([self.archive, self.heard], [none, none], "{self:#?}");
        assert_eq!([self.begun_anew, self.flaps, self.refused], [0; 3], "{self:#?}");
        assert!(self.said > 100 && self.resumed > 0, "{self:#?}");
    }
}

impl Faults {
    fn between(due: &[String], came: &[String]) -> Self {
        let mut faults = Self::default();
        faults.add(due, came);
        faults
    }

    fn add(&mut self, due: &[String], came: &[String]) {
        let mut places: HashMap<&str, (usize, usize)> =
            due.iter().enumerate().map(|(place, text)| (text.as_str(), (place, 0))).collect();
        let mut last = 0;
        for text in came {
            let Some((place, times)) = places.get_mut(text.as_str()) else { continue };
            *times += 1;
            self.doubled += usize::from(*times > 1);
            self.reordered += usize::from(*times == 1 && *place < last);
            last = last.max(*place);
        }
        self.lost += places.values().filter(|(_, times)| *times == 0).count();
    }
}

/// What so many of a hundred are not above, of a list that is in order.
fn percentile(sorted: &[Duration], of: usize) -> Duration {
    let rank = (sorted.len() * of).div_ceil(100);
    sorted[rank.saturating_sub(1)]
}

/// Where one differs from the archive: what is there around that place.
fn differences(kept: &[String], heard: &[String]) -> Vec<String> {
    let at = kept.iter().zip(heard).position(|(one, other)| one != other);
    let at = at.unwrap_or_else(|| kept.len().min(heard.len()));
    let around = |list: &[String]| list[at.saturating_sub(2)..(at + 6).min(list.len())].join(" ");
    vec![format!("at {at}"), around(kept), around(heard)]
}

fn reader(stage: &Stage, name: &str) -> Client {
    let login = Login { address: stage.c2s, domain: "localhost", name, password: PASSWORD };
    let mut reader = None;
    until("a reader", || {
        // On a busy machine a member may be without its lease for a while.
        reader = Client::try_log_in(&login).ok();
        reader.is_some()
    });
    let mut reader = reader.expect("it is awaited");
    reader.bind("reader");
    reader
}

/// Makes the room, which stays.
fn make(stage: &Stage, name: &str) {
    let mut maker = reader(stage, name);
    maker.send(format!(
        "<presence to='{ROOM}/maker'><x xmlns='http://jabber.org/protocol/muc'/></presence>\
         <iq type='set' id='conf' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#roomconfig</value></field>\
         <field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query></iq>\
         <presence to='{ROOM}/maker' type='unavailable'/>"
    ));
    while maker.next().expect("an answer").attr("id") != Some("conf") {}
    while maker.next().expect("a farewell").attr("type") != Some("unavailable") {}
    maker.leave();
}

/// The number of the member that acts for the only room and counts somebody there, as any member knows.
fn owner_by(stage: &Stage) -> Option<usize> {
    let rooms: serde_json::Value =
        serde_json::from_slice(&ask(stage, "/api/v1/rooms?limit=100")).ok()?;
    rooms[0]["occupants"].as_u64().filter(|inside| *inside > 0)?;
    let number: usize = rooms[0]["member"].as_str()?.strip_prefix('m')?.parse().ok()?;
    Some(number - 1)
}

fn has_standbys(stage: &Stage) -> bool {
    super::quarters::shards(stage).iter().all(|shard| shard.standby.is_some())
}

#[test]
fn a_room_goes_on_for_all_who_are_inside_however_often_its_owner_dies() {
    if !redis::fixture::is_there() {
        return;
    }
    let (all, deaths) = size();
    let mut assembly = Assembly::begin(all, "");
    assembly.go_on(50);
    (0..deaths).for_each(|_| assembly.lose_owner());
    let Verdict { said, resumed, silences, .. } = assembly.judge(0);
    assert_eq!(silences.len(), all * deaths);
    let [half, most, longest] = [50, 99, 100].map(|of| percentile(&silences, of));
    let findings = format!(
        "{all} people, whose room's owner dies {deaths} times; {said} messages were said and {resumed} streams resumed. Nothing was lost, \
         doubled or out of order for anybody, and nobody was seen to leave. After a death somebody hears nothing for {half:.1?} (p50), \
         {most:.1?} (p99), {longest:.1?} at most.\n"
    );
    println!("{findings}");
    let [alone, beside_others] = SILENCE;
    let is_measured = std::env::var_os("ROOKERY_ASSEMBLY").is_some();
    let is_alone = is_measured || std::env::var_os("ROOKERY_ALONE").is_some();
    assert!(most < if is_alone { alone } else { beside_others }, "{findings}");
    if is_measured {
        let command = format!("ROOKERY_ASSEMBLY={all},{deaths} benches/run-cluster rooms");
        report::write("rooms", "A room on three members whose owner dies", &command, &findings);
    }
}

#[test]
fn a_room_full_of_people_is_handed_over_while_they_talk() {
    if !redis::fixture::is_there() {
        return;
    }
    // Nobody is to be expelled because the machine is busy.
    let patient = "drain_seconds = 2\n[lease]\nttl_ms = 60000\n";
    let mut assembly = Assembly::begin(size().0, patient);
    assembly.go_on(50);
    let owner = assembly.owner();
    let others = [(owner + 1) % 3, (owner + 2) % 3].map(|at| assembly.stages[at].c2s);
    *assembly.members.lock().unwrap() = others.to_vec();
    assembly.stages[owner].run(&["cluster", "drain", "--wait"]).unwrap();
    assert_ne!(assembly.owner(), owner);
    assembly.go_on(50);
    // Rooms that are elsewhere do not stop with the member on which they were (XEP-0045 §11.2).
    assembly.stages[owner].signal("TERM");
    assert!(assembly.stages[owner].await_end().success());
    assembly.go_on(50);
    assembly.judge((owner + 1) % 3);
}
