//! Owns what an operator may choose about the store on a directory.

use serde::{Deserialize, Serialize};

/// Settings of the store on a directory. The defaults serve a host of some thousand accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// With less than this free on the disk, writes are refused; claiming and removing go on down to a
    /// quarter of it. Bytes; default 64 MiB.
    pub min_free_bytes: u64,
    /// How much may stand in journals before tables are written for them: bounds the time to start after a
    /// crash. Bytes; default and least 64 MiB.
    pub journal_bytes_max: u64,
    /// How much of each of the three tables is gathered in memory before it is written out. Bytes;
    /// default 16 MiB.
    pub write_buffer_bytes: u64,
    /// What is kept in memory of what was read. Bytes; default 32 MiB.
    pub cache_bytes: u64,
    /// How many threads read rows, and how many read archives. Default 2.
    pub reader_threads: usize,
    /// How many reads may wait on each side before more are refused. Default 4096.
    pub reads_waiting_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            min_free_bytes: 64 * MIB,
            journal_bytes_max: 64 * MIB,
            write_buffer_bytes: 16 * MIB,
            cache_bytes: 32 * MIB,
            reader_threads: 2,
            reads_waiting_max: 4096,
        }
    }
}
