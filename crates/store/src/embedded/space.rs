//! Owns the question whether the disk has room: asked seldom, reckoned in between.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Error;

/// Tells how many bytes are free where a directory is.
pub(super) type Probe = Box<dyn FnMut(&Path) -> io::Result<u64> + Send>;

/// What is known about the room on the disk.
pub(super) struct Space {
    dir: PathBuf,
    min_free: u64,
    probe: Probe,
    free: u64,
    asked: Option<Instant>,
}

impl Space {
    const ASK_EVERY: Duration = Duration::from_millis(100);

    pub(super) fn new(dir: &Path, min_free: u64, probe: Probe) -> Self {
        Self { dir: dir.to_owned(), min_free, probe, free: 0, asked: None }
    }

    /// Takes room for a write; what is spared may go deeper.
    pub(super) fn take(&mut self, bytes: usize, is_spared: bool) -> Result<(), Error> {
        if self.asked.is_none_or(|asked| asked.elapsed() >= Self::ASK_EVERY) {
            self.ask();
        }
        let least = if is_spared { self.min_free / 4 } else { self.min_free };
        let left = self.free.saturating_sub(bytes as u64);
        if left < least {
            return Err(Error::Full("the disk"));
        }
        self.free = left;
        Ok(())
    }

    fn ask(&mut self) {
        // Where nobody can say, the disk itself will.
        self.free = (self.probe)(&self.dir).unwrap_or(u64::MAX);
        self.asked = Some(Instant::now());
    }
}

/// How many bytes an ordinary user may still write.
pub(super) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(dir)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn writes_end_at_the_limit_and_removing_at_a_quarter_of_it() {
        let mut space = Space::new(Path::new("/"), 1000, Box::new(|_| Ok(2000)));
        assert!(space.take(600, false).is_ok());
        assert!(space.take(600, false).is_err());
        assert!(space.take(400, false).is_ok());
        assert!(space.take(700, true).is_ok());
        assert!(space.take(100, true).is_err());
    }

    #[test]
    fn the_disk_is_asked_once_in_a_while() {
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        let probe = move |_: &Path| Ok(count.fetch_add(1, Ordering::Relaxed) + (1 << 40));
        let mut space = Space::new(Path::new("/"), 1000, Box::new(probe));
        let begin = Instant::now();
        for _ in 0..1000 {
            assert!(space.take(1, false).is_ok());
        }
        let most = 1 + begin.elapsed().as_millis() / 100;
        assert!(u128::from(asked.load(Ordering::Relaxed)) <= most);
    }

    #[test]
    fn a_disk_that_cannot_be_asked_is_not_taken_for_full() {
        let probe = |_: &Path| Err(io::Error::other("no answer"));
        let mut space = Space::new(Path::new("/"), 1000, Box::new(probe));
        assert!(space.take(1, false).is_ok());
        assert!(free_bytes(Path::new("/")).expect("the root is mounted") > 0);
    }
}
