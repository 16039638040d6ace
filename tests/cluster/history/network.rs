//! Owns a network for tests: hosts in network namespaces of their own, on a bridge that lets packets vanish between
//! two of them, in one direction if that is wanted. Nothing of it has a name on this machine, so that it is gone with
//! the last process in it, however the test ends.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// Set where tests must not be left out.
const REQUIRED: &str = "ROOKERY_REQUIRE_NAMESPACES";

/// A client's system holds a peer that does not answer for gone after some seconds, not after many minutes.
const IMPATIENCE: [(&str, &str); 2] = [("tcp_syn_retries", "1"), ("tcp_retries2", "4")];

/// Where a thread is, as the system shows it.
const HERE: &str = "/proc/thread-self/ns/net";

/// Hosts on one bridge.
pub(super) struct Network {
    bridge: Namespace,
    hosts: Vec<Namespace>,
}

/// What is between hosts.
struct Namespace(File);

/// From one host to another one, by their numbers.
pub(super) type Way = (usize, usize);

/// Whether this process may make networks; says so where not.
pub(super) fn is_there() -> bool {
    let missing = [("ip", "-V"), ("nft", "-v")].into_iter().find(|(tool, version)| {
        let asked = Command::new(tool).arg(version).stdout(Stdio::null()).status();
        !asked.is_ok_and(|status| status.success())
    });
    let why = match (missing, Namespace::new()) {
        (None, Ok(_)) => return true,
        (Some((tool, _)), _) => format!("{tool} is not installed (scripts/tool network)"),
        (None, Err(error)) => format!("no network namespace can be made here: {error}"),
    };
    assert!(std::env::var_os(REQUIRED).is_none(), "{why}");
    crate::redis::fixture::skipped(&why);
    false
}

impl Network {
    /// So many hosts, all of which reach each other.
    pub(super) fn of(count: usize) -> Self {
        let bridge = Namespace::new().unwrap();
        let hosts: Vec<_> = (0..count).map(|_| Namespace::new().unwrap()).collect();
        let network = Self { bridge, hosts };
        network.bridge.within(|| {
            run("ip", "link add bridge type bridge");
            run("ip", "link set bridge up");
        });
        for (number, host) in network.hosts.iter().enumerate() {
            let (there, place) = (host.path(), Self::address(number));
            network.bridge.within(|| {
                run("ip", &format!("link add host{number} type veth peer name wire netns {there}"));
                run("ip", &format!("link set host{number} master bridge up"));
            });
            host.within(|| {
                run("ip", "link set lo up");
                run("ip", &format!("address add {place}/24 dev wire"));
                run("ip", "link set wire up");
            });
        }
        network
    }

    /// The address of a host.
    pub(super) fn address(number: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, u8::try_from(number + 1).unwrap())
    }

    /// As an address to listen at.
    pub(super) fn at(number: usize, port: u16) -> SocketAddr {
        (Self::address(number), port).into()
    }

    /// Does something on a host. Threads and processes that are started there stay there.
    pub(super) fn within<T: Send>(&self, host: usize, act: impl FnOnce() -> T + Send) -> T {
        self.hosts[host].within(act)
    }

    /// Systems on this host give up soon on peers that do not answer.
    pub(super) fn makes_impatient(&self, host: usize) {
        self.within(host, || {
            for (name, value) in IMPATIENCE {
                fs::write(format!("/proc/sys/net/ipv4/{name}"), value).unwrap();
            }
        });
    }

    /// From now on packets on these ways vanish without a word, and on no others.
    pub(super) fn cut(&self, ways: &[Way]) {
        let drop = |(from, to): &Way| {
            format!("  iifname host{from} oifname host{to} ether type ip drop\n")
        };
        let drops: String = ways.iter().map(drop).collect();
        let rules = format!(
            "flush ruleset\ntable bridge cuts {{\n chain forward {{\n  \
             type filter hook forward priority 0\n{drops} }}\n}}\n"
        );
        self.bridge.within(|| {
            let mut nft =
                Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
            nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
            assert!(nft.wait().unwrap().success(), "{rules}");
        });
    }
}

impl Namespace {
    fn new() -> std::io::Result<Self> {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open(HERE).map(Self)
        });
        made.join().unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Where other processes find it.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let there = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
                act()
            });
            there.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }
}

fn run(tool: &str, words: &str) {
    let done = Command::new(tool).args(words.split_whitespace()).output().unwrap();
    assert!(done.status.success(), "{tool} {words}: {}", String::from_utf8_lossy(&done.stderr));
}
