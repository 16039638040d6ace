//! Owns giving and taking affiliations with all that follows (XEP-0045 §9, §10): the rows first, then what
//! occupants become, who has to go, and who is told.

use std::collections::BTreeSet;

use entity::Context;
use store::Write;
use xmpp::room_event::{News as Told, Node};
use xmpp::{
    BareJid, Element, Head, Jid, Kind, MessageType, Stanza, StanzaCondition, StanzaError, ns,
};

use crate::admin::may_list;
use crate::affiliation::{Affiliation, Role};
use crate::affiliations::{self, Entry};
use crate::exit::{self, Removal};
use crate::extensions::affiliation_versions::{Versions, name};
use crate::keep::go_on;
use crate::occupant::Occupant;
use crate::presence::{self, News, status};
use crate::room::Room;
use crate::rules::Standing;
use crate::tell::{Audience, tell};
use crate::{events, invite, nick_change, reveal, subscribe, voices};

/// Somebody gets another affiliation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Who.
    pub(crate) who: BareJid,
    /// Which.
    pub(crate) to: Affiliation,
    /// The nick that is reserved for them: none leaves it, an empty one takes it (§9.5).
    pub(crate) nick: Option<Box<str>>,
    /// Why, in words for people.
    pub(crate) reason: Option<Box<str>>,
    /// Where they are not inside, the room tells them: it invites a new member of a members-only room (§9.5), or says
    /// what they are now (§18.1 item 2).
    pub(crate) tells: bool,
}

/// Whoever changes more at once lets nobody be told, or invited: nobody is to write to strangers by it.
const COURTESIES_MOST: usize = 20;

/// Changes that may be made, and are not kept yet.
pub(crate) struct Plan {
    /// What must be kept first.
    pub(crate) writes: Vec<Write>,
    changes: Vec<Change>,
    list: affiliations::Plan,
    /// Who does not hear the room any more.
    lost: Vec<BareJid>,
    /// Whose role on entering is the usual one from then on.
    voices: voices::Plan,
}

impl Plan {
    /// The changes.
    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }
}

/// What becomes of the room by these changes.
///
/// # Errors
/// `resource-constraint` where the room would have too many affiliations.
pub(crate) fn plan(
    room: &Room,
    mut changes: Vec<Change>,
    cx: &Context<'_, Room>,
) -> Result<Plan, StanzaError> {
    check_size(room, &changes)?;
    if changes.len() > COURTESIES_MOST {
        changes.iter_mut().for_each(|change| change.tells = false);
    }
    let entries = changes.iter().map(|change| (change.who.clone(), entry(room, change))).collect();
    let mut list = room.affiliations.plan(&room.jid, entries);
    let mut writes = std::mem::take(&mut list.writes);
    let lost = subscribe::lost_by(room, &changes, cx);
    writes.extend(subscribe::rows(room, &lost));
    let mut voices = voices::affiliated(room, &changes);
    writes.append(&mut voices.writes);
    Ok(Plan { writes, changes, list, lost, voices })
}

/// The plan is kept: everything that follows from it, `then` before those inside are told. `actor`: the nick of who
/// did it.
pub(crate) fn apply(
    room: &mut Room,
    plan: Plan,
    actor: Option<&str>,
    cx: &mut Context<'_, Room>,
    then: impl FnOnce(&mut Room, &mut Context<'_, Room>),
) {
    let Plan { changes, list, lost, voices, .. } = plan;
    let before: Vec<Affiliation> =
        changes.iter().map(|change| room.affiliation_of(&change.who)).collect();
    let version = room.affiliations.version();
    let forgotten = room.affiliations.apply(&room.jid, list);
    if !forgotten.is_empty() {
        cx.commit(forgotten);
    }
    room.voices.apply(voices);
    subscribe::end(room, &lost, cx);
    then(room, cx);
    follow_all(room, &changes, &before, actor, version, cx);
}

/// Makes all changes, or none, and keeps what else belongs to them. While the store keeps them, the room waits. `actor`:
/// the nick of who did it.
pub(crate) fn change(
    room: &mut Room,
    changes: Vec<Change>,
    also: Vec<Write>,
    actor: Option<String>,
    cx: &mut Context<'_, Room>,
    then: impl FnOnce(&mut Room, &mut Context<'_, Room>, Result<(), StanzaError>) + 'static,
) {
    let mut plan = match plan(room, changes, cx) {
        Ok(plan) => plan,
        Err(error) => return then(room, cx, Err(error)),
    };
    let mut writes = std::mem::take(&mut plan.writes);
    writes.extend(also);
    room.queue.block();
    cx.commit_then(writes, move |room, cx, result| {
        match result {
            Ok(()) => {
                apply(room, plan, actor.as_deref(), cx, |room, cx| then(room, cx, Ok(())));
                exit::end_if_empty(room, cx);
            }
            Err(error) => {
                tracing::warn!(jid = %room.jid, %error, "affiliations of a room were not kept");
                then(room, cx, Err(StanzaCondition::InternalServerError.into()));
            }
        }
        go_on(room, cx);
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
    Entry { affiliation: change.to, nick, reason: change.reason.clone(), ..Entry::default() }
}

/// Each change has made one version of the list (XEP-0463 §5.2.2), the first one of that which it had.
fn follow_all(
    room: &mut Room,
    changes: &[Change],
    before: &[Affiliation],
    actor: Option<&str>,
    version: u64,
    cx: &mut Context<'_, Room>,
) {
    for (version, (change, before)) in (version..).zip(changes.iter().zip(before)) {
        let versions = Versions { since: name(room, version), until: name(room, version + 1) };
        let was_inside = room.occupants.of_account(&change.who).next().is_some();
        let invited = follow(room, change, *before, actor, &versions, cx);
        let now = room.affiliation_of(&change.who);
        let is_news = *before != now && !was_inside && !invited;
        if is_news && change.tells && change.who.localpart().is_some() {
            tell_himself(room, change, now, cx);
        }
    }
}

/// What a change that is kept means to those who are in the room; whether somebody was invited because of it.
fn follow(
    room: &mut Room,
    change: &Change,
    before: Affiliation,
    actor: Option<&str>,
    versions: &Versions,
    cx: &mut Context<'_, Room>,
) -> bool {
    let now = room.affiliation_of(&change.who);
    if before != now || change.who.localpart().is_none() {
        tell_outside(room, change, before, versions, cx);
    }
    let inside: Vec<u64> =
        room.occupants.of_account(&change.who).map(|occupant| occupant.number).collect();
    let bans_a_domain = change.to == Affiliation::Outcast && change.who.localpart().is_none();
    if bans_a_domain {
        tell_of_absent(room, change, before, versions, cx);
        remove_banned(room, change, actor, &Versions::same(versions.until.clone()), cx);
        return false;
    }
    let mut invited = false;
    if inside.is_empty() && before != now {
        tell_of_absent(room, change, before, versions, cx);
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
            Some(code) => remove(room, number, code, change, actor, versions, cx),
            None => {
                turn_into(room, number, change, before, actor, versions, cx);
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
    change: &Change,
    before: Affiliation,
    actor: Option<&str>,
    versions: &Versions,
    cx: &mut Context<'_, Room>,
) {
    let (now, moderated) = (room.affiliation_of(&change.who), room.settings.moderated);
    let Some(occupant) = room.occupants.get(number) else { return };
    let (role, saw) = (occupant.role, room.shows_addresses_to(occupant));
    room.occupants.set_role(number, before.role_after(now, role, moderated));
    let Some(occupant) = room.occupants.get(number) else { return };
    let (reason, versions) = (change.reason.as_deref(), Some(versions.clone()));
    let news = News { actor, reason, versions, ..News::of(room, occupant) };
    presence::tell_all(room, occupant, &news, role, cx);
    reveal::to_one(room, number, saw, cx);
}

/// Everybody of a banned domain has to go (§9.2).
fn remove_banned(
    room: &mut Room,
    change: &Change,
    actor: Option<&str>,
    versions: &Versions,
    cx: &mut Context<'_, Room>,
) {
    let banned = room.occupants.iter().filter(|it| {
        it.who.domainpart() == change.who.as_str()
            && room.affiliation_of(&it.who) == Affiliation::Outcast
    });
    let banned: Vec<u64> = banned.map(|occupant| occupant.number).collect();
    for number in banned {
        remove(room, number, 301, change, actor, versions, cx);
    }
}

/// An occupant has to go because of a change.
fn remove(
    room: &mut Room,
    number: u64,
    code: u16,
    change: &Change,
    actor: Option<&str>,
    versions: &Versions,
    cx: &mut Context<'_, Room>,
) {
    let (reason, versions) = (change.reason.as_deref(), Some(versions.clone()));
    exit::remove(room, number, &Removal { code, actor, reason, versions }, cx);
}

/// Somebody who is not in the room is told what they are to it from now on (§18.1 item 2).
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
        to: None,
        lang: None,
    };
    let x = Element::new("x", ns::MUC_USER).with_child(item).with_child(status(101));
    tell(room, Stanza::build(head, &[x]), Audience::Listed(vec![change.who.clone().into()]), cx);
}

/// Of somebody who is not in the room, those are told who may ask for the list that they are on now; who may ask for
/// the one that they were on, that they are on none (§9.2, §10.3, XEP-0463 §5.2.2, §5.2.3).
fn tell_of_absent(
    room: &Room,
    change: &Change,
    before: Affiliation,
    versions: &Versions,
    cx: &mut Context<'_, Room>,
) {
    let sees = |occupant: &Occupant| told(room, before, change.to, room.standing_inside(occupant));
    for told in BTreeSet::from([change.to, Affiliation::None]) {
        let stanza = news_of_absent(room, &change.who, told, versions);
        let all = room.occupants.iter().filter(|it| sees(it) == Some(told));
        tell(room, stanza, Audience::Listed(all.flat_map(Occupant::clients).collect()), cx);
    }
}

/// Those hear the same who hear the room without being inside (MUC/Sub).
fn tell_outside(
    room: &Room,
    change: &Change,
    before: Affiliation,
    versions: &Versions,
    cx: &mut Context<'_, Room>,
) {
    if room.subscribers.is_empty() {
        return;
    }
    for it in BTreeSet::from([change.to, Affiliation::None]) {
        let stanza = news_of_absent(room, &change.who, it, versions);
        let may_know = |who: &BareJid| {
            told(room, before, change.to, events::standing_of(room, who)) == Some(it)
        };
        events::tell(room, Node::Affiliations, Told::Stanza(&stanza), may_know, cx);
    }
}

/// As what somebody is told that another one is now, if they are told at all.
fn told(
    room: &Room,
    before: Affiliation,
    now: Affiliation,
    standing: Standing,
) -> Option<Affiliation> {
    let hidden = may_list(room, standing, before).then_some(Affiliation::None);
    if may_list(room, standing, now) { Some(now) } else { hidden }
}

fn news_of_absent(room: &Room, who: &BareJid, told: Affiliation, versions: &Versions) -> Stanza {
    let item = Element::new("item", ns::MUC_USER)
        .with_attr("affiliation", told.as_str())
        .with_attr("jid", who.as_str())
        .with_attr("role", Role::None.as_str());
    let mav = Element::new("mav", ns::AFFILIATIONS)
        .with_attr("since", &versions.since)
        .with_attr("until", &versions.until);
    let x = Element::new("x", ns::MUC_USER).with_child(item).with_child(mav);
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
