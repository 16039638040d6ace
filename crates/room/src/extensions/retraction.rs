//! XEP-0424 Message Retraction, version 0.4.2: what somebody takes back is not shown again; in the archive a
//! tombstone stands in its place.

use entity::{Context, Extension, Passage, Verdict};
use proto::Now;
use store::{ArchiveId, ArchivePage, ArchiveQuery, ArchiveRow, Write};
use xmpp::{Element, Stanza, datetime, kept, ns};

use crate::extensions::stanza_id_of;
use crate::{Room, subject};

/// Retraction of messages.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0424",
    title: "Message Retraction",
    version: "0.4.2",
    features: &[ns::RETRACT, ns::TOMBSTONE],
    inbound: Some(name),
    ..Extension::NONE
};

/// A retraction has an id, which the tombstone names (§4).
fn name(_: &mut Room, passage: &mut Passage, cx: &mut Context<'_, Room>) -> Verdict {
    let is_nameless = passage.stanza.head().id.is_none();
    if is_nameless && passage.stanza.find("retract", ns::RETRACT).is_some() {
        let id = format!("{:016x}", cx.random_u64());
        passage.stanza = passage.stanza.with_head(|head| head.id = Some(id.into()));
    }
    Verdict::Pass
}

/// Which message of the archive a message takes back (§3).
pub(crate) fn retracted(room: &Room, stanza: &Stanza) -> Option<ArchiveId> {
    let retract = stanza.child("retract", ns::RETRACT)?;
    retract.attr("id").and_then(|id| room.shared.config.ids.read(id))
}

/// What must be kept with a retraction, so that whoever goes on with the room finds both or neither: a tombstone in the
/// place of the message that it takes back (§4, §5). Nothing of one that was taken back before.
pub(crate) fn burial(room: &Room, row: &ArchiveRow, retraction: &Stanza, now: Now) -> Vec<Write> {
    if is_tombstone(row) {
        return Vec::new();
    }
    let retracted = Element::new("retracted", ns::RETRACT)
        .with_attr_opt("id", retraction.head().id.as_deref())
        .with_attr("stamp", datetime::format_seconds(now.unix_micros));
    bury(room, row.id, tombstone(room, row, retracted))
}

/// What must be kept of it that a message was taken back.
pub(super) fn bury(room: &Room, id: ArchiveId, stone: Option<ArchiveRow>) -> Vec<Write> {
    let stone = stone.map(|row| Write::Replace(room.jid.clone(), row));
    stone.into_iter().chain(subject::unset(room, id)).collect()
}

/// It is not shown any more.
pub(crate) fn forget(room: &mut Room, id: ArchiveId) {
    room.history.remove(id);
    subject::taken_back(room, id);
}

/// A row of the archive.
pub(crate) fn find(
    room: &Room,
    id: ArchiveId,
    cx: &mut Context<'_, Room>,
    then: impl FnOnce(&mut Room, &mut Context<'_, Room>, Result<Option<ArchiveRow>, store::Error>)
    + 'static,
) {
    let owner = room.jid.clone();
    let query = ArchiveQuery { ids: vec![id], limit: 1, ..ArchiveQuery::default() };
    cx.read(
        move |store, fence| store.query(fence, owner, query),
        move |room, cx, page: Result<ArchivePage, store::Error>| {
            then(room, cx, page.map(|mut page| page.rows.pop()));
        },
    );
}

/// Whether a message was taken back before, perhaps by somebody else (XEP-0425 §4).
fn is_tombstone(row: &ArchiveRow) -> bool {
    kept::read(&row.stanza).is_some_and(|it| it.find("retracted", ns::RETRACT).is_some())
}

/// What stands in the place of a message: its head, the ids that the room gave, and what became of it (§4). One that took
/// another back goes on doing so (§5). Of what its sender wrote nothing is kept, in whatever element it stood.
pub(super) fn tombstone(room: &Room, row: &ArchiveRow, outcome: Element) -> Option<ArchiveRow> {
    let stanza = kept::read(&row.stanza)?;
    let mut content = vec![outcome];
    content.extend(stanza.child("occupant-id", ns::OCCUPANT_ID));
    content.push(stanza_id_of(room, row.id));
    content.extend(still_retracts(room, &stanza));
    let stone = Stanza::build(stanza.head().clone(), &content);
    Some(ArchiveRow { stanza: kept::write(&stone), ..row.clone() })
}

/// What a message takes back, by its id alone; of the room's own, also that a moderator has done it (XEP-0425 §3.1).
fn still_retracts(room: &Room, stanza: &Stanza) -> Option<Element> {
    let id = room.shared.config.ids.write(retracted(room, stanza)?);
    let retract = Element::new("retract", ns::RETRACT).with_attr("id", id);
    let is_of_room = stanza.head().from.as_ref().is_some_and(|from| from.is_bare());
    let moderated = stanza.child("retract", ns::RETRACT)?.child("moderated", ns::MODERATE).cloned();
    Some(retract.with_children(moderated.filter(|_| is_of_room)))
}
