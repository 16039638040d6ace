//! XEP-0054 vcard-temp, version 1.3.0: the account's card, which everybody may read.

use entity::extension::Who;
use entity::refuse::store_error;
use entity::{Answer, Context, Extension, Iq, Request};
use store::{Key, Kind, Write};
use xmpp::{Element, IqType, StanzaCondition, StanzaError, ns};

use crate::User;
use crate::extensions::{again, avatar, reply};

/// The vCard of an account.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0054",
    title: "vcard-temp",
    version: "1.3.0",
    features: &[ns::VCARD],
    iqs: &[
        Iq { ty: IqType::Get, name: "vCard", ns: ns::VCARD, who: Who::Anybody, handle: get },
        Iq { ty: IqType::Set, name: "vCard", ns: ns::VCARD, who: Who::Owner, handle: set },
    ],
    ..Extension::NONE
};

/// §3.1, §3.3. The owner learns that there is no card; others are told the same as of an account that is
/// not there.
fn get(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    if !user.exists {
        return Err(StanzaCondition::ServiceUnavailable.into());
    }
    let (key, request) = (key(user), again(request));
    cx.read(
        move |store, fence| store.get(fence, key),
        move |user, cx, answer| match answer {
            Ok(card) => show(user, request, card.and_then(|it| Element::parse(&it).ok()), cx),
            Err(error) => reply(user, &request, Err(store_error(&error)), cx),
        },
    );
    Ok(Answer::Later)
}

/// With the avatar that was published (XEP-0398 §3.1).
fn show(user: &User, request: Request, card: Option<Element>, cx: &mut Context<'_, User>) {
    let from = request.stanza.head().from.as_ref();
    let who = from.map_or_else(|| user.jid.clone(), |from| from.bare());
    avatar::show_in_card(user, card, &who, cx, move |user, cx, card| {
        let absent = match request.session {
            Some(_) => StanzaCondition::ItemNotFound,
            None => StanzaCondition::ServiceUnavailable,
        };
        reply(user, &request, card.map(Some).ok_or_else(|| absent.into()), cx);
    });
}

/// §3.2. The whole card at a time.
fn set(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    if request.payload.to_bytes().len() > cx.shared.accounts.vcard_bytes {
        let error = StanzaError::from(StanzaCondition::PolicyViolation);
        return Err(error.with_text("the card is too large"));
    }
    let (key, request) = (key(user), again(request));
    cx.read(
        move |store, fence| store.get(fence, key),
        move |user, cx, before| match before {
            Ok(before) => {
                let before = before.and_then(|it| Element::parse(&it).ok());
                replace(user, request, before, cx);
            }
            Err(error) => reply(user, &request, Err(store_error(&error)), cx),
        },
    );
    Ok(Answer::Later)
}

/// In place of the card before, if there was one.
fn replace(user: &User, request: Request, before: Option<Element>, cx: &mut Context<'_, User>) {
    let card = &request.payload;
    let write = match card.children().next() {
        Some(_) => Write::Put(key(user), card.to_bytes().into()),
        None => Write::Delete(key(user)),
    };
    cx.commit_then(vec![write], move |user, cx, result| {
        if result.is_ok() {
            avatar::follow_card(user, before.as_ref(), &request.payload, cx);
        }
        reply(user, &request, result.map(|()| None).map_err(|error| store_error(&error)), cx);
    });
}

fn key(user: &User) -> Key {
    Key::new(user.jid.clone(), Kind::Vcard, bytes::Bytes::new())
}
