//! Owns the quarters of a cluster in tests: certificates, addresses, processes, and what each says of the
//! cluster.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cluster::Status;
use cluster::clock::BootTime;
use cluster::operator::ShardRow;
use cluster::plan::Status as MemberStatus;
use cluster::status::MemberRow;

use crate::commands::get;
use crate::stage::machine::Machine;
use crate::stage::{Stage, binary, free};

/// Longer than anything takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// Lines of a member's log that are shown when a test fails.
const LINES: usize = 200;

/// Where the members of one cluster are to be.
pub(super) struct Quarters {
    pub(super) certificates: PathBuf,
    pub(super) addresses: Vec<SocketAddr>,
    expect: usize,
    found_by: Found,
}

/// How members find each other.
enum Found {
    /// The first three know each other.
    Seeds,
    /// Every address of this name is a member's, as this name server says.
    Name(String, SocketAddr),
}

impl Quarters {
    /// For so many members, of which the first three are seeds and so many begin together.
    pub(super) fn of(count: usize, expect: usize) -> Self {
        static QUARTERS: AtomicUsize = AtomicUsize::new(0);
        let number = QUARTERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("rookery-certificates-{}-{number}", std::process::id());
        let certificates = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&certificates));
        std::fs::create_dir_all(&certificates).unwrap();
        make(&certificates, &["cluster-ca"]);
        for number in 1..=count {
            make(&certificates, &["cluster-member", &format!("m{number}")]);
        }
        let addresses = (0..count).map(|_| free()).collect();
        Self { certificates, addresses, expect, found_by: Found::Seeds }
    }

    /// As [`Quarters::of`], for members that find each other by a name: with one port at addresses of their own.
    pub(super) fn by_name(count: usize, name: &str, server: SocketAddr) -> Self {
        let mut quarters = Self::of(count, count);
        let port = quarters.addresses[0].port();
        let host = |number| std::net::Ipv4Addr::new(127, 0, 0, number);
        let numbers = (1..=u8::MAX).take(count);
        quarters.addresses = numbers.map(|number| (host(number), port).into()).collect();
        quarters.found_by = Found::Name(format!("{name}:{port}"), server);
        quarters
    }

    /// The configuration of the member of this number, from 1, with this laid over.
    pub(super) fn config(&self, number: usize, more: &str) -> String {
        let listen = self.addresses[number - 1];
        let seeds: Vec<_> = self.addresses.iter().take(3).map(|a| format!("'{a}'")).collect();
        let (servers, found_by) = match &self.found_by {
            Found::Seeds => (String::new(), format!("seeds = [{}]", seeds.join(", "))),
            Found::Name(name, server) => {
                (format!("[dns]\nservers = ['{server}']\n"), format!("dns = '{name}'"))
            }
        };
        let (dir, expect) = (self.certificates.display(), self.expect);
        format!(
            "{servers}[cluster]\nname = 'm{number}'\nlisten = '{listen}'\n{found_by}\n\
             bootstrap_expect = {expect}\nca = '{dir}/cluster-ca.crt'\n\
             certificate = '{dir}/m{number}.crt'\nkey = '{dir}/m{number}.key'\n{more}"
        )
    }

    /// Starts a member on a thread: it waits for the others.
    pub(super) fn start(&self, number: usize, more: &str) -> JoinHandle<Stage> {
        self.start_on(Machine::default(), number, more)
    }

    /// The same, on another machine.
    pub(super) fn start_on(
        &self,
        machine: Machine,
        number: usize,
        more: &str,
    ) -> JoinHandle<Stage> {
        let config = self.config(number, more);
        thread::spawn(move || Stage::start_on(machine, &config))
    }

    /// Whether somebody listens at the address of the member of this number, from 1.
    pub(super) fn listens(&self, number: usize) -> bool {
        TcpStream::connect(self.addresses[number - 1]).is_ok()
    }

    /// Starts the first so many members together.
    pub(super) fn start_all(&self, count: usize, more: &str) -> Vec<Stage> {
        let starting: Vec<_> = (1..=count).map(|number| self.start(number, more)).collect();
        starting.into_iter().map(|starting| starting.join().unwrap()).collect()
    }
}

impl Drop for Quarters {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.certificates));
    }
}

/// Members whose last words are shown when a test fails.
pub(super) struct Watched(pub(super) Vec<Stage>);

impl Deref for Watched {
    type Target = [Stage];

    fn deref(&self) -> &[Stage] {
        &self.0
    }
}

impl DerefMut for Watched {
    fn deref_mut(&mut self) -> &mut [Stage] {
        &mut self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        for (number, stage) in self.0.iter().enumerate().filter(|_| thread::panicking()) {
            let log = stage.log.lock().unwrap();
            let lines: Vec<&str> = log.lines().rev().take(LINES).collect();
            let lines: Vec<&str> = lines.into_iter().rev().collect();
            println!("m{} said last:\n{}", number + 1, lines.join("\n"));
        }
    }
}

/// Makes certificates as operators do.
pub(super) fn make(directory: &Path, what: &[&str]) {
    let mut command = binary();
    let made = command.arg("cert").args(what).arg("--dir").arg(directory).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Waits until something is so; says how long it took.
pub(super) fn until(what: &str, so: impl FnMut() -> bool) -> Duration {
    until_seen(what, so, |so| *so)
}

/// Waits until what is seen is so; says how long it took. If it never is, the last that was seen is shown.
pub(super) fn until_seen<T: Debug>(
    what: &str,
    mut look: impl FnMut() -> T,
    so: impl Fn(&T) -> bool,
) -> Duration {
    let begun = BootTime::now();
    loop {
        let seen = look();
        let waited = BootTime::now().since(begun);
        if so(&seen) {
            return waited;
        }
        assert!(waited < PATIENCE, "{what} never came: {seen:?}");
        thread::park_timeout(Duration::from_millis(25));
    }
}

/// The cluster as this member sees it.
pub(super) fn status(stage: &Stage) -> Status {
    serde_json::from_slice(&ask(stage, "/api/v1/cluster")).unwrap()
}

/// Every shard as this member sees it.
pub(super) fn shards(stage: &Stage) -> Vec<ShardRow> {
    serde_json::from_slice(&ask(stage, "/api/v1/cluster/shards")).unwrap()
}

/// What a member says of one of this name, as soon as it knows it.
pub(super) fn member(stage: &Stage, name: &str) -> MemberRow {
    let mut found = None;
    until("the member's name", || {
        found = status(stage).members.into_iter().find(|row| row.name == name);
        found.is_some()
    });
    found.unwrap()
}

/// The name of the member that leads. On a busy machine there may be none for a while.
pub(super) fn until_led(stage: &Stage) -> String {
    until("a leader", || leader(stage).is_some());
    leader(stage).unwrap_or_default()
}

/// Waits until this member may act and the cluster counts on it. A busy machine may cost a member its lease, and
/// even its shards: it then gets both again.
pub(super) fn until_acts(stage: &Stage) {
    let acts = |status: &Status| {
        let own = status.members.iter().find(|row| row.id == status.member);
        status.lease && own.is_some_and(|own| own.status == MemberStatus::Up)
    };
    until("the lease", || acts(&status(stage)));
}

/// The name of the member that leads, if one does.
pub(super) fn leader(stage: &Stage) -> Option<String> {
    let status = status(stage);
    let leader = status.leader?;
    status.members.into_iter().find(|row| row.id == leader).map(|row| row.name)
}

/// One answer of the administration socket.
pub(super) fn ask(stage: &Stage, path: &str) -> Vec<u8> {
    let connected = UnixStream::connect(stage.dir.join("data/admin.sock"));
    let mut stream =
        connected.unwrap_or_else(|error| panic!("{error}: {}", stage.log.lock().unwrap()));
    write!(stream, "GET {path} HTTP/1.0\r\nHost: rookery\r\n\r\n").unwrap();
    body(stream)
}

/// Whether clients should come to this member.
pub(super) fn is_ready(stage: &Stage) -> bool {
    get(stage, "/healthz/ready").0 == 200
}

/// Whether an orchestrator leaves this member alone.
pub(super) fn is_live(stage: &Stage) -> bool {
    get(stage, "/healthz/live").0 == 200
}

fn body(mut stream: UnixStream) -> Vec<u8> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    answer.split_off(end + 4)
}
