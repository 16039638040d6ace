//! Owns the rows of a roster: one per item, one per waiting request, and the version. The first byte of
//! an item and of the version says how the rest is to be read.

use bytes::Bytes;
use xmpp::{BareJid, Head, Kind, PresenceType, Stanza, kept};

use super::{Item, REQUEST_BYTES_MAX, Subscription};

const FORMAT: u8 = 1;

const TO: u8 = 1;
const FROM: u8 = 1 << 1;
const ASK: u8 = 1 << 2;
const APPROVED: u8 = 1 << 3;

const REQUEST: Kind = Kind::Presence(PresenceType::Subscribe);

/// A longer id or language of a request is left out.
const ATTRIBUTE_BYTES_MAX: usize = 1023;

/// Format, flags, version, name, number of groups, groups. Texts follow their length in two bytes.
pub(super) fn write_item(item: &Item) -> Bytes {
    let flags = [
        (item.is_subscribed_to(), TO),
        (item.is_subscriber(), FROM),
        (item.ask, ASK),
        (item.approved, APPROVED),
    ];
    let mut out = vec![FORMAT, flags_of(&flags)];
    out.extend_from_slice(&item.version.to_be_bytes());
    write_text(&mut out, &item.name);
    out.extend_from_slice(&length(item.groups.len()));
    for group in &item.groups {
        write_text(&mut out, group);
    }
    out.into()
}

pub(super) fn read_item(row: &[u8]) -> Option<Item> {
    let mut row = Reader::new(row)?;
    let flags = row.byte()?;
    let version = row.number()?;
    let name = row.text()?.into();
    let count = row.length()?;
    let groups = (0..count).map(|_| row.text().map(Box::from)).collect::<Option<Vec<_>>>()?;
    let subscription = match (flags & TO != 0, flags & FROM != 0) {
        (false, false) => Subscription::None,
        (true, false) => Subscription::To,
        (false, true) => Subscription::From,
        (true, true) => Subscription::Both,
    };
    let (ask, approved) = (flags & ASK != 0, flags & APPROVED != 0);
    row.0.is_empty().then_some(Item { name, groups, subscription, ask, approved, version })
}

/// Format, version, version of the last removal.
pub(super) fn write_version(version: u64, removed: u64) -> Bytes {
    [&[FORMAT][..], &version.to_be_bytes(), &removed.to_be_bytes()].concat().into()
}

pub(super) fn read_version(row: &[u8]) -> Option<(u64, u64)> {
    let mut row = Reader::new(row)?;
    let (version, removed) = (row.number()?, row.number()?);
    row.0.is_empty().then_some((version, removed))
}

/// A request as it waits: from the contact's bare address, without `to`, and without its content where that
/// is too long.
pub(super) fn bounded(request: &Stanza, contact: &BareJid) -> Stanza {
    let from = Some(contact.clone().into());
    without_excess(request).with_head(|head| {
        *head = Head { kind: REQUEST, id: head.id.take(), from, to: None, lang: head.lang.take() };
    })
}

/// A stanza without what is too long to be kept in numbers.
pub(super) fn without_excess(stanza: &Stanza) -> Stanza {
    let mut head = stanza.head().clone();
    head.id = head.id.filter(|id| id.len() <= ATTRIBUTE_BYTES_MAX);
    head.lang = head.lang.filter(|lang| lang.len() <= ATTRIBUTE_BYTES_MAX);
    let fits = stanza.len() <= REQUEST_BYTES_MAX;
    let inner = if fits { Bytes::copy_from_slice(stanza.inner()) } else { Bytes::new() };
    Stanza::new(head, inner)
}

/// The whole stanza. `request` is [`bounded`].
pub(super) fn write_request(request: &Stanza) -> Bytes {
    kept::write(request)
}

pub(super) fn read_request(row: &[u8]) -> Option<Stanza> {
    kept::read(row).filter(|request| request.kind() == REQUEST)
}

/// A contact's rows are named by its address.
pub(super) fn write_contact(contact: &BareJid) -> Bytes {
    Bytes::copy_from_slice(contact.as_str().as_bytes())
}

pub(super) fn read_contact(item: &[u8]) -> Option<BareJid> {
    BareJid::parse(str::from_utf8(item).ok()?).ok()
}

fn flags_of(flags: &[(bool, u8)]) -> u8 {
    flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag)
}

/// The limits on names and groups, and [`bounded`], keep every text far below 64 KiB.
fn write_text(out: &mut Vec<u8>, text: &str) {
    debug_assert!(text.len() <= usize::from(u16::MAX), "texts of rows are bounded");
    out.extend_from_slice(&length(text.len()));
    out.extend_from_slice(text.as_bytes());
}

fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn new(row: &'a [u8]) -> Option<Self> {
        let mut reader = Self(row);
        (reader.byte()? == FORMAT).then_some(reader)
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*bytes))
    }

    fn length(&mut self) -> Option<u16> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.length()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item {
        Item {
            name: "Rœmeo".into(),
            groups: vec!["Friends".into(), "".into()],
            subscription: Subscription::From,
            ask: true,
            approved: true,
            version: u64::MAX - 1,
        }
    }

    #[test]
    fn rows_read_back_as_they_were_written() {
        for item in [item(), Item::default()] {
            assert_eq!(read_item(&write_item(&item)), Some(item));
        }
        assert_eq!(read_version(&write_version(7, 5)), Some((7, 5)));
    }

    #[test]
    fn torn_rows_and_rows_of_another_format_are_refused() {
        let row = write_item(&item());
        for end in 0..row.len() {
            assert_eq!(read_item(&row[..end]), None, "{end}");
        }
        let mut other = row.to_vec();
        other[0] = 2;
        assert_eq!(read_item(&other), None);
        assert_eq!(read_version(&[&write_version(7, 5)[..], b"x"].concat()), None);
    }

    #[test]
    fn a_request_waits_whole_or_without_its_content() {
        let contact = BareJid::parse("romeo@example.net").unwrap();
        let head = Head {
            kind: REQUEST,
            id: Some("s1".into()),
            from: None,
            to: None,
            lang: Some("it".into()),
        };
        let short = Stanza::new(head.clone(), "<status>ciao</status><x xmlns='urn:x'/>");
        let kept = bounded(&short, &contact);
        assert_eq!(kept.inner(), short.inner());
        assert_eq!(read_request(&write_request(&kept)), Some(kept));
        let long = format!("<status>{}</status>", "x".repeat(REQUEST_BYTES_MAX));
        let kept = bounded(&Stanza::new(head, long), &contact);
        assert!(kept.is_empty());
        assert_eq!(kept.head().id.as_deref(), Some("s1"));
    }
}
