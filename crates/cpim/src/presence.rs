//! Owns the mapping of presence to PIDF documents and back (RFC 3922 §5, RFC 3863).

use xmpp::{Element, Jid};

use crate::address::{Scheme, from_uri, to_uri};
use crate::format::{Header, Object, declaration};
use crate::message::{addresses, recipients, sender, with_lang};
use crate::{CpimError, children};

/// Presence documents (RFC 3863 §4.1).
const PIDF: &str = "urn:ietf:params:xml:ns:pidf";
/// How available somebody is, where open and closed do not say it (RFC 3922 §5.1.5).
const PIDF_IM: &str = "urn:ietf:params:xml:ns:pidf:im";
/// The id of a tuple that is of no device: the only one that is no resource.
const NO_RESOURCE: &str = "";
/// Devices of one document that are looked at.
const TUPLES_MAX: usize = 64;

/// The presence of devices of one account, which somebody is to hear of, as an object (§5.1, §6.3.1): a device that is
/// told of more than once, as the last says. Subscriptions and probes are not written down in PIDF (§6).
pub(crate) fn to_object(stanzas: &[Element]) -> Result<Object, CpimError> {
    let mut whole: Option<(Vec<Header>, String)> = None;
    let mut tuples = Vec::<Element>::new();
    for presence in stanzas {
        let (from, tuple) = tuple(presence)?;
        let is_of_same = (addresses(presence)?, to_uri(Scheme::Pres, &from));
        if *whole.get_or_insert_with(|| is_of_same.clone()) != is_of_same {
            return Err(CpimError::Several);
        }
        tuples.retain(|it| it.attr("id") != tuple.attr("id"));
        tuples.push(tuple);
    }
    let (headers, entity) = whole.ok_or(CpimError::Kind)?;
    let document = Element::new("presence", PIDF).with_attr("entity", entity).with_children(tuples);
    let mut content = b"<?xml version='1.0' encoding='UTF-8'?>\r\n".to_vec();
    content.extend(document.to_bytes());
    let kind = ("Content-type".to_owned(), "application/pidf+xml; charset=utf-8".to_owned());
    Ok(Object { headers, inner: vec![kind], content })
}

/// Whose presence it is, and what a document says of that device.
fn tuple(presence: &Element) -> Result<(Jid, Element), CpimError> {
    let basic = match presence.attr("type") {
        None => "open",
        Some("unavailable") => "closed",
        Some(_) => return Err(CpimError::Type),
    };
    let from = presence.attr("from").and_then(|text| Jid::parse(text).ok());
    let from = from.ok_or(CpimError::Address("from"))?;
    let tuple = device(presence, &from, basic);
    Ok((from, tuple))
}

fn device(presence: &Element, from: &Jid, basic: &'static str) -> Element {
    let mut status =
        Element::new("status", PIDF).with_child(Element::new("basic", PIDF).with_text(basic));
    let show = children(presence, "show").next().map(Element::text);
    if let Some(show) = show.as_deref().and_then(to_im) {
        status.push(Element::new("im", PIDF_IM).with_text(show));
    }
    let priority = children(presence, "priority").next().map(Element::text);
    let priority = priority.and_then(|text| text.trim().parse().ok()).and_then(to_decimal);
    // The order is that of the schema (RFC 3863 §4.4).
    let contact = priority.map(|priority| {
        Element::new("contact", PIDF)
            .with_attr("priority", priority)
            .with_text(to_uri(Scheme::Im, from))
    });
    let notes = children(presence, "status").map(|status| {
        with_lang(Element::new("note", PIDF).with_text(status.text()), status.lang())
    });
    Element::new("tuple", PIDF)
        .with_attr("id", from.resourcepart().unwrap_or(NO_RESOURCE))
        .with_child(status)
        .with_children(contact)
        .with_children(notes)
}

/// One presence for each recipient and each device (§5.2).
pub(crate) fn from_object(object: &Object) -> Result<Vec<Element>, CpimError> {
    let bare = sender(object)?;
    let (_, document) = declaration(object.text()?);
    let document = Element::parse(document.trim().as_bytes()).map_err(|_| CpimError::NoTuple)?;
    if !document.is("presence", PIDF) {
        return Err(CpimError::NoTuple);
    }
    // Nobody tells of somebody else's presence.
    let entity = document.attr("entity").and_then(|uri| from_uri(Scheme::Pres, uri));
    if entity.is_none_or(|entity| entity.as_str() != bare) {
        return Err(CpimError::Address("entity"));
    }
    if document.children().next().is_none() {
        return without_device(object, &bare);
    }
    let mut stanzas = Vec::new();
    for tuple in document.children().filter(|it| it.is("tuple", PIDF)).take(TUPLES_MAX) {
        for to in recipients(object)? {
            stanzas.extend(stanza(tuple, &bare, to)?);
        }
    }
    match stanzas.is_empty() {
        true => Err(CpimError::NoTuple),
        false => {
            Ok(stanzas.into_iter().map(|it| it.with_attr_opt("id", object.content_id())).collect())
        }
    }
}

/// A document that names no device, and says nothing else, is about the account (§6.3.2): none of its devices is there.
fn without_device(object: &Object, bare: &str) -> Result<Vec<Element>, CpimError> {
    let gone = |to: String| {
        Element::new("presence", "")
            .with_attr("from", bare.to_owned())
            .with_attr("to", to)
            .with_attr("type", "unavailable")
            .with_attr_opt("id", object.content_id())
    };
    Ok(recipients(object)?.into_iter().map(gone).collect())
}

/// What a tuple says; none where it says nothing that can be mapped.
fn stanza(tuple: &Element, bare: &str, to: String) -> Result<Option<Element>, CpimError> {
    let Some(status) = tuple.child("status", PIDF) else { return Ok(None) };
    let ty = match status.child("basic", PIDF).map(|basic| basic.text()).as_deref().map(str::trim) {
        Some("open") => None,
        Some("closed") => Some("unavailable"),
        _ => return Ok(None),
    };
    let from = match tuple.attr("id").unwrap_or(NO_RESOURCE) {
        NO_RESOURCE => bare.to_owned(),
        id => format!("{bare}/{id}"),
    };
    let from = Jid::parse(&from).map_err(|_| CpimError::Address("id"))?;
    let is_open = ty.is_none();
    let show = status.child("im", PIDF_IM).map(|im| im.text()).filter(|_| is_open);
    let show = show.as_deref().map(str::trim).and_then(to_show);
    let notes = tuple
        .children()
        .filter(|it| it.is("note", PIDF))
        .map(|note| with_lang(Element::new("status", "").with_text(note.text()), note.lang()));
    let priority = tuple.child("contact", PIDF).and_then(|it| it.attr("priority"));
    let priority = priority.filter(|_| is_open).and_then(to_priority);
    Ok(Some(
        Element::new("presence", "")
            .with_attr("from", from.to_string())
            .with_attr("to", to)
            .with_attr_opt("type", ty)
            .with_children(show.map(|show| Element::new("show", "").with_text(show)))
            .with_children(notes)
            .with_children(
                priority.map(|it| Element::new("priority", "").with_text(it.to_string())),
            ),
    ))
}

fn to_im(show: &str) -> Option<&'static str> {
    Some(match show.trim() {
        "away" => "away",
        "chat" => "chat",
        "dnd" => "busy",
        "xa" => "xa",
        _ => return None,
    })
}

fn to_show(im: &str) -> Option<&'static str> {
    Some(match im {
        "away" => "away",
        "chat" => "chat",
        "busy" | "dnd" => "dnd",
        "xa" => "xa",
        _ => return None,
    })
}

/// 0 to 127 as 0 to 1 with three places; negative ones have none (§5.1.7).
fn to_decimal(priority: i8) -> Option<String> {
    let priority = u32::try_from(priority).ok()?;
    Some(match priority {
        0 => "0".to_owned(),
        127 => "1".to_owned(),
        _ => format!("0.{:03}", priority * 1_000 / 127),
    })
}

/// The other way, so that every priority comes back as it was (§5.2.13).
fn to_priority(decimal: &str) -> Option<u32> {
    let (whole, places) = decimal.trim().split_once('.').unwrap_or_else(|| (decimal.trim(), ""));
    let is_number = !places.bytes().any(|it| !it.is_ascii_digit()) && places.len() <= 3;
    let thousandths: u32 = format!("{places:0<3}").parse().ok().filter(|_| is_number)?;
    match (whole, thousandths) {
        ("0" | "", _) => Some((thousandths * 127).div_ceil(1_000).min(126)),
        ("1", 0) => Some(127),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_priority_comes_back_as_it_was_and_negative_ones_do_not_go() {
        for priority in 0..=127_i8 {
            let decimal = to_decimal(priority).unwrap();
            assert_eq!(to_priority(&decimal), u32::try_from(priority).ok(), "{decimal}");
        }
        let cases = [(1, "0.007"), (2, "0.015"), (13, "0.102"), (126, "0.992")];
        for (priority, decimal) in cases {
            assert_eq!(to_decimal(priority).as_deref(), Some(decimal));
        }
        assert_eq!(to_decimal(-1), None);
        assert_eq!(to_priority("0.999"), Some(126));
        for wrong in ["1.1", "2", "0.1234", "-0.5", "0.x", ""] {
            assert!(to_priority(wrong).is_none() || wrong.is_empty(), "{wrong}");
        }
    }
}
