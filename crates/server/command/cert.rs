//! Owns `rookery cert`: which certificate each domain shows.

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use cluster::peer::certificate::{make_authority, make_member};

use crate::certificates::load_tls;
use crate::config::Config;

/// What to do with certificates.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the certificate of each domain: names, issuer, until when, fingerprint
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make an authority for the certificates of a cluster's members
    ClusterCa {
        /// Where: cluster-ca.crt for all members, cluster-ca.key to be kept apart
        #[arg(long, default_value = ".", value_name = "DIR")]
        dir: PathBuf,
    },
    /// Make the certificate of a member: NAME.crt and NAME.key, signed by cluster-ca.key
    ClusterMember {
        /// The member's name, as in [cluster] name
        name: String,
        /// Where the authority is, and the new files go
        #[arg(long, default_value = ".", value_name = "DIR")]
        dir: PathBuf,
    },
}

/// Runs `rookery cert`.
pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let trust_domain = &config.cluster.trust_domain;
    let json = match command {
        Command::Show { json } => json,
        Command::ClusterCa { dir } => return Ok(make_authority(&dir, trust_domain)?),
        Command::ClusterMember { name, dir } => return Ok(make_member(&dir, trust_domain, &name)?),
    };
    let is_new = !config.data_dir.exists();
    let described = load_tls(config)?.describe();
    if is_new && config.data_dir.exists() {
        eprintln!("rookery: {} was made, with new certificates", config.data_dir.display());
    }
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
