//! Owns TLSA records (RFC 6698, RFC 7673): what one says of a certificate, and the one to publish for it. Pure.

use std::fmt;
use std::path::Path;

use data_encoding::HEXLOWER;
use hickory_resolver::proto::rr::RData;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256, Sha512};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Whose certificate it is, and what else must vouch for it (RFC 6698 §2.1.1): that of an authority or of the server
/// itself, which those who are trusted anyway must vouch for too; that of an authority, or of the server itself, which
/// needs nobody's word beside it.
pub(crate) const PKIX_TA: u8 = 0;
pub(crate) const PKIX_EE: u8 = 1;
pub(crate) const DANE_TA: u8 = 2;
pub(crate) const DANE_EE: u8 = 3;
/// What is compared: the key (§2.1.2).
const KEY: u8 = 1;
/// How: by its SHA-256 (§2.1.3).
const BY_SHA256: u8 = 1;
const BY_SHA512: u8 = 2;

/// A certificate, as it is shown.
pub type Certificate = CertificateDer<'static>;

/// A TLSA record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// Whose certificate it is, and what else must vouch for it: 0 to 3 (RFC 6698 §2.1.1).
    pub usage: u8,
    /// The whole certificate (0) or its key (1).
    pub selector: u8,
    /// As it is (0), or by SHA-256 (1) or SHA-512 (2).
    pub matching: u8,
    /// With what it is compared.
    pub data: Vec<u8>,
}

impl Tlsa {
    /// The record of DNS, if it is one.
    pub(crate) fn read(data: &RData) -> Option<Self> {
        match data {
            RData::TLSA(tlsa) => Some(Self {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        }
    }

    /// The record for the key of a certificate, whoever has signed it: it need not change when the certificate does.
    /// None where the certificate cannot be read.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let data = digest(BY_SHA256, &selected(KEY, certificate)?)?;
        Some(Self { usage: DANE_EE, selector: KEY, matching: BY_SHA256, data })
    }

    /// Whether it is this certificate that it means (§2.1).
    #[must_use]
    pub fn means(&self, certificate: &CertificateDer<'_>) -> bool {
        let selected = selected(self.selector, certificate);
        selected.and_then(|it| digest(self.matching, &it)).is_some_and(|it| it == self.data)
    }

    /// Whether it can be compared with certificates: what it says is known, and as long as it must be (RFC 7671 §9).
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let is_whole = match self.matching {
            0 => !self.data.is_empty(),
            BY_SHA256 => self.data.len() == 32,
            BY_SHA512 => self.data.len() == 64,
            _ => false,
        };
        is_whole && self.usage <= DANE_EE && self.selector <= KEY
    }

    /// The certificate that it is itself, if it is one.
    pub(crate) fn embedded(&self) -> Option<Certificate> {
        let is_whole = self.selector == 0 && self.matching == 0;
        is_whole.then(|| CertificateDer::from(self.data.clone()))
    }
}

/// Those of the records that count: usable, and of those of one usage and selector that name a digest only the ones with
/// the strongest (RFC 7671 §9).
pub(crate) fn strongest(records: &[Tlsa]) -> Vec<&Tlsa> {
    let usable: Vec<&Tlsa> = records.iter().filter(|it| it.is_usable()).collect();
    let is_outdone = |weak: &&Tlsa| {
        let is_better = |other: &&Tlsa| {
            (other.usage, other.selector) == (weak.usage, weak.selector)
                && other.matching > weak.matching
        };
        weak.matching != 0 && usable.iter().any(is_better)
    };
    usable.iter().filter(|it| !is_outdone(it)).copied().collect()
}

/// As a zone file has it (§2.2).
impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = HEXLOWER.encode(&self.data);
        write!(f, "{} {} {} {data}", self.usage, self.selector, self.matching)
    }
}

/// The first certificate of a PEM file; none where there is none.
#[must_use]
pub fn certificate(file: &Path) -> Option<Certificate> {
    CertificateDer::from_pem_file(file).ok()
}

fn selected(selector: u8, certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    match selector {
        0 => Some(certificate.to_vec()),
        KEY => {
            let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
            Some(parsed.public_key().raw.to_vec())
        }
        _ => None,
    }
}

fn digest(matching: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    match matching {
        0 => Some(bytes.to_vec()),
        BY_SHA256 => Some(Sha256::digest(bytes).to_vec()),
        BY_SHA512 => Some(Sha512::digest(bytes).to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};

    use super::*;

    #[test]
    fn a_record_means_the_certificate_or_the_key_that_it_was_made_of() {
        let made = |key: &KeyPair| {
            let params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
            params.self_signed(key).unwrap().der().clone()
        };
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (certificate, wrong) = (made(&key), made(&other));
        let spki = key.subject_public_key_info();
        let sha = Sha256::digest(&spki).to_vec();
        let record = Tlsa::of(&certificate).unwrap();
        assert_eq!(record, Tlsa { usage: 3, selector: 1, matching: 1, data: sha.clone() });
        assert_eq!(record.to_string(), format!("3 1 1 {}", HEXLOWER.encode(&sha)));
        let full = certificate.to_vec();
        let records = [
            (1, 0, spki.clone()),
            (1, 1, sha),
            (1, 2, Sha512::digest(&spki).to_vec()),
            (0, 0, full.clone()),
            (0, 1, Sha256::digest(&full).to_vec()),
        ];
        for (selector, matching, data) in records {
            let record = Tlsa { usage: 3, selector, matching, data };
            assert!(record.means(&certificate), "{record}");
            assert!(!record.means(&wrong), "{record}");
        }
        let unknown = Tlsa { usage: 3, selector: 7, matching: 0, data: full };
        assert!(!unknown.means(&certificate));
        assert_eq!(Tlsa::of(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
