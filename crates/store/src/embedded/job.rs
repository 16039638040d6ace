//! Owns what the writer is asked to do, and what it answers.

use tokio::sync::oneshot;
use xmpp::{BareJid, Fence};

use crate::Error;
use crate::archive::ArchiveId;
use crate::batch::{Batch, Write};

/// Something to do, and who waits for it.
pub(super) struct Job {
    pub(super) work: Work,
    /// What was reserved for it while it waits.
    pub(super) bytes: usize,
    pub(super) answer: Answer,
}

/// Something to do.
pub(super) enum Work {
    Commit(Vec<Batch>),
    Claim(Fence),
    /// Archive rows, under a fence where they are of one owner.
    Remove(Option<Fence>, Vec<(BareJid, ArchiveId)>),
    /// Everything of an owner.
    Erase(Fence, BareJid),
    Close,
}

/// Who waits, and what will be told.
pub(super) enum Answer {
    Each(oneshot::Sender<Vec<Result<(), Error>>>, Vec<Result<(), Error>>),
    One(oneshot::Sender<Result<(), Error>>, Result<(), Error>),
}

/// What a call takes beside its rows, in bytes.
pub(super) const CALL_BYTES: usize = 128;

impl Job {
    /// What waits for one answer.
    pub(super) fn one(work: Work, bytes: usize) -> (Self, oneshot::Receiver<Result<(), Error>>) {
        let (answer, done) = oneshot::channel();
        let answer = Answer::One(answer, Ok(()));
        (Self { work, bytes, answer }, done)
    }

    /// What waits for an answer for each batch.
    pub(super) fn commit(
        batches: Vec<Batch>,
        bytes: usize,
    ) -> (Self, oneshot::Receiver<Vec<Result<(), Error>>>) {
        let (answer, done) = oneshot::channel();
        let answer = Answer::Each(answer, vec![Ok(()); batches.len()]);
        let work = Work::Commit(batches);
        (Self { work, bytes, answer }, done)
    }
}

impl Work {
    /// Whether it may go on where the disk has little room left: what removes makes room in the end, and
    /// an owner must have claimed before it can remove.
    pub(super) fn is_spared(&self) -> bool {
        let removes = |write: &Write| matches!(write, Write::Delete(_) | Write::Remove(..));
        match self {
            Self::Commit(batches) => batches.iter().flat_map(|batch| &batch.writes).all(removes),
            Self::Claim(_) | Self::Remove(..) | Self::Erase(..) | Self::Close => true,
        }
    }

    /// What must not share a group with anything else.
    pub(super) fn stands_alone(&self) -> bool {
        matches!(self, Self::Erase(..) | Self::Close)
    }
}

impl Answer {
    /// Sets what will be told about one part of the job.
    pub(super) fn set(&mut self, part: usize, result: Result<(), Error>) {
        if let Some(answer) = self.parts().get_mut(part) {
            *answer = result;
        }
    }

    /// What would have been kept is refused with this.
    pub(super) fn refuse(&mut self, error: &Error) {
        for answer in self.parts().iter_mut().filter(|answer| answer.is_ok()) {
            *answer = Err(error.clone());
        }
    }

    /// Tells what became of it. That nobody waits is no fault: the call is done all the same.
    pub(super) fn send(self) {
        match self {
            Self::Each(to, answers) => drop(to.send(answers)),
            Self::One(to, answer) => drop(to.send(answer)),
        }
    }

    fn parts(&mut self) -> &mut [Result<(), Error>] {
        match self {
            Self::Each(_, answers) => answers,
            Self::One(_, answer) => std::slice::from_mut(answer),
        }
    }
}
