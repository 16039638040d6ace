//! Owns `rookery session`: who is logged in, and ending that.

use std::io::Write;

use clap::Subcommand;
use web::administration::SessionList;

use super::client::{Client, segment};
use crate::config::Config;

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List sessions, those that wait to be resumed too
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// End the session of a full address, or all of an account
    Kick {
        /// name@domain or name@domain/resource
        jid: String,
    },
}

/// Runs `rookery session`.
pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let client = Client::need(&config.data_dir)?;
    match command {
        Command::Kick { jid } => {
            client.send("DELETE", &format!("/api/v1/sessions/{}", segment(&jid)), None::<&()>)
        }
        Command::List { json } => {
            let list: SessionList = client.get("/api/v1/sessions")?;
            let mut err = std::io::stderr().lock();
            for member in &list.silent {
                writeln!(err, "{member} does not answer: its sessions are missing")?;
            }
            let mut out = std::io::stdout().lock();
            if json {
                writeln!(out, "{}", serde_json::to_string_pretty(&list.sessions)?)?;
                return Ok(());
            }
            for row in list.sessions {
                let time = |seconds: u64| {
                    xmpp::datetime::format_seconds(seconds.saturating_mul(1_000_000))
                };
                let (jid, member, since) = (row.jid, row.member, time(row.since));
                match row.until.map(time) {
                    None => writeln!(out, "{jid}  {}  at {member}  since {since}", row.address)?,
                    Some(until) => {
                        writeln!(out, "{jid}  waits  at {member}  since {since}  until {until}")?;
                    }
                }
            }
            Ok(())
        }
    }
}
