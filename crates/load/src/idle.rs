//! Sessions that are online and say nothing: what they cost in memory, and in processor time.

use crate::fleet::{Fleet, Target};
use crate::measure::{Look, Used};
use crate::process::Tree;
use crate::sessions::Silent;
use serde::Serialize;
use std::io;
use std::time::Duration;

/// What to run.
#[derive(Clone, Debug, Serialize)]
pub struct Options {
    /// Sessions to hold, each of an account of its own.
    pub sessions: usize,
    /// Sign-ins at a time.
    pub concurrency: usize,
    /// Sessions that are online before the first look, so that what a server loads once does not count.
    pub before: usize,
    /// How long the server may settle before each look.
    pub settle: Duration,
    /// How long the sessions are held for the processor time of idling.
    pub hold: Duration,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was run.
    pub options: Options,
    /// From the first look to the last session's settling.
    pub used: Used,
    /// Growth of the server's resident memory for each session, KiB.
    pub server_kib_per_session: Option<f64>,
    /// The server's processor time while all idle, for each session and minute, ms.
    pub server_ms_per_session_and_minute: Option<f64>,
    /// Sessions that the server ended.
    pub sessions_lost: usize,
}

/// Holds the sessions against `target` and measures `server`.
pub fn run(target: Target, options: Options, server: Option<Tree>) -> io::Result<Report> {
    let mut fleet = Fleet::new(target)?;
    let script = &mut Silent;
    fleet.bring_online(options.before, options.concurrency, |_| false, script)?;
    fleet.run_for(options.settle, script)?;
    let first = Look::now(server)?;
    let all = options.before + options.sessions;
    fleet.bring_online(all, options.concurrency, |_| false, script)?;
    fleet.run_for(options.settle, script)?;
    let settled = Look::now(server)?;
    fleet.run_for(options.hold, script)?;
    let held = settled.until(&Look::now(server)?);
    let used = first.until(&settled);
    let minutes = held.seconds / 60.0;
    let idle_us = held.server_us_per(all as u64).filter(|_| minutes > 0.0);
    Ok(Report {
        used,
        server_kib_per_session: used.growth_kib_per(options.sessions as u64),
        server_ms_per_session_and_minute: idle_us.map(|us| us / 1e3 / minutes),
        sessions_lost: fleet.sessions.lost(),
        options,
    })
}
