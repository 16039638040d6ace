//! Owns roster items as clients see them, and pushes (RFC 6121 §2.1.6).

use bytes::Bytes;
use entity::Context;
use xmpp::{BareJid, Element, Head, IqType, Jid, Kind, Stanza, ns};

use super::{Item, Roster, Subscription};
use crate::User;
use crate::extensions::{deliver, privilege};

/// One changed item, ready to be sent to any number of resources.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    version: u64,
    query: Bytes,
}

impl Push {
    /// `item` is none for one that was removed.
    pub(super) fn new(version: u64, contact: &BareJid, item: Option<&Item>) -> Self {
        let item = match item {
            Some(item) => item_element(contact, item),
            None => Element::new("item", ns::ROSTER)
                .with_attr("jid", contact.as_str())
                .with_attr("subscription", "remove"),
        };
        Self { version, query: query(version).with_child(item).to_bytes().into() }
    }

    /// As it is sent in the name of the account.
    pub(crate) fn stanza(&self, account: &BareJid, to: Jid) -> Stanza {
        let head = Head {
            kind: Kind::Iq(IqType::Set),
            id: Some(format!("push-{:x}", self.version).into()),
            from: Some(account.clone().into()),
            to: Some(to),
            lang: None,
        };
        Stanza::new(head, self.query.clone())
    }
}

/// Sends a push to every interested resource, the one that caused it among them. Answers to pushes are
/// not waited for: their ids are nobody's concern (§2.1.6, last note).
pub(crate) fn push(user: &User, push: &Push, cx: &mut Context<'_, User>) {
    for entry in user.sessions.iter().filter(|entry| entry.interested) {
        push_to(user, entry.id.uid, push, cx);
    }
    privilege::push(user, push, cx);
}

/// Sends a push to one session. The version makes the id unique (RFC 6120 §8.1.3).
pub(super) fn push_to(user: &User, session: u64, push: &Push, cx: &mut Context<'_, User>) {
    let Some(entry) = user.sessions.get(session) else { return };
    deliver(user, session, push.stanza(&user.jid, entry.jid.clone().into()), cx);
}

impl Roster {
    /// The whole roster (§2.1.4).
    pub(super) fn element(&self) -> Element {
        let items = self.items.iter().map(|(contact, item)| item_element(contact, item));
        query(self.version).with_children(items)
    }

    /// What brings a client from a version that it has to the current one (§2.6.3): nothing, or a push for
    /// each item that changed since, in order of their changes. None where the client needs the whole
    /// roster: a version that was never given, one from before a removal, or more than half of the items
    /// changed.
    pub(super) fn since(&self, version: &str) -> Option<Vec<Push>> {
        let version = u64::from_str_radix(version, 16).ok()?;
        if version > self.version || version < self.removed {
            return None;
        }
        let mut changed: Vec<_> =
            self.items.iter().filter(|(_, item)| item.version > version).collect();
        if changed.len() > self.items.len() / 2 {
            return None;
        }
        changed.sort_by_key(|(_, item)| item.version);
        let pushes = changed
            .into_iter()
            .map(|(contact, item)| Push::new(item.version, contact, Some(item)))
            .collect();
        Some(pushes)
    }
}

/// An empty `<query/>` of this version (§2.6); hexadecimal, but that is nobody's concern.
fn query(version: u64) -> Element {
    Element::new("query", ns::ROSTER).with_attr("ver", format!("{version:x}"))
}

fn item_element(contact: &BareJid, item: &Item) -> Element {
    let subscription = match item.subscription {
        Subscription::None => "none",
        Subscription::To => "to",
        Subscription::From => "from",
        Subscription::Both => "both",
    };
    let name = Some(&item.name).filter(|name| !name.is_empty());
    Element::new("item", ns::ROSTER)
        .with_attr("jid", contact.as_str())
        .with_attr_opt("name", name.map(ToString::to_string))
        .with_attr("subscription", subscription)
        .with_attr_opt("ask", item.ask.then(|| "subscribe".to_owned()))
        .with_attr_opt("approved", item.approved.then(|| "true".to_owned()))
        .with_children(
            item.groups
                .iter()
                .map(|group| Element::new("group", ns::ROSTER).with_text(group.as_ref())),
        )
}
