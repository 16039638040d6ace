//! The words between actors and between members: routes, envelopes, receipts and what sessions and
//! connections say to each other. Knows no actor, no socket and no store.
//!
//! | module | owns |
//! |---|---|
//! | [`route`] | an address resolved to the kind of actor that answers for it (RFC 6120 §10) |
//! | [`lanes`] | by which lane a stanza goes to another domain |
//! | [`envelope`] | one thing on its way to one actor |
//! | [`receipt`] | responsibility for a stanza, as a value |
//! | [`seen`] | which stanzas have come before |
//! | [`session`] | the words between connection, session and user |
//! | [`resumption`] | the name by which a client asks for its session back (XEP-0198) |
//! | [`snapshot`] | the live state of entities as data |
//! | [`time`] | points in time, handed in from outside |
//! | [`member`] | the names of processes and threads |
//! | [`wire`] | envelopes as messages between members, and back |

pub mod envelope;
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

pub use envelope::{Announced, Body, CopyWord, Envelope, Lines, Target, TraceContext};
pub use lanes::Lanes;
pub use member::{ArbiterId, MemberId};
pub use receipt::{Ledger, Receipt};
pub use resumption::ResumptionId;
pub use route::{
    ConnectionId, CopyId, Hosts, LineId, RemoteId, Route, ServiceId, ServiceKind, SessionId,
};
pub use seen::{Mark, Seen};
pub use time::Now;
