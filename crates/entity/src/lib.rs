//! The frame of every addressable actor: what an entity is, what an extension adds, what a turn may cause,
//! and the one actix shell around it all. Knows no particular entity and no extension.
//!
//! | module | owns |
//! |---|---|
//! | [`entity`] | the trait: a pure state machine with an address |
//! | [`context`] | one turn: time, chance, right, cause, and what the turn causes |
//! | [`extension`] | what one XEP adds to one kind of entity |
//! | [`answer`] | requests to a domain or service, answered by its extensions |
//! | [`disco`] | what an entity is and has |
//! | `ping` | pings to a domain or service |
//! | [`command`] | ad-hoc commands of an entity: found, permitted, run |
//! | [`slot`] | the private state of extensions |
//! | [`actor`] | the actix shell: mailbox, timers, panics, sleep |
//! | [`host`] | the actors of one arbiter |
//! | `inbox` | what waits for one actor |
//! | [`mirror`] | the second copy of an entity |
//! | [`writer`] | the writes of one arbiter's turn, together |
//! | [`figures`] | what is counted |
//! | `order` | that an entity goes on in the order in which it asked |
//! | `repeats` | whether an envelope that came over a link has come before |
//! | [`refuse`] | faults of machinery as stanza errors, in one place |
//! | [`table`] | the published table of extensions, off the lists |
//! | [`trial`] | an entity without an actor, for tests |

pub mod actor;
pub mod answer;
pub mod command;
pub mod context;
pub mod disco;
pub mod entity;
pub mod extension;
pub mod figures;
pub mod host;
mod inbox;
pub mod mirror;
mod order;
mod ping;
pub mod powers;
pub mod refuse;
mod repeats;
pub mod slot;
pub mod table;
pub mod trial;
pub mod writer;

pub use command::{Command, Commanded};
pub use context::{Context, Effect, Timer};
pub use disco::Discovered;
pub use entity::{Entity, LoadError};
pub use extension::{Answer, Extension, Extensions, Iq, Passage, Request, Verdict};
pub use figures::Figures;
pub use host::{Host, Spawn};
pub use mirror::{Copy, Mirror, Taken};
pub use powers::Powers;
pub use slot::{Slot, SlotKind, Slots};
