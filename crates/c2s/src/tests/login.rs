//! From the first byte to a known client (RFC 6120 §5, §6).

use std::time::Duration;

use auth::ChannelBinding;
use auth::scram::client::ClientBinding;
use sha2::{Digest as _, Sha256};
use stream::Event;
use tokio::time::Instant;
use xmpp::{Element, ns};

use super::client::{BIND, Client, HEADER, STARTTLS, condition};
use super::stage::{GUESTS, PASSWORD, Setting};

fn mechanisms(features: &Element) -> Vec<String> {
    let list = features.child("mechanisms", ns::SASL);
    list.iter().flat_map(|list| list.children()).map(Element::text).collect()
}

#[test]
fn a_client_upgrades_proves_itself_and_binds() {
    Setting::default().play(async |mut stage| {
        let mut client = stage.client().await;
        client.open().await;
        let starttls = client.features.child("starttls", ns::TLS).expect("STARTTLS");
        assert!(starttls.child("required", ns::TLS).is_some());
        assert!(mechanisms(&client.features).is_empty(), "no mechanisms in the clear");
        client.send(STARTTLS).await;
        assert!(client.nonza().await.is("proceed", ns::TLS));
        client.shake_hands(&[]).await;
        client.open().await;
        let offered = mechanisms(&client.features);
        assert_eq!(offered[0], "SCRAM-SHA-512-PLUS");
        assert!(client.features.child("starttls", ns::TLS).is_none());
        let answer = client.scram("juliet", PASSWORD, ClientBinding::Unsupported).await;
        assert!(answer.is("success", ns::SASL), "{answer:?}");
        client.open().await;
        assert!(client.features.child("bind", ns::BIND).is_some());
        let result = client.bind().await;
        let jid = result
            .child("bind", ns::BIND)
            .and_then(|bind| Some(bind.child("jid", ns::BIND)?.text()));
        assert_eq!(jid.as_deref(), Some("juliet@capulet.example/balcony"));
        stage.event().await;
        assert_eq!((stage.metrics.logins.get(), stage.metrics.sessions.get()), (1, 1));
    });
}

// XEP-0368
#[test]
fn tls_from_the_first_byte_needs_no_starttls_and_names_its_protocol() {
    Setting::default().play(async |stage| {
        let mut client = stage.tls_client().await;
        assert_eq!(client.tls().alpn_protocol(), Some(&b"xmpp-client"[..]));
        client.log_in("juliet").await;
        let address = stage.gate.c2s_tls_addresses().next().unwrap();
        let mut without = Client::connect(address).await;
        without.shake_hands(&[]).await;
        without.open().await;
        let mut other = Client::connect(address).await;
        let error = other.try_shake_hands(&[b"h2"]).await.unwrap_err();
        assert!(matches!(error, rustls::Error::AlertReceived(_)), "{error:?}");
    });
}

// RFC 9266, RFC 5929, XEP-0440 §3
#[test]
fn both_channel_bindings_tie_the_proof_to_the_connection() {
    Setting::default().play(async |stage| {
        let mut client = stage.tls_client().await;
        client.open().await;
        let offered = client.features.child("sasl-channel-binding", ns::CHANNEL_BINDING).unwrap();
        let types: Vec<_> = offered.children().filter_map(|child| child.attr("type")).collect();
        assert_eq!(types, ["tls-exporter", "tls-server-end-point"]);
        let exporter = client.exporter();
        let answer = client.scram("juliet", PASSWORD, exporter).await;
        assert_eq!(answer.name(), "success", "{answer:?}");

        let mut client = stage.tls_client().await;
        client.open().await;
        let certificate = &client.tls().peer_certificates().unwrap()[0];
        let end_point = Sha256::digest(certificate).to_vec();
        let binding = ClientBinding::Used(ChannelBinding::TlsServerEndPoint(end_point));
        let answer = client.scram("juliet", PASSWORD, binding).await;
        assert_eq!(answer.name(), "success", "{answer:?}");

        let mut client = stage.tls_client().await;
        client.open().await;
        let foreign = ClientBinding::Used(ChannelBinding::TlsExporter(vec![0; 32]));
        let answer = client.scram("juliet", PASSWORD, foreign).await;
        assert_eq!(condition(&answer), "not-authorized");
    });
}

#[test]
fn a_password_is_taken_over_tls_and_refused_without() {
    Setting::default().play(async |stage| {
        let mut client = stage.tls_client().await;
        client.open().await;
        let answer = client.plain("juliet", "wrong").await;
        assert_eq!(condition(&answer), "not-authorized");
        let answer = client.plain("juliet", PASSWORD).await;
        assert_eq!(answer.name(), "success", "{answer:?}");

        let mut client = stage.client().await;
        client.open().await;
        let answer = client.plain("juliet", PASSWORD).await;
        assert_eq!(condition(&answer), "encryption-required");
    });
}

#[test]
fn where_tls_is_optional_scram_may_do_without_but_plain_may_not() {
    let mut setting = Setting::default();
    setting.config.c2s.require_tls = false;
    setting.play(async |stage| {
        let mut client = stage.client().await;
        client.open().await;
        assert_eq!(mechanisms(&client.features), ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"]);
        let answer = client.plain("juliet", PASSWORD).await;
        assert_eq!(condition(&answer), "encryption-required");
        let answer = client.scram("juliet", PASSWORD, ClientBinding::Unsupported).await;
        assert_eq!(answer.name(), "success", "{answer:?}");
    });
}

#[test]
fn what_the_configuration_forbids_is_not_offered() {
    let mut setting = Setting::default();
    setting.config.auth.mechanisms = vec!["SCRAM-SHA-256".to_owned()];
    setting.play(async |stage| {
        let mut client = stage.tls_client().await;
        client.open().await;
        assert_eq!(mechanisms(&client.features), ["SCRAM-SHA-256"]);
        let answer = client.plain("juliet", PASSWORD).await;
        assert_eq!(condition(&answer), "mechanism-too-weak");
    });
}

#[test]
fn nobody_can_tell_a_wrong_password_from_an_unknown_user() {
    Setting::default().play(async |stage| {
        let mut client = stage.tls_client().await;
        client.open().await;
        for (user, password) in [("juliet", "wrong"), ("nobody", PASSWORD), ("tybalt", "wrong")] {
            let answer = client.scram(user, password, ClientBinding::Unsupported).await;
            assert_eq!(condition(&answer), "not-authorized", "{user}");
        }
        let answer = client.scram("tybalt", PASSWORD, ClientBinding::Unsupported).await;
        assert_eq!(condition(&answer), "account-disabled");
        assert_eq!((stage.metrics.logins.get(), stage.metrics.logins_failed.get()), (0, 4));
    });
}

// XEP-0205 §4.3, RFC 6120 §13.11
#[test]
fn who_guesses_is_slowed_down_and_the_owner_gets_in_all_the_same() {
    let setting = Setting { paused: true, ..Setting::default() };
    setting.play(async |stage| {
        let mut client = stage.tls_client().await;
        client.open().await;
        let before = Instant::now();
        for _ in 0..4 {
            let answer = client.scram("juliet", "wrong", ClientBinding::Unsupported).await;
            assert_eq!(condition(&answer), "not-authorized");
        }
        assert!(before.elapsed() >= Duration::from_millis(500), "{:?}", before.elapsed());
        assert!(stage.metrics.logins_throttled.get() > 0);
        let answer = client.scram("juliet", PASSWORD, ClientBinding::Unsupported).await;
        assert_eq!(answer.name(), "success", "{answer:?}");
    });
}

#[test]
fn many_may_log_in_with_passwords_at_once_from_one_address() {
    Setting::default().play(async |stage| {
        let mut clients = Vec::new();
        for _ in 0..GUESTS {
            let mut client = stage.tls_client().await;
            client.open().await;
            clients.push(client);
        }
        let names: Vec<_> = (0..GUESTS).map(|number| format!("guest{number}")).collect();
        let logins =
            clients.iter_mut().zip(&names).map(|(client, name)| client.plain(name, PASSWORD));
        for answer in futures_util::future::join_all(logins).await {
            assert_eq!(answer.name(), "success", "{answer:?}");
        }
    });
}

// RFC 6120 §6.4.4
#[test]
fn a_client_may_give_up_and_begin_anew() {
    Setting::default().play(async |stage| {
        let mut client = stage.tls_client().await;
        client.open().await;
        let answer = client.auth("SCRAM-SHA-256", b"n,,n=juliet,r=nonce").await;
        assert_eq!(answer.name(), "challenge");
        client.send("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
        assert_eq!(condition(&client.nonza().await), "aborted");
        let answer = client.scram("juliet", PASSWORD, ClientBinding::Unsupported).await;
        assert_eq!(answer.name(), "success", "{answer:?}");
    });
}

#[test]
fn no_bad_exchange_leads_in_or_goes_unanswered() {
    Setting::default().play(async |stage| {
        let sasl = ns::SASL;
        let cases = [
            (format!("<auth xmlns='{sasl}'/>"), "invalid-mechanism"),
            (format!("<auth xmlns='{sasl}' mechanism='PLAIN'>=</auth>"), "malformed-request"),
            (format!("<auth xmlns='{sasl}' mechanism='PLAIN'>A</auth>"), "incorrect-encoding"),
            (format!("<auth xmlns='{sasl}' mechanism='PLAIN'>AAAA</auth>"), "malformed-request"),
            (format!("<auth xmlns='{sasl}' mechanism='plain'>AAAA</auth>"), "invalid-mechanism"),
            (
                format!("<auth xmlns='{sasl}' mechanism='SCRAM-SHA-256'>eA==</auth>"),
                "malformed-request",
            ),
            (format!("<response xmlns='{sasl}'>eA==</response>"), "malformed-request"),
            (format!("<success xmlns='{sasl}'/>"), "malformed-request"),
        ];
        for (xml, wanted) in cases {
            let mut client = stage.tls_client().await;
            client.open().await;
            client.send(&xml).await;
            let failure = client.nonza().await;
            assert!(failure.is("failure", ns::SASL), "{xml}: {failure:?}");
            assert_eq!(condition(&failure), wanted, "{xml}");
        }
        assert_eq!(stage.metrics.logins.get(), 0);
    });
}

// RFC 6120 §6.4.5
#[test]
fn five_failures_close_the_stream() {
    Setting::default().play(async |stage| {
        let mut client = stage.tls_client().await;
        client.open().await;
        for _ in 0..5 {
            let answer = client.auth("DIGEST-MD5", b"").await;
            assert_eq!(condition(&answer), "invalid-mechanism");
        }
        assert_eq!(client.stream_error().await, "policy-violation");
    });
}

#[test]
fn one_may_not_act_as_another() {
    Setting::default().play(async |stage| {
        let mut client = stage.tls_client().await;
        client.open().await;
        let message = format!("nurse@capulet.example\0juliet\0{PASSWORD}");
        let answer = client.auth("PLAIN", message.as_bytes()).await;
        assert_eq!(condition(&answer), "invalid-authzid");
    });
}

// CVE-2011-0411: what was sent in the clear must not count as sent under TLS.
#[test]
fn what_stands_behind_starttls_is_dropped() {
    Setting::default().play(async |mut stage| {
        let mut client = stage.client().await;
        client.open().await;
        let smuggled = format!("{STARTTLS}{HEADER}<auth xmlns='{}' mechanism='PLAIN'>", ns::SASL);
        client.send(&smuggled).await;
        assert!(client.nonza().await.is("proceed", ns::TLS));
        client.shake_hands(&[]).await;
        client.open().await;
        assert_eq!(mechanisms(&client.features)[0], "SCRAM-SHA-512-PLUS");
        assert!(stage.is_quiet());
    });
}

#[test]
fn cleartext_inside_tls_ends_the_connection() {
    Setting::default().play(async |stage| {
        let mut client = stage.tls_client().await;
        client.open().await;
        client
            .send_clear("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>")
            .await;
        while let Some(event) = client.next().await {
            assert!(!matches!(event, Event::Nonza(_)), "{event:?}");
        }
    });
}

// RFC 6120 §4.9.3.12
#[test]
fn nothing_is_done_for_a_client_that_is_not_known() {
    Setting::default().play(async |mut stage| {
        let early = [
            "<message to='juliet@capulet.example'><body>hi</body></message>",
            BIND,
            "<enable xmlns='urn:xmpp:sm:3'/>",
            "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>",
            "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>",
            "<iq type='set' id='1'><query xmlns='jabber:iq:auth'/></iq>",
        ];
        for xml in early {
            let mut client = stage.tls_client().await;
            client.open().await;
            client.send(xml).await;
            assert_eq!(client.stream_error().await, "not-authorized", "{xml}");
        }
        assert!(stage.is_quiet());
    });
}

#[test]
fn another_domain_is_unknown_and_other_protocols_are_no_xml() {
    Setting::default().play(async |stage| {
        let mut client = stage.client().await;
        client.send(&HEADER.replace("capulet", "montague")).await;
        assert_eq!(client.stream_error().await, "host-unknown");
        let mut client = stage.client().await;
        client.send("GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.stream_error().await, "not-well-formed");
    });
}

#[test]
fn a_new_certificate_is_shown_after_a_reload_without_a_restart() {
    Setting::default().play(async |stage| {
        let client = stage.tls_client().await;
        let before = client.tls().peer_certificates().unwrap()[0].clone();
        stage.remove_certificate();
        stage.tls.reload().unwrap();
        let client = stage.tls_client().await;
        assert_ne!(client.tls().peer_certificates().unwrap()[0], before);
    });
}
