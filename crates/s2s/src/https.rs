//! Owns the fetching of documents: HTTP/1.1 over TLS, one request on a connection of its own. Nothing but 200 counts;
//! redirects of HTTP are not followed. Addresses of private networks that DNS names are not connected to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::resolve::{Resolver, Target, ascii};
use crate::tls::provider;

/// For one document.
const PATIENCE: Duration = Duration::from_secs(10);
/// For one address to take the connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Most addresses that are tried.
const ADDRESSES_MAX: usize = 4;
/// Most bytes of a document.
const BYTES_MAX: usize = 64 << 10;

/// A place of HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: String,
}

impl Url {
    /// One without credentials.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "its document leads to something else than HTTPS".to_owned();
        let rest = text.strip_prefix("https://").ok_or_else(wrong)?;
        let rest = rest.split('#').next().unwrap_or(rest);
        let (place, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
            None => (place, 443),
        };
        let is_path = path.bytes().all(|byte| byte.is_ascii_graphic());
        // An address has no certificate that proves anything of a domain.
        let host = ascii(host).filter(|it| !it.contains('@') && is_path).ok_or_else(wrong)?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { host, port, path: format!("{slash}{path}") })
    }
}

/// What documents are fetched with.
pub(crate) struct Https<'a> {
    pub(crate) resolver: &'a Resolver,
    /// Who vouches for the certificates there.
    pub(crate) roots: Arc<RootCertStore>,
    /// Where hosts are, as `host:port`, that are not to be looked for.
    pub(crate) routes: &'a BTreeMap<String, String>,
}

impl Https<'_> {
    /// A document of this type.
    ///
    /// # Errors
    /// Why there is none, in words for people.
    pub(crate) async fn get(&self, url: &Url, accept: &str) -> Result<Bytes, String> {
        let fetching = Box::pin(self.get_now(url, accept));
        let fetched = timeout(PATIENCE, fetching).await;
        let fetched = fetched.unwrap_or_else(|_| Err("it takes too long".to_owned()));
        fetched.map_err(|why| format!("no document from https://{}:{}: {why}", url.host, url.port))
    }

    async fn get_now(&self, url: &Url, accept: &str) -> Result<Bytes, String> {
        let tcp = self.connect(url).await?;
        let name = ServerName::try_from(url.host.clone()).map_err(|error| error.to_string())?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
        let io = TokioIo::new(tls.map_err(|error| error.to_string())?);
        let (mut sender, connection) =
            http1::handshake(io).await.map_err(|error| error.to_string())?;
        // What goes wrong with it, the answer says; it ends with the sender.
        drop(actix_rt::spawn(connection));
        let host = match url.port {
            443 => url.host.clone(),
            port => format!("{}:{port}", url.host),
        };
        let request = Request::get(&url.path)
            .header(HOST, host)
            .header(ACCEPT, accept)
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answers {}", answer.status().as_u16()));
        }
        let body = Limited::new(answer.into_body(), BYTES_MAX).collect().await;
        Ok(body.map_err(|error| error.to_string())?.to_bytes())
    }

    async fn connect(&self, url: &Url) -> Result<TcpStream, String> {
        let route = self.routes.get(&url.host);
        let (host, port) = match route.and_then(|it| it.rsplit_once(':')) {
            Some((host, port)) => {
                (host.trim_matches(['[', ']']).to_owned(), port.parse().unwrap_or(url.port))
            }
            None => (url.host.clone(), url.port),
        };
        let target = Target { host, port, direct: true, routed: route.is_some(), proved: false };
        let addresses = self.resolver.addresses(&target).await.map_err(|it| it.to_string())?;
        let mut why = "it has no address".to_owned();
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            match connect_to(address).await {
                Ok(tcp) => return Ok(tcp),
                Err(error) => why = error,
            }
        }
        Err(why)
    }
}

async fn connect_to(address: SocketAddr) -> Result<TcpStream, String> {
    match timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(Ok(tcp)) => Ok(tcp),
        Ok(Err(error)) => Err(format!("{address}: {error}")),
        Err(_) => Err(format!("{address} does not answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_a_place_and_nothing_is_smuggled_into_the_request() {
        let url = |host: &str, port, path: &str| Url {
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        };
        for (text, wanted) in [
            ("https://h.example", url("h.example", 443, "/")),
            ("https://H.example:8443/a/b?c=d#e", url("h.example", 8443, "/a/b?c=d")),
            ("https://h.example?q", url("h.example", 443, "/?q")),
        ] {
            assert_eq!(Url::parse(text), Ok(wanted), "{text}");
        }
        for wrong in [
            "http://h.example/",
            "https://",
            "https://[::1]/",
            "https://h.example:x/",
            "https://user@h.example/",
            "https://h.example/a b",
            "https://h.example/\r\nx: y",
            "file:///etc/passwd",
        ] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }
}
