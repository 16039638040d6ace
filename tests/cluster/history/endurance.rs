//! The long history: as many deaths and messages as one wants, with what it showed written down. Only where
//! `ROOKERY_DEATHS=100` says how many; `ROOKERY_MESSAGES=1000000` how many messages at least.

use std::fmt::Write as _;

use super::super::report;
use super::{Fault, Play};
use crate::redis;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The value below which so many of a hundred are.
fn percentile(sorted: &[u64], of: usize) -> f64 {
    let at = (sorted.len() * of).div_ceil(100).clamp(1, sorted.len()) - 1;
    sorted[at] as f64 / 1e6
}

#[test]
fn whatever_dies_as_often_as_one_wants() {
    let Some(deaths) = number("ROOKERY_DEATHS") else {
        redis::fixture::skipped("ROOKERY_DEATHS=100 says how often members are to die");
        return;
    };
    if !redis::fixture::is_there() {
        return;
    }
    let messages = number("ROOKERY_MESSAGES").unwrap_or(0);
    let mut play = Play::begin();
    play.go_on(300);
    for death in 0..deaths {
        play.suffer(Fault::Dies, usize::try_from(death % 3).unwrap());
        play.go_on(messages / deaths);
    }
    let mut outages = std::mem::take(&mut play.outages);
    outages.sort_unstable();
    let verdict = play.end();
    let mut report = String::new();
    writeln!(
        report,
        "{deaths} times `kill -9`, {} messages acknowledged, {} streams resumed.\n",
        verdict.acknowledged, verdict.resumed
    )
    .unwrap();
    let ends = verdict.resumed + verdict.begun_anew;
    writeln!(
        report,
        "{} % of the sessions that lost their stream were resumed.\n",
        verdict.resumed * 100 / ends.max(1)
    )
    .unwrap();
    writeln!(report, "| | count |\n|---|---|").unwrap();
    for (what, count) in verdict.rows() {
        writeln!(report, "| {what} | {count} |").unwrap();
    }
    let [p50, p99, most] = [50, 99, 100].map(|of| percentile(&outages, of));
    writeln!(report, "\nFrom the death until something that a client has said since is acknowledged, of {} clients' waits: p50 {p50:.2} s, p99 {p99:.2} s, at most {most:.2} s.", outages.len()).unwrap();
    let command =
        format!("ROOKERY_DEATHS={deaths} ROOKERY_MESSAGES={messages} benches/run-cluster deaths");
    report::write("deaths", "Deaths of members under clients that talk", &command, &report);
    verdict.judge();
}
