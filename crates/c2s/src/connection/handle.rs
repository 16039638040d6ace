//! Owns the handle by which the rest of its thread reaches a connection: its session with commands, the arbiter at
//! the end of a turn, the gate. Everything is on one thread; the state is borrowed for no longer than one call, and
//! never while something is routed.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use proto::session::{ConnectionCommand, ConnectionEvent, Gone};
use proto::snapshot::SessionSnapshot;
use proto::{ArbiterId, Body, ConnectionId, Envelope, MemberId, Route, SessionId};
use router::{Edge, Place};
use tokio::time::Instant;
use xmpp::{BareJid, Epoch, Origin, StreamError};

use super::core::{Core, Turn};
use super::{continue_here, copy, registry};

/// How long a connection that is gone waits for the answer to a binding that it had asked for.
const ANSWER: Duration = Duration::from_secs(60);

/// A connection, as the rest of its thread sees it.
pub(super) struct Handle {
    core: RefCell<Option<Core>>,
    gate: u64,
    number: Cell<u64>,
    id: Cell<Option<ConnectionId>>,
    waker: RefCell<Option<Waker>>,
    broken: Cell<bool>,
    /// The copy of the session that was lost with the connection, until somebody else has it.
    orphan: RefCell<Option<Box<SessionSnapshot>>>,
}

impl Handle {
    pub(super) fn new(core: Core) -> Rc<Self> {
        Rc::new(Self {
            gate: core.gate().id,
            core: RefCell::new(Some(core)),
            number: Cell::new(0),
            id: Cell::new(None),
            waker: RefCell::default(),
            broken: Cell::new(false),
            orphan: RefCell::default(),
        })
    }

    /// The gate that it belongs to.
    pub(super) fn gate(&self) -> u64 {
        self.gate
    }

    /// Its number in the registry.
    pub(super) fn set_number(&self, number: u64) {
        self.number.set(number);
    }

    /// Whom to wake.
    pub(super) fn listen_for(&self, waker: &Waker) {
        let mut slot = self.waker.borrow_mut();
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    /// One turn of the connection's task.
    pub(super) fn turn(&self, cx: &mut Context<'_>) -> Turn {
        if self.broken.get() {
            return Turn::Over;
        }
        let mut envelopes = Vec::new();
        let (turn, dirty) = match self.core.borrow_mut().as_mut() {
            Some(core) => (core.turn(cx, &mut envelopes), core.wants_flush()),
            None => (Turn::Over, false),
        };
        self.route(envelopes, dirty);
        turn
    }

    /// When the task must run though nothing came.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.core.borrow().as_ref().and_then(Core::next_wake)
    }

    /// The arbiter of the account, where it is another one of this member. Where the account lives on
    /// another member, or nowhere, one arbiter is as good as any.
    pub(super) fn arbiter_of(&self, account: &BareJid) -> Option<ArbiterId> {
        let (here, router) = router::local::here()?;
        match router.place(&Route::User(account.clone())) {
            Place::Here(there) if there != here => Some(there),
            _ => None,
        }
    }

    /// Gives the connection another name: whatever it has said by the former one is said again by this one.
    fn rename(self: &Rc<Self>) {
        let Some(before) = self.id.get() else { return };
        self.attach();
        router::local::detach(before);
        if let Some(id) = self.id.get() {
            // What was to be written is marked by the former name.
            router::local::mark_dirty(id);
        }
    }

    /// Gives the connection its name on this arbiter. The client is known.
    pub(super) fn attach(self: &Rc<Self>) {
        let id = router::local::attach(Rc::clone(self) as Rc<dyn Edge>);
        self.id.set(id);
        if let Some(core) = self.core.borrow_mut().as_mut() {
            core.attached(id);
        }
    }

    /// Packs up for another arbiter. The task must end.
    pub(super) fn move_to(&self, arbiter: ArbiterId) {
        let Some(core) = self.core.take() else { return };
        registry::remove(self.number.get());
        let handle = core.gate().arbiters.get(usize::from(arbiter.0)).cloned();
        match (handle, core.pack()) {
            (Some(handle), Ok(detached)) => {
                handle.spawn_fn(move || continue_here(detached));
            }
            (None, _) => tracing::error!("there is no arbiter {}", arbiter.0),
            (_, Err(error)) => tracing::warn!(%error, "a connection could not be moved"),
        }
    }

    /// Whether the stream is on its way to its end.
    pub(super) fn is_ending(&self) -> bool {
        self.core.borrow().as_ref().is_none_or(Core::is_ending)
    }

    /// Ends the stream with an error, behind a last acknowledgement of what the client sent (XEP-0198 §4).
    pub(super) fn end(&self, error: StreamError) {
        let mut envelopes = Vec::new();
        if let Some(core) = self.core.borrow_mut().as_mut() {
            core.state.tell_last();
            core.close(Some(error), &mut envelopes);
        }
        self.route(envelopes, true);
        self.wake();
    }

    /// The member is cut off from the others.
    pub(super) fn isolate(&self) {
        let mut envelopes = Vec::new();
        if let Some(core) = self.core.borrow_mut().as_mut() {
            core.isolate(&mut envelopes);
        }
        self.route(envelopes, false);
        self.wake();
    }

    /// Drops the connection as soon as its task runs.
    pub(super) fn break_off(&self) {
        self.broken.set(true);
        self.wake();
    }

    /// A panic in the connection's own code: it alone ends.
    pub(super) fn count_panic(&self) {
        if let Ok(core) = self.core.try_borrow()
            && let Some(core) = core.as_ref()
        {
            core.gate().metrics.panics.add_one();
        }
        tracing::error!("a connection ended by a fault of this program");
    }

    /// The connection is over: its session is told, unless it knows.
    pub(super) fn finish(self: &Rc<Self>) {
        let Some(mut core) = self.core.take() else { return };
        registry::remove(self.number.get());
        let mut envelopes = Vec::new();
        core.lose(&mut envelopes);
        tracing::debug!(peer = %core.peer(), "a connection is over");
        let awaited = core.is_awaited();
        let orphan = core.take_orphan();
        drop(core);
        let Some(id) = self.id.get() else { return };
        if !awaited && orphan.is_none() {
            router::local::detach(id);
        } else {
            // The answer must find somebody who says that it comes too late, and who asks for the copy must find it.
            self.orphan.replace(orphan);
            actix_rt::spawn(async move {
                tokio::time::sleep(ANSWER).await;
                router::local::detach(id);
            });
        }
        self.route(envelopes, false);
    }

    /// The copy of the session that was lost with the connection, which may be closing still.
    fn orphaned(&self) -> Option<SessionSnapshot> {
        let orphan = self.orphan.borrow().as_deref().cloned();
        orphan.or_else(|| self.core.borrow().as_ref()?.orphan().cloned())
    }

    /// A session was found for a connection that is gone.
    fn decline(&self, session: SessionId) {
        let Some(id) = self.id.get() else { return };
        let epoch = router::local::here()
            .map_or_else(Epoch::default, |(_, router)| router.epoch(&session.account));
        let origin = Origin::Client { session: session.uid, seq: 0, part: 0 };
        let body = Body::FromConnection(id, ConnectionEvent::Gone(Gone::Lost));
        let envelope = Envelope::new(Route::Session(session), body, origin, epoch);
        // Who waits for the answer to a binding has a time limit, at which the connection's name is forgotten.
        actix_rt::spawn(async move { router::local::route(vec![envelope]) });
    }

    /// Routes envelopes, not while the state is borrowed.
    fn route(&self, envelopes: Vec<Envelope>, dirty: bool) {
        if dirty && let Some(id) = self.id.get() {
            router::local::mark_dirty(id);
        }
        if !envelopes.is_empty() {
            router::local::route(envelopes);
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Runs what must not take the arbiter's own tasks down with it.
    fn guarded<T: Default>(&self, act: impl FnOnce() -> T) -> T {
        catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| {
            self.count_panic();
            self.break_off();
            T::default()
        })
    }
}

impl Edge for Handle {
    fn take(&self, command: ConnectionCommand, cause: Origin) {
        self.guarded(|| {
            let mut core = self.core.borrow_mut();
            let Some(core) = core.as_mut() else {
                copy::follow_orphan(&mut self.orphan.borrow_mut(), &command, cause);
                return match command {
                    ConnectionCommand::Bound { session, .. } => self.decline(session),
                    ConnectionCommand::Resumed { session, jid, h, .. } => {
                        // Until the session hears that nobody is here, it counts this copy as its second one.
                        self.orphan.replace(Some(copy::begin(&session, jid, Some(h))));
                        self.decline(session);
                    }
                    ConnectionCommand::Stanza(_) => {
                        if let Some((_, router)) = router::local::here() {
                            router.count_gone();
                        }
                    }
                    _ => {}
                };
            };
            let was_clean = !core.wants_flush();
            core.execute(command, cause);
            if was_clean
                && core.wants_flush()
                && let Some(id) = self.id.get()
            {
                router::local::mark_dirty(id);
            }
            if core.wants_turn() {
                self.wake();
            }
        });
    }

    fn thaw(&self) {
        self.wake();
    }

    fn expelled(&self) {
        self.orphan.take();
        let envelopes = self.guarded(|| {
            let mut envelopes = Vec::new();
            if let Some(core) = self.core.borrow_mut().as_mut() {
                core.expelled(&mut envelopes);
            }
            envelopes
        });
        self.route(envelopes, true);
        self.wake();
    }

    fn announce(self: Rc<Self>, owner: &dyn Fn(&BareJid) -> Option<MemberId>) -> Vec<Envelope> {
        if let Some(session) = self.orphaned() {
            let account = session.jid.bare();
            let to = owner(&account);
            return to.map(|to| copy::kept(to, account, session)).into_iter().collect();
        }
        let account = self.core.borrow().as_ref().and_then(|core| core.account().cloned());
        let Some(owner) = account.as_ref().and_then(owner) else { return Vec::new() };
        if self.core.borrow().as_ref().is_some_and(Core::says_again) {
            self.rename();
        }
        let envelopes = self.guarded(|| {
            let mut envelopes = Vec::new();
            if let Some(core) = self.core.borrow_mut().as_mut() {
                core.announce(owner, &mut envelopes);
            }
            envelopes
        });
        self.wake();
        envelopes
    }

    fn write(&self) {
        let envelopes = self.guarded(|| {
            let mut envelopes = Vec::new();
            if let Some(core) = self.core.borrow_mut().as_mut() {
                core.flush(&mut envelopes);
                if core.wants_turn() {
                    self.wake();
                }
            }
            envelopes
        });
        if !envelopes.is_empty() {
            router::local::route(envelopes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::session::{ConnectionEvent, Gone};

    use super::registry;
    use crate::tests::stage::Setting;

    #[test]
    fn a_panic_ends_one_connection_and_nothing_else() {
        Setting::default().play(async |mut stage| {
            let (mut first, _) = stage.bound().await;
            let (mut second, _) = stage.bound().await;
            let handle = registry::any().expect("there are two");
            handle.guarded::<()>(|| panic!("a fault of this program"));
            let event = stage.event().await;
            assert!(matches!(event, ConnectionEvent::Gone(Gone::Lost)), "{event:?}");
            assert_eq!((stage.metrics.panics.get(), stage.metrics.sessions.get()), (1, 1));
            let ended =
                futures_util::future::select(Box::pin(first.next()), Box::pin(second.next()));
            assert!(ended.await.factor_first().0.is_none());
            // The arbiter goes on.
            stage.bound().await;
        });
    }

    #[test]
    fn a_panic_with_the_state_borrowed_does_no_more_harm() {
        Setting::default().play(async |mut stage| {
            let (mut client, _) = stage.bound().await;
            let handle = registry::any().expect("there is one");
            handle.guarded::<()>(|| {
                let _core = handle.core.borrow_mut();
                panic!("a fault of this program");
            });
            assert_eq!(client.next().await, None);
            assert!(matches!(stage.event().await, ConnectionEvent::Gone(Gone::Lost)));
        });
    }
}
