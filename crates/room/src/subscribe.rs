//! Owns how somebody comes to hear a room without being inside (MUC/Sub), and how that ends. They may where they might
//! enter, under a nick that they might have there. Rows come first; what they are answered goes by way of who keeps the list
//! of their rooms ([`crate::heard`]), so that they find the room in it.

use entity::{Answer, Context, Request};
use proto::{Body, Route, ServiceId, ServiceKind};
use store::Write;
use xmpp::room_event::{News, Node};
use xmpp::{BareJid, Element, ErrorType, Jid, Stanza, StanzaCondition, StanzaError, ns, rsm};

use crate::affiliate::Change;
use crate::affiliation::{Affiliation, Role};
use crate::directory::word;
use crate::keep::keep;
use crate::nick::occupant_jid;
use crate::room::{Phase, Room};
use crate::settings::Settings;
use crate::subscribers::{self, Nodes, Subscription};
use crate::{enter, events, exit, heard};

/// Most people of one answer; the rest is asked for by pages (XEP-0059).
const PAGE_MOST: u32 = 1_000;

/// Somebody wants to hear the room, or hears it otherwise from now on.
///
/// # Errors
/// As on entering: `item-not-found` in a room that waits for its configuration, `forbidden`, `registration-required`,
/// `not-authorized`, `conflict`, `jid-malformed` without a nick; `not-allowed` where nobody may; `resource-constraint`
/// where too many do.
pub(crate) fn subscribe(
    room: &mut Room,
    request: &Request,
    cx: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    let who = person(room, request)?;
    if !room.settings.subscriptions || who.localpart().is_none() {
        return Err(StanzaCondition::NotAllowed.into());
    }
    enter::check_person(room, &who)?;
    let known = room.subscribers.get(&who).is_some();
    if !known && !room.occupants.has_account(&who) {
        enter::check_password(room, request.payload.attr("password"))?;
    }
    if !known && room.subscribers.len() >= room.shared.config.subscribers {
        let error = StanzaError::from(StanzaCondition::ResourceConstraint);
        return Err(error.with_type(ErrorType::Wait).with_text("too many subscribers"));
    }
    let nick = request.payload.attr("nick").unwrap_or_default();
    let wanted = occupant_jid(&room.jid, nick, room.shared.config.nick_chars)?;
    let nick = enter::nick_of(room, &wanted, &who)?.resource().into();
    let subscription = Subscription { nick, nodes: Nodes::read(&request.payload) };
    let stanza = request.stanza.clone();
    keep(room, vec![subscription.put(&room.jid, &who)], stanza.clone(), cx, move |room, cx| {
        let answer = stanza.result(Some(&subscription.to_element("subscribe")));
        note(room, &who, Some(&subscription), Some(answer), cx);
        let nick = subscription.nick.clone();
        let before = room.subscribers.put(who.clone(), subscription);
        if before.is_none_or(|before| before.nick != nick) {
            announce(room, "subscribe", &who, &nick, cx);
        }
    });
    Ok(Answer::Later)
}

/// Somebody does not want to hear the room any more; whoever does not hear it may say so again.
pub(crate) fn unsubscribe(
    room: &mut Room,
    request: &Request,
    cx: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    let who = person(room, request)?;
    let stanza = request.stanza.clone();
    keep(room, vec![subscribers::delete(&room.jid, &who)], stanza.clone(), cx, move |room, cx| {
        note(room, &who, None, Some(stanza.result(None)), cx);
        if let Some(before) = room.subscribers.remove(&who) {
            announce(room, "unsubscribe", &who, &before.nick, cx);
        }
        exit::end_if_empty(room, cx);
    });
    Ok(Answer::Later)
}

/// Who hears the room: told to those who moderate it, and to those who hear it themselves, without addresses where these
/// are a secret.
pub(crate) fn list(
    room: &mut Room,
    request: &Request,
    _: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    let from = asker(room, request)?;
    let is_one = room.subscribers.get(&from.bare()).is_some();
    if !moderates(room, &from) && !is_one {
        return Err(StanzaCondition::Forbidden.into());
    }
    let shows = room.settings.addresses_shown || moderates(room, &from);
    let list: Vec<(&BareJid, &Subscription)> = room.subscribers.iter().collect();
    let asked = rsm::Request::parse(&request.payload)?;
    let is_partial = list.len() > PAGE_MOST as usize;
    let request = asked.clone().unwrap_or_default();
    let (range, set) = request.page(&list, |(_, it)| &it.nick, PAGE_MOST)?;
    let line = |(who, it): &(&BareJid, &Subscription)| {
        let jid = shows.then_some(who.as_str());
        it.to_element("subscription").with_attr_opt("jid", jid)
    };
    let answer = Element::new("subscriptions", ns::MUCSUB);
    let answer = answer.with_children(list[range].iter().map(line));
    Ok(Answer::Result(match asked.is_some() || is_partial {
        true => answer.with_child(set.to_element()),
        false => answer,
    }))
}

/// Who asks.
fn asker(room: &Room, request: &Request) -> Result<Jid, StanzaError> {
    let from = request.stanza.head().from.clone().ok_or(StanzaCondition::BadRequest)?;
    match room.phase {
        Phase::Locked => Err(StanzaCondition::ItemNotFound.into()),
        _ => Ok(from),
    }
}

/// For whom it is asked: whoever moderates may ask for others.
fn person(room: &Room, request: &Request) -> Result<BareJid, StanzaError> {
    let from = asker(room, request)?;
    let Some(named) = request.payload.attr("jid") else { return Ok(from.bare()) };
    let named = BareJid::parse(named).map_err(|_| StanzaCondition::JidMalformed)?;
    match named == from.bare() || moderates(room, &from) {
        true => Ok(named),
        false => Err(StanzaCondition::Forbidden.into()),
    }
}

fn moderates(room: &Room, from: &Jid) -> bool {
    let standing = room.standing_of(from);
    standing.role == Role::Moderator || standing.affiliation >= Affiliation::Admin
}

/// Tells who keeps the list of somebody's rooms. `answer`: what they have waited for.
fn note(
    room: &Room,
    who: &BareJid,
    subscription: Option<&Subscription>,
    answer: Option<Stanza>,
    cx: &mut Context<'_, Room>,
) {
    let content = heard::note(subscription, answer.as_ref());
    let kind = ServiceKind::Rooms;
    let id = ServiceId::of(room.jid.domain(), kind, who, cx.hosts);
    let word = word(room.jid.clone().into(), who.clone().into(), content);
    cx.tell(Route::Service(Box::new(id)), Body::Stanza(word));
}

/// Those who hear of it are told who hears the room from now on, or does not any more.
fn announce(
    room: &Room,
    name: &'static str,
    who: &BareJid,
    nick: &str,
    cx: &mut Context<'_, Room>,
) {
    let hidden = Element::new(name, ns::MUCSUB).with_attr("nick", nick);
    let shown = hidden.clone().with_attr("jid", who.as_str());
    for (element, sees) in [(hidden, false), (shown, true)] {
        let may_know = |it: &BareJid| it != who && events::sees_addresses(room, it) == sees;
        events::tell(room, Node::Subscribers, News::Element(&element), may_know, cx);
    }
}

/// Who does not hear the room any more when these affiliations are given.
pub(crate) fn lost_by(room: &Room, changes: &[Change], cx: &Context<'_, Room>) -> Vec<BareJid> {
    let own = |who: &BareJid| {
        room.affiliations.get(who).map_or(Affiliation::None, |entry| entry.affiliation)
    };
    let lost = |change: &Change| -> Vec<BareJid> {
        match change.who.localpart() {
            Some(_) => {
                let is_lost = !may_stay(room, &change.who, change.to, &room.settings);
                // A former owner may have kept it, and told nobody.
                let known = cx.is_again() || room.subscribers.get(&change.who).is_some();
                (is_lost && known).then(|| change.who.clone()).into_iter().collect()
            }
            // A banned domain bans all its people who are nothing by themselves (§9.2).
            None if change.to == Affiliation::Outcast => {
                let all = room.subscribers.iter().map(|(who, _)| who);
                let is_of = |who: &&BareJid| who.domainpart() == change.who.as_str();
                let is_banned = |who: &&BareJid| own(who) == Affiliation::None;
                all.filter(is_of)
                    .filter(is_banned)
                    .filter(|who| !room.is_served_by(who))
                    .cloned()
                    .collect()
            }
            None => Vec::new(),
        }
    };
    changes.iter().flat_map(lost).collect()
}

/// Who does not hear the room any more when these settings hold, and these affiliations.
pub(crate) fn lost_with(room: &Room, settings: &Settings, changes: &[Change]) -> Vec<BareJid> {
    let own = |who: &BareJid| {
        let change = changes.iter().find(|change| change.who == *who);
        change.map_or_else(|| room.affiliations.of(who), |change| change.to)
    };
    let stays = |who: &BareJid| settings.subscriptions && may_stay(room, who, own(who), settings);
    let all = room.subscribers.iter().map(|(who, _)| who);
    all.filter(|who| !stays(who)).cloned().collect()
}

fn may_stay(room: &Room, who: &BareJid, own: Affiliation, settings: &Settings) -> bool {
    let least = if settings.members_only { Affiliation::Member } else { Affiliation::None };
    let is_banned =
        own == Affiliation::None && room.affiliations.of(&who.domain()) == Affiliation::Outcast;
    room.is_served_by(who) || (own >= least && !is_banned)
}

/// What must be kept of it that these do not hear the room any more.
pub(crate) fn rows(room: &Room, lost: &[BareJid]) -> impl Iterator<Item = Write> {
    lost.iter().map(|who| subscribers::delete(&room.jid, who))
}

/// They do not: it is kept.
pub(crate) fn end(room: &mut Room, lost: &[BareJid], cx: &mut Context<'_, Room>) {
    for who in lost {
        note(room, who, None, None, cx);
        if let Some(before) = room.subscribers.remove(who) {
            announce(room, "unsubscribe", who, &before.nick, cx);
        }
    }
}

/// The room ends, with all that it has.
pub(crate) fn end_all(room: &mut Room, cx: &mut Context<'_, Room>) {
    for (who, _) in std::mem::take(&mut room.subscribers).iter() {
        note(room, who, None, None, cx);
    }
}
