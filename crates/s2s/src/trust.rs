//! Owns what a certificate proves: which domains it speaks for, and whether anybody trusted says so (RFC 6120 §13.7,
//! RFC 9525). Knows no sockets.
//!
//! Names are taken from the subjectAltName alone: dNSName, with `*` as the whole of the first label; SRVName of
//! `_xmpp-server` (RFC 4985); XmppAddr (RFC 6120 §13.7.1.4). The common name says nothing (RFC 9525 §6.3). Revocation
//! is not looked at, since few authorities still offer what could be asked.
//!
//! | module | owns |
//! |---|---|
//! | `seals` | what TLSA records make of a certificate |

mod seals;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::ParsedCertificate;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::der_parser::oid::Oid;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::resolve::ascii;
pub(crate) use seals::Delegation;

/// The authorities that are trusted.
#[derive(Debug)]
pub(crate) struct Trust {
    roots: Arc<RootCertStore>,
    /// Their certificates.
    certificates: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// What the other end's certificate says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Why nobody trusted vouches for what it says; none where somebody does.
    fault: Option<String>,
    names: Vec<Name>,
    /// What else is known of single domains: it decides. An error says why it is not their server.
    proofs: BTreeMap<String, Result<(), String>>,
    /// Why nothing else made it the server of single domains.
    remarks: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    /// A domain, or one whose first label is `*`.
    Dns(String),
    /// A domain that is served by XMPP servers alone.
    Xmpp(String),
}

const XMPP_ADDR: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 5];
const SRV_NAME: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 7];
/// Most names of one certificate that are looked at.
const NAMES_MAX: usize = 256;

/// The authorities that are trusted now: those of a file, which may be read again.
#[derive(Debug)]
pub(crate) struct Trusted {
    file: PathBuf,
    algorithms: WebPkiSupportedAlgorithms,
    now: RwLock<Arc<Trust>>,
}

impl Trusted {
    /// Reads the file. Where it cannot be read, nobody is trusted until it can.
    pub(crate) fn new(file: PathBuf, algorithms: WebPkiSupportedAlgorithms) -> Self {
        let roots = Arc::new(RootCertStore::empty());
        let nobody = Trust { roots, certificates: Vec::new(), algorithms };
        let trusted = Self { file, algorithms, now: RwLock::new(Arc::new(nobody)) };
        if let Err(error) = trusted.reload() {
            tracing::error!("{error}: no other server can prove who it is by a certificate");
        }
        trusted
    }

    /// Reads the file again.
    ///
    /// # Errors
    /// It cannot be read, in words for people; those before are trusted still.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let read = Trust::read(&self.file, self.algorithms);
        let path = self.file.display();
        let trust = read.map_err(|error| format!("cannot read s2s.ca_file {path}: {error}"))?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(trust);
        Ok(())
    }

    /// Those that are trusted now.
    pub(crate) fn now(&self) -> Arc<Trust> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Trust {
    /// Trusts the authorities in a PEM file; what cannot be read in it is left out.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn read(
        file: &std::path::Path,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<Self, rustls_pki_types::pem::Error> {
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>()?;
        roots.add_parsable_certificates(certificates.iter().cloned());
        Ok(Self { roots: Arc::new(roots), certificates, algorithms })
    }

    /// The authorities.
    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }

    /// What a chain says, the certificate of the peer first. The use that it was made for is that of a server, also
    /// where the peer is the one that connects (XEP-0178 §3).
    pub(crate) fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Peer {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Peer { fault: Some("it shows no certificate".to_owned()), ..Peer::default() };
        };
        let verified = self.verify(leaf, intermediates, &self.roots, now);
        let fault = verified.err().map(|error| explain(&error));
        Peer { fault, names: names(leaf), ..Peer::default() }
    }

    /// Whether a chain leads from a certificate to one of these authorities.
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        roots: &RootCertStore,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let (parsed, all) = (ParsedCertificate::try_from(leaf)?, self.algorithms.all);
        verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, all)
    }
}

impl Peer {
    /// One whose certificate is good for these domains.
    #[cfg(test)]
    pub(crate) fn of(domains: &[&str]) -> Self {
        let names = domains.iter().map(|name| Name::Dns((*name).to_owned())).collect();
        Self { fault: None, names, ..Self::default() }
    }

    /// It is known, or known not, to be the server of a domain.
    pub(crate) fn learn(&mut self, domain: &str, proof: Result<(), String>) {
        self.proofs.insert(domain.to_owned(), proof);
    }

    /// Nothing else made it the server of a domain: why, in words for people.
    pub(crate) fn remark(&mut self, domain: &str, why: String) {
        self.remarks.insert(domain.to_owned(), why);
    }

    /// Whether more is known of a domain than the certificate says, or was looked for.
    pub(crate) fn is_known(&self, domain: &str) -> bool {
        self.proofs.contains_key(domain)
    }

    /// Whether it must not be spoken with as the server of a domain, whatever else it proves.
    pub(crate) fn is_denied(&self, domain: &str) -> bool {
        self.proofs.get(domain).is_some_and(Result::is_err)
    }

    /// Whether it is proved to be the server of a domain.
    ///
    /// # Errors
    /// Why not, in words for people.
    pub(crate) fn vouches_for(&self, domain: &str) -> Result<(), String> {
        if let Some(proof) = self.proofs.get(domain) {
            return proof.clone();
        }
        let fault = match &self.fault {
            Some(fault) => fault.clone(),
            None if self.is_for(domain) => return Ok(()),
            None => format!("its certificate is not for {domain}"),
        };
        Err(match self.remarks.get(domain) {
            Some(remark) => format!("{fault}; {remark}"),
            None => fault,
        })
    }

    /// Whether a domain is among its names; the case of letters is of no importance (RFC 9525 §6.3, RFC 4985 §2).
    fn is_for(&self, domain: &str) -> bool {
        let wanted = ascii(domain);
        let matches = |name: &Name| match name {
            Name::Xmpp(name) => name == domain || wanted.is_some() && ascii(name) == wanted,
            Name::Dns(pattern) => wanted.as_deref().is_some_and(|it| is_matched(it, pattern)),
        };
        self.names.iter().any(matches)
    }
}

fn explain(error: &rustls::Error) -> String {
    use rustls::CertificateError as Fault;
    let rustls::Error::InvalidCertificate(fault) = error else {
        return format!("its certificate cannot be used: {error}");
    };
    match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        // An authority of the same name, but another key.
        Fault::UnknownIssuer | Fault::BadSignature => {
            "its certificate is signed by nobody who is trusted here".to_owned()
        }
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
            "its certificate is not for servers".to_owned()
        }
        other => format!("its certificate cannot be used: {other:?}"),
    }
}

/// RFC 9525 §6.3: `*` stands for one whole label, the first, and not for one of a name that has only two.
fn is_matched(domain: &str, pattern: &str) -> bool {
    let Some(rest) = pattern.strip_prefix("*.") else {
        return domain.eq_ignore_ascii_case(pattern);
    };
    domain.split_once('.').is_some_and(|(first, tail)| {
        !first.is_empty() && tail.eq_ignore_ascii_case(rest) && rest.contains('.')
    })
}

fn names(leaf: &CertificateDer<'_>) -> Vec<Name> {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    names.value.general_names.iter().filter_map(name).take(NAMES_MAX).collect()
}

fn name(name: &GeneralName<'_>) -> Option<Name> {
    match name {
        GeneralName::DNSName(name) => Some(Name::Dns((*name).to_owned())),
        GeneralName::OtherName(oid, value) => other_name(oid, value),
        _ => None,
    }
}

/// The value is a string in an explicit tag: two headers of DER, then the text.
fn other_name(oid: &Oid<'_>, value: &[u8]) -> Option<Name> {
    let is = |known: &[u64]| oid.iter().is_some_and(|arcs| arcs.eq(known.iter().copied()));
    if is(&XMPP_ADDR) {
        let text = inner_text(value)?;
        return Some(Name::Xmpp(text.to_owned()));
    }
    if is(&SRV_NAME) {
        let (service, name) = inner_text(value)?.split_once('.')?;
        let is_ours = service.eq_ignore_ascii_case("_xmpp-server");
        return is_ours.then(|| Name::Xmpp(name.to_owned()));
    }
    None
}

/// The text of a UTF8String or IA5String, inside its explicit tag or bare.
fn inner_text(value: &[u8]) -> Option<&str> {
    const EXPLICIT: u8 = 0xa0;
    const UTF8: u8 = 0x0c;
    const IA5: u8 = 0x16;
    let (tag, content) = element(value)?;
    let (tag, content) = if tag == EXPLICIT { element(content)? } else { (tag, content) };
    if !matches!(tag, UTF8 | IA5) {
        return None;
    }
    str::from_utf8(content).ok().filter(|text| !text.contains('\0'))
}

/// The tag and the content of one element of DER that fills the bytes; long forms up to 65,535.
fn element(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&length, rest) = rest.split_first()?;
            (usize::from(length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    (rest.len() == length).then_some((tag, rest))
}

#[cfg(test)]
mod tests;
