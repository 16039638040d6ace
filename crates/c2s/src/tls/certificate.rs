//! Owns certificates and keys as files: read, checked against each other, or made here and kept.

use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::RootCertStore;
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Certificate, Domain, binding, provider};

/// What is wrong with a certificate or its file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// There is no domain to show a certificate for.
    #[error("no domain is served")]
    NoDomain,
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: pem::Error,
    },
    /// The file has no certificate in it.
    #[error("{} holds no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    /// The certificate and the key are no pair, or one of them cannot be used.
    #[error("{} and {} do not go together", .certificate.display(), .key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate for {domain}")]
    Make {
        /// For whom.
        domain: String,
        /// Why.
        #[source]
        cause: rcgen::Error,
    },
    /// The made certificate could not be kept.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    Setup(#[source] rustls::Error),
}

/// The authorities in a PEM file.
pub(super) fn authorities(path: &Path) -> Result<Arc<RootCertStore>, CertificateError> {
    let read = |cause| CertificateError::Read { path: path.to_owned(), cause };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
        roots.add(certificate.map_err(read)?).map_err(CertificateError::Setup)?;
    }
    match roots.is_empty() {
        true => Err(CertificateError::NoCertificate(path.to_owned())),
        false => Ok(Arc::new(roots)),
    }
}

/// The certificate of a domain. One that is made here is kept in `dir` and used again.
pub(super) fn load(domain: &Domain, dir: &Path) -> Result<Certificate, CertificateError> {
    if let Some(files) = &domain.files {
        let certificate = read(&files.certificate, &files.key)?;
        for fault in faults(&domain.name, &certificate) {
            let path = files.certificate.display();
            tracing::warn!(
                jid = domain.name,
                "the certificate {path} {fault}: clients will refuse it"
            );
        }
        return Ok(certificate);
    }
    // A domainpart holds no separator of paths, but a file must not be left to a rule elsewhere.
    let name: String =
        domain.name.chars().map(|c| if matches!(c, '/' | '\\') { '_' } else { c }).collect();
    let path = dir.join(format!("{name}.self-signed.pem"));
    if !path.exists() {
        make(&domain.name, &path)?;
        tracing::info!(jid = domain.name, "made a self-signed certificate: {}", path.display());
    }
    if !is_local(&domain.name) {
        tracing::warn!(
            jid = domain.name,
            "it has no certificate: a self-signed one is shown, which clients and other servers refuse"
        );
    }
    read(&path, &path)
}

/// Whether a domain is of this machine alone, where nobody needs to vouch for it (RFC 6761 §6.3).
#[must_use]
pub fn is_local(domain: &str) -> bool {
    domain == "localhost" || domain.ends_with(".localhost")
}

fn read(certificate: &Path, key: &Path) -> Result<Certificate, CertificateError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |cause| CertificateError::Read { path, cause }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed(certificate))?;
    let Some(leaf) = chain.first() else {
        return Err(CertificateError::NoCertificate(certificate.to_owned()));
    };
    let end_point = binding::end_point(leaf);
    let secret = PrivateKeyDer::from_pem_file(key).map_err(failed(key))?;
    let key = CertifiedKey::from_der(chain, secret, &provider()).map_err(|cause| {
        CertificateError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), cause }
    })?;
    Ok(Certificate { key: Arc::new(key), end_point })
}

/// What clients would refuse a certificate for, other than who signed it.
pub(super) fn faults(domain: &str, certificate: &Certificate) -> Vec<&'static str> {
    let Some(leaf) = certificate.key.cert.first() else { return Vec::new() };
    let parsed = X509Certificate::from_der(leaf);
    let dated = parsed.is_ok_and(|(_, certificate)| certificate.validity().is_valid());
    let named = names(certificate, domain);
    let faults = [(dated, "is out of date"), (named, "is for other names")];
    faults.into_iter().filter(|(good, _)| !good).map(|(_, fault)| fault).collect()
}

/// Whether a certificate is for a domain. A name that DNS cannot have is for whoever sees it to judge.
pub(super) fn names(certificate: &Certificate, domain: &str) -> bool {
    let Some(leaf) = certificate.key.cert.first() else { return false };
    ServerName::try_from(domain).ok().is_none_or(|name| {
        ParsedCertificate::try_from(leaf)
            .is_ok_and(|certificate| verify_server_name(&certificate, &name).is_ok())
    })
}

/// Makes an ECDSA P-256 certificate for a domain and its services, and writes it with its key into one
/// file that only this user can read.
fn make(domain: &str, path: &Path) -> Result<(), CertificateError> {
    let failed = |cause| CertificateError::Make { domain: domain.to_owned(), cause };
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, domain);
    params.subject_alt_names = alternatives(domain);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
    keep(path, pem.as_bytes())
        .map_err(|cause| CertificateError::Write { path: path.to_owned(), cause })
}

/// A name that DNS cannot have is written as an XmppAddr (RFC 6120 §13.7.1.4), which can be any domain.
fn alternatives(domain: &str) -> Vec<SanType> {
    const XMPP_ADDR: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 5];
    let unbracketed = domain.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = unbracketed.parse::<IpAddr>() {
        return vec![SanType::IpAddress(address)];
    }
    let mut names = vec![SanType::OtherName((XMPP_ADDR.to_vec(), domain.into()))];
    for name in [domain.to_owned(), format!("*.{domain}")] {
        names.extend(name.try_into().ok().map(SanType::DnsName));
    }
    names
}

/// Under its name the file is whole or not there at all.
fn keep(path: &Path, pem: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let draft = path.with_extension("draft");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&draft)?;
    file.write_all(pem)?;
    file.sync_all()?;
    fs::rename(draft, path)
}
