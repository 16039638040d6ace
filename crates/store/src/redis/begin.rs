//! Owns the beginning: finding the servers, judging whether they can promise what was asked for, and marking
//! the data set.

use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};

use super::config::{Address, Config, Durability, Endpoints};
use super::link::{Fault, Link, call, checked, command, connect, text};
use super::map::Map;
use super::names::{CLUSTER, MARKER, MARKER_TAG};
use super::shared::Shared;
use super::{bootstrap, engine, levels};
use crate::Error;

/// How long a cluster that elects a primary, or a server that still loads, is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

/// Finds and judges the servers.
///
/// # Errors
/// None can be reached, or one cannot promise the level; with what to do about it.
pub(super) async fn begin(config: Config) -> Result<Shared, Error> {
    let endpoints = config.endpoints()?;
    let begun = Instant::now();
    loop {
        match attempt(&config, &endpoints).await {
            Ok((map, marker)) => return Ok(Shared::new(config, endpoints, marker, map)),
            Err(Fault::Later(_)) if begun.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
            Err(fault) => return Err(engine("connected to Redis", fault)),
        }
    }
}

async fn attempt(config: &Config, endpoints: &Endpoints) -> Result<(Map, String), Fault> {
    let map = Map::find(endpoints, &[]).await?;
    let mut alone = Vec::new();
    for address in map.primaries() {
        let link = open(config, endpoints, address).await.map_err(|fault| match fault {
            Fault::Refused(told) => Fault::Refused(format!("{address}: {told}")),
            // A cluster replaces it before long.
            fault if map.is_cluster => Fault::Later(format!("{address}: {fault}")),
            Fault::Later(told) => Fault::Later(told),
            fault => Fault::Refused(format!("{address}: {fault}")),
        })?;
        if link.replicas == 0 {
            alone.push(address.to_string());
        }
    }
    if config.durability == Durability::Replica && !alone.is_empty() {
        let alone_text = alone.join(", ");
        if alone.len() == map.primaries().len() {
            return Err(Fault::Refused(format!(
                "durability \"replica\" needs replicas, and {alone_text} has none; connect one, or set \
                 store.durability to \"fsync\" or \"async\""
            )));
        }
        tracing::warn!("without a replica nothing that is written is confirmed by {alone_text}");
    }
    let address = map.primary_of(MARKER_TAG).cloned();
    let address = address.ok_or_else(|| Fault::Later("a slot has no server".to_owned()))?;
    let mut connection = connect(endpoints, &address).await?;
    let marker = mark(&mut connection, config.cluster.as_deref()).await?;
    if config.generation.is_some() {
        let mut say = Pipeline::new();
        say.add_command(bootstrap::keep_alive());
        call(&mut connection, &say).await?;
    }
    Ok((map, marker))
}

/// The data are another cluster's.
pub(super) fn foreign() -> Fault {
    let what = "its data belong to another cluster; a member needs the data directory that it had";
    Fault::Refused(what.to_owned())
}

/// Connects to a primary and judges it.
pub(super) async fn open(
    config: &Config,
    endpoints: &Endpoints,
    address: &Address,
) -> Result<Link, Fault> {
    let mut link = Link::open(endpoints, address).await?;
    never_evicts(&mut link.write).await?;
    levels::check(&mut link.write, config.durability).await?;
    Ok(link)
}

/// A server that throws keys away when its memory is full is no store.
pub(super) async fn never_evicts(connection: &mut MultiplexedConnection) -> Result<(), Fault> {
    let mut ask = Pipeline::new();
    ask.add_command(command("INFO", &["memory"]));
    let told = text(call(connection, &ask).await?.pop().unwrap_or_default())?;
    let field = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
    let policy = field("maxmemory_policy:").trim();
    if field("maxmemory:").trim() == "0" || !policy.starts_with("allkeys") {
        return Ok(());
    }
    Err(Fault::Refused(format!(
        "it throws away what it has no memory for (maxmemory-policy {policy}); set noeviction"
    )))
}

/// Reads the mark of the data set, or makes one. A data set belongs to one cluster: another one would look for
/// every address in another bucket.
async fn mark(
    connection: &mut MultiplexedConnection,
    cluster: Option<&str>,
) -> Result<String, Fault> {
    if let Some(cluster) = cluster {
        let mut ask = Pipeline::new();
        ask.add_command(command("SET", &[CLUSTER, cluster, "NX"]));
        ask.add_command(command("GET", &[CLUSTER]));
        let whose = text(call(connection, &ask).await?.pop().unwrap_or_default())?;
        if whose != cluster {
            return Err(foreign());
        }
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Fault::Refused(error.to_string()))?;
    let new = HEXLOWER.encode(&bytes);
    let mut ask = Pipeline::new();
    ask.add_command(command("SET", &[MARKER, &new, "NX"]));
    ask.add_command(command("GET", &[MARKER]));
    match call(connection, &ask).await?.pop().map(checked) {
        Some(Ok(Value::BulkString(marker))) => {
            String::from_utf8(marker).map_err(|error| Fault::Refused(error.to_string()))
        }
        Some(Err(fault)) => Err(fault),
        _ => Err(Fault::Lost("the mark of the data set is gone again".to_owned())),
    }
}
