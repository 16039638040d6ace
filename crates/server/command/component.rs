//! Owns `rookery component`: which components are connected.

use std::io::Write;

use clap::Subcommand;
use web::federation::Streams;

use super::client::Client;
use super::s2s::name_silent;
use crate::config::Config;

/// What to know of components.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the streams of components to all members
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs `rookery component`.
pub(super) fn run(config: &Config, command: &Command) -> anyhow::Result<()> {
    let client = Client::need(&config.data_dir)?;
    let Command::List { json } = command;
    let streams: Streams = client.get("/api/v1/s2s")?;
    name_silent(&streams.silent)?;
    let mut out = std::io::stdout().lock();
    if *json {
        writeln!(out, "{}", serde_json::to_string_pretty(&streams.components)?)?;
        return Ok(());
    }
    for row in &streams.components {
        let waiting = match row.waiting {
            0 => String::new(),
            count => format!("  {count} waiting"),
        };
        writeln!(out, "{}  {}  at {}{waiting}", row.domain, row.address, row.member)?;
    }
    Ok(())
}
