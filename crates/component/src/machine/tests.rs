//! What a component may say, and when.

use stream::{Limits, Parser};

use super::*;

struct Play {
    machine: Machine,
    parser: Parser,
    effects: Vec<Effect>,
}

impl Play {
    fn begin(content: &str, to: &str) -> Self {
        let parser = Parser::for_content(Limits::AFTER_LOGIN, ns::COMPONENT_ACCEPT);
        let machine = Machine::new("3BF96D32".to_owned());
        let mut play = Self { machine, parser, effects: Vec::new() };
        play.hear(&format!(
            "<stream:stream xmlns='{content}' xmlns:stream='{}' to='{to}'>",
            ns::STREAM
        ));
        play
    }

    fn hear(&mut self, text: &str) {
        self.effects.clear();
        let mut events = Vec::new();
        let read = self.parser.feed(text.as_bytes(), &mut events);
        let secret =
            |jid: &BareJid| (jid.as_str() == "irc.example").then(|| Secret("secret".to_owned()));
        for event in events {
            self.machine.handle(event, secret, &mut self.effects);
        }
        if let Err(error) = read {
            self.machine.close(Some(error), &mut self.effects);
        }
    }

    fn written(&self) -> String {
        let written = self.effects.iter().filter_map(|effect| match effect {
            Effect::Write(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        });
        written.collect()
    }

    fn ended_with(&self) -> Option<StreamCondition> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Close(error) => error.as_ref().map(|error| error.condition),
            _ => None,
        })
    }

    fn proved() -> Self {
        let mut play = Self::begin(ns::COMPONENT_ACCEPT, "irc.example");
        play.hear(&format!("<handshake>{}</handshake>", handshake("3BF96D32", "secret")));
        let domain = BareJid::parse("irc.example").unwrap();
        assert_eq!(play.effects, [Effect::Proved(domain)]);
        assert_eq!(play.machine.welcome(), b"<handshake/>");
        play
    }
}

#[test]
fn the_proof_is_the_hash_of_the_streams_id_and_the_secret() {
    assert_eq!(handshake("3BF96D32", "test"), "aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e");
}

#[test]
fn whoever_knows_the_secret_speaks_for_its_domain_alone() {
    let mut play = Play::proved();
    play.hear("<message from='x@irc.example' to='a@us.example'/>");
    assert!(matches!(&play.effects[..], [Effect::Stanza(_)]));
    // What is wrong with the rest of it is answered.
    play.hear("<iq from='irc.example' to='@us.example' type='get' id='1'><q xmlns='x'/></iq>");
    assert!(matches!(&play.effects[..], [Effect::Refuse(..)]));
    play.hear("<message from='x@other.example' to='a@us.example'/>");
    assert_eq!(play.ended_with(), Some(StreamCondition::InvalidFrom));
    for (stanza, condition) in [
        ("<message to='a@us.example'/>", StreamCondition::ImproperAddressing),
        ("<message from='irc.example'/>", StreamCondition::ImproperAddressing),
        ("<iq from='a@us.example' to='@' type='get' id='1'/>", StreamCondition::InvalidFrom),
        ("<message from='x@sub.irc.example' to='a@b'/>", StreamCondition::InvalidFrom),
        (
            "<presence xmlns='jabber:client' from='irc.example' to='a@b'/>",
            StreamCondition::InvalidNamespace,
        ),
        ("<route/>", StreamCondition::UnsupportedStanzaType),
        ("<handshake/>", StreamCondition::UnsupportedStanzaType),
    ] {
        let mut play = Play::proved();
        play.hear(stanza);
        assert_eq!(play.ended_with(), Some(condition), "{stanza}");
    }
}

#[test]
fn nothing_but_the_proof_opens_it() {
    let unknown = Play::begin(ns::COMPONENT_ACCEPT, "us.example");
    assert_eq!(unknown.ended_with(), Some(StreamCondition::HostUnknown));
    // The error comes within a stream (XEP-0114 §3, RFC 6120 §4.7.1).
    assert!(unknown.written().starts_with("<?xml version='1.0'?><stream:stream "));
    for other in ["jabber:component:connect", ns::CLIENT, ns::SERVER] {
        let play = Play::begin(other, "irc.example");
        assert_eq!(play.ended_with(), Some(StreamCondition::InvalidNamespace), "{other}");
    }
    let mut early = Play::begin(ns::COMPONENT_ACCEPT, "irc.example");
    early.hear("<message from='x@irc.example' to='a@us.example'/>");
    assert_eq!(early.ended_with(), Some(StreamCondition::NotAuthorized));
    let of_another_stream = handshake("3BF96D33", "secret");
    for proof in ["", "secret", &of_another_stream, &handshake("3BF96D32", "guess")] {
        let mut play = Play::begin(ns::COMPONENT_ACCEPT, "irc.example");
        play.hear(&format!("<handshake>{proof}</handshake>"));
        assert_eq!(play.ended_with(), Some(StreamCondition::NotAuthorized), "{proof}");
        play.hear("<message from='x@irc.example' to='a@us.example'/>");
        assert_eq!(play.effects, [], "nothing is heard behind the end");
    }
}
