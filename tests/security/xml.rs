//! Bytes that are no XML, not the XML of RFC 6120 §11, or too much of it: refused, never repaired.

use std::time::Duration;

use super::bystander::{Bystander, cpu_time};
use super::guarded;
use super::wire::{HEADER, Wire};
use crate::stage::Stage;

/// What the server's last word was, if it had one, and whatever it said before.
const ANY: &str = "";

/// The server hangs up on whoever begins so, with this condition among its last words.
fn ends_with(stage: &Stage, first: &[u8], condition: &str) {
    let mut wire = Wire::connect(stage.c2s);
    wire.say_bytes(first);
    let heard = wire.rest_within(Duration::from_secs(6));
    let shown = String::from_utf8_lossy(first.get(..first.len().min(200)).unwrap_or_default());
    assert!(heard.contains(condition), "after {shown:?}, not {condition:?} but: {heard}");
    assert!(!heard.contains("features>") || first.starts_with(HEADER.as_bytes()), "{shown:?}");
}

// RFC 6120 §11.1, §11.6, §4.9.3
#[test]
fn whoever_does_not_speak_xmpp_is_told_so_or_hung_up_on() {
    let stage = guarded();
    let bystander = Bystander::beside(&stage);
    let utf16: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16 = [&[0xff, 0xfe], &utf16[..]].concat();
    let wrong_ns = HEADER.replace("http://etherx.jabber.org/streams", "urn:example:other");
    let wrong_content = HEADER.replace("jabber:client", "jabber:server");
    let latin = HEADER.replace("version='1.0'?>", "version='1.0' encoding='ISO-8859-1'?>");
    let xml11 = HEADER.replacen("version='1.0'", "version='1.1'", 1);
    let cases: [(&[u8], &str); 20] = [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", ANY),
        (b"SSH-2.0-OpenSSH_9.0\r\n", ANY),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ANY),
        (b"EHLO localhost\r\n", ANY),
        (b"\0\0\0\0\0\0\0\0", ANY),
        (b"\xff\xfe\xfd\xfc\xfb", ANY),
        (&[0xaa; 4096], ANY),
        (b"{\"jsonrpc\":\"2.0\"}", ANY),
        (&utf16, ANY),
        (latin.as_bytes(), "unsupported-encoding"),
        (xml11.as_bytes(), ANY),
        (wrong_ns.as_bytes(), "invalid-namespace"),
        (wrong_content.as_bytes(), "invalid-namespace"),
        (b"<message><body>hi</body></message>", "<stream:error>"),
        (b"<!-- hello --><a/>", "restricted-xml"),
        (b"<?php echo 1; ?><a/>", "restricted-xml"),
        (b"<!DOCTYPE stream:stream><a/>", "restricted-xml"),
        (b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'>", "restricted-xml"),
        (
            b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY % x SYSTEM 'http://127.0.0.1:9/'>%x;]>",
            "restricted-xml",
        ),
        (b"</stream:stream>", "not-well-formed"),
    ];
    for (first, condition) in cases {
        ends_with(&stage, first, condition);
    }
    bystander.was_not_hurt("other protocols");
}

/// What breaks a stream that is open, and how.
const BROKEN: [(&[u8], &str); 24] = [
    (b"<message><body>a</message></body>", "not-well-formed"),
    (b"<message></iq>", "not-well-formed"),
    (b"<message a='1' a='2'/>", "not-well-formed"),
    (b"<message a=1/>", "not-well-formed"),
    (b"<message a='<'/>", "not-well-formed"),
    (b"<message><body>a & b</body></message>", "not-well-formed"),
    (b"<message><body>]]></body></message>", "not-well-formed"),
    (b"<message><body>&#0;</body></message>", "not-well-formed"),
    (b"<message><body>&#xD800;</body></message>", "not-well-formed"),
    (b"<message><body>&#x110000;</body></message>", "not-well-formed"),
    (b"<message><body>\x01</body></message>", "not-well-formed"),
    (b"<message><body>\xff\xfe</body></message>", ANY),
    (b"<message><body>\xc0\xbc</body></message>", ANY),
    (b"<message><body>\xed\xa0\x80</body></message>", ANY),
    (b"<message><body>\xf4\x90\x80\x80</body></message>", ANY),
    (b"<1message/>", "not-well-formed"),
    (b"<message><x:a/></message>", "<stream:error>"),
    (b"<message y:a='1'/>", "<stream:error>"),
    (b"<message xmlns:xml='urn:example:other'/>", "<stream:error>"),
    (b"<message xmlns:xmlns='urn:example:other'/>", "<stream:error>"),
    (b"<message><body>&lol;</body></message>", "<stream:error>"),
    (b"<!-- no --><presence/>", "restricted-xml"),
    (b"<message><!-- no --></message>", "restricted-xml"),
    (b"<message><?pi no?></message>", "restricted-xml"),
];

// RFC 6120 §4.9.3.13, §11.1, §11.3
#[test]
fn what_breaks_an_open_stream_ends_it_before_login_and_after() {
    let stage = guarded();
    stage.add_accounts(&["tybalt"]);
    let bystander = Bystander::beside(&stage);
    for (broken, condition) in BROKEN {
        let before = [HEADER.as_bytes(), broken].concat();
        ends_with(&stage, &before, "<stream:error>");
        let mut wire = Wire::bound(&stage, "tybalt", "x");
        wire.say_bytes(broken);
        let heard = wire.rest();
        let shown = String::from_utf8_lossy(broken);
        assert!(heard.contains("<stream:error>"), "after {shown}: {heard}");
        assert!(heard.contains(condition), "after {shown}, not {condition:?} but: {heard}");
    }
    bystander.was_not_hurt("broken XML");
}

// RFC 6120 §11.1: no entities, so that there is nothing to expand.
#[test]
fn a_billion_laughs_are_not_laughed_once() {
    let stage = guarded();
    let bystander = Bystander::beside(&stage);
    let mut bomb = "<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY lol0 'lol'>".to_owned();
    for level in 1..10 {
        let below = format!("&lol{};", level - 1).repeat(10);
        bomb.push_str(&format!("<!ENTITY lol{level} '{below}'>"));
    }
    bomb.push_str("]>");
    bomb.push_str(HEADER);
    let quadratic =
        format!("<!DOCTYPE a [<!ENTITY a '{}'>]><a>{}</a>", "a".repeat(8_000), "&a;".repeat(2_000));
    let before = cpu_time(stage.pid());
    for _ in 0..5 {
        ends_with(&stage, bomb.as_bytes(), "restricted-xml");
        ends_with(&stage, quadratic.as_bytes(), "restricted-xml");
    }
    let work = cpu_time(stage.pid()) - before;
    assert!(work < Duration::from_secs(4), "ten took {work:?} of the processor");
    assert!(bystander.growth() < 48 << 20, "{} bytes", bystander.growth());
    bystander.was_not_hurt("billion laughs");
}

/// What never ends: how it begins, and what comes again and again.
const ENDLESS: [(&str, &str); 9] = [
    ("<message><body>", "text text text "),
    ("<message a='", "value value "),
    ("<message><", "name"),
    ("<message ", "attribute"),
    ("<message xmlns:a='", "urn:"),
    ("<message><body><![CDATA[", "cdata "),
    ("<message>", "<a/>"),
    ("<message>", "<a>"),
    ("<message>", "      "),
];

/// Says `first`, then `again` until the server hangs up or `most` bytes are said.
fn say_without_end(wire: &mut Wire, (first, again): (&str, &str), most: usize) {
    wire.say(first);
    let chunk = again.repeat(8_192 / again.len());
    let mut said = 0;
    while said < most && wire.say_bytes(chunk.as_bytes()) {
        said += chunk.len();
    }
    wire.hush();
}

// RFC 6120 §4.9.3.14, §13.12
#[test]
fn what_never_ends_is_cut_before_login_and_after() {
    let stage = guarded();
    stage.add_accounts(&["tybalt"]);
    let bystander = Bystander::beside(&stage);
    for endless in ENDLESS {
        let mut wire = Wire::open(stage.c2s);
        say_without_end(&mut wire, endless, 1 << 20);
        wire.rest();
        let mut wire = Wire::bound(&stage, "tybalt", "x");
        say_without_end(&mut wire, endless, 2 << 20);
        wire.rest();
    }
    assert!(bystander.growth() < 48 << 20, "{} bytes", bystander.growth());
    bystander.was_not_hurt("endless input");
}

/// A message with this much in it, from a client that is logged in; what is answered before the server
/// hangs up.
fn refused(stage: &Stage, stanza: &str) -> String {
    let mut wire = Wire::bound(stage, "tybalt", "x");
    wire.say(stanza);
    wire.rest()
}

// RFC 6120 §13.12
#[test]
fn too_deep_too_wide_and_too_many_names_are_against_policy() {
    let stage = guarded();
    stage.add_accounts(&["tybalt"]);
    let bystander = Bystander::beside(&stage);
    let deep = "<a>".repeat(10_000);
    let wide: String = (0..10_000).map(|number| format!(" a{number}='x'")).collect();
    let named: String =
        (0..10_000).map(|number| format!(" xmlns:a{number}='urn:x:{number}'")).collect();
    let long = "n".repeat(10_000);
    for stanza in [
        format!("<message>{deep}"),
        format!("<message{wide}/>"),
        format!("<message{named}/>"),
        format!("<message><{long}/></message>"),
        format!("<message><body>{}</body></message>", "x".repeat(300_000)),
    ] {
        let heard = refused(&stage, &stanza);
        let shown = stanza.get(..60).unwrap_or_default();
        assert!(heard.contains("policy-violation"), "after {shown}: {heard}");
    }
    let mut wire = Wire::open(stage.c2s);
    wire.say(&format!(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>",
        "A".repeat(20_000)
    ));
    assert!(wire.rest().contains("policy-violation"));
    bystander.was_not_hurt("deep and wide");
}
