//! Owns stories of people of two domains: who `lives on b` is of `b.example`, everybody else of `a.example`.

use std::sync::OnceLock;

use town::{Fate, Story};

use super::land::{Land, Proof};
use crate::stage::{free, town_of};

/// Their domains, by the letters of the servers.
const DOMAINS: [&str; 2] = ["a.example", "b.example"];

/// What both servers have that others need not: files, at an address that only tests reach.
const FILES: &str = "[upload]\nurl = 'https://files.example/'\n";

/// As many lines of a log as tell of one story.
const LINES: usize = 40;

/// Plays a story on two servers that all stories share.
pub(super) fn play(story: &str) {
    play_on(shared(), story);
}

/// Two servers that all stories share.
pub(super) fn shared() -> &'static Land {
    static SHARED: OnceLock<Land> = OnceLock::new();
    SHARED.get_or_init(|| {
        let [a, b] =
            [free(), free()].map(|proxy| format!("{FILES}[proxy]\nlisten = ['{proxy}']\n"));
        let land = Land::start_each(Proof::Certificate, [&a, &b]);
        // Nothing drops what is static.
        land.authority.retire();
        land
    })
}

/// Plays a story on these servers.
pub(super) fn play_on(land: &Land, story: &str) {
    let story = Story::read(story);
    let town = town_of(vec![land.a.c2s, land.b.c2s], &DOMAINS);
    for (number, stage) in [&land.a, &land.b].into_iter().enumerate() {
        stage.add_people(&town.addresses_on(&story, number));
    }
    let _logs = Logs(land);
    town.play(&story);
}

/// Shows what both servers have said when a story goes wrong: nothing drops servers that all stories share.
struct Logs<'a>(&'a Land);

impl Drop for Logs<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for stage in [&self.0.a, &self.0.b] {
                let log = stage.log.lock().unwrap();
                let lines: Vec<&str> = log.lines().rev().take(LINES).collect();
                lines.into_iter().rev().for_each(|line| println!("{line}"));
            }
        }
    }
}

/// Plays a story on two servers of its own, one of which dies, and starts again.
pub(super) fn play_over_deaths(story: &str) {
    play_over_deaths_with("", story);
}

/// The same, with this laid over the settings of both.
pub(super) fn play_over_deaths_with(extra: &str, story: &str) {
    let story = Story::read(story);
    let mut land = Land::start_each(Proof::Certificate, [extra, extra]);
    let town = town_of(vec![land.a.c2s, land.b.c2s], &DOMAINS);
    let mut stages = [&mut land.a, &mut land.b];
    for (number, stage) in stages.iter().enumerate() {
        stage.add_people(&town.addresses_on(&story, number));
    }
    town.play_with(&story, &mut |fate| {
        match fate {
            Fate::MemberDies(number) => stages[number].kill(),
            Fate::MemberStartsAgain(number) => stages[number].restart(),
            other => panic!("nobody knows how to do {other:?} here"),
        }
        stages.iter().map(|stage| stage.c2s).collect()
    });
}
