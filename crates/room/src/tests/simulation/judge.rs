//! Owns the judge of the simulation of a room: what does not hold, and how a history ends by it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use store::{ArchiveQuery, Store};
use xmpp::kept;

use super::people::Place;
use super::*;

/// What does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It was said and is not in the archive, or was not heard by somebody inside.
    Lost,
    /// It is in the archive, or was heard, more than once.
    Twice,
    /// It is, or was heard, behind what was said later.
    Disordered,
    /// Its sender was told that it was not said, and it was.
    AnsweredAndThere,
    /// Somebody heard it who was not inside.
    HeardOutside,
    /// Somebody is inside for the room or for themselves, and not for the other.
    Ghost,
    /// Nobody has confirmed it in the end, or somebody has given it up.
    Unconfirmed,
    /// The standby hears what has changed of something that it does not have.
    Baseless,
}

/// What went wrong, and with what.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) wrong: Wrong,
    about: String,
}

/// How a history went.
pub(super) type History = Result<(), Violation>;

/// The history ends where this is not so.
pub(super) fn holds(so: bool, wrong: Wrong, about: impl FnOnce() -> String) {
    if !so {
        // Not by a panic: it is what whoever plays is there to see.
        resume_unwind(Box::new(Violation { wrong, about: about() }));
    }
}

/// Plays a history of this seed; a panic goes on its way.
pub(super) fn played(seed: u64, play: impl FnOnce()) -> History {
    let Err(ended) = catch_unwind(AssertUnwindSafe(play)) else { return Ok(()) };
    match ended.downcast::<Violation>() {
        Ok(violation) => Err(*violation),
        Err(panic) => {
            println!("ROOKERY_SEED={seed}");
            resume_unwind(panic)
        }
    }
}

/// What came is what was due: each once, and in order.
fn is(came: &[String], due: &[String], about: &str) {
    let each: BTreeSet<&String> = came.iter().collect();
    let about = || format!("{about}: {came:?} for {due:?}");
    holds(each.len() == came.len(), Wrong::Twice, about);
    holds(due.iter().all(|it| each.contains(it)), Wrong::Lost, about);
    holds(came == due, Wrong::Disordered, about);
}

impl World {
    /// All is at rest.
    pub(super) fn judge(&self) {
        for person in &self.people {
            let waits = person.unconfirmed.len();
            holds(waits == 0, Wrong::Unconfirmed, || format!("{waits} of {}", person.name));
        }
        let kept = self.archived();
        for person in &self.people {
            let of_person = |text: &&String| text.split(' ').next() == Some(person.name);
            let own: Vec<String> = kept.iter().filter(of_person).cloned().collect();
            let answered = own.iter().find(|it| person.refused.contains(*it));
            holds(answered.is_none(), Wrong::AnsweredAndThere, || format!("{answered:?}"));
            let due = person.said.iter().filter(|it| !person.refused.contains(*it));
            is(&own, &due.cloned().collect::<Vec<_>>(), "the archive");
            person.stays.iter().for_each(|stay| judge_stay(&kept, stay, person.name));
            let is_inside = person.place == Place::Inside;
            let heard = person.stays.last().and_then(|stay| stay.last());
            let missed = is_inside && heard.is_some() && heard != kept.last();
            holds(!missed, Wrong::Lost, || format!("{} heard {heard:?} last", person.name));
            let occupants = &self.stage.trial.entity.occupants;
            let is_occupant = occupants.of_nick(person.nick()).is_some();
            holds(is_inside == is_occupant, Wrong::Ghost, || {
                format!("{} is {:?}, and an occupant: {is_occupant}", person.name, person.place)
            });
        }
    }

    /// The texts of the archive.
    fn archived(&self) -> Vec<String> {
        let query = ArchiveQuery { limit: 1_000, ..ArchiveQuery::default() };
        let page = self.stage.memory.query(stage::fence(), stage::room(), query);
        let rows = stage::block_on(page).unwrap().rows.into_iter();
        rows.filter_map(|row| Some(kept::read(&row.stanza)?.child("body", "")?.text())).collect()
    }
}

/// What somebody heard while they were inside is one piece of the archive.
fn judge_stay(kept: &[String], stay: &[String], name: &str) {
    let Some(at) = stay.first().and_then(|first| kept.iter().position(|it| it == first)) else {
        return holds(stay.is_empty(), Wrong::Lost, || format!("{name}: {stay:?}"));
    };
    is(stay, &kept[at..(at + stay.len()).min(kept.len())], name);
}
