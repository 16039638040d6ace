//! Owns who waits for an admin to let them register (XEP-0045 §9.9), with the nick that they want, and their rows: one
//! for each. They wait over a restart, since they were told that their request has come.

use bytes::Bytes;
use store::{Row, Write};
use xmpp::BareJid;

use crate::birth;

/// With a slash and an address: the row of somebody, which has a number and the nick.
const ROW: &str = "registration";
/// Most who wait; the oldest is given up.
const MOST: usize = 100;

/// Somebody waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    /// Who.
    pub(crate) who: BareJid,
    /// The nick that they want.
    pub(crate) nick: Box<str>,
    /// Greater than that of everybody who waited before.
    pub(crate) number: u64,
}

/// Everybody who waits, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registrations(Vec<Registration>);

impl Registration {
    fn to_bytes(&self) -> Bytes {
        format!("{} {}", self.number, self.nick).into()
    }

    fn read((who, row): (&str, &[u8])) -> Option<Self> {
        let (number, nick) = str::from_utf8(row).ok()?.split_once(' ')?;
        let (who, number) = (BareJid::parse(who).ok()?, number.parse().ok()?);
        Some(Self { who, nick: nick.into(), number })
    }
}

impl Registrations {
    /// Those of a room that is loaded; none where a row cannot be read.
    #[must_use]
    pub(crate) fn load(rows: &[Row]) -> Option<Self> {
        let all = birth::of_people(rows, ROW).map(Registration::read);
        let mut all: Vec<Registration> = all.collect::<Option<_>>()?;
        all.sort_by_key(|it| it.number);
        Some(Self(all))
    }

    /// Everybody, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.0.iter()
    }

    /// What must be kept of it that somebody waits; what they wanted before, they do not want any more.
    #[must_use]
    pub(crate) fn put(&self, room: &BareJid, new: &Registration) -> Vec<Write> {
        let given_up = self.given_up_for(new).map(|oldest| delete(room, &oldest.who));
        let put = Write::Put(birth::key_of(room, ROW, &new.who), new.to_bytes());
        given_up.into_iter().chain([put]).collect()
    }

    /// It is kept.
    pub(crate) fn add(&mut self, new: Registration) {
        if let Some(oldest) = self.given_up_for(&new).map(|oldest| oldest.who.clone()) {
            self.remove(&oldest);
        }
        self.remove(&new.who);
        self.0.push(new);
    }

    /// Somebody does not wait any more: it is kept.
    pub(crate) fn remove(&mut self, who: &BareJid) {
        self.0.retain(|it| it.who != *who);
    }

    fn given_up_for(&self, new: &Registration) -> Option<&Registration> {
        let is_full = self.0.len() >= MOST && self.0.iter().all(|it| it.who != new.who);
        self.0.first().filter(|_| is_full)
    }
}

/// What must be kept of it that somebody does not wait any more.
#[must_use]
pub(crate) fn delete(room: &BareJid, who: &BareJid) -> Write {
    Write::Delete(birth::key_of(room, ROW, who))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use store::Kind;

    use super::*;

    fn registration(number: u64, who: &str) -> Registration {
        Registration { who: BareJid::parse(who).unwrap(), nick: "a nick".into(), number }
    }

    #[test]
    fn so_many_wait_and_read_back_in_their_order() {
        let (room, mut all, mut rows) =
            (BareJid::parse("r@c.x").unwrap(), Registrations::default(), BTreeMap::new());
        // Addresses in another order than numbers, and one who wants something else once more.
        let again = [registration(900, "150@x")];
        let waits = (0..=MOST as u64).map(|it| registration(it, &format!("{}@x", 200 - it)));
        for new in waits.chain(again) {
            for write in all.put(&room, &new) {
                match write {
                    Write::Put(key, value) => rows.insert(key.item, value),
                    Write::Delete(key) => rows.remove(&key.item),
                    _ => None,
                };
            }
            all.add(new);
        }
        let row = |(item, value)| Row { kind: Kind::Room, item, value };
        let again = Registrations::load(&rows.into_iter().map(row).collect::<Vec<_>>()).unwrap();
        assert_eq!(again.0, all.0);
        assert_eq!(all.0.len(), MOST);
        assert_eq!(all.0.first(), Some(&registration(1, "199@x")), "the oldest was given up");
        assert_eq!(all.0.last(), Some(&registration(900, "150@x")));
    }
}
