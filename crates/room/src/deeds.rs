//! Owns what happens in a room that is neither in its rows nor somebody's coming or going, each kind of it one
//! [`Deed`]: it is done here, told to the second copy, and done again by whoever goes on from that.
//!
//! Of what a room knows beside, nothing needs to be told: budgets (`rate`) protect others from too much, and who takes
//! over begins with whole ones; the time until a room must be configured begins anew (`create`).

use crate::extensions::slow_mode;
use crate::room::Room;
use crate::snapshot::pb;
use crate::{invite, iq, private};

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
        Deed::Private(message) => private::went(room, message),
        Deed::Spoke(speaker) => slow_mode::spoke(room, speaker),
    }
}
