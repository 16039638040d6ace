//! Owns the name of which every address is a member's, such as a headless service's: who is there by it now. Asks
//! the configured name servers, or the system's.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// Members come and go: an answer is not kept for longer, whatever it says of itself.
const FRESH: Duration = Duration::from_secs(1);

/// Looks names up.
#[derive(Clone)]
pub(crate) struct Names {
    resolver: TokioResolver,
}

impl Names {
    /// Asks these servers; the system's where none is named.
    ///
    /// # Errors
    ///
    /// The system's configuration cannot be read.
    pub(crate) fn new(servers: &[SocketAddr]) -> Result<Self, NetError> {
        let mut builder = match servers {
            [] => TokioResolver::builder_tokio()?,
            servers => {
                let servers = servers.iter().copied().map(server).collect();
                let config = ResolverConfig::from_name_servers(servers);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        options.positive_max_ttl = Some(FRESH);
        options.negative_max_ttl = Some(FRESH);
        Ok(Self { resolver: builder.build()? })
    }

    /// All addresses of a name of the form `host:port`.
    ///
    /// # Errors
    ///
    /// It has none, or nobody answers.
    pub(crate) async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, NetError> {
        let (host, port) = name.rsplit_once(':').unwrap_or((name, ""));
        let Ok(port) = port.parse() else { return Ok(Vec::new()) };
        if let Ok(literal) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(literal, port)]);
        }
        let found = self.resolver.lookup_ip(host).await?;
        Ok(found.iter().map(|address| SocketAddr::new(address, port)).collect())
    }
}

fn server(address: SocketAddr) -> NameServerConfig {
    let mut config = NameServerConfig::udp_and_tcp(address.ip());
    let ports = config.connections.iter_mut();
    ports.for_each(|connection: &mut ConnectionConfig| connection.port = address.port());
    config
}
