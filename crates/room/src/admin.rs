//! Owns the lists of people (XEP-0045 §8.2 to §8.5, §9.1 to §9.8, §10.3 to §10.8): seen, and changed by
//! deltas, all items of a request or none.

use entity::{Answer, Context, Request};
use xmpp::rsm;
use xmpp::{BareJid, Element, Jid, Stanza, StanzaCondition, StanzaError, ns};

use crate::affiliate::{self, Change};
use crate::affiliation::{Affiliation, Role};
use crate::affiliations::Entry;
use crate::exit::{self, Removal};
use crate::invite::REASON_BYTES;
use crate::iq::reply;
use crate::nick::{folded, occupant_jid};
use crate::occupant::Occupant;
use crate::presence::{self, News};
use crate::room::{Phase, Room};
use crate::rules::{self, Standing};
use crate::{reveal, voices};

/// Most items of one answer; where there are more, it says so, and the rest is asked for by pages (XEP-0059).
const PAGE_MOST: u32 = 1_000;
/// Most items of one change.
const CHANGES_MOST: usize = 1_000;

/// Somebody who is inside gets another role.
struct RoleChange {
    /// The number of the occupant.
    number: u64,
    to: Role,
    reason: Option<Box<str>>,
}

/// A list of affiliations or of roles; where several are asked for, one behind the other.
pub(crate) fn get(
    room: &mut Room,
    request: &Request,
    _: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    let asker = asker(room, request)?;
    let (mut affiliations, mut roles) = (Vec::new(), Vec::new());
    for item in request.payload.children().filter(|it| it.is("item", ns::MUC_ADMIN)) {
        match (read_affiliation(item)?, read_role(item)?) {
            (Some(list), None) if !affiliations.contains(&list) => affiliations.push(list),
            (None, Some(list)) if !roles.contains(&list) => roles.push(list),
            _ => return Err(StanzaCondition::BadRequest.into()),
        }
    }
    let answer = match (&affiliations[..], &roles[..]) {
        ([_, ..], []) => affiliation_list(room, asker, &affiliations, request)?,
        ([], [_, ..]) => role_list(room, asker, &roles, request)?,
        _ => return Err(StanzaCondition::BadRequest.into()),
    };
    Ok(Answer::Result(answer))
}

/// The page that is asked for; only its items are made.
fn page<T>(
    request: &Request,
    list: &[T],
    uid: impl Fn(&T) -> &str,
    item: impl Fn(&T) -> Element,
) -> Result<Element, StanzaError> {
    let asked = rsm::Request::parse(&request.payload)?;
    let is_partial = list.len() > PAGE_MOST as usize;
    let (range, set) = asked.clone().unwrap_or_default().page(list, uid, PAGE_MOST)?;
    let query = Element::new("query", ns::MUC_ADMIN);
    let answer = query.with_children(list[range].iter().map(item));
    Ok(match asked.is_some() || is_partial {
        true => answer.with_child(set.to_element()),
        false => answer,
    })
}

fn affiliation_list(
    room: &Room,
    asker: Standing,
    lists: &[Affiliation],
    request: &Request,
) -> Result<Element, StanzaError> {
    if !lists.iter().all(|list| may_list(room, asker, *list)) {
        return Err(StanzaCondition::Forbidden.into());
    }
    let item = |(affiliation, jid, entry): &(Affiliation, &BareJid, &Entry)| {
        let mut item = Element::new("item", ns::MUC_ADMIN)
            .with_attr("affiliation", affiliation.as_str())
            .with_attr("jid", jid.as_str())
            .with_attr_opt("nick", entry.nick.as_deref());
        if let Some(reason) = &entry.reason {
            item.push(Element::new("reason", ns::MUC_ADMIN).with_text(&**reason));
        }
        item
    };
    let of_list = |list: &Affiliation| {
        let list = *list;
        room.affiliations.of_affiliation(list).map(move |(jid, entry)| (list, jid, entry))
    };
    let people: Vec<_> = lists.iter().flat_map(of_list).collect();
    page(request, &people, |(_, jid, _)| jid.as_str(), item)
}

/// Whether somebody may see the list of an affiliation: of admins and owners others than these only where
/// addresses are no secret (§10.5, §10.8).
pub(crate) fn may_list(room: &Room, asker: Standing, list: Affiliation) -> bool {
    let secret = list >= Affiliation::Admin && !room.settings.addresses_shown;
    rules::may_list_affiliation(asker, list, !secret && members_see(room, asker))
}

/// Whether the room shows the lists of its people to this one (§5.2.1, §9.5): only where addresses are no
/// secret.
fn members_see(room: &Room, asker: Standing) -> bool {
    let readers = room.settings.member_list;
    let outside = asker.role == Role::None && asker.affiliation >= Affiliation::Member;
    let is_one = readers.has(asker.role, asker.affiliation) || outside;
    let shown = room.settings.addresses_shown && is_one;
    shown || (asker.role == Role::Moderator && readers.roles.moderator)
}

fn role_list(
    room: &Room,
    asker: Standing,
    lists: &[Role],
    request: &Request,
) -> Result<Element, StanzaError> {
    if !rules::may_list_role(asker) {
        return Err(StanzaCondition::Forbidden.into());
    }
    let item = |occupant: &&Occupant| {
        let real = occupant.shown().map(|session| session.jid.as_str());
        Element::new("item", ns::MUC_ADMIN)
            .with_attr("affiliation", room.affiliation_of(&occupant.who).as_str())
            .with_attr_opt("jid", real)
            .with_attr("nick", occupant.nick())
            .with_attr("role", occupant.role.as_str())
    };
    let of_list = |list: &Role| {
        let list = *list;
        room.occupants.iter().filter(move |it| it.role == list)
    };
    let list: Vec<&Occupant> = lists.iter().flat_map(of_list).collect();
    page(request, &list, |occupant| occupant.nick(), item)
}

/// A delta.
pub(crate) fn set(
    room: &mut Room,
    request: &Request,
    cx: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    let asker = asker(room, request)?;
    let items: Vec<&Element> =
        request.payload.children().filter(|it| it.is("item", ns::MUC_ADMIN)).collect();
    if items.is_empty() || items.len() > CHANGES_MOST {
        return Err(StanzaCondition::BadRequest.into());
    }
    let mut roles = Vec::new();
    let mut affiliations: Vec<(&Element, Change)> = Vec::new();
    for item in items {
        match (read_affiliation(item)?, read_role(item)?) {
            (Some(to), None) => affiliations.push((item, read_change(room, item, to)?)),
            (None, Some(role)) => roles.push((item, read_role_change(room, item, role)?)),
            // §17.4 rule 4
            _ => return Err(StanzaCondition::BadRequest.into()),
        }
    }
    let own = request.stanza.head().from.clone();
    check_affiliations(room, asker, own.as_ref(), &affiliations)?;
    check_roles(room, asker, own.as_ref(), &roles)?;
    let affiliations: Vec<Change> = affiliations.into_iter().map(|(_, change)| change).collect();
    let roles: Vec<RoleChange> = roles.into_iter().map(|(_, change)| change).collect();
    let actor = own.as_ref().and_then(|own| room.occupants.of_session(own));
    let actor = actor.map(|actor| actor.nick().to_owned());
    let stanza = request.stanza.clone();
    let mut voices = voices_of(room, &roles, &affiliations)?;
    let also = std::mem::take(&mut voices.writes);
    if affiliations.is_empty() && also.is_empty() {
        change_roles(room, &roles, actor.as_deref(), &stanza, cx);
        return Ok(Answer::Later);
    }
    let by = actor.clone();
    affiliate::change(room, affiliations, also, by, cx, move |room, cx, done| match done {
        Ok(()) => {
            room.voices.apply(voices);
            change_roles(room, &roles, actor.as_deref(), &stanza, cx);
        }
        Err(error) => reply(room, &stanza, Err(error), cx),
    });
    Ok(Answer::Later)
}

/// What is remembered of roles that are given, beside affiliations that are changed.
fn voices_of(
    room: &Room,
    roles: &[RoleChange],
    affiliations: &[Change],
) -> Result<voices::Plan, StanzaError> {
    let given = roles.iter().filter_map(|change| {
        let who = &room.occupants.get(change.number)?.who;
        let then = affiliations.iter().find(|it| it.who == *who).map(|it| it.to);
        Some((who, then.unwrap_or_else(|| room.affiliation_of(who)), change.to))
    });
    voices::given(room, given)
}

/// Who asks; nobody changes a room that waits for its configuration but by configuring it.
fn asker(room: &Room, request: &Request) -> Result<Standing, StanzaError> {
    let from = request.stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?;
    let standing = room.standing_of(from);
    match room.phase {
        Phase::Locked if standing.affiliation < Affiliation::Owner => {
            Err(StanzaCondition::ItemNotFound.into())
        }
        _ => Ok(standing),
    }
}

fn read_affiliation(item: &Element) -> Result<Option<Affiliation>, StanzaError> {
    let known = |text| Affiliation::parse(text).ok_or(StanzaCondition::BadRequest);
    Ok(item.attr("affiliation").map(known).transpose()?)
}

fn read_role(item: &Element) -> Result<Option<Role>, StanzaError> {
    let known = |text| Role::parse(text).ok_or(StanzaCondition::BadRequest);
    Ok(item.attr("role").map(known).transpose()?)
}

/// By address; by nick of somebody who is there, where no address is given (§9.1).
fn read_change(room: &Room, item: &Element, to: Affiliation) -> Result<Change, StanzaError> {
    let nick = item.attr("nick");
    let (who, nick) = match (item.attr("jid"), nick) {
        (Some(jid), nick) => {
            let jid = Jid::parse(jid).map_err(|_| StanzaCondition::JidMalformed)?;
            (jid.bare(), nick)
        }
        (None, Some(nick)) => {
            let inside = room.occupants.iter().find(|occupant| occupant.nick() == nick);
            (inside.ok_or(StanzaCondition::ItemNotFound)?.who.clone(), None)
        }
        (None, None) => return Err(StanzaCondition::BadRequest.into()),
    };
    if who.localpart().is_none() && to > Affiliation::None {
        return Err(StanzaCondition::BadRequest.into());
    }
    let nick = nick.map(|nick| reserve(room, &who, nick)).transpose()?;
    Ok(Change { who, to, nick, reason: reason(item)?, tells: true })
}

/// A nick that may be reserved for somebody; an empty one takes it from them.
///
/// # Errors
/// `conflict` for one that is another's, and as of [`occupant_jid`].
pub(crate) fn reserve(room: &Room, who: &BareJid, nick: &str) -> Result<Box<str>, StanzaError> {
    if nick.is_empty() {
        return Ok(Box::default());
    }
    let jid = occupant_jid(&room.jid, nick, room.shared.config.nick_chars)?;
    let reserved = room.owner_of_nick(nick).is_some_and(|owner| owner != who);
    let used = room.occupants.of_nick(nick).is_some_and(|inside| inside.who != *who);
    match reserved || used {
        true => Err(StanzaCondition::Conflict.into()),
        false => Ok(jid.resource().into()),
    }
}

fn read_role_change(room: &Room, item: &Element, role: Role) -> Result<RoleChange, StanzaError> {
    let nick = item.attr("nick").ok_or(StanzaCondition::BadRequest)?;
    let inside = room.occupants.iter().find(|occupant| occupant.nick() == nick);
    let inside = inside.ok_or(StanzaCondition::ItemNotFound)?;
    Ok(RoleChange { number: inside.number, to: role, reason: reason(item)? })
}

/// Why, in words that the room keeps and tells, to strangers too (§18.1 item 2): no more than of who invites them.
fn reason(item: &Element) -> Result<Option<Box<str>>, StanzaError> {
    let reason = item.child("reason", ns::MUC_ADMIN).map(Element::text).unwrap_or_default();
    if reason.len() > REASON_BYTES {
        let error = StanzaError::from(StanzaCondition::NotAcceptable);
        return Err(error.with_text("the reason is too long"));
    }
    Ok((!reason.is_empty()).then(|| reason.into()))
}

/// Each change is allowed, and somebody is still an owner after all of them (§10.4).
fn check_affiliations(
    room: &Room,
    asker: Standing,
    own: Option<&Jid>,
    changes: &[(&Element, Change)],
) -> Result<(), StanzaError> {
    let mut seen = Vec::new();
    let mut wrong = Vec::new();
    for (item, change) in changes {
        let from = room.affiliation_of(&change.who);
        let is_own = own.is_some_and(|own| own.bare_str() == change.who.as_str());
        let refused = rules::change_affiliation(asker.affiliation, from, change.to, is_own).err();
        // §9.1: the ban would not hold.
        let holds = change.to != Affiliation::Outcast || !room.is_served_by(&change.who);
        let refused = if holds { refused } else { refused.or(Some(StanzaCondition::NotAllowed)) };
        let nick = change.nick.as_deref().filter(|nick| !nick.is_empty()).map(folded);
        let is_twice = seen
            .iter()
            .any(|(who, known)| *who == &change.who || (nick.is_some() && *known == nick));
        let refused =
            if is_twice { refused.or(Some(StanzaCondition::BadRequest)) } else { refused };
        wrong.extend(refused.map(|condition| (*item, condition)));
        seen.push((&change.who, nick));
    }
    blame(&wrong)?;
    let is_owner = |jid: &BareJid| {
        let entry = room.affiliations.get(jid);
        entry.is_some_and(|entry| entry.affiliation == Affiliation::Owner)
    };
    let lost = changes.iter().filter(|(_, it)| it.to != Affiliation::Owner && is_owner(&it.who));
    let lost: Vec<_> = lost.map(|(item, _)| (*item, StanzaCondition::Conflict)).collect();
    let gained =
        changes.iter().filter(|(_, it)| it.to == Affiliation::Owner && !is_owner(&it.who)).count();
    match room.affiliations.count(Affiliation::Owner) + gained > lost.len() {
        true => Ok(()),
        false => blame(&lost),
    }
}

fn check_roles(
    room: &Room,
    asker: Standing,
    own: Option<&Jid>,
    changes: &[(&Element, RoleChange)],
) -> Result<(), StanzaError> {
    // A role that somebody loses at once would be told to all for nothing.
    let is_twice = |(at, (_, change)): (usize, &(&Element, RoleChange))| {
        changes[..at].iter().any(|(_, known)| known.number == change.number)
    };
    if changes.iter().enumerate().any(is_twice) {
        return Err(StanzaCondition::BadRequest.into());
    }
    let refused = |change: &RoleChange| {
        let target = room.occupants.get(change.number)?;
        let is_own = own.is_some_and(|own| target.sessions.iter().any(|it| *it.jid == *own));
        let target = Standing { affiliation: room.affiliation_of(&target.who), role: target.role };
        rules::change_role(asker, target, change.to, is_own).err()
    };
    let wrong = changes.iter().filter_map(|(item, change)| Some((*item, refused(change)?)));
    blame(&wrong.collect::<Vec<_>>())
}

/// The first thing that is wrong, with every item of which it is (§8.4).
fn blame(wrong: &[(&Element, StanzaCondition)]) -> Result<(), StanzaError> {
    let Some((_, first)) = wrong.first() else { return Ok(()) };
    let items = wrong.iter().filter(|(_, it)| it == first).map(|(item, _)| (*item).clone());
    let query = Element::new("query", ns::MUC_ADMIN).with_children(items);
    Err(StanzaError::from(*first).with_payload(query))
}

/// Roles that may be changed are changed: whoever has to go hears it, then who has asked for it, then everybody
/// else (§8.2 to §8.4).
fn change_roles(
    room: &mut Room,
    roles: &[RoleChange],
    actor: Option<&str>,
    request: &Stanza,
    cx: &mut Context<'_, Room>,
) {
    let mut dismissed = Vec::new();
    let (removed, changed): (Vec<&RoleChange>, Vec<_>) =
        roles.iter().partition(|change| change.to == Role::None);
    for RoleChange { number, reason, .. } in removed {
        let removal = Removal { code: 307, actor, reason: reason.as_deref(), versions: None };
        let gone = exit::dismiss(room, *number, &removal, cx);
        dismissed.extend(gone.map(|gone| (gone, removal)));
    }
    reply(room, request, Ok(None), cx);
    for RoleChange { number, to, reason } in changed {
        give_role(room, *number, *to, actor, reason.as_deref(), cx);
    }
    for (gone, removal) in &dismissed {
        exit::tell_of(room, gone, removal, cx);
    }
}

/// An occupant gets a role, and everybody is told.
pub(crate) fn give_role(
    room: &mut Room,
    number: u64,
    to: Role,
    actor: Option<&str>,
    reason: Option<&str>,
    cx: &mut Context<'_, Room>,
) {
    let Some(occupant) = room.occupants.get(number) else { return };
    let saw = room.shows_addresses_to(occupant);
    let Some(before) = room.occupants.set_role(number, to) else { return };
    let Some(occupant) = room.occupants.get(number) else { return };
    let news = News { actor, reason, ..News::of(room, occupant) };
    presence::tell_all(room, occupant, &news, before, cx);
    reveal::to_one(room, number, saw, cx);
}
