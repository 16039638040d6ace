//! Owns the whole stanza as bytes in a store, and its way back. Only bytes that [`crate::writer`] wrote
//! come back: in them every `<` and `>` is markup, so the content is copied and not parsed.

use bytes::Bytes;

use crate::{Element, Head, Jid, Kind, Stanza, ns};

/// The bytes of a whole stanza, as something that stands alone.
#[must_use]
pub fn write(stanza: &Stanza) -> Bytes {
    let mut out = Vec::new();
    stanza.write_forwarded(&mut out);
    out.into()
}

/// Reads what [`fn@write`] wrote; none for anything else. The content has a buffer of its own.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Stanza> {
    let open_end = memchr::memchr(b'>', bytes)?;
    let (open, rest) = bytes.split_at_checked(open_end + 1)?;
    let is_empty = open.ends_with(b"/>");
    let alone = if is_empty { open.to_vec() } else { [open.strip_suffix(b">")?, b"/>"].concat() };
    let tag = Element::parse(&alone).ok()?;
    if tag.ns() != ns::CLIENT && !tag.ns().is_empty() {
        return None;
    }
    let inner = if is_empty {
        rest.is_empty().then_some(rest)?
    } else {
        rest.strip_suffix(format!("</{}>", tag.name()).as_bytes())?
    };
    Some(Stanza::new(head(&tag)?, Bytes::copy_from_slice(inner)))
}

fn head(tag: &Element) -> Option<Head> {
    let address = |name| match tag.attr(name) {
        Some(text) => Jid::parse(text).map(Some),
        None => Ok(None),
    };
    Some(Head {
        kind: Kind::parse(tag.name(), tag.attr("type")).ok()?,
        id: tag.attr("id").map(Into::into),
        from: address("from").ok()?,
        to: address("to").ok()?,
        lang: tag.lang().map(Into::into),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MessageType, PresenceType};

    fn head(kind: Kind) -> Head {
        Head {
            kind,
            id: Some("a'>&".into()),
            from: Some(Jid::parse("a@x/r>'").unwrap()),
            to: Some(Jid::parse("b@y").unwrap()),
            lang: Some("en".into()),
        }
    }

    #[test]
    fn a_stanza_reads_back_as_it_was_written() {
        let inner = "<body>a &gt; b</body><x xmlns='urn:x'><message/></x>";
        for stanza in [
            Stanza::new(head(Kind::Message(MessageType::Chat)), inner),
            Stanza::new(head(Kind::Message(MessageType::Normal)), inner),
            Stanza::new(head(Kind::Presence(PresenceType::Available)), ""),
        ] {
            assert_eq!(read(&write(&stanza)), Some(stanza));
        }
    }

    #[test]
    fn torn_bytes_do_not_read() {
        let whole = write(&Stanza::new(head(Kind::Message(MessageType::Chat)), "<body/>"));
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), None, "{end}");
        }
        assert_eq!(read(b"<stream xmlns='jabber:client'/>"), None);
        assert_eq!(read(b"<message xmlns='urn:x'/>"), None);
    }
}
