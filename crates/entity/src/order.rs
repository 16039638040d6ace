//! Owns the order in which an entity goes on: what follows one answer of the store runs behind what follows
//! those that were asked for before it, in whatever order the answers are heard. An order of stanzas that
//! wait for the store (RFC 6120 §10.1) rests on it, and so does taking back what was refused.

use std::collections::VecDeque;

/// Answers that are awaited, in the order in which they were asked for.
#[derive(Debug)]
pub(crate) struct Awaited<T> {
    answers: VecDeque<Option<T>>,
    /// The number of the first of them.
    first: u64,
}

/// Names an answer that is awaited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question(u64);

impl<T> Awaited<T> {
    /// Another answer is awaited.
    pub(crate) fn ask(&mut self) -> Question {
        self.answers.push_back(None);
        Question(self.first + self.answers.len() as u64 - 1)
    }

    /// An answer has come.
    pub(crate) fn answer(&mut self, Question(number): Question, answer: T) {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(place) = index.and_then(|index| self.answers.get_mut(index)) {
            *place = Some(answer);
        }
    }

    /// The next answer, if it has come.
    pub(crate) fn next(&mut self) -> Option<T> {
        let answer = self.answers.front_mut()?.take()?;
        self.answers.pop_front();
        self.first += 1;
        if self.answers.is_empty() {
            // An idle entity holds no room.
            self.answers = VecDeque::new();
        }
        Some(answer)
    }
}

impl<T> Default for Awaited<T> {
    fn default() -> Self {
        Self { answers: VecDeque::new(), first: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_out_as_they_were_asked_for_and_each_once() {
        let mut awaited = Awaited::default();
        let [one, two, three] = [(); 3].map(|()| awaited.ask());
        awaited.answer(three, 3);
        assert_eq!(awaited.next(), None);
        awaited.answer(one, 1);
        assert_eq!((awaited.next(), awaited.next()), (Some(1), None));
        let four = awaited.ask();
        awaited.answer(two, 2);
        awaited.answer(four, 4);
        assert_eq!([(); 4].map(|()| awaited.next()), [Some(2), Some(3), Some(4), None]);
        awaited.answer(one, 1);
        assert_eq!(awaited.next(), None);
        let five = awaited.ask();
        awaited.answer(five, 5);
        assert_eq!(awaited.next(), Some(5));
    }
}
