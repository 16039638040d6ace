//! Owns the stage: the real binary, started on a directory and ports of its own, ended with the test.
//!
//! Half of the stories of `tests/rfc` and `tests/xep`, by the names of their tests, are played on a server
//! whose entities sleep whenever nothing is under way, and go on from rows, snapshots and timers
//! (`entity/src/actor/rest.rs`). With `ROOKERY_STORIES=other` it is the other half, with `drowsy` all, with
//! `awake` none.

pub(crate) mod crew;
pub(crate) mod held;
pub(crate) mod machine;
pub(crate) mod ways;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, mpsc};
use std::time::Duration;

use town::{Fate, Story, Town};

use crew::Crew;
use machine::{Machine, on_its_machine};

/// The password of every account on a stage.
pub(crate) const PASSWORD: &str = "pencil";

/// A start takes some hundred milliseconds, that of a cluster some seconds; longer than this, and it has failed, also
/// on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server.
pub(crate) struct Stage {
    /// Its data directory and configuration.
    pub(crate) dir: PathBuf,
    /// Streams that begin in the clear.
    pub(crate) c2s: SocketAddr,
    /// Streams over TLS.
    pub(crate) c2s_tls: SocketAddr,
    /// HTTP without TLS.
    pub(crate) http: SocketAddr,
    /// HTTP with TLS.
    pub(crate) https: SocketAddr,
    /// Everything that it has logged.
    pub(crate) log: Arc<Mutex<String>>,
    /// Wakes whoever waits for a line of it.
    news: Arc<Condvar>,
    child: Child,
    guardian: Child,
}

impl Stage {
    /// Starts a server with this laid over the stage's own configuration: PLAIN without TLS, no rates, the
    /// memory engine.
    pub(crate) fn start(extra: &str) -> Self {
        Self::start_on(Machine::default(), extra)
    }

    /// The same, on another machine, as the process sees it.
    pub(crate) fn start_on(machine: Machine, extra: &str) -> Self {
        static STAGES: AtomicUsize = AtomicUsize::new(0);
        let number = STAGES.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("rookery-{}-{number}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).unwrap();
        let base: toml::Table = include_str!("stage.toml").parse().unwrap();
        let config = merge(base, extra.parse().unwrap());
        fs::write(dir.join("rookery.toml"), toml::to_string(&config).unwrap()).unwrap();
        machine.describe(&dir);
        Self::start_in(&dir)
    }

    /// Starts a server on a directory that is there, with the configuration in it.
    pub(crate) fn start_in(dir: &Path) -> Self {
        let mut child = on_its_machine(dir, rookery(dir))
            .arg("serve")
            .env("ROOKERY_DROWSY", if is_drowsy() { "1" } else { "0" })
            .env("ROOKERY_FAULT", FAULT)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, greeting) = mpsc::channel();
        let (kept, news) = (Arc::clone(&log), Arc::new(Condvar::new()));
        let teller = Arc::clone(&news);
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                kept.lock().unwrap().push_str(&format!("{line}\n"));
                teller.notify_all();
                drop(lines.send(line));
            }
        });
        let mut told = Vec::new();
        while !told.iter().any(|line: &String| line.contains("add account")) {
            told.push(greeting.recv_timeout(PATIENCE).unwrap_or_else(|_| {
                panic!("the server did not start: {}", log.lock().unwrap());
            }));
        }
        // As text, or in JSON. A member that is no edge has none.
        let address = |mark: &str| {
            let line = told.iter().find(|line| line.contains(mark))?;
            line.rsplit([' ', '"']).find_map(|word| word.parse().ok())
        };
        let address = |mark| address(mark).unwrap_or_else(|| SocketAddr::from(([0; 4], 0)));
        let (c2s, c2s_tls) = (address("(STARTTLS)"), address("(TLS)"));
        let (https, http) = (address("(HTTPS)"), address("health"));
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        let guardian = guardian(dir, child.id());
        Self { dir: dir.to_owned(), c2s, c2s_tls, http, https, log, news, child, guardian }
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Adds accounts of `localhost`, all with [`PASSWORD`].
    pub(crate) fn add_accounts<N: AsRef<str>>(&self, names: &[N]) {
        let addresses = names.iter().map(|name| format!("{}@localhost", name.as_ref()));
        self.add_people(&addresses.collect::<Vec<_>>());
    }

    /// Adds accounts with these addresses, all with [`PASSWORD`].
    pub(crate) fn add_people(&self, addresses: &[String]) {
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let lines = addresses.iter().map(|address| format!("{address} {PASSWORD}\n"));
        let lines: Vec<String> = lines.collect();
        let file = self.dir.join(format!("accounts-{number}"));
        fs::write(&file, lines.concat()).unwrap();
        let added = rookery(&self.dir).args(["account", "add", "--from-file"]).arg(&file).output();
        let added = added.unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }

    /// Runs a subcommand against this server; its standard output.
    pub(crate) fn run(&self, args: &[&str]) -> Result<String, String> {
        let done = rookery(&self.dir).args(args).output().unwrap();
        let (out, error) = (String::from_utf8(done.stdout), String::from_utf8(done.stderr));
        if done.status.success() { Ok(out.unwrap()) } else { Err(error.unwrap()) }
    }

    /// What a command says to both, where it does not fail.
    pub(crate) fn hear(&self, args: &[&str]) -> (String, String) {
        let done = rookery(&self.dir).args(args).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
    }

    /// The same of a command that has something to say also where it fails; and why, if it does.
    pub(crate) fn say(&self, args: &[&str]) -> (String, Option<String>) {
        let done = rookery(&self.dir).args(args).output().unwrap();
        let error = String::from_utf8(done.stderr).unwrap();
        (String::from_utf8(done.stdout).unwrap(), (!done.status.success()).then_some(error))
    }

    /// Sends the process a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it has logged this.
    pub(crate) fn await_log(&self, words: &str) {
        let log = self.log.lock().unwrap();
        let missing = |log: &mut String| !log.contains(words);
        let (log, _) = self.news.wait_timeout_while(log, PATIENCE, missing).unwrap();
        assert!(log.contains(words), "{words:?} is not in: {log}");
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn await_end(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Ends the process as a power cut would, and starts another on the same directory.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Starts another process on the directory of one that has ended.
    pub(crate) fn restart(&mut self) {
        let next = Self::start_in(&self.dir);
        let before = std::mem::replace(self, next);
        // The directory goes on with the new one.
        std::mem::forget(before);
    }

    /// Ends the process in order, and waits for it.
    pub(crate) fn terminate(&mut self) {
        self.guardian.kill().unwrap();
        self.guardian.wait().unwrap();
        let asked = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(asked.success());
        assert!(self.child.wait().unwrap().success(), "{}", self.log.lock().unwrap());
    }

    /// Asks the process to stop, as the system does.
    pub(crate) fn stop(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits until the process has ended, and starts another on the same directory.
    pub(crate) fn start_again(&mut self) {
        let status = self.child.wait().unwrap();
        assert!(status.success() || status.code().is_none(), "{}", self.log.lock().unwrap());
        self.guardian.kill().unwrap();
        self.guardian.wait().unwrap();
        let next = Self::start_in(&self.dir);
        // The directory goes on with the new one.
        std::mem::forget(std::mem::replace(self, next));
    }

    /// Ends the process as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.guardian.kill().unwrap();
        self.guardian.wait().unwrap();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.guardian.kill());
        drop(self.guardian.wait());
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// Ends a server and removes its directory when the tests end without dropping it: nothing drops what is
/// static. The guardian waits until its standard input ends, as it does with the process that holds it.
fn guardian(dir: &Path, server: u32) -> Child {
    Command::new("sh")
        .args(["-c", "read _; kill -9 \"$0\"; rm -rf \"$1\""])
        .arg(server.to_string())
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// An address that nothing listens on. Its port is below those that the system gives to whoever asks for any, so
/// that it stays free until a server that must be told of it has started. Nor is it given to another process of any suite: whoever
/// is given one holds the same port of another address of loopback for as long as he lives.
pub(crate) fn free() -> SocketAddr {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    static CLAIMS: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());
    let first = usize::try_from(std::process::id()).unwrap() * 64;
    loop {
        let number = (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let port = u16::try_from(20_000 + number).unwrap();
        let Ok(claim) = TcpListener::bind(("127.77.0.1", port)) else { continue };
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            CLAIMS.lock().unwrap().push(claim);
            return listener.local_addr().unwrap();
        }
    }
}

/// The binary that is played: the one that was built with these tests, unless `ROOKERY_BINARY` names another one, such as
/// a release build whose figures are wanted.
pub(crate) fn binary() -> Command {
    let named = std::env::var_os("ROOKERY_BINARY");
    Command::new(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_rookery").into()))
}

/// The binary, with the configuration of a directory.
pub(crate) fn rookery(dir: &Path) -> Command {
    let mut command = binary();
    command.arg("--config").arg(dir.join("rookery.toml")).arg("--data-dir").arg(dir.join("data"));
    command
}

/// A stanza with this text makes whoever has it in its hands panic.
pub(crate) const FAULT: &str = "a fault of the server's own";

/// Plays a story on a server that all stories share, and then on three members that all stories share.
pub(crate) fn play(story: &str) {
    play_alone(story);
    play_across(Crew::shared(), story);
}

/// Plays a story on a server that all stories share: one that is sure only where no stanza crosses members.
pub(crate) fn play_alone(story: &str) {
    play_on(shared(), story);
}

/// A server that all stories share.
pub(crate) fn shared() -> &'static Stage {
    static AWAKE: OnceLock<Stage> = OnceLock::new();
    static DROWSY: OnceLock<Stage> = OnceLock::new();
    let shared = if is_drowsy() { &DROWSY } else { &AWAKE };
    shared.get_or_init(|| Stage::start(""))
}

/// Plays a story in which clients come over WebSockets too.
pub(crate) fn play_on_the_web(stage: &Stage, story: &str) {
    let (story, town) = set(stage, story);
    town.play_with_web(&story, vec![stage.http]);
}

/// As [`play`], on a server and on members of its own, with this laid over their configuration.
pub(crate) fn play_with(extra: &str, story: &str) {
    play_on(&Stage::start(extra), story);
    play_across(&Crew::start_with(3, extra), story);
}

/// Plays a story on three members, each client on another one than the client before.
fn play_across(crew: &Crew, story: &str) {
    let (story, town) = (Story::read(story), town(crew.c2s.clone()));
    crew.add_accounts(&town.accounts(&story));
    town.play(&story);
}

/// Plays a story on three members of its own, in which members die. Accounts live where the story says.
pub(crate) fn play_over_deaths(story: &str) {
    let story = Story::read(story);
    let crew = Crew::start(3);
    let homes = story.homes();
    let town = loop {
        let town = town(crew.c2s.clone());
        let is_home =
            |(name, home): (&&str, &usize)| crew.home(&format!("{name}{}", town.suffix)) == *home;
        if homes.iter().all(is_home) {
            break town;
        }
    };
    crew.add_accounts(&town.accounts(&story));
    town.play_with(&story, &mut |fate| {
        match fate {
            Fate::MemberDies(number) => crew.kill(number),
            other => panic!("nobody knows how to do {other:?} here"),
        }
        crew.c2s.clone()
    });
}

/// Whether this test's server is one whose entities sleep between their turns.
fn is_drowsy() -> bool {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let is_story = ["rfc::", "xep::"].iter().any(|folder| test.starts_with(folder));
    let half = test.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    let half = half.count_ones().is_multiple_of(2);
    match std::env::var("ROOKERY_STORIES").as_deref() {
        Ok("drowsy") => true,
        Ok("awake") => false,
        Ok("other") => is_story && !half,
        _ => is_story && half,
    }
}

/// Plays a story on this server. Its accounts are its own.
pub(crate) fn play_on(stage: &Stage, story: &str) {
    let (story, town) = set(stage, story);
    town.play(&story);
}

/// Plays a story on members of one cluster, each client on another one than the client before.
pub(crate) fn play_among(stages: &[Stage], story: &str) {
    let addresses = stages.iter().map(|stage| stage.c2s).collect();
    let (story, town) = (Story::read(story), town(addresses));
    stages[0].add_accounts(&town.accounts(&story));
    town.play(&story);
}

/// Plays a story in which the server itself stops and starts.
pub(crate) fn play_over_restarts(stage: &mut Stage, story: &str) {
    let (story, town) = set(stage, story);
    town.play_with(&story, &mut |fate| {
        match fate {
            Fate::IsStopped => stage.stop(),
            Fate::Dies => stage.child.kill().unwrap(),
            Fate::StartsAgain => stage.start_again(),
            Fate::MemberDies(_) | Fate::MemberStartsAgain(_) => panic!("there is one server"),
        }
        vec![stage.c2s]
    });
}

fn set(stage: &Stage, story: &str) -> (Story, Town) {
    let (story, town) = (Story::read(story), town(vec![stage.c2s]));
    stage.add_accounts(&town.accounts(&story));
    (story, town)
}

fn town(addresses: Vec<SocketAddr>) -> Town {
    town_of(addresses, &["localhost"])
}

/// As [`Town`], where nobody has the names of another story's people.
pub(crate) fn town_of(addresses: Vec<SocketAddr>, domains: &[&str]) -> Town {
    static STORIES: AtomicUsize = AtomicUsize::new(0);
    Town {
        addresses,
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        suffix: format!("-{}", STORIES.fetch_add(1, Ordering::Relaxed)),
        password: PASSWORD.to_owned(),
    }
}

/// Tables of `over` are laid over those of `base`, key by key.
pub(crate) fn merge(mut base: toml::Table, over: toml::Table) -> toml::Table {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(table)), toml::Value::Table(over)) => {
                *table = merge(std::mem::take(table), over);
            }
            (_, value) => drop(base.insert(key, value)),
        }
    }
    base
}
