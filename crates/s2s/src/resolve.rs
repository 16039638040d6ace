//! Owns where a domain's servers are: static routes, else DNS (RFC 6120 §3.2, RFC 2782, XEP-0368).
//!
//! Addresses of private networks are left out where a name led to them (`allow_private`): otherwise anybody with a
//! domain could have this server speak to the machines beside it.
//!
//! | module | owns |
//! |---|---|
//! | `prove` | what DNSSEC proves of a name |
//! | `public` | which addresses are of the public internet |

mod prove;
mod public;

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};

use crate::config::{Dane, Rules, names};
use crate::tlsa::Tlsa;
use prove::Validator;
use public::is_public;

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
    /// Nobody else can have said so: an operator has, or DNSSEC proves the record that leads here.
    pub proved: bool,
}

impl Target {
    /// Of a host with a port or without; an IPv6 address in brackets. Nobody vouches for it.
    pub(crate) fn named(text: &str) -> Option<Self> {
        let (host, port) = match names::is_end(text) {
            true => {
                text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)))?
            }
            false => (text, PORT),
        };
        let literal = host.trim_matches(['[', ']']);
        let host = match literal.parse::<IpAddr>() {
            Ok(_) => literal.to_owned(),
            Err(_) => ascii(host)?,
        };
        Some(Self { host, port, direct: false, routed: false, proved: false })
    }
}

/// What DNS says of the certificate of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsaRecords {
    /// Its TLSA records (RFC 7673 §3.3).
    pub records: Vec<Tlsa>,
    /// Whether DNSSEC proves them; otherwise they say nothing.
    pub proved: bool,
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
pub struct Resolver {
    names: TokioResolver,
    prover: Validator,
    rules: Rules,
}

impl Resolver {
    /// Asks these name servers; the system's where none is named. DNSSEC begins with the keys in `anchor`; with those of
    /// the root where no file is named.
    ///
    /// # Errors
    /// The system's configuration or the file cannot be read.
    pub fn new(
        servers: &[SocketAddr],
        anchor: Option<&Path>,
        rules: &Rules,
    ) -> Result<Self, NetError> {
        let names = builder(servers)?.build()?;
        let prover = Validator::new(builder(servers)?, anchor)?;
        Ok(Self { names, prover, rules: rules.clone() })
    }

    /// Forgets what DNS has said, also that there is nothing: it is asked again.
    pub(crate) fn forget(&self) {
        self.names.clear_cache();
        self.prover.forget();
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
        let looks = self.rules.dane_for(domain) != Dane::Off;
        if let Some(route) = self.rules.route.get(&*names::key(domain)) {
            let (host, port) = route.rsplit_once(':').unwrap_or((route, ""));
            let port = port.parse().unwrap_or(PORT);
            let host = host.trim_matches(['[', ']']).to_owned();
            return Ok(vec![Target { host, port, direct: false, routed: true, proved: looks }]);
        }
        let plain =
            |host, proved| Target { host, port: PORT, direct: false, routed: false, proved };
        let literal = domain.trim_matches(['[', ']']);
        if literal.parse::<IpAddr>().is_ok() {
            return Ok(vec![plain(literal.to_owned(), false)]);
        }
        let name = ascii(domain)
            .ok_or_else(|| ResolveError::None(format!("{domain} is no name that DNS can have")))?;
        let (clear, direct) =
            (format!("_xmpp-server._tcp.{name}."), format!("_xmpps-server._tcp.{name}."));
        let mut unheard = None;
        let mut records: Vec<Srv> = match looks {
            true => {
                let mut records = self.proved_records(&clear, false).await?;
                records.extend(self.proved_records(&direct, true).await?);
                records
            }
            // One service that DNS says nothing of is no reason not to use the other one; and where it says nothing of
            // both, the domain's own address is tried, as if there were no records (RFC 6120 §3.2.1).
            false => {
                let (clear, direct) =
                    tokio::join!(self.records(&clear, false), self.records(&direct, true));
                let heard = |found: Result<Vec<Srv>, _>| {
                    found.unwrap_or_else(|error| {
                        unheard = Some(error);
                        Vec::new()
                    })
                };
                [clear, direct].into_iter().flat_map(heard).collect()
            }
        };
        if records.is_empty() {
            // What DNS says of the domain itself is said of its server (RFC 6698 §3).
            return Ok(vec![plain(name, looks)]);
        }
        // A root name says that the service is not there at all (RFC 2782), but nothing of the other one (XEP-0368 §5).
        records.retain(|record| !record.target.host.is_empty());
        if records.is_empty() {
            let none = || ResolveError::None(format!("{domain} says in DNS that it has no server"));
            return Err(unheard.unwrap_or_else(none));
        }
        Ok(ordered(records, random).into_iter().take(TARGETS_MAX).collect())
    }

    /// The SRV records of a service; none where there are none.
    async fn records(&self, service: &str, direct: bool) -> Result<Vec<Srv>, ResolveError> {
        let found = match self.names.srv_lookup(service).await {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
            Err(error) => return Err(failed(service, &error)),
        };
        Ok(found.answers().iter().filter_map(|it| record(&it.data, direct, false)).collect())
    }

    /// The same, by DNSSEC: what is false is an error (RFC 7673 §3.1).
    async fn proved_records(&self, service: &str, direct: bool) -> Result<Vec<Srv>, ResolveError> {
        let found = self.prover.look_up(service, RecordType::SRV).await?;
        Ok(found.data.iter().filter_map(|it| record(it, direct, found.secure)).collect())
    }

    /// The SRV records of a service, whoever says so, and of each whether DNSSEC proves it.
    ///
    /// # Errors
    /// DNS does not answer.
    pub async fn judged_records(
        &self,
        service: &str,
        direct: bool,
    ) -> Result<Vec<Srv>, ResolveError> {
        match self.proved_records(service, direct).await {
            Ok(records) if !records.is_empty() => Ok(records),
            _ => self.records(service, direct).await,
        }
    }

    /// What DNS says of the certificate of a server, whoever says so (RFC 7673 §3.3).
    ///
    /// # Errors
    /// DNS does not answer.
    pub async fn seals(&self, target: &Target) -> Result<TlsaRecords, ResolveError> {
        match self.reach(target).await {
            Ok((_, seals)) if seals.proved => return Ok(seals),
            _ => {}
        }
        let name = seals_name(target);
        let found = match self.names.lookup(name.as_str(), RecordType::TLSA).await {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Ok(TlsaRecords::default()),
            Err(error) => return Err(failed(&name, &error)),
        };
        let records = found.answers().iter().filter_map(|it| Tlsa::read(&it.data)).collect();
        Ok(TlsaRecords { records, proved: false })
    }

    /// The addresses of a server that may be connected to, and what DNSSEC proves of the certificate there (RFC 7673
    /// §3.2, §3.3).
    ///
    /// # Errors
    /// It has none, none that may be used, or somebody says what is false.
    pub async fn reach(
        &self,
        target: &Target,
    ) -> Result<(Vec<SocketAddr>, TlsaRecords), ResolveError> {
        if !target.proved || target.host.parse::<IpAddr>().is_ok() {
            return Ok((self.addresses(target).await?, TlsaRecords::default()));
        }
        let (found, secure) = self.prover.addresses(&target.host).await?;
        let addresses = self.usable(target, &found)?;
        let seals = match secure {
            true => self.proved_seals(target).await?,
            false => TlsaRecords::default(),
        };
        Ok((addresses, seals))
    }

    /// The records are none where DNSSEC does not prove them.
    async fn proved_seals(&self, target: &Target) -> Result<TlsaRecords, ResolveError> {
        let found = self.prover.look_up(&seals_name(target), RecordType::TLSA).await?;
        if !found.secure {
            return Ok(TlsaRecords::default());
        }
        let records = found.data.iter().filter_map(Tlsa::read).collect();
        Ok(TlsaRecords { records, proved: true })
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
        self.usable(target, &found)
    }

    /// Those that may be connected to.
    fn usable(&self, target: &Target, found: &[IpAddr]) -> Result<Vec<SocketAddr>, ResolveError> {
        let any = target.routed || self.rules.allow_private;
        let addresses: Vec<SocketAddr> = found
            .iter()
            .filter(|it| any || is_public(**it))
            .map(|address| SocketAddr::new(*address, target.port))
            .take(TARGETS_MAX)
            .collect();
        if addresses.is_empty() {
            let host = &target.host;
            let what =
                format!("{host} leads to private addresses only, which are not connected to");
            return Err(ResolveError::None(what));
        }
        Ok(addresses)
    }
}

fn builder(servers: &[SocketAddr]) -> Result<ResolverBuilder<TokioRuntimeProvider>, NetError> {
    match servers {
        [] => TokioResolver::builder_tokio(),
        servers => {
            let servers = servers.iter().copied().map(name_server).collect();
            let config = ResolverConfig::from_name_servers(servers);
            Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        }
    }
}

fn record(data: &RData, direct: bool, proved: bool) -> Option<Srv> {
    let RData::SRV(srv) = data else { return None };
    let host = srv.target.to_ascii().trim_end_matches('.').to_owned();
    let target = Target { host, port: srv.port, direct, routed: false, proved };
    Some(Srv { priority: srv.priority, weight: srv.weight, target })
}

/// RFC 7673 §3.3.
fn seals_name(target: &Target) -> String {
    format!("_{}._tcp.{}.", target.port, target.host)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, host: &str) -> Srv {
        let target =
            Target { host: host.to_owned(), port: 1, direct: false, routed: false, proved: false };
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
    fn a_host_may_be_named_with_a_port_or_without() {
        let named = |text| Target::named(text).map(|it| (it.host, it.port));
        let is = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(named("x.example:5299"), is("x.example", 5299));
        assert_eq!(named("x.example"), is("x.example", PORT));
        assert_eq!(named("[2001:db8::1]:5299"), is("2001:db8::1", 5299));
        assert_eq!(named("[2001:db8::1]"), is("2001:db8::1", PORT));
        assert_eq!(named("192.0.2.1"), is("192.0.2.1", PORT));
        for wrong in ["", "x.example:0", "x.example:port", ":5299"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn domains_are_written_as_dns_writes_them() {
        assert_eq!(ascii("münchen.example").as_deref(), Some("xn--mnchen-3ya.example"));
        assert_eq!(ascii("A.example").as_deref(), Some("a.example"));
        assert_eq!(ascii("[::1]"), None);
    }
}
