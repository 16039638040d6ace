//! Owns the Upload entity: a service for files, as one account sees it. A slot is given when its row is kept; the rows of
//! the account are all that is known of what it has.

use std::sync::Arc;

use bytes::Bytes;
use entity::refuse::store_error;
use entity::{Answer, Context, Entity, LoadError, Request, Timer, answer};
use files::{FileId, SlotRow};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proto::{Envelope, Now, Route, ServiceId};
use store::{Kind as RowKind, Row, Write};
use xmpp::{BareJid, Element, Jid, Stanza, StanzaCondition, StanzaError, datetime, ns};

use crate::EXTENSIONS;
use crate::config::Config;
use crate::quota::{self, Given, Spent};
use crate::request::SlotRequest;

/// All that is not encoded in a part of a path (RFC 3986 §3.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// A row that was kept so long ago is among those that are read now. Seconds.
const SETTLED: u64 = 120;

/// A service for files, as one account sees it.
pub struct Upload {
    /// Which service, and who asks.
    pub id: ServiceId,
    /// Slots given lately: a read that began before their rows were kept does not know them.
    lately: Vec<Given>,
}

impl Entity for Upload {
    type Shared = Config;

    const KINDS: &'static [RowKind] = &[];
    const NAME: &'static str = "upload";

    fn load(route: &Route, _: Vec<Row>, _: &Arc<Config>) -> Result<Self, LoadError> {
        match route {
            Route::Service(id) => Ok(Self { id: (**id).clone(), lately: Vec::new() }),
            _ => Err(LoadError { kind: RowKind::Upload }),
        }
    }

    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>) {
        answer::receive(&EXTENSIONS, self, envelope, cx);
    }

    fn wake(&mut self, _: Timer, _: &mut Context<'_, Self>) {}

    fn may_sleep(&self, _: Now) -> bool {
        true
    }
}

/// XEP-0363 §4: the rows of the account first, then the answer.
pub(crate) fn request(
    _: &mut Upload,
    request: &Request,
    cx: &mut Context<'_, Upload>,
) -> Result<Answer, StanzaError> {
    let from = request.stanza.head().from.as_ref();
    let is_ours = |from: &&Jid| from.localpart().is_some() && cx.hosts.serves(from.domainpart());
    let Some(account) = from.filter(is_ours).map(Jid::bare) else {
        let error = StanzaError::from(StanzaCondition::Forbidden);
        return Err(error.with_text("only accounts of this server may bring files"));
    };
    let wish = SlotRequest::read(&request.payload, &cx.shared.limits, seconds(cx))?;
    let (stanza, owner) = (request.stanza.clone(), account.clone());
    // More than are allowed would be an old limit's.
    let most = cx.shared.limits.files.saturating_mul(2).max(1_000);
    cx.read(
        move |store, fence| store.scan(fence, owner, RowKind::Upload, None, most),
        move |upload, cx, rows| match rows {
            Ok(rows) => upload.decide(&stanza, &account, wish, rows, cx),
            Err(error) => cx.send_error(&stanza, store_error(&error)),
        },
    );
    Ok(Answer::Later)
}

impl Upload {
    fn decide(
        &mut self,
        stanza: &Stanza,
        account: &BareJid,
        wish: SlotRequest,
        rows: Vec<Row>,
        cx: &mut Context<'_, Self>,
    ) {
        let now = seconds(cx);
        let mut given: Vec<Given> = rows.iter().filter_map(read).collect();
        self.lately.retain(|(_, row)| row.given + SETTLED > now);
        let unknown = |it: &&Given| given.iter().all(|(id, _)| *id != it.0);
        let unknown: Vec<Given> = self.lately.iter().filter(unknown).cloned().collect();
        given.extend(unknown);
        if let Err(spent) = quota::judge(&given, wish.size, &cx.shared.limits, now) {
            return cx.send_error(stanza, quota_error(spent));
        }
        let mut random = [0; 16];
        cx.random(&mut random);
        let id = FileId::new(wish.end, random);
        let done = given.iter().filter(|it| quota::is_done(it, now));
        let mut writes: Vec<Write> =
            done.map(|(id, _)| Write::Delete(SlotRow::key(account, *id))).collect();
        let content_type = wish.content_type;
        let row = SlotRow { size: wish.size, given: now, kept: false, content_type };
        writes.push(row.put(account, id));
        self.lately.push((id, row));
        let slot = self.slot(id, &wish.name, account, cx);
        let stanza = stanza.clone();
        cx.commit_then(writes, move |upload, cx, kept| match kept {
            Ok(()) => cx.send(stanza.result(Some(&slot))),
            Err(error) => {
                upload.lately.retain(|(given, _)| *given != id);
                cx.send_error(&stanza, store_error(&error));
            }
        });
    }

    /// The two URLs, and nothing else: some clients send no headers.
    fn slot(&self, id: FileId, name: &str, account: &BareJid, cx: &Context<'_, Self>) -> Element {
        let base = cx.shared.urls.get(&self.id.service).map(String::as_str).unwrap_or_default();
        let get = format!("{base}/{id}/{}", utf8_percent_encode(name, SEGMENT));
        let key = cx.shared.key.of(id, name, account.as_str());
        let put = format!("{get}?for={}&key={key}", utf8_percent_encode(account.as_str(), SEGMENT));
        let url = |name, url| Element::new(name, ns::UPLOAD).with_attr("url", url);
        Element::new("slot", ns::UPLOAD).with_child(url("put", put)).with_child(url("get", get))
    }
}

fn seconds(cx: &Context<'_, Upload>) -> u64 {
    cx.now.unix_micros / 1_000_000
}

fn read(row: &Row) -> Option<Given> {
    let id = FileId::parse(std::str::from_utf8(&row.item).ok()?)?;
    match SlotRow::read(Bytes::clone(&row.value)) {
        Ok(slot) => Some((id, slot)),
        Err(error) => {
            tracing::warn!(%error, "the row of a slot cannot be read");
            None
        }
    }
}

/// §6
fn quota_error(Spent { what, until }: Spent) -> StanzaError {
    let error = StanzaError::from(StanzaCondition::ResourceConstraint);
    let error = error.with_text(format!("you cannot bring more {what} at this time"));
    let Some(until) = until else { return error };
    let stamp = datetime::format_seconds(until.saturating_mul(1_000_000));
    error.with_detail(Element::new("retry", ns::UPLOAD).with_attr("stamp", stamp))
}
