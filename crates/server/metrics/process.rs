//! Owns what the operating system knows of this process. What it does not tell is left out.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;
use web::Text;

pub(super) fn write(text: &mut Text) {
    if let Some(bytes) = resident_bytes() {
        text.gauge("process_resident_bytes", "Memory of this process.", bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the directory itself.
        let open = open.count().saturating_sub(1);
        text.gauge("process_open_descriptors", "Open files and sockets.", open);
    }
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        text.gauge("process_max_descriptors", "Most open files and sockets.", soft);
    }
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let used = time(usage.user_time()) + time(usage.system_time());
        text.counter("process_cpu_seconds_total", "CPU time of this process.", used.as_secs_f64());
    }
    if let Some(threads) = status("Threads:") {
        text.gauge("process_threads", "Threads of this process.", threads);
    }
}

/// Bytes of memory that this process has.
pub(crate) fn resident_bytes() -> Option<u64> {
    status("VmRSS:").map(|kibibytes| kibibytes * 1_024)
}

/// The number in a line of `/proc/self/status`.
fn status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn time(value: TimeVal) -> Duration {
    let seconds = u64::try_from(value.tv_sec()).unwrap_or_default();
    Duration::from_secs(seconds)
        + Duration::from_micros(u64::try_from(value.tv_usec()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_memory_its_files_and_its_time() {
        let mut text = Text::default();
        write(&mut text);
        let page = text.finish();
        let value = |name: &str| {
            let line =
                page.lines().find(|line| line.starts_with(&format!("rookery_process_{name} ")));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        };
        assert!(value("resident_bytes").unwrap() > 1e6, "{page}");
        assert!(value("open_descriptors").unwrap() >= 3.0, "{page}");
        assert!(value("max_descriptors") > value("open_descriptors"), "{page}");
        assert!(value("cpu_seconds_total").is_some() && value("threads").unwrap() >= 1.0, "{page}");
    }
}
