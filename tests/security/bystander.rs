//! Owns the bystanders: two users who chat quietly over connections of their own while something bad
//! happens beside them, and who notice when it hurts them.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use town::Client;
use town::client::Login;

use super::wire::get;
use crate::stage::{PASSWORD, Stage};

/// Between two messages.
const PACE: Duration = Duration::from_millis(20);

/// No message may take longer, whatever happens on the machine.
const LONGEST: Duration = Duration::from_secs(2);

/// And 99 of 100 not longer than this, beside what the machine keeps everybody waiting: others use the
/// processor too, and 99 of 100 of the bystanders' own naps are no later than so much. Whoever is hurt waits for a
/// whole flood, which is seconds; a busy machine makes a quarter of a second of what is 60 ms elsewhere.
const USUAL: Duration = Duration::from_millis(500);
/// Of fewer messages, the longest is not told from the 99th of 100.
const ENOUGH: usize = 100;

/// Two users who chat until they are asked how it was.
pub(super) struct Bystander {
    http: SocketAddr,
    pid: u32,
    /// Memory and descriptors when they sat down.
    before: (u64, usize),
    stop: Sender<()>,
    chat: JoinHandle<Times>,
}

impl Bystander {
    /// They log in and begin.
    pub(super) fn beside(stage: &Stage) -> Self {
        Self::saying(stage, "")
    }

    /// What they say is not to be archived, as where nothing can be.
    pub(super) fn whispering(stage: &Stage) -> Self {
        Self::saying(stage, "<no-store xmlns='urn:xmpp:hints'/>")
    }

    fn saying(stage: &Stage, more: &'static str) -> Self {
        static PAIRS: AtomicUsize = AtomicUsize::new(0);
        let number = PAIRS.fetch_add(1, Ordering::Relaxed);
        let names = [format!("nurse-{number}"), format!("peter-{number}")];
        stage.add_accounts(&names);
        let [mut nurse, mut peter] = names.map(|name| {
            let login =
                Login { address: stage.c2s, domain: "localhost", name: &name, password: PASSWORD };
            let mut client = Client::log_in(&login);
            let jid = client.bind("bystander");
            (client, jid)
        });
        let (stop, stopped) = channel();
        let chat = std::thread::spawn(move || chat(&mut nurse, &mut peter, (more, &stopped)));
        let pid = stage.pid();
        Self { http: stage.http, pid, before: (memory(pid), descriptors(pid)), stop, chat }
    }

    /// How many bytes more of memory the server holds than when they sat down.
    pub(super) fn growth(&self) -> u64 {
        memory(self.pid).saturating_sub(self.before.0)
    }

    /// How many descriptors more it has open.
    pub(super) fn more_descriptors(&self) -> usize {
        descriptors(self.pid).saturating_sub(self.before.1)
    }

    /// They stop: nothing was lost, nothing took long, and nothing panicked in the process, which is the
    /// same as before.
    pub(super) fn was_not_hurt(self, attack: &str) {
        let page = get(self.http, "/metrics");
        assert!(page.contains("\nrookery_panics_total 0\n"), "{attack}: {page}");
        self.was_served(attack);
    }

    /// They stop: nothing was lost, nothing took long.
    pub(super) fn was_served(self, attack: &str) {
        drop(self.stop);
        let Times { messages, naps } = self.chat.join().expect("both bystanders stay connected");
        let count = messages.len();
        let ((late, longest), (overslept, _)) = (most(messages), most(naps));
        let mib = memory(self.pid).saturating_sub(self.before.0) >> 20;
        println!("{attack}: {count} messages, p99 {late:?}, longest {longest:?}; +{mib} MiB");
        assert!(count > 0, "the bystanders never spoke");
        assert!(longest < LONGEST, "{attack}: a message took {longest:?}");
        // A message passes three threads, each of which may have to wait for its turn.
        assert!(
            count < ENOUGH || late < USUAL + 3 * overslept,
            "{attack}: p99 {late:?}, of the machine {overslept:?}"
        );
    }
}

/// How long each message took, and by how much each nap between two of them was too long.
#[derive(Default)]
struct Times {
    messages: Vec<Duration>,
    naps: Vec<Duration>,
}

/// One speaks, the other hears it and answers, until somebody hangs up on `stopped`.
fn chat(
    nurse: &mut (Client, String),
    peter: &mut (Client, String),
    (more, stopped): (&str, &Receiver<()>),
) -> Times {
    let mut times = Times::default();
    loop {
        times.messages.push(say(&mut nurse.0, peter, (times.messages.len(), more)));
        times.messages.push(say(&mut peter.0, nurse, (times.messages.len(), more)));
        let begun = Instant::now();
        if stopped.recv_timeout(PACE) == Err(RecvTimeoutError::Disconnected) {
            return times;
        }
        times.naps.push(begun.elapsed().saturating_sub(PACE));
    }
}

/// Of these times, the one that 99 of 100 do not pass, and the longest.
fn most(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    (at(times.len() * 99 / 100), at(times.len().saturating_sub(1)))
}

/// The time from one client's mouth to the other's ear.
fn say(
    from: &mut Client,
    (to, jid): &mut (Client, String),
    (number, more): (usize, &str),
) -> Duration {
    let begun = Instant::now();
    let id = format!("chat-{number}");
    let content = format!("<body>{id}</body>{more}");
    from.send(format!("<message to='{jid}' type='chat' id='{id}'>{content}</message>"));
    let heard = to.next().expect("a bystander's stream stays open");
    assert_eq!(heard.attr("id"), Some(&id[..]), "a bystander heard something else: {heard:?}");
    begun.elapsed()
}

/// Bytes of memory that a process holds.
pub(crate) fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("the kernel tells the resident size") << 10
}

/// Descriptors that a process has open.
pub(super) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives").count()
}

/// What a process has used of the processors so far.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    // Behind the name in parentheses: utime and stime are the twelfth and thirteenth field, in hundredths.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
    Duration::from_millis(ticks * 10)
}
