//! Owns the shape of rows: a node as an element, a subscription and the index of an item as bytes. The item of a
//! row that belongs to a node begins with the length of the node's name.

use bytes::Bytes;
use xmpp::forms::{Form, FormKind};
use xmpp::{BareJid, Element, ns};

use crate::affiliation::Affiliation;
use crate::collection::Place;
use crate::form;
use crate::node::{Head, Node, Subscription};

/// The namespace of what is kept; nobody sends it.
const NS: &str = "urn:rookery:nodes";

/// Longer names of nodes and items are refused.
pub(crate) const NAME_BYTES: usize = 1_023;

/// The name of a row of a node: its name, then another.
#[must_use]
pub(crate) fn join(node: &str, rest: &str) -> Bytes {
    let length = u16::try_from(node.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), node.as_bytes(), rest.as_bytes()].concat().into()
}

/// Both names.
pub(crate) fn split(item: &[u8]) -> Option<(String, String)> {
    let (length, rest) = item.split_first_chunk::<2>()?;
    let (node, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((str::from_utf8(node).ok()?.to_owned(), str::from_utf8(rest).ok()?.to_owned()))
}

pub(crate) fn write_node(node: &Node) -> Bytes {
    let people = node.affiliations.iter().map(|(jid, affiliation)| {
        Element::new("affiliation", NS)
            .with_attr("jid", jid.as_str())
            .with_attr("affiliation", affiliation.as_str())
    });
    Element::new("node", NS)
        .with_attr("creator", node.creator.as_str())
        .with_attr("created", node.created.to_string())
        .with_child(form::write(&node.config, FormKind::Submit).to_element())
        .with_children(people)
        .to_bytes()
        .into()
}

pub(crate) fn read_node(value: &[u8], place: Place) -> Option<Node> {
    let kept = Element::parse(value).ok().filter(|kept| kept.is("node", NS))?;
    let x = Form::parse(kept.child("x", ns::DATA_FORMS)?).ok()?;
    let creator = BareJid::parse(kept.attr("creator")?).ok()?;
    let config = form::read(&x, place).ok()?;
    let mut node = Node::new(config, creator, kept.attr("created")?.parse().ok()?);
    for affiliation in kept.children().filter(|child| child.is("affiliation", NS)) {
        let jid = BareJid::parse(affiliation.attr("jid")?).ok()?;
        node.affiliations.insert(jid, Affiliation::parse(affiliation.attr("affiliation")?)?);
    }
    Some(node)
}

/// Two flags, then the end if there is one.
pub(crate) fn write_subscription(subscription: &Subscription) -> Bytes {
    let flags = u8::from(subscription.pending) | u8::from(subscription.deliver) << 1;
    let mut value = vec![flags];
    value.extend(subscription.expire.into_iter().flat_map(u64::to_be_bytes));
    value.into()
}

pub(crate) fn read_subscription(value: &[u8]) -> Option<Subscription> {
    let (flags, rest) = value.split_first()?;
    let expire = match rest {
        [] => None,
        rest => Some(u64::from_be_bytes(rest.try_into().ok()?)),
    };
    Some(Subscription { pending: flags & 1 != 0, deliver: flags & 2 != 0, expire })
}

/// Number, time and size, eight bytes each; then the publisher.
pub(crate) fn write_head(head: &Head) -> Bytes {
    let numbers = [head.number, head.published, head.bytes as u64];
    let mut value: Vec<u8> = numbers.into_iter().flat_map(u64::to_be_bytes).collect();
    value.extend_from_slice(head.publisher.as_str().as_bytes());
    value.into()
}

pub(crate) fn read_head(id: String, value: &[u8]) -> Option<Head> {
    let (number, rest) = value.split_first_chunk::<8>()?;
    let (published, rest) = rest.split_first_chunk::<8>()?;
    let (bytes, publisher) = rest.split_first_chunk::<8>()?;
    Some(Head {
        id,
        number: u64::from_be_bytes(*number),
        published: u64::from_be_bytes(*published),
        publisher: BareJid::parse(str::from_utf8(publisher).ok()?).ok()?,
        bytes: usize::try_from(u64::from_be_bytes(*bytes)).ok()?,
        held: None,
    })
}
