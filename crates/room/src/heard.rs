//! Owns the Heard entity: which rooms of a service somebody hears without being inside (MUC/Sub). Each room tells it, so
//! that nobody who asks for their rooms has to ask all of them. It lives with the account that it is about, strangers
//! with their domain, and all that it knows is in rows there: they go with the account.

use std::sync::Arc;

use bytes::Bytes;
use entity::extension::{Handle, Who};
use entity::refuse::store_error;
use entity::{
    Answer, Context, Discovered, Entity, Extension, Extensions, Iq, LoadError, Request, Timer,
    answer,
};
use proto::{Body, Envelope, Now, Route, ServiceId};
use store::{Key, Kind as RowKind, Row, Write};
use xmpp::{
    BareJid, Element, Head, IqType, Kind, Stanza, StanzaCondition, StanzaError, forward, ns, rsm,
};

use crate::Shared;
use crate::birth::NS;
use crate::subscribers::Subscription;

/// The rooms of a service that somebody hears.
pub struct Heard {
    /// Which service, and who hears them.
    id: ServiceId,
}

/// What it answers.
static EXTENSIONS: Extensions<Heard> = Extensions::new(&[Extension {
    iqs: &[Iq {
        ty: IqType::Get,
        name: "subscriptions",
        ns: ns::MUCSUB,
        who: Who::Anybody,
        handle: list,
    }],
    ..Extension::NONE
}]);

/// Most rooms of one page.
const PAGE_MOST: u32 = 200;
/// Most rooms that are looked at.
const ROWS_MOST: usize = 10_000;

impl Entity for Heard {
    type Shared = Shared;

    const KINDS: &'static [RowKind] = &[];
    const NAME: &'static str = "heard";

    fn load(route: &Route, _: Vec<Row>, _: &Arc<Shared>) -> Result<Self, LoadError> {
        match route {
            Route::Service(id) => Ok(Self { id: (**id).clone() }),
            _ => Err(LoadError { kind: RowKind::Heard }),
        }
    }

    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>) {
        match &envelope.body {
            Body::Stanza(stanza) if self.is_of_a_room(stanza) => self.take_note(stanza, cx),
            _ => answer::receive(&EXTENSIONS, self, envelope, cx),
        }
    }

    fn wake(&mut self, _: Timer, _: &mut Context<'_, Self>) {}

    fn may_sleep(&self, _: Now) -> bool {
        true
    }
}

/// What a room says of somebody: how they hear it, or that they do not any more; and what they are answered when that is
/// kept.
pub(crate) fn note(subscription: Option<&Subscription>, answer: Option<&Stanza>) -> Element {
    let forwarded = answer.and_then(|answer| {
        let mut bytes = Vec::new();
        forward::write(&mut bytes, answer, None);
        Element::parse(&bytes).ok()
    });
    Element::new("heard", NS)
        .with_children(subscription.map(|it| it.to_element("subscription")))
        .with_children(forwarded)
}

impl Heard {
    /// Nobody else sends from such addresses, and what a room sends to people does not come here.
    fn is_of_a_room(&self, stanza: &Stanza) -> bool {
        let from = stanza.head().from.as_ref();
        let is_room = from.is_some_and(|from| {
            from.is_bare() && from.localpart().is_some() && *from.domain() == *self.id.service
        });
        is_room && matches!(stanza.kind(), Kind::Message(_)) && stanza.find("heard", NS).is_some()
    }

    fn take_note(&self, word: &Stanza, cx: &mut Context<'_, Self>) {
        let Head { from: Some(room), to: Some(who), .. } = word.head() else { return };
        let Some(note) = word.child("heard", NS) else { return };
        let key = self.key(&who.bare(), &room.bare());
        let write = match note.child("subscription", ns::MUCSUB) {
            Some(subscription) => Write::Put(key, subscription.to_bytes().into()),
            None => Write::Delete(key),
        };
        let answer = forward::inner(&note).and_then(forward::read);
        cx.commit_then(vec![write], move |_, cx, kept| {
            let kept = kept.map_err(|error| store_error(&error));
            if let Some(answer) = answer {
                cx.send(match kept {
                    Ok(()) => answer,
                    Err(error) => failure(answer.head(), &error),
                });
            }
        });
    }

    fn key(&self, who: &BareJid, room: &BareJid) -> Key {
        let item = [who.as_str(), room.as_str()].join("\n");
        Key::new(self.id.by.clone(), RowKind::Heard, Bytes::from(item))
    }
}

/// The error in place of an answer.
fn failure(answer: &Head, error: &StanzaError) -> Stanza {
    let head = Head { kind: Kind::Iq(IqType::Error), ..answer.clone() };
    Stanza::build(head, &[error.to_element()])
}

/// The room of a row of this one.
#[must_use]
pub(crate) fn room_of(row: &Row) -> Option<BareJid> {
    let (_, room) = str::from_utf8(&row.item).ok()?.split_once('\n')?;
    BareJid::parse(room).ok()
}

fn list(
    heard: &mut Heard,
    request: &Request,
    cx: &mut Context<'_, Heard>,
) -> Result<Answer, StanzaError> {
    let who = request.stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?.bare();
    let asked = rsm::Request::parse(&request.payload)?;
    let (stanza, owner) = (request.stanza.clone(), heard.id.by.clone());
    let begins = Bytes::from(format!("{who}\n"));
    let after = Some(begins.clone());
    // Behind what rooms have told until now: writes are kept in order, but a read may pass them.
    cx.commit_then(Vec::new(), move |_, cx, _| {
        cx.read(
            move |store, fence| store.scan(fence, owner, RowKind::Heard, after, ROWS_MOST),
            move |heard, cx, rows: Result<Vec<Row>, _>| {
                let page = rows.map_err(|error| store_error(&error)).and_then(|rows| {
                    let own = rows.iter().take_while(|row| row.item.starts_with(&begins));
                    heard.page(asked, own)
                });
                match page {
                    Ok(page) => cx.send(stanza.result(Some(&page))),
                    Err(error) => cx.send_error(&stanza, error),
                }
            },
        );
    });
    Ok(Answer::Later)
}

impl Heard {
    fn page<'a>(
        &self,
        asked: Option<rsm::Request>,
        rows: impl Iterator<Item = &'a Row>,
    ) -> Result<Element, StanzaError> {
        let read = |row: &Row| {
            let room = room_of(row).filter(|room| room.domain() == self.id.service)?;
            let subscription = Element::parse(&row.value).ok()?.with_attr("jid", room.as_str());
            Some((room, subscription))
        };
        let list: Vec<(BareJid, Element)> = rows.filter_map(read).collect();
        let is_partial = list.len() > PAGE_MOST as usize;
        let request = asked.clone().unwrap_or_default();
        let (range, set) = request.page(&list, |(room, _)| room.as_str(), PAGE_MOST)?;
        let lines = list[range].iter().map(|(_, line)| line.clone());
        let answer = Element::new("subscriptions", ns::MUCSUB).with_children(lines);
        Ok(match asked.is_some() || is_partial {
            true => answer.with_child(set.to_element()),
            false => answer,
        })
    }
}

/// It answers in the name of the service, which alone is discovered.
impl Discovered for Heard {
    const INFO: Handle<Self> = |_, _, _| Err(StanzaCondition::ServiceUnavailable.into());
}
