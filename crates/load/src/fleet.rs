//! Many sessions on one thread: one poll, one read and one write for each session and wake-up.
//!
//! What the sessions say once they are online is up to a [`Script`].

use crate::connection::Shared;
use crate::keys::Keys;
use crate::scan::Item;
use crate::session::{Phase, Session};
use crate::sessions::{Script, Sessions, mark};
use crate::signin::{Context, Manner, Progress, Security, SignIn};
use crate::tls;
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A log-in that makes no progress for this long fails the run.
const LOGIN_PATIENCE: Duration = Duration::from_secs(30);

/// Where the sessions go, and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server's address.
    pub address: SocketAddr,
    /// How sessions sign in.
    pub manner: Manner,
    /// Accounts are called prefix and number, counted from 0.
    pub prefix: String,
    /// The password of all accounts.
    pub password: String,
    /// TLS 1.2 instead of 1.3.
    pub old_tls: bool,
}

/// The event loop and its sessions.
#[derive(Debug)]
pub struct Fleet {
    target: Target,
    tls: Arc<ClientConfig>,
    keys: Keys,
    poll: Poll,
    events: Events,
    shared: Shared,
    /// The sessions, by their number.
    pub sessions: Sessions,
}

impl Fleet {
    /// A fleet without sessions.
    pub fn new(target: Target) -> io::Result<Fleet> {
        Ok(Fleet {
            tls: tls::client(target.old_tls),
            keys: Keys::new(&target.password),
            target,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            shared: Shared::default(),
            sessions: Sessions::default(),
        })
    }

    /// The poll, for registering a timer under a token above all sessions.
    pub fn registry(&self) -> &mio::Registry {
        self.poll.registry()
    }

    /// Dials as account `account` in the place of session `id`, or as a new session at the end.
    pub fn dial(&mut self, id: usize, account: usize, management: bool) -> io::Result<()> {
        let manner = &self.target.manner;
        let socket = mio::net::TcpStream::connect(self.target.address)?;
        socket.set_nodelay(true)?;
        let user = format!("{}{account}", self.target.prefix);
        let sign_in = SignIn::new(user, manner, management);
        let mut session = Session::new(socket, sign_in);
        if manner.security == Security::Direct {
            session.connection.start_tls(tls::connect(&self.tls, &manner.domain)?);
        }
        if let Phase::SigningIn(sign_in) = &session.phase {
            sign_in.open(manner, session.connection.outbound());
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(session.connection.socket(), Token(id), interest)?;
        match self.sessions.list.get_mut(id) {
            Some(place) => *place = session,
            None => self.sessions.list.push(session),
        }
        Ok(())
    }

    /// Brings `count` sessions online, at most `concurrency` signing in at a time; one account each.
    ///
    /// `managed` says which of them use stream management. Fails at the first session that is refused.
    pub fn bring_online(
        &mut self,
        count: usize,
        concurrency: usize,
        managed: impl Fn(usize) -> bool,
        script: &mut dyn Script,
    ) -> io::Result<()> {
        let mut progress = (0, Instant::now());
        let mut reported = Instant::now();
        while self.sessions.online < count {
            let open = self.sessions.list.len();
            let begin = count.min(self.sessions.online + concurrency).saturating_sub(open);
            for id in open..open + begin {
                self.dial(id, id, managed(id))?;
            }
            self.turn(Duration::from_millis(100), script)?;
            if self.sessions.lost > 0 {
                let reason = &self.sessions.last_reason;
                return Err(io::Error::other(format!("a session was lost at log-in: {reason}")));
            }
            let online = self.sessions.online;
            if online > progress.0 {
                progress = (online, Instant::now());
            } else if progress.1.elapsed() > LOGIN_PATIENCE {
                let message =
                    format!("no log-in for {LOGIN_PATIENCE:?}, {online} of {count} online");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            if reported.elapsed() > Duration::from_secs(2) {
                reported = Instant::now();
                eprintln!("{online} of {count} sessions online");
            }
        }
        Ok(())
    }

    /// Sends what waits, then lets events happen until `duration` is over.
    pub fn run_for(&mut self, duration: Duration, script: &mut dyn Script) -> io::Result<()> {
        let end = Instant::now() + duration;
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(());
            }
            self.turn(rest, script)?;
        }
    }

    /// One wake-up: waits at most `timeout` for events, handles all that are there, sends what was written.
    pub fn turn(&mut self, timeout: Duration, script: &mut dyn Script) -> io::Result<()> {
        self.flush(script);
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
            _ => {}
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let id = event.token().0;
            let Some(session) = self.sessions.list.get_mut(id) else {
                continue;
            };
            if event.is_writable() && session.connection.waits_to_send() {
                mark(&mut self.sessions.dirty, session, id);
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.read(id, script);
            }
        }
        self.events = events;
        script.turn(&mut self.sessions, Instant::now());
        self.flush(script);
        Ok(())
    }

    fn flush(&mut self, script: &mut dyn Script) {
        let mut dirty = std::mem::take(&mut self.sessions.dirty);
        for id in dirty.drain(..) {
            let Some(session) = self.sessions.list.get_mut(id) else {
                continue;
            };
            session.dirty = false;
            if let Err(e) = session.connection.flush() {
                self.lose(id, &e.to_string(), script);
            }
        }
        self.sessions.dirty = dirty;
    }

    fn read(&mut self, id: usize, script: &mut dyn Script) {
        let Some(session) = self.sessions.list.get_mut(id) else {
            return;
        };
        if matches!(session.phase, Phase::Gone) {
            return;
        }
        let received = session.connection.receive(&mut self.shared);
        let now = Instant::now();
        if let Err(reason) = self.items(id, now, script) {
            self.lose(id, &reason, script);
            return;
        }
        match received {
            Ok(true) => {}
            Ok(false) => self.lose(id, "the server closed the connection", script),
            Err(e) => self.lose(id, &e.to_string(), script),
        }
    }

    /// Handles every complete item in the shared buffer.
    fn items(&mut self, id: usize, now: Instant, script: &mut dyn Script) -> Result<(), String> {
        let mut base = 0;
        while let Some(session) = self.sessions.list.get_mut(id) {
            let unread = self.shared.bytes.get(base..).unwrap_or_default();
            let Some((item, range)) = session.scanner.next(unread).map_err(|e| e.to_string())?
            else {
                base += session.scanner.take_consumed();
                session.connection.keep_unread(&self.shared, base);
                if session.connection.waits_to_send() {
                    mark(&mut self.sessions.dirty, session, id);
                }
                break;
            };
            let range = base + range.start..base + range.end;
            if session.phase.is_signing_in() {
                if self.sign_in_item(id, (item, range.clone()), now, script)? {
                    base = range.end;
                }
            } else if item == Item::Closing {
                return Err("the server closed the stream".to_owned());
            } else if item == Item::Stanza {
                let stanza = self.shared.bytes.get(range).unwrap_or_default();
                self.sessions.take(id, (stanza, now), script);
            }
        }
        Ok(())
    }

    /// Hands an item to the sign-in; `true` if the stream begins anew behind it.
    fn sign_in_item(
        &mut self,
        id: usize,
        item: (Item, std::ops::Range<usize>),
        now: Instant,
        script: &mut dyn Script,
    ) -> Result<bool, String> {
        let manner = &self.target.manner;
        let Some(session) = self.sessions.list.get_mut(id) else {
            return Ok(false);
        };
        let Phase::SigningIn(sign_in) = &mut session.phase else {
            return Ok(false);
        };
        let context = Context { manner, keys: &mut self.keys, out: session.connection.outbound() };
        let bytes = self.shared.bytes.get(item.1).unwrap_or_default();
        let progress = sign_in.item(item.0, bytes, context).map_err(|e| e.to_string())?;
        let mut anew = false;
        match progress {
            Progress::Waits => session.note_handled(bytes),
            Progress::Managed => session.begin_management(),
            Progress::Restart => anew = true,
            Progress::StartTls => {
                let tls = tls::connect(&self.tls, &manner.domain).map_err(|e| e.to_string())?;
                session.connection.start_tls(tls);
                sign_in.open(manner, session.connection.outbound());
                anew = true;
            }
            Progress::Online => {
                session.note_handled(bytes);
                session.count_presence();
                session.phase = Phase::Online;
            }
        }
        if anew {
            session.scanner = crate::scan::Scanner::default();
        }
        let online = session.phase.is_online();
        mark(&mut self.sessions.dirty, session, id);
        if online {
            self.sessions.online += 1;
            script.online(&mut self.sessions, id, now);
        }
        Ok(anew)
    }

    fn lose(&mut self, id: usize, reason: &str, script: &mut dyn Script) {
        let Some(session) = self.sessions.list.get_mut(id) else {
            return;
        };
        match std::mem::replace(&mut session.phase, Phase::Gone) {
            Phase::Gone => return,
            Phase::Closing => {}
            phase => {
                self.sessions.lost += 1;
                self.sessions.last_reason = reason.to_owned();
                if phase.is_online() {
                    self.sessions.online -= 1;
                }
            }
        }
        session.hang_up();
        script.gone(id, reason);
    }
}
