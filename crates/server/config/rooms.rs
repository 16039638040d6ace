//! Owns the settings of rooms: the table `[room]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use xmpp::BareJid;

use super::{Config, ConfigError};

/// Multi-user chat (XEP-0045).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rooms {
    /// The address of a domain's room service; empty: there are no rooms. Default `conference.{domain}`.
    pub service: String,
    /// Who may make rooms. Default `local`.
    pub create: Create,
    /// Accounts that may do in every room what its owner may.
    pub admins: Vec<String>,
    /// Most rooms of a service. Default 100,000.
    pub rooms: usize,
    /// Most rooms that one account has made and that are still there. Default 100.
    pub rooms_per_account: usize,
    /// Most occupants of a room. Default 10,000.
    pub occupants: usize,
    /// Most clients of one occupant. Default 20.
    pub sessions_per_occupant: usize,
    /// Most bytes of what a client says in its presence. Default 16 KiB.
    pub presence_bytes: usize,
    /// Most members, admins, owners and banned people of a room together. Default 100,000.
    pub affiliations: usize,
    /// Most people who hear a room without being inside. Default 10,000.
    pub subscribers: usize,
    /// Most messages that newcomers are shown. Default 100.
    pub history: usize,
    /// Most characters of a nick. Default 64.
    pub nick_chars: usize,
    /// What a new room is like before its owner says otherwise.
    pub defaults: Defaults,
    /// Seconds that a new room may wait for its configuration. Default 600.
    pub unconfigured_seconds: u64,
    /// Days for which the name of a destroyed room is nobody's but its owners'; 0: it is free at once. Default 30.
    pub tombstone_days: u32,
    /// Stanzas a second that one occupant may send to a room, on average: messages, presence, requests to change something.
    pub stanzas_per_second: u32,
    /// Stanzas that they may send at once above that.
    pub stanzas_burst: u32,
    /// Stanzas a second that all occupants of a room together may send, on average.
    pub stanzas_per_second_of_all: u32,
    /// Stanzas that they may send at once above that.
    pub stanzas_burst_of_all: u32,
}

/// What a new room is like; each is named as in the form of its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Defaults {
    /// It stays when the last one leaves. Default false.
    pub persistentroom: bool,
    /// It is listed. Default true.
    pub publicroom: bool,
    /// Only members may enter. Default false.
    pub membersonly: bool,
    /// Newcomers only listen. Default false.
    pub moderatedroom: bool,
    /// Everybody sees real addresses, not moderators alone. Default false.
    pub nonanonymous: bool,
    /// Participants may change the subject. Default false.
    pub changesubject: bool,
    /// Members of a members-only room may invite. Default false.
    pub allowinvites: bool,
    /// What is said is archived. Default true.
    pub enablearchiving: bool,
    /// People may hear it without being inside. Default true.
    pub allow_subscription: bool,
    /// Messages that newcomers are shown. Default 20.
    pub historylength: usize,
    /// Who may send private messages. Default `anyone`.
    pub allowpm: PrivateMessages,
    /// Whose presence is shown to others. Default all roles.
    pub presencebroadcast: Vec<Role>,
    /// Who may see the list of members, where real addresses are shown. Default all roles.
    pub getmemberlist: Vec<Role>,
    /// Most occupants; 0: as many as `room.occupants` allows. Default 0.
    pub maxusers: usize,
    /// People may register a nick and become members. Default true.
    pub registration: bool,
    /// Who has registered a nick must use it. Default false.
    pub nickslocked: bool,
    /// Seconds between two messages of one person; 0: any. At most a day. Default 0.
    pub slow_mode_duration: u32,
    /// The language of discussion, a tag; empty: not said. Default empty.
    pub lang: String,
}

/// Who may send private messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PrivateMessages {
    /// Every occupant.
    Anyone,
    /// Participants and moderators.
    Participants,
    /// Moderators.
    Moderators,
    /// Nobody.
    None,
}

/// A role of an occupant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Rules the discussion.
    Moderator,
    /// Speaks.
    Participant,
    /// Listens.
    Visitor,
}

impl Role {
    const ALL: [Self; 3] = [Self::Moderator, Self::Participant, Self::Visitor];

    /// As the settings of a room have several.
    fn set(roles: &[Self]) -> room::settings::Roles {
        room::settings::Roles {
            moderator: roles.contains(&Self::Moderator),
            participant: roles.contains(&Self::Participant),
            visitor: roles.contains(&Self::Visitor),
        }
    }
}

impl PrivateMessages {
    fn setting(self) -> room::settings::PrivateMessages {
        match self {
            Self::Anyone => room::settings::PrivateMessages::Anyone,
            Self::Participants => room::settings::PrivateMessages::Participants,
            Self::Moderators => room::settings::PrivateMessages::Moderators,
            Self::None => room::settings::PrivateMessages::Nobody,
        }
    }
}

impl Default for Defaults {
    fn default() -> Self {
        let usual = room::settings::Settings::default();
        Self {
            persistentroom: usual.persistent,
            publicroom: usual.public,
            membersonly: usual.members_only,
            moderatedroom: usual.moderated,
            nonanonymous: usual.addresses_shown,
            changesubject: usual.change_subject,
            allowinvites: usual.allow_invites,
            enablearchiving: usual.archived,
            allow_subscription: usual.subscriptions,
            historylength: usual.history,
            allowpm: PrivateMessages::Anyone,
            presencebroadcast: Role::ALL.to_vec(),
            getmemberlist: Role::ALL.to_vec(),
            maxusers: 0,
            registration: usual.registration,
            nickslocked: usual.nicks_locked,
            slow_mode_duration: usual.slow_seconds,
            lang: usual.lang,
        }
    }
}

impl Defaults {
    fn settings(&self) -> room::settings::Settings {
        room::settings::Settings {
            persistent: self.persistentroom,
            public: self.publicroom,
            members_only: self.membersonly,
            moderated: self.moderatedroom,
            addresses_shown: self.nonanonymous,
            change_subject: self.changesubject,
            allow_invites: self.allowinvites,
            archived: self.enablearchiving,
            subscriptions: self.allow_subscription,
            history: self.historylength,
            private_messages: self.allowpm.setting(),
            broadcast: Role::set(&self.presencebroadcast),
            member_list: Role::set(&self.getmemberlist).into(),
            occupants: Some(self.maxusers).filter(|most| *most > 0),
            registration: self.registration,
            nicks_locked: self.nickslocked,
            slow_seconds: self.slow_mode_duration,
            lang: self.lang.clone(),
            ..room::settings::Settings::default()
        }
    }
}

/// Who may make rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Create {
    /// Accounts of the served domains.
    Local,
    /// Those whom `admins` names.
    Admins,
    /// Everybody.
    Anyone,
}

impl Default for Rooms {
    fn default() -> Self {
        let room = room::Config::default();
        let room::Rates { occupant, room: all, .. } = room.rates;
        Self {
            service: "conference.{domain}".to_owned(),
            create: Create::Local,
            admins: Vec::new(),
            rooms: room.rooms,
            rooms_per_account: room.rooms_per_account,
            occupants: room.occupants,
            sessions_per_occupant: room.sessions_per_occupant,
            presence_bytes: room.presence_bytes,
            affiliations: room.affiliations,
            subscribers: room.subscribers,
            history: room.history,
            nick_chars: room.nick_chars,
            defaults: Defaults::default(),
            unconfigured_seconds: room.unconfigured.as_secs(),
            tombstone_days: 30,
            stanzas_per_second: occupant.per_second,
            stanzas_burst: occupant.burst,
            stanzas_per_second_of_all: all.per_second,
            stanzas_burst_of_all: all.burst,
        }
    }
}

impl Config {
    /// The settings of rooms.
    ///
    /// # Errors
    /// An admin whose address is none.
    pub fn room(&self) -> Result<room::Config, ConfigError> {
        let rooms = &self.room;
        let admin = |text: &String| {
            let jid = BareJid::parse(text).ok().filter(|jid| jid.localpart().is_some());
            let what = || format!("room.admins has {text:?}: write it as name@domain");
            jid.ok_or_else(|| ConfigError::Value(what()))
        };
        let usual = room::Config::default();
        let rates = room::Rates {
            enabled: self.limits.enabled,
            occupant: room::Pace {
                per_second: rooms.stanzas_per_second,
                burst: rooms.stanzas_burst,
            },
            room: room::Pace {
                per_second: rooms.stanzas_per_second_of_all,
                burst: rooms.stanzas_burst_of_all,
            },
        };
        Ok(room::Config {
            create: match rooms.create {
                Create::Local => room::Create::Local,
                Create::Admins => room::Create::Admins,
                Create::Anyone => room::Create::Anyone,
            },
            admins: rooms.admins.iter().map(admin).collect::<Result<_, _>>()?,
            archive_page: self.archive.page_messages,
            archive_search: self.archive.search,
            rooms: rooms.rooms,
            rooms_per_account: rooms.rooms_per_account,
            occupants: rooms.occupants,
            sessions_per_occupant: rooms.sessions_per_occupant,
            presence_bytes: rooms.presence_bytes,
            affiliations: rooms.affiliations,
            subscribers: rooms.subscribers,
            history: rooms.history,
            nick_chars: rooms.nick_chars,
            defaults: rooms.defaults.settings(),
            unconfigured: Duration::from_secs(rooms.unconfigured_seconds),
            tombstone: Duration::from_secs(u64::from(rooms.tombstone_days) * 86_400),
            rates,
            ..usual
        })
    }
}
