//! Owns TLS: which certificate each domain shows, how streams are protected with it (RFC 7590, RFC 9325),
//! and what is known of a protected connection. Knows no XMPP.
//!
//! | module | owns |
//! |---|---|
//! | [`describe`] | what an operator is told about them |
//! | [`certificate`] | certificates and keys: read, checked, or made here |
//! | [`binding`] | what ties SASL to the connection (RFC 9266, RFC 5929) |
//! | [`person`] | whose certificate a client shows (XEP-0178) |
//! | [`connection`] | ciphertext in, plaintext out |

pub(crate) mod binding;
pub(crate) mod certificate;
pub(crate) mod connection;
mod describe;
mod person;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{self, Ticketer};
use rustls::server::{ClientHello, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

pub use certificate::{CertificateError, is_local};
pub(crate) use connection::TlsConnection;
pub use describe::Description;

/// The protocol name of clients' streams over TLS from the first byte (XEP-0368 §3).
pub const ALPN: &[u8] = b"xmpp-client";

/// A domain and its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The domain, prepared.
    pub name: String,
    /// PEM files of the certificate, with the chain behind it, and of its key; none: a self-signed
    /// certificate is made once and kept.
    pub files: Option<Files>,
}

/// Where a certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate, then its chain.
    pub certificate: PathBuf,
    /// The private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// The certificates of all domains, shared by all threads. A clone is the same.
#[derive(Clone, Debug)]
pub struct Tls {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    domains: Vec<Domain>,
    /// Where self-signed certificates are kept.
    dir: PathBuf,
    /// Who is trusted to say who clients are: they are asked for certificates.
    client_ca: Option<PathBuf>,
    current: RwLock<Arc<Generation>>,
}

/// The certificates as they were read at one time. A connection takes one for its handshake, so that what
/// it says about its certificate stays true when others are read meanwhile.
#[derive(Debug)]
pub(crate) struct Generation {
    certificates: Arc<Certificates>,
    direct: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
    upgraded: HashMap<String, Arc<ServerConfig>>,
}

/// A certificate and what is known of it.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    /// The data of `tls-server-end-point`; none where RFC 5929 §4.1 defines none.
    pub(crate) end_point: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Certificates {
    by_domain: HashMap<String, Certificate>,
    first: String,
}

/// Shows the certificate of the domain that the client names, else of `fallback`.
#[derive(Debug)]
struct Resolver {
    certificates: Arc<Certificates>,
    fallback: String,
}

impl Tls {
    /// Reads or makes the certificate of each domain; the first serves clients that name none. Self-signed
    /// ones are kept in `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load(domains: Vec<Domain>, dir: PathBuf) -> Result<Self, CertificateError> {
        Self::load_for(domains, dir, None)
    }

    /// As [`Tls::load`]; clients that have a certificate of one of these authorities, a PEM file, may show it.
    ///
    /// # Errors
    /// As there.
    pub fn load_for(
        domains: Vec<Domain>,
        dir: PathBuf,
        client_ca: Option<PathBuf>,
    ) -> Result<Self, CertificateError> {
        let generation = Generation::load(&domains, &dir, client_ca.as_deref())?;
        let current = RwLock::new(Arc::new(generation));
        Ok(Self { shared: Arc::new(Shared { domains, dir, client_ca, current }) })
    }

    /// Whether a file of authorities of clients can be used.
    ///
    /// # Errors
    /// It cannot be read, or there are none in it.
    pub fn check_authorities(file: &Path) -> Result<(), CertificateError> {
        certificate::authorities(file).map(drop)
    }

    /// Reads all files again; connections from now on see what is there. Where anything is wrong, all
    /// stays as it was.
    ///
    /// # Errors
    /// As of [`Tls::load`].
    pub fn reload(&self) -> Result<(), CertificateError> {
        let Shared { domains, dir, client_ca, .. } = &*self.shared;
        let next = Arc::new(Generation::load(domains, dir, client_ca.as_deref())?);
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// HTTPS with the same certificates. Ask again for each connection: certificates change.
    pub fn https(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current().https)
    }

    /// The certificate and key that a domain of ours shows, or a service: its own, else one that names it, that of a
    /// domain above it first; else that one all the same; none where there is none. For others who speak in its name, such
    /// as the gate to other servers. Ask again after [`Tls::reload`].
    pub fn key_of(&self, domain: &str) -> Option<Arc<CertifiedKey>> {
        let current = self.current();
        let known = current.certificates.of_service(domain);
        known.map(|certificate| Arc::clone(&certificate.key))
    }

    /// Those of some domains and services whose certificate does not name them: other servers do not believe that they
    /// are who they say.
    pub fn unnamed<'a>(&self, domains: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let current = self.current();
        let is_named = |domain: &str| {
            let shown = current.certificates.of_service(domain);
            shown.is_some_and(|certificate| certificate::names(certificate, domain))
        };
        domains.into_iter().filter(|domain| !is_named(domain)).collect()
    }

    pub(crate) fn current(&self) -> Arc<Generation> {
        Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generation {
    fn load(
        domains: &[Domain],
        dir: &Path,
        client_ca: Option<&Path>,
    ) -> Result<Self, CertificateError> {
        let clients = client_ca.map(certificate::authorities).transpose()?;
        let first = domains.first().ok_or(CertificateError::NoDomain)?.name.clone();
        let mut by_domain = HashMap::new();
        for domain in domains {
            by_domain.insert(domain.name.clone(), certificate::load(domain, dir)?);
        }
        let certificates = Arc::new(Certificates { by_domain, first });
        let config = |fallback: &String, clients: Option<&Arc<RootCertStore>>| {
            let resolver =
                Resolver { certificates: Arc::clone(&certificates), fallback: fallback.clone() };
            server_config(resolver, clients)
        };
        let mut direct = config(&certificates.first, clients.as_ref())?;
        direct.alpn_protocols = vec![ALPN.to_vec()];
        let mut https = config(&certificates.first, None)?;
        https.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut upgraded = HashMap::new();
        for domain in certificates.by_domain.keys() {
            upgraded.insert(domain.clone(), Arc::new(config(domain, clients.as_ref())?));
        }
        let (direct, https) = (Arc::new(direct), Arc::new(https));
        Ok(Self { certificates, direct, https, upgraded })
    }

    /// TLS from the first byte (XEP-0368).
    pub(crate) fn direct(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.direct)
    }

    /// TLS after STARTTLS on a stream to this domain (RFC 6120 §5.4.3.1), whose certificate is shown to
    /// clients that name no other in the handshake.
    pub(crate) fn upgraded(&self, domain: &str) -> Arc<ServerConfig> {
        Arc::clone(self.upgraded.get(domain).unwrap_or(&self.direct))
    }

    /// The certificate that a handshake with this server name ends with.
    pub(crate) fn shown(&self, server_name: Option<&str>, fallback: Option<&str>) -> &Certificate {
        self.certificates.shown(server_name, fallback)
    }
}

impl Certificates {
    fn of_service(&self, domain: &str) -> Option<&Certificate> {
        let own = self.by_domain.get(domain);
        let parents = domain.match_indices('.').map(|(at, _)| &domain[at + 1..]);
        let above: Vec<_> = parents.filter_map(|name| self.by_domain.get(name)).collect();
        let is_for = |certificate: &&&Certificate| certificate::names(certificate, domain);
        let named = || above.iter().find(is_for).copied();
        let elsewhere = || self.by_domain.values().find(|it| certificate::names(it, domain));
        own.or_else(named).or_else(elsewhere).or_else(|| above.first().copied())
    }

    fn shown(&self, server_name: Option<&str>, fallback: Option<&str>) -> &Certificate {
        [server_name, fallback, Some(&self.first)]
            .into_iter()
            .flatten()
            .find_map(|name| self.by_domain.get(name))
            .expect("the first domain has a certificate")
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.certificates.shown(hello.server_name(), Some(&self.fallback));
        Some(Arc::clone(&shown.key))
    }
}

/// The cryptography of this program: the suites of RFC 9325 §4.2 that ring has, forward secret and
/// authenticated throughout.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// TLS 1.2 and 1.3; resumption by tickets whose key this process changes every few hours (RFC 7590
/// §3.3); no early data, which may be replayed. Clients may show certificates of these authorities.
fn server_config(
    resolver: Resolver,
    clients: Option<&Arc<RootCertStore>>,
) -> Result<ServerConfig, CertificateError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(CertificateError::Setup)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let roots = Arc::clone(roots);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            let verifier = verifier.allow_unauthenticated().build();
            let other = |error: VerifierBuilderError| rustls::Error::General(error.to_string());
            let verifier = verifier.map_err(|error| CertificateError::Setup(other(error)))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.ticketer = Ticketer::new().map_err(CertificateError::Setup)?;
    Ok(config)
}
