//! Owns the way out of one lane of a pair: opens a stream when something waits, writes what comes as long as it stands, and tries
//! again, ever later, when it does not.
//!
//! A stanza that may not have arrived goes first on the next stream: one that the other server has not acknowledged, or
//! one whose writing did not come to its end. So where a connection breaks a stanza may come twice, but not never. Where
//! the other server does not count, senders hear of what was written shortly before (`Outbox::lose`).

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stream::{Event, Parser};
use tokio::io::{ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsStream;
use xmpp::StreamError;

use crate::borrow;
use crate::dial::{Dialer, Opened, random};
use crate::failure::Failure;
use crate::incoming::handled;
use crate::inflow::{Inflow, Inlet};
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::outgoing::{Effect, Outgoing};
use crate::pace;
use crate::pairs::{Pair, PairId, Pairs, Standing};
use crate::share::{Open, Streams};
use crate::ways::WayId;
use crate::wire::{self, Read, ReadError};

/// A pair that nothing comes for is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// The other server has this long to answer the end of a stream.
const CLOSING: Duration = Duration::from_secs(5);
/// A space after this much silence, so that a dead connection shows (RFC 6120 §4.6.1).
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// What the tasks of all pairs share.
pub(crate) struct Outbound {
    pub(crate) pairs: Arc<Pairs>,
    pub(crate) dialer: Rc<Dialer>,
    pub(crate) router: router::Router,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) inlet: Rc<Inlet>,
    /// Streams without stanzas are closed after this long.
    pub(crate) idle: Duration,
    /// Streams of ours that others may go by.
    pub(crate) streams: Streams,
    /// True: what waits goes, and then the streams end.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Serves a pair until nothing has come for it for long.
pub(crate) async fn serve(outbound: Rc<Outbound>, pair: Arc<Pair>) {
    let mut failures = 0_u32;
    loop {
        if pair.waiting() == 0 {
            let is_dead = failures > 0 && outbound.pairs.is_crowded();
            let most = if is_dead { Duration::ZERO } else { FORGOTTEN };
            let quiet = timeout(most, pair.news.notified()).await.is_err();
            if quiet && pair.waiting() == 0 && outbound.pairs.forget(&pair) {
                return;
            }
            continue;
        }
        if let Some(way) = outbound.pairs.ways.choose(&pair.key()) {
            failures = outbound.lend(&pair, way).await;
            continue;
        }
        pair.stands(Standing::Connecting(pair.failure()));
        if Box::pin(outbound.streams.share(&outbound.dialer, &pair)).await {
            continue;
        }
        // Thousands of pairs may stand idle or wait: only those that are at work need room for that.
        let opened = match Box::pin(outbound.dialer.open(&pair.id)).await {
            Ok(opened) => opened,
            Err(failure) => {
                if let Some(way) = outbound.pairs.ways.choose_spare(&pair.key()) {
                    failures = outbound.lend(&pair, way).await;
                    continue;
                }
                failures = failures.saturating_add(1);
                outbound.fail(&pair, failure, failures).await;
                continue;
            }
        };
        failures = Box::pin(outbound.keep(&pair, opened, failures)).await;
    }
}

impl Outbound {
    /// Serves a stream until it has ended, and waits before another one is to be opened; how many attempts have failed
    /// by then.
    async fn keep(&self, pair: &Pair, opened: Opened, failures: u32) -> u32 {
        let (local, remote) = (pair.id.local.as_str(), pair.id.remote.as_str());
        let proof = opened.machine.proof();
        tracing::info!(
            jid = local,
            peer = remote,
            "a stream to another server is open, proof: {proof}"
        );
        let (address, managed) = (opened.address, opened.managed);
        pair.stands(Standing::Open { address, managed });
        self.metrics.streams[0].add_one();
        let (live, began) = (Live::new(pair, &opened, self), Instant::now());
        let ended = live.run(opened, self).await;
        self.metrics.streams[0].take_one();
        let failures = pace::failures(failures, began.elapsed(), live.outbox.has_carried());
        let failure = match ended {
            Ok(Ended::ByThem) if failures > 0 => Failure::Closed,
            Ok(_) => {
                pair.stands(Standing::Idle);
                return 0;
            }
            Err(failure) => failure,
        };
        self.fail(pair, failure, failures).await;
        failures
    }

    /// Sends by a stream that is not the pair's own; how many attempts have failed by then.
    async fn lend(&self, pair: &Pair, way: WayId) -> u32 {
        match Box::pin(borrow::send(self, pair, way)).await {
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
        self.pairs.note(&pair.id.remote, &failure);
        let is_final = failure.is_final();
        let wait = pace::pause(failures, is_final, random);
        let until = self.pairs.now() + wait;
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

/// How a stream has ended in order.
enum Ended {
    ByUs,
    ByThem,
}

/// An open stream.
struct Live<'a> {
    pair: &'a Pair,
    metrics: &'a Metrics,
    machine: RefCell<Option<Outgoing>>,
    outbox: Outbox,
    /// What the other end sends, where it may (XEP-0288).
    inflow: Inflow,
    /// Who else may go by it; none where the other end takes nobody else.
    open: Option<Rc<Open>>,
}

impl<'a> Live<'a> {
    fn new(pair: &'a Pair, opened: &Opened, outbound: &'a Outbound) -> Self {
        let outbox = Outbox::new(&outbound.pairs, Some(pair.lane), opened.managed)
            .within(opened.machine.max_bytes())
            .suspecting(pair.suspects.swap(0, Ordering::Relaxed));
        let open = opened.machine.takes_more().then(|| Open::new(pair.key(), opened, &outbox.news));
        let inflow = Inflow::new(&outbound.inlet);
        inflow.count(opened.uncounted);
        Self { pair, metrics: &outbound.metrics, machine: RefCell::default(), outbox, inflow, open }
    }

    /// Serves the stream until it ends; in order, or why not.
    async fn run(&self, opened: Opened, outbound: &Outbound) -> Result<Ended, Failure> {
        let Opened { io, parser, machine, early, .. } = opened;
        *self.machine.borrow_mut() = Some(machine);
        let (mut reader, mut writer) = split(io);
        self.open.iter().for_each(|open| outbound.streams.enter(open));
        let ended = {
            let mut reading = pin!(self.read(&mut reader, parser, early));
            let mut writing = pin!(self.write(&mut writer, outbound));
            tokio::select! {
                ended = &mut reading => ended.map(|()| Ended::ByThem),
                written = &mut writing => match written {
                    // The other end closes too (RFC 6120 §4.4).
                    Ok(()) => timeout(CLOSING, reading).await.unwrap_or(Ok(())).map(|()| Ended::ByUs),
                    Err(failure) => Err(failure),
                },
            }
        };
        self.open.iter().for_each(|open| outbound.streams.leave(open));
        let last = self.farewell(ended.is_ok());
        // Who is gone hears nothing.
        timeout(CLOSING, wire::write(&mut writer, &last)).await.ok();
        timeout(CLOSING, tokio::io::AsyncWriteExt::shutdown(&mut writer)).await.ok();
        self.outbox.close_ways();
        let suspects = self.outbox.suspects(ended.as_ref().err());
        self.pair.suspects.store(suspects, Ordering::Relaxed);
        let mut back = match &ended {
            Ok(_) => Vec::new(),
            Err(failure) => self.outbox.lose(failure),
        };
        back.extend(self.outbox.take_back());
        self.pair.put_back(back);
        self.pair.has_on_its_way(false);
        ended
    }

    fn farewell(&self, in_order: bool) -> Vec<u8> {
        let mut last = self.outbox.take_said();
        if in_order && let Some(machine) = &mut *self.machine.borrow_mut() {
            last.extend(machine.close(None));
        }
        last
    }

    /// The other end is told why the stream ends (RFC 6120 §4.9).
    fn end_with(&self, error: &StreamError) {
        if let Some(machine) = &mut *self.machine.borrow_mut() {
            self.outbox.say(&machine.close(Some(error)));
        }
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
            self.inflow.may_go_on(&self.outbox).await?;
            let came = wire::read(io, &mut parser, &mut events).await;
            if let Ok(Read::Some(bytes)) = &came {
                self.inflow.came(*bytes, &events);
            }
            self.understand(&mut events, &mut effects);
            if !matches!(came, Ok(Read::Some(_))) && self.perform(&mut effects)? {
                return Ok(());
            }
            match came {
                Ok(Read::Some(_)) => {}
                Ok(Read::End) => return Err(Failure::Lost("it was closed".to_owned())),
                Err(ReadError::Lost(error)) => return Err(wire::lost(&error)),
                Err(ReadError::Xml(error)) => {
                    self.end_with(&error);
                    return Err(Failure::Protocol(error.condition.name()));
                }
            }
        }
    }

    /// Does what the machine says; true where the other end has ended the stream in order.
    fn perform(&self, effects: &mut Vec<Effect>) -> Result<bool, Failure> {
        for effect in effects.drain(..) {
            match effect {
                Effect::Write(bytes) => self.outbox.say(&bytes),
                Effect::Handled(h) => self.outbox.handled(h)?,
                Effect::Acknowledge => self.outbox.say(&handled(self.inflow.standing()?)),
                Effect::Stanza(stanza) => {
                    self.inflow.hand_over(vec![self.inflow.envelope(stanza)]);
                }
                Effect::Refuse(stanza, condition) => self.inflow.refuse(&stanza, condition),
                Effect::Another(id, is_valid) => self.another(&id, is_valid),
                Effect::Ended => return Ok(true),
                Effect::Failed(failure) => return Err(failure),
                Effect::StartTls
                | Effect::Restart
                | Effect::LetIn
                | Effect::Open { .. }
                | Effect::Verdict(_) => {}
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
            ids.into_iter().for_each(|id| self.outbox.say(&machine.ask_for(id)));
        }
    }

    /// The other end has said whether another pair may go by this stream.
    fn another(&self, id: &PairId, is_valid: bool) {
        if is_valid {
            self.outbox.open(id.clone());
        }
        if let Some(open) = &self.open {
            open.answered(id, is_valid);
        }
    }

    /// Ends well when there is nothing to write for long, or the gate stops.
    async fn write(
        &self,
        io: &mut WriteHalf<TlsStream<TcpStream>>,
        outbound: &Outbound,
    ) -> Result<(), Failure> {
        let mut stopping = outbound.stopping.clone();
        let mut silent = Duration::ZERO;
        loop {
            // Nothing leaves while others may act for this member.
            if !outbound.router.lease().holds()
                && outbound.router.lease().until_valid().await.is_err()
            {
                return Ok(());
            }
            self.ask();
            let mut out = self.outbox.take_said();
            self.pair.has_on_its_way(true);
            let count = self.outbox.gather(&mut out, Some(self.pair));
            if !out.is_empty() {
                self.outbox.write_to(io, &out).await?;
                self.metrics.stanzas_out.add(count);
                self.outbox.written();
                silent = if count > 0 { Duration::ZERO } else { silent };
                continue;
            }
            self.pair.has_on_its_way(!self.outbox.is_settled());
            if *stopping.borrow() || !outbound.is_ours(self.pair) || silent >= outbound.idle {
                return self.finish(io).await;
            }
            let quiet = KEEP_ALIVE.min(outbound.idle.saturating_sub(silent));
            tokio::select! {
                () = self.pair.news.notified() => {}
                () = self.outbox.news.notified() => {}
                () = self.outbox.acked.notified() => {}
                () = self.inflow.is_due() => self.outbox.say(&handled(self.inflow.standing()?)),
                () = self.outbox.overdue() => return Err(Failure::Silent),
                () = self.pair.reset.notified() => return Ok(()),
                _ = stopping.changed() => {}
                () = sleep(quiet) => {
                    silent += quiet;
                    self.outbox.write_to(io, b" ").await?;
                }
            }
        }
    }

    /// Waits until the other end has acknowledged all, and closes.
    async fn finish(&self, io: &mut WriteHalf<TlsStream<TcpStream>>) -> Result<(), Failure> {
        self.outbox.close_ways();
        while !self.outbox.is_settled() {
            tokio::select! {
                acked = timeout(CLOSING, self.outbox.acked.notified()) => {
                    acked.map_err(|_| Failure::Silent)?;
                }
                () = self.outbox.overdue() => return Err(Failure::Silent),
            }
        }
        let last = self.farewell(true);
        self.outbox.write_to(io, &last).await
    }
}
