//! Processor time and memory of a process and its children, and who listens on a port.
//!
//! Processor time comes from the process's CPU clock (nanoseconds, threads that ended included),
//! with the ticks of `/proc/PID/stat` for children that were waited for.

use nix::time::ClockId;
use nix::unistd::{Pid, SysconfVar, sysconf};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// A process tree named by its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree {
    root: i32,
}

impl Tree {
    /// The tree under `pid`; fails if there is no such process.
    pub fn of(pid: i32) -> io::Result<Tree> {
        fs::metadata(format!("/proc/{pid}"))?;
        Ok(Tree { root: pid })
    }

    /// The tree of the process that listens on `address`; it must be one of this user's, on this machine.
    pub fn listening_on(address: SocketAddr) -> io::Result<Tree> {
        let inodes = listening_inodes(address.port())?;
        for pid in pids()? {
            if holds_socket(pid, &inodes) {
                return Ok(Tree { root: pid });
            }
        }
        let message = format!("no process that can be seen listens on port {}", address.port());
        Err(io::Error::new(io::ErrorKind::NotFound, message))
    }

    /// The process at the root.
    pub fn root(self) -> i32 {
        self.root
    }

    /// User and system time of the whole tree since its start.
    pub fn cpu(self) -> io::Result<Duration> {
        let mut sum = Duration::ZERO;
        for pid in self.members()? {
            // A child may end between the listing and this look.
            let Ok(clock) = ClockId::pid_cpu_clock_id(Pid::from_raw(pid)) else {
                continue;
            };
            sum += Duration::from(clock.now().map_err(io::Error::from)?);
            sum += waited_children(pid);
        }
        Ok(sum)
    }

    /// Resident memory of the whole tree, in KiB.
    pub fn resident_kib(self) -> io::Result<u64> {
        Ok(self.members()?.into_iter().filter_map(resident_kib).sum())
    }

    fn members(self) -> io::Result<Vec<i32>> {
        fs::metadata(format!("/proc/{}", self.root))?;
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for pid in pids()? {
            if let Some(parent) = stat_field(pid, PARENT).and_then(|f| i32::try_from(f).ok()) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let mut members = vec![self.root];
        let mut at = 0;
        while let Some(pid) = members.get(at) {
            members.extend(children.remove(pid).unwrap_or_default());
            at += 1;
        }
        Ok(members)
    }
}

/// Processor time of this process.
pub fn own_cpu() -> Duration {
    let now = ClockId::CLOCK_PROCESS_CPUTIME_ID.now();
    now.map(Duration::from).unwrap_or_default()
}

/// Fields of `/proc/PID/stat`, counted after the command's closing parenthesis.
const PARENT: usize = 1;
const WAITED_USER_TICKS: usize = 13;
const WAITED_SYSTEM_TICKS: usize = 14;

fn stat_field(pid: i32, field: usize) -> Option<i64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(field)?.parse().ok()
}

fn waited_children(pid: i32) -> Duration {
    let ticks = [WAITED_USER_TICKS, WAITED_SYSTEM_TICKS]
        .into_iter()
        .filter_map(|field| u64::try_from(stat_field(pid, field)?).ok())
        .sum::<u64>();
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    Duration::from_millis(ticks * 1000 / u64::try_from(per_second).unwrap_or(100).max(1))
}

fn resident_kib(pid: i32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn pids() -> io::Result<Vec<i32>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// The inodes of the sockets that listen on `port`, from `/proc/net/tcp` and `tcp6`.
fn listening_inodes(port: u16) -> io::Result<Vec<String>> {
    let tables = [
        fs::read_to_string("/proc/net/tcp")?,
        fs::read_to_string("/proc/net/tcp6").unwrap_or_default(),
    ];
    let port = format!(":{port:04X}");
    let rows = tables.iter().flat_map(|table| table.lines());
    Ok(rows
        .filter_map(|row| {
            let fields: Vec<&str> = row.split_whitespace().collect();
            let listens = fields.get(1)?.ends_with(&port) && *fields.get(3)? == "0A";
            listens.then(|| format!("socket:[{}]", fields.get(9).unwrap_or(&"")))
        })
        .collect())
}

fn holds_socket(pid: i32, inodes: &[String]) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::process::{Command, id};
    use std::time::Instant;

    #[test]
    fn the_listener_of_a_port_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tree = Tree::listening_on(listener.local_addr().unwrap()).unwrap();
        assert_eq!(tree.root(), i32::try_from(id()).unwrap());
        assert!(tree.resident_kib().unwrap() > 500);
    }

    #[test]
    fn work_done_shows_in_the_processor_time_of_the_tree() {
        let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let tree = Tree::of(i32::try_from(child.id()).unwrap()).unwrap();
        let begun = Instant::now();
        let works = || tree.cpu().unwrap() >= Duration::from_millis(30);
        while !works() && begun.elapsed() < Duration::from_secs(30) {}
        let cpu = tree.cpu().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!((Duration::from_millis(30)..=begun.elapsed()).contains(&cpu), "{cpu:?}");
    }

    #[test]
    fn work_of_its_own_shows_in_the_processor_time_of_a_process() {
        let begun = (Instant::now(), own_cpu());
        let works = || own_cpu() - begun.1 >= Duration::from_millis(30);
        while !works() && begun.0.elapsed() < Duration::from_secs(30) {}
        assert!(works());
    }

    #[test]
    fn children_belong_to_the_tree() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        let tree = Tree::of(i32::try_from(id()).unwrap()).unwrap();
        let members = tree.members().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(members.contains(&i32::try_from(child.id()).unwrap()));
        assert!(Tree::of(i32::MAX).is_err());
    }
}
