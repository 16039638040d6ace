//! Owns the mapping of addresses (RFC 3922 §3). Domains stay as they are.

use xmpp::{BareJid, Jid};

/// What a scheme is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `im:`, of a place for messages.
    Im,
    /// `pres:`, of somebody whose presence is told.
    Pres,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Im => "im:",
            Self::Pres => "pres:",
        }
    }
}

/// Characters of URIs that addresses write as another (RFC 3922 §3.1).
const TRANSLATED: [(&str, &str); 3] = [("#26;", "&"), ("#27;", "'"), ("#2f;", "/")];

/// The URI of an address; its resource is left out (§3.2).
#[must_use]
pub fn to_uri(scheme: Scheme, jid: &Jid) -> String {
    let domain = jid.domainpart();
    let Some(local) = jid.localpart() else { return format!("{}{domain}", scheme.name()) };
    let translate = |text: String, (from, to): (&str, &str)| text.replace(from, to);
    let local = TRANSLATED.into_iter().fold(local.to_owned(), translate);
    let encoded: String = local.bytes().map(encode).collect();
    format!("{}{encoded}@{domain}", scheme.name())
}

/// The address of a URI (§3.3); none where it is of another scheme, or no address.
#[must_use]
pub fn from_uri(scheme: Scheme, uri: &str) -> Option<BareJid> {
    let (name, rest) = uri.split_at_checked(scheme.name().len())?;
    if !name.eq_ignore_ascii_case(scheme.name()) {
        return None;
    }
    let (local, domain) = match rest.split_once('@') {
        Some((local, domain)) => (Some(local), domain),
        None => (None, rest),
    };
    // What a URI says beside the address.
    let domain = domain.split(['?', ';']).next().unwrap_or(domain);
    let address = match local {
        Some(local) => {
            let local = String::from_utf8(decode(local)?).ok()?;
            let translate = |text: String, (to, from): (&str, &str)| text.replace(from, to);
            let local = TRANSLATED.into_iter().fold(local, translate);
            format!("{local}@{domain}")
        }
        None => domain.to_owned(),
    };
    BareJid::parse(&address).ok()
}

fn encode(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"!$*.?_~+=".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        out.push(u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_uris_are_each_others() {
        let cases = [
            ("juliet@example.com", "im:juliet@example.com"),
            ("o#27;reilly@example.com", "im:o%27reilly@example.com"),
            ("at#26;t@example.com", "im:at%26t@example.com"),
            ("and#2f;or@example.com", "im:and%2For@example.com"),
            ("günther@example.com", "im:g%C3%BCnther@example.com"),
            ("example.com", "im:example.com"),
        ];
        for (jid, uri) in cases {
            assert_eq!(to_uri(Scheme::Im, &Jid::parse(jid).unwrap()), uri);
            let back = from_uri(Scheme::Im, uri).unwrap_or_else(|| panic!("{uri}"));
            assert_eq!(back.as_str(), jid);
        }
        let full = Jid::parse("juliet@example.com/balcony").unwrap();
        assert_eq!(to_uri(Scheme::Pres, &full), "pres:juliet@example.com");
        assert_eq!(from_uri(Scheme::Im, "IM:a@b.example?x=y").unwrap().as_str(), "a@b.example");
    }

    #[test]
    fn what_is_no_address_is_none() {
        for uri in ["pres:a@b", "im:", "im:@b", "im:a@", "im:%4@b", "im:%ff@b", "im:a b@c", "mé"] {
            assert_eq!(from_uri(Scheme::Im, uri), None, "{uri}");
        }
    }
}
