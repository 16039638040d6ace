//! Owns `rookery session`: who is logged in, and ending that.

use std::io::Write;

use clap::Subcommand;
use web::administration::SessionList;

use super::client::{Client, segment};
use crate::config::Config;

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List sessions
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

/// Does it.
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
            for line in list.sessions {
                let since = xmpp::datetime::format_seconds(line.since.saturating_mul(1_000_000));
                let (jid, address, member) = (line.jid, line.address, line.member);
                writeln!(out, "{jid}  {address}  at {member}  since {since}")?;
            }
            Ok(())
        }
    }
}
