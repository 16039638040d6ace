//! Owns the channel bindings of a TLS connection: data that ties a SASL negotiation to it.

use auth::ChannelBinding;
use auth::binding::{TLS_EXPORTER_LABEL, TLS_EXPORTER_LEN};
use rustls::{ProtocolVersion, ServerConnection};
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_parser::der_parser::asn1_rs::oid;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

/// The bindings of a connection whose handshake is done, the preferred first. `tls-exporter` is left to TLS
/// 1.3: before it binds only with the extended master secret (RFC 9266 §4.2), which cannot be asked for.
pub(crate) fn of(tls: &ServerConnection, end_point: Option<&[u8]>) -> Vec<ChannelBinding> {
    let exporter = (tls.protocol_version() == Some(ProtocolVersion::TLSv1_3))
        .then(|| tls.export_keying_material([0; TLS_EXPORTER_LEN], TLS_EXPORTER_LABEL, None).ok())
        .flatten();
    let exporter = exporter.map(|data| ChannelBinding::TlsExporter(data.to_vec()));
    let end_point = end_point.map(|data| ChannelBinding::TlsServerEndPoint(data.to_vec()));
    exporter.into_iter().chain(end_point).collect()
}

/// The data of `tls-server-end-point`: the certificate's hash, by the hash function of its signature, or by
/// SHA-256 where that is MD5 or SHA-1. None where the signature has not exactly one (RFC 5929 §4.1).
pub(crate) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let hash = signature_hash(&parsed.signature_algorithm)?;
    Some(match hash {
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

#[derive(Clone, Copy)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

fn signature_hash(algorithm: &AlgorithmIdentifier<'_>) -> Option<Hash> {
    if let Ok(SignatureAlgorithm::RSASSA_PSS(params)) = SignatureAlgorithm::try_from(algorithm) {
        return pss_hash(params.hash_algorithm_oid().to_id_string().as_str());
    }
    let known = [
        (oid!(1.2.840.113549.1.1.4), Hash::Sha256), // RSA with MD5
        (oid!(1.2.840.113549.1.1.5), Hash::Sha256), // RSA with SHA-1
        (oid!(1.2.840.113549.1.1.11), Hash::Sha256), // RSA
        (oid!(1.2.840.113549.1.1.12), Hash::Sha384),
        (oid!(1.2.840.113549.1.1.13), Hash::Sha512),
        (oid!(1.2.840.10045.4.1), Hash::Sha256), // ECDSA with SHA-1
        (oid!(1.2.840.10045.4.3.2), Hash::Sha256), // ECDSA
        (oid!(1.2.840.10045.4.3.3), Hash::Sha384),
        (oid!(1.2.840.10045.4.3.4), Hash::Sha512),
    ];
    known.into_iter().find(|(oid, _)| *oid == algorithm.algorithm).map(|(_, hash)| hash)
}

fn pss_hash(oid: &str) -> Option<Hash> {
    match oid {
        "1.3.14.3.2.26" | "2.16.840.1.101.3.4.2.1" => Some(Hash::Sha256),
        "2.16.840.1.101.3.4.2.2" => Some(Hash::Sha384),
        "2.16.840.1.101.3.4.2.3" => Some(Hash::Sha512),
        _ => None,
    }
}
