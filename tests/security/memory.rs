//! Memory that comes to its end: those who are inside stay, nobody else comes in, until there is room again.

use std::time::{Duration, Instant};

use super::bystander::{Bystander, memory};
use super::wire::{HEADER, Wire, get};
use crate::stage::Stage;

/// What one hoarder makes the server keep: most of a stanza that never ends.
const HOARD: usize = 240 << 10;
/// How much the server may have above what it has at rest until it closes its door, and how many hoarders, of these
/// accounts, have more than that.
const ROOM: u64 = 20 << 20;
const HOARDERS: usize = 110;
const NAMES: [&str; 6] = ["tybalt", "juliet", "romeo", "paris", "abram", "samson"];
/// No state of the server takes longer to show.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server has that people have been talking on.
fn at_rest() -> u64 {
    let stage = Stage::start("");
    Bystander::beside(&stage).was_not_hurt("nothing at all");
    memory(stage.pid())
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
    // From 85 % of the budget on the door is closed, from 95 % on everybody is slowed down.
    let tight = at_rest() + ROOM;
    let budget = tight * 100 / 85;
    let stage = Stage::start(&format!("memory_bytes = {budget}"));
    stage.add_accounts(&NAMES);
    let bystander = Bystander::beside(&stage);
    let sits_down = |(at, name)| Wire::bound(&stage, name, &format!("hoard-{at}"));
    let mut hoarders: Vec<Wire> =
        NAMES.into_iter().cycle().take(HOARDERS).enumerate().map(sits_down).collect();
    assert_eq!(pressure(&stage), 0, "{} of {budget} bytes", memory(stage.pid()));
    let body = "x".repeat(HOARD);
    for hoarder in &mut hoarders {
        if memory(stage.pid()) > tight {
            break;
        }
        hoarder.say(&format!("<message to='juliet@localhost'><body>{body}"));
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
