//! Owns a look from outside at what a domain shows, for operators: the certificates at its ports, and its documents of HTTPS. It
//! speaks as a stranger does, who shows no certificate, and ends with the handshake of TLS. All of it is bounded in time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use stream::{Event, Limits, Parser};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use xmpp::{ns, writer};

use crate::config::Rules;
use crate::https::{Https, Url};
use crate::resolve::{Resolver, Target, ascii};
use crate::tls::{self, Certificates, Start};
use crate::tlsa::Tlsa;
use crate::trust::{Delegation, Trust};
use crate::wire;

/// For one port, where the time for a stream is not shorter.
const PATIENCE: Duration = Duration::from_secs(10);

const DAY_SECONDS: u64 = 86_400;

/// Whom a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Clients.
    Clients,
    /// Other servers.
    Servers,
}

/// A port that DNS names.
#[derive(Clone, Debug)]
pub struct Port {
    /// Where it is.
    pub address: SocketAddr,
    /// Whom it is for.
    pub audience: Audience,
    /// The server there, as DNS names it.
    pub target: Target,
    /// The TLSA records of the certificate there, where DNSSEC proves them.
    pub seals: Vec<Tlsa>,
}

/// The certificate that is shown at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// When it ends, in seconds since 1970.
    pub not_after: Option<u64>,
    /// How many whole days that is from now.
    pub days_left: Option<u64>,
    /// Why nobody should believe that it is the domain's; none where all is well.
    pub fault: Option<String>,
    /// Why only those should who look at TLSA records; none where all should, or nobody.
    pub doubt: Option<String>,
}

/// Looks.
pub struct Probe {
    resolver: Resolver,
    trust: Trust,
    routes: BTreeMap<String, String>,
    patience: Duration,
}

impl Probe {
    /// By these rules.
    ///
    /// # Errors
    /// The file of authorities cannot be read, in words for people.
    pub fn new(resolver: Resolver, rules: &Rules) -> Result<Self, String> {
        let algorithms = tls::provider().signature_verification_algorithms;
        let trust = Trust::read(&rules.ca_file, algorithms);
        let path = rules.ca_file.display();
        let trust = trust.map_err(|error| format!("cannot read s2s.ca_file {path}: {error}"))?;
        let patience = PATIENCE.min(Duration::from_secs(rules.negotiation_seconds));
        Ok(Self { resolver, trust, routes: rules.posh_route.clone(), patience })
    }

    /// Looks at a port in the name of a domain of ours.
    ///
    /// # Errors
    /// Why nothing is shown, in words for people.
    pub async fn look(&self, local: &str, domain: &str, port: &Port) -> Result<Shown, String> {
        let looking = Box::pin(certificates(local, domain, port));
        let chain = timeout(self.patience, looking).await;
        let chain = chain.unwrap_or_else(|_| Err("it does not answer in time".to_owned()))?;
        let now = UnixTime::now();
        let untrusted = self.trust.judge(&chain, now).vouches_for(domain).err();
        let hosts = port.target.proved.then(|| port.target.host.clone()).into_iter().collect();
        let delegation = Delegation { hosts, records: port.seals.clone() };
        let (fault, doubt) = match self.trust.sealed(&chain, now, domain, &delegation) {
            Some(Err(why)) => (Some(why), None),
            // Of clients, hardly any look at them.
            Some(Ok(())) if port.audience == Audience::Servers => (None, untrusted),
            _ => (untrusted, None),
        };
        let not_after = chain.first().and_then(|leaf| {
            let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
            u64::try_from(certificate.validity().not_after.timestamp()).ok()
        });
        let left = |end: u64| end.checked_sub(now.as_secs()).map(|seconds| seconds / DAY_SECONDS);
        Ok(Shown { not_after, days_left: not_after.and_then(left), fault, doubt })
    }

    /// A document of a domain, by HTTPS.
    ///
    /// # Errors
    /// Why there is none, in words for people.
    pub async fn document(&self, domain: &str, path: &str, ty: &str) -> Result<Vec<u8>, String> {
        let host = ascii(domain).ok_or_else(|| format!("{domain} is no name that DNS can have"))?;
        let url = Url { host, port: 443, path: path.to_owned() };
        let (resolver, roots) = (&self.resolver, self.trust.roots());
        let https = Https { resolver, roots, routes: &self.routes };
        Ok(https.get(&url, ty).await?.to_vec())
    }
}

/// The certificates that are shown at a port to whoever names a domain, its own first.
async fn certificates(
    local: &str,
    domain: &str,
    port: &Port,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let tcp = TcpStream::connect(port.address).await;
    let mut tcp = tcp.map_err(|error| format!("cannot connect: {error}"))?;
    let start = if port.target.direct { Start::Direct } else { Start::Upgraded };
    if start == Start::Upgraded {
        ask_for_tls(&mut tcp, local, domain, port.audience).await?;
    }
    let config = config(port.audience, start).map_err(|error| error.to_string())?;
    let host = ascii(domain).unwrap_or_else(|| domain.trim_matches(['[', ']']).to_owned());
    let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    let io = connected.map_err(|error| format!("TLS fails: {error}"))?;
    Ok(wire::chain(&TlsStream::Client(io)))
}

fn config(audience: Audience, start: Start) -> Result<ClientConfig, rustls::Error> {
    let nobody: Certificates = Arc::new(|_: &str| None);
    let mut config = tls::client(&nobody, "", start)?;
    if audience == Audience::Clients && start == Start::Direct {
        config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    }
    Ok(config)
}

/// Opens a stream, up to where TLS begins (RFC 6120 §5.4.2).
async fn ask_for_tls(
    tcp: &mut TcpStream,
    local: &str,
    domain: &str,
    audience: Audience,
) -> Result<(), String> {
    let lost = |error: std::io::Error| format!("the connection was lost: {error}");
    let content = if audience == Audience::Clients { ns::CLIENT } else { ns::SERVER };
    let mut out = b"<?xml version='1.0'?>".to_vec();
    writer::open_start(&mut out, "stream:stream", content, "");
    writer::attribute(&mut out, "xmlns:stream", ns::STREAM);
    if audience == Audience::Servers {
        writer::attribute(&mut out, "from", local);
    }
    writer::attribute(&mut out, "to", domain);
    writer::attribute(&mut out, "version", "1.0");
    writer::open_end(&mut out);
    wire::write(tcp, &out).await.map_err(lost)?;
    let mut parser = Parser::for_content(Limits::BEFORE_LOGIN, content);
    loop {
        let mut events = Vec::new();
        let came = wire::read(tcp, &mut parser, &mut events).await;
        for event in events {
            let Event::Nonza(element) = event else { continue };
            match (element.name(), element.ns()) {
                ("features", ns::STREAM) if element.child("starttls", ns::TLS).is_some() => {
                    let starttls = xmpp::Element::new("starttls", ns::TLS).to_bytes();
                    wire::write(tcp, &starttls).await.map_err(lost)?;
                }
                ("features", ns::STREAM) => return Err("it offers no TLS".to_owned()),
                ("proceed", ns::TLS) => return Ok(()),
                ("error", ns::STREAM) => {
                    let condition = element.children().next().map_or("", xmpp::Element::name);
                    return Err(format!("it ends the stream: {condition}"));
                }
                _ => return Err("it speaks something else than XMPP".to_owned()),
            }
        }
        match came {
            Ok(wire::Read::Some(_)) => {}
            Ok(wire::Read::End) => return Err("it closes the connection".to_owned()),
            Err(wire::ReadError::Lost(error)) => return Err(lost(error)),
            Err(wire::ReadError::Xml(_)) => {
                return Err("it speaks something else than XMPP".to_owned());
            }
        }
    }
}
