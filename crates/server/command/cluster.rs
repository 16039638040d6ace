//! Owns `rookery cluster`: what an operator sees of the cluster and does to it, through any member that runs.

use std::io::Write;
use std::time::Duration;

use clap::Subcommand;
use cluster::Status;
use cluster::control::staying::StayingRow;
use cluster::operator::ShardRow;
use cluster::plan::Status as MemberStatus;
use cluster::status::MemberRow;
use serde::Serialize;
use web::cluster::{Connections, Drain};

use super::client::{Client, segment};
use crate::config::Config;
use crate::foundation::{marker, need_data};

/// What to do with the cluster.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show how the cluster is, as this member sees it
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List members
    Members {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List shards: who owns them since when, who stands by
    Shards {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Move everything away from a member, so that it can be stopped
    Drain {
        /// Name or id [default: the member asked]
        member: Option<String>,
        /// Call it off: the member gets its share again, and clients may come
        #[arg(long, conflicts_with = "wait")]
        cancel: bool,
        /// Wait until it owns nothing, and where it is the member asked, until its clients have gone
        #[arg(long)]
        wait: bool,
        /// How long to wait
        #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "wait")]
        timeout: u64,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget a member that is out and does not come back
    Remove {
        /// Name or id
        member: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Go on with this member alone, when most voters are lost for good; its server must not run
    ForceRecover {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// How often it is looked whether a member is drained.
const PACE: Duration = Duration::from_millis(500);

/// What was done, as JSON.
#[derive(Serialize)]
struct Done<'a> {
    done: bool,
    member: &'a str,
}

/// With what a member goes on alone, as JSON.
#[derive(Serialize)]
struct Recovered<'a> {
    done: bool,
    cluster: &'a str,
    generation: u32,
}

/// Runs `rookery cluster`.
pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Status { json } => show(&status(config)?, json, write_status),
        Command::Members { json } => show(&status(config)?.members, json, write_members),
        Command::Shards { json } => {
            let rows: Vec<ShardRow> = client(config)?.get("/api/v1/cluster/shards")?;
            show(&rows, json, write_shards)
        }
        Command::Drain { member, cancel, wait, timeout, json } => {
            let drain = Drain { member: member.clone(), cancel };
            client(config)?.send("POST", "/api/v1/cluster/drain", Some(&drain))?;
            let member = member.map_or_else(|| own_name(config), Ok)?;
            if wait {
                await_drained(config, &member, timeout)?;
            }
            let done = match (cancel, wait) {
                (true, _) => "takes its share again",
                (false, true) => "is drained",
                (false, false) => "drains",
            };
            report(json, &member, done)
        }
        Command::Remove { member, json } => {
            let path = format!("/api/v1/cluster/members/{}", segment(&member));
            client(config)?.send("DELETE", &path, None::<&()>)?;
            report(json, &member, "is forgotten")
        }
        Command::ForceRecover { json } => force_recover(config, json),
    }
}

fn client(config: &Config) -> anyhow::Result<Client> {
    Client::need(&config.data_dir)
}

fn status(config: &Config) -> anyhow::Result<Status> {
    client(config)?.get("/api/v1/cluster")
}

/// The name of the member that is asked.
fn own_name(config: &Config) -> anyhow::Result<String> {
    let status = status(config)?;
    let own = status.members.into_iter().find(|row| row.id == status.member);
    Ok(own.map_or(status.member, |row| row.name))
}

fn force_recover(config: &Config, json: bool) -> anyhow::Result<()> {
    if Client::connect(&config.data_dir)?.is_some() {
        anyhow::bail!("a server runs on {}: stop it first", config.data_dir.display());
    }
    need_data(config)?;
    anyhow::ensure!(
        config.cluster.has_others(),
        "this server is no member of a cluster: [cluster] listen is not set"
    );
    let recovered = cluster::Cluster::recover(&config.data_dir, marker(config)?)?;
    let (cluster, generation) = (&recovered.cluster.to_string(), recovered.generation);
    show(&Recovered { done: true, cluster, generation }, json, |out, _| {
        writeln!(out, "{cluster} goes on alone in generation {generation}")
    })
}

fn await_drained(config: &Config, member: &str, timeout: u64) -> anyhow::Result<()> {
    let mut has_begun = false;
    let rounds = timeout.saturating_mul(1000) / 500;
    for _ in 0..=rounds {
        let status = status(config)?;
        let mut rows = status.members.iter();
        let row = rows.find(|row| row.name == member || row.id == member);
        has_begun |= row.is_some_and(|row| row.status == MemberStatus::Draining);
        let is_asked = row.is_some_and(|row| row.id == status.member);
        match row {
            Some(row) if row.status == MemberStatus::Draining => {
                if row.shards == 0 && (!is_asked || connections(config)? == 0) {
                    return Ok(());
                }
            }
            // The member that is asked has not heard of it yet.
            Some(row) if row.status == MemberStatus::Up && !has_begun => {}
            // It has ended, or somebody has called it back: what it had was not moved away while it lived.
            _ => anyhow::bail!(
                "{member} does not drain any more; `rookery cluster members` says how it is"
            ),
        }
        std::thread::sleep(PACE);
    }
    let staying = status(config)?.staying;
    let staying: String = staying.iter().take(5).map(|row| format!("; {}", stays(row))).collect();
    anyhow::bail!("{member} still has shards or clients after {timeout} s{staying}")
}

/// Clients of the member that is asked.
fn connections(config: &Config) -> anyhow::Result<usize> {
    let answer: Connections = client(config)?.get("/api/v1/cluster/connections")?;
    Ok(answer.connections)
}

fn report(json: bool, member: &str, what: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match json {
        true => writeln!(out, "{}", serde_json::to_string(&Done { done: true, member })?)?,
        false => writeln!(out, "{member} {what}")?,
    }
    Ok(())
}

fn show<T: Serialize + ?Sized>(
    value: &T,
    json: bool,
    write: impl FnOnce(&mut dyn Write, &T) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(value)?)?,
        false => write(&mut out, value)?,
    }
    Ok(())
}

fn write_status(out: &mut dyn Write, status: &Status) -> std::io::Result<()> {
    let leader = status.leader.as_deref();
    let leader = status.members.iter().find(|row| Some(row.id.as_str()) == leader);
    let up = status.members.iter().filter(|row| row.status == cluster::plan::Status::Up).count();
    writeln!(out, "cluster     {}, generation {}", status.cluster, status.generation)?;
    writeln!(out, "this member {}", status.member)?;
    writeln!(out, "may act     {}", if status.lease { "yes" } else { "no: it has no lease" })?;
    writeln!(out, "leader      {}", leader.map_or("none", |row| row.name.as_str()))?;
    writeln!(out, "members     {up} of {} up", status.members.len())?;
    writeln!(out, "moving      {} shards", status.moving)?;
    for row in &status.staying {
        writeln!(out, "  {}", stays(row))?;
    }
    writeln!(out, "log         {} applied, term {}", status.applied, status.term)
}

/// Why a shard of the member that is asked does not move.
fn stays(row: &StayingRow) -> String {
    format!("shard {} stays, tried {} times: {}", row.shard, row.times, row.why)
}

fn write_members(out: &mut dyn Write, rows: &Vec<MemberRow>) -> std::io::Result<()> {
    writeln!(out, "NAME  ID  STATUS  PART  ADDRESS  SHARES")?;
    for row in rows {
        let status = serde_json::to_value(row.status).ok();
        let status = status.as_ref().and_then(serde_json::Value::as_str).unwrap_or("?");
        writeln!(
            out,
            "{}  {}  {status}  {}  {}  {} shards, standby of {}",
            row.name, row.id, row.part, row.addr, row.shards, row.standby_shards
        )?;
        if let Some(difference) = &row.differs {
            writeln!(out, "  its configuration differs from this member's: {difference}")?;
        }
        if let Some(wrong) = row.wrong_clock() {
            writeln!(out, "  its clock is {wrong} this member's")?;
        }
    }
    Ok(())
}

fn write_shards(out: &mut dyn Write, rows: &Vec<ShardRow>) -> std::io::Result<()> {
    writeln!(out, "SHARD  OWNER  STANDBY  SINCE")?;
    for row in rows {
        let standby = row.standby.as_deref().unwrap_or("-");
        write!(out, "{}  {}  {standby}  {}", row.shard, row.owner, row.epoch)?;
        match &row.moves_to {
            Some(to) => writeln!(out, "  moves to {to}")?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}
