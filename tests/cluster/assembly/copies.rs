//! What a room's messages cost between members: one copy for each of the others, however many live there.

use super::super::figures::figure;
use super::{Assembly, Stage};
use crate::redis;

/// How many are in the room; some live on each member.
const ALL: usize = 60;

/// How many envelopes for many a member has sent, and taken.
fn multicasts(stage: &Stage) -> [f64; 2] {
    ["sent", "received"]
        .map(|fate| figure(stage, &format!("rookery_link_multicasts_total{{fate=\"{fate}\"}}")))
}

#[test]
fn each_other_member_gets_one_copy_of_a_message_to_a_room() {
    if !redis::fixture::is_there() {
        return;
    }
    // What a member that is gone should have got, goes another way.
    let assembly = Assembly::gather(ALL, "[lease]\nttl_ms = 60000\n");
    let owner = assembly.owner();
    let all = |assembly: &Assembly| assembly.stages.iter().map(multicasts).collect::<Vec<_>>();
    let before = all(&assembly);
    assembly.speak();
    assembly.go_on(100);
    assembly.fall_silent();
    assembly.close(0);
    let after = all(&assembly);
    assembly.disperse();
    let (kept, _) = assembly.records(owner);
    let said = kept.len() as f64;
    assert!(said > 100.0, "{kept:?}");
    for (number, (before, after)) in before.iter().zip(&after).enumerate() {
        let due = if number == owner { [2.0 * said, 0.0] } else { [0.0, said] };
        let more = [after[0] - before[0], after[1] - before[1]];
        assert_eq!(more, due, "m{} of {said} messages of m{}", number + 1, owner + 1);
    }
}
