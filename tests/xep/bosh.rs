//! XEP-0124 Bidirectional-streams Over Synchronous HTTP (BOSH). Streams in requests: sessions, their numbers and ends.

use std::net::SocketAddr;

use town::client::Login;
use town::{Client, http};

use crate::stage::{PASSWORD, Stage, shared};

const NAMESPACES: &str = "xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh'";

/// A client that comes by BOSH, one request at a time.
pub(crate) struct Bosh {
    pub(crate) http: SocketAddr,
    sid: String,
    rid: u64,
}

impl Bosh {
    /// Begins a session; what it is offered.
    pub(crate) fn begin(http: SocketAddr, attributes: &str) -> (Self, String) {
        let rid = 1_573_741_820;
        let first = format!(
            "<body rid='{rid}' to='localhost' wait='20' hold='1' ver='1.11' xmpp:version='1.0' {attributes} {NAMESPACES}/>"
        );
        let answer = post(http, &first);
        let sid = answer.split("sid='").nth(1).and_then(|rest| rest.split('\'').next());
        let sid = sid.unwrap_or_else(|| panic!("no session: {answer}")).to_owned();
        (Self { http, sid, rid }, answer)
    }

    /// Logs in and binds a resource.
    pub(crate) fn bound(stage: &Stage, name: &str) -> Self {
        let (mut bosh, offered) = Self::begin(stage.http, "");
        assert!(offered.contains("<mechanism>PLAIN<"), "{offered}");
        let plain = auth::encoding::encode(format!("\0{name}\0{PASSWORD}").as_bytes());
        let auth = format!("<auth xmlns='{}' mechanism='PLAIN'>{plain}</auth>", xmpp::ns::SASL);
        assert!(bosh.ask("", &auth).contains("<success "));
        assert!(bosh.ask("xmpp:restart='true'", "").contains("<bind "));
        let bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>web</resource></bind>";
        let bind = format!("<iq xmlns='jabber:client' type='set' id='b'>{bind}</iq>");
        assert!(bosh.ask("", &bind).contains("/web</jid>"));
        bosh
    }

    /// The next request; its response.
    pub(crate) fn ask(&mut self, attributes: &str, content: &str) -> String {
        self.rid += 1;
        self.ask_again(attributes, content)
    }

    /// A request with a number that is far away.
    pub(crate) fn skip(&mut self) -> String {
        self.rid += 100;
        self.ask_again("", "")
    }

    /// A request with the number of the last one.
    pub(crate) fn ask_again(&self, attributes: &str, content: &str) -> String {
        let Self { http, sid, rid } = self;
        let body =
            format!("<body rid='{rid}' sid='{sid}' {attributes} {NAMESPACES}>{content}</body>");
        post(*http, &body)
    }
}

/// The body of the response to this.
pub(crate) fn post(http: SocketAddr, body: &str) -> String {
    let answer = http::post(http, "/http-bind", body);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(head.contains("content-type: text/xml; charset=utf-8"), "{head}");
    body.to_owned()
}

pub(crate) fn message(to: &str, body: &str) -> String {
    format!("<message xmlns='jabber:client' to='{to}' type='chat'><body>{body}</body></message>")
}

pub(crate) fn juliet(stage: &Stage, name: &str) -> (Client, String) {
    let login = Login { address: stage.c2s, domain: "localhost", name, password: PASSWORD };
    let mut client = Client::log_in(&login);
    let jid = client.bind("garden");
    client.send("<presence/>");
    client.next();
    (client, jid)
}

// XEP-0124 §14.3
#[test]
fn a_request_that_comes_again_is_answered_the_same_and_heard_once() {
    let stage = shared();
    stage.add_accounts(&["romeo-again", "juliet-again"]);
    let mut romeo = Bosh::bound(stage, "romeo-again");
    let (mut juliet, jid) = juliet(stage, "juliet-again");
    let ping = "<iq xmlns='jabber:client' type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>";
    let content = format!("{}{ping}", message(&jid, "once"));
    let answer = romeo.ask("", &content);
    assert!(answer.contains("type='result' id='p1'"), "{answer}");
    assert_eq!(romeo.ask_again("", &content), answer);
    assert_eq!(romeo.ask_again("", &content), answer);
    romeo.ask("", &format!("{}{}", message(&jid, "twice"), ping.replace("p1", "p2")));
    let heard = [juliet.next(), juliet.next()]
        .map(|next| next.and_then(|it| it.child("body", "").map(xmpp::Element::text)));
    assert_eq!(heard, [Some("once".to_owned()), Some("twice".to_owned())]);
}

// XEP-0124 §13
#[test]
fn a_client_that_ends_its_session_is_gone_for_all() {
    let stage = shared();
    stage.add_accounts(&["romeo-leaves"]);
    let mut web = Bosh::bound(stage, "romeo-leaves");
    let (mut phone, _) = juliet(stage, "romeo-leaves");
    let presence = "<presence xmlns='jabber:client'/>";
    assert!(web.ask("", presence).contains("<presence "));
    assert_eq!(phone.next().and_then(|next| next.attr("type").map(str::to_owned)), None);
    let away = "<presence xmlns='jabber:client' type='unavailable'/>";
    let answer = web.ask("type='terminate'", away);
    assert!(answer.contains("type='terminate'") && !answer.contains("condition"), "{answer}");
    let gone = phone.next().expect("presence");
    assert_eq!(
        (gone.attr("type"), gone.attr("from")),
        (Some("unavailable"), Some("romeo-leaves@localhost/web"))
    );
    assert!(web.ask("", "").contains("condition='item-not-found'"));
}

// XEP-0124 §17.2
#[test]
fn a_session_that_is_none_is_not_found() {
    let stage = shared();
    for sid in
        ["", "guess", "1-00000000000000000000000000000000", "2-00000000000000000000000000000000"]
    {
        let answer = post(stage.http, &format!("<body rid='7' sid='{sid}' {NAMESPACES}/>"));
        assert!(answer.contains("type='terminate' condition='item-not-found'"), "{sid}: {answer}");
    }
}

// XEP-0124 §15
#[test]
fn a_request_without_the_right_key_ends_the_session() {
    // SHA-1 of "abc" (RFC 3174 §7.3).
    let newkey = "newkey='A9993E364706816ABA3E25717850C26C9CD0D89D'";
    let (mut bosh, _) = Bosh::begin(shared().http, newkey);
    let answer = bosh.ask("key='abc' pause='9'", "");
    assert!(!answer.contains("condition"), "{answer}");
    let answer = bosh.ask("key='abc'", "");
    assert!(answer.contains("condition='item-not-found'"), "{answer}");
}

// XEP-0124 §10
#[test]
fn a_client_that_pauses_is_answered_at_once() {
    let (mut bosh, offered) = Bosh::begin(shared().http, "");
    assert!(offered.contains("maxpause='120'"), "{offered}");
    let answer = bosh.ask("pause='60'", "");
    assert_eq!(answer, "<body xmlns='http://jabber.org/protocol/httpbind'/>");
}
