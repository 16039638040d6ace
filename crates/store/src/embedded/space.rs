//! Owns the question whether the disk has room: asked seldom, reckoned in between.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Error;

/// Tells how many bytes are free where a directory is.
pub(super) type Probe = Box<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// A disk, and whether it is as good as full.
pub(super) struct Disk {
    dir: PathBuf,
    min_free: u64,
    probe: Probe,
    full: AtomicBool,
}

impl Disk {
    /// So much before writes are refused, whoever asks is told that there is no room: what is on its way meanwhile
    /// still finds some.
    const MARGIN: u64 = 1 << 20;

    pub(super) fn new(dir: &Path, min_free: u64, probe: Probe) -> Self {
        let disk = Self { dir: dir.to_owned(), min_free, probe, full: AtomicBool::new(false) };
        disk.note(disk.ask());
        disk
    }

    /// Whether there is room. A disk that was full is asked again.
    pub(super) fn has_room(&self) -> bool {
        if !self.full.load(Ordering::Relaxed) {
            return true;
        }
        self.note(self.ask());
        !self.full.load(Ordering::Relaxed)
    }

    fn ask(&self) -> u64 {
        // Where nobody can say, the disk itself will.
        (self.probe)(&self.dir).unwrap_or(u64::MAX)
    }

    fn note(&self, free: u64) {
        self.full.store(free < self.min_free + Self::MARGIN, Ordering::Relaxed);
    }
}

/// What the writer knows about the room on the disk.
pub(super) struct Space {
    disk: Arc<Disk>,
    free: u64,
    asked: Option<Instant>,
}

impl Space {
    const ASK_EVERY: Duration = Duration::from_millis(100);

    pub(super) fn new(disk: Arc<Disk>) -> Self {
        Self { disk, free: 0, asked: None }
    }

    /// Takes room for a write; what is spared may go deeper.
    pub(super) fn take(&mut self, bytes: usize, is_spared: bool) -> Result<(), Error> {
        let min_free = self.disk.min_free;
        let least = if is_spared { min_free / 4 } else { min_free };
        let bytes = bytes as u64;
        let is_old = self.asked.is_none_or(|asked| asked.elapsed() >= Self::ASK_EVERY);
        // Nothing is refused by what was known a while ago: whoever asked meanwhile was told that there is room.
        if is_old || self.free.saturating_sub(bytes) < least {
            self.free = self.disk.ask();
            self.asked = Some(Instant::now());
        }
        let left = self.free.saturating_sub(bytes);
        self.disk.note(left);
        if left < least {
            return Err(Error::Full("the disk"));
        }
        self.free = left;
        Ok(())
    }
}

/// How many bytes an ordinary user may still write where a directory is.
///
/// # Errors
/// The system cannot say.
pub fn free_bytes(dir: &Path) -> io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(dir)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn space(min_free: u64, probe: Probe) -> Space {
        Space::new(Arc::new(Disk::new(Path::new("/"), min_free, probe)))
    }

    #[test]
    fn whoever_asks_is_told_before_writes_are_refused_and_when_there_is_room_again() {
        let free = Arc::new(AtomicU64::new(Disk::MARGIN + 2_000));
        let probed = Arc::clone(&free);
        let mut space = space(1_000, Box::new(move |_| Ok(probed.load(Ordering::Relaxed))));
        assert!(space.take(900, false).is_ok() && space.disk.has_room());
        assert!(space.take(900, false).is_ok());
        free.store(Disk::MARGIN + 200, Ordering::Relaxed);
        assert!(!space.disk.has_room());
        free.store(Disk::MARGIN + 1_000, Ordering::Relaxed);
        assert!(space.disk.has_room());
    }

    #[test]
    fn a_disk_that_is_full_from_the_beginning_is_known_to_be() {
        assert!(!space(1_000, Box::new(|_| Ok(500))).disk.has_room());
    }

    #[test]
    fn writes_end_at_the_limit_and_removing_at_a_quarter_of_it() {
        let free = Arc::new(AtomicU64::new(2000));
        let probed = Arc::clone(&free);
        let mut space = space(1000, Box::new(move |_| Ok(probed.load(Ordering::Relaxed))));
        let mut take = |bytes: usize, is_spared| {
            let took = space.take(bytes, is_spared).is_ok();
            free.fetch_sub(if took { bytes as u64 } else { 0 }, Ordering::Relaxed);
            took
        };
        assert!(take(600, false));
        assert!(!take(600, false));
        assert!(take(400, false));
        assert!(take(700, true));
        assert!(!take(100, true));
    }

    #[test]
    fn the_disk_is_asked_once_in_a_while() {
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        let probe = move |_: &Path| Ok(count.fetch_add(1, Ordering::Relaxed) + (1 << 40));
        let mut space = space(1000, Box::new(probe));
        let begin = Instant::now();
        for _ in 0..1000 {
            assert!(space.take(1, false).is_ok());
        }
        // Once when it is opened.
        let most = 2 + begin.elapsed().as_millis() / 100;
        assert!(u128::from(asked.load(Ordering::Relaxed)) <= most);
    }

    #[test]
    fn a_disk_that_cannot_be_asked_is_not_taken_for_full() {
        let probe = |_: &Path| Err(io::Error::other("no answer"));
        let mut space = space(1000, Box::new(probe));
        assert!(space.take(1, false).is_ok());
        assert!(free_bytes(Path::new("/")).expect("the root is mounted") > 0);
    }
}
