//! Owns what a data set remembers of the cluster whose rows it has: which one it is, in which generation, and by which
//! key its rows are in their buckets. A generation is begun by one script, which looks at the one before it: so of two
//! that begin at once one is too late.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use redis::{Pipeline, Value};
use xmpp::Bucket;

use super::config::{Config, Endpoints};
use super::link::{Fault, Link, call, checked, command};
use super::map::Map;
use super::names::{ALIVE, BOOTSTRAP, CLUSTER, MARKER_TAG};
use super::tags::slot;
use super::{begin, engine, levels};
use crate::Error;

/// What is remembered.
#[derive(Clone, PartialEq, Eq)]
pub struct Mark {
    /// Counts the beginnings of the cluster.
    pub generation: u32,
    /// Which cluster.
    pub cluster: u128,
    /// The member that began the generation.
    pub by: u64,
    /// The key by which rows are in their buckets, as whoever keeps it writes it: it is a secret.
    pub key: String,
}

/// What a data set says of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// What it remembers.
    pub mark: Mark,
    /// Whether members of the cluster have used it of late.
    pub is_alive: bool,
}

/// So long a generation that has begun may take until a member of it uses the data.
const BEGINNING_MILLISECONDS: &str = "60000";
/// A member that has looked at the data counts as alive for so long: three looks.
const ALIVE_MILLISECONDS: &str = "15000";
/// How long servers are looked for.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

impl Mark {
    /// All but the key: what tells one beginning from another.
    fn text(&self) -> String {
        format!("{:08x} {:032x} {:016x}", self.generation, self.cluster, self.by)
    }

    fn parse(text: &str, key: String) -> Option<Self> {
        let mut words = text.split(' ');
        let mark = Self {
            generation: generation_of(text)?,
            cluster: u128::from_str_radix(words.nth(1)?, 16).ok()?,
            by: u64::from_str_radix(words.next()?, 16).ok()?,
            key,
        };
        words.next().is_none().then_some(mark)
    }
}

impl fmt::Debug for Mark {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mark({})", self.text())
    }
}

/// What the data set remembers; none where it belongs to no cluster yet. Blocks, for ten seconds at most.
///
/// # Errors
/// No server can be reached, or one cannot be used; what it remembers cannot be read.
pub fn recall(config: &Config) -> Result<Option<Recalled>, Error> {
    on_a_thread(config, async |config, endpoints| recall_with(config, endpoints).await)
}

/// Lets the data set remember `next` if it remembers `before`, as one step; says whether it does. It then counts as
/// alive for a minute. `config.cluster` is the name of the cluster. Blocks, for ten seconds at most.
///
/// # Errors
/// No server can be reached, or one cannot be used, or the data are another cluster's. Nobody knows what is
/// remembered then.
pub fn replace(config: &Config, before: Option<&Mark>, next: &Mark) -> Result<bool, Error> {
    let before = before.map_or_else(String::new, Mark::text);
    on_a_thread(config, async |config, endpoints| {
        replace_with(config, endpoints, &before, next).await
    })
}

/// Calls until a server answers. On a thread of its own, since nobody may block who runs others' work.
fn on_a_thread<T: Send>(
    config: &Config,
    attempt: impl AsyncFn(&Config, &Endpoints) -> Result<T, Fault> + Send,
) -> Result<T, Error> {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| engine("started its thread", error))?;
        runtime.block_on(attempts(config, attempt))
    };
    thread::scope(|scope| {
        let working =
            thread::Builder::new().name("store-mark".to_owned()).spawn_scoped(scope, work);
        let working = working.map_err(|error| engine("started its thread", error))?;
        working.join().unwrap_or_else(|_| Err(engine("looked whose its data are", "it panicked")))
    })
}

async fn attempts<T>(
    config: &Config,
    attempt: impl AsyncFn(&Config, &Endpoints) -> Result<T, Fault>,
) -> Result<T, Error> {
    let endpoints = config.endpoints()?;
    let begun = Instant::now();
    loop {
        match attempt(config, &endpoints).await {
            Ok(answer) => return Ok(answer),
            Err(fault @ (Fault::Refused(_) | Fault::Full)) => {
                return Err(engine("looked whose its data are", fault));
            }
            Err(_) if begun.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
            Err(fault) => return Err(engine("looked whose its data are", fault)),
        }
    }
}

/// The server that has the mark.
async fn link(config: &Config, endpoints: &Endpoints) -> Result<Link, Fault> {
    let map = Map::find(endpoints, &[]).await?;
    let address = map.primary_of(MARKER_TAG);
    let address = address.ok_or_else(|| Fault::Later("a slot has no server".to_owned()))?;
    begin::open(config, endpoints, address).await
}

async fn recall_with(config: &Config, endpoints: &Endpoints) -> Result<Option<Recalled>, Fault> {
    let mut link = link(config, endpoints).await?;
    let mut ask = Pipeline::new();
    ask.add_command(command("HMGET", &[BOOTSTRAP, "mark", "key"]));
    ask.add_command(command("EXISTS", &[ALIVE]));
    let mut answers = call(&mut link.read, &ask).await?.into_iter();
    let mut next = || checked(answers.next().unwrap_or_default());
    let (told, is_alive) = (next()?, next()? == Value::Int(1));
    let told: (Option<String>, Option<String>) = redis::from_redis_value(told)
        .map_err(|_| Fault::Refused("its mark cannot be read".to_owned()))?;
    let (Some(text), Some(key)) = told else { return Ok(None) };
    let mark = Mark::parse(&text, key);
    let mark = mark.ok_or_else(|| Fault::Refused(format!("its mark is garbled: {text:?}")))?;
    Ok(Some(Recalled { mark, is_alive }))
}

async fn replace_with(
    config: &Config,
    endpoints: &Endpoints,
    before: &str,
    next: &Mark,
) -> Result<bool, Fault> {
    let mut link = link(config, endpoints).await?;
    let (script, name) = (include_str!("bootstrap.lua"), config.cluster.as_deref());
    let keys = ["3", BOOTSTRAP, CLUSTER, ALIVE];
    let (text, name) = (next.text(), name.unwrap_or_default());
    let arguments = [before, &text, &next.key, name, BEGINNING_MILLISECONDS];
    let mut pipeline = Pipeline::new();
    pipeline.add_command(command("EVAL", &[&[script][..], &keys, &arguments].concat()));
    // What was begun must outlive what a write outlives.
    if let Some(bucket) = Bucket::new(slot(MARKER_TAG)) {
        levels::follow(&mut pipeline, &link, config.durability, bucket);
    }
    let mut answers = call(&mut link.write, &pipeline).await?;
    match checked(answers.remove(0))? {
        Value::Int(1) => {
            levels::confirm(&mut link, config.durability, answers).await?;
            Ok(true)
        }
        Value::Int(0) => Ok(false),
        _ => Err(begin::foreign()),
    }
}

/// The generation that a mark names.
pub(super) fn generation_of(mark: &str) -> Option<u32> {
    u32::from_str_radix(mark.split(' ').next()?, 16).ok()
}

/// Says that a member uses the data.
pub(super) fn keep_alive() -> redis::Cmd {
    command("SET", &[ALIVE, "1", "PX", ALIVE_MILLISECONDS])
}

/// Asks for the mark.
pub(super) fn ask() -> redis::Cmd {
    command("HGET", &[BOOTSTRAP, "mark"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_tells_no_key() {
        let mark = Mark { generation: 7, cluster: u128::MAX - 1, by: 3, key: "secret".to_owned() };
        assert_eq!(Mark::parse(&mark.text(), mark.key.clone()).as_ref(), Some(&mark));
        assert_eq!(generation_of(&mark.text()), Some(7));
        assert!(!format!("{mark:?}").contains("secret"));
        for garbled in ["", "7", "7 1", "x 1 1", "7 1 1 1"] {
            assert_eq!(Mark::parse(garbled, String::new()), None, "{garbled:?}");
        }
    }
}
