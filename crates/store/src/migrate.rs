//! Owns the way from one engine to another: bucket by bucket, owner by owner, compared by a digest on both sides.
//! What is the same on both sides already is passed over, so that a copy that was cut short goes on where it
//! was when it is begun again.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use serde::Serialize;
use xmpp::{BareJid, Bucket, Epoch, Fence, Origin};
use xxhash_rust::xxh3::Xxh3;

use crate::archive::{ArchiveQuery, ArchiveRow, Slice};
use crate::key::{Key, Kind, Row};
use crate::{Batch, Embedded, Error, Redis, Reply, Store, Write, value};

/// An engine whose owners can all be named.
pub trait Whole: Store {
    /// Owners that have any row or an archive, behind `after`, at most `limit`, in order.
    fn everyone(&self, after: Option<BareJid>, limit: usize) -> Reply<Vec<BareJid>>;
}

/// What was copied so far, or in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Buckets that have an owner, and how many of them are done.
    pub buckets: usize,
    /// How many of them are done.
    pub buckets_done: usize,
    /// Owners that are done.
    pub owners: usize,
    /// Of these, owners that were the same on both sides already.
    pub owners_kept: usize,
    /// Their rows.
    pub rows: usize,
    /// Their archived messages.
    pub messages: usize,
}

/// One bucket, when it is the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Which.
    pub bucket: u16,
    /// Its owners.
    pub owners: usize,
    /// Their rows.
    pub rows: usize,
    /// Their archived messages.
    pub messages: usize,
    /// Over all of them, in hexadecimal digits; read from the other side.
    pub digest: String,
}

/// Why a copy was not made, or not finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// An engine refused.
    #[error(transparent)]
    Store(#[from] Error),
    /// The place to copy to has an owner that the other one does not have.
    #[error("the place to copy to has {0}, which the other has not; it must be empty, or a copy")]
    Stranger(BareJid),
    /// What was copied is not what is there.
    #[error("{0} is not the same on both sides after it was copied; was somebody writing?")]
    Differs(BareJid),
}

/// What one owner has.
#[derive(Default, PartialEq, Eq)]
struct Holding {
    rows: usize,
    messages: usize,
    digest: u128,
}

/// No batch is larger than this, but for a single row that is.
const BATCH_BYTES: usize = 1 << 20;
const OWNERS_AT_ONCE: usize = 10_000;
const MESSAGES_AT_ONCE: usize = 500;
/// Newer than every owner's: it needs no claim, and raises nothing.
const ANY: Epoch = Epoch(u64::MAX);

/// Copies everything. `done` is told of every bucket, with what was done so far.
///
/// # Errors
/// What was copied until then is there, and is passed over the next time.
pub async fn copy(
    from: &dyn Whole,
    to: &dyn Whole,
    bucket_of: &dyn Fn(&BareJid) -> Bucket,
    done: &mut dyn FnMut(&Done, &Report),
) -> Result<Report, Failure> {
    let owners = everyone(from).await?;
    let known: HashSet<&BareJid> = owners.iter().collect();
    if let Some(stranger) = everyone(to).await?.into_iter().find(|owner| !known.contains(owner)) {
        return Err(Failure::Stranger(stranger));
    }
    copy_fences(from, to).await?;
    let mut buckets: BTreeMap<Bucket, Vec<BareJid>> = BTreeMap::new();
    for owner in owners {
        buckets.entry(bucket_of(&owner)).or_default().push(owner);
    }
    let mut report = Report { buckets: buckets.len(), ..Report::default() };
    for (bucket, owners) in buckets {
        let fence = Fence { bucket, epoch: ANY };
        let mut of_bucket = Done {
            bucket: bucket.number(),
            owners: owners.len(),
            rows: 0,
            messages: 0,
            digest: String::new(),
        };
        let mut digest = Xxh3::new();
        for owner in owners {
            let (holding, is_kept) = copy_owner(from, to, fence, &owner).await?;
            of_bucket.rows += holding.rows;
            of_bucket.messages += holding.messages;
            digest.update(owner.as_str().as_bytes());
            digest.update(&holding.digest.to_be_bytes());
            report.owners += 1;
            report.owners_kept += usize::from(is_kept);
        }
        of_bucket.digest = format!("{:032x}", digest.digest128());
        report.rows += of_bucket.rows;
        report.messages += of_bucket.messages;
        report.buckets_done += 1;
        done(&of_bucket, &report);
    }
    Ok(report)
}

async fn everyone(store: &dyn Whole) -> Result<Vec<BareJid>, Error> {
    let mut owners: Vec<BareJid> = Vec::new();
    loop {
        let page = store.everyone(owners.last().cloned(), OWNERS_AT_ONCE).await?;
        if page.is_empty() {
            return Ok(owners);
        }
        owners.extend(page);
    }
}

/// Whoever was superseded on one side is on the other.
async fn copy_fences(from: &dyn Whole, to: &dyn Whole) -> Result<(), Error> {
    const AT_ONCE: u16 = 1_024;
    for first in (0..Bucket::COUNT).step_by(usize::from(AT_ONCE)) {
        let buckets: Vec<Bucket> = (first..first + AT_ONCE).filter_map(Bucket::new).collect();
        let claim = |store: &dyn Whole, bucket, epoch| store.claim(Fence { bucket, epoch });
        let asked = buckets.iter().map(|bucket| claim(from, *bucket, Epoch(0)));
        let told = futures_util::future::join_all(asked).await;
        let mut raised = Vec::new();
        for (bucket, told) in buckets.into_iter().zip(told) {
            match told {
                Ok(()) => {}
                Err(Error::Fenced { current, .. }) => {
                    raised.push(claim(to, bucket, Epoch(current)));
                }
                Err(error) => return Err(error),
            }
        }
        for told in futures_util::future::join_all(raised).await {
            match told {
                Ok(()) | Err(Error::Fenced { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Copies one owner, unless it is there; answers what it has, read from the other side.
async fn copy_owner(
    from: &dyn Whole,
    to: &dyn Whole,
    fence: Fence,
    owner: &BareJid,
) -> Result<(Holding, bool), Failure> {
    let there = holding(to, fence, owner, &mut None).await?;
    let here = holding(from, fence, owner, &mut None).await?;
    if here == there {
        return Ok((there, true));
    }
    if there != Holding::default() {
        to.erase(fence, owner.clone()).await?;
    }
    let mut sink = Some(Sink { to, batch: Batch::new(fence) });
    holding(from, fence, owner, &mut sink).await?;
    if let Some(sink) = sink {
        sink.commit().await?;
    }
    let there = holding(to, fence, owner, &mut None).await?;
    if here == there { Ok((there, false)) } else { Err(Failure::Differs(owner.clone())) }
}

/// Where rows go while they are read.
struct Sink<'a> {
    to: &'a dyn Whole,
    batch: Batch,
}

impl Sink<'_> {
    async fn put(&mut self, write: Write) -> Result<(), Error> {
        self.batch.writes.push(write);
        if self.batch.len() < BATCH_BYTES {
            return Ok(());
        }
        let empty = Batch::new(self.batch.fence);
        commit(self.to, std::mem::replace(&mut self.batch, empty)).await
    }

    async fn commit(self) -> Result<(), Error> {
        if self.batch.is_empty() { Ok(()) } else { commit(self.to, self.batch).await }
    }
}

async fn commit(to: &dyn Whole, batch: Batch) -> Result<(), Error> {
    to.commit(vec![batch]).await.into_iter().collect()
}

/// Reads everything that an owner has, and hands it on where somebody wants it.
async fn holding(
    store: &dyn Whole,
    fence: Fence,
    owner: &BareJid,
    sink: &mut Option<Sink<'_>>,
) -> Result<Holding, Error> {
    let mut digest = Xxh3::new();
    let mut count = |parts: &[&[u8]]| {
        for part in parts {
            digest.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        }
    };
    let mut holding = Holding::default();
    for Row { kind, item, value } in store.load(fence, owner.clone(), Kind::ALL).await? {
        count(&[&[kind as u8], &item, &value]);
        holding.rows += 1;
        if let Some(sink) = sink {
            sink.put(Write::Put(Key::new(owner.clone(), kind, item), value)).await?;
        }
    }
    let mut origins = HashSet::new();
    let mut slice = Slice::First;
    loop {
        let query = ArchiveQuery { slice, limit: MESSAGES_AT_ONCE, ..ArchiveQuery::default() };
        let page = store.query(fence, owner.clone(), query).await?;
        let Some(last) = page.rows.last() else { break };
        slice = Slice::After(last.id);
        for row in page.rows {
            // The same message twice is once enough.
            if matches!(row.origin, Origin::Client { .. }) && !origins.insert(row.origin) {
                continue;
            }
            count(&[&row.id.0.to_be_bytes(), &value_of(&row)]);
            holding.messages += 1;
            if let Some(sink) = sink {
                sink.put(Write::Append(owner.clone(), row)).await?;
            }
        }
        if page.complete {
            break;
        }
    }
    if holding.rows + holding.messages > 0 {
        holding.digest = digest.digest128();
    }
    Ok(holding)
}

fn value_of(row: &ArchiveRow) -> Bytes {
    value::archive_value(row).into()
}

impl Whole for Embedded {
    fn everyone(&self, after: Option<BareJid>, limit: usize) -> Reply<Vec<BareJid>> {
        self.everyone(after, limit)
    }
}

impl Whole for Redis {
    fn everyone(&self, after: Option<BareJid>, limit: usize) -> Reply<Vec<BareJid>> {
        self.everyone(after, limit)
    }
}
