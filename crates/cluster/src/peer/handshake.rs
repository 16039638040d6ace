//! Owns a connection whose other end has proven its name, from either side. The proof comes before the
//! first byte of any service.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError as TlsFault, ClientConfig, DigitallySignedStruct, PeerIncompatible,
    RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::transport::server::Connected;

use super::certificate::{self, CertificateError, Files, proven_name};
use super::{PeerName, Security, Settings};

/// Proves this member's name to others, and lets them prove theirs. A clone is the same.
#[derive(Clone)]
pub(super) struct Guard {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    security: Security,
    /// None where nothing is proven.
    tls: RwLock<Option<Tls>>,
}

#[derive(Clone)]
struct Tls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    trust_domain: Arc<str>,
}

/// A connection whose other end has proven its name.
pub(super) struct Proven {
    io: Box<dyn Stream>,
    name: PeerName,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to one address, again and again.
pub(super) struct Connector {
    guard: Guard,
    address: String,
    /// Who must be there; anybody where there is none.
    expected: Option<String>,
    seen: Arc<OnceLock<PeerName>>,
}

/// The protocol of all services.
const ALPN: &[u8] = b"h2";

/// An end that does not finish its handshake within this is gone.
pub(super) const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);

/// What a member says in the plain form before anything else; its name follows, and a line feed.
const PLAIN_GREETING: &[u8] = b"rookery insecure-dev ";

impl Guard {
    pub(super) fn new(settings: &Settings) -> Result<Self, CertificateError> {
        let tls = Tls::load(&settings.security, &settings.name)?;
        let (name, security) = (settings.name.clone(), settings.security.clone());
        Ok(Self { shared: Arc::new(Shared { name, security, tls: RwLock::new(tls) }) })
    }

    pub(super) fn reload(&self) -> Result<(), CertificateError> {
        let tls = Tls::load(&self.shared.security, &self.shared.name)?;
        *self.shared.tls.write().unwrap_or_else(PoisonError::into_inner) = tls;
        Ok(())
    }

    pub(super) fn connector(
        &self,
        address: String,
        expected: Option<String>,
    ) -> (Arc<Connector>, Arc<OnceLock<PeerName>>) {
        let seen = Arc::new(OnceLock::new());
        let guard = self.clone();
        let connector = Connector { guard, address, expected, seen: Arc::clone(&seen) };
        (Arc::new(connector), seen)
    }

    /// Lets the other end of a connection that came in prove its name.
    pub(super) async fn accept(&self, mut socket: TcpStream) -> io::Result<Proven> {
        socket.set_nodelay(true)?;
        let Some(tls) = self.tls() else {
            if !socket.peer_addr()?.ip().is_loopback() {
                return Err(refused("it is not on loopback"));
            }
            let name = read_plain_greeting(&mut socket).await?;
            return Ok(Proven { io: Box::new(socket), name });
        };
        let stream = TlsAcceptor::from(tls.server).accept(socket).await?;
        let name = proven(stream.get_ref().1.peer_certificates(), &tls.trust_domain)?;
        Ok(Proven { io: Box::new(stream), name })
    }

    async fn connect(&self, mut socket: TcpStream) -> io::Result<Proven> {
        socket.set_nodelay(true)?;
        let Some(tls) = self.tls() else {
            if !socket.peer_addr()?.ip().is_loopback() {
                return Err(refused("it is not on loopback"));
            }
            write_plain_greeting(&mut socket, &self.shared.name).await?;
            let name = read_plain_greeting(&mut socket).await?;
            return Ok(Proven { io: Box::new(socket), name });
        };
        // Members are verified by URI: no host name has a part in it.
        let nobody = ServerName::try_from("member.invalid").map_err(io::Error::other)?;
        let stream = TlsConnector::from(tls.client).connect(nobody, socket).await?;
        let name = proven(stream.get_ref().1.peer_certificates(), &tls.trust_domain)?;
        Ok(Proven { io: Box::new(stream), name })
    }

    /// Answers the greeting of the plain form; TLS has no need of it.
    pub(super) async fn answer(&self, connection: &mut Proven) -> io::Result<()> {
        match self.tls() {
            Some(_) => Ok(()),
            None => write_plain_greeting(&mut connection.io, &self.shared.name).await,
        }
    }

    fn tls(&self) -> Option<Tls> {
        self.shared.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Connector {
    pub(super) async fn connect(&self) -> io::Result<Proven> {
        let connecting = async {
            let socket = TcpStream::connect(&self.address).await?;
            self.guard.connect(socket).await
        };
        let connection = timeout(HANDSHAKE_PATIENCE, connecting).await??;
        let met = connection.name.as_str();
        if self.expected.as_deref().is_some_and(|expected| expected != met) {
            return Err(refused("another member is there"));
        }
        if self.seen.get_or_init(|| connection.name.clone()) != &connection.name {
            return Err(refused("another member is there now"));
        }
        Ok(connection)
    }
}

impl Tls {
    fn load(security: &Security, name: &str) -> Result<Option<Self>, CertificateError> {
        let Security::Mutual(files) = security else {
            return Ok(None);
        };
        let material = certificate::read(files, name)?;
        let unusable = |cause| CertificateError::Use { path: files.certificate.clone(), cause };
        let provider = Arc::new(ring::default_provider());
        let server = server_config(&material, &provider, files)?;
        let verifier = Arc::new(Authority { roots: Arc::clone(&material.roots), provider });
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&verifier.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(material.chain, material.key)
            .map_err(unusable)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.enable_sni = false;
        let (server, client) = (Arc::new(server), Arc::new(client));
        Ok(Some(Self { server, client, trust_domain: Arc::from(files.trust_domain.as_str()) }))
    }
}

fn server_config(
    material: &certificate::Material,
    provider: &Arc<CryptoProvider>,
    files: &Files,
) -> Result<ServerConfig, CertificateError> {
    let unusable = |cause| CertificateError::Use { path: files.certificate.clone(), cause };
    let roots = Arc::clone(&material.roots);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    let verifier = verifier.build().map_err(|error| CertificateError::Use {
        path: files.ca.clone(),
        cause: rustls::Error::General(error.to_string()),
    })?;
    let mut server = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(material.chain.clone(), material.key.clone_key())
        .map_err(unusable)?;
    server.alpn_protocols = vec![ALPN.to_vec()];
    Ok(server)
}

/// Believes what the authority has signed for a server, whatever it says: the name is looked at afterwards,
/// and is no host name.
#[derive(Debug)]
struct Authority {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Authority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The name in a certificate that was believed.
fn proven(chain: Option<&[CertificateDer<'_>]>, trust_domain: &str) -> io::Result<PeerName> {
    let leaf = chain.and_then(<[_]>::first);
    let name = leaf.and_then(|leaf| proven_name(leaf, trust_domain));
    let name = name.ok_or_else(|| {
        io::Error::other(rustls::Error::from(TlsFault::ApplicationVerificationFailure))
    })?;
    Ok(PeerName::new(&name))
}

async fn write_plain_greeting(
    socket: &mut (impl AsyncWrite + Unpin),
    name: &str,
) -> io::Result<()> {
    let greeting = [PLAIN_GREETING, name.as_bytes(), b"\n"].concat();
    socket.write_all(&greeting).await
}

/// Byte by byte: what follows belongs to HTTP/2.
async fn read_plain_greeting(socket: &mut TcpStream) -> io::Result<PeerName> {
    for &expected in PLAIN_GREETING {
        if socket.read_u8().await? != expected {
            return Err(refused("it is no member without certificates"));
        }
    }
    let mut name = Vec::new();
    loop {
        match socket.read_u8().await? {
            b'\n' => break,
            byte if name.len() < 63 => name.push(byte),
            _ => return Err(refused("its name is too long")),
        }
    }
    let name = String::from_utf8(name).map_err(|_| refused("its name is no text"))?;
    Ok(PeerName::new(&name))
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

impl Connected for Proven {
    type ConnectInfo = PeerName;

    fn connect_info(&self) -> PeerName {
        self.name.clone()
    }
}

impl AsyncRead for Proven {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Proven {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
