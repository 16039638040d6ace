//! Owns the people in a room: their nicks, roles and sessions. Plain data; what is said to whom is known to
//! [`crate::presence`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use xmpp::{BareJid, FullJid, Jid};

use crate::affiliation::Role;
use crate::nick::folded;
use crate::presence::LastWritten;
use crate::private::Sent;
use crate::rate::Bucket;

/// Somebody in the room, with one or more sessions under one nick (XEP-0045 §7.2.8).
#[derive(Clone, Debug)]
pub(crate) struct Occupant {
    /// The number that no other occupant of the room ever has.
    pub(crate) number: u64,
    /// The occupant JID.
    pub(crate) jid: FullJid,
    /// Who they really are.
    pub(crate) who: BareJid,
    /// What they may do.
    pub(crate) role: Role,
    /// Their sessions, oldest first; at least one.
    pub(crate) sessions: Vec<Session>,
    /// What is attached to all that they say (XEP-0421), in canonical bytes.
    pub(crate) marks: Bytes,
    /// What they may still send.
    pub(crate) rate: Bucket,
    /// The private messages that may still come back to them.
    pub(crate) private: Sent,
    /// What newcomers were told of him.
    pub(crate) written: LastWritten,
}

/// One client of an occupant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Its address.
    pub(crate) jid: FullJid,
    /// What its presence says, without what only rooms may say; canonical bytes.
    pub(crate) presence: Bytes,
    /// The presence's language.
    pub(crate) lang: Option<std::sync::Arc<str>>,
}

/// Everybody in the room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Occupants {
    list: BTreeMap<u64, Occupant>,
    nicks: HashMap<Box<str>, u64>,
    sessions: HashMap<FullJid, u64>,
    /// The occupants that are one account, oldest first.
    accounts: HashMap<BareJid, Vec<u64>>,
    last: u64,
    /// Who has come, gone, or changed since somebody asked.
    touched: BTreeSet<u64>,
}

impl Occupant {
    /// The nick.
    #[must_use]
    pub(crate) fn nick(&self) -> &str {
        self.jid.resource()
    }

    /// The addresses of their clients.
    pub(crate) fn clients(&self) -> impl Iterator<Item = Jid> {
        self.sessions.iter().map(|session| session.jid.clone().into())
    }

    /// The session whose presence is shown: the newest.
    #[must_use]
    pub(crate) fn shown(&self) -> Option<&Session> {
        self.sessions.last()
    }
}

impl Occupants {
    /// Everybody, in the order of entering.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Occupant> {
        self.list.values()
    }

    /// How many there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nobody is there.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// An occupant by their number.
    #[must_use]
    pub(crate) fn get(&self, number: u64) -> Option<&Occupant> {
        self.list.get(&number)
    }

    /// What an occupant may still send.
    pub(crate) fn rate_of(&mut self, number: u64) -> Option<&mut Bucket> {
        self.list.get_mut(&number).map(|occupant| &mut occupant.rate)
    }

    /// The private messages that may still come back to an occupant. Each is told as it happens, so that they count
    /// as no other than before.
    pub(crate) fn private_of(&mut self, number: u64) -> Option<&mut Sent> {
        self.list.get_mut(&number).map(|occupant| &mut occupant.private)
    }

    /// Gives an occupant another role; the one that they had.
    pub(crate) fn set_role(&mut self, number: u64, role: Role) -> Option<Role> {
        let occupant = self.list.get_mut(&number)?;
        self.touched.insert(number);
        Some(std::mem::replace(&mut occupant.role, role))
    }

    /// The numbers of those who have come, gone, or changed since this was asked last.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.touched)
    }

    /// The occupant of whom this is a session.
    #[must_use]
    pub(crate) fn of_session(&self, jid: &Jid) -> Option<&Occupant> {
        self.sessions.get(jid.as_str()).and_then(|number| self.list.get(number))
    }

    /// The occupant whose nick looks like this one.
    #[must_use]
    pub(crate) fn of_nick(&self, nick: &str) -> Option<&Occupant> {
        self.nicks.get(&folded(nick)).and_then(|number| self.list.get(number))
    }

    /// Every occupant that is this account.
    pub(crate) fn of_account(&self, who: &BareJid) -> impl Iterator<Item = &Occupant> {
        let numbers = self.accounts.get(who).into_iter().flatten();
        numbers.filter_map(|number| self.list.get(number))
    }

    /// Whether an account is inside.
    #[must_use]
    pub(crate) fn has_account(&self, who: &BareJid) -> bool {
        self.accounts.contains_key(who)
    }

    /// Lets somebody in. Their nick is free.
    pub(crate) fn add(&mut self, make: impl FnOnce(u64) -> Occupant) -> u64 {
        let number = self.last + 1;
        self.put(make(number));
        number
    }

    /// The number of whoever came last, present or not.
    #[must_use]
    pub(crate) fn last_number(&self) -> u64 {
        self.last
    }

    /// Whoever comes next gets a greater number than this.
    pub(crate) fn go_on_from(&mut self, last: u64) {
        self.last = self.last.max(last);
    }

    /// Puts somebody back, with the number that they had; false where it is another's. Their nick is free.
    pub(crate) fn put(&mut self, occupant: Occupant) -> bool {
        if self.list.contains_key(&occupant.number) {
            return false;
        }
        self.go_on_from(occupant.number);
        self.touched.insert(occupant.number);
        self.nicks.insert(folded(occupant.nick()), occupant.number);
        for session in &occupant.sessions {
            self.sessions.insert(session.jid.clone(), occupant.number);
        }
        self.accounts.entry(occupant.who.clone()).or_default().push(occupant.number);
        self.list.insert(occupant.number, occupant);
        true
    }

    /// One more session of an occupant, or another presence of one; it is shown from now on.
    pub(crate) fn show(&mut self, number: u64, session: Session) {
        let Some(occupant) = self.list.get_mut(&number) else { return };
        self.touched.insert(number);
        self.sessions.insert(session.jid.clone(), number);
        occupant.sessions.retain(|known| known.jid != session.jid);
        occupant.sessions.push(session);
    }

    /// Takes a session away; whether its occupant has others.
    pub(crate) fn remove_session(&mut self, number: u64, jid: &Jid) -> bool {
        self.sessions.remove(jid.as_str());
        self.touched.insert(number);
        let Some(occupant) = self.list.get_mut(&number) else { return false };
        occupant.sessions.retain(|known| *known.jid != *jid);
        !occupant.sessions.is_empty()
    }

    /// Takes an occupant out with all sessions.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Occupant> {
        let occupant = self.list.remove(&number)?;
        self.touched.insert(number);
        self.nicks.remove(&folded(occupant.nick()));
        for session in &occupant.sessions {
            self.sessions.remove(&session.jid);
        }
        if let Some(numbers) = self.accounts.get_mut(&occupant.who) {
            numbers.retain(|known| *known != number);
            if numbers.is_empty() {
                self.accounts.remove(&occupant.who);
            }
        }
        Some(occupant)
    }

    /// Gives an occupant another nick, which is free.
    pub(crate) fn rename(&mut self, number: u64, jid: FullJid) {
        let Some(occupant) = self.list.get_mut(&number) else { return };
        self.nicks.remove(&folded(occupant.nick()));
        self.nicks.insert(folded(jid.resource()), number);
        self.touched.insert(number);
        occupant.jid = jid;
    }

    /// Removes all occupants.
    pub(crate) fn clear(&mut self) -> Vec<Occupant> {
        self.nicks.clear();
        self.sessions.clear();
        self.accounts.clear();
        std::mem::take(&mut self.list).into_values().collect()
    }
}
