//! Owns what a room asks the homes of its people: whether a client that is inside is still there.
//!
//! What an account knew of a client is lost where its home dies before the second copy has it: that the client has asked to
//! come in, or that it was gone. Then nobody would say farewell for it, and it would be inside until something is said to
//! it (XEP-0045 §7.14). So whoever has a new home is asked for there, by a probe from the occupant to the client (RFC 6121
//! §4.3); the home says `unavailable` for a client that is not there, keeps in mind that any other is inside, and says
//! nothing more (`user/src/presence/directed.rs`). A new owner of the room asks for whom no home has claimed to be inside:
//! the same death may have taken both.

use std::collections::HashSet;

use bytes::Bytes;
use entity::{Context, Taken};
use proto::Route;
use xmpp::{FullJid, Head, Jid, Kind, PresenceType, Stanza, kept};

use crate::occupant::Occupant;
use crate::room::Room;

/// Asks the new homes of accounts for their clients.
pub(crate) fn new_homes(room: &Room, taken: &Taken<'_>, cx: &mut Context<'_, Room>) {
    let taken = room.occupants.iter().filter(|it| taken.owner(&it.who).is_some());
    taken.for_each(|occupant| ask(occupant, |_| true, cx));
}

/// Asks for everybody who is inside, but for whom somebody has spoken.
pub(crate) fn unclaimed(room: &Room, claims: &[Bytes], cx: &mut Context<'_, Room>) {
    let claimed = claims.iter().filter_map(|claim| kept::read(claim)?.head().from.clone());
    let claimed: HashSet<Jid> = claimed.collect();
    for occupant in room.occupants.iter() {
        ask(occupant, |client| !claimed.contains(client.as_str()), cx);
    }
}

/// Of the clients of one occupant these, if they are of this server.
fn ask(occupant: &Occupant, whom: impl Fn(&FullJid) -> bool, cx: &mut Context<'_, Room>) {
    for session in occupant.sessions.iter().filter(|session| whom(&session.jid)) {
        let client = Jid::from(session.jid.clone());
        if !matches!(Route::of(&client, cx.hosts), Route::User(_)) {
            continue;
        }
        let (from, to) = (Some(occupant.jid.clone().into()), Some(client));
        let kind = Kind::Presence(PresenceType::Probe);
        cx.send(Stanza::new(Head { kind, id: None, from, to, lang: None }, ""));
    }
}
