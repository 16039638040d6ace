//! Owns what a Raft message of another member must be like before raft sees it. Raft trusts its peers: it
//! panics where a message contradicts the log, and its parser follows groups without a bound
//! (RUSTSEC-2024-0437). A member whose program is broken must not take others with it.

use std::collections::BTreeSet;

use ::raft::eraftpb::{ConfState, Entry, Message, MessageType, Snapshot};
use protobuf::Message as _;

use crate::plan::Plan;

/// The longest message that is taken, in bytes: a megabyte of entries, or a snapshot's plan.
pub(crate) const MAX_MESSAGE: usize = 4 << 20;

/// Terms and indexes beyond this are nobody's: the next ones could not be counted.
const MAX_NUMBER: u64 = 1 << 48;

/// What this member's own log says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    /// The index and the term of the last entry that is committed.
    pub(super) committed: (u64, u64),
    /// The index of the last entry.
    pub(super) last: u64,
}

/// A message from bytes; none where they are too many, nested, or no message.
pub(super) fn parse(bytes: &[u8]) -> Option<Message> {
    let flat = bytes.len() <= MAX_MESSAGE && is_flat(bytes);
    flat.then(|| Message::parse_from_bytes(bytes).ok()).flatten()
}

/// Whether raft can be given a message: it is of a kind that members send each other, and contradicts
/// nothing that is committed here. `term` gives the term of an entry of the own log.
pub(super) fn is_sound(message: &Message, own: Own, term: impl Fn(u64) -> Option<u64>) -> bool {
    let numbers = [message.term, message.log_term, message.index, message.commit];
    let counted = numbers.iter().all(|number| *number < MAX_NUMBER)
        && message.commit_term < MAX_NUMBER
        && message.reject_hint < MAX_NUMBER;
    if !counted || message.term == 0 || message.request_snapshot != 0 {
        return false;
    }
    match message.get_msg_type() {
        MessageType::MsgAppend => is_sound_append(message, own, term),
        MessageType::MsgHeartbeat => message.commit <= own.last,
        MessageType::MsgSnapshot => is_sound_snapshot(message.get_snapshot(), message.term),
        MessageType::MsgAppendResponse => message.reject || message.index <= own.last,
        MessageType::MsgRequestVote
        | MessageType::MsgRequestVoteResponse
        | MessageType::MsgRequestPreVote
        | MessageType::MsgRequestPreVoteResponse
        | MessageType::MsgHeartbeatResponse
        | MessageType::MsgTimeoutNow => true,
        // Entries are proposed by the leader alone, which also asks and transfers for itself.
        _ => false,
    }
}

fn is_sound_append(message: &Message, own: Own, term: impl Fn(u64) -> Option<u64>) -> bool {
    // A leader has all that is committed here: what comes behind it is of no earlier term.
    let (committed, committed_term) = own.committed;
    if message.index >= committed && message.log_term < committed_term {
        return false;
    }
    let mut before = (message.index, message.log_term);
    let follows = |entry: &Entry| {
        let sound = entry.index == before.0 + 1
            && (before.1..=message.term).contains(&entry.term)
            && (entry.index > committed || term(entry.index).is_none_or(|t| t == entry.term));
        before = (entry.index, entry.term);
        sound
    };
    let agrees = message.index != committed || message.log_term == committed_term;
    agrees && message.entries.iter().all(follows)
}

fn is_sound_snapshot(snapshot: &Snapshot, term: u64) -> bool {
    let metadata = snapshot.get_metadata();
    let plan = Plan::decode(&snapshot.data);
    (1..MAX_NUMBER).contains(&metadata.index)
        && (1..=term).contains(&metadata.term)
        && is_sound_configuration(metadata.get_conf_state())
        && plan.is_ok_and(|plan| plan.index() <= metadata.index)
}

/// Whether raft can take part in a configuration: somebody votes, and nobody is in it twice.
fn is_sound_configuration(conf: &ConfState) -> bool {
    let distinct = |ids: &[u64]| ids.iter().collect::<BTreeSet<_>>().len() == ids.len();
    let votes = |id: &u64| conf.voters.contains(id) || conf.voters_outgoing.contains(id);
    let all = [&conf.voters, &conf.learners, &conf.voters_outgoing, &conf.learners_next];
    !conf.voters.is_empty()
        && all.iter().all(|ids| distinct(ids) && !ids.contains(&0))
        && !conf.learners.iter().any(votes)
        && conf.learners_next.iter().all(|id| conf.voters_outgoing.contains(id))
        && !conf.learners_next.iter().any(|id| conf.voters.contains(id))
        && (conf.learners_next.is_empty() || !conf.voters_outgoing.is_empty())
}

/// Whether no field is a group: nothing else lets protobuf nest without a bound in these messages.
fn is_flat(bytes: &[u8]) -> bool {
    fields_are_flat(bytes, &MESSAGE)
}

/// The fields of a message that are messages themselves.
struct Shape(&'static [(u64, &'static Shape)]);

static LEAF: Shape = Shape(&[]);
static METADATA: Shape = Shape(&[(1, &LEAF)]);
static SNAPSHOT: Shape = Shape(&[(2, &METADATA)]);
static MESSAGE: Shape = Shape(&[(7, &LEAF), (9, &SNAPSHOT)]);

fn fields_are_flat(mut bytes: &[u8], shape: &Shape) -> bool {
    while !bytes.is_empty() {
        let Some(tag) = varint(&mut bytes) else { return false };
        let skipped = match tag & 7 {
            0 => varint(&mut bytes).is_some(),
            1 => skip(&mut bytes, 8).is_some(),
            5 => skip(&mut bytes, 4).is_some(),
            2 => {
                let length = varint(&mut bytes).and_then(|length| usize::try_from(length).ok());
                let inner = length.and_then(|length| skip(&mut bytes, length));
                let known = shape.0.iter().find(|(field, _)| *field == tag >> 3);
                inner.is_some_and(|inner| {
                    known.is_none_or(|(_, shape)| fields_are_flat(inner, shape))
                })
            }
            _ => false,
        };
        if !skipped {
            return false;
        }
    }
    true
}

fn skip<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (skipped, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(skipped)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWN: Own = Own { committed: (5, 3), last: 9 };

    fn term(index: u64) -> Option<u64> {
        (2..=9).contains(&index).then_some(if index < 5 { 2 } else { 3 })
    }

    fn message(kind: MessageType) -> Message {
        let mut message = Message::default();
        message.set_msg_type(kind);
        (message.term, message.from, message.to) = (4, 1, 2);
        message
    }

    fn entry(index: u64, term: u64) -> Entry {
        let mut entry = Entry::default();
        (entry.index, entry.term) = (index, term);
        entry
    }

    fn append(index: u64, log_term: u64, entries: &[(u64, u64)]) -> bool {
        let mut append = message(MessageType::MsgAppend);
        (append.index, append.log_term) = (index, log_term);
        append.entries = entries.iter().map(|&(i, t)| entry(i, t)).collect::<Vec<_>>().into();
        is_sound(&append, OWN, term)
    }

    #[test]
    fn entries_must_follow_each_other_and_what_is_committed() {
        assert!(append(9, 3, &[(10, 4), (11, 4)]));
        assert!(append(5, 3, &[(6, 4)]), "what is not committed may be replaced");
        assert!(append(3, 2, &[(4, 2), (5, 3), (6, 4)]));
        assert!(append(20, 4, &[]), "beyond the own end: raft asks for what is missing");
        assert!(!append(3, 2, &[(4, 2), (5, 4)]), "contradicts what is committed");
        assert!(!append(5, 2, &[]), "contradicts what is committed");
        assert!(!append(9, 0, &[]), "of an earlier term than what is committed");
        assert!(!append(9, 3, &[(11, 4)]), "a gap");
        assert!(!append(9, 3, &[(10, 5)]), "of a later term than its leader");
        assert!(!append(9, 4, &[(10, 3)]), "terms go back");
        assert!(!append(u64::MAX, 3, &[]));
    }

    #[test]
    fn a_commit_or_an_answer_beyond_the_log_is_refused() {
        let mut beat = message(MessageType::MsgHeartbeat);
        beat.commit = 9;
        assert!(is_sound(&beat, OWN, term));
        beat.commit = 10;
        assert!(!is_sound(&beat, OWN, term));
        let mut answer = message(MessageType::MsgAppendResponse);
        answer.index = 9;
        assert!(is_sound(&answer, OWN, term));
        answer.index = 10;
        assert!(!is_sound(&answer, OWN, term));
        answer.reject = true;
        assert!(is_sound(&answer, OWN, term));
        answer.request_snapshot = 1;
        assert!(!is_sound(&answer, OWN, term));
    }

    #[test]
    fn kinds_that_members_do_not_send_are_refused() {
        use MessageType::*;
        let refused = [MsgHup, MsgBeat, MsgPropose, MsgUnreachable, MsgSnapStatus, MsgCheckQuorum];
        for kind in refused.into_iter().chain([MsgTransferLeader, MsgReadIndex, MsgReadIndexResp]) {
            assert!(!is_sound(&message(kind), OWN, term), "{kind:?}");
        }
        assert!(is_sound(&message(MsgRequestVote), OWN, term));
        let mut vote = message(MsgRequestVote);
        for term_of_vote in [0, u64::MAX] {
            vote.term = term_of_vote;
            assert!(!is_sound(&vote, OWN, term));
        }
    }

    #[test]
    fn a_snapshot_must_hold_a_plan_and_a_configuration_that_can_be() {
        let mut sound = message(MessageType::MsgSnapshot);
        let snapshot = sound.mut_snapshot();
        snapshot.data = Plan::new().encode().into();
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = (7, 3);
        metadata.mut_conf_state().voters = vec![1, 2];
        assert!(is_sound(&sound, OWN, term));
        let broken: [fn(&mut Snapshot); 6] = [
            |s| s.data = vec![0xFF].into(),
            |s| s.mut_metadata().term = 5,
            |s| s.mut_metadata().index = 0,
            |s| s.mut_metadata().mut_conf_state().voters.clear(),
            |s| s.mut_metadata().mut_conf_state().voters = vec![1, 1],
            |s| s.mut_metadata().mut_conf_state().learners = vec![2],
        ];
        for (number, break_it) in broken.iter().enumerate() {
            let mut broken = sound.clone();
            break_it(broken.mut_snapshot());
            assert!(!is_sound(&broken, OWN, term), "{number}");
        }
    }

    #[test]
    fn groups_are_refused_at_every_depth_before_they_are_parsed() {
        // A hundred thousand opened groups: the parser would follow each.
        assert!(parse(&[0x0B].repeat(100_000)).is_none());
        let wrap = |field: u8, inner: Vec<u8>| {
            [vec![field << 3 | 2, u8::try_from(inner.len()).unwrap()], inner].concat()
        };
        let group = vec![0x0B, 0x0C];
        for nested in [
            wrap(7, group.clone()),
            wrap(9, wrap(2, group.clone())),
            wrap(9, wrap(2, wrap(1, group.clone()))),
        ] {
            assert!(parse(&nested).is_none(), "{nested:?}");
        }
        assert!(parse(&wrap(12, group)).is_some(), "bytes are bytes");
        assert!(parse(&vec![0; MAX_MESSAGE + 1]).is_none());
    }

    proptest! {
        #[test]
        fn chance_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(message) = parse(&bytes) {
                let _sound = is_sound(&message, OWN, term);
            }
        }

        #[test]
        fn whatever_a_member_writes_is_flat(index in any::<u64>(), data in any::<Vec<u8>>()) {
            let mut message = message(MessageType::MsgAppend);
            let mut entry = entry(index, 1);
            entry.data = data.into();
            message.entries = vec![entry].into();
            prop_assert_eq!(parse(&message.write_to_bytes().unwrap()), Some(message));
        }
    }
}
