//! Connections move to the arbiter of their account.

use proto::session::ConnectionEvent;

use super::client::BIND;
use super::stage::{Said, Setting};

const MESSAGE: &str = "<message to='romeo@montague.example'><body>hi</body></message>";

#[test]
fn wherever_it_signs_in_a_connection_comes_to_the_arbiter_of_its_account() {
    let setting = Setting { arbiters: 2, ..Setting::default() };
    setting.play(async |mut stage| {
        let mut arbiters = Vec::new();
        // Connections are dealt out in turn: each arbiter signs two of them in.
        for _ in 0..4 {
            let mut client = stage.tls_client().await;
            client.log_in("juliet").await;
            client.bind().await;
            let (connection, _, said) = stage.hear().await;
            assert!(matches!(said, Said::FromConnection(ConnectionEvent::Bind { .. })), "{said:?}");
            arbiters.push(connection.arbiter);
            client.send(MESSAGE).await;
            let (_, _, said) = stage.hear().await;
            assert!(matches!(said, Said::FromConnection(ConnectionEvent::Stanza(_))), "{said:?}");
            client.send("</stream:stream>").await;
            stage.hear().await;
            while client.next().await.is_some() {}
        }
        arbiters.dedup();
        assert_eq!(arbiters.len(), 1, "{arbiters:?}");
    });
}

#[test]
fn a_stream_in_the_clear_moves_too() {
    let mut setting = Setting { arbiters: 2, ..Setting::default() };
    setting.config.c2s.require_tls = false;
    setting.play(async |mut stage| {
        let mut clients = Vec::new();
        for _ in 0..2 {
            let mut client = stage.client().await;
            client.log_in("juliet").await;
            client.send(BIND).await;
            client.stanza().await;
            stage.hear().await;
            clients.push(client);
        }
        assert_eq!(stage.metrics.sessions.get(), 2);
    });
}
