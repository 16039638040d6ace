//! Owns certificates of members: read from files and checked, and made by operators who have no authority
//! of their own. Says which name a certificate proves.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::RootCertStore;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// Where a member's certificates are; PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Whose signature proves a name.
    pub ca: PathBuf,
    /// This member's certificate, with the chain behind it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// What stands before `/member/` in the URIs of this cluster's members.
    pub trust_domain: String,
}

/// What is wrong with a certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: pem::Error,
    },
    /// There is no certificate in it.
    #[error("{} holds no certificate in PEM form", .0.display())]
    Empty(PathBuf),
    /// It does not prove the name that this member has.
    #[error(
        "{} proves no member's name, or another's: it needs the URI {uri}; `rookery cert cluster-member` makes one",
        .path.display()
    )]
    Name {
        /// Which.
        path: PathBuf,
        /// What it must have.
        uri: String,
    },
    /// It cannot be used.
    #[error("cannot use {}", .path.display())]
    Use {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// A name that cannot stand in a URI.
    #[error("{0:?} is not a member's name: 1 to 63 letters, digits, dots and hyphens")]
    BadName(String),
    /// It could not be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// It could not be kept. What is there is not replaced.
    #[error("cannot write {}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// What was read from [`Files`].
pub(super) struct Material {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// Reads all files, and checks that the certificate is this member's.
pub(super) fn read(files: &Files, name: &str) -> Result<Material, CertificateError> {
    let mut roots = RootCertStore::empty();
    for root in chain(&files.ca)? {
        let refused = |cause| CertificateError::Use { path: files.ca.clone(), cause };
        roots.add(root).map_err(refused)?;
    }
    let chain = chain(&files.certificate)?;
    let proven = chain.first().and_then(|leaf| proven_name(leaf, &files.trust_domain));
    if proven.as_deref() != Some(name) {
        let uri = uri(&files.trust_domain, name);
        return Err(CertificateError::Name { path: files.certificate.clone(), uri });
    }
    let unreadable = |cause| CertificateError::Read { path: files.key.clone(), cause };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable)?;
    Ok(Material { roots: Arc::new(roots), chain, key })
}

/// The name that a certificate proves in this trust domain. Whether to believe the certificate is another
/// question.
pub(super) fn proven_name(certificate: &[u8], trust_domain: &str) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let prefix = uri(trust_domain, "");
    let mut proven = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(&prefix),
        _ => None,
    });
    // With two it would be for chance to say who it is.
    let (name, second) = (proven.next()?, proven.next());
    (second.is_none() && is_name(name)).then(|| name.to_owned())
}

/// Makes an authority for members: the files `cluster-ca.crt` and `cluster-ca.key` in `directory`.
///
/// # Errors
///
/// They are there already, or cannot be written.
pub fn make_authority(directory: &Path, trust_domain: &str) -> Result<(), CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("{trust_domain} members"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_after = rcgen::date_time_ymd(AUTHORITY_ENDS, 1, 1);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    keep(&directory.join("cluster-ca.key"), &key.serialize_pem())?;
    keep(&directory.join("cluster-ca.crt"), &certificate.pem())
}

/// Makes a member's certificate, signed by the authority in `directory`: the files `NAME.crt` and
/// `NAME.key` beside it.
///
/// # Errors
///
/// The authority is not there, the name cannot be a member's, or the files are there already.
pub fn make_member(
    directory: &Path,
    trust_domain: &str,
    name: &str,
) -> Result<(), CertificateError> {
    if !is_name(name) {
        return Err(CertificateError::BadName(name.to_owned()));
    }
    let (ca, ca_key) = (directory.join("cluster-ca.crt"), directory.join("cluster-ca.key"));
    let unreadable = |path: &Path, cause| CertificateError::Read { path: path.to_owned(), cause };
    let text = std::fs::read_to_string(&ca).map_err(|e| unreadable(&ca, pem::Error::Io(e)))?;
    let secret =
        std::fs::read_to_string(&ca_key).map_err(|e| unreadable(&ca_key, pem::Error::Io(e)))?;
    let issuer = Issuer::from_ca_cert_pem(&text, KeyPair::from_pem(&secret)?)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![SanType::URI(uri(trust_domain, name).try_into()?)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_after = rcgen::date_time_ymd(AUTHORITY_ENDS, 1, 1);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.signed_by(&key, &issuer)?;
    keep(&directory.join(format!("{name}.key")), &key.serialize_pem())?;
    keep(&directory.join(format!("{name}.crt")), &certificate.pem())
}

/// Certificates that are made here end with this year; whoever wants shorter lives has an authority.
const AUTHORITY_ENDS: i32 = 2046;

/// The URI that proves a member's name.
fn uri(trust_domain: &str, name: &str) -> String {
    format!("spiffe://{trust_domain}/member/{name}")
}

fn is_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    (1..=63).contains(&name.len()) && name.bytes().all(known)
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| CertificateError::Read { path: path.to_owned(), cause })?;
    match chain.is_empty() {
        true => Err(CertificateError::Empty(path.to_owned())),
        false => Ok(chain),
    }
}

fn keep(path: &Path, text: &str) -> Result<(), CertificateError> {
    let mode = if path.extension().is_some_and(|ending| ending == "key") { 0o600 } else { 0o644 };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|cause| CertificateError::Write { path: path.to_owned(), cause })
}
