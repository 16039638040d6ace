//! Owns the people in a room: their nicks, roles and sessions. Plain data; what is said to whom is known to
//! [`crate::presence`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use xmpp::{BareJid, FullJid, Jid};

use crate::affiliation::Role;
use crate::nick::folded;
use crate::private::Sent;
use crate::rate::Bucket;

/// Somebody in the room, with one or more sessions under one nick (XEP-0045 §7.2.8).
#[derive(Clone, Debug)]
pub struct Occupant {
    /// The number that no other occupant of the room ever has.
    pub number: u64,
    /// The occupant JID.
    pub jid: FullJid,
    /// Who he really is.
    pub who: BareJid,
    /// What he may do.
    pub role: Role,
    /// His sessions, oldest first; at least one.
    pub sessions: Vec<Session>,
    /// What is attached to all that he says (XEP-0421), in canonical bytes.
    pub marks: Bytes,
    /// What he may still send.
    pub rate: Bucket,
    /// The private messages that may still come back to him.
    pub(crate) private: Sent,
}

/// One client of an occupant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its address.
    pub jid: FullJid,
    /// What its presence says, without what only rooms may say; canonical bytes.
    pub presence: Bytes,
    /// The presence's language.
    pub lang: Option<std::sync::Arc<str>>,
}

/// Everybody in the room.
#[derive(Clone, Debug, Default)]
pub struct Occupants {
    list: BTreeMap<u64, Occupant>,
    nicks: HashMap<Box<str>, u64>,
    sessions: HashMap<FullJid, u64>,
    last: u64,
    /// Who has come, gone, or changed since somebody asked.
    touched: BTreeSet<u64>,
}

impl Occupant {
    /// The nick.
    #[must_use]
    pub fn nick(&self) -> &str {
        self.jid.resource()
    }

    /// The session whose presence is shown: the newest.
    #[must_use]
    pub fn shown(&self) -> Option<&Session> {
        self.sessions.last()
    }
}

impl Occupants {
    /// Everybody, in the order of entering.
    pub fn iter(&self) -> impl Iterator<Item = &Occupant> {
        self.list.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nobody is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// An occupant by his number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Occupant> {
        self.list.get(&number)
    }

    /// What an occupant may still send.
    pub fn rate_of(&mut self, number: u64) -> Option<&mut Bucket> {
        self.list.get_mut(&number).map(|occupant| &mut occupant.rate)
    }

    /// The private messages that may still come back to an occupant. Each is told as it happens, so that he counts
    /// as no other than before.
    pub(crate) fn private_of(&mut self, number: u64) -> Option<&mut Sent> {
        self.list.get_mut(&number).map(|occupant| &mut occupant.private)
    }

    /// Gives an occupant another role; the one that he had.
    pub fn set_role(&mut self, number: u64, role: Role) -> Option<Role> {
        let occupant = self.list.get_mut(&number)?;
        self.touched.insert(number);
        Some(std::mem::replace(&mut occupant.role, role))
    }

    /// The numbers of those who have come, gone, or changed since this was asked last.
    pub fn take_touched(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.touched)
    }

    /// The occupant of whom this is a session.
    #[must_use]
    pub fn of_session(&self, jid: &Jid) -> Option<&Occupant> {
        self.sessions.get(jid.as_str()).and_then(|number| self.list.get(number))
    }

    /// The occupant whose nick looks like this one.
    #[must_use]
    pub fn of_nick(&self, nick: &str) -> Option<&Occupant> {
        self.nicks.get(&folded(nick)).and_then(|number| self.list.get(number))
    }

    /// Every occupant that is this account.
    pub fn of_account<'a>(&'a self, who: &'a BareJid) -> impl Iterator<Item = &'a Occupant> {
        self.list.values().filter(move |occupant| occupant.who == *who)
    }

    /// Lets somebody in. His nick is free.
    pub fn add(&mut self, make: impl FnOnce(u64) -> Occupant) -> u64 {
        let number = self.last + 1;
        self.put(make(number));
        number
    }

    /// The number of whoever came last, present or not.
    #[must_use]
    pub fn last_number(&self) -> u64 {
        self.last
    }

    /// Whoever comes next gets a greater number than this.
    pub fn go_on_from(&mut self, last: u64) {
        self.last = self.last.max(last);
    }

    /// Puts somebody back, with the number that he had; false where it is another's. His nick is free.
    pub fn put(&mut self, occupant: Occupant) -> bool {
        if self.list.contains_key(&occupant.number) {
            return false;
        }
        self.go_on_from(occupant.number);
        self.touched.insert(occupant.number);
        self.nicks.insert(folded(occupant.nick()), occupant.number);
        for session in &occupant.sessions {
            self.sessions.insert(session.jid.clone(), occupant.number);
        }
        self.list.insert(occupant.number, occupant);
        true
    }

    /// One more session of an occupant, or another presence of one; it is shown from now on.
    pub fn show(&mut self, number: u64, session: Session) {
        let Some(occupant) = self.list.get_mut(&number) else { return };
        self.touched.insert(number);
        self.sessions.insert(session.jid.clone(), number);
        occupant.sessions.retain(|known| known.jid != session.jid);
        occupant.sessions.push(session);
    }

    /// Takes a session away; whether its occupant has others.
    pub fn remove_session(&mut self, number: u64, jid: &Jid) -> bool {
        self.sessions.remove(jid.as_str());
        self.touched.insert(number);
        let Some(occupant) = self.list.get_mut(&number) else { return false };
        occupant.sessions.retain(|known| *known.jid != *jid);
        !occupant.sessions.is_empty()
    }

    /// Takes an occupant out with all sessions.
    pub fn remove(&mut self, number: u64) -> Option<Occupant> {
        let occupant = self.list.remove(&number)?;
        self.touched.insert(number);
        self.nicks.remove(&folded(occupant.nick()));
        for session in &occupant.sessions {
            self.sessions.remove(&session.jid);
        }
        Some(occupant)
    }

    /// Gives an occupant another nick, which is free.
    pub fn rename(&mut self, number: u64, jid: FullJid) {
        let Some(occupant) = self.list.get_mut(&number) else { return };
        self.nicks.remove(&folded(occupant.nick()));
        self.nicks.insert(folded(jid.resource()), number);
        self.touched.insert(number);
        occupant.jid = jid;
    }

    /// Everybody out.
    pub fn clear(&mut self) -> Vec<Occupant> {
        self.nicks.clear();
        self.sessions.clear();
        std::mem::take(&mut self.list).into_values().collect()
    }
}
