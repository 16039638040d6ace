//! Owns bytes to and from a peer: reads into a parser, writes with an end to patience. Knows nothing of what they mean.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use stream::{Event, Parser};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use xmpp::StreamError;

/// Bytes of one read.
const READ_BYTES: usize = 16 << 10;
/// A peer that takes nothing for this long is gone.
const STALLED: Duration = Duration::from_secs(30);
/// A connection that has been silent for this long is probed by the kernel, so often, and so many times.
const PROBE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);

/// What a read led to.
pub enum Read {
    /// There may be events; so many bytes came.
    Some(usize),
    /// The peer will send no more.
    End,
}

/// Why a read failed.
pub enum ReadError {
    /// The connection is lost.
    Lost(io::Error),
    /// What came is no stream; events before it are there.
    Xml(StreamError),
}

/// Reads once, and gives what is complete to `events`.
///
/// # Errors
/// [`ReadError`]; what came before is in `events`.
pub async fn read(
    io: &mut (impl AsyncRead + Unpin),
    parser: &mut Parser,
    events: &mut Vec<Event>,
) -> Result<Read, ReadError> {
    let mut bytes = vec![0; READ_BYTES];
    let count = match io.read(&mut bytes).await {
        Ok(0) => return Ok(Read::End),
        Ok(count) => count,
        // Many servers end TLS without a word.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Read::End),
        Err(error) => return Err(ReadError::Lost(error)),
    };
    let came = bytes.get(..count).unwrap_or_default();
    parser.feed(came, events).map_err(ReadError::Xml)?;
    Ok(Read::Some(count))
}

/// Writes all.
///
/// # Errors
/// The connection is lost, or the peer takes nothing.
pub async fn write(io: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let written = timeout(STALLED, async {
        io.write_all(bytes).await?;
        io.flush().await
    });
    written.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Small stanzas leave at once; a peer that is gone without a word is noticed by the kernel.
///
/// # Errors
/// The connection is gone.
pub fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let (time, interval, retries) = PROBE;
    let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval);
    let socket = SockRef::from(tcp);
    socket.set_tcp_keepalive(&keepalive.with_retries(retries))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(STALLED * 2))?;
    Ok(())
}
