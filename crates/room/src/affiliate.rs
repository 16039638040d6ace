//! Owns giving and taking affiliations with all that follows (XEP-0045 §9, §10): the rows first, then what
//! occupants become, who has to go, and who is told.

use std::collections::BTreeSet;

use entity::Context;
use xmpp::{
    BareJid, Element, Head, Jid, Kind, MessageType, Stanza, StanzaCondition, StanzaError, ns,
};

use crate::admin::may_list;
use crate::affiliation::{Affiliation, Role};
use crate::affiliations::Entry;
use crate::exit::{self, Removal};
use crate::extensions::affiliation_versions::name;
use crate::occupant::Occupant;
use crate::presence::{self, News, status};
use crate::room::{Phase, Room};
use crate::{invite, nick_change, voices};

/// Somebody gets another affiliation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Who.
    pub(crate) who: BareJid,
    /// Which.
    pub(crate) to: Affiliation,
    /// The nick that is reserved for him: none leaves it, an empty one takes it (§9.5).
    pub(crate) nick: Option<Box<str>>,
    /// Why, in words for people.
    pub(crate) reason: Option<Box<str>>,
    /// Where he is not inside, the room tells him: it invites a new member of a members-only room (§9.5), or says
    /// what he is now (§18.1 item 2).
    pub(crate) tells: bool,
}

/// Whoever changes more at once lets nobody be told: nobody is to write to strangers by it.
const COURTESIES_MOST: usize = 20;

/// Makes all changes, or none. While the store keeps them, the room waits. `actor`: the nick of who did it.
pub(crate) fn change(
    room: &mut Room,
    changes: Vec<Change>,
    actor: Option<String>,
    cx: &mut Context<'_, Room>,
    then: impl FnOnce(&mut Room, &mut Context<'_, Room>, Result<(), StanzaError>) + 'static,
) {
    if let Err(error) = check_size(room, &changes) {
        return then(room, cx, Err(error));
    }
    let entries = changes.iter().map(|change| (change.who.clone(), entry(room, change))).collect();
    let mut plan = room.affiliations.plan(&room.jid, entries);
    let writes = std::mem::take(&mut plan.writes);
    room.queue.block();
    cx.commit_then(writes, move |room, cx, result| {
        match result {
            Ok(()) => {
                let before: Vec<Affiliation> =
                    changes.iter().map(|change| room.affiliation_of(&change.who)).collect();
                let version = room.affiliations.version();
                let forgotten = room.affiliations.apply(&room.jid, plan);
                if !forgotten.is_empty() {
                    cx.commit(forgotten);
                }
                then(room, cx, Ok(()));
                let all = (changes.as_slice(), before.as_slice());
                follow_all(room, all, (actor.as_deref(), version), cx);
            }
            Err(error) => {
                tracing::warn!(jid = %room.jid, %error, "affiliations of a room were not kept");
                then(room, cx, Err(StanzaCondition::InternalServerError.into()));
            }
        }
        // A room that has ended by it goes on by itself.
        if !matches!(room.phase, Phase::Ending) {
            room.queue.unblock();
            room.drain(cx);
        }
    });
}

fn check_size(room: &Room, changes: &[Change]) -> Result<(), StanzaError> {
    let is_new = |change: &&Change| {
        let had = room
            .affiliations
            .get(&change.who)
            .is_some_and(|it| it.affiliation != Affiliation::None);
        change.to != Affiliation::None && !had
    };
    let more = changes.iter().filter(is_new).count();
    if more > 0 && room.affiliations.len() + more > room.shared.config.affiliations {
        let error = StanzaError::from(StanzaCondition::ResourceConstraint);
        return Err(error.with_text("the room has too many affiliations"));
    }
    Ok(())
}

fn entry(room: &Room, change: &Change) -> Entry {
    let before = room.affiliations.get(&change.who);
    let nick = match &change.nick {
        Some(nick) => Some(nick.clone()).filter(|nick| !nick.is_empty()),
        None => before.and_then(|entry| entry.nick.clone()),
    };
    Entry { affiliation: change.to, nick, reason: change.reason.clone(), version: 0 }
}

/// Each change has made one version of the list (XEP-0463 §5.2.2).
fn follow_all(
    room: &mut Room,
    (changes, before): (&[Change], &[Affiliation]),
    (actor, version): (Option<&str>, u64),
    cx: &mut Context<'_, Room>,
) {
    let is_courteous = changes.len() <= COURTESIES_MOST;
    for (version, (change, before)) in (version..).zip(changes.iter().zip(before)) {
        let versions = (name(room, version), name(room, version + 1));
        let was_inside = room.occupants.of_account(&change.who).next().is_some();
        let invited = follow(room, change, *before, (actor, Some(versions)), cx);
        let now = room.affiliation_of(&change.who);
        let is_news = *before != now && !was_inside && !invited;
        if is_news && change.tells && is_courteous && change.who.localpart().is_some() {
            tell_himself(room, change, now, cx);
        }
    }
}

/// What a change that is kept means to those who are in the room; whether somebody was invited because of it.
fn follow(
    room: &mut Room,
    change: &Change,
    before: Affiliation,
    (actor, versions): (Option<&str>, Option<(String, String)>),
    cx: &mut Context<'_, Room>,
) -> bool {
    if before != change.to {
        voices::affiliated(room, &change.who);
    }
    let now = room.affiliation_of(&change.who);
    let inside: Vec<u64> =
        room.occupants.of_account(&change.who).map(|occupant| occupant.number).collect();
    let bans_a_domain = change.to == Affiliation::Outcast && change.who.localpart().is_none();
    if bans_a_domain {
        let now = versions.clone().map(|(_, until)| (until.clone(), until));
        tell_of_absent(room, change, before, versions, cx);
        remove_banned(room, change, (actor, now), cx);
        return false;
    }
    let mut invited = false;
    if inside.is_empty() && before != now {
        tell_of_absent(room, change, before, versions.clone(), cx);
        invited = change.tells && room.settings.members_only && before == Affiliation::None;
        invited &= now >= Affiliation::Member;
        if invited {
            invite::welcome(room, &change.who, cx);
        }
    }
    let code = match now {
        Affiliation::Outcast => Some(301),
        Affiliation::None if room.settings.members_only => Some(321),
        _ => None,
    };
    for number in inside {
        match code {
            Some(code) => {
                let reason = change.reason.as_deref();
                let removal = Removal { code, actor, reason, versions: versions.clone() };
                exit::remove(room, number, &removal, cx);
            }
            None => {
                let reason = change.reason.as_deref();
                turn_into(room, number, (before, now), (actor, reason, versions.clone()), cx);
                let nick = room.affiliations.get(&change.who).and_then(|it| it.nick.clone());
                if let Some(nick) = nick.filter(|_| room.settings.nicks_locked) {
                    nick_change::assign(room, number, &nick, cx);
                }
            }
        }
    }
    invited
}

/// An occupant is something else now (§5.1.3).
fn turn_into(
    room: &mut Room,
    number: u64,
    (before, now): (Affiliation, Affiliation),
    (actor, reason, versions): (Option<&str>, Option<&str>, Option<(String, String)>),
    cx: &mut Context<'_, Room>,
) {
    let moderated = room.settings.moderated;
    let Some(role) = room.occupants.get(number).map(|it| it.role) else { return };
    room.occupants.set_role(number, before.role_after(now, role, moderated));
    let Some(occupant) = room.occupants.get(number) else { return };
    let news = News { actor, reason, versions, ..News::of(room, occupant) };
    presence::tell_all(room, occupant, &news, role, cx);
}

/// Everybody of a banned domain has to go (§9.2).
fn remove_banned(
    room: &mut Room,
    change: &Change,
    (actor, versions): (Option<&str>, Option<(String, String)>),
    cx: &mut Context<'_, Room>,
) {
    let banned = room.occupants.iter().filter(|it| {
        it.who.domainpart() == change.who.as_str()
            && room.affiliation_of(&it.who) == Affiliation::Outcast
    });
    let banned: Vec<u64> = banned.map(|occupant| occupant.number).collect();
    for number in banned {
        let reason = change.reason.as_deref();
        let removal = Removal { code: 301, actor, reason, versions: versions.clone() };
        exit::remove(room, number, &removal, cx);
    }
}

/// Somebody who is not in the room is told what he is to it from now on (§18.1 item 2).
fn tell_himself(room: &Room, change: &Change, now: Affiliation, cx: &mut Context<'_, Room>) {
    let mut item = Element::new("item", ns::MUC_USER)
        .with_attr("affiliation", now.as_str())
        .with_attr("role", Role::None.as_str());
    if let Some(reason) = &change.reason {
        item.push(Element::new("reason", ns::MUC_USER).with_text(&**reason));
    }
    let head = Head {
        kind: Kind::Message(MessageType::Normal),
        id: None,
        from: Some(Jid::from(room.jid.clone())),
        to: Some(change.who.clone().into()),
        lang: None,
    };
    let x = Element::new("x", ns::MUC_USER).with_child(item);
    cx.send(Stanza::build(head, &[x.with_child(status(101))]));
}

/// Of somebody who is not in the room, those are told who may ask for the list that he is on now; who may ask for
/// the one that he was on, that he is on none (§9.2, §10.3, XEP-0463 §5.2.2, §5.2.3).
fn tell_of_absent(
    room: &Room,
    change: &Change,
    before: Affiliation,
    versions: Option<(String, String)>,
    cx: &mut Context<'_, Room>,
) {
    let sees = |occupant: &Occupant| {
        let standing = room.standing_inside(occupant);
        let hidden = may_list(room, standing, before).then_some(Affiliation::None);
        if may_list(room, standing, change.to) { Some(change.to) } else { hidden }
    };
    for told in BTreeSet::from([change.to, Affiliation::None]) {
        let stanza = news_of_absent(room, &change.who, told, versions.clone());
        for occupant in room.occupants.iter().filter(|it| sees(it) == Some(told)) {
            for session in &occupant.sessions {
                cx.send(stanza.clone().with_to(session.jid.clone().into()));
            }
        }
    }
}

fn news_of_absent(
    room: &Room,
    who: &BareJid,
    told: Affiliation,
    versions: Option<(String, String)>,
) -> Stanza {
    let item = Element::new("item", ns::MUC_USER)
        .with_attr("affiliation", told.as_str())
        .with_attr("jid", who.as_str())
        .with_attr("role", Role::None.as_str());
    let mut x = Element::new("x", ns::MUC_USER).with_child(item);
    if let Some((since, until)) = versions {
        let mav = Element::new("mav", ns::AFFILIATIONS);
        x.push(mav.with_attr("since", since).with_attr("until", until));
    }
    let head = Head {
        kind: Kind::Message(MessageType::Normal),
        id: None,
        from: Some(Jid::from(room.jid.clone())),
        to: None,
        lang: None,
    };
    // News, not a conversation.
    let hint = Element::new("no-store", ns::HINTS);
    Stanza::build(head, &[x, hint])
}
