//! XEP-0313 Message Archive Management, version 1.1.3: what the account sent and received, kept, and
//! shown to its owner.
//!
//! The row goes along with the message ([`Passage::writes`]) and is kept by whoever delivers it: what is
//! refused on its way is not archived, and where the store refuses, delivery knows whether somebody must
//! be told.
//!
//! Ids are times; what others are told are names that cannot be guessed ([`archive::Ids`]), which are looked up among
//! the rows of the account that asks, and only there.
//!
//! Ids are wall-clock microseconds, or one more than the last one, also where the clock was set back while
//! the account slept ([`User::learn_last`](entity::Entity::learn_last)): the order is that in which rows came (§3.1).

use std::time::Duration;

use archive::{Collector, Query, Step, answer};
use bytes::Bytes;
use entity::extension::Who;
use entity::refuse::store_error;
use entity::{Answer, Context, Extension, Iq, Passage, Request, Slot, SlotKind, Verdict};
use store::{ArchiveId, ArchivePage, ArchiveQuery, ArchiveRow, Write};
use xmpp::{
    Features, Head, IqType, Jid, Kind, MessageType, StanzaCondition, StanzaError, ns, stanza_id,
};

use crate::User;
use crate::extensions::twins::{self, Twins};
use crate::extensions::{again, deliver, hints, preferences, reply};

/// The archive of an account.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0313",
    title: "Message Archive Management",
    version: "1.1.3",
    features: &[ns::MAM, ns::MAM_EXTENDED, ns::MAM_GROUPCHAT],
    iqs: &[
        Iq { ty: IqType::Get, name: "query", ns: ns::MAM, who: Who::Owner, handle: form },
        Iq { ty: IqType::Set, name: "query", ns: ns::MAM, who: Who::Owner, handle: query },
        Iq { ty: IqType::Get, name: "metadata", ns: ns::MAM, who: Who::Owner, handle: metadata },
    ],
    outbound: Some(outbound),
    inbound: Some(inbound),
    slots: &[SlotKind::of::<Archive>(), SlotKind::of::<Twins>()],
    ..Extension::NONE
};

/// Words looked for in texts, where the configuration lets clients; discovery says so then.
pub(crate) const SEARCH: Extension<User> = Extension {
    number: "0431",
    title: "Full Text Search in MAM",
    version: "0.2.0",
    ..Extension::NONE
};

/// What the archive of an account is about.
#[derive(Default)]
struct Archive {
    /// The row of the message that is on its way out, for its carbons.
    sent: Option<ArchiveId>,
    /// When the last row was given away.
    kept: Option<Duration>,
}

/// `sent` lives for one turn, and no row is on its way to the store when a snapshot is taken.
impl Slot for Archive {
    const NAME: &'static str = "archive";

    fn encode(&self) -> Option<Bytes> {
        None
    }

    fn decode(_: &[u8]) -> Option<Self> {
        None
    }
}

/// The row of the message that a client sends in this turn; known once, to carbons (§3.5).
pub(super) fn id_of_sent(user: &mut User) -> Option<ArchiveId> {
    user.slots.get_or_make(Archive::default).sent.take()
}

/// Keeps what others send, and tells the recipient under which id (§3.5).
fn inbound(user: &mut User, passage: &mut Passage, cx: &mut Context<'_, User>) -> Verdict {
    let Head { kind: Kind::Message(_), from: Some(from), .. } = passage.stanza.head() else {
        return Verdict::Pass;
    };
    let from = from.clone();
    strip(passage, &from);
    let kept = match twins::row_of(user, &passage.stanza, cx) {
        Some(id) => Ok(Some(id)),
        None => {
            let kept = keep(user, passage, &from, cx);
            if let Ok(Some(id)) = kept {
                twins::note(user, &passage.stanza, id, cx);
            }
            kept
        }
    };
    match kept {
        Ok(Some(id)) => {
            let id = cx.shared.ids.write(id);
            passage.stanza = stanza_id::with_id(&passage.stanza, &id, &user.jid);
            Verdict::Pass
        }
        Ok(None) => Verdict::Pass,
        Err(error) => Verdict::Refuse(error),
    }
}

/// Archives answer from bare addresses, and a client's message always comes from a full one: what looks
/// like a result in it is forged (§8.2).
fn strip(passage: &mut Passage, from: &Jid) {
    if passage.stanza.features().any(Features::ARCHIVE) && !from.is_bare() {
        passage.stanza = passage.stanza.without(|child| child.ns == ns::MAM);
    }
}

/// Keeps what the account's clients send. What goes to the account itself is kept when it comes back,
/// once (§6.1.1).
fn outbound(user: &mut User, passage: &mut Passage, cx: &mut Context<'_, User>) -> Verdict {
    let to = passage.stanza.head().to.clone().filter(|to| to.bare() != user.jid);
    let id = match to.map(|to| keep(user, passage, &to, cx)).transpose() {
        Ok(id) => id.flatten(),
        Err(error) => return Verdict::Refuse(error),
    };
    if matches!(passage.stanza.kind(), Kind::Message(_)) {
        user.slots.get_or_make(Archive::default).sent = id;
    }
    Verdict::Pass
}

/// Appends a row, if the message is of a kind that is kept and the owner wants it.
///
/// # Errors
/// It is known that nothing can be kept now: what would be delivered would be acknowledged, and not be in the archive.
fn keep(
    user: &mut User,
    passage: &mut Passage,
    peer: &Jid,
    cx: &mut Context<'_, User>,
) -> Result<Option<ArchiveId>, StanzaError> {
    if user.gone
        || !hints::may_archive(&passage.stanza)
        || !preferences::wants(user, peer, cx.shared)
    {
        return Ok(None);
    }
    if let Some(id) = cx.row() {
        // A former owner of the account has kept it.
        return Ok(Some(id));
    }
    if !cx.can_keep {
        return Err(StanzaCondition::ResourceConstraint.into());
    }
    let id = user.next_id(cx.now);
    let mut bytes = Vec::new();
    passage.stanza.write_forwarded(&mut bytes);
    let row = ArchiveRow { id, peer: peer.bare(), origin: cx.origin(), stanza: bytes.into() };
    passage.writes.push(Write::Append(user.jid.clone(), row));
    user.slots.get_or_make(Archive::default).kept = Some(cx.now.elapsed);
    Ok(Some(id))
}

/// §4.1.5
fn form(_: &mut User, _: &Request, cx: &mut Context<'_, User>) -> Result<Answer, StanzaError> {
    Ok(Answer::Result(archive::query::form(cx.shared.archive_search)))
}

/// §4
fn query(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let query =
        Query::parse(&request.payload, &cx.shared.ids)?.with_pages_of(cx.shared.archive_page)?;
    let query = if cx.shared.archive_search { query } else { query.without_search()? };
    let collector = Collector::new(query);
    let (request, rows) = (again(request), collector.query().rows.clone());
    behind_writes(user, cx, move |user, cx| ask(user, request, collector, rows, cx));
    Ok(Answer::Later)
}

/// Asks the store for a page, or for as many as the collector needs.
fn ask(
    user: &User,
    request: Request,
    mut collector: Collector,
    rows: ArchiveQuery,
    cx: &mut Context<'_, User>,
) {
    let owner = user.jid.clone();
    cx.read(
        move |store, fence| store.query(fence, owner, rows),
        move |user, cx, page| {
            let page = page.map_err(|error| store_error(&error));
            match page.and_then(|page| collector.take(page)) {
                Ok(Step::Ask(rows)) => ask(user, request, collector, rows, cx),
                Ok(Step::Done(page)) => show(user, &request, &collector, &page, cx),
                Err(error) => reply(user, &request, Err(error), cx),
            }
        },
    );
}

/// The results, then the answer (§4). Both go to the session that asked, in order.
fn show(
    user: &User,
    request: &Request,
    collector: &Collector,
    page: &ArchivePage,
    cx: &mut Context<'_, User>,
) {
    let Some(session) = request.session.and_then(|session| user.sessions.get(session)) else {
        return;
    };
    for row in answer::in_order(page, collector.query()) {
        let head = Head {
            kind: Kind::Message(MessageType::Normal),
            id: Some(format!("{:016x}", cx.random_u64()).into()),
            from: Some(Jid::clone(&user.jid)),
            to: Some(Jid::clone(&session.jid)),
            lang: None,
        };
        let result = answer::result(head, row, collector.query(), &cx.shared.ids);
        deliver(user, session.id.uid, result, cx);
    }
    reply(user, request, Ok(Some(answer::fin(page, &cx.shared.ids))), cx);
}

/// §5
fn metadata(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let request = again(request);
    behind_writes(user, cx, move |user, cx| {
        let owner = user.jid.clone();
        cx.read(
            move |store, fence| archive::page::ends(store, fence, &owner),
            move |user, cx, ends| {
                let ids = &cx.shared.ids;
                let answer = ends.map(|ends| Some(answer::metadata(ends.as_ref(), ids)));
                reply(user, &request, answer.map_err(|error| store_error(&error)), cx);
            },
        );
    });
    Ok(Answer::Later)
}

/// No write is on its way to the store for longer.
const SETTLED: Duration = Duration::from_secs(30);

/// Goes on when the rows that are on their way have arrived, so that a client finds what it just sent.
/// Writes are kept in order: an empty one behind them is answered after them.
fn behind_writes(
    user: &mut User,
    cx: &mut Context<'_, User>,
    then: impl FnOnce(&mut User, &mut Context<'_, User>) + 'static,
) {
    let kept = user.slots.get::<Archive>().and_then(|archive| archive.kept);
    if kept.is_none_or(|at| cx.now.elapsed.saturating_sub(at) > SETTLED) {
        return then(user, cx);
    }
    cx.commit_then(Vec::new(), |user, cx, _| then(user, cx));
}
