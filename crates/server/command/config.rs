//! Owns `rookery config`: check, print, example.

use c2s::tls::is_local;
use clap::Subcommand;

use crate::config::{Config, Domain, example};
use crate::wiring::check_tls;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say whether the configuration and the certificates that it names can be used
    Check,
    /// Print a documented example
    Example,
    /// Print the configuration that holds, defaults and environment included
    Print {
        /// As JSON instead of TOML
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Check => {
            // The rest was checked when it was read.
            check_tls(config)?;
            let public = |domain: &&Domain| domain.certificate.is_none() && !is_local(&domain.name);
            for domain in config.domain.iter().filter(public) {
                let name = &domain.name;
                eprintln!(
                    "rookery: {name} has no certificate: clients will refuse the self-signed one"
                );
            }
            super::print("the configuration can be used\n")?;
        }
        Command::Example => example()?,
        Command::Print { json: false } => super::print(&toml::to_string(config)?)?,
        Command::Print { json: true } => {
            super::print(&(serde_json::to_string_pretty(config)? + "\n"))?;
        }
    }
    Ok(())
}

/// Prints the example.
pub(super) fn example() -> anyhow::Result<()> {
    super::print(example::EXAMPLE)
}
