//! With a bound session: what the client and its session say to each other.

use cluster::Lease;
use proto::session::{ClientState, ConnectionCommand, ConnectionEvent, Gone};
use proto::{ResumptionId, Route};
use std::sync::Arc;
use std::time::Duration;
use xmpp::{FullJid, Head, Kind, MessageType, Stanza, StanzaCondition, ns};

use super::client::{BIND, condition};
use super::stage::{Said, Setting, Stage};
use stream::Event;

const MESSAGE: &str = "<message to='romeo@montague.example'><body>hi</body></message>";
const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true' max='60'/>";
const R: &str = "<r xmlns='urn:xmpp:sm:3'/>";

fn message(body: &str) -> Stanza {
    let kind = Kind::Message(MessageType::Chat);
    let head = Head { kind, id: None, from: None, to: None, lang: None };
    Stanza::new(head, format!("<body>{body}</body>"))
}

// RFC 6120 §8.1.2.1
#[test]
fn stanzas_carry_the_true_sender_whatever_the_client_wrote() {
    Setting::default().play(async |mut stage| {
        let (mut client, _) = stage.bound().await;
        let full = "juliet@capulet.example/balcony";
        for from in ["", "from='juliet@capulet.example'", "from='Juliet@Capulet.example/balcony'"] {
            client.send(&MESSAGE.replace(" to", &format!(" {from} to"))).await;
            let event = stage.event().await;
            let ConnectionEvent::Stanza(stanza) = event else { panic!("{event:?}") };
            assert_eq!(stanza.head().from.as_ref().map(|from| from.as_str()), Some(full), "{from}");
        }
        client.send(&MESSAGE.replace(" to", " from='juliet@capulet.example/other' to")).await;
        assert_eq!(client.stream_error().await, "invalid-from");
        assert!(matches!(stage.event().await, ConnectionEvent::Gone(Gone::Lost)));
    });
}

#[test]
fn what_the_session_gives_reaches_the_client_in_order() {
    Setting::default().play(async |mut stage| {
        let (mut client, connection) = stage.bound().await;
        for number in 0..100 {
            Stage::tell(connection, ConnectionCommand::Stanza(message(&number.to_string())));
        }
        for number in 0..100 {
            let body = client.stanza().await.child("body", "").unwrap().text();
            assert_eq!(body, number.to_string());
        }
    });
}

#[test]
fn many_stanzas_of_one_read_come_as_they_were_sent() {
    Setting::default().play(async |mut stage| {
        let (mut client, _) = stage.bound().await;
        let many: String = (0..100).map(|n| MESSAGE.replace("hi", &format!("{n}"))).collect();
        client.send(&many).await;
        for number in 0..100 {
            let event = stage.event().await;
            let ConnectionEvent::Stanza(stanza) = event else { panic!("{event:?}") };
            assert_eq!(stanza.child("body", "").unwrap().text(), number.to_string());
        }
    });
}

// RFC 6120 §8.3.3.8
#[test]
fn a_stanza_to_no_address_is_answered_by_way_of_the_session() {
    Setting::default().play(async |mut stage| {
        let (mut client, _) = stage.bound().await;
        client.send("<iq type='get' id='1' to='@'><ping xmlns='urn:xmpp:ping'/></iq>").await;
        let event = stage.event().await;
        let ConnectionEvent::Answered(Some(error)) = event else { panic!("{event:?}") };
        assert_eq!(condition(&error.child("error", "").unwrap()), "jid-malformed");
        // RFC 3921 §3: old clients ask for a session, which they have.
        client
            .send(
                "<iq type='set' id='2'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
            )
            .await;
        let event = stage.event().await;
        let ConnectionEvent::Answered(Some(result)) = event else { panic!("{event:?}") };
        assert_eq!(result.head().id.as_deref(), Some("2"));
        client.send("<iq type='result' id='3' to='@'/>").await;
        assert!(matches!(stage.event().await, ConnectionEvent::Answered(None)));
    });
}

// XEP-0198 §4
#[test]
fn every_question_is_answered_at_once_and_the_rest_follows() {
    Setting::default().play(async |mut stage| {
        let (mut client, connection) = stage.bound().await;
        client.send(&format!("{ENABLE}{R}")).await;
        let event = stage.event().await;
        let asked = Some(Duration::from_secs(60));
        assert!(
            matches!(event, ConnectionEvent::Enable { resume: true, max } if max == asked),
            "{event:?}"
        );
        let max = Duration::from_secs(60);
        Stage::tell(connection, ConnectionCommand::Enabled { id: Some("x".into()), max });
        let enabled = client.nonza().await;
        assert!(enabled.is("enabled", ns::SM) && enabled.attr("max") == Some("60"));
        assert_eq!(client.nonza().await.attr("h"), Some("0"));
        client.send(&format!("{MESSAGE}{MESSAGE}{R}")).await;
        assert_eq!(client.nonza().await.attr("h"), Some("0"));
        Stage::tell(connection, ConnectionCommand::Handled { h: 1, open: 1 });
        assert_eq!(client.nonza().await.attr("h"), Some("1"));
        Stage::tell(connection, ConnectionCommand::Handled { h: 2, open: 0 });
        assert_eq!(client.nonza().await.attr("h"), Some("2"));
        client.send("<a xmlns='urn:xmpp:sm:3' h='7'/>").await;
        stage.event().await;
        stage.event().await;
        assert!(matches!(stage.event().await, ConnectionEvent::Ack { h: 7 }));
    });
}

// XEP-0198 §3, §4
#[test]
fn stream_management_out_of_order_is_an_unexpected_request() {
    Setting::default().play(async |mut stage| {
        let (mut client, _) = stage.bound().await;
        for xml in [R, "<a xmlns='urn:xmpp:sm:3' h='0'/>"] {
            client.send(xml).await;
            let failed = client.nonza().await;
            assert!(failed.is("failed", ns::SM), "{failed:?}");
            assert_eq!(condition(&failed), "unexpected-request");
        }
        // The session ends the stream of a client that enables it twice (§3).
        client.send(&format!("{ENABLE}{ENABLE}")).await;
        for _ in 0..2 {
            assert!(matches!(stage.event().await, ConnectionEvent::Enable { .. }));
        }
        assert!(stage.is_quiet());
    });
}

#[test]
fn a_client_with_too_much_unconfirmed_is_not_read_until_some_is() {
    Setting::default().play(async |mut stage| {
        let (mut client, connection) = stage.bound().await;
        client.send(ENABLE).await;
        stage.event().await;
        let max = Duration::from_secs(60);
        Stage::tell(connection, ConnectionCommand::Enabled { id: None, max });
        client.nonza().await;
        // Each read brings some; the bound is looked at between two.
        for number in 0..257 {
            client.send(MESSAGE).await;
            assert!(matches!(stage.event().await, ConnectionEvent::Stanza(_)), "{number}");
        }
        client.send(MESSAGE).await;
        // The answer shows that the connection has had its turn.
        Stage::tell(connection, ConnectionCommand::Stanza(message("turn")));
        client.stanza().await;
        assert!(stage.is_quiet());
        Stage::tell(connection, ConnectionCommand::Handled { h: 1, open: 256 });
        assert!(matches!(stage.event().await, ConnectionEvent::Stanza(_)));
    });
}

// What is not read is not acted on, and whoever sent it waits.
#[test]
fn a_client_is_not_read_while_its_member_may_not_act() {
    let (lease, holds) = Lease::held_while();
    let setting = Setting { lease, ..Setting::default() };
    setting.play(async move |mut stage| {
        let (mut client, connection) = stage.bound().await;
        holds(false);
        // That something is to leave shows that it must not.
        Stage::tell(connection, ConnectionCommand::Stanza(message("kept")));
        while !router::local::is_frozen() {
            tokio::task::yield_now().await;
        }
        client.send(MESSAGE).await;
        // Who is nobody yet is read: each connection has had its turn when that one has had several.
        stage.tls_client().await.open().await;
        assert!(stage.is_quiet());
        holds(true);
        assert_eq!(client.stanza().await.child("body", "").unwrap().text(), "kept");
        assert!(matches!(stage.event().await, ConnectionEvent::Stanza(_)));
    });
}

// XEP-0198 §5
#[test]
fn a_session_is_resumed_in_the_place_of_binding() {
    let setting = Setting { binds: false, ..Setting::default() };
    setting.play(async |mut stage| {
        let mut client = stage.tls_client().await;
        client.log_in("juliet").await;
        let id = ResumptionId { uid: 77, secret: [5; 16] };
        client.send("<resume xmlns='urn:xmpp:sm:3' previd='no-such-id' h='3'/>").await;
        assert_eq!(condition(&client.nonza().await), "item-not-found");
        client.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='3'/>")).await;
        let (connection, to, said) = stage.hear().await;
        let Route::Session(session) = to else { panic!("{to:?}") };
        assert_eq!((session.account.as_str(), session.uid), ("juliet@capulet.example", 77));
        let Said::FromConnection(ConnectionEvent::Resume { secret, h: 3 }) = said else {
            panic!("{said:?}")
        };
        assert_eq!(secret, [5; 16]);
        let jid = FullJid::parse("juliet@capulet.example/balcony").unwrap();
        let previd: Arc<str> = id.to_string().into();
        Stage::tell(connection, ConnectionCommand::Resumed { session, jid, h: 9, previd });
        let resumed = client.nonza().await;
        assert!(resumed.is("resumed", ns::SM) && resumed.attr("h") == Some("9"), "{resumed:?}");
        client.send(&format!("{MESSAGE}{R}")).await;
        assert_eq!(client.nonza().await.attr("h"), Some("9"));
        assert!(matches!(stage.event().await, ConnectionEvent::Stanza(_)));
    });
}

#[test]
fn a_refused_resumption_leaves_binding_open() {
    let setting = Setting { binds: false, ..Setting::default() };
    setting.play(async |mut stage| {
        let mut client = stage.tls_client().await;
        client.log_in("juliet").await;
        let id = ResumptionId { uid: 77, secret: [5; 16] };
        client.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='3'/>")).await;
        let (connection, ..) = stage.hear().await;
        Stage::tell(connection, ConnectionCommand::ResumeFailed { h: Some(4) });
        let failed = client.nonza().await;
        assert_eq!((failed.attr("h"), condition(&failed)), (Some("4"), "item-not-found"));
        client.send(BIND).await;
        let event = stage.event().await;
        let ConnectionEvent::Bind { iq_id, .. } = event else { panic!("{event:?}") };
        let error = StanzaCondition::ResourceConstraint.into();
        Stage::tell(connection, ConnectionCommand::BindRefused { error, iq_id });
        let error = client.stanza().await.child("error", "").unwrap();
        assert_eq!(condition(&error), "resource-constraint");
    });
}

// XEP-0352
#[test]
fn client_state_is_passed_on() {
    Setting::default().play(async |mut stage| {
        let (mut client, _) = stage.bound().await;
        client.send("<inactive xmlns='urn:xmpp:csi:0'/><active xmlns='urn:xmpp:csi:0'/>").await;
        for state in [ClientState::Inactive, ClientState::Active] {
            let event = stage.event().await;
            assert!(
                matches!(event, ConnectionEvent::ClientState(now) if now == state),
                "{event:?}"
            );
        }
    });
}

// RFC 6120 §4.9.3.24
#[test]
fn an_element_that_is_no_stanza_ends_the_stream() {
    Setting::default().play(async |mut stage| {
        let (mut client, _) = stage.bound().await;
        client.send("<pubsub xmlns='jabber:client'/>").await;
        assert_eq!(client.stream_error().await, "unsupported-stanza-type");
        assert!(matches!(stage.event().await, ConnectionEvent::Gone(Gone::Lost)));
    });
}

#[test]
fn nothing_of_the_session_is_lost_behind_its_own_end() {
    Setting::default().play(async |mut stage| {
        let (mut client, connection) = stage.bound().await;
        Stage::tell(connection, ConnectionCommand::Stanza(message("last")));
        let conflict = xmpp::StreamCondition::Conflict.into();
        Stage::tell(connection, ConnectionCommand::Close(Some(conflict)));
        Stage::tell(connection, ConnectionCommand::Stanza(message("late")));
        assert_eq!(client.stanza().await.child("body", "").unwrap().text(), "last");
        assert_eq!(client.stream_error().await, "conflict");
        assert!(stage.is_quiet(), "the session knows that it is over");
        assert_eq!(stage.metrics.sessions.get(), 0);
    });
}

#[test]
fn a_session_without_an_error_is_closed_in_order() {
    Setting::default().play(async |mut stage| {
        let (mut client, connection) = stage.bound().await;
        Stage::tell(connection, ConnectionCommand::Close(None));
        assert_eq!(client.next().await, Some(Event::Close));
        client.send("</stream:stream>").await;
        assert_eq!(client.next().await, None);
    });
}
