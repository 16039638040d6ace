//! Owns the look that is taken at every server once in a while: is it there, are these still the data that
//! were opened, and of this generation of the cluster, does it remember what was claimed.

use std::sync::atomic::Ordering;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};
use xmpp::Bucket;

use super::bootstrap;
use super::config::Address;
use super::fitness;
use super::link::{call, checked, command};
use super::names::{self, MARKER, MARKER_TAG};
use super::shared::Shared;

/// What was seen.
#[derive(Default)]
pub(super) struct Seen {
    /// Servers that do not answer.
    pub(super) broken: Vec<Address>,
    /// Buckets that do not remember what was claimed.
    pub(super) forgotten: Vec<Bucket>,
}

/// Looks at every server that is read from.
pub(super) async fn look(shared: &Shared) -> Seen {
    let map = shared.map();
    let mut seen = Seen::default();
    let claimed = shared.claimed_buckets();
    shared.note_silence();
    for address in map.primaries() {
        let Some(mut reader) = shared.reader(address) else { continue };
        let of_server = |bucket: &Bucket| map.primary(*bucket) == Some(address);
        // Another one each time.
        let from = one_of(claimed.len());
        let bucket = claimed.iter().cycle().skip(from).take(claimed.len()).copied().find(of_server);
        let has_marker = map.primary_of(MARKER_TAG) == Some(address);
        let mut ask = Pipeline::new();
        let own = bucket.map_or_else(String::new, names::own);
        ask.add_command(match bucket {
            Some(_) => command("GET", &[&own]),
            None => command("PING", &[]),
        });
        if has_marker {
            ask.add_command(bootstrap::ask());
            ask.add_command(command("GET", &[MARKER]));
        }
        let Ok(mut answers) = call(&mut reader, &ask).await else {
            seen.broken.push(address.clone());
            continue;
        };
        shared.hear();
        if has_marker && let Some(Ok(marker)) = answers.pop().map(checked) {
            judge(shared, &marker);
        }
        if has_marker && let Some(Ok(mark)) = answers.pop().map(checked) {
            look_whose(shared, &mark, &mut reader).await;
        }
        if let Some(bucket) = bucket
            && let Some(Ok(own)) = answers.pop().map(checked)
            && forgets(shared, bucket, &own)
        {
            seen.forgotten.push(bucket);
        }
        let bucket = bucket.or_else(|| (0..).map_while(Bucket::new).find(of_server));
        fitness::judge(shared, address, bucket, &mut reader).await;
    }
    seen
}

/// Whether the data are the ones that were opened.
fn judge(shared: &Shared, marker: &Value) {
    let is_other = !matches!(marker, Value::BulkString(told) if told == shared.marker.as_bytes());
    let was_other = shared.is_other.swap(is_other, Ordering::AcqRel);
    if is_other {
        tracing::error!("the data in Redis were emptied or exchanged; nothing is served from it");
    } else if was_other {
        tracing::info!("the data in Redis are back");
    }
}

/// Whether the cluster goes on in the generation of this process. Where it does, others learn that somebody acts.
async fn look_whose(shared: &Shared, mark: &Value, connection: &mut MultiplexedConnection) {
    let Some(own) = shared.config.generation else { return };
    let mark = match mark {
        Value::BulkString(mark) => std::str::from_utf8(mark).ok(),
        _ => None,
    };
    if mark.and_then(bootstrap::generation_of).is_some_and(|now| now > own) {
        if !shared.is_left_behind.swap(true, Ordering::AcqRel) {
            tracing::error!(
                "the cluster has begun anew without this member; nothing is served to it"
            );
        }
        return;
    }
    if shared.open().is_ok() {
        let mut say = Pipeline::new();
        say.add_command(bootstrap::keep_alive());
        // A connection that is broken is noticed at the next look.
        drop(call(connection, &say).await);
    }
}

fn forgets(shared: &Shared, bucket: Bucket, own: &Value) -> bool {
    let own = match own {
        Value::BulkString(own) => names::epoch_of(own).unwrap_or(0),
        _ => 0,
    };
    shared.claimed(bucket).is_some_and(|claim| claim.epoch.0 > own)
}

fn one_of(count: usize) -> usize {
    let mut bytes = [0; 4];
    if getrandom::fill(&mut bytes).is_err() {
        // Without chance it is always the same one.
        return 0;
    }
    usize::try_from(u32::from_ne_bytes(bytes)).unwrap_or(0).checked_rem(count).unwrap_or(0)
}
