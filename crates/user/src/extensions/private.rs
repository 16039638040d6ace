//! XEP-0049 Private XML Storage, version 1.2: elements that a client keeps with its account.

use entity::extension::Who;
use entity::refuse::store_error;
use entity::{Answer, Context, Extension, Iq, Request};
use store::{Key, Kind, Row, Write};
use xmpp::{Element, IqType, StanzaCondition, StanzaError, ns};

use crate::User;
use crate::config::Accounts;
use crate::extensions::{again, bookmarks, reply};

/// Private XML of an account.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0049",
    title: "Private XML Storage",
    version: "1.2",
    features: &[ns::PRIVATE],
    iqs: &[
        Iq { ty: IqType::Get, name: "query", ns: ns::PRIVATE, who: Who::Owner, handle: get },
        Iq { ty: IqType::Set, name: "query", ns: ns::PRIVATE, who: Who::Owner, handle: set },
    ],
    ..Extension::NONE
};

/// §2.3. What was never kept comes back as it was asked for.
fn get(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let mut children = request.payload.children();
    let (Some(wanted), None) = (children.next(), children.next()) else {
        return Err(wrong_number(request));
    };
    let wanted = scoped(wanted)?;
    let (key, request) = (key(user, wanted), again(request));
    cx.read(
        move |store, fence| store.get(fence, key),
        move |user, cx, answer| {
            let answer = match answer {
                Ok(Some(bytes)) => Element::parse(&bytes)
                    .map(|kept| Some(Element::new("query", ns::PRIVATE).with_child(kept)))
                    .map_err(|_| StanzaCondition::InternalServerError.into()),
                Ok(None) => Ok(Some(request.payload.clone())),
                Err(error) => Err(store_error(&error)),
            };
            reply(user, &request, answer, cx);
        },
    );
    Ok(Answer::Later)
}

/// §2.3. All elements of a request are kept, or none.
fn set(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let mut puts: Vec<(Key, Vec<u8>)> = Vec::new();
    for child in request.payload.children() {
        puts.push((key(user, scoped(child)?), child.to_bytes()));
    }
    if puts.is_empty() {
        return Err(wrong_number(request));
    }
    let (owner, request) = (user.jid.clone(), again(request));
    let most = cx.shared.accounts.private_items;
    cx.read(
        move |store, fence| store.scan(fence, owner, Kind::Private, None, most + 1),
        move |user, cx, rows| match rows {
            Ok(rows) if fits(&rows, &puts, &cx.shared.accounts) => keep(request, puts, cx),
            Ok(_) => {
                let error = StanzaError::from(StanzaCondition::PolicyViolation);
                let error = error.with_text("too much private XML");
                reply(user, &request, Err(error), cx);
            }
            Err(error) => reply(user, &request, Err(store_error(&error)), cx),
        },
    );
    Ok(Answer::Later)
}

fn keep(request: Request, puts: Vec<(Key, Vec<u8>)>, cx: &mut Context<'_, User>) {
    let writes = puts.into_iter().map(|(key, value)| Write::Put(key, value.into())).collect();
    cx.commit_then(writes, move |user, cx, result| {
        let storage = request.payload.child("storage", ns::BOOKMARKS_OLD).cloned();
        if let Some(storage) = storage.filter(|_| result.is_ok()) {
            bookmarks::spread(user, storage, bookmarks::Origin::Private, cx);
        }
        reply(user, &request, result.map(|()| None).map_err(|error| store_error(&error)), cx);
    });
}

/// The rows of what a file has of it (XEP-0227 §4.6).
pub(crate) fn rows_of(owner: &xmpp::BareJid, query: &Element) -> Vec<Write> {
    let children = query.children().filter(|child| scoped(child).is_ok());
    let put = |child: &Element| {
        let item = format!("{} {}", child.name(), child.ns());
        Write::Put(Key::new(owner.clone(), Kind::Private, item), child.to_bytes().into())
    };
    children.map(put).collect()
}

/// Whether what is there and not replaced leaves room.
fn fits(rows: &[Row], puts: &[(Key, Vec<u8>)], limits: &Accounts) -> bool {
    let replaced = |row: &&Row| puts.iter().any(|(key, _)| key.item == row.item);
    let stay: Vec<&Row> = rows.iter().filter(|row| !replaced(row)).collect();
    let bytes = stay.iter().map(|row| row.value.len()).sum::<usize>()
        + puts.iter().map(|(_, value)| value.len()).sum::<usize>();
    stay.len() + puts.len() <= limits.private_items && bytes <= limits.private_bytes
}

/// The root of what is kept has a namespace of its own.
fn scoped(child: &Element) -> Result<&Element, StanzaError> {
    match child.ns() {
        "" | ns::PRIVATE => Err(StanzaCondition::NotAcceptable.into()),
        _ => Ok(child),
    }
}

/// §3: nothing at all is not acceptable, more than one element of a get a bad request.
fn wrong_number(request: &Request) -> StanzaError {
    match request.payload.children().next() {
        None => StanzaCondition::NotAcceptable.into(),
        Some(_) => StanzaCondition::BadRequest.into(),
    }
}

/// A name has no space in it, so that the two cannot run together.
fn key(user: &User, child: &Element) -> Key {
    Key::new(user.jid.clone(), Kind::Private, format!("{} {}", child.name(), child.ns()))
}
