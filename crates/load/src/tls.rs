//! TLS for both ends of a measurement: a client that trusts anyone, a server with a certificate of its own.

use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A client's settings: TLS 1.3 (1.2 if `old`), no resumption, any certificate.
///
/// The generator talks to test servers with self-signed certificates, so it verifies nothing.
#[must_use]
pub fn client(old: bool) -> Arc<ClientConfig> {
    let versions: &[_] = if old { &[&TLS12] } else { &[&TLS13] };
    let mut config = town::tls::client(versions).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// A server's settings: TLS 1.3 with the given PEM files, or with a new self-signed certificate.
pub fn server(files: Option<(&Path, &Path)>) -> io::Result<Arc<ServerConfig>> {
    let (chain, key) = match files {
        Some((chain, key)) => read_files(chain, key)?,
        None => self_signed()?,
    };
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    Ok(Arc::new(config))
}

/// A new client connection, naming `domain`.
pub fn connect(config: &Arc<ClientConfig>, domain: &str) -> io::Result<rustls::Connection> {
    let name = ServerName::try_from(domain.to_owned()).map_err(io::Error::other)?;
    let tls = rustls::ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    Ok(tls.into())
}

/// A new server connection.
pub fn accept(config: &Arc<ServerConfig>) -> io::Result<rustls::Connection> {
    let tls = rustls::ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    Ok(tls.into())
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_files(chain: &Path, key: &Path) -> io::Result<Identity> {
    let chain = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    Ok((chain, key))
}

fn self_signed() -> io::Result<Identity> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let made = made.map_err(io::Error::other)?;
    let key =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(io::Error::other)?;
    Ok((vec![made.cert.der().clone()], key))
}
