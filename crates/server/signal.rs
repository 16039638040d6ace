//! Owns the signals of the operating system, as words that the server acts on.

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What the operating system asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGINT or SIGQUIT: drain; the second time: stop at once.
    Stop,
    /// SIGHUP: read again what can be read again.
    Reload,
}

/// The signals of this process.
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
    quit: Stream,
    hangup: Stream,
    users: [Stream; 2],
}

impl Signals {
    /// Listens for signals from now on.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            users: [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?],
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Signal {
        let [first, second] = &mut self.users;
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Signal::Stop,
                _ = self.interrupt.recv() => return Signal::Stop,
                _ = self.quit.recv() => return Signal::Stop,
                _ = self.hangup.recv() => return Signal::Reload,
                _ = first.recv() => ignore("SIGUSR1"),
                _ = second.recv() => ignore("SIGUSR2"),
            }
        }
    }
}

/// What others mean by it, to open their log files again, is needless here; its default is to end the process.
fn ignore(name: &str) {
    tracing::warn!(
        "{name} does nothing here: logs go to stderr, and SIGHUP reads the configuration again"
    );
}
