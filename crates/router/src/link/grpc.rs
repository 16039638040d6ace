//! Owns frames over gRPC: the carrier that the members of a cluster use, on connections whose other end has proven
//! its name.

use std::sync::Arc;

use cluster::peer::Peers;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::Map;
use proto::MemberId;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::Streaming;
use tonic::server::NamedService as _;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::carrier::PIPE_DEPTH;
use super::pb::lanes_client::LanesClient;
use super::pb::lanes_server::{Lanes, LanesServer};
use super::pb::{Frame, Reply};
use super::{Address, Carrier, Cut, Links, Pipe};

/// A frame closes at 64 KiB, or after one envelope, whose stanzas the gates bound.
const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// Carries frames over gRPC.
#[derive(Clone)]
pub struct Grpc {
    peers: Peers,
}

impl Grpc {
    /// By these connections.
    #[must_use]
    pub fn new(peers: Peers) -> Self {
        Self { peers }
    }

    /// Lets peers open lanes to these links.
    pub fn serve(&self, links: &Arc<Links>) {
        let service = Service { links: Arc::downgrade(links), peers: self.peers.clone() };
        let server = LanesServer::new(service).max_decoding_message_size(MESSAGE_BYTES_MAX);
        self.peers.serve(LanesServer::<Service>::NAME, Routes::new(server));
    }
}

impl Carrier for Grpc {
    fn open(&self, to: Address, _: u32) -> BoxFuture<'static, Result<Pipe, Cut>> {
        let peers = self.peers.clone();
        Box::pin(async move {
            let channel = peers.connect(to.member).await.map_err(|error| Cut(error.to_string()))?;
            let mut client = LanesClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
            let (frames, outgoing) = mpsc::channel(PIPE_DEPTH);
            let opened = client.open(Request::new(ReceiverStream::new(outgoing))).await;
            let incoming = opened.map_err(|status| Cut(status.to_string()))?.into_inner();
            let (sender, replies) = mpsc::channel(PIPE_DEPTH);
            peers.runtime().spawn(pump(incoming, sender));
            Ok(Pipe { frames, replies })
        })
    }
}

/// What peers ask for.
struct Service {
    links: std::sync::Weak<Links>,
    peers: Peers,
}

#[tonic::async_trait]
impl Lanes for Service {
    type OpenStream = Map<ReceiverStream<Reply>, fn(Reply) -> Result<Reply, Status>>;

    async fn open(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::OpenStream>, Status> {
        let links = self.links.upgrade().ok_or_else(|| Status::unavailable("it stops"))?;
        let member = self.peers.member(request.extensions());
        let (sender, frames) = mpsc::channel(PIPE_DEPTH);
        let (replies, outgoing) = mpsc::channel(PIPE_DEPTH);
        let runtime = self.peers.runtime();
        runtime.spawn(check(request.into_inner(), sender, member));
        runtime.spawn(async move { links.serve(frames, replies).await });
        Ok(Response::new(ReceiverStream::new(outgoing).map(Ok)))
    }
}

/// Passes frames on. The member that greets must be the one that has proven its name.
async fn check(mut from: Streaming<Frame>, to: mpsc::Sender<Frame>, member: Option<MemberId>) {
    while let Ok(Some(frame)) = from.message().await {
        let other =
            frame.hello.as_ref().is_some_and(|hello| Some(MemberId(hello.member)) != member);
        if other {
            tracing::warn!("a member greets by another one's number");
            return;
        }
        if to.send(frame).await.is_err() {
            return;
        }
    }
}

async fn pump(mut from: Streaming<Reply>, to: mpsc::Sender<Reply>) {
    while let Ok(Some(reply)) = from.message().await {
        if to.send(reply).await.is_err() {
            return;
        }
    }
}
