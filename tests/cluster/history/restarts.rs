//! What is left when all members are killed at once; when Redis fails over below them; when one is killed that gives its
//! shards away, or that gets them; and when shards go from one to another and on.

use super::*;
use crate::redis::fixture::Cluster as RedisCluster;

impl Play {
    /// As [`Play::begin`], on a Redis Cluster whose promise is that a replica has what is acknowledged.
    fn on_cluster() -> (RedisCluster, Self) {
        let redis = RedisCluster::start();
        let store =
            format!("[store]\nengine = 'redis'\nurl = '{}'\ndurability = 'replica'\n", redis.url());
        let quarters = Quarters::of(3, 3);
        let stages = quarters.start_all(3, &store);
        let play = Self::of(stages, quarters, None::<redis::Server>);
        (redis, play)
    }

    /// A member is to lose its shards, and has begun to.
    fn begin_draining(&self, number: usize) {
        let name = format!("m{number}");
        let before = member(&self.stages[0], &name).shards;
        self.stages[0].run(&["cluster", "drain", &name]).unwrap();
        until("the first shards to go", || member(&self.stages[0], &name).shards < before);
        assert!(member(&self.stages[0], &name).shards > 0, "all have gone already");
    }
}

/// How many clients have a session at a member's sockets.
fn clients_of(stage: &Stage) -> f64 {
    figure(stage, "rookery_connections{transport=\"starttls\",state=\"bound\"}")
}

#[test]
fn what_is_acknowledged_is_there_when_all_members_were_killed_at_once() {
    let happens = |play: &mut Play| {
        play.stages.iter_mut().for_each(Stage::kill);
        thread::scope(|scope| {
            // None of them starts before the others.
            play.stages.iter_mut().for_each(|stage| drop(scope.spawn(move || stage.restart())));
        });
        *play.scene.members.lock().unwrap() = play.stages.iter().map(|stage| stage.c2s).collect();
        let since = play.scene.now();
        play.await_service(since);
        play.stages.iter().for_each(until_acts);
        play.go_on(100);
    };
    talk_on_redis_while("", happens, |verdict| {
        // Sessions are in the memory of members, and none of them is left: all begin anew. What was acknowledged and on
        // its way to a client is in its archive, where a client looks that begins anew; and it says again what was not
        // acknowledged to it.
        assert!(verdict.begun_anew >= PAIRS * 2, "{verdict:#?}");
        let wrong = [verdict.lost, verdict.kept_twice, verdict.bounced];
        assert_eq!(wrong, [0; 3], "{verdict:#?}");
    });
}

#[test]
fn what_is_acknowledged_is_there_when_a_primary_of_redis_was_killed() {
    let happens = |redis: &mut RedisCluster, play: &mut Play| {
        let before = redis.primaries();
        let victim = before[0];
        redis.servers[victim].kill();
        redis.until("its replica takes over", |redis| {
            redis.primaries().iter().any(|at| !before.contains(at))
        });
        // Nothing is acknowledged that one server alone has.
        redis.servers[victim].restart();
        redis.until("it is a replica", |redis| {
            redis.servers[victim].says("role:slave")
                && redis.servers[victim].says("master_link_status:up")
        });
        let since = play.scene.now();
        play.await_service(since);
        play.stages.iter().for_each(until_acts);
        play.go_on(200);
    };
    // Where it takes long, messages come back; all else is as it should be.
    talk_while(Play::on_cluster, happens, |verdict| {
        let Verdict { lost, doubled, both, not_given, reordered, begun_anew, absences, .. } =
            verdict;
        let wrong = [lost, doubled, both, not_given, reordered, begun_anew, absences];
        assert_eq!(wrong, [&0; 7], "{verdict:#?}");
    });
}

#[test]
fn what_is_acknowledged_is_there_when_a_member_that_is_drained_is_killed() {
    let happens = |play: &mut Play| {
        play.begin_draining(2);
        play.lose(1);
        play.stages[1].restart();
        play.await_return(1);
    };
    talk_on_redis_while("", happens, Verdict::judge);
}

#[test]
fn what_is_acknowledged_is_there_when_a_member_that_gets_shards_is_killed() {
    let happens = |play: &mut Play| {
        play.begin_draining(2);
        play.lose(2);
        until("the rest goes to the only one that is left", || play.shards_of(2) == 0);
        play.stages[0].run(&["cluster", "drain", "m2", "--cancel"]).unwrap();
        play.stages[2].restart();
        play.await_return(2);
        until("their shares", || play.shards_of(2) > 0 && play.shards_of(3) > 0);
    };
    talk_on_redis_while("", happens, Verdict::judge);
}

#[test]
fn what_is_acknowledged_is_there_when_two_members_are_drained_one_after_the_other() {
    let happens = |play: &mut Play| {
        for (number, name) in [(1, "m1"), (2, "m2")] {
            play.stages[2].run(&["cluster", "drain", name]).unwrap();
            until("all to go", || play.shards_of(number) == 0);
            until("its clients to go", || clients_of(&play.stages[number - 1]) == 0.0);
        }
        play.go_on(100);
        for name in ["m1", "m2"] {
            play.stages[2].run(&["cluster", "drain", name, "--cancel"]).unwrap();
        }
        until("their shares", || (1..=3).all(|number| play.shards_of(number) > 1000));
        play.go_on(100);
    };
    talk_on_redis_while("drain_seconds = 2\n", happens, |verdict| {
        verdict.judge();
        // Both their accounts and their connections had to leave: what was acknowledged on either side is what is said
        // when they resume, or something would be lost or doubled.
        let has_gone_on = |(at, resumed): &(usize, usize)| *at == 2 || *resumed > 0;
        assert!(verdict.sessions.iter().all(has_gone_on), "{verdict:#?}");
    });
}
