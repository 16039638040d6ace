//! XEP-0424 Message Retraction, version 0.4.2: what somebody takes back is not shown again; in the archive a
//! tombstone stands in its place.

use entity::{Context, Extension, Passage, Verdict};
use store::{ArchiveId, ArchivePage, ArchiveQuery, ArchiveRow, Write};
use xmpp::{BareJid, Element, Stanza, datetime, kept, ns};

use crate::{Room, subject};

/// Retraction of messages.
pub const EXTENSION: Extension<Room> = Extension {
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

/// A message of `who` was reflected: if it takes back one of his own, that one is buried (§4, §5).
pub(crate) fn heard(room: &Room, who: BareJid, stanza: &Stanza, cx: &mut Context<'_, Room>) {
    let Some(id) = retracted(room, stanza) else { return };
    let by = stanza.head().id.clone();
    find(room, id, cx, move |room, cx, row| {
        let Ok(Some(row)) = row else { return };
        if row.peer != who || is_tombstone(&row) {
            return;
        }
        let retracted = Element::new("retracted", ns::RETRACT)
            .with_attr_opt("id", by.as_deref())
            .with_attr("stamp", datetime::format_seconds(cx.now.unix_micros));
        let stone = tombstone(&row, retracted);
        let writes = bury(room, id, stone);
        cx.commit(writes);
        forget(room, id);
    });
}

/// What must be kept of it that a message was taken back.
pub(super) fn bury(room: &Room, id: ArchiveId, stone: Option<ArchiveRow>) -> Vec<Write> {
    let stone = stone.map(|row| Write::Replace(room.jid.clone(), row));
    stone.into_iter().chain(subject::unset(room, id)).collect()
}

/// It is not shown any more.
pub(super) fn forget(room: &mut Room, id: ArchiveId) {
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

/// What stands in the place of a message: its head, the ids that the room gave, and what became of it. One that took
/// another back goes on doing so (§5).
pub(super) fn tombstone(row: &ArchiveRow, retracted: Element) -> Option<ArchiveRow> {
    let stanza = kept::read(&row.stanza)?;
    let stays = |ns: &str, name: &str| {
        ns == ns::OCCUPANT_ID
            || (ns == ns::STANZA_ID && name == "stanza-id")
            || (ns == ns::RETRACT && name == "retract")
    };
    let stanza = stanza.without(|child| !stays(child.ns, child.name)).with_child(&retracted);
    Some(ArchiveRow { stanza: kept::write(&stanza), ..row.clone() })
}
