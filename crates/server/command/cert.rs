//! Owns `rookery cert`: which certificate each domain shows.

use std::io::Write;

use clap::Subcommand;

use crate::config::Config;
use crate::wiring::load_tls;

/// What to do with certificates.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the certificate of each domain: names, issuer, until when, fingerprint
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let Command::Show { json } = command;
    let described = load_tls(config)?.describe();
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&described)?)?;
        return Ok(());
    }
    for certificate in described {
        writeln!(out, "{}", certificate.domain)?;
        writeln!(out, "  names    {}", certificate.names.join(", "))?;
        writeln!(out, "  issuer   {}", certificate.issuer)?;
        writeln!(out, "  expires  {}", certificate.not_after)?;
        writeln!(out, "  sha-256  {}", certificate.sha256)?;
    }
    Ok(())
}
