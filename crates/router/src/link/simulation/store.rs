//! Owns the simulated store, and what accounts do with it: what they have written is there at once, and a replica has it a
//! little later. A primary that is gone takes along what its replica does not have; so whoever has written something
//! lets go of its receipt when the replica has it, and until then writes it again where it is missing.

use super::*;

/// What a store has of one account, in order.
#[derive(Default)]
pub(super) struct Rows {
    all: Vec<Row>,
    /// How many of the first ones the replica has.
    copied: usize,
}

/// What is written and not known to be safe, with whoever waits for that.
pub(super) type Writing = VecDeque<(Row, Option<Receipt>)>;

impl Rows {
    pub(super) fn all(&self) -> &[Row] {
        &self.all
    }

    /// What outlives the primary.
    pub(super) fn is_safe(&self, row: Row) -> bool {
        self.all[..self.copied].contains(&row)
    }

    fn write_again(&mut self, writing: &Writing) {
        for (row, _) in writing {
            if !self.all.contains(row) {
                self.all.push(*row);
            }
        }
    }
}

impl World {
    /// Accounts do some of what came, and the replica may hear of it.
    pub(super) fn act(&mut self, at: usize) {
        for index in 0..ACCOUNTS {
            for _ in 0..self.chance.below(4) {
                self.act_on(at, index);
            }
            if self.chance.one_in(2) {
                self.replicate(index);
            }
        }
    }

    /// An account does what came first: writes it, and waits until that is safe.
    fn act_on(&mut self, at: usize, index: usize) {
        let (repeats, waits) = (self.lacks(Mutant::Repeats), !self.lacks(Mutant::Waiting));
        let (home, rows) = (&mut self.homes[at], &mut self.rows[index]);
        let Some((row, again, receipt)) = home.mail[index].pop_front() else { return };
        let known = home.seen[index].contains(&row) || (again && rows.all.contains(&row));
        home.seen[index].push(row);
        if !known || repeats {
            rows.all.push(row);
        }
        match waits {
            true => home.writing[index].push_back((row, receipt)),
            false => receipt.into_iter().for_each(Receipt::release),
        }
    }

    /// An account finishes what it has, and waits until all is safe.
    pub(super) fn finish(&mut self, at: usize, index: usize) {
        while !self.homes[at].mail[index].is_empty() {
            self.act_on(at, index);
        }
        self.replicate(index);
    }

    fn replicate(&mut self, index: usize) {
        self.rows[index].copied = self.rows[index].all.len();
        for home in &mut self.homes {
            let safe = home.writing[index].drain(..).filter_map(|(_, receipt)| receipt);
            safe.for_each(Receipt::release);
        }
    }

    /// The replica takes the place of the primary.
    pub(super) fn fail_over(&mut self) {
        for (index, rows) in self.rows.iter_mut().enumerate() {
            rows.all.truncate(rows.copied);
            self.homes.iter().for_each(|home| rows.write_again(&home.writing[index]));
        }
    }

    /// A process that was expelled does something of what it had: the store knows better.
    pub(super) fn act_as_a_zombie(&mut self) {
        let (index, takes) = (self.chance.below(ACCOUNTS), self.lacks(Mutant::Fencing));
        let mail = self.zombies.iter_mut().find_map(|home| home.mail[index].pop_front());
        let Some((row, _, receipt)) = mail else { return };
        if takes {
            self.rows[index].all.push(row);
        }
        receipt.into_iter().for_each(Receipt::release);
    }
}
