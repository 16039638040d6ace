//! XEP-0198 Stream Management.

use crate::stage::{Stage, play, play_alone, play_on, play_with};

// XEP-0198 §3, §4
#[test]
fn a_server_says_how_many_stanzas_it_has_handled() {
    // Across members a message is handled when the other one says so: the answer may come before that.
    play_alone("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{none}'/>
        romeo/phone   sends    <r xmlns='urn:xmpp:sm:3'/>
        romeo/phone   receives <a xmlns='urn:xmpp:sm:3' h='0'/>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m1'><body>hi</body></message>
        juliet/garden receives <message id='m1'><body>hi</body>…</message>
        romeo/phone   sends    <iq type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone   receives <iq type='result' id='p1'/>
        romeo/phone   sends    <r xmlns='urn:xmpp:sm:3'/>
        romeo/phone   receives <a xmlns='urn:xmpp:sm:3' h='2'/>
    ");
}

// XEP-0198 §5
#[test]
fn what_a_lost_client_did_not_get_comes_once_when_it_resumes() {
    play("
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>1</body></message>
        romeo/phone   receives <message id='m1'><body>1</body>…</message>
        romeo/phone   vanishes
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m2'><body>2</body></message>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m3'><body>3</body></message>
        juliet/garden is quiet
        romeo/phone   logs in
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='1'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <message id='m2'><body>2</body>…</message>
        romeo/phone   receives <message id='m3'><body>3</body>…</message>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m4'><body>back</body></message>
        juliet/garden receives <message from='{romeo/phone}' id='m4'><body>back</body>…</message>
        everyone      is quiet
    ");
}

// XEP-0198 §5
#[test]
fn a_client_that_resumes_learns_what_of_its_own_was_lost() {
    play("
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m1'><body>1</body></message>
        juliet/garden receives <message id='m1'><body>1</body>…</message>
        romeo/phone   vanishes
        romeo/phone   logs in
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='1'/>
        everyone      is quiet
    ");
}

// XEP-0198 §5
#[test]
fn an_unknown_id_is_not_found_and_the_client_may_bind_instead() {
    play("
        romeo/phone logs in
        romeo/phone sends    <resume xmlns='urn:xmpp:sm:3' previd='nonsense' h='0'/>
        romeo/phone receives <failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>
        romeo/phone sends    <iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>phone</resource></bind></iq>
        romeo/phone receives <iq type='result' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{romeo/phone}</jid></bind></iq>
    ");
}

// XEP-0198 §5: the id alone is no proof.
#[test]
fn nobody_resumes_the_stream_of_another() {
    play("
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        romeo/phone   vanishes
        tybalt/street logs in
        tybalt/street sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        tybalt/street receives <failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>
    ");
}

// XEP-0198 §6
#[test]
fn who_acknowledges_more_than_was_sent_loses_the_stream() {
    play("
        romeo/phone connects
        romeo/phone sends    <enable xmlns='urn:xmpp:sm:3'/>
        romeo/phone receives <enabled xmlns='urn:xmpp:sm:3'/>
        romeo/phone sends    <a xmlns='urn:xmpp:sm:3' h='7'/>
        romeo/phone receives <error xmlns='http://etherx.jabber.org/streams'><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>
                             <handled-count-too-high xmlns='urn:xmpp:sm:3' h='7' send-count='0'/>…</error>
        romeo/phone loses the stream
    ");
}

// XEP-0198 §3
#[test]
fn stream_management_is_not_enabled_before_a_resource_is_bound() {
    play("
        romeo/phone logs in
        romeo/phone sends    <enable xmlns='urn:xmpp:sm:3'/>
        romeo/phone receives <failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>
    ");
}

// XEP-0198 §4, §5: a stream that is closed is not resumed; what was not acknowledged waits for the next client.
#[test]
fn what_a_client_had_not_acknowledged_when_it_left_waits_for_the_next() {
    play("
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>1</body></message>
        romeo/phone   receives <message id='m1'><body>1</body>…</message>
        romeo/phone   leaves
        romeo/laptop  connects
        romeo/laptop  receives <message id='m1'><body>1</body><delay xmlns='urn:xmpp:delay' from='{domain}'>…</delay>…</message>
        everyone      is quiet
    ");
}

// XEP-0198 §5: while a client may come back, it has not left.
#[test]
fn nobody_sees_a_client_leave_that_may_come_back() {
    play(
        "
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <presence to='{romeo}' type='subscribe'/>
        romeo/phone   receives <presence from='{juliet}' type='subscribe'/>
        romeo/phone   sends    <presence to='{juliet}' type='subscribed'/>
        juliet/garden receives <presence from='{romeo/phone}'/>
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        romeo/phone   vanishes
        juliet/garden is quiet
        romeo/phone   logs in
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3'/>
        romeo/phone   leaves
        juliet/garden receives <presence from='{romeo/phone}' type='unavailable'/>
        everyone      is quiet
    ",
    );
}

// XEP-0198 §5
#[test]
fn a_stream_that_is_resumed_while_it_seems_alive_is_taken_over() {
    play("
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        romeo/laptop  logs in
        romeo/laptop  sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/laptop  receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives {stream-error conflict}
        romeo/phone   loses the stream
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>1</body></message>
        romeo/laptop  receives <message to='{romeo/phone}' id='m1'><body>1</body>…</message>
    ");
}

// XEP-0198 §5: whoever binds the resource ends what could be resumed.
#[test]
fn a_stream_whose_resource_is_bound_again_is_not_resumed() {
    play("
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        romeo/phone   vanishes
        romeo/phone   connects
        romeo/laptop  logs in
        romeo/laptop  sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/laptop  receives <failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>
    ");
}

// XEP-0198 §4: what was acknowledged is not sent again.
#[test]
fn an_acknowledged_message_is_neither_resent_nor_stored() {
    play("
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>1</body></message>
        romeo/phone   receives <message id='m1'><body>1</body>…</message>
        romeo/phone   sends    <a xmlns='urn:xmpp:sm:3' h='1'/>
        romeo/phone   sends    <r xmlns='urn:xmpp:sm:3'/>
        romeo/phone   receives <a xmlns='urn:xmpp:sm:3' h='0'/>
        romeo/phone   leaves
        romeo/laptop  connects
        everyone      is quiet
    ");
}

// XEP-0198 §3
#[test]
fn who_enables_stream_management_twice_loses_the_stream() {
    play(
        "
        romeo/phone connects
        romeo/phone sends    <enable xmlns='urn:xmpp:sm:3'/>
        romeo/phone receives <enabled xmlns='urn:xmpp:sm:3'/>
        romeo/phone sends    <enable xmlns='urn:xmpp:sm:3'/>
        romeo/phone receives {stream-error policy-violation}
        romeo/phone loses the stream
    ",
    );
}

// XEP-0198 §5: `max` bounds the wait, and `h` of `<failed/>` tells what arrived before it ended.
#[test]
fn who_comes_back_too_late_learns_how_much_had_arrived() {
    play("
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <presence to='{juliet/garden}'/>
        juliet/garden receives <presence from='{romeo/phone}'/>
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true' max='1'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true' max='1'/>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m1'><body>1</body></message>
                               <message to='{juliet/garden}' type='chat' id='m2'><body>2</body></message>
        juliet/garden receives <message id='m1'>…</message>
        juliet/garden receives <message id='m2'>…</message>
        romeo/phone   vanishes
        juliet/garden receives <presence from='{romeo/phone}' type='unavailable'/>
        romeo/phone   logs in
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <failed xmlns='urn:xmpp:sm:3' h='2'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>
        tybalt/street logs in
        tybalt/street sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        tybalt/street receives <failed xmlns='urn:xmpp:sm:3' h='{none}'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>
    ");
}

// XEP-0198 §5: the server may allow less time than is asked for.
#[test]
fn a_client_that_asks_for_more_time_is_told_how_much_it_has() {
    play_with(
        "[sm]\nresume_seconds = 77",
        "
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true' max='600'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' resume='true' max='77'/>
        romeo/laptop  connects
        romeo/laptop  sends    <enable xmlns='urn:xmpp:sm:3' resume='true' max='5'/>
        romeo/laptop  receives <enabled xmlns='urn:xmpp:sm:3' resume='true' max='5'/>
    ",
    );
}

// XEP-0198 §4, §5: what was not acknowledged waits, whatever became of the session.
#[test]
fn a_client_that_acknowledges_nothing_loses_the_session_and_no_message() {
    let text = "x".repeat(500);
    let message = |number: u32| {
        format!(
            "<message to='{{romeo/phone}}' type='chat' id='m{number}'><body>{number} {text}</body></message>"
        )
    };
    let got =
        |number: u32| format!("<message id='m{number}'><body>{number} {text}</body>…</message>");
    // With other members what is to be given waits for its second copy, and is too much before it is given.
    play_on(&Stage::start("[sm]\nqueue_bytes = 2000"), &format!("
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{{$id}}' resume='true'/>
        juliet/garden sends    {}
                               {}
                               {}
        romeo/phone   receives {}
        romeo/phone   receives {}
        romeo/phone   receives {{stream-error resource-constraint}}
        romeo/phone   loses the stream
        romeo/phone   logs in
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{{$id}}' h='2'/>
        romeo/phone   receives <failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>
        romeo/laptop  connects
        romeo/laptop  receives {}
        romeo/laptop  receives {}
        romeo/laptop  receives {}
        everyone      is quiet
    ", message(1), message(2), message(3), got(1), got(2), got(1), got(2), got(3)));
}
