//! What a client may not: too long, too much, too fast.

use std::time::Duration;

use proto::session::{ConnectionCommand, ConnectionEvent, Gone};
use stream::Event;
use tokio::time::Instant;
use xmpp::{Head, Kind, MessageType, Stanza};

use super::client::HEADER;
use super::stage::{Setting, Stage};

fn paused() -> Setting {
    Setting { paused: true, ..Setting::default() }
}

#[test]
fn a_silent_connection_is_closed_when_its_time_is_over() {
    paused().play(async |stage| {
        let before = Instant::now();
        let mut silent = stage.client().await;
        assert_eq!(silent.stream_error().await, "connection-timeout");
        assert!(before.elapsed() >= Duration::from_secs(30));
        assert!(before.elapsed() < Duration::from_secs(40));
        assert_eq!(stage.metrics.logins_late.get(), 1);
    });
}

#[test]
fn a_handshake_that_stands_still_counts_into_the_time_to_log_in() {
    paused().play(async |stage| {
        let before = Instant::now();
        let address = stage.gate.c2s_tls_addresses().next().unwrap();
        let mut stuck = super::client::Client::connect(address).await;
        stuck.send_bytes(&[0x16, 3, 1]).await;
        assert_eq!(stuck.next().await, None);
        let elapsed = before.elapsed();
        assert!(elapsed >= Duration::from_secs(30) && elapsed < Duration::from_secs(40));
    });
}

#[test]
fn a_dribbling_client_gains_no_time() {
    paused().play(async |stage| {
        let before = Instant::now();
        let mut client = stage.client().await;
        for byte in HEADER.bytes() {
            tokio::time::sleep(Duration::from_millis(500)).await;
            client.send_bytes(&[byte]).await;
            if before.elapsed() > Duration::from_secs(29) {
                break;
            }
        }
        assert_eq!(client.stream_error().await, "connection-timeout");
        assert!(before.elapsed() < Duration::from_secs(40));
    });
}

#[test]
fn too_large_a_stanza_before_log_in_ends_the_stream() {
    Setting::default().play(async |stage| {
        let mut client = stage.tls_client().await;
        client.open().await;
        client
            .send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}", "A".repeat(17_000)))
            .await;
        assert_eq!(client.stream_error().await, "policy-violation");
    });
}

#[test]
fn after_log_in_the_larger_limit_holds() {
    Setting::default().play(async |mut stage| {
        let (mut client, _) = stage.bound().await;
        let body = "x".repeat(200_000);
        client.send(&format!("<message><body>{body}</body></message>")).await;
        let event = stage.event().await;
        let ConnectionEvent::Stanza(stanza) = event else { panic!("{event:?}") };
        assert_eq!(stanza.child("body", "").unwrap().text().len(), 200_000);
        client.send(&format!("<message><body>{body}{body}</body></message>")).await;
        assert_eq!(client.stream_error().await, "policy-violation");
    });
}

#[test]
fn one_address_cannot_hold_more_strangers_than_allowed() {
    let mut setting = Setting::default();
    setting.config.c2s.connections_per_address = 2;
    setting.play(async |mut stage| {
        let (_bound, _) = stage.bound().await;
        let (mut first, mut second) = (stage.client().await, stage.client().await);
        first.open().await;
        second.open().await;
        let mut third = stage.client().await;
        assert_eq!(third.next().await, None);
        drop(first);
        while stage.gate.connections() > 2 {
            tokio::task::yield_now().await;
        }
        stage.client().await.open().await;
    });
}

#[test]
fn who_sends_too_fast_is_read_more_slowly_but_loses_nothing() {
    let mut setting = Setting::default();
    setting.config.limits.stanzas_per_second = 20;
    setting.config.limits.stanzas_burst = 10;
    setting.play(async |mut stage| {
        let (mut client, _) = stage.bound().await;
        let before = Instant::now();
        client.send(&"<presence/>".repeat(20)).await;
        client.send("<presence/>").await;
        for _ in 0..21 {
            assert!(matches!(stage.event().await, ConnectionEvent::Stanza(_)));
        }
        assert!(before.elapsed() >= Duration::from_millis(500), "{:?}", before.elapsed());
        assert!(stage.metrics.reads_delayed.get() > 0);
    });
}

#[test]
fn a_reader_that_stops_clogs_and_is_given_up_at_a_bound() {
    Setting::default().play(async |mut stage| {
        let (_client, connection) = stage.bound().await;
        let kind = Kind::Message(MessageType::Chat);
        let head = Head { kind, id: None, from: None, to: None, lang: None };
        let large = Stanza::new(head, format!("<body>{}</body>", "x".repeat(100_000)));
        let mut clogged = false;
        for sent in 0.. {
            assert!(sent < 1_000, "100 MB fit nowhere");
            Stage::tell(connection, ConnectionCommand::Stanza(large.clone()));
            tokio::task::yield_now().await;
            match stage.heard() {
                None => {}
                Some(ConnectionEvent::Clogged) => clogged = true,
                Some(ConnectionEvent::Gone(Gone::Lost)) => break,
                Some(event) => panic!("{event:?}"),
            }
        }
        assert!(clogged, "it was told before it was given up");
        assert_eq!(stage.metrics.out_full.get(), 1);
    });
}

#[test]
fn a_reader_that_goes_on_gets_everything_and_the_session_is_told() {
    Setting::default().play(async |mut stage| {
        let (mut client, connection) = stage.bound().await;
        let kind = Kind::Message(MessageType::Chat);
        let head = Head { kind, id: None, from: None, to: None, lang: None };
        let large = Stanza::new(head, format!("<body>{}</body>", "x".repeat(100_000)));
        let mut sent = 0;
        loop {
            Stage::tell(connection, ConnectionCommand::Stanza(large.clone()));
            sent += 1;
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            match stage.heard() {
                None => {}
                Some(ConnectionEvent::Clogged) => break,
                Some(event) => panic!("{event:?}"),
            }
        }
        for _ in 0..sent {
            client.stanza().await;
        }
        assert!(matches!(stage.event().await, ConnectionEvent::Drained));
    });
}

#[test]
fn a_client_that_asks_and_never_reads_is_not_read_either() {
    Setting::default().play(async |mut stage| {
        let (mut client, connection) = stage.bound().await;
        client.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
        stage.event().await;
        Stage::tell(connection, ConnectionCommand::Enabled { id: None, max: Duration::ZERO });
        let questions = "<r xmlns='urn:xmpp:sm:3'/>".repeat(100);
        let flood = async {
            loop {
                client.send(&questions).await;
            }
        };
        // The flood comes to a stand, as both directions are full, or fails.
        let stands = tokio::time::timeout(Duration::from_secs(3), flood).await;
        assert!(stands.is_err());
        assert_eq!(stage.metrics.out_full.get(), 0);
    });
}

#[test]
fn an_idle_session_is_kept_alive_by_a_space() {
    let mut setting = paused();
    setting.config.c2s.keepalive_seconds = 60;
    setting.play(async |mut stage| {
        let (client, _) = stage.bound().await;
        let before = stage.metrics.bytes_out.get();
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(stage.metrics.bytes_out.get() > before);
        drop(client);
    });
}

#[test]
fn a_session_idle_for_too_long_is_lost_where_that_is_configured() {
    let mut setting = paused();
    setting.config.c2s.idle_seconds = 100;
    setting.play(async |mut stage| {
        let (mut client, _) = stage.bound().await;
        let before = Instant::now();
        let mut next = client.next().await;
        while let Some(Event::Stanza(_)) = next {
            next = client.next().await;
        }
        assert!(before.elapsed() >= Duration::from_secs(100));
        assert!(before.elapsed() <= Duration::from_secs(160));
        assert!(matches!(stage.event().await, ConnectionEvent::Gone(Gone::Lost)));
    });
}

#[test]
fn a_trusted_balancer_names_the_client_and_must_do_so() {
    let mut setting = Setting::default();
    setting.config.c2s.proxy_protocol_from = vec!["127.0.0.1".parse().unwrap()];
    setting.config.c2s.connections_per_address = 1;
    setting.play(async |stage| {
        let mut first = stage.client().await;
        first.send("PROXY TCP4 192.0.2.1 198.51.100.1 1000 5222\r\n").await;
        first.open().await;
        let mut same = stage.client().await;
        same.send("PROXY TCP4 192.0.2.1 198.51.100.1 1001 5222\r\n").await;
        assert_eq!(same.next().await, None);
        let mut other = stage.client().await;
        other.send(&format!("PROXY TCP4 192.0.2.2 198.51.100.1 1001 5222\r\n{HEADER}")).await;
        assert!(matches!(other.next().await, Some(Event::Open(_))));
        let mut silent = stage.client().await;
        silent.send(HEADER).await;
        assert_eq!(silent.next().await, None);
    });
}
