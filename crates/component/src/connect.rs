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

use crate::hall::{Hall, House};
use crate::line::{self, Call};
use crate::machine::{Machine, handshake};

/// A component has this long to take the connection and the secret.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two attempts: at first, and at most. Each is twice as long as the one before.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
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
pub(crate) async fn keep(hall: Rc<Hall>, house: Rc<House>) {
    let mut stopping = hall.stopping.clone();
    let mut pause = PAUSE.0;
    loop {
        let wait = match hall.lacks_stream(&house) {
            false => LOOK,
            true => {
                match timeout(PATIENCE, open(&house)).await.unwrap_or(Err(ConnectError::Silent)) {
                    Ok(opened) => {
                        serve(&hall, &house, opened).await;
                        pause = PAUSE.0;
                        pause
                    }
                    Err(error) => {
                        let jid = &house.component.domain;
                        tracing::warn!(%jid, %error, "cannot connect to a component");
                        pause = (pause * 2).min(PAUSE.1);
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

async fn serve(hall: &Rc<Hall>, house: &Rc<House>, opened: Opened) {
    let Opened { reader, writer, parser, address } = opened;
    let Some(line) = hall.open(house, address) else { return };
    let domain = house.component.domain.clone();
    tracing::info!(jid = %domain, peer = %address, "a component is connected");
    let welcome = line::privileges(hall, house);
    let call = Call::new(Rc::clone(hall), Rc::clone(house), line);
    call.serve((reader, writer), (parser, Machine::opened_by_us(domain.clone())), welcome).await;
    tracing::info!(jid = %domain, peer = %address, "a component is gone");
}

async fn open(house: &House) -> Result<Opened, ConnectError> {
    let component = &house.component;
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
