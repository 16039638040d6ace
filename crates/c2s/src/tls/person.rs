//! Owns whose certificate a client shows: the addresses of XMPP in it (XEP-0178 §2, RFC 6120 §13.7.1.4). That an authority
//! which is trusted for clients has signed it, TLS has found already.

use rustls_pki_types::CertificateDer;
use x509_parser::der_parser::asn1_rs::{Any, Tag};
use x509_parser::der_parser::oid;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// More names than these are not looked at.
const NAMES_MAX: usize = 16;

/// The addresses in a certificate.
pub(crate) fn addresses(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    names.value.general_names.iter().filter_map(address).take(NAMES_MAX).collect()
}

/// `id-on-xmppAddr`: a UTF8String, in an explicit tag.
fn address(name: &GeneralName<'_>) -> Option<String> {
    let GeneralName::OtherName(kind, value) = name else { return None };
    if *kind != oid!(1.3.6.1.5.5.7.8.5) {
        return None;
    }
    let (_, outer) = Any::from_der(value).ok()?;
    let text = match outer.header.tag() {
        Tag::Utf8String => outer,
        _ => Any::from_der(outer.data).ok()?.1,
    };
    let is_text = text.header.tag() == Tag::Utf8String && !text.data.contains(&0);
    let text = std::str::from_utf8(text.data).ok().filter(|_| is_text)?;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    /// A certificate that names these.
    fn certificate(names: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["client.example".to_owned()]).unwrap();
        let arcs = vec![1, 3, 6, 1, 5, 5, 7, 8, 5];
        let name = |name: &&str| SanType::OtherName((arcs.clone(), (*name).to_owned().into()));
        params.subject_alt_names.extend(names.iter().map(name));
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn addresses_are_those_of_xmpp_and_no_other_names() {
        assert_eq!(addresses(&certificate(&[])), Vec::<String>::new());
        let names = ["romeo@x.org", "juliet@y.org"];
        assert_eq!(addresses(&certificate(&names)), names);
        assert_eq!(addresses(&CertificateDer::from(vec![1, 2, 3])), Vec::<String>::new());
    }
}
