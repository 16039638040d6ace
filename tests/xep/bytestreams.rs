//! XEP-0065 SOCKS5 Bytestreams. Two clients meet at the proxy, and the one that asked lets bytes be carried.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use data_encoding::HEXLOWER;
use sha1::{Digest as _, Sha1};
use town::Client;
use xmpp::Element;

use crate::redis::log_in;
use crate::stage::{Stage, free, play, play_on};

const NS: &str = "http://jabber.org/protocol/bytestreams";

/// Who meets whom, and where; their stream is "s1".
pub(crate) struct Meeting {
    /// The address of the proxy.
    pub(crate) service: &'static str,
    pub(crate) requester: &'static str,
    pub(crate) target: &'static str,
}

/// Two of one server.
const HERE: Meeting = Meeting {
    service: "proxy.localhost",
    requester: "romeo@localhost/x",
    target: "juliet@localhost/x",
};

fn stage() -> Stage {
    Stage::start(&format!("[proxy]\nlisten = ['{}']\n", free()))
}

/// What the proxy answers to a client that names this address.
fn socks(proxy: SocketAddr, address: &str) -> (TcpStream, u8) {
    let mut socket = TcpStream::connect(proxy).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket.write_all(&[5, 1, 0]).unwrap();
    let mut chosen = [0; 2];
    socket.read_exact(&mut chosen).unwrap();
    assert_eq!(chosen, [5, 0]);
    let request = [&[5, 1, 0, 3, 40][..], address.as_bytes(), &[0, 0]].concat();
    socket.write_all(&request).unwrap();
    let mut reply = [0; 47];
    socket.read_exact(&mut reply).unwrap();
    assert_eq!(reply[4..], request[4..], "its own words");
    (socket, reply[1])
}

impl Meeting {
    /// What both clients name (§5.3.2).
    fn address(&self) -> String {
        HEXLOWER.encode(&Sha1::digest(format!("s1{}{}", self.requester, self.target)))
    }

    /// What the proxy answers.
    pub(crate) fn ask(&self, client: &mut Client, ty: &str, inner: &str) -> Element {
        client.send(format!(
            "<iq type='{ty}' id='q' to='{}'><query xmlns='{NS}' sid='s1'>{inner}</query></iq>",
            self.service
        ));
        client.next().expect("an answer")
    }

    /// Where the proxy says that it is.
    pub(crate) fn streamhost(&self, client: &mut Client) -> SocketAddr {
        let answer = self.ask(client, "get", "");
        let host = answer.child("query", NS).and_then(|query| query.child("streamhost", NS));
        let host = host.unwrap_or_else(|| panic!("no streamhost: {answer:?}"));
        assert_eq!(host.attr("jid"), Some(self.service));
        let text = |name| host.attr(name).unwrap();
        format!("{}:{}", text("host"), text("port")).parse().unwrap()
    }

    /// Bytes go from one client to the other and back.
    pub(crate) fn carry(&self, romeo: &mut Client, proxy: SocketAddr) {
        let activate = format!("<activate>{}</activate>", self.target);
        let condition = |answer: &Element| {
            let error = answer.child("error", "").unwrap();
            error.children().next().unwrap().name().to_owned()
        };
        assert_eq!(condition(&self.ask(romeo, "set", &activate)), "item-not-found");
        let (mut of_juliet, granted) = socks(proxy, &self.address());
        assert_eq!(granted, 0);
        assert_eq!(condition(&self.ask(romeo, "set", &activate)), "not-allowed");
        let (mut of_romeo, granted) = socks(proxy, &self.address());
        assert_eq!(granted, 0);
        let answer = self.ask(romeo, "set", &activate);
        assert_eq!(answer.attr("type"), Some("result"), "{answer:?}");
        let mut heard = [0; 9];
        of_romeo.write_all(b"but soft!").unwrap();
        of_juliet.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"but soft!");
        of_juliet.write_all(b"ay me").unwrap();
        drop(of_juliet);
        let mut heard = Vec::new();
        of_romeo.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"ay me");
    }
}

/// As [`Meeting::ask`], of two of one server.
pub(crate) fn ask(client: &mut Client, ty: &str, inner: &str) -> Element {
    HERE.ask(client, ty, inner)
}

/// As [`Meeting::streamhost`], of two of one server.
pub(crate) fn streamhost(client: &mut Client) -> SocketAddr {
    HERE.streamhost(client)
}

/// As [`Meeting::carry`], of two of one server.
pub(crate) fn carry(romeo: &mut Client, proxy: SocketAddr) {
    HERE.carry(romeo, proxy);
}

// XEP-0065 §4
#[test]
fn clients_find_the_proxy_and_where_it_is() {
    let stage = stage();
    play_on(&stage, &format!("
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{{domain}}' id='1'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
        romeo/phone receives <iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#items'>…<item jid='proxy.{{domain}}' name='File transfer'/></query></iq>
        romeo/phone sends    <iq type='get' to='proxy.{{domain}}' id='2'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        romeo/phone receives <iq type='result' id='2'><query xmlns='http://jabber.org/protocol/disco#info'><identity category='proxy' type='bytestreams' name='File transfer'/>…<feature var='{NS}'/>…</query></iq>
        romeo/phone sends    <iq type='get' to='proxy.{{domain}}' id='3'><query xmlns='{NS}'/></iq>
        romeo/phone receives <iq type='result' id='3' from='proxy.{{domain}}'><query xmlns='{NS}'><streamhost jid='proxy.{{domain}}' host='127.0.0.1' port='{{$port}}'/></query></iq>
        romeo/phone sends    <iq type='set' to='proxy.{{domain}}' id='4'><query xmlns='{NS}'><activate>{{romeo/phone}}</activate></query></iq>
        romeo/phone receives <iq type='error' id='4'>…<error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>…</error></iq>
        everyone    is quiet
    "));
}

// XEP-0065 §6.3
#[test]
fn bytes_are_carried_once_the_requester_says_so() {
    let stage = stage();
    stage.add_accounts(&["romeo", "tybalt"]);
    let mut romeo = log_in(&stage, "romeo");
    let proxy = streamhost(&mut romeo);
    // Whoever else knows the stream cannot begin it: their own name is in what is looked for.
    let address = HERE.address();
    let waiting = (socks(proxy, &address), socks(proxy, &address));
    let mut tybalt = log_in(&stage, "tybalt");
    let answer = ask(&mut tybalt, "set", "<activate>juliet@localhost/x</activate>");
    assert_eq!(answer.attr("type"), Some("error"));
    let (_, refused) = socks(proxy, &address);
    assert_eq!(refused, 2, "a third");
    drop(waiting);
    carry(&mut romeo, streamhost(&mut log_in(&stage, "tybalt")));
}

#[test]
fn a_server_without_a_proxy_does_not_claim_to_have_one() {
    play(
        "
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='proxy.{domain}' id='1'><query xmlns='http://jabber.org/protocol/bytestreams'/></iq>
        romeo/phone receives <iq type='error' id='1'>…</iq>
        everyone    is quiet
    ",
    );
}
