//! Members between whom packets vanish without a word, as no proxy can have it: every host has a network namespace of
//! its own. Connections stay open at both ends, and what was on its way is sent again when packets come through once
//! more - by a member that is another one for the others by then.

use super::network::{self, Network, Way};
use super::*;

/// Members are the hosts before these.
const REDIS: usize = 3;
const CLIENTS: usize = 4;

impl Play {
    /// As [`Play::begin`], with every member and Redis on hosts of their own.
    fn on(network: &Network) -> Self {
        let at = Network::address(REDIS);
        let redis = network.within(REDIS, || {
            let bound = format!("--bind 127.0.0.1 {at}");
            redis::Server::start(&format!("{} {bound}", redis::OPTIONS))
        });
        let store = format!(
            "[lease]\npreset = 'noisy'\n[store]\nengine = 'redis'\nurl = 'redis://:{}@{at}:{}'\ndurability = 'fsync'\n\
             plaintext = true\n",
            redis::SECRET,
            redis.port
        );
        let mut quarters = Quarters::of(3, 3);
        quarters.addresses = (0..3).map(|host| Network::at(host, 7400)).collect();
        let start = |host| {
            let c2s = Network::at(host, 0);
            let listen = format!("[listen]\nc2s = ['{c2s}']\n[c2s]\nisolation_seconds = 2\n");
            network.within(host, || quarters.start(host + 1, &format!("{store}{listen}")))
        };
        let starting: Vec<_> = (0..3).map(start).collect();
        let stages = starting.into_iter().map(|starting| starting.join().unwrap()).collect();
        Self { redis_at: at.into(), ..Self::of(stages, quarters, redis) }
    }

    /// A member is cut off from the others and from Redis, not from its clients, by all of these ways; and then no longer.
    fn cuts_off(&mut self, network: &Network, victim: usize, ways: &[Way]) {
        let name = format!("m{}", victim + 1);
        let seen = |play: &Self| member(&play.stages[0], &name);
        let (since, before) = (self.scene.now(), seen(self).incarnation);
        network.cut(ways);
        until("the end of its lease", || !status(&self.stages[victim]).lease);
        until("the takeover", || seen(self).status == MemberStatus::Expelled);
        self.await_service(since);
        self.go_on(100);
        // It acts for nobody.
        assert!(!status(&self.stages[victim]).lease);
        let (address, name) = (self.stages[victim].c2s, &self.names[0]);
        let login = Login { address, domain: "localhost", name, password: PASSWORD };
        let refused = Client::try_log_in(&login).err().unwrap();
        assert!(refused.contains("temporary-auth-failure"), "{refused}");
        network.cut(&[]);
        until("its return", || {
            let seen = seen(self);
            seen.incarnation > before && seen.status == MemberStatus::Up
        });
        self.stages.iter().for_each(until_acts);
        self.go_on(100);
    }
}

/// The ways from a host to others, and to it from them.
fn ways(host: usize, others: &[usize]) -> [Vec<Way>; 2] {
    let from = others.iter().map(|other| (host, *other)).collect();
    [from, others.iter().map(|other| (*other, host)).collect()]
}

/// Plays on hosts of their own, where that may be; clients, and whoever plays, are on one too. So many of the clients
/// must come to another member.
fn on_hosts(resumed: usize, play: impl FnOnce(&Network, &mut Play) + Send) {
    if !network::is_there() {
        return;
    }
    let network = Network::of(5);
    network.makes_impatient(CLIENTS);
    network.within(CLIENTS, || {
        let begin = || ((), Play::on(&network));
        talk_while(
            begin,
            |(), scene| play(&network, scene),
            |verdict| {
                verdict.judge();
                assert!(verdict.resumed >= resumed, "{verdict:#?}");
            },
        );
    });
}

#[test]
fn clients_whose_member_hears_nothing_of_them_go_on_elsewhere() {
    on_hosts(PAIRS * 2 / 3, |network, play| {
        let before = member(&play.stages[0], "m3");
        let since = play.scene.now();
        // Their sockets stay open at the member, which is well and looks after everybody else.
        network.cut(&ways(2, &[CLIENTS]).concat());
        play.await_service(since);
        play.go_on(100);
        network.cut(&[]);
        play.go_on(100);
        let after = member(&play.stages[0], "m3");
        assert_eq!((after.incarnation, after.status), (before.incarnation, MemberStatus::Up));
    });
}

#[test]
fn a_member_that_is_cut_off_without_a_word_stops_and_comes_back_as_another_one() {
    on_hosts(PAIRS * 2 / 3, |network, play| {
        play.cuts_off(network, 2, &ways(2, &[0, 1, REDIS]).concat());
    });
}

/// Two members do not reach each other by all of these ways; both reach the third one, Redis and their clients.
fn does_not_reach(network: &Network, play: &mut Play, ways: &[Way]) {
    let seen = |play: &Play, number| member(&play.stages[0], &format!("m{number}"));
    let out = |play: &Play| {
        let is_out = |number: &u64| seen(play, *number).status == MemberStatus::Expelled;
        (2..=3).filter(is_out).collect::<Vec<_>>()
    };
    let (since, before) = (play.scene.now(), play.incarnations());
    network.cut(ways);
    until("the end of one of both", || out(play).len() == 1);
    let gone = out(play);
    play.await_service(since);
    play.go_on(200);
    assert_eq!(out(play), gone, "it waits until it reaches the other one");
    network.cut(&[]);
    until("its return", || (1..=3).all(|number| seen(play, number).status == MemberStatus::Up));
    play.stages.iter().for_each(until_acts);
    play.go_on(100);
    let after = play.incarnations();
    let others =
        (1..=3).zip(before.iter().zip(&after)).filter(|(number, _)| !gone.contains(number));
    others.for_each(|(number, (before, after))| assert_eq!(before, after, "m{number} stayed"));
}

#[test]
fn of_two_members_that_do_not_reach_each_other_one_stops_and_comes_back_later() {
    on_hosts(PAIRS * 2 / 3, |network, play| {
        does_not_reach(network, play, &ways(1, &[2]).concat());
    });
}

#[test]
fn a_member_that_only_hears_or_is_only_heard_stops_and_comes_back_as_another_one() {
    on_hosts(PAIRS * 2 / 3 * 2, |network, play| {
        let [from, _] = ways(2, &[0, 1, REDIS]);
        play.cuts_off(network, 2, &from);
        let [_, to] = ways(1, &[0, 2, REDIS]);
        play.cuts_off(network, 1, &to);
    });
}

#[test]
fn of_two_members_of_which_one_hears_the_other_one_stops_and_comes_back_later() {
    on_hosts(PAIRS * 2 / 3, |network, play| {
        let [from, to] = ways(1, &[2]);
        does_not_reach(network, play, &from);
        does_not_reach(network, play, &to);
    });
}
