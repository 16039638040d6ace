//! The judge of what each of those who talked saw, and of what their archives have.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::speaker::History;

/// What all saw, added up.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) acknowledged: usize,
    /// Acknowledged, and not in the recipient's archive.
    pub(super) lost: usize,
    /// More than once in an archive, or before a client.
    pub(super) doubled: usize,
    /// More than once in an archive, though nobody has said it again.
    pub(super) kept_twice: usize,
    /// Given back to whoever said it, and kept or given all the same.
    pub(super) both: usize,
    /// Acknowledged, and the recipient's client never got it.
    pub(super) not_given: usize,
    /// Given behind one that was said later.
    pub(super) reordered: usize,
    /// Streams that were resumed, and sessions that could not be.
    pub(super) resumed: usize,
    pub(super) begun_anew: usize,
    /// At which member each client's session began, and how often it was resumed.
    pub(super) sessions: Vec<(usize, usize)>,
    /// Words that the partner is gone, who never goes.
    pub(super) absences: usize,
    pub(super) bounced: usize,
    notes: Vec<String>,
}

impl Verdict {
    /// Every message that was acknowledged is kept once and was given once, in order; every session went on, nobody saw
    /// anybody go, and nobody was turned away.
    pub(super) fn judge(&self) {
        println!("{} acknowledged, {} resumed", self.acknowledged, self.resumed);
        assert!(self.rows().iter().all(|(_, count)| *count == 0), "{self:#?}");
    }

    /// What went wrong, by name.
    pub(super) fn rows(&self) -> [(&'static str, usize); 8] {
        [
            ("acknowledged and not in the archive", self.lost),
            ("more than once", self.doubled),
            ("given back, and kept or given", self.both),
            ("acknowledged and never given", self.not_given),
            ("given behind later ones", self.reordered),
            ("sessions that could not be resumed", self.begun_anew),
            ("partners said to be gone", self.absences),
            ("messages that came back", self.bounced),
        ]
    }

    /// Adds what one got of what the partner, who has this name, said. An archive has what both said, by the same
    /// numbers.
    pub(super) fn add(
        &mut self,
        name: &str,
        kept: &[String],
        (own, partner): (&History, &History),
    ) {
        let kept = kept.iter().map(|body| body.parse().unwrap());
        let [kept, given] = [times(kept), times(own.received.iter().copied())];
        let [own_said, said] = [own, partner].map(|who| times(who.acknowledged.iter().copied()));
        let count = |of: &HashMap<u64, usize>, number| of.get(&number).copied().unwrap_or(0);
        let either = |one: &HashSet<u64>, other: &HashSet<u64>, number| {
            one.contains(&number) || other.contains(&number)
        };
        for number in partner.acknowledged.iter().copied() {
            // Whoever has it back knows that it may be missing.
            if either(&own.returned, &partner.returned, number) {
                continue;
            }
            let due = count(&said, number).min(1) + count(&own_said, number).min(1);
            let (in_archive, given) = (count(&kept, number), count(&given, number));
            self.acknowledged += 1;
            self.lost += usize::from(in_archive < due);
            self.doubled += usize::from(given > 1 || in_archive > due);
            let again = either(&own.said_again, &partner.said_again, number);
            self.kept_twice += usize::from(in_archive > due && !again);
            self.not_given += usize::from(given == 0);
            if in_archive != due || given != 1 {
                let heard = own.received.iter().zip(&own.received_at);
                let heard = heard.filter(|(it, _)| **it == number).map(|(_, at)| *at);
                let times: Vec<_> = heard.map(Duration::from_micros).collect();
                self.notes.push(format!(
                    "{name} said {number}: {in_archive} of {due} kept, {given} given, at {times:?}"
                ));
            }
        }
        let reordered = own.received.windows(2).filter(|two| two[0] > two[1]);
        for two in reordered {
            self.reordered += 1;
            self.notes.push(format!("{name} said {}, which was given behind {}", two[1], two[0]));
        }
        // What one has said again by the same number may be there, whatever came of the first one.
        let back = partner.returned.iter().filter(|it| !partner.said_again.contains(it));
        for number in back.copied().filter(|it| !own.said_again.contains(it)) {
            let own_said = own.said >= number;
            let is_kept = count(&kept, number) > usize::from(own_said);
            if is_kept || count(&given, number) > 0 {
                self.both += 1;
                self.notes.push(format!("{name} has {number} back, which was kept: {is_kept}"));
            }
        }
        self.notes.extend(own.notes.iter().cloned());
        self.resumed += own.resumed;
        self.sessions.push((own.begun_at, own.resumed));
        self.begun_anew += own.lost_sessions;
        self.absences += own.absences;
        self.bounced += own.bounced;
    }
}

/// How often each number is there.
fn times(numbers: impl Iterator<Item = u64>) -> HashMap<u64, usize> {
    let mut times = HashMap::new();
    numbers.for_each(|number| *times.entry(number).or_default() += 1);
    times
}
