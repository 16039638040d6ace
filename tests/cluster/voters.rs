//! Members with a vote that die for good: another one votes in the place of the first, and so the second is survived too.

use cluster::plan::Status as MemberStatus;
use cluster::status::MemberRow;

use super::quarters::{Quarters, Watched, member, shards, status, until, until_acts, until_led};
use super::talk::{Count, Talk};
use crate::redis::{fixture, redis};
use crate::stage::Stage;

const PAIRS: [(&str, &str); 3] =
    [("juliet", "romeo"), ("nurse", "peter"), ("mercutio", "benvolio")];

fn votes(row: &MemberRow) -> bool {
    matches!(row.part.as_str(), "leader" | "voter")
}

/// A member is killed, never to come back; the others take over, and people talk on.
fn lose(stages: &mut Watched, victim: usize, rest: &[usize], talk: &Talk) {
    talk.move_to(rest.iter().map(|at| stages[*at].c2s).collect());
    stages[victim].kill();
    let name = format!("m{}", victim + 1);
    let gone = |stage: &Stage| member(stage, &name).status == MemberStatus::Expelled;
    for at in rest {
        until("the takeover", || gone(&stages[*at]));
        until_acts(&stages[*at]);
    }
    talk.go_on_for(200);
}

#[test]
fn a_voter_that_is_gone_for_good_is_replaced_by_a_new_member_and_a_second_death_is_survived() {
    if !fixture::is_there() {
        return;
    }
    let (_redis, store) = redis();
    let quarters = Quarters::of(4, 3);
    let more = format!("{store}[lease]\npreset = 'noisy'\n");
    let mut stages = Watched(quarters.start_all(3, &more));
    stages.iter().for_each(until_acts);
    let names: Vec<&str> = PAIRS.iter().flat_map(|(one, other)| [*one, *other]).collect();
    stages[0].add_accounts(&names);
    let talk = Talk::begin(&PAIRS, stages.iter().map(|stage| stage.c2s).collect());
    talk.go_on_for(200);
    let leader = until_led(&stages[0]);
    let first = (0..3).find(|at| format!("m{}", at + 1) != leader).unwrap();
    let others: Vec<usize> = (0..3).filter(|at| *at != first).collect();
    lose(&mut stages, first, &others, &talk);

    // Two of the three votes are left: one more is lost, and nobody acts. A new member comes for it.
    let fourth = quarters.start(4, &more).join().unwrap();
    stages.0.push(fourth);
    until_acts(&stages[3]);
    let name = format!("m{}", first + 1);
    stages[3].run(&["cluster", "remove", &name]).unwrap();
    let [second, last] = others[..] else { panic!("two of three are left") };
    until("three votes again", || {
        let rows = status(&stages[last]).members;
        rows.len() == 3 && rows.iter().all(votes)
    });
    let has_copies = |stage: &Stage| shards(stage).iter().all(|row| row.standby.is_some());
    until("second copies of all", || has_copies(&stages[last]));
    talk.all_go_on();

    lose(&mut stages, second, &[last, 3], &talk);
    let (count, notes) = talk.end();
    assert_eq!(count, Count::default(), "{notes}");
}
