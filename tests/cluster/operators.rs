//! What operators see and do: `rookery cluster` on a running cluster, and what it says where it cannot.

use std::net::TcpStream;

use cluster::operator::ShardRow;
use cluster::plan::Status as MemberStatus;
use cluster::status::MemberRow;
use serde::de::DeserializeOwned;
use town::{Story, Town};

use super::quarters::{Quarters, is_ready, leader, member, status, until, until_led};
use crate::redis::{fixture, redis};
use crate::stage::{PASSWORD, Stage};

#[test]
fn a_member_alone_shows_itself_and_cannot_be_drained() {
    let stage = Stage::start("");
    let status: serde_json::Value =
        serde_json::from_str(&stage.run(&["cluster", "status", "--json"]).unwrap()).unwrap();
    assert_eq!(status["members"][0]["shards"], 4096);
    assert!(stage.run(&["cluster", "status"]).unwrap().contains("may act     yes"));
    assert!(stage.run(&["cluster", "members"]).unwrap().contains("4096 shards"));
    let rows: Vec<MemberRow> = json(&stage, &["cluster", "members", "--json"]);
    assert_eq!((rows.len(), rows[0].name.as_str(), rows[0].shards), (1, "rookery", 4096));
    let rows: Vec<ShardRow> = json(&stage, &["cluster", "shards", "--json"]);
    assert!(rows.len() == 4096 && rows.iter().all(|row| row.owner == "rookery"));
    let shards = stage.run(&["cluster", "shards"]).unwrap();
    assert_eq!(shards.lines().count(), 1 + 4096);
    assert!(shards.starts_with("SHARD  OWNER  STANDBY  SINCE\n0  rookery  -  "), "{shards:.80}");
    let last = stage.run(&["cluster", "drain"]).unwrap_err();
    assert!(last.contains("nobody but member rookery takes shards"), "{last}");
    let unknown = stage.run(&["cluster", "drain", "m9"]).unwrap_err();
    assert!(unknown.contains("there is no member"), "{unknown}");
    let taken = stage.run(&["cluster", "remove", "rookery"]).unwrap_err();
    assert!(taken.contains("takes part"), "{taken}");
    let running = stage.run(&["cluster", "force-recover"]).unwrap_err();
    assert!(running.contains("stop it first"), "{running}");
}

#[test]
fn a_member_is_drained_stopped_and_forgotten_and_the_last_can_go_on_alone() {
    let quarters = Quarters::of(3, 3);
    let mut stages = quarters.start_all(3, "");
    // Each has made a certificate of its own.
    stages[0].await_log("is not configured as this member is: the certificate of localhost");
    let differs = |stage: &Stage| status(stage).members.iter().any(|row| row.differs.is_some());
    until("its mark in the list", || differs(&stages[0]));
    let name = until_led(&stages[0]);
    let at = (0..3).find(|at| format!("m{}", at + 1) == name).unwrap();
    let other = (at + 1) % 3;
    // Drained from another member, the leader itself.
    let said = stages[other].run(&["cluster", "drain", &name, "--wait", "--json"]).unwrap();
    assert!(said.contains("\"done\":true"), "{said}");
    until("nothing there", || member(&stages[other], &name).shards == 0);
    until("another leader", || leader(&stages[other]).is_some_and(|now| now != name));
    let refused = stages[other].run(&["cluster", "remove", &name]).unwrap_err();
    assert!(refused.contains("takes part"), "{refused}");
    // It says goodbye: nobody waits for its lease to run out.
    stages[at].signal("TERM");
    assert!(stages[at].await_end().success());
    until("its end", || member(&stages[other], &name).status == MemberStatus::Expelled);
    let gone: serde_json::Value = json(&stages[other], &["cluster", "remove", &name, "--json"]);
    assert_eq!(gone, serde_json::json!({ "done": true, "member": name }));
    until("nothing of it", || status(&stages[other]).members.len() == 2);

    // Of the two that are left only one voter is needed; both are killed, and one goes on.
    let third = (at + 2) % 3;
    stages[third].kill();
    stages[other].kill();
    let told: serde_json::Value = json(&stages[other], &["cluster", "force-recover", "--json"]);
    stages[other].restart();
    let alone = status(&stages[other]);
    let recovered = serde_json::json!({ "done": true, "cluster": alone.cluster, "generation": 2 });
    assert_eq!(told, recovered);
    assert_eq!((alone.generation, alone.members.len()), (2, 1));
    assert_eq!(alone.members[0].shards, 4096);
}

#[test]
fn a_drain_is_called_off_and_one_of_a_member_that_is_gone_is_not_said_to_be_done() {
    let quarters = Quarters::of(3, 3);
    let more = "drain_seconds = 1\n";
    let mut stages = quarters.start_all(3, more);
    stages[1].run(&["cluster", "drain", "--wait"]).unwrap();
    until("no way in", || TcpStream::connect(stages[1].c2s).is_err());
    let said = stages[0].run(&["cluster", "drain", "m2", "--cancel"]).unwrap();
    assert_eq!(said, "m2 takes its share again\n");
    until("its share", || member(&stages[0], "m2").shards > 0);
    until("its way in", || TcpStream::connect(stages[1].c2s).is_ok() && is_ready(&stages[1]));
    // It may be drained once more, and its clients go once more.
    stages[1].run(&["cluster", "drain", "--wait"]).unwrap();
    until("no way in", || TcpStream::connect(stages[1].c2s).is_err());
    let said: serde_json::Value = json(&stages[1], &["cluster", "drain", "--cancel", "--json"]);
    assert_eq!(said, serde_json::json!({ "done": true, "member": "m2" }));
    until("its share once more", || member(&stages[0], "m2").status == MemberStatus::Up);

    stages[2].kill();
    let drained = stages[0].run(&["cluster", "drain", "m3", "--wait"]).unwrap_err();
    assert!(
        drained.contains("does not drain any more") || drained.contains("expelled"),
        "{drained}"
    );

    // Of three voters one is left: it has no lease, and changes nothing.
    stages[1].kill();
    until("no lease", || !status(&stages[0]).lease);
    let refused = stages[0].run(&["account", "add", "romeo@localhost", "--password", PASSWORD]);
    assert!(refused.unwrap_err().contains("no member serves romeo@localhost right now"));
}

#[test]
fn clients_talk_without_a_word_in_the_log() {
    if !fixture::is_there() {
        return;
    }
    let (_redis, store) = redis();
    let quarters = Quarters::of(3, 3);
    let stages = quarters.start_all(3, &store);
    until("standbys", || status(&stages[0]).members.iter().all(|row| row.standby_shards > 0));
    stages[0].add_accounts(&["romeo", "juliet"]);
    let said = "romeo/desk sends <message to='{juliet/desk}' type='chat'><body>x</body></message>\n\
                juliet/desk receives <message from='{romeo/desk}'><body>x</body>…</message>\n";
    let story = format!("romeo/desk connects\njuliet/desk connects\n{}", said.repeat(200));
    // An election or a lost lease, which a busy machine may cause, writes to the log as well: so the talk is repeated
    // until there was none. What each stanza wrote would be there each time.
    let town = Town {
        addresses: vec![stages[0].c2s],
        domains: vec!["localhost".to_owned()],
        suffix: String::new(),
        password: PASSWORD.to_owned(),
    };
    until("talk without a word in the log", || {
        let before = status(&stages[0]);
        town.play(&Story::read(&story));
        let after = status(&stages[0]);
        (before.last, before.term) == (after.last, after.term)
    });
}

/// What a command says with `--json`.
fn json<T: DeserializeOwned>(stage: &Stage, args: &[&str]) -> T {
    serde_json::from_str(&stage.run(args).unwrap()).unwrap()
}
