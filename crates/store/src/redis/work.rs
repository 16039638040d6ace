//! Owns what the writer is asked to do, in parts of one bucket each, and who waits for the answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use redis::Cmd;
use tokio::sync::oneshot;
use xmpp::{BareJid, Bucket, Epoch, Fence};

use super::link::Scripts;
use super::names;
use crate::Error;
use crate::archive::ArchiveId;
use crate::batch::{Batch, Write};
use crate::key::Kind;
use crate::value;

/// Something to do in one bucket.
pub(super) struct Item {
    pub(super) bucket: Bucket,
    pub(super) work: Work,
    /// What was reserved for it while it waits.
    pub(super) bytes: usize,
    /// Its place among all items; an earlier one of the same bucket is done before it.
    pub(super) order: u64,
    pub(super) born: Instant,
    /// Whether a server may have done it already.
    pub(super) is_sent: bool,
    /// Who waits; nobody where the engine makes good what a server has lost.
    pub(super) waits: Option<(Arc<Call>, usize)>,
}

/// What is to be done.
#[derive(Clone)]
pub(super) enum Work {
    /// Raises the fence; with `must`, only where there is one.
    Claim {
        epoch: Epoch,
        must: bool,
    },
    Commit(Batch),
    /// Removes a part of what an owner has.
    Erase(Fence, BareJid),
    /// Removes at most so many archive rows older than this.
    Expire(ArchiveId, usize),
}

/// A call whose answer has a part for each item.
pub(super) struct Call(Mutex<Parts>);

struct Parts {
    answers: Vec<Result<u64, Error>>,
    missing: usize,
    to: Option<oneshot::Sender<Vec<Result<u64, Error>>>>,
}

/// How many rows of an archive are erased by one script.
const ERASE_ROWS: usize = 1_000;
/// What [`Work::Erase`] answers where there is more.
pub(super) const MORE: u64 = 1;

impl Call {
    /// A call with so many parts, and where its answer will come.
    pub(super) fn new(parts: usize) -> (Arc<Self>, oneshot::Receiver<Vec<Result<u64, Error>>>) {
        let (to, answer) = oneshot::channel();
        let parts = Parts { answers: vec![Ok(0); parts], missing: parts, to: Some(to) };
        (Arc::new(Self(Mutex::new(parts))), answer)
    }

    /// Answers one part; the last one sends the answer.
    pub(super) fn set(&self, part: usize, answer: Result<u64, Error>) {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = parts.answers.get_mut(part) {
            *place = answer;
        }
        parts.missing = parts.missing.saturating_sub(1);
        if parts.missing == 0
            && let Some(to) = parts.to.take()
        {
            // That nobody waits is no fault: the call is done all the same.
            drop(to.send(std::mem::take(&mut parts.answers)));
        }
    }
}

impl Item {
    /// What makes good a loss. A server may have it.
    pub(super) fn own(bucket: Bucket, work: Work, order: u64) -> Self {
        let bytes = if let Work::Commit(batch) = &work { batch.len() } else { 0 };
        Self { bucket, work, bytes, order, born: Instant::now(), is_sent: true, waits: None }
    }

    /// Whether the engine itself wants it, to make good what a server has lost.
    pub(super) fn is_own(&self) -> bool {
        self.waits.is_none()
    }

    /// What it was told about its fence.
    pub(super) fn fence(&self) -> Fence {
        match &self.work {
            Work::Claim { epoch, .. } => Fence { bucket: self.bucket, epoch: *epoch },
            Work::Commit(batch) => batch.fence,
            Work::Erase(fence, _) => *fence,
            Work::Expire(..) => Fence { bucket: self.bucket, epoch: Epoch(u64::MAX) },
        }
    }

    /// The script that does it. `claimed` is the epoch that the bucket must remember.
    pub(super) fn command(&self, scripts: &Scripts, claimed: Option<Epoch>) -> Cmd {
        let script = match &self.work {
            Work::Claim { .. } => &scripts.claim,
            Work::Commit(_) => &scripts.write,
            Work::Erase(..) => &scripts.erase,
            Work::Expire(..) => &scripts.expire,
        };
        let mut command = redis::cmd("EVALSHA");
        command.arg(script).arg(1).arg(names::own(self.bucket));
        let fence = |command: &mut Cmd, fence: Fence| {
            command.arg(names::epoch(fence.epoch.0));
            command.arg(claimed.map_or_else(String::new, |epoch| names::epoch(epoch.0)));
        };
        match &self.work {
            Work::Claim { epoch, must } => {
                command.arg(names::epoch(epoch.0)).arg(u8::from(*must));
            }
            Work::Commit(batch) => {
                fence(&mut command, batch.fence);
                batch.writes.iter().for_each(|write| pack(&mut command, write));
            }
            Work::Erase(by, owner) => {
                fence(&mut command, *by);
                command.arg(owner.as_str()).arg(ERASE_ROWS);
                for kind in Kind::ALL {
                    command.arg(*kind as u8);
                }
            }
            Work::Expire(before, most) => {
                command.arg(&names::id(*before)).arg(*most);
            }
        }
        command
    }
}

/// A write as arguments of the script.
fn pack(command: &mut Cmd, write: &Write) {
    match write {
        Write::Put(key, value) => {
            command.arg("p").arg(key.owner.as_str()).arg(key.kind as u8);
            command.arg(&key.item[..]).arg(&value[..]);
        }
        Write::Delete(key) => {
            command.arg("d").arg(key.owner.as_str()).arg(key.kind as u8).arg(&key.item[..]);
        }
        Write::Append(owner, row) => {
            command.arg("a").arg(owner.as_str()).arg(&names::id(row.id));
            command.arg(value::archive_value(row));
        }
        Write::Replace(owner, row) => {
            command.arg("t").arg(owner.as_str()).arg(&names::id(row.id));
            command.arg(value::archive_value(row));
        }
        Write::Remove(owner, id) => {
            command.arg("r").arg(owner.as_str()).arg(&names::id(*id));
        }
    }
}
