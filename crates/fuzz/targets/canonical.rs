//! Reads streams as `differential.py` sends them, four bytes of length before each, and answers each with a
//! stream of what was accepted, in canonical bytes.

use std::io::{self, Read, Write};

use stream::{Event, Limits, Parser};

const HEADER: &[u8] = b"<stream:stream xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";

fn main() -> io::Result<()> {
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    let mut length = [0; 4];
    while stdin.read_exact(&mut length).is_ok() {
        let mut input = vec![0; u32::from_le_bytes(length) as usize];
        stdin.read_exact(&mut input)?;
        let answer = canonical(&input);
        stdout.write_all(&(answer.len() as u32).to_le_bytes())?;
        stdout.write_all(&answer)?;
        stdout.flush()?;
    }
    Ok(())
}

fn canonical(input: &[u8]) -> Vec<u8> {
    let mut parser = Parser::new(Limits::AFTER_LOGIN);
    let mut events = Vec::new();
    // What came before an error was accepted too.
    let _refused = parser.feed(input, &mut events);
    let mut out = HEADER.to_vec();
    for event in events {
        match event {
            Event::Stanza(stanza) | Event::BadStanza { stanza, .. } => stanza.write(&mut out),
            Event::Nonza(element) => element.write(&mut out, ""),
            Event::Open(_) | Event::Close => {}
        }
    }
    out.extend_from_slice(b"</stream:stream>");
    out
}
