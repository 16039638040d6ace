//! Owns the settings of components, with their defaults. Knows no file format.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xmpp::privilege::{Access, Delegated, Presence, Privileges};
use xmpp::{BareJid, IqType, ns};

/// Longer is nothing waited for.
const DAY_SECONDS: u64 = 86_400;

/// Settings of the gate.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Where components connect.
    pub listen: Vec<SocketAddr>,
    /// Who they are.
    pub components: Vec<Component>,
    /// How long components' streams stay open while this member may not act.
    pub isolation: Duration,
    /// False, for load tests: rates are not limited.
    pub limits: bool,
}

/// A component as it is written down.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Its domain.
    pub name: String,
    /// What people read in the list of services. Default: the domain.
    pub title: String,
    /// What it must know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The file that the secret is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// PEM file of the certificate, with the chain, that other servers are shown in its name. Default: the one of
    /// `[[domain]]` that names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Where it listens, as `host:port`, if it does: then it is connected to (`jabber:component:connect`). Default: it
    /// connects itself.
    pub connect: String,
    /// Addresses and networks that it may connect from, such as `10.0.0.0/8`. Default: any.
    pub allow: Vec<String>,
    /// Most streams that it may have to one member. Default 8.
    pub streams: usize,
    /// Seconds that a stanza may wait while it is away. Default 30.
    pub wait_seconds: u64,
    /// Most stanzas that wait for it, and for each of its streams. Default 10,000.
    pub queue_stanzas: usize,
    /// Most bytes of them. Default 8 MiB.
    pub queue_bytes: usize,
    /// Stanzas a second that it may send to one member, on average. Default 2,000.
    pub stanzas_per_second: u32,
    /// Bytes a second that it may send, on average. Default 4 MiB.
    pub bytes_per_second: u32,
    /// Seconds of silence after which it is pinged (XEP-0199); 0: never. Default 60.
    pub ping_seconds: u64,
    /// What it may do in the name of the server and its people (XEP-0356). Default: nothing.
    pub privilege: Privilege,
    /// Namespaces whose requests it answers in the server's place, each with the attributes that a request must have
    /// (XEP-0355). Default: none.
    pub delegate: BTreeMap<String, Vec<String>>,
}

/// What a component may do in the name of the server and its people (XEP-0356). Default: nothing.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Privilege {
    /// With people's rosters.
    pub roster: Requests,
    /// Whether it is told of changes of rosters; where not said, if it may read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<bool>,
    /// Whether it may send messages in people's names.
    pub message: Messages,
    /// Whose presence it is told.
    pub presence: Shown,
    /// Which requests it may make in people's names, by the namespace of what they ask.
    pub iq: BTreeMap<String, Requests>,
}

/// Which requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Requests {
    /// None.
    #[default]
    None,
    /// Those that read.
    Get,
    /// Those that write.
    Set,
    /// Both.
    Both,
}

/// Which messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Messages {
    /// None.
    #[default]
    None,
    /// To anybody, in the names of people and of the server.
    Outgoing,
}

/// Whose presence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Nobody's.
    #[default]
    None,
    /// People's.
    ManagedEntity,
    /// That of their contacts too.
    Roster,
}

impl From<Requests> for Access {
    fn from(requests: Requests) -> Self {
        match requests {
            Requests::None => Self::None,
            Requests::Get => Self::Get,
            Requests::Set => Self::Set,
            Requests::Both => Self::Both,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: String::new(),
            title: String::new(),
            secret: None,
            secret_file: None,
            certificate: None,
            key: None,
            connect: String::new(),
            allow: Vec::new(),
            streams: 8,
            wait_seconds: 30,
            queue_stanzas: 10_000,
            queue_bytes: 8 << 20,
            stanzas_per_second: 2_000,
            bytes_per_second: 4 << 20,
            ping_seconds: 60,
            privilege: Privilege::default(),
            delegate: BTreeMap::new(),
        }
    }
}

/// A component.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its domain.
    pub domain: BareJid,
    /// What it must know.
    pub secret: Secret,
    /// Where it may connect from; empty: from anywhere.
    pub allow: Vec<Network>,
    /// What it may do in the names of others.
    pub privileges: Privileges,
    /// Everything else.
    pub settings: Settings,
}

/// A secret, which no log shows.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A network, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Of `address` or `address/bits`; none where it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        let cut = |whole: u128, most: u32| whole.checked_shr(most - self.bits).unwrap_or(0);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                cut(a.to_bits().into(), 32) == cut(b.to_bits().into(), 32)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => cut(a.to_bits(), 128) == cut(b.to_bits(), 128),
            _ => false,
        }
    }
}

impl Settings {
    /// Everything that can be checked without the secret.
    ///
    /// # Errors
    /// What makes no sense, behind the name of the component.
    pub fn check(&self) -> Result<(BareJid, Vec<Network>), String> {
        let domain = BareJid::parse(&self.name).ok().filter(|jid| jid.localpart().is_none());
        let domain = domain.ok_or("has no name that is a domain")?;
        match (&self.secret, &self.secret_file) {
            (Some(Secret(secret)), None) if secret.is_empty() => {
                return Err("has an empty secret".to_owned());
            }
            (Some(_), None) | (None, Some(_)) => {}
            _ => return Err("needs either secret or secret_file".to_owned()),
        }
        let most = [
            ("streams", self.streams),
            ("queue_stanzas", self.queue_stanzas),
            ("queue_bytes", self.queue_bytes),
            ("stanzas_per_second", self.stanzas_per_second as usize),
            ("bytes_per_second", self.bytes_per_second as usize),
        ];
        if let Some((key, _)) = most.into_iter().find(|(_, value)| *value == 0) {
            return Err(format!("has {key} = 0, which lets nothing pass"));
        }
        let times = [("wait_seconds", self.wait_seconds), ("ping_seconds", self.ping_seconds)];
        if let Some((key, value)) = times.into_iter().find(|(_, value)| *value > DAY_SECONDS) {
            return Err(format!("has {key} = {value}, but {DAY_SECONDS} at most are possible"));
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err("needs both certificate and key, or neither".to_owned());
        }
        let end = self.connect.rsplit_once(':');
        let is_end = end.is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
        if !self.connect.is_empty() && !is_end {
            return Err(format!("has connect = {:?}: write it as host:port", self.connect));
        }
        self.check_privileges()?;
        let network = |text: &String| {
            let what = || format!("has {text:?} in allow, which is no address and no network");
            Network::parse(text).ok_or_else(what)
        };
        let allow = self.allow.iter().map(network).collect::<Result<_, _>>()?;
        Ok((domain, allow))
    }
}

impl Settings {
    /// XEP-0356 §7.4: contacts' presence only for who may read rosters; XEP-0355 §8 rule 5.
    fn check_privileges(&self) -> Result<(), String> {
        let reads = Access::from(self.privilege.roster).allows(IqType::Get);
        if self.privilege.presence == Shown::Roster && !reads {
            return Err("has privilege.presence = \"roster\", but may not read rosters".to_owned());
        }
        if self.privilege.push == Some(true) && !reads {
            return Err("has privilege.push, but may not read rosters".to_owned());
        }
        let own = [ns::DELEGATION, ns::PRIVILEGE];
        match self.delegate.keys().find(|namespace| own.contains(&namespace.as_str())) {
            Some(namespace) => Err(format!("cannot be delegated {namespace}")),
            None => Ok(()),
        }
    }

    /// What it may do, by its domain.
    #[must_use]
    pub fn privileges(&self, domain: BareJid) -> Privileges {
        let Privilege { roster, push, message, presence, iq } = &self.privilege;
        let delegated = |(namespace, attributes): (&String, &Vec<String>)| Delegated {
            ns: namespace.clone(),
            attributes: attributes.clone(),
        };
        Privileges {
            domain,
            roster: (*roster).into(),
            push: push.unwrap_or(true),
            message: *message == Messages::Outgoing,
            presence: match presence {
                Shown::None => Presence::None,
                Shown::ManagedEntity => Presence::Managed,
                Shown::Roster => Presence::Roster,
            },
            iq: iq.iter().map(|(namespace, it)| (namespace.clone(), (*it).into())).collect(),
            delegated: self.delegate.iter().map(delegated).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_as_it_does() {
        let has = |network: &str, address: &str| {
            Network::parse(network).unwrap().has(address.parse().unwrap())
        };
        assert!(has("10.0.0.0/8", "10.9.8.7") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("10.1.2.3", "10.1.2.3") && !has("10.1.2.3", "10.1.2.4"));
        assert!(has("10.1.2.3", "::ffff:10.1.2.3"));
        assert!(has("2001:db8::/32", "2001:db8:1::1") && !has("2001:db8::/32", "2001:db9::1"));
        assert!(has("0.0.0.0/0", "192.0.2.1") && !has("0.0.0.0/0", "::1") && has("::/0", "::1"));
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "example.org", "10.0.0/8"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_component_needs_a_domain_and_one_secret_that_nothing_shows() {
        let secret = Some(Secret("s3cret".to_owned()));
        let good = Settings { name: "irc.example.org".to_owned(), secret, ..Settings::default() };
        assert!(good.check().is_ok());
        assert!(!format!("{good:?}").contains("s3cret"));
        let wrong = [
            Settings { name: "a@b".to_owned(), ..good.clone() },
            Settings { secret: None, ..good.clone() },
            Settings { secret: Some(Secret(String::new())), ..good.clone() },
            Settings { secret_file: Some("f".into()), ..good.clone() },
            Settings { allow: vec!["x".to_owned()], ..good.clone() },
            Settings { streams: 0, ..good.clone() },
            Settings { connect: "10.0.0.1".to_owned(), ..good.clone() },
            Settings { connect: ":5347".to_owned(), ..good.clone() },
            Settings { connect: "10.0.0.1:0".to_owned(), ..good.clone() },
            Settings { wait_seconds: u64::MAX, ..good.clone() },
            Settings { ping_seconds: u64::MAX, ..good.clone() },
            Settings { certificate: Some("c".into()), ..good.clone() },
            Settings {
                privilege: Privilege { presence: Shown::Roster, ..Privilege::default() },
                ..good.clone()
            },
            Settings {
                delegate: BTreeMap::from([(ns::DELEGATION.to_owned(), Vec::new())]),
                ..good
            },
        ];
        for settings in wrong {
            assert!(settings.check().is_err(), "{settings:?}");
        }
    }
}
