//! Owns what goes over many rows: erase, expire, and listing owners. It is done in parts, so that no script
//! holds a server up.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use redis::{Cmd, Value};
use xmpp::{BareJid, Bucket, Fence};

use super::CALL_BYTES;
use super::names;
use super::reads::{Reader, words};
use super::work::{MORE, Work};
use crate::Error;
use crate::archive::ArchiveId;
use crate::key::Kind;

/// How many rows one script removes.
const ROWS_AT_ONCE: usize = 1_000;
/// How many buckets are asked in one go.
const BUCKETS_AT_ONCE: usize = 512;

impl Reader {
    /// Removes everything of an owner: the archive first and in parts, the rest with what is left of it. What
    /// ends in between leaves an owner that is still there, never an archive without one.
    pub(super) async fn erase(&self, fence: Fence, owner: BareJid) -> Result<(), Error> {
        while self.submit_one(fence.bucket, Work::Erase(fence, owner.clone())).await? == MORE {}
        Ok(())
    }

    /// Removes archive rows older than this. Goes on where the last call met its limit, and once around, so
    /// that fewer than `limit` means that none are left.
    pub(super) async fn expire(&self, before: u64, limit: usize) -> Result<usize, Error> {
        let has_archive = |bucket| {
            let mut has = redis::cmd("EXISTS");
            has.arg(names::archived(bucket));
            has
        };
        let told = self.ask_everywhere(has_archive).await?;
        let with = told.into_iter().filter(|(_, has)| *has == Value::Int(1));
        let mut left: VecDeque<Bucket> = with.map(|(bucket, _)| bucket).collect();
        left.make_contiguous().sort_unstable();
        let from = self.shared.expire_from.load(Ordering::Relaxed);
        left.rotate_left(left.iter().take_while(|bucket| bucket.number() < from).count());
        let mut removed = 0;
        while removed < limit && !left.is_empty() {
            removed += self.expire_some(&mut left, before, limit - removed).await?;
        }
        let next = left.front().map_or(0, |bucket| bucket.number());
        self.shared.expire_from.store(next, Ordering::Relaxed);
        Ok(removed)
    }

    /// Removes at most so many old rows of some of these buckets, and takes out those that have none left.
    async fn expire_some(
        &self,
        left: &mut VecDeque<Bucket>,
        before: u64,
        limit: usize,
    ) -> Result<usize, Error> {
        let count = BUCKETS_AT_ONCE.min(limit).min(left.len());
        let each = (limit / count).min(ROWS_AT_ONCE);
        let buckets: Vec<Bucket> = left.drain(..count).collect();
        self.shared.reserve(CALL_BYTES * count, count)?;
        let work = |bucket| (bucket, Work::Expire(ArchiveId(before), each), CALL_BYTES);
        let answers = self.submit(buckets.iter().copied().map(work).collect()).await;
        let mut removed = 0;
        for (bucket, answer) in buckets.into_iter().zip(answers).rev() {
            let taken = usize::try_from(answer?).unwrap_or(0);
            removed += taken;
            if taken >= each {
                left.push_front(bucket);
            }
        }
        Ok(removed)
    }

    /// Owners that have a row of a kind.
    pub(super) async fn owners(
        &self,
        kind: Kind,
        after: Option<BareJid>,
        limit: usize,
    ) -> Result<Vec<BareJid>, Error> {
        self.listed(|bucket| names::index(bucket, kind), after.as_ref(), limit).await
    }

    /// Owners that have anything.
    pub(super) async fn everyone(
        &self,
        after: Option<BareJid>,
        limit: usize,
    ) -> Result<Vec<BareJid>, Error> {
        let mut owners = self.listed(names::archived, after.as_ref(), limit).await?;
        for kind in Kind::ALL {
            owners.extend(self.owners(*kind, after.clone(), limit).await?);
        }
        owners.sort_unstable();
        owners.dedup();
        owners.truncate(limit);
        Ok(owners)
    }

    async fn listed(
        &self,
        index: impl Fn(Bucket) -> String,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<BareJid>, Error> {
        let question = |bucket| behind(&index(bucket), after, limit);
        let mut owners: Vec<BareJid> = Vec::new();
        for (_, answer) in self.ask_everywhere(question).await? {
            owners.extend(owners_in(answer)?);
        }
        owners.sort_unstable();
        owners.truncate(limit);
        Ok(owners)
    }
}

/// Asks for the next owners in an index.
pub(super) fn behind(index: &str, after: Option<&BareJid>, limit: usize) -> Cmd {
    let from = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
    let mut range = redis::cmd("ZRANGEBYLEX");
    range.arg(index).arg(from).arg("+").arg("LIMIT").arg(0).arg(limit);
    range
}

/// The owners in an answer.
pub(super) fn owners_in(answer: Value) -> Result<Vec<BareJid>, Error> {
    let mut owners = Vec::new();
    for name in words(answer)? {
        match std::str::from_utf8(&name).map(BareJid::parse) {
            Ok(Ok(owner)) => owners.push(owner),
            // Nobody can be addressed by it.
            _ => tracing::warn!("an owner's name in Redis is no address: {name:?}"),
        }
    }
    Ok(owners)
}
