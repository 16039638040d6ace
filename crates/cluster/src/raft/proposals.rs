//! Owns entries on their way into the log. Raft's "accepted" does not mean "will be committed": each is
//! tagged, and proposed again until one of its kind is applied or its time is up. An entry may so be applied
//! twice; every entry of the plan says what must be so for it to apply, and the second is refused.

use std::collections::VecDeque;

use crate::plan::{Applied, Entry};

/// Where the fate of an entry goes; dropped where it is unknown.
pub(crate) type Fate = Box<dyn FnOnce(Applied) + Send>;

/// Entries of this member that are not applied yet.
pub(super) struct Proposals {
    /// What tells this process's entries from all others'.
    process: [u8; 16],
    counter: u64,
    waiting: VecDeque<Proposal>,
}

struct Proposal {
    number: u64,
    data: Vec<u8>,
    fate: Fate,
    /// Ticks left until it is given up.
    patience: u32,
    /// Ticks until it is proposed again.
    pause: u32,
}

/// The most entries that wait; more are dropped.
const MAX_WAITING: usize = 256;

/// The longest entry in bytes; a longer one is dropped.
const MAX_BYTES: usize = 512 << 10;

/// 10 s: longer than any election.
const PATIENCE_TICKS: u32 = 200;

/// 1 s: longer than the commit of an entry takes when all is well.
const PAUSE_TICKS: u32 = 20;

impl Proposals {
    pub(super) fn new(member: u64, incarnation: u64) -> Self {
        let process = (u128::from(member) << 64 | u128::from(incarnation)).to_be_bytes();
        Self { process, counter: 0, waiting: VecDeque::new() }
    }

    /// Takes an entry. Its fate is dropped at once where there is no room.
    pub(super) fn add(&mut self, entry: &Entry, fate: Fate) {
        let data = entry.encode();
        if self.waiting.len() >= MAX_WAITING || data.len() > MAX_BYTES {
            return;
        }
        self.counter += 1;
        self.waiting.push_back(Proposal {
            number: self.counter,
            data,
            fate,
            patience: PATIENCE_TICKS,
            pause: 0,
        });
    }

    /// Lets a tick pass: gives up what has waited too long.
    pub(super) fn tick(&mut self) {
        for proposal in &mut self.waiting {
            proposal.patience = proposal.patience.saturating_sub(1);
            proposal.pause = proposal.pause.saturating_sub(1);
        }
        self.waiting.retain(|proposal| proposal.patience > 0);
    }

    /// Another member leads, or this one again: whatever was proposed may be lost.
    pub(super) fn hasten(&mut self) {
        self.waiting.iter_mut().for_each(|proposal| proposal.pause = 0);
    }

    /// Tags and data of what is to be proposed now, in order.
    pub(super) fn due(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let process = self.process;
        let due = self.waiting.iter_mut().filter(|proposal| proposal.pause == 0);
        due.map(|proposal| {
            proposal.pause = PAUSE_TICKS;
            let tag = [&process[..], &proposal.number.to_be_bytes()].concat();
            (tag, proposal.data.clone())
        })
        .collect()
    }

    /// An entry with this tag was applied: gives whom to tell. Nobody unless it is the first of its kind.
    pub(super) fn applied(&mut self, tag: &[u8]) -> Option<Fate> {
        let number = tag.strip_prefix(&self.process[..]).and_then(|n| n.try_into().ok());
        let number = number.map(u64::from_be_bytes);
        let at = self.waiting.iter().position(|p| Some(p.number) == number);
        at.and_then(|at| self.waiting.remove(at)).map(|proposal| proposal.fate)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, TryRecvError, channel};

    use proto::MemberId;

    use super::*;
    use crate::plan::Refusal;

    fn add(proposals: &mut Proposals) -> Receiver<Applied> {
        let (sender, receiver) = channel();
        let fate = move |applied| sender.send(applied).unwrap();
        proposals.add(&Entry::Drain(MemberId(7)), Box::new(fate));
        receiver
    }

    #[test]
    fn an_entry_is_proposed_again_until_it_is_applied() {
        let mut proposals = Proposals::new(1, 1);
        let fate = add(&mut proposals);
        let first = proposals.due();
        assert_eq!(Entry::decode(&first[0].1), Ok(Entry::Drain(MemberId(7))));
        assert_eq!(proposals.due(), []);
        (0..PAUSE_TICKS).for_each(|_| proposals.tick());
        assert_eq!(proposals.due(), first);
        proposals.hasten();
        assert_eq!(proposals.due(), first);
        let refused = Err(Refusal::NotBootstrapped);
        (proposals.applied(&first[0].0).unwrap())(refused);
        assert_eq!(fate.recv(), Ok(refused));
        proposals.hasten();
        assert!(proposals.applied(&first[0].0).is_none());
        assert_eq!(proposals.due(), []);
    }

    #[test]
    fn another_process_s_entry_is_not_taken_for_ones_own() {
        let mut proposals = Proposals::new(1, 2);
        let fate = add(&mut proposals);
        let mut earlier = Proposals::new(1, 1);
        let _fate = add(&mut earlier);
        assert!(proposals.applied(&earlier.due()[0].0).is_none());
        assert!(proposals.applied(b"").is_none());
        assert_eq!(fate.try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn an_entry_that_nobody_commits_is_given_up() {
        let mut proposals = Proposals::new(1, 1);
        let fate = add(&mut proposals);
        (1..PATIENCE_TICKS).for_each(|_| proposals.tick());
        assert_eq!(fate.try_recv(), Err(TryRecvError::Empty));
        proposals.tick();
        assert_eq!(fate.try_recv(), Err(TryRecvError::Disconnected));
    }

    #[test]
    fn there_is_room_for_so_many_only() {
        let mut proposals = Proposals::new(1, 1);
        let fates: Vec<_> = (0..=MAX_WAITING).map(|_| add(&mut proposals)).collect();
        assert_eq!(proposals.due().len(), MAX_WAITING);
        assert_eq!(fates[MAX_WAITING].try_recv(), Err(TryRecvError::Disconnected));
    }
}
