//! Owns items read (XEP-0060 §6.5), by pages (XEP-0059).

use bytes::Bytes;
use xmpp::rsm::{Direction, Request};
use xmpp::{Element, StanzaCondition, StanzaError, ns};

use crate::access;
use crate::collection::{Answer, Collection, Fetch, Outcome, Source, Turn};
use crate::errors::bad_request;
use crate::node::{Head, Node};
use crate::request::node_of;

/// Most items of one answer, and most that are named in one request.
pub(crate) const PAGE_MOST: u32 = 200;

/// §6.5; with ids, just these, and those that are gone are left out (§6.5.8).
pub(crate) fn items(
    collection: &mut Collection,
    verb: &Element,
    pubsub: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let name = node_of(verb)?;
    access::read(collection.node(name)?, turn.asker())?;
    let mut out = Outcome::default();
    let ids: Vec<&str> = verb
        .children()
        .filter(|child| child.is("item", ns::PUBSUB))
        .filter_map(|item| item.attr("id"))
        .collect();
    let most = max_items(verb)?;
    let page = Request::parse(pubsub)?;
    collection.expire(name, turn.now, &mut out);
    let node = collection.node(name)?;
    let fetch = |heads: &[&Head], set| Fetch {
        node: name.to_owned(),
        items: heads.iter().map(|it| (it.id.clone(), collection.source(name, it))).collect(),
        set,
    };
    out.answer = Answer::Items(if ids.is_empty() {
        let (heads, set) = page_of(node, most, page)?;
        fetch(&heads, set)
    } else {
        if ids.len() > PAGE_MOST as usize {
            return Err(bad_request("too many items at once"));
        }
        let heads: Vec<&Head> = ids.iter().filter_map(|id| node.item(id)).collect();
        if heads.is_empty() {
            return Err(StanzaCondition::ItemNotFound.into());
        }
        fetch(&heads, None)
    });
    Ok(out)
}

/// The items of an answer: the most recent ones (§6.5.7), or a page. An answer that is not whole says so.
fn page_of(
    node: &Node,
    most: Option<u32>,
    page: Option<Request>,
) -> Result<(Vec<&Head>, Option<xmpp::rsm::ResultSet>), StanzaError> {
    let said = page.is_some();
    let recent = || Request { max: most, direction: Direction::Backwards, ..Request::default() };
    let page = match page {
        Some(page) => page,
        None if most.is_some() || node.items.len() > PAGE_MOST as usize => recent(),
        None => Request::default(),
    };
    let (range, set) = page.page(&node.items, |head| head.id.as_str(), PAGE_MOST)?;
    let partial = range.len() < node.items.len() && most.is_none();
    Ok((node.items[range].iter().collect(), (said || partial).then_some(set)))
}

fn max_items(verb: &Element) -> Result<Option<u32>, StanzaError> {
    let number = |text: &str| text.parse().map_err(|_| bad_request("max_items is no number"));
    verb.attr("max_items").map(number).transpose()
}

impl Fetch {
    /// Where the payloads are, in order.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        self.items.iter().map(|(_, source)| source.clone()).collect()
    }

    /// The answer, from the payloads in order; none for an item that has gone meanwhile.
    #[must_use]
    pub fn answer(&self, payloads: &[Option<Bytes>]) -> Element {
        let item = |(id, payload): (&String, &Bytes)| {
            let item = Element::new("item", ns::PUBSUB).with_attr("id", id);
            item.with_children(Element::parse(payload).ok())
        };
        let ids = self.items.iter().map(|(id, _)| id);
        let there = ids.zip(payloads).filter_map(|(id, payload)| Some((id, payload.as_ref()?)));
        let items = Element::new("items", ns::PUBSUB)
            .with_attr("node", &self.node)
            .with_children(there.map(item));
        let set = self.set.as_ref().map(xmpp::rsm::ResultSet::to_element);
        Element::new("pubsub", ns::PUBSUB).with_child(items).with_children(set)
    }
}
