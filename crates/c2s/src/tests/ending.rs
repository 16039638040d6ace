//! How connections end, and who is told.

use std::time::Duration;

use proto::session::{ConnectionCommand, ConnectionEvent, Gone};
use proto::{Route, SessionId};
use stream::Event;
use xmpp::{BareJid, FullJid};

use super::client::BIND;
use super::stage::{Said, Setting, Stage};

const MESSAGE: &str = "<message to='romeo@montague.example'><body>hi</body></message>";

// RFC 6120 §4.4
#[test]
fn a_stream_that_the_client_closes_is_closed_in_return_behind_all_it_said() {
    Setting::default().play(async |mut stage| {
        let (mut client, _) = stage.bound().await;
        client.send(&format!("{MESSAGE}</stream:stream>")).await;
        assert!(matches!(stage.event().await, ConnectionEvent::Stanza(_)));
        assert!(matches!(stage.event().await, ConnectionEvent::Gone(Gone::Closed)));
        assert_eq!(client.next().await, Some(Event::Close));
        assert_eq!(client.next().await, None);
        assert!(stage.is_quiet());
    });
}

#[test]
fn a_socket_that_breaks_loses_the_session_but_does_not_close_it() {
    Setting::default().play(async |mut stage| {
        let (mut client, _) = stage.bound().await;
        client.send(MESSAGE).await;
        assert!(matches!(stage.event().await, ConnectionEvent::Stanza(_)));
        drop(client);
        assert!(matches!(stage.event().await, ConnectionEvent::Gone(Gone::Lost)));
        assert_eq!(stage.metrics.sessions.get(), 0);
    });
}

#[test]
fn a_session_that_is_found_too_late_is_told_that_nobody_is_there() {
    let setting = Setting { binds: false, ..Setting::default() };
    setting.play(async |mut stage| {
        let mut client = stage.tls_client().await;
        client.log_in("juliet").await;
        client.send(BIND).await;
        let (connection, _, said) = stage.hear().await;
        let Said::FromConnection(ConnectionEvent::Bind { iq_id, .. }) = said else {
            panic!("{said:?}")
        };
        drop(client);
        stage.gate.stop();
        stage.empty().await;
        let account = BareJid::parse("juliet@capulet.example").unwrap();
        let session = SessionId { account, uid: 5 };
        let jid = FullJid::parse("juliet@capulet.example/r").unwrap();
        Stage::tell(connection, ConnectionCommand::Bound { session: session.clone(), jid, iq_id });
        let (from, to, said) = stage.hear().await;
        assert_eq!((from, to), (connection, Route::Session(session)));
        assert!(
            matches!(said, Said::FromConnection(ConnectionEvent::Gone(Gone::Lost))),
            "{said:?}"
        );
    });
}

#[test]
fn a_gate_that_is_drained_says_so_to_every_client_and_waits_for_them() {
    Setting::default().play(async |mut stage| {
        let (mut bound, _) = stage.bound().await;
        let mut stranger = stage.tls_client().await;
        stranger.open().await;
        let ended = async {
            assert_eq!(bound.stream_error().await, "system-shutdown");
            assert_eq!(stranger.stream_error().await, "system-shutdown");
            drop((bound, stranger));
        };
        let drained = stage.gate.drain(Duration::from_secs(30));
        futures_util::future::join(drained, ended).await;
        assert_eq!(stage.gate.connections(), 0);
        let address = stage.gate.c2s_addresses().next().unwrap();
        assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the door is closed");
        assert!(matches!(stage.event().await, ConnectionEvent::Gone(Gone::Lost)));
    });
}

// Else all of them would come back elsewhere at once.
#[test]
fn a_gate_that_drips_ends_streams_one_after_the_other() {
    const COUNT: usize = 8;
    const OVER: Duration = Duration::from_millis(800);
    Setting::default().play(async |stage| {
        let mut clients = Vec::new();
        for _ in 0..COUNT {
            let mut client = stage.tls_client().await;
            client.open().await;
            clients.push(client);
        }
        let begun = tokio::time::Instant::now();
        let ends = clients.into_iter().map(async |mut client| {
            assert_eq!(client.stream_error().await, "system-shutdown");
            begun.elapsed()
        });
        let ends = futures_util::future::join_all(ends);
        let ((), mut ends) = futures_util::future::join(stage.gate.drip(OVER), ends).await;
        ends.sort();
        assert!(ends[COUNT - 1] - ends[0] >= OVER / 2, "{ends:?}");
    });
}

#[test]
fn a_gate_that_is_stopped_drops_its_connections() {
    Setting::default().play(async |mut stage| {
        let (mut client, _) = stage.bound().await;
        stage.gate.stop();
        assert_eq!(client.next().await, None);
        assert!(matches!(stage.event().await, ConnectionEvent::Gone(Gone::Lost)));
    });
}

#[test]
fn a_client_that_does_not_answer_the_end_is_not_waited_for() {
    let setting = Setting { paused: true, ..Setting::default() };
    setting.play(async |mut stage| {
        let (client, connection) = stage.bound().await;
        Stage::tell(connection, ConnectionCommand::Close(None));
        stage.empty().await;
        drop(client);
    });
}
