//! Owns the way out of one lane of a pair: opens a stream when something waits, writes what comes as long as it stands, and tries
//! again, ever later, when it does not.
//!
//! A stanza that may not have arrived goes first on the next stream: one that the other server has not acknowledged, or
//! one whose writing did not come to its end. So where a connection breaks a stanza may come twice, but not never.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use proto::MemberId;
use stream::{Event, Parser};
use tokio::io::{ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsStream;

use crate::borrow;
use crate::budgets::OfDomains;
use crate::dial::{Dialer, Opened, random};
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::outgoing::{Effect, Outgoing};
use crate::outlet::Outlet;
use crate::pairs::{Pair, PairId, Pairs, Standing};
use crate::reverse::Reverse;
use crate::share::{Open, Streams};
use crate::wire::{self, Read, ReadError};

/// The first and the longest time before another attempt; each is drawn between half of it and the whole.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// As long as stanzas wait, another attempt comes at least this often.
const BACK_OFF_BUSY: Duration = Duration::from_secs(5);
/// A pair that nothing comes for is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// The other server has this long to answer the end of a stream.
const CLOSING: Duration = Duration::from_secs(5);
/// A space after this much silence, so that a dead connection shows (RFC 6120 §4.6.1).
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// What the tasks of all pairs share.
pub(crate) struct Desk {
    pub(crate) pairs: Arc<Pairs>,
    pub(crate) dialer: Rc<Dialer>,
    pub(crate) router: router::Router,
    pub(crate) metrics: Arc<Metrics>,
    /// How fast each domain may send.
    pub(crate) of_domains: Rc<OfDomains>,
    /// Streams without stanzas are closed after this long.
    pub(crate) idle: Duration,
    /// Streams of ours that others may go by.
    pub(crate) streams: Streams,
    /// True: what waits goes, and then the streams end.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Serves a pair until nothing has come for it for long.
pub(crate) async fn serve(desk: Rc<Desk>, pair: Arc<Pair>) {
    let mut failures = 0_u32;
    loop {
        if pair.waiting() == 0 {
            let quiet = timeout(FORGOTTEN, pair.news.notified()).await.is_err();
            if quiet && pair.waiting() == 0 && desk.pairs.forget(&pair) {
                return;
            }
            continue;
        }
        if let Some(way) = desk.pairs.ways.choose(&pair.key()) {
            failures = desk.lend(&pair, way).await;
            continue;
        }
        pair.stands(Standing::Connecting(pair.failure()));
        if desk.streams.share(&desk.dialer, &pair).await {
            continue;
        }
        let opened = match desk.dialer.open(&pair.id.local, &pair.id.remote).await {
            Ok(opened) => opened,
            Err(failure) => {
                if let Some(way) = desk.pairs.ways.choose_spare(&pair.key()) {
                    failures = desk.lend(&pair, way).await;
                    continue;
                }
                failures = failures.saturating_add(1);
                desk.fail(&pair, failure, failures).await;
                continue;
            }
        };
        tracing::info!(
            jid = pair.id.local.as_str(),
            peer = pair.id.remote.as_str(),
            "a stream to another server is open"
        );
        failures = 0;
        let (address, managed) = (opened.address, opened.managed);
        pair.stands(Standing::Open { address, managed });
        desk.metrics.streams[0].add_one();
        let ended = Live::new(&pair, &opened, &desk).run(opened, &desk).await;
        desk.metrics.streams[0].take_one();
        match ended {
            Ok(()) => pair.stands(Standing::Idle),
            Err(failure) => {
                failures = 1;
                desk.fail(&pair, failure, failures).await;
            }
        }
    }
}

impl Desk {
    /// Sends by a stream that is not the pair's own; how many attempts have failed by then.
    async fn lend(&self, pair: &Pair, way: (MemberId, u64)) -> u32 {
        match borrow::send(self, pair, way).await {
            Ok(()) => {
                pair.stands(Standing::Idle);
                0
            }
            Err(failure) => {
                self.fail(pair, failure, 1).await;
                1
            }
        }
    }

    /// Whether the queue of a pair lives on this member still.
    pub(crate) fn is_ours(&self, pair: &Pair) -> bool {
        !matches!(self.router.place(&pair.key().route()), router::Place::Member(_))
    }

    /// Tells whom it concerns, and waits before another attempt.
    async fn fail(&self, pair: &Pair, failure: Failure, failures: u32) {
        let (local, remote) = (pair.id.local.as_str(), pair.id.remote.as_str());
        tracing::info!(jid = local, peer = remote, error = %failure, "cannot speak with another server");
        self.metrics.failures.of(failure.word()).add_one();
        let most = if failure.is_final() { BACK_OFF.1 } else { BACK_OFF_BUSY };
        let wait = (BACK_OFF.0 * 2_u32.saturating_pow(failures.saturating_sub(1).min(8))).min(most);
        let half = u32::try_from(wait.as_millis() / 2).unwrap_or(u32::MAX);
        let wait = wait / 2 + Duration::from_millis(random(half.max(1)).into());
        let until = self.pairs.now() + wait;
        let is_final = failure.is_final();
        pair.stands(Standing::Failed { failure: failure.clone(), until });
        if is_final {
            for envelope in pair.drain() {
                self.pairs.bounce(envelope, &failure);
            }
        }
        tokio::select! {
            () = sleep(wait) => {}
            () = pair.ways.notified() => {}
            () = pair.reset.notified() => pair.stands(Standing::Idle),
        }
    }
}

/// An open stream.
struct Live<'a> {
    pair: &'a Pair,
    metrics: &'a Metrics,
    machine: RefCell<Option<Outgoing>>,
    outlet: Outlet,
    /// What the other end sends, where it may.
    reverse: Reverse<'a>,
    /// Who else may go by it; none where the other end takes nobody else.
    open: Option<Rc<Open>>,
}

impl<'a> Live<'a> {
    fn new(pair: &'a Pair, opened: &Opened, desk: &'a Desk) -> Self {
        let outlet = Outlet::new(&desk.pairs, Some(pair.lane), opened.managed);
        let open = opened.machine.takes_more().then(|| {
            let end = (opened.address, opened.peer.clone());
            Open::new(pair.key(), end, opened.machine.is_both_ways(), &outlet.news)
        });
        Self {
            pair,
            metrics: &desk.metrics,
            machine: RefCell::default(),
            outlet,
            reverse: Reverse::new(desk, opened.uncounted),
            open,
        }
    }

    /// Serves the stream until it ends; in order, or why not.
    async fn run(self, opened: Opened, desk: &Desk) -> Result<(), Failure> {
        let Opened { io, parser, machine, early, .. } = opened;
        *self.machine.borrow_mut() = Some(machine);
        let (mut reader, mut writer) = split(io);
        self.open.iter().for_each(|open| desk.streams.enter(open));
        let ended = {
            let mut reading = pin!(self.read(&mut reader, parser, early));
            let mut writing = pin!(self.write(&mut writer, desk));
            tokio::select! {
                ended = &mut reading => ended,
                written = &mut writing => match written {
                    // The other end closes too (RFC 6120 §4.4).
                    Ok(()) => timeout(CLOSING, reading).await.unwrap_or(Ok(())),
                    Err(failure) => Err(failure),
                },
            }
        };
        self.open.iter().for_each(|open| desk.streams.leave(open));
        let last = self.farewell(ended.is_ok());
        // Who is gone hears nothing.
        timeout(CLOSING, wire::write(&mut writer, &last)).await.ok();
        timeout(CLOSING, tokio::io::AsyncWriteExt::shutdown(&mut writer)).await.ok();
        self.outlet.close_ways();
        self.pair.put_back(self.outlet.take_back());
        ended
    }

    fn farewell(&self, in_order: bool) -> Vec<u8> {
        let mut last = self.outlet.take_said();
        if in_order && let Some(machine) = &mut *self.machine.borrow_mut() {
            last.extend(machine.close(None));
        }
        last
    }

    async fn read(
        &self,
        io: &mut ReadHalf<TlsStream<TcpStream>>,
        mut parser: Parser,
        mut effects: Vec<Effect>,
    ) -> Result<(), Failure> {
        let mut events = Vec::new();
        loop {
            if self.perform(&mut effects)? {
                return Ok(());
            }
            self.reverse.may_go_on().await?;
            let came = wire::read(io, &mut parser, &mut events).await;
            self.understand(&mut events, &mut effects);
            if !matches!(came, Ok(Read::Some(_))) && self.perform(&mut effects)? {
                return Ok(());
            }
            match came {
                Ok(Read::Some(_)) => {}
                Ok(Read::End) => return Err(Failure::Lost("it was closed".to_owned())),
                Err(ReadError::Lost(error)) => return Err(Failure::Lost(error.to_string())),
                Err(ReadError::Xml(error)) => {
                    return Err(Failure::Protocol(error.condition.name()));
                }
            }
        }
    }

    /// Does what the machine says; true where the other end has ended the stream in order.
    fn perform(&self, effects: &mut Vec<Effect>) -> Result<bool, Failure> {
        for effect in effects.drain(..) {
            match effect {
                Effect::Write(bytes) => self.outlet.say(&bytes),
                Effect::Handled(h) => self.outlet.handled(h)?,
                Effect::Acknowledge => self.outlet.say(&self.reverse.standing()?),
                Effect::Stanza(stanza) => self.reverse.take(stanza),
                Effect::Refuse(stanza, condition) => self.reverse.refuse(&stanza, condition),
                Effect::Another(id, is_valid) => self.another(&id, is_valid),
                Effect::Ended => return Ok(true),
                Effect::Failed(failure) => return Err(failure),
                Effect::StartTls | Effect::Restart | Effect::Open { .. } | Effect::Verdict(_) => {}
            }
        }
        Ok(false)
    }

    fn understand(&self, events: &mut Vec<Event>, effects: &mut Vec<Effect>) {
        if let Some(machine) = &mut *self.machine.borrow_mut() {
            for event in events.drain(..) {
                machine.handle(event, effects);
            }
        }
    }

    /// Asks for the pairs that want to go by this stream too.
    fn ask(&self) {
        let ids = self.open.as_ref().map(|open| open.to_ask()).unwrap_or_default();
        if let Some(machine) = &mut *self.machine.borrow_mut() {
            ids.into_iter().for_each(|id| self.outlet.say(&machine.ask_for(id)));
        }
    }

    /// The other end has said whether another pair may go by this stream.
    fn another(&self, id: &PairId, is_valid: bool) {
        if is_valid {
            self.outlet.open(id.clone());
        }
        if let Some(open) = &self.open {
            open.answered(id, is_valid);
        }
    }

    /// Ends well when there is nothing to write for long, or the gate stops.
    async fn write(
        &self,
        io: &mut WriteHalf<TlsStream<TcpStream>>,
        desk: &Desk,
    ) -> Result<(), Failure> {
        let mut stopping = desk.stopping.clone();
        let mut silent = Duration::ZERO;
        let lost = |error: std::io::Error| Failure::Lost(error.to_string());
        loop {
            // Nothing leaves while others may act for this member.
            if !desk.router.lease().holds() && desk.router.lease().until_valid().await.is_err() {
                return Ok(());
            }
            self.ask();
            let mut out = self.outlet.take_said();
            let count = self.outlet.gather(&mut out, Some(self.pair));
            if !out.is_empty() {
                wire::write(io, &out).await.map_err(lost)?;
                self.metrics.stanzas_out.add(count);
                self.outlet.written();
                silent = if count > 0 { Duration::ZERO } else { silent };
                continue;
            }
            if *stopping.borrow() || !desk.is_ours(self.pair) || silent >= desk.idle {
                return self.finish(io).await;
            }
            let quiet = KEEP_ALIVE.min(desk.idle.saturating_sub(silent));
            tokio::select! {
                () = self.pair.news.notified() => {}
                () = self.outlet.news.notified() => {}
                () = self.outlet.acked.notified() => {}
                () = self.reverse.is_due() => self.outlet.say(&self.reverse.standing()?),
                () = self.outlet.overdue() => return Err(Failure::Silent),
                () = self.pair.reset.notified() => return Ok(()),
                _ = stopping.changed() => {}
                () = sleep(quiet) => {
                    silent += quiet;
                    wire::write(io, b" ").await.map_err(lost)?;
                }
            }
        }
    }

    /// Waits until the other end has acknowledged all, and closes.
    async fn finish(&self, io: &mut WriteHalf<TlsStream<TcpStream>>) -> Result<(), Failure> {
        self.outlet.close_ways();
        while !self.outlet.is_settled() {
            if timeout(CLOSING, self.outlet.acked.notified()).await.is_err() {
                return Err(Failure::Silent);
            }
        }
        let last = self.farewell(true);
        wire::write(io, &last).await.map_err(|error| Failure::Lost(error.to_string()))
    }
}
