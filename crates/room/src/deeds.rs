//! Owns what happens in a room that is neither in its rows nor somebody's coming or going, each kind of it one
//! [`Deed`]: it is done here, told to the second copy, and done again by whoever goes on from that.
//!
//! Of what a room knows beside, nothing needs to be told: budgets (`rate`) and who has spoken when (`slow_mode`)
//! protect others from too much, and who takes over begins with whole ones; a request for voice (XEP-0045 §7.13)
//! is a form that says all that is needed; the time until a room must be configured begins anew (`create`).

use crate::extensions::register;
use crate::room::Room;
use crate::snapshot::pb;
use crate::{invite, iq, private, voices};

/// Something that is done.
pub(crate) type Deed = pb::deed::What;

/// Deeds that the second copy does not know.
#[derive(Debug, Default)]
pub(crate) struct Deeds(Vec<pb::Deed>);

impl Deeds {
    /// What the copy learns now.
    pub(crate) fn take(&mut self) -> Vec<pb::Deed> {
        std::mem::take(&mut self.0)
    }
}

/// Performs a deed, and notes it for the second copy.
pub(crate) fn act(room: &mut Room, deed: Deed) {
    // What happens while nobody has a copy is in the first one.
    if room.fan_outs.is_watched() {
        room.deeds.0.push(pb::Deed { what: Some(deed.clone()) });
    }
    again(room, deed);
}

/// Does what a former owner has done.
pub(crate) fn again(room: &mut Room, deed: Deed) {
    match deed {
        Deed::Passed(request) => iq::passed(room, request),
        Deed::Answered(id) => iq::answered(room, &id),
        Deed::Invited(invitation) => invite::invited(room, invitation),
        Deed::Settled(invitation) => invite::settled(room, &invitation),
        Deed::Registers(registration) => register::waits(room, registration),
        Deed::Decided(registration) => register::decided(room, &registration),
        Deed::Voice(voice) => voices::set(room, voice),
        Deed::Usual(who) => voices::unset(room, &who),
        Deed::Private(message) => private::went(room, message),
    }
}
