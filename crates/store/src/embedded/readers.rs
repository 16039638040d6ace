//! Owns the threads that read: one lane for what is quick, one for what may take its time, so that a walk
//! through an archive holds up no sign-in.

use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures_util::FutureExt;
use futures_util::future::ready;
use tokio::sync::oneshot;

use super::{Config, engine};
use crate::{Error, Reply};

type Task = Box<dyn FnOnce() + Send>;

/// The two lanes.
pub(super) struct Readers {
    quick: Lane,
    slow: Lane,
}

/// Some threads behind one bounded queue. They end when there is nobody left to give them a task.
struct Lane(Mutex<Option<SyncSender<Task>>>);

impl Readers {
    pub(super) fn start(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            quick: Lane::start("store-read", config)?,
            slow: Lane::start("store-walk", config)?,
        })
    }

    /// Does what looks at few rows.
    pub(super) fn quick<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Reply<T> {
        self.quick.run(work)
    }

    /// Does what may look at many rows.
    pub(super) fn slow<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Reply<T> {
        self.slow.run(work)
    }

    /// Takes no more; the threads finish what waits, and end.
    pub(super) fn stop(&self) {
        self.quick.stop();
        self.slow.stop();
    }
}

impl Lane {
    fn start(name: &str, config: &Config) -> Result<Self, Error> {
        let (sender, receiver) = mpsc::sync_channel(config.reads_waiting_max);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..config.reader_threads.max(1) {
            let receiver = Arc::clone(&receiver);
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || work_off(&receiver))
                .map_err(|error| engine("started its readers", error))?;
        }
        Ok(Self(Mutex::new(Some(sender))))
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Reply<T> {
        let (answer, done) = oneshot::channel();
        let task: Task = Box::new(move || drop(answer.send(work())));
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = match sender.as_ref().map(|sender| sender.try_send(task)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => Err(Error::Full("too many reads wait")),
            Some(Err(TrySendError::Disconnected(_))) | None => Err(Error::Closed),
        };
        match sent {
            Ok(()) => async move { done.await.unwrap_or_else(|_| Err(panicked())) }.boxed(),
            Err(error) => ready(Err(error)).boxed(),
        }
    }

    fn stop(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn work_off(tasks: &Mutex<Receiver<Task>>) {
    loop {
        // One thread waits for a task, the others wait for the lock.
        let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = task else { return };
        if panic::catch_unwind(AssertUnwindSafe(task)).is_err() {
            tracing::error!("a read of the store panicked");
        }
    }
}

fn panicked() -> Error {
    engine("read", "it could not go on")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::block_on;

    fn one_thread() -> Readers {
        let config = Config { reader_threads: 1, reads_waiting_max: 1, ..Config::default() };
        Readers::start(&config).expect("threads start")
    }

    #[test]
    fn a_full_lane_refuses_and_the_other_goes_on() {
        let readers = one_thread();
        let (begun, has_begun) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let first = readers.slow(move || {
            begun.send(()).expect("somebody waits for it");
            Ok(may_go.recv().map_or(1, |()| 0))
        });
        has_begun.recv().expect("the first read begins");
        let second = readers.slow(|| Ok(2));
        assert!(matches!(block_on(readers.slow(|| Ok(3))), Err(Error::Full(_))));
        assert!(matches!(block_on(readers.quick(|| Ok(4))), Ok(4)));
        drop(go);
        assert!(matches!(block_on(first), Ok(1)));
        assert!(matches!(block_on(second), Ok(2)));
    }

    #[test]
    fn a_read_that_panics_is_an_error_and_the_lane_goes_on() {
        let readers = one_thread();
        let broken: Reply<()> = readers.quick(|| panic!("a damaged table"));
        assert!(matches!(block_on(broken), Err(Error::Engine { .. })));
        assert!(matches!(block_on(readers.quick(|| Ok(1))), Ok(1)));
    }

    #[test]
    fn a_stopped_lane_finishes_what_waits_and_takes_no_more() {
        let readers = one_thread();
        let waiting = readers.quick(|| Ok(1));
        readers.stop();
        assert!(matches!(block_on(waiting), Ok(1)));
        assert!(matches!(block_on(readers.quick(|| Ok(2))), Err(Error::Closed)));
    }
}
