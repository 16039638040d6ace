//! Owns the machine that a server believes to run on: since when it has been up (time_namespaces(7)), and what time of day
//! its wall clock shows (a library put before libc's). Both stand in the server's directory, so that a process that is
//! started again there finds the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// For how many seconds longer than this machine it has been up.
const BOOTED: &str = "booted";

/// By how many seconds its wall clock is ahead of this machine's, and what makes a process see that.
const WALL: &str = "wall-clock";
const LIBRARY: &str = "wall-clock.so";

/// In what a machine differs from this one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Machine {
    /// For how many seconds longer it has been up.
    pub(crate) booted: Option<u64>,
    /// By how many seconds its wall clock is ahead; [`set_wall_clock`] changes that while a server runs.
    pub(crate) wall: Option<i64>,
}

impl Machine {
    /// Puts down in a server's directory on what machine it is to run.
    pub(super) fn describe(self, dir: &Path) {
        if let Some(seconds) = self.booted {
            fs::write(dir.join(BOOTED), seconds.to_string()).unwrap();
        }
        if let Some(ahead) = self.wall {
            build(&dir.join(LIBRARY)).unwrap();
            set_wall_clock(dir, ahead);
        }
    }
}

/// Sets the wall clock of the server in a directory, which must have one of its own, to so many seconds ahead of this machine's.
pub(crate) fn set_wall_clock(dir: &Path, ahead: i64) {
    // As a whole: it may be read at any time.
    let next = dir.join("wall-clock.next");
    fs::write(&next, ahead.to_string()).unwrap();
    fs::rename(next, dir.join(WALL)).unwrap();
}

/// A server's command, on the machine that its directory wants.
pub(super) fn on_its_machine(dir: &Path, command: Command) -> Command {
    let mut within = match fs::read_to_string(dir.join(BOOTED)) {
        Ok(before) => {
            let mut within = Command::new("unshare");
            within.args(["--time", "--boottime", &before, "--monotonic", &before]);
            within.arg(command.get_program()).args(command.get_args());
            within
        }
        Err(_) => command,
    };
    let library = dir.join(LIBRARY);
    if library.exists() {
        within.env("LD_PRELOAD", library).env("ROOKERY_WALL_CLOCK", dir.join(WALL));
    }
    within
}

/// Whether processes can be shown another time since boot here; says so where not.
pub(crate) fn can_shift_boot() -> bool {
    let tried = Command::new("unshare").args(["--time", "--boottime", "1", "true"]).output();
    let can = tried.is_ok_and(|tried| tried.status.success());
    if !can {
        assert!(std::env::var_os("ROOKERY_REQUIRE_NAMESPACES").is_none(), "no time namespace");
        crate::redis::fixture::skipped("no time namespace can be made here");
    }
    can
}

/// Builds what shows a process another time of day.
fn build(library: &Path) -> Result<(), String> {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stage/wall_clock.c");
    let mut compiler = Command::new("cc");
    let built = compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(library).arg(source).output();
    let built = built.map_err(|error| format!("no C compiler: {error}"))?;
    built
        .status
        .success()
        .then_some(())
        .ok_or_else(|| String::from_utf8_lossy(&built.stderr).into())
}
