//! A session on trial: its commands, its client's state, stored messages.

mod copies;
mod management;
mod simulation;

use std::sync::Arc;
use std::time::Duration;

use entity::trial::Trial;
use proto::session::{ClientState, ConnectionCommand, ConnectionEvent, Gone, UserEvent};
use proto::{ArbiterId, Body, ConnectionId, Envelope, Hosts, MemberId, Receipt, ResumptionId};
use proto::{Route, SessionId};
use store::memory::Memory;
use xmpp::StreamCondition;
use xmpp::{BareJid, FullJid, Head, IqType, Jid, Kind, MessageType, Origin, PresenceType, Stanza};

use super::{Config, Session};

const UID: u64 = 7;
const STATE: &str = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";

/// A session on trial, and what it said last: each envelope in short.
struct Stage {
    trial: Trial<Session>,
    said: Vec<String>,
    receipts: Vec<Receipt>,
    origins: Vec<Origin>,
    given_back: Vec<Stanza>,
    /// What the client sent last may have been acted on before.
    again: bool,
    id: Option<ResumptionId>,
}

impl Stage {
    fn unstarted(account: &str, config: Config) -> Self {
        let id = SessionId { account: BareJid::parse(account).unwrap(), uid: UID };
        let hosts = Hosts::new([BareJid::parse("x.org").unwrap()], []);
        let store = Arc::new(Memory::new());
        let mut trial = Trial::new(&Route::Session(id), Arc::new(config), hosts, store).unwrap();
        trial.drowsy = true;
        Self {
            trial,
            said: Vec::new(),
            receipts: Vec::new(),
            origins: Vec::new(),
            given_back: Vec::new(),
            again: false,
            id: None,
        }
    }

    /// Bound by connection 1.
    fn bound_with(config: Config) -> Self {
        let mut stage = Self::unstarted("a@x.org", config);
        let jid = FullJid::parse("a@x.org/r").unwrap();
        let event = UserEvent::Start { connection: connection(1), jid, iq_id: "b".into() };
        stage.hears(Body::User(event));
        assert_eq!(stage.said, ["1: bound a@x.org/r"]);
        stage
    }

    fn bound() -> Self {
        Self::bound_with(Config::default())
    }

    /// Bound, and its client counts and may resume.
    fn managed_with(config: Config) -> Self {
        let mut stage = Self::bound_with(config);
        stage.client(1, ConnectionEvent::Enable { resume: true, max: None });
        assert_eq!(stage.said, ["1: enabled, resumable"]);
        stage
    }

    fn managed() -> Self {
        Self::managed_with(Config::default())
    }

    /// Managed, and its connection is lost.
    fn lost_with(config: Config) -> Self {
        let mut stage = Self::managed_with(config);
        stage.client(1, ConnectionEvent::Gone(Gone::Lost));
        assert_eq!(stage.said, ["user: detached"]);
        stage
    }

    fn to(&self) -> Route {
        Route::Session(SessionId { account: BareJid::parse("a@x.org").unwrap(), uid: UID })
    }

    fn hears(&mut self, body: Body) {
        let sent = self.trial.receive(self.to(), body);
        self.note(sent);
    }

    fn client(&mut self, number: u64, event: ConnectionEvent) {
        self.hears(Body::FromConnection(connection(number), event));
    }

    fn resumes(&mut self, number: u64, h: u32) {
        let secret = self.id.expect("the session is resumable").secret;
        self.client(number, ConnectionEvent::Resume { secret, h });
    }

    fn gets(&mut self, stanza: Stanza) {
        self.hears(Body::Stanza(stanza));
    }

    /// As a stanza that another client sent as its n-th, perhaps once more.
    fn gets_from(&mut self, seq: u64, text: &str, again: bool) -> Origin {
        let origin = Origin::Client { session: UID + 1, seq, part: 0 };
        let body = Body::Stanza(message(text));
        let sent = match again {
            true => self.trial.receive_again(self.to(), body, origin),
            false => self.trial.receive_as(self.to(), body, origin),
        };
        self.note(sent);
        origin
    }

    /// As a stored message that another client sent as its n-th.
    fn gets_stored(&mut self, mark: u64, seq: u64) {
        let origin = Origin::Client { session: UID + 1, seq, part: 0 };
        let sent = self.trial.receive_as(self.to(), stored(mark), origin);
        self.note(sent);
    }

    fn waits(&mut self, time: Duration) {
        let sent = self.trial.advance(time);
        self.note(sent);
    }

    /// Everything that the client sent becomes safe.
    fn settles(&mut self) {
        self.receipts.drain(..).for_each(Receipt::release);
        let sent = self.trial.settle(self.to());
        self.note(sent);
    }

    fn note(&mut self, sent: Vec<Envelope>) {
        self.said.clear();
        for Envelope { to, body, origin, receipt, again, .. } in sent {
            let text = match (to, body) {
                (Route::Connection(to), Body::ToConnection(command)) => {
                    if let Some(receipt) = receipt {
                        receipt.release();
                    }
                    format!("{}: {}", to.number, self.command(command))
                }
                (Route::User(_), Body::User(UserEvent::Outbound { stanza, .. })) => {
                    self.receipts.extend(receipt);
                    self.origins.push(origin);
                    self.again = again;
                    format!("user: sent {}", short(&stanza))
                }
                (Route::User(_), Body::User(event)) => {
                    if let Some(receipt) = receipt {
                        receipt.release();
                    }
                    format!("user: {}", self.user(event))
                }
                (to, body) => panic!("unexpected {body:?} to {to:?}"),
            };
            self.said.push(text);
        }
    }

    fn command(&mut self, command: ConnectionCommand) -> String {
        match command {
            ConnectionCommand::Bound { jid, .. } => format!("bound {jid}"),
            ConnectionCommand::Enabled { id, .. } => {
                self.id = id.and_then(|id| ResumptionId::parse(&id));
                if self.id.is_some() { "enabled, resumable".into() } else { "enabled".into() }
            }
            ConnectionCommand::Resumed { h, previd, .. } => {
                assert_eq!(ResumptionId::parse(&previd), self.id);
                format!("resumed {h}")
            }
            ConnectionCommand::ResumeFailed { h: None } => "not resumed".into(),
            ConnectionCommand::ResumeFailed { h: Some(h) } => format!("not resumed, {h} handled"),
            ConnectionCommand::Stanza(stanza) => short(&stanza),
            ConnectionCommand::Nonza(bytes) => {
                assert_eq!(&bytes[..], b"<r xmlns='urn:xmpp:sm:3'/>");
                "r".into()
            }
            ConnectionCommand::Handled { h, open } => format!("handled {h}, {open} open"),
            ConnectionCommand::Keep(session) => format!("keep {}", session.uid),
            ConnectionCommand::Close(None) => "close".into(),
            ConnectionCommand::Close(Some(error)) => {
                let detail = error.detail.map(|detail| format!(" {}", detail.name()));
                format!("close {}{}", error.condition.name(), detail.unwrap_or_default())
            }
            ConnectionCommand::BindRefused { .. } => panic!("a session refuses no resource"),
        }
    }

    fn user(&mut self, event: UserEvent) -> String {
        match event {
            UserEvent::Ended { unacknowledged, .. } => {
                let all: Vec<_> = unacknowledged.iter().map(short).collect();
                self.given_back = unacknowledged;
                format!("ended [{}]", all.join(" "))
            }
            UserEvent::Attached { attached: true, .. } => "attached".into(),
            UserEvent::Attached { attached: false, .. } => "detached".into(),
            UserEvent::ClientState { state, .. } => format!("{state:?}"),
            UserEvent::Taken { mark, .. } => format!("taken {mark}"),
            UserEvent::Kept(session) => {
                let entry = session.entry.expect("it says what was kept");
                let attached = if entry.attached { "attached" } else { "waits" };
                format!("kept, priority {}, {attached}", entry.priority)
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

/// From 100 on they are on another member.
fn connection(number: u64) -> ConnectionId {
    let member = MemberId(if number < 100 { 1 } else { 2 });
    ConnectionId { member, arbiter: ArbiterId(0), number }
}

/// The text of the body, or kind and type.
fn short(stanza: &Stanza) -> String {
    match stanza.child("body", "") {
        Some(body) => body.text(),
        None => format!("{}{}", stanza.kind().name(), stanza.kind().type_str().unwrap_or("")),
    }
}

fn stanza(kind: Kind, inner: String) -> Stanza {
    let from = Jid::parse("b@y.org/s").ok();
    Stanza::new(Head { kind, id: Some("i".into()), from, to: None, lang: None }, inner)
}

fn message(text: &str) -> Stanza {
    stanza(Kind::Message(MessageType::Chat), format!("<body>{text}</body>"))
}

fn typing() -> Stanza {
    stanza(Kind::Message(MessageType::Chat), STATE.to_owned())
}

fn presence() -> Stanza {
    stanza(Kind::Presence(PresenceType::Available), String::new())
}

fn query() -> Stanza {
    stanza(Kind::Iq(IqType::Get), "<q xmlns='urn:q'/>".to_owned())
}

// Without stream management.

#[test]
fn stanzas_pass_both_ways() {
    let mut stage = Stage::bound();
    stage.client(1, ConnectionEvent::Stanza(message("out")));
    assert_eq!(stage.said, ["user: sent out"]);
    assert_eq!(stage.origins, [Origin::Client { session: UID, seq: 1, part: 0 }]);
    assert!(stage.receipts.is_empty());
    stage.gets(message("in"));
    assert_eq!(stage.said, ["1: in"]);
}

#[test]
fn without_management_a_lost_connection_ends_the_session() {
    for gone in [Gone::Lost, Gone::Closed] {
        let mut stage = Stage::bound();
        stage.client(1, ConnectionEvent::Gone(gone));
        assert_eq!(stage.said, ["user: ended []"]);
        assert!(stage.trial.closed);
    }
}

#[test]
fn a_clogged_connection_gets_the_rest_when_it_drains() {
    let mut stage = Stage::bound();
    stage.client(1, ConnectionEvent::Clogged);
    stage.gets(message("one"));
    stage.gets(message("two"));
    assert!(stage.said.is_empty());
    stage.client(1, ConnectionEvent::Drained);
    assert_eq!(stage.said, ["1: one", "1: two"]);
}

#[test]
fn a_reader_that_stays_clogged_loses_the_session_and_nothing_else() {
    let mut stage = Stage::bound_with(Config { queue_stanzas: 2, ..Config::default() });
    stage.client(1, ConnectionEvent::Clogged);
    stage.gets(message("one"));
    stage.gets(message("two"));
    stage.gets(message("three"));
    assert_eq!(stage.said, ["1: close resource-constraint", "user: ended [one two three]"]);
    assert!(stage.trial.closed);
}

#[test]
fn the_user_may_end_a_session() {
    let mut stage = Stage::managed();
    stage.gets(message("one"));
    stage.hears(Body::User(UserEvent::End(StreamCondition::Conflict.into())));
    assert_eq!(stage.said, ["1: close conflict", "user: ended [one]"]);
    stage.gets(message("two"));
    assert_eq!(stage.said, ["user: ended [two]"]);
    stage.resumes(2, 0);
    assert_eq!(stage.said, ["2: not resumed"]);
}

// Nobody there.

#[test]
fn a_session_that_was_lost_says_so() {
    let mut stage = Stage::unstarted("a@x.org", Config::default());
    stage.client(1, ConnectionEvent::Stanza(message("one")));
    assert_eq!(stage.said, ["1: close internal-server-error", "user: ended []"]);
    let mut stage = Stage::unstarted("a@x.org", Config::default());
    stage.gets(message("one"));
    assert_eq!(stage.said, ["user: ended [one]"]);
}

// Client state (XEP-0352).

#[test]
fn an_inactive_client_is_left_alone_until_something_matters() {
    let mut stage = Stage::managed();
    stage.client(1, ConnectionEvent::ClientState(ClientState::Inactive));
    assert_eq!(stage.said, ["user: Inactive"]);
    for stanza in [typing(), presence(), presence()] {
        stage.gets(stanza);
        assert!(stage.said.is_empty());
    }
    stage.gets(message("one"));
    assert_eq!(stage.said, ["1: messagechat", "1: r", "1: presence", "1: one"]);
    stage.gets(presence());
    stage.client(1, ConnectionEvent::ClientState(ClientState::Active));
    assert_eq!(stage.said, ["user: Active", "1: presence"]);
    stage.gets(presence());
    assert_eq!(stage.said, ["1: presence"]);
}

#[test]
fn presence_does_not_fill_the_queue_of_a_lost_client() {
    let mut stage = Stage::lost_with(Config { queue_stanzas: 3, ..Config::default() });
    for _ in 0..100 {
        stage.gets(presence());
    }
    stage.gets(message("one"));
    stage.resumes(2, 0);
    assert_eq!(stage.said[2..], ["2: presence", "2: one", "2: r"]);
}

#[test]
fn a_resumed_stream_begins_active() {
    let mut stage = Stage::managed();
    stage.client(1, ConnectionEvent::ClientState(ClientState::Inactive));
    stage.gets(presence());
    stage.resumes(2, 0);
    let said = ["1: close conflict", "2: resumed 0", "user: attached", "user: Active"];
    assert_eq!(stage.said[..4], said);
    assert_eq!(stage.said[4..], ["2: presence", "2: r"]);
}

// Stored messages.

fn stored(mark: u64) -> Body {
    Body::User(UserEvent::Stored { mark, stanza: message("stored") })
}

#[test]
fn what_is_in_store_and_comes_by_itself_too_is_given_once() {
    let mut stage = Stage::managed();
    stage.gets_stored(5, 1);
    assert_eq!(stage.said, ["1: stored", "1: r"]);
    stage.gets_from(1, "stored", true);
    assert!(stage.said.is_empty(), "its sender says it once more: {:?}", stage.said);
    stage.gets_from(2, "two", false);
    stage.gets_stored(6, 2);
    assert!(stage.said.is_empty(), "it was stored once more: {:?}", stage.said);
    stage.client(1, ConnectionEvent::Ack { h: 1 });
    assert_eq!(stage.said[0], "user: taken 6", "not before what was stored before it");
    stage.gets_stored(7, 2);
    assert_eq!(stage.said, ["user: taken 7"]);
}

#[test]
fn a_stored_message_is_taken_when_the_client_has_acknowledged_it() {
    let mut stage = Stage::managed();
    stage.hears(stored(5));
    stage.hears(stored(6));
    assert_eq!(stage.said, ["1: stored"]);
    stage.client(1, ConnectionEvent::Ack { h: 1 });
    assert_eq!(stage.said[0], "user: taken 5");
    stage.client(1, ConnectionEvent::Gone(Gone::Closed));
    assert_eq!(stage.said, ["user: ended []"]);
}

#[test]
fn without_management_a_stored_message_is_taken_when_the_connection_has_it() {
    let mut stage = Stage::bound();
    stage.client(1, ConnectionEvent::Clogged);
    stage.hears(stored(5));
    assert!(stage.said.is_empty());
    stage.client(1, ConnectionEvent::Drained);
    assert_eq!(stage.said, ["1: stored", "user: taken 5"]);
}
