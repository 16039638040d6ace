//! Owns the settings of the client gate, with their defaults. Knows no file format: whoever reads the
//! configuration nests these tables where it likes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use auth::Mechanism;
use serde::{Deserialize, Serialize};
use socket::rate::{Allowance, Limit};
use xmpp::BareJid;

/// Settings of the gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// What connections must do and may not.
    pub c2s: Rules,
    /// How clients prove who they are.
    pub auth: Auth,
    /// How much of anything a client may send.
    pub limits: Limits,
    /// Domains that let guests in (XEP-0175).
    #[serde(skip)]
    pub guests: Vec<BareJid>,
    /// Domains whose clients are sent to another host, and to which (RFC 6120 §4.9.3.19).
    #[serde(skip)]
    pub moved: Vec<(BareJid, String)>,
}

/// Where to listen. An empty list closes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// For streams that begin in the clear and upgrade by STARTTLS. Default `[::]:5222`.
    pub c2s: Vec<SocketAddr>,
    /// For TLS from the first byte (XEP-0368). Default `[::]:5223`.
    pub c2s_tls: Vec<SocketAddr>,
}

/// What connections must do and may not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Whether STARTTLS is demanded before log-in, not only offered (RFC 7590 §3.1). Default true.
    pub require_tls: bool,
    /// Whether PLAIN is offered on streams without TLS; for tests on loopback. Default false.
    pub allow_plain_without_tls: bool,
    /// Load balancers whose word about the client's address is taken: connections from these addresses
    /// must begin with a PROXY protocol header, version 1 or 2. Default none.
    pub proxy_protocol_from: Vec<IpAddr>,
    /// Seconds without any input after which a connection counts as lost; 0 for never, as a client may
    /// well be silent (RFC 6120 §4.6.2). Default 0.
    pub idle_seconds: u64,
    /// Seconds of silence after which a space is sent, so that a dead connection shows (RFC 6120
    /// §4.6.1); 0 for never. Default 300.
    pub keepalive_seconds: u64,
    /// Seconds that a client has to answer the end of a stream (RFC 6120 §4.4). Default 5.
    pub close_seconds: u64,
    /// Seconds that a member which is cut off from the others keeps its clients waiting, before it sends them
    /// elsewhere. Default 10.
    pub isolation_seconds: u64,
    /// Most connections at a time. Default 100,000.
    pub connections: usize,
    /// Most connections at a time from one address, or from one /64 of IPv6, before log-in. Default 256.
    pub connections_per_address: usize,
}

/// How clients prove who they are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// The SASL mechanisms that may be offered, by their registered names. Default: every one that this
    /// server knows. PLAIN is offered over TLS only; PLUS variants only where there is a binding.
    pub mechanisms: Vec<String>,
    /// Iterations of new SCRAM verifiers, and of the made-up ones for unknown users. Default 10,000
    /// (XEP-0438 §7).
    pub scram_iterations: u32,
    /// Days for which a token holds that a client logs in with instead of a password (XEP-0484); 0: none are given.
    /// Default 30.
    pub token_days: u32,
    /// PEM file of authorities that are trusted to say who clients are (XEP-0178): clients are asked for certificates,
    /// and whoever shows one with an address of XMPP in it may log in with it. Default: nobody is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}

/// How much of anything a client may send.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// False, for load tests: rates and numbers are not limited. Sizes always are. Default true.
    pub enabled: bool,
    /// Most bytes of a stanza. Default 262,144; at least 10,000 (RFC 6120 §13.12).
    pub stanza_bytes: usize,
    /// Most bytes of a stanza before log-in. Default 16,384.
    pub stanza_bytes_before_login: usize,
    /// Most levels of elements in a stanza. Default 64.
    pub stanza_depth: usize,
    /// Most attributes of one element. Default 256.
    pub element_attributes: usize,
    /// Most declarations of namespaces in scope at one place. Default 256.
    pub element_namespaces: usize,
    /// Most bytes of the name of an element, an attribute or a namespace. Default 1,024.
    pub name_bytes: usize,
    /// Seconds from the first byte to the proof of identity, and again from there to a bound resource.
    /// Default 30.
    pub login_seconds: u64,
    /// Bytes a second that one connection may send, on average. Default 262,144.
    pub bytes_per_second: u32,
    /// Bytes that it may send at once above the average. Default 2,097,152.
    pub bytes_burst: u32,
    /// Stanzas a second that one connection may send, on average. Default 100.
    pub stanzas_per_second: u32,
    /// Stanzas that it may send at once above the average. Default 2,000.
    pub stanzas_burst: u32,
    /// All connections of one account together may send as much as so many. Default 4.
    pub account_connections: u32,
}

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No such mechanism.
    #[error("there is no SASL mechanism {name:?}; the nearest is {nearest:?}")]
    Mechanism {
        /// As configured.
        name: String,
        /// What was meant, perhaps.
        nearest: &'static str,
    },
    /// A number is out of its range.
    #[error("{name} is {value}, but must be between {least} and {most}")]
    Range {
        /// The setting.
        name: &'static str,
        /// As configured.
        value: u64,
        /// The least that makes sense.
        least: u64,
        /// The most.
        most: u64,
    },
}

impl Config {
    /// Checks what types alone cannot.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.auth.allowed()?;
        let limits = &self.limits;
        let before_login = limits.stanza_bytes_before_login as u64;
        let ranges: BTreeMap<&'static str, (u64, u64, u64)> = BTreeMap::from([
            ("limits.stanza_bytes", (limits.stanza_bytes as u64, 10_000, 16 << 20)),
            ("limits.stanza_bytes_before_login", (before_login, 1_000, 1 << 20)),
            // No less than what the protocols themselves need; no more levels than can be read as a tree.
            ("limits.stanza_depth", (limits.stanza_depth as u64, 16, 100)),
            ("limits.element_attributes", (limits.element_attributes as u64, 16, 4_096)),
            ("limits.element_namespaces", (limits.element_namespaces as u64, 16, 4_096)),
            ("limits.name_bytes", (limits.name_bytes as u64, 256, 65_535)),
            ("limits.login_seconds", (limits.login_seconds, 1, 3_600)),
            (
                "auth.scram_iterations",
                (
                    u64::from(self.auth.scram_iterations),
                    u64::from(auth::credentials::DEFAULT_ITERATIONS),
                    u64::from(auth::credentials::MAX_ITERATIONS),
                ),
            ),
        ]);
        for (name, (value, least, most)) in ranges {
            if !(least..=most).contains(&value) {
                return Err(ConfigError::Range { name, value, least, most });
            }
        }
        Ok(())
    }
}

impl Auth {
    /// The mechanisms that may be offered.
    ///
    /// # Errors
    /// [`ConfigError::Mechanism`].
    pub fn allowed(&self) -> Result<Vec<Mechanism>, ConfigError> {
        let read = |name: &String| {
            Mechanism::from_name(name).ok_or_else(|| ConfigError::Mechanism {
                name: name.clone(),
                nearest: nearest(name),
            })
        };
        self.mechanisms.iter().map(read).collect()
    }
}

impl Limits {
    /// Of a stream whose client has not proved yet who it is.
    pub(crate) fn of_strangers(&self) -> stream::Limits {
        let stanza_bytes = self.stanza_bytes_before_login;
        let total_bytes = stream::Limits::BEFORE_LOGIN.total_bytes;
        stream::Limits { stanza_bytes, total_bytes, ..self.of_known() }
    }

    /// Of a stream whose client has.
    pub(crate) fn of_known(&self) -> stream::Limits {
        stream::Limits {
            stanza_bytes: self.stanza_bytes,
            depth: self.stanza_depth,
            attributes: self.element_attributes,
            namespaces: self.element_namespaces,
            name_bytes: self.name_bytes,
            total_bytes: None,
        }
    }

    /// What one connection may send.
    pub(crate) fn of_connection(&self) -> Allowance {
        self.of_connections(1)
    }

    /// What all connections of an account may send.
    pub(crate) fn of_account(&self) -> Allowance {
        self.of_connections(self.account_connections)
    }

    fn of_connections(&self, many: u32) -> Allowance {
        let times = |it: u32| it.saturating_mul(many.max(1));
        Allowance {
            bytes: Limit {
                per_second: times(self.bytes_per_second),
                burst: times(self.bytes_burst),
            },
            stanzas: Limit {
                per_second: times(self.stanzas_per_second),
                burst: times(self.stanzas_burst),
            },
        }
    }

    /// From the first byte to the proof of identity.
    pub fn login(&self) -> Duration {
        Duration::from_secs(self.login_seconds)
    }
}

/// The known name that shares most of its beginning with `name`.
fn nearest(name: &str) -> &'static str {
    let name = name.to_ascii_uppercase();
    let shared = |known: &str| known.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let likeness = |known: &str| (shared(known), Reverse(known.len().abs_diff(name.len())));
    Mechanism::ALL
        .iter()
        .map(|mechanism| mechanism.name())
        .max_by_key(|known| likeness(known))
        .unwrap_or("SCRAM-SHA-256")
}

impl Default for Listen {
    fn default() -> Self {
        let any = |port| vec![SocketAddr::from(([0; 8], port))];
        Self { c2s: any(5222), c2s_tls: any(5223) }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            require_tls: true,
            allow_plain_without_tls: false,
            proxy_protocol_from: Vec::new(),
            idle_seconds: 0,
            keepalive_seconds: 300,
            close_seconds: 5,
            isolation_seconds: 10,
            connections: 100_000,
            connections_per_address: 256,
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        let names = Mechanism::ALL.iter().map(|mechanism| mechanism.name().to_owned());
        Self {
            mechanisms: names.collect(),
            scram_iterations: auth::credentials::DEFAULT_ITERATIONS,
            token_days: 30,
            client_ca: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enabled: true,
            stanza_bytes: 262_144,
            stanza_bytes_before_login: 16_384,
            stanza_depth: 64,
            element_attributes: 256,
            element_namespaces: 256,
            name_bytes: 1_024,
            login_seconds: 30,
            bytes_per_second: 262_144,
            bytes_burst: 2_097_152,
            stanzas_per_second: 100,
            stanzas_burst: 2_000,
            account_connections: 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense() {
        assert_eq!(Config::default().check(), Ok(()));
        assert_eq!(Listen::default().c2s[0].to_string(), "[::]:5222");
    }

    #[test]
    fn what_is_not_written_has_its_default_and_what_nobody_knows_is_refused() {
        let config: Config =
            toml::from_str("[listen]\nc2s = []\n[limits]\nlogin_seconds = 9").unwrap();
        assert_eq!((config.listen.c2s.len(), config.listen.c2s_tls.len()), (0, 1));
        assert_eq!(config.limits, Limits { login_seconds: 9, ..Limits::default() });
        for text in ["[c2s]\nrequire_ssl = true", "[limits]\nstanzas = 1", "[auth]\nplain = true"] {
            let error = toml::from_str::<Config>(text).unwrap_err().to_string();
            assert!(error.contains("unknown field"), "{error}");
        }
    }

    #[test]
    fn a_mechanism_that_does_not_exist_is_refused_with_the_nearest_name() {
        let auth = Auth { mechanisms: vec!["scram-sha-256".to_owned()], ..Auth::default() };
        let error = auth.allowed().expect_err("names are upper case");
        assert!(error.to_string().contains("\"SCRAM-SHA-256\""), "{error}");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        type Key = fn(&mut Limits) -> &mut usize;
        let mut config = Config::default();
        config.limits.stanza_bytes = 9_999;
        let error = config.check().expect_err("RFC 6120 §13.12 wants 10,000");
        assert!(error.to_string().starts_with("limits.stanza_bytes is 9999"), "{error}");
        let cases: [(&str, Key, [usize; 2]); 4] = [
            ("stanza_depth", |limits| &mut limits.stanza_depth, [15, 101]),
            ("element_attributes", |limits| &mut limits.element_attributes, [15, 4_097]),
            ("element_namespaces", |limits| &mut limits.element_namespaces, [15, 4_097]),
            ("name_bytes", |limits| &mut limits.name_bytes, [255, 65_536]),
        ];
        for (name, key, values) in cases {
            for value in values {
                let mut config = Config::default();
                *key(&mut config.limits) = value;
                let error = config.check().expect_err("out of range").to_string();
                assert!(error.starts_with(&format!("limits.{name} is {value}")), "{error}");
            }
        }
    }

    #[test]
    fn what_is_not_written_are_the_limits_of_the_parser() {
        let limits = Limits::default();
        assert_eq!(limits.of_strangers(), stream::Limits::BEFORE_LOGIN);
        assert_eq!(limits.of_known(), stream::Limits::AFTER_LOGIN);
    }
}
