//! Owns one TLS connection: ciphertext in, plaintext out, and the other way round, with no socket in sight.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use auth::ChannelBinding;
use rustls::{ServerConfig, ServerConnection};

use super::{Generation, binding, person};

/// One TLS connection, from the side of the server.
pub(crate) struct TlsConnection {
    tls: ServerConnection,
    /// Until the handshake is done: whose certificates, and which is shown where the client names no domain.
    shown: Option<(Arc<Generation>, Option<String>)>,
    bindings: Vec<ChannelBinding>,
    /// The addresses in the client's certificate.
    addresses: Vec<String>,
}

/// What reading ciphertext led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    /// All is well, and more may come.
    Open,
    /// The peer has said that it will send no more (`close_notify`).
    Ended,
}

/// A chunk of plaintext: what fits into one record of TLS.
const CHUNK: usize = 16 << 10;

impl TlsConnection {
    /// TLS from the first byte.
    pub(crate) fn direct(generation: Arc<Generation>) -> Result<Self, rustls::Error> {
        Self::new(generation.direct(), (generation, None))
    }

    /// TLS behind `<proceed/>`, on a stream to `domain`.
    pub(crate) fn upgraded(
        generation: Arc<Generation>,
        domain: &str,
    ) -> Result<Self, rustls::Error> {
        Self::new(generation.upgraded(domain), (generation, Some(domain.to_owned())))
    }

    /// TLS whose handshake another has done; with what was read and said nothing to anybody yet.
    pub(crate) fn taken_over(
        mut tls: ServerConnection,
        generation: &Generation,
    ) -> (Self, Vec<u8>) {
        tls.set_buffer_limit(None);
        let ready = tls.process_new_packets().map_or(0, |state| state.plaintext_bytes_to_read());
        let mut plain = vec![0; ready];
        let read = tls.reader().read(&mut plain).unwrap_or(0);
        plain.truncate(read);
        let shown = generation.shown(tls.server_name(), None);
        let bindings = binding::of(&tls, shown.end_point.as_deref());
        (Self { tls, shown: None, bindings, addresses: Vec::new() }, plain)
    }

    fn new(
        config: Arc<ServerConfig>,
        shown: (Arc<Generation>, Option<String>),
    ) -> Result<Self, rustls::Error> {
        let mut tls = ServerConnection::new(config)?;
        // Whoever writes takes the ciphertext out at once, so that nothing gathers here.
        tls.set_buffer_limit(None);
        let (bindings, addresses) = (Vec::new(), Vec::new());
        Ok(Self { tls, shown: Some(shown), bindings, addresses })
    }

    /// Takes ciphertext, and appends what it says to `plain`. There may be something to send afterwards,
    /// after an error too.
    pub(crate) fn read(
        &mut self,
        mut cipher: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<ReadOutcome, rustls::Error> {
        while !cipher.is_empty() {
            // The connection takes a buffer's worth at a time; an error means that it wants no more.
            let taken = self.tls.read_tls(&mut cipher).unwrap_or(0);
            let state = self.tls.process_new_packets()?;
            let ready = state.plaintext_bytes_to_read();
            let at = plain.len();
            plain.resize(at + ready, 0);
            let read = self.tls.reader().read(&mut plain[at..]).unwrap_or(0);
            plain.truncate(at + read);
            if state.peer_has_closed() {
                return Ok(ReadOutcome::Ended);
            }
            if taken == 0 {
                return Err(rustls::Error::General("more ciphertext than TLS can take".to_owned()));
            }
        }
        if !self.tls.is_handshaking()
            && let Some((generation, domain)) = self.shown.take()
        {
            let shown = generation.shown(self.tls.server_name(), domain.as_deref());
            self.bindings = binding::of(&self.tls, shown.end_point.as_deref());
            let certificate = self.tls.peer_certificates().and_then(<[_]>::first);
            self.addresses = certificate.map(person::addresses).unwrap_or_default();
        }
        Ok(ReadOutcome::Open)
    }

    /// Whether the handshake is not done yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// The channel bindings of the connection, the preferred first; none before the handshake is done.
    pub(crate) fn take_bindings(&mut self) -> Vec<ChannelBinding> {
        std::mem::take(&mut self.bindings)
    }

    /// The addresses in the client's certificate; none before the handshake is done.
    pub(crate) fn take_addresses(&mut self) -> Vec<String> {
        std::mem::take(&mut self.addresses)
    }

    /// Encrypts one chunk from the beginning of `plain` and appends it to `cipher`; answers how long the
    /// chunk was.
    pub(crate) fn write(&mut self, plain: &[u8], cipher: &mut Vec<u8>) -> io::Result<usize> {
        let chunk = &plain[..plain.len().min(CHUNK)];
        let taken = self.tls.writer().write(chunk)?;
        self.take_output(cipher)?;
        Ok(taken)
    }

    /// Appends what TLS itself has to say: of the handshake, alerts, tickets.
    pub(crate) fn take_output(&mut self, cipher: &mut Vec<u8>) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(cipher)?;
        }
        Ok(())
    }

    /// Says that nothing more will be sent (`close_notify`).
    pub(crate) fn close(&mut self) {
        self.tls.send_close_notify();
    }
}
