//! Owns events on their way: to the account's own sessions and to contacts that asked for them by capabilities, and
//! to explicit subscribers (XEP-0163 §4.3); and last items for newcomers (§4.3.4).

use entity::Context;
use nodes::collection::{keys, payloads};
use nodes::config::{SendLast, UpTo};
use nodes::{Asker, Collection, Head, Node, Notice, access, notice};
use store::get_all;
use xmpp::{FullJid, Jid, Stanza};

use super::{collection, interest, people};
use crate::User;
use crate::extensions::{blocking, deliver};

/// Who gets last items.
#[derive(Clone, Debug)]
pub(crate) enum Whom {
    /// A session of the account.
    Session(u64),
    /// A contact's resource that has become available.
    Contact(FullJid),
    /// Who has subscribed to a node.
    Subscriber(Jid),
}

/// An event to all who are to get it, once each.
pub(super) fn tell(user: &User, notice: Notice, cx: &mut Context<'_, User>) {
    let Notice { stanza, listeners, filtered } = notice;
    let mut to: Vec<Jid> = Vec::new();
    let mut told: Vec<u64> = Vec::new();
    if let Some((node, gate)) = &filtered {
        for entry in user.sessions.available().filter(|entry| interest::of_session(entry, node)) {
            told.push(entry.id.uid);
            deliver(user, entry.id.uid, stanza.clone().with_to(entry.jid.clone().into()), cx);
        }
        let contacts = interest::contacts(user, node).map(|jid| Jid::from(jid.clone()));
        to.extend(contacts.filter(|jid| may_get(user, gate, jid, cx.now.unix_micros)));
    }
    for jid in listeners {
        if jid.bare_str() == user.jid.as_str() {
            tell_own(user, &stanza, &jid, &told, cx);
            continue;
        }
        // Of whom presence is known, those resources get it that asked for it (§4.3.2 rule 3).
        let by_presence = filtered.is_some() && jid.is_bare() && interest::knows(user, &jid.bare());
        if !blocking::is_blocked(user, &jid) && !by_presence && !to.contains(&jid) {
            to.push(jid);
        }
    }
    cx.send_to_all(stanza, to);
}

fn may_get(user: &User, gate: &Node, jid: &Jid, now: u64) -> bool {
    let asker = Asker { who: &jid.bare(), now, people: &people(user) };
    access::read(gate, asker).is_ok() && !blocking::is_blocked(user, jid)
}

/// To a session of the account, or to all of them.
fn tell_own(user: &User, stanza: &Stanza, jid: &Jid, told: &[u64], cx: &mut Context<'_, User>) {
    let is_meant = |resource: &str| jid.resourcepart().is_none_or(|it| it == resource);
    for entry in user.sessions.available().filter(|entry| is_meant(entry.jid.resource())) {
        if !told.contains(&entry.id.uid) {
            deliver(user, entry.id.uid, stanza.clone().with_to(entry.jid.clone().into()), cx);
        }
    }
}

/// Sends the last items of these nodes, as far as they may read them and they were published after this time.
pub(crate) fn greet(
    user: &User,
    whom: Whom,
    names: Vec<String>,
    after: u64,
    cx: &mut Context<'_, User>,
) {
    let Some(collection) = collection(user) else { return };
    let now = cx.now.unix_micros;
    let wanted: Vec<(String, u64)> = names
        .into_iter()
        .filter_map(|name| {
            let node = collection.get(&name)?;
            let head = last(node, now).filter(|head| head.published > after)?;
            is_due(user, node, &whom, now).then_some((name, head.number))
        })
        .collect();
    if wanted.is_empty() {
        return;
    }
    let head = |(name, number): &(String, u64)| found(collection, name, *number);
    let sources: Vec<_> = wanted
        .iter()
        .filter_map(|it| head(it).map(|(_, head)| collection.source(&it.0, head)))
        .collect();
    let rows = keys(&sources);
    cx.read(
        move |store, fence| get_all(store, fence, rows),
        move |user, cx, rows| match rows {
            Ok(rows) => {
                for ((name, number), payload) in wanted.iter().zip(payloads(&sources, rows)) {
                    let Some(payload) = payload else { continue };
                    hand_over(user, &whom, (name, *number, &payload), cx);
                }
            }
            Err(error) => tracing::warn!(jid = %user.jid, %error, "last items cannot be read"),
        },
    );
}

/// The item that was published last, if its time is not over.
fn last(node: &Node, now: u64) -> Option<&Head> {
    let head = node.items.last()?;
    let over = match node.config.item_expire {
        UpTo::Max => false,
        UpTo::Number(seconds) => {
            head.published.saturating_add(seconds.saturating_mul(1_000_000)) < now
        }
    };
    Some(head).filter(|_| !over)
}

fn is_due(user: &User, node: &Node, whom: &Whom, now: u64) -> bool {
    let by_presence = node.config.send_last == SendLast::OnSubAndPresence;
    node.config.deliver_notifications
        && match whom {
            Whom::Session(_) => by_presence,
            Whom::Contact(jid) => by_presence && may_get(user, node, jid, now),
            Whom::Subscriber(jid) => may_get(user, node, jid, now),
        }
}

fn found<'a>(collection: &'a Collection, name: &str, number: u64) -> Option<(&'a Node, &'a Head)> {
    let node = collection.get(name)?;
    node.items.iter().find(|head| head.number == number).map(|head| (node, head))
}

/// What was replaced or retracted meanwhile is not sent any more.
fn hand_over(
    user: &User,
    whom: &Whom,
    (name, number, payload): (&str, u64, &[u8]),
    cx: &mut Context<'_, User>,
) {
    let Some(collection) = collection(user) else { return };
    let Some((node, head)) = found(collection, name, number) else { return };
    let id = format!("{:016x}", cx.random_u64());
    let stanza = notice::last_item(collection, (name, node, head), payload, id);
    match whom {
        Whom::Session(session) => {
            let Some(entry) = user.sessions.get(*session) else { return };
            deliver(user, *session, stanza.with_to(entry.jid.clone().into()), cx);
        }
        Whom::Contact(jid) => cx.send(stanza.with_to(jid.clone().into())),
        Whom::Subscriber(jid) => cx.send(stanza.with_to(jid.clone())),
    }
}
