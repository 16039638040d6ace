//! XEP-0313 Message Archive Management, version 1.1.3: what was said to all, kept before anybody hears it, and
//! shown to those who may enter.
//!
//! A row names its sender's bare address beside the message, which shows the occupant JID alone (§6.1.2);
//! who may know addresses is shown it.

use archive::{Collector, Query, Step, answer};
use entity::extension::Who;
use entity::refuse::store_error;
use entity::{Answer, Context, Extension, Iq, Passage, Request, Verdict};
use store::{ArchivePage, ArchiveQuery, ArchiveRow, Write};
use xmpp::{
    Element, Features, Head, IqType, Jid, Kind, MessageType, Stanza, StanzaCondition, StanzaError,
    kept, ns,
};

use crate::Room;
use crate::affiliation::{Affiliation, Role};
use crate::extensions::stanza_id_of;
use crate::iq::reply;
use crate::room::Phase;
use crate::rules::Standing;
use crate::speaker::Speaker;

/// The archive of a room.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0313",
    title: "Message Archive Management",
    version: "1.1.3",
    features: &[ns::MAM, ns::MAM_EXTENDED, ns::MAM_GROUPCHAT],
    iqs: &[
        Iq { ty: IqType::Get, name: "query", ns: ns::MAM, who: Who::Anybody, handle: form },
        Iq { ty: IqType::Set, name: "query", ns: ns::MAM, who: Who::Anybody, handle: query },
        Iq { ty: IqType::Get, name: "metadata", ns: ns::MAM, who: Who::Anybody, handle: metadata },
    ],
    inbound: Some(keep),
    ..Extension::NONE
};

/// Words looked for in texts, where the configuration lets clients; discovery says so then.
pub(crate) const SEARCH: Extension<Room> = Extension {
    number: "0431",
    title: "Full Text Search in MAM",
    version: "0.2.0",
    ..Extension::NONE
};

/// Appends a row, and tells under which id (XEP-0359). It is written before the message is reflected.
fn keep(room: &mut Room, passage: &mut Passage, cx: &mut Context<'_, Room>) -> Verdict {
    let speaker = Speaker::of_passage(room, passage);
    let Some(peer) = speaker.map(|speaker| speaker.who().clone()) else { return Verdict::Pass };
    if !room.settings.archived || !tells_something(&passage.stanza) {
        return Verdict::Pass;
    }
    let id = room.next_id(cx.now);
    passage.stanza = passage.stanza.with_child(&stanza_id_of(room, id));
    let stanza = kept::write(&passage.stanza);
    let row = ArchiveRow { id, peer, origin: cx.origin(), stanza };
    passage.writes.push(Write::Append(room.jid.clone(), row));
    Verdict::Pass
}

/// Conversation, not state (§6.1.2). What has words and what changes the subject is kept whatever hints say, which bind
/// nobody (XEP-0334 §5): without an id of the archive no moderator could take it back (XEP-0425 §3). So is what takes
/// something back, since whoever catches up must hear of it (XEP-0424 §5). Of all else hints are heeded.
fn tells_something(stanza: &Stanza) -> bool {
    let has_words = stanza.features().any(Features::BODY.with(Features::SUBJECT));
    if has_words || stanza.find("retract", ns::RETRACT).is_some() {
        return true;
    }
    if stanza.features().any(Features::NO_STORE.with(Features::NO_PERMANENT_STORE)) {
        return false;
    }
    let state = |ns: &str| {
        matches!(ns, ns::CHAT_STATES | ns::STANZA_ID | ns::OCCUPANT_ID | ns::DELAY | ns::RECEIPTS)
    };
    let aside = |name: &str, ns: &str| {
        state(ns) || (ns == ns::HINTS && name != "store") || (ns.is_empty() && name == "thread")
    };
    stanza.children().any(|child| !aside(child.name, child.ns))
}

/// §4.1.5
fn form(
    room: &mut Room,
    request: &Request,
    _: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    check(room, request)?;
    Ok(Answer::Result(archive::query::form(room.shared.config.archive_search)))
}

/// Who may read: who may enter (§6.1.2). A query brings no password, so that where one is needed, only who is
/// inside, or hears the room without being there, has shown that they know it; those who rule the room need not.
///
/// # Errors
/// `service-unavailable` where nothing is kept: what was kept before is not shown; `item-not-found` in a room that
/// waits for its configuration; `forbidden`.
fn check(room: &Room, request: &Request) -> Result<Standing, StanzaError> {
    let from = request.stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?;
    let standing = room.standing_of(from);
    if matches!(room.phase, Phase::Locked) && standing.affiliation < Affiliation::Owner {
        return Err(StanzaCondition::ItemNotFound.into());
    }
    if !room.settings.archived {
        return Err(StanzaCondition::ServiceUnavailable.into());
    }
    let least = match &room.settings {
        settings if settings.password.is_some() => Affiliation::Admin,
        settings if settings.members_only => Affiliation::Member,
        _ => Affiliation::None,
    };
    let hears = room.subscribers.find(from.bare_str()).is_some();
    match hears || standing.role > Role::None || standing.affiliation >= least {
        true => Ok(standing),
        false => Err(StanzaCondition::Forbidden.into()),
    }
}

/// Whether real addresses are shown to this one.
fn sees_addresses(room: &Room, standing: Standing) -> bool {
    room.settings.addresses_shown
        || standing.role == Role::Moderator
        || standing.affiliation >= Affiliation::Admin
}

/// §4
fn query(
    room: &mut Room,
    request: &Request,
    cx: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    let standing = check(room, request)?;
    let sees = sees_addresses(room, standing);
    let config = &room.shared.config;
    let query = Query::parse(&request.payload, &config.ids)?;
    let mut query = query.with_pages_of(config.archive_page)?;
    if !config.archive_search {
        query = query.without_search()?;
    }
    by_publisher(room, &mut query, sees)?;
    let collector = Collector::new(query);
    let rows = collector.query().rows.clone();
    ask(room, request.stanza.clone(), sees, collector, rows, cx);
    Ok(Answer::Later)
}

/// §4.1.1: an occupant JID is compared with what the message shows, an address with who has sent it.
fn by_publisher(room: &Room, query: &mut Query, sees: bool) -> Result<(), StanzaError> {
    let of_room = query.rows.with.as_ref().is_some_and(|with| *with == room.jid);
    if of_room {
        query.rows.with = None;
        return Ok(());
    }
    if query.rows.with.is_some() && !sees {
        return Err(StanzaCondition::Forbidden.into());
    }
    query.exactly = None;
    Ok(())
}

/// Asks the store for a page, or for as many as the collector needs.
fn ask(
    room: &Room,
    request: Stanza,
    sees: bool,
    mut collector: Collector,
    rows: ArchiveQuery,
    cx: &mut Context<'_, Room>,
) {
    let owner = room.jid.clone();
    cx.read(
        move |store, fence| store.query(fence, owner, rows),
        move |room, cx, page| {
            let page = page.map_err(|error| store_error(&error));
            match page.and_then(|page| collector.take(page)) {
                Ok(Step::Ask(rows)) => ask(room, request, sees, collector, rows, cx),
                Ok(Step::Done(page)) => show(room, &request, sees, &collector, &page, cx),
                Err(error) => reply(room, &request, Err(error), cx),
            }
        },
    );
}

/// The results, then the answer.
fn show(
    room: &Room,
    request: &Stanza,
    sees: bool,
    collector: &Collector,
    page: &ArchivePage,
    cx: &mut Context<'_, Room>,
) {
    let to = request.head().from.clone();
    for row in answer::in_order(page, collector.query()) {
        let head = Head {
            kind: Kind::Message(MessageType::Normal),
            id: Some(format!("{:016x}", cx.random_u64()).into()),
            from: Some(Jid::clone(&room.jid)),
            to: to.clone(),
            lang: None,
        };
        let shown = if sees { with_sender(room, row) } else { row.clone() };
        cx.send(answer::result(head, &shown, collector.query(), &room.shared.config.ids));
    }
    reply(room, request, Ok(Some(answer::fin(page, &room.shared.config.ids))), cx);
}

/// §6.1.2: with the address of who has sent it. Messages of the room itself have none.
fn with_sender(room: &Room, row: &ArchiveRow) -> ArchiveRow {
    let Some(stanza) = kept::read(&row.stanza) else { return row.clone() };
    if stanza.head().from.as_ref().is_none_or(|from| from.is_bare()) {
        return row.clone();
    }
    let item = Element::new("item", ns::MUC_USER)
        .with_attr("affiliation", room.affiliations.of(&row.peer).as_str())
        .with_attr("jid", row.peer.as_str());
    let stanza = stanza.with_child(&Element::new("x", ns::MUC_USER).with_child(item));
    ArchiveRow { stanza: kept::write(&stanza), ..row.clone() }
}

/// §5
fn metadata(
    room: &mut Room,
    request: &Request,
    cx: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    check(room, request)?;
    let (stanza, owner) = (request.stanza.clone(), room.jid.clone());
    cx.read(
        move |store, fence| archive::page::ends(store, fence, &owner),
        move |room, cx, ends| {
            let ids = &room.shared.config.ids;
            let answer = ends.map(|ends| Some(answer::metadata(ends.as_ref(), ids)));
            reply(room, &stanza, answer.map_err(|error| store_error(&error)), cx);
        },
    );
    Ok(Answer::Later)
}
