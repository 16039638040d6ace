//! Owns what an operator may choose about a store on Redis, and what is refused: seeds without a password or
//! without TLS off loopback.

use std::net::IpAddr;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::engine;
use crate::Error;

/// Settings of a store on Redis.
#[derive(Clone)]
pub struct Config {
    /// `redis://host:port`, `rediss://` for TLS, `unix:///path`; several `host:port` with commas between are
    /// the seeds of a cluster. May hold `user:password@`.
    pub url: String,
    /// What a write waits for.
    pub durability: Durability,
    /// The password, where it does not stand in the URL.
    pub password: Option<String>,
    /// PEM of the authorities that servers' certificates come from; without it, the system's.
    pub ca: Option<Vec<u8>>,
    /// Whether a server off loopback may be spoken to without TLS.
    pub plaintext: bool,
    /// By what the cluster is known whose addresses are kept; another one's data are refused.
    pub cluster: Option<String>,
    /// The generation of the cluster in which this process acts; in a later one nothing is served to it.
    pub generation: Option<u32>,
    /// How long a write that no server has seen yet waits for one, and how long a read does.
    pub patience: Duration,
}

/// What a write waits for before it is confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The primary has executed it.
    Async,
    /// And a replica has it.
    #[default]
    Replica,
    /// The primary has it on its disk; and a replica has it, where there are any.
    Fsync,
}

/// Where servers are, and how they are spoken to.
#[derive(Clone)]
pub(super) struct Endpoints {
    pub(super) seeds: Vec<Address>,
    /// Everything but the address.
    pattern: ConnectionInfo,
    ca: Option<Vec<u8>>,
}

/// Where one server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Address {
    Tcp(String, u16),
    /// The socket of the URL.
    Unix,
}

impl Config {
    /// The default settings for this URL.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            durability: Durability::default(),
            password: None,
            ca: None,
            plaintext: false,
            cluster: None,
            generation: None,
            patience: Duration::from_secs(15),
        }
    }

    /// Reads the URL.
    ///
    /// # Errors
    /// It is none, or names a server that may not be spoken to like this.
    /// Whether it can be connected to like this, as far as can be said before one does.
    ///
    /// # Errors
    /// What is wrong with the URL, or may not be done.
    pub fn check(&self) -> Result<(), Error> {
        self.endpoints().map(drop)
    }

    pub(super) fn endpoints(&self) -> Result<Endpoints, Error> {
        let (pattern, seeds) = self.pattern()?;
        let mut settings = pattern.redis_settings().clone();
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        let has_password = settings.password().is_some();
        let is_tls = matches!(pattern.addr(), ConnectionAddr::TcpTls { .. });
        if matches!(pattern.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            return Err(wrong("certificates are always checked; name your authority in store.ca"));
        }
        for host in seeds.iter().filter(|seed| !seed.is_loopback()) {
            if !has_password {
                return Err(wrong(&format!(
                    "{host} is not on this machine, and there is no password; set store.password_file"
                )));
            }
            if !is_tls && !self.plaintext {
                return Err(wrong(&format!(
                    "{host} is not on this machine; use rediss:// (TLS), or set store.plaintext = true where \
                     nobody else can listen"
                )));
            }
        }
        let pattern = pattern.set_redis_settings(settings);
        Ok(Endpoints { seeds, pattern, ca: self.ca.clone() })
    }

    fn pattern(&self) -> Result<(ConnectionInfo, Vec<Address>), Error> {
        let parsed = |url: &str| {
            let info = url.into_connection_info();
            info.map_err(|error| wrong(&format!("the URL cannot be used: {error}")))
        };
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return Err(wrong("the URL has no scheme; it is redis://host:port, for instance"));
        };
        if scheme.contains("unix") {
            return Ok((parsed(&self.url)?, vec![Address::Unix]));
        }
        let (authority, path) = rest.split_once('/').map_or((rest, ""), |(a, p)| (a, p));
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(u, h)| (u, h));
        let at = if user.is_empty() { "" } else { "@" };
        let mut pattern = None;
        let mut seeds = Vec::new();
        for host in hosts.split(',') {
            let info = parsed(&format!("{scheme}://{user}{at}{host}/{path}"))?;
            match info.addr() {
                ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                    seeds.push(Address::Tcp(host.clone(), *port));
                }
                _ => return Err(wrong("the URL names no server")),
            }
            pattern.get_or_insert(info);
        }
        pattern.map(|pattern| (pattern, seeds)).ok_or_else(|| wrong("the URL names no server"))
    }
}

impl Endpoints {
    /// How to reach one server.
    pub(super) fn client(&self, address: &Address) -> redis::RedisResult<redis::Client> {
        let addr = match (address, self.pattern.addr()) {
            (Address::Unix, addr) => addr.clone(),
            (Address::Tcp(host, port), ConnectionAddr::TcpTls { .. }) => ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
            (Address::Tcp(host, port), _) => ConnectionAddr::Tcp(host.clone(), *port),
        };
        let info = self.pattern.clone().set_addr(addr);
        match &self.ca {
            Some(ca) if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) => {
                let tls = redis::TlsCertificates { client_tls: None, root_cert: Some(ca.clone()) };
                redis::Client::build_with_tls(info, tls)
            }
            _ => redis::Client::open(info),
        }
    }
}

impl Address {
    fn is_loopback(&self) -> bool {
        match self {
            Self::Unix => true,
            Self::Tcp(host, _) => {
                host == "localhost"
                    || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix => f.write_str("the Redis socket"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

impl std::fmt::Debug for Config {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = self.url.rsplit_once('@').map_or(self.url.as_str(), |(_, hosts)| hosts);
        f.debug_struct("Config")
            .field("url", &url)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

fn wrong(what: &str) -> Error {
    engine("read store.url", what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(config: &Config) -> String {
        config.endpoints().err().expect("is refused").to_string()
    }

    fn seeds(url: &str) -> Vec<Address> {
        Config::new(url).endpoints().expect("is taken").seeds
    }

    #[test]
    fn off_loopback_a_password_and_tls_are_demanded() {
        for url in ["redis://10.0.0.5:6379", "rediss://10.0.0.5", "redis://127.0.0.1,db.example"] {
            assert!(refusal(&Config::new(url)).contains("no password"), "{url}");
        }
        let plain = Config::new("redis://:secret@10.0.0.5");
        assert!(refusal(&plain).contains("rediss://"));
        assert!(Config { plaintext: true, ..plain }.endpoints().is_ok());
        let tls = Config::new("rediss://10.0.0.5");
        assert!(Config { password: Some("secret".to_owned()), ..tls }.endpoints().is_ok());
        assert!(refusal(&Config::new("rediss://:x@db.example/#insecure")).contains("always"));
        for url in ["redis://127.0.0.1", "redis://[::1]:7000", "redis://localhost", "unix:///x"] {
            assert!(Config::new(url).endpoints().is_ok(), "{url}");
        }
    }

    #[test]
    fn several_seeds_stand_in_one_url() {
        let tcp = |port| Address::Tcp("127.0.0.1".to_owned(), port);
        let url = "redis://user:pa,ss@127.0.0.1:7000,127.0.0.1:7001,127.0.0.1/0";
        assert_eq!(seeds(url), [tcp(7000), tcp(7001), tcp(6379)]);
        assert!(refusal(&Config::new("127.0.0.1")).contains("no scheme"));
        assert!(refusal(&Config::new("http://127.0.0.1")).contains("cannot be used"));
    }

    #[test]
    fn what_is_logged_holds_no_secret() {
        let config = Config::new("redis://user:secret@127.0.0.1");
        assert!(!format!("{config:?}").contains("secret"));
    }
}
