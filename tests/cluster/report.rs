//! Owns what a measurement writes down: under `benches/results`, with the date, the machine, and how to measure again.

use std::fs;
use std::process::Command;

/// Where results are kept.
const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results");

/// Writes a report about this; `command` measures again.
pub(super) fn write(name: &str, title: &str, command: &str, findings: &str) {
    let date = said_by("date", &["+%Y-%m-%dT%H%M"]);
    let machine = said_by("sh", &["-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2"]);
    let cores = said_by("nproc", &[]);
    let own = if cfg!(debug_assertions) { "a debug build" } else { "a release build" };
    let build = match std::env::var("ROOKERY_BINARY") {
        Ok(binary) => format!("the binary {binary}"),
        Err(_) => own.to_owned(),
    };
    let report = format!(
        "# {title}\n\n{date}, {machine}, {cores} cores; 3 members of {build}, and one Redis.\n\n    {command}\n\n{findings}"
    );
    fs::write(format!("{RESULTS}/{date}-{name}.md"), &report).unwrap();
    println!("{report}");
}

fn said_by(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
