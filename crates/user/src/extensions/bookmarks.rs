//! XEP-0402 PEP Native Bookmarks, version 1.2.0, with the bookmarks of XEP-0048, version 1.2, in private XML (XEP-0049)
//! and on their old node: what is written in one place stands in the others (§5.3).

use std::collections::HashSet;

use bytes::Bytes;
use entity::refuse::store_error;
use entity::{Context, Extension};
use nodes::Outcome;
use nodes::collection::{Source, keys, payloads};
use store::{Key, Kind, Write, get_all};
use xmpp::{BareJid, Element, IqType, StanzaError, ns};

use crate::User;
use crate::pep;

/// Bookmarks, an item each.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0402",
    title: "PEP Native Bookmarks",
    version: "1.2.0",
    features: &["urn:xmpp:bookmarks:1#compat", "urn:xmpp:bookmarks:1#compat-pep"],
    ..Extension::NONE
};

/// Bookmarks, all in one element.
pub(crate) const OLD: Extension<User> =
    Extension { number: "0048", title: "Bookmarks", version: "1.2", ..Extension::NONE };

/// How the old node is made, which has one item.
const SINGLE: pep::Options = &[
    ("pubsub#access_model", "whitelist"),
    ("pubsub#persist_items", "true"),
    ("pubsub#max_items", "1"),
    ("pubsub#send_last_published_item", "never"),
];

/// The id of the one item of the old node.
const CURRENT: &str = "current";

/// Where a change was made, which stands there as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// On the node of XEP-0402.
    Items,
    /// On the node of XEP-0048.
    OldNode,
    /// In private XML.
    Private,
}

/// The row of private XML with bookmarks.
pub(crate) fn private_key(user: &User) -> Key {
    Key::new(user.jid.clone(), Kind::Private, format!("storage {}", ns::BOOKMARKS_OLD))
}

/// Something was changed on a node by its owner: the other places follow.
pub(crate) fn changed(user: &mut User, verb: &Element, cx: &mut Context<'_, User>) {
    let published = verb.child("item", ns::PUBSUB).and_then(|item| item.children().next());
    match (verb.attr("node"), published) {
        (Some(ns::BOOKMARKS), _) => collate(user, Origin::Items, cx),
        (Some(ns::BOOKMARKS_OLD), Some(storage)) => {
            spread(user, storage.clone(), Origin::OldNode, cx);
        }
        _ => {}
    }
}

/// §5.3.2: a list written in an old place becomes items; those that stay as they are stay untouched.
pub(crate) fn spread(
    user: &mut User,
    storage: Element,
    origin: Origin,
    cx: &mut Context<'_, User>,
) {
    if !storage.is("storage", ns::BOOKMARKS_OLD) {
        return;
    }
    let kept = sources(user);
    let (ids, sources): (Vec<String>, Vec<Source>) = kept.into_iter().unzip();
    let rows = keys(&sources);
    cx.read(
        move |store, fence| get_all(store, fence, rows),
        move |user, cx, rows| match rows {
            Ok(rows) => {
                let payloads = payloads(&sources, rows);
                let before = ids.into_iter().zip(payloads).filter_map(read).collect();
                apply(user, &storage, before, cx);
                collate(user, origin, cx);
            }
            Err(error) => drop(store_error(&error)),
        },
    );
}

fn sources(user: &User) -> Vec<(String, Source)> {
    let collection = pep::collection(user);
    let node = collection.and_then(|it| Some((it, it.get(ns::BOOKMARKS)?)));
    let Some((collection, node)) = node else { return Vec::new() };
    let source = |head: &nodes::Head| (head.id.clone(), collection.source(ns::BOOKMARKS, head));
    node.items.iter().map(source).collect()
}

fn read((id, payload): (String, Option<Bytes>)) -> Option<(String, Element)> {
    Some((id, Element::parse(&payload?).ok()?))
}

/// Publishes and retracts what makes the difference, in one batch.
fn apply(
    user: &mut User,
    storage: &Element,
    before: Vec<(String, Element)>,
    cx: &mut Context<'_, User>,
) {
    let mut wanted: Vec<(BareJid, &Element)> = Vec::new();
    let mut seen = HashSet::new();
    for old in storage.children().filter(|child| child.is("conference", ns::BOOKMARKS_OLD)) {
        let jid = old.attr("jid").and_then(|jid| BareJid::parse(jid).ok());
        if let Some(jid) = jid.filter(|jid| seen.insert(jid.clone())) {
            wanted.push((jid, old));
        }
    }
    let from = user.jid.clone().into();
    let outcome = pep::act(user, &from, cx, |collection, turn| {
        let mut all = Outcome::default();
        for (jid, old) in wanted {
            let now = before.iter().find(|(id, _)| *id == *jid.as_str()).map(|(_, now)| now);
            let new = modern(old, now);
            if now != Some(&new) {
                let item = (ns::BOOKMARKS, jid.as_str(), new);
                merge(&mut all, pep::publish(collection, item, pep::PRIVATE, turn));
            }
        }
        let gone = before.iter().filter(|(id, _)| !seen.iter().any(|jid| jid.as_str() == id));
        for (id, _) in gone {
            let item = Element::new("item", ns::PUBSUB).with_attr("id", id);
            let retract = Element::new("retract", ns::PUBSUB).with_attr("node", ns::BOOKMARKS);
            let pubsub = Element::new("pubsub", ns::PUBSUB).with_child(retract.with_child(item));
            merge(&mut all, collection.act(IqType::Set, &pubsub, turn));
        }
        Ok(all)
    });
    if let Ok(outcome) = outcome {
        pep::finish(user, (outcome, None), cx);
    }
}

/// What did not fit is left out.
fn merge(all: &mut Outcome, one: Result<Outcome, StanzaError>) {
    match one {
        Ok(one) => {
            all.writes.extend(one.writes);
            all.notices.extend(one.notices);
            all.held.extend(one.held);
        }
        Err(error) => tracing::debug!(?error, "a bookmark is not converted"),
    }
}

/// A bookmark as an item; what the old form cannot say stays as it was.
fn modern(old: &Element, before: Option<&Element>) -> Element {
    let mut new = Element::new("conference", ns::BOOKMARKS)
        .with_attr_opt("name", old.attr("name"))
        .with_attr_opt("autojoin", old.attr("autojoin"));
    for name in ["nick", "password"] {
        if let Some(child) = old.child(name, ns::BOOKMARKS_OLD) {
            new.push(Element::new(name, ns::BOOKMARKS).with_text(child.text()));
        }
    }
    if let Some(before) = before {
        if same(before, &new) {
            return before.clone();
        }
        new = new.with_children(before.child("extensions", ns::BOOKMARKS).cloned());
    }
    new
}

/// Whether two items say the same of what the old form can say.
fn same(one: &Element, other: &Element) -> bool {
    let truth = |it: &Element| matches!(it.attr("autojoin"), Some("1" | "true"));
    let text = |it: &Element, name| it.child(name, ns::BOOKMARKS).map(Element::text);
    one.attr("name") == other.attr("name")
        && truth(one) == truth(other)
        && ["nick", "password"].iter().all(|name| text(one, name) == text(other, name))
}

/// A bookmark in the old form.
fn classic(id: &str, item: &Element) -> Element {
    let mut old = Element::new("conference", ns::BOOKMARKS_OLD)
        .with_attr("jid", id)
        .with_attr_opt("name", item.attr("name"))
        .with_attr_opt("autojoin", item.attr("autojoin"));
    for name in ["nick", "password"] {
        if let Some(child) = item.child(name, ns::BOOKMARKS) {
            old.push(Element::new(name, ns::BOOKMARKS_OLD).with_text(child.text()));
        }
    }
    old
}

/// §5.3.1: the old places get all items as one list, except the one where the change was made. Pages that private XML
/// has beside rooms stay there.
fn collate(user: &mut User, origin: Origin, cx: &mut Context<'_, User>) {
    let (ids, sources): (Vec<String>, Vec<Source>) = sources(user).into_iter().unzip();
    let mut rows = keys(&sources);
    rows.push(private_key(user));
    cx.read(
        move |store, fence| get_all(store, fence, rows),
        move |user, cx, rows| {
            let Ok(mut rows) = rows else { return };
            let private = rows.pop().flatten();
            let payloads = payloads(&sources, rows);
            let items: Vec<_> = ids.into_iter().zip(payloads).filter_map(read).collect();
            let rooms = items.iter().map(|(id, item)| classic(id, item));
            let storage = Element::new("storage", ns::BOOKMARKS_OLD).with_children(rooms);
            if origin != Origin::Private {
                write_private(user, &storage, private.as_deref(), cx);
            }
            if origin != Origin::OldNode {
                write_old_node(user, storage, cx);
            }
        },
    );
}

fn write_private(
    user: &User,
    storage: &Element,
    before: Option<&[u8]>,
    cx: &mut Context<'_, User>,
) {
    let kept = before.and_then(|bytes| Element::parse(bytes).ok());
    let is_page = |child: &&Element| !child.is("conference", ns::BOOKMARKS_OLD);
    let pages = kept.iter().flat_map(Element::children).filter(is_page).cloned();
    let storage = storage.clone().with_children(pages);
    let value = storage.to_bytes();
    let nothing_new = match before {
        Some(before) => before == value,
        None => storage.children().next().is_none(),
    };
    if nothing_new || value.len() > cx.shared.accounts.private_bytes {
        return;
    }
    cx.commit_then(vec![Write::Put(private_key(user), value.into())], |_, _, kept| {
        if let Err(error) = kept {
            drop(store_error(&error));
        }
    });
}

fn write_old_node(user: &mut User, storage: Element, cx: &mut Context<'_, User>) {
    let from = user.jid.clone().into();
    let outcome = pep::act(user, &from, cx, |collection, turn| {
        pep::publish(collection, (ns::BOOKMARKS_OLD, CURRENT, storage), SINGLE, turn)
    });
    match outcome {
        Ok(outcome) => pep::finish(user, (outcome, None), cx),
        Err(error) => tracing::debug!(?error, "bookmarks are not given to old clients"),
    }
}
