//! Owns who speaks to all: an occupant, or somebody who hears the room without being inside, under the nick that is
//! theirs (MUC/Sub).

use bytes::Bytes;
use entity::Passage;
use xmpp::{BareJid, FullJid, Jid};

use crate::affiliation::Role;
use crate::nick::occupant_jid;
use crate::occupant::Occupant;
use crate::room::Room;
use crate::subscribers::Subscription;
use crate::{extensions, voices};

/// Who speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Speaker<'a> {
    /// They are inside.
    Inside(&'a Occupant),
    /// They are not.
    Outside(&'a BareJid, &'a Subscription),
}

impl<'a> Speaker<'a> {
    /// Whose client this is, if they may be heard at all.
    pub(crate) fn of_client(room: &'a Room, from: &Jid) -> Option<Self> {
        match room.occupants.of_session(from) {
            Some(occupant) => Some(Self::Inside(occupant)),
            None => {
                let (who, it) = room.subscribers.find(from.bare_str())?;
                Some(Self::Outside(who, it))
            }
        }
    }

    /// Of a message that has the room's own address of its speaker already.
    pub(crate) fn of_passage(room: &'a Room, passage: &Passage) -> Option<Self> {
        if let Some(number) = passage.session {
            return room.occupants.get(number).map(Self::Inside);
        }
        let nick = passage.stanza.head().from.as_ref()?.resourcepart()?;
        let who = room.subscribers.owner_of_nick(nick)?;
        Some(Self::Outside(who, room.subscribers.get(who)?))
    }

    /// Who they really are.
    pub(crate) fn who(self) -> &'a BareJid {
        match self {
            Self::Inside(occupant) => &occupant.who,
            Self::Outside(who, _) => who,
        }
    }

    /// The number of the occupant.
    pub(crate) fn number(self) -> Option<u64> {
        match self {
            Self::Inside(occupant) => Some(occupant.number),
            Self::Outside(..) => None,
        }
    }

    /// As whom all hear them.
    pub(crate) fn jid(self, room: &Room) -> Option<FullJid> {
        match self {
            Self::Inside(occupant) => Some(occupant.jid.clone()),
            Self::Outside(_, it) => occupant_jid(&room.jid, &it.nick, usize::MAX).ok(),
        }
    }

    /// What they may do; who is not inside, what they could if they were.
    pub(crate) fn role(self, room: &Room) -> Role {
        match self {
            Self::Inside(occupant) => occupant.role,
            Self::Outside(who, _) => voices::role_on_entering(room, who),
        }
    }

    /// What is attached to all that they say.
    pub(crate) fn marks(self, room: &Room) -> Bytes {
        match self {
            Self::Inside(occupant) => occupant.marks.clone(),
            Self::Outside(who, _) => extensions::marks(room, who),
        }
    }
}
