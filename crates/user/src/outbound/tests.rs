//! What own clients send, on trial (RFC 6120 §10.3).

use proto::Body;
use proto::session::UserEvent;
use xmpp::Jid;

use crate::stage::{Stage, stanza};

fn stage() -> (Stage, u64) {
    let mut stage = Stage::new();
    let session = stage.bind("r");
    (stage, session)
}

#[test]
fn a_message_without_an_address_is_for_the_own_account() {
    let (mut stage, session) = stage();
    let said = stage.says(session, "<message type='chat'><body>note</body></message>");
    assert_eq!(said, ["to romeo@x.org: note"]);
}

#[test]
fn messages_and_requests_to_others_go_their_way() {
    let (mut stage, session) = stage();
    for (xml, expected) in [
        ("<message to='a@y.org'><body>hi</body></message>", "to a@y.org: hi"),
        ("<iq to='x.org' type='get' id='q'><q xmlns='urn:q'/></iq>", "to x.org: iq get"),
        (
            "<iq to='romeo@x.org/s' type='get' id='q'><q xmlns='urn:q'/></iq>",
            "to romeo@x.org/s: iq get",
        ),
        ("<iq to='a@y.org/r' type='result' id='q'/>", "to a@y.org/r: iq result"),
    ] {
        assert_eq!(stage.says(session, xml), [expected], "{xml}");
    }
}

#[test]
fn requests_to_the_own_account_are_answered_here() {
    let (mut stage, session) = stage();
    for to in ["", " to='romeo@x.org'"] {
        let unknown = format!("<iq{to} type='get' id='q'><q xmlns='urn:q'/></iq>");
        let said = stage.says(session, &unknown);
        assert_eq!(said, ["r: iq error cancel service-unavailable"]);
        let known =
            format!("<iq{to} type='get' id='q'><blocklist xmlns='urn:xmpp:blocking'/></iq>");
        assert_eq!(stage.says(session, &known), ["r: iq result"]);
        for ty in ["result", "error"] {
            let answer = format!("<iq{to} type='{ty}' id='q'/>");
            assert!(stage.says(session, &answer).is_empty());
        }
    }
    let empty = "<iq type='get' id='q'/>";
    assert_eq!(stage.says(session, empty), ["r: iq error modify bad-request"]);
}

#[test]
fn what_a_stage_refuses_does_not_leave() {
    let (mut stage, session) = stage();
    let block =
        "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='a@y.org'/></block></iq>";
    assert_eq!(stage.says(session, block).last().unwrap(), "r: iq result");
    let said = stage.says(session, "<message to='a@y.org'><body>hi</body></message>");
    assert_eq!(said, ["r: message error cancel not-acceptable"]);
}

#[test]
fn a_session_without_a_resource_ends_and_only_its_messages_go_their_way() {
    let (mut stage, session) = stage();
    stage.bind("r");
    let mut late = |xml: &str| {
        let stanza = stanza(xml).with_from(Jid::parse("romeo@x.org/r").unwrap());
        stage.hears(Body::User(UserEvent::Outbound { session, stanza }))
    };
    let ends = "gone ends: internal-server-error";
    let message = "<message to='a@y.org'><body>hi</body></message>";
    assert_eq!(late(message), ["to a@y.org: hi", ends]);
    let lost = "gone: iq error cancel internal-server-error";
    for to in ["", " to='a@y.org/r'"] {
        let request = format!("<iq{to} type='get' id='q'><q xmlns='urn:q'/></iq>");
        assert_eq!(late(&request), [lost, ends]);
    }
    let said = late("<presence to='a@y.org'/>");
    assert_eq!(said.last().map(String::as_str), Some(ends));
    assert!(!said.iter().any(|said| said.starts_with("to a@y.org")), "{said:?}");
}
