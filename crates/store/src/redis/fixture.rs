//! Owns Redis servers of one's own for tests: on loopback, in directories and on ports of their own, ended by
//! their process ids - also when the test's process is killed.

#![cfg_attr(not(test), expect(dead_code, reason = "each test binary uses a part"))]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Set where tests must not be left out.
const REQUIRED: &str = "ROOKERY_REQUIRE_REDIS";

/// A running server.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) dir: PathBuf,
    args: Vec<String>,
    running: Option<(Child, Child)>,
}

/// Six servers: three primaries with a replica each.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
}

/// Says why a test that passes has shown nothing: past what keeps the output of those that pass from being seen.
pub(crate) fn skipped(why: &str) {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "SKIPPED: {why}").expect("there is somebody to tell");
}

/// Whether there is a Redis server to test with; says so where not.
pub(crate) fn is_there() -> bool {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
    let is_there = found.is_ok_and(|status| status.success());
    if !is_there {
        assert!(std::env::var_os(REQUIRED).is_none(), "redis-server is not installed");
        skipped("redis-server is not installed (apt-get install redis-server)");
    }
    is_there
}

impl Server {
    /// Starts a server, if there is one to test with.
    pub(crate) fn there(options: &str) -> Option<Self> {
        is_there().then(|| Self::start(options))
    }

    /// Starts a server with these options, such as `--appendonly yes`.
    pub(crate) fn start(options: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir =
            std::env::temp_dir().join(format!("rookery-redis-{}-{number}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).expect("a directory for the server");
        let args = options.split_whitespace().map(str::to_owned).collect();
        let mut server = Self { port: free_port(), dir, args, running: None };
        server.restart();
        server
    }

    /// Starts it on its directory and port, where it does not run.
    pub(crate) fn restart(&mut self) {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--unixsocket", "socket", "--repl-diskless-sync-delay", "0"])
            .arg("--dir")
            .arg(&self.dir)
            .args(&self.args)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(fs::File::create(self.dir.join("log")).expect("a log"));
        let child = command.spawn().expect("redis-server starts");
        let guardian = guardian(child.id(), &self.dir);
        self.running = Some((child, guardian));
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() || !self.answers() {
            assert!(begin.elapsed() < Duration::from_secs(20), "{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        let told = self.cli(&["PING"]);
        // It may want a password, or TLS.
        !told.contains("LOADING") && !told.contains("refused")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some((mut child, mut guardian)) = self.running.take() {
            guardian.kill().expect("the guardian is ended");
            guardian.wait().expect("it is gone");
            child.kill().expect("the server is killed");
            child.wait().expect("it is gone");
        }
    }

    /// Sends a signal, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.running.as_ref().expect("it runs").0.id().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// What it answers to a command.
    pub(crate) fn cli(&self, args: &[&str]) -> String {
        let port = self.port.to_string();
        let told = Command::new("redis-cli").args(["-p", &port]).args(args).output();
        let told = told.expect("redis-cli is there");
        let both = [told.stdout, told.stderr].concat();
        String::from_utf8_lossy(&both).trim().to_owned()
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Cluster {
    /// Starts a cluster.
    pub(crate) fn start() -> Self {
        let options = |bus: u16| {
            format!(
                "--cluster-enabled yes --cluster-node-timeout 1500 --cluster-port {bus} \
                 --cluster-replica-validity-factor 0 --appendonly yes"
            )
        };
        let servers: Vec<Server> = (0..6).map(|_| Server::start(&options(free_port()))).collect();
        let addresses: Vec<String> =
            servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(&addresses)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .expect("redis-cli is there");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let cluster = Self { servers };
        cluster.until("every primary has its replica", |cluster| {
            let count = |word| cluster.servers.iter().filter(|one| one.says(word)).count();
            let is_well =
                |server: &Server| server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
            count("connected_slaves:1") == 3
                && count("master_link_status:up") == 3
                && cluster.servers.iter().all(is_well)
        });
        cluster
    }

    /// Waits until something holds.
    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begin = Instant::now();
        while !holds(self) {
            assert!(begin.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Two seeds of it.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{},127.0.0.1:{}", self.servers[0].port, self.servers[5].port)
    }

    /// The primaries among the servers.
    pub(crate) fn primaries(&self) -> Vec<usize> {
        let is_primary = |at: &usize| self.servers[*at].says("role:master");
        (0..self.servers.len()).filter(is_primary).collect()
    }

    /// Empties it.
    pub(crate) fn flush(&self) {
        self.primaries().into_iter().for_each(|at| drop(self.servers[at].cli(&["FLUSHALL"])));
    }
}

impl Server {
    /// Whether its state of replication has this line.
    pub(crate) fn says(&self, line: &str) -> bool {
        self.cli(&["INFO", "replication"]).lines().any(|told| told.trim() == line)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// A port that nobody has, low enough for all.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let from = u64::from(std::process::id()) * 37;
    loop {
        let number = (from + NEXT.fetch_add(1, Ordering::Relaxed)) % 9_000;
        let port = 21_000 + u16::try_from(number).expect("is small");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Ends a server when the tests end without dropping it: it waits until its standard input ends, as it does
/// with the process that holds it.
fn guardian(server: u32, dir: &Path) -> Child {
    Command::new("sh")
        .args(["-c", "read _; kill -9 \"$0\"; rm -rf \"$1\""])
        .arg(server.to_string())
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a guardian starts")
}
