//! Whole negotiations, and every way to get one wrong (the attacks that a gate meets).

use super::*;
use crate::scram::{ClientBinding, Hash, ScramClient};
use crate::{ChannelBinding, Terms, encoding};

const DOMAIN: &str = "montague.example";
const ITERATIONS: u32 = crate::credentials::DEFAULT_ITERATIONS;

fn channel() -> ChannelBinding {
    ChannelBinding::TlsExporter(vec![7; 32])
}

fn offer() -> Offer {
    let bindings = vec![channel(), ChannelBinding::TlsServerEndPoint(vec![8; 32])];
    Offer::new(Terms { tls: true, plain: true, downgrade_hash: true, bindings, ..Terms::default() })
}

fn context() -> Context {
    Context {
        domain: DOMAIN.to_owned(),
        offer: offer(),
        nonce: *b"twenty-four fresh octets",
        decoy_secret: b"a secret of the cluster".to_vec(),
        iterations: ITERATIONS,
    }
}

/// Romeo's credentials, derived once for all tests.
fn romeo() -> &'static Credentials {
    static ROMEO: std::sync::OnceLock<Credentials> = std::sync::OnceLock::new();
    ROMEO.get_or_init(|| {
        let salts = [[1; 16], [2; 16], [3; 16]];
        Credentials::derive("wherefore", ITERATIONS, salts).expect("a good password")
    })
}

fn lookup(username: &str) -> Option<&'static Credentials> {
    username.eq_ignore_ascii_case("romeo").then(romeo)
}

fn client(hash: Hash, username: &str, password: &str) -> ScramClient {
    let unbound = ClientBinding::Unsupported;
    ScramClient::new(hash, username, password, "client", unbound).expect("plain names")
}

/// Drives the server through SCRAM up to the challenge.
fn challenge(mechanism: Mechanism, client: &ScramClient) -> (Negotiation, Vec<u8>) {
    let (mut server, step) = Negotiation::start(mechanism.name(), Some(&client.first()), context());
    let Step::NeedCredentials { username } = step else { panic!("{step:?}") };
    let Step::Challenge(challenge) = server.credentials(lookup(&username)) else {
        panic!("no challenge for {username}")
    };
    (server, challenge)
}

fn scram(mechanism: Mechanism, client: &mut ScramClient) -> Step {
    let (mut server, challenge) = challenge(mechanism, client);
    let last = client.answer(&challenge).expect("a good challenge");
    server.step(&last)
}

/// Runs PLAIN to its end.
fn plain(message: &[u8]) -> Step {
    let (mut server, step) = Negotiation::start("PLAIN", Some(message), context());
    match step {
        Step::NeedPasswordCheck(check) => {
            let outcome = check.verify(lookup(&check.username));
            server.password_checked(outcome)
        }
        other => other,
    }
}

#[track_caller]
fn assert_failure(step: &Step, failure: Failure) {
    assert!(matches!(step, Step::Failure(actual) if *actual == failure), "{step:?}");
}

#[test]
fn the_right_password_succeeds_by_every_mechanism() {
    for hash in Hash::ALL {
        let bound = ClientBinding::Used(channel());
        let bound = ScramClient::new(hash, "romeo", "wherefore", "client", bound);
        let clients = [
            (Mechanism::Scram(hash), client(hash, "romeo", "wherefore")),
            (Mechanism::ScramPlus(hash), bound.expect("plain names")),
        ];
        for (mechanism, mut client) in clients {
            let step = scram(mechanism, &mut client);
            let Step::Success { username, additional: Some(signature) } = step else {
                panic!("{mechanism}: {step:?}")
            };
            assert_eq!(username, "romeo");
            assert_eq!(client.verify(&signature), Ok(()));
        }
    }
    let step = plain(b"\0romeo\0wherefore");
    assert!(
        matches!(&step, Step::Success { username, additional: None } if username == "romeo"),
        "{step:?}"
    );
}

#[test]
fn a_wrong_password_and_an_unknown_user_fail_alike() {
    for (username, password) in [("romeo", "therefore"), ("rosaline", "wherefore")] {
        for hash in Hash::ALL {
            let step = scram(Mechanism::Scram(hash), &mut client(hash, username, password));
            assert_failure(&step, Failure::NotAuthorized);
        }
        let message = plain::message("", username, password);
        assert_failure(&plain(&message), Failure::NotAuthorized);
    }
}

/// The challenge with the values taken out that differ from user to user.
fn shape(challenge: &[u8]) -> String {
    let text = std::str::from_utf8(challenge).expect("SCRAM is text");
    let salt = salt(challenge);
    assert_eq!(encoding::decode(&salt).map(|salt| salt.len()), Ok(16));
    text.replace(&salt, "SALT")
}

fn salt(challenge: &[u8]) -> String {
    let text = std::str::from_utf8(challenge).expect("SCRAM is text");
    let salt = text.split(',').find_map(|attribute| attribute.strip_prefix("s="));
    salt.expect("a salt").to_owned()
}

#[test]
fn the_challenge_for_an_unknown_user_has_the_shape_of_a_known_users() {
    for hash in Hash::ALL {
        let ask = |name| challenge(Mechanism::Scram(hash), &client(hash, name, "guess")).1;
        assert_eq!(shape(&ask("romeo")), shape(&ask("rosaline")));
        assert_eq!(ask("rosaline"), ask("rosaline"), "the made-up salt is stable");
        assert_ne!(salt(&ask("rosaline")), salt(&ask("tybalt")));
        for (one, other) in [("romeo", "Romeo"), ("rosaline", "ROSALINE")] {
            assert_eq!(salt(&ask(one)), salt(&ask(other)), "spellings of one account");
        }
        let full = format!("rosaline@{DOMAIN}");
        assert_eq!(salt(&ask("rosaline")), salt(&ask(&full)));
    }
}

#[test]
fn an_account_without_the_hash_looks_like_a_wrong_password() {
    let octets = romeo().encode();
    let mut sha1_only = octets[..2 + 22 + 40].to_vec();
    sha1_only[1] = 1;
    let sha1_only = Credentials::decode(&sha1_only).expect("one verifier");
    let mut client = client(Hash::Sha256, "romeo", "wherefore");
    let (mut server, _) = Negotiation::start("SCRAM-SHA-256", Some(&client.first()), context());
    let Step::Challenge(challenge) = server.credentials(Some(&sha1_only)) else {
        panic!("no challenge")
    };
    let last = client.answer(&challenge).expect("a good challenge");
    assert_failure(&server.step(&last), Failure::NotAuthorized);
}

#[test]
fn without_an_initial_response_the_server_asks_for_it() {
    for mechanism in offer().mechanisms() {
        let (mut server, step) = Negotiation::start(mechanism.name(), None, context());
        assert!(matches!(&step, Step::Challenge(empty) if empty.is_empty()), "{step:?}");
        assert_failure(&server.step(b""), Failure::MalformedRequest);
    }
    let (mut server, _) = Negotiation::start("PLAIN", None, context());
    let step = server.step(b"\0romeo\0wherefore");
    assert!(matches!(step, Step::NeedPasswordCheck(_)), "{step:?}");
}

#[test]
fn a_mechanism_that_is_not_offered_fails_whatever_it_carries() {
    let names = ["", "EXTERNAL", "DIGEST-MD5", "ANONYMOUS", "plain", "SCRAM-SHA-1-", "X-\u{1f600}"];
    for name in names {
        let (mut server, step) = Negotiation::start(name, Some(b"\0romeo\0wherefore"), context());
        assert_failure(&step, Failure::InvalidMechanism);
        assert_failure(&server.step(b"\0romeo\0wherefore"), Failure::MalformedRequest);
    }
    let clear = Offer::new(Terms { plain: true, ..Terms::default() });
    let context = Context { offer: clear, ..context() };
    let (_, step) = Negotiation::start("PLAIN", Some(b"\0romeo\0wherefore"), context);
    assert_failure(&step, Failure::EncryptionRequired);
}

// RFC 6120 §6.3.8
#[test]
fn nobody_may_act_as_another() {
    let others = ["juliet", "juliet@montague.example", "romeo@capulet.example", "admin", "@"];
    for authzid in others {
        let message = plain::message(authzid, "romeo", "wherefore");
        assert_failure(&plain(&message), Failure::InvalidAuthzid);
        let first = client(Hash::Sha1, "romeo", "wherefore").with_authzid(authzid).first();
        let (_, step) = Negotiation::start("SCRAM-SHA-1", Some(&first), context());
        assert_failure(&step, Failure::InvalidAuthzid);
    }
    for authzid in ["romeo", "romeo@montague.example"] {
        let message = plain::message(authzid, "romeo", "wherefore");
        assert!(matches!(plain(&message), Step::Success { .. }));
        let mut client = client(Hash::Sha1, "romeo", "wherefore").with_authzid(authzid);
        let step = scram(Mechanism::Scram(Hash::Sha1), &mut client);
        assert!(matches!(step, Step::Success { .. }), "{authzid}: {step:?}");
    }
}

#[test]
fn a_hostile_message_never_succeeds() {
    let names = [
        "' OR '1'='1",
        "romeo' --",
        "romeo; DROP TABLE users",
        "../../etc/passwd",
        "..\\..\\sam",
        "romeo/orchard",
        "romeo@",
        "*",
        "%",
        "${jndi:ldap://x}",
        "romeo\n",
        "romeo\r\nx",
        "\u{202e}",
        "romeo\u{7f}",
        "\u{feff}romeo\u{fffd}",
        " ",
        "&lt;auth/&gt;",
    ];
    for name in names {
        let message = plain::message("", name, "wherefore");
        let step = plain(&message);
        assert!(matches!(step, Step::Failure(_)), "{name:?}: {step:?}");
        let first = format!("n,,n={},r=client", name.replace('=', "=3D"));
        let (_, step) = Negotiation::start("SCRAM-SHA-1", Some(first.as_bytes()), context());
        let answered = matches!(step, Step::NeedCredentials { .. } | Step::Failure(_));
        assert!(answered, "{name:?}: {step:?}");
    }
    let huge = vec![b'a'; 1_000_000];
    let messages: [&[u8]; 7] = [
        b"",
        b"\0",
        b"\0\0",
        b"\0\0\0\0",
        b"\xff\xfe\0romeo\0wherefore",
        &huge,
        b"romeo\0wherefore",
    ];
    for message in messages {
        for mechanism in offer().mechanisms() {
            let (_, step) = Negotiation::start(mechanism.name(), Some(message), context());
            assert_failure(&step, Failure::MalformedRequest);
        }
    }
}

#[test]
fn a_message_beyond_the_limit_is_refused_however_well_formed() {
    let first = |length: usize| {
        let message = format!("n,,n=romeo,r={}", "x".repeat(length - "n,,n=romeo,r=".len()));
        Negotiation::start("SCRAM-SHA-1", Some(message.as_bytes()), context()).1
    };
    assert!(matches!(first(MAX_MESSAGE_BYTES), Step::NeedCredentials { .. }));
    assert_failure(&first(MAX_MESSAGE_BYTES + 1), Failure::MalformedRequest);
}

#[test]
fn a_message_out_of_turn_ends_the_negotiation() {
    let mut romeo_client = client(Hash::Sha1, "romeo", "wherefore");
    let first = romeo_client.first();

    let (mut early, _) = Negotiation::start("SCRAM-SHA-1", Some(&first), context());
    assert_failure(&early.step(&first), Failure::MalformedRequest);
    assert_failure(&early.credentials(Some(romeo())), Failure::TemporaryAuthFailure);

    let (mut server, challenge) = challenge(Mechanism::Scram(Hash::Sha1), &romeo_client);
    let last = romeo_client.answer(&challenge).expect("a good challenge");
    assert!(matches!(server.step(&last), Step::Success { .. }));
    assert_failure(&server.step(&last), Failure::MalformedRequest);
    assert_failure(&server.credentials(Some(romeo())), Failure::TemporaryAuthFailure);
    assert_failure(&server.password_checked(true), Failure::TemporaryAuthFailure);

    let (mut first_again, _) = self::challenge(Mechanism::Scram(Hash::Sha1), &romeo_client);
    assert_failure(&first_again.step(&first), Failure::MalformedRequest);
    assert_failure(&first_again.step(&last), Failure::MalformedRequest);

    let (mut plain, _) = Negotiation::start("PLAIN", Some(b"\0romeo\0guess"), context());
    assert_failure(&plain.step(b"\0romeo\0wherefore"), Failure::MalformedRequest);
    assert_failure(&plain.password_checked(true), Failure::TemporaryAuthFailure);
}

#[test]
fn a_password_check_cannot_pass_a_scram_exchange() {
    let client = client(Hash::Sha1, "romeo", "guess");
    let (mut server, _) = challenge(Mechanism::Scram(Hash::Sha1), &client);
    assert_failure(&server.password_checked(true), Failure::TemporaryAuthFailure);
}

#[test]
fn a_proof_holds_for_its_own_nonce_only() {
    let mut client = client(Hash::Sha1, "romeo", "wherefore");
    let (_, challenge) = challenge(Mechanism::Scram(Hash::Sha1), &client);
    let last = client.answer(&challenge).expect("a good challenge");
    let later = Context { nonce: [9; NONCE_LEN], ..context() };
    let (mut server, _) = Negotiation::start("SCRAM-SHA-1", Some(&client.first()), later);
    assert!(matches!(server.credentials(Some(romeo())), Step::Challenge(_)));
    assert_failure(&server.step(&last), Failure::NotAuthorized);
}

// RFC 6120 §6.4.4
#[test]
fn an_abort_ends_the_negotiation() {
    let mut client = client(Hash::Sha1, "romeo", "wherefore");
    let (mut server, challenge) = challenge(Mechanism::Scram(Hash::Sha1), &client);
    let last = client.answer(&challenge).expect("a good challenge");
    assert_failure(&server.abort(), Failure::Aborted);
    assert_failure(&server.step(&last), Failure::MalformedRequest);
}

#[test]
fn the_gate_knows_when_a_proof_is_about_to_be_judged() {
    let mut client = client(Hash::Sha1, "romeo", "wherefore");
    let (server, _) = Negotiation::start("SCRAM-SHA-1", Some(&client.first()), context());
    assert_eq!(server.awaits_proof_of(), None);
    let (mut server, challenge) = challenge(Mechanism::Scram(Hash::Sha1), &client);
    assert_eq!(server.awaits_proof_of(), Some("romeo"));
    let last = client.answer(&challenge).expect("a good challenge");
    assert!(matches!(server.step(&last), Step::Success { .. }));
    assert_eq!(server.awaits_proof_of(), None);
}

#[test]
fn no_step_prints_a_password() {
    let (server, step) = Negotiation::start("PLAIN", Some(b"\0romeo\0wherefore"), context());
    let printed = format!("{server:?} {step:?} {:?}", context());
    assert!(printed.contains("romeo") && !printed.contains("wherefore"), "{printed}");
}

// XEP-0178 §2
#[test]
fn a_certificate_lets_in_whom_it_names_at_this_domain() {
    let start = |addresses: &[&str], wanted: &str| {
        let addresses = addresses.iter().map(|it| (*it).to_owned()).collect();
        let offer = Offer::new(Terms { tls: true, addresses, ..Terms::default() });
        Negotiation::start("EXTERNAL", Some(wanted.as_bytes()), Context { offer, ..context() })
    };
    let own = format!("romeo@{DOMAIN}");
    for wanted in ["", own.as_str()] {
        let (mut server, step) = start(&[&own, "romeo@elsewhere.example"], wanted);
        assert!(matches!(step, Step::NeedCredentials { .. }), "{step:?}");
        assert!(matches!(server.credentials(Some(romeo())), Step::Success { .. }));
    }
    let (mut server, _) = start(&[&own], "");
    assert!(matches!(server.credentials(None), Step::Failure(Failure::NotAuthorized)));
    let other = format!("juliet@{DOMAIN}");
    for (addresses, wanted) in [
        (&[own.as_str()][..], other.as_str()),
        (&[&own, &other], ""),
        (&["romeo@elsewhere.example"], ""),
        (&["romeo@elsewhere.example"], own.as_str()),
    ] {
        let (_, step) = start(addresses, wanted);
        assert!(matches!(step, Step::Failure(Failure::InvalidAuthzid)), "{step:?}");
    }
    let (_, step) = start(&[], &own);
    assert!(matches!(step, Step::Failure(Failure::InvalidMechanism)), "{step:?}");
}
