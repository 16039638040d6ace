//! Owns what all rooms of a server share: settings of the operator, and the count of who is where.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use archive::Ids;
use auth::Seal;
use xmpp::BareJid;

use crate::asked::{Asked, Hears};
use crate::settings::Settings;

/// Settings of the operator. Never changed while rooms live.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who may create rooms (XEP-0045 §10.1.1).
    pub create: Create,
    /// Who may do in every room what its owner may, and enter all of them.
    pub admins: Vec<BareJid>,
    /// Most rooms of a service.
    pub rooms: usize,
    /// Most rooms that one account has created and that are still there.
    pub rooms_per_account: usize,
    /// Most occupants of a room; a room's owner may choose less.
    pub occupants: usize,
    /// Most sessions of one occupant (XEP-0045 §7.2.8).
    pub sessions_per_occupant: usize,
    /// Most bytes of what a client says in its presence, which the room keeps (XEP-0045 §14.6).
    pub presence_bytes: usize,
    /// Most affiliations of a room.
    pub affiliations: usize,
    /// Most people who hear a room without being inside (MUC/Sub).
    pub subscribers: usize,
    /// Most messages that newcomers are shown (XEP-0045 §7.2.13).
    pub history: usize,
    /// Most messages of one page of an archive; at most [`archive::PAGE_MOST`].
    pub archive_page: usize,
    /// Whether texts of archives are searched (XEP-0431).
    pub archive_search: bool,
    /// What the rows of archives are called.
    pub ids: Ids,
    /// Seals what a service asks its rooms, so that it knows their answers.
    pub seal: Seal,
    /// Most characters of a nick.
    pub nick_chars: usize,
    /// What a new room is like before its owner says otherwise.
    pub defaults: Settings,
    /// How long a room may wait for its first configuration.
    pub unconfigured: Duration,
    /// How long nobody but its owners may make a room of the name of one that was destroyed (XEP-0045 §10.9).
    pub tombstone: Duration,
    /// What one occupant, and what all of a room together, may send.
    pub rates: Rates,
}

/// Who may create rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// Accounts of the served domains.
    Local,
    /// [`Config::admins`].
    Admins,
    /// Everybody, accounts of other servers too.
    Anyone,
}

/// Stanzas on average, and at once above that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A second, on average.
    pub per_second: u32,
    /// At once above that.
    pub burst: u32,
}

/// How much may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// False: rates are not limited (load tests).
    pub enabled: bool,
    /// Messages and presence of one occupant, and what they ask to be changed.
    pub occupant: Pace,
    /// Messages and presence of a whole room.
    pub room: Pace,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            create: Create::Local,
            admins: Vec::new(),
            rooms: 100_000,
            rooms_per_account: 100,
            occupants: 10_000,
            sessions_per_occupant: 20,
            presence_bytes: 16 << 10,
            affiliations: 100_000,
            subscribers: 10_000,
            history: 100,
            archive_page: archive::PAGE_MOST as usize,
            archive_search: false,
            ids: Ids::default(),
            seal: Seal::new(&[]),
            nick_chars: 64,
            defaults: Settings::default(),
            unconfigured: Duration::from_secs(600),
            tombstone: Duration::from_secs(30 * 86_400),
            rates: Rates {
                enabled: true,
                occupant: Pace { per_second: 10, burst: 100 },
                room: Pace { per_second: 1_000, burst: 10_000 },
            },
        }
    }
}

/// What all rooms of a member share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Settings.
    pub config: Config,
    /// Who waits for answers of rooms of this member.
    pub(crate) asked: Asked,
    occupants: Mutex<HashMap<BareJid, usize>>,
}

impl Shared {
    /// With these settings.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, asked: Asked::default(), occupants: Mutex::default() }
    }

    /// Notes how many occupants a room has.
    pub(crate) fn count(&self, room: &BareJid, occupants: usize) {
        let mut table = self.occupants.lock().unwrap_or_else(PoisonError::into_inner);
        match occupants {
            0 => drop(table.remove(room)),
            _ => drop(table.insert(room.clone(), occupants)),
        }
    }

    /// How many occupants a room on this member has.
    pub fn occupants(&self, room: &BareJid) -> usize {
        let table = self.occupants.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(room).copied().unwrap_or(0)
    }

    /// The rooms of this member that have occupants, and how many occupants all have together.
    pub fn occupied(&self) -> (Vec<BareJid>, usize) {
        let table = self.occupants.lock().unwrap_or_else(PoisonError::into_inner);
        (table.keys().cloned().collect(), table.values().sum())
    }

    /// Somebody is about to send a room of this member a request with this id, in the name of its service
    /// ([`crate::directory::order`]), and hears the answer; false where too many wait.
    pub fn await_answer(&self, id: &str, hears: Hears) -> bool {
        self.asked.wait(id, hears)
    }

    /// They do not wait any more.
    pub fn give_up(&self, id: &str) {
        self.asked.give_up(id);
    }

    /// Whether somebody administers the service.
    pub(crate) fn is_admin(&self, jid: &BareJid) -> bool {
        self.config.admins.contains(jid)
    }
}
