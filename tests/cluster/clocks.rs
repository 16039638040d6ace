//! A member whose wall clock is wrong, and jumps: nothing that decides who acts reads it, and people talk on.

use cluster::plan::Status as MemberStatus;
use town::Client;
use town::client::Login;
use xmpp::ns;

use super::figures::figure;
use super::quarters::{Quarters, Watched, member, until, until_acts};
use super::talk::{Count, Talk};
use crate::redis::{fixture, log_in, redis};
use crate::stage::machine::{Machine, set_wall_clock};
use crate::stage::{PASSWORD, Stage};

/// Pairs who talk; with three members most of them live on two.
const PAIRS: [(&str, &str); 4] =
    [("juliet", "romeo"), ("nurse", "peter"), ("mercutio", "benvolio"), ("paris", "tybalt")];

/// So many that some live on each of two members.
const GUESTS: usize = 8;

/// Seconds.
const HOUR: i64 = 3_600;

/// Somebody who is here, and whose connection is lost; by what their session is resumed.
fn come_and_vanish(stage: &Stage, name: &str) -> String {
    let mut client = log_in(stage, name);
    client.send(format!("<enable xmlns='{}' resume='true'/>", ns::SM));
    let enabled = client.next().expect("it is enabled");
    client.vanish();
    enabled.attr("id").unwrap().to_owned()
}

/// What a server says to whoever wants to go on where they were.
fn resume(stage: &Stage, name: &str, id: &str) -> String {
    let login = Login { address: stage.c2s, domain: "localhost", name, password: PASSWORD };
    let mut client = Client::log_in(&login);
    client.send(format!("<resume xmlns='{}' previd='{id}' h='0'/>", ns::SM));
    client.next().expect("an answer").name().to_owned()
}

/// By how many milliseconds the second member's clock is ahead, as far as the first one knows.
fn ahead(stages: &[Stage]) -> i64 {
    member(&stages[0], "m2").clock_ahead_millis.unwrap_or(0)
}

/// Sets the second member's clock, and waits until the first one has seen it.
fn jump_to(stages: &[Stage], seconds: i64) {
    set_wall_clock(&stages[1].dir, seconds);
    until("the other time", || (ahead(stages) - seconds * 1000).abs() < 60_000);
}

/// Sessions that wait to be resumed go over to the first member, though by the second one's clock their time was over
/// long ago.
fn hand_over_who_waits(stages: &[Stage]) {
    let guests: Vec<String> = (0..GUESTS).map(|number| format!("guest{number}")).collect();
    stages[0].add_accounts(&guests);
    let ids: Vec<String> = guests.iter().map(|name| come_and_vanish(&stages[0], name)).collect();
    let detached = |at: usize| figure(&stages[at], "rookery_sessions{state=\"detached\"}");
    until("all to wait", || detached(0) + detached(1) >= GUESTS as f64);
    assert!(detached(1) > 0.0, "some live there");
    stages[1].run(&["cluster", "drain", "--wait"]).unwrap();
    for (name, id) in guests.iter().zip(&ids) {
        assert_eq!(resume(&stages[0], name, id), "resumed", "{name}");
    }
}

#[test]
fn a_member_whose_wall_clock_is_wrong_and_jumps_acts_takes_over_and_hands_over_as_ever() {
    if !fixture::is_there() {
        return;
    }
    let (_redis, store) = redis();
    let quarters = Quarters::of(3, 3);
    let more = format!("drain_seconds = 1\n{store}[lease]\npreset = 'noisy'\n");
    let wrong = Machine { wall: Some(HOUR), ..Machine::default() };
    let machines = [Machine::default(), wrong, Machine::default()];
    let starting: Vec<_> =
        (1..).zip(machines).map(|(number, on)| quarters.start_on(on, number, &more)).collect();
    let stages = starting.into_iter().map(|starting| starting.join().unwrap()).collect();
    let mut stages = Watched(stages);
    stages.iter().for_each(until_acts);
    let names: Vec<&str> = PAIRS.iter().flat_map(|(one, other)| [*one, *other]).collect();
    stages[0].add_accounts(&names);
    let addresses: Vec<_> = stages.iter().map(|stage| stage.c2s).collect();
    let talk = Talk::begin(&PAIRS, addresses.clone());
    talk.go_on_for(200);
    // An operator is told.
    stages[0].await_log("its clock is");
    jump_to(&stages, HOUR);

    let process = member(&stages[0], "m2").incarnation;
    for seconds in [-HOUR, 23 * HOUR] {
        jump_to(&stages, seconds);
        talk.go_on_for(200);
    }
    assert_eq!(member(&stages[0], "m2").incarnation, process, "its lease did not notice");

    // It takes over from one that dies, and hands over what it has.
    talk.move_to(addresses[..2].to_vec());
    stages[2].kill();
    until("the takeover", || member(&stages[0], "m3").status == MemberStatus::Expelled);
    talk.go_on_for(200);
    jump_to(&stages, -HOUR);
    talk.move_to(addresses[..1].to_vec());
    hand_over_who_waits(&stages);
    talk.go_on_for(200);
    let (count, notes) = talk.end();
    assert_eq!(count, Count::default(), "{notes}");
}
