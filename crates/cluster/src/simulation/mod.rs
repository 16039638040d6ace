//! Owns the trial of what keeps two members from acting for one shard: the real Raft groups, leases and plans of three
//! to seven members, under a virtual clock, with members that die, stand still and come back, and a network that is
//! late, loses words, and is cut in one direction or both. Every run follows from its seed.
//!
//! | module | owns |
//! |---|---|
//! | `world` | time, chance, the network, and faults |
//! | `member` | one member: what its threads do in a running server |
//! | `judge` | what must hold at every moment, and in the end |
//!
//! `ROOKERY_SEEDS=200` tries more than a change has to wait for; `ROOKERY_SEED=7` only that one.

mod judge;
mod member;
mod world;

use std::fmt::Write as _;

use judge::Violation;
use world::World;

/// A fault of the program that the judge must see, or it would be blind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    /// A member counts its lease from when the grant comes, not from when it asked.
    LeaseFromArrival,
    /// A leader grants without asking the voters whether it still leads.
    GrantWithoutAsking,
    /// A new leader does not wait for the leases that another has granted.
    NoLeaderWait,
}

/// As many runs as one waits for with every change: each size of a cluster at least once.
const SEEDS: u64 = 5;

/// In so many each known fault shows.
const MUTANT_SEEDS: u64 = 100;

fn run(seed: u64, mutant: Option<Mutant>) -> Result<(), Violation> {
    World::new(seed, mutant).run()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_two_members_act_for_one_shard_whatever_happens_to_members_and_network() {
    let seeds = match number("ROOKERY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROOKERY_SEEDS").unwrap_or(SEEDS),
    };
    let mut failed = String::new();
    for seed in seeds {
        if let Err(violation) = run(seed, None) {
            writeln!(failed, "ROOKERY_SEED={seed}: {violation}").unwrap();
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn each_known_fault_of_the_rules_is_seen() {
    for mutant in [Mutant::LeaseFromArrival, Mutant::GrantWithoutAsking, Mutant::NoLeaderWait] {
        let seen = (0..MUTANT_SEEDS)
            .find(|seed| matches!(run(*seed, Some(mutant)), Err(Violation::TwoAct { .. })));
        assert!(seen.is_some(), "{mutant:?} was not seen in {MUTANT_SEEDS} runs");
    }
}
