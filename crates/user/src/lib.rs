//! A local account: its sessions, roster, presence and delivery (RFC 6121), and its extensions.
//! Knows no socket, no other account's state, and no engine of the store.
//!
//! In the order in which a stanza meets them:
//!
//! | module | owns |
//! |---|---|
//! | [`session`] | the Session entity: a bound resource, its queue, its counters, its client's state |
//! | [`user`] | the User entity: which event goes to which file |
//! | [`bind`] | resources: given, refused, taken over (RFC 6120 §7) |
//! | [`sessions`] | the user's small table of its sessions |
//! | [`snapshot`] | the user as data |
//! | [`stored`] | sessions that wait over a restart |
//! | [`stages`] | the way through the extensions, in list order |
//! | [`outbound`] | what the account's own clients send (RFC 6120 §10.3) |
//! | [`inbound`] | what others send to the account (RFC 6121 §8) |
//! | [`rules`] | what becomes of a message (RFC 6121 §8.5); pure |
//! | [`iq`] | answers to requests to the account itself |
//! | [`roster`] | the roster (RFC 6121 §2) |
//! | [`subscription`] | the state tables (RFC 6121 §3, appendix A); pure |
//! | [`presence`] | presence (RFC 6121 §4) |
//! | [`befriend`] | the subscription that an invitation makes (XEP-0401) |
//! | [`leaving`] | the end of an account (XEP-0077 §3.2) |
//! | [`pep`] | the account's nodes, and who wants events of them (XEP-0163) |
//! | [`offline`] | messages that nobody took yet (XEP-0160) |
//! | [`portable`] | the account as a file of XEP-0227 |
//! | [`figures`] | what is counted |
//! | [`waiting`] | which sessions wait to be resumed, for administration |
//! | [`extensions`] | the ordered list of extensions, one file each |

mod befriend;
mod bind;
pub mod config;
pub mod extensions;
mod figures;
mod inbound;
mod iq;
mod leaving;
mod offline;
mod outbound;
mod pep;
pub mod portable;
mod presence;
mod roster;
mod rules;
pub mod session;
mod sessions;
mod snapshot;
#[cfg(test)]
mod stage;
mod stages;
pub mod stored;
mod subscription;
mod user;
pub mod waiting;

pub use config::Config;
pub use figures::Figures;
pub use pep::caps::Cache as CapsCache;
pub use roster::shown as shown_roster;
pub use session::Session;
pub use user::User;
