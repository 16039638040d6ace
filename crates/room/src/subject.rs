//! Owns the subject of a room (XEP-0045 §7.2.15, §7.3, §8.1): who may change it, and how it is kept.

use proto::Now;
use store::Write;
use xmpp::{Features, Jid, Stanza, delay, kept};

use crate::affiliation::Role;
use crate::birth;
use crate::room::Room;

/// Whether a message changes the subject: it has a subject, and neither body nor thread (§8.1).
#[must_use]
pub fn is_change(stanza: &Stanza) -> bool {
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

/// As newcomers get it: with the time of the change (§7.2.15).
fn late(room: &Room, stanza: &Stanza, now: Now) -> Stanza {
    let clean = stanza.without(|child| child.ns == xmpp::ns::DELAY);
    clean.with_child(&delay::element(Some(&Jid::from(room.jid.clone())), now.unix_micros))
}
