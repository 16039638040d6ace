//! Owns `rookery s2s`: streams with other servers, why one does not come about, and another attempt.

use std::io::Write;

use clap::Subcommand;
use web::federation::{FailureRow, InboundRow, OutboundRow, Reset, Streams};

use super::client::{Client, segment};
use crate::config::Config;

/// What to do with streams to other servers.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the streams of all members, why one does not come about, and what has failed within an hour
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// End the streams to a domain, or to all, and try anew at once
    Reset {
        /// The domain; none: all
        domain: Option<String>,
        /// Say so as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs `rookery s2s`.
pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let client = Client::need(&config.data_dir)?;
    let mut out = std::io::stdout().lock();
    match command {
        Command::List { json } => {
            let streams: Streams = client.get("/api/v1/s2s")?;
            name_silent(&streams.silent)?;
            if json {
                writeln!(out, "{}", serde_json::to_string_pretty(&streams)?)?;
                return Ok(());
            }
            let lines = streams.outbound.iter().map(outbound);
            let lines = lines.chain(streams.inbound.iter().map(inbound));
            let failures = streams.failures.iter().filter(|it| !is_shown(it, &streams.outbound));
            for line in lines.chain(failures.map(failure)) {
                writeln!(out, "{line}")?;
            }
        }
        Command::Reset { domain, json } => {
            let domain = domain.as_deref().map(super::domain).transpose()?;
            let path = match &domain {
                Some(domain) => format!("/api/v1/s2s/{}", segment(domain.as_str())),
                None => "/api/v1/s2s".to_owned(),
            };
            let done: Reset = client.delete(&path)?;
            let mut err = std::io::stderr().lock();
            for member in &done.silent {
                writeln!(err, "{member} does not answer: its streams may be as they were")?;
            }
            if json {
                writeln!(out, "{}", serde_json::to_string_pretty(&done)?)?;
            } else {
                writeln!(out, "{} begin anew", done.streams)?;
            }
        }
    }
    Ok(())
}

fn outbound(row: &OutboundRow) -> String {
    let mut words = vec![format!("{} to {}", row.local, row.remote)];
    words.extend(row.lane.map(|lane| format!("lane {lane}")));
    words.push(row.state.clone());
    words.extend(row.address.clone());
    if row.waiting > 0 {
        words.push(format!("{} waiting", row.waiting));
    }
    words.extend(row.reason.clone());
    if let Some(seconds) = row.retry_seconds.filter(|_| row.state == "failed") {
        words.push(format!("again in {seconds} s"));
    }
    words.push(format!("at {}", row.member));
    words.join("  ")
}

fn inbound(row: &InboundRow) -> String {
    let domains = match row.domains.is_empty() {
        true => "nobody yet".to_owned(),
        false => row.domains.join(", "),
    };
    let mut words = vec![format!("from {domains}"), row.address.clone()];
    words.extend(row.doubts.iter().map(|it| format!("{}: {}", it.domain, it.reason)));
    words.push(format!("at {}", row.member));
    words.join("  ")
}

/// Whether it stands in another line already.
fn is_shown(failure: &FailureRow, outbound: &[OutboundRow]) -> bool {
    let is_same = |row: &OutboundRow| {
        row.remote == failure.domain && row.reason.as_ref() == Some(&failure.reason)
    };
    failure.outbound && outbound.iter().any(is_same)
}

fn failure(row: &FailureRow) -> String {
    let way = if row.outbound { "to" } else { "from" };
    let FailureRow { domain, reason, seconds, member, .. } = row;
    format!("last failure {way} {domain}  {reason}  {seconds} s ago  at {member}")
}

/// What members that do not answer have is missing.
pub(super) fn name_silent(silent: &[String]) -> anyhow::Result<()> {
    let mut err = std::io::stderr().lock();
    for member in silent {
        writeln!(err, "{member} does not answer: its streams are missing")?;
    }
    Ok(())
}
