//! Owns the subject of a room (XEP-0045 §7.2.15, §7.3, §8.1): who may change it, and how it is kept.

use proto::Now;
use store::{ArchiveId, Write};
use xmpp::{Features, Jid, Stanza, delay, kept, stanza_id};

use crate::affiliation::Role;
use crate::birth;
use crate::room::Room;

/// Whether a message changes the subject: it has a subject, and neither body nor thread (§8.1).
#[must_use]
pub(crate) fn is_change(stanza: &Stanza) -> bool {
    let features = stanza.features();
    features.any(Features::SUBJECT)
        && !features.any(Features::BODY)
        && stanza.find("thread", "").is_none()
}

/// Whether an occupant may change it.
pub(crate) fn may_change(room: &Room, role: Role) -> bool {
    let least = if room.settings.change_subject { Role::Participant } else { Role::Moderator };
    role >= least
}

/// What must be kept of a change.
pub(crate) fn put(room: &Room, stanza: &Stanza, now: Now) -> Write {
    birth::put(&room.jid, birth::SUBJECT, kept::write(&late(room, stanza, now)))
}

/// The subject is this one now.
pub(crate) fn changed(room: &mut Room, stanza: &Stanza, now: Now) {
    room.subject = Some(late(room, stanza, now));
}

/// What must be kept where a message is taken back that is the subject: there is none then (XEP-0424 §5).
pub(crate) fn unset(room: &Room, id: ArchiveId) -> Option<Write> {
    is_it(room, id).then(|| birth::delete(&room.jid, birth::SUBJECT))
}

/// A message was taken back; if it was the subject, there is none.
pub(crate) fn taken_back(room: &mut Room, id: ArchiveId) {
    if is_it(room, id) {
        room.subject = None;
    }
}

fn is_it(room: &Room, id: ArchiveId) -> bool {
    let subject = room.subject.as_ref().and_then(|it| stanza_id::find(it, &room.jid));
    subject.is_some_and(|known| known == room.shared.config.ids.write(id))
}

/// As newcomers get it: with the time of the change (§7.2.15).
fn late(room: &Room, stanza: &Stanza, now: Now) -> Stanza {
    let clean = stanza.without(|child| child.ns == xmpp::ns::DELAY);
    clean.with_child(&delay::element(Some(&Jid::from(room.jid.clone())), now.unix_micros))
}
