//! Owns what clients find over HTTP: the page that says what this is, and the way to everything that they speak
//! here. Knows no XMPP: sockets and bodies are handed on.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpResponse, web};
use rustls::{ServerConfig, ServerConnection};
use serde::{Deserialize, Serialize};

use crate::handshake;

/// Settings of what clients find over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Pages that may speak to this server, by their origins, such as `https://chat.example.org`. Default:
    /// any, as a page has no credentials but those that its user gives it.
    pub origins: Vec<String>,
    /// Proxies whose word is taken for where a client is (`X-Forwarded-For`), and whether it has TLS
    /// (`X-Forwarded-Proto`). Default none.
    pub proxies: Vec<IpAddr>,
}

/// What doors for clients ask of others.
#[derive(Clone)]
pub struct Services {
    /// Settings.
    pub config: Config,
    /// Who takes WebSockets over.
    pub websockets: Arc<dyn WebSockets>,
    /// The TLS of HTTPS, as it is at this moment.
    pub tls: Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>,
}

/// Who takes clients over.
pub trait WebSockets: Send + Sync {
    /// A place for a client from there; none where there is none.
    fn admit(&self, peer: SocketAddr) -> Option<Begin>;
}

/// Begins a connection.
pub type Begin = Box<dyn FnOnce(Upgraded) + Send>;

/// A WebSocket whose handshake is done but for the last answer.
pub struct Upgraded {
    /// The socket, of no thread.
    pub tcp: std::net::TcpStream,
    /// Its TLS, with the handshake done.
    pub tls: Option<Box<ServerConnection>>,
    /// Whether the client has TLS, here or at a proxy that is trusted.
    pub is_secure: bool,
    /// Where the client is.
    pub peer: SocketAddr,
    /// The last answer of the handshake, to be sent before anything else.
    pub reply: Vec<u8>,
    /// What the client has sent behind the handshake already.
    pub unread: Vec<u8>,
}

/// What doors for clients share.
pub(crate) struct Clients {
    pub(crate) origins: Vec<String>,
    pub(crate) proxies: Vec<IpAddr>,
    pub(crate) websockets: Arc<dyn WebSockets>,
}

/// How a client comes here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) peer: SocketAddr,
    pub(crate) is_secure: bool,
}

impl Clients {
    /// How a client comes here, by its socket or by the word of a trusted proxy.
    pub(crate) fn way(&self, socket: SocketAddr, is_secure: bool, headers: &HeaderMap) -> Way {
        let is_trusted = |address: IpAddr| self.proxies.contains(&address.to_canonical());
        if !is_trusted(socket.ip()) {
            return Way { peer: socket, is_secure };
        }
        let values = headers.get_all(header::X_FORWARDED_FOR).filter_map(|it| it.to_str().ok());
        let hops: Vec<Option<IpAddr>> =
            values.flat_map(|value| value.split(',')).map(|hop| hop.trim().parse().ok()).collect();
        // Each proxy appends who came to it; what is before the last trusted one, anybody may have made up.
        let peer = hops.into_iter().rev().find(|hop| hop.is_none_or(|hop| !is_trusted(hop)));
        let peer = peer.flatten();
        let proto = headers.get(header::X_FORWARDED_PROTO);
        let is_secure = is_secure || proto.is_some_and(|proto| proto == "https");
        Way { peer: peer.map_or(socket, |peer| SocketAddr::new(peer, 0)), is_secure }
    }
}

/// The paths of doors for clients.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.route(handshake::PATH, web::get().to(no_websocket));
}

/// A request that asks for no WebSocket where there is nothing else.
async fn no_websocket() -> HttpResponse {
    HttpResponse::build(StatusCode::UPGRADE_REQUIRED)
        .insert_header((header::UPGRADE, "websocket"))
        .body("XMPP is spoken here over WebSocket (RFC 7395).\n")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    struct Nobody;

    impl WebSockets for Nobody {
        fn admit(&self, _: SocketAddr) -> Option<Begin> {
            None
        }
    }

    fn way(socket: &str, headers: &[(&'static str, &'static str)]) -> (String, bool) {
        let proxies = vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 9])];
        let clients = Clients { origins: Vec::new(), proxies, websockets: Arc::new(Nobody) };
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let headers: HeaderMap = headers.iter().map(pair).collect();
        let way = clients.way(socket.parse().unwrap(), false, &headers);
        (way.peer.ip().to_string(), way.is_secure)
    }

    #[test]
    fn the_word_of_a_trusted_proxy_is_taken_and_nobody_elses() {
        let headers = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https")];
        assert_eq!(way("127.0.0.1:9", &headers), ("192.0.2.1".to_owned(), true));
        assert_eq!(way("192.0.2.9:9", &headers), ("192.0.2.9".to_owned(), false));
        assert_eq!(way("127.0.0.1:9", &[]), ("127.0.0.1".to_owned(), false));
    }

    #[test]
    fn what_a_client_claims_before_the_first_trusted_proxy_counts_for_nothing() {
        let headers = [("x-forwarded-for", "198.51.100.7, 192.0.2.1, 10.0.0.9")];
        assert_eq!(way("127.0.0.1:9", &headers).0, "192.0.2.1");
    }
}
