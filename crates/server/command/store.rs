//! Owns `rookery store`: migrate.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use cluster::Cluster;
use store::migrate::{self, Whole};
use store::{Embedded, Redis};

use crate::config::{Config, Durability};
use crate::foundation::{data_set_name, need_data};

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Copy everything from one store to another, and compare. Stop the server first. What was copied before
    /// is passed over, so that it can be begun again
    Migrate {
        /// A data directory, or the URL of Redis
        #[arg(long, value_name = "URL|DIR")]
        from: String,
        /// A data directory, or the URL of Redis
        #[arg(long, value_name = "URL|DIR")]
        to: String,
        /// What Redis confirms [default: as configured]
        #[arg(long)]
        durability: Option<Level>,
        /// One line of JSON for each bucket, and one for all
        #[arg(long)]
        json: bool,
    },
}

/// What Redis confirms.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Level {
    /// Nothing is waited for
    Async,
    /// A replica has it
    Replica,
    /// The disk has it
    Fsync,
}

/// Runs `rookery store`.
pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let Command::Migrate { from, to, durability, json } = command;
    let mut config = config.clone();
    if let Some(level) = durability {
        config.store.durability = match level {
            Level::Async => Durability::Async,
            Level::Replica => Durability::Replica,
            Level::Fsync => Durability::Fsync,
        };
    }
    need_data(&config)?;
    anyhow::ensure!(
        is_url(&from) || Path::new(&from).join("store").is_dir(),
        "there is no store in {from}: --from names a data directory or the URL of Redis"
    );
    anyhow::ensure!(place(&from) != place(&to), "--from and --to are the same place");
    actix_rt::System::new().block_on(migrate(&config, &from, &to, json))
}

fn is_url(place: &str) -> bool {
    place.contains("://")
}

/// One spelling of a place, so that two can be compared.
fn place(text: &str) -> PathBuf {
    let path = Path::new(text.trim_end_matches('/'));
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

async fn migrate(config: &Config, from: &str, to: &str, json: bool) -> anyhow::Result<()> {
    // Where addresses belong is the cluster's secret; the plan in the data directory knows it.
    let alone = cluster::Config { mesh: None, ..config.cluster()? };
    let cluster = Cluster::start(alone, &config.data_dir)?;
    let places =
        open(config, &cluster, from).and_then(|from| Ok((from, open(config, &cluster, to)?)));
    let key = *cluster.plan().get().hash_key();
    let copied = match places {
        Ok((from, to)) => copy(&*from, &*to, json, &|jid| key.bucket(jid)).await,
        Err(error) => Err(error),
    };
    cluster.stop();
    copied
}

async fn copy(
    from: &dyn Whole,
    to: &dyn Whole,
    json: bool,
    bucket_of: &dyn Fn(&xmpp::BareJid) -> xmpp::Bucket,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let mut told = Ok(());
    let mut tell = |done: &migrate::Done, report: &migrate::Report| {
        let line = if json {
            serde_json::to_string(done).unwrap_or_default()
        } else if report.buckets_done.is_multiple_of(1_024) {
            format!("{} of {} buckets", report.buckets_done, report.buckets)
        } else {
            return;
        };
        if let Err(error) = writeln!(out, "{line}") {
            told = Err(error);
        }
    };
    let report = migrate::copy(from, to, bucket_of, &mut tell).await?;
    from.close().await?;
    to.close().await?;
    told?;
    super::print(&if json {
        serde_json::to_string(&report)? + "\n"
    } else {
        format!(
            "{} owners with {} rows and {} archived messages are the same on both sides ({} were before)\n",
            report.owners, report.rows, report.messages, report.owners_kept
        )
    })
}

/// A place on the command line.
fn open(config: &Config, cluster: &Cluster, place: &str) -> anyhow::Result<Box<dyn Whole>> {
    Ok(if is_url(place) {
        let settings = store::redis::Config {
            cluster: Some(data_set_name(&cluster.to_remember().hash_key)),
            ..config.store.redis(place)?
        };
        Box::new(Redis::open(&settings)?)
    } else {
        Box::new(Embedded::open(&Path::new(place).join("store"), &config.store.embedded())?)
    })
}
