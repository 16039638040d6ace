//! XEP-0227 Portable Import/Export Format for XMPP-IM Servers, version 1.1, §4.4 and §4.9: a roster, and requests that
//! wait, out of rows and into rows.

use store::{Key, Kind, Row, Write};
use xmpp::{BareJid, Element, Stanza, kept, ns};

use super::{GROUP_BYTES_MAX, GROUPS_MAX, Item, NAME_BYTES_MAX, Roster, Subscription, row};

/// A roster as its owner is shown it (RFC 6121 §2.1.4), out of its rows; nothing where they cannot be read.
#[must_use]
pub fn shown(rows: &[Row]) -> Element {
    Roster::load(rows).unwrap_or_default().element()
}

/// The requests that wait for an answer.
pub(crate) fn requests_in(rows: &[Row]) -> Vec<Element> {
    let roster = Roster::load(rows).unwrap_or_default();
    let request = |(_, stanza): (&BareJid, &Stanza)| Element::parse(&kept::write(stanza)).ok();
    roster.requests().filter_map(request).collect()
}

/// The rows of a roster as it was shown, and of its version. `now` in microseconds since 1970-01-01 UTC.
pub(crate) fn rows_of(owner: &BareJid, query: &Element, now: u64) -> Vec<Write> {
    let key = |item: bytes::Bytes| Key::new(owner.clone(), Kind::Roster, item);
    let items = query.children().filter_map(read);
    let mut writes: Vec<Write> = items
        .map(|(contact, item)| {
            let item = Item { version: now, ..item };
            Write::Put(key(row::write_contact(&contact)), row::write_item(&item))
        })
        .collect();
    writes.push(Write::Put(key(bytes::Bytes::new()), row::write_version(now, now)));
    writes
}

/// The row of a request; none where it is something else.
pub(crate) fn row_of_request(owner: &BareJid, request: &Stanza) -> Option<Write> {
    let contact = request.head().from.as_ref()?.bare();
    let request = row::bounded(request, &contact);
    let value = row::write_request(&request);
    row::read_request(&value)?;
    let key = Key::new(owner.clone(), Kind::Pending, row::write_contact(&contact));
    Some(Write::Put(key, value))
}

/// Longer names and groups are cut at nothing, but left out.
fn read(item: &Element) -> Option<(BareJid, Item)> {
    let contact = BareJid::parse(item.attr("jid")?).ok()?;
    let subscription = match item.attr("subscription") {
        None | Some("none") => Subscription::None,
        Some("to") => Subscription::To,
        Some("from") => Subscription::From,
        Some("both") => Subscription::Both,
        Some(_) => return None,
    };
    let name = item.attr("name").filter(|name| name.len() <= NAME_BYTES_MAX).unwrap_or_default();
    let groups = item.children().filter(|child| child.is("group", ns::ROSTER)).map(Element::text);
    let groups = groups.filter(|group| group.len() <= GROUP_BYTES_MAX).take(GROUPS_MAX);
    let is_true = |name: &str| matches!(item.attr(name), Some("true" | "1"));
    Some((
        contact,
        Item {
            name: name.into(),
            groups: groups.map(Box::from).collect(),
            subscription,
            ask: item.attr("ask") == Some("subscribe"),
            approved: is_true("approved"),
            version: 0,
        },
    ))
}
