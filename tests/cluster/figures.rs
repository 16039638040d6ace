//! What a hop between members costs, how long a shard stands still that moves, and how many sessions are resumed when
//! their member is drained, written down: only where `ROOKERY_FIGURES=1` asks for it; `ROOKERY_FIGURES=2000` by so many
//! messages.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use town::Client;
use town::client::Login;

use super::quarters::{Quarters, Watched, ask, member, status, until, until_acts};
use super::report;
use super::talk::Talk;
use crate::commands::get;
use crate::redis::{fixture, redis};
use crate::stage::{PASSWORD, Stage};

/// Messages that are measured where nobody says how many, and how many are under way at a time.
const MESSAGES: usize = 20_000;
const BATCH: usize = 50;
/// Accounts, so that each member is the home of some.
const ACCOUNTS: usize = 24;

/// Accounts that are there while a member is drained, and say nothing; and how often each of the others says something.
const IDLE: usize = 3_000;
const PACE: Duration = Duration::from_millis(50);

/// Members from 0 on: where the sender's socket is, its home, the home of whom it writes to, and that one's socket.
const PATHS: [[usize; 4]; 4] = [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 2], [1, 0, 2, 0]];

#[test]
fn what_hops_and_handovers_cost_is_written_down() {
    let Ok(asked) = std::env::var("ROOKERY_FIGURES") else {
        fixture::skipped("ROOKERY_FIGURES=1 measures, and writes to benches/results");
        return;
    };
    let messages = asked.parse().ok().filter(|count| *count > 1).unwrap_or(MESSAGES);
    if !fixture::is_there() {
        return;
    }
    let names: Vec<String> = (0..ACCOUNTS).map(|number| format!("person{number}")).collect();
    let alone = cost_alone(&names, messages);
    let (_redis, store) = redis();
    let (_quarters, stages) = members(3, &store, &names);
    until("standbys", || status(&stages[0]).members.iter().all(|row| row.standby_shards > 0));
    let mut findings =
        String::from("| hops between members | CPU of all members, us a message |\n|---|---|\n");
    writeln!(findings, "| none: one member alone | {alone:.1} |").unwrap();
    for (hops, cost) in costs(&stages, &names, messages).into_iter().enumerate() {
        writeln!(findings, "| {hops}, of three members | {cost:.1} |").unwrap();
    }
    findings += &drains(&stages, &names);
    let command = format!("ROOKERY_FIGURES={messages} benches/run-cluster hops");
    report::write("cluster", "What hops and handovers cost", &command, &findings);
}

/// So many members with these accounts.
fn members(count: usize, store: &str, names: &[String]) -> (Quarters, Watched) {
    let quarters = Quarters::of(count, count);
    let more = format!("drain_seconds = 2\n{store}[lease]\nttl_ms = 60000\n");
    let stages = Watched(quarters.start_all(count, &more));
    stages.iter().for_each(until_acts);
    stages[0].add_accounts(names);
    (quarters, stages)
}

fn arrive(stage: &Stage, name: &str) -> Client {
    let login = Login { address: stage.c2s, domain: "localhost", name, password: PASSWORD };
    let mut client = Client::log_in(&login);
    client.bind("x");
    client.send("<presence/>");
    client
}

/// Microseconds for a message where there is one member.
fn cost_alone(names: &[String], messages: usize) -> f64 {
    let (_redis, store) = redis();
    let (_quarters, stages) = members(1, &store, names);
    cost(&stages, (0, &names[0]), (0, &names[1]), messages)
}

/// Microseconds of all members for a message, by its way.
fn costs(stages: &[Stage], names: &[String], messages: usize) -> Vec<f64> {
    let found = names.iter().map(|name| home(stages, name));
    let (homes, guests): (Vec<usize>, Vec<Client>) = found.unzip();
    drop(guests);
    let at = |member: usize, but: Option<&String>| {
        let lives = |(name, home): &(&String, &usize)| **home == member && Some(*name) != but;
        names.iter().zip(&homes).find(lives).expect("each member is somebody's home").0
    };
    let cost = |[from_edge, from_home, to_home, to_edge]: [usize; 4]| {
        let from = at(from_home, None);
        let to = at(to_home, Some(from));
        cost(stages, (from_edge, from), (to_edge, to), messages)
    };
    PATHS.into_iter().map(cost).collect()
}

/// Microseconds of all members for a message from one to another, each at the sockets of a member.
fn cost(
    stages: &[Stage],
    (from_edge, from): (usize, &str),
    (to_edge, to): (usize, &str),
    messages: usize,
) -> f64 {
    let (mut one, mut other) = (arrive(&stages[from_edge], from), arrive(&stages[to_edge], to));
    let mut talk = |messages: usize| {
        for _ in 0..messages / BATCH {
            let message = format!(
                "<message to='{to}@localhost/x' type='chat'><body>what is said</body><no-store xmlns='urn:xmpp:hints'/></message>"
            );
            one.send(message.repeat(BATCH));
            let mut heard = 0;
            while heard < BATCH {
                let next = other.await_next().unwrap().expect("the stream goes on");
                heard += usize::from(next.name() == "message");
            }
        }
    };
    talk(messages / 10);
    let before: f64 = stages.iter().map(cpu).sum();
    talk(messages);
    let after: f64 = stages.iter().map(cpu).sum();
    (after - before) * 1e6 / messages as f64
}

/// Where an account lives: at the member that has one session more when it comes, as long as nobody goes.
pub(super) fn home(stages: &[Stage], name: &str) -> (usize, Client) {
    let sessions = || -> Vec<f64> {
        stages.iter().map(|stage| figure(stage, "rookery_entities{kind=\"session\"}")).collect()
    };
    let before = sessions();
    let client = arrive(&stages[0], name);
    let mut home = None;
    until("a session", || {
        home = sessions().iter().zip(&before).position(|(now, before)| now > before);
        home.is_some()
    });
    (home.expect("it is awaited"), client)
}

/// Seconds of a process.
fn cpu(stage: &Stage) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", stage.pid())).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

/// Drains a member whose clients talk, while others are there who live in most of its shards.
fn drains(stages: &[Stage], names: &[String]) -> String {
    let idle: Vec<String> = (0..IDLE).map(|number| format!("idle{number}")).collect();
    stages[0].add_accounts(&idle);
    let crowd: Vec<Client> =
        idle.iter().enumerate().map(|(at, name)| arrive(&stages[at % 2 * 2], name)).collect();
    let pairs: Vec<(&str, &str)> =
        names.chunks(2).map(|two| (two[0].as_str(), two[1].as_str())).collect();
    let addresses: Vec<_> = stages.iter().map(|stage| stage.c2s).collect();
    let talk = Talk::paced(&pairs, addresses.clone(), PACE);
    talk.go_on_for(500);
    talk.move_to(vec![addresses[0], addresses[2]]);
    stages[1].run(&["cluster", "drain", "--wait"]).unwrap();
    assert_eq!(member(&stages[0], "m2").shards, 0);
    let pauses =
        buckets(&get(&stages[1], "/metrics").1, "rookery_handoff_pause_seconds_bucket{le=\"");
    until("resumption elsewhere", || {
        figure(&stages[1], "rookery_sessions{state=\"bound\"}") == 0.0
    });
    talk.go_on_for(500);
    let resumed = |result: &str| -> f64 {
        let name = format!("rookery_sm_resumes_total{{result=\"{result}\"}}");
        stages.iter().map(|stage| figure(stage, &name)).sum()
    };
    let (ok, gone) = (resumed("ok"), resumed("no_session") + resumed("expired"));
    let (count, notes) = talk.end();
    drop(crowd);
    let moved = pauses.last().map_or(0, |(_, count)| *count);
    let [p50, p99] = [50, 99].map(|of| percentile(&pauses, of));
    format!(
        "\n{moved} shards moved from a member that was drained while {} clients talked. Each stood still for: p50 up to {p50}, p99 up to {p99}.\n\n{ok} streams were resumed, {gone} were not. {count:?}\n{}",
        names.len(),
        if count == super::talk::Count::default() { "" } else { &notes },
    )
}

/// A figure of a member's page of metrics, by its name and labels.
pub(crate) fn figure(stage: &Stage, name: &str) -> f64 {
    // Where the stage is on a host of its own, its HTTP is not to be had from here.
    let page = String::from_utf8(ask(stage, "/metrics")).unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// The buckets of a histogram, each with its bound as it is written.
fn buckets(page: &str, name: &str) -> Vec<(String, u64)> {
    let lines = page.lines().filter_map(|line| line.strip_prefix(name)?.split_once("\"} "));
    lines.map(|(bound, count)| (bound.to_owned(), count.parse().unwrap())).collect()
}

/// The first bound that so many of a hundred are not above.
fn percentile(buckets: &[(String, u64)], of: u64) -> String {
    let all = buckets.last().map_or(0, |(_, count)| *count);
    let enough = |(_, count): &&(String, u64)| *count * 100 >= all * of;
    buckets.iter().find(enough).map_or_else(String::new, |(bound, _)| format!("{bound} s"))
}
