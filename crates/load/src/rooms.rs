//! One room: many enter at once, then some of them talk and all hear it.
//!
//! Entering counts each presence that an occupant gets of an occupant, their own too. Talking is a closed loop: each
//! speaker keeps a window of messages under way, and a message leaves the window when its speaker has their own copy.

use crate::fleet::{Fleet, Target};
use crate::measure::{Look, Used};
use crate::message::{self, Mark};
use crate::process::Tree;
use crate::scan::{attribute, holds, name};
use crate::sessions::{Script, Sessions};
use crate::stats::{Histogram, Quantiles};
use crate::tracker::{Tally, Tracker};
use serde::Serialize;
use std::io;
use std::time::{Duration, Instant};

/// What does not come for so long does not come.
const PATIENCE: Duration = Duration::from_secs(120);
/// Copies that are still under way after the last message was sent are awaited as long as some arrive this often.
const QUIET: Duration = Duration::from_secs(5);

/// What to run.
#[derive(Clone, Debug, Serialize)]
pub struct Options {
    /// Occupants, the one who makes the room too.
    pub occupants: usize,
    /// How many of them talk.
    pub speakers: usize,
    /// Messages that each speaker keeps under way.
    pub window: u64,
    /// Size of a message as sent, bytes.
    pub bytes: usize,
    /// The address of the room.
    pub room: String,
    /// Fields of the room's configuration, as `var=value`.
    pub configuration: Vec<String>,
    /// Sign-ins at a time.
    pub concurrency: usize,
    /// Talk before measuring.
    pub warm_up: Duration,
    /// Talk and measure.
    pub duration: Duration,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was run.
    pub options: Options,
    /// Until everybody but the first had entered.
    pub entering: Entering,
    /// What the measured part of talking used.
    pub used: Used,
    /// Copies delivered while it was measured.
    pub delivered: u64,
    /// Copies in a second.
    pub per_second: f64,
    /// The server's processor time for each copy, us.
    pub server_us_per_copy: Option<f64>,
    /// The generator's processor time for each copy, us.
    pub generator_us_per_copy: f64,
    /// From sending to the delivery of each copy.
    pub latency: Quantiles,
    /// What became of all copies of the run.
    pub tally: Tally,
    /// Error stanzas that came back.
    pub errors: u64,
    /// Sessions that the server ended.
    pub sessions_lost: usize,
}

/// How everybody entered.
#[derive(Clone, Debug, Serialize)]
pub struct Entering {
    /// What it used.
    pub used: Used,
    /// Presences that occupants got.
    pub presences: u64,
    /// The server's processor time for each, us.
    pub server_us_per_presence: Option<f64>,
}

/// Runs the load against `target` and measures `server`.
pub fn run(target: Target, options: Options, server: Option<Tree>) -> io::Result<Report> {
    let mut fleet = Fleet::new(target)?;
    let mut crowd = Crowd::new(options.clone());
    fleet.bring_online(options.occupants, options.concurrency, |_| false, &mut crowd)?;
    crowd.enter(&mut fleet.sessions, 0);
    crowd.wait(&mut fleet, "the room is not made", |crowd| crowd.inside == 1)?;
    crowd.configure(&mut fleet.sessions);
    crowd.wait(&mut fleet, "the room is not configured", |crowd| crowd.configured)?;
    let before = Look::now(server)?;
    for id in 1..options.occupants {
        crowd.enter(&mut fleet.sessions, id);
    }
    let all = (options.occupants * options.occupants) as u64;
    crowd.wait(&mut fleet, "not everybody enters", |crowd| crowd.presences >= all)?;
    let after = Look::now(server)?;
    let (used, presences) = (before.until(&after), crowd.presences - 1);
    let server_us_per_presence = used.server_us_per(presences);
    let entering = Entering { used, presences, server_us_per_presence };
    crowd.begin(&mut fleet.sessions);
    fleet.run_for(options.warm_up, &mut crowd)?;
    let before = Look::now(server)?;
    crowd.measured = Some((before.at() - crowd.epoch, None));
    fleet.run_for(options.duration, &mut crowd)?;
    let after = Look::now(server)?;
    crowd.end(after.at());
    while crowd.last_arrival.elapsed() < QUIET && crowd.missing() > 0 {
        fleet.turn(Duration::from_millis(50), &mut crowd)?;
    }
    Ok(crowd.report(entering, before.until(&after), fleet.sessions.lost()))
}

#[derive(Debug)]
struct Crowd {
    options: Options,
    epoch: Instant,
    /// Since when, from the epoch, copies are measured, and until when.
    measured: Option<(Duration, Option<Duration>)>,
    talking: bool,
    inside: usize,
    configured: bool,
    presences: u64,
    /// Messages sent, of each speaker.
    sent: Vec<u64>,
    /// What each occupant has heard of each speaker.
    heard: Vec<Vec<Tracker>>,
    last_arrival: Instant,
    delivered: u64,
    errors: u64,
    latency: Histogram,
}

impl Crowd {
    fn new(options: Options) -> Self {
        let heard = vec![vec![Tracker::default(); options.speakers]; options.occupants];
        Self {
            epoch: Instant::now(),
            measured: None,
            talking: false,
            inside: 0,
            configured: false,
            presences: 0,
            sent: vec![0; options.speakers],
            heard,
            last_arrival: Instant::now(),
            delivered: 0,
            errors: 0,
            latency: Histogram::default(),
            options,
        }
    }

    fn enter(&self, sessions: &mut Sessions, id: usize) {
        let room = &self.options.room;
        let knock = format!(
            "<presence to='{room}/n{id}'><x xmlns='http://jabber.org/protocol/muc'>\
             <history maxstanzas='0'/></x></presence>"
        );
        sessions.send_stanza(id, |out| out.extend_from_slice(knock.as_bytes()));
    }

    fn configure(&self, sessions: &mut Sessions) {
        let field = |pair: &String| {
            let (var, value) = pair.split_once('=').unwrap_or((pair, ""));
            format!("<field var='{var}'><value>{value}</value></field>")
        };
        let fields: String = self.options.configuration.iter().map(field).collect();
        let form = format!(
            "<iq type='set' id='configure' to='{}'>\
             <query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE' type='hidden'>\
             <value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x></query></iq>",
            self.options.room
        );
        sessions.send_stanza(0, |out| out.extend_from_slice(form.as_bytes()));
    }

    fn wait(
        &mut self,
        fleet: &mut Fleet,
        fault: &str,
        is_so: impl Fn(&Self) -> bool,
    ) -> io::Result<()> {
        self.last_arrival = Instant::now();
        while !is_so(self) {
            if self.last_arrival.elapsed() > PATIENCE || self.errors > 0 {
                return Err(io::Error::other(format!("{fault}, {} errors", self.errors)));
            }
            fleet.turn(Duration::from_millis(10), self)?;
        }
        Ok(())
    }

    fn begin(&mut self, sessions: &mut Sessions) {
        self.epoch = Instant::now();
        self.talking = true;
        for speaker in 0..self.options.speakers {
            for _ in 0..self.options.window {
                self.say(sessions, speaker, Duration::ZERO);
            }
        }
    }

    fn end(&mut self, now: Instant) {
        self.talking = false;
        self.last_arrival = Instant::now();
        if let Some((_, end)) = &mut self.measured {
            *end = Some(now - self.epoch);
        }
    }

    fn say(&mut self, sessions: &mut Sessions, speaker: usize, at: Duration) {
        let Some(sent) = self.sent.get_mut(speaker) else { return };
        let mark = Mark { pair: speaker, number: *sent, sent: at };
        *sent += 1;
        let (room, bytes) = (&self.options.room, self.options.bytes);
        sessions.send_stanza(speaker, |out| message::write_as("groupchat", mark, room, bytes, out));
    }

    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for occupant in &self.heard {
            for (tracker, sent) in occupant.iter().zip(&self.sent) {
                tally.add(tracker.tally(*sent));
            }
        }
        tally
    }

    fn missing(&self) -> u64 {
        self.tally().lost
    }

    fn hear(&mut self, sessions: &mut Sessions, id: usize, mark: Mark, now: Instant) {
        let tracker = self.heard.get_mut(id).and_then(|of| of.get_mut(mark.pair));
        if !tracker.is_some_and(|tracker| tracker.arrived(mark.number)) {
            return;
        }
        let at = now - self.epoch;
        if let Some((begin, end)) = self.measured {
            self.delivered += u64::from(end.is_none());
            if mark.sent >= begin && end.is_none_or(|end| mark.sent < end) {
                self.latency.add(at.saturating_sub(mark.sent));
            }
        }
        if id == mark.pair && self.talking {
            self.say(sessions, id, at);
        }
    }

    fn report(self, entering: Entering, used: Used, sessions_lost: usize) -> Report {
        let delivered = self.delivered;
        Report {
            entering,
            delivered,
            per_second: used.per_second(delivered),
            server_us_per_copy: used.server_us_per(delivered),
            generator_us_per_copy: used.generator_us_per(delivered),
            used,
            latency: self.latency.quantiles(),
            tally: self.tally(),
            errors: self.errors,
            sessions_lost,
            options: self.options,
        }
    }
}

impl Script for Crowd {
    fn stanza(&mut self, sessions: &mut Sessions, id: usize, stanza: &[u8], now: Instant) {
        self.last_arrival = now;
        if message::is_error(stanza) {
            eprintln!("an error: {}", String::from_utf8_lossy(stanza));
            self.errors += 1;
            return;
        }
        let from = attribute(stanza, b"from").unwrap_or_default();
        match name(stanza) {
            b"presence" if from.starts_with(self.options.room.as_bytes()) => {
                self.presences += 1;
                let own = holds(stanza, b"code='110'") || holds(stanza, b"code=\"110\"");
                self.inside += usize::from(own);
            }
            b"iq" if attribute(stanza, b"id") == Some(b"configure") => self.configured = true,
            b"message" => {
                if let Some(mark) = message::read(stanza) {
                    self.hear(sessions, id, mark, now);
                }
            }
            _ => {}
        }
    }
}
