//! Owns presence that a session sends to one address, and the memory of who must be told when the session
//! becomes unavailable (RFC 6121 §4.6).

use entity::{Context, Taken};
use proto::Route;
use xmpp::{
    Element, Features, Head, Jid, Kind, PresenceType, Stanza, StanzaCondition, StanzaError, kept,
    ns,
};

use super::{may_see, refuse};
use crate::User;
use crate::sessions::SessionEntry;

/// Sends presence to one address (§4.6.3). Where the memory is full, the presence is refused: the server
/// could not keep the promise to tell of its end.
pub(super) fn send(
    user: &mut User,
    session: u64,
    (stanza, to): (Stanza, Jid),
    cx: &mut Context<'_, User>,
) {
    let is_subscriber = may_see(user, &to.bare());
    let Some(entry) = user.sessions.get_mut(session) else { return };
    if stanza.kind() == Kind::Presence(PresenceType::Unavailable) {
        entry.directed.retain(|before| *before != to);
        return cx.send(stanza);
    }
    // A subscriber hears of the end of the session as all others do (rule 1).
    let promised = (is_subscriber && entry.is_available())
        || note(entry, to, cx.shared.accounts.directed_presence);
    if !promised {
        let full = StanzaError::from(StanzaCondition::ResourceConstraint);
        let full = full.with_text("this session shows itself to too many addresses");
        return refuse(user, session, &stanza, full, cx);
    }
    cx.send(stanza);
}

/// Remembers an address; false where there is no room.
fn note(entry: &mut SessionEntry, to: Jid, most: usize) -> bool {
    if entry.directed.contains(&to) {
        return true;
    }
    let room = entry.directed.len() < most;
    if room {
        entry.directed.push(to);
    }
    room
}

/// Whoever says that it is gone need not be told more (§4.6.1). Unavailable presence of a bare address is
/// of all its resources (§4.5.4). An occupant of a room who has another nick is there under that.
pub(super) fn forget(user: &mut User, stanza: &Stanza, from: &Jid) {
    let resource = stanza.head().to.as_ref().and_then(Jid::resourcepart);
    let gone = |jid: &Jid| jid == from || (from.is_bare() && jid.bare_str() == from.as_str());
    let renamed = renamed(stanza, from);
    for entry in user.sessions.iter_mut() {
        if resource.is_none_or(|resource| resource == entry.jid.resource()) {
            match (&renamed, entry.directed.iter().position(|jid| jid == from)) {
                (Some(now), Some(at)) => entry.directed[at] = now.clone(),
                _ => entry.directed.retain(|jid| !gone(jid)),
            }
        }
    }
}

/// The occupant's address from now on, where a room says that his nick has changed (XEP-0045 §7.6).
fn renamed(stanza: &Stanza, from: &Jid) -> Option<Jid> {
    if !stanza.features().any(Features::MUC_USER) {
        return None;
    }
    let x = stanza.child("x", ns::MUC_USER)?;
    let mut codes = x.children().filter(|it| it.is("status", ns::MUC_USER));
    codes.find(|it| it.attr("code") == Some("303"))?;
    let nick = x.child("item", ns::MUC_USER)?.attr("nick")?;
    Jid::from_parts(from.localpart(), from.domainpart(), Some(nick)).ok()
}

/// Says to rooms that have new owners which sessions are inside: the presence by which each would enter.
pub(crate) fn claim(user: &User, taken: &Taken<'_>, cx: &mut Context<'_, User>) {
    for entry in user.sessions.iter() {
        for to in entry.directed.iter().filter(|to| to.resourcepart().is_some()) {
            let Some(owner) = taken.owner(&to.bare()) else { continue };
            let route = Route::of(to, cx.hosts);
            if matches!(route, Route::Room(_)) {
                cx.claim(owner, route, kept::write(&knock(entry, to)));
            }
        }
    }
}

/// XEP-0045 §7.2.1
fn knock(entry: &SessionEntry, to: &Jid) -> Stanza {
    let head = Head {
        kind: Kind::Presence(PresenceType::Available),
        id: None,
        from: Some(entry.jid.clone().into()),
        to: Some(to.clone()),
        lang: None,
    };
    Stanza::build(head, &[Element::new("x", ns::MUC)])
}

/// Whether a session has shown itself to whoever asks: to just this address, or to some resource of it
/// (§4.6.6).
pub(super) fn knows(entry: &SessionEntry, asker: &Jid) -> bool {
    entry
        .directed
        .iter()
        .any(|jid| jid == asker || (asker.is_bare() && jid.bare_str() == asker.as_str()))
}
