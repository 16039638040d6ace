//! Owns a connection's socket of TCP, with TLS on top where there is TLS. Bytes of the stream in and out; knows
//! nothing of what they mean.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;

use super::{Read, Scratch, Written};
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::tls::TlsConnection;
use crate::tls::connection::ReadOutcome;

/// Ciphertext is gathered up to this many bytes before it is sent.
const WRITE_BYTES: usize = 64 << 10;

/// A socket, on the thread that it is registered with.
pub(crate) struct Tcp {
    tcp: TcpStream,
    tls: Option<Box<TlsConnection>>,
    /// Ciphertext that the socket has not taken yet.
    cipher: Outbox,
    metrics: Arc<Metrics>,
}

/// A socket on its way to another thread.
pub(crate) struct DetachedTcp {
    tcp: std::net::TcpStream,
    tls: Option<Box<TlsConnection>>,
    cipher: Outbox,
    metrics: Arc<Metrics>,
}

impl Tcp {
    /// Takes a connected socket of this thread.
    pub(crate) fn new(tcp: TcpStream, metrics: Arc<Metrics>) -> Self {
        Self { tcp, tls: None, cipher: Outbox::default(), metrics }
    }

    /// What comes and goes from here on is ciphertext.
    pub(crate) fn start_tls(&mut self, tls: TlsConnection) {
        self.tls = Some(Box::new(tls));
    }

    /// The TLS of the connection.
    pub(crate) fn tls(&mut self) -> Option<&mut TlsConnection> {
        self.tls.as_deref_mut()
    }

    /// Reads once into `scratch`, as it comes.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Poll<io::Result<Read>> {
        scratch.came = 0..0;
        let mut room = ReadBuf::new(&mut scratch.raw);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut room))?;
        let count = room.filled().len();
        scratch.came = 0..count;
        self.metrics.bytes_in.add(count as u64);
        Poll::Ready(Ok(if count == 0 { Read::End } else { Read::Some }))
    }

    /// Decrypts what was read. Call [`Tcp::write`] afterwards, after an error too: TLS may have to
    /// answer.
    pub(crate) fn decrypt(&mut self, scratch: &mut Scratch) -> Result<Read, rustls::Error> {
        let Scratch { raw, came, plain, .. } = scratch;
        let came = raw.get(came.clone()).unwrap_or_default();
        plain.clear();
        let Some(tls) = &mut self.tls else {
            plain.extend_from_slice(came);
            return Ok(Read::Some);
        };
        let was_handshaking = tls.is_handshaking();
        let outcome = tls.read(came, plain);
        // Writing into memory does not fail.
        tls.take_output(self.cipher.end()).unwrap_or_default();
        match &outcome {
            Ok(_) if was_handshaking && !tls.is_handshaking() => self.metrics.handshakes.add_one(),
            Err(_) if was_handshaking => self.metrics.handshakes_failed.add_one(),
            _ => {}
        }
        outcome.map(|outcome| if outcome == ReadOutcome::Ended { Read::End } else { Read::Some })
    }

    /// Writes `out` as far as it goes.
    pub(crate) fn write(&mut self, out: &mut Outbox) -> io::Result<Written> {
        let Some(tls) = &mut self.tls else {
            return drain(&self.tcp, out, &self.metrics);
        };
        loop {
            while !out.is_empty() && !tls.is_handshaking() && self.cipher.len() < WRITE_BYTES {
                let taken = tls.write(out.unsent(), self.cipher.end())?;
                out.advance(taken);
            }
            let written = drain(&self.tcp, &mut self.cipher, &self.metrics)?;
            if written == Written::Short || out.is_empty() || tls.is_handshaking() {
                return Ok(written);
            }
        }
    }

    /// Whether there is ciphertext that the socket has not taken.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.cipher.is_empty()
    }

    /// Waits until the socket takes more.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_write_ready(cx)
    }

    /// Says that nothing more will be sent; [`Tcp::write`] must have come to the end.
    pub(crate) fn end(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close();
            tls.take_output(self.cipher.end()).unwrap_or_default();
            // A peer that takes not even this is gone.
            let _rest = drain(&self.tcp, &mut self.cipher, &self.metrics);
        }
        SockRef::from(&self.tcp).shutdown(Shutdown::Write).unwrap_or_default();
    }

    /// Takes the socket off this thread.
    pub(crate) fn detach(self) -> io::Result<DetachedTcp> {
        let Self { tcp, tls, cipher, metrics } = self;
        Ok(DetachedTcp { tcp: tcp.into_std()?, tls, cipher, metrics })
    }
}

impl DetachedTcp {
    /// Puts the socket on this thread.
    pub(crate) fn attach(self) -> io::Result<Tcp> {
        let Self { tcp, tls, cipher, metrics } = self;
        Ok(Tcp { tcp: TcpStream::from_std(tcp)?, tls, cipher, metrics })
    }
}

fn drain(tcp: &TcpStream, out: &mut Outbox, metrics: &Metrics) -> io::Result<Written> {
    while !out.is_empty() {
        match tcp.try_write(out.unsent()) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                metrics.bytes_out.add(count as u64);
                out.advance(count);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Written::Short),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Written::All)
}
