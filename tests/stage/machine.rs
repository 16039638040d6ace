//! Owns the machine that a server believes to run on: since when it has been up (time_namespaces(7)), what time of day its
//! wall clock shows, and whether its clock since boot has stood still with it (a library put before libc's). All stand in
//! the server's directory, so that a process that is started again there finds the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// For how many seconds longer than this machine it has been up.
const BOOTED: &str = "booted";

/// By how many seconds its wall clock is ahead of this machine's, by how many milliseconds its clock since boot is behind,
/// and what makes a process see that.
const WALL: &str = "wall-clock";
const BOOT: &str = "boot-clock";
const LIBRARY: &str = "clocks.so";

/// In what a machine differs from this one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Machine {
    /// For how many seconds longer it has been up.
    pub(crate) booted: Option<u64>,
    /// By how many seconds its wall clock is ahead; [`set_wall_clock`] changes that while a server runs.
    pub(crate) wall: Option<i64>,
    /// Its host may stop it with all its clocks, as that of a virtual machine ([`stood_still`]).
    pub(crate) is_virtual: bool,
}

impl Machine {
    /// Puts down in a server's directory on what machine it is to run.
    pub(super) fn describe(self, dir: &Path) {
        if let Some(seconds) = self.booted {
            fs::write(dir.join(BOOTED), seconds.to_string()).unwrap();
        }
        if self.wall.is_some() || self.is_virtual {
            build(&dir.join(LIBRARY)).unwrap();
        }
        if let Some(ahead) = self.wall {
            set_wall_clock(dir, ahead);
        }
    }
}

/// Sets the wall clock of the server in a directory, which must have one of its own, to so many seconds ahead of this machine's.
pub(crate) fn set_wall_clock(dir: &Path, ahead: i64) {
    put(dir, WALL, ahead);
}

/// The virtual machine of the server in a directory has stood still for so long in all, and has not seen it.
pub(crate) fn stood_still(dir: &Path, in_all: Duration) {
    put(dir, BOOT, i64::try_from(in_all.as_millis()).unwrap());
}

/// As a whole: it may be read at any time.
fn put(dir: &Path, file: &str, number: i64) {
    let next = dir.join(format!("{file}.next"));
    fs::write(&next, number.to_string()).unwrap();
    fs::rename(next, dir.join(file)).unwrap();
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
        within.env("LD_PRELOAD", library);
        within.env("ROOKERY_WALL_CLOCK", dir.join(WALL)).env("ROOKERY_BOOT_CLOCK", dir.join(BOOT));
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

/// Builds what shows a process other times.
fn build(library: &Path) -> Result<(), String> {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stage/clocks.c");
    let mut compiler = Command::new("cc");
    let built = compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(library).arg(source).output();
    let built = built.map_err(|error| format!("no C compiler: {error}"))?;
    built
        .status
        .success()
        .then_some(())
        .ok_or_else(|| String::from_utf8_lossy(&built.stderr).into())
}
