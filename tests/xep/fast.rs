//! XEP-0484 Fast Authentication Streamlining Tokens. A client that has logged in gets a token, and logs in with it.

use std::net::SocketAddr;

use auth::encoding::encode;
use town::Client;
use town::client::Login;
use xmpp::Element;

use crate::stage::{PASSWORD, Stage, shared};

const NS: &str = "urn:xmpp:fast:0";
const SASL2: &str = "urn:xmpp:sasl:2";

/// Logs in by this, with more; what is answered.
fn log_in(at: SocketAddr, mechanism: &str, message: &[u8], more: &str) -> Element {
    let mut client = Client::open(at, "localhost");
    while client.next().is_some_and(|it| it.name() != "features") {}
    client.send(format!(
        "<authenticate xmlns='{SASL2}' mechanism='{mechanism}'>\
         <initial-response>{}</initial-response>{more}</authenticate>",
        encode(message)
    ));
    client.next().expect("an answer")
}

fn device(name: &str) -> String {
    format!("<user-agent id='{name}'/>")
}

/// Logs in by password, and wants a token for this mechanism.
fn with_password(at: SocketAddr, user: &str, name: &str, wanted: &str) -> Element {
    let message = format!("\0{user}\0{PASSWORD}");
    let more = format!("{}<request-token xmlns='{NS}' mechanism='{wanted}'/>", device(name));
    log_in(at, "PLAIN", message.as_bytes(), &more)
}

/// Logs in by token.
fn with_token(at: SocketAddr, user: &str, token: &str, more: &str) -> Element {
    let message = auth::token::message(user, token, b"");
    log_in(at, "HT-SHA-256-NONE", &message, more)
}

fn token(answer: &Element) -> Option<String> {
    let token = answer.child("token", NS)?;
    assert!(xmpp::datetime::parse(token.attr("expiry").unwrap()).is_ok());
    Some(token.attr("token").unwrap().to_owned())
}

fn condition(answer: &Element) -> &str {
    assert_eq!(answer.name(), "failure", "{answer:?}");
    answer.children().next().unwrap().name()
}

fn add(stage: &Stage, name: &str) {
    stage.add_accounts(&[name]);
}

// XEP-0484 §3.2 to §3.4
#[test]
fn a_client_logs_in_with_the_token_that_it_was_given() {
    let stage = shared();
    add(stage, "fast-1");
    let first = token(&with_password(stage.c2s, "fast-1", "d1", "HT-SHA-256-NONE")).unwrap();
    let more = format!("{}<fast xmlns='{NS}'/>", device("d1"));
    for _ in 0..2 {
        let answer = with_token(stage.c2s, "fast-1", &first, &more);
        assert_eq!(answer.name(), "success", "{answer:?}");
        let proof = answer.child("additional-data", SASL2).expect("the server proves itself");
        assert!(!proof.text().is_empty());
        assert_eq!(token(&answer), None, "it is not due");
    }
    // Another one takes its place when it is used (§3.5).
    let wants = format!("{more}<request-token xmlns='{NS}' mechanism='HT-SHA-256-NONE'/>");
    let second = token(&with_token(stage.c2s, "fast-1", &first, &wants)).unwrap();
    assert_eq!(with_token(stage.c2s, "fast-1", &first, &more).name(), "success");
    assert_eq!(with_token(stage.c2s, "fast-1", &second, &more).name(), "success");
    let answer = with_token(stage.c2s, "fast-1", &first, &more);
    assert_eq!(condition(&answer), "not-authorized");
}

// XEP-0484 §3.6
#[test]
fn a_token_ends_when_its_client_says_so() {
    let stage = shared();
    add(stage, "fast-2");
    let given = token(&with_password(stage.c2s, "fast-2", "d1", "HT-SHA-256-NONE")).unwrap();
    let ends = format!("{}<fast xmlns='{NS}' invalidate='true'/>", device("d1"));
    let answer = with_token(stage.c2s, "fast-2", &given, &ends);
    assert_eq!((answer.name(), token(&answer)), ("success", None));
    assert_eq!(condition(&with_token(stage.c2s, "fast-2", &given, &ends)), "not-authorized");
}

// XEP-0484 §3.4, §4.1
#[test]
fn a_token_is_of_use_to_its_own_client_and_account_alone() {
    let stage = shared();
    for name in ["fast-3", "fast-4"] {
        add(stage, name);
    }
    let given = token(&with_password(stage.c2s, "fast-3", "d1", "HT-SHA-256-NONE")).unwrap();
    let fast = format!("<fast xmlns='{NS}'/>");
    let own = format!("{}{fast}", device("d1"));
    for (user, more) in [
        ("fast-4", own.clone()),
        ("nobody", own.clone()),
        ("fast-3", format!("{}{fast}", device("d2"))),
    ] {
        assert_eq!(condition(&with_token(stage.c2s, user, &given, &more)), "not-authorized");
    }
    // Without a name of the client, or without saying that it is a token, it is none.
    for more in [fast, device("d1")] {
        assert_eq!(condition(&with_token(stage.c2s, "fast-3", &given, &more)), "malformed-request");
    }
    // A mechanism that is not offered here gives no token.
    let answer = with_password(stage.c2s, "fast-3", "d3", "HT-SHA-256-EXPR");
    assert_eq!((answer.name(), token(&answer)), ("success", None));
    // A new password ends it.
    stage.run(&["account", "password", "fast-3@localhost", "--password", "quill"]).unwrap();
    assert_eq!(condition(&with_token(stage.c2s, "fast-3", &given, &own)), "not-authorized");
}

// XEP-0077 §3.3, XEP-0484 §4.1
#[test]
fn a_password_that_is_changed_over_xmpp_ends_the_tokens_of_all_clients() {
    let stage = shared();
    add(stage, "fast-7");
    let give =
        |device| token(&with_password(stage.c2s, "fast-7", device, "HT-SHA-256-NONE")).unwrap();
    let (own, other) = (give("d1"), give("d2"));
    let login =
        Login { address: stage.c2s, domain: "localhost", name: "fast-7", password: PASSWORD };
    let mut client = Client::log_in(&login);
    client.bind("desk");
    client.send("<iq type='set' id='p' to='localhost'><query xmlns='jabber:iq:register'><username>fast-7</username><password>much better</password></query></iq>");
    let answer = client.next().unwrap();
    assert_eq!((answer.attr("id"), answer.attr("type")), (Some("p"), Some("result")));
    for (name, token) in [("d1", own), ("d2", other)] {
        let more = format!("{}<fast xmlns='{NS}'/>", device(name));
        let answer = with_token(stage.c2s, "fast-7", &token, &more);
        assert_eq!(condition(&answer), "not-authorized", "{name}");
    }
}

#[test]
fn an_account_has_so_many_clients_with_tokens_and_the_oldest_make_room() {
    let stage = shared();
    add(stage, "fast-5");
    let give = |number: usize| {
        let name = format!("d{number}");
        let answer = with_password(stage.c2s, "fast-5", &name, "HT-SHA-256-NONE");
        (name, token(&answer).unwrap())
    };
    let given: Vec<_> = (0..25).map(give).collect();
    let still = given.iter().filter(|(name, token)| {
        let more = format!("{}<fast xmlns='{NS}'/>", device(name));
        with_token(stage.c2s, "fast-5", token, &more).name() == "success"
    });
    assert_eq!(still.count(), 20);
}

#[test]
fn whoever_guesses_tokens_is_slowed_down_as_with_passwords() {
    let stage = Stage::start("[limits]\nenabled = true");
    add(&stage, "fast-6");
    let given = token(&with_password(stage.c2s, "fast-6", "d1", "HT-SHA-256-NONE")).unwrap();
    let more = format!("{}<fast xmlns='{NS}'/>", device("d1"));
    for number in 0..100 {
        // Any account, so that only the address tells that this is one guesser.
        let guess = with_token(stage.c2s, &format!("nobody-{number}"), &given, &more);
        assert_eq!(condition(&guess), "not-authorized");
    }
    // From this address not even the right one is taken for a while. Twice a second a try is earned back, and on a slow
    // machine that may be just now: the guesser takes it first.
    let is_refused = (0..10).any(|number| {
        with_token(stage.c2s, &format!("nobody-at-last-{number}"), &given, &more);
        with_token(stage.c2s, "fast-6", &given, &more).name() == "failure"
    });
    assert!(is_refused, "the address is out of tries");
}
