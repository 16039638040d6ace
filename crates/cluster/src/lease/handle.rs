//! Owns the question "may this member act now": cheap enough to ask on every turn of every actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::BootTime;

/// A member's lease, shared by all its threads. A clone is the same lease.
#[derive(Clone, Debug)]
pub struct Lease {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The end in nanoseconds of [`BootTime`]; 0 before the first grant, `u64::MAX` for ever.
    end: AtomicU64,
    /// Since when it has held without a break, in the same.
    since: AtomicU64,
    /// Says that the end has moved.
    moved: watch::Sender<()>,
}

/// The lease is over for good: its member was expelled or stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the member's lease is over for good")]
pub struct LeaseOver;

impl Lease {
    /// A lease that always holds, for tests that need no cluster.
    pub fn always() -> Self {
        Self::until(BootTime::NEVER)
    }

    /// A lease that holds or does not, as is said last, for tests that need no cluster.
    pub fn held_while() -> (Self, impl Fn(bool)) {
        let lease = Self::always();
        let said = lease.clone();
        (lease, move |holds| said.extend(if holds { BootTime::NEVER } else { BootTime(0) }))
    }

    /// A lease that has not been granted yet.
    pub(crate) fn none() -> Self {
        Self::until(BootTime(0))
    }

    fn until(end: BootTime) -> Self {
        Self {
            shared: Arc::new(Shared {
                end: AtomicU64::new(end.0),
                since: AtomicU64::new(0),
                moved: watch::Sender::new(()),
            }),
        }
    }

    /// Whether the member may act at this moment: let an effect leave it. Reads the clock: 60 to 90 ns.
    pub fn holds(&self) -> bool {
        match self.end() {
            BootTime::NEVER => true,
            BootTime(0) => false,
            end => BootTime::now() < end,
        }
    }

    /// Whether it holds at `now`, for callers that have read the clock.
    pub fn holds_at(&self, now: BootTime) -> bool {
        self.end() == BootTime::NEVER || now < self.end()
    }

    /// Whether it is over for good.
    pub fn is_over(&self) -> bool {
        self.end() == OVER
    }

    /// For how long it has held without a break, if it holds.
    pub fn held_for(&self) -> Duration {
        BootTime::now().since(BootTime(self.shared.since.load(Ordering::Acquire)))
    }

    /// How much of it is left.
    pub fn remaining(&self) -> Duration {
        self.end().since(BootTime::now())
    }

    /// Waits until it holds.
    ///
    /// # Errors
    ///
    /// It never will again.
    pub async fn until_valid(&self) -> Result<(), LeaseOver> {
        let mut moved = self.shared.moved.subscribe();
        while !self.holds() {
            if self.end() == OVER {
                return Err(LeaseOver);
            }
            moved.changed().await.map_err(|_| LeaseOver)?;
        }
        Ok(())
    }

    /// Waits until it has not held for so long without a break.
    pub async fn until_lost_for(&self, patience: Duration) {
        loop {
            tokio::time::sleep(self.remaining()).await;
            if !matches!(tokio::time::timeout(patience, self.until_valid()).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// Tells, as that changes, whether it has not held for so long without a break; until it never will again.
    pub async fn tell_loss(&self, patience: Duration, told: &watch::Sender<bool>) {
        loop {
            self.until_lost_for(patience).await;
            told.send_replace(true);
            if self.until_valid().await.is_err() {
                return;
            }
            told.send_replace(false);
        }
    }

    /// Moves the end; wakes whoever waits.
    pub(crate) fn extend(&self, end: BootTime) {
        if !self.holds() {
            self.shared.since.store(BootTime::now().0, Ordering::Release);
        }
        let unless_over = |old| (old != OVER.0).then_some(end.0);
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        if self.shared.end.fetch_update(success, failure, unless_over).is_ok() {
            self.shared.moved.send_replace(());
        }
    }

    /// Ends it for good.
    pub fn end_for_good(&self) {
        self.shared.end.store(OVER.0, Ordering::Release);
        self.shared.moved.send_replace(());
    }

    fn end(&self) -> BootTime {
        BootTime(self.shared.end.load(Ordering::Acquire))
    }
}

/// An end that lies before every present and that no grant has.
const OVER: BootTime = BootTime(1);

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn it_holds_until_its_end() {
        let lease = Lease::none();
        assert!(!lease.holds());
        let now = BootTime::now();
        lease.extend(now + Duration::from_secs(60));
        let other = lease.clone();
        assert!(other.holds());
        assert!(lease.holds());
        assert!(lease.holds_at(now + Duration::from_secs(59)));
        assert!(!lease.holds_at(now + Duration::from_secs(60)));
        assert!(lease.remaining() > Duration::from_secs(50));
        lease.extend(now + Duration::from_secs(70));
        let held = lease.held_for();
        assert!(held <= BootTime::now().since(now));
        lease.extend(now);
        assert!(!lease.holds());
        assert_eq!(lease.remaining(), Duration::ZERO);
        let lapsed = BootTime::now();
        lease.extend(lapsed + Duration::from_secs(60));
        assert!(lease.held_for() <= BootTime::now().since(lapsed), "it begins anew after a break");
    }

    #[test]
    fn whoever_waits_is_woken_by_a_grant_and_by_the_end() {
        let lease = Lease::none();
        let mut waiting = pin!(lease.until_valid());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);
        lease.extend(BootTime::now() + Duration::from_secs(60));
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(Ok(())));
        lease.end_for_good();
        assert_eq!(poll(lease.until_valid()), Poll::Ready(Err(LeaseOver)));
        lease.extend(BootTime::NEVER);
        assert!(!lease.holds() && lease.is_over(), "the end is for good");
    }

    #[tokio::test]
    async fn a_loss_is_told_when_it_has_lasted_for_a_while() {
        let (held, patience) = (Duration::from_millis(20), Duration::from_millis(30));
        let (lease, begun) = (Lease::none(), BootTime::now());
        lease.extend(begun + held);
        lease.until_lost_for(patience).await;
        assert!(BootTime::now().since(begun) >= held + patience);
        lease.end_for_good();
        lease.until_lost_for(Duration::MAX).await;
        let always = Lease::always();
        tokio::time::timeout(patience, always.until_lost_for(Duration::ZERO)).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_loss_is_told_of_and_so_is_its_end() {
        let (lease, (told, mut heard)) = (Lease::none(), watch::channel(false));
        let telling = lease.tell_loss(Duration::from_millis(20), &told);
        let story = async {
            heard.wait_for(|lost| *lost).await.unwrap();
            lease.extend(BootTime::now() + Duration::from_secs(1));
            heard.wait_for(|lost| !*lost).await.unwrap();
            lease.end_for_good();
            std::future::pending::<()>().await
        };
        // It ends, since the lease is over for good.
        tokio::select! {
            () = telling => {}
            () = story => {}
        }
        assert!(*heard.borrow());
    }

    #[test]
    fn a_test_lease_always_holds() {
        assert!(Lease::always().holds());
        assert!(Lease::always().holds_at(BootTime(u64::MAX - 1)));
        assert_eq!(poll(Lease::always().until_valid()), Poll::Ready(Ok(())));
    }

    #[test]
    fn asking_is_cheap() {
        let lease = Lease::none();
        lease.extend(BootTime::now() + Duration::from_secs(600));
        let before = BootTime::now();
        let held = (0..100_000).filter(|_| lease.holds()).count();
        let per_call = BootTime::now().since(before) / 100_000;
        assert_eq!(held, 100_000);
        // 60 to 90 ns where the code is optimised; the bound is for a busy machine and code that is not.
        assert!(per_call < Duration::from_micros(5), "{per_call:?}");
    }
}
