//! Owns the account's nodes (XEP-0163): loaded with the account, changed by the engine, kept, and told of when they
//! are kept. What the engine decides it does not know.
//!
//! | module | owns |
//! |---|---|
//! | `arrival` | which of those who seemed to be there have come anew |
//! | `caps` | capability hashes: read, verified, cached |
//! | `interest` | who has asked for which nodes by capabilities |
//! | `tell` | events to sessions, contacts and subscribers; last items |

mod arrival;
pub(crate) mod caps;
pub(crate) mod interest;
mod tell;

use bytes::Bytes;
use entity::refuse::store_error;
use entity::{Answer, Context, LoadError, Request, Slot};
use nodes::collection::{self, KINDS, keys, payloads};
use nodes::{Collection, Outcome, People, Place, Turn};
use store::{Row, get_all};
use xmpp::forms::{Field, Form, FormKind};
use xmpp::{BareJid, Element, IqType, Jid, Kind, StanzaCondition, StanzaError, ns};

use crate::User;
use crate::extensions::{again, avatar, bookmarks, deliver, reply};
use crate::roster::Roster;

pub(crate) use tell::{Whom, greet};

/// The nodes of an account. Comes out of the rows.
struct Nodes {
    collection: Collection,
    /// Changes that are not answered by the store.
    under_way: usize,
    /// A change was refused: what is here is not what is kept.
    stale: bool,
}

impl Slot for Nodes {
    const NAME: &'static str = "nodes";

    fn encode(&self) -> Option<Bytes> {
        None
    }

    fn decode(_: &[u8]) -> Option<Self> {
        None
    }
}

/// The slot of nodes.
pub(crate) const SLOT: entity::SlotKind = entity::SlotKind::of::<Nodes>();

/// What the engine must know of people.
pub(crate) struct Known<'a> {
    owner: &'a BareJid,
    roster: &'a Roster,
}

impl People for Known<'_> {
    fn owns_all(&self, who: &BareJid) -> bool {
        who == self.owner
    }

    fn sees_presence(&self, who: &BareJid) -> bool {
        self.roster.is_subscriber(who)
    }

    fn is_in_group(&self, who: &BareJid, groups: &[String]) -> bool {
        let item = self.roster.get(who);
        item.is_some_and(|item| {
            item.groups.iter().any(|it| groups.iter().any(|group| **group == **it))
        })
    }

    fn may_create(&self, who: &BareJid) -> bool {
        who == self.owner
    }
}

/// Takes the account's rows.
pub(crate) fn load(user: &mut User) -> Result<(), LoadError> {
    let rows: Vec<Row> = user.rows.extract_if(.., |row| KINDS.contains(&row.kind)).collect();
    if rows.is_empty() || !user.exists {
        return Ok(());
    }
    let collection = read_rows(user, &rows)?;
    user.slots.get_or_make(|| Nodes { collection, under_way: 0, stale: false });
    Ok(())
}

fn read_rows(user: &User, rows: &[Row]) -> Result<Collection, LoadError> {
    let unreadable = |collection::Unreadable(kind)| LoadError { kind };
    Collection::load(user.jid.clone(), Place::Account, rows).map_err(unreadable)
}

/// The nodes, if there are any.
pub(crate) fn collection(user: &User) -> Option<&Collection> {
    user.slots.get::<Nodes>().map(|nodes| &nodes.collection)
}

/// What the engine must know of the account's people.
pub(crate) fn people(user: &User) -> Known<'_> {
    Known { owner: &user.jid, roster: &user.roster }
}

/// Does what a request asks for.
///
/// # Errors
/// What the asker is told.
pub(crate) fn answer(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let Kind::Iq(ty) = request.stanza.kind() else {
        return Err(StanzaCondition::BadRequest.into());
    };
    let from = sender(user, request);
    let outcome =
        act(user, &from, cx, |collection, turn| collection.act(ty, &request.payload, turn))?;
    finish(user, (outcome, Some(again(request))), cx);
    Ok(Answer::Later)
}

/// A contact stands otherwise in the roster: what they may not read any more they are not subscribed to any more (XEP-0163
/// §7.1), and who may read more is shown it.
pub(crate) fn stands_otherwise(
    user: &mut User,
    contact: &BareJid,
    was_subscriber: bool,
    cx: &mut Context<'_, User>,
) {
    if collection(user).is_none() {
        return;
    }
    let from = user.jid.clone().into();
    let outcome =
        act(user, &from, cx, |collection, turn| Ok(collection.stands_otherwise(contact, turn)));
    if let Ok(outcome) = outcome {
        finish(user, (outcome, None), cx);
    }
    if !was_subscriber && user.roster.is_subscriber(contact) {
        interest::greet_subscriber(user, contact, cx);
    }
}

fn sender(user: &User, request: &Request) -> Jid {
    let from = request.stanza.head().from.clone();
    from.unwrap_or_else(|| user.jid.clone().into())
}

/// An owner's answer to a request for a subscription (XEP-0060 §8.6).
pub(crate) fn decide(user: &mut User, from: &Jid, x: &Element, cx: &mut Context<'_, User>) {
    match act(user, from, cx, |collection, turn| collection.decide(x, turn)) {
        Ok(outcome) => finish(user, (outcome, None), cx),
        Err(error) => {
            tracing::debug!(jid = %user.jid, ?error, "a decision on a subscription is refused")
        }
    }
}

/// Shows a session what waits for a yes or no.
pub(crate) fn remind(user: &mut User, session: u64, cx: &mut Context<'_, User>) {
    let waits = |it: &Collection| {
        it.iter().any(|(_, node)| node.subscriptions.values().any(|it| it.pending))
    };
    let to = user.sessions.get(session).map(|entry| Jid::from(entry.jid.clone()));
    let Some(to) = to.filter(|_| collection(user).is_some_and(waits)) else { return };
    let asked = act(user, &to, cx, |collection, turn| Ok(collection.ask_again(turn)));
    for notice in asked.into_iter().flat_map(|outcome| outcome.notices) {
        deliver(user, session, notice.stanza.with_to(to.clone()), cx);
    }
}

/// Has the engine do something in somebody's name. What comes of it must be finished. Where there is no account
/// others are answered as by one without nodes.
pub(crate) fn act(
    user: &mut User,
    from: &Jid,
    cx: &mut Context<'_, User>,
    act: impl FnOnce(&mut Collection, &mut Turn<'_>) -> Result<Outcome, StanzaError>,
) -> Result<Outcome, StanzaError> {
    if !user.exists && from.bare() == user.jid {
        return Err(StanzaCondition::ServiceUnavailable.into());
    }
    let (limits, now) = (cx.shared.accounts.of_nodes(), cx.now.unix_micros);
    let User { slots, roster, jid, .. } = user;
    let people = Known { owner: jid, roster };
    let nodes = slots.get_or_make(|| Nodes {
        collection: Collection::new(jid.clone(), Place::Account),
        under_way: 0,
        stale: false,
    });
    if nodes.stale {
        let error = StanzaError::from(StanzaCondition::ResourceConstraint);
        return Err(error.with_text("the store refused a change just now"));
    }
    let mut fresh = || format!("{:016x}", cx.random_u64());
    act(&mut nodes.collection, &mut Turn::new(from, &people, &limits, now, &mut fresh))
}

/// Keeps what came of a request, then answers it and tells of it.
pub(crate) fn finish(
    user: &mut User,
    (mut outcome, request): (Outcome, Option<Request>),
    cx: &mut Context<'_, User>,
) {
    let writes = std::mem::take(&mut outcome.writes);
    if writes.is_empty() {
        return tell(user, outcome, request, cx);
    }
    if let Some(nodes) = nodes_mut(user) {
        nodes.under_way += 1;
    }
    cx.commit_then(writes, move |user, cx, kept| {
        settle(user, &outcome, kept.is_ok(), cx);
        match (kept, request) {
            (Ok(()), request) => tell(user, outcome, request, cx),
            (Err(error), Some(request)) => reply(user, &request, Err(store_error(&error)), cx),
            (Err(error), None) => drop(store_error(&error)),
        }
    });
}

fn nodes_mut(user: &mut User) -> Option<&mut Nodes> {
    user.slots.get::<Nodes>()?;
    let jid = user.jid.clone();
    Some(user.slots.get_or_make(|| Nodes {
        collection: Collection::new(jid, Place::Account),
        under_way: 0,
        stale: false,
    }))
}

/// The store has answered. Where it refused, and nothing else is under way, the nodes are loaded again.
fn settle(user: &mut User, outcome: &Outcome, kept: bool, cx: &mut Context<'_, User>) {
    let Some(nodes) = nodes_mut(user) else { return };
    nodes.under_way -= 1;
    nodes.stale |= !kept;
    nodes.collection.release(&outcome.held);
    if nodes.stale && nodes.under_way == 0 {
        let owner = user.jid.clone();
        cx.read(move |store, fence| store.load(fence, owner, &KINDS), load_again);
    }
}

fn load_again(user: &mut User, cx: &mut Context<'_, User>, rows: Result<Vec<Row>, store::Error>) {
    let collection = match rows {
        Ok(rows) => read_rows(user, &rows).ok(),
        Err(error) => {
            tracing::warn!(jid = %user.jid, %error, "an account's nodes cannot be read");
            None
        }
    };
    if let Some(collection) = collection {
        if let Some(nodes) = nodes_mut(user) {
            (nodes.collection, nodes.stale) = (collection, false);
        }
    } else if user.sessions.is_empty() {
        // Whoever comes next finds the account as it is kept.
        cx.close();
    }
}

fn tell(user: &mut User, outcome: Outcome, request: Option<Request>, cx: &mut Context<'_, User>) {
    let done = request.as_ref().and_then(|request| changed_by_owner(user, request));
    if let Some(request) = request {
        respond(user, request, outcome.answer, cx);
    }
    if !outcome.notices.is_empty() {
        interest::ask_again(user, cx);
    }
    for notice in outcome.notices {
        tell::tell(user, notice, cx);
    }
    for (node, jid) in outcome.newcomers {
        greet(user, Whom::Subscriber(jid), vec![node], 0, cx);
    }
    if let Some(verb) = done {
        bookmarks::changed(user, &verb, cx);
        avatar::changed(user, &verb, cx);
    }
}

/// What the owner has done to a node, for what stands in other places as well.
fn changed_by_owner(user: &User, request: &Request) -> Option<Element> {
    let is_set = request.stanza.kind() == Kind::Iq(IqType::Set);
    if !is_set || sender(user, request).bare_str() != user.jid.as_str() {
        return None;
    }
    let verbs = ["publish", "retract", "purge", "delete"];
    request.payload.children().find(|child| verbs.contains(&child.name())).cloned()
}

/// How a node is made that holds many things of its owner's own (XEP-0223 §3).
pub(crate) const PRIVATE: Options = &[
    ("pubsub#access_model", "whitelist"),
    ("pubsub#persist_items", "true"),
    ("pubsub#max_items", "max"),
    ("pubsub#send_last_published_item", "never"),
];

/// Fields of a node's configuration.
pub(crate) type Options = &'static [(&'static str, &'static str)];

/// Publishes in the owner's name; the node is made with these options where there is none (XEP-0060 §7.1.5).
///
/// # Errors
/// As for a client that publishes.
pub(crate) fn publish(
    collection: &mut Collection,
    (node, id, payload): (&'static str, &str, Element),
    options: Options,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let item = Element::new("item", ns::PUBSUB).with_attr("id", id).with_child(payload);
    let publish = Element::new("publish", ns::PUBSUB).with_attr("node", node).with_child(item);
    let mut pubsub = Element::new("pubsub", ns::PUBSUB).with_child(publish);
    if collection.get(node).is_none() {
        let form = Form::new(FormKind::Submit, ns::PUBSUB_OPTIONS);
        let form = options.iter().map(field).fold(form, Form::with);
        pubsub.push(Element::new("publish-options", ns::PUBSUB).with_child(form.to_element()));
    }
    collection.act(IqType::Set, &pubsub, turn)
}

fn field((var, value): &(&str, &str)) -> Field {
    Field { var: (*var).to_owned(), values: vec![(*value).to_owned()], ..Field::default() }
}

fn respond(user: &User, request: Request, answer: nodes::Answer, cx: &mut Context<'_, User>) {
    let fetch = match answer {
        nodes::Answer::Done => return reply(user, &request, Ok(None), cx),
        nodes::Answer::Result(result) => return reply(user, &request, Ok(Some(result)), cx),
        nodes::Answer::Items(fetch) => fetch,
    };
    let sources = fetch.sources();
    let rows = keys(&sources);
    cx.read(
        move |store, fence| get_all(store, fence, rows),
        move |user, cx, rows| {
            let answer = match rows {
                Ok(rows) => Ok(Some(fetch.answer(&payloads(&sources, rows)))),
                Err(error) => Err(store_error(&error)),
            };
            reply(user, &request, answer, cx);
        },
    );
}
