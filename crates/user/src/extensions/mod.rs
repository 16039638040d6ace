//! Owns the ordered list of an account's extensions, one file each, and the few words they share.
//!
//! The order is the order in which a stanza meets the stages:
//! 0. `guests` stands before everything: who has no account leaves nothing behind;
//! 1. `blocking` stands before everything that keeps or copies;
//! 2. `stanza_id` and `delay` take out what others forged before it is kept;
//! 3. `pep` and `displayed` take out what is for the account's nodes before it is kept;
//! 4. `archive` stands before `carbons`, so that a copy carries the archive's id (XEP-0313 §3.5);
//! 5. `push` stands last: it tells of what is delivered.

pub(crate) mod archive;
pub(crate) mod avatar;
pub(crate) mod blocking;
pub(crate) mod bookmarks;
pub(crate) mod caps;
pub(crate) mod carbons;
pub(crate) mod delay;
pub(crate) mod disco;
pub(crate) mod displayed;
pub(crate) mod guests;
pub(crate) mod hints;
pub(crate) mod invited;
pub(crate) mod known;
pub mod last;
pub(crate) mod notices;
pub(crate) mod pep;
pub(crate) mod ping;
pub(crate) mod preferences;
pub(crate) mod private;
pub(crate) mod privilege;
pub(crate) mod push;
pub(crate) mod registration;
pub(crate) mod reporting;
pub(crate) mod stanza_id;
#[cfg(test)]
mod tests;
mod twins;
pub(crate) mod vcard;

use entity::{Context, Extension, Extensions, Request};
use proto::{Body, Route};
use store::{Kind, Row};
use xmpp::{BareJid, Element, Jid, Stanza, StanzaError};

use crate::{User, offline, roster};

/// The extensions of an account, in order.
pub static EXTENSIONS: Extensions<User> = Extensions::new(LIST);

const LIST: &[Extension<User>] = &[
    guests::EXTENSION,
    blocking::EXTENSION,
    reporting::EXTENSION,
    stanza_id::EXTENSION,
    delay::EXTENSION,
    hints::EXTENSION,
    pep::EXTENSION,
    displayed::EXTENSION,
    archive::EXTENSION,
    archive::SEARCH,
    preferences::EXTENSION,
    carbons::EXTENSION,
    offline::EXTENSION,
    roster::EXTENSION,
    Extension::DISCO,
    last::EXTENSION,
    ping::EXTENSION,
    private::EXTENSION,
    registration::EXTENSION,
    invited::EXTENSION,
    vcard::EXTENSION,
    avatar::EXTENSION,
    avatar::PUBLISHED,
    avatar::IN_CARD,
    bookmarks::EXTENSION,
    bookmarks::OLD,
    known::NICK,
    known::PUBLIC,
    known::PRIVATE,
    known::VCARD4,
    known::OMEMO,
    pep::PUBSUB,
    caps::EXTENSION,
    caps::SECOND,
    push::EXTENSION,
    privilege::EXTENSION,
    notices::TOLD,
];

/// Lets every extension take its rows out of [`User::rows`].
///
/// # Errors
/// When a row cannot be read.
pub fn load(user: &mut User) -> Result<(), entity::LoadError> {
    avatar::load(user)?;
    blocking::load(user)?;
    last::load(user)?;
    notices::load(user);
    crate::pep::load(user)?;
    preferences::load(user)?;
    push::load(user)
}

/// Takes a row of [`Kind::Setting`] out of [`User::rows`].
fn take_setting(user: &mut User, item: &str) -> Option<Row> {
    let is = |row: &Row| row.kind == Kind::Setting && row.item == item.as_bytes();
    let index = user.rows.iter().position(is)?;
    Some(user.rows.swap_remove(index))
}

/// Sends a stanza to one session of the account, past all stages.
pub(crate) fn deliver(user: &User, session: u64, stanza: Stanza, cx: &mut Context<'_, User>) {
    if let Some(entry) = user.sessions.get(session) {
        cx.tell(Route::Session(entry.id.clone()), Body::Stanza(stanza));
    }
}

/// Answers a request to which its handler said [`entity::Answer::Later`]. A session's answer goes
/// straight to the session, behind whatever was delivered to it before.
pub(crate) fn reply(
    user: &User,
    request: &Request,
    answer: Result<Option<Element>, StanzaError>,
    cx: &mut Context<'_, User>,
) {
    let answer = match answer {
        Ok(payload) => Some(request.stanza.result(payload.as_ref())),
        Err(error) => request.stanza.error(&error),
    };
    let Some(answer) = answer else { return };
    match request.session {
        Some(session) => deliver(user, session, answer, cx),
        None => cx.send(answer),
    }
}

/// A request to be answered in a later turn.
pub(crate) fn again(request: &Request) -> Request {
    Request {
        stanza: request.stanza.clone(),
        payload: request.payload.clone(),
        session: request.session,
    }
}

/// Whether somebody may know of the account: its owner, or a contact that is subscribed to its
/// presence (XEP-0030 §8, XEP-0012 §8).
pub(crate) fn may_know(user: &User, request: &Request) -> bool {
    if request.session.is_some() {
        return true;
    }
    let asker = request.stanza.head().from.as_ref().map(Jid::bare);
    user.exists && asker.is_some_and(|asker| asker == user.jid || is_subscriber(user, &asker))
}

/// Whether a contact is subscribed to the account's presence.
pub(crate) fn is_subscriber(user: &User, contact: &BareJid) -> bool {
    user.roster.is_subscriber(contact)
}

/// The contacts that are subscribed to the account's presence.
pub(crate) fn subscribers(user: &User) -> impl Iterator<Item = &BareJid> {
    user.roster.subscribers()
}
