//! Owns who votes in Raft and who only learns. One member votes alone, three vote from three on, five from
//! five on, spread over zones and hosts; a learner or two are at hand to take the place of one that is gone.
//! All others follow the plan without a part in Raft.

use std::collections::BTreeSet;

use proto::MemberId;

/// A member as a voter or learner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) id: MemberId,
    /// Takes part, may vote, and is not to go.
    pub(crate) fit: bool,
    /// Was not heard of for so long that its place is given to another.
    pub(crate) dead: bool,
    /// Has had all of the log for a while.
    pub(crate) caught_up: bool,
    /// What dies together.
    pub(crate) zone: String,
    pub(crate) host: String,
}

/// Who votes and who learns.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Conf {
    pub(crate) voters: BTreeSet<MemberId>,
    pub(crate) learners: BTreeSet<MemberId>,
}

/// How many vote in a cluster of so many members: of three one may die at a time, of five two.
pub(crate) fn wanted(members: usize) -> usize {
    match members {
        0..=2 => 1,
        3..=4 => 3,
        _ => 5,
    }
}

/// How many learners are at hand.
fn spares(members: usize) -> usize {
    match members {
        0..=1 | 3 | 5 => 0,
        2 | 4 | 6 => 1,
        _ => 2,
    }
}

/// What to change to, if anything. `members` are all that may vote and are not forgotten; `me` leads.
pub(crate) fn next(me: MemberId, conf: &Conf, members: &[Candidate]) -> Option<Conf> {
    let find = |id: &MemberId| members.iter().find(|member| member.id == *id);
    let want = wanted(members.len());
    let known = |id: &MemberId| *id == me || find(id).is_some();
    let mut voters: BTreeSet<_> = conf.voters.iter().copied().filter(known).collect();
    drop_surplus(me, &mut voters, want, members);
    let mut ready: Vec<&Candidate> = members
        .iter()
        .filter(|m| {
            m.fit && m.caught_up && conf.learners.contains(&m.id) && !voters.contains(&m.id)
        })
        .collect();
    let is_dead = |id: &MemberId| find(id).is_some_and(|member| member.dead);
    let dead: Vec<_> = voters.iter().copied().filter(|id| *id != me && is_dead(id)).collect();
    for gone in dead {
        let rest: BTreeSet<_> = voters.iter().copied().filter(|id| *id != gone).collect();
        let Some(next) = take_best(&mut ready, &rest, members) else { break };
        voters.remove(&gone);
        voters.insert(next);
    }
    // By odd numbers: two voters are no better than one. Five need not be ready at once to be better than one.
    let more = want.saturating_sub(voters.len()).min(ready.len());
    let even = (voters.len() + more).is_multiple_of(2);
    for _ in 0..more.saturating_sub(usize::from(even)) {
        voters.extend(take_best(&mut ready, &voters, members));
    }
    let dead = voters.iter().filter(|id| is_dead(id)).count();
    let needed = want.saturating_sub(voters.len()) + dead.max(spares(members.len()));
    let learners = learners(conf, &voters, needed, members);
    let next = Conf { voters, learners };
    (next != *conf).then_some(next)
}

fn drop_surplus(me: MemberId, voters: &mut BTreeSet<MemberId>, want: usize, members: &[Candidate]) {
    while voters.len() > want {
        let worst = voters.iter().copied().filter(|id| *id != me).max_by_key(|id| {
            let member = members.iter().find(|member| member.id == *id);
            (member.is_none_or(|m| m.dead), member.is_none_or(|m| !m.fit), *id)
        });
        let Some(worst) = worst else { return };
        voters.remove(&worst);
    }
}

fn learners(
    conf: &Conf,
    voters: &BTreeSet<MemberId>,
    needed: usize,
    members: &[Candidate],
) -> BTreeSet<MemberId> {
    let able = |m: &&Candidate| m.fit && !m.dead && !voters.contains(&m.id);
    let mut able: Vec<&Candidate> = members.iter().filter(able).collect();
    // Who learns already goes on.
    able.sort_by_key(|member| (!conf.learners.contains(&member.id), member.id));
    able.into_iter().take(needed).map(|member| member.id).collect()
}

/// Takes the candidate that shares least with those who vote.
fn take_best(
    ready: &mut Vec<&Candidate>,
    voters: &BTreeSet<MemberId>,
    members: &[Candidate],
) -> Option<MemberId> {
    let votes = |m: &&Candidate| voters.contains(&m.id);
    let shared = |candidate: &Candidate| {
        let zone =
            members.iter().filter(votes).filter(|m| !m.zone.is_empty() && m.zone == candidate.zone);
        let host = members.iter().filter(votes).filter(|m| m.host == candidate.host);
        (host.count(), zone.count(), candidate.id)
    };
    let (at, _) = ready.iter().enumerate().min_by_key(|(_, candidate)| shared(candidate))?;
    Some(ready.remove(at).id)
}
