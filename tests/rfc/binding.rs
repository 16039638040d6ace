//! RFC 6120 §7: resources, given, made, refused and taken over.

use crate::stage::play;

// RFC 6120 §7.6
#[test]
fn the_server_makes_a_resource_for_who_names_none() {
    play("
        romeo/phone  logs in
        romeo/phone  sends    <iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
        romeo/phone  receives <iq type='result' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{$jid}</jid></bind></iq>
        romeo/laptop connects
        romeo/laptop sends    <message to='{$jid}' type='chat'><body>hi</body></message>
        romeo/phone  receives <message to='{$jid}'><body>hi</body>…</message>
    ");
}

// RFC 6120 §7.7
#[test]
fn a_client_gets_the_resource_that_it_names() {
    play("
        romeo/phone logs in
        romeo/phone sends    <iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource></bind></iq>
        romeo/phone receives <iq type='result' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{romeo/balcony}</jid></bind></iq>
    ");
}

// RFC 6120 §7.7.2.1
#[test]
fn a_resource_that_cannot_be_is_a_bad_request_and_another_one_may_be_tried() {
    let long = "x".repeat(1024);
    play(&format!("
        romeo/phone logs in
        romeo/phone sends    <iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{long}</resource></bind></iq>
        romeo/phone receives <iq type='error' id='b1'>{{error modify bad-request}}…</iq>
        romeo/phone sends    <iq type='set' id='b2'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource></bind></iq>
        romeo/phone receives <iq type='result' id='b2'>…</iq>
    "));
}

// RFC 6120 §7.7.2.2, third behaviour; §4.9.3.3
#[test]
fn a_resource_that_is_bound_again_is_taken_from_who_has_it() {
    play("
        juliet/garden connects
        romeo/phone   connects
        romeo/laptop  logs in
        romeo/laptop  sends    <iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>phone</resource></bind></iq>
        romeo/laptop  receives <iq type='result' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{romeo/phone}</jid></bind></iq>
        romeo/phone   receives {stream-error conflict}
        romeo/phone   loses the stream
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>hi</body></message>
        romeo/laptop  receives <message from='{juliet/garden}' to='{romeo/phone}'><body>hi</body>…</message>
    ");
}

// RFC 6120 §7.3.2: there is no second resource on one stream.
#[test]
fn a_second_resource_is_not_allowed() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>other</resource></bind></iq>
        romeo/phone receives <iq type='error' id='b1'>{error cancel not-allowed}…</iq>
        everyone    is quiet
    ");
}

// RFC 3921 §3: old clients ask for a session, and have one.
#[test]
fn a_session_is_there_once_a_resource_is_bound() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='set' id='s1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>
        romeo/phone receives <iq type='result' id='s1'/>
        everyone    is quiet
    ");
}
