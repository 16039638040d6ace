//! Owns the settings of rooms: the table `[room]`, and the services that follow from it.

use std::time::Duration;

use proto::{Hosts, ServiceKind};
use serde::{Deserialize, Serialize};
use xmpp::{BareJid, ns};

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
    /// Most members, admins, owners and banned people of a room together. Default 100,000.
    pub affiliations: usize,
    /// Most messages that newcomers are shown. Default 100.
    pub history: usize,
    /// Most characters of a nick. Default 64.
    pub nick_chars: usize,
    /// What a new room is like before its owner says otherwise.
    pub defaults: Defaults,
    /// Seconds that a new room may wait for its configuration. Default 600.
    pub unconfigured_seconds: u64,
    /// Stanzas a second that one occupant may send to a room, on average.
    pub stanzas_per_second: u32,
    /// Stanzas that he may send at once above that.
    pub stanzas_burst: u32,
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
    /// Messages that newcomers are shown. Default 20.
    pub historylength: usize,
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
            historylength: usual.history,
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
            history: self.historylength,
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
        let (stanzas_per_second, stanzas_burst) = room.rates.occupant;
        Self {
            service: "conference.{domain}".to_owned(),
            create: Create::Local,
            admins: Vec::new(),
            rooms: room.rooms,
            rooms_per_account: room.rooms_per_account,
            occupants: room.occupants,
            affiliations: room.affiliations,
            history: room.history,
            nick_chars: room.nick_chars,
            defaults: Defaults::default(),
            unconfigured_seconds: room.unconfigured.as_secs(),
            stanzas_per_second,
            stanzas_burst,
        }
    }
}

impl Config {
    /// The room services, one for each domain.
    ///
    /// # Errors
    /// A name that is no domain, or is served already.
    pub fn services_of_rooms(&self) -> Result<Vec<BareJid>, ConfigError> {
        let mut services: Vec<BareJid> = Vec::new();
        if self.room.service.is_empty() {
            return Ok(services);
        }
        let domains = self.domains()?;
        for domain in &domains {
            let name = self.room.service.replace("{domain}", domain.as_str());
            match BareJid::parse(&name) {
                Ok(jid) if jid.localpart().is_none() && !domains.contains(&jid) => {
                    if !services.contains(&jid) {
                        services.push(jid);
                    }
                }
                _ => {
                    let what = "write it as a domain of its own, such as conference.{domain}";
                    return Err(ConfigError::Value(format!("room.service is {name:?}: {what}")));
                }
            }
        }
        Ok(services)
    }

    /// Everything that is served here.
    ///
    /// # Errors
    /// A name that is no domain.
    pub fn hosts(&self) -> Result<Hosts, ConfigError> {
        let files = self.services_of_upload()?.into_iter();
        let files = files.map(|(jid, _)| (jid, ServiceKind::Upload));
        let proxies = self.services_of_proxy()?.into_iter().map(|jid| (jid, ServiceKind::Proxy));
        Ok(Hosts::new(self.domains()?, self.services_of_rooms()?)
            .with_pubsub(self.services_of_pubsub()?)
            .with_services(files.chain(proxies))
            .with_components(self.domains_of_components()?)
            .with_lanes(self.s2s.lanes()))
    }

    /// The services that the server's address lists (XEP-0030 §4).
    pub fn services(&self) -> Vec<domain::Service> {
        let room = |jid| domain::Service {
            jid,
            identity: ("conference", "text"),
            name: "Rooms".to_owned(),
            features: vec![ns::MUC],
        };
        let pubsub = |jid| domain::Service {
            jid,
            identity: ("pubsub", "service"),
            name: "Publish-Subscribe".to_owned(),
            features: vec![ns::PUBSUB],
        };
        let files = |(jid, _)| domain::Service {
            jid,
            identity: upload::extensions::IDENTITY,
            name: upload::extensions::NAME.to_owned(),
            features: vec![ns::UPLOAD],
        };
        let proxy = |jid| domain::Service {
            jid,
            identity: proxy::extensions::IDENTITY,
            name: proxy::extensions::NAME.to_owned(),
            features: vec![ns::BYTESTREAMS],
        };
        let rooms = self.services_of_rooms().unwrap_or_default().into_iter().map(room);
        let pubsub = self.services_of_pubsub().unwrap_or_default().into_iter().map(pubsub);
        let files = self.services_of_upload().unwrap_or_default().into_iter().map(files);
        let proxies = self.services_of_proxy().unwrap_or_default().into_iter().map(proxy);
        let component = |settings: &component::Settings| {
            let jid = BareJid::parse(&settings.name).ok()?;
            let name = if settings.title.is_empty() { &settings.name } else { &settings.title };
            let (identity, features) = (("component", "generic"), Vec::new());
            Some(domain::Service { jid, identity, name: name.clone(), features })
        };
        let components = self.component.iter().filter_map(component);
        rooms.chain(pubsub).chain(files).chain(proxies).chain(components).collect()
    }

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
            occupant: (rooms.stanzas_per_second, rooms.stanzas_burst),
            room: usual.rates.room,
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
            affiliations: rooms.affiliations,
            history: rooms.history,
            nick_chars: rooms.nick_chars,
            defaults: rooms.defaults.settings(),
            unconfigured: Duration::from_secs(rooms.unconfigured_seconds),
            rates,
            ..usual
        })
    }
}
