//! Owns presence probes: asked for an account, and answered in its name (RFC 6121 §4.3, §4.6.6).

use entity::Context;
use xmpp::{BareJid, FullJid, Jid, PresenceType, Stanza, delay};

use super::{directed, is_blocked, made, may_see};
use crate::User;
use crate::extensions::last;
use crate::sessions::SessionEntry;
use crate::subscription::SubscriptionType;

/// Asks every contact whose presence the account may see (§4.3.1). A remote contact is asked in the name of
/// the bare address; one of this cluster in the name of the new resource, so that the answer comes to that
/// one alone.
pub(crate) fn ask(user: &User, newcomer: &FullJid, cx: &mut Context<'_, User>) {
    let contacts = user.roster.iter().filter(|(_, item)| item.is_subscribed_to());
    for (contact, _) in contacts.filter(|(contact, _)| !is_blocked(user, contact)) {
        let here = cx.hosts.serves(contact.domainpart());
        let from = if here { newcomer.clone().into() } else { Jid::from(user.jid.clone()) };
        cx.send(made(PresenceType::Probe, from, Some(contact.clone().into())));
    }
}

/// Asks those of them that are of other servers once more, in the name of the account.
pub(crate) fn ask_elsewhere(user: &User, cx: &mut Context<'_, User>) {
    let contacts = user.roster.iter().filter(|(_, item)| item.is_subscribed_to());
    let elsewhere = contacts.filter(|(it, _)| !cx.hosts.serves(it.domainpart()));
    let asked: Vec<BareJid> =
        elsewhere.filter(|(it, _)| !is_blocked(user, it)).map(|(it, _)| it.bare()).collect();
    for contact in asked {
        let from = Jid::from(user.jid.clone());
        cx.send(made(PresenceType::Probe, from, Some(contact.into())));
    }
}

/// Answers a probe to the account or to one of its resources (§4.3.2, §8.5.1).
pub(super) fn answer(user: &User, probe: &Stanza, asker: &Jid, cx: &mut Context<'_, User>) {
    if is_blocked(user, asker) {
        return;
    }
    let resource = probe.head().to.as_ref().and_then(Jid::resourcepart);
    match (user.exists && may_see(user, &asker.bare()), resource) {
        (true, None) => answer_whole(user, probe, asker, cx),
        (true, Some(resource)) => {
            let entry = user.sessions.of_resource(resource);
            answer_one(user, probe, resource, entry.filter(|entry| entry.is_available()), cx);
        }
        (false, resource) => answer_stranger(user, probe, resource, asker, cx),
    }
}

/// A subscriber gets the last presence of each available resource with its own id, or learns that there is
/// none, and since when (§4.3.2 rules 3 and 4, §4.3.2.1).
fn answer_whole(user: &User, probe: &Stanza, asker: &Jid, cx: &mut Context<'_, User>) {
    let mut available = user.sessions.available().filter_map(|entry| entry.presence.as_ref());
    let Some(first) = available.next() else {
        let gone = mirrored(probe, PresenceType::Unavailable, user.jid.clone().into());
        let note = last::left(user).map(|since| delay::element(Some(&user.jid), since));
        return cx.send(note.map_or_else(|| gone.clone(), |note| gone.with_child(&note)));
    };
    for presence in std::iter::once(first).chain(available) {
        cx.send(presence.clone().with_to(asker.clone()));
    }
}

/// A probe of one resource learns only whether that one is available (§4.3.2, last paragraph).
fn answer_one(
    user: &User,
    probe: &Stanza,
    resource: &str,
    entry: Option<&SessionEntry>,
    cx: &mut Context<'_, User>,
) {
    let Ok(from) = user.jid.with_resource(resource) else { return };
    let to = probe.head().from.clone();
    cx.send(match entry {
        Some(entry) => made(PresenceType::Available, entry.jid.clone().into(), to),
        None => mirrored(probe, PresenceType::Unavailable, from.into()),
    });
}

/// Whoever has no subscription learns of the resources that have shown themselves to it, and of nothing
/// else (§4.6.6); if there is none, that it has no subscription (§4.3.2 rule 1), which says the same of an
/// account that does not exist. A pre-approval stays.
fn answer_stranger(
    user: &User,
    probe: &Stanza,
    resource: Option<&str>,
    asker: &Jid,
    cx: &mut Context<'_, User>,
) {
    let shown: Vec<_> = user
        .sessions
        .iter()
        .filter(|entry| resource.is_none_or(|resource| resource == entry.jid.resource()))
        .filter(|entry| directed::knows(entry, asker))
        .map(|entry| Jid::from(entry.jid.clone()))
        .collect();
    if shown.is_empty() {
        let no = SubscriptionType::Unsubscribed.presence_type();
        let answer = mirrored(probe, no, user.jid.clone().into());
        return cx.send(answer.with_to(asker.bare().into()));
    }
    for from in shown {
        cx.send(made(PresenceType::Available, from, Some(asker.clone())));
    }
}

/// An answer with the probe's id, where no presence has one of its own (§4.3.2.1).
fn mirrored(probe: &Stanza, ty: PresenceType, from: Jid) -> Stanza {
    let id = probe.head().id.clone();
    made(ty, from, probe.head().from.clone()).with_head(|head| head.id = id)
}
