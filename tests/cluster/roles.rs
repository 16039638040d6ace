//! Members that do not do everything: two that have the accounts, and one that has the clients, or that only votes.

use super::quarters::{Quarters, member, status, until, until_acts};
use crate::commands::get;
use crate::redis::{self, fixture};
use crate::stage::{Stage, play_among};

/// Three members with these roles, and what they need.
fn start(roles: [&str; 3]) -> (Vec<Stage>, (Quarters, redis::Server)) {
    let (redis, store) = redis::redis();
    let quarters = Quarters::of(3, 3);
    let start = |(number, roles)| quarters.start(number, &format!("roles = [{roles}]\n{store}"));
    let starting: Vec<_> = (1..).zip(roles).map(start).collect();
    let stages: Vec<Stage> = starting.into_iter().map(|it| it.join().unwrap()).collect();
    stages.iter().for_each(until_acts);
    (stages, (quarters, redis))
}

#[test]
fn clients_of_a_member_that_is_only_an_edge_log_in_talk_and_resume() {
    if !fixture::is_there() {
        return;
    }
    let home = "'home', 'voter'";
    let (stages, _world) = start([home, home, "'edge'"]);
    let owns = |name: &str| {
        let members = status(&stages[2]).members;
        members.iter().find(|row| row.name == name).map_or(0, |row| row.shards)
    };
    until("shares", || [owns("m1"), owns("m2"), owns("m3")] == [2048, 2048, 0]);
    for home in &stages[..2] {
        assert_eq!([home.c2s, home.c2s_tls, home.https].map(|address| address.port()), [0; 3]);
        assert_eq!(get(home, "/.well-known/host-meta").0, 404);
        assert_eq!(get(home, "/healthz/ready").0, 200);
    }
    assert_eq!(get(&stages[2], "/.well-known/host-meta").0, 200);
    play_among(
        &stages[2..],
        "
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='1'><body>hi</body></message>
        juliet/garden receives <message from='{romeo/phone}' id='1'><body>hi</body>…</message>
        romeo/phone   vanishes
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='2'><body>ho</body></message>
        romeo/phone   logs in
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='1'/>
        romeo/phone   receives <message from='{juliet/garden}' id='2'><body>ho</body>…</message>
        ",
    );
}

// What a witness is for: without it only the one that does not vote may die.
#[test]
fn of_two_members_with_accounts_either_may_die_where_a_third_one_votes() {
    if !fixture::is_there() {
        return;
    }
    let all = "'home', 'edge', 'voter'";
    let (mut stages, _world) = start([all, all, "'voter'"]);
    let shards = |seen_by: &Stage| ["m1", "m2", "m3"].map(|name| member(seen_by, name).shards);
    for victim in 0..2 {
        until("shares", || shards(&stages[2])[..2].iter().all(|shards| *shards > 2000));
        stages[victim].kill();
        until("the takeover", || shards(&stages[2])[1 - victim] == 4096);
        until_acts(&stages[1 - victim]);
        stages[victim].restart();
        until_acts(&stages[victim]);
    }
}
