//! Tests of the machine: whole negotiations in literal XML, read by the parser, and what comes of them.

mod binding;
mod sasl2;
mod signin;

use std::fmt::Write as _;

use xmpp::StreamCondition as C;

use super::*;
use crate::features::StreamLimits;
use crate::{Limits, Parser};

const HEADER: &str = "<?xml version='1.0'?><stream:stream from='juliet@Example.org/x' \
     to='example.org' version='1.0' xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";
const AUTH: &str =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>";
const BIND: &str = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
const NOT_AUTHORIZED: &str =
    "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";

/// A parser and a machine, as the shell puts them together.
struct Stage {
    parser: Parser,
    machine: Machine,
    effects: Vec<Effect>,
}

fn config(tls: Tls) -> Config {
    Config {
        domains: vec![BareJid::parse("example.org").unwrap()],
        moved: Vec::new(),
        tls,
        framing: Framing::Tcp,
        features: Features { sm: true, ..Features::default() },
        sasl_failures_max: 3,
        bind_failures_max: 3,
    }
}

fn offer() -> SaslOffer {
    SaslOffer { mechanisms: vec!["PLAIN".to_owned()], ..SaslOffer::default() }
}

fn account() -> BareJid {
    BareJid::parse("juliet@example.org").unwrap()
}

fn success() -> SaslOutcome {
    SaslOutcome::Success { data: None, account: account() }
}

fn failure(condition: &'static str) -> SaslOutcome {
    SaslOutcome::Failure { condition: condition.into(), text: None }
}

impl Stage {
    fn new(config: Config) -> Self {
        let seeds = [[0x0a; 16], [0x0b; 16], [0x0c; 16]];
        Self {
            parser: Parser::new(Limits::BEFORE_LOGIN),
            machine: Machine::new(Arc::new(config), offer(), seeds),
            effects: Vec::new(),
        }
    }

    /// Sends what a client would; says what came of it.
    fn send(&mut self, xml: &str) -> String {
        let mut events = Vec::new();
        let result = self.parser.feed(xml.as_bytes(), &mut events);
        for event in events {
            self.machine.handle(event, &mut self.effects);
        }
        if let Err(error) = result {
            self.machine.close(Some(error), &mut self.effects);
        }
        self.shown()
    }

    fn answer(&mut self, outcome: SaslOutcome) -> String {
        self.machine.sasl_outcome(outcome, &mut self.effects);
        self.shown()
    }

    /// What was written stands as it is, other effects in brackets.
    fn shown(&mut self) -> String {
        let mut text = String::new();
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Write(bytes) => text.push_str(str::from_utf8(&bytes).unwrap()),
                Effect::StartTls | Effect::Restart => {
                    self.parser.reset();
                    write!(text, "[{effect:?}]").unwrap();
                }
                Effect::Close(error) => {
                    let name = error.map_or("in order", |error| error.condition.name());
                    write!(text, "[close {name}]").unwrap();
                }
                Effect::Stanza(stanza) => write!(text, "[{}]", stanza.kind().name()).unwrap(),
                Effect::Answer(stanza) => {
                    let mut bytes = Vec::new();
                    stanza.write(&mut bytes);
                    write!(text, "[answer {}]", String::from_utf8(bytes).unwrap()).unwrap();
                }
                Effect::BadStanza { condition, .. } => {
                    write!(text, "[bad {}]", condition.name()).unwrap();
                }
                Effect::Nonza(element) => write!(text, "[{}]", element.name()).unwrap(),
                other => write!(text, "[{other:?}]").unwrap(),
            }
        }
        text
    }

    fn at_signin(config: Config) -> Self {
        let mut stage = Self::new(config);
        stage.send(HEADER);
        stage
    }

    fn at_binding() -> Self {
        let mut stage = Self::at_signin(config(Tls::Direct));
        stage.send(AUTH);
        stage.answer(success());
        stage.send(HEADER);
        stage
    }

    fn at_open() -> Self {
        let mut stage = Self::at_binding();
        stage.send(BIND);
        let jid = account().with_resource("r").unwrap();
        stage.machine.bound(&jid, "b".into(), &mut stage.effects);
        stage.shown();
        stage
    }
}

fn header(id: &str) -> String {
    let id = id.repeat(16);
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams' from='example.org' \
         to='juliet@example.org' id='{id}' version='1.0' xml:lang='en'>"
    )
}

fn stream_error(condition: C) -> String {
    format!(
        "<stream:error><{0} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\
         </stream:stream>[close {0}]",
        condition.name()
    )
}

fn sasl_failure(condition: &str) -> String {
    format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/></failure>")
}

#[test]
fn a_client_goes_from_clear_text_to_a_bound_resource() {
    let mut stage = Stage::new(config(Tls::Required));
    assert_eq!(
        stage.send(HEADER),
        format!(
            "{}<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/>\
             </starttls></stream:features>",
            header("0a")
        )
    );
    assert_eq!(
        stage.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>[StartTls]"
    );
    stage.machine.tls_started(offer());
    assert_eq!(
        stage.send(HEADER),
        format!(
            "{}<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
             <mechanism>PLAIN</mechanism></mechanisms>\
             <authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline>\
             <bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:xmpp:sm:3'/></inline></bind>\
             <sm xmlns='urn:xmpp:sm:3'/></inline></authentication></stream:features>",
            header("0b")
        )
    );
    assert_eq!(stage.send(AUTH), "[Sasl { mechanism: \"PLAIN\", initial: \"AGEAYg==\" }]");
    assert!(stage.machine.is_waiting());
    let data = Some(b"v=".to_vec());
    assert_eq!(
        stage.answer(SaslOutcome::Success { data, account: account() }),
        "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>dj0=</success>[Restart]"
    );
    assert_eq!(
        stage.send(HEADER),
        format!(
            "{}<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
             <sm xmlns='urn:xmpp:sm:3'/></stream:features>",
            header("0c")
        )
    );
    assert_eq!(stage.send(BIND), "[Bind { resource: None, iq_id: \"b\" }]");
    let jid = account().with_resource("balcony").unwrap();
    stage.machine.bound(&jid, "b".into(), &mut stage.effects);
    assert_eq!(
        stage.shown(),
        "<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
         <jid>juliet@example.org/balcony</jid></bind></iq>"
    );
    assert!(stage.machine.is_open());
    assert_eq!(stage.send("<presence/><r xmlns='urn:xmpp:sm:3'/>"), "[presence][r]");
    assert_eq!(stage.send("</stream:stream>"), "</stream:stream>[close in order]");
}

// RFC 6120 §4.9.3.19
#[test]
fn clients_of_a_domain_that_has_moved_are_told_where_once_nobody_else_can_hear() {
    let moved = vec![(BareJid::parse("example.org").unwrap(), "[2001:db8::1]:9222".to_owned())];
    let there = "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>\
                 [2001:db8::1]:9222</see-other-host></stream:error></stream:stream>";
    let mut stage = Stage::new(Config { moved: moved.clone(), ..config(Tls::Direct) });
    assert!(stage.send(HEADER).contains(there));
    let mut stage = Stage::new(Config { moved, ..config(Tls::Required) });
    assert!(stage.send(HEADER).contains("<required/>"));
    stage.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    stage.machine.tls_started(offer());
    assert!(stage.send(HEADER).contains(there));
}

#[test]
fn a_header_that_is_refused_is_answered_with_a_header_and_an_error() {
    for (change, to, condition) in [
        ("to='example.org'", "to='example.com'", C::HostUnknown),
        ("to='example.org'", "to='user@example.org'", C::ImproperAddressing),
        ("to='example.org'", "to='@'", C::ImproperAddressing),
        ("to='example.org'", "to=''", C::ImproperAddressing),
        ("'http://etherx.jabber.org/streams'", "'urn:x'", C::InvalidNamespace),
        ("'jabber:client'", "'jabber:server'", C::InvalidNamespace),
        ("version='1.0' xmlns", "version='0.9' xmlns", C::UnsupportedVersion),
        ("version='1.0' xmlns", "version='one' xmlns", C::UnsupportedVersion),
    ] {
        let mut stage = Stage::new(config(Tls::Direct));
        let answer = stage.send(&HEADER.replace(change, to));
        assert_eq!(answer, header("0a") + &stream_error(condition), "{to}");
    }
}

#[test]
fn a_client_older_than_version_one_is_told_so_without_a_version() {
    let mut stage = Stage::new(config(Tls::Direct));
    let answer = stage.send(&HEADER.replace("version='1.0' xmlns", "xmlns"));
    let header = header("0a").replace(" version='1.0' xml:lang", " xml:lang");
    assert_eq!(answer, header + &stream_error(C::UnsupportedVersion));
}

#[test]
fn versions_are_compared_as_numbers() {
    for version in ["1.0", "01.00", "1.13", "2.4", "99999999999.0"] {
        let mut stage = Stage::new(config(Tls::Direct));
        let sent = HEADER.replace("version='1.0' xmlns", &format!("version='{version}' xmlns"));
        assert!(stage.send(&sent).starts_with(&(header("0a") + "<stream:features>")), "{version}");
    }
}

#[test]
fn a_missing_host_can_only_mean_the_only_one() {
    let sent = HEADER.replace("to='example.org'", "");
    let mut stage = Stage::new(config(Tls::Direct));
    assert!(stage.send(&sent).ends_with("</stream:features>"));
    let mut two = config(Tls::Direct);
    two.domains.push(BareJid::parse("example.net").unwrap());
    let mut stage = Stage::new(two);
    assert!(stage.send(&sent).ends_with(&stream_error(C::ImproperAddressing)));
}

#[test]
fn bytes_that_are_no_stream_are_answered_with_a_stream_and_an_error() {
    let mut stage = Stage::new(config(Tls::Required));
    let header = header("0a").replace(" to='juliet@example.org'", "");
    let answer = stage.send("GET / HTTP/1.1");
    let (opening, error) = answer.split_once("<stream:error>").unwrap();
    assert_eq!(opening, header);
    assert!(error.starts_with("<not-well-formed "), "{error}");
    assert!(error.ends_with("</stream:error></stream:stream>[close not-well-formed]"));
}

#[test]
fn an_error_in_a_restarted_stream_stands_in_that_stream() {
    let mut stage = Stage::at_signin(config(Tls::Direct));
    stage.send(AUTH);
    stage.answer(success());
    let answer = stage.send("<!DOCTYPE x>");
    assert!(answer.starts_with("<?xml version='1.0'?><stream:stream "), "{answer}");
    assert!(answer.ends_with("[close restricted-xml]"));
}

#[test]
fn another_domain_after_login_is_refused() {
    let mut two = config(Tls::Direct);
    two.domains.push(BareJid::parse("example.net").unwrap());
    let mut stage = Stage::at_signin(two);
    stage.send(AUTH);
    stage.answer(success());
    let answer = stage.send(&HEADER.replace("to='example.org'", "to='example.net'"));
    assert!(answer.ends_with(&stream_error(C::NotAuthorized)), "{answer}");
}

#[test]
fn an_error_of_the_clients_closes_the_stream() {
    let error = "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    assert_eq!(Stage::at_open().send(error), "</stream:stream>[close in order]");
}

#[test]
fn a_stream_that_we_close_in_order_waits_for_the_client() {
    let mut stage = Stage::at_open();
    stage.machine.close(None, &mut stage.effects);
    assert_eq!(stage.shown(), "</stream:stream>");
    assert_eq!(stage.send("<message/><r xmlns='urn:xmpp:sm:3'/>"), "[message]");
    stage.machine.close(None, &mut stage.effects);
    assert_eq!(stage.send("</stream:stream>"), "[close in order]");
    stage.machine.close(Some(C::Reset.into()), &mut stage.effects);
    assert_eq!(stage.shown(), "");
}

#[test]
fn an_error_of_ours_closes_at_once() {
    let mut stage = Stage::at_open();
    stage.machine.close(Some(C::SystemShutdown.into()), &mut stage.effects);
    assert_eq!(stage.shown(), stream_error(C::SystemShutdown));
}

#[test]
fn nothing_is_written_into_a_handshake() {
    let mut stage = Stage::at_signin(config(Tls::Optional));
    stage.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    stage.machine.close(Some(C::ConnectionTimeout.into()), &mut stage.effects);
    assert_eq!(stage.shown(), "[close connection-timeout]");
}

#[test]
fn limits_are_announced() {
    let mut limited = config(Tls::Direct);
    let limits = StreamLimits { max_bytes: 9, idle_seconds: None };
    limited.features.limits_before_login = Some(limits);
    let answer = Stage::new(limited).send(HEADER);
    assert!(answer.contains("<max-bytes>9</max-bytes>"), "{answer}");
}
