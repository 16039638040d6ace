//! Owns removing much: old rows of all owners, everything of one owner. It looks for names on a reading
//! thread and hands them to the writer a few thousand at a time, so that others are not held up.

use std::sync::PoisonError;
use std::sync::mpsc::Sender;

use xmpp::{BareJid, Fence};

use super::encoding;
use super::job::{Job, Work};
use super::shared::Shared;
use super::tables::{Table, Tables, damaged};
use crate::Error;
use crate::archive::ArchiveId;

/// How many rows go to the writer at once.
const ROWS_AT_ONCE: usize = 2_000;
/// How many owners are looked at in one view of the tables.
const OWNERS_AT_ONCE: usize = 10_000;
/// Behind every name.
const END: &[u8] = &[u8::MAX];

/// What one look found.
struct Found {
    rows: Vec<(BareJid, ArchiveId)>,
    /// Where to look on.
    next: Vec<u8>,
}

/// Removes archive rows older than this, of all owners, at most `limit`. Goes on where the last call met
/// its limit, and once around, so that fewer than `limit` means that none are left.
pub(super) fn expire(
    shared: &Shared,
    jobs: &Sender<Job>,
    before: u64,
    limit: usize,
) -> Result<usize, Error> {
    let place = || shared.expired_to.lock().unwrap_or_else(PoisonError::into_inner);
    let begin = place().clone();
    let mut removed = 0;
    for (mut from, to) in [(begin.clone(), END), (Vec::new(), &begin[..])] {
        while removed < limit && from.as_slice() < to {
            let most = ROWS_AT_ONCE.min(limit - removed);
            let found = shared.read(None, |tables| older(tables, from, to, before, most))?;
            removed += found.rows.len();
            from = found.next;
            ask(shared, jobs, Work::Remove(None, found.rows))?;
        }
        if removed >= limit {
            if limit > 0 {
                *place() = from;
            }
            return Ok(removed);
        }
    }
    place().clear();
    Ok(removed)
}

fn older(
    tables: &Tables,
    mut from: Vec<u8>,
    to: &[u8],
    before: u64,
    most: usize,
) -> Result<Found, Error> {
    let view = tables.view();
    let mut rows = Vec::new();
    for _ in 0..OWNERS_AT_ONCE {
        let first = view.names(Table::Archive, from.clone(), to.to_vec()).next();
        let Some(first) = first.transpose()? else {
            from = to.to_vec();
            break;
        };
        let (owner, id) = archived(&first)?;
        if id.0 < before {
            let behind = encoding::archive(&owner, ArchiveId(before));
            for name in view.names(Table::Archive, first.to_vec(), behind).take(most - rows.len()) {
                let name = name?;
                rows.push(archived(&name)?);
                from = [&name[..], &[0]].concat();
            }
            if rows.len() == most {
                break;
            }
        }
        from = encoding::behind_owner(owner.as_str());
    }
    Ok(Found { rows, next: from })
}

fn archived(name: &[u8]) -> Result<(BareJid, ArchiveId), Error> {
    let owner = encoding::split(name).and_then(|(owner, _)| BareJid::parse(owner).ok());
    let row = owner.zip(encoding::id_of(name));
    row.ok_or_else(|| damaged("an archive row's name"))
}

/// Removes everything of an owner: the archive first and in parts, the rest with what is left of it at
/// once. A crash in between leaves an owner that is still there, never an archive without one.
pub(super) fn erase(
    shared: &Shared,
    jobs: &Sender<Job>,
    fence: Fence,
    owner: &BareJid,
) -> Result<(), Error> {
    let mut from = encoding::owner(owner);
    let behind = encoding::behind_owner(owner.as_str());
    while from < behind {
        let found = shared.read(Some(fence), |tables| {
            let names = tables.view().names(Table::Archive, from, behind.clone());
            let names: Vec<_> = names.take(ROWS_AT_ONCE).collect::<Result<_, _>>()?;
            let rows = names.iter().map(|name| archived(name)).collect::<Result<_, _>>()?;
            let next = match names.last() {
                Some(last) if names.len() == ROWS_AT_ONCE => [&last[..], &[0]].concat(),
                _ => behind.clone(),
            };
            Ok(Found { rows, next })
        })?;
        from = found.next;
        ask(shared, jobs, Work::Remove(Some(fence), found.rows))?;
    }
    ask(shared, jobs, Work::Erase(fence, owner.clone()))
}

/// Hands work to the writer and waits until it is done.
fn ask(shared: &Shared, jobs: &Sender<Job>, work: Work) -> Result<(), Error> {
    if matches!(&work, Work::Remove(_, rows) if rows.is_empty()) {
        return Ok(());
    }
    let (job, done) = Job::one(work, 0);
    jobs.send(job).map_err(|_| shared.gone())?;
    done.blocking_recv().unwrap_or_else(|_| Err(shared.gone()))
}
