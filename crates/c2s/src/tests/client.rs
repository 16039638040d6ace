//! A client that says literal XML and shows what it gets.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use auth::ChannelBinding;
use auth::scram::Hash;
use auth::scram::client::{ClientBinding, ScramClient};
use rustls::{ClientConfig, ClientConnection, Error};
use rustls_pki_types::ServerName;
use stream::{Event, Limits, Parser};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use town::tls::AnyCertificate;
use xmpp::{Element, Stanza, ns};

use super::stage::{DOMAIN, PASSWORD};

/// One connection of a client.
pub(crate) struct Client {
    tcp: TcpStream,
    tls: Option<ClientConnection>,
    parser: Parser,
    events: VecDeque<Event>,
    /// TLS failed.
    broken: bool,
    /// What the server offered last.
    pub(crate) features: Element,
}

pub(crate) const HEADER: &str = "<?xml version='1.0'?><stream:stream to='capulet.example' \
     version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
pub(crate) const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
pub(crate) const BIND: &str =
    "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        let parser = Parser::new(Limits { stanza_bytes: 1 << 20, ..Limits::default() });
        let features = Element::new("features", ns::STREAM);
        Self { tcp, tls: None, parser, events: VecDeque::new(), broken: false, features }
    }

    /// Begins TLS.
    pub(crate) async fn shake_hands(&mut self, alpn: &[&[u8]]) {
        self.try_shake_hands(alpn).await.expect("a handshake");
    }

    pub(crate) async fn try_shake_hands(&mut self, alpn: &[&[u8]]) -> Result<(), Error> {
        let provider = crate::tls::provider();
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from(DOMAIN).unwrap();
        let mut tls = ClientConnection::new(Arc::new(config), name)?;
        self.parser.reset();
        while tls.is_handshaking() {
            self.write_tls(&mut tls).await;
            if tls.is_handshaking() {
                let mut room = vec![0; 1 << 16];
                let count = self.tcp.read(&mut room).await.unwrap();
                if count == 0 {
                    return Err(Error::General("the server closed".to_owned()));
                }
                let mut cipher = &room[..count];
                while !cipher.is_empty() {
                    tls.read_tls(&mut cipher).unwrap();
                    tls.process_new_packets()?;
                }
            }
        }
        self.write_tls(&mut tls).await;
        self.tls = Some(tls);
        Ok(())
    }

    async fn write_tls(&mut self, tls: &mut ClientConnection) {
        let mut cipher = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut cipher).unwrap();
        }
        self.tcp.write_all(&cipher).await.unwrap();
    }

    /// The TLS of the connection.
    pub(crate) fn tls(&self) -> &ClientConnection {
        self.tls.as_ref().expect("TLS")
    }

    pub(crate) async fn send(&mut self, xml: &str) {
        self.send_bytes(xml.as_bytes()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        match self.tls.take() {
            None => self.tcp.write_all(bytes).await.unwrap(),
            Some(mut tls) => {
                for chunk in bytes.chunks(1 << 14) {
                    tls.writer().write_all(chunk).unwrap();
                    self.write_tls(&mut tls).await;
                }
                self.tls = Some(tls);
            }
        }
    }

    /// As [`Client::send`], but in the clear whatever there is.
    pub(crate) async fn send_clear(&mut self, xml: &str) {
        self.tcp.write_all(xml.as_bytes()).await.unwrap();
    }

    /// The next thing that the server says; none when it has closed the connection.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let mut room = vec![0; 1 << 16];
        while self.events.is_empty() {
            let count = self.tcp.read(&mut room).await.unwrap_or(0);
            if count == 0 || self.broken {
                return None;
            }
            self.take_in(&room[..count]);
        }
        self.events.pop_front()
    }

    fn take_in(&mut self, mut bytes: &[u8]) {
        let mut events = Vec::new();
        if let Some(tls) = &mut self.tls {
            while !bytes.is_empty() {
                tls.read_tls(&mut bytes).unwrap();
                if tls.process_new_packets().is_err() {
                    self.broken = true;
                    return;
                }
                let mut plain = Vec::new();
                // Not all is there yet, or the server has said that it is.
                drop(tls.reader().read_to_end(&mut plain));
                self.parser.feed(&plain, &mut events).unwrap();
            }
        } else {
            self.parser.feed(bytes, &mut events).unwrap();
        }
        self.events.extend(events);
    }

    pub(crate) async fn nonza(&mut self) -> Element {
        match self.next().await {
            Some(Event::Nonza(element)) => element,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn stanza(&mut self) -> Stanza {
        match self.next().await {
            Some(Event::Stanza(stanza)) => stanza,
            other => panic!("{other:?}"),
        }
    }

    /// The condition of the stream error that comes next, behind which the stream and the connection
    /// are closed.
    pub(crate) async fn stream_error(&mut self) -> String {
        let mut next = self.next().await;
        if matches!(next, Some(Event::Open(_))) {
            next = self.next().await;
        }
        let Some(Event::Nonza(error)) = next else { panic!("{next:?}") };
        assert!(error.is("error", ns::STREAM), "{error:?}");
        assert_eq!(self.next().await, Some(Event::Close));
        assert_eq!(self.next().await, None);
        error.children().next().expect("a condition").name().to_owned()
    }

    /// Opens a stream and reads the features.
    pub(crate) async fn open(&mut self) {
        self.parser.reset();
        self.send(HEADER).await;
        let header = self.next().await;
        let Some(Event::Open(header)) = header else { panic!("{header:?}") };
        assert_eq!(header.from.as_deref(), Some(DOMAIN));
        self.features = self.nonza().await;
    }

    /// `<auth/>`, and what is answered.
    pub(crate) async fn auth(&mut self, mechanism: &str, message: &[u8]) -> Element {
        let data = auth::encoding::encode_present(message);
        let auth = Element::new("auth", ns::SASL).with_attr("mechanism", mechanism).with_text(data);
        self.send(&text(&auth)).await;
        self.nonza().await
    }

    pub(crate) async fn plain(&mut self, user: &str, password: &str) -> Element {
        self.auth("PLAIN", format!("\0{user}\0{password}").as_bytes()).await
    }

    /// A whole SCRAM exchange on an open stream; what is answered last.
    pub(crate) async fn scram(
        &mut self,
        user: &str,
        password: &str,
        binding: ClientBinding,
    ) -> Element {
        let plus = matches!(binding, ClientBinding::Used(_));
        let mut scram = ScramClient::new(Hash::Sha256, user, password, "nonce", binding).unwrap();
        let mechanism = if plus { "SCRAM-SHA-256-PLUS" } else { "SCRAM-SHA-256" };
        let answer = self.auth(mechanism, &scram.first()).await;
        if answer.name() != "challenge" {
            return answer;
        }
        let challenge = auth::encoding::decode(&answer.text()).unwrap();
        let answer = scram.answer(&challenge).unwrap();
        let response =
            Element::new("response", ns::SASL).with_text(auth::encoding::encode_present(&answer));
        self.send(&text(&response)).await;
        let answer = self.nonza().await;
        if answer.name() == "success" {
            scram.verify(&auth::encoding::decode(&answer.text()).unwrap()).unwrap();
        }
        answer
    }

    /// From the beginning of a stream over TLS to a new stream of a known client.
    pub(crate) async fn log_in(&mut self, user: &str) {
        self.open().await;
        let answer = self.scram(user, PASSWORD, ClientBinding::Unsupported).await;
        assert_eq!(answer.name(), "success", "{answer:?}");
        self.open().await;
    }

    /// The binding that RFC 9266 makes of the connection.
    pub(crate) fn exporter(&self) -> ClientBinding {
        let label = auth::binding::TLS_EXPORTER_LABEL;
        let data = self.tls().export_keying_material([0; 32], label, None).unwrap();
        ClientBinding::Used(ChannelBinding::TlsExporter(data.to_vec()))
    }

    pub(crate) async fn bind(&mut self) -> Stanza {
        self.send(BIND).await;
        self.stanza().await
    }
}

/// The condition in `<failure/>`, `<failed/>` or a stanza's `<error/>`.
pub(crate) fn condition(element: &Element) -> &str {
    element.children().next().expect("a condition").name()
}

pub(crate) fn text(element: &Element) -> String {
    String::from_utf8(element.to_bytes()).unwrap()
}
