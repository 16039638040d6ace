//! Owns the Connection actor: one socket and one stream machine. Knows no extension but those of streams.
//!
//! The actor's task wakes for input, for time, and when a write was short. What its session sends comes by
//! [`router::Edge`], past the task: it goes into the out-buffer at once and to the socket at the end of
//! the arbiter's turn.
//!
//! | module | owns |
//! |---|---|
//! | [`core`] | what happens in which order |
//! | [`state`] | what a connection knows, and how it speaks to its session |
//! | [`read`] | from the socket to the bytes of the stream |
//! | [`reader`] | from there to events |
//! | [`from_client`] | what the client sends: where a stanza begins its way |
//! | [`mod@bosh`] | what is different in requests of HTTP (XEP-0206) |
//! | [`websocket`] | what is different in messages of a WebSocket (RFC 7395) |
//! | [`from_session`] | what the session has the connection do |
//! | [`mod@copy`] | the second copy of a session that is on another member |
//! | [`confirm`] | stanzas that the session has not confirmed (XEP-0198) |
//! | [`clock`] | when something must happen though nothing came |
//! | [`handle`] | how the rest of the thread reaches the connection |
//! | [`registry`] | the connections of a thread |

mod bosh;
mod clock;
mod confirm;
mod copy;
mod core;
mod from_client;
mod from_session;
mod handle;
mod read;
mod reader;
pub(crate) mod registry;
mod state;
mod websocket;

use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix::fut::{ActorFutureExt as _, wrap_future};
use actix::{Actor, ActorContext as _, AsyncContext as _};
use socket::Upgraded;
use tokio::time::{Sleep, sleep_until};

use self::core::{Core, DetachedConnection, Turn};
use self::handle::Handle;
use crate::admission::Permit;
use crate::bosh::NewSession;
use crate::gate::Shared;
use crate::listener::Kind;

/// A connection that was just accepted.
pub(crate) struct Accepted {
    /// The socket, of no thread yet.
    pub(crate) tcp: std::net::TcpStream,
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    /// How its stream begins.
    pub(crate) kind: Kind,
    /// Its place.
    pub(crate) permit: Permit,
}

/// Begins a connection on this thread.
pub(crate) fn begin(accepted: Accepted, gate: Arc<Shared>) {
    let peer = accepted.peer;
    match Core::new(accepted, gate) {
        Ok(core) => {
            tracing::debug!(%peer, "a connection begins");
            start(Handle::new(core));
        }
        Err(error) => tracing::warn!(%peer, %error, "a connection could not be begun"),
    }
}

/// Begins a connection on this thread that came by way of HTTP.
pub(crate) fn begin_upgraded(upgraded: Upgraded, permit: Permit, gate: Arc<Shared>) {
    let peer = upgraded.peer;
    match Core::upgraded(upgraded, permit, gate) {
        Ok(core) => {
            tracing::debug!(%peer, "a connection begins");
            start(Handle::new(core));
        }
        Err(error) => tracing::warn!(%peer, %error, "a connection could not be begun"),
    }
}

/// Begins a connection on this thread that is none of TCP.
pub(crate) fn begin_bosh(beginning: NewSession, permit: Permit, gate: Arc<Shared>) {
    let peer = beginning.peer;
    match Core::of_bosh(beginning, permit, gate) {
        Ok(core) => {
            tracing::debug!(%peer, "a session of BOSH begins");
            start(Handle::new(core));
        }
        Err(error) => tracing::warn!(%peer, %error, "a connection could not be begun"),
    }
}

/// Goes on with a connection whose account lives on this thread.
fn continue_here(detached: DetachedConnection) {
    match Core::unpack(detached) {
        Ok(core) => {
            let handle = Handle::new(core);
            handle.attach();
            start(handle);
        }
        Err(error) => tracing::warn!(%error, "a connection could not be moved"),
    }
}

fn start(handle: Rc<Handle>) {
    registry::add(&handle);
    Connection { handle }.start();
}

/// The actor.
struct Connection {
    handle: Rc<Handle>,
}

impl Actor for Connection {
    type Context = actix::Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let drive = Drive { handle: Rc::clone(&self.handle), sleep: None };
        context.spawn(wrap_future(drive).map(|(), _: &mut Self, context| context.stop()));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.handle.finish();
    }
}

/// Reads, waits and writes for a connection until it is over.
struct Drive {
    handle: Rc<Handle>,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// Reads in a row before other connections have their turn, if none of them was full.
const READS_IN_A_ROW: usize = 4;

impl Future for Drive {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let done = catch_unwind(AssertUnwindSafe(|| this.run(cx))).unwrap_or_else(|_| {
            this.handle.count_panic();
            Poll::Ready(())
        });
        if done.is_ready() {
            this.handle.finish();
        }
        done
    }
}

impl Drive {
    fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.handle.listen_for(cx.waker());
        for _ in 0..READS_IN_A_ROW {
            match self.handle.turn(cx) {
                Turn::Again => {}
                Turn::Later => break,
                Turn::Rest => return self.rest(cx),
                Turn::MoveTo(account) => match self.handle.arbiter_of(&account) {
                    Some(arbiter) => {
                        self.handle.move_to(arbiter);
                        return Poll::Ready(());
                    }
                    None => self.handle.attach(),
                },
                Turn::Over => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sleeps until something must happen. A sleep that is too short does no harm, so that it is not set
    /// anew for each stanza.
    fn rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(wake) = self.handle.next_wake() else { return Poll::Pending };
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(wake)));
            if sleep.is_elapsed() || sleep.deadline() > wake {
                sleep.as_mut().reset(wake);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.handle.next_wake().is_some_and(|wake| wake <= sleep.deadline()) {
                // It is time: the next turn sees to it.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}
