//! Owns what clients find over HTTP: the page that says what this is, and the way to everything that they speak
//! here. Knows no XMPP: sockets and bodies are handed on.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures_util::future::BoxFuture;
use proto::MemberId;
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};
use socket::Upgraded;
use tokio::time::timeout;

use crate::converse;
use crate::forward::Forwarder;
use crate::handshake::{self, may_ask};
use crate::links::Links;
pub use crate::listener::Figures;
use crate::serve::{REQUEST_TIMEOUT, Shared};

/// Where XMPP is spoken by BOSH.
pub(crate) const BOSH: &str = "/http-bind";

const TEXT: &str = "text/plain; charset=utf-8";

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
    /// What clients are told to go to (XEP-0156), such as `https://chat.example.org`. Default: the domain, and the
    /// port of HTTPS.
    pub url: String,
    /// The folder `dist` of a distribution of Converse.js, which browsers then find here. Default: none.
    pub converse: Option<PathBuf>,
    /// Seconds that the fingerprints of certificates are good for, which are told at `/.well-known/posh/`. Default 0: they
    /// are not told.
    pub posh_seconds: u64,
}

/// What listeners for clients ask of others.
#[derive(Clone)]
pub struct Services {
    /// Settings.
    pub config: Config,
    /// The domains that are served.
    pub domains: Vec<String>,
    /// Those of them at which anybody may register.
    pub open: Vec<String>,
    /// Who speaks XMPP.
    pub gate: Arc<dyn Gate>,
    /// What is counted.
    pub figures: Arc<Figures>,
    /// The certificates that domains show.
    pub certificate: crate::posh::Certificate,
    /// The TLS of HTTPS, as it is at this moment.
    pub tls: Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>,
}

/// Who speaks XMPP with clients.
pub trait Gate: Send + Sync {
    /// A place for a client from there; none where there is none.
    fn admit(&self, peer: SocketAddr) -> Option<Begin>;

    /// The most bytes of a request of BOSH.
    fn most_bytes(&self) -> usize;

    /// Takes a request of BOSH (XEP-0124), and answers it, or says on which member its session lives.
    fn post(&self, way: Way, body: Bytes) -> BoxFuture<'static, Result<Posted, MemberId>>;

    /// The answer to a request whose session is nowhere.
    fn no_session(&self) -> Posted;
}

/// The response to a request of BOSH.
pub struct Posted {
    /// Its content type.
    pub content: Cow<'static, str>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Begins a connection.
pub type Begin = Box<dyn FnOnce(Upgraded) + Send>;

/// What listeners for clients share.
pub(crate) struct Clients {
    pub(crate) origins: Vec<String>,
    pub(crate) proxies: Vec<IpAddr>,
    pub(crate) url: String,
    /// The domains that are served; the first stands for hosts that are none.
    pub(crate) domains: Vec<String>,
    /// Those at which anybody may register.
    pub(crate) open: Vec<String>,
    /// The web client, where there is one.
    pub(crate) converse: Option<PathBuf>,
    /// The port of HTTPS; none where there is none.
    pub(crate) port: Option<u16>,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) forwarder: Forwarder,
}

/// How a client comes here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// From there.
    pub peer: SocketAddr,
    /// With TLS, here or at a proxy that is trusted.
    pub is_secure: bool,
}

/// Whether requests come by TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IsSecure(pub(crate) bool);

impl Clients {
    /// The domain that a host stands for.
    fn domain(&self, host: &str) -> &str {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let domain = self.domains.iter().find(|domain| domain.eq_ignore_ascii_case(name));
        domain.or_else(|| self.domains.first()).map_or("", String::as_str)
    }

    /// Where clients of a host are told to go; nowhere where nothing is known that has TLS.
    fn base(&self, host: &str) -> Option<String> {
        let domain = self.domain(host);
        let own = self.port.map(|port| format!("https://{domain}:{port}"));
        let url = Some(self.url.trim_end_matches('/').to_owned()).filter(|url| !url.is_empty());
        url.or(own)
    }

    /// The same, as documents.
    pub(crate) fn links(&self, host: &str) -> Links {
        Links::new(self.base(host).as_deref())
    }

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

/// The paths of listeners for clients.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(page))
        .route("/.well-known/host-meta", web::get().to(host_meta_xml))
        .route("/.well-known/host-meta.json", web::get().to(host_meta_json))
        .route(handshake::PATH, web::get().to(no_websocket))
        .service(
            web::resource(BOSH)
                .route(web::post().to(post))
                .route(web::get().to(no_bosh))
                .route(web::method(Method::OPTIONS).to(preflight)),
        );
}

/// A request of BOSH.
async fn post(
    request: HttpRequest,
    shared: web::Data<Shared>,
    payload: web::Payload,
) -> HttpResponse {
    let clients = &shared.clients;
    let Some(way) = way(&request, clients) else { return HttpResponse::BadRequest().finish() };
    if !may_ask(request.headers(), &clients.origins) {
        return HttpResponse::Forbidden().finish();
    }
    let body = payload.to_bytes_limited(clients.gate.most_bytes());
    let body = match timeout(REQUEST_TIMEOUT, body).await {
        Ok(Ok(Ok(body))) => body,
        Ok(Ok(Err(_))) => return HttpResponse::BadRequest().finish(),
        Ok(Err(_)) => return refuse(&request, clients, StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => return refuse(&request, clients, StatusCode::REQUEST_TIMEOUT),
    };
    let posted = match clients.gate.post(way, body.clone()).await {
        Ok(posted) => Some(posted),
        Err(member) => clients.forwarder.post(member, way, body).await,
    };
    let Posted { content, body } = posted.unwrap_or_else(|| clients.gate.no_session());
    allow(&request, clients, StatusCode::OK).content_type(&*content).body(body)
}

/// A response that pages may read, if they may ask (XEP-0124 §5, XEP-0156 §4). It has no use for credentials of the
/// browser, and none are allowed.
pub(crate) fn allow(
    request: &HttpRequest,
    clients: &Clients,
    status: StatusCode,
) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    // A browser may keep what it asked for without an origin, and show it to a page with one.
    if clients.origins.is_empty() {
        response.insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
        return response;
    }
    response.insert_header((header::VARY, "Origin"));
    let origin = request.headers().get(header::ORIGIN);
    if let Some(origin) = origin.filter(|_| may_ask(request.headers(), &clients.origins)) {
        response.insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
    }
    response
}

/// The rest of the request is not read.
fn refuse(request: &HttpRequest, clients: &Clients, status: StatusCode) -> HttpResponse {
    allow(request, clients, status).force_close().finish()
}

async fn preflight(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    preflight_of(&request, &shared.clients, "GET, POST, OPTIONS", "Content-Type")
}

/// Which methods pages may use, and which headers they may send.
pub(crate) fn preflight_of(
    request: &HttpRequest,
    clients: &Clients,
    methods: &'static str,
    headers: &'static str,
) -> HttpResponse {
    allow(request, clients, StatusCode::NO_CONTENT)
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, methods))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, headers))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "7200"))
        .finish()
}

async fn no_bosh() -> HttpResponse {
    HttpResponse::Ok().content_type(TEXT).body("XMPP is spoken here by BOSH (XEP-0206).\n")
}

/// How a request comes here.
fn way(request: &HttpRequest, clients: &Clients) -> Option<Way> {
    let is_secure = request.app_data::<IsSecure>().is_some_and(|secure| secure.0);
    Some(clients.way(request.peer_addr()?, is_secure, request.headers()))
}

/// What a person with a browser sees.
async fn page(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    let (clients, info) = (&shared.clients, request.connection_info());
    if clients.converse.is_some() {
        if way(&request, clients).is_some_and(|way| way.is_secure) {
            return converse::page(clients, clients.domain(info.host()));
        }
        // Without TLS nobody could log in.
        if let Some(base) = clients.base(info.host()) {
            let there = (header::LOCATION, format!("{base}/"));
            return HttpResponse::Found().insert_header(there).finish();
        }
    }
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(clients.links(info.host()).page())
}

async fn host_meta_xml(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    let links = shared.clients.links(request.connection_info().host());
    let response = &mut allow(&request, &shared.clients, StatusCode::OK);
    response.content_type("application/xrd+xml; charset=utf-8").body(links.xml())
}

async fn host_meta_json(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    let links = shared.clients.links(request.connection_info().host());
    allow(&request, &shared.clients, StatusCode::OK).json(links)
}

/// A request that asks for no WebSocket where there is nothing else.
async fn no_websocket() -> HttpResponse {
    HttpResponse::build(StatusCode::UPGRADE_REQUIRED)
        .insert_header((header::UPGRADE, "websocket"))
        .content_type(TEXT)
        .body("XMPP is spoken here over WebSocket (RFC 7395).\n")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    struct Nobody;

    impl Gate for Nobody {
        fn admit(&self, _: SocketAddr) -> Option<Begin> {
            None
        }

        fn most_bytes(&self) -> usize {
            0
        }

        fn post(&self, _: Way, _: Bytes) -> BoxFuture<'static, Result<Posted, MemberId>> {
            Box::pin(async { Err(MemberId(1)) })
        }

        fn no_session(&self) -> Posted {
            Posted { content: TEXT.into(), body: Vec::new() }
        }
    }

    fn clients(proxies: Vec<IpAddr>, url: &str, port: Option<u16>) -> Clients {
        let domains = vec!["first.example".to_owned(), "second.example".to_owned()];
        let (origins, open, converse) = (Vec::new(), Vec::new(), None);
        let url = url.to_owned();
        let gate: Arc<dyn Gate> = Arc::new(Nobody);
        let (forwarder, figures) = (Forwarder::open(None, &gate), Arc::default());
        Clients { origins, proxies, url, domains, open, converse, port, gate, figures, forwarder }
    }

    fn way(socket: &str, headers: &[(&'static str, &'static str)]) -> (String, bool) {
        let proxies = vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 9])];
        let clients = clients(proxies, "", None);
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
    fn clients_are_sent_to_the_domain_that_they_ask_or_where_the_operator_says() {
        let own = clients(Vec::new(), "", Some(5443));
        let links = |clients: &Clients, host: &str| clients.links(host).xml();
        assert!(
            links(&own, "Second.example:5443").contains("wss://second.example:5443/xmpp-websocket")
        );
        assert!(links(&own, "evil.example").contains("https://first.example:5443/http-bind"));
        let told = clients(Vec::new(), "https://chat.example/", None);
        assert!(links(&told, "x").contains("'wss://chat.example/xmpp-websocket'"));
        assert!(!links(&clients(Vec::new(), "", None), "x").contains("<Link"));
    }

    #[test]
    fn what_a_client_claims_before_the_first_trusted_proxy_counts_for_nothing() {
        let headers = [("x-forwarded-for", "198.51.100.7, 192.0.2.1, 10.0.0.9")];
        assert_eq!(way("127.0.0.1:9", &headers).0, "192.0.2.1");
    }
}
