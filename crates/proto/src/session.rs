//! Owns what a connection, its session and its user tell each other.
//!
//! ```text
//! connection ---ConnectionEvent---> session --UserEvent--> user
//! connection <--ConnectionCommand-- session <--UserEvent-- user
//! ```
//!
//! Before there is a session, the connection asks the user ([`ConnectionEvent::Bind`]); the user answers for a
//! refusal, the new session for a success.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use xmpp::{BareJid, FullJid, Stanza, StanzaError, StreamError};

use crate::route::{ConnectionId, SessionId};
use crate::snapshot::SessionSnapshot;

/// From a connection. All but [`ConnectionEvent::Bind`] go to the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// To the user: a client wants a resource (RFC 6120 §7).
    Bind {
        /// The resource that the client asked for, prepared; none: the server makes one.
        resource: Option<Arc<str>>,
        /// The id of the IQ, given back with the answer.
        iq_id: Arc<str>,
        /// The session gets carbons from the beginning (XEP-0386 §3.2, XEP-0280).
        carbons: bool,
    },
    /// A client signed in again wants its session back (XEP-0198 §5).
    Resume {
        /// The secret half of the resumption id ([`crate::ResumptionId`]).
        secret: [u8; 16],
        /// The client's h: stanzas that it has handled.
        h: u32,
    },
    /// A stanza of the client, stamped with its full JID.
    Stanza(Stanza),
    /// A stanza of the client that its connection has answered: it was faulty, or about the stream alone. It
    /// counts like any other, and so does the answer, if one is owed (XEP-0198 §4).
    Answered(Option<Stanza>),
    /// `<enable/>` (XEP-0198 §3).
    Enable {
        /// The client wants to be able to resume.
        resume: bool,
        /// The longest time that the client asks for.
        max: Option<Duration>,
    },
    /// `<a/>`: the client has handled this many stanzas, modulo 2^32 (XEP-0198 §4).
    Ack {
        /// The client's h.
        h: u32,
    },
    /// Client state (XEP-0352).
    ClientState(ClientState),
    /// The connection has written everything that it was given so far; after
    /// [`ConnectionCommand::Stanza`]s held back for a slow reader.
    Drained,
    /// The connection takes no more for now: its out-buffer is full.
    Clogged,
    /// The connection is gone.
    Gone(Gone),
}

/// The part of an [`xmpp::Origin::Client`] by which a connection sends stanzas of a client that does not count: its number is
/// the stanza's place among all that the client has sent. So a session that goes on elsewhere knows by their places
/// stanzas that come to it once more.
pub const PLACED: u16 = 1;

/// Whether anybody looks at the client (XEP-0352 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientState {
    /// `<active/>`
    #[default]
    Active,
    /// `<inactive/>`
    Inactive,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The stream was closed in order: the session ends with it.
    Closed,
    /// The socket broke or fell silent: a resumable session waits.
    Lost,
}

/// From a session (or, where said, a user) to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionCommand {
    /// The resource is bound (RFC 6120 §7.6).
    Bound {
        /// The new session.
        session: SessionId,
        /// Its address.
        jid: FullJid,
        /// The id of the IQ that asked.
        iq_id: Arc<str>,
    },
    /// From the user: the resource is refused (RFC 6120 §7.6.2, §7.7.2).
    BindRefused {
        /// Why.
        error: StanzaError,
        /// The id of the IQ that asked.
        iq_id: Arc<str>,
    },
    /// The session is back (XEP-0198 §5); the unacknowledged stanzas follow.
    Resumed {
        /// The session.
        session: SessionId,
        /// Its address.
        jid: FullJid,
        /// Stanzas of the client that are handled.
        h: u32,
        /// The id by which it was resumed.
        previd: Arc<str>,
    },
    /// The session is not there to be resumed, or the secret is wrong: `item-not-found` (XEP-0198 §5).
    ResumeFailed {
        /// Stanzas handled, where the session is still known.
        h: Option<u32>,
    },
    /// `<enabled/>`: from here on both sides count (XEP-0198 §3).
    Enabled {
        /// The resumption id, where resumption is allowed.
        id: Option<Arc<str>>,
        /// How long a lost connection may stay away.
        max: Duration,
    },
    /// A stanza for the client.
    Stanza(Stanza),
    /// Canonical bytes for the client that are no stanza, such as `<r/>`.
    Nonza(Bytes),
    /// The client's stanzas up to this count, modulo 2^32, are handled (XEP-0198 §4).
    Handled {
        /// The server's h.
        h: u32,
        /// How many stanzas of the client are not handled yet; the connection stops reading at a bound.
        open: usize,
    },
    /// What the connection is to keep as the session's second copy, beside what it sees itself: all of it on a new
    /// connection, what has changed later on ([`SessionSnapshot::absorb`]).
    Keep(Box<SessionSnapshot>),
    /// The session is over: write what is there, then the error if any, and close.
    Close(Option<StreamError>),
}

/// Between a session and its user; always on the same arbiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserEvent {
    /// User to session: begin.
    Start {
        /// The socket.
        connection: ConnectionId,
        /// The address.
        jid: FullJid,
        /// The id of the IQ that asked.
        iq_id: Arc<str>,
    },
    /// User to session: end with this stream error (RFC 6120 §4.9.3.3 conflict, kicks, deletion).
    End(StreamError),
    /// Session to user: a stanza of this session's client.
    Outbound {
        /// [`SessionId::uid`].
        session: u64,
        /// The stanza, stamped.
        stanza: Stanza,
    },
    /// Session to user: the session is over.
    Ended {
        /// [`SessionId::uid`].
        session: u64,
        /// Stanzas that the client never acknowledged, oldest first (XEP-0198 §4, end of resumption).
        unacknowledged: Vec<Stanza>,
    },
    /// User to session: a message that was stored while nobody was there (XEP-0160).
    Stored {
        /// Given back in [`UserEvent::Taken`]; grows from message to message.
        mark: u64,
        /// The message.
        stanza: Stanza,
    },
    /// Session to user: the client has the stored messages up to this one. With stream management it has
    /// acknowledged them, otherwise they were handed to its connection.
    Taken {
        /// [`SessionId::uid`].
        session: u64,
        /// Of the last one.
        mark: u64,
    },
    /// Session to user: whether anybody looks at the client (XEP-0352).
    ClientState {
        /// [`SessionId::uid`].
        session: u64,
        /// The new state.
        state: ClientState,
    },
    /// User to session: what the user keeps of the session (no more than [`SessionSnapshot::entry`]), for its second
    /// copy. Session to user: it has come back from its copy, and this is what the user kept of it.
    Kept(Box<SessionSnapshot>),
    /// Administration to user: the account was added, disabled, enabled or removed; look at it again.
    AccountChanged,
    /// Administration to user: by an invitation, this contact and the account see each other from now on (XEP-0401
    /// §5.5).
    Befriend(BareJid),
    /// Session to user: whether a socket is attached.
    Attached {
        /// [`SessionId::uid`].
        session: u64,
        /// False while the session waits to be resumed.
        attached: bool,
        /// Messages that the client was given and has not acknowledged, when it lost its socket.
        unacknowledged: Vec<Stanza>,
    },
}
