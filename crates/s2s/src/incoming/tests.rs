//! What another server must prove before anything of it is believed, and what it may not try.

use stream::{Limits, Parser};

use super::*;
use crate::config::Dane;
use crate::dialback::Claim;

const US: [&str; 2] = ["us.example", "rooms.us.example"];

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn common(policy: Policy) -> Arc<Common> {
    let is_ours = |jid: &BareJid| US.contains(&jid.as_str());
    let rules = Rules { policy, deny: vec!["bad.example".to_owned()], ..Rules::default() };
    Arc::new(Common { is_ours: Box::new(is_ours), rules, keys: Keys::new(b"secret") })
}

/// A stream of another server, as it is played.
struct Play {
    machine: Incoming,
    parser: Parser,
    effects: Vec<Effect>,
}

impl Play {
    fn begin(policy: Policy) -> Self {
        let ids = ["id3", "id2", "id1"].map(str::to_owned);
        let machine = Incoming::new(common(policy), ids, None);
        let parser = Parser::for_content(Limits::AFTER_LOGIN, ns::SERVER);
        Self { machine, parser, effects: Vec::new() }
    }

    /// Up to features under TLS, with a certificate for these domains.
    fn secured(policy: Policy, from: &str, names: &[&str]) -> Self {
        let mut play = Self::begin(policy);
        play.open(from);
        play.hear("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        assert_eq!(play.effects.last(), Some(&Effect::StartTls(bare("us.example"))));
        play.parser.reset();
        play.machine.tls_started(Peer::of(names));
        play.open(from);
        play
    }

    fn open(&mut self, from: &str) {
        self.hear(&format!(
            "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
             xmlns:stream='{}' from='{from}' to='us.example' version='1.0'>",
            ns::STREAM
        ));
    }

    fn hear(&mut self, text: &str) {
        self.effects.clear();
        let mut events = Vec::new();
        let fed = self.parser.feed(text.as_bytes(), &mut events);
        for event in events {
            self.machine.handle(event, &mut self.effects);
        }
        if let Err(error) = fed {
            self.machine.close(Some(error), &mut self.effects);
        }
    }

    fn answer(&mut self, verdict: &Verdict) {
        let question = self.question();
        self.effects.clear();
        self.machine.verified(&question, verdict, &mut self.effects);
    }

    fn question(&self) -> Question {
        let question = self.effects.iter().find_map(|effect| match effect {
            Effect::Verify(question) => Some(question.clone()),
            _ => None,
        });
        question.expect("a key is asked about")
    }

    fn said(&self) -> String {
        let bytes = self.effects.iter().filter_map(|effect| match effect {
            Effect::Write(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
            _ => None,
        });
        bytes.collect()
    }

    fn ended_with(&self) -> Option<StreamCondition> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Close(error) => error.as_ref().map(|error| error.condition),
            _ => None,
        })
    }

    fn authenticate(&mut self, from: &str) {
        self.hear("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
        assert!(self.effects.contains(&Effect::Proved(bare(from))), "{:?}", self.effects);
        self.parser.reset();
        self.open(from);
    }
}

fn message(from: &str, to: &str) -> String {
    format!("<message from='{from}' to='{to}'><body>hi</body></message>")
}

#[test]
fn in_the_clear_there_is_nothing_but_tls() {
    let mut play = Play::begin(Policy::Dialback);
    play.open("them.example");
    assert!(play.said().contains("<required/>") && !play.said().contains("dialback/>"));
    play.hear("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    assert_eq!(play.ended_with(), Some(StreamCondition::PolicyViolation));

    let mut play = Play::begin(Policy::Dialback);
    play.open("them.example");
    play.hear("<db:result from='them.example' to='us.example'>key</db:result>");
    assert!(play.said().contains("policy-violation"), "{}", play.said());
    assert!(!play.machine.is_proved());
    play.hear(&message("a@them.example", "b@us.example"));
    assert_eq!(play.ended_with(), Some(StreamCondition::NotAuthorized));
}

#[test]
fn headers_that_say_what_cannot_be_are_refused() {
    let open = |from: &str, to: &str, version: &str| {
        let mut play = Play::begin(Policy::Secure);
        play.hear(&format!(
            "<stream:stream xmlns='jabber:server' xmlns:stream='{}'{from}{to}{version}>",
            ns::STREAM
        ));
        play.ended_with()
    };
    let (from, to, version) = (" from='them.example'", " to='us.example'", " version='1.0'");
    assert_eq!(open(from, to, version), None);
    assert_eq!(open(from, "", version), Some(StreamCondition::ImproperAddressing));
    assert_eq!(open(from, " to='other.example'", version), Some(StreamCondition::HostUnknown));
    assert_eq!(open(" from='us.example'", to, version), Some(StreamCondition::InvalidFrom));
    assert_eq!(open(" from='a@b'", to, version), Some(StreamCondition::InvalidFrom));
    assert_eq!(open(" from='x.bad.example'", to, version), Some(StreamCondition::PolicyViolation));
    assert_eq!(open(from, to, ""), Some(StreamCondition::UnsupportedVersion));
    assert_eq!(open(from, to, " version='01.00'"), None);
    assert_eq!(open(from, to, " version='0.9'"), Some(StreamCondition::UnsupportedVersion));
}

#[test]
fn a_certificate_that_names_the_other_end_is_proof() {
    let mut play = Play::secured(Policy::Secure, "them.example", &["them.example"]);
    assert!(play.said().contains("<mechanism>EXTERNAL</mechanism>"));
    play.authenticate("them.example");
    assert!(!play.said().contains("EXTERNAL"), "once is enough");
    play.hear(&message("a@them.example/r", "b@us.example"));
    assert!(matches!(&play.effects[..], [Effect::Stanza(_)]));
    play.hear(&message("room@them.example/nick", "room@rooms.us.example"));
    assert!(matches!(&play.effects[..], [Effect::Stanza(_)]));
}

#[test]
fn a_certificate_for_others_is_no_proof() {
    let mut play = Play::secured(Policy::Secure, "them.example", &["other.example"]);
    assert!(!play.said().contains("EXTERNAL"));
    play.hear("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    assert!(play.said().contains("<not-authorized/>"), "{}", play.said());
    play.hear("<db:result from='them.example' to='us.example'>key</db:result>");
    assert!(play.said().contains("not-authorized"), "{}", play.said());
    assert!(!play.machine.is_proved());
}

#[test]
fn whoever_is_proved_speaks_for_no_other_domain_and_reaches_none_but_ours() {
    let mut play = Play::secured(Policy::Secure, "them.example", &["them.example"]);
    play.authenticate("them.example");
    play.hear(&message("a@them.example", "b@third.example"));
    assert_eq!(play.ended_with(), Some(StreamCondition::HostUnknown));
    for from in ["a@us.example", "a@third.example", "a@sub.them.example"] {
        let mut play = Play::secured(Policy::Secure, "them.example", &["them.example"]);
        play.authenticate("them.example");
        play.hear(&message(from, "b@us.example"));
        assert_eq!(play.ended_with(), Some(StreamCondition::InvalidFrom), "{from}");
    }
    for addresses in [
        "to='b@us.example'",
        "from='a@them.example'",
        "from='' to='b@us.example'",
        "from='@' to='b@us.example'",
        "from='a@them.example' to='@'",
    ] {
        for stanza in ["message", "iq type='get' id='1'"] {
            let mut play = Play::secured(Policy::Secure, "them.example", &["them.example"]);
            play.authenticate("them.example");
            play.hear(&format!("<{stanza} {addresses}/>"));
            let ended = play.ended_with();
            assert_eq!(ended, Some(StreamCondition::ImproperAddressing), "{stanza} {addresses}");
        }
    }
    let mut play = Play::secured(Policy::Secure, "them.example", &["them.example"]);
    play.authenticate("them.example");
    play.hear("<iq type='odd' id='1' from='a@them.example' to='b@us.example'/>");
    assert!(matches!(&play.effects[..], [Effect::Refuse(_, StanzaCondition::BadRequest)]));
}

#[test]
fn an_identity_other_than_the_header_is_refused() {
    let mut play =
        Play::secured(Policy::Secure, "them.example", &["them.example", "third.example"]);
    let other = auth::encoding::encode(b"third.example");
    play.hear(&format!(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{other}</auth>"
    ));
    assert!(play.said().contains("<invalid-authzid/>"), "{}", play.said());
    let same = auth::encoding::encode(b"them.example");
    play.hear("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/>");
    assert!(play.said().contains("<challenge"));
    play.hear(&format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{same}</response>"));
    assert!(play.said().contains("<success"));
    play.parser.reset();
    play.open("third.example");
    assert_eq!(play.ended_with(), Some(StreamCondition::InvalidFrom));
}

#[test]
fn a_dialback_key_is_asked_about_and_only_a_good_one_proves() {
    let mut play = Play::secured(Policy::Dialback, "them.example", &[]);
    play.hear("<db:result from='them.example' to='us.example'> key </db:result>");
    let question = play.question();
    assert_eq!((question.id.as_str(), question.key.as_str()), ("id2", "key"));
    play.answer(&Verdict::Valid);
    assert!(play.said().contains("type='valid'"));
    play.hear(&message("a@them.example", "b@us.example"));
    assert!(matches!(&play.effects[..], [Effect::Stanza(_)]));

    let mut play = Play::secured(Policy::Dialback, "them.example", &[]);
    play.hear("<db:result from='them.example' to='us.example'>forged</db:result>");
    play.answer(&Verdict::Invalid);
    assert!(play.said().contains("type='invalid'"));
    assert_eq!(play.ended_with(), Some(StreamCondition::NotAuthorized));

    let mut play = Play::secured(Policy::Dialback, "them.example", &[]);
    play.hear("<db:result from='them.example' to='us.example'>key</db:result>");
    play.answer(&Verdict::Error(StanzaCondition::RemoteServerTimeout));
    assert!(play.said().contains("remote-server-timeout") && play.ended_with().is_none());
    play.hear(&message("a@them.example", "b@us.example"));
    assert_eq!(play.ended_with(), Some(StreamCondition::NotAuthorized));
}

#[test]
fn verdicts_that_nobody_waits_for_prove_nothing() {
    let mut play = Play::secured(Policy::Dialback, "them.example", &[]);
    play.hear("<db:result from='them.example' to='us.example'>key</db:result>");
    let question = play.question();
    let wrong = [
        Question { id: "id1".to_owned(), ..question.clone() },
        Question { key: "other".to_owned(), ..question.clone() },
        Question { pair: PairId { remote: bare("third.example"), ..question.pair }, ..question },
    ];
    for question in wrong {
        play.effects.clear();
        play.machine.verified(&question, &Verdict::Valid, &mut play.effects);
        assert_eq!(play.effects, [], "{question:?}");
    }
    // XEP-0220 §3.1: answers on a stream that asked for none.
    for unsolicited in [
        "<db:result from='them.example' to='us.example' type='valid'/>",
        "<db:verify from='them.example' to='us.example' id='id2' type='valid'/>",
    ] {
        let mut play = Play::secured(Policy::Dialback, "them.example", &[]);
        play.hear(unsolicited);
        assert_eq!(play.ended_with(), Some(StreamCondition::PolicyViolation));
        assert!(!play.machine.is_proved());
    }
}

#[test]
fn each_further_domain_on_a_stream_is_proved_by_itself() {
    let mut play = Play::secured(Policy::Dialback, "them.example", &[]);
    play.hear("<db:result from='them.example' to='us.example'>key</db:result>");
    play.answer(&Verdict::Valid);
    play.hear("<db:result from='rooms.them.example' to='us.example'>key2</db:result>");
    play.answer(&Verdict::Valid);
    play.hear(&message("r@rooms.them.example/n", "b@us.example"));
    assert!(matches!(&play.effects[..], [Effect::Stanza(_)]));
    play.hear("<db:result from='us.example' to='us.example'>key</db:result>");
    assert!(play.said().contains("not-acceptable"), "{}", play.said());
    play.hear("<db:result from='them.example' to='nobody.example'>key</db:result>");
    assert!(play.said().contains("item-not-found"), "{}", play.said());
    assert!(play.ended_with().is_none());
}

#[test]
fn the_keys_of_our_own_streams_are_known_and_no_others() {
    let mut play = Play::secured(Policy::Dialback, "them.example", &[]);
    let claim = Claim { receiving: "them.example", originating: "us.example", id: "their-id" };
    let key = Keys::new(b"secret").key(claim);
    let verify = |key: &str, id: &str, to: &str| {
        format!("<db:verify from='them.example' to='{to}' id='{id}'>{key}</db:verify>")
    };
    play.hear(&verify(&key, "their-id", "us.example"));
    assert!(play.said().contains("type='valid'"), "{}", play.said());
    play.hear(&verify(&key, "another-id", "us.example"));
    assert!(play.said().contains("type='invalid'"), "{}", play.said());
    play.hear(&verify(&key, "their-id", "rooms.us.example"));
    assert!(play.said().contains("type='invalid'"), "{}", play.said());
    play.hear(&verify(&key, "their-id", "nobody.example"));
    assert!(play.said().contains("item-not-found"), "{}", play.said());
    assert!(!play.machine.is_proved(), "whoever asks has proved nothing");
}

#[test]
fn whoever_has_proved_nothing_has_few_keys_looked_at() {
    let mut play = Play::secured(Policy::Dialback, "them.example", &[]);
    let claim =
        |number| format!("<db:result from='d{number}.example' to='us.example'>k</db:result>");
    for number in 0..KEYS_OF_STRANGER {
        play.hear(&claim(number));
        assert!(
            matches!(play.effects[..], [Effect::Doubt(..), Effect::Verify(_)]),
            "{number}: {:?}",
            play.effects
        );
    }
    play.hear(&claim(0));
    assert_eq!(play.effects, [], "it is being looked at");
    for _ in 1..FAILURES_MAX {
        play.hear(&claim(99));
        assert!(play.said().contains("resource-constraint"), "{:?}", play.effects);
        assert_eq!(play.ended_with(), None);
    }
    play.hear(&claim(99));
    assert_eq!(play.ended_with(), Some(StreamCondition::PolicyViolation));
}

#[test]
fn only_what_is_claimed_in_vain_ends_the_stream_and_not_what_is_asked_of_others() {
    let mut play = Play::secured(Policy::Dialback, "them.example", &[]);
    for number in 0..4 * FAILURES_MAX {
        let to = if number % 2 == 0 { "us.example" } else { "nobody.example" };
        play.hear(&format!("<db:verify from='them.example' to='{to}' id='x'>forged</db:verify>"));
        assert!(play.said().contains("<db:verify "), "{}", play.said());
        assert_eq!(play.ended_with(), None);
    }
    let claim = "<db:result from='them.example' to='nobody.example'>k</db:result>";
    for _ in 1..FAILURES_MAX {
        play.hear(claim);
        assert_eq!(play.ended_with(), None);
    }
    play.hear(claim);
    assert_eq!(play.ended_with(), Some(StreamCondition::PolicyViolation));
}

#[test]
fn what_is_handled_is_told_to_whoever_has_proved_who_it_is() {
    let mut play = Play::secured(Policy::Secure, "them.example", &["them.example"]);
    assert!(!play.said().contains("<sm "), "features follow: {}", play.said());
    play.hear("<enable xmlns='urn:xmpp:sm:3'/>");
    assert!(play.said().contains("<failed") && play.said().contains("<unexpected-request"));
    assert!(play.ended_with().is_none() && !play.effects.contains(&Effect::Count));
    let clear = Play::secured(Policy::Dialback, "them.example", &[]);
    assert!(clear.said().contains("<sm "), "no features follow: {}", clear.said());
    let mut play = Play::secured(Policy::Secure, "them.example", &["them.example"]);
    play.authenticate("them.example");
    play.hear("<r xmlns='urn:xmpp:sm:3'/>");
    assert!(play.said().contains("<failed"));
    play.hear("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    assert!(play.said().contains("<enabled xmlns='urn:xmpp:sm:3'/>"), "{}", play.said());
    assert!(play.effects.contains(&Effect::Count));
    play.hear("<r xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(play.effects, [Effect::Acknowledge]);
    assert_eq!(handled((1 << 32) + 5), b"<a xmlns='urn:xmpp:sm:3' h='5'/>");
    play.hear("<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>");
    let said = play.said();
    assert!(said.contains("<failed") && said.contains("<feature-not-implemented"), "{said}");
}

#[test]
fn a_closed_stream_is_closed_back() {
    let mut play = Play::secured(Policy::Secure, "them.example", &["them.example"]);
    play.hear("</stream:stream>");
    assert_eq!(play.said(), "</stream:stream>");
    assert_eq!(play.effects.last(), Some(&Effect::Close(None)));
    play.hear("<more/>");
    assert_eq!(play.effects, []);
}

#[test]
fn who_counts_and_ends_its_stream_hears_of_all_before_ours_ends() {
    let mut play = Play::secured(Policy::Secure, "them.example", &["them.example"]);
    play.authenticate("them.example");
    play.hear("<enable xmlns='urn:xmpp:sm:3'/>");
    play.hear("</stream:stream>");
    assert_eq!(play.effects, [Effect::Ended]);
    play.effects.clear();
    play.machine.close(None, &mut play.effects);
    assert_eq!(play.said(), "</stream:stream>");
}

#[test]
fn what_is_wrong_of_one_domain_does_not_end_a_stream_that_is_proved_for_another() {
    let mut play = Play::secured(Policy::Dialback, "them.example", &[]);
    play.hear("<db:result from='them.example' to='us.example'>key</db:result>");
    play.answer(&Verdict::Valid);
    let tries = [
        "<db:result from='them.example' to='nobody.example'>key</db:result>",
        "<db:verify from='them.example' to='us.example' id='x'>guess</db:verify>",
        "<db:verify from='them.example' to='nobody.example' id='x'>guess</db:verify>",
    ];
    for text in tries.iter().cycle().take(20) {
        play.hear(text);
        assert_eq!(play.ended_with(), None, "{text}");
    }
    for (number, verdict) in
        [Verdict::Invalid, Verdict::Error(StanzaCondition::RemoteServerTimeout)]
            .iter()
            .cycle()
            .take(20)
            .enumerate()
    {
        play.hear(&format!("<db:result from='d{number}.example' to='us.example'>k</db:result>"));
        play.answer(verdict);
        assert_eq!(play.ended_with(), None, "{verdict:?}");
    }
    play.hear(&message("a@them.example", "b@us.example"));
    assert!(matches!(&play.effects[..], [Effect::Stanza(_)]));
}

#[test]
fn what_is_taken_is_said_under_tls() {
    let play = Play::secured(Policy::Secure, "them.example", &["them.example"]);
    let limits = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes></limits>";
    assert!(play.said().contains(limits), "{}", play.said());
}

fn ways(play: &Play) -> Vec<(String, String)> {
    let way = |effect: &Effect| match effect {
        Effect::Way(id) => Some((id.local.to_string(), id.remote.to_string())),
        _ => None,
    };
    play.effects.iter().filter_map(way).collect()
}

const BIDI_ASKED: &str = "<bidi xmlns='urn:xmpp:bidi'/>";

#[test]
fn who_asks_for_it_is_answered_on_its_stream_when_it_is_proved_and_not_before() {
    let mut play = Play::secured(Policy::Secure, "them.example", &["them.example"]);
    assert!(play.said().contains("<bidi xmlns='urn:xmpp:features:bidi'/>"), "{}", play.said());
    play.hear(BIDI_ASKED);
    assert_eq!(play.effects, []);
    play.authenticate("them.example");
    let us = |name: &str| (name.to_owned(), "them.example".to_owned());
    assert_eq!(ways(&play), [us("us.example")]);
    let features = play.effects.iter().position(
        |it| matches!(it, Effect::Write(bytes) if bytes.starts_with(b"<stream:features")),
    );
    let way = play.effects.iter().position(|it| matches!(it, Effect::Way(_)));
    assert!(features < way, "nothing comes before the features");
    // Another pair of domains, by dialback.
    play.hear("<db:result from='them.example' to='rooms.us.example'>k</db:result>");
    assert_eq!(ways(&play), [us("rooms.us.example")]);
    play.hear("<enable xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='3'/>");
    assert_eq!(play.effects.last(), Some(&Effect::Handled(3)));
}

#[test]
fn who_does_not_ask_for_it_or_too_late_or_in_the_clear_is_answered_elsewhere() {
    let mut play = Play::secured(Policy::Secure, "them.example", &["them.example"]);
    play.authenticate("them.example");
    assert_eq!(ways(&play), []);
    play.hear(BIDI_ASKED);
    assert_eq!(play.ended_with(), Some(StreamCondition::UnsupportedStanzaType));
    let mut clear = Play::begin(Policy::Dialback);
    clear.open("them.example");
    clear.hear(BIDI_ASKED);
    assert_eq!(clear.ended_with(), Some(StreamCondition::UnsupportedStanzaType));
    let mut wrong = Play::secured(Policy::Dialback, "them.example", &[]);
    wrong.hear(BIDI_ASKED);
    wrong.hear("<db:result from='them.example' to='us.example'>k</db:result>");
    wrong.answer(&Verdict::Invalid);
    assert_eq!(ways(&wrong), []);
}

#[test]
fn what_is_found_of_a_domain_is_waited_for_where_the_certificate_is_not_enough() {
    let ok = || Some(Ok(()));
    let err = || Some(Err("no".to_owned()));
    // What records are to the domain, whom the certificate is for, what is found; whether that is waited for, and
    // whether the domain may prove itself then.
    let cases = [
        (Dane::Off, "them.example", ok(), false, true),
        (Dane::Off, "x.example", ok(), false, false),
        (Dane::Use, "them.example", err(), false, true),
        (Dane::Use, "x.example", ok(), true, true),
        (Dane::Use, "x.example", None, true, false),
        (Dane::Require, "them.example", err(), true, false),
        (Dane::Require, "x.example", ok(), true, true),
    ];
    for (dane, name, found, waits, is_let_in) in cases {
        let rules = Rules { dane, deny: vec!["bad.example".to_owned()], ..Rules::default() };
        let is_ours = |jid: &BareJid| US.contains(&jid.as_str());
        let common = Common { is_ours: Box::new(is_ours), rules, keys: Keys::new(b"secret") };
        let ids = ["id3", "id2", "id1"].map(str::to_owned);
        let mut machine = Incoming::new(Arc::new(common), ids, Some(Peer::of(&[name])));
        let mut parser = Parser::for_content(Limits::AFTER_LOGIN, ns::SERVER);
        let (mut events, mut effects) = (Vec::new(), Vec::new());
        let header = format!(
            "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
             xmlns:stream='{}' from='them.example' to='us.example' version='1.0'>\
             <db:result from='bad.example' to='us.example'>k</db:result>\
             <db:result from='rooms.us.example' to='us.example'>k</db:result>",
            ns::STREAM
        );
        parser.feed(header.as_bytes(), &mut events).unwrap();
        let [opened, denied, own] = &events[..] else { panic!("{events:?}") };
        let wanted = waits.then(|| bare("them.example"));
        assert_eq!(machine.wonders_about(opened), wanted, "{dane:?} {name}");
        for nobody in [denied, own] {
            assert_eq!(machine.wonders_about(nobody), None, "{nobody:?}");
        }
        if waits {
            machine.learn(&bare("them.example"), found.clone());
            let again = found.is_none();
            assert_eq!(machine.wonders_about(opened).is_some(), again, "{dane:?} {name}");
        }
        machine.handle(opened.clone(), &mut effects);
        let said = effects.iter().any(|it| {
            matches!(it, Effect::Write(bytes) if String::from_utf8_lossy(bytes).contains(EXTERNAL))
        });
        assert_eq!(said, is_let_in, "{dane:?} {name} {found:?}");
    }
}
