//! Owns one scripted client: a blocking socket, a log-in with PLAIN, and what has come.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use stream::{Documents, Event, Limits, Parser, StreamHeader};
use xmpp::{Element, StreamError};

use crate::websocket::{self, Incoming};

/// Nothing that a story waits for takes longer; when it does, the test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a look at one client takes at most while others are looked at too.
const GLANCE: Duration = Duration::from_millis(4);

/// A client on a socket.
pub struct Client {
    socket: TcpStream,
    wire: Wire,
    inbox: VecDeque<Element>,
    /// Opening tags of the server are put into the inbox too.
    hears_headers: bool,
    /// The stream was ended by the server.
    pub ended: bool,
}

/// How a stream travels.
enum Wire {
    Stream(Box<Parser>),
    WebSocket(Box<(Incoming, Documents)>),
}

/// Who logs in where.
#[derive(Clone, Debug)]
pub struct Login<'a> {
    /// The server's address for streams that begin in the clear, or for HTTP.
    pub address: SocketAddr,
    /// The domain.
    pub domain: &'a str,
    /// The account's name.
    pub name: &'a str,
    /// Its password.
    pub password: &'a str,
}

impl Client {
    /// Opens a socket, and says nothing. Opening tags of the server come as `<stream …/>`.
    ///
    /// # Panics
    /// When the server cannot be reached; so do all functions here when something does not go as it must.
    pub fn dial(address: SocketAddr) -> Self {
        Self::connect(address).expect("the server listens")
    }

    fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let wire = Wire::Stream(Box::new(Parser::new(Limits::default())));
        Ok(Self { socket, wire, inbox: VecDeque::new(), hears_headers: true, ended: false })
    }

    /// Opens a WebSocket, and says nothing.
    pub fn dial_websocket(address: SocketAddr) -> Self {
        Self::connect(address).and_then(Self::upgrade).expect("the server agrees")
    }

    fn upgrade(mut self) -> std::io::Result<Self> {
        let answer = websocket::shake_hands(&mut self.socket)?;
        if !answer.starts_with("HTTP/1.1 101 ") {
            return Err(std::io::Error::other(answer));
        }
        let documents = Documents::new(Limits::default());
        Ok(Self { wire: Wire::WebSocket(Box::new((Incoming::default(), documents))), ..self })
    }

    /// Opens a stream, and stops there.
    pub fn open(address: SocketAddr, domain: &str) -> Self {
        let mut client = Self { hears_headers: false, ..Self::dial(address) };
        client.open_stream(domain);
        client
    }

    /// Opens a stream, proves who it is, and opens the stream that follows.
    pub fn log_in(login: &Login<'_>) -> Self {
        Self::try_log_in(login).unwrap_or_else(|why| panic!("{}: {why}", login.name))
    }

    /// As [`Client::log_in`], where the server may be gone, or go.
    ///
    /// # Errors
    /// Why nobody is logged in.
    pub fn try_log_in(login: &Login<'_>) -> Result<Self, String> {
        let connected = Self::connect(login.address).map_err(|error| error.to_string())?;
        connected.prove(login)
    }

    /// As [`Client::log_in`], over a WebSocket.
    pub fn log_in_by_websocket(login: &Login<'_>) -> Self {
        let client = Self::dial_websocket(login.address);
        client.prove(login).unwrap_or_else(|why| panic!("{}: {why}", login.name))
    }

    fn prove(self, login: &Login<'_>) -> Result<Self, String> {
        let mut client = Self { hears_headers: false, ..self };
        client.open_stream(login.domain);
        client.expect_next("features", xmpp::ns::STREAM)?;
        let message = format!("\0{}\0{}", login.name, login.password);
        let message = auth::encoding::encode(message.as_bytes());
        client.send(format!("<auth xmlns='{}' mechanism='PLAIN'>{message}</auth>", xmpp::ns::SASL));
        client.expect_next("success", xmpp::ns::SASL)?;
        client.restart();
        client.open_stream(login.domain);
        client.expect_next("features", xmpp::ns::STREAM)?;
        Ok(client)
    }

    fn expect_next(&mut self, name: &str, namespace: &str) -> Result<(), String> {
        match self.await_next()? {
            Some(next) if next.is(name, namespace) => Ok(()),
            other => Err(format!("not <{name}/> but {other:?}")),
        }
    }

    /// Binds a resource; its full address.
    pub fn bind(&mut self, resource: &str) -> String {
        self.send(format!(
            "<iq type='set' id='bind'><bind xmlns='{}'><resource>{resource}</resource></bind></iq>",
            xmpp::ns::BIND
        ));
        let answer = self.next().expect("binding is answered");
        let bound =
            answer.child("bind", xmpp::ns::BIND).and_then(|it| it.child("jid", xmpp::ns::BIND));
        bound.unwrap_or_else(|| panic!("not bound: {answer:?}")).text()
    }

    /// What comes now is a new stream.
    pub fn restart(&mut self) {
        match &mut self.wire {
            Wire::Stream(parser) => parser.reset(),
            Wire::WebSocket(wire) => wire.1.reset(),
        }
    }

    /// Sends an opening tag.
    pub fn open_stream(&mut self, domain: &str) {
        if let Wire::WebSocket(_) = self.wire {
            let framing = "urn:ietf:params:xml:ns:xmpp-framing";
            return self.send(format!("<open to='{domain}' version='1.0' xmlns='{framing}'/>"));
        }
        self.send(format!(
            "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='{}' xmlns:stream='{}'>",
            xmpp::ns::CLIENT,
            xmpp::ns::STREAM
        ));
    }

    /// Sends bytes as they stand, or as a message. A socket that is gone shows when something is awaited.
    pub fn send(&mut self, xml: impl AsRef<[u8]>) {
        let bytes = xml.as_ref();
        let sent = match (&self.wire, str::from_utf8(bytes)) {
            (Wire::WebSocket(_), Ok(xml)) => self.socket.write_all(&websocket::message(xml)),
            _ => self.socket.write_all(bytes),
        };
        drop(sent);
    }

    /// The next thing that comes; none when the stream has ended.
    #[expect(clippy::should_implement_trait, reason = "a story's next thing is no iterator's")]
    pub fn next(&mut self) -> Option<Element> {
        self.await_next().unwrap_or_else(|why| panic!("{why}"))
    }

    /// The next thing that comes; none when the stream has ended.
    ///
    /// # Errors
    /// When nothing comes.
    pub fn await_next(&mut self) -> Result<Option<Element>, String> {
        while self.inbox.is_empty() && !self.ended {
            if !self.read() {
                return Err(format!("nothing came for {PATIENCE:?}"));
            }
        }
        Ok(self.inbox.pop_front())
    }

    /// The next thing that has come, or that comes within a moment.
    pub fn poll(&mut self) -> Option<Element> {
        self.poll_for(GLANCE)
    }

    /// The next thing that has come, or that comes in this time.
    pub fn poll_for(&mut self, patience: Duration) -> Option<Element> {
        if self.inbox.is_empty() && !self.ended {
            self.set_patience(patience);
            self.read();
            self.set_patience(PATIENCE);
        }
        self.inbox.pop_front()
    }

    fn set_patience(&self, patience: Duration) {
        self.socket.set_read_timeout(Some(patience)).expect("a time-out can be set");
    }

    /// Puts something back in front of what has come.
    pub fn put_back(&mut self, elements: Vec<Element>) {
        for element in elements.into_iter().rev() {
            self.inbox.push_front(element);
        }
    }

    /// Takes what has come, without waiting.
    pub fn take_inbox(&mut self) -> Vec<Element> {
        self.inbox.drain(..).collect()
    }

    /// Closes the stream and waits for the server to close its side.
    pub fn leave(&mut self) {
        match self.wire {
            Wire::Stream(_) => self.send("</stream:stream>"),
            Wire::WebSocket(_) => self.send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"),
        }
        while !self.ended {
            assert!(self.read(), "the server did not close its side for {PATIENCE:?}");
        }
    }

    /// Drops the socket as a lost network does.
    pub fn vanish(&mut self) {
        drop(self.socket.shutdown(Shutdown::Both));
        self.ended = true;
    }

    /// Reads once; false if nothing came in time.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 16_384];
        let read = match self.socket.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(_) => 0,
        };
        if read == 0 {
            self.ended = true;
            return true;
        }
        let mut events = Vec::new();
        let result = self.wire.feed(&buffer[..read], &mut events);
        for event in events {
            match event {
                Event::Open(header) if self.hears_headers => self.inbox.push_back(tag(header)),
                Event::Open(_) => {}
                Event::Stanza(stanza) => self.inbox.push_back(element(&stanza)),
                Event::Nonza(nonza) => self.inbox.push_back(nonza),
                Event::BadStanza { .. } => panic!("the server sent a stanza that is none"),
                Event::Close => self.ended = true,
            }
        }
        assert!(result.is_ok(), "the server's XML is wrong: {result:?}");
        true
    }
}

impl Wire {
    fn feed(&mut self, came: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError> {
        let (frames, documents) = match self {
            Self::Stream(parser) => return parser.feed(came, events),
            Self::WebSocket(wire) => &mut **wire,
        };
        frames.feed(came);
        while let Some((opcode, payload)) = frames.next() {
            match opcode {
                1 => events.push(documents.read(&payload)?),
                8 => events.push(Event::Close),
                _ => {}
            }
        }
        Ok(())
    }
}

fn tag(header: StreamHeader) -> Element {
    let stream = Element::new("stream", xmpp::ns::STREAM);
    stream
        .with_attr_opt("from", header.from)
        .with_attr_opt("to", header.to)
        .with_attr_opt("id", header.id)
        .with_attr_opt("version", header.version)
}

fn element(stanza: &xmpp::Stanza) -> Element {
    let mut bytes = Vec::new();
    stanza.write(&mut bytes);
    Element::parse(&bytes).expect("a stanza is an element")
}
