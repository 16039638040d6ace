//! Owns what those are told who see real addresses from now on (XEP-0045 §8, item 1): of everybody who was inside already,
//! as on entering (§7.2.2). Like a welcome it is not kept but found again ([`crate::tell`]): a new owner tells what is so
//! then, of people maybe more than once.

use entity::Context;
use store::ArchiveId;
use xmpp::Jid;

use crate::affiliation::Role;
use crate::fan_out;
use crate::occupant::Occupant;
use crate::presence;
use crate::room::Room;
use crate::snapshot::pb;

use pb::said::To;

/// Most presences of one change of the room as a whole. Where it were more, status code 172 must do (§10.2.1): everybody is
/// shown with an address when they show themselves next.
const TOLD_MOST: usize = 250_000;

/// An occupant may have become a moderator. `saw`: addresses were no secret to them before.
pub(crate) fn to_one(room: &Room, number: u64, saw: bool, cx: &mut Context<'_, Room>) {
    if !saw {
        let last = room.occupants.last_number();
        reveal(room, pb::Revealed { last, only: Some(number) }, None, cx);
    }
}

/// Addresses are no secret any more (`muc#roomconfig_whois`).
pub(crate) fn to_all(room: &Room, cx: &mut Context<'_, Room>) {
    let last = room.occupants.last_number();
    reveal(room, pb::Revealed { last, only: None }, None, cx);
}

/// A former owner has told it, maybe not to all: under the number that it had.
pub(crate) fn again(room: &Room, id: u64, whom: pb::Revealed, cx: &mut Context<'_, Room>) {
    reveal(room, whom, Some(ArchiveId(id)), cx);
}

fn reveal(room: &Room, whom: pb::Revealed, former: Option<ArchiveId>, cx: &mut Context<'_, Room>) {
    let seers = seers(room, &whom);
    let known = room.occupants.iter().filter(|it| it.number <= whom.last);
    let known: Vec<&Occupant> = known.filter(|it| room.settings.broadcast.has(it.role)).collect();
    let clients: usize = seers.iter().map(|seer| seer.sessions.len()).sum();
    let is_too_much = whom.only.is_none() && clients.saturating_mul(known.len()) > TOLD_MOST;
    if seers.is_empty() || is_too_much {
        return;
    }
    let origin_of = if former.is_some() { fan_out::origin_anew } else { fan_out::origin };
    let id = former.unwrap_or_else(|| room.next_id(cx.now));
    let (origin, receipt) = room.fan_outs.begin(id, cx.receipt(), &cx.waker());
    room.fan_outs.say(|| pb::Said {
        id: id.0,
        to: Some(To::Revealed(whom)),
        ..pb::Said::default()
    });
    cx.caused_by(origin, receipt, |cx| {
        for occupant in known {
            let others = seers.iter().filter(|seer| seer.number != occupant.number);
            let others: Vec<Jid> = others.flat_map(|seer| seer.clients()).collect();
            let origin = origin_of(room.next_id(cx.now));
            let stanza = presence::with_address(room, occupant);
            cx.caused_by(origin, cx.receipt(), |cx| cx.send_to_all(stanza, others));
        }
    });
}

/// Who sees addresses because of it; moderators saw them before.
fn seers<'a>(room: &'a Room, whom: &pb::Revealed) -> Vec<&'a Occupant> {
    let is_meant = |it: &&Occupant| match whom.only {
        Some(number) => it.number == number,
        None => it.number <= whom.last && it.role < Role::Moderator,
    };
    let meant = room.occupants.iter().filter(is_meant);
    meant.filter(|it| room.shows_addresses_to(it)).collect()
}
