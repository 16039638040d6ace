//! What must hold for every input, as plain functions: run over a corpus and fixed mutations by the tests,
//! and under a coverage-guided fuzzer by `crates/fuzz`. Each panics where its promise is broken.

mod tree;

use std::sync::Arc;

use stream::machine::{Config, Effect, Machine, Tls};
use stream::{Event, Features, Framing, Limits, Parser, SaslOffer, SaslOutcome};
use xmpp::{BareJid, Element, Stanza, StreamCondition, ns};

/// A header that opens a stream of this test.
const HEADER: &[u8] = b"<stream:stream to='x' version='1.0' xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";

/// Where one read of the socket ends, in inputs for the machine.
const READ_END: u8 = 0x1e;

/// Small, so that inputs of a fuzzer reach them.
const LIMITS: Limits = Limits {
    stanza_bytes: 4096,
    depth: 12,
    attributes: 8,
    namespaces: 8,
    name_bytes: 64,
    total_bytes: None,
};

type Read = (Vec<Event>, Option<StreamCondition>);

/// Reads the input in pieces of the sizes given, over and over; a size of 0 takes the rest.
fn read(input: &[u8], sizes: &[usize]) -> Read {
    let mut parser = Parser::new(LIMITS);
    let mut events = Vec::new();
    let mut rest = input;
    for &size in sizes.iter().cycle() {
        let size = if size == 0 { rest.len() } else { size.min(rest.len()) };
        let (piece, after) = rest.split_at(size);
        rest = after;
        if let Err(error) = parser.feed(piece, &mut events) {
            return (events, Some(error.condition));
        }
        if rest.is_empty() {
            break;
        }
    }
    (events, None)
}

/// However the input is cut, the same comes out.
pub(crate) fn cutting_changes_nothing(input: &[u8], sizes: &[usize]) {
    let whole = read(input, &[0]);
    assert_eq!(whole, read(input, sizes), "cut in {sizes:?}");
    assert_eq!(whole, read(input, &[1]), "cut in single bytes");
}

/// What is accepted reads back to the same canonical bytes, the small tree sees the same in them, and an
/// independent reading of the input by `rxml` with its own namespaces sees the same too.
pub(crate) fn canonical_bytes_say_what_the_input_said(input: &[u8]) {
    let (events, _) = read(input, &[0]);
    let mut seen = Vec::new();
    for event in &events {
        match event {
            Event::Stanza(stanza) => {
                reads_back(stanza);
                seen.push(tree::of_stanza(stanza));
            }
            Event::BadStanza { stanza, .. } => seen.push(tree::of_stanza(stanza)),
            Event::Nonza(element) => {
                let bytes = element.to_bytes();
                assert_eq!(Element::parse(&bytes).as_ref(), Ok(element));
                seen.push(tree::of_element(element));
            }
            Event::Open(_) | Event::Close => {}
        }
    }
    let mut reference = tree::of_document(input);
    reference.truncate(seen.len());
    assert_eq!(reference, seen, "{}", String::from_utf8_lossy(input));
}

fn reads_back(stanza: &Stanza) {
    let mut bytes = HEADER.to_vec();
    stanza.write(&mut bytes);
    let mut parser = Parser::new(Limits { stanza_bytes: 65_536, ..LIMITS });
    let mut events = Vec::new();
    parser.feed(&bytes, &mut events).expect("canonical bytes are accepted");
    assert_eq!(events.get(1), Some(&Event::Stanza(stanza.clone())));
    // What the parser indexed in passing is what an index made afterwards finds.
    assert_eq!(stanza, &Stanza::new(stanza.head().clone(), stanza.inner().clone()));
}

/// The machine never panics, whatever the shell answers; each stream it writes is opened before it is written
/// to; behind its end nothing is.
pub(crate) fn the_machine_keeps_its_order(input: &[u8], answers: u64) {
    let mut shell = Shell::new(answers);
    let reads = input.split(|&byte| byte == READ_END);
    for piece in reads.flat_map(|read| read.chunks(97)) {
        shell.send(piece);
    }
    let condition = StreamCondition::ConnectionTimeout;
    shell.machine.close(Some(condition.into()), &mut shell.effects);
    shell.perform();
    shell.answer();
    shell.perform();
    assert!(shell.closed, "a machine that is told to close does so");
}

/// A shell that answers by the bits of a number, at once or before a later read.
struct Shell {
    parser: Parser,
    machine: Machine,
    effects: Vec<Effect>,
    /// What the machine has asked and not been told.
    question: Option<Effect>,
    answers: u64,
    opened: bool,
    closed: bool,
}

impl Shell {
    fn new(answers: u64) -> Self {
        let domain = BareJid::parse("x").expect("a domain");
        let register = if answers & 4 > 0 { vec![domain.clone()] } else { Vec::new() };
        let config = Config {
            domains: vec![domain],
            moved: Vec::new(),
            tls: [Tls::Required, Tls::Optional, Tls::Absent, Tls::Direct][(answers % 4) as usize],
            framing: Framing::Tcp,
            features: Features { sm: true, register, ..Features::default() },
            sasl_failures_max: 5,
            bind_failures_max: 10,
        };
        Self {
            parser: Parser::new(Limits::BEFORE_LOGIN),
            machine: Machine::new(Arc::new(config), SaslOffer::default(), [[7; 16]; 3]),
            effects: Vec::new(),
            question: None,
            answers: answers >> 3,
            opened: false,
            closed: false,
        }
    }

    fn send(&mut self, piece: &[u8]) {
        let mut events = Vec::new();
        let result = self.parser.feed(piece, &mut events);
        for event in events {
            self.machine.handle(event, &mut self.effects);
            self.perform();
        }
        if let Err(error) = result {
            self.machine.close(Some(error), &mut self.effects);
            self.perform();
        }
        while self.question.is_some() && self.bits() > 0 {
            self.answer();
            self.perform();
        }
    }

    fn bits(&mut self) -> u64 {
        self.answers = self.answers.rotate_right(2);
        self.answers % 4
    }

    fn perform(&mut self) {
        while !self.effects.is_empty() {
            for effect in std::mem::take(&mut self.effects) {
                assert!(!self.closed, "{effect:?} behind the end");
                self.perform_one(effect);
            }
        }
    }

    fn perform_one(&mut self, effect: Effect) {
        match effect {
            Effect::Write(bytes) => {
                let header = bytes.starts_with(b"<?xml version='1.0'?><stream:stream ");
                assert!(header != self.opened, "{}", String::from_utf8_lossy(&bytes));
                self.opened = true;
            }
            Effect::StartTls => {
                self.restart();
                self.machine.tls_started(SaslOffer::default());
            }
            Effect::Restart => self.restart(),
            Effect::Sasl { .. }
            | Effect::SaslResponse(_)
            | Effect::SaslTask(_)
            | Effect::Authenticated
            | Effect::Register(_)
            | Effect::Bind { .. }
            | Effect::Resume { .. } => {
                assert_eq!(self.question, None, "one question at a time");
                self.question = Some(effect);
            }
            Effect::Stanza(_) | Effect::BadStanza { .. } | Effect::Nonza(_) | Effect::Answer(_) => {
                assert_eq!(self.question, None, "nothing overtakes a question");
                assert!(self.machine.account().is_some(), "nobody is heard before login");
                if self.machine.awaits_enabled() {
                    let enabled = Element::new("enabled", ns::SM);
                    self.machine.enabled(enabled, &mut self.effects);
                }
            }
            Effect::Close(_) => self.closed = true,
            Effect::SaslAbort => {}
        }
    }

    fn restart(&mut self) {
        self.parser.reset();
        self.opened = false;
    }

    fn answer(&mut self) {
        let bits = self.bits();
        let effects = &mut self.effects;
        match self.question.take() {
            Some(Effect::Sasl { .. } | Effect::SaslResponse(_) | Effect::SaslTask(_)) => {
                self.machine.sasl_outcome(outcome(bits), effects);
            }
            Some(Effect::Bind { iq_id, .. }) if bits > 0 => {
                let jid = self.machine.account().and_then(|jid| jid.with_resource("r").ok());
                self.machine.bound(&jid.expect("only who is known binds"), iq_id, effects);
            }
            Some(Effect::Bind { iq_id, .. }) => {
                let error = xmpp::StanzaCondition::Conflict.into();
                self.machine.bind_refused(&error, iq_id, effects);
            }
            Some(Effect::Authenticated) => self.machine.continue_after_login(effects),
            Some(Effect::Register(request)) => {
                self.machine.registered(&request.result(None), effects);
            }
            Some(Effect::Resume { .. }) if bits > 0 => {
                let jid = self.machine.account().and_then(|jid| jid.with_resource("r").ok());
                let jid = jid.expect("only who is known resumes");
                self.machine.resumed(&jid, stream::sm::resumed("p", 0), effects);
            }
            Some(_) => {
                let condition = xmpp::StanzaCondition::ItemNotFound;
                self.machine.resume_refused(condition, None, effects);
            }
            None => {}
        }
    }
}

fn outcome(bits: u64) -> SaslOutcome {
    match bits {
        0 => SaslOutcome::Failure { condition: "not-authorized".into(), text: None },
        1 => SaslOutcome::Challenge(Vec::new()),
        _ => {
            SaslOutcome::Success { data: None, account: BareJid::parse("a@x").expect("an account") }
        }
    }
}
