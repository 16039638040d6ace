//! Owns the list of a room's affiliations with the nicks that are reserved, and its rows in the store
//! (XEP-0045 §5.2, §7.10). One row per bare JID; the first byte says how the rest is to be read.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use store::{Key, Kind, Row, Write};
use xmpp::BareJid;

use crate::affiliation::Affiliation;
use crate::nick::folded;

/// What a room knows of somebody for long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What they are to the room.
    pub(crate) affiliation: Affiliation,
    /// The nick that nobody else may use.
    pub(crate) nick: Option<Box<str>>,
    /// Why, in words for people.
    pub(crate) reason: Option<Box<str>>,
    /// The version of the list that the last change of it made.
    pub(crate) version: u64,
    /// The version that took them off the lists of members and above; 0: they were on none.
    pub(crate) off: u64,
}

/// The list. Entries without affiliation stay for a while, so that it can be told what was lost.
#[derive(Clone, Debug, Default)]
pub struct Affiliations {
    entries: BTreeMap<BareJid, Entry>,
    nicks: HashMap<Box<str>, BareJid>,
    counts: [usize; 5],
    version: u64,
    /// The version before which what was lost is not known any more.
    forgotten: u64,
}

/// Changes of the list that are not kept yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// What must be kept first.
    pub(crate) writes: Vec<Write>,
    entries: Vec<(BareJid, Entry)>,
}

/// Reasons are cut here.
const REASON_BYTES: usize = 1_024;
/// Most entries without affiliation that are remembered.
const LOST_MOST: usize = 1_000;

/// Without the version that took somebody off the lists.
const FORMAT_1: u8 = 1;
const FORMAT: u8 = 2;

impl Affiliations {
    /// The list of a room that is loaded; none where a row cannot be read.
    #[must_use]
    pub(crate) fn load(rows: &[Row]) -> Option<Self> {
        let mut list = Self::default();
        for row in rows.iter().filter(|row| row.kind == Kind::Affiliation) {
            let jid = BareJid::parse(str::from_utf8(&row.item).ok()?).ok()?;
            let entry = read(&row.value)?;
            list.version = list.version.max(entry.version);
            list.place(jid, entry);
        }
        list.forgotten = match list.lost() >= LOST_MOST {
            true => list.version,
            false => 0,
        };
        Some(list)
    }

    /// What somebody is to the room. A domain that was banned bans all its people (§9.2).
    #[must_use]
    pub(crate) fn of(&self, jid: &BareJid) -> Affiliation {
        let own = self.entries.get(jid).map_or(Affiliation::None, |entry| entry.affiliation);
        if own != Affiliation::None {
            return own;
        }
        let domain = self.entries.get(&jid.domain()).map(|entry| entry.affiliation);
        domain.filter(|it| *it == Affiliation::Outcast).unwrap_or(Affiliation::None)
    }

    /// What is known of somebody.
    #[must_use]
    pub(crate) fn get(&self, jid: &BareJid) -> Option<&Entry> {
        self.entries.get(jid)
    }

    /// The addresses of everybody of this affiliation, in order.
    pub fn addresses(&self, affiliation: Affiliation) -> impl Iterator<Item = &BareJid> {
        self.of_affiliation(affiliation).map(|(jid, _)| jid)
    }

    /// Everybody of this affiliation, in order.
    pub(crate) fn of_affiliation(
        &self,
        affiliation: Affiliation,
    ) -> impl Iterator<Item = (&BareJid, &Entry)> {
        self.entries.iter().filter(move |(_, entry)| entry.affiliation == affiliation)
    }

    /// How many have this affiliation.
    #[must_use]
    pub fn count(&self, affiliation: Affiliation) -> usize {
        self.counts[affiliation as usize]
    }

    /// How many have any.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.lost()
    }

    /// Who has reserved a nick that looks like this one.
    #[must_use]
    pub(crate) fn owner_of_nick(&self, nick: &str) -> Option<&BareJid> {
        self.nicks.get(&folded(nick))
    }

    /// The version of the list (XEP-0463).
    #[must_use]
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// What has changed since a version; none where that is not known.
    #[must_use]
    pub(crate) fn since(&self, version: u64) -> Option<Vec<(&BareJid, &Entry)>> {
        let known = version >= self.forgotten && version <= self.version;
        let changed = |(_, entry): &(&BareJid, &Entry)| entry.version > version;
        known.then(|| self.entries.iter().filter(changed).collect())
    }

    /// What becomes of the list when these get these affiliations. An outcast has no nick (§9.1), nor has
    /// somebody without affiliation.
    #[must_use]
    pub(crate) fn plan(&self, room: &BareJid, changes: Vec<(BareJid, Entry)>) -> Plan {
        let mut plan = Plan::default();
        for (number, (jid, entry)) in (1..).zip(changes) {
            let version = self.version + number;
            let before = self.entries.get(&jid);
            let was_on = before.is_some_and(|before| before.affiliation >= Affiliation::Member);
            let off = match was_on && entry.affiliation < Affiliation::Member {
                true => version,
                false => before.map_or(0, |before| before.off),
            };
            let mut entry = Entry { version, off, ..entry };
            if entry.affiliation <= Affiliation::None {
                entry.nick = None;
            }
            entry.reason = entry.reason.map(|reason| cut(&reason));
            plan.writes.push(Write::Put(key(room, &jid), write(&entry)));
            plan.entries.push((jid, entry));
        }
        plan
    }

    /// The plan is kept: the list is as planned. What more may be forgotten.
    pub(crate) fn apply(&mut self, room: &BareJid, plan: Plan) -> Vec<Write> {
        for (jid, entry) in plan.entries {
            self.version = self.version.max(entry.version);
            self.place(jid, entry);
        }
        self.forget_lost(room)
    }

    fn place(&mut self, jid: BareJid, entry: Entry) {
        self.counts[entry.affiliation as usize] += 1;
        if let Some(nick) = &entry.nick {
            self.nicks.insert(folded(nick), jid.clone());
        }
        let nick = entry.nick.clone();
        let Some(before) = self.entries.insert(jid, entry) else { return };
        self.counts[before.affiliation as usize] -= 1;
        let old = before.nick.filter(|old| nick.as_deref().map(folded) != Some(folded(old)));
        if let Some(old) = old {
            self.nicks.remove(&folded(&old));
        }
    }

    fn lost(&self) -> usize {
        self.counts[Affiliation::None as usize]
    }

    /// The oldest losses are forgotten where too many are remembered.
    fn forget_lost(&mut self, room: &BareJid) -> Vec<Write> {
        let mut writes = Vec::new();
        while self.lost() > LOST_MOST {
            let lost = self.of_affiliation(Affiliation::None);
            let oldest = lost.min_by_key(|(_, entry)| entry.version);
            let Some(jid) = oldest.map(|(jid, _)| jid.clone()) else { break };
            let Some(entry) = self.entries.remove(&jid) else { break };
            self.counts[Affiliation::None as usize] -= 1;
            self.forgotten = self.forgotten.max(entry.version);
            writes.push(Write::Delete(key(room, &jid)));
        }
        writes
    }
}

fn key(room: &BareJid, jid: &BareJid) -> Key {
    Key::new(room.clone(), Kind::Affiliation, jid.as_str().to_owned())
}

fn cut(reason: &str) -> Box<str> {
    let end = (0..=REASON_BYTES.min(reason.len())).rev().find(|at| reason.is_char_boundary(*at));
    reason[..end.unwrap_or(0)].into()
}

/// Format, affiliation, version, the version that took them off, nick with its length in two bytes, reason.
fn write(entry: &Entry) -> Bytes {
    let nick = entry.nick.as_deref().unwrap_or_default();
    let length = u16::try_from(nick.len()).unwrap_or(0);
    let mut out = vec![FORMAT, entry.affiliation as u8];
    out.extend_from_slice(&entry.version.to_be_bytes());
    out.extend_from_slice(&entry.off.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&nick.as_bytes()[..usize::from(length)]);
    out.extend_from_slice(entry.reason.as_deref().unwrap_or_default().as_bytes());
    out.into()
}

fn read(row: &[u8]) -> Option<Entry> {
    let (&[format, affiliation], rest) = row.split_first_chunk::<2>()?;
    let affiliation = Affiliation::ALL.into_iter().find(|it| *it as u8 == affiliation)?;
    let (version, rest) = rest.split_first_chunk::<8>()?;
    let version = u64::from_be_bytes(*version);
    let (off, rest) = match format {
        // Who is nothing was something.
        FORMAT_1 if affiliation == Affiliation::None => (version, rest),
        FORMAT_1 => (0, rest),
        FORMAT => {
            let (off, rest) = rest.split_first_chunk::<8>()?;
            (u64::from_be_bytes(*off), rest)
        }
        _ => return None,
    };
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (nick, reason) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let text = |bytes: &[u8]| {
        let text = str::from_utf8(bytes).ok()?;
        Some(Some(Box::<str>::from(text)).filter(|text| !text.is_empty()))
    };
    Some(Entry { affiliation, nick: text(nick)?, reason: text(reason)?, version, off })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    fn entry(affiliation: Affiliation, nick: Option<&str>) -> Entry {
        Entry { affiliation, nick: nick.map(Into::into), ..Entry::default() }
    }

    /// Gives somebody an affiliation; what was kept.
    fn set(list: &mut Affiliations, jid: BareJid, entry: Entry) -> Vec<Write> {
        let room = bare("r@c.x");
        let plan = list.plan(&room, vec![(jid, entry)]);
        let writes = plan.writes.clone();
        list.apply(&room, plan);
        writes
    }

    fn stored(writes: Vec<Write>) -> Vec<Row> {
        let row = |write| match write {
            Write::Put(key, value) => Some(Row { kind: key.kind, item: key.item, value }),
            _ => None,
        };
        writes.into_iter().filter_map(row).collect()
    }

    #[test]
    fn what_is_kept_reads_back() {
        let mut list = Affiliations::default();
        let member = Entry {
            reason: Some("a worthy witch".into()),
            ..entry(Affiliation::Member, Some("Hag"))
        };
        let mut rows = stored(set(&mut list, bare("a@x"), member.clone()));
        rows.extend(stored(set(&mut list, bare("b@x"), entry(Affiliation::Outcast, Some("b")))));
        let again = Affiliations::load(&rows).unwrap();
        assert_eq!(again.get(&bare("a@x")), Some(&Entry { version: 1, ..member }));
        assert_eq!(again.get(&bare("b@x")).unwrap().nick, None);
        assert_eq!((again.version(), again.len()), (2, 2));
        assert_eq!(again.owner_of_nick("hAG"), Some(&bare("a@x")));
        for end in 0..20 {
            assert_eq!(read(&rows[0].value[..end]), None, "{end}");
        }
    }

    // §9.2
    #[test]
    fn a_banned_domain_bans_its_people_but_not_those_with_an_affiliation() {
        let mut list = Affiliations::default();
        set(&mut list, bare("evil.x"), entry(Affiliation::Outcast, None));
        set(&mut list, bare("good@evil.x"), entry(Affiliation::Member, None));
        assert_eq!(list.of(&bare("bad@evil.x")), Affiliation::Outcast);
        assert_eq!(list.of(&bare("good@evil.x")), Affiliation::Member);
        assert_eq!(list.of(&bare("a@x")), Affiliation::None);
    }

    // XEP-0463 §5
    #[test]
    fn changes_since_a_version_are_told_until_too_much_was_lost() {
        let mut list = Affiliations::default();
        for number in 0..3 {
            set(&mut list, bare(&format!("{number}@x")), entry(Affiliation::Member, None));
        }
        set(&mut list, bare("0@x"), entry(Affiliation::None, None));
        let since = list.since(3).unwrap();
        assert_eq!(since.len(), 1);
        assert_eq!(since[0].1.affiliation, Affiliation::None);
        assert_eq!(list.since(9), None);
        for number in 3..3 + LOST_MOST {
            let jid = bare(&format!("{number}@x"));
            set(&mut list, jid.clone(), entry(Affiliation::Member, None));
            set(&mut list, jid, entry(Affiliation::None, None));
        }
        assert_eq!(list.since(3), None);
        assert_eq!((list.lost(), list.len()), (LOST_MOST, 2));
    }

    #[test]
    fn a_hundred_thousand_members_are_counted_and_found() {
        let mut list = Affiliations::default();
        let mut rows = Vec::new();
        for number in 0..100_000 {
            let jid = bare(&format!("{number}@x"));
            rows.extend(stored(set(&mut list, jid, entry(Affiliation::Member, None))));
        }
        let again = Affiliations::load(&rows).unwrap();
        assert_eq!(again.count(Affiliation::Member), 100_000);
        assert_eq!(again.of(&bare("77777@x")), Affiliation::Member);
        assert_eq!(again.of_affiliation(Affiliation::Member).count(), 100_000);
    }
}
