//! Owns reading: rows, and the way of every read - to the server that has the bucket, with a look at the
//! bucket's epoch, and again where the server has changed meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::{Cmd, Pipeline, Value};
use tokio::sync::mpsc;
use xmpp::{BareJid, Bucket, Fence};

use super::lane::unreachable;
use super::link::{Fault, call, checked, command};
use super::shared::{Shared, emptied};
use super::writer::Job;
use super::{engine, names};
use crate::Error;
use crate::key::{Key, Kind, Row};

/// What a read goes by.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: mpsc::UnboundedSender<Job>,
}

/// How a read ended this time.
enum Tried {
    Answered(Vec<Value>),
    /// Something changes; then again.
    Wait,
}

impl Reader {
    /// How long nothing needs to change before a read is tried again all the same.
    const PAUSE: Duration = Duration::from_millis(50);

    /// Asks the server that has the bucket, under a fence.
    pub(super) async fn ask(&self, fence: Fence, commands: Vec<Cmd>) -> Result<Vec<Value>, Error> {
        let mut pipeline = Pipeline::new();
        pipeline.add_command(command("GET", &[&names::own(fence.bucket)]));
        for command in commands {
            pipeline.add_command(command);
        }
        let begun = Instant::now();
        let mut changed = self.shared.changed.subscribe();
        while begun.elapsed() < self.shared.config.patience {
            self.shared.open()?;
            changed.borrow_and_update();
            match self.attempt(fence, &pipeline).await? {
                Tried::Answered(answers) => return Ok(answers),
                Tried::Wait => drop(tokio::time::timeout(Self::PAUSE, changed.changed()).await),
            }
        }
        Err(unreachable())
    }

    async fn attempt(&self, fence: Fence, pipeline: &Pipeline) -> Result<Tried, Error> {
        let map = self.shared.map();
        let Some(address) = map.primary(fence.bucket) else { return Ok(Tried::Wait) };
        let Some(mut reader) = self.shared.reader(address) else { return Ok(Tried::Wait) };
        let answers = call(&mut reader, pipeline).await;
        let answers = answers.and_then(|answers| answers.into_iter().map(checked).collect());
        let fault = match answers {
            Ok(answers) => return self.under_fence(fence, answers),
            Err(fault) => fault,
        };
        match fault {
            Fault::Lost(_) => self.tell(Job::Broken(address.clone())),
            Fault::Moved if !map.is_cluster => self.tell(Job::Broken(address.clone())),
            Fault::Moved | Fault::Later(_) => self.tell(Job::Moved),
            fault => return Err(engine("read", fault)),
        }
        Ok(Tried::Wait)
    }

    fn under_fence(&self, fence: Fence, mut answers: Vec<Value>) -> Result<Tried, Error> {
        let own = match answers.first() {
            Some(Value::BulkString(own)) => {
                Some(names::epoch_of(own).ok_or_else(|| damaged("an epoch"))?)
            }
            _ => None,
        };
        let current = own.unwrap_or(0);
        if fence.epoch.0 < current {
            return Err(Error::Fenced { fence, current });
        }
        if let Some(claim) = self.shared.claimed(fence.bucket)
            && claim.epoch.0 > current
        {
            if own.is_none() && claim.is_settled() {
                tracing::error!("Redis has forgotten bucket {}", fence.bucket.number());
                return Err(emptied());
            }
            self.tell(Job::Forgotten(fence.bucket));
            return Ok(Tried::Wait);
        }
        answers.remove(0);
        Ok(Tried::Answered(answers))
    }

    /// A writer that is gone needs to know nothing.
    fn tell(&self, job: Job) {
        drop(self.jobs.send(job));
    }

    /// As [`Reader::ask`], for one answer.
    async fn ask_one(&self, fence: Fence, command: Cmd) -> Result<Value, Error> {
        Ok(self.ask(fence, vec![command]).await?.pop().unwrap_or_default())
    }

    pub(super) async fn get(&self, fence: Fence, key: &Key) -> Result<Option<Bytes>, Error> {
        let mut get = redis::cmd("HGET");
        get.arg(names::rows(fence.bucket, &key.owner, key.kind)).arg(&key.item[..]);
        bytes(self.ask_one(fence, get).await?)
    }

    pub(super) async fn load(
        &self,
        fence: Fence,
        owner: &BareJid,
        kinds: &[Kind],
    ) -> Result<Vec<Row>, Error> {
        let mut kinds: Vec<Kind> = kinds.to_vec();
        kinds.sort_unstable();
        kinds.dedup();
        let all = |kind: &Kind| command("HGETALL", &[&names::rows(fence.bucket, owner, *kind)]);
        let answers = self.ask(fence, kinds.iter().map(all).collect()).await?;
        let mut rows = Vec::new();
        for (kind, answer) in kinds.into_iter().zip(answers) {
            let words = words(answer)?;
            let mut of_kind: Vec<Row> = words
                .chunks_exact(2)
                .map(|pair| Row { kind, item: pair[0].clone(), value: pair[1].clone() })
                .collect();
            of_kind.sort_unstable_by(|a, b| a.item.cmp(&b.item));
            rows.append(&mut of_kind);
        }
        Ok(rows)
    }

    /// Rows of a kind have no order in Redis, and no kind has many: their items are fetched, put in order,
    /// and the values of one page asked for.
    pub(super) async fn scan(
        &self,
        fence: Fence,
        owner: &BareJid,
        kind: Kind,
        after: Option<Bytes>,
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        let key = names::rows(fence.bucket, owner, kind);
        let mut items = words(self.ask_one(fence, command("HKEYS", &[&key])).await?)?;
        items.retain(|item| after.as_ref().is_none_or(|after| item > after));
        items.sort_unstable();
        let mut rows = Vec::new();
        let mut items = items.into_iter().peekable();
        // What was removed meanwhile leaves room for what follows.
        while rows.len() < limit && items.peek().is_some() {
            let page: Vec<Bytes> = items.by_ref().take(limit - rows.len()).collect();
            let mut get = redis::cmd("HMGET");
            get.arg(&key);
            for item in &page {
                get.arg(&item[..]);
            }
            let values = array(self.ask_one(fence, get).await?)?;
            for (item, value) in page.into_iter().zip(values) {
                rows.extend(bytes(value)?.map(|value| Row { kind, item, value }));
            }
        }
        Ok(rows)
    }

    /// Asks every server about all of its buckets, whoever owns them; the answers in no order.
    pub(super) async fn ask_everywhere(
        &self,
        question: impl Fn(Bucket) -> Cmd,
    ) -> Result<Vec<(Bucket, Value)>, Error> {
        self.ask_about((0..Bucket::COUNT).filter_map(Bucket::new).collect(), question).await
    }

    /// The same about these buckets.
    pub(super) async fn ask_about(
        &self,
        mut left: Vec<Bucket>,
        question: impl Fn(Bucket) -> Cmd,
    ) -> Result<Vec<(Bucket, Value)>, Error> {
        const AT_ONCE: usize = 2_048;
        let mut answers = Vec::with_capacity(left.len());
        let begun = Instant::now();
        while !left.is_empty() {
            self.shared.open()?;
            let mut undone = Vec::new();
            let map = self.shared.map();
            left.sort_by_key(|bucket| map.primary(*bucket));
            let is_apart = |a: &Bucket, b: &Bucket| map.primary(*a) == map.primary(*b);
            for part in left.chunk_by(is_apart).flat_map(|of_server| of_server.chunks(AT_ONCE)) {
                let reader = part.first().and_then(|bucket| map.primary(*bucket));
                let reader = reader.and_then(|address| self.shared.reader(address));
                let Some(mut reader) = reader else {
                    undone.extend_from_slice(part);
                    continue;
                };
                let mut pipeline = Pipeline::new();
                for bucket in part {
                    pipeline.add_command(question(*bucket));
                }
                let told = call(&mut reader, &pipeline).await.unwrap_or_default();
                let told = told.into_iter().map(checked).chain(std::iter::repeat_with(|| {
                    Err(Fault::Lost("there is no answer".to_owned()))
                }));
                for (bucket, answer) in part.iter().zip(told) {
                    match answer {
                        Ok(answer) => answers.push((*bucket, answer)),
                        Err(_) => undone.push(*bucket),
                    }
                }
            }
            left = undone;
            if !left.is_empty() {
                if begun.elapsed() > self.shared.config.patience {
                    return Err(unreachable());
                }
                self.tell(Job::Moved);
                tokio::time::sleep(Self::PAUSE).await;
            }
        }
        Ok(answers)
    }
}

/// Bytes that may be missing.
pub(super) fn bytes(value: Value) -> Result<Option<Bytes>, Error> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        _ => Err(damaged("a value")),
    }
}

/// A list of bytes.
pub(super) fn words(value: Value) -> Result<Vec<Bytes>, Error> {
    array(value)?.into_iter().filter_map(|word| bytes(word).transpose()).collect()
}

/// A list.
pub(super) fn array(value: Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::Array(values) => Ok(values),
        Value::Nil => Ok(Vec::new()),
        _ => Err(damaged("a list")),
    }
}

/// Something in Redis is not what was written there.
pub(super) fn damaged(what: &str) -> Error {
    engine("read", format_args!("{what} is damaged"))
}
