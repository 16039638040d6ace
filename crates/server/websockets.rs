//! Owns the way of a WebSocket from the gate that speaks HTTP to the one that speaks XMPP.

use std::net::SocketAddr;

use c2s::Handover;
use web::clients::Begin;

/// Hands sockets over.
pub(crate) struct WebSockets(pub(crate) Handover);

impl web::clients::WebSockets for WebSockets {
    fn admit(&self, peer: SocketAddr) -> Option<Begin> {
        let place = self.0.place(peer)?;
        Some(Box::new(move |upgraded| {
            let web::clients::Upgraded { tcp, tls, is_secure, peer, reply, unread } = upgraded;
            place.begin(c2s::Upgraded { tcp, tls, is_secure, peer, reply, unread });
        }))
    }
}
