//! Owns the way of clients from the gate that speaks HTTP to the one that speaks XMPP.

use std::net::SocketAddr;

use bytes::Bytes;
use c2s::Handover;
use futures_util::future::BoxFuture;
use proto::MemberId;
use web::clients::{Begin, Posted, Way};

/// Hands sockets and requests over.
pub(crate) struct Clients(pub(crate) Handover);

impl web::clients::Gate for Clients {
    fn admit(&self, peer: SocketAddr) -> Option<Begin> {
        let place = self.0.place(peer)?;
        Some(Box::new(move |upgraded| place.begin(upgraded)))
    }

    fn most_bytes(&self) -> usize {
        self.0.most_bytes()
    }

    fn post(&self, way: Way, body: Bytes) -> BoxFuture<'static, Result<Posted, MemberId>> {
        let handover = self.0.clone();
        Box::pin(async move { handover.post(way.peer, way.is_secure, &body).await.map(posted) })
    }

    fn no_session(&self) -> Posted {
        posted(c2s::bosh::Response::no_session())
    }
}

fn posted(response: c2s::bosh::Response) -> Posted {
    Posted { content: response.content.into(), body: response.body }
}
