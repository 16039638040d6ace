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
//! | [`order`] | rooms that the service itself makes |
//! | [`enter`] | entering, and once more (§7.2) |
//! | [`nick_change`] | another nick (§7.6), another availability (§7.7) |
//! | [`exit`] | leaving, and being removed (§7.14, §8.2, §9.1, §11) |
//! | [`presence`] | what is told of an occupant to whom |
//! | [`reveal`] | what those are told who see real addresses from now on |
//! | [`tell`] | how it is told: under numbers of the room's own, and once more by a new owner |
//! | [`refuse`] | how a room says no |
//! | [`speak`] | messages to all (§7.4), kept before they are reflected |
//! | [`private`] | messages to one (§7.5) |
//! | [`subject`] | the subject (§8.1) |
//! | `speaker` | who speaks, inside or not |
//! | `subscribe` | hearing the room without being inside (MUC/Sub) |
//! | `events` | what those are told who do |
//! | [`heard`] | which rooms somebody hears so |
//! | [`history`] | what newcomers are shown (§7.2.13) |
//! | [`invite`] | mediated invitations (§7.8.2) |
//! | [`voice`] | requests for voice (§7.13, §8.6) |
//! | `voices` | who keeps or lacks voice over visits (§5.1) |
//! | `registrations` | who waits for an admin to register (§9.9) |
//! | `keep` | changes that are rows first |
//! | [`iq`] | requests to the room, and between occupants (§17.4) |
//! | [`asked`] | who waits for what a room answers to its service |
//! | [`admin`] | lists of people, seen and changed (§8, §9, §10) |
//! | [`affiliate`] | affiliations given and taken, with all that follows |
//! | [`owner`] | configuration (§10.1.3, §10.2) |
//! | [`destroy`] | the end of a room (§10.9) |
//! | `snapshot` | its live state as data |
//! | [`deeds`] | what is neither in rows nor somebody's coming or going |
//! | `mirror` | the second copy of it, and going on from that |
//! | `past` | what is read of the archive before a room says anything |
//! | [`fan_out`] | messages on their way to all |
//! | [`extensions`] | the ordered list of extensions, one file each |
//!
//! Values and rules, without any effect: [`affiliation`], [`affiliations`], [`occupant`], [`subscribers`], [`nick`],
//! [`rules`], [`settings`], [`form`], [`links`], [`rate`], [`birth`], [`hats`].

mod admin;
mod affiliate;
mod affiliation;
mod affiliations;
mod ask;
mod asked;
mod birth;
mod config;
mod create;
mod deeds;
mod destroy;
pub mod directory;
mod enter;
mod events;
mod exit;
mod extensions;
mod fan_out;
mod form;
mod hats;
mod heard;
mod history;
mod hold;
mod invite;
mod iq;
mod keep;
mod links;
mod mirror;
mod nick;
mod nick_change;
mod occupant;
mod order;
mod owner;
mod past;
mod presence;
mod private;
mod queue;
mod rate;
mod refuse;
mod registrations;
mod reveal;
mod room;
mod rules;
pub mod settings;
mod snapshot;
mod speak;
mod speaker;
mod subject;
mod subscribe;
mod subscribers;
mod tell;
#[cfg(test)]
mod tests;
mod voice;
mod voices;

pub use affiliation::{Affiliation, Role};
pub use affiliations::Affiliations;
pub use asked::Hears;
pub use birth::Birth;
pub use config::{Config, Create, Pace, Rates, Shared};
pub use directory::Directory;
pub use extensions::EXTENSIONS;
pub use heard::Heard;
pub use room::Room;
