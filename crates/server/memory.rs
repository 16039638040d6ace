//! Owns how much memory this process may have, and the watch over how much it has.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use meter::{Level, Pressure};

use crate::metrics::process::resident_bytes;

/// How often it is looked: at a gigabit a second a sender fills 12 MiB in between.
const EVERY: Duration = Duration::from_millis(100);

/// Where the system says how much memory there is, and where a container says how much of it is its own.
const MACHINE: &str = "/proc/meminfo";
const CONTAINERS: [&str; 2] =
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// What is known of it.
#[derive(Clone)]
pub(crate) struct Memory {
    pub(crate) pressure: Arc<Pressure>,
    /// The most bytes that this process may have; none: nobody knows.
    pub(crate) budget: Option<u64>,
}

impl Memory {
    /// Looks from now on.
    pub(crate) fn watch(configured: u64) -> Self {
        let (pressure, budget) = (Arc::default(), budget(configured));
        match budget {
            Some(budget) => drop(actix_rt::spawn(watch(Arc::clone(&pressure), budget))),
            None => tracing::warn!("nobody knows how much memory there is: set memory_bytes"),
        }
        Self { pressure, budget }
    }
}

/// The most bytes that this process may have: as configured, or by 0 four fifths of what the machine has, or of
/// what the container may have. None: nobody knows.
fn budget(configured: u64) -> Option<u64> {
    if configured > 0 {
        return Some(configured);
    }
    let containers = CONTAINERS.into_iter().filter_map(|file| limit(Path::new(file)));
    containers.chain(machine()).min().map(|bytes| bytes / 5 * 4)
}

/// "max" and files that are not there are no limit.
fn limit(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn machine() -> Option<u64> {
    let text = fs::read_to_string(MACHINE).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1_024)
}

/// Looks for ever how much is in use. What is given up at which level is said by [`Level`].
async fn watch(pressure: Arc<Pressure>, budget: u64) {
    loop {
        let used = resident_bytes().unwrap_or(0);
        match pressure.note(used, budget) {
            Some(Level::Calm) => tracing::info!("memory suffices again"),
            Some(level) => tracing::warn!(
                "memory comes to its end: {} of {} MiB; no more connections than there are{}",
                used >> 20,
                budget >> 20,
                if level == Level::Critical { ", and senders slowed down" } else { "" },
            ),
            None => {}
        }
        tokio::time::sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_as_configured_or_most_of_what_there_is() {
        assert_eq!(budget(1 << 30), Some(1 << 30));
        let (all, most) = (machine().unwrap(), budget(0).unwrap());
        assert!(most > 0 && most <= all / 5 * 4, "{most} of {all}");
    }

    #[test]
    fn a_file_without_a_number_is_no_limit() {
        let file = std::env::temp_dir().join(format!("rookery-memory-max-{}", std::process::id()));
        assert_eq!(limit(&file), None);
        for (text, expected) in [("max\n", None), ("1048576\n", Some(1 << 20))] {
            fs::write(&file, text).unwrap();
            assert_eq!(limit(&file), expected);
        }
        fs::remove_file(&file).unwrap();
    }
}
