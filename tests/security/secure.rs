//! Owns TLS for peers: what they speak, and that they trust everybody, since whom the server trusts is what
//! is tried here.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConnection, StreamOwned, SupportedProtocolVersion};

use super::wire::{FEATURES, HEADER, Wire};

/// STARTTLS.
pub(super) const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

/// Every version of TLS that a peer may speak.
pub(super) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];

/// What a handshake came to.
pub(crate) struct Agreed {
    /// The version spoken.
    pub(super) version: Option<rustls::ProtocolVersion>,
    /// The protocol named.
    pub(super) alpn: Option<Vec<u8>>,
    /// The binding of RFC 9266.
    pub(super) exporter: Vec<u8>,
    /// The certificate that the server showed.
    pub(crate) certificate: Vec<u8>,
}

/// Opens a stream over TLS from the first byte, and reads the features.
pub(crate) fn open(address: SocketAddr) -> (Wire, Agreed) {
    let wire = Wire::connect(address);
    let (mut wire, agreed) = shake_hands(wire, &VERSIONS, &[b"xmpp-client"]).expect("a handshake");
    wire.say(HEADER);
    wire.until(FEATURES);
    (wire, agreed)
}

/// The certificate that is shown to who names this domain.
pub(crate) fn certificate_for(address: SocketAddr, domain: &'static str) -> Vec<u8> {
    let wire = Wire::connect(address);
    let agreed = shake_hands_with((domain, None), wire, &VERSIONS, &[b"xmpp-client"]);
    agreed.expect("a handshake").1.certificate
}

/// Begins TLS on a connection.
pub(super) fn shake_hands(
    wire: Wire,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> Result<(Wire, Agreed), std::io::Error> {
    shake_hands_with(("localhost", None), wire, versions, alpn)
}

/// As [`open`], by a client that shows a certificate; what it hears up to the features.
pub(crate) fn open_as(
    address: SocketAddr,
    shown: Option<Shown>,
) -> Result<(Wire, String), std::io::Error> {
    let (wire, alpn) = (Wire::connect(address), &[&b"xmpp-client"[..]]);
    let (mut wire, _) = shake_hands_with(("localhost", shown), wire, &VERSIONS, alpn)?;
    wire.say(HEADER);
    let features = wire.until(FEATURES);
    Ok((wire, features))
}

/// A certificate with what proves it, and its key.
pub(crate) type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn shake_hands_with(
    (domain, shown): (&'static str, Option<Shown>),
    wire: Wire,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> Result<(Wire, Agreed), std::io::Error> {
    let config = town::tls::client(versions);
    let mut config = match shown {
        None => config.with_no_client_auth(),
        Some((chain, key)) => config.with_client_auth_cert(chain, key).expect("a pair"),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from(domain).expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("a configuration");
    let mut line = StreamOwned::new(tls, wire.tcp.try_clone().expect("a descriptor is free"));
    while line.conn.is_handshaking() {
        line.conn.complete_io(&mut line.sock)?;
    }
    line.flush()?;
    let exporter = line.conn.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", None);
    let agreed = Agreed {
        version: line.conn.protocol_version(),
        alpn: line.conn.alpn_protocol().map(<[u8]>::to_vec),
        exporter: exporter.expect("the handshake is over"),
        certificate: line.conn.peer_certificates().expect("the server has one")[0].to_vec(),
    };
    Ok((wire.over(Box::new(line)), agreed))
}
