//! Proof of identity under attack: bad exchanges, other people's names, changed proofs, guessing, and asking
//! who is there.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use auth::ChannelBinding;
use auth::scram::Hash;
use auth::scram::client::{ClientBinding, ScramClient};

use super::bystander::Bystander;
use super::wire::{HEADER, Wire, auth_element, get, plain};
use super::{guarded, secure};
use crate::stage::{PASSWORD, Stage};

/// The next element: how the server answers a step.
fn answer(wire: &mut Wire) -> String {
    let tag = wire.until(">");
    let name = tag.trim_start_matches('<').split([' ', '>', '/']).next().unwrap_or_default();
    if tag.ends_with("/>") {
        tag.clone()
    } else {
        format!("{tag}{}", wire.until(&format!("</{name}>")))
    }
}

/// What a challenge or a success says.
fn data(answer: &str) -> Vec<u8> {
    let text = answer.split('>').nth(1).and_then(|rest| rest.split('<').next());
    auth::encoding::decode(text.unwrap_or_default()).expect("the server writes base64")
}

fn response(message: &[u8]) -> String {
    let message = auth::encoding::encode_present(message);
    format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{message}</response>")
}

// RFC 6120 §6.4, §6.5
#[test]
fn a_bad_exchange_fails_aloud() {
    let stage = guarded();
    stage.add_accounts(&["tybalt"]);
    let bystander = Bystander::beside(&stage);
    let long = format!("\0{}\0pencil", "x".repeat(2_000));
    let cases: [(&str, &[u8]); 26] = [
        ("PLAIN", b""),
        ("PLAIN", b"\0\0"),
        ("PLAIN", b"\0tybalt"),
        ("PLAIN", b"\0tybalt\0"),
        ("PLAIN", b"\0\0pencil"),
        ("PLAIN", b"\0tybalt\0pencil\0"),
        ("PLAIN", b"\0tybalt\0pen\0cil"),
        ("PLAIN", b"\0tybalt\0PENCIL"),
        ("PLAIN", b"\0tybalt' OR '1'='1\0pencil"),
        ("PLAIN", b"\0../../tybalt\0pencil"),
        ("PLAIN", b"\0ty\x07balt\0pencil"),
        ("PLAIN", b"\0ty\xffbalt\0pencil"),
        ("PLAIN", b"\0tybalt@elsewhere.example\0pencil"),
        ("PLAIN", long.as_bytes()),
        ("plain", b"\0tybalt\0pencil"),
        ("", b"\0tybalt\0pencil"),
        ("EXTERNAL", b"tybalt"),
        ("ANONYMOUS", b""),
        ("DIGEST-MD5", b"tybalt"),
        ("SCRAM-SHA-256-PLUS", b"p=tls-exporter,,n=tybalt,r=abc"),
        ("SCRAM-SHA-256", b"n,,n=,r=abc"),
        ("SCRAM-SHA-256", b"n,,n=tybalt"),
        ("SCRAM-SHA-256", b"n,,m=x,n=tybalt,r=abc"),
        ("SCRAM-SHA-256", b"n,,n=ty=balt,r=abc"),
        ("SCRAM-SHA-256", b"n,,r=abc,n=tybalt"),
        ("SCRAM-SHA-256", b"x,,n=tybalt,r=abc"),
    ];
    for (mechanism, message) in cases {
        let mut wire = Wire::open(stage.c2s);
        wire.say(&auth_element(mechanism, message));
        let heard = answer(&mut wire);
        let shown = String::from_utf8_lossy(message);
        assert!(heard.starts_with("<failure"), "{mechanism} {shown:?}: {heard}");
    }
    let mut wire = Wire::open(stage.c2s);
    wire.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>!no base64!</auth>");
    assert!(answer(&mut wire).contains("incorrect-encoding"));
    bystander.was_not_hurt("bad exchanges");
}

// RFC 6120 §6.3.8, §6.5.6
#[test]
fn nobody_becomes_somebody_else() {
    let stage = guarded();
    stage.add_accounts(&["romeo", "tybalt"]);
    let bystander = Bystander::beside(&stage);
    for other in ["romeo", "romeo@localhost", "admin", "localhost"] {
        let mut wire = Wire::open(stage.c2s);
        wire.say(&auth_element("PLAIN", format!("{other}\0tybalt\0{PASSWORD}").as_bytes()));
        let heard = answer(&mut wire);
        assert!(heard.contains("invalid-authzid"), "as {other}: {heard}");
    }
    let mut wire = Wire::open(stage.c2s);
    let mut scram = client("tybalt", ClientBinding::Unsupported).with_authzid("romeo@localhost");
    let heard = exchange(&mut wire, &mut scram, "SCRAM-SHA-256", str::to_owned);
    assert!(heard.contains("invalid-authzid"), "{heard}");
    let mut wire = Wire::open(stage.c2s);
    wire.say(&plain("tybalt", PASSWORD));
    wire.until("<success");
    wire.say(&HEADER.replace("localhost", "elsewhere.example"));
    let heard = wire.rest();
    assert!(heard.contains("<stream:error>"), "another domain after log-in: {heard}");
    bystander.was_not_hurt("other people's names");
}

fn client(name: &str, binding: ClientBinding) -> ScramClient {
    ScramClient::new(Hash::Sha256, name, PASSWORD, "fyko+d2lbbFgONRv9qkxdawL", binding).unwrap()
}

/// A SCRAM exchange whose last message is changed; what the server answers to it.
fn exchange(
    wire: &mut Wire,
    scram: &mut ScramClient,
    mechanism: &str,
    change: impl Fn(&str) -> String,
) -> String {
    wire.say(&auth_element(mechanism, &scram.first()));
    let challenge = answer(wire);
    if !challenge.starts_with("<challenge") {
        return challenge;
    }
    let last = scram.answer(&data(&challenge)).expect("the server's part is sound");
    wire.say(&response(change(&String::from_utf8(last).unwrap()).as_bytes()));
    answer(wire)
}

/// What is done to a client's last message.
type Change<'a> = &'a dyn Fn(&str) -> String;

// RFC 5802 §5.1, §6, §7; RFC 9266
#[test]
fn a_changed_proof_proves_nothing() {
    let stage = guarded();
    // An account for each try, so that nobody is slowed down.
    let names: Vec<String> = (0..12).map(|number| format!("tybalt-{number}")).collect();
    stage.add_accounts(&names);
    let bystander = Bystander::beside(&stage);
    const PLUS: &str = "SCRAM-SHA-256-PLUS";
    let mut names = names.into_iter();
    let mut next = || names.next().expect("as many accounts as tries");
    let mut attempt = |change: Change<'_>| {
        let (mut wire, agreed) = secure::open(stage.c2s_tls);
        let binding = ClientBinding::Used(ChannelBinding::TlsExporter(agreed.exporter));
        exchange(&mut wire, &mut client(&next(), binding), PLUS, change)
    };
    let replayed = std::cell::RefCell::new(String::new());
    let sound = attempt(&|last| replayed.replace(last.to_owned()) + last);
    assert!(sound.starts_with("<success"), "{sound}");
    let changes: [(&str, Change<'_>); 8] = [
        ("replay", &|_| replayed.borrow().clone()),
        ("no proof", &|last| last.split(",p=").next().unwrap_or_default().to_owned()),
        ("proof of zeros", &|last| {
            let start = last.split(",p=").next().unwrap_or_default();
            format!("{start},p={}", auth::encoding::encode(&[0; 32]))
        }),
        ("short proof", &|last| format!("{}=", last.get(..last.len() - 5).unwrap_or_default())),
        ("other nonce", &|last| last.replace(",r=fyko", ",r=okyf")),
        ("no nonce", &|last| last.replace(",r=", ",x=")),
        ("no binding", &|last| {
            last.replacen(last.split(',').next().unwrap_or_default(), "c=biws", 1)
        }),
        ("more behind", &|last| format!("{last},x=y,p=AAAA")),
    ];
    for (what, change) in changes {
        let heard = attempt(change);
        assert!(heard.starts_with("<failure"), "{what}: {heard}");
    }
    let (mut wire, _) = secure::open(stage.c2s_tls);
    let foreign = ClientBinding::Used(ChannelBinding::TlsExporter(vec![0; 32]));
    let heard = exchange(&mut wire, &mut client("tybalt-10", foreign), PLUS, str::to_owned);
    assert!(heard.contains("not-authorized"), "another's binding: {heard}");
    // It could bind, and was told that the server cannot: somebody changed the offer.
    let mut unoffered = client("tybalt-11", ClientBinding::Unoffered);
    let heard = exchange(&mut wire, &mut unoffered, "SCRAM-SHA-256", str::to_owned);
    assert!(heard.starts_with("<failure"), "downgrade: {heard}");
    bystander.was_not_hurt("changed proofs");
}

/// Tries a proof of nothing for this account.
fn guess(wire: &mut Wire, name: &str) -> String {
    wire.say(&auth_element("SCRAM-SHA-256", format!("n,,n={name},r=abcdefgh").as_bytes()));
    let first = answer(wire);
    if !first.starts_with("<challenge") {
        return first;
    }
    let first = String::from_utf8(data(&first)).unwrap();
    let nonce = first.split(',').next().unwrap_or_default();
    let proof = auth::encoding::encode(&[0; 32]);
    wire.say(&response(format!("c=biws,{nonce},p={proof}").as_bytes()));
    answer(wire)
}

// RFC 6120 §6.4.5
#[test]
fn a_connection_has_five_tries() {
    let stage = guarded();
    let bystander = Bystander::beside(&stage);
    let mut wire = Wire::open(stage.c2s);
    for number in 0..5 {
        let heard = guess(&mut wire, &format!("nobody-{number}"));
        assert!(heard.contains("not-authorized"), "{heard}");
    }
    let heard = wire.rest();
    assert!(heard.contains("policy-violation"), "{heard}");
    bystander.was_not_hurt("five tries");
}

/// Where a stage listens on the other address of loopback.
fn elsewhere(stage: &Stage) -> SocketAddr {
    let log = stage.log.lock().unwrap();
    let words = log.split_whitespace().map(|word| word.trim_end_matches(','));
    let mut found = words.filter_map(|word| word.parse().ok());
    found.find(SocketAddr::is_ipv6).expect("the server names all its addresses")
}

// XEP-0205 §4.5; an account is never locked for its owner.
#[test]
fn whoever_guesses_is_slowed_and_the_owner_is_let_in_from_elsewhere() {
    if TcpListener::bind("[::1]:0").is_err() {
        return println!("skipped: this machine has no second address of loopback");
    }
    let stage =
        Stage::start("[listen]\nc2s = ['[::1]:0', '127.0.0.1:0']\n[limits]\nenabled = true");
    stage.add_accounts(&["juliet"]);
    let bystander = Bystander::beside(&stage);
    let begun = Instant::now();
    for connection in 0..14 {
        let mut wire = Wire::open(stage.c2s);
        for number in 0..5 {
            // Any account, so that only the address tells that this is one guesser.
            guess(&mut wire, &format!("nobody-{connection}-{number}"));
        }
    }
    if begun.elapsed() < Duration::from_secs(15) {
        let page = get(stage.http, "/metrics");
        assert!(!page.contains("\nrookery_logins_throttled_total 0\n"), "nobody was slowed");
        // Twice a second a try is earned back, and on a slow machine that may be just now: the guesser takes it first.
        let is_refused = (0..10).any(|number| {
            let mut guesser = Wire::open(stage.c2s);
            guess(&mut guesser, &format!("nobody-at-last-{number}"));
            guesser.say(&plain("juliet", PASSWORD));
            answer(&mut guesser).contains("not-authorized")
        });
        assert!(is_refused, "the address is out of tries");
    }
    let mut owner = Wire::open(elsewhere(&stage));
    owner.say(&plain("juliet", PASSWORD));
    assert!(answer(&mut owner).starts_with("<success"), "the owner is locked out");
    bystander.was_not_hurt("guessing");
}

/// The server's first message for this name, and how long it took.
fn challenge(wire: &mut Wire, name: &str) -> (String, Duration) {
    let begun = Instant::now();
    wire.say(&auth_element("SCRAM-SHA-256", format!("n,,n={name},r=abc").as_bytes()));
    let heard = answer(wire);
    let time = begun.elapsed();
    wire.say("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    answer(wire);
    (String::from_utf8(data(&heard)).unwrap(), time)
}

/// Salt and iterations in a server's first message.
fn terms(first: &str) -> (String, String) {
    let of = |name| first.split(',').find_map(|part| part.strip_prefix(name));
    (of("s=").unwrap_or_default().to_owned(), of("i=").unwrap_or_default().to_owned())
}

/// How often one of the first took longer than one of the second: a half, if the two are alike.
fn area_under_the_curve(first: &[Duration], second: &[Duration]) -> f64 {
    let longer = first.iter().map(|a| second.iter().filter(|b| a > *b).count()).sum::<usize>();
    longer as f64 / (first.len() * second.len()) as f64
}

// RFC 6120 §13.11; RFC 5802 §9
#[test]
fn who_has_an_account_is_not_told() {
    let stage = guarded();
    stage.add_accounts(&["juliet"]);
    let bystander = Bystander::beside(&stage);
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    let mut shapes = Vec::new();
    // By turns, so that what else the machine does falls on both alike.
    for _ in 0..500 {
        let mut wire = Wire::open(stage.c2s);
        // The first on a connection may take longer; it is the same for both.
        challenge(&mut wire, "paris");
        let (here, time) = challenge(&mut wire, "juliet");
        known.push(time);
        let (nowhere, time) = challenge(&mut wire, "rosaline");
        unknown.push(time);
        shapes.push((terms(&here), terms(&nowhere)));
        let mut wire = Wire::open(stage.c2s);
        challenge(&mut wire, "paris");
        unknown.push(challenge(&mut wire, "rosaline").1);
        known.push(challenge(&mut wire, "juliet").1);
    }
    let ((salt, iterations), (made_up, the_same)) = shapes[0].clone();
    assert_eq!((iterations, salt.len()), (the_same, made_up.len()));
    assert_ne!(salt, made_up);
    assert!(shapes.iter().all(|shape| *shape == shapes[0]), "a salt that changes is made up");
    let area = area_under_the_curve(&known, &unknown);
    println!("enumeration: area under the curve {area:.3} over {} tries", known.len());
    assert!((0.45..0.55).contains(&area), "{area}");
    bystander.was_not_hurt("enumeration");
}

/// How a wrong password for this name is answered, and after what time.
fn wrong_password(wire: &mut Wire, name: &str) -> (String, Duration) {
    let begun = Instant::now();
    wire.say(&plain(name, "wrong"));
    let heard = answer(wire);
    (heard, begun.elapsed())
}

// RFC 6120 §13.11: a password is checked against a made-up verifier where there is none, at the same cost.
#[test]
fn a_wrong_password_costs_the_same_whoever_it_is_for() {
    // Without rates, which would slow the tries down.
    let stage = Stage::start("");
    stage.add_accounts(&["juliet"]);
    let bystander = Bystander::beside(&stage);
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..150 {
        let mut wire = Wire::open(stage.c2s);
        // Four of the five tries of a connection; who comes first takes turns.
        for first in [number % 2 == 0, number % 2 != 0] {
            let names = if first { ["juliet", "rosaline"] } else { ["rosaline", "juliet"] };
            let tries = names.map(|name| wrong_password(&mut wire, name));
            assert_eq!(tries[0].0, tries[1].0, "the answers differ");
            let [one, other] = tries.map(|(_, time)| time);
            let (here, nowhere) = if first { (one, other) } else { (other, one) };
            known.push(here);
            unknown.push(nowhere);
        }
    }
    let area = area_under_the_curve(&known, &unknown);
    println!("wrong passwords: area under the curve {area:.3} over {} tries", known.len());
    assert!((0.4..0.6).contains(&area), "{area}");
    bystander.was_not_hurt("wrong passwords");
}
