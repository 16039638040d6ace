//! Owns who has asked for which nodes by capabilities (XEP-0060 §9.2): contacts' resources that the account has seen
//! the presence of, and its own sessions. What a hash stands for is asked of who sent it.

mod record;

use std::collections::BTreeMap;

use entity::Context;
use nodes::config::AccessModel;
use xmpp::disco::Info;
use xmpp::{BareJid, Element, FullJid, Head, IqType, Jid, Kind, PresenceType, Stanza, ns};

use super::arrival::Arrival;
use super::caps::{Caps, Nodes, wanted};
use super::{Whom, collection, greet};
use crate::User;
use crate::extensions::deliver;
use crate::presence::probe;
use crate::sessions::SessionEntry;

/// Most resources of contacts that are remembered.
const CONTACTS_MOST: usize = 4_096;

/// Most questions that wait for an answer; the oldest is given up.
const ASKED_MOST: usize = 64;

/// So long, in microseconds, nobody else is asked the same.
const PATIENCE: u64 = 30_000_000;

/// What a resource wants.
#[derive(Clone, Debug)]
pub(crate) struct Wants {
    caps: Caps,
    /// None: that is not known yet.
    nodes: Option<Nodes>,
    /// Only what was published after this is news for it, in microseconds since 1970-01-01 UTC.
    after: u64,
    /// Of a contact. Not kept: who comes anew just when the account moves is not seen to.
    arrival: Arrival,
}

/// What contacts' resources want, and what was asked.
#[derive(Debug, Default)]
pub(crate) struct Interests {
    contacts: BTreeMap<FullJid, Wants>,
    asked: Vec<Asked>,
}

/// What contacts want was known to a former owner of the account alone, which is gone. They show themselves again only
/// when they change; so they are asked, once, when there is something to tell: not by all accounts of a member that dies.
#[derive(Debug)]
pub(crate) struct Lost {
    /// Since when, in microseconds since 1970-01-01 UTC: what was published before, they have been told.
    since: u64,
    asked: bool,
}

#[derive(Debug)]
struct Asked {
    id: String,
    whom: Jid,
    caps: Caps,
    at: u64,
}

/// Whether a session wants events of a node.
pub(super) fn of_session(entry: &SessionEntry, node: &str) -> bool {
    entry.slots.get::<Wants>().is_some_and(|wants| wants.has(node))
}

/// The resources of contacts that want events of a node.
pub(super) fn contacts<'a>(user: &'a User, node: &'a str) -> impl Iterator<Item = &'a FullJid> {
    let table = user.slots.get::<Interests>().into_iter().flat_map(|it| &it.contacts);
    table.filter(move |(_, wants)| wants.has(node)).map(|(jid, _)| jid)
}

/// Whether presence with capabilities of a contact is known.
pub(super) fn knows(user: &User, contact: &BareJid) -> bool {
    let table = user.slots.get::<Interests>();
    table.is_some_and(|it| it.contacts.keys().any(|jid| jid.bare_str() == contact.as_str()))
}

impl Wants {
    fn has(&self, node: &str) -> bool {
        self.nodes.as_ref().is_some_and(|nodes| nodes.iter().any(|it| **it == *node))
    }

    /// Those that it did not want before.
    fn new_ones(&self, before: Option<&Self>) -> Vec<String> {
        let nodes = self.nodes.iter().flat_map(|nodes| nodes.iter());
        let new = nodes.filter(|node| !before.is_some_and(|before| before.has(node)));
        new.map(|node| node.to_string()).collect()
    }
}

/// A session goes on here whose former owner is gone.
pub(crate) fn lose(user: &mut User, now: u64) {
    if user.slots.get::<Interests>().is_none() {
        user.slots.get_or_make(|| Lost { since: now, asked: false });
    }
}

/// There is something to tell: contacts of which it is not known any more what they want are asked to show themselves.
pub(super) fn ask_again(user: &mut User, cx: &mut Context<'_, User>) {
    let is_due = user.slots.get::<Lost>().is_some_and(|lost| !lost.asked);
    let session = user.sessions.available().next().map(|entry| entry.jid.clone());
    if let (true, Some(session)) = (is_due, session) {
        user.slots.get_or_make(|| Lost { since: 0, asked: true }).asked = true;
        probe::ask(user, &session, cx);
    }
}

/// Presence of a contact has come (XEP-0163 §4.3.3).
pub(crate) fn see(user: &mut User, presence: &Stanza, cx: &mut Context<'_, User>) {
    let Head { kind: Kind::Presence(ty), from: Some(from), to, .. } = presence.head() else {
        return;
    };
    if *ty == PresenceType::Probe {
        return probed(user, from, cx);
    }
    let Some(contact) = from.to_full() else {
        if *ty == PresenceType::Unavailable
            && let Some(table) = table(user)
        {
            table.contacts.retain(|jid, _| jid.bare_str() != from.as_str());
        }
        return;
    };
    // Rooms may stand in a roster as well; whose presence is shared has a subscription.
    let is_contact = |user: &User| {
        let item = user.roster.get(&from.bare());
        item.is_some_and(|item| item.is_subscriber() || item.is_subscribed_to())
    };
    let shown = match ty {
        PresenceType::Available => Some(presence).filter(|_| is_contact(user)).and_then(Caps::of),
        PresenceType::Unavailable | PresenceType::Error => None,
        _ => return,
    };
    let Some(caps) = shown else {
        if let Some(table) = table(user) {
            table.contacts.remove(&contact);
        }
        return;
    };
    // One answers a probe of a newcomer of ours, and has seen what there was.
    let answers = to.as_ref().is_some_and(|to| !to.is_bare());
    let after = if answers { since(user) } else { 0 };
    let after = user.slots.get::<Lost>().map_or(after, |lost| after.max(lost.since));
    note_contact(user, contact, caps, after, cx);
}

/// Somebody asks for the account's presence: a client of a contact has come.
fn probed(user: &mut User, from: &Jid, cx: &mut Context<'_, User>) {
    let Some(table) = table(user) else { return };
    let now = cx.now.unix_micros;
    let is_meant = |jid: &FullJid| match from.is_bare() {
        true => jid.bare_str() == from.as_str(),
        false => **jid == *from,
    };
    let meant = table.contacts.iter_mut().filter(|(jid, _)| is_meant(jid));
    let come: Vec<(FullJid, Wants)> = meant
        .filter_map(|(jid, wants)| wants.arrival.asks(now).then(|| (jid.clone(), wants.clone())))
        .collect();
    for (contact, wants) in come {
        greet(user, Whom::Contact(contact), wants.new_ones(None), wants.after, cx);
    }
}

fn table(user: &mut User) -> Option<&mut Interests> {
    user.slots.get::<Interests>()?;
    Some(user.slots.get_or_make(Interests::default))
}

/// Since when the account has been listening to its contacts.
fn since(user: &User) -> u64 {
    user.sessions.iter().filter_map(|entry| entry.takes_since).min().unwrap_or(0)
}

fn note_contact(
    user: &mut User,
    contact: FullJid,
    caps: Caps,
    after: u64,
    cx: &mut Context<'_, User>,
) {
    let (table, now) = (user.slots.get_or_make(Interests::default), cx.now.unix_micros);
    let mut before = table.contacts.get(&contact).cloned();
    let mut arrival = before.as_ref().map_or_else(|| Arrival::at(now), |it| it.arrival);
    if before.is_none() && table.contacts.len() >= CONTACTS_MOST {
        return;
    }
    let same = before.as_ref().filter(|it| it.caps == caps).and_then(|it| it.nodes.clone());
    // One that has not answered is asked again, and has heard nothing yet.
    let unanswered = before.as_ref().filter(|it| it.nodes.is_none());
    let after = unanswered.map_or(after, |it| it.after.min(after));
    if before.is_some() && arrival.shows(now) {
        before = None;
    }
    let nodes = same.or_else(|| cx.shared.caps.get(&caps));
    let wants = Wants { caps: caps.clone(), nodes, after, arrival };
    let new = wants.new_ones(before.as_ref());
    let known = wants.nodes.is_some();
    table.contacts.insert(contact.clone(), wants);
    match known {
        true => greet(user, Whom::Contact(contact), new, after, cx),
        false => {
            if let Some(question) = question(user, contact.into(), caps, cx) {
                cx.send(question);
            }
        }
    }
}

/// A contact sees the account's presence from now on: its resources that are known already get the last items that
/// they were not to see before (XEP-0163 §4.3.4).
pub(super) fn greet_subscriber(user: &User, contact: &BareJid, cx: &mut Context<'_, User>) {
    let is_new = |name: &String| {
        let node = collection(user).and_then(|nodes| nodes.get(name));
        node.is_some_and(|it| {
            matches!(it.config.access, AccessModel::Presence | AccessModel::Roster)
        })
    };
    let table = user.slots.get::<Interests>().into_iter().flat_map(|it| &it.contacts);
    for (jid, wants) in table.filter(|(jid, _)| jid.bare_str() == contact.as_str()) {
        let names = wants.new_ones(None).into_iter().filter(is_new).collect();
        greet(user, Whom::Contact(jid.clone()), names, 0, cx);
    }
}

/// One of the account's sessions says what it can do. Before its initial presence is through, nothing is sent.
pub(crate) fn see_own(
    user: &mut User,
    session: u64,
    presence: &Stanza,
    cx: &mut Context<'_, User>,
) {
    let caps = Caps::of(presence);
    let Some(entry) = user.sessions.get(session) else { return };
    let before = entry.slots.get::<Wants>().cloned();
    if before.as_ref().map(|before| &before.caps) == caps.as_ref() {
        return;
    }
    let (jid, available) = (entry.jid.clone(), entry.is_available());
    let Some(entry) = user.sessions.get_mut(session) else { return };
    entry.slots.clear::<Wants>();
    let Some(caps) = caps else { return };
    let nodes = cx.shared.caps.get(&caps);
    let wants = Wants { caps: caps.clone(), nodes, after: 0, arrival: Arrival::default() };
    let (new, known) = (wants.new_ones(before.as_ref()), wants.nodes.is_some());
    entry.slots.get_or_make(|| wants);
    if known && available {
        greet(user, Whom::Session(session), new, 0, cx);
    } else if !known && let Some(question) = question(user, jid.into(), caps, cx) {
        deliver(user, session, question, cx);
    }
}

/// A session has become available: it gets the last items of all nodes that it wants.
pub(crate) fn welcome(user: &User, session: u64, cx: &mut Context<'_, User>) {
    let wants = user.sessions.get(session).and_then(|entry| entry.slots.get::<Wants>());
    if let Some(new) = wants.map(|wants| wants.new_ones(None)) {
        greet(user, Whom::Session(session), new, 0, cx);
    }
}

/// Asks what a hash stands for, unless somebody is being asked just now.
fn question(user: &mut User, whom: Jid, caps: Caps, cx: &mut Context<'_, User>) -> Option<Stanza> {
    let now = cx.now.unix_micros;
    let table = user.slots.get_or_make(Interests::default);
    let waits = |it: &Asked| {
        let is_same = it.caps == caps && (!caps.algorithm.is_empty() || it.whom == whom);
        is_same && it.at + PATIENCE > now
    };
    if table.asked.iter().any(waits) {
        return None;
    }
    let id = format!("caps-{:016x}", cx.random_u64());
    if table.asked.len() >= ASKED_MOST {
        table.asked.remove(0);
    }
    let query = Element::new("query", ns::DISCO_INFO).with_attr("node", &caps.node);
    table.asked.push(Asked { id: id.clone(), whom: whom.clone(), caps, at: now });
    let head = Head {
        kind: Kind::Iq(IqType::Get),
        id: Some(id.into()),
        from: Some(user.jid.clone().into()),
        to: Some(whom),
        lang: None,
    };
    Some(Stanza::build(head, &[query]))
}

/// Whether an answer was one to a question of ours; if so, what it says holds for all who sent the same hash, if
/// it is that of the answer, else for who sent it alone.
pub(crate) fn answered(user: &mut User, answer: &Stanza, cx: &mut Context<'_, User>) -> bool {
    let Head { id: Some(id), from: Some(from), kind, .. } = answer.head() else { return false };
    let Some(table) = table(user) else { return false };
    let Some(at) = table.asked.iter().position(|it| it.id == **id && it.whom == *from) else {
        return false;
    };
    let Asked { caps, whom, .. } = table.asked.remove(at);
    let query = answer.child("query", ns::DISCO_INFO);
    let Some(query) = query.filter(|_| *kind == Kind::Iq(IqType::Result)) else { return true };
    let info = Info::read(&query);
    let nodes = wanted(&info);
    let verified = caps.verify(&info);
    if verified {
        cx.shared.caps.put(&caps, nodes.clone());
    }
    apply(user, &caps, &nodes, (!verified).then_some(&whom), cx);
    true
}

/// What a hash stands for becomes known; `only`: of one alone.
fn apply(
    user: &mut User,
    caps: &Caps,
    nodes: &Nodes,
    only: Option<&Jid>,
    cx: &mut Context<'_, User>,
) {
    let meant = |jid: &FullJid, wants: &Wants| {
        wants.caps == *caps && wants.nodes.is_none() && only.is_none_or(|only| *only == **jid)
    };
    let mut due: Vec<(Whom, Wants)> = Vec::new();
    if let Some(table) = table(user) {
        for (jid, wants) in table.contacts.iter_mut().filter(|(jid, it)| meant(jid, it)) {
            wants.nodes = Some(nodes.clone());
            due.push((Whom::Contact(jid.clone()), wants.clone()));
        }
    }
    let has =
        |entry: &&SessionEntry| entry.slots.get::<Wants>().is_some_and(|it| meant(&entry.jid, it));
    let sessions: Vec<u64> = user.sessions.iter().filter(has).map(|entry| entry.id.uid).collect();
    for session in sessions {
        let Some(entry) = user.sessions.get_mut(session) else { continue };
        let nodes = Some(nodes.clone());
        let wants = Wants { caps: caps.clone(), nodes, after: 0, arrival: Arrival::default() };
        entry.slots.clear::<Wants>();
        entry.slots.get_or_make(|| wants.clone());
        if entry.is_available() {
            due.push((Whom::Session(session), wants));
        }
    }
    for (whom, wants) in due {
        greet(user, whom, wants.new_ones(None), wants.after, cx);
    }
}
