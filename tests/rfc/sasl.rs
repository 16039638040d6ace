//! RFC 6120 §6: logging in, and failing to. The mechanisms themselves are tested where they are made.

use crate::stage::play_with;

/// Who fails is slowed down by address, so that these stories have servers of their own.
fn play(story: &str) {
    play_with("", story);
}

/// Opens a stream, sends this, and gets this.
fn answers(sent: &str, received: &str) {
    play(&format!(
        "
        romeo/phone opens a stream
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/phone sends    {sent}
        romeo/phone receives {received}
        "
    ));
}

fn fails(sent: &str, condition: &str) {
    answers(
        sent,
        &format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/>…</failure>"),
    );
}

// RFC 6120 §6.5.10
#[test]
fn a_wrong_password_and_an_unknown_account_are_not_authorized() {
    // "\0nobody\0pencil", "\0nobody\0wrong"
    for message in ["AG5vYm9keQBwZW5jaWw=", "AG5vYm9keQB3cm9uZw=="] {
        let auth = format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{message}</auth>"
        );
        fails(&auth, "not-authorized");
    }
}

// RFC 6120 §6.5.1
#[test]
fn an_attempt_can_be_given_up_and_another_one_made() {
    play("
        romeo/phone opens a stream
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/phone sends    <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>
        romeo/phone receives <challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>…</challenge>
        romeo/phone sends    <abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
        romeo/phone receives <failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><aborted/>…</failure>
        romeo/phone sends    <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain romeo}</auth>
        romeo/phone receives <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
    ");
}

// RFC 6120 §6.4.5: between two and five tries.
#[test]
fn who_keeps_failing_to_log_in_loses_the_stream() {
    let failing = "
        romeo/phone sends    <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>c29tZWJvZHkAbm9ib2R5AHBlbmNpbA==</auth>
        romeo/phone receives <failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>…</failure>
    ";
    play(&format!(
        "
        romeo/phone opens a stream
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        {}
        romeo/phone receives {{stream-error policy-violation}}
        romeo/phone loses the stream
    ",
        failing.repeat(5)
    ));
}

// RFC 6120 §6.5.5
#[test]
fn what_is_no_base64_has_an_incorrect_encoding() {
    fails(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>!!!</auth>",
        "incorrect-encoding",
    );
}

// RFC 6120 §6.5.7
#[test]
fn a_mechanism_that_is_not_offered_is_invalid() {
    fails(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='DIGEST-MD5'/>",
        "invalid-mechanism",
    );
}

// RFC 6120 §6.5.6
#[test]
fn nobody_acts_for_another_account() {
    // "somebody\0nobody\0pencil": refused without a word about which part was wrong.
    answers(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>c29tZWJvZHkAbm9ib2R5AHBlbmNpbA==</auth>",
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>…</failure>",
    );
}
