//! Owns one server's connections: one that writes, whose WAIT speaks of these writes alone, and one that reads.
//! Neither connects again by itself.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, ServerErrorKind, Value};

use super::config::{Address, Endpoints};

/// Why a call has no answer.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The connection is gone, or as good as: nobody knows what was done.
    Lost(String),
    /// Another server has the slot now, or will have.
    Moved,
    /// Not now.
    Later(String),
    /// Not without the scripts.
    NoScript,
    /// The server has no room.
    Full,
    /// Never.
    Refused(String),
}

/// The connections to one server, which is a primary.
pub(super) struct Link {
    pub(super) write: MultiplexedConnection,
    pub(super) read: MultiplexedConnection,
    pub(super) scripts: Scripts,
    /// Changes where the server may have lost writes: by a restart, by another history of replication.
    pub(super) history: String,
    /// The server's version, such as 7.0.15.
    pub(super) version: (u32, u32),
    /// How many replicas were connected when it was opened.
    pub(super) replicas: usize,
}

/// The scripts' names on a server.
#[derive(Clone, Default)]
pub(super) struct Scripts {
    pub(super) claim: String,
    pub(super) write: String,
    pub(super) erase: String,
    pub(super) expire: String,
}

/// How long a server may take for a pipeline.
const PATIENCE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);

impl Link {
    /// Connects to a server.
    ///
    /// # Errors
    /// It cannot be reached, or is no primary.
    pub(super) async fn open(endpoints: &Endpoints, address: &Address) -> Result<Self, Fault> {
        let mut write = connect(endpoints, address).await?;
        let mut info = Pipeline::new();
        info.add_command(command("INFO", &["server"]));
        info.add_command(command("INFO", &["replication"]));
        let told = call(&mut write, &info).await?;
        let told: Vec<String> = told.into_iter().map(text).collect::<Result<_, _>>()?;
        let told = told.concat();
        let field = |name: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_default().trim()
        };
        if field("role") != "master" {
            return Err(Fault::Moved);
        }
        Ok(Self {
            scripts: load_scripts(&mut write).await?,
            read: connect(endpoints, address).await?,
            write,
            history: format!("{} {}", field("run_id"), field("master_replid")),
            version: version_of(&told),
            replicas: field("connected_slaves").parse().unwrap_or(0),
        })
    }
}

/// The version of a server by what it tells of itself, such as (7, 0).
pub(super) fn version_of(told: &str) -> (u32, u32) {
    let version = told.lines().find_map(|line| line.strip_prefix("redis_version:"));
    let mut parts = version.unwrap_or_default().trim().split('.');
    let mut next = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    (next(), next())
}

/// Loads the scripts into a server.
pub(super) async fn load_scripts(connection: &mut MultiplexedConnection) -> Result<Scripts, Fault> {
    let mut load = Pipeline::new();
    for script in [
        include_str!("claim.lua"),
        include_str!("write.lua"),
        include_str!("erase.lua"),
        include_str!("expire.lua"),
    ] {
        let source = [include_str!("prelude.lua"), script].concat();
        load.add_command(command("SCRIPT", &["LOAD", &source]));
    }
    let mut names = Vec::new();
    for name in call(connection, &load).await? {
        names.push(text(name)?);
    }
    let mut names = names.into_iter();
    let mut next = || names.next().unwrap_or_default();
    Ok(Scripts { claim: next(), write: next(), erase: next(), expire: next() })
}

/// One connection.
pub(super) async fn connect(
    endpoints: &Endpoints,
    address: &Address,
) -> Result<MultiplexedConnection, Fault> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(PATIENCE));
    let client = endpoints.client(address).map_err(fault)?;
    client.get_multiplexed_async_connection_with_config(&config).await.map_err(fault)
}

/// Sends commands at once; answers what the server says to each, refusals as values.
pub(super) async fn call(
    connection: &mut MultiplexedConnection,
    pipeline: &Pipeline,
) -> Result<Vec<Value>, Fault> {
    if pipeline.is_empty() {
        return Ok(Vec::new());
    }
    let count = pipeline.len();
    let answers = connection.send_packed_commands(pipeline, 0, count).await.map_err(fault)?;
    if answers.len() == count {
        return Ok(answers);
    }
    Err(Fault::Lost(format!("{} answers to {count} commands", answers.len())))
}

/// A command with text for arguments.
pub(super) fn command(name: &str, arguments: &[&str]) -> Cmd {
    let mut command = redis::cmd(name);
    for argument in arguments {
        command.arg(argument);
    }
    command
}

/// A value that must be text.
pub(super) fn text(value: Value) -> Result<String, Fault> {
    redis::from_redis_value(checked(value)?).map_err(|error| Fault::Refused(error.to_string()))
}

/// A value that is no refusal.
pub(super) fn checked(value: Value) -> Result<Value, Fault> {
    match value {
        Value::ServerError(error) => Err(fault(error.into())),
        value => Ok(value),
    }
}

fn fault(error: redis::RedisError) -> Fault {
    use ServerErrorKind as Server;
    let told = error.to_string();
    match error.kind() {
        ErrorKind::Server(Server::Moved | Server::ReadOnly) => Fault::Moved,
        // A slot on its way is waited for: half a bucket is no bucket.
        ErrorKind::Server(
            Server::Ask
            | Server::TryAgain
            | Server::ClusterDown
            | Server::MasterDown
            | Server::BusyLoading,
        ) => Fault::Later(told),
        ErrorKind::Server(Server::NoScript) => Fault::NoScript,
        ErrorKind::Server(_) | ErrorKind::Extension => match error.code() {
            Some("OOM") => Fault::Full,
            Some("NOREPLICAS" | "BUSY" | "UNBLOCKED") => Fault::Later(told),
            // What a script meets whose slot is on its way.
            _ if told.contains("non local key") || told.contains("cluster is down") => {
                Fault::Later(told)
            }
            _ => Fault::Refused(told),
        },
        ErrorKind::InvalidClientConfig | ErrorKind::AuthenticationFailed => Fault::Refused(told),
        _ => Fault::Lost(told),
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lost(told) | Self::Later(told) | Self::Refused(told) => f.write_str(told),
            Self::Moved => f.write_str("it is no primary of the bucket"),
            Self::NoScript => f.write_str("it has lost its scripts"),
            Self::Full => f.write_str("it has no memory left"),
        }
    }
}
