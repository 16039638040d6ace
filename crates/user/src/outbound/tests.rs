//! What own clients send, on trial (RFC 6120 §10.3).

use crate::stage::Stage;

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
fn requests_of_a_session_that_was_taken_over_reach_nobody_and_messages_do() {
    let (mut stage, session) = stage();
    let (iq, message) = (
        "<iq from='romeo@x.org/r' type='get' id='q'><q xmlns='urn:q'/></iq>",
        "<message from='romeo@x.org/r' to='a@y.org'><body>hi</body></message>",
    );
    let late = |xml| {
        let stanza = crate::stage::stanza(xml);
        proto::Body::User(proto::session::UserWord::Outbound { session, stanza })
    };
    stage.bind("r");
    assert!(stage.hears(late(iq)).is_empty());
    assert_eq!(stage.hears(late(message)), ["to a@y.org: hi"]);
}
