//! Owns the configuration file: its tables, their defaults, and what is said about a wrong one.
//!
//! Each crate owns its settings; this file only nests them under the names that operators write. Without a
//! file a built-in configuration holds: one domain `localhost`, loopback only, everything under
//! `./rookery-data`.

mod accounts;
pub mod changes;
pub mod cluster;
pub mod components;
pub mod environment;
pub mod example;
pub mod listen;
pub mod proxy;
pub mod pubsub;
pub mod rooms;
pub mod services;
pub mod store;
pub mod suggest;
pub mod turn;
pub mod upload;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xmpp::BareJid;

pub use self::cluster::{Cluster, Dns, Lease};
pub use listen::Listen;
pub use store::{Durability, Engine, Store};

/// Where a configuration is looked for, in this order, if none is named.
pub const PLACES: [&str; 2] = ["rookery.toml", "/etc/rookery/rookery.toml"];

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Everything that is kept. Default `./rookery-data`.
    pub data_dir: PathBuf,
    /// Threads that host sessions and accounts; 0: one on one or two cores, else one less than cores.
    pub arbiters: usize,
    /// Most bytes of memory that this process may have: near that, new connections are refused. 0: four fifths of
    /// what the machine has, or the container.
    pub memory_bytes: u64,
    /// The domains that have accounts here. Default: `localhost`.
    pub domain: Vec<Domain>,
    /// Where to listen.
    pub listen: Listen,
    /// What clients find over HTTP.
    pub web: web::clients::Config,
    /// What client connections must do and may not.
    pub c2s: c2s::config::Rules,
    /// How clients prove who they are.
    pub auth: c2s::config::Auth,
    /// Whom people may turn to, as URIs (XEP-0157).
    pub contact: domain::Contact,
    /// What becomes of people's data, as everybody may read (XEP-0504).
    pub data_policy: domain::DataPolicy,
    /// Who is told of spam and abuse that people report (XEP-0377).
    pub report: Report,
    /// How much of anything a client may send.
    pub limits: c2s::config::Limits,
    /// What services for push notifications are told (XEP-0357).
    pub push: user::config::Push,
    /// How much an account may have of anything.
    pub accounts: user::config::Accounts,
    /// Multi-user chat (XEP-0045).
    pub room: rooms::Rooms,
    /// Relays for calls, which people are told of (XEP-0215). Default: none.
    pub turn: Vec<turn::Turn>,
    /// Publish-subscribe (XEP-0060).
    pub pubsub: pubsub::PubSub,
    /// Files that people send each other (XEP-0363).
    pub upload: upload::Upload,
    /// A proxy for bytestreams (XEP-0065).
    pub proxy: ::proxy::Config,
    /// Programs beside the server that have a domain of their own (XEP-0114). Default: none.
    pub component: Vec<component::Settings>,
    /// Where rows are kept.
    pub store: Store,
    /// What is archived, and for how long.
    pub archive: Archive,
    /// Stream management (XEP-0198).
    pub sm: StreamManagement,
    /// Who is asked for names.
    pub dns: Dns,
    /// What holds for registration where it is open at all (XEP-0077).
    pub registration: ::accounts::Policy,
    /// Other servers.
    pub s2s: s2s::Rules,
    /// Other members.
    pub cluster: Cluster,
    /// The member lease.
    pub lease: Lease,
    /// Logs and traces.
    pub telemetry: Telemetry,
}

/// A domain.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// PEM file of its certificate with the chain; without one, a self-signed certificate is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Who may register over XMPP (XEP-0077): `closed`, `invite`, `open`. Default `closed`.
    pub registration: ::accounts::Admission,
    /// Who administers it over XMPP (XEP-0133). Default: nobody.
    pub admins: Vec<String>,
    /// Whether people come in without an account (XEP-0175), and whom they reach: `no`, `local`, `anywhere`. Default
    /// `no`.
    pub anonymous: Anonymous,
    /// The host that its clients are sent to instead, with a port or without (RFC 6120 §4.9.3.19). Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub see_other_host: Option<String>,
}

/// Whether there are guests, and whom they reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// There are none.
    #[default]
    No,
    /// People and rooms of this server.
    Local,
    /// Other servers and components too.
    Anywhere,
}

/// What is archived, and for how long (XEP-0313, XEP-0441).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Archive {
    /// For accounts whose owner has not said. Default `always`.
    pub default: ArchiveDefault,
    /// Most messages of one page, whatever a client asks for. Default 250, which is also the most.
    pub page_messages: usize,
    /// Whether clients may look for words in texts (XEP-0431), in accounts and rooms. Default false.
    pub search: bool,
    /// Days after which archived messages are removed; 0: never.
    pub retention_days: u32,
}

/// What is archived of an account whose owner has not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ArchiveDefault {
    /// Everything.
    Always,
    /// Conversations with contacts of the roster.
    Roster,
    /// Nothing.
    Never,
}

/// Reports of spam and abuse (XEP-0377).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Report {
    /// Addresses that get a message for each. Default: none; reports are accepted all the same.
    pub to: Vec<String>,
}

/// Stream management (XEP-0198).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamManagement {
    /// Seconds that a session with a lost connection waits to be resumed. Default 600.
    pub resume_seconds: u64,
    /// Most stanzas that wait for a client's acknowledgement. Default 1,000.
    pub queue_stanzas: usize,
    /// Most bytes of them, 4 MiB at most. Default 1 MiB.
    pub queue_bytes: usize,
}

/// Logs and traces.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Where traces go: a collector that speaks OTLP over gRPC, such as `http://collector:4317`. Default: none.
    pub otlp: String,
    /// Which share of clients' stanzas is traced, from 0 to 1, where there is a collector. Default 0.01.
    pub sample_ratio: f64,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,c2s=debug`. Default `info`.
    pub log: String,
    /// `text` or `json`.
    pub log_format: LogFormat,
}

/// The shape of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// It is not the configuration's shape.
    #[error("{origin}: {what}")]
    Shape {
        /// The file, or the environment.
        origin: String,
        /// What is wrong, where, and what was meant.
        what: String,
    },
    /// A value makes no sense.
    #[error("configuration: {0}")]
    Value(String),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("rookery-data"),
            arbiters: 0,
            memory_bytes: 0,
            domain: vec![Domain { name: "localhost".to_owned(), ..Domain::default() }],
            listen: Listen::default(),
            web: web::clients::Config::default(),
            c2s: c2s::config::Rules::default(),
            auth: c2s::config::Auth::default(),
            contact: domain::Contact::default(),
            data_policy: domain::DataPolicy::default(),
            report: Report::default(),
            limits: c2s::config::Limits::default(),
            push: user::config::Push::default(),
            accounts: user::config::Accounts::default(),
            registration: ::accounts::Policy::default(),
            room: rooms::Rooms::default(),
            turn: Vec::new(),
            pubsub: pubsub::PubSub::default(),
            upload: upload::Upload::default(),
            proxy: ::proxy::Config::default(),
            component: Vec::new(),
            store: Store::default(),
            archive: Archive {
                default: ArchiveDefault::Always,
                page_messages: user::Config::default().archive_page,
                search: false,
                retention_days: 0,
            },
            sm: StreamManagement::default(),
            dns: Dns::default(),
            s2s: s2s::Rules::default(),
            cluster: Cluster::default(),
            lease: Lease::default(),
            telemetry: Telemetry {
                otlp: String::new(),
                sample_ratio: 0.01,
                log: "info".to_owned(),
                log_format: LogFormat::Text,
            },
        }
    }
}

impl Default for Archive {
    fn default() -> Self {
        Config::default().archive
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Config::default().telemetry
    }
}

impl Default for StreamManagement {
    fn default() -> Self {
        let user = user::Config::default();
        Self {
            resume_seconds: user.resume.as_secs(),
            queue_stanzas: user.queue_stanzas,
            queue_bytes: user.queue_bytes,
        }
    }
}

impl Config {
    /// What holds without any file: loopback only, and no other servers.
    pub fn built_in() -> Self {
        let loopback = |port| vec![SocketAddr::from(([127, 0, 0, 1], port))];
        let listen = Listen {
            c2s: loopback(5222),
            c2s_tls: loopback(5223),
            s2s: Vec::new(),
            s2s_tls: Vec::new(),
            component: loopback(5347),
            http: loopback(5280),
            https: loopback(5443),
        };
        let s2s = s2s::Rules { policy: s2s::Policy::Off, ..s2s::Rules::default() };
        Self { listen, s2s, ..Self::default() }
    }

    /// The configuration of this file, or of the first of [`PLACES`], or the built-in one; then what the
    /// environment says.
    ///
    /// # Errors
    /// The file cannot be read or used, with what to do about it.
    pub fn find(file: Option<&Path>) -> Result<Self, ConfigError> {
        let place = file
            .map(Path::to_owned)
            .or_else(|| PLACES.iter().map(PathBuf::from).find(|place| place.exists()));
        let environment = environment::settings(std::env::vars());
        match place {
            Some(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|cause| ConfigError::Read { path: path.clone(), cause })?;
                Self::parse(&text, &path.display().to_string(), &environment)
            }
            None => {
                let text = toml::to_string(&Self::built_in())
                    .map_err(|error| ConfigError::Value(error.to_string()))?;
                Self::parse(&text, "environment", &environment)
            }
        }
    }

    /// Reads TOML, lays the environment's settings over it, and checks the whole.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(
        text: &str,
        origin: &str,
        environment: &[environment::Setting],
    ) -> Result<Self, ConfigError> {
        let shape = |what: String| ConfigError::Shape { origin: origin.to_owned(), what };
        // The text alone first: its errors know their line.
        let mut config: Self =
            toml::from_str(text).map_err(|error| shape(suggest::explain(&error.to_string())))?;
        if !environment.is_empty() {
            let table = text.parse().map_err(|error: toml::de::Error| shape(error.to_string()))?;
            let table = environment::lay_over(table, environment)?;
            config = table.try_into().map_err(|error: toml::de::Error| ConfigError::Shape {
                origin: "environment".to_owned(),
                what: suggest::explain(&error.to_string()),
            })?;
        }
        for domain in &mut config.domain {
            domain.name = domain.jid()?.to_string();
        }
        config.s2s = config.s2s.normalised().map_err(ConfigError::Value)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |what: String| Err(ConfigError::Value(what));
        if self.domain.is_empty() {
            return wrong("there is no [[domain]]; add one with a name".to_owned());
        }
        for (number, domain) in self.domain.iter().enumerate() {
            domain.jid()?;
            if self.domain.iter().take(number).any(|before| before.name == domain.name) {
                return wrong(format!("there are two [[domain]] {}", domain.name));
            }
            if domain.certificate.is_some() != domain.key.is_some() {
                return wrong(format!("domain {} needs both certificate and key", domain.name));
            }
        }
        // XEP-0157 §3: each value is a URI.
        if let Some(address) = self.contact.all().find(|address| !address.contains(':')) {
            return wrong(format!(
                "contact {address:?} is no URI, such as mailto:abuse@example.org"
            ));
        }
        if let Some(fault) = self.data_policy.fault() {
            return wrong(format!("data_policy.{fault} is no value of XEP-0504"));
        }
        self.report.jids()?;
        self.check_listeners()?;
        self.check_registration()?;
        self.check_moved()?;
        self.services()?;
        self.room()?;
        self.turn.iter().try_for_each(turn::Turn::check)?;
        self.pubsub()?;
        self.check_upload()?;
        self.check_proxy()?;
        self.check_cluster()?;
        self.s2s.check().map_err(ConfigError::Value)?;
        let ranges = [
            ("accounts.sessions", self.accounts.sessions, 1, 100),
            (
                "archive.page_messages",
                self.archive.page_messages,
                1,
                user::Config::default().archive_page,
            ),
            ("sm.queue_stanzas", self.sm.queue_stanzas, 1, 100_000),
            // A copy of a session must find room on its way to another member, which is 8 MiB.
            ("sm.queue_bytes", self.sm.queue_bytes, 1_000, 4 << 20),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return wrong(format!("{name} is {value}, but must be between {least} and {most}"));
            }
        }
        self.telemetry.check()?;
        self.store.check()?;
        self.gate().check().map_err(|error| ConfigError::Value(error.to_string()))
    }

    /// The served domains as addresses.
    ///
    /// # Errors
    /// A name that is no domain.
    pub fn domains(&self) -> Result<Vec<BareJid>, ConfigError> {
        self.domain.iter().map(Domain::jid).collect()
    }

    /// The settings of the client gate.
    pub fn gate(&self) -> c2s::Config {
        let open =
            |list: &[SocketAddr]| if self.has_clients() { list.to_vec() } else { Vec::new() };
        c2s::Config {
            listen: c2s::config::Listen {
                c2s: open(&self.listen.c2s),
                c2s_tls: open(&self.listen.c2s_tls),
            },
            c2s: self.c2s.clone(),
            auth: self.auth.clone(),
            limits: self.limits.clone(),
            guests: self.guests().into_iter().map(|(domain, _)| domain).collect(),
            moved: self.moved(),
        }
    }

    /// The settings of the gate to other servers; none where none is to be spoken with.
    pub fn federation(&self) -> Option<s2s::Config> {
        self.s2s.is_on().then(|| s2s::Config {
            listen: self.listen.s2s.clone(),
            listen_tls: self.listen.s2s_tls.clone(),
            name_servers: self.dns.servers.clone(),
            trust_anchor: self.dns.trust_anchor.clone(),
            rules: self.s2s.clone(),
            isolation: Duration::from_secs(self.c2s.isolation_seconds),
            limits: self.limits.enabled,
        })
    }

    /// The settings of accounts and sessions.
    pub fn user(&self) -> user::Config {
        user::Config {
            accounts: self.accounts.clone(),
            push: self.push,
            registration: self.of_registered(),
            guests: self.guests().into(),
            report_to: self.report.jids().unwrap_or_default(),
            archive_default: match self.archive.default {
                ArchiveDefault::Always => user::config::ArchiveDefault::Always,
                ArchiveDefault::Roster => user::config::ArchiveDefault::Roster,
                ArchiveDefault::Never => user::config::ArchiveDefault::Never,
            },
            archive_page: self.archive.page_messages,
            archive_search: self.archive.search,
            resume: Duration::from_secs(self.sm.resume_seconds),
            queue_stanzas: self.sm.queue_stanzas,
            queue_bytes: self.sm.queue_bytes,
            ..user::Config::default()
        }
    }

    /// How many threads host entities.
    pub fn arbiter_count(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        match self.arbiters {
            0 if cores <= 2 => 1,
            0 => cores - 1,
            count => count,
        }
    }
}

impl Report {
    fn jids(&self) -> Result<Vec<BareJid>, ConfigError> {
        let read = |text: &String| {
            let wrong = |_| ConfigError::Value(format!("report.to {text:?} is no address"));
            BareJid::parse(text).map_err(wrong)
        };
        self.to.iter().map(read).collect()
    }
}

impl Telemetry {
    fn check(&self) -> Result<(), ConfigError> {
        let (otlp, ratio) = (&self.otlp, self.sample_ratio);
        if !otlp.is_empty() && !otlp.starts_with("http://") {
            let what = format!("telemetry.otlp {otlp:?} does not begin with http://");
            return Err(ConfigError::Value(what));
        }
        if !(0.0..=1.0).contains(&ratio) {
            let what = format!("telemetry.sample_ratio is {ratio}, but must be from 0 to 1");
            return Err(ConfigError::Value(what));
        }
        crate::telemetry::check(&self.log).map_err(ConfigError::Value)
    }
}

impl Domain {
    fn jid(&self) -> Result<BareJid, ConfigError> {
        match BareJid::parse(&self.name) {
            Ok(jid) if jid.localpart().is_none() => Ok(jid),
            _ => Err(ConfigError::Value(format!("{:?} is not the name of a domain", self.name))),
        }
    }
}

#[cfg(test)]
mod tests;
