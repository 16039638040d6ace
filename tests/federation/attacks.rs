//! What a server may try that is not who it says: forged keys, foreign senders, streams that say nothing.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use xmpp::ns;

use super::impostor::Impostor;
use super::land::{Land, Proof, body, hears, hears_body};

const HELLO: &str = "<message from='juliet@b.example' to='romeo@a.example' type='chat'><body>it is me</body></message>";

/// Romeo has heard nothing of it.
fn heard_nothing(romeo: &mut super::land::Client) {
    romeo.send("<message to='romeo@a.example' type='chat'><body>mine</body></message>");
    let first = hears(romeo, |it| it.name() == "message");
    assert_eq!(body(&first).as_deref(), Some("mine"));
}

#[test]
fn a_forged_dialback_key_opens_nothing() {
    let land = Land::start(Proof::Dialback);
    let (mut romeo, _juliet) = land.lovers();
    let mut impostor = Impostor::secured(land.s2s[0], "b.example", None);
    let forged = "0".repeat(64);
    impostor.say(&format!("<db:result from='b.example' to='a.example'>{forged}</db:result>"));
    let result = impostor.hears("result");
    assert_eq!(result.attr("type"), Some("invalid"), "{result:?}");
    assert_eq!(impostor.ends_with(), "not-authorized");
    heard_nothing(&mut romeo);
}

#[test]
fn whoever_has_proved_one_domain_speaks_for_no_other() {
    let land = Land::start(Proof::Certificate);
    let (mut romeo, _juliet) = land.lovers();
    let files = land.authority.certify(&["evil.example"]);
    let mut impostor = Impostor::secured(land.s2s[0], "evil.example", Some(&files));
    impostor.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    impostor.hears("success");
    impostor.reopen("evil.example");
    impostor.hears("features");
    impostor.say(HELLO);
    assert_eq!(impostor.ends_with(), "invalid-from");
    heard_nothing(&mut romeo);
}

#[test]
fn a_second_domain_needs_a_proof_of_its_own_and_nobody_is_passed_on() {
    let land = Land::start(Proof::Certificate);
    let (mut romeo, mut juliet) = land.lovers();
    let files = land.authority.certify(&["evil.example"]);
    let mut impostor = Impostor::secured(land.s2s[0], "evil.example", Some(&files));
    impostor.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    impostor.hears("success");
    impostor.reopen("evil.example");
    impostor.hears("features");
    for other in ["b.example", "a.example", "conference.a.example"] {
        impostor.say(&format!("<db:result from='{other}' to='a.example'>made up</db:result>"));
        let result = impostor.hears("result");
        assert_eq!(result.attr("type"), Some("error"), "{result:?}");
    }
    impostor.say("<message from='x@evil.example' to='romeo@a.example'><body>own</body></message>");
    hears_body(&mut romeo, "own");
    impostor.say("<message from='x@evil.example' to='juliet@b.example'><body>on</body></message>");
    assert_eq!(impostor.ends_with(), "host-unknown");
    juliet.send("<message to='juliet@b.example' type='chat'><body>mine</body></message>");
    let first = hears(&mut juliet, |it| it.name() == "message");
    assert_eq!(body(&first).as_deref(), Some("mine"));
    heard_nothing(&mut romeo);
}

#[test]
fn a_certificate_proves_nothing_about_a_domain_that_is_not_in_it() {
    let land = Land::start(Proof::Certificate);
    let (mut romeo, _juliet) = land.lovers();
    let files = land.authority.certify(&["evil.example"]);
    let mut impostor = Impostor::secured(land.s2s[0], "b.example", Some(&files));
    impostor.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    let failure = impostor.hears("failure");
    assert!(failure.child("not-authorized", ns::SASL).is_some(), "{failure:?}");
    impostor.say("<db:result from='b.example' to='a.example'>key</db:result>");
    assert_eq!(impostor.hears("result").attr("type"), Some("error"));
    impostor.say(HELLO);
    assert_eq!(impostor.ends_with(), "not-authorized");
    heard_nothing(&mut romeo);
}

#[test]
fn without_tls_and_without_proof_nothing_is_delivered() {
    let land = Land::start(Proof::Dialback);
    let (mut romeo, _juliet) = land.lovers();
    let mut impostor = Impostor::dial(land.s2s[0], "b.example");
    impostor.hears("features");
    impostor.say(HELLO);
    assert_eq!(impostor.ends_with(), "not-authorized");
    let mut impostor = Impostor::secured(land.s2s[0], "b.example", None);
    impostor.say("<db:verify from='b.example' to='a.example' id='x' type='valid'/>");
    assert_eq!(impostor.ends_with(), "policy-violation");
    let mut impostor = Impostor::dial(land.s2s[0], "a.example");
    assert_eq!(impostor.ends_with(), "invalid-from");
    heard_nothing(&mut romeo);
}

#[test]
fn streams_that_prove_nothing_are_closed_in_time_and_few_come_from_one_address() {
    let authority = super::land::Authority::new();
    let s2s = super::land::free();
    let other = ("b.example", super::land::free());
    let files = authority.certify(&["a.example"]);
    let own = ("a.example", Some(&files));
    let settings = super::land::settings(own, s2s, other, &authority.file());
    let settings = settings
        .replace("[s2s]\n", "[s2s]\nnegotiation_seconds = 2\nconnections_per_address = 3\n");
    let _stage = crate::stage::Stage::start(&(settings + "[limits]\nenabled = true\n"));
    let mut idle: Vec<Impostor> = (0..3).map(|_| Impostor::dial(s2s, "evil.example")).collect();
    for impostor in &mut idle {
        impostor.hears("features");
    }
    let mut fourth = TcpStream::connect(s2s).unwrap();
    assert_eq!(fourth.read(&mut [0; 1]).unwrap(), 0, "one too many");
    for impostor in &mut idle {
        assert_eq!(impostor.ends_with(), "connection-timeout");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a process takes is what is looked at")]
fn whoever_names_domains_that_nobody_can_look_up_gains_no_time() {
    const SECONDS: u64 = 4;
    // It hears what it is asked, and says nothing.
    let mute = UdpSocket::bind("127.0.0.1:0").unwrap();
    let names = mute.local_addr().unwrap();
    let slow = format!(
        "[s2s]\nnegotiation_seconds = {SECONDS}\ndane = 'use'\ndane_of = {{ 'evil.example' = 'off' }}\n\
         [dns]\nservers = ['{names}']\n"
    );
    let land = Land::start_with(Proof::Certificate, &slow);
    let began = Instant::now();
    let mut impostor = Impostor::secured(land.s2s[0], "evil.example", None);
    let claim = |number: u64| {
        format!("<db:result from='d{number}.example' to='a.example'>forged</db:result>")
    };
    impostor.say(&(0..5).map(claim).collect::<String>());
    assert!(impostor.rest().ends_with("</stream:stream>"));
    let most = Duration::from_secs(3 * SECONDS);
    assert!(began.elapsed() < most, "{:?}", began.elapsed());
}

#[test]
fn keys_of_servers_that_never_answer_hold_up_nobody_else() {
    const CLAIMED: usize = 160;
    // It takes connections, and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = mute.local_addr().unwrap();
    let routes = (0..CLAIMED).map(|number| format!("'d{number}.mute.example' = '{mute}'\n"));
    let routes = format!("[s2s.route]\n{}", routes.collect::<String>());
    let land = Land::start_with(Proof::Dialback, &routes);
    let (mut romeo, mut juliet) = land.lovers();
    let from = Ipv4Addr::new(127, 0, 0, 9);
    let mut impostors = Vec::new();
    for claims in (0..CLAIMED).collect::<Vec<_>>().chunks(4) {
        let name = format!("d{}.mute.example", claims[0]);
        let mut impostor = Impostor::secured_from(from, land.s2s[0], &name);
        for number in claims {
            impostor.say(&format!(
                "<db:result from='d{number}.mute.example' to='a.example'>forged</db:result>"
            ));
        }
        // One more than a stranger may ask for: the others are being looked at when this one is refused.
        impostor.say("<db:result from='more.example' to='a.example'>forged</db:result>");
        let refused = impostor.hears("result");
        assert_eq!(refused.attr("type"), Some("error"), "{refused:?}");
        impostors.push(impostor);
    }
    juliet.send("<message to='romeo@a.example' type='chat'><body>true</body></message>");
    hears_body(&mut romeo, "true");
}

/// A server of this domain, let in by its certificate.
pub(super) fn let_in(land: &Land, domain: &str) -> Impostor {
    let_in_after(land, domain, "")
}

/// The same, which takes stanzas on its stream too.
pub(super) fn let_in_both_ways(land: &Land, domain: &str) -> Impostor {
    let_in_after(land, domain, "<bidi xmlns='urn:xmpp:bidi'/>")
}

fn let_in_after(land: &Land, domain: &str, first: &str) -> Impostor {
    let files = land.authority.certify(&[domain]);
    let mut impostor = Impostor::secured(land.s2s[0], domain, Some(&files));
    impostor.say(first);
    impostor.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    impostor.hears("success");
    impostor.reopen(domain);
    impostor.hears("features");
    impostor
}

#[test]
fn who_ends_its_stream_hears_of_all_that_it_has_sent() {
    let land = Land::start(Proof::Certificate);
    let (mut romeo, _juliet) = land.lovers();
    let mut other = let_in(&land, "other.example");
    other.say("<enable xmlns='urn:xmpp:sm:3'/>");
    other.hears("enabled");
    let say = |number: usize| {
        format!(
            "<message from='x@other.example' to='romeo@a.example' type='chat'><body>{number}</body></message>"
        )
    };
    other.say(&((0..100).map(say).collect::<String>() + "</stream:stream>"));
    let mut last = None;
    while let Some(next) = other.next() {
        assert!(next.is("a", ns::SM), "{next:?}");
        last = next.attr("h").map(str::to_owned);
    }
    assert_eq!(last.as_deref(), Some("100"));
    hears_body(&mut romeo, "99");
}

#[test]
fn no_domain_takes_the_places_of_all_others() {
    let few = "[s2s]\nconnections_per_domain = 2\n[limits]\nenabled = true\n";
    let land = Land::start_with(Proof::Certificate, few);
    let (mut romeo, mut juliet) = land.lovers();
    let _two = [let_in(&land, "evil.example"), let_in(&land, "evil.example")];
    let files = land.authority.certify(&["evil.example"]);
    let mut third = Impostor::secured(land.s2s[0], "evil.example", Some(&files));
    third.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    let said = third.rest();
    assert!(said.contains("<resource-constraint"), "{said}");
    juliet.send("<message to='romeo@a.example' type='chat'><body>still</body></message>");
    hears_body(&mut romeo, "still");
}
