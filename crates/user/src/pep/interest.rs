//! Owns who has asked for which nodes by capabilities (XEP-0060 §9.2): contacts' resources that the account has seen
//! the presence of, and its own sessions. What a hash stands for is asked of who sent it.

use std::collections::BTreeMap;

use bytes::Bytes;
use entity::{Context, Slot};
use nodes::config::AccessModel;
use xmpp::disco::Info;
use xmpp::{BareJid, Element, FullJid, Head, IqType, Jid, Kind, PresenceType, Stanza, ns};

use super::caps::{Caps, Nodes, wanted};
use super::{Whom, collection, greet};
use crate::User;
use crate::extensions::deliver;
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
}

/// What contacts' resources want, and what was asked.
#[derive(Debug, Default)]
pub(crate) struct Interests {
    contacts: BTreeMap<FullJid, Wants>,
    asked: Vec<Asked>,
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

/// Presence of a contact has come (XEP-0163 §4.3.3).
pub(crate) fn see(user: &mut User, presence: &Stanza, cx: &mut Context<'_, User>) {
    let Head { kind: Kind::Presence(ty), from: Some(from), to, .. } = presence.head() else {
        return;
    };
    let Some(contact) = from.to_full() else {
        if *ty == PresenceType::Unavailable
            && let Some(table) = table(user)
        {
            table.contacts.retain(|jid, _| jid.bare_str() != from.as_str());
        }
        return;
    };
    // Rooms may stand in a roster as well; whose presence is shared has a subscription.
    let item = user.roster.get(&from.bare());
    let is_contact = item.is_some_and(|item| item.from_subscribed() || item.to_subscribed());
    let shows = *ty == PresenceType::Available && is_contact;
    let caps = Caps::of(presence).filter(|_| shows);
    match (ty, caps) {
        (PresenceType::Available, Some(caps)) => {
            // One answers a probe of a newcomer of ours, and has seen what there was.
            let answers = to.as_ref().is_some_and(|to| !to.is_bare());
            let after = if answers { since(user) } else { 0 };
            note_contact(user, contact, (caps, after), cx);
        }
        (PresenceType::Available | PresenceType::Unavailable | PresenceType::Error, _) => {
            if let Some(table) = table(user) {
                table.contacts.remove(&contact);
            }
        }
        _ => {}
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
    (caps, after): (Caps, u64),
    cx: &mut Context<'_, User>,
) {
    let table = user.slots.get_or_make(Interests::default);
    let before = table.contacts.get(&contact).cloned();
    if before.as_ref().is_some_and(|before| before.caps == caps) {
        return;
    }
    if before.is_none() && table.contacts.len() >= CONTACTS_MOST {
        return;
    }
    let nodes = cx.shared.caps.get(&caps);
    let wants = Wants { caps: caps.clone(), nodes, after };
    let new = wants.new_ones(before.as_ref());
    let known = wants.nodes.is_some();
    table.contacts.insert(contact.clone(), wants);
    match known {
        true => greet(user, Whom::Contact(contact), (new, after), cx),
        false => {
            if let Some(question) = question(user, (contact.into(), caps), cx) {
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
        greet(user, Whom::Contact(jid.clone()), (names, 0), cx);
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
    let wants = Wants { caps: caps.clone(), nodes: cx.shared.caps.get(&caps), after: 0 };
    let (new, known) = (wants.new_ones(before.as_ref()), wants.nodes.is_some());
    entry.slots.get_or_make(|| wants);
    if known && available {
        greet(user, Whom::Session(session), (new, 0), cx);
    } else if !known && let Some(question) = question(user, (jid.into(), caps), cx) {
        deliver(user, session, question, cx);
    }
}

/// A session has become available: it gets the last items of all nodes that it wants.
pub(crate) fn welcome(user: &User, session: u64, cx: &mut Context<'_, User>) {
    let wants = user.sessions.get(session).and_then(|entry| entry.slots.get::<Wants>());
    if let Some(new) = wants.map(|wants| wants.new_ones(None)) {
        greet(user, Whom::Session(session), (new, 0), cx);
    }
}

/// Asks what a hash stands for, unless somebody is being asked just now.
fn question(
    user: &mut User,
    (whom, caps): (Jid, Caps),
    cx: &mut Context<'_, User>,
) -> Option<Stanza> {
    let now = cx.now.unix_micros;
    let table = user.slots.get_or_make(Interests::default);
    let waits =
        |it: &Asked| it.caps == caps && it.at + PATIENCE > now && !caps.algorithm.is_empty();
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
    apply(user, (&caps, &nodes), (!verified).then_some(&whom), cx);
    true
}

/// What a hash stands for becomes known; `only`: of one alone.
fn apply(
    user: &mut User,
    (caps, nodes): (&Caps, &Nodes),
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
        let wants = Wants { caps: caps.clone(), nodes: Some(nodes.clone()), after: 0 };
        entry.slots.clear::<Wants>();
        entry.slots.get_or_make(|| wants.clone());
        if entry.is_available() {
            due.push((Whom::Session(session), wants));
        }
    }
    for (whom, wants) in due {
        greet(user, whom, (wants.new_ones(None), wants.after), cx);
    }
}

/// Between fields, between records, between nodes: characters that no XML has.
const FIELD: char = '\u{1}';
const RECORD: char = '\u{2}';
const NODE: char = '\u{3}';

impl Wants {
    fn fields(&self) -> String {
        let nodes = self.nodes.as_ref().map(|nodes| nodes.join(&NODE.to_string()));
        let known = if nodes.is_some() { "known" } else { "" };
        let nodes = nodes.unwrap_or_default();
        let Caps { algorithm, hash, node } = &self.caps;
        [algorithm, hash, node, &self.after.to_string(), known, &nodes].join(&FIELD.to_string())
    }

    fn read(text: &str) -> Option<Self> {
        let [algorithm, hash, node, after, known, nodes] = fields(text)?;
        let nodes = nodes.split(NODE).filter(|node| !node.is_empty()).map(Box::from);
        let nodes = (known == "known").then(|| nodes.collect());
        let caps = Caps { algorithm: algorithm.into(), hash: hash.into(), node: node.into() };
        Some(Self { caps, nodes, after: after.parse().ok()? })
    }
}

fn fields<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.splitn(N, FIELD).collect::<Vec<_>>().try_into().ok()
}

impl Slot for Wants {
    const NAME: &'static str = "wants";

    fn encode(&self) -> Option<Bytes> {
        Some(self.fields().into())
    }

    fn decode(value: &[u8]) -> Option<Self> {
        Self::read(str::from_utf8(value).ok()?)
    }
}

impl Slot for Interests {
    const NAME: &'static str = "interests";

    fn encode(&self) -> Option<Bytes> {
        let contacts = self.contacts.iter().map(|(jid, it)| format!("{jid}{FIELD}{}", it.fields()));
        let asked = self.asked.iter().map(|it| {
            let Caps { algorithm, hash, node } = &it.caps;
            let fields = ["", &it.id, it.whom.as_str(), &it.at.to_string(), algorithm, hash, node];
            fields.join(&FIELD.to_string())
        });
        let records: Vec<String> = contacts.chain(asked).collect();
        (!records.is_empty()).then(|| records.join(&RECORD.to_string()).into())
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let mut table = Self::default();
        for record in str::from_utf8(value).ok()?.split(RECORD) {
            let (jid, rest) = record.split_once(FIELD)?;
            if jid.is_empty() {
                let [id, whom, at, algorithm, hash, node] = fields(rest)?;
                let caps =
                    Caps { algorithm: algorithm.into(), hash: hash.into(), node: node.into() };
                let whom = Jid::parse(whom).ok()?;
                table.asked.push(Asked { id: id.into(), whom, caps, at: at.parse().ok()? });
            } else {
                table.contacts.insert(FullJid::parse(jid).ok()?, Wants::read(rest)?);
            }
        }
        Some(table)
    }
}
