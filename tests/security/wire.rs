//! Owns a peer that says any bytes and reads whatever comes, without understanding XML: in the clear or
//! over TLS, from any address of loopback.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::stage::{PASSWORD, Stage};

/// What is awaited comes in this time, or never.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The header of a client's stream.
pub(super) const HEADER: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' \
     xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/// The end of the server's features.
pub(super) const FEATURES: &str = "</stream:features>";

/// What bytes go over.
pub(super) trait Line: Read + Write + Send {}
impl<T: Read + Write + Send> Line for T {}

/// A peer.
pub(crate) struct Wire {
    line: Box<dyn Line>,
    pub(super) tcp: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    /// Connects, and says nothing.
    pub(super) fn connect(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).expect("the server listens"))
    }

    /// On a socket that is connected already.
    pub(super) fn on(tcp: TcpStream) -> Self {
        tcp.set_nodelay(true).expect("delays can be switched off");
        tcp.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        tcp.set_write_timeout(Some(PATIENCE)).expect("a time-out can be set");
        let line = Box::new(tcp.try_clone().expect("a descriptor is free"));
        Self { line, tcp, unread: Vec::new() }
    }

    /// Goes on over this line, which carries the same socket; what was not read in the clear is forgotten.
    pub(super) fn over(self, line: Box<dyn Line>) -> Self {
        Self { line, unread: Vec::new(), ..self }
    }

    /// Opens a stream in the clear, and reads the features.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut wire = Self::connect(address);
        wire.say(HEADER);
        wire.until(FEATURES);
        wire
    }

    /// Logs in with PLAIN, and stops before binding.
    pub(super) fn log_in(stage: &Stage, name: &str) -> Self {
        let mut wire = Self::open(stage.c2s);
        wire.say(&plain(name, PASSWORD));
        wire.until("<success");
        wire.say(HEADER);
        wire.until(FEATURES);
        wire
    }

    /// Logs in with PLAIN and binds this resource.
    pub(super) fn bound(stage: &Stage, name: &str, resource: &str) -> Self {
        let mut wire = Self::log_in(stage, name);
        wire.say(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{resource}</resource></bind></iq>"
        ));
        wire.until("</iq>");
        wire
    }

    /// Says this. A peer that hangs up shows when something is awaited.
    pub(crate) fn say(&mut self, xml: &str) {
        self.say_bytes(xml.as_bytes());
    }

    /// Says these bytes; whether all were taken.
    pub(super) fn say_bytes(&mut self, bytes: &[u8]) -> bool {
        self.line.write_all(bytes).and_then(|()| self.line.flush()).is_ok()
    }

    /// What comes up to this mark, with it.
    pub(crate) fn until(&mut self, mark: &str) -> String {
        text(self.until_bytes(mark.as_bytes()))
    }

    /// As [`Wire::until`], where not all is text.
    pub(super) fn until_bytes(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(end) = find(&self.unread, mark) {
                return self.unread.drain(..end).collect();
            }
            let (more, mark) = (self.read(), String::from_utf8_lossy(mark));
            assert!(more, "{mark} never came, but: {}", String::from_utf8_lossy(&self.unread));
        }
    }

    /// Everything that comes until the server hangs up.
    pub(super) fn rest(&mut self) -> String {
        self.rest_within(PATIENCE)
    }

    /// Everything that comes until the server hangs up, which it must do in this time.
    pub(super) fn rest_within(&mut self, time: Duration) -> String {
        let begun = Instant::now();
        while self.read() {
            let heard = String::from_utf8_lossy(&self.unread);
            assert!(begun.elapsed() < time, "the server did not hang up, but said: {heard}");
        }
        text(std::mem::take(&mut self.unread))
    }

    /// Says nothing more; what the server says can still be read.
    pub(super) fn hush(&self) {
        drop(self.tcp.shutdown(Shutdown::Write));
    }

    /// Reads once; false when the server has hung up.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 16_384];
        match self.line.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.unread.extend_from_slice(buffer.get(..count).unwrap_or_default());
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let heard = String::from_utf8_lossy(&self.unread);
                panic!("nothing came for {PATIENCE:?} after: {heard}");
            }
            Err(_) => false,
        }
    }
}

/// `<auth/>` with PLAIN.
pub(super) fn plain(name: &str, password: &str) -> String {
    auth_element("PLAIN", format!("\0{name}\0{password}").as_bytes())
}

/// `<auth/>` with this initial response.
pub(super) fn auth_element(mechanism: &str, message: &[u8]) -> String {
    let message = auth::encoding::encode_present(message);
    format!(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{message}</auth>"
    )
}

/// The page at this path of the server's HTTP.
pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    let mut wire = Wire::connect(address);
    wire.say(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    wire.rest()
}

/// How often this server has dropped something, for one of these reasons.
pub(super) fn dropped(address: SocketAddr, reasons: &[&str]) -> usize {
    let page = get(address, "/metrics");
    let count = |reason: &&str| {
        let name = format!("rookery_drops_total{{reason=\"{reason}\"}} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|count| count.parse::<usize>().ok()).expect("every reason is counted")
    };
    reasons.iter().map(count).sum()
}

/// The end of the first place where `mark` stands.
fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    let place = bytes.windows(mark.len()).position(|window| window == mark)?;
    Some(place + mark.len())
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the server writes UTF-8")
}
