//! Memory that comes to its end: those who are inside stay, nobody else comes in, until there is room again.

use std::time::{Duration, Instant};

use super::bystander::{Bystander, memory};
use super::wire::{HEADER, Wire, get};
use crate::stage::Stage;

/// What one hoarder makes the server keep: most of a stanza that never ends.
const HOARD: usize = 240 << 10;
/// How much the server may have above what it has at rest, and how many hoarders are more than that, of these accounts.
const ROOM: u64 = 24 << 20;
const HOARDERS: usize = 110;
const NAMES: [&str; 6] = ["tybalt", "juliet", "romeo", "paris", "abram", "samson"];
/// No state of the server takes longer to show.
const PATIENCE: Duration = Duration::from_secs(20);

fn at_rest() -> u64 {
    memory(Stage::start("").pid())
}

fn pressure(stage: &Stage) -> u8 {
    let page = get(stage.http, "/metrics");
    let line = page.lines().find_map(|line| line.strip_prefix("rookery_memory_pressure "));
    line.and_then(|level| level.parse().ok()).expect("the pressure is told")
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come about");
    }
}

fn is_let_in(stage: &Stage) -> bool {
    let mut wire = Wire::connect(stage.c2s);
    wire.say(HEADER);
    wire.hush();
    wire.rest().contains("<stream:stream")
}

#[test]
fn where_memory_comes_to_its_end_nobody_new_comes_in_and_nobody_inside_is_hurt() {
    let budget = at_rest() + ROOM;
    let stage = Stage::start(&format!("memory_bytes = {budget}"));
    stage.add_accounts(&NAMES);
    let bystander = Bystander::beside(&stage);
    let mut hoarders = Vec::new();
    let body = "x".repeat(HOARD);
    while pressure(&stage) == 0 && hoarders.len() < HOARDERS {
        let name = NAMES[hoarders.len() % NAMES.len()];
        let mut wire = Wire::bound(&stage, name, &format!("hoard-{}", hoarders.len()));
        wire.say(&format!("<message to='juliet@localhost'><body>{body}"));
        hoarders.push(wire);
    }
    until("pressure", || pressure(&stage) > 0);
    until("a closed door", || !is_let_in(&stage));
    assert!(memory(stage.pid()) < budget, "{} of {budget} bytes", memory(stage.pid()));
    let page = get(stage.http, "/metrics");
    assert!(!page.contains("\nrookery_connections_refused_total{reason=\"memory\"} 0\n"), "{page}");

    drop(hoarders);
    until("an open door", || is_let_in(&stage));
    bystander.was_not_hurt("memory that comes to its end");
}
