//! XEP-0478 Stream Limits Advertisement.

use crate::stage::{Stage, play_on};

const FEATURES: &str = "<features xmlns='http://etherx.jabber.org/streams'>";

// XEP-0478 §3.1, §4
#[test]
fn a_stream_says_how_much_it_takes_before_log_in_and_after() {
    let stage = Stage::start(
        "[limits]\nenabled = true\nstanza_bytes = 100000\nstanza_bytes_before_login = 5000\n",
    );
    let limits = |bytes: u32| {
        format!("<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>{bytes}</max-bytes>…</limits>")
    };
    play_on(&stage, &format!("
        romeo/phone opens a stream
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/phone receives {FEATURES}…{}…</features>
        romeo/phone sends    <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{{plain romeo}}</auth>
        romeo/phone receives <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
        romeo/phone opens a stream
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/phone receives {FEATURES}…{}…</features>
    ", limits(5_000), limits(100_000)));
    let mut client = town::Client::open(stage.c2s, "localhost");
    client.next().unwrap();
    client.send(format!(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>",
        "A".repeat(6_000)
    ));
    let error = client.next().unwrap();
    assert!(town::compare::show(&error).contains("policy-violation"), "{error:?}");
}
