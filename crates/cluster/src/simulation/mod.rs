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
//! `ROOKERY_SEEDS=2000` tries more than a change has to wait for; `ROOKERY_SEED=7` only that one.

mod judge;
mod member;
mod world;

use std::fmt::Write as _;
use std::time::Duration;

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
    /// A leader does not listen to who reaches whom.
    NobodyParts,
    /// A leader expels one of two that do not reach each other while its lease lasts.
    PartsAtOnce,
    /// A member that was parted from another comes in again before it reaches it.
    ComesInAtOnce,
    /// Members do not say that their leases may last for longer than others grant.
    LeasesUnsaid,
    /// A member whose arbiter hangs asks for its lease.
    BeatsWhileHung,
}

/// What happens to members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// All that can.
    Everything,
    /// Two of them do not reach each other for long.
    Severed,
    /// An arbiter of one does nothing for long.
    Hung,
}

/// As many runs as one waits for with every change.
const SEEDS: u64 = 200;

/// The same, where one thing happens: each size of a cluster, and each part of the two in it.
const SEEDS_OF_ONE: u64 = 15;

/// In so long after the faults, mostly, somebody acts for each shard.
const SOON: Duration = Duration::from_secs(3);

/// In so many each known fault shows.
const MUTANT_SEEDS: u64 = 100;

fn run(seed: u64, mutant: Option<Mutant>, trouble: Trouble) -> Result<Duration, Violation> {
    World::new(seed, mutant, trouble).run()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays as many histories as are asked for, or this many. Where it is more than one, in nine of ten somebody acts for
/// each shard again in 3 s.
fn all_hold(trouble: Trouble, count: u64) {
    let seeds = match number("ROOKERY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROOKERY_SEEDS").unwrap_or(count),
    };
    let (mut failed, mut served) = (String::new(), Vec::new());
    for seed in seeds {
        match run(seed, None, trouble) {
            Ok(after) => served.push(after),
            Err(violation) => writeln!(failed, "ROOKERY_SEED={seed}: {violation}").unwrap(),
        }
    }
    assert!(failed.is_empty(), "{failed}");
    served.sort_unstable();
    let most = served[(served.len() - 1) * 9 / 10];
    assert!(served.len() == 1 || most < SOON, "in one of ten {most:?} went by");
}

/// Whether a fault of the rules is seen as what it is.
fn is_seen(mutant: Mutant, trouble: Trouble, is_it: impl Fn(&Violation) -> bool) {
    let seen = |seed: &u64| run(*seed, Some(mutant), trouble).is_err_and(|it| is_it(&it));
    let seen = (0..MUTANT_SEEDS).find(seen);
    assert!(seen.is_some(), "{mutant:?} was not seen in {MUTANT_SEEDS} runs");
}

#[test]
fn no_two_members_act_for_one_shard_whatever_happens_to_members_and_network() {
    all_hold(Trouble::Everything, SEEDS);
}

#[test]
fn of_two_members_that_do_not_reach_each_other_one_stops_until_they_do() {
    all_hold(Trouble::Severed, SEEDS_OF_ONE);
}

#[test]
fn a_member_with_an_arbiter_that_hangs_stops_until_it_goes_on() {
    all_hold(Trouble::Hung, SEEDS_OF_ONE);
}

#[test]
fn each_known_fault_of_the_rules_is_seen() {
    let two_act = |it: &Violation| matches!(it, Violation::TwoAct { .. });
    for mutant in [
        Mutant::LeaseFromArrival,
        Mutant::GrantWithoutAsking,
        Mutant::NoLeaderWait,
        Mutant::LeasesUnsaid,
    ] {
        is_seen(mutant, Trouble::Everything, two_act);
    }
    is_seen(Mutant::PartsAtOnce, Trouble::Severed, two_act);
    let go_on = |it: &Violation| matches!(it, Violation::BothGoOn { .. });
    is_seen(Mutant::NobodyParts, Trouble::Severed, go_on);
    is_seen(Mutant::ComesInAtOnce, Trouble::Severed, go_on);
    let hung_acts = |it: &Violation| matches!(it, Violation::HungActs { .. });
    is_seen(Mutant::BeatsWhileHung, Trouble::Hung, hung_acts);
}
