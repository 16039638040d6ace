//! Owns `rookery config`: check, print, example.

use clap::Subcommand;

use crate::config::{Config, example};
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
            println!("the configuration can be used");
        }
        Command::Example => example()?,
        Command::Print { json: false } => print!("{}", toml::to_string(config)?),
        Command::Print { json: true } => println!("{}", serde_json::to_string_pretty(config)?),
    }
    Ok(())
}

/// Prints the example.
pub(super) fn example() -> anyhow::Result<()> {
    print!("{}", example::EXAMPLE);
    Ok(())
}
