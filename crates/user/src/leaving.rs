//! Owns the end of an account: it is marked, it takes leave of its sessions and contacts, and everything that is
//! kept of it goes (XEP-0077 §3.2). Begun once it is finished, also by another process: the mark says so.

use auth::Account;
use entity::refuse::store_error;
use entity::{Context, Request};
use store::{Key, Kind, Row, Write};
use xmpp::{
    BareJid, Element, Head, IqType, Jid, Kind as StanzaKind, Stanza, StanzaCondition,
    StreamCondition, ns,
};

use crate::User;
use crate::config::Files;
use crate::extensions::reply;
use crate::presence::subscribe::say;
use crate::subscription::SubscriptionType;

/// Most rooms that are told that the account is gone.
const ROOMS_MOST: usize = 10_000;

/// Begins, or goes on. Who asked is answered when the mark is kept: from then on there is no way back.
pub(crate) fn begin(user: &mut User, request: Option<Request>, cx: &mut Context<'_, User>) {
    if std::mem::replace(&mut user.is_leaving, true) {
        // Who asks twice has their stream ended by what has begun.
        return;
    }
    let key = key(&user.jid);
    cx.read(
        move |store, fence| store.get(fence, key),
        move |user, cx, row| {
            let marked = row.map(|row| row.and_then(|row| Account::mark_leaving(&row).ok()));
            match marked {
                Ok(Some(marked)) => mark(user, request, marked, cx),
                Ok(None) => {
                    refuse(user, request, &StanzaCondition::RegistrationRequired.into(), cx)
                }
                Err(error) => refuse(user, request, &store_error(&error), cx),
            }
        },
    );
}

fn refuse(
    user: &mut User,
    request: Option<Request>,
    error: &xmpp::StanzaError,
    cx: &mut Context<'_, User>,
) {
    user.is_leaving = false;
    if let Some(request) = request {
        reply(user, &request, Err(error.clone()), cx);
    }
}

fn mark(user: &User, request: Option<Request>, marked: Vec<u8>, cx: &mut Context<'_, User>) {
    let write = Write::Put(key(&user.jid), marked.clone().into());
    cx.commit_then(vec![write], move |user, cx, kept| match kept {
        Ok(()) => {
            (user.exists, user.gone) = (false, true);
            if let Some(request) = request {
                reply(user, &request, Ok(None), cx);
            }
            take_leave(user, cx);
            leave_rooms(user, cx, |user, cx| {
                // Behind everything that was written because of it.
                let last = Write::Put(key(&user.jid), marked.into());
                cx.commit_then(vec![last], |user, cx, kept| erase(user, kept, cx));
            });
        }
        Err(error) => refuse(user, request, &store_error(&error), cx),
    });
}

/// Sessions end with `not-authorized`, and nobody is subscribed to anybody any more (§3.2).
fn take_leave(user: &mut User, cx: &mut Context<'_, User>) {
    let sessions: Vec<u64> = user.sessions.iter().map(|entry| entry.id.uid).collect();
    for session in sessions {
        crate::bind::end(user, session, StreamCondition::NotAuthorized.into(), cx);
    }
    for (contact, item) in user.roster.iter() {
        if item.is_subscriber() {
            say(user, contact, SubscriptionType::Unsubscribed, None, cx);
        }
        if item.is_subscribed_to() || item.ask {
            say(user, contact, SubscriptionType::Unsubscribe, None, cx);
        }
    }
    let requests: Vec<BareJid> =
        user.roster.requests().map(|(contact, _)| contact.clone()).collect();
    for contact in requests.iter().filter(|contact| !user.roster.is_subscriber(contact)) {
        say(user, contact, SubscriptionType::Unsubscribed, None, cx);
    }
}

/// Rooms that the account hears without being inside (MUC/Sub) need not tell it any more.
fn leave_rooms(
    user: &User,
    cx: &mut Context<'_, User>,
    then: impl FnOnce(&mut User, &mut Context<'_, User>) + 'static,
) {
    let owner = user.jid.clone();
    cx.read(
        move |store, fence| store.scan(fence, owner, Kind::Heard, None, ROOMS_MOST),
        move |user, cx, rows: Result<Vec<Row>, _>| {
            for room in rows.unwrap_or_default().iter().filter_map(room_of) {
                let id = format!("leave-{:016x}", cx.random_u64());
                let head = Head {
                    kind: StanzaKind::Iq(IqType::Set),
                    id: Some(id.into()),
                    from: Some(user.jid.clone().into()),
                    to: Some(room),
                    lang: None,
                };
                cx.send(Stanza::build(head, &[Element::new("unsubscribe", ns::MUCSUB)]));
            }
            then(user, cx);
        },
    );
}

/// The room of such a row, which names who hears it and the room.
fn room_of(row: &Row) -> Option<Jid> {
    let (_, room) = str::from_utf8(&row.item).ok()?.split_once('\n')?;
    Jid::parse(room).ok()
}

fn erase(user: &User, kept: Result<(), store::Error>, cx: &mut Context<'_, User>) {
    if let Err(error) = kept {
        tracing::warn!(jid = %user.jid, %error, "an account is not gone yet");
        return cx.close();
    }
    let (jid, files) = (user.jid.clone(), cx.shared.files.clone());
    // Before the rows that name them.
    let forget = async move {
        if let Some(Files(forget)) = files {
            forget(jid).await;
        }
        Ok(())
    };
    cx.read(move |_, _| Box::pin(forget), |user, cx, _: Result<(), _>| erase_rows(user, cx));
}

fn erase_rows(user: &User, cx: &mut Context<'_, User>) {
    let jid = user.jid.clone();
    cx.read(
        move |store, fence| store.erase(fence, jid),
        |user, cx, gone| {
            match gone {
                Ok(()) => tracing::info!(jid = %user.jid, "an account is gone"),
                Err(error) => tracing::warn!(jid = %user.jid, %error, "an account is not gone yet"),
            }
            // Whoever asks next finds what is stored then; if that is the mark, it begins anew.
            cx.close();
        },
    );
}

fn key(jid: &BareJid) -> Key {
    Key::new(jid.clone(), Kind::Account, "")
}
