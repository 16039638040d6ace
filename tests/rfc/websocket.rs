//! RFC 7395 XMPP over WebSocket. A stream over a WebSocket is a stream like any other.

use crate::stage::{play_on_the_web, shared};

const FRAMING: &str = "xmlns='urn:ietf:params:xml:ns:xmpp-framing'";

fn play(story: &str) {
    play_on_the_web(shared(), story);
}

#[test]
fn clients_over_websocket_and_tcp_talk_with_each_other() {
    play("
        romeo/web     connects by websocket
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/web}' type='chat' id='m1'><body>hi</body></message>
        romeo/web     receives <message from='{juliet/garden}' id='m1'><body>hi</body>…</message>
        romeo/web     sends    <message to='{juliet/garden}' type='chat' id='m2'><body>ho</body></message>
        juliet/garden receives <message from='{romeo/web}' id='m2'><body>ho</body>…</message>
        everyone      is quiet
        romeo/web     leaves
    ");
}

// RFC 7395 §3.4, §3.9
#[test]
fn a_stream_is_opened_by_an_element_and_offers_no_starttls() {
    play(&format!(
        "
        romeo/web dials by websocket
        romeo/web sends    <open {FRAMING} to='{{domain}}' version='1.0'/>
        romeo/web receives <stream xmlns='http://etherx.jabber.org/streams' from='{{domain}}' id='{{$id}}' version='1.0'/>
        romeo/web receives <features xmlns='http://etherx.jabber.org/streams'>
                             <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>…</mechanisms>
                             <limits xmlns='urn:xmpp:stream-limits:0'>…</limits>…
                           </features>
        "
    ));
}

// RFC 7395 §3.3.2, §3.5
#[test]
fn a_header_of_another_namespace_ends_the_stream() {
    play(
        "
        romeo/web dials by websocket
        romeo/web sends    <open xmlns='urn:other' to='{domain}' version='1.0'/>
        romeo/web receives <stream xmlns='http://etherx.jabber.org/streams' from='{domain}'/>
        romeo/web receives {stream-error invalid-namespace}
        romeo/web loses the stream
    ",
    );
}

#[test]
fn a_message_that_is_not_one_element_ends_the_stream() {
    play(
        "
        romeo/web connects by websocket
        romeo/web sends    <presence xmlns='jabber:client'/><presence xmlns='jabber:client'/>
        romeo/web receives {stream-error bad-format}
        romeo/web loses the stream
    ",
    );
}

// RFC 7395 §3.6
#[test]
fn who_closes_the_stream_is_gone_for_all() {
    play(
        "
        romeo/phone connects
        romeo/web   connects by websocket
        romeo/phone is quiet
        romeo/web   leaves
        romeo/phone finds <presence from='{romeo/web}' type='unavailable'/>
    ",
    );
}

// RFC 7395 §3.10
#[test]
fn a_session_goes_on_over_a_websocket_and_from_there_over_tcp() {
    play("
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        romeo/phone   vanishes
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>1</body></message>
        juliet/garden is quiet
        romeo/phone   logs in by websocket
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <message id='m1'><body>1</body>…</message>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m2'><body>2</body></message>
        juliet/garden receives <message from='{romeo/phone}' id='m2'><body>2</body>…</message>
        romeo/phone   vanishes
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m3'><body>3</body></message>
        juliet/garden is quiet
        romeo/phone   logs in
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='1'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='1'/>
        romeo/phone   receives <message id='m3'><body>3</body>…</message>
        everyone      is quiet
    ");
}
