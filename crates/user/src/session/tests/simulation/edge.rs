//! A connection in the simulation, as `c2s` has it: what its client writes, what its session says to it, and its copy.

use super::*;

/// With so many handled that the client has not been told of, it is told unasked.
const UNTOLD_MAX: u32 = 16;

/// From a client to its connection.
#[derive(Debug)]
pub(super) enum Up {
    Message(u64),
    Ask,
    Handled(u32),
}

/// From a connection to its client.
#[derive(Debug)]
pub(super) enum Down {
    Message(u64, u64),
    Ask,
    Handled(u32),
    Resumed(u32),
    Close,
}

/// How a socket stands, as its connection sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    /// A client is there.
    Open,
    /// The client has gone, and nobody has noticed: what it had written is still read.
    HalfOpen,
    Closed,
}

/// A connection, as `c2s` has it.
pub(super) struct Edge {
    pub(super) id: ConnectionId,
    pub(super) socket: Socket,
    pub(super) asks: Option<ConnectionEvent>,
    pub(super) bound: bool,
    pub(super) copy: Option<Box<SessionSnapshot>>,
    pub(super) orphan: Option<Box<SessionSnapshot>>,
    unconfirmed: VecDeque<Option<ConnectionEvent>>,
    confirmed: u32,
    /// Of what is confirmed, what the client was told.
    told: u32,
    /// The client has asked when not all was confirmed.
    curious: bool,
    /// Written by the client, and not read yet.
    pub(super) unread: VecDeque<Up>,
    pub(super) up: VecDeque<(ConnectionEvent, bool)>,
    pub(super) down: VecDeque<Down>,
    /// On its way from the session, with the turn that has sent it.
    pub(super) inbox: VecDeque<(u64, Envelope)>,
}

/// As `c2s` begins a copy.
fn begun(counts: Option<Counts>, seq: u64) -> Box<SessionSnapshot> {
    let stream = StreamSnapshot { counts, seq, ..StreamSnapshot::default() };
    let (connection, resumption, entry, term) = Default::default();
    let jid = FullJid::parse("a@x.org/r").unwrap();
    Box::new(SessionSnapshot {
        uid: UID,
        jid,
        connection,
        resumption,
        stream: Some(stream),
        entry,
        term,
    })
}

impl Edge {
    pub(super) fn new(member: MemberId, number: u64) -> Self {
        Self {
            id: ConnectionId { member, arbiter: ArbiterId(0), number },
            socket: Socket::Open,
            asks: None,
            bound: false,
            copy: None,
            orphan: None,
            unconfirmed: VecDeque::new(),
            confirmed: 0,
            told: 0,
            curious: false,
            unread: VecDeque::new(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            inbox: VecDeque::new(),
        }
    }

    /// Reads the next thing that the client has written.
    pub(super) fn read(&mut self) {
        let Some(next) = self.unread.pop_front().filter(|_| self.bound) else { return };
        match next {
            Up::Message(number) => {
                let event = ConnectionEvent::Stanza(numbered(0, number));
                self.unconfirmed.push_back(self.copy.as_ref().map(|_| event.clone()));
                self.up.push_back((event, false));
            }
            Up::Ask => {
                (self.curious, self.told) = (!self.unconfirmed.is_empty(), self.confirmed);
                self.tell(Down::Handled(self.confirmed));
            }
            Up::Handled(h) => {
                if let Some(copy) = &mut self.copy {
                    copy.acknowledged(h);
                }
                self.up.push_back((ConnectionEvent::Ack { h }, false));
            }
        }
    }

    fn follow(&mut self, command: &ConnectionCommand, cause: Origin, lacks_orphans: bool) {
        let copy = match (&mut self.copy, &mut self.orphan) {
            (Some(copy), _) => copy,
            _ if lacks_orphans => return,
            (None, Some(orphan)) => orphan,
            // The session was on this member until it moved, and has not heard that the client is gone.
            (None, None) if !self.bound && matches!(command, ConnectionCommand::Keep(_)) => {
                self.orphan.insert(begun(None, 0))
            }
            (None, None) => return,
        };
        match command {
            ConnectionCommand::Stanza(stanza) => copy.given((stanza, cause), 0),
            ConnectionCommand::Handled { h, .. } => copy.handled(*h),
            ConnectionCommand::Keep(change) if !self.bound => {
                copy.absorb((**change).clone());
                copy.connection = None;
            }
            _ => {}
        }
    }

    /// Carries out a command of the session. `far`: that is on another member.
    pub(super) fn obey(
        &mut self,
        command: ConnectionCommand,
        cause: Origin,
        far: bool,
        lacks_orphans: bool,
    ) {
        self.follow(&command, cause, lacks_orphans);
        match command {
            ConnectionCommand::Stanza(stanza) => {
                let (sender, number) = read(&stanza);
                self.tell(Down::Message(sender, number));
            }
            ConnectionCommand::Nonza(_) => self.tell(Down::Ask),
            ConnectionCommand::Handled { h, .. } => self.confirm(h),
            ConnectionCommand::Resumed { h, .. } => {
                self.asks = None;
                let counts = Counts { handled: h.into(), ..Counts::default() };
                let copy = far.then(|| begun(Some(counts), h.into()));
                if self.socket == Socket::Closed {
                    self.orphan = copy;
                    return self.up.push_back((ConnectionEvent::Gone(Gone::Lost), false));
                }
                (self.bound, self.confirmed, self.told, self.copy) = (true, h, h, copy);
                self.tell(Down::Resumed(h));
            }
            ConnectionCommand::Keep(change) if self.bound => {
                self.copy.get_or_insert_with(|| begun(None, 0)).absorb(*change);
            }
            ConnectionCommand::Keep(_) => {}
            ConnectionCommand::Close(_) => {
                (self.bound, self.asks, self.copy, self.orphan) = (false, None, None, None);
                self.tell(Down::Close);
            }
            ConnectionCommand::ResumeFailed { .. } => {
                self.asks = None;
                let unheard = self.socket != Socket::Open;
                holds(unheard, Wrong::Ended, || "it could not be resumed".to_owned());
            }
            other => panic!("unexpected {other:?}"),
        }
    }

    /// Of what the client sent, this much is handled. It hears of that when it has asked, or has not heard for long.
    fn confirm(&mut self, h: u32) {
        let risen = h.wrapping_sub(self.confirmed) as usize;
        self.unconfirmed.drain(..risen.min(self.unconfirmed.len()));
        self.confirmed = h;
        let untold = h.wrapping_sub(self.told);
        if self.bound && untold > 0 && (self.curious || untold >= UNTOLD_MAX) {
            (self.told, self.curious) = (h, self.curious && !self.unconfirmed.is_empty());
            self.tell(Down::Handled(h));
        }
    }

    fn tell(&mut self, what: Down) {
        if self.socket == Socket::Open {
            self.down.push_back(what);
        }
    }

    fn as_data(&self, edge: Option<ConnectionId>) -> Option<SessionSnapshot> {
        let mut session = (**self.copy.as_ref()?).clone();
        session.connection = edge;
        Some(session)
    }

    /// The client is gone, and the connection notices.
    pub(super) fn lose(&mut self) {
        (self.socket, self.down, self.unread) = (Socket::Closed, VecDeque::new(), VecDeque::new());
        if self.bound {
            self.up.push_back((ConnectionEvent::Gone(Gone::Lost), false));
            self.orphan = self.as_data(None).map(Box::new);
            (self.bound, self.copy) = (false, None);
        }
    }

    /// What it says to a new owner.
    pub(super) fn announce(&mut self, number: u64, lacks_saying: bool) -> Option<SessionSnapshot> {
        self.up.clear();
        self.inbox.clear();
        if let Some(orphan) = &self.orphan {
            return Some((**orphan).clone());
        }
        self.id.number = number;
        if let Some(event) = self.asks.clone().filter(|_| self.socket != Socket::Closed) {
            self.up.push_back((event, false));
        }
        if !self.bound {
            return None;
        }
        let unconfirmed: Option<Vec<ConnectionEvent>> = self.unconfirmed.iter().cloned().collect();
        let (Some(session), Some(unconfirmed)) = (self.as_data(Some(self.id)), unconfirmed) else {
            let copy = self.as_data(None);
            self.lose();
            return copy;
        };
        if !lacks_saying {
            self.up.extend(unconfirmed.into_iter().map(|event| (event, true)));
        }
        Some(session)
    }
}
