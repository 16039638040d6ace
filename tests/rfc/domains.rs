//! RFC 6120 §4.7.2, §4.9.3: several domains on one server, which have nothing in common but the process.

use std::sync::OnceLock;

use town::Client;
use town::client::Login;
use xmpp::Element;

use crate::security::secure;
use crate::stage::{PASSWORD, Stage};

const DOMAINS: [&str; 2] = ["localhost", "other.localhost"];

/// A server of two domains, with a Romeo at each, of the same password.
fn stage() -> &'static Stage {
    static SHARED: OnceLock<Stage> = OnceLock::new();
    SHARED.get_or_init(|| {
        let stage = Stage::start(
            "
            [[domain]]
            name = 'localhost'
            [[domain]]
            name = 'other.localhost'
        ",
        );
        for jid in ["romeo@localhost", "romeo@other.localhost", "juliet@localhost"] {
            stage.run(&["account", "add", jid, "--password", PASSWORD]).expect("a new account");
        }
        stage
    })
}

fn login<'a>(name: &'a str, domain: &'a str) -> Login<'a> {
    Login { address: stage().c2s, domain, name, password: PASSWORD }
}

fn connect(name: &str, domain: &str, resource: &str) -> Client {
    let mut client = Client::log_in(&login(name, domain));
    let jid = format!("{name}@{domain}/{resource}");
    assert_eq!(client.bind(resource), jid);
    client.send("<presence/>");
    let presence = client.next().expect("it sees itself");
    assert_eq!(presence.attr("from"), Some(&*jid));
    client
}

fn body(message: &Element) -> Option<String> {
    message.child("body", "").map(Element::text)
}

#[test]
fn people_of_the_same_name_at_two_domains_are_two_people() {
    let mut here = connect("romeo", DOMAINS[0], "here");
    let mut there = connect("romeo", DOMAINS[1], "there");
    let mut juliet = connect("juliet", DOMAINS[0], "garden");
    for (domain, text) in DOMAINS.iter().zip(["to the first", "to the second"]) {
        juliet.send(format!(
            "<message type='chat' to='romeo@{domain}'><body>{text}</body></message>"
        ));
    }
    for (client, text) in [(&mut here, "to the first"), (&mut there, "to the second")] {
        let message = client.next().expect("a message");
        assert_eq!(body(&message).as_deref(), Some(text));
        assert_eq!(message.attr("from"), Some("juliet@localhost/garden"));
    }
    there.send("<message type='chat' to='juliet@localhost'><body>across</body></message>");
    let message = juliet.next().expect("a message");
    assert_eq!(body(&message).as_deref(), Some("across"));
    assert_eq!(message.attr("from"), Some("romeo@other.localhost/there"));
    // The archive of each has its own.
    here.send("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>");
    let result = here.next().expect("a result");
    assert_eq!(result.attr("from"), Some("romeo@localhost"));
    let fin = here.next().expect("the end of the archive");
    assert_eq!((fin.name(), fin.attr("type")), ("iq", Some("result")));
}

#[test]
fn nobody_logs_in_at_a_domain_with_the_account_of_another() {
    let refused = Client::try_log_in(&login("juliet", DOMAINS[1]));
    let why = refused.err().expect("there is no such account");
    assert!(why.contains("not-authorized"), "{why}");
}

// RFC 6120 §4.9.3.12
#[test]
fn who_has_logged_in_at_one_domain_does_not_go_on_at_another() {
    let mut client = Client::open(stage().c2s, DOMAINS[0]);
    client.next().expect("features");
    let proof = auth::encoding::encode(format!("\0romeo\0{PASSWORD}").as_bytes());
    client.send(format!("<auth xmlns='{}' mechanism='PLAIN'>{proof}</auth>", xmpp::ns::SASL));
    let success = client.next().expect("an outcome");
    assert!(success.is("success", xmpp::ns::SASL), "{success:?}");
    client.restart();
    client.open_stream(DOMAINS[1]);
    assert_eq!(refusal(&mut client), "not-authorized");
}

// RFC 6120 §4.7.2: of two domains none can be meant by no name at all.
#[test]
fn a_stream_that_names_no_domain_is_refused_where_there_are_two() {
    let mut client = Client::dial(stage().c2s);
    client.send(format!(
        "<stream:stream version='1.0' xmlns='{}' xmlns:stream='{}'>",
        xmpp::ns::CLIENT,
        xmpp::ns::STREAM
    ));
    client.next().expect("an opening tag");
    assert_eq!(refusal(&mut client), "improper-addressing");
}

/// The condition of the stream error that comes next and last.
fn refusal(client: &mut Client) -> String {
    let error = client.next().expect("an error");
    assert!(error.is("error", xmpp::ns::STREAM), "{error:?}");
    assert!(client.next().is_none(), "the stream is over");
    error.children().next().expect("a condition").name().to_owned()
}

// RFC 6066 §3: the certificate is that of the domain that the client names.
#[test]
fn each_domain_shows_its_own_certificate() {
    let shown = DOMAINS.map(|domain| secure::certificate_for(stage().c2s_tls, domain));
    // A DNS name (tag 2) among a certificate's alternative names, in DER.
    let der = |name: &str| {
        let length = u8::try_from(name.len()).expect("a short name");
        [&[0x82, length], name.as_bytes()].concat()
    };
    for (certificate, domain) in shown.iter().zip(DOMAINS) {
        for name in DOMAINS.map(der) {
            let is_there = certificate.windows(name.len()).any(|window| window == name);
            assert_eq!(is_there, name == der(domain), "of {domain}");
        }
    }
}
