//! Our parser beside others: whatever it accepts, expat and libxml2 accept too, and read the same in it.
//! Needs Python, whose standard library has expat; libxml2 is asked where lxml is installed.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use data_encoding::HEXLOWER;
use stream::{Event, Limits, Parser};
use xmpp::Stanza;

const CASES: usize = 4_000;

const HEADER: &[u8] = b"<stream:stream to='x' version='1.0' xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";

/// What stanzas are made from; each alone is well-formed.
const SOUND: [&str; 12] = [
    "<message to='a@b' type='chat'><body>hi &amp; &#x41;&#10;&quot;</body></message>",
    "<message><body><![CDATA[<a>]]> ]]&gt; \u{e9}\u{1F600}</body><x xmlns='urn:x' a:b='1' xmlns:a='urn:a'/></message>",
    "<presence id='1'><show>away</show><priority>1</priority></presence>",
    "<iq type='get' id='1'><q:q xmlns:q='urn:q'><q:r/><r xmlns='urn:r'/>text<s xmlns=''/></q:q></iq>",
    "<iq type='set' id=\"2\"><query xmlns='jabber:iq:roster'><item jid='a@b' name='&lt;&apos;&#9;'/></query></iq>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<enable xmlns='urn:xmpp:sm:3' resume='true' />",
    " \r\n\t",
    "<message xml:lang='de'><subject>a\r\nb\rc</subject><a x='1\n2\t3\r\n4'/></message>",
    "<a:b xmlns:a='urn:a' a:c='d' e='f'>t<a:g></a:g></a:b>",
    "<message><x xmlns='urn:x'><y xmlns='urn:y'><z xmlns='urn:x'/></y></x></message>",
    "</stream:stream>",
];

/// What is put where it may not belong.
const WORDS: [&str; 36] = [
    "<",
    ">",
    "</",
    "/>",
    "'",
    "\"",
    "=",
    "&",
    ";",
    "&amp;",
    "&#x0A;",
    "&#0;",
    "&x;",
    "&#xD800;",
    "]]>",
    "<![CDATA[",
    "<!--",
    "-->",
    "<!DOCTYPE x>",
    "<?x?>",
    " ",
    "\n",
    "\r",
    ":",
    " xmlns=''",
    " xmlns='urn:a'",
    " xmlns:a='urn:a'",
    " xmlns:a=''",
    " xmlns:xml='urn:a'",
    " a:x='1'",
    " x='2'",
    "</message>",
    "<a:b>",
    "\u{FFFE}",
    "\u{85}",
    "\0",
];

/// Numbers that look like chance and are the same each time (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most.max(1) as u64).expect("it is below a size")
    }
}

fn input(numbers: &mut Numbers) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..=numbers.below(3) {
        body.extend_from_slice(SOUND[numbers.below(SOUND.len())].as_bytes());
    }
    // One in four stays as it is.
    for _ in 0..numbers.below(4) {
        let at = numbers.below(body.len() + 1);
        let end = (at + numbers.below(20)).min(body.len());
        match numbers.below(5) {
            0 => drop(body.drain(at..end)),
            1 => {
                let again = body[at..end].to_vec();
                body.splice(at..at, again);
            }
            2 if at < body.len() => body[at] ^= 1 << numbers.below(8),
            _ => {
                body.splice(at..at, WORDS[numbers.below(WORDS.len())].bytes());
            }
        }
    }
    [HEADER, &body].concat()
}

/// What our parser makes of an input, as `others.py` reads it.
fn case(input: &[u8]) -> String {
    let mut events = Vec::new();
    let result = Parser::new(Limits::default()).feed(input, &mut events);
    let closed = events.last() == Some(&Event::Close);
    let ending = match (closed, result) {
        (true, _) => "closed",
        (false, Ok(())) => "open",
        (false, Err(_)) => "error",
    };
    let mut line = format!("{} {ending}", HEXLOWER.encode(input));
    for event in &events {
        match event {
            Event::Stanza(stanza) => line.push_str(&format!(" s:{}", canonical(stanza))),
            Event::Nonza(element) => {
                line.push_str(&format!(" n:{}", HEXLOWER.encode(&element.to_bytes())))
            }
            Event::BadStanza { .. } => line.push_str(" ?"),
            Event::Open(_) | Event::Close => {}
        }
    }
    line.push('\n');
    line
}

fn canonical(stanza: &Stanza) -> String {
    let mut bytes = Vec::new();
    stanza.write(&mut bytes);
    HEXLOWER.encode(&bytes)
}

#[test]
fn what_we_accept_others_accept_and_read_the_same_in_it() {
    let python = std::env::var("ROOKERY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/others.py");
    let mut command = Command::new(python);
    let Ok(mut others) = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    else {
        return println!("skipped: there is no Python");
    };
    let mut numbers = Numbers(0x5eed_0004);
    let cases: String = (0..CASES).map(|_| case(&input(&mut numbers))).collect();
    let mut stdin = others.stdin.take().expect("it is piped");
    stdin.write_all(cases.as_bytes()).expect("they are read");
    drop(stdin);
    let said = others.wait_with_output().expect("it ends");
    let said_text = String::from_utf8_lossy(&said.stdout);
    println!("{said_text}");
    assert!(said.status.success(), "{said_text}");
}
