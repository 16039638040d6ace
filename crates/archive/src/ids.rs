//! Owns what rows of archives are called where others see it: names that only the cluster can make, and of which
//! nobody can tell what stands beside them, or when (XEP-0313 §3.1). Whatever is stored has the row's own number.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;
use store::ArchiveId;

/// Half of the rounds would do (Luby and Rackoff); numbers are short, and much of them can be guessed.
const ROUNDS: u8 = 8;

/// The names of rows, a permutation of their numbers with a key. Without a key, as tests have it, a name is the
/// number itself. Every member must have the same key, and must keep it: clients remember names.
#[derive(Clone, Default)]
pub struct Ids {
    key: Option<SipHasher24>,
}

impl Ids {
    /// With this key.
    #[must_use]
    pub fn with_key(key: &[u8; 16]) -> Self {
        Self { key: Some(SipHasher24::new_with_key(key)) }
    }

    /// The name of a row: its stanza id (XEP-0359) and what pages and forms call it.
    #[must_use]
    pub fn write(&self, id: ArchiveId) -> String {
        let (mut left, mut right) = halves(id.0);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.mix(round, right));
        }
        format!("{left:08x}{right:08x}")
    }

    /// The row of a name; none where no row has such a name.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<ArchiveId> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if name.len() != 16 || !name.bytes().all(is_digit) {
            return None;
        }
        let (mut left, mut right) = halves(u64::from_str_radix(name, 16).ok()?);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.mix(round, left), left);
        }
        Some(ArchiveId(u64::from(left) << 32 | u64::from(right)))
    }

    /// What one round of the network adds. Without a key nothing: an even number of rounds changes nothing then.
    fn mix(&self, round: u8, half: u32) -> u32 {
        let Some(key) = &self.key else { return 0 };
        let mut hasher = *key;
        hasher.write(&[round]);
        hasher.write(&half.to_be_bytes());
        halves(hasher.finish()).1
    }
}

fn halves(number: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

/// The key is nobody's business.
impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_764_000_000_000_000;

    #[test]
    fn every_name_leads_back_to_its_row_alone() {
        for ids in [Ids::default(), Ids::with_key(&[7; 16])] {
            for number in [0, 1, u64::MAX, u64::MAX >> 32, NOW, NOW + 1] {
                let name = ids.write(ArchiveId(number));
                assert_eq!(ids.read(&name), Some(ArchiveId(number)), "{name}");
            }
        }
    }

    #[test]
    fn what_is_no_name_is_no_row() {
        for name in ["", "17", "000000000000000g", "00000000000000AB", "00000000000000000"] {
            assert_eq!(Ids::with_key(&[7; 16]).read(name), None, "{name}");
        }
    }

    #[test]
    fn neighbours_in_time_are_no_neighbours_by_name_and_another_key_gives_other_names() {
        let (ids, others) = (Ids::with_key(&[7; 16]), Ids::with_key(&[8; 16]));
        let mut differing = 0;
        for number in NOW..NOW + 1_000 {
            let name = ids.write(ArchiveId(number));
            assert_ne!(name, others.write(ArchiveId(number)));
            let bits = |name: &str| u64::from_str_radix(name, 16).unwrap();
            let next = ids.write(ArchiveId(number + 1));
            differing += (bits(&name) ^ bits(&next)).count_ones();
        }
        // Half of 64 bits, on average.
        assert!((31_000..33_000).contains(&differing), "{differing}");
        assert_eq!(Ids::default().write(ArchiveId(0xabc)), "0000000000000abc");
    }
}
