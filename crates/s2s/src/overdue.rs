//! Owns for how long the other end has left something unacknowledged: since it began to, or since it last acknowledged
//! anything, whatever else goes on meanwhile.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Since when something is waited for.
pub(crate) struct Overdue {
    most: Duration,
    since: Cell<Option<Instant>>,
}

impl Overdue {
    /// It may take this long.
    pub(crate) fn after(most: Duration) -> Self {
        Self { most, since: Cell::new(None) }
    }

    /// Something more is waited for; that changes nothing where something was before.
    pub(crate) fn waits(&self) {
        self.since.set(self.since.get().or_else(|| Some(Instant::now())));
    }

    /// Something has come; whether more is waited for.
    pub(crate) fn moved_on(&self, waits: bool) {
        self.since.set(waits.then(Instant::now));
    }

    /// Ends when it has taken too long.
    pub(crate) async fn passed(&self) {
        loop {
            match self.since.get().map(|since| since + self.most) {
                Some(due) if due <= Instant::now() => return,
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const MOST: Duration = Duration::from_secs(30);

    async fn is_over(overdue: &Overdue) -> bool {
        timeout(Duration::ZERO, overdue.passed()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_meanwhile_puts_nothing_off_but_what_was_waited_for() {
        let overdue = Overdue::after(MOST);
        advance(MOST * 2).await;
        assert!(!is_over(&overdue).await, "nothing is waited for");
        overdue.waits();
        for _ in 0..29 {
            advance(Duration::from_secs(1)).await;
            overdue.waits();
            assert!(!is_over(&overdue).await);
        }
        overdue.moved_on(true);
        advance(Duration::from_secs(29)).await;
        assert!(!is_over(&overdue).await, "it has moved on");
        overdue.waits();
        advance(Duration::from_secs(1)).await;
        assert!(is_over(&overdue).await);
        overdue.moved_on(false);
        assert!(!is_over(&overdue).await);
    }
}
