//! A storm of log-ins: many clients sign in, bind and leave again, a fixed number of them at a time.

use crate::fleet::{Fleet, Target};
use crate::measure::{Look, Used};
use crate::process::Tree;
use crate::sessions::{Script, Sessions};
use crate::stats::{Histogram, Quantiles};
use serde::Serialize;
use std::io;
use std::time::{Duration, Instant};

/// No log-in takes longer than this; a run without any for so long ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to run.
#[derive(Clone, Debug, Serialize)]
pub struct Options {
    /// Log-ins that are measured.
    pub count: usize,
    /// Log-ins at a time.
    pub concurrency: usize,
    /// Accounts to take turns with; each logs in once before measuring, so that the client's keys are derived.
    pub accounts: usize,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was run.
    pub options: Options,
    /// What the measured part used.
    pub used: Used,
    /// Log-ins that came to a bound resource.
    pub succeeded: usize,
    /// Log-ins that failed.
    pub failed: usize,
    /// Why the last one failed.
    pub last_failure: Option<String>,
    /// Log-ins in a second.
    pub per_second: f64,
    /// The server's processor time for each log-in (and its leaving), ms.
    pub server_ms_per_login: Option<f64>,
    /// The generator's processor time for each log-in, ms.
    pub generator_ms_per_login: f64,
    /// From connecting to the bound resource.
    pub latency: Quantiles,
}

/// Runs the storm against `target` and measures `server`.
pub fn run(target: Target, options: Options, server: Option<Tree>) -> io::Result<Report> {
    let mut fleet = Fleet::new(target)?;
    let mut storm = Storm::default();
    storm.pass(&mut fleet, options.accounts, &options)?;
    if let Some(reason) = storm.last_failure {
        return Err(io::Error::other(format!("a log-in before measuring failed: {reason}")));
    }
    let before = Look::now(server)?;
    let mut storm = Storm::default();
    storm.pass(&mut fleet, options.count, &options)?;
    let used = before.until(&Look::now(server)?);
    let succeeded = storm.succeeded;
    let done = succeeded as u64;
    Ok(Report {
        used,
        succeeded,
        failed: storm.failed,
        last_failure: storm.last_failure,
        per_second: used.per_second(done),
        server_ms_per_login: used.server_us_per(done).map(|us| us / 1e3),
        generator_ms_per_login: used.generator_us_per(done) / 1e3,
        latency: storm.latency.quantiles(),
        options,
    })
}

#[derive(Debug, Default)]
struct Storm {
    /// Places whose session has ended.
    free: Vec<usize>,
    /// When the session of each place began to connect.
    begun: Vec<Instant>,
    online: Vec<bool>,
    succeeded: usize,
    failed: usize,
    last_failure: Option<String>,
    latency: Histogram,
}

impl Storm {
    /// Logs in `count` times and waits until the last has left.
    fn pass(&mut self, fleet: &mut Fleet, count: usize, options: &Options) -> io::Result<()> {
        let places = options.concurrency.min(count);
        let now = Instant::now();
        self.begun = vec![now; places];
        self.online = vec![false; places];
        self.free = (0..places).rev().collect();
        let (mut begun, mut progress) = (0, (0, now));
        let mut reported = now;
        while begun < count || self.free.len() < places {
            while begun < count
                && let Some(place) = self.free.pop()
            {
                self.dial(fleet, place, begun % options.accounts.max(1))?;
                begun += 1;
            }
            fleet.turn(Duration::from_millis(100), self)?;
            let ended = begun + self.free.len();
            if ended != progress.0 {
                progress = (ended, Instant::now());
            } else if progress.1.elapsed() > PATIENCE {
                let message = format!("no log-in ended for {PATIENCE:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            if reported.elapsed() > Duration::from_secs(5) {
                reported = Instant::now();
                eprintln!("{} of {count} log-ins", self.succeeded);
            }
        }
        Ok(())
    }

    fn dial(&mut self, fleet: &mut Fleet, place: usize, account: usize) -> io::Result<()> {
        if let (Some(begun), Some(online)) = (self.begun.get_mut(place), self.online.get_mut(place))
        {
            (*begun, *online) = (Instant::now(), false);
        }
        fleet.dial(place, account, false)
    }
}

impl Script for Storm {
    fn online(&mut self, sessions: &mut Sessions, id: usize, now: Instant) {
        self.succeeded += 1;
        if let (Some(begun), Some(online)) = (self.begun.get(id), self.online.get_mut(id)) {
            *online = true;
            self.latency.add(now.saturating_duration_since(*begun));
        }
        sessions.close(id);
    }

    fn gone(&mut self, id: usize, reason: &str) {
        if !self.online.get(id).copied().unwrap_or(false) {
            self.failed += 1;
            self.last_failure = Some(reason.to_owned());
        }
        self.free.push(id);
    }
}
