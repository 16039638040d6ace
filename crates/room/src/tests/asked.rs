//! What a room asks the homes of its people: whether a client is still there.

use entity::Entity;

use super::stage::{self, Stage};
use super::taken_over::Standby;
use crate::mirror;

const HAG: &str = "hag@x.org/pda";

fn room() -> (Stage, Standby) {
    let (mut stage, mut standby) = (Stage::persistent(), Standby::default());
    stage.enters(HAG, "hag");
    stage.enters("hag@x.org/laptop", "hag");
    stage.enters("bat@elsewhere.org/cave", "bat");
    standby.learns(&mut stage);
    (stage, standby)
}

// XEP-0045 §7.14: its copy may not have learned that the client had asked to come in, and nobody would say that it leaves.
#[test]
fn the_new_home_of_an_account_is_asked_for_each_of_its_clients() {
    let (mut stage, _) = room();
    assert_eq!(stage.trial.announce(|who| who.as_str() == "owl@x.org").len(), 0);
    let asked = stage.trial.announce(|who| who.as_str() == "hag@x.org");
    let asked: Vec<String> = asked.into_iter().map(stage::word).collect();
    assert_eq!(asked, ["hag@x.org/pda: presence probe", "hag@x.org/laptop: presence probe"]);
    let gone = "<presence xmlns='jabber:client' type='unavailable' from='hag@x.org/pda' to='coven@chat.x.org/hag'/>";
    stage.gets(gone);
    let hag = stage.trial.entity.occupants.of_nick("hag").unwrap();
    assert_eq!(hag.sessions.len(), 1);
}

// The death of one member may have taken both owners: that of the room, and that of the account.
#[test]
fn a_new_owner_asks_for_those_for_whom_no_home_has_spoken() {
    let (stage, standby) = room();
    let mut heir = stage.again();
    let copies = standby.0.into_iter().collect();
    let jid = |text| xmpp::Jid::parse(text).unwrap();
    let claims = vec![
        mirror::claim(&jid("crone@x.org/desktop"), &jid("coven@chat.x.org/first")),
        mirror::claim(&jid("hag@x.org/laptop"), &jid("coven@chat.x.org/hag")),
    ];
    let sent = heir.trial.act(|room, cx| room.take_over(copies, claims, cx).unwrap());
    let sent: Vec<String> = sent.into_iter().map(stage::word).collect();
    assert_eq!(sent, ["hag@x.org/pda: presence probe"], "of this server alone");
}
