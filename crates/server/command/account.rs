//! Owns `rookery account`: through a running server, or on the store itself while none runs.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use accounts::accounts::{AccountRow, may_be_made};
use accounts::{AccountError, Accounts};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use web::administration::{Change, NewAccount, PAGE};

use super::client::{Client, Refused, segment};
use super::invitation;
use crate::config::Config;
use crate::foundation::{Foundation, need_data};

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add an account
    Add(Add),
    /// Remove an account with everything that is kept of it
    Delete {
        /// The address: name@domain
        jid: String,
    },
    /// List accounts
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Set another password
    Password {
        /// The address: name@domain
        jid: String,
        #[command(flatten)]
        secret: Secret,
    },
    /// Allow an account to be used again
    Enable {
        /// The address: name@domain
        jid: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// End an account's sessions and forbid to use it; nothing is lost
    Disable {
        /// The address: name@domain
        jid: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Invite somebody to make an account (where registration is "invite" or "open")
    Invite(invitation::Invite),
    /// List invitations that can be used
    Invitations {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove an invitation
    Uninvite {
        /// Its id, as `invitations` lists it
        id: String,
    },
}

/// A new account, or many.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// The address: name@domain
    #[arg(required_unless_present = "from_file")]
    jid: Option<String>,
    #[command(flatten)]
    secret: Secret,
    /// Add many: a file of lines `name@domain password`; nothing is done where one is wrong
    #[arg(long, value_name = "FILE", conflicts_with_all = ["jid", "password", "password_stdin"])]
    from_file: Option<PathBuf>,
}

/// Where a password comes from; asked for on a terminal if it is not said.
#[derive(Debug, Args)]
pub(super) struct Secret {
    /// The password; other users of this machine may see it while the command runs
    #[arg(long, value_name = "PASSWORD")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password")]
    password_stdin: bool,
}

/// A change to make, once.
enum Job {
    Add(NewAccount),
    Change(String, Change),
    Delete(String),
}

/// Runs `rookery account`.
pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { json } => list(config, json),
        Command::Add(Add { from_file: Some(file), .. }) => add_many(config, &file),
        Command::Add(Add { jid, secret, .. }) => {
            let (jid, password) = (jid.unwrap_or_default(), secret.read()?);
            work(config, vec![Job::Add(NewAccount { jid, password })])
        }
        Command::Delete { jid } => work(config, vec![Job::Delete(jid)]),
        Command::Password { jid, secret } => {
            let change = Change { password: Some(secret.read()?), enabled: None };
            work(config, vec![Job::Change(jid, change)])
        }
        Command::Invite(invite) => invitation::invite(config, invite),
        Command::Invitations { json } => invitation::list(config, json),
        Command::Uninvite { id } => invitation::remove(config, &id),
        Command::Enable { jid, json } => set_enabled(config, jid, true, json),
        Command::Disable { jid, json } => set_enabled(config, jid, false, json),
    }
}

fn set_enabled(config: &Config, jid: String, enabled: bool, json: bool) -> anyhow::Result<()> {
    let change = Change { enabled: Some(enabled), password: None };
    work(config, vec![Job::Change(jid.clone(), change)])?;
    match json {
        true => {
            super::print(&format!("{}\n", serde_json::to_string(&AccountRow { jid, enabled })?))
        }
        false => Ok(()),
    }
}

/// Nothing is made of a file with a line that is wrong. Accounts that are there already are named, and left as they
/// are: a file can be taken once more.
fn add_many(config: &Config, file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", file.display()))?;
    let hosts = config.hosts()?;
    let at = |number: usize| format!("{}:{}", file.display(), number + 1);
    let (mut numbers, mut jobs) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let Some((jid, password)) = line.split_once(' ') else {
            anyhow::bail!("{}: write `name@domain password`", at(number));
        };
        may_be_made(&hosts, jid, password).with_context(|| at(number))?;
        numbers.push(number);
        jobs.push(Job::Add(NewAccount { jid: jid.to_owned(), password: password.to_owned() }));
    }
    let mut there = 0;
    work_through(config, jobs, |job, error| {
        let place = at(numbers.get(job).copied().unwrap_or_default());
        if !is_there_already(&error) {
            return Err(error.context(place));
        }
        there += 1;
        eprintln!("rookery: {place}: {error}");
        Ok(())
    })?;
    anyhow::ensure!(there == 0, "{there} of {} accounts were there already", numbers.len());
    Ok(())
}

fn is_there_already(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == 409)
        || matches!(error.downcast_ref(), Some(AccountError::Exists(_)))
}

fn work(config: &Config, jobs: Vec<Job>) -> anyhow::Result<()> {
    work_through(config, jobs, |_, error| Err(error))
}

/// Does one job after the other. `failed` is told the number of a job that failed, and says whether to go on.
fn work_through(
    config: &Config,
    jobs: Vec<Job>,
    mut failed: impl FnMut(usize, anyhow::Error) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let progress = Progress { all: jobs.len(), shown: std::io::stderr().is_terminal() };
    if Client::connect(&config.data_dir)?.is_some() {
        for (number, job) in jobs.into_iter().enumerate() {
            job.through_server(config).or_else(|error| failed(number, error))?;
            progress.show(number + 1);
        }
        return Ok(());
    }
    let adds = jobs.iter().any(|job| matches!(job, Job::Add(_)));
    let mut whole = Ok(());
    offline(config, if adds { Data::OrNew } else { Data::There }, async |accounts| {
        for (number, job) in jobs.into_iter().enumerate() {
            let done = job.on_store(accounts).await.map_err(anyhow::Error::from);
            whole = done.or_else(|error| failed(number, error));
            if whole.is_err() {
                break;
            }
            progress.show(number + 1);
        }
        Ok(())
    })?;
    whole
}

/// Whether a command makes a data directory where there is none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// It must be there: whoever looks for something is in the wrong place.
    There,
    /// It is made.
    OrNew,
}

/// Opens the store itself; only while no server runs, which its lock makes sure of.
fn offline<T>(
    config: &Config,
    data: Data,
    act: impl AsyncFnOnce(&Accounts) -> Result<T, AccountError>,
) -> anyhow::Result<T> {
    on_foundation(config, data, async |foundation| act(&foundation.accounts(config)).await)
}

/// The same with all that stands before a server begins.
pub(super) fn on_foundation<T>(
    config: &Config,
    data: Data,
    act: impl AsyncFnOnce(&Arc<Foundation>) -> Result<T, AccountError>,
) -> anyhow::Result<T> {
    if data == Data::There {
        need_data(config)?;
    }
    if config.cluster.has_others() {
        anyhow::bail!(
            "no server runs on {}: a member of a cluster changes accounts while it runs",
            config.data_dir.display()
        );
    }
    actix_rt::System::new().block_on(async {
        let foundation = Arc::new(Foundation::lay(config).await?);
        let done = act(&foundation).await;
        if let Some(foundation) = Arc::into_inner(foundation) {
            foundation.close().await;
        }
        Ok(done?)
    })
}

fn list(config: &Config, json: bool) -> anyhow::Result<()> {
    let mut rows: Vec<AccountRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.jid.clone());
        let page = page(config, after)?;
        let last = page.len() < PAGE;
        rows.extend(page);
        if last {
            break;
        }
    }
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        return Ok(());
    }
    for row in rows {
        writeln!(out, "{}{}", row.jid, if row.enabled { "" } else { "  (disabled)" })?;
    }
    Ok(())
}

pub(super) fn page(config: &Config, after: Option<String>) -> anyhow::Result<Vec<AccountRow>> {
    if let Some(client) = Client::connect(&config.data_dir)? {
        let after = after.map(|jid| format!("&after={}", segment(&jid))).unwrap_or_default();
        return client.get(&format!("/api/v1/accounts?limit={PAGE}{after}"));
    }
    offline(config, Data::There, async |accounts| {
        let after = after.map(|jid| accounts.address(&jid)).transpose()?;
        accounts.list(after, PAGE).await
    })
}

impl Job {
    fn through_server(self, config: &Config) -> anyhow::Result<()> {
        let client = Client::need(&config.data_dir)?;
        let path = |jid: &str| format!("/api/v1/accounts/{}", segment(jid));
        match self {
            Self::Add(new) => client.send("POST", "/api/v1/accounts", Some(&new)),
            Self::Change(jid, change) => client.send("PATCH", &path(&jid), Some(&change)),
            Self::Delete(jid) => client.send("DELETE", &path(&jid), None::<&()>),
        }
    }

    async fn on_store(self, accounts: &Accounts) -> Result<(), AccountError> {
        match self {
            Self::Add(new) => accounts.add(&accounts.address(&new.jid)?, &new.password).await,
            Self::Delete(jid) => accounts.delete(&accounts.address(&jid)?).await,
            Self::Change(jid, change) => {
                let jid = accounts.address(&jid)?;
                if let Some(password) = change.password {
                    accounts.set_password(&jid, &password).await?;
                }
                match change.enabled {
                    Some(enabled) => accounts.set_enabled(&jid, enabled).await,
                    None => Ok(()),
                }
            }
        }
    }
}

impl Secret {
    fn read(self) -> anyhow::Result<String> {
        if let Some(password) = self.password {
            return Ok(password);
        }
        let stdin = std::io::stdin();
        if !self.password_stdin && stdin.is_terminal() {
            return Ok(rpassword::prompt_password("password: ")?);
        }
        if !self.password_stdin {
            anyhow::bail!("say the password with --password or --password-stdin");
        }
        let mut line = String::new();
        stdin.lock().read_line(&mut line)?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// Says on a terminal how far a long job is.
struct Progress {
    all: usize,
    shown: bool,
}

impl Progress {
    fn show(&self, done: usize) {
        if self.shown && self.all > 1 {
            eprint!("\r{done} of {}{}", self.all, if done == self.all { "\n" } else { "" });
        }
    }
}
