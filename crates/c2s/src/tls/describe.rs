//! Owns what an operator is told about certificates.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use xmpp::datetime;

use super::Tls;
use super::certificate::faults;

/// The certificate of a domain, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The domain that shows it.
    pub domain: String,
    /// The names that it is for.
    pub names: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// Until when it is valid, as XEP-0082 writes it.
    pub not_after: String,
    /// The SHA-256 fingerprint, as clients show it.
    pub sha256: String,
}

impl Tls {
    /// Why clients will refuse a certificate: the domain that shows it, and what is wrong with it.
    pub fn faults(&self) -> Vec<(String, &'static str)> {
        let generation = self.current();
        let by_domain = generation.certificates.by_domain.iter();
        let mut all: Vec<_> = by_domain
            .flat_map(|(domain, shown)| {
                faults(domain, shown).into_iter().map(move |fault| (domain.clone(), fault))
            })
            .collect();
        all.sort();
        all
    }

    /// The certificate of each domain, in order of their names.
    pub fn describe(&self) -> Vec<Description> {
        let generation = self.current();
        let by_domain = &generation.certificates.by_domain;
        let mut descriptions: Vec<Description> = by_domain
            .iter()
            .filter_map(|(domain, certificate)| describe(domain, certificate.key.cert.first()?))
            .collect();
        descriptions.sort_by(|a, b| a.domain.cmp(&b.domain));
        descriptions
    }
}

fn describe(domain: &str, der: &[u8]) -> Option<Description> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names = alternatives.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    let hash = Sha256::digest(der);
    let not_after = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    let octets: Vec<String> = hash.iter().map(|octet| format!("{octet:02X}")).collect();
    Some(Description {
        domain: domain.to_owned(),
        names: names.collect(),
        issuer: certificate.issuer().to_string(),
        not_after: datetime::format_seconds(not_after.saturating_mul(1_000_000)),
        sha256: octets.join(":"),
    })
}
