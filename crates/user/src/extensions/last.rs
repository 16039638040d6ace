//! XEP-0012 Last Activity, version 2.0: when the account's last client left, for those who may see its
//! presence.

use bytes::Bytes;
use entity::Verdict;
use entity::extension::{SessionEvent, Who};
use entity::{Answer, Context, Extension, Iq, LoadError, Passage, Request, Slot, SlotKind};
use store::{Key, Kind, Row, Write};
use xmpp::{
    Element, IqType, Kind as StanzaKind, PresenceType, Stanza, StanzaCondition, StanzaError, ns,
};

use crate::User;
use crate::extensions::{is_subscriber, may_know};

/// Last activity of an account.
pub const EXTENSION: Extension<User> = Extension {
    number: "0012",
    title: "Last Activity",
    version: "2.0",
    features: &[ns::LAST],
    iqs: &[Iq { ty: IqType::Get, name: "query", ns: ns::LAST, who: Who::Anybody, handle: last }],
    outbound: Some(remember_status),
    inbound: Some(guard_resources),
    session: Some(session),
    slots: &[SlotKind::of::<Left>(), SlotKind::of::<Farewell>()],
    ..Extension::NONE
};

/// The row of [`Kind::Setting`]: eight bytes of Unix time in microseconds, then the status.
const ITEM: &str = "last";

/// Longer words than this are not kept.
const STATUS_MOST: usize = 1_024;

/// When the last client left, and its last words.
struct Left {
    unix_micros: u64,
    status: String,
}

/// The words of the unavailable presence that was sent last.
#[derive(Default)]
struct Farewell(String);

/// Comes out of the rows.
impl Slot for Left {
    const NAME: &'static str = "left";

    fn encode(&self) -> Option<Bytes> {
        None
    }

    fn decode(_: &[u8]) -> Option<Self> {
        None
    }
}

impl Slot for Farewell {
    const NAME: &'static str = "farewell";

    fn encode(&self) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(self.0.as_bytes()))
    }

    fn decode(value: &[u8]) -> Option<Self> {
        str::from_utf8(value).ok().map(|words| Self(words.to_owned()))
    }
}

/// Takes the account's row.
pub(super) fn load(user: &mut User) -> Result<(), LoadError> {
    let Some(row) = super::take_setting(user, ITEM) else {
        return Ok(());
    };
    let left = read(&row.value).ok_or(LoadError { kind: Kind::Setting })?;
    user.slots.get_or_make(|| left);
    Ok(())
}

fn read(value: &[u8]) -> Option<Left> {
    let (time, status) = value.split_first_chunk()?;
    let status = str::from_utf8(status).ok()?.to_owned();
    Some(Left { unix_micros: u64::from_be_bytes(*time), status })
}

/// When the last client left, in seconds since 1970-01-01 UTC, out of rows.
#[must_use]
pub fn left_in(rows: &[Row]) -> Option<u64> {
    let is = |row: &&Row| row.kind == Kind::Setting && row.item == ITEM.as_bytes();
    Some(read(&rows.iter().find(is)?.value)?.unix_micros / 1_000_000)
}

/// When the last client left, in microseconds since 1970-01-01 UTC; none while one is there.
pub(crate) fn left(user: &User) -> Option<u64> {
    let left = user.slots.get::<Left>().filter(|_| user.sessions.is_empty());
    left.map(|left| left.unix_micros)
}

/// §3
fn last(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    if !may_know(user, request) {
        return Err(StanzaCondition::Forbidden.into());
    }
    let query = Element::new("query", ns::LAST);
    if !user.sessions.is_empty() {
        return Ok(Answer::Result(query.with_attr("seconds", "0")));
    }
    let Some(left) = user.slots.get::<Left>() else {
        return Err(StanzaCondition::ItemNotFound.into());
    };
    let seconds = cx.now.unix_micros.saturating_sub(left.unix_micros) / 1_000_000;
    let query = query.with_attr("seconds", seconds.to_string());
    Ok(Answer::Result(match left.status.as_str() {
        "" => query,
        status => query.with_text(status),
    }))
}

/// §4: strangers do not ask the account's clients either.
fn guard_resources(user: &mut User, passage: &mut Passage, _: &mut Context<'_, User>) -> Verdict {
    let head = passage.stanza.head();
    if head.kind != StanzaKind::Iq(IqType::Get) || head.to.as_ref().is_none_or(|to| to.is_bare()) {
        return Verdict::Pass;
    }
    let asker = head.from.as_ref().map(|from| from.bare());
    let known = asker.is_some_and(|asker| asker == user.jid || is_subscriber(user, &asker));
    match passage.stanza.find("query", ns::LAST) {
        Some(_) if !known || !user.exists => Verdict::Refuse(StanzaCondition::Forbidden.into()),
        _ => Verdict::Pass,
    }
}

/// §3: the status goes along.
fn remember_status(user: &mut User, passage: &mut Passage, _: &mut Context<'_, User>) -> Verdict {
    let head = passage.stanza.head();
    if head.kind == StanzaKind::Presence(PresenceType::Unavailable) && head.to.is_none() {
        user.slots.get_or_make(Farewell::default).0 = status(&passage.stanza);
    }
    Verdict::Pass
}

fn status(presence: &Stanza) -> String {
    let status = presence.child("status", "").map(|status| status.text());
    status.filter(|text| text.len() <= STATUS_MOST).unwrap_or_default()
}

/// When the last client goes, that is kept. A store that refuses loses a nicety, not a message.
fn session(user: &mut User, session: u64, event: SessionEvent, cx: &mut Context<'_, User>) {
    if event == SessionEvent::Available {
        user.slots.clear::<Farewell>();
    }
    let is_kept = !user.guest && (user.exists || !user.gone);
    if !is_kept
        || event != SessionEvent::Ended
        || user.sessions.iter().any(|entry| entry.id.uid != session)
    {
        return;
    }
    let status = user.slots.get::<Farewell>().map(|words| words.0.clone()).unwrap_or_default();
    user.slots.clear::<Farewell>();
    let mut value = cx.now.unix_micros.to_be_bytes().to_vec();
    value.extend_from_slice(status.as_bytes());
    let left = Left { unix_micros: cx.now.unix_micros, status };
    user.slots.clear::<Left>();
    user.slots.get_or_make(|| left);
    let key = Key::new(user.jid.clone(), Kind::Setting, ITEM);
    cx.commit_then(vec![Write::Put(key, value.into())], |_, _, result| {
        if let Err(error) = result {
            tracing::warn!(%error, "when an account was last seen was not kept");
        }
    });
}
