//! Owns the thread that writes: it takes everything that waits, makes it durable as one group, and answers.
//! It never waits for a group to fill. After the engine failed it refuses, and opens the tables again.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::group::Group;
use super::job::{Answer, Job, Work};
use super::shared::Shared;
use super::space::Space;
use super::tables::{Tables, database_dir};
use super::{Config, journal, unwound};
use crate::Error;

/// The thread's state.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: Receiver<Job>,
    pub(super) space: Space,
    pub(super) home: Home,
    /// The number of the last durable group.
    pub(super) done: u64,
    /// Set while the engine is down.
    pub(super) down: Option<Down>,
    /// How long to wait before the engine is opened again the next time.
    pub(super) pause: Duration,
}

/// Where the store lives.
pub(super) struct Home {
    pub(super) dir: PathBuf,
    pub(super) config: Config,
    /// Held as long as this process has the directory.
    pub(super) lock: File,
}

/// The engine failed.
pub(super) struct Down {
    /// What everyone is told.
    error: Error,
    /// When to open it again.
    again: Instant,
}

impl Writer {
    /// A group takes no more behind so many bytes: an answer should not wait for the whole queue.
    const GROUP_BYTES: usize = 4 << 20;
    pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(50);
    const LAST_PAUSE: Duration = Duration::from_secs(5);

    /// Works until it is told to close, or nobody is left to tell it anything.
    pub(super) fn run(mut self) {
        let mut next = self.wait();
        while let Some(first) = next {
            let (group, alone) = self.gather(first);
            self.perform(group);
            match alone {
                Some(job) if matches!(job.work, Work::Close) => {
                    return self.close(Some(job.answer));
                }
                Some(job) => self.perform(vec![job]),
                None => {}
            }
            next = self.wait();
        }
        self.close(None);
    }

    /// Waits for a job and meanwhile looks after the engine; none where the store was dropped.
    fn wait(&mut self) -> Option<Job> {
        loop {
            let Some(down) = &self.down else {
                return self.jobs.recv().ok();
            };
            let rest = down.again.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                self.try_again();
                continue;
            }
            match self.jobs.recv_timeout(rest) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Takes what waits behind the first job, up to the size of a group; and what came behind that and
    /// must stand alone.
    fn gather(&self, first: Job) -> (Vec<Job>, Option<Job>) {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(job) = next {
            if job.work.stands_alone() {
                return (group, Some(job));
            }
            bytes += job.bytes;
            group.push(job);
            if bytes >= Self::GROUP_BYTES {
                break;
            }
            next = self.jobs.try_recv().ok();
        }
        (group, None)
    }

    /// Does the jobs as one group and answers them.
    fn perform(&mut self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let waited = jobs.iter().map(|job| job.bytes).sum();
        let mut answers = Vec::with_capacity(jobs.len());
        let mut works = Vec::with_capacity(jobs.len());
        for job in jobs {
            answers.push(job.answer);
            works.push((job.work, job.bytes));
        }
        let result = match &self.down {
            Some(down) => Err(down.error.clone()),
            None => {
                let write = || self.write(works, &mut answers);
                unwound("wrote", write).inspect_err(|error| self.fail(error))
            }
        };
        if let Err(error) = result {
            answers.iter_mut().for_each(|answer| answer.refuse(&error));
        }
        self.shared.release(waited);
        answers.into_iter().for_each(Answer::send);
    }

    /// Writes the works as one group. What it returns as an error is the engine's, and about all of them.
    fn write(&mut self, works: Vec<(Work, usize)>, answers: &mut [Answer]) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let tables = shared.tables.read().unwrap_or_else(PoisonError::into_inner);
        let tables = tables.as_ref().ok_or_else(|| shared.gone())?;
        tables.settle()?;
        let mut group = Group::new(tables, &shared.fences);
        for ((work, bytes), answer) in works.into_iter().zip(answers) {
            match self.space.take(bytes, work.is_spared()) {
                Ok(()) => group.add(work, answer)?,
                Err(full) => answer.refuse(&full),
            }
        }
        if let Some(claims) = group.write(self.done + 1)? {
            self.done += 1;
            self.pause = Self::FIRST_PAUSE;
            shared.fences.set(&claims);
        }
        Ok(())
    }

    /// The engine failed: from here on everything is refused until it was opened again.
    fn fail(&mut self, error: &Error) {
        tracing::error!(%error, "the store refuses writes until its tables are opened again");
        self.put_off(error.clone());
    }

    fn put_off(&mut self, error: Error) {
        self.shared.down.store(true, Ordering::Release);
        self.down = Some(Down { error, again: Instant::now() + self.pause });
        self.pause = (self.pause * 2).min(Self::LAST_PAUSE);
    }

    /// Opens the tables again. Where the disk has no room for that, they stay as they are, so that they
    /// can be read.
    fn try_again(&mut self) {
        let reopen = || self.space.take(0, true).and_then(|()| self.reopen());
        match unwound("opened its tables", reopen) {
            Ok(()) => {
                self.down = None;
                self.shared.down.store(false, Ordering::Release);
                tracing::info!("the store accepts writes again");
            }
            Err(error) => {
                tracing::warn!(%error, "the store could not be opened again");
                self.put_off(error);
            }
        }
    }

    fn reopen(&mut self) -> Result<(), Error> {
        let mut place = self.shared.tables.write().unwrap_or_else(PoisonError::into_inner);
        drop(place.take());
        // Nothing of a refused group is kept; and behind what failed to reach the disk nothing may be
        // written, or a power cut would take it along.
        journal::cut_behind(&database_dir(&self.home.dir), self.done)?;
        let tables = Tables::open(&self.home.dir, &self.home.config)?;
        // Claims of a refused group were not set.
        self.done = tables.last_group()?;
        *place = Some(tables);
        Ok(())
    }

    fn close(self, answer: Option<Answer>) {
        while let Ok(mut job) = self.jobs.try_recv() {
            job.answer.refuse(&Error::Closed);
            self.shared.release(job.bytes);
            job.answer.send();
        }
        let mut place = self.shared.tables.write().unwrap_or_else(PoisonError::into_inner);
        drop(place.take());
        if self.down.is_some()
            && let Err(error) = journal::cut_behind(&database_dir(&self.home.dir), self.done)
        {
            tracing::error!(%error, "the store was closed with a refused write in its journal");
        }
        drop(self.home.lock);
        if let Some(answer) = answer {
            answer.send();
        }
    }
}
