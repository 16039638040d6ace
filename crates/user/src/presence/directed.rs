//! Owns presence that a session sends to one address, and the memory of who must be told when the session
//! becomes unavailable (RFC 6121 §4.6).

use entity::{Context, Taken};
use proto::Route;
use xmpp::{
    Element, Features, Head, Jid, Kind, PresenceType, Stanza, StanzaCondition, StanzaError, kept,
    ns,
};

use super::{made, may_see, refuse};
use crate::User;
use crate::sessions::SessionEntry;

/// Sends presence to one address (§4.6.3). Where the memory is full, the presence is refused: the server
/// could not keep the promise to tell of its end.
pub(super) fn send(
    user: &mut User,
    session: u64,
    stanza: Stanza,
    to: Jid,
    cx: &mut Context<'_, User>,
) {
    let is_subscriber = may_see(user, &to.bare());
    let Some(entry) = user.sessions.get_mut(session) else { return };
    if stanza.kind() == Kind::Presence(PresenceType::Unavailable) {
        // A room is left whatever nick is named.
        let is_room = |jid: &Jid| jid.bare_str() == to.bare_str();
        let leaves = entry.inside.extract_if(.., |jid| is_room(jid)).count() > 0;
        entry.directed.retain(|before| *before != to && !(leaves && is_room(before)));
        return cx.send(stanza);
    }
    // A subscriber hears of the end of the session as all others do (rule 1); but of a room of ours it is known by this alone
    // whether the session is inside.
    let hears_as_all = is_subscriber && !matches!(Route::of(&to, cx.hosts), Route::Room(_));
    let promised = (hears_as_all && entry.is_available())
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
/// What a room says of other occupants is not of the session, and what it answers one that has left is of a time that is over:
/// the session may have asked to come in again since, under the same nick.
pub(super) fn forget(user: &mut User, stanza: &Stanza, from: &Jid) {
    let resource = stanza.head().to.as_ref().and_then(Jid::resourcepart);
    if stanza.features().any(Features::MUC_USER) && !ends_or_renames(stanza) {
        // But that it was inside was of that time too.
        let left = resource.filter(|_| says(stanza, "'110'"));
        if let Some(entry) = left.and_then(|it| user.sessions.of_resource_mut(it)) {
            entry.inside.retain(|jid| jid != from);
        }
        return;
    }
    let gone = |jid: &Jid| jid == from || (from.is_bare() && jid.bare_str() == from.as_str());
    let renamed = renamed(stanza, from);
    for entry in user.sessions.iter_mut() {
        if resource.is_none_or(|resource| resource == entry.jid.resource()) {
            for known in [&mut entry.directed, &mut entry.inside] {
                match (&renamed, known.iter().position(|jid| jid == from)) {
                    (Some(now), Some(at)) => known[at] = now.clone(),
                    _ => known.retain(|jid| !gone(jid)),
                }
            }
        }
    }
}

/// Remembers that a room has let a session in, if this says so (XEP-0045 §7.2.2): of itself a room tells nobody else.
pub(super) fn entered(user: &mut User, stanza: &Stanza, from: &Jid) {
    let is_of_room = stanza.features().any(Features::MUC_USER);
    let resource = stanza.head().to.as_ref().and_then(Jid::resourcepart);
    let Some(resource) = resource.filter(|_| is_of_room && says(stanza, "'110'")) else { return };
    let Some(entry) = user.sessions.of_resource_mut(resource) else { return };
    let is_room = |jid: &Jid| jid.bare_str() == from.bare_str();
    if entry.directed.iter().any(is_room) {
        // Under the nick that the room says, which may be another than was asked for: they leave under this one.
        for known in [&mut entry.directed, &mut entry.inside] {
            known.retain(|jid| !is_room(jid));
            known.push(from.clone());
        }
    }
}

/// A room of ours has not let a session in under this nick: it need not be told of the session's end.
pub(super) fn refused(user: &mut User, stanza: &Stanza, from: &Jid) {
    let resource = stanza.head().to.as_ref().and_then(Jid::resourcepart);
    let Some(entry) = resource.and_then(|it| user.sessions.of_resource_mut(it)) else { return };
    // Whoever is inside under it is told that for another reason.
    if !entry.inside.contains(from) {
        entry.directed.retain(|jid| jid != from);
    }
}

/// A room of ours has a session inside, and does not know whether that is still there: this account or the room has another
/// owner. One that is not there, or has not asked to come in, is out of it now. Of one that was brought back that may not be
/// known: it is inside, as the room says, and leaves when it ends at the latest.
pub(super) fn asked(user: &mut User, probe: &Stanza, room: &Jid, cx: &mut Context<'_, User>) {
    let Some(client) = probe.head().to.as_ref().filter(|to| !to.is_bare()) else { return };
    let is_room = |jid: &Jid| jid.bare_str() == room.bare_str();
    let most = cx.shared.accounts.directed_presence;
    let entry = client.resourcepart().and_then(|it| user.sessions.of_resource_mut(it));
    let is_inside = entry.is_some_and(|entry| {
        let is_told = entry.directed.iter().any(is_room)
            || (entry.is_brought_back && note(entry, room.clone(), most));
        // It may have left and come again, and only the room know that it was let in.
        if entry.directed.contains(room) && !entry.inside.iter().any(is_room) {
            entry.inside.push(room.clone());
        }
        is_told
    });
    if !is_inside {
        cx.send(made(PresenceType::Unavailable, client.clone(), Some(room.clone())));
    }
}

/// Whether a presence of a room has this status code, which is given between quotes, as canonical bytes have it.
fn says(stanza: &Stanza, quoted: &str) -> bool {
    // Most have none of the kind. The digits alone may stand in an address or a hash by chance.
    if memchr::memmem::find(stanza.inner(), quoted.as_bytes()).is_none() {
        return false;
    }
    let Some(x) = stanza.child("x", ns::MUC_USER) else { return false };
    let mut codes = x.children().filter(|it| it.is("status", ns::MUC_USER));
    codes.any(|it| it.attr("code") == Some(quoted.trim_matches('\'')))
}

/// Whether a room says to somebody that they are inside under another nick, or not any more although they did not leave
/// (XEP-0045 §15.6.2, §10.9).
fn ends_or_renames(stanza: &Stanza) -> bool {
    const REMOVED: [&str; 6] = ["301", "307", "321", "322", "332", "333"];
    let Some(x) = stanza.child("x", ns::MUC_USER) else { return false };
    let codes = || x.children().filter_map(|it| it.attr("code"));
    let is_renamed = codes().any(|code| code == "303") && codes().any(|code| code == "110");
    let is_removed = codes().any(|code| REMOVED.contains(&code));
    is_renamed || is_removed || x.child("destroy", ns::MUC_USER).is_some()
}

/// The occupant's address from now on, where a room says that their nick has changed (XEP-0045 §7.6).
fn renamed(stanza: &Stanza, from: &Jid) -> Option<Jid> {
    if !stanza.features().any(Features::MUC_USER) || !says(stanza, "'303'") {
        return None;
    }
    let x = stanza.child("x", ns::MUC_USER)?;
    let nick = x.child("item", ns::MUC_USER)?.attr("nick")?;
    Jid::from_parts(from.localpart(), from.domainpart(), Some(nick)).ok()
}

/// Says to rooms that have new owners which sessions are inside: the presence by which each would enter.
pub(crate) fn claim(user: &User, taken: &Taken<'_>, cx: &mut Context<'_, User>) {
    for entry in user.sessions.iter() {
        for to in &entry.inside {
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
