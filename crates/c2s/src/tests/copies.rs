//! The copy of a session that lives on another member, when its connection is lost.

use std::time::Duration;

use proto::session::{ConnectionCommand, ConnectionEvent, Gone, PLACED};
use proto::snapshot::{
    Counts, QueuedStanza, Resumption, SessionSnapshot, SessionState, StreamSnapshot, Term,
};
use proto::{Body, CopyUpdate, MemberId};
use router::local;
use xmpp::{Epoch, FullJid, Head, Kind, MessageType, Origin, Stanza};

use super::stage::{Setting, Stage};

const OWNER: MemberId = MemberId(2);

fn message(body: &str) -> Stanza {
    let kind = Kind::Message(MessageType::Chat);
    let head = Head { kind, id: None, from: None, to: None, lang: None };
    Stanza::new(head, format!("<body>{body}</body>"))
}

/// What a session on another member says of itself.
fn session() -> SessionSnapshot {
    let stream = StreamSnapshot { counts: Some(Counts::default()), ..StreamSnapshot::default() };
    let max = Duration::from_secs(60);
    SessionSnapshot {
        uid: 1,
        jid: FullJid::parse("juliet@capulet.example/balcony").unwrap(),
        connection: None,
        resumption: Some(Resumption { secret: [7; 16], max, deadline: None }),
        stream: Some(stream),
        entry: None,
        term: Some(Term { epoch: Epoch(1), since: 1 }),
    }
}

/// What a new owner is told of it from here: the bodies of its queue.
fn announced() -> Vec<Vec<String>> {
    let envelopes = local::edges().into_iter().flat_map(|edge| edge.announce(&|_| Some(OWNER)));
    let bodies = |envelope: proto::Envelope| {
        let Body::Copy(CopyUpdate::Kept { whole, .. }) = envelope.body else { return None };
        let Ok(SessionState::Live(session)) = SessionState::decode(&whole) else {
            panic!("it is no session")
        };
        assert_eq!(session.connection, None, "nobody holds it");
        let queue = session.stream.unwrap().queue;
        Some(queue.iter().map(|it| it.stanza.child("body", "").unwrap().text()).collect())
    };
    envelopes.filter_map(bodies).collect()
}

// Its owner may not have heard yet that nobody is there, and counts what it says as kept here.
#[test]
fn the_copy_of_a_connection_that_is_gone_learns_what_its_session_still_says() {
    Setting::default().play(async |mut stage| {
        let (client, connection) = stage.bound().await;
        Stage::tell(connection, ConnectionCommand::Keep(Box::new(session())));
        Stage::tell(connection, ConnectionCommand::Stanza(message("one")));
        drop(client);
        assert!(matches!(stage.event().await, ConnectionEvent::Gone(Gone::Lost)));
        stage.empty().await;
        Stage::tell(connection, ConnectionCommand::Stanza(message("two")));
        Stage::tell(connection, ConnectionCommand::Keep(Box::new(session())));
        assert_eq!(announced(), [["one", "two"]]);
        Stage::tell(connection, ConnectionCommand::Close(None));
        assert!(announced().is_empty(), "the session knows");
    });
}

#[test]
fn the_copy_of_a_connection_that_is_closing_is_announced_with_what_its_session_still_says() {
    Setting::default().play(async |mut stage| {
        let (mut client, connection) = stage.bound().await;
        Stage::tell(connection, ConnectionCommand::Keep(Box::new(session())));
        Stage::tell(connection, ConnectionCommand::Stanza(message("one")));
        client.stanza().await;
        client.send("<unknown/>").await;
        client.stream_error().await;
        assert!(matches!(stage.event().await, ConnectionEvent::Gone(Gone::Lost)));
        Stage::tell(connection, ConnectionCommand::Stanza(message("two")));
        assert_eq!(announced(), [["one", "two"]]);
    });
}

// The session was on this member until it moved: the first that is said of it comes too late for the client.
#[test]
fn a_connection_that_is_gone_keeps_what_its_session_says_first_from_another_member() {
    Setting::default().play(async |mut stage| {
        let (mut client, connection) = stage.bound().await;
        client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        assert!(matches!(stage.event().await, ConnectionEvent::Enable { .. }));
        drop(client);
        assert!(matches!(stage.event().await, ConnectionEvent::Gone(Gone::Lost)));
        stage.empty().await;
        let item = QueuedStanza { stanza: message("one"), at: 1, mark: None, origin: None };
        let mut whole = session();
        let stream = whole.stream.as_mut().unwrap();
        (stream.queue, stream.handed) = (vec![item], 1);
        Stage::tell(connection, ConnectionCommand::Keep(Box::new(whole)));
        Stage::tell(connection, ConnectionCommand::Stanza(message("two")));
        assert_eq!(announced(), [["one", "two"]]);
    });
}

// A session may say in its copy that something is handled before it says so by itself.
#[test]
fn what_the_copy_says_is_handled_is_not_said_to_a_new_owner() {
    Setting::default().play(async |mut stage| {
        let (mut client, connection) = stage.bound().await;
        Stage::tell(connection, ConnectionCommand::Keep(Box::new(session())));
        client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        assert!(matches!(stage.event().await, ConnectionEvent::Enable { .. }));
        let max = Duration::from_secs(60);
        Stage::tell(connection, ConnectionCommand::Enabled { id: None, max });
        client.send("<message><body>one</body></message><message><body>two</body></message>").await;
        for _ in 0..2 {
            assert!(matches!(stage.event().await, ConnectionEvent::Stanza(_)));
        }
        let mut ahead = session();
        let stream = ahead.stream.as_mut().unwrap();
        (stream.seq, stream.counts) = (1, Some(Counts { handled: 1, ..Counts::default() }));
        Stage::tell(connection, ConnectionCommand::Keep(Box::new(ahead)));
        let envelopes = local::edges().into_iter().flat_map(|edge| edge.announce(&|_| Some(OWNER)));
        let said = envelopes.filter_map(|envelope| match envelope.body {
            Body::FromConnection(_, ConnectionEvent::Stanza(stanza)) => {
                Some(stanza.child("body", "").unwrap().text())
            }
            _ => None,
        });
        assert_eq!(said.collect::<Vec<_>>(), ["two"]);
    });
}

#[test]
fn stanzas_of_a_client_carry_their_places_until_it_counts() {
    Setting::default().play(async |mut stage| {
        let (mut client, _) = stage.bound().await;
        let places = async |stage: &mut Stage| {
            let event = stage.event().await;
            assert!(matches!(event, ConnectionEvent::Stanza(_)), "{event:?}");
            match stage.last_origin() {
                Origin::Client { seq, part: PLACED, .. } => Some(seq),
                _ => None,
            }
        };
        client.send("<message/><message/>").await;
        assert_eq!((places(&mut stage).await, places(&mut stage).await), (Some(1), Some(2)));
        client.send("<enable xmlns='urn:xmpp:sm:3'/><message/>").await;
        assert!(matches!(stage.event().await, ConnectionEvent::Enable { .. }));
        assert_eq!(places(&mut stage).await, None);
    });
}

#[test]
fn clients_of_a_member_that_was_expelled_and_has_come_back_are_sent_away_and_nothing_is_said_of_them()
 {
    Setting::default().play(async |mut stage| {
        let (mut client, connection) = stage.bound().await;
        Stage::tell(connection, ConnectionCommand::Keep(Box::new(session())));
        local::edges().iter().for_each(|edge| edge.expelled());
        client.stream_error().await;
        assert!(matches!(stage.event().await, ConnectionEvent::Gone(Gone::Lost)));
        assert!(announced().is_empty());
    });
}
