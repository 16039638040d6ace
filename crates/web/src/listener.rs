//! Owns a listener of HTTP/1.1 with or without TLS, on a thread of its own. Requests go to an application of
//! actix-web; who asks for a WebSocket has its socket handed over, so that HTTP has no more to do with it.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_codec::Framed;
use actix_http::h1::Codec;
use actix_http::{HttpService, Request, StatusCode};
use actix_rt::Arbiter;
use actix_service::{Service as _, ServiceFactory as _, fn_service, map_config};
use actix_web::App;
use actix_web::dev::AppConfig;
use actix_web::web::ServiceConfig;
use meter::By;
use rustls::ServerConfig;
use socket::{Acceptor, Admission, Most, Upgraded};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::clients::Clients;
use crate::handshake::{Upgrade, judge, refusal};
use crate::serve::REQUEST_TIMEOUT;

/// A handshake of TLS must be over within this.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A connection that waits for its next request is kept for so long.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// A last answer must be taken within this.
const FAREWELL: Duration = Duration::from_secs(5);
/// Connections of all listeners at a time, those that were handed over aside.
const MOST: usize = 20_000;
/// Those from one address that is no trusted proxy's. A browser has a few, and many people can be behind one.
const MOST_OF_ONE: usize = 1_000;

/// What listeners count.
#[derive(Debug)]
pub struct Figures {
    /// Connections that were refused, by which limit.
    pub refused: By<2>,
}

impl Default for Figures {
    fn default() -> Self {
        Self { refused: By::new(["all", "address"]) }
    }
}

/// The places of all listeners. Where memory is tight they stay open: orchestrators ask there whether this process is well.
pub(crate) fn places() -> Arc<Admission> {
    Admission::new(Most { all: MOST, of_one_address: MOST_OF_ONE }, Arc::default())
}

/// An address where HTTP is spoken, and with whom.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    /// The TLS of this moment; none for plain HTTP.
    pub(crate) tls: Option<Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>>,
    pub(crate) clients: Arc<Clients>,
    pub(crate) places: Arc<Admission>,
}

/// Serves listeners on a thread of their own until `stop` says true.
pub(crate) fn start(
    listeners: Vec<Listener>,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    stop: &watch::Receiver<bool>,
) -> Arbiter {
    let thread = Arbiter::new();
    for listener in listeners {
        let (routes, stop) = (routes.clone(), stop.clone());
        thread.spawn_fn(move || {
            actix_rt::spawn(async move {
                if let Err(error) = serve(listener, routes, stop).await {
                    tracing::error!(%error, "HTTP is not served");
                }
            });
        });
    }
    thread
}

async fn serve(
    listener: Listener,
    routes: impl Fn(&mut ServiceConfig) + Clone + 'static,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let Listener { socket, tls, clients, places } = listener;
    let (proxies, figures) = (clients.proxies.clone(), Arc::clone(&clients.figures));
    let mut acceptor = Acceptor::new(socket)?;
    let is_secure = tls.is_some();
    let upgrade = move |(request, framed): (Request, Framed<Io, Codec>)| {
        let clients = Arc::clone(&clients);
        async move {
            hand_over(&clients, is_secure, &request, framed).await;
            Ok::<_, Infallible>(())
        }
    };
    let service = HttpService::build()
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(REQUEST_TIMEOUT)
        .client_disconnect_timeout(FAREWELL)
        .upgrade(fn_service(upgrade))
        .h1(map_config(App::new().configure(move |config| routes(config)), |()| {
            AppConfig::default()
        }));
    let service = service.new_service(()).await.map_err(|()| io::Error::other("no service"))?;
    let service = Rc::new(service);
    while let Some(accepted) = acceptor.next(&mut stop).await {
        let (tcp, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection of HTTP");
                continue;
            }
        };
        let is_proxy = proxies.contains(&peer.ip().to_canonical());
        let place = match is_proxy {
            true => places.enter(),
            false => places.enter_from(peer.ip()),
        };
        let place = match place {
            Ok(place) => place,
            Err(limit) => {
                tracing::debug!(%peer, "a connection of HTTP is refused: too many of {limit}");
                figures.refused.of(limit).add_one();
                continue;
            }
        };
        let (service, tls) = (Rc::clone(&service), tls.clone());
        actix_rt::spawn(async move {
            let _place = place;
            tcp.set_nodelay(true).unwrap_or_default();
            let io = match tls {
                None => Io::Plain(tcp),
                Some(tls) => {
                    let shake = TlsAcceptor::from(tls()).accept(tcp);
                    let Ok(Ok(tls)) = timeout(HANDSHAKE, shake).await else { return };
                    Io::Tls(Box::new(tls))
                }
            };
            if let Err(error) = service.call((io, Some(peer))).await {
                tracing::debug!(%peer, ?error, "a connection of HTTP broke");
            }
        });
    }
    Ok(())
}

/// Judges who asks for a WebSocket; hands its socket over, or says no.
async fn hand_over(
    clients: &Clients,
    is_secure: bool,
    request: &Request,
    framed: Framed<Io, Codec>,
) {
    let mut parts = framed.into_parts();
    let head = request.head();
    let upgrade = Upgrade {
        method: &head.method,
        version: head.version,
        path: head.uri.path(),
        headers: &head.headers,
    };
    let judged = judge(&upgrade, &clients.origins).and_then(|reply| {
        let socket = request.peer_addr().ok_or(StatusCode::BAD_REQUEST)?;
        let way = clients.way(socket, is_secure, &head.headers);
        let begin = clients.gate.admit(way.peer).ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
        Ok((reply, way, begin))
    });
    match judged {
        Ok((reply, way, begin)) => {
            let (tcp, tls) = match parts.io {
                Io::Plain(tcp) => (tcp, None),
                Io::Tls(tls) => {
                    let (tcp, tls) = tls.into_inner();
                    (tcp, Some(Box::new(tls)))
                }
            };
            let Ok(tcp) = tcp.into_std() else { return };
            let unread = parts.read_buf.to_vec();
            let (peer, is_secure) = (way.peer, way.is_secure);
            begin(Upgraded { tcp, tls, is_secure, peer, reply, unread });
        }
        Err(status) => {
            let refusal = refusal(status);
            let say = async {
                parts.io.write_all(&refusal).await?;
                parts.io.shutdown().await
            };
            // Whoever takes no answer gets none.
            let _said = timeout(FAREWELL, say).await;
        }
    }
}

/// A connection's bytes.
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
