//! RFC 6120 §4: streams, their opening, their restarts, and the errors that end them.

use crate::stage::{play, play_with};

/// The namespaces of a stream header.
const NAMESPACES: &str = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";

/// Sends this on a new socket: the server answers with a header of its own, this error, and the end.
fn refuses(sent: &str, condition: &str) {
    play(&format!(
        "
        romeo/phone dials
        romeo/phone sends    {sent}
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams' from='{{domain}}' id='{{$id}}'/>
        romeo/phone receives {{stream-error {condition}}}
        romeo/phone loses the stream
        "
    ));
}

/// Sends this in a stream with a bound resource: the server answers with this error and the end.
fn breaks(sent: &str, condition: &str) {
    play(&format!(
        "
        romeo/phone connects
        romeo/phone {sent}
        romeo/phone receives {{stream-error {condition}}}
        romeo/phone loses the stream
        "
    ));
}

// RFC 6120 §4.2, §4.3.2, §4.7
#[test]
fn a_header_is_answered_with_a_header_and_features() {
    play("
        romeo/phone opens a stream
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams' from='{domain}' version='1.0' id='{$id}'/>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>…</mechanisms>…</features>
        romeo/phone leaves
    ");
}

// RFC 6120 §4.3.3, §6.4.6
#[test]
fn a_stream_starts_anew_behind_a_log_in_with_another_id_and_other_features() {
    play("
        romeo/phone opens a stream
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams' id='{$first}'/>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/phone sends    <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain romeo}</auth>
        romeo/phone receives <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
        romeo/phone opens a stream
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams' from='{domain}' version='1.0' id='{$second}'/>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>…</features>
    ");
}

// RFC 6120 §4.4
#[test]
fn a_stream_that_the_client_closes_is_closed_by_the_server_too() {
    play(
        "
        romeo/phone connects
        romeo/phone sends </stream:stream>
        romeo/phone loses the stream
    ",
    );
}

// RFC 6120 §4.9.3.1
#[test]
fn text_between_stanzas_is_bad_format() {
    breaks("sends bytes 68 69", "bad-format");
}

// RFC 6120 §4.9.3.2
#[test]
fn an_undeclared_prefix_is_a_bad_namespace_prefix() {
    breaks("sends <foo:message/>", "bad-namespace-prefix");
}

// RFC 6120 §4.9.3.6
#[test]
fn a_host_that_is_not_served_is_unknown() {
    refuses(
        &format!("<stream:stream to='capulet.example' version='1.0' {NAMESPACES}>"),
        "host-unknown",
    );
}

// RFC 6120 §4.9.3.7
#[test]
fn an_address_that_is_no_hosts_is_improper() {
    refuses(
        &format!("<stream:stream to='romeo@localhost' version='1.0' {NAMESPACES}>"),
        "improper-addressing",
    );
}

// RFC 6120 §4.9.3.9
#[test]
fn a_stanza_in_the_name_of_somebody_else_is_from_nobody() {
    breaks("sends <message from='tybalt@localhost' to='{domain}'/>", "invalid-from");
}

// RFC 6120 §4.9.3.10
#[test]
fn a_stream_of_another_namespace_is_invalid() {
    refuses(
        "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='urn:example:streams'>",
        "invalid-namespace",
    );
    refuses(
        "<stream:stream to='localhost' version='1.0' xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>",
        "invalid-namespace",
    );
}

// RFC 6120 §4.9.3.12
#[test]
fn a_stanza_before_the_log_in_is_not_authorized() {
    play(
        "
        romeo/phone opens a stream
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/phone sends    <message to='{romeo}'><body>hi</body></message>
        romeo/phone receives {stream-error not-authorized}
        romeo/phone loses the stream
    ",
    );
}

// RFC 6120 §4.9.3.12, §7.1
#[test]
fn a_stanza_before_a_resource_is_bound_is_not_authorized() {
    play(
        "
        romeo/phone logs in
        romeo/phone sends    <message to='{romeo}'><body>hi</body></message>
        romeo/phone receives {stream-error not-authorized}
        romeo/phone loses the stream
    ",
    );
}

// RFC 6120 §4.9.3.13
#[test]
fn xml_that_is_none_is_not_well_formed() {
    breaks("sends <message><body></message>", "not-well-formed");
    breaks("sends <message a='1' a='2'/>", "not-well-formed");
    breaks("sends bytes 3c 6d 65 73 73 61 67 65 3e ff fe 3c", "not-well-formed");
    refuses("<<", "not-well-formed");
}

// RFC 6120 §4.9.3.14, §13.12
#[test]
fn a_stanza_that_is_too_long_breaks_the_policy() {
    let body = "x".repeat(300_000);
    breaks(
        &format!("sends <message to='{{romeo}}'><body>{body}</body></message>"),
        "policy-violation",
    );
}

// RFC 6120 §4.9.3.18, §11.1
#[test]
fn comments_instructions_and_entities_are_restricted() {
    breaks("sends <!-- comment -->", "restricted-xml");
    breaks("sends <?instruction?>", "restricted-xml");
    breaks("sends <message><body>&lol;</body></message>", "restricted-xml");
    refuses("<!DOCTYPE x [<!ENTITY a 'b'>]>", "restricted-xml");
}

// RFC 6120 §4.9.3.22, §11.6
#[test]
fn another_encoding_is_not_supported() {
    refuses(
        &format!(
            "<?xml version='1.0' encoding='ISO-8859-1'?><stream:stream to='localhost' version='1.0' {NAMESPACES}>"
        ),
        "unsupported-encoding",
    );
}

// RFC 6120 §4.9.3.24
#[test]
fn an_element_that_is_no_stanza_is_not_supported() {
    breaks("sends <foo xmlns='jabber:client'/>", "unsupported-stanza-type");
    breaks("sends <foo xmlns='urn:example'/>", "unsupported-stanza-type");
}

// RFC 6120 §4.9.3.25, §4.7.5
#[test]
fn a_stream_of_another_version_is_not_supported() {
    refuses(
        &format!("<stream:stream to='localhost' version='0.9' {NAMESPACES}>"),
        "unsupported-version",
    );
}

// RFC 6120 §4.7.5: a newer client speaks our version too.
#[test]
fn a_newer_version_is_answered_with_our_own() {
    play(&format!(
        "
        romeo/phone dials
        romeo/phone sends    <stream:stream to='localhost' version='11.9' {NAMESPACES}>
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams' version='1.0'/>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
    "
    ));
}

// RFC 6120 §4.6.1
#[test]
fn white_space_between_stanzas_keeps_a_stream_alive() {
    play(
        "
        romeo/phone connects
        romeo/phone sends bytes 20 0a 20
        romeo/phone sends    <iq type='get' to='{domain}' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone receives <iq type='result' id='p1'/>
        everyone    is quiet
    ",
    );
}

// RFC 6120 §4.9.3.4, §4.6.2: who has not logged in by then, and who is silent for longer than configured.
#[test]
fn who_does_not_log_in_in_time_and_who_says_nothing_is_disconnected() {
    play_with(
        "[limits]\nlogin_seconds = 1\n[c2s]\nidle_seconds = 2",
        "
        romeo/phone   connects
        juliet/garden opens a stream
        juliet/garden finds    {stream-error connection-timeout}
        juliet/garden loses the stream
        romeo/phone   finds    {stream-error connection-timeout}
        romeo/phone   loses the stream
    ",
    );
}

// RFC 6120 §4.9.3.19: a domain that another installation serves now.
#[test]
fn clients_of_a_domain_that_has_moved_are_told_where_to() {
    const MOVED: &str =
        "[[domain]]\nname = 'localhost'\nsee_other_host = 'xmpp.example.net:5222'\n";
    play_with(MOVED, "
        romeo/phone opens a stream
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams' from='{domain}' id='{$id}'/>
        romeo/phone receives <error xmlns='http://etherx.jabber.org/streams'><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>xmpp.example.net:5222</see-other-host></error>
        romeo/phone loses the stream
    ");
}
