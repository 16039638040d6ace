//! Stanzas written so that two parsers might read them otherwise, and streams that chance has changed.

use std::time::Duration;

use town::Client;
use town::client::Login;

use super::bystander::Bystander;
use super::wire::{HEADER, Wire, plain};
use crate::stage::{PASSWORD, Stage};

/// Bodies that try to become more than text, and what each one says.
const SMUGGLED: [(&str, &str); 9] = [
    (
        "<![CDATA[</body></message><message from='admin@localhost'><body>x]]>",
        "</body></message><message from='admin@localhost'><body>x",
    ),
    ("&lt;/body&gt;&lt;/message&gt;&lt;presence/&gt;", "</body></message><presence/>"),
    ("&#60;/body&#62;&#x3c;presence/&#x3e;", "</body><presence/>"),
    ("<![CDATA[]]]]><![CDATA[>]]>", "]]>"),
    ("a]]&gt;b", "a]]>b"),
    ("&quot;&apos;&amp;amp;", "\"'&amp;"),
    ("&#38;lt;x/&#38;gt;", "&lt;x/&gt;"),
    ("&#13;&#10;", "\r\n"),
    ("<![CDATA[&lol;&#60;]]>", "&lol;&#60;"),
];

// RFC 6120 §8.1.2.1, §11.1: what arrives is one stanza of the true sender, with the text that was written.
#[test]
fn text_stays_text_however_it_is_written() {
    let stage = Stage::start("[limits]\nenabled = true");
    stage.add_accounts(&["tybalt", "juliet"]);
    let bystander = Bystander::beside(&stage);
    let login =
        Login { address: stage.c2s, domain: "localhost", name: "juliet", password: PASSWORD };
    let mut juliet = Client::log_in(&login);
    let jid = juliet.bind("x");
    let mut tybalt = Wire::bound(&stage, "tybalt", "x");
    for (written, said) in SMUGGLED {
        tybalt.say(&format!("<message to='{jid}' type='chat'><body>{written}</body></message>"));
        let heard = juliet.next().expect("the message arrives");
        assert_eq!(heard.attr("from"), Some("tybalt@localhost/x"), "{written}");
        let body = heard.children().find(|child| child.name() == "body").expect("a body");
        assert_eq!(body.text(), said, "{written}");
        assert_eq!(body.children().count(), 0, "{written}");
    }
    tybalt.say(&format!(
        "<message to='{jid}' id='&apos;&gt;&lt;x y=&apos;'><a b='&lt;&quot;&apos;&#9;&#10;'/></message>"
    ));
    let heard = juliet.next().expect("the message arrives");
    assert_eq!(heard.attr("id"), Some("'><x y='"));
    let child = heard.children().find(|child| child.name() == "a").expect("the child");
    assert_eq!(child.attr("b"), Some("<\"'\t\n"));
    bystander.was_not_hurt("smuggling");
}

const STREAMS: usize = 2_000;

/// Numbers that look like chance and are the same each time (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % most.max(1)
    }
}

/// A stream with some of its bytes changed, left out, said twice, or cut off.
fn mutated(seed: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut stream = seed.to_vec();
    for _ in 0..=chance.below(6) {
        if stream.is_empty() {
            break;
        }
        let at = chance.below(stream.len());
        let end = (at + 1 + chance.below(40)).min(stream.len());
        match chance.below(6) {
            0 => stream[at] ^= 1 << chance.below(8),
            1 => stream[at] = b"<>&'\"/=\0\xff\x80:![]"[chance.below(14)],
            2 => drop(stream.drain(at..end)),
            3 => {
                let again = stream[at..end].to_vec();
                drop(stream.splice(at..at, again));
            }
            4 => drop(stream.splice(at..at, *b"<![CDATA[")),
            _ => stream.truncate(at.max(1)),
        }
    }
    stream
}

#[test]
fn streams_that_chance_has_changed_do_no_harm() {
    let stage = Stage::start("[limits]\nenabled = true");
    stage.add_accounts(&["tybalt"]);
    let bystander = Bystander::beside(&stage);
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    let sm = "<enable xmlns='urn:xmpp:sm:3' resume='true'/><r xmlns='urn:xmpp:sm:3'/>";
    let roster = "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='a@b.example'/></query></iq>";
    let archive = "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'><field var='with'><value>a@b.example</value></field></x></query></iq>";
    let chat = "<presence/><message to='tybalt@localhost' type='chat' xml:lang='en'><body>hi &amp; &#x41;</body></message>";
    let before = format!("{HEADER}{}{HEADER}{bind}", plain("nobody", "wrong"));
    let after = [bind, sm, roster, archive, chat, "</stream:stream>"].concat();
    let mut chance = Chance(0x5eed_5eed_5eed_5eed);
    for number in 0..STREAMS {
        // One in four comes from somebody who has logged in.
        let mut wire = match number % 4 {
            0 => Wire::log_in(&stage, "tybalt"),
            _ => Wire::connect(stage.c2s),
        };
        let seed = if number % 4 == 0 { &after } else { &before };
        wire.say_bytes(&mutated(seed.as_bytes(), &mut chance));
        wire.hush();
        wire.rest_within(Duration::from_secs(15));
    }
    assert!(bystander.growth() < 128 << 20, "{} bytes", bystander.growth());
    bystander.was_not_hurt("mutated streams");
}
