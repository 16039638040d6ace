//! Owns `rookery config`: check, print, example.

use anyhow::Context as _;
use c2s::tls::is_local;
use clap::Subcommand;
use cluster::{Peers, peer};

use crate::certificates::check_tls;
use crate::config::{Config, Domain, example};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say whether the configuration can be used, with the files that it names
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

/// Runs `rookery config`.
pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Check => {
            // The rest was checked when it was read.
            check_files(config)?;
            for (_, what) in check_tls(config)? {
                eprintln!("rookery: {what}");
            }
            let public = |domain: &&Domain| domain.certificate.is_none() && !is_local(&domain.name);
            for domain in config.domain.iter().filter(public) {
                let name = &domain.name;
                eprintln!(
                    "rookery: {name} has no certificate: clients will refuse the self-signed one"
                );
            }
            if let Some(why) = config.why_no_upload()? {
                eprintln!("rookery: {why}");
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

/// Reads what the configuration names, as `serve` will, and connects to nothing.
fn check_files(config: &Config) -> anyhow::Result<()> {
    if let Some(mesh) = config.cluster()?.mesh {
        let name = config.cluster.name.clone().unwrap_or_default();
        let settings = peer::Settings { name, listen: mesh.listen, security: mesh.security };
        Peers::check(&settings).context("[cluster]")?;
    }
    if let Some(url) = &config.store.url {
        config.store.redis(url)?.check()?;
    }
    config.components()?;
    config.external_services()?;
    if let Some(dir) = &config.web.converse {
        anyhow::ensure!(dir.is_dir(), "web.converse: {} is no directory", dir.display());
    }
    let (authorities, is_on) = (&config.s2s.ca_file, config.s2s.is_on());
    if let Some(error) = std::fs::File::open(authorities).err().filter(|_| is_on) {
        let file = authorities.display();
        eprintln!(
            "rookery: cannot read s2s.ca_file {file}: {error}: no other server can prove who it is by a certificate"
        );
    }
    Ok(())
}

/// Prints the example.
pub(super) fn example() -> anyhow::Result<()> {
    super::print(example::EXAMPLE)
}
