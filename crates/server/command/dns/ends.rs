//! Owns where clients and other servers of a domain connect to: what its SRV records say, and what is tried without any (RFC
//! 6120 §3.2).

use std::net::SocketAddr;

use s2s::resolve::{Resolver, Srv, Target, ascii};
use serde::Serialize;

/// The services of clients and of servers, and whether TLS begins with the first byte.
const SERVICES: [(&str, bool); 4] = [
    ("_xmpp-client", false),
    ("_xmpps-client", true),
    ("_xmpp-server", false),
    ("_xmpps-server", true),
];

/// Where the domain itself is tried without records (RFC 6120 §3.2.2): for whom, by which service, at which port.
const FALLBACKS: [(&str, &str, u16); 2] =
    [("client", "_xmpp-client", 5222), ("server", "_xmpp-server", 5269)];

/// The SRV records of a service.
#[derive(Debug, Serialize)]
pub(super) struct Service {
    /// Where they stand in DNS.
    pub(super) name: String,
    #[serde(skip)]
    pub(super) service: &'static str,
    pub(super) records: Vec<String>,
    /// Why that is not known.
    pub(super) problem: Option<String>,
}

/// Where somebody connects to.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// The service that it is to have.
    pub(super) service: &'static str,
    pub(super) target: Target,
    /// No record leads there: it is the domain itself.
    pub(super) is_fallback: bool,
    /// None where DNS has none, or none that may be connected to.
    pub(super) addresses: Vec<SocketAddr>,
}

impl End {
    async fn new(
        resolver: &Resolver,
        service: &'static str,
        target: Target,
        is_fallback: bool,
    ) -> Self {
        let addresses = resolver.addresses(&target).await.unwrap_or_default();
        Self { service, target, is_fallback, addresses }
    }

    pub(super) fn is_for_clients(&self) -> bool {
        self.service.ends_with("client")
    }
}

/// Asks for all of them.
pub(super) async fn look(resolver: &Resolver, domain: &str) -> (Vec<Service>, Vec<End>) {
    let (mut services, mut ends) = (Vec::new(), Vec::new());
    for (service, direct) in SERVICES {
        // An address has no records.
        let Some(ascii) = ascii(domain) else { continue };
        let name = format!("{service}._tcp.{ascii}");
        let (records, problem) = match resolver.judged_records(&format!("{name}."), direct).await {
            Ok(records) => (records, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        for record in records.iter().filter(|it| !it.target.host.is_empty()) {
            ends.push(End::new(resolver, service, record.target.clone(), false).await);
        }
        let records = records.iter().map(record).collect();
        services.push(Service { name, service, records, problem });
    }
    for (whom, service, port) in FALLBACKS {
        let mut of_them = services.iter().filter(|it| it.service.ends_with(whom));
        // Where DNS has failed, nobody knows.
        if of_them.all(|it| it.records.is_empty() && it.problem.is_none()) {
            let target = itself(domain, port);
            ends.push(End::new(resolver, service, target, true).await);
        }
    }
    (services, ends)
}

/// The domain as its own server. What DNS says of it is said of its server (RFC 6698 §3).
fn itself(domain: &str, port: u16) -> Target {
    let host = ascii(domain).unwrap_or_else(|| domain.trim_matches(['[', ']']).to_owned());
    Target { host, port, direct: false, routed: false, proved: true }
}

fn record(Srv { priority, weight, target }: &Srv) -> String {
    if target.host.is_empty() {
        return "none, and says so (.)".to_owned();
    }
    format!("{}:{} (priority {priority}, weight {weight})", target.host, target.port)
}
