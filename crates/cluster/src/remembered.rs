//! Owns what must outlive the Raft log, because the rows of the store depend on it: which cluster they
//! belong to, by which key they are in their buckets, and the generation that their fences have seen. Kept
//! in a file beside log and store, so that a member that lost its log begins again as the same cluster.

use std::io;
use std::path::Path;

use crate::config::Remembered;
use crate::hash::HashKey;
use crate::plan::ClusterUuid;
use crate::small_file;

/// The file in the data directory. It holds a secret: [`HashKey`].
const FILE: &str = "cluster";

/// What a data directory remembers; none where there is nothing yet.
///
/// # Errors
///
/// The disk failed, or the file is garbled ([`io::ErrorKind::InvalidData`]).
pub(crate) fn recall(data_dir: &Path) -> io::Result<Option<Remembered>> {
    let text = small_file::read(&data_dir.join(FILE))?;
    let remembered = text.map(|text| parse(&text).ok_or(io::ErrorKind::InvalidData));
    Ok(remembered.transpose()?)
}

/// Lets a data directory remember this, unless it does already.
///
/// # Errors
///
/// The disk failed.
pub(crate) fn remember(data_dir: &Path, remembered: Remembered) -> io::Result<()> {
    if recall(data_dir)? == Some(remembered) {
        return Ok(());
    }
    small_file::replace(&data_dir.join(FILE), &write(remembered))
}

fn write(remembered: Remembered) -> String {
    let Remembered { cluster, generation, hash_key } = remembered;
    let key = u128::from_be_bytes(hash_key.bytes());
    format!("cluster {:032x}\ngeneration {generation}\nhash-key {key:032x}\n", cluster.0)
}

fn parse(text: &str) -> Option<Remembered> {
    let (cluster, rest) = text.strip_prefix("cluster ")?.split_once("\ngeneration ")?;
    let (generation, key) = rest.split_once("\nhash-key ")?;
    let key = hex(key.strip_suffix('\n')?)?;
    Some(Remembered {
        cluster: ClusterUuid(hex(cluster)?),
        generation: generation.parse().ok()?,
        hash_key: HashKey::new(key.to_be_bytes()),
    })
}

fn hex(text: &str) -> Option<u128> {
    let whole = text.len() == 32;
    whole.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_remembers_the_last_it_was_told() {
        let directory = tempfile::TempDir::new().unwrap();
        assert_eq!(recall(directory.path()).unwrap(), None);
        for generation in [1, 7] {
            let hash_key = HashKey::new([0x0F; 16]);
            let told = Remembered { cluster: ClusterUuid(5), generation, hash_key };
            remember(directory.path(), told).unwrap();
            assert_eq!(recall(directory.path()).unwrap(), Some(told));
        }
    }

    #[test]
    fn a_garbled_file_is_an_error_and_is_not_replaced() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join(FILE);
        std::fs::write(&path, "cluster 5\ngeneration 1\nhash-key 0\n").unwrap();
        let told =
            Remembered { cluster: ClusterUuid(5), generation: 1, hash_key: HashKey::new([0; 16]) };
        assert_eq!(recall(directory.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(remember(directory.path(), told).is_err());
        assert!(std::fs::read_to_string(path).unwrap().starts_with("cluster 5\n"));
    }
}
