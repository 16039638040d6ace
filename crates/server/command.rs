//! Owns the command line: which subcommand goes to which file, and exit codes: 0 ok, 1 failed, 2 usage.

mod account;
mod cert;
mod client;
mod cluster;
mod component;
mod config;
mod dns;
mod invitation;
mod reload;
mod room;
mod s2s;
mod serve;
mod session;
mod store;
mod transfer;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::Config;

/// The head over options that every command has, apart from its own.
const ANYWHERE: &str = "Options of every command";

/// A cluster-native XMPP server.
#[derive(Debug, Parser)]
#[command(name = "rookery", version, about, max_term_width = 100)]
struct Cli {
    /// Configuration file [default: ./rookery.toml, /etc/rookery/rookery.toml, or a built-in one]
    #[arg(long, global = true, value_name = "FILE", help_heading = ANYWHERE)]
    config: Option<PathBuf>,
    /// Data directory, instead of the configured one
    #[arg(long, global = true, value_name = "DIR", help_heading = ANYWHERE)]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve clients (what `rookery` alone does)
    Serve,
    /// Add, list and change accounts, also while no server runs
    #[command(subcommand)]
    Account(account::Command),
    /// Make, list, show, change and destroy rooms, and say who is what to them
    #[command(subcommand)]
    Room(room::Command),
    /// List and end sessions
    #[command(subcommand)]
    Session(session::Command),
    /// Look at the cluster's members and shards, and change who takes part
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// List the streams with other servers, and try anew
    #[command(subcommand)]
    S2s(s2s::Command),
    /// See which components are connected
    #[command(subcommand)]
    Component(component::Command),
    /// Say what DNS says of a domain
    #[command(subcommand)]
    Dns(dns::Command),
    /// Check, print and explain the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Write accounts into a file that other servers read too (XEP-0227)
    Export(transfer::Export),
    /// Take accounts in from such a file
    Import(transfer::Import),
    /// Copy the store from one engine to another
    #[command(subcommand)]
    Store(store::Command),
    /// Show certificates, make those of members
    #[command(subcommand)]
    Cert(cert::Command),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if has_reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rookery: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    if let Some(Command::Completions { shell }) = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "rookery", &mut script);
        return print(&String::from_utf8_lossy(&script));
    }
    if let Some(Command::Config(config::Command::Example)) = cli.command {
        return config::example();
    }
    let find = || {
        let config = Config::find(cli.config.as_deref())?;
        Ok(Config {
            data_dir: cli.data_dir.clone().unwrap_or_else(|| config.data_dir.clone()),
            ..config
        })
    };
    let config = find()?;
    match cli.command {
        None | Some(Command::Serve) => serve::run(config, &find),
        Some(Command::Account(command)) => account::run(&config, command),
        Some(Command::Room(command)) => room::run(&config, command),
        Some(Command::Session(command)) => session::run(&config, command),
        Some(Command::Cluster(command)) => cluster::run(&config, command),
        Some(Command::S2s(command)) => s2s::run(&config, command),
        Some(Command::Component(command)) => component::run(&config, &command),
        Some(Command::Dns(command)) => dns::run(&config, command),
        Some(Command::Config(command)) => config::run(&config, command),
        Some(Command::Cert(command)) => cert::run(&config, command),
        Some(Command::Store(command)) => store::run(&config, command),
        Some(Command::Export(export)) => transfer::export(&config, &export),
        Some(Command::Import(import)) => transfer::import(&config, &import),
        Some(Command::Completions { .. }) => Ok(()),
    }
}

/// Writes to standard output what was asked for.
fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// The domain that somebody has named.
fn domain(text: &str) -> anyhow::Result<xmpp::BareJid> {
    let domain = xmpp::BareJid::parse(text).ok().filter(|jid| jid.localpart().is_none());
    domain.ok_or_else(|| anyhow::anyhow!("{text:?} is not the name of a domain"))
}

/// Whether whoever read our output has had enough of it, as `head` has: nothing to complain about. Sockets that break
/// come with words about what was asked of them, so they have more than one cause.
fn has_reader_left(error: &anyhow::Error) -> bool {
    let broken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().len() == 1 && error.downcast_ref().is_some_and(broken)
}

/// An error with its causes, on one line.
fn one_line(error: &anyhow::Error) -> String {
    let mut words: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some causes repeat what the error before them said.
        if !words.last().is_some_and(|before| before.ends_with(&cause)) {
            words.push(cause);
        }
    }
    words.join(": ").replace('\n', "\n  ")
}
