//! What it costs to read stanzas: ten in one feed, as under load, and one in each, as when idle. Figures are per
//! feed. Run by `cargo bench -p stream`.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use rxml::Parse;
use stream::{Limits, Parser};

const HEADER: &[u8] = b"<?xml version='1.0'?><stream:stream to='example.org' version='1.0' \
     xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/// A chat message of 200 bytes.
const CHAT: &str = "<message to='romeo@montague.example/orchard' type='chat' id='6f3a9c1e'>\
     <body>Wherefore art thou Romeo? Deny thy father and refuse thy name; or, if thou wilt not, \
     be but sworn my love.</body></message>";

/// A message of 316 bytes with four children of three namespaces and the content namespace.
const RICH: &str = "<message to='romeo@montague.example' type='chat' id='6f3a9c1e-77'>\
     <body>Wherefore art thou Romeo? Deny thy father.</body>\
     <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>\
     <origin-id xmlns='urn:xmpp:sid:0' id='6f3a9c1e-77aa-4f7d-9c1e-0a1b2c3d4e5f-67890-abcdef-123'/>\
     </message>";

fn main() {
    assert_eq!((CHAT.len(), RICH.len()), (200, 316));
    divan::main();
}

fn feeds(bencher: Bencher<'_, '_>, stanza: &str, stanzas: usize) {
    let input = stanza.repeat(stanzas);
    let mut parser = Parser::new(Limits::AFTER_LOGIN);
    let mut events = Vec::new();
    parser.feed(HEADER, &mut events).expect("the header is good");
    bencher.counter(ItemsCount::new(stanzas)).counter(BytesCount::new(input.len())).bench_local(
        || {
            events.clear();
            parser.feed(black_box(input.as_bytes()), &mut events).expect("the stanza is good");
            black_box(&events);
        },
    );
}

#[divan::bench(args = [1, 10])]
fn chat(bencher: Bencher<'_, '_>, stanzas: usize) {
    feeds(bencher, CHAT, stanzas);
}

#[divan::bench(args = [1, 10])]
fn rich(bencher: Bencher<'_, '_>, stanzas: usize) {
    feeds(bencher, RICH, stanzas);
}

/// The lexer with its events thrown away: the floor under this parser.
#[divan::bench(args = ["chat", "rich"])]
fn lexer_alone(bencher: Bencher<'_, '_>, stanza: &str) {
    let input = if stanza == "chat" { CHAT } else { RICH }.repeat(10);
    let mut lexer = rxml::RawParser::new();
    drain(&mut lexer, HEADER);
    bencher.counter(ItemsCount::new(10_usize)).bench_local(|| {
        drain(&mut lexer, black_box(input.as_bytes()));
        lexer.release_temporaries();
    });
}

fn drain(lexer: &mut rxml::RawParser, mut input: &[u8]) {
    while let Ok(Some(event)) = lexer.parse(&mut input, false) {
        black_box(event);
    }
}
