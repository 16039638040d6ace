//! Owns where a domain's servers are: static routes, else DNS (RFC 6120 §3.2, RFC 2782, XEP-0368).
//!
//! Addresses of private networks are left out where a name led to them (`allow_private`): otherwise anybody with a
//! domain could have this server speak to the machines beside it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::config::Rules;
use crate::tlsa::Tlsa;

/// The port where no record names one (RFC 6120 §3.2.2).
const PORT: u16 = 5269;
/// Most records and addresses of one domain that are tried.
const TARGETS_MAX: usize = 16;

/// A server of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// TLS from the first byte (XEP-0368).
    pub direct: bool,
    /// An operator has said so: any address will do.
    pub routed: bool,
}

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// The lowest first.
    pub priority: u16,
    /// The share among those of the same priority.
    pub weight: u16,
    /// The server.
    pub target: Target,
}

/// Why no server of a domain is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// It has none, and says so.
    #[error("{0}")]
    None(String),
    /// It cannot be found out now.
    #[error("{0}")]
    Failed(String),
}

/// Finds servers of domains.
#[derive(Clone)]
pub struct Resolver {
    names: TokioResolver,
    routes: BTreeMap<String, String>,
    allow_private: bool,
}

impl Resolver {
    /// Asks these name servers; the system's where none is named.
    ///
    /// # Errors
    /// The system's configuration cannot be read.
    pub fn new(servers: &[SocketAddr], rules: &Rules) -> Result<Self, NetError> {
        let builder = match servers {
            [] => TokioResolver::builder_tokio()?,
            servers => {
                let servers = servers.iter().copied().map(name_server).collect();
                let config = ResolverConfig::from_name_servers(servers);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let names = builder.build()?;
        Ok(Self { names, routes: rules.route.clone(), allow_private: rules.allow_private })
    }

    /// The servers of a domain, in the order in which they are to be tried. `random` answers a number below its
    /// argument.
    ///
    /// # Errors
    /// [`ResolveError`], with what DNS said.
    pub async fn targets(
        &self,
        domain: &str,
        random: &mut dyn FnMut(u32) -> u32,
    ) -> Result<Vec<Target>, ResolveError> {
        if let Some(route) = self.routes.get(domain) {
            let (host, port) = route.rsplit_once(':').unwrap_or((route, ""));
            let port = port.parse().unwrap_or(PORT);
            let host = host.trim_matches(['[', ']']).to_owned();
            return Ok(vec![Target { host, port, direct: false, routed: true }]);
        }
        let plain = |host| Target { host, port: PORT, direct: false, routed: false };
        let literal = domain.trim_matches(['[', ']']);
        if literal.parse::<IpAddr>().is_ok() {
            return Ok(vec![plain(literal.to_owned())]);
        }
        let name = ascii(domain)
            .ok_or_else(|| ResolveError::None(format!("{domain} is no name that DNS can have")))?;
        let mut records = self.records(&format!("_xmpp-server._tcp.{name}."), false).await?;
        records.extend(self.records(&format!("_xmpps-server._tcp.{name}."), true).await?);
        if records.is_empty() {
            return Ok(vec![plain(name)]);
        }
        // A root name says that the service is not there at all (RFC 2782).
        records.retain(|record| !record.target.host.is_empty());
        if records.is_empty() {
            return Err(ResolveError::None(format!("{domain} says in DNS that it has no server")));
        }
        Ok(ordered(records, random).into_iter().take(TARGETS_MAX).collect())
    }

    /// The SRV records of a service; none where there are none.
    ///
    /// # Errors
    /// DNS does not answer.
    pub async fn records(&self, service: &str, direct: bool) -> Result<Vec<Srv>, ResolveError> {
        let found = match self.names.srv_lookup(service).await {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
            Err(error) => return Err(failed(service, &error)),
        };
        let record = |data: &RData| match data {
            RData::SRV(srv) => {
                let host = srv.target.to_ascii().trim_end_matches('.').to_owned();
                let target = Target { host, port: srv.port, direct, routed: false };
                Some(Srv { priority: srv.priority, weight: srv.weight, target })
            }
            _ => None,
        };
        Ok(found.answers().iter().filter_map(|it| record(&it.data)).collect())
    }

    /// What DNS says of the certificate of a server (RFC 7673 §3); none where it says nothing. Nobody has proved it.
    ///
    /// # Errors
    /// DNS does not answer.
    pub async fn seals(&self, target: &Target) -> Result<Vec<Tlsa>, ResolveError> {
        let name = format!("_{}._tcp.{}.", target.port, target.host);
        let found = match self.names.lookup(name.as_str(), RecordType::TLSA).await {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
            Err(error) => return Err(failed(&name, &error)),
        };
        Ok(found.answers().iter().filter_map(|it| Tlsa::read(&it.data)).collect())
    }

    /// The addresses of a server that may be connected to.
    ///
    /// # Errors
    /// It has none, or none that may be used.
    pub async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, ResolveError> {
        let host = target.host.as_str();
        let found: Vec<IpAddr> = match host.parse() {
            Ok(literal) => vec![literal],
            Err(_) => match self.names.lookup_ip(format!("{host}.")).await {
                Ok(found) => found.iter().collect(),
                // The names that every machine knows of itself.
                Err(_) if host == "localhost" => vec![Ipv4Addr::LOCALHOST.into()],
                Err(error) if error.is_no_records_found() => {
                    return Err(ResolveError::None(format!("{host} has no address in DNS")));
                }
                Err(error) => return Err(failed(host, &error)),
            },
        };
        let may = |address: &IpAddr| target.routed || self.allow_private || is_public(*address);
        let addresses: Vec<SocketAddr> = found
            .iter()
            .filter(|it| may(it))
            .map(|address| SocketAddr::new(*address, target.port))
            .take(TARGETS_MAX)
            .collect();
        if addresses.is_empty() {
            let what =
                format!("{host} leads to private addresses only, which are not connected to");
            return Err(ResolveError::None(what));
        }
        Ok(addresses)
    }
}

fn failed(name: &str, error: &NetError) -> ResolveError {
    ResolveError::Failed(format!(
        "DNS does not say where {} is: {error}",
        name.trim_end_matches('.')
    ))
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut config = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut config.connections {
        connection.port = address.port();
    }
    config
}

/// A domain as DNS and certificates write it; none for one that they cannot.
#[must_use]
pub fn ascii(domain: &str) -> Option<String> {
    if domain.is_empty() || domain.contains(['[', ']', ':']) {
        return None;
    }
    let name = Name::from_utf8(domain).ok()?;
    Some(name.to_ascii().trim_end_matches('.').to_ascii_lowercase())
}

/// The order of RFC 2782: by priority, and within one by chance, weighted. Records of both services are one list
/// (XEP-0368 §3).
fn ordered(mut records: Vec<Srv>, random: &mut dyn FnMut(u32) -> u32) -> Vec<Target> {
    // Those of weight 0 come first, so that they are seldom drawn.
    records.sort_by_key(|record| (record.priority, Reverse(record.weight == 0)));
    let mut all = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let group = records.iter().take_while(|record| record.priority == priority);
        let sum: u32 = group.clone().map(|record| u32::from(record.weight)).sum();
        let drawn = random(sum + 1);
        let mut running = 0;
        let at = group.clone().position(|record| {
            running += u32::from(record.weight);
            running >= drawn
        });
        all.push(records.remove(at.unwrap_or(0)).target);
    }
    all
}

/// Whether an address is one of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        // This network; carriers' own; IETF assignments; benchmarks; reserved.
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, .., sixth, seventh] = address.segments();
    let embedded = Ipv4Addr::from(u32::from(sixth) << 16 | u32::from(seventh));
    match (first, second) {
        // What translates to IPv4 (RFC 6052), and what tunnels it (RFC 3056).
        (0x64, 0xff9b) => is_public_v4(embedded),
        (0x2002, _) | (0x2001, 0x0000..=0x01ff | 0x0db8) => false,
        // The global unicast space; everything else is local, multicast or unassigned.
        _ => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, host: &str) -> Srv {
        let target = Target { host: host.to_owned(), port: 1, direct: false, routed: false };
        Srv { priority, weight, target }
    }

    fn hosts(records: Vec<Srv>, draw: u32) -> Vec<String> {
        let mut random = |below: u32| draw.min(below - 1);
        ordered(records, &mut random).into_iter().map(|target| target.host).collect()
    }

    #[test]
    fn servers_are_tried_by_priority_and_within_one_by_weight() {
        let records = || {
            vec![
                srv(20, 0, "last"),
                srv(10, 60, "heavy"),
                srv(10, 0, "never"),
                srv(10, 20, "light"),
            ]
        };
        assert_eq!(hosts(records(), 0), ["never", "heavy", "light", "last"]);
        assert_eq!(hosts(records(), 1), ["heavy", "light", "never", "last"]);
        assert_eq!(hosts(records(), 61), ["light", "heavy", "never", "last"]);
    }

    #[test]
    fn over_many_draws_each_weight_has_its_share() {
        let mut state = 1_u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        let mut first = |_| ordered(vec![srv(1, 30, "a"), srv(1, 10, "b")], &mut random).remove(0);
        let a = (0..4_000).map(&mut first).filter(|target| target.host == "a").count();
        assert!((2_800..3_200).contains(&a), "{a} of 4000");
    }

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        let public = ["8.8.8.8", "192.1.0.1", "2a00:1450::1", "64:ff9b::808:808", "::ffff:8.8.8.8"];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        let private = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ];
        for address in private {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn domains_are_written_as_dns_writes_them() {
        assert_eq!(ascii("münchen.example").as_deref(), Some("xn--mnchen-3ya.example"));
        assert_eq!(ascii("A.example").as_deref(), Some("a.example"));
        assert_eq!(ascii("[::1]"), None);
    }
}
