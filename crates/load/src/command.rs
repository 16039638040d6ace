//! The command line: what may be asked for, and how results are printed.

use crate::fleet::Target;
use crate::process::Tree;
use crate::relay::Relay;
use crate::signin::{Manner, Mechanism, Security};
use crate::{accounts, chat, idle, rooms, storm, tls};
use clap::{Args, Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Drives XMPP servers and measures them.
#[derive(Debug, Parser)]
#[command(name = "load", version)]
pub struct Command {
    #[command(subcommand)]
    action: Action,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Be the floor: copy stanzas between sockets and do nothing else.
    Relay(RelayArgs),
    /// Print accounts to fill a server with.
    Accounts(AccountsArgs),
    /// Log in and out, many times.
    Login(LoginArgs),
    /// Hold idle sessions.
    Idle(IdleArgs),
    /// Let pairs of sessions chat.
    Chat(ChatArgs),
    /// Lets many enter a room and some of them talk.
    Room(RoomArgs),
}

#[derive(Debug, Args)]
struct RelayArgs {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// TLS 1.3 on every connection.
    #[arg(long)]
    tls: bool,
    /// Certificate chain in PEM; without it a self-signed one is made.
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    /// Private key in PEM.
    #[arg(long, requires = "certificate")]
    key: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Who {
    /// Domain of the accounts.
    #[arg(long, default_value = "localhost")]
    domain: String,
    /// Accounts are called PREFIX0, PREFIX1 and so on.
    #[arg(long, default_value = "load")]
    prefix: String,
    /// Password of all accounts.
    #[arg(long, default_value = "secret")]
    password: String,
}

#[derive(Debug, Args)]
struct AccountsArgs {
    /// How many.
    #[arg(long)]
    count: usize,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, Args)]
struct TargetArgs {
    /// The server's address.
    #[arg(long)]
    server: SocketAddr,
    /// The server's process, children included; found by its port if not named.
    #[arg(long)]
    pid: Option<i32>,
    /// Measure no server: it runs elsewhere.
    #[arg(long, conflicts_with = "pid")]
    remote: bool,
    /// How accounts prove themselves.
    #[arg(long, value_enum, default_value = "SCRAM-SHA-1")]
    mechanism: Mechanism,
    /// When TLS 1.3 begins.
    #[arg(long, value_enum, default_value = "none", num_args = 0..=1, default_missing_value = "direct")]
    tls: Security,
    /// TLS 1.2 instead.
    #[arg(long)]
    old_tls: bool,
    /// Sign-ins at a time.
    #[arg(long, default_value_t = 20)]
    concurrency: usize,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, Args)]
struct LoginArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Log-ins that are measured.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Accounts to take turns with; each logs in once before.
    #[arg(long, default_value_t = 100)]
    accounts: usize,
}

#[derive(Debug, Args)]
struct IdleArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Sessions to hold.
    #[arg(long, default_value_t = 1000)]
    sessions: usize,
    /// Sessions that are online before the first look at memory.
    #[arg(long, default_value_t = 20)]
    before: usize,
    /// Seconds to settle before each look.
    #[arg(long, default_value_t = 2.0)]
    settle: f64,
    /// Seconds to hold the sessions.
    #[arg(long, default_value_t = 2.0)]
    hold: f64,
}

#[derive(Debug, Args)]
struct ChatArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Pairs of sessions.
    #[arg(long, default_value_t = 50)]
    pairs: usize,
    /// Messages that each sender keeps under way.
    #[arg(long, default_value_t = 10, conflicts_with = "rate")]
    window: u64,
    /// Open loop: messages in a second over all pairs.
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
    /// Size of a message, bytes.
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// Write to full JIDs instead of bare ones.
    #[arg(long)]
    full: bool,
    /// A message is done only when the server has acknowledged it (stream management).
    #[arg(long)]
    ack: bool,
    /// Ask for acknowledgement after this many messages; 0 asks behind every write.
    #[arg(long, default_value_t = 0, requires = "ack")]
    ask_every: u64,
    /// Seconds to run before measuring.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Seconds to measure, at most.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Messages to measure, at most; 0 for no bound.
    #[arg(long, default_value_t = 0)]
    count: u64,
}

#[derive(Debug, Args)]
struct RoomArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Occupants.
    #[arg(long, default_value_t = 100)]
    occupants: usize,
    /// How many of them talk.
    #[arg(long, default_value_t = 10)]
    speakers: usize,
    /// Messages that each speaker keeps under way.
    #[arg(long, default_value_t = 1)]
    window: u64,
    /// Size of a message as sent, bytes.
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// The room's name. There must be no such room.
    #[arg(long, default_value = "load")]
    name: String,
    /// The room service; without it: conference and the domain.
    #[arg(long)]
    service: Option<String>,
    /// A field of the room's configuration, such as muc#roomconfig_enablearchiving=0; may be given more than once.
    #[arg(long)]
    configure: Vec<String>,
    /// Talk so long before measuring, seconds.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Measure so long, seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

impl Command {
    /// Does what was asked for and prints the result.
    pub fn run(self) -> io::Result<()> {
        raise_descriptor_limit();
        match self.action {
            Action::Relay(args) => relay(&args, self.json),
            Action::Accounts(args) => {
                let Who { domain, prefix, password } = args.who;
                let list = accounts::list(&prefix, &domain, &password, args.count);
                if self.json {
                    return print(&list, true);
                }
                io::stdout().write_all(accounts::lines(&list).as_bytes())
            }
            Action::Login(args) => login(args, self.json),
            Action::Idle(args) => hold_idle(args, self.json),
            Action::Chat(args) => let_chat(args, self.json),
            Action::Room(args) => fill_room(args, self.json),
        }
    }
}

fn relay(args: &RelayArgs, json: bool) -> io::Result<()> {
    let files = args.certificate.as_deref().zip(args.key.as_deref());
    let tls = args.tls.then(|| tls::server(files)).transpose()?;
    let mut relay = Relay::bind(args.listen, tls)?;
    let address = relay.address()?.to_string();
    print(&serde_json::json!({ "ready": address }), json)?;
    relay.run(|| true)
}

fn login(args: LoginArgs, json: bool) -> io::Result<()> {
    let options = storm::Options {
        count: args.count,
        concurrency: args.target.concurrency,
        accounts: args.accounts,
    };
    need_descriptors(options.concurrency)?;
    let server = server(&args.target)?;
    let target = target(args.target, Presence::Not);
    print(&storm::run(target, options, server)?, json)
}

fn hold_idle(args: IdleArgs, json: bool) -> io::Result<()> {
    let options = idle::Options {
        sessions: args.sessions,
        concurrency: args.target.concurrency,
        before: args.before,
        settle: seconds(args.settle)?,
        hold: seconds(args.hold)?,
    };
    need_descriptors(options.sessions + options.before)?;
    let server = server(&args.target)?;
    let target = target(args.target, Presence::Sent);
    print(&idle::run(target, options, server)?, json)
}

fn let_chat(args: ChatArgs, json: bool) -> io::Result<()> {
    let options = chat::Options {
        pairs: args.pairs.max(1),
        window: args.window.max(1),
        rate: args.rate,
        bytes: args.bytes,
        full: args.full,
        ack: args.ack,
        ask_every: args.ask_every,
        concurrency: args.target.concurrency,
        warm_up: seconds(args.warm_up)?,
        duration: seconds(args.seconds)?,
        count: args.count,
    };
    need_descriptors(options.pairs * 2)?;
    let server = server(&args.target)?;
    let target = target(args.target, Presence::Sent);
    print(&chat::run(target, options, server)?, json)
}

fn fill_room(args: RoomArgs, json: bool) -> io::Result<()> {
    let service = args.service.unwrap_or_else(|| format!("conference.{}", args.target.who.domain));
    let occupants = args.occupants.max(1);
    let options = rooms::Options {
        occupants,
        speakers: args.speakers.clamp(1, occupants),
        window: args.window.max(1),
        bytes: args.bytes,
        room: format!("{}@{service}", args.name),
        configuration: args.configure,
        concurrency: args.target.concurrency,
        warm_up: seconds(args.warm_up)?,
        duration: seconds(args.seconds)?,
    };
    need_descriptors(options.occupants)?;
    let server = server(&args.target)?;
    let target = target(args.target, Presence::Sent);
    print(&rooms::run(target, options, server)?, json)
}

#[derive(PartialEq)]
enum Presence {
    Sent,
    Not,
}

fn target(args: TargetArgs, presence: Presence) -> Target {
    Target {
        address: args.server,
        manner: Manner {
            domain: args.who.domain,
            mechanism: args.mechanism,
            security: args.tls,
            presence: presence == Presence::Sent,
        },
        prefix: args.who.prefix,
        password: args.who.password,
        old_tls: args.old_tls,
    }
}

fn server(args: &TargetArgs) -> io::Result<Option<Tree>> {
    match args.pid {
        _ if args.remote => Ok(None),
        Some(pid) => Tree::of(pid).map(Some),
        None => Tree::listening_on(args.server).map(Some),
    }
}

fn seconds(value: f64) -> io::Result<Duration> {
    Duration::try_from_secs_f64(value).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))
}

/// Raises the soft limit of descriptors to the hard one; what is missing then shows in [`need_descriptors`].
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(e) = raised {
        eprintln!("the limit of file descriptors stays as it is: {e}");
    }
}

fn need_descriptors(sessions: usize) -> io::Result<()> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let needed = sessions as u64 + 20;
    if soft < needed {
        let message = format!(
            "{needed} file descriptors are needed, the limit is {soft}: raise it with ulimit -n"
        );
        return Err(io::Error::other(message));
    }
    Ok(())
}

/// Prints a result as JSON, or one value a line.
fn print(result: &impl Serialize, json: bool) -> io::Result<()> {
    let value = serde_json::to_value(result)?;
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, &value)?;
        writeln!(out)?;
    } else {
        print_lines(&mut out, "", &value)?;
    }
    out.flush()
}

fn print_lines(out: &mut impl Write, path: &str, value: &Value) -> io::Result<()> {
    match value {
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            print_lines(out, &path, value)
        }),
        Value::Null => Ok(()),
        Value::Number(number) if number.is_f64() => {
            writeln!(out, "{path:40} {:.3}", number.as_f64().unwrap_or_default())
        }
        Value::String(text) => writeln!(out, "{path:40} {text}"),
        other => writeln!(out, "{path:40} {other}"),
    }
}
