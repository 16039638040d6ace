//! Owns what a crash or a failed write leaves in a journal, and what may be cut from it. Knows the layout
//! of the engine's journals and changes nothing else about them.
//!
//! Each group is fsynced before the next is written, and carries its number. So a crash can only leave one
//! torn group, at the end; it was never acknowledged, and is cut away. Anything else is damage: a whole
//! group behind a broken one, or a number that is missing. Then the store does not open, rather than going
//! on without what was acknowledged.

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use super::{encoding, engine};
use crate::Error;

/// The engine's mark in its version file and behind each batch, for the layout that is known here.
const MARK: &[u8] = b"FJL\x03";
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;

/// One journal, and how far it is whole.
struct Journal {
    path: PathBuf,
    bytes: Vec<u8>,
    batches: Vec<Batch>,
}

/// A whole batch.
#[derive(Clone, Copy)]
struct Batch {
    /// Where it ends.
    end: usize,
    /// The number of its group; none of what the engine or the opening wrote.
    group: Option<u64>,
}

/// Makes the journals of a database fit to be opened after a crash: a torn write at the end is cut away,
/// which the engine itself does only for some ways of being torn. Also for databases that others keep with
/// the same engine, before they open them; the numbers of groups are looked at where there are any.
///
/// # Errors
/// [`Error::Engine`] where they are damaged as no crash damages them.
pub fn mend(dir: &Path) -> Result<(), Error> {
    let mut last = None;
    for journal in journals(dir)? {
        if let Some((found, expected)) = journal.gap(&mut last) {
            return Err(damage(
                &journal.path,
                format_args!(
                    "group {found} stands where group {expected} should, so that what is between was lost"
                ),
            ));
        }
        if journal.is_clean() {
            continue;
        }
        let end = journal.end();
        if journal.has_whole_batch_behind(end) {
            return Err(damage(
                &journal.path,
                format_args!(
                    "it is broken at byte {end} and whole again behind that; cut it to {end} bytes to go on \
                 without what follows"
                ),
            ));
        }
        tracing::warn!(
            "cut a write that was never acknowledged from the end of {}, which ends at {end} now",
            journal.path.display(),
        );
        cut(&journal.path, end)?;
    }
    Ok(())
}

/// Cuts away every group behind this one, and what is torn. Nobody may have the journals open any more;
/// waits for the engine's threads to let go of them.
pub(super) fn cut_behind(dir: &Path, group: u64) -> Result<(), Error> {
    wait_until_unused(dir)?;
    for journal in journals(dir)? {
        let kept =
            journal.batches.iter().take_while(|batch| batch.group.is_none_or(|g| g <= group));
        let end = kept.last().map_or(0, |batch| batch.end);
        if end < journal.end() || !journal.is_clean() {
            cut(&journal.path, end)?;
        }
    }
    Ok(())
}

/// Every journal, oldest first; none where the layout is another one.
fn journals(dir: &Path) -> Result<Vec<Journal>, Error> {
    let failed = |error: io::Error| engine("looked at its journals", error);
    if fs::read(dir.join("version")).map_err(failed)? != MARK {
        return Ok(Vec::new());
    }
    let mut paths: Vec<(u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "jnl")
            && let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
        {
            paths.push((number, path));
        }
    }
    paths.sort();
    let read = |(_, path): (u64, PathBuf)| Journal::read(path).map_err(failed);
    paths.into_iter().map(read).collect()
}

impl Journal {
    fn read(path: PathBuf) -> io::Result<Self> {
        let bytes = fs::read(&path)?;
        let mut batches: Vec<Batch> = Vec::new();
        let mut at = 0;
        while let Some(batch) = whole_batch(&bytes, at) {
            at = batch.end;
            batches.push(batch);
        }
        Ok(Self { path, bytes, batches })
    }

    /// Where the last whole batch ends.
    fn end(&self) -> usize {
        self.batches.last().map_or(0, |batch| batch.end)
    }

    /// Whether nothing but room stands behind the last whole batch.
    fn is_clean(&self) -> bool {
        const ROOM: &[u8] = &[0; 4096];
        let mut rest = self.bytes[self.end()..].chunks(ROOM.len());
        rest.all(|chunk| *chunk == ROOM[..chunk.len()])
    }

    fn has_whole_batch_behind(&self, end: usize) -> bool {
        let starts = memchr::memchr_iter(START, &self.bytes[end..]);
        starts.into_iter().any(|start| whole_batch(&self.bytes, end + start).is_some())
    }

    /// The first group that does not follow the one before it, and which should stand there.
    fn gap(&self, last: &mut Option<u64>) -> Option<(u64, u64)> {
        for group in self.batches.iter().filter_map(|batch| batch.group) {
            let expected = last.map_or(group, |last| last + 1);
            if group != expected {
                return Some((group, expected));
            }
            *last = Some(group);
        }
        None
    }
}

/// The batch that begins here, where it is whole and its checksum fits.
fn whole_batch(bytes: &[u8], at: usize) -> Option<Batch> {
    let mut rest = Rest(bytes.get(at..)?);
    if rest.byte()? != START {
        return None;
    }
    let items = rest.number::<4>()?;
    rest.take(8)?;
    let content = rest;
    let mut group = None;
    for _ in 0..items {
        match rest.byte()? {
            ITEM => {
                let (name, value) = rest.item()?;
                if name == encoding::GROUP_NAME {
                    group = encoding::number(value);
                }
            }
            CLEAR => drop(rest.take(8)?),
            _ => return None,
        }
    }
    let content = &content.0[..content.0.len() - rest.0.len()];
    if rest.byte()? != END || rest.number::<8>()? != xxh3_64(content) || rest.take(4)? != MARK {
        return None;
    }
    Some(Batch { end: bytes.len() - rest.0.len(), group })
}

/// What is left to read. Numbers are little-endian here.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn number<const BYTES: usize>(&mut self) -> Option<u64> {
        let mut number = [0; 8];
        number[..BYTES].copy_from_slice(self.take(BYTES)?);
        Some(u64::from_le_bytes(number))
    }

    /// Name and value, which may be compressed. Before them: kind of value, compression, number of the
    /// table, length of the name, and of the value as it was and as it stands here.
    fn item(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        self.take(1 + 1 + 8)?;
        let name = usize::try_from(self.number::<2>()?).ok()?;
        self.take(4)?;
        let value = usize::try_from(self.number::<4>()?).ok()?;
        Some((self.take(name)?, self.take(value)?))
    }
}

fn cut(path: &Path, end: usize) -> Result<(), Error> {
    let cut = || {
        let file = File::options().write(true).open(path)?;
        file.set_len(end as u64)?;
        file.sync_all()
    };
    cut().map_err(|error: io::Error| engine("cut a torn write from its journal", error))
}

fn damage(path: &Path, what: std::fmt::Arguments<'_>) -> Error {
    engine("read its journal", format_args!("{} is damaged: {what}", path.display()))
}

/// Waits until this process has no journal open: the engine's threads may outlive it for a moment, and
/// write what they still hold when they go.
fn wait_until_unused(dir: &Path) -> Result<(), Error> {
    const PATIENCE: Duration = Duration::from_secs(2);
    const PAUSE: Duration = Duration::from_millis(1);
    let dir = fs::canonicalize(dir).map_err(|error| engine("looked at its journals", error))?;
    let begin = Instant::now();
    while has_open_journal(&dir) {
        if begin.elapsed() > PATIENCE {
            return Err(engine("let go of its journals", "a thread still writes one"));
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn has_open_journal(dir: &Path) -> bool {
    let Ok(files) = fs::read_dir("/proc/self/fd") else {
        // Where this cannot be seen, give the threads the time they need.
        thread::sleep(Duration::from_millis(50));
        return false;
    };
    let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    targets
        .into_iter()
        .any(|path| path.parent() == Some(dir) && path.extension().is_some_and(|e| e == "jnl"))
}
