//! Owns the witness beside the log: a small file that says what the log must at least know. The database
//! takes a damaged journal for one whose end was never written, and would come up without all that follows
//! the damage; the witness tells such a log from a new one, and from one of before the last start.

use std::io;
use std::path::Path;

use proto::MemberId;

use super::log::Identity;
use crate::small_file;

/// The file in the log's directory.
const FILE: &str = "member";

/// What the witness says; none where there is none yet.
///
/// # Errors
///
/// The disk failed, or the file is not a witness ([`io::ErrorKind::InvalidData`]).
pub(super) fn read(directory: &Path) -> io::Result<Option<Identity>> {
    let text = small_file::read(&directory.join(FILE))?;
    let said = text.map(|text| parse(&text).ok_or(io::ErrorKind::InvalidData));
    Ok(said.transpose()?)
}

/// Lets the witness say this, when the log has it on the disk already.
///
/// # Errors
///
/// The disk failed.
pub(super) fn write(directory: &Path, identity: Identity) -> io::Result<()> {
    let Identity { member, incarnation } = identity;
    let text = format!("member {member}\nincarnation {incarnation}\n");
    small_file::replace(&directory.join(FILE), &text)
}

fn parse(text: &str) -> Option<Identity> {
    let (member, incarnation) = text.strip_prefix("member ")?.split_once("\nincarnation ")?;
    Some(Identity {
        member: MemberId(u64::from_str_radix(member, 16).ok()?),
        incarnation: incarnation.strip_suffix('\n')?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_says_again_what_it_was_told() {
        let directory = tempfile::TempDir::new().unwrap();
        assert_eq!(read(directory.path()).unwrap(), None);
        for incarnation in [1, 22] {
            let identity = Identity { member: MemberId(0xAB << 56), incarnation };
            write(directory.path(), identity).unwrap();
            assert_eq!(read(directory.path()).unwrap(), Some(identity));
        }
    }

    #[test]
    fn half_a_witness_is_none() {
        for text in ["", "member 1", "member 1\nincarnation ", "member 1\nincarnation 2", "x"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
