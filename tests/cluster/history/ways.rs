//! Ways between members, and to Redis, that come and go, are slow, or end without a word at one end, as a TCP proxy in
//! front of each has it.

use super::*;
use crate::stage::ways::{Flow, Way};

/// So long a way is held: less than a lease lasts on a network like this, and more than a heartbeat.
const HELD: Duration = Duration::from_millis(400);

/// How often it comes and goes.
const TIMES: usize = 6;

/// What a way has carried when people have talked over it for a while, in each direction: more than members say of
/// themselves in that time.
const TALK: u64 = 32 << 10;

/// How others reach each member, and all reach Redis.
struct Ways {
    members: Vec<Way>,
    redis: Way,
    _redis: redis::Server,
}

impl Ways {
    /// People have talked over all of them.
    fn are_gone(&self) {
        for way in self.members.iter().chain([&self.redis]) {
            let carried = way.carried();
            assert!(carried.iter().all(|bytes| *bytes > TALK), "{carried:?}");
        }
    }
}

impl Play {
    /// As [`Play::begin`], on ways.
    fn on_ways() -> (Ways, Self) {
        let redis = redis::Server::start(redis::OPTIONS);
        let to_redis = Way::to(([127, 0, 0, 1], redis.port).into());
        let url = format!("redis://:{}@{}", redis::SECRET, to_redis.address);
        let quarters = Quarters::of(3, 3);
        let ways: Vec<Way> = quarters.addresses.iter().map(|address| Way::to(*address)).collect();
        let start = |(number, way): (usize, &Way)| {
            let more = format!(
                "advertise = '{}'\n[lease]\npreset = 'noisy'\n\
                 [store]\nengine = 'redis'\nurl = '{url}'\ndurability = 'fsync'\n",
                way.address
            );
            quarters.start(number, &more)
        };
        let starting: Vec<_> = (1..).zip(&ways).map(start).collect();
        let stages = starting.into_iter().map(|starting| starting.join().unwrap()).collect();
        let play = Self::of(stages, quarters, None::<redis::Server>);
        (Ways { members: ways, redis: to_redis, _redis: redis }, play)
    }

    /// Everybody talks for so long, as well as they can.
    fn wait(&self, time: Duration) {
        let since = BootTime::now();
        until("a while", || BootTime::now().since(since) > time);
    }
}

/// All of it is there once, and in order, and has gone by these ways.
fn talk_on_ways_while(happens: impl FnOnce(&mut Ways, &mut Play)) {
    let happens = |ways: &mut Ways, play: &mut Play| {
        happens(ways, play);
        ways.are_gone();
    };
    talk_while(Play::on_ways, happens, Verdict::judge);
}

#[test]
fn what_is_acknowledged_is_there_though_the_way_to_a_member_comes_and_goes() {
    talk_on_ways_while(|ways, play| {
        let ways = &ways.members;
        for time in 0..TIMES {
            match time % 3 {
                0 => ways[1].flows(Flow::Holds, Flow::Passes),
                1 => ways[1].flows(Flow::Passes, Flow::Holds),
                _ => assert!(ways[1].is_cut() > 0, "nobody has gone this way"),
            }
            play.wait(HELD);
            ways[1].passes();
            ways[time % 3].resets();
            play.go_on(100);
        }
    });
}

#[test]
fn what_is_acknowledged_is_there_though_redis_is_far_away() {
    talk_on_ways_while(|ways, play| {
        let (to_redis, late) = (&ways.redis, Flow::Late(Duration::from_millis(50)));
        to_redis.flows(late, late);
        play.go_on(200);
        assert!(to_redis.resets() > 0, "nobody has gone this way");
        play.go_on(100);
        to_redis.flows(Flow::Passes, Flow::Drips(512));
        play.go_on(100);
        to_redis.passes();
        play.go_on(100);
    });
}

#[test]
fn what_is_acknowledged_is_there_though_nobody_hears_of_a_members_end() {
    talk_on_ways_while(|ways, play| {
        let to_it = &ways.members[2];
        // The connections to it stay open at the other end, and so do new ones, on which nobody says anything.
        to_it.flows(Flow::Holds, Flow::Holds);
        play.lose(2);
        assert!(to_it.resets() > 0, "whoever was connected has heard of its end");
        to_it.passes();
        play.stages[2].restart();
        play.await_return(2);
    });
}
