//! How we prove who we are, what we want to see first, and what another server may not say on a stream of ours.

use stream::{Limits, Parser};

use super::*;
use crate::config::{Dane, Rules};
use crate::dialback::{Claim, Keys};

struct Play {
    machine: Outgoing,
    parser: Parser,
    effects: Vec<Effect>,
}

const TLS: &str =
    "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";
const EXTERNAL_OFFERED: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism></mechanisms><sm xmlns='urn:xmpp:sm:3'/></stream:features>";
const NOTHING: &str = "<stream:features/>";

fn plan(policy: Policy, purpose: Purpose) -> Plan {
    plan_by(Rules { policy, ..Rules::default() }, purpose)
}

fn plan_by(rules: Rules, purpose: Purpose) -> Plan {
    let bare = |text| BareJid::parse(text).unwrap();
    let is_ours = |jid: &BareJid| jid.as_str().ends_with("us.example");
    let common = Common { is_ours: Box::new(is_ours), rules, keys: Keys::new(b"secret") };
    let (local, remote) = (bare("us.example"), bare("them.example"));
    Plan { pair: PairId { local, remote }, purpose, common: Arc::new(common) }
}

impl Play {
    fn begin(plan: Plan) -> Self {
        let mut effects = Vec::new();
        let machine = Outgoing::begin(plan, None, &mut effects);
        let parser = Parser::for_content(Limits::AFTER_LOGIN, ns::SERVER);
        Self { machine, parser, effects }
    }

    /// Up to their header under TLS.
    fn secured(plan: Plan, names: &[&str]) -> Self {
        let mut play = Self::begin(plan);
        play.open("id1");
        play.hear(TLS);
        assert!(play.said().contains("<starttls"));
        play.hear("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        assert_eq!(play.effects, [Effect::StartTls]);
        play.parser.reset();
        play.effects.clear();
        play.machine.tls_started(&Peer::of(names), &mut play.effects);
        if play.failure().is_none() {
            play.open("id2");
        }
        play
    }

    fn open(&mut self, id: &str) {
        self.hear(&format!(
            "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
             xmlns:stream='{}' from='them.example' to='us.example' id='{id}' version='1.0'>",
            ns::STREAM
        ));
    }

    fn hear(&mut self, text: &str) {
        self.effects.clear();
        let mut events = Vec::new();
        self.parser.feed(text.as_bytes(), &mut events).unwrap();
        for event in events {
            self.machine.handle(event, &mut self.effects);
        }
    }

    fn said(&self) -> String {
        let bytes = self.effects.iter().filter_map(|effect| match effect {
            Effect::Write(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
            _ => None,
        });
        bytes.collect()
    }

    fn failure(&self) -> Option<&Failure> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Failed(failure) => Some(failure),
            _ => None,
        })
    }
}

fn question() -> Question {
    let bare = |text| BareJid::parse(text).unwrap();
    let (local, remote) = (bare("us.example"), bare("them.example"));
    let pair = PairId { local, remote };
    Question { pair, id: "their-stream".to_owned(), key: "their-key".to_owned() }
}

#[test]
fn a_server_without_tls_is_not_spoken_with() {
    let mut play = Play::begin(plan(Policy::Dialback, Purpose::Deliver));
    assert!(play.said().contains("from='us.example' to='them.example' version='1.0'"));
    play.open("id1");
    play.hear(NOTHING);
    // The word may have been taken out on the way (RFC 7590 §3.1).
    assert_eq!(play.said(), "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    play.hear("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(play.effects, [Effect::StartTls]);
    let refusals = [
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        "<stream:error><unsupported-stanza-type xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
        "</stream:stream>",
    ];
    for refusal in refusals {
        let mut play = Play::begin(plan(Policy::Dialback, Purpose::Deliver));
        play.open("id1");
        play.hear(NOTHING);
        play.hear(refusal);
        assert_eq!(play.failure(), Some(&Failure::NoTls), "{refusal}");
        assert!(!play.said().contains("db:result"));
    }
}

#[test]
fn who_does_not_want_a_stream_is_not_asked_again_soon_and_who_has_ended_one_is() {
    let error = |condition: &str| {
        format!(
            "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        )
    };
    let fails = |condition, is_open: bool| {
        let mut play = Play::secured(plan(Policy::Secure, Purpose::Deliver), &["them.example"]);
        if is_open {
            play.hear(EXTERNAL_OFFERED);
            play.hear("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
            play.parser.reset();
            play.open("id3");
            play.hear(NOTHING);
        }
        play.hear(&error(condition));
        play.failure().unwrap().clone()
    };
    assert!(matches!(fails("policy-violation", false), Failure::Refused(_)));
    assert!(matches!(fails("not-authorized", false), Failure::Refused(_)));
    assert!(matches!(fails("host-unknown", false), Failure::NotFound(_)));
    assert!(matches!(fails("system-shutdown", false), Failure::Stream(_)));
    assert!(matches!(fails("policy-violation", true), Failure::Stream(_)));
}

#[test]
fn a_server_that_is_not_proved_hears_nothing_more() {
    let play = Play::secured(plan(Policy::Secure, Purpose::Deliver), &["other.example"]);
    assert!(matches!(play.failure(), Some(Failure::Certificate(_))), "{:?}", play.effects);
    assert!(!play.said().contains("stream:stream to"));
    let play = Play::secured(plan(Policy::Dialback, Purpose::Deliver), &["other.example"]);
    assert_eq!(play.failure(), None, "dialback is enough there");
}

#[test]
fn our_certificate_proves_who_we_are_and_acknowledgements_are_asked_for() {
    let mut play = Play::secured(plan(Policy::Secure, Purpose::Deliver), &["them.example"]);
    play.hear(EXTERNAL_OFFERED);
    let identity = auth::encoding::encode(b"us.example");
    assert!(play.said().contains(&format!("mechanism='EXTERNAL'>{identity}</auth>")));
    play.hear("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert!(play.effects.contains(&Effect::Restart) && play.said().contains("<stream:stream"));
    play.parser.reset();
    play.open("id3");
    play.hear("<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>");
    assert_eq!(play.said(), "<enable xmlns='urn:xmpp:sm:3'/>");
    play.hear("<enabled xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(play.effects, [Effect::Open { managed: true }]);
    play.hear("<a xmlns='urn:xmpp:sm:3' h='2'/>");
    assert_eq!(play.effects, [Effect::Handled(2)]);
    play.hear("</stream:stream>");
    assert_eq!(play.effects.last(), Some(&Effect::Ended));
}

#[test]
fn without_external_a_key_proves_it_and_so_it_does_where_external_fails() {
    let claim = Claim { receiving: "them.example", originating: "us.example", id: "id2" };
    let key = Keys::new(b"secret").key(claim);
    let result = format!("<db:result from='us.example' to='them.example'>{key}</db:result>");
    let mut play = Play::secured(plan(Policy::Dialback, Purpose::Deliver), &[]);
    play.hear(NOTHING);
    assert_eq!(play.said(), result);
    play.hear("<db:result from='them.example' to='us.example' type='valid'/>");
    assert_eq!(play.effects, [Effect::LetIn, Effect::Open { managed: false }]);

    let mut play = Play::secured(plan(Policy::Secure, Purpose::Deliver), &["them.example"]);
    play.hear(EXTERNAL_OFFERED);
    play.hear("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>");
    assert_eq!(play.said(), result);
}

#[test]
fn what_dialback_says_is_heard_and_only_from_the_right_one() {
    let cases = [
        ("from='them.example' to='us.example' type='invalid'/>", Failure::KeyInvalid),
        (
            "from='them.example' to='us.example' type='error'><error type='cancel'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>",
            Failure::Dialback(Some("item-not-found")),
        ),
        (
            "from='third.example' to='us.example' type='valid'/>",
            Failure::Protocol("policy-violation"),
        ),
        (
            "from='them.example' to='other.example' type='valid'/>",
            Failure::Protocol("policy-violation"),
        ),
    ];
    for (said, failure) in cases {
        let mut play = Play::secured(plan(Policy::Dialback, Purpose::Deliver), &[]);
        play.hear(NOTHING);
        play.hear(&format!("<db:result {said}"));
        assert_eq!(play.failure(), Some(&failure), "{said}");
    }
    let mut play = Play::secured(plan(Policy::Dialback, Purpose::Deliver), &[]);
    play.hear("<db:result from='them.example' to='us.example' type='valid'/>");
    assert!(play.failure().is_some(), "nothing was asked yet");
}

#[test]
fn somebody_elses_key_is_asked_about_and_the_answer_must_fit() {
    let ask = || Play::secured(plan(Policy::Dialback, Purpose::Ask(question())), &[]);
    let mut play = ask();
    play.hear(EXTERNAL_OFFERED);
    let asked =
        "<db:verify from='us.example' to='them.example' id='their-stream'>their-key</db:verify>";
    assert_eq!(play.said(), asked);
    play.hear("<db:verify from='them.example' to='us.example' id='their-stream' type='valid'/>");
    assert_eq!(play.effects.last(), Some(&Effect::Verdict(Verdict::Valid)));
    // §2.5: an error is told as one, whichever it is.
    for condition in ["item-not-found", "policy-violation", "remote-server-timeout"] {
        let mut play = ask();
        play.hear(NOTHING);
        play.hear(&format!(
            "<db:verify from='them.example' to='us.example' id='their-stream' type='error'>\
             <error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:verify>"
        ));
        let told = Verdict::Error(StanzaCondition::RemoteServerNotFound);
        assert_eq!(play.effects.last(), Some(&Effect::Verdict(told)), "{condition}");
    }
    let mut play = ask();
    play.hear(NOTHING);
    play.hear("<db:verify from='them.example' to='us.example' id='their-stream' type='maybe'/>");
    assert_eq!(play.failure(), Some(&Failure::Protocol("bad-format")));
    for wrong in [
        "from='them.example' to='us.example' id='another'",
        "from='third.example' to='us.example' id='their-stream'",
    ] {
        let mut play = ask();
        play.hear(NOTHING);
        play.hear(&format!("<db:verify {wrong} type='valid'/>"));
        assert!(play.failure().is_some(), "{wrong}");
    }
}

#[test]
fn nobody_sends_stanzas_on_a_stream_of_ours() {
    let mut play = Play::secured(plan(Policy::Dialback, Purpose::Deliver), &[]);
    play.hear(NOTHING);
    play.hear("<db:result from='them.example' to='us.example' type='valid'/>");
    play.hear("<message from='a@them.example' to='b@us.example'/>");
    assert_eq!(play.failure(), Some(&Failure::Protocol("not-authorized")));
}

#[test]
fn the_reason_of_an_end_is_kept() {
    let unknown = Failure::NotFound("its server does not know it: host-unknown".to_owned());
    let shutdown = Failure::Stream("system-shutdown".to_owned());
    for (condition, failure) in [("host-unknown", unknown), ("system-shutdown", shutdown)] {
        let mut play = Play::secured(plan(Policy::Dialback, Purpose::Deliver), &[]);
        play.hear(&format!(
            "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        ));
        assert_eq!(play.failure(), Some(&failure));
    }
}

#[test]
fn a_header_of_somebody_else_is_refused() {
    let mut play = Play::begin(plan(Policy::Dialback, Purpose::Deliver));
    play.hear(&format!(
        "<stream:stream xmlns='jabber:server' xmlns:stream='{}' from='third.example' id='i' version='1.0'>",
        ns::STREAM
    ));
    assert_eq!(play.effects, [], "why may follow");
    play.hear(NOTHING);
    assert_eq!(play.failure(), Some(&Failure::Protocol("invalid-from")));
}

const BOTH_WAYS: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism></mechanisms><bidi xmlns='urn:xmpp:features:bidi'/></stream:features>";

/// Up to the end of the negotiation, with what the other end offers under TLS.
fn both_ways(plan: Plan, names: &[&str]) -> Play {
    let mut play = Play::secured(plan, names);
    play.hear(BOTH_WAYS);
    play
}

fn let_in(mut play: Play) -> Play {
    play.hear("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    play.parser.reset();
    play.open("id3");
    play.hear(NOTHING);
    assert_eq!(play.effects, [Effect::LetIn, Effect::Open { managed: false }]);
    play
}

const FROM_THEM: &str = "<message from='a@them.example' to='b@us.example'/>";

#[test]
fn a_proved_server_that_offers_it_may_send_on_our_stream_from_its_domain_to_ours() {
    let play = both_ways(plan(Policy::Secure, Purpose::Deliver), &["them.example"]);
    let said = play.said();
    let (bidi, auth) = (said.find("<bidi xmlns='urn:xmpp:bidi'/>"), said.find("<auth"));
    assert!(bidi.is_some() && bidi < auth, "{said}");
    let mut play = let_in(play);
    play.hear(FROM_THEM);
    assert!(matches!(&play.effects[..], [Effect::Stanza(_)]));
    play.hear("<iq type='get' from='a@them.example' to='b@us.example'/>");
    assert!(matches!(&play.effects[..], [Effect::Refuse(..)]));
    for (stanza, failure) in [
        ("<message from='a@other.example' to='b@us.example'/>", "invalid-from"),
        ("<message to='b@us.example'/>", "improper-addressing"),
        ("<iq type='get' id='1' from='a@them.example' to='@'/>", "improper-addressing"),
        ("<message from='a@them.example' to='b@other.example'/>", "improper-addressing"),
    ] {
        let play = both_ways(plan(Policy::Secure, Purpose::Deliver), &["them.example"]);
        let mut play = let_in(play);
        play.hear(stanza);
        assert_eq!(play.failure(), Some(&Failure::Protocol(failure)), "{stanza}");
    }
}

#[test]
fn what_comes_before_it_is_said_whether_it_counts_is_bounded_in_number_and_bytes() {
    let enabling = || {
        let mut play = both_ways(plan(Policy::Secure, Purpose::Deliver), &["them.example"]);
        play.hear("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        play.parser.reset();
        play.open("id3");
        play.hear("<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>");
        play
    };
    let large = format!(
        "<message from='a@them.example' to='b@us.example'><body>{}</body></message>",
        "x".repeat(200_000)
    );
    for (stanza, most) in [(FROM_THEM, EARLY_MAX.0), (large.as_str(), EARLY_MAX.1 / 200_000)] {
        let mut play = enabling();
        play.hear(&stanza.repeat(most));
        assert_eq!(play.effects.len(), most);
        assert_eq!(play.failure(), None);
        play.hear(stanza);
        assert_eq!(play.failure(), Some(&Failure::Protocol("policy-violation")));
        assert!(play.said().contains("<policy-violation"), "{}", play.said());
    }
    // What comes later does not wait, and is not counted.
    let mut play = enabling();
    play.hear(&FROM_THEM.repeat(EARLY_MAX.0));
    play.hear("<enabled xmlns='urn:xmpp:sm:3'/>");
    play.hear(FROM_THEM);
    assert!(matches!(&play.effects[..], [Effect::Stanza(_)]));
}

#[test]
fn nobody_else_may_send_on_our_stream() {
    let rules = Rules { bidirectional: false, ..Rules::default() };
    let only = plan_by(rules, Purpose::Deliver);
    let play = both_ways(only, &["them.example"]);
    assert!(!play.said().contains("bidi"), "{}", play.said());
    let mut play = let_in(play);
    play.hear(FROM_THEM);
    assert_eq!(play.failure(), Some(&Failure::Protocol("not-authorized")));
    // Whose certificate does not prove who it is.
    let play = both_ways(plan(Policy::Dialback, Purpose::Deliver), &["other.example"]);
    assert!(!play.said().contains("bidi"), "{}", play.said());
    // Before it has let us in.
    let mut early = both_ways(plan(Policy::Secure, Purpose::Deliver), &["them.example"]);
    early.hear(FROM_THEM);
    assert_eq!(early.failure(), Some(&Failure::Protocol("not-authorized")));
}

#[test]
fn another_pair_sends_on_the_same_stream_where_the_other_end_says_so() {
    let bare = |text| BareJid::parse(text).unwrap();
    let mut play = Play::secured(plan(Policy::Secure, Purpose::Deliver), &["them.example"]);
    play.hear(EXTERNAL_OFFERED);
    play.hear("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    play.parser.reset();
    play.open("id3");
    play.hear(
        "<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>",
    );
    assert!(play.machine.takes_more());
    let pair = |remote| PairId { local: bare("rooms.us.example"), remote: bare(remote) };
    let asked = String::from_utf8(play.machine.ask_for(pair("them.example"))).unwrap();
    let claim = Claim { receiving: "them.example", originating: "rooms.us.example", id: "id3" };
    let key = Keys::new(b"secret").key(claim);
    assert_eq!(
        asked,
        format!("<db:result from='rooms.us.example' to='them.example'>{key}</db:result>")
    );
    play.hear("<db:result from='them.example' to='rooms.us.example' type='valid'/>");
    assert_eq!(play.effects, [Effect::Another(pair("them.example"), true)]);
    play.machine.ask_for(pair("more.them.example"));
    play.hear("<db:result from='more.them.example' to='rooms.us.example' type='error'/>");
    assert_eq!(play.effects, [Effect::Another(pair("more.them.example"), false)]);
    // Nobody has asked a second time.
    play.hear("<db:result from='them.example' to='rooms.us.example' type='valid'/>");
    assert_eq!(play.failure(), Some(&Failure::Protocol("policy-violation")));
}

#[test]
fn another_domain_of_a_server_that_answers_on_our_stream_is_let_in_by_its_certificate_alone() {
    let names = ["them.example", "rooms.them.example", "more.them.example"];
    let rules = || Rules {
        policies: [
            ("bad.example".to_owned(), Policy::Off),
            ("by.key".to_owned(), Policy::Dialback),
        ]
        .into(),
        dane_of: [("more.them.example".to_owned(), Dane::Use)].into(),
        ..Rules::default()
    };
    let begin = || let_in(both_ways(plan_by(rules(), Purpose::Deliver), &names));
    let ask = |from: &str, to: &str| {
        format!(
            "<db:result xmlns:db='jabber:server:dialback' from='{from}' to='{to}'>key</db:result>"
        )
    };
    let mut play = begin();
    play.hear(&ask("rooms.them.example", "us.example"));
    assert_eq!(play.said(), "<db:result from='us.example' to='rooms.them.example' type='valid'/>");
    let bare = |text| BareJid::parse(text).unwrap();
    let id = PairId { local: bare("us.example"), remote: bare("rooms.them.example") };
    assert_eq!(play.effects.last(), Some(&Effect::Another(id, true)));
    play.hear("<message from='r@rooms.them.example/n' to='b@us.example'/>");
    assert!(matches!(&play.effects[..], [Effect::Stanza(_)]));
    play.hear(&ask("rooms.them.example", "us.example"));
    assert_eq!(play.effects.len(), 1, "it is there already: {:?}", play.effects);
    let cases = [
        ("third.example", "us.example", "not-authorized"),
        ("by.key", "us.example", "not-authorized"),
        ("more.them.example", "us.example", "not-authorized"),
        ("rooms.them.example", "rooms.us.example", "not-allowed"),
        ("rooms.them.example", "third.example", "item-not-found"),
        ("rooms.us.example", "us.example", "not-acceptable"),
        ("bad.example", "us.example", "policy-violation"),
    ];
    for (from, to, condition) in cases {
        play.hear(&ask(from, to));
        assert!(play.said().contains(&format!("<{condition} ")), "{from} {to}: {}", play.said());
        assert_eq!(play.effects.len(), 1, "{from} {to}: {:?}", play.effects);
    }
    play.hear("<message from='a@third.example' to='b@us.example'/>");
    assert_eq!(play.failure(), Some(&Failure::Protocol("invalid-from")));
    let mut play = begin();
    play.hear(&ask("rooms.them.example", "x@us.example"));
    assert_eq!(play.failure(), Some(&Failure::Protocol("improper-addressing")));
}

#[test]
fn who_sends_on_our_stream_may_ask_about_our_keys_there() {
    let claim = Claim { receiving: "them.example", originating: "us.example", id: "their-id" };
    let key = Keys::new(b"secret").key(claim);
    let verify = |from: &str, to: &str, rest: &str| {
        format!(
            "<db:verify xmlns:db='jabber:server:dialback' from='{from}' to='{to}' {rest}</db:verify>"
        )
    };
    let of = |id: &str| format!("id='{id}'>{key}");
    let begin = || let_in(both_ways(plan(Policy::Secure, Purpose::Deliver), &["them.example"]));
    let mut play = begin();
    let cases = [
        ("them.example", "us.example", of("their-id"), "type='valid'"),
        ("them.example", "us.example", of("other-id"), "type='invalid'"),
        // Whoever asks: a key is of two domains.
        ("third.example", "us.example", of("their-id"), "type='invalid'"),
        ("them.example", "third.example", of("their-id"), "<item-not-found "),
    ];
    for (from, to, rest, said) in cases {
        play.hear(&verify(from, to, &rest));
        assert_eq!(play.failure(), None, "{from} {to} {rest}");
        assert!(play.said().contains(said), "{from} {to} {rest}: {}", play.said());
        assert!(play.said().starts_with(&format!("<db:verify from='{to}' to='{from}' id=")));
    }
    // Also before it has said whether it counts.
    let mut early = both_ways(plan(Policy::Secure, Purpose::Deliver), &["them.example"]);
    early.hear("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    early.parser.reset();
    early.open("id3");
    early.hear("<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>");
    early.hear(&verify("them.example", "us.example", &of("their-id")));
    assert!(early.said().contains("type='valid'"), "{:?}", early.effects);

    let wrong = [
        ("us.example", "type='valid' id='x'>", "policy-violation"),
        ("us.example", ">key", "bad-format"),
        ("x@us.example", "id='x'>key", "improper-addressing"),
    ];
    for (to, rest, condition) in wrong {
        let mut play = begin();
        play.hear(&verify("them.example", to, rest));
        assert_eq!(play.failure(), Some(&Failure::Protocol(condition)), "{to} {rest}");
    }
    // Where it sends nothing else, it asks nothing either.
    let rules = Rules { bidirectional: false, ..Rules::default() };
    let mut play = let_in(both_ways(plan_by(rules, Purpose::Deliver), &["them.example"]));
    play.hear(&verify("them.example", "us.example", &of("their-id")));
    assert_eq!(play.failure(), Some(&Failure::Protocol("unsupported-stanza-type")));
}

#[test]
fn who_does_not_know_the_domain_says_so_under_whatever_name() {
    for from in ["", "host.example"] {
        let mut play = Play::begin(plan(Policy::Dialback, Purpose::Deliver));
        play.hear(&format!(
            "<stream:stream xmlns='jabber:server' xmlns:stream='{}' from='{from}' id='i' version='1.0'>\
             <stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            ns::STREAM
        ));
        let said = play.failure().map(ToString::to_string).unwrap_or_default();
        assert!(said.contains("host-unknown"), "{from:?}: {said}");
    }
}

#[test]
fn a_server_may_say_where_the_domain_is_instead_until_it_has_let_us_in() {
    let moved = "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>\
                 other.example:5299</see-other-host></stream:error>";
    let mut play = Play::begin(plan(Policy::Secure, Purpose::Deliver));
    play.open("id1");
    play.hear(moved);
    assert_eq!(play.failure(), Some(&Failure::Moved("other.example:5299".to_owned())));
    let mut play = let_in(both_ways(plan(Policy::Secure, Purpose::Deliver), &["them.example"]));
    play.hear(moved);
    assert!(matches!(play.failure(), Some(Failure::Stream(_))), "{:?}", play.effects);
}

#[test]
fn the_last_features_say_how_much_is_taken() {
    let limits = |bytes| {
        format!(
            "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
             <mechanism>EXTERNAL</mechanism></mechanisms><limits xmlns='urn:xmpp:stream-limits:0'>\
             <max-bytes>{bytes}</max-bytes></limits></stream:features>"
        )
    };
    let mut play = Play::secured(plan(Policy::Secure, Purpose::Deliver), &["them.example"]);
    play.hear(&limits(10_000));
    play.hear("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    play.parser.reset();
    play.open("id3");
    play.hear(&limits(500_000));
    assert_eq!(play.machine.max_bytes(), Some(500_000));
}
