//! Pairs that chat: the first of each pair writes to the second, in a closed or an open loop.
//!
//! Closed: each sender keeps a window of messages under way. Open: messages leave by the clock,
//! whatever the server does, and latency counts from when a message should have left.

use crate::fleet::{Fleet, Target};
use crate::measure::{Look, Used};
use crate::message::{self, Mark};
use crate::pace::Pace;
use crate::process::Tree;
use crate::sessions::{Script, Sessions};
use crate::stats::{Histogram, Quantiles};
use crate::tracker::{Tally, Tracker};
use serde::Serialize;
use std::io;
use std::time::{Duration, Instant};

/// What is still under way after the last was sent is awaited as long as something arrives this often …
const QUIET: Duration = Duration::from_secs(15);

/// … and at most this long.
const DRAIN: Duration = Duration::from_secs(30);

/// An acknowledgement that does not come is asked for again after this.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// What to run.
#[derive(Clone, Debug, Serialize)]
pub struct Options {
    /// Pairs of sessions.
    pub pairs: usize,
    /// Messages that each sender keeps under way (closed loop).
    pub window: u64,
    /// Messages in a second over all pairs (open loop); 0 for the closed loop.
    pub rate: f64,
    /// Size of a message as sent, bytes.
    pub bytes: usize,
    /// Whether messages go to the full JID instead of the bare one.
    pub full: bool,
    /// Whether a message is done only when the server has acknowledged it (XEP-0198).
    pub ack: bool,
    /// With `ack`: ask after this many messages; 0 asks once behind all that leave in one write.
    pub ask_every: u64,
    /// Sign-ins at a time.
    pub concurrency: usize,
    /// Run before measuring.
    pub warm_up: Duration,
    /// Measure at most this long.
    pub duration: Duration,
    /// Measure at most this many messages; 0 for no such bound.
    pub count: u64,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was run.
    pub options: Options,
    /// What the measured part used.
    pub used: Used,
    /// Messages sent over the whole run, warm-up included.
    pub sent: u64,
    /// Messages delivered while it was measured.
    pub delivered: u64,
    /// Messages acknowledged while it was measured.
    pub acknowledged: u64,
    /// Messages in a second that were done: delivered, or acknowledged with `ack`.
    pub per_second: f64,
    /// The server's processor time for each message done, us.
    pub server_us_per_message: Option<f64>,
    /// The generator's processor time for each message done, us.
    pub generator_us_per_message: f64,
    /// From sending (open loop: from when it should have been sent) to delivery.
    pub latency: Quantiles,
    /// From sending to acknowledgement.
    pub ack_latency: Option<Quantiles>,
    /// What became of all messages of the run.
    pub tally: Tally,
    /// Messages that were never acknowledged.
    pub unacknowledged: u64,
    /// Error stanzas that came back.
    pub errors: u64,
    /// Messages that could not be written because the server read too slowly.
    pub unsent: u64,
    /// Sessions that the server ended.
    pub sessions_lost: usize,
}

/// Runs the load against `target` and measures `server`.
pub fn run(target: Target, options: Options, server: Option<Tree>) -> io::Result<Report> {
    let domain = target.manner.domain.clone();
    let prefix = target.prefix.clone();
    let mut fleet = Fleet::new(target)?;
    let ack = options.ack;
    let mut chat = Chat::new(options.clone(), |account| format!("{prefix}{account}@{domain}"));
    let managed = |id: usize| ack && id.is_multiple_of(2);
    fleet.bring_online(options.pairs * 2, options.concurrency, managed, &mut chat)?;
    fleet.run_for(Duration::from_millis(500), &mut chat)?;
    chat.begin(&mut fleet)?;
    fleet.run_for(options.warm_up, &mut chat)?;
    let before = Look::now(server)?;
    chat.begin_measuring(before.at());
    while !chat.is_over(Instant::now()) {
        fleet.turn(Duration::from_millis(50), &mut chat)?;
    }
    let after = Look::now(server)?;
    chat.end(after.at());
    chat.drain(&mut fleet)?;
    Ok(chat.report(before.until(&after), fleet.sessions.lost()))
}

/// One sender and one receiver: sessions 2p and 2p + 1.
#[derive(Debug)]
struct Pair {
    to: String,
    sent: u64,
    done: u64,
    acknowledged: u64,
    asked: u64,
    /// Stanzas that the sender's server counts beside the messages.
    other_stanzas: u32,
    tracker: Tracker,
    /// When the messages not yet acknowledged were sent, oldest first.
    unacknowledged: std::collections::VecDeque<Duration>,
}

#[derive(Debug)]
struct Chat {
    options: Options,
    pairs: Vec<Pair>,
    epoch: Instant,
    /// Since when, from the epoch, messages are measured, and until when.
    measured: Option<(Duration, Option<Duration>)>,
    sending: bool,
    pace: Option<Pace>,
    last_arrival: Instant,
    asked_at: Instant,
    /// Pairs that wrote in this turn and have not asked for an acknowledgement.
    asking: Vec<usize>,
    delivered: u64,
    acknowledged: u64,
    errors: u64,
    unsent: u64,
    latency: Histogram,
    ack_latency: Histogram,
}

impl Chat {
    fn new(options: Options, jid: impl Fn(usize) -> String) -> Chat {
        let resource = if options.full { "/load" } else { "" };
        let pair = |index| Pair {
            to: format!("{}{resource}", jid(2 * index + 1)),
            sent: 0,
            done: 0,
            acknowledged: 0,
            asked: 0,
            other_stanzas: 0,
            tracker: Tracker::default(),
            unacknowledged: std::collections::VecDeque::new(),
        };
        Chat {
            pairs: (0..options.pairs).map(pair).collect(),
            options,
            epoch: Instant::now(),
            measured: None,
            sending: false,
            pace: None,
            last_arrival: Instant::now(),
            asked_at: Instant::now(),
            asking: Vec::new(),
            delivered: 0,
            acknowledged: 0,
            errors: 0,
            unsent: 0,
            latency: Histogram::default(),
            ack_latency: Histogram::default(),
        }
    }

    /// Starts sending: a window for each pair, or the clock.
    fn begin(&mut self, fleet: &mut Fleet) -> io::Result<()> {
        self.epoch = Instant::now();
        self.sending = true;
        for (index, pair) in self.pairs.iter_mut().enumerate() {
            pair.other_stanzas = fleet.sessions.managed_sent(2 * index);
        }
        if self.options.rate > 0.0 {
            self.pace = Some(Pace::new(self.options.rate, self.epoch, fleet.registry())?);
            return Ok(());
        }
        for index in 0..self.pairs.len() {
            self.fill_window(&mut fleet.sessions, index, Duration::ZERO);
        }
        Ok(())
    }

    fn begin_measuring(&mut self, now: Instant) {
        self.measured = Some((now - self.epoch, None));
    }

    fn is_over(&self, now: Instant) -> bool {
        let Some((begin, _)) = self.measured else {
            return false;
        };
        let done = if self.options.ack { self.acknowledged } else { self.delivered };
        let counted = self.options.count > 0 && done >= self.options.count;
        counted || now - self.epoch >= begin + self.options.duration
    }

    fn end(&mut self, now: Instant) {
        self.sending = false;
        if let Some((_, end)) = &mut self.measured {
            *end = Some(now - self.epoch);
        }
    }

    /// Waits for what is still under way.
    fn drain(&mut self, fleet: &mut Fleet) -> io::Result<()> {
        let end = Instant::now() + DRAIN;
        self.last_arrival = Instant::now();
        while self.is_under_way() && self.last_arrival.elapsed() < QUIET && Instant::now() < end {
            fleet.turn(Duration::from_millis(50), self)?;
        }
        Ok(())
    }

    /// Whether messages are still missing or not acknowledged.
    fn is_under_way(&self) -> bool {
        let ack = self.options.ack;
        let missing = |pair: &Pair| pair.tracker.tally(pair.sent).lost > 0;
        self.pairs.iter().any(|pair| missing(pair) || (ack && pair.acknowledged < pair.sent))
    }

    fn fill_window(&mut self, sessions: &mut Sessions, index: usize, now: Duration) {
        let window = self.options.window;
        while self.sending {
            match self.pairs.get(index) {
                Some(pair) if pair.sent - pair.done < window => self.say(sessions, index, now),
                _ => return,
            }
        }
    }

    /// Writes the next message of a pair.
    fn say(&mut self, sessions: &mut Sessions, index: usize, sent: Duration) {
        let Some(pair) = self.pairs.get_mut(index) else {
            return;
        };
        let number = pair.sent;
        let mark = Mark { pair: index, number, sent };
        let (to, size) = (&pair.to, self.options.bytes);
        sessions.send_stanza(2 * index, |out| message::write(mark, to, size, out));
        pair.sent += 1;
        if !self.options.ack {
            return;
        }
        pair.unacknowledged.push_back(sent);
        if self.options.ask_every == 0 {
            if pair.asked == number {
                self.asking.push(index);
            }
        } else if pair.sent - pair.asked >= self.options.ask_every {
            pair.asked = pair.sent;
            ask(sessions, index);
        }
    }

    fn is_measured(&self, sent: Duration) -> bool {
        let Some((begin, end)) = self.measured else {
            return false;
        };
        sent >= begin && end.is_none_or(|end| sent < end)
    }

    fn is_measuring(&self) -> bool {
        matches!(self.measured, Some((_, None)))
    }

    fn ask_again(&mut self, sessions: &mut Sessions, now: Instant) {
        if now - self.asked_at < ASK_AGAIN {
            return;
        }
        self.asked_at = now;
        for (index, pair) in self.pairs.iter().enumerate() {
            if pair.acknowledged < pair.sent {
                ask(sessions, index);
            }
        }
    }

    fn report(self, used: Used, sessions_lost: usize) -> Report {
        let mut tally = Tally::default();
        for pair in &self.pairs {
            tally.add(pair.tracker.tally(pair.sent));
        }
        let ack = self.options.ack;
        let done = if ack { self.acknowledged } else { self.delivered };
        let unacknowledged = self.pairs.iter().map(|pair| pair.sent - pair.acknowledged).sum();
        Report {
            used,
            sent: self.pairs.iter().map(|pair| pair.sent).sum(),
            delivered: self.delivered,
            acknowledged: self.acknowledged,
            per_second: used.per_second(done),
            server_us_per_message: used.server_us_per(done),
            generator_us_per_message: used.generator_us_per(done),
            latency: self.latency.quantiles(),
            ack_latency: ack.then(|| self.ack_latency.quantiles()),
            tally,
            unacknowledged: if ack { unacknowledged } else { 0 },
            errors: self.errors,
            unsent: self.unsent,
            sessions_lost,
            options: self.options,
        }
    }
}

impl Script for Chat {
    fn stanza(&mut self, sessions: &mut Sessions, id: usize, stanza: &[u8], now: Instant) {
        if message::is_error(stanza) {
            self.errors += 1;
            return;
        }
        let Some(mark) = message::read(stanza) else {
            return;
        };
        let Some(pair) = self.pairs.get_mut(mark.pair).filter(|_| id == 2 * mark.pair + 1) else {
            return;
        };
        if !pair.tracker.arrived(mark.number) {
            return;
        }
        self.last_arrival = now;
        let now = now - self.epoch;
        if self.is_measuring() {
            self.delivered += 1;
        }
        if self.is_measured(mark.sent) {
            self.latency.add(now.saturating_sub(mark.sent));
        }
        if !self.options.ack {
            self.done(sessions, mark.pair, 1, now);
        }
    }

    fn acknowledged(&mut self, sessions: &mut Sessions, id: usize, count: u32, now: Instant) {
        let (index, now) = (id / 2, now - self.epoch);
        let Some(pair) = self.pairs.get_mut(index) else {
            return;
        };
        let total = u64::from(count.wrapping_sub(pair.other_stanzas)).min(pair.sent);
        let newly = total.saturating_sub(pair.acknowledged);
        if newly > 0 {
            self.last_arrival = self.epoch + now;
        }
        pair.acknowledged += newly;
        let sent_at: Vec<Duration> =
            (0..newly).filter_map(|_| pair.unacknowledged.pop_front()).collect();
        if self.is_measuring() {
            self.acknowledged += newly;
        }
        for sent in sent_at {
            if self.is_measured(sent) {
                self.ack_latency.add(now.saturating_sub(sent));
            }
        }
        self.done(sessions, index, newly, now);
    }

    fn turn(&mut self, sessions: &mut Sessions, now: Instant) {
        if let Some(mut pace) = self.pace.take() {
            let due = pace.due(now);
            let sending = self.sending;
            for turn in due.filter(|_| sending) {
                let index = usize::try_from(turn.number).unwrap_or(0) % self.pairs.len();
                if sessions.is_stuck(2 * index) {
                    self.unsent += 1;
                } else {
                    self.say(sessions, index, turn.at);
                }
            }
            self.pace = Some(pace);
        }
        for index in std::mem::take(&mut self.asking) {
            if let Some(pair) = self.pairs.get_mut(index) {
                pair.asked = pair.sent;
            }
            ask(sessions, index);
        }
        if self.options.ack {
            self.ask_again(sessions, now);
        }
    }
}

impl Chat {
    /// More messages of a pair are done, so many and at this time: the closed loop sends as many.
    fn done(&mut self, sessions: &mut Sessions, index: usize, count: u64, now: Duration) {
        if let Some(pair) = self.pairs.get_mut(index) {
            pair.done += count;
        }
        if self.options.rate == 0.0 {
            self.fill_window(sessions, index, now);
        }
    }
}

fn ask(sessions: &mut Sessions, index: usize) {
    sessions.send(2 * index, |out| out.extend_from_slice(b"<r xmlns='urn:xmpp:sm:3'/>"));
}
