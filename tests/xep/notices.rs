//! XEP-0133 Service Administration: what a domain tells each of its people once.

use std::time::Duration;

use town::Client;
use town::client::Login;

use super::administration::Asker;
use crate::stage::{PASSWORD, Stage};

const ADMIN: &str = "http://jabber.org/protocol/admin";
/// Long enough for what should not come.
const A_WHILE: Duration = Duration::from_millis(400);

fn stage() -> Stage {
    let stage = Stage::start(
        "[[domain]]\nname = 'localhost'\nadmins = ['bard@localhost']\nregistration = 'open'\n",
    );
    stage.add_accounts(&["bard", "romeo"]);
    stage
}

/// What somebody who comes is told.
fn told(stage: &Stage, name: &str, password: &str, count: usize) -> Vec<String> {
    let login = Login { address: stage.c2s, domain: "localhost", name, password };
    let mut client = Client::log_in(&login);
    client.bind("phone");
    client.send("<presence/>");
    let mut told = Vec::new();
    let mut hear = |next: xmpp::Element| {
        if next.name() == "message" {
            assert_eq!(next.attr("from"), Some("localhost"));
            told.push(next.child("body", "").unwrap().text());
        }
        told.len()
    };
    while count > 0 && hear(client.next().expect("something is told")) < count {}
    while let Some(next) = client.poll_for(A_WHILE) {
        hear(next);
    }
    told
}

fn run(bard: &mut Asker, name: &str, fields: &[(&str, &str)]) -> Result<(), String> {
    bard.run(&format!("{ADMIN}#{name}"), fields).map(drop)
}

// XEP-0133 §4.24 to §4.26
#[test]
fn the_message_of_the_day_is_told_once_to_each_who_comes_until_there_is_another_one() {
    let stage = stage();
    let mut bard = Asker::new(&stage, "bard");
    assert_eq!(run(&mut bard, "set-motd", &[("motd", " ")]).unwrap_err(), "bad-request");
    assert_eq!(run(&mut bard, "edit-motd", &[("motd", "x")]).unwrap_err(), "item-not-found");
    run(&mut bard, "set-motd", &[("motd", "a feast|tonight")]).unwrap();
    assert_eq!(told(&stage, "romeo", PASSWORD, 1), ["a feast\ntonight"]);
    assert!(told(&stage, "romeo", PASSWORD, 0).is_empty());
    let asked =
        format!("<command xmlns='http://jabber.org/protocol/commands' node='{ADMIN}#edit-motd'/>");
    let form = town::compare::show(&bard.ask("set", &asked));
    assert!(form.contains("executing") && form.contains("<value>tonight</value>"), "{form}");
    run(&mut bard, "edit-motd", &[("motd", "a feast tomorrow")]).unwrap();
    assert!(told(&stage, "romeo", PASSWORD, 0).is_empty(), "who has heard it has heard it");
    assert_eq!(told(&stage, "bard", PASSWORD, 1), ["a feast tomorrow"]);
    run(&mut bard, "set-motd", &[("motd", "no feast")]).unwrap();
    assert_eq!(told(&stage, "romeo", PASSWORD, 1), ["no feast"]);
    run(&mut bard, "set-motd", &[("motd", "never")]).unwrap();
    run(&mut bard, "delete-motd", &[]).unwrap();
    assert!(told(&stage, "romeo", PASSWORD, 0).is_empty());
}

// XEP-0133 §4.27, §4.28
#[test]
fn who_has_registered_is_welcomed_when_he_comes_first() {
    let stage = stage();
    let mut bard = Asker::new(&stage, "bard");
    run(&mut bard, "set-welcome", &[("welcome", "well met")]).unwrap();
    let register = |name: &str| {
        let mut stranger = Client::open(stage.c2s, "localhost");
        stranger.next().unwrap();
        stranger.send(format!(
            "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>{name}</username><password>r0m30myr0m30</password></query></iq>"
        ));
        assert_eq!(stranger.next().unwrap().attr("type"), Some("result"));
    };
    register("rosaline");
    assert_eq!(told(&stage, "rosaline", "r0m30myr0m30", 1), ["well met"]);
    assert!(told(&stage, "rosaline", "r0m30myr0m30", 0).is_empty());
    assert!(told(&stage, "romeo", PASSWORD, 0).is_empty(), "he has been here for long");
    run(&mut bard, "delete-welcome", &[]).unwrap();
    register("paris");
    assert!(told(&stage, "paris", "r0m30myr0m30", 0).is_empty());
}

// XEP-0133 §4.16, §4.17, §4.21, §4.22
#[test]
fn who_is_idle_is_told_from_who_is_active() {
    let stage = stage();
    let (mut bard, mut romeo) = (Asker::new(&stage, "bard"), Asker::new(&stage, "romeo"));
    romeo.send("<inactive xmlns='urn:xmpp:csi:0'/>");
    romeo.ask("get", "<ping xmlns='urn:xmpp:ping'/>");
    let mut list = |name: &str, var: &str| {
        let form = bard.run(&format!("{ADMIN}#{name}"), &[("max_items", "25")]).unwrap();
        form.values(var).unwrap_or_default().to_vec()
    };
    assert_eq!(list("get-idle-users", "idleuserjids"), ["romeo@localhost"]);
    assert_eq!(list("get-active-users", "activeuserjids"), ["bard@localhost"]);
    romeo.send("<active xmlns='urn:xmpp:csi:0'/>");
    romeo.ask("get", "<ping xmlns='urn:xmpp:ping'/>");
    assert!(list("get-idle-users", "idleuserjids").is_empty());
    let mut number = |name: &str, var: &str| {
        let form = bard.run(&format!("{ADMIN}#{name}"), &[]).unwrap();
        form.text(var).unwrap().map(str::to_owned)
    };
    assert_eq!(number("get-active-users-num", "activeusersnum").as_deref(), Some("2"));
    assert_eq!(number("get-idle-users-num", "idleusersnum").as_deref(), Some("0"));
}
