//! Owns roster get and roster set (RFC 6121 §2.1.3 to §2.1.5, §2.3 to §2.6).

use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request};
use xmpp::{BareJid, Element, IqType, Jid, StanzaCondition, StanzaError, ns};

use super::push::push_to;
use super::{Item, keep, outbox, push};
use crate::User;
use crate::extensions::{again, deliver, reply};
use crate::presence::subscribe;
use crate::subscription::SubscriptionType;

/// The most bytes of a name (§2.3.3): those of a part of an address.
pub(crate) const NAME_BYTES_MAX: usize = 1023;

/// The most bytes of a group's name (§2.3.3).
pub(crate) const GROUP_BYTES_MAX: usize = 1023;

/// The most groups of an item.
pub(crate) const GROUPS_MAX: usize = 64;

/// RFC 6121 §2: the roster. Only the account's own sessions see and change it (security warning).
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "6121",
    title: "XMPP: Instant Messaging and Presence",
    version: "2011-03",
    features: &[ns::ROSTER],
    iqs: &[
        Iq { ty: IqType::Get, name: "query", ns: ns::ROSTER, who: Who::Owner, handle: get },
        Iq { ty: IqType::Set, name: "query", ns: ns::ROSTER, who: Who::Owner, handle: set },
    ],
    ..Extension::NONE
};

/// What a roster set asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wish {
    contact: BareJid,
    /// None: the item is to go.
    item: Option<(Box<str>, Vec<Box<str>>)>,
}

/// Answers a roster get and makes the resource an interested one (§2.2).
fn get(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    if request.payload.child("item", ns::ROSTER).is_some() {
        return Err(StanzaCondition::BadRequest.into());
    }
    // A component that may read rosters is no resource.
    let Some(session) = request.session else {
        return Ok(Answer::Result(user.roster.element()));
    };
    let entry = user.sessions.get_mut(session).ok_or(StanzaCondition::Forbidden)?;
    entry.interested = true;
    let changes = request.payload.attr("ver").and_then(|version| user.roster.since(version));
    let Some(pushes) = changes else {
        return Ok(Answer::Result(user.roster.element()));
    };
    deliver(user, session, request.stanza.result(None), cx);
    for push in &pushes {
        push_to(user, session, push, cx);
    }
    Ok(Answer::Later)
}

/// Does a roster set. The answer and the pushes leave when the change is durable (§2.3.2).
fn set(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let Wish { contact, item } = parse(&request.payload)?;
    if contact == user.jid {
        return Err(StanzaCondition::NotAllowed.into());
    }
    match item {
        Some((name, groups)) => put(user, request, (contact, name, groups), cx)?,
        None => remove(user, request, &contact, cx)?,
    }
    Ok(Answer::Later)
}

fn put(
    user: &mut User,
    request: &Request,
    (contact, name, groups): (BareJid, Box<str>, Vec<Box<str>>),
    cx: &mut Context<'_, User>,
) -> Result<(), StanzaError> {
    let before = user.roster.get(&contact).cloned();
    if before.is_none() {
        check_room(user, cx)?;
    }
    let item = Item { name, groups, ..before.unwrap_or_default() };
    let edit = user.roster.put(&user.jid, &contact, item, cx.now);
    let request = again(request);
    keep(user, edit, cx, move |user, kept, cx| {
        let answer = kept.as_ref().map(|_| None).map_err(Clone::clone);
        reply(user, &request, answer, cx);
        if let Ok(Some(change)) = kept {
            push(user, &change, cx);
        }
    });
    Ok(())
}

/// A new item is refused where the roster is full.
pub(crate) fn check_room(user: &User, cx: &Context<'_, User>) -> Result<(), StanzaError> {
    if user.roster.len() < cx.shared.accounts.roster_items {
        return Ok(());
    }
    let full = StanzaError::from(StanzaCondition::ResourceConstraint);
    Err(full.with_text("the roster has no room for more contacts"))
}

/// Deletes an item and what subscriptions it stood for (§2.5.2). A request that the contact has not
/// answered is taken back as well, so that it does not come to life later.
fn remove(
    user: &mut User,
    request: &Request,
    contact: &BareJid,
    cx: &mut Context<'_, User>,
) -> Result<(), StanzaError> {
    let Some(item) = user.roster.get(contact).cloned() else {
        return Err(StanzaCondition::ItemNotFound.into());
    };
    let visible = subscribe::available(user);
    let mut edit = user.roster.remove(&user.jid, contact, cx.now);
    let said = |ty| subscribe::said(user, contact, ty);
    let unsubscribe =
        (item.is_subscribed_to() || item.ask).then(|| said(SubscriptionType::Unsubscribe));
    let unsubscribed = item.is_subscriber().then(|| said(SubscriptionType::Unsubscribed));
    for stanza in unsubscribe.iter().chain(&unsubscribed) {
        user.roster.tell(&mut edit, &user.jid, stanza);
    }
    let (request, contact) = (again(request), contact.clone());
    keep(user, edit, cx, move |user, kept, cx| {
        let answer = kept.as_ref().map(|_| None).map_err(Clone::clone);
        reply(user, &request, answer, cx);
        let Ok(change) = kept else { return };
        if let Some(change) = change {
            push(user, &change, cx);
        }
        if let Some(stanza) = unsubscribe {
            outbox::send(user, stanza, cx);
        }
        if let Some(stanza) = unsubscribed {
            subscribe::hide(&contact, &visible, cx);
            outbox::send(user, stanza, cx);
        }
    });
    Ok(())
}

/// Reads a roster set (§2.1.5, §2.3.3). Values of `subscription` but `remove`, and `ask` and `approved`, are
/// the server's own and are ignored.
pub(super) fn parse(query: &Element) -> Result<Wish, StanzaError> {
    let mut items = query.children().filter(|child| child.is("item", ns::ROSTER));
    let (Some(item), None) = (items.next(), items.next()) else {
        let wrong = StanzaError::from(StanzaCondition::BadRequest);
        return Err(wrong.with_text("a roster set has exactly one item"));
    };
    let contact = parse_contact(item)?;
    if item.attr("subscription") == Some("remove") {
        return Ok(Wish { contact, item: None });
    }
    let name = item.attr("name").unwrap_or_default();
    if name.len() > NAME_BYTES_MAX {
        return Err(not_acceptable("the name is too long"));
    }
    Ok(Wish { contact, item: Some((name.into(), parse_groups(item)?)) })
}

/// Items are of bare addresses, since subscriptions are (§3.1.1).
fn parse_contact(item: &Element) -> Result<BareJid, StanzaError> {
    let text = item.attr("jid").ok_or(StanzaCondition::BadRequest)?;
    let jid = Jid::parse(text).map_err(|_| StanzaCondition::JidMalformed)?;
    BareJid::try_from(jid).map_err(|_| {
        let wrong = StanzaError::from(StanzaCondition::BadRequest);
        wrong.with_text("an item's address has no resource")
    })
}

fn parse_groups(item: &Element) -> Result<Vec<Box<str>>, StanzaError> {
    let mut groups: Vec<Box<str>> = Vec::new();
    for group in item.children().filter(|child| child.is("group", ns::ROSTER)) {
        let group = group.text();
        if group.is_empty() {
            return Err(not_acceptable("a group has no name"));
        }
        if group.len() > GROUP_BYTES_MAX {
            return Err(not_acceptable("the name of a group is too long"));
        }
        if groups.iter().any(|before| **before == *group) {
            let wrong = StanzaError::from(StanzaCondition::BadRequest);
            return Err(wrong.with_text("a group stands twice"));
        }
        if groups.len() == GROUPS_MAX {
            return Err(not_acceptable("too many groups"));
        }
        groups.push(group.into());
    }
    Ok(groups)
}

fn not_acceptable(text: &str) -> StanzaError {
    StanzaError::from(StanzaCondition::NotAcceptable).with_text(text)
}
