//! Owns which names in SRV records are aliases, which they must not be (RFC 2782, "Target").

use std::net::SocketAddr;

use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::ends::End;

/// Most names that are asked about.
const NAMES_MAX: usize = 32;

/// What is to be said of those that are, in words for people. Asks these name servers; the system's where none is named.
///
/// # Errors
/// The system's configuration cannot be read.
pub(super) async fn remarks(servers: &[SocketAddr], ends: &[End]) -> Result<Vec<String>, NetError> {
    let resolver = resolver(servers)?;
    let of_records = ends.iter().filter(|end| !end.is_fallback);
    let mut hosts: Vec<&str> = of_records.map(|end| end.target.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.truncate(NAMES_MAX);
    let found = join_all(hosts.iter().map(|host| alias(&resolver, host))).await;
    let said = hosts.iter().zip(found).filter_map(|(host, of)| {
        let of = of?;
        Some(format!(
            "records lead to {host}, which is an alias (CNAME) of {of}: SRV records must name that itself"
        ))
    });
    Ok(said.collect())
}

/// What a name is an alias of. A name server that does not say is no reason to complain of that.
async fn alias(resolver: &TokioResolver, host: &str) -> Option<String> {
    let found = resolver.lookup(format!("{host}."), RecordType::CNAME).await.ok()?;
    found.answers().iter().find_map(|record| match &record.data {
        RData::CNAME(of) => Some(of.0.to_ascii().trim_end_matches('.').to_owned()),
        _ => None,
    })
}

fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    if servers.is_empty() {
        return TokioResolver::builder_tokio()?.build();
    }
    let server = |address: &SocketAddr| {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        server.connections.iter_mut().for_each(|it| it.port = address.port());
        server
    };
    let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build()
}
