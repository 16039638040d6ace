//! Multi-user chat (XEP-0045): rooms, their occupants and affiliations, and the directory of a service.
//! Knows no account and no socket; everybody is an address here.
//!
//! In the order in which a stanza meets them:
//!
//! | module | owns |
//! |---|---|
//! | [`directory`] | the service itself: which rooms there are, and who may make one more |
//! | [`room`] | the Room entity: its phases, and which stanza goes to which file |
//! | [`queue`] | what waits, so that a room has one order of events |
//! | [`create`] | from the first knock to a room that waits for its configuration (§10.1) |
//! | [`enter`] | entering, and once more (§7.2) |
//! | [`nick_change`] | another nick (§7.6), another availability (§7.7) |
//! | [`exit`] | leaving, and being removed (§7.14, §8.2, §9.1, §11) |
//! | [`presence`] | what is told of an occupant to whom |
//! | [`speak`] | messages to all (§7.4), kept before they are reflected |
//! | [`private`] | messages to one (§7.5) |
//! | [`subject`] | the subject (§8.1) |
//! | [`history`] | what newcomers are shown (§7.2.13) |
//! | [`invite`] | mediated invitations (§7.8.2) |
//! | [`voice`] | requests for voice (§7.13, §8.6) |
//! | `voices` | who keeps or lacks voice over visits (§5.1) |
//! | [`iq`] | requests to the room, and between occupants (§17.4) |
//! | [`admin`] | lists of people, seen and changed (§8, §9, §10) |
//! | [`affiliate`] | affiliations given and taken, with all that follows |
//! | [`owner`] | configuration (§10.1.3, §10.2) |
//! | [`destroy`] | the end of a room (§10.9) |
//! | `snapshot` | its live state as data |
//! | [`deeds`] | what is neither in rows nor somebody's coming or going |
//! | `mirror` | the second copy of it, and going on from that |
//! | [`fan_out`] | messages on their way to all |
//! | [`extensions`] | the ordered list of extensions, one file each |
//!
//! Values and rules, without any effect: [`affiliation`], [`affiliations`], [`occupant`], [`nick`],
//! [`rules`], [`settings`], [`form`], [`rate`], [`birth`], [`hats`].

pub mod admin;
pub mod affiliate;
pub mod affiliation;
pub mod affiliations;
pub mod birth;
pub mod config;
pub mod create;
pub mod deeds;
pub mod destroy;
pub mod directory;
pub mod enter;
pub mod exit;
pub mod extensions;
pub mod fan_out;
pub mod form;
pub mod hats;
pub mod history;
pub mod invite;
pub mod iq;
mod mirror;
pub mod nick;
pub mod nick_change;
pub mod occupant;
pub mod owner;
pub mod presence;
pub mod private;
pub mod queue;
pub mod rate;
pub mod refuse;
pub mod room;
pub mod rules;
pub mod settings;
mod snapshot;
pub mod speak;
pub mod subject;
#[cfg(test)]
mod tests;
pub mod voice;
mod voices;

pub use config::{Config, Create, Rates, Shared};
pub use directory::Directory;
pub use extensions::EXTENSIONS;
pub use room::Room;
