//! Channel bindings: data that both ends of one TLS connection know and nobody between them can
//! have twice. How they are taken from TLS is the gate's matter.

use std::fmt;

/// The exporter label for [`ChannelBinding::TlsExporter`] (RFC 9266 §4); the context is empty.
pub const TLS_EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// The number of octets to export for [`ChannelBinding::TlsExporter`] (RFC 9266 §4).
pub const TLS_EXPORTER_LEN: usize = 32;

/// One kind of channel binding with the data of the connection at hand.
#[derive(Clone, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Exported keying material (RFC 9266). For TLS 1.2 only with the extended master secret.
    TlsExporter(Vec<u8>),
    /// The hash of the server's certificate (RFC 5929 §4). XEP-0440 §3 makes servers offer it.
    TlsServerEndPoint(Vec<u8>),
}

impl ChannelBinding {
    /// The name in the registry of channel bindings, as in `p=` and in XEP-0440's list.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TlsExporter(_) => "tls-exporter",
            Self::TlsServerEndPoint(_) => "tls-server-end-point",
        }
    }

    /// The octets that both ends know.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        match self {
            Self::TlsExporter(data) | Self::TlsServerEndPoint(data) => data,
        }
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelBinding({})", self.name())
    }
}
