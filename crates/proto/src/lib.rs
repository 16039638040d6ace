//! What actors and members send each other: routes, envelopes, receipts, and the events and commands between
//! connections, sessions and users. Knows no actor, no socket and no store.
//!
//! | module | owns |
//! |---|---|
//! | [`route`] | an address resolved to the kind of actor that answers for it (RFC 6120 §10) |
//! | [`lanes`] | by which lane a stanza goes to another domain |
//! | [`disclosed`] | what components can do in the server's place |
//! | [`envelope`] | one thing on its way to one actor |
//! | [`receipt`] | responsibility for a stanza, as a value |
//! | [`firsts`] | the receipts of what comes more than once |
//! | [`seen`] | which stanzas have come before |
//! | [`session`] | what connection, session and user tell each other |
//! | [`resumption`] | the name by which a client asks for its session back (XEP-0198) |
//! | [`snapshot`] | the live state of entities as data |
//! | [`time`] | points in time, handed in from outside |
//! | [`member`] | the names of processes and threads |
//! | [`wire`] | envelopes as messages between members, and back |

pub mod disclosed;
pub mod envelope;
pub mod firsts;
pub mod lanes;
pub mod member;
pub mod receipt;
pub mod resumption;
pub mod route;
pub mod seen;
pub mod session;
pub mod snapshot;
pub mod time;
pub mod wire;

pub use disclosed::Disclosed;
pub use envelope::{Announced, Body, CopyUpdate, Envelope, HeldStreams, Target, TraceContext};
pub use firsts::Firsts;
pub use lanes::Lanes;
pub use member::{ArbiterId, MemberId};
pub use receipt::{Ledger, Receipt};
pub use resumption::ResumptionId;
pub use route::{
    ConnectionId, CopyId, Hosts, RemoteId, Route, ServiceId, ServiceKind, SessionId, StreamId,
};
pub use seen::{Mark, Seen};
pub use time::Now;
