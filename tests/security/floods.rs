//! Too much of what is allowed: readers that stop, receivers that never acknowledge, requests that make no
//! sense, errors for errors.

use std::time::{Duration, Instant};

use super::bystander::Bystander;
use super::guarded;
use super::rooms::{ROOM, X, coven};
use super::wire::{Wire, dropped};
use crate::stage::Stage;

/// With their bodies more than the kernel holds for a socket.
const MESSAGES: usize = 3_000;
const BODY: usize = 4_000;

/// A server that does not slow the flood down, so that its other bounds show.
fn open_gates() -> Stage {
    Stage::start("")
}

/// Who sends at a time.
const SENDERS: [&str; 4] = ["tybalt", "sampson", "gregory", "abram"];

/// Sends more to this address than anybody may keep for it, and waits until all is on its way.
fn flood(stage: &Stage, to: &str) {
    stage.add_accounts(&SENDERS);
    std::thread::scope(|scope| {
        for sender in SENDERS {
            scope.spawn(move || send_all(stage, sender, to));
        }
    });
}

fn send_all(stage: &Stage, from: &str, to: &str) {
    let mut wire = Wire::bound(stage, from, "flood");
    let body = "x".repeat(BODY);
    for number in 0..MESSAGES / SENDERS.len() {
        let id = format!("flood-{number}");
        wire.say(&format!(
            "<message to='{to}' type='chat' id='{id}'><body>{body}</body></message>"
        ));
        if number % 20 == 19 {
            wire.say("<iq type='get' id='mark'><ping xmlns='urn:xmpp:ping'/></iq>");
            wire.until("id='mark'");
        }
    }
}

#[test]
fn a_reader_that_stops_costs_a_bounded_amount_of_memory() {
    let stage = open_gates();
    stage.add_accounts(&["juliet"]);
    let bystander = Bystander::beside(&stage);
    let mut deaf = Wire::bound(&stage, "juliet", "deaf");
    deaf.say("<presence/>");
    flood(&stage, "juliet@localhost/deaf");
    assert!(dropped(stage.http, &["session_queue_full", "out_buffer_full"]) > 0);
    assert!(bystander.growth() < 96 << 20, "{} bytes", bystander.growth());
    bystander.was_not_hurt("a reader that stops");
}

#[test]
fn a_receiver_that_never_acknowledges_costs_a_bounded_amount_of_memory() {
    let stage = open_gates();
    stage.add_accounts(&["juliet"]);
    let bystander = Bystander::beside(&stage);
    let mut deaf = Wire::bound(&stage, "juliet", "deaf");
    deaf.say("<presence/><enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    deaf.until("<enabled");
    flood(&stage, "juliet@localhost/deaf");
    assert!(dropped(stage.http, &["session_queue_full", "out_buffer_full"]) > 0);
    assert!(bystander.growth() < 96 << 20, "{} bytes", bystander.growth());
    bystander.was_not_hurt("a receiver that never acknowledges");
}

#[test]
fn a_session_that_waits_for_its_client_costs_a_bounded_amount_of_memory() {
    let stage = open_gates();
    stage.add_accounts(&["juliet"]);
    let bystander = Bystander::beside(&stage);
    let mut asleep = Wire::bound(&stage, "juliet", "asleep");
    asleep.say("<presence/><enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    asleep.until("<enabled");
    drop(asleep);
    flood(&stage, "juliet@localhost/asleep");
    assert!(dropped(stage.http, &["session_queue_full"]) > 0);
    assert!(bystander.growth() < 96 << 20, "{} bytes", bystander.growth());
    bystander.was_not_hurt("a session that waits");
}

// XEP-0205 §4.5: what one connection may send, many of one account may not send each.
#[test]
fn many_connections_of_an_account_send_no_more_than_a_few() {
    const CONNECTIONS: usize = 6;
    let stage = Stage::start(
        "[limits]\nenabled = true\nstanzas_per_second = 100\nstanzas_burst = 200\naccount_connections = 1",
    );
    stage.add_accounts(&["tybalt"]);
    let bystander = Bystander::beside(&stage);
    let mut wires: Vec<Wire> = (0..CONNECTIONS)
        .map(|number| Wire::bound(&stage, "tybalt", &format!("flood-{number}")))
        .collect();
    let pings = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>".repeat(19);
    let begun = Instant::now();
    // Five times twenty from each: alone it would be through at once.
    for _ in 0..5 {
        for wire in &mut wires {
            wire.say(&pings);
            wire.say("<iq type='get' id='mark'><ping xmlns='urn:xmpp:ping'/></iq>");
        }
        for wire in &mut wires {
            wire.until("id='mark'");
        }
    }
    // Of 600, 200 pass at once, and then 100 a second; the last of each is not waited for.
    assert!(begun.elapsed() > Duration::from_millis(1_500), "{:?}", begun.elapsed());
    bystander.was_not_hurt("many connections of one account");
}

/// Waits until what was sent so far is done.
fn is_done(wire: &mut Wire) {
    wire.say("<iq type='get' id='mark'><ping xmlns='urn:xmpp:ping'/></iq>");
    wire.until("id='mark'");
}

// RFC 6121 §4.4.2: each presence goes to every contact; one that does not read costs no more than its bound.
#[test]
fn a_flood_of_presence_costs_a_bounded_amount_of_memory() {
    let stage = open_gates();
    stage.add_accounts(&["tybalt", "juliet"]);
    let bystander = Bystander::beside(&stage);
    let mut deaf = Wire::bound(&stage, "juliet", "deaf");
    deaf.say("<presence/><presence type='subscribe' to='tybalt@localhost'/>");
    is_done(&mut deaf);
    let mut wire = Wire::bound(&stage, "tybalt", "flood");
    wire.say("<presence/><presence type='subscribed' to='juliet@localhost'/>");
    let status = "x".repeat(1_000);
    for number in 0..MESSAGES {
        wire.say(&format!("<presence><status>{number} {status}</status></presence>"));
        if number % 20 == 19 {
            is_done(&mut wire);
        }
    }
    assert!(bystander.growth() < 96 << 20, "{} bytes", bystander.growth());
    bystander.was_not_hurt("a flood of presence");
}

// RFC 6121 §3.1.3 rule 4: one request waits for each pair, however often it is made.
#[test]
fn a_flood_of_requests_leaves_one_that_waits() {
    let stage = open_gates();
    stage.add_accounts(&["tybalt", "juliet"]);
    let bystander = Bystander::beside(&stage);
    let mut wire = Wire::bound(&stage, "tybalt", "flood");
    let status = "x".repeat(1_000);
    for number in 0..1_000 {
        wire.say(&format!(
            "<presence type='subscribe' to='juliet@localhost' id='s-{number}'><status>{status}</status></presence>"
        ));
        if number % 100 == 99 {
            is_done(&mut wire);
        }
    }
    let mut juliet = Wire::bound(&stage, "juliet", "balcony");
    juliet.say("<presence/>");
    juliet.say("<iq type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>");
    let heard = juliet.until("id='end'");
    assert_eq!(heard.matches("type='subscribe'").count(), 1, "{heard}");
    assert!(bystander.growth() < 48 << 20, "{} bytes", bystander.growth());
    bystander.was_not_hurt("a flood of requests");
}

// XEP-0160 §2 rule 3: behind the quota, each sender is told.
#[test]
fn a_flood_for_somebody_who_is_away_is_refused_behind_the_quota() {
    const SENT: usize = 1_500;
    const QUOTA: usize = 1_000;
    let stage = open_gates();
    stage.add_accounts(&["tybalt", "juliet"]);
    let bystander = Bystander::beside(&stage);
    let mut wire = Wire::bound(&stage, "tybalt", "flood");
    let mut refused = 0;
    for number in 0..SENT {
        wire.say(&format!(
            "<message to='juliet@localhost' type='chat' id='m-{number}'><body>{number}</body></message>"
        ));
        if number % 100 == 99 {
            wire.say(
                "<iq type='get' to='juliet@localhost' id='mark'><ping xmlns='urn:xmpp:ping'/></iq>",
            );
            let heard = wire.until("id='mark'");
            refused += heard.matches("<message ").count();
            assert_eq!(heard.matches("<message ").count(), heard.matches(" id='m-").count());
        }
    }
    is_done(&mut wire);
    assert_eq!(refused, SENT - QUOTA, "each that found no room is refused, once");
    assert_eq!(dropped(stage.http, &["offline_full"]), refused, "and counted");
    let mut juliet = Wire::bound(&stage, "juliet", "balcony");
    juliet.say("<presence/>");
    for number in 0..QUOTA {
        juliet.until(&format!("id='m-{number}'"));
    }
    assert!(bystander.growth() < 96 << 20, "{} bytes", bystander.growth());
    bystander.was_not_hurt("a flood for somebody who is away");
}

// RFC 6120 §8.2.3: every request is answered.
#[test]
fn every_bad_request_of_a_flood_is_answered() {
    const REQUESTS: usize = 1_000;
    let bad = [
        "<nonsense xmlns='urn:example:nonsense'/>",
        "",
        "<a xmlns='urn:example:a'/><b xmlns='urn:example:b'/>",
        "<query xmlns='jabber:iq:roster'><item/></query>",
        "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>-1</max></set></query>",
    ];
    let stage = guarded();
    stage.add_accounts(&["tybalt"]);
    let bystander = Bystander::beside(&stage);
    let mut wire = Wire::bound(&stage, "tybalt", "x");
    let mut answered = 0;
    for number in 0..REQUESTS {
        let payload = bad[number % bad.len()];
        let to = ["", "to='localhost'", "to='tybalt@localhost/nobody'", "to='nobody@localhost'"]
            [number % 4];
        wire.say(&format!("<iq type='set' id='bad-{number}' {to}>{payload}</iq>"));
        if number % 20 == 19 {
            for _ in 0..20 {
                wire.until("id='bad-");
                answered += 1;
            }
        }
    }
    assert_eq!(answered, REQUESTS);
    bystander.was_not_hurt("bad requests");
}

// RFC 6120 §8.3.1: an error is never answered with an error.
#[test]
fn errors_and_results_that_nobody_asked_for_are_not_answered() {
    let stage = guarded();
    stage.add_accounts(&["tybalt"]);
    let bystander = Bystander::beside(&stage);
    let mut wire = Wire::bound(&stage, "tybalt", "x");
    let error = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    for _ in 0..200 {
        for to in ["localhost", "nobody@localhost", "tybalt@localhost/gone", "localhost/gone"] {
            wire.say(&format!("<iq type='error' id='e' to='{to}'>{error}</iq>"));
            wire.say(&format!("<iq type='result' id='e' to='{to}'/>"));
            wire.say(&format!("<message type='error' id='e' to='{to}'>{error}</message>"));
            wire.say(&format!("<presence type='error' id='e' to='{to}'>{error}</presence>"));
        }
    }
    wire.say("<iq type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>");
    let heard = wire.until("id='last'");
    assert!(!heard.contains("id='e'"), "{heard}");
    bystander.was_not_hurt("errors for errors");
}

// RFC 6120 §8.3.1: rooms answer none either, whoever sends it and whatever to, and pass none on.
#[test]
fn errors_and_results_for_rooms_come_back_to_nobody() {
    let stage = guarded();
    stage.add_accounts(&["crone", "tybalt", "thief"]);
    let bystander = Bystander::beside(&stage);
    let mut crone = coven(&stage, &[]);
    let mut inside = Wire::bound(&stage, "tybalt", "x");
    inside.say(&format!("<presence to='{ROOM}/tybalt'>{X}</presence>"));
    inside.until("<subject/>");
    crone.until("</presence>");
    let mut outside = Wire::bound(&stage, "thief", "x");
    let error =
        "<error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    let (service, nowhere) = ("conference.localhost", "nowhere@conference.localhost");
    let occupants = ["crone", "tybalt", "nobody"].map(|nick| format!("{ROOM}/{nick}"));
    let occupants = occupants.iter().map(String::as_str);
    let all: Vec<&str> = [ROOM, service, nowhere].into_iter().chain(occupants).collect();
    for wire in [&mut inside, &mut outside] {
        for to in all.repeat(30) {
            wire.say(&format!("<iq type='error' id='e' to='{to}'>{error}</iq>"));
            wire.say(&format!("<iq type='result' id='e' to='{to}'/>"));
            wire.say(&format!("<message type='error' id='e' to='{to}'>{error}</message>"));
            wire.say(&format!("<presence type='error' id='e' to='{to}'>{error}</presence>"));
        }
        // Each of them has had all of it, and nothing else was sent but the answers to these.
        for to in [service, nowhere, ROOM] {
            let ping = "<ping xmlns='urn:xmpp:ping'/>";
            wire.say(&format!("<iq type='get' id='{to}' to='{to}'>{ping}</iq>"));
            let heard = wire.until(&format!("id='{to}'"));
            let stanzas = ["<iq", "<message", "<presence"].map(|name| heard.matches(name).count());
            assert_eq!(stanzas, [1, 0, 0], "{heard}");
        }
        crone.say(&format!(
            "<message type='groupchat' id='m' to='{ROOM}'><body>hi</body></message>"
        ));
        let heard = crone.until("id='m'");
        assert!(!heard.contains("<iq") && !heard.contains("<presence"), "{heard}");
        assert_eq!(heard.matches("<message").count(), 1, "{heard}");
        crone.until("</message>");
    }
    bystander.was_not_hurt("errors for rooms");
}

// XEP-0170, and its absence here: compression under encryption leaks, and a small stanza may be a large one.
#[test]
fn compression_is_not_offered_and_not_taken() {
    let stage = guarded();
    stage.add_accounts(&["tybalt"]);
    let begun = Instant::now();
    let mut wire = Wire::log_in(&stage, "tybalt");
    wire.say(
        "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>",
    );
    let heard = wire.rest();
    assert!(!heard.contains("compressed"), "{heard}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}
