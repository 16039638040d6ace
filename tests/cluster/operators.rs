//! What operators see and do: `rookery cluster` on a running cluster, and what it says where it cannot.

use cluster::plan::Status as MemberStatus;
use town::{Story, Town};

use super::quarters::{PATIENT, Quarters, leader, member, status, until, until_led};
use crate::redis::{fixture, redis};
use crate::stage::{PASSWORD, Stage, rookery};

#[test]
fn a_member_alone_shows_itself_and_cannot_be_drained() {
    let stage = Stage::start("");
    let status: serde_json::Value =
        serde_json::from_str(&stage.run(&["cluster", "status", "--json"]).unwrap()).unwrap();
    assert_eq!(status["members"][0]["shards"], 4096);
    assert!(stage.run(&["cluster", "status"]).unwrap().contains("may act     yes"));
    assert!(stage.run(&["cluster", "members"]).unwrap().contains("4096 shards"));
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
    let mut stages = quarters.start_all(3, PATIENT);
    stages[0].await_log("shows a certificate that a member has made");
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
    stages[other].run(&["cluster", "remove", &name]).unwrap();
    until("nothing of it", || status(&stages[other]).members.len() == 2);

    // Of the two that are left only one voter is needed; both are killed, and one goes on.
    let third = (at + 2) % 3;
    stages[third].kill();
    stages[other].kill();
    let recover = rookery(&stages[other].dir).args(["cluster", "force-recover"]).output().unwrap();
    assert!(recover.status.success(), "{}", String::from_utf8_lossy(&recover.stderr));
    stages[other].restart();
    let alone = status(&stages[other]);
    assert_eq!((alone.generation, alone.members.len()), (2, 1));
    assert_eq!(alone.members[0].shards, 4096);
}

#[test]
fn clients_talk_without_a_word_in_the_log() {
    if !fixture::is_there() {
        return;
    }
    let (_redis, store) = redis();
    let quarters = Quarters::of(3, 3);
    let stages = quarters.start_all(3, &format!("{PATIENT}{store}"));
    until("standbys", || status(&stages[0]).members.iter().all(|row| row.standby_shards > 0));
    let names = names_at(&stages[0]);
    let (one, other) = (&names[0], &names[1]);
    let said = format!(
        "{one}/desk sends <message to='{{{other}/desk}}' type='chat'><body>x</body></message>\n\
         {other}/desk receives <message from='{{{one}/desk}}'><body>x</body>…</message>\n"
    );
    let story = format!("{one}/desk connects\n{other}/desk connects\n{}", said.repeat(200));
    // An election or a lost lease, which a busy machine may cause, writes to the log as well: so the talk is repeated
    // until there was none. What each stanza wrote would be there each time.
    let town = Town {
        addresses: vec![stages[0].c2s],
        domain: "localhost".to_owned(),
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

/// Two accounts whose home is this member.
fn names_at(stage: &Stage) -> Vec<String> {
    let name = |number: usize| format!("user{number}");
    let added = |name: &String| {
        let jid = format!("{name}@localhost");
        stage.run(&["account", "add", &jid, "--password", PASSWORD]).is_ok()
    };
    (0..60).map(name).filter(added).take(2).collect()
}
