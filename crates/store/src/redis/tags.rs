//! Owns the table of tags: for each bucket the shortest word of base 36 whose Redis slot it is, so that buckets
//! and slots are the same thing and all keys of a bucket stand on one node.

use std::sync::LazyLock;

use xmpp::Bucket;

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// Words of so many characters reach every slot.
const LENGTH_MAX: usize = 4;

/// A word; the rest of the place is zero.
#[derive(Clone, Copy)]
struct Tag([u8; LENGTH_MAX]);

static TAGS: LazyLock<Box<[Tag]>> = LazyLock::new(tags);

/// The tag of a bucket.
pub(super) fn tag(bucket: Bucket) -> &'static str {
    TAGS.get(usize::from(bucket.number())).map_or("", Tag::as_str)
}

/// The slot of a key's hash tag, or of a key without one.
pub(super) fn slot(tag: &[u8]) -> u16 {
    crc16(tag) % Bucket::COUNT
}

fn tags() -> Box<[Tag]> {
    let mut tags = vec![None; usize::from(Bucket::COUNT)];
    let mut left = tags.len();
    for length in 1..=LENGTH_MAX {
        for number in 0..36_usize.pow(u32::try_from(length).expect("is at most four")) {
            let word = Tag::of(number, length);
            let place = &mut tags[usize::from(slot(word.as_str().as_bytes()))];
            if place.is_none() {
                *place = Some(word);
                left -= 1;
            }
            if left == 0 {
                return tags.into_iter().flatten().collect();
            }
        }
    }
    unreachable!("a test goes through every bucket")
}

impl Tag {
    /// The word of so many characters that stands at this place among them.
    fn of(mut number: usize, length: usize) -> Self {
        let mut word = [0; LENGTH_MAX];
        for place in word[..length].iter_mut().rev() {
            *place = DIGITS[number % DIGITS.len()];
            number /= DIGITS.len();
        }
        Self(word)
    }

    fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(LENGTH_MAX);
        std::str::from_utf8(&self.0[..length]).expect("base 36 is ASCII")
    }
}

/// CRC-16/XMODEM, as the Redis Cluster specification has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_checksum_is_that_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // As `CLUSTER KEYSLOT` answers.
        assert_eq!(slot(b"somekey"), 11058);
    }

    #[test]
    fn every_bucket_has_a_tag_of_its_own_in_its_slot() {
        let buckets = (0..Bucket::COUNT).filter_map(Bucket::new);
        let tags: HashSet<_> = buckets
            .map(|bucket| {
                let tag = tag(bucket);
                assert_eq!(slot(tag.as_bytes()), bucket.number());
                assert!((1..=LENGTH_MAX).contains(&tag.len()));
                tag
            })
            .collect();
        assert_eq!(tags.len(), usize::from(Bucket::COUNT));
    }

    #[test]
    fn the_table_never_changes() {
        // Every key that was ever written stands under these.
        let some = [0, 1, 7, 8_191, 16_383].map(|number| tag(Bucket::new(number).unwrap()));
        assert_eq!(some, ["1bz", "emj", "g2m", "7ho", "hia"]);
        let all = (0..Bucket::COUNT).filter_map(Bucket::new).flat_map(|b| tag(b).bytes());
        let digest = all.fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        assert_eq!(digest, 15_923_566_252_652_705_278);
    }
}
