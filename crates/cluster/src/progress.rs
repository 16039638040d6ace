//! Owns what a member that starts waits for, told to whoever asks and to the log: it may wait for others for long, and an
//! operator must learn why.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::interval;

use crate::clock::BootTime;

/// What a member that starts waits for. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    waits: Arc<watch::Sender<Option<Arc<str>>>>,
}

/// How often it is looked for something new to log; whatever is over before that is not worth a word.
const LOOK: Duration = Duration::from_secs(1);

/// How often the same is logged.
const REPEAT: Duration = Duration::from_secs(10);

impl Progress {
    /// What it waits for now; none where it does not.
    pub fn now(&self) -> Option<Arc<str>> {
        self.waits.borrow().clone()
    }

    /// Waits until it waits for something.
    pub async fn until_waits(&self) {
        // The sender is this one: it is there.
        drop(self.waits.subscribe().wait_for(Option::is_some).await);
    }

    /// It waits for this.
    pub(crate) fn waits_for(&self, what: String) {
        self.waits.send_replace(Some(what.into()));
    }

    /// It waits for nothing any more.
    pub(crate) fn is_over(&self) {
        self.waits.send_replace(None);
    }

    /// Logs what it waits for: what is new within a second, and all of it every ten.
    pub(crate) async fn tell(self) {
        let (mut looks, mut told) = (interval(LOOK), Told::default());
        looks.tick().await;
        loop {
            looks.tick().await;
            if let Some(what) = self.now().filter(|what| told.is_due(what, BootTime::now())) {
                tracing::warn!("has not started yet: {what}");
            }
        }
    }
}

/// What was logged last, and when.
#[derive(Default)]
struct Told(Option<(Arc<str>, BootTime)>);

impl Told {
    /// Whether to log this now; if so, it is what was logged last.
    fn is_due(&mut self, what: &Arc<str>, now: BootTime) -> bool {
        let fresh = |(before, at): &(Arc<str>, BootTime)| before == what && now.since(*at) < REPEAT;
        let due = !self.0.as_ref().is_some_and(fresh);
        if due {
            self.0 = Some((Arc::clone(what), now));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_logged_at_once_and_the_same_every_ten_seconds() {
        let (mut told, at) = (Told::default(), |seconds: u64| BootTime(seconds * 1_000_000_000));
        let mut is_due = |what: &str, seconds| told.is_due(&what.into(), at(seconds));
        assert!(is_due("others", 1) && !is_due("others", 2));
        assert!(is_due("a leader", 3), "it is something else");
        assert!(!is_due("a leader", 12) && is_due("a leader", 13));
    }

    #[test]
    fn whoever_asks_is_told_until_it_is_over() {
        let progress = Progress::default();
        progress.waits_for("others".to_owned());
        assert_eq!(progress.now().as_deref(), Some("others"));
        progress.is_over();
        assert_eq!(progress.now(), None);
    }
}
