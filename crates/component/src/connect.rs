//! Owns streams that we open to components that listen (XEP-0114 §2, `jabber:component:connect`): one to each, by the
//! member that owns its domain, as long as no member has one. We are the ones who know the secret then, and who show it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use socket::{Read, ReadError, io};
use stream::{Event, Limits, Parser};
use tokio::io::{ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use xmpp::{ns, writer};

use crate::connection::{self, Line, OpenStream};
use crate::machine::{Machine, handshake};
use crate::registry::{Registered, Registry};

/// A component has this long to take the connection and the secret.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two attempts at first; each pause is twice as long as the one before, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often it is looked whether this member is to open a stream.
const LOOK: Duration = Duration::from_millis(250);

/// Why no stream came about.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("it ends the stream, or does not know the secret")]
    Refused,
    #[error("it does not answer in time")]
    Silent,
}

/// A stream, as it is when the component has let us in.
struct Opened {
    reader: ReadHalf<TcpStream>,
    writer: WriteHalf<TcpStream>,
    parser: Parser,
    address: SocketAddr,
}

/// Keeps a stream to a component until the gate stops.
pub(crate) async fn keep(registry: Rc<Registry>, registered: Rc<Registered>) {
    let mut stopping = registry.stopping.clone();
    let mut pause = FIRST_PAUSE;
    loop {
        let wait = match registry.lacks_stream(&registered) {
            false => LOOK,
            true => {
                match timeout(PATIENCE, open(&registered))
                    .await
                    .unwrap_or(Err(ConnectError::Silent))
                {
                    Ok(opened) => {
                        serve(&registry, &registered, opened).await;
                        pause = FIRST_PAUSE;
                        pause
                    }
                    Err(error) => {
                        let jid = &registered.component.domain;
                        tracing::warn!(%jid, %error, "cannot connect to a component");
                        pause = (pause * 2).min(LONGEST_PAUSE);
                        pause
                    }
                }
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

async fn serve(registry: &Rc<Registry>, registered: &Rc<Registered>, opened: Opened) {
    let Opened { reader, writer, parser, address } = opened;
    let Some(stream) = registry.open(registered, address) else { return };
    let domain = registered.component.domain.clone();
    tracing::info!(jid = %domain, peer = %address, "a component is connected");
    let welcome = connection::privileges(registry, registered);
    let open = OpenStream::new(Rc::clone(registry), Rc::clone(registered), stream);
    let machine = Machine::opened_by_us(domain.clone());
    open.serve(Line { reader, writer, parser, machine }, welcome).await;
    tracing::info!(jid = %domain, peer = %address, "a component is gone");
}

async fn open(registered: &Registered) -> Result<Opened, ConnectError> {
    let component = &registered.component;
    let tcp = TcpStream::connect(component.settings.connect.as_str()).await?;
    io::tune(&tcp)?;
    let address = tcp.peer_addr()?;
    let (mut reader, mut writer) = split(tcp);
    let mut parser = Parser::for_content(Limits::BEFORE_LOGIN, ns::COMPONENT_CONNECT);
    io::write(&mut writer, &opening(component.domain.as_str())).await?;
    let Event::Open(header) = next(&mut reader, &mut parser).await? else {
        return Err(ConnectError::Refused);
    };
    if header.fault.is_some() {
        return Err(ConnectError::Refused);
    }
    let proof = handshake(&header.id.unwrap_or_default(), &component.secret.0);
    io::write(&mut writer, format!("<handshake>{proof}</handshake>").as_bytes()).await?;
    match next(&mut reader, &mut parser).await? {
        Event::Nonza(element) if element.is("handshake", ns::COMPONENT_CONNECT) => {}
        _ => return Err(ConnectError::Refused),
    }
    parser.set_limits(Limits::AFTER_LOGIN);
    Ok(Opened { reader, writer, parser, address })
}

/// The next thing that the component says. It says nothing more before it is answered.
async fn next(
    reader: &mut ReadHalf<TcpStream>,
    parser: &mut Parser,
) -> Result<Event, ConnectError> {
    let mut events = Vec::new();
    loop {
        match io::read(reader, parser, &mut events).await {
            Ok(Read::Some(_)) => {}
            Ok(Read::End) | Err(ReadError::Xml(_)) => return Err(ConnectError::Refused),
            Err(ReadError::Lost(error)) => return Err(error.into()),
        }
        let last = events.pop();
        match (last, events.is_empty()) {
            (Some(event), true) => return Ok(event),
            (Some(_), false) => return Err(ConnectError::Refused),
            (None, _) => {}
        }
    }
}

/// In this namespace the sender of the header says which component it means (XEP-0114 §3, note 2).
fn opening(domain: &str) -> Vec<u8> {
    let mut out = b"<?xml version='1.0'?>".to_vec();
    writer::open_start(&mut out, "stream:stream", ns::COMPONENT_CONNECT, "");
    writer::attribute(&mut out, "xmlns:stream", ns::STREAM);
    writer::attribute(&mut out, "from", domain);
    writer::open_end(&mut out);
    out
}
