//! Owns the table `[listen]`: where to listen, and that nothing else does there.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Config, ConfigError};

/// Where to listen; an empty list closes it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Clients, with STARTTLS. Default `[::]:5222`.
    pub c2s: Vec<SocketAddr>,
    /// Clients, TLS from the first byte (XEP-0368). Default `[::]:5223`.
    pub c2s_tls: Vec<SocketAddr>,
    /// Other servers, with STARTTLS. Default `[::]:5269`.
    pub s2s: Vec<SocketAddr>,
    /// Other servers, TLS from the first byte (XEP-0368). Default `[::]:5270`.
    pub s2s_tls: Vec<SocketAddr>,
    /// Components, where there are any. Default `127.0.0.1:5347`.
    pub component: Vec<SocketAddr>,
    /// HTTP without TLS: health and metrics, and what clients find by way of a proxy. Default `127.0.0.1:5280`.
    pub http: Vec<SocketAddr>,
    /// HTTPS for clients: WebSocket, BOSH, and where to find them. Default `[::]:5443`.
    pub https: Vec<SocketAddr>,
}

impl Default for Listen {
    fn default() -> Self {
        let any = |port| SocketAddr::from(([0_u16; 8], port));
        Self {
            c2s: vec![any(5222)],
            c2s_tls: vec![any(5223)],
            s2s: vec![any(5269)],
            s2s_tls: vec![any(5270)],
            component: vec![SocketAddr::from(([127, 0, 0, 1], 5347))],
            http: vec![SocketAddr::from(([127, 0, 0, 1], 5280))],
            https: vec![any(5443)],
        }
    }
}

impl Config {
    /// No address is listened on twice, also not as one of all. Port 0 is another one each time.
    pub(super) fn check_listeners(&self) -> Result<(), ConfigError> {
        let Listen { c2s, c2s_tls, s2s, s2s_tls, component, http, https } = &self.listen;
        let lists = [
            ("listen.c2s", &c2s[..]),
            ("listen.c2s_tls", c2s_tls),
            ("listen.s2s", s2s),
            ("listen.s2s_tls", s2s_tls),
            ("listen.component", component),
            ("listen.http", http),
            ("listen.https", https),
            ("proxy.listen", &self.proxy.listen),
            ("cluster.listen", self.cluster.listen.as_slice()),
        ];
        let mut seen: Vec<(&str, &SocketAddr)> = Vec::new();
        for (key, list) in lists {
            for address in list.iter().filter(|address| address.port() != 0) {
                if let Some((before, known)) = seen.iter().find(|(_, it)| clash(it, address)) {
                    let what = match **known == *address && *before == key {
                        true => format!("{address} stands twice in {key}"),
                        false if **known == *address => {
                            format!("{address} stands in {before} and in {key}")
                        }
                        false => format!("{address} of {key} is taken by {known} of {before}"),
                    };
                    return Err(ConfigError::Value(what));
                }
                seen.push((key, address));
            }
        }
        Ok(())
    }
}

/// Whether only one of them can be listened on: an IPv6 address for all takes those of IPv4 too.
fn clash(a: &SocketAddr, b: &SocketAddr) -> bool {
    let takes = |all: &SocketAddr, one: &SocketAddr| {
        all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4())
    };
    a.port() == b.port() && (a == b || takes(a, b) || takes(b, a))
}
