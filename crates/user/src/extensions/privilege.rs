//! XEP-0356 Privileged Entity, version 0.4.1. What components may do with an account: read and change its roster, ask
//! others in its name, and hear who is there.
//!
//! One that connects later is told who is here then (§8 rule 1): by every account that has a session, a few at a time
//! (`entity/src/host/connected.rs`). What contacts show is told also while the account has none (§7.4); so when a component
//! comes, contacts at other servers are asked for every account that there is (`component/src/contacts.rs`).

use entity::extension::SessionEvent;
use entity::{Context, Extension};
use xmpp::privilege::{Presence, Privileges};
use xmpp::{
    BareJid, Head, IqType, Jid, Kind, PresenceType, Stanza, StanzaCondition, StanzaError, forward,
    ns,
};

use super::blocking;
use crate::roster::Push;
use crate::{User, iq};

/// What a sealed id is for.
const PURPOSE: &str = "privileged";

/// Sessions that come and go are shown.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0356",
    title: "Privileged Entity",
    version: "0.4.1",
    session: Some(session),
    ..Extension::NONE
};

/// Takes a request of a component that only its privileges allow; gives back all else.
pub(crate) fn request(
    user: &mut User,
    ty: IqType,
    stanza: Stanza,
    cx: &mut Context<'_, User>,
) -> Option<Stanza> {
    let powers = cx.shared.powers.clone();
    let Some(privileges) = stanza.head().from.as_ref().and_then(|from| powers.of(from)) else {
        return Some(stanza);
    };
    if stanza.find("privileged_iq", ns::PRIVILEGE).is_some() {
        match unwrapped(user, privileges, ty, &stanza, cx) {
            Ok(inner) if inner.head().to.as_ref().is_some_and(|to| *to == *user.jid) => {
                iq::answer_owner(user, inner, cx);
            }
            Ok(inner) => cx.send(inner),
            Err(error) => cx.send_error(&stanza, error),
        }
        return None;
    }
    if stanza.find("query", ns::ROSTER).is_none() || !privileges.roster.allows(ty) {
        return Some(stanza);
    }
    match user.exists {
        true => iq::answer_owner(user, stanza, cx),
        false => cx.send_error(&stanza, StanzaCondition::ItemNotFound),
    }
    None
}

/// Takes a message that a component sends in the account's name (§5.3), as the gate hands it on; gives back all else.
pub(crate) fn message(user: &User, stanza: Stanza, cx: &mut Context<'_, User>) -> Option<Stanza> {
    let sender = stanza.head().from.as_ref().and_then(|from| cx.shared.powers.of(from));
    let may = sender.is_some_and(|it| it.message) && matches!(stanza.kind(), Kind::Message(_));
    let wrapper = may.then(|| stanza.child("privilege", ns::PRIVILEGE)).flatten();
    let Some(wrapper) = wrapper else { return Some(stanza) };
    let message = forward::inner(&wrapper).and_then(forward::read);
    let message = message.filter(|it| it.head().from.as_ref().is_some_and(|it| *it == *user.jid));
    // Nobody manages an account that is not there (§5.1); nor does a component what the account may not (§9 rule 4).
    let message = message.filter(|_| user.exists);
    let message = message.ok_or_else(|| StanzaError::from(StanzaCondition::Forbidden));
    match message.and_then(|it| blocking::may_send(user, &it).map(|()| it)) {
        Ok(message) => cx.send(message),
        // It was sent to the server.
        Err(error) => cx.send_error(&stanza.with_to(user.jid.domain().into()), error),
    }
    None
}

/// The request within a request (§6.3), as if the account had made it. Who asked stands, sealed, in its id.
fn unwrapped(
    user: &User,
    privileges: &Privileges,
    ty: IqType,
    outer: &Stanza,
    cx: &Context<'_, User>,
) -> Result<Stanza, StanzaError> {
    let forbidden = || StanzaError::from(StanzaCondition::Forbidden);
    let bad = || StanzaError::from(StanzaCondition::BadRequest);
    let wrapper = entity::answer::only_child(outer).ok_or_else(bad)?;
    let element = wrapper.children().next().filter(|it| it.is("iq", ns::CLIENT));
    let request = element.and_then(forward::read).ok_or_else(forbidden)?;
    let head = request.head();
    let is_own = head.from.as_ref().is_none_or(|from| *from == *user.jid);
    let child = entity::answer::only_child(&request).ok_or_else(bad)?;
    if !user.exists || !is_own || head.kind != Kind::Iq(ty) || !privileges.may_ask(ty, child.ns()) {
        return Err(forbidden());
    }
    let to = head.to.clone().unwrap_or_else(|| user.jid.clone().into());
    let (Some(id), Some(outer)) = (&head.id, &outer.head().id) else { return Err(bad()) };
    let words = [privileges.domain.as_str(), &**outer, to.as_str(), &**id];
    let id = cx.shared.powers.seal.close(PURPOSE, &words);
    let request = request.with_head(|head| {
        head.id = Some(id.into());
        head.from = Some(user.jid.clone().into());
        head.to = Some(to);
    });
    blocking::may_send(user, &request).map(|()| request)
}

/// Hands the answer to a request that a component has made in the account's name to that component (§6.3).
pub(crate) fn answered(user: &User, answer: &Stanza, cx: &mut Context<'_, User>) -> bool {
    let powers = &cx.shared.powers;
    let head = answer.head();
    let Some(words) = head.id.as_deref().and_then(|id| powers.seal.open(PURPOSE, id)) else {
        return false;
    };
    let [component, outer, asked, id] = &words[..] else { return false };
    let is_of_asked = head.from.as_ref().is_some_and(|from| from.as_str() == asked);
    let Some(component) =
        Jid::parse(component).ok().filter(|it| is_of_asked && powers.of(it).is_some())
    else {
        return false;
    };
    let answer = answer.with_head(|head| head.id = Some(id.as_str().into()));
    let mut inner = Vec::new();
    forward::write_in(&mut inner, ("privilege", ns::PRIVILEGE), &[], &answer, None);
    let head = Head {
        kind: Kind::Iq(IqType::Result),
        id: Some(outer.as_str().into()),
        from: Some(user.jid.clone().into()),
        to: Some(component),
        lang: None,
    };
    cx.send(Stanza::new(head, inner));
    true
}

/// Tells of a changed roster (§4.4).
pub(crate) fn push(user: &User, push: &Push, cx: &mut Context<'_, User>) {
    let powers = cx.shared.powers.clone();
    for privileges in powers.all.iter().filter(|it| it.hears_of_rosters()) {
        cx.send(push.stanza(&user.jid, privileges.domain.clone().into()));
    }
}

/// Initial presence, and the end of it (§7.1).
fn session(user: &mut User, session: u64, event: SessionEvent, cx: &mut Context<'_, User>) {
    let Some(entry) = user.sessions.get(session) else { return };
    let presence = match event {
        SessionEvent::Available => entry.presence.clone(),
        SessionEvent::Unavailable => Some(crate::presence::gone(entry.jid.clone().into())),
        _ => None,
    };
    if let Some(presence) = presence {
        show(&presence, |it| it != Presence::None, cx);
    }
}

/// A component that may see it has another stream: it hears of every session that is available (§8 rule 1). Contacts of
/// other servers are asked again; what they answer is shown as always.
pub(crate) fn component_connected(user: &User, domain: &BareJid, cx: &mut Context<'_, User>) {
    let powers = cx.shared.powers.clone();
    let may = powers.of(&domain.clone().into()).map_or(Presence::None, |it| it.presence);
    if may == Presence::None {
        return;
    }
    let available = user.sessions.available().filter_map(|entry| entry.presence.clone());
    let available: Vec<Stanza> = available.collect();
    if may == Presence::Roster && !available.is_empty() {
        crate::presence::probe::ask_elsewhere(user, cx);
    }
    for presence in available {
        cx.send(presence.with_to(domain.clone().into()));
    }
}

/// A component that may see the account's contacts has come. Where nobody is there, the account asks those of other servers
/// itself; what they answer is shown as always, and kept nowhere. Where somebody is, they have been asked.
pub(crate) fn ask_contacts(user: &User, domain: &BareJid, cx: &mut Context<'_, User>) {
    let powers = &cx.shared.powers;
    let sees = powers.of(&domain.clone().into()).is_some_and(|it| it.presence == Presence::Roster);
    if user.exists && sees && user.sessions.available().next().is_none() {
        crate::presence::probe::ask_elsewhere(user, cx);
    }
}

/// What a contact shows the account, or would if somebody were there (§7.4).
pub(crate) fn show_contact(presence: &Stanza, cx: &mut Context<'_, User>) {
    let is_it = matches!(
        presence.kind(),
        Kind::Presence(PresenceType::Available | PresenceType::Unavailable)
    );
    if is_it {
        show(presence, |it| it == Presence::Roster, cx);
    }
}

/// Whether an error is that of a component that could not be told of presence: nobody has sent it any.
pub(crate) fn is_unseen(from: &Jid, cx: &Context<'_, User>) -> bool {
    cx.shared.powers.of(from).is_some_and(|it| it.presence != Presence::None)
}

fn show(presence: &Stanza, to: impl Fn(Presence) -> bool, cx: &mut Context<'_, User>) {
    let powers = cx.shared.powers.clone();
    for privileges in powers.all.iter().filter(|it| to(it.presence)) {
        cx.send(presence.clone().with_to(privileges.domain.clone().into()));
    }
}
