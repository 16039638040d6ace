//! Owns what others send to the account (RFC 6121 §8.5): through the stages, then to the sessions that the
//! rules pick. Knows no queue and no connection.

#[cfg(test)]
mod tests;

use entity::{Context, Passage};
use proto::Route;
use smallvec::SmallVec;
use store::Write;
use xmpp::{Features, IqType, Jid, Kind, MessageType, Stanza, StanzaCondition};

use crate::extensions::hints::may_keep_for_later;
use crate::extensions::{deliver, privilege, push};
use crate::rules::{self, Fate, Target};
use crate::sessions::SessionEntry;
use crate::{User, iq, offline, presence, stages};

/// A stanza to the account or to one of its resources. A request is answered as a stranger's to an account,
/// also where there is none: nobody can ask who is here (XEP-0030 §8).
pub(crate) fn receive(user: &mut User, stanza: Stanza, cx: &mut Context<'_, User>) {
    let Some(stanza) = privilege::message(user, stanza, cx) else { return };
    let is_request = matches!(stanza.kind(), Kind::Iq(ty) if ty.is_request());
    // A guest who has left, or never came, is nobody.
    let is_here = user.exists && !(user.guest && user.sessions.is_empty());
    if !is_here && !is_request {
        return answer_for_nobody(user, stanza, cx);
    }
    if is_astray(user, &stanza, cx) {
        return cx.shared.figures.drops.of("not_inside").add_one();
    }
    let passage = Passage { stanza, session: None, writes: Vec::new() };
    let Some(Passage { stanza, writes, .. }) = stages::inbound(user, passage, cx) else { return };
    match stanza.kind() {
        Kind::Message(ty) => return message(user, ty, stanza, writes, cx),
        Kind::Presence(_) => presence::inbound(user, stanza, cx),
        Kind::Iq(ty) => request(user, ty, stanza, cx),
    }
    stages::keep(writes, cx);
}

/// Whether what a room of ours says to all comes to a client that has left it, or was removed, and knows: when the owner of
/// a room dies, the next one may not know that yet (XEP-0045 §7.14).
fn is_astray(user: &User, stanza: &Stanza, cx: &Context<'_, User>) -> bool {
    if stanza.kind() != Kind::Message(MessageType::Groupchat) {
        return false;
    }
    let (Some(from), Some(entry)) = (&stanza.head().from, addressed(user, stanza)) else {
        return false;
    };
    let is_it = |room: &Jid| room.bare_str() == from.bare_str();
    let is_there = entry.inside.iter().any(is_it) || entry.directed.iter().any(is_it);
    !is_there && matches!(Route::of(from, cx.hosts), Route::Room(_))
}

/// The sessions that a message would go to now, for whoever copies it to the others.
#[must_use]
pub(crate) fn recipients(user: &User, stanza: &Stanza) -> SmallVec<[u64; 4]> {
    let Kind::Message(ty) = stanza.kind() else { return SmallVec::new() };
    match fate(user, ty, stanza) {
        Fate::ToOne => addressed(user, stanza).map(|entry| entry.id.uid).into_iter().collect(),
        Fate::ToAll => takers(user).map(|entry| entry.id.uid).collect(),
        Fate::Store | Fate::Refuse | Fate::Ignore => SmallVec::new(),
    }
}

/// Whether a message will come back to its sender, so that nobody else may hear of it.
pub(crate) fn is_refused(user: &User, stanza: &Stanza, cx: &Context<'_, User>) -> bool {
    let Kind::Message(ty) = stanza.kind() else { return false };
    match fate(user, ty, stanza) {
        Fate::Refuse => true,
        Fate::Store => !offline::has_room(user, stanza, cx),
        Fate::ToOne | Fate::ToAll | Fate::Ignore => false,
    }
}

/// The sessions that take what is sent to the account.
pub(crate) fn takers(user: &User) -> impl Iterator<Item = &SessionEntry> {
    user.sessions.available().filter(|entry| entry.priority >= 0)
}

/// No such user (§8.5.1), or one that may not be used now. Presence knows its own rule.
fn answer_for_nobody(user: &mut User, stanza: Stanza, cx: &mut Context<'_, User>) {
    let refused = match stanza.kind() {
        Kind::Presence(_) => return presence::inbound(user, stanza, cx),
        Kind::Message(ty) => rules::fate_without_account(ty) == Fate::Refuse,
        Kind::Iq(_) => false,
    };
    match refused {
        true if is_invitation(&stanza, cx) => cx.send_error(&stanza, StanzaCondition::ItemNotFound),
        true => cx.send_error(&stanza, StanzaCondition::ServiceUnavailable),
        false => nobody_there(cx),
    }
}

/// What a room of ours passes on; whoever has invited is to hear that there is no such person (XEP-0045 §7.8.2).
fn is_invitation(stanza: &Stanza, cx: &Context<'_, User>) -> bool {
    let from = stanza.head().from.as_ref();
    stanza.features().any(Features::MUC_USER)
        && from.is_some_and(|from| matches!(Route::of(from, cx.hosts), Route::Room(_)))
}

fn message(
    user: &mut User,
    ty: MessageType,
    stanza: Stanza,
    writes: Vec<Write>,
    cx: &mut Context<'_, User>,
) {
    match fate(user, ty, &stanza) {
        Fate::ToOne | Fate::ToAll => hand_on(user, stanza, writes, cx),
        Fate::Store => {
            let entry = offline::Entry { stanza, writes, cause: Some(cx.origin()), taken: false };
            match cx.row() {
                Some(id) => offline::store_unless_stored(user, id, entry, cx),
                None => offline::store(user, entry, cx),
            }
        }
        Fate::Refuse => cx.send_error(&stanza, StanzaCondition::ServiceUnavailable),
        Fate::Ignore => {
            nobody_there(cx);
            stages::keep(writes, cx);
        }
    }
}

/// A stanza ends here, and its sender is not told (RFC 6121 §8.5.1, §8.5.2.2, §8.5.3.2).
pub(crate) fn nobody_there(cx: &Context<'_, User>) {
    cx.shared.figures.drops.of("nobody_there").add_one();
}

/// To the sessions that the rules pick. One that still gets stored messages gets this one behind them, out
/// of the store, so that their order stays.
fn hand_on(user: &mut User, stanza: Stanza, writes: Vec<Write>, cx: &mut Context<'_, User>) {
    let (later, now): (SmallVec<[u64; 4]>, SmallVec<[u64; 4]>) = recipients(user, &stanza)
        .into_iter()
        .partition(|session| offline::is_behind(user, *session, &stanza));
    for session in &now {
        deliver(user, *session, stanza.clone(), cx);
    }
    if later.is_empty() {
        return stages::keep(writes, cx);
    }
    let (cause, taken) = (Some(cx.origin()), !now.is_empty());
    offline::store(user, offline::Entry { stanza, writes, cause, taken }, cx);
}

fn fate(user: &User, ty: MessageType, stanza: &Stanza) -> Fate {
    let to_account = stanza.head().to.as_ref().is_none_or(|to| to.is_bare());
    let target = match (to_account, addressed(user, stanza)) {
        (true, _) => Target::Account,
        (false, Some(_)) => Target::Resource,
        (false, None) => Target::Nobody,
    };
    match rules::fate(ty, target, takers(user).next().is_some()) {
        Fate::Store if may_keep_for_later(stanza) && !user.gone => Fate::Store,
        Fate::Store if offline::is_fleeting(stanza) => Fate::Ignore,
        Fate::Store => Fate::Refuse,
        fate => fate,
    }
}

fn addressed<'a>(user: &'a User, stanza: &Stanza) -> Option<&'a SessionEntry> {
    let resource = stanza.head().to.as_ref()?.resourcepart()?;
    user.sessions.of_resource(resource)
}

/// An IQ to the account is answered by the server on its behalf (§8.5.2.1.3); one to a resource goes
/// there, a request only from who may know that the resource is there (§8.5.3.1).
fn request(user: &mut User, ty: IqType, stanza: Stanza, cx: &mut Context<'_, User>) {
    if stanza.head().to.as_ref().is_none_or(|to| to.is_bare()) {
        if !ty.is_request() {
            if !privilege::answered(user, &stanza, cx) {
                push::answered(user, &stanza, cx);
            }
        } else if let Some(stanza) = privilege::request(user, ty, stanza, cx) {
            iq::answer(user, None, stanza, cx);
        }
        return;
    }
    let entry = addressed(user, &stanza)
        .filter(|entry| !ty.is_request() || shares_presence(user, entry, &stanza));
    match entry.map(|entry| entry.id.uid) {
        Some(session) => deliver(user, session, stanza, cx),
        None if ty.is_request() => cx.send_error(&stanza, StanzaCondition::ServiceUnavailable),
        None => nobody_there(cx),
    }
}

/// Whether the sender knows of the resource: by subscription, by directed presence (to a room, which
/// speaks with many resources), or because it is the account or its server itself.
fn shares_presence(user: &User, entry: &SessionEntry, stanza: &Stanza) -> bool {
    let Some(from) = &stanza.head().from else { return true };
    let bare = from.bare();
    let directed = |to: &Jid| to.bare_str() == bare.as_str();
    bare == user.jid
        || bare == user.jid.domain()
        || user.roster.is_subscriber(&bare)
        || entry.directed.iter().any(directed)
}
