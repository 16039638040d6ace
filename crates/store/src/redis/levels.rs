//! Owns what makes a write count as kept: which servers can promise a level, what follows the writes in their
//! pipeline, and what the answers mean.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value};
use xmpp::Bucket;

use super::config::Durability;
use super::link::{Fault, Link, call, checked, command, text, version_of};
use super::names;

/// How long one WAIT lasts.
const WAIT_MILLISECONDS: &str = "250";
/// How often it is asked again on the same connection.
const WAITS: usize = 8;
/// From this version on a server can be waited for until its disk has it.
const HAS_WAITAOF: (u32, u32) = (7, 2);

/// Whether this server can promise the level.
///
/// # Errors
/// It cannot, and what to do about it.
pub(super) async fn check(
    connection: &mut MultiplexedConnection,
    level: Durability,
) -> Result<(), Fault> {
    if level != Durability::Fsync {
        return Ok(());
    }
    let mut ask = Pipeline::new();
    ask.add_command(command("INFO", &["server"]));
    ask.add_command(command("CONFIG", &["GET", "append*"]));
    let mut answers = call(connection, &ask).await?;
    let told = answers.pop().unwrap_or_default();
    let version = version_of(&text(answers.pop().unwrap_or_default())?);
    let told = checked(told).map_err(|fault| {
        Fault::Refused(format!("durability \"fsync\" cannot be seen to hold: {fault}"))
    })?;
    let told: Vec<String> = redis::from_redis_value(told).unwrap_or_default();
    let is = |name: &str, value: &str| told.chunks_exact(2).any(|pair| pair == [name, value]);
    if !is("appendonly", "yes") {
        return Err(Fault::Refused(
            "durability \"fsync\" needs appendonly yes in the server's configuration".to_owned(),
        ));
    }
    // WAITAOF tells what the disk has where it is written to at all.
    let is_written = match version < HAS_WAITAOF {
        true => is("appendfsync", "always"),
        false => !is("appendfsync", "no"),
    };
    if !is_written {
        let (major, minor) = version;
        let hint = if version < HAS_WAITAOF { " (or Redis 7.2)" } else { " or everysec" };
        return Err(Fault::Refused(format!(
            "durability \"fsync\" needs appendfsync always with Redis {major}.{minor}{hint}"
        )));
    }
    Ok(())
}

/// Adds what follows a group of writes: a last write, so that there is something to wait for also where the
/// group changed nothing, and the waiting. Answers how many commands were added.
pub(super) fn follow(
    pipeline: &mut Pipeline,
    link: &Link,
    level: Durability,
    bucket: Bucket,
) -> usize {
    let waits = waits(link, level);
    if waits.is_empty() {
        return 0;
    }
    pipeline.add_command(command("SET", &[&names::beat(bucket), "1"]));
    let count = waits.len() + 1;
    for wait in waits {
        pipeline.add_command(wait);
    }
    count
}

/// Whether the level is reached, after the first answers or after asking again.
///
/// # Errors
/// It is not, or nobody knows.
pub(super) async fn confirm(
    link: &mut Link,
    level: Durability,
    answers: Vec<Value>,
) -> Result<(), Fault> {
    let mut answers = answers.into_iter();
    let Some(beat) = answers.next() else { return Ok(()) };
    checked(beat)?;
    let mut answers: Vec<Value> = answers.collect();
    for _ in 0..WAITS {
        if is_reached(link, level, &answers)? {
            return Ok(());
        }
        if level == Durability::Fsync {
            // A replica that is gone is no longer one that exists.
            link.replicas = replicas(link).await?;
        }
        let mut again = Pipeline::new();
        for wait in waits(link, level) {
            again.add_command(wait);
        }
        answers = call(&mut link.write, &again).await?;
    }
    Err(Fault::Later("its replicas do not confirm what it was told".to_owned()))
}

fn waits(link: &Link, level: Durability) -> Vec<Cmd> {
    let replica = || command("WAIT", &["1", WAIT_MILLISECONDS]);
    // Asks only how many there are.
    let count = || command("WAIT", &["0", "1"]);
    match level {
        Durability::Async => Vec::new(),
        Durability::Replica => vec![replica()],
        Durability::Fsync => {
            let mut waits = vec![if link.replicas > 0 { replica() } else { count() }];
            if link.version >= HAS_WAITAOF {
                waits.push(command("WAITAOF", &["1", "0", WAIT_MILLISECONDS]));
            }
            waits
        }
    }
}

fn is_reached(link: &mut Link, level: Durability, answers: &[Value]) -> Result<bool, Fault> {
    let mut reached = Vec::new();
    for answer in answers {
        reached.push(match checked(answer.clone())? {
            Value::Int(replicas) => usize::try_from(replicas).unwrap_or(0),
            // WAITAOF: this server, then its replicas.
            Value::Array(counts) => usize::from(matches!(counts.first(), Some(Value::Int(1)))),
            _ => 0,
        });
    }
    let has = reached.first().copied().unwrap_or(0);
    Ok(match level {
        Durability::Async => true,
        Durability::Replica => has >= 1,
        Durability::Fsync => {
            let is_replicated = has >= 1 || link.replicas == 0;
            link.replicas = link.replicas.max(has);
            is_replicated && reached.iter().skip(1).all(|count| *count >= 1)
        }
    })
}

/// How many replicas are connected.
async fn replicas(link: &mut Link) -> Result<usize, Fault> {
    let mut ask = Pipeline::new();
    ask.add_command(command("INFO", &["replication"]));
    let told = text(call(&mut link.write, &ask).await?.pop().unwrap_or_default())?;
    let count = told.lines().find_map(|line| line.strip_prefix("connected_slaves:"));
    Ok(count.and_then(|count| count.trim().parse().ok()).unwrap_or(0))
}
