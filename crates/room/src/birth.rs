//! Owns the certificate of a room: who made it, when, its secret, and whether it was configured; and the
//! tombstone of one that was destroyed. Plain data, with the rows that keep them.

use std::time::Duration;

use auth::Hash;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use store::{Key, Kind, Row, Write};
use xmpp::{BareJid, Element};

/// The namespace of what only this server reads.
pub(crate) const NS: &str = "urn:rookery:rooms:0";

/// Since when there is a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Birth {
    /// Who made it.
    pub creator: BareJid,
    /// When, in microseconds since 1970-01-01 UTC.
    pub at: u64,
    /// What makes ids of occupants that nobody can guess (XEP-0421 §4.1).
    pub(crate) secret: [u8; 32],
    /// It waits for its first configuration (XEP-0045 §10.1.1).
    pub(crate) locked: bool,
}

/// What is left of a room that was destroyed (XEP-0045 §10.9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tombstone {
    /// Where people went.
    pub(crate) venue: Option<String>,
    /// Why, in words for people.
    pub(crate) reason: Option<String>,
    /// When, in microseconds since 1970-01-01 UTC.
    pub(crate) at: u64,
    /// Who may make a room of this name again.
    pub(crate) owners: Vec<BareJid>,
}

/// The rows of [`Kind::Room`].
pub(crate) const BIRTH: &str = "birth";
pub(crate) const SETTINGS: &str = "settings";
pub(crate) const SUBJECT: &str = "subject";
pub(crate) const AVATAR: &str = "avatar";
pub(crate) const TOMBSTONE: &str = "tombstone";

/// A write of one of the rows.
pub(crate) fn put(room: &BareJid, item: &'static str, value: impl Into<Bytes>) -> Write {
    Write::Put(Key::new(room.clone(), Kind::Room, item), value.into())
}

/// The row is no more.
pub(crate) fn delete(room: &BareJid, item: &'static str) -> Write {
    Write::Delete(Key::new(room.clone(), Kind::Room, item))
}

/// One of the rows.
pub(crate) fn find<'a>(rows: &'a [Row], item: &str) -> Option<&'a Bytes> {
    let is = |row: &&Row| row.kind == Kind::Room && row.item == item.as_bytes();
    rows.iter().find(is).map(|row| &row.value)
}

/// The rows of this name that are of one person each, with whose they are.
pub(crate) fn of_people<'a>(
    rows: &'a [Row],
    name: &str,
) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    rows.iter().filter(|row| row.kind == Kind::Room).filter_map(move |row| {
        let whose = str::from_utf8(&row.item).ok()?.strip_prefix(name)?.strip_prefix('/')?;
        Some((whose, &*row.value))
    })
}

/// The key of such a row.
pub(crate) fn key_of(room: &BareJid, name: &str, who: &BareJid) -> Key {
    Key::new(room.clone(), Kind::Room, format!("{name}/{who}"))
}

impl Birth {
    /// A keyed fingerprint: only this room can compute it again, and it does not reveal `what`.
    pub(crate) fn seal(&self, kind: &str, what: &[u8]) -> u64 {
        let digest = Hash::Sha256.hmac(&self.secret, &[kind.as_bytes(), what]);
        digest.iter().take(8).fold(0, |seal, byte| seal << 8 | u64::from(*byte))
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        Element::new("room", NS)
            .with_attr("creator", self.creator.as_str())
            .with_attr("at", self.at.to_string())
            .with_attr("secret", HEXLOWER.encode(&self.secret))
            .with_attr_opt("locked", self.locked.then_some("true"))
            .to_bytes()
            .into()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let row = Element::parse(bytes).ok().filter(|row| row.is("room", NS))?;
        let secret = HEXLOWER.decode(row.attr("secret")?.as_bytes()).ok()?.try_into().ok()?;
        Some(Self {
            creator: BareJid::parse(row.attr("creator")?).ok()?,
            at: row.attr("at")?.parse().ok()?,
            secret,
            locked: row.attr("locked").is_some(),
        })
    }
}

impl Tombstone {
    /// What is kept of it.
    pub(crate) fn put(&self, room: &BareJid) -> Write {
        put(room, TOMBSTONE, self.to_bytes())
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        let owner = |jid: &BareJid| Element::new("owner", NS).with_attr("jid", jid.as_str());
        let mut row = Element::new("destroyed", NS)
            .with_attr("at", self.at.to_string())
            .with_attr_opt("venue", self.venue.as_deref())
            .with_children(self.owners.iter().map(owner));
        if let Some(reason) = &self.reason {
            row.push(Element::new("reason", NS).with_text(reason));
        }
        row.to_bytes().into()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let row = Element::parse(bytes).ok().filter(|row| row.is("destroyed", NS))?;
        let owners = row.children().filter(|child| child.is("owner", NS));
        Some(Self {
            venue: row.attr("venue").map(str::to_owned),
            reason: row.child("reason", NS).map(Element::text),
            at: row.attr("at")?.parse().ok()?,
            owners: owners.filter_map(|it| BareJid::parse(it.attr("jid")?).ok()).collect(),
        })
    }

    /// Whether the name is still taken, where that lasts so long.
    pub(crate) fn stands(&self, lasts: Duration, unix_micros: u64) -> bool {
        let lasts = u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX);
        unix_micros < self.at.saturating_add(lasts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_and_tombstones_read_back() {
        let creator = BareJid::parse("crone1@x.org").unwrap();
        let birth = Birth { creator: creator.clone(), at: 17, secret: [0xab; 32], locked: true };
        assert_eq!(Birth::from_bytes(&birth.to_bytes()), Some(birth.clone()));
        let open = Birth { locked: false, ..birth };
        assert_eq!(Birth::from_bytes(&open.to_bytes()), Some(open));
        let stone = Tombstone {
            venue: Some("heath@chat.x.org".into()),
            reason: Some("moved <on>".into()),
            at: 5,
            owners: vec![creator],
        };
        assert_eq!(Tombstone::from_bytes(&stone.to_bytes()), Some(stone.clone()));
        let second = Duration::from_secs(1);
        assert!(stone.stands(second, 1_000_000) && !stone.stands(second, 1_000_005));
        assert!(!stone.stands(Duration::ZERO, 5) && stone.stands(Duration::MAX, u64::MAX - 1));
        assert_eq!(Birth::from_bytes(b"<room/>"), None);
    }
}
