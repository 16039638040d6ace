//! Owns the settings of federation, with their defaults, and the rule which servers may be spoken with. Knows no file
//! format.

pub(crate) mod names;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use proto::Lanes;
use serde::{Deserialize, Serialize};
use xmpp::Jid;

/// Most lanes to one domain.
const LANES_MAX: u8 = 16;

/// Settings of the gate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// For streams that begin in the clear and upgrade by STARTTLS.
    pub listen: Vec<SocketAddr>,
    /// For TLS from the first byte (XEP-0368).
    pub listen_tls: Vec<SocketAddr>,
    /// Name servers; empty: the system's.
    pub name_servers: Vec<SocketAddr>,
    /// DNSKEY records that DNSSEC begins with; none: the root's.
    pub trust_anchor: Option<PathBuf>,
    /// Everything else.
    pub rules: Rules,
    /// How long other servers' streams stay open while this member may not act.
    pub isolation: Duration,
    /// False, for load tests: rates and numbers are not limited.
    pub limits: bool,
}

/// Federation with other servers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// How other servers prove who they are. Default `secure`.
    pub policy: Policy,
    /// The same for single domains, by their name.
    pub policies: BTreeMap<String, Policy>,
    /// Whether TLSA records that DNSSEC proves say which certificate a server may show (RFC 7673). Default `off`.
    pub dane: Dane,
    /// The same for single domains, by their name.
    pub dane_of: BTreeMap<String, Dane>,
    /// Whether fingerprints that a domain publishes by HTTPS count where authorities do not vouch for a certificate (RFC
    /// 7711). Default false.
    pub posh: bool,
    /// Where hosts of such documents are, as `host:port`, instead of asking DNS.
    pub posh_route: BTreeMap<String, String>,
    /// Where not empty: no others are spoken with.
    pub allow: Vec<String>,
    /// These are not spoken with; a domain stands for its subdomains too. `name@domain` is one person alone.
    pub deny: Vec<String>,
    /// PEM file of the authorities that are trusted to say who a server is. Default
    /// `/etc/ssl/certs/ca-certificates.crt`.
    pub ca_file: PathBuf,
    /// Whether private and loopback addresses that DNS names are connected to. Default false.
    pub allow_private: bool,
    /// Whether streams may carry stanzas both ways (XEP-0288): ours to others that offer it, where their certificates
    /// prove who they are, and theirs to us, where they have proved it. Default true.
    pub bidirectional: bool,
    /// Whether several domains of either side may go by one stream of ours, where the other end takes them (XEP-0220
    /// §2.6). Default true.
    pub share_streams: bool,
    /// Where domains are, as `host:port`, instead of asking DNS.
    pub route: BTreeMap<String, String>,
    /// Seconds that a stanza may wait for its server before it comes back with an error. Default 30.
    pub wait_seconds: u64,
    /// Seconds that another server has to connect and to prove who it is. Default 30.
    pub negotiation_seconds: u64,
    /// Seconds without a stanza after which a stream of ours is closed. Default 600.
    pub idle_seconds: u64,
    /// Lanes to each other domain: queues, each with a stream of its own, that different members may own. What one address
    /// says to another stays in order. The same on all members; at most 16. Default 1.
    pub lanes: NonZeroU8,
    /// The same for single domains, by their name.
    pub lanes_of: BTreeMap<String, NonZeroU8>,
    /// Most stanzas that wait for one domain in one lane. Default 10,000.
    pub queue_stanzas: usize,
    /// Most bytes of them. Default 8 MiB.
    pub queue_bytes: usize,
    /// Most domains that are spoken with at a time; each lane counts. Default 10,000.
    pub domains: usize,
    /// Most streams of other servers at a time. Default 10,000.
    pub connections: usize,
    /// Most of them from one address that have not proved who they are. Default 64.
    pub connections_per_address: usize,
    /// Most of them that speak for one domain. Default 256.
    pub connections_per_domain: usize,
    /// Bytes a second that another server may send on one stream, whoever has opened it, on average. Default 1 MiB.
    pub bytes_per_second: u32,
    /// Stanzas a second that it may send, on average. Default 1,000.
    pub stanzas_per_second: u32,
    /// Bytes a second that one domain may send to a member, over all streams, on average. Default 4 MiB.
    pub domain_bytes_per_second: u32,
    /// Stanzas a second that it may send, on average. Default 4,000.
    pub domain_stanzas_per_second: u32,
}

/// How another server must prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// By a certificate that names it (RFC 6120 §13.7, XEP-0178).
    Secure,
    /// By that, or by dialback (XEP-0220).
    Dialback,
    /// It is not spoken with.
    Off,
}

/// What TLSA records are to a domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dane {
    /// They are not looked at.
    #[default]
    Off,
    /// Where there are some, they decide.
    Use,
    /// There must be some, and they decide.
    Require,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            policy: Policy::Secure,
            policies: BTreeMap::new(),
            dane: Dane::Off,
            dane_of: BTreeMap::new(),
            posh: false,
            posh_route: BTreeMap::new(),
            allow: Vec::new(),
            deny: Vec::new(),
            ca_file: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
            allow_private: false,
            bidirectional: true,
            share_streams: true,
            route: BTreeMap::new(),
            wait_seconds: 30,
            negotiation_seconds: 30,
            idle_seconds: 600,
            lanes: NonZeroU8::MIN,
            lanes_of: BTreeMap::new(),
            queue_stanzas: 10_000,
            queue_bytes: 8 << 20,
            domains: 10_000,
            connections: 10_000,
            connections_per_address: 64,
            connections_per_domain: 256,
            bytes_per_second: 1 << 20,
            stanzas_per_second: 1_000,
            domain_bytes_per_second: 4 << 20,
            domain_stanzas_per_second: 4_000,
        }
    }
}

impl Rules {
    /// How a domain must prove who it is. The names of the settings are normalised ([`Rules::normalised`]).
    #[must_use]
    pub fn policy_for(&self, domain: &str) -> Policy {
        let key = names::key(domain);
        let domain = &*key;
        let is_within = |name: &String| {
            domain == name || domain.strip_suffix(name.as_str()).is_some_and(|it| it.ends_with('.'))
        };
        let is_allowed = self.allow.is_empty() || self.allow.iter().any(|name| name == domain);
        if !is_allowed || self.deny.iter().any(is_within) {
            return Policy::Off;
        }
        self.policies.get(domain).copied().unwrap_or(self.policy)
    }

    /// Whether a person of another server is not spoken with, whatever holds for the domain.
    #[must_use]
    pub fn shuts_out(&self, who: &Jid) -> bool {
        let is_person = |name: &String| {
            name.split_once('@').is_some_and(|(local, domain)| {
                who.localpart() == Some(local) && who.domainpart() == domain
            })
        };
        self.deny.iter().any(is_person)
    }

    /// What TLSA records are to a domain.
    #[must_use]
    pub fn dane_for(&self, domain: &str) -> Dane {
        self.dane_of.get(&*names::key(domain)).copied().unwrap_or(self.dane)
    }

    /// How many lanes there are to other domains.
    #[must_use]
    pub fn lanes(&self) -> Lanes {
        Lanes::new(self.lanes, self.lanes_of.clone())
    }

    /// Whether anybody at all may be spoken with.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.policy != Policy::Off || self.policies.values().any(|policy| *policy != Policy::Off)
    }

    /// What is wrong with the settings.
    ///
    /// # Errors
    /// One line, with what to write instead.
    pub fn check(&self) -> Result<(), String> {
        self.clone().normalised()?;
        for (key, routes) in [("route", &self.route), ("posh_route", &self.posh_route)] {
            for (domain, target) in routes {
                if !names::is_end(target) {
                    return Err(format!(
                        "s2s.{key} of {domain} is {target:?}: write it as host:port"
                    ));
                }
            }
        }
        let all = ("all domains", self.lanes);
        let of = self.lanes_of.iter().map(|(domain, lanes)| (domain.as_str(), *lanes));
        if let Some((whose, lanes)) = of.chain([all]).find(|(_, lanes)| lanes.get() > LANES_MAX) {
            return Err(format!(
                "s2s has {lanes} lanes for {whose}, but {LANES_MAX} at most are possible"
            ));
        }
        let least = [
            ("queue_stanzas", self.queue_stanzas as u64),
            ("queue_bytes", self.queue_bytes as u64),
            ("domains", self.domains as u64),
            ("connections", self.connections as u64),
            ("connections_per_address", self.connections_per_address as u64),
            ("connections_per_domain", self.connections_per_domain as u64),
            ("bytes_per_second", self.bytes_per_second.into()),
            ("domain_bytes_per_second", self.domain_bytes_per_second.into()),
            ("domain_stanzas_per_second", self.domain_stanzas_per_second.into()),
            ("stanzas_per_second", self.stanzas_per_second.into()),
        ];
        if let Some((name, _)) = least.iter().find(|(_, value)| *value == 0) {
            return Err(format!("s2s.{name} is 0, but must be at least 1"));
        }
        let times = [
            ("wait_seconds", self.wait_seconds, 86_400),
            ("negotiation_seconds", self.negotiation_seconds, 3_600),
            ("idle_seconds", self.idle_seconds, 86_400),
        ];
        match times.iter().find(|(_, value, most)| !(1..=*most).contains(value)) {
            Some((name, value, most)) => {
                Err(format!("s2s.{name} is {value}, but must be from 1 to {most}"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_policies_of_single_domains_decide_before_the_policy_of_all() {
        let rules = Rules {
            policies: BTreeMap::from([("old.example".to_owned(), Policy::Dialback)]),
            deny: vec!["bad.example".to_owned(), "rude@good.example".to_owned()],
            ..Rules::default()
        };
        let cases = [
            ("good.example", Policy::Secure),
            ("old.example", Policy::Dialback),
            ("bad.example", Policy::Off),
            ("rooms.bad.example", Policy::Off),
            ("notbad.example", Policy::Secure),
        ];
        for (domain, policy) in cases {
            assert_eq!(rules.policy_for(domain), policy, "{domain}");
        }
        let people =
            ["rude@good.example/x", "rude@good.example", "kind@good.example", "good.example"];
        let shut_out = people.map(|jid| rules.shuts_out(&Jid::parse(jid).unwrap()));
        assert_eq!(shut_out, [true, true, false, false]);
        let closed = Rules { allow: vec!["old.example".to_owned()], ..rules };
        assert_eq!(closed.policy_for("old.example"), Policy::Dialback);
        assert_eq!(closed.policy_for("good.example"), Policy::Off);
    }

    #[test]
    fn a_route_needs_a_port() {
        let route = |target: &str| Rules {
            route: BTreeMap::from([("a.example".to_owned(), target.to_owned())]),
            ..Rules::default()
        };
        assert_eq!(route("127.0.0.1:5269").check(), Ok(()));
        assert!(route("127.0.0.1").check().is_err());
        for wrong in ["127.0.0.1:0", ":5269", "127.0.0.1:65536", "::1:5269", "[]:5269", "a b:1"] {
            assert!(route(wrong).check().is_err(), "{wrong}");
        }
        for right in ["[::1]:5269", "xmpp.example.org:1"] {
            assert_eq!(route(right).check(), Ok(()), "{right}");
        }
    }

    #[test]
    fn times_and_numbers_have_bounds() {
        let day = 86_400;
        assert_eq!(Rules { wait_seconds: day, ..Rules::default() }.check(), Ok(()));
        let wrong = [
            Rules { wait_seconds: 0, ..Rules::default() },
            Rules { wait_seconds: day + 1, ..Rules::default() },
            Rules { negotiation_seconds: u64::MAX, ..Rules::default() },
            Rules { idle_seconds: u64::MAX, ..Rules::default() },
            Rules { connections: 0, ..Rules::default() },
            Rules { connections_per_address: 0, ..Rules::default() },
            Rules { connections_per_domain: 0, ..Rules::default() },
        ];
        for rules in wrong {
            let said = rules.check().unwrap_err();
            assert!(said.starts_with("s2s."), "{said}");
        }
    }

    #[test]
    fn a_domain_has_so_many_lanes_and_no_more_than_sixteen() {
        let rules = |all, big| {
            let [lanes, big] = [all, big].map(|it| NonZeroU8::new(it).unwrap());
            Rules {
                lanes,
                lanes_of: BTreeMap::from([("big.example".to_owned(), big)]),
                ..Rules::default()
            }
        };
        let counts =
            ["big.example", "other.example"].map(|it| rules(2, 16).lanes().count(it).get());
        assert_eq!(counts, [16, 2]);
        assert_eq!(rules(2, 16).check(), Ok(()));
        assert!(rules(2, 17).check().unwrap_err().contains("17 lanes for big.example"));
        assert!(rules(17, 2).check().is_err());
    }
}
