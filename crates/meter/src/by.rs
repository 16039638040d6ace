//! Owns counters side by side, one for each value of a closed set of labels.

use crate::Counter;

/// A counter for each of these names.
#[derive(Debug)]
pub struct By<const N: usize> {
    names: [&'static str; N],
    counters: [Counter; N],
}

impl<const N: usize> By<N> {
    /// Nothing yet.
    pub fn new(names: [&'static str; N]) -> Self {
        Self { names, counters: std::array::from_fn(|_| Counter::default()) }
    }

    /// The counter of this name; of the last one, where there is no such name.
    pub fn of(&self, name: &str) -> &Counter {
        let known = self.names.iter().position(|known| *known == name);
        &self.counters[known.unwrap_or(N - 1)]
    }

    /// The counter at this place of the names; the last one, where there is no such place.
    pub fn at(&self, place: usize) -> &Counter {
        &self.counters[place.min(N - 1)]
    }

    /// All of them together.
    pub fn get(&self) -> u64 {
        self.counters.iter().map(Counter::get).sum()
    }

    /// Each with its name.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.names.iter().copied().zip(self.counters.iter().map(Counter::get))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_name_counts_as_the_last_one() {
        let by = By::new(["ok", "failed", "other"]);
        by.of("failed").add_one();
        by.of("failed").add_one();
        by.of("unheard of").add_one();
        by.at(0).add_one();
        by.at(9).add_one();
        assert_eq!(by.each().collect::<Vec<_>>(), [("ok", 1), ("failed", 2), ("other", 2)]);
        assert_eq!(by.get(), 5);
    }
}
