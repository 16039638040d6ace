//! What operators do with rooms by `rookery room` (XEP-0045 §8.5, §9, §10): rooms made, changed, and their people.

use serde_json::Value;

use super::service::{client, makes};
use crate::stage::Stage;

const ROOM: &str = "heath@conference.localhost";

fn json(stage: &Stage, command: &[&str]) -> Vec<Value> {
    let said = stage.run(&[command, &["--json"]].concat()).unwrap();
    serde_json::from_str(&said).unwrap()
}

fn setting(stage: &Stage, name: &str) -> Value {
    let all = json(stage, &["room", "settings", ROOM]);
    let one = all.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name}: {all:?}"));
    one["values"].clone()
}

#[test]
fn operators_make_a_room_that_is_there_and_configured_while_nobody_is_inside() {
    let stage = Stage::start("");
    let make = |room: &str, more: &[&str]| {
        stage.run(&[&["room", "create", room, "--owner", "crone@localhost"], more].concat())
    };
    make(ROOM, &["roomname=Heath", "membersonly=1", "getmemberlist=moderator,member"]).unwrap();
    assert_eq!(setting(&stage, "roomname"), serde_json::json!(["Heath"]));
    assert_eq!(setting(&stage, "membersonly"), serde_json::json!(["1"]));
    assert_eq!(setting(&stage, "persistentroom"), serde_json::json!(["1"]));
    assert_eq!(setting(&stage, "getmemberlist"), serde_json::json!(["moderator", "member"]));
    assert_eq!(setting(&stage, "roomowners"), serde_json::json!(["crone@localhost"]));
    let list = stage.run(&["room", "list"]).unwrap();
    assert!(list.starts_with(ROOM) && list.ends_with("0 occupants  Heath\n"), "{list}");
    let error = |done: Result<String, String>| done.unwrap_err();
    assert_eq!(error(make(ROOM, &[])), format!("rookery: there is a room {ROOM} already\n"));
    let other = "moor@conference.localhost";
    for (more, problem) in [
        ("roomnam=Moor", "no setting \"roomnam\""),
        ("whois=dogs", "muc#roomconfig_whois"),
        ("persistentroom=0", "only if it stays"),
        ("roomname", "write it as name=value"),
    ] {
        let error = error(make(other, &[more]));
        assert!(error.contains(problem), "{error}");
    }
    assert!(error(make("moor@elsewhere.example", &[])).contains("no address of a room here"));
    assert!(stage.run(&["room", "show", other]).is_err(), "none was made of these");
    // A name that was given up is the operator's to use again.
    stage.run(&["room", "destroy", ROOM]).unwrap();
    while stage.run(&["room", "show", ROOM]).is_ok() {}
    make(ROOM, &[]).unwrap();
    assert_eq!(setting(&stage, "roomname"), serde_json::json!([""]));
}

#[test]
fn operators_change_a_room_and_see_who_is_what_to_it_and_who_is_inside() {
    let stage = Stage::start("");
    stage.add_accounts(&["crone"]);
    let mut crone = client(&stage, "crone");
    makes(&mut crone, "heath", &[("muc#roomconfig_persistentroom", "1")]);
    let room = ROOM;
    stage.run(&["room", "set", room, "moderatedroom=true", "maxhistoryfetch=7"]).unwrap();
    let settings = stage.run(&["room", "settings", room]).unwrap();
    assert!(settings.contains("maxhistoryfetch         7  # "), "{settings}");
    let refused = stage.run(&["room", "set", room, "maxusers=0"]).unwrap_err();
    assert!(refused.contains("refuses: "), "{refused}");

    let affiliate = |who: &str, what: &str| {
        stage.run(&["room", "affiliate", room, who, what, "--reason", "So be it"])
    };
    affiliate("hag@localhost", "admin").unwrap();
    affiliate("rat@localhost", "outcast").unwrap();
    let people = json(&stage, &["room", "affiliations", room]);
    let people: Vec<_> = people.iter().map(|it| (&it["jid"], &it["affiliation"])).collect();
    assert_eq!(people.len(), 3, "{people:?}");
    let outcasts = ["room", "affiliations", room, "--affiliation", "outcast"];
    assert_eq!(stage.run(&outcasts).unwrap(), "outcast   rat@localhost  So be it\n");
    affiliate("rat@localhost", "none").unwrap();
    assert_eq!(stage.run(&outcasts).unwrap(), "");
    for (who, what) in [("rat@localhost", "king"), ("@", "member")] {
        assert!(affiliate(who, what).unwrap_err().contains("refuses: "), "{who} {what}");
    }
    assert!(
        affiliate("crone@localhost", "none").unwrap_err().contains("conflict"),
        "somebody stays an owner"
    );

    let inside = json(&stage, &["room", "occupants", room]);
    let nowhere = stage.run(&["room", "occupants", "nowhere@conference.localhost"]).unwrap_err();
    assert_eq!(nowhere, "rookery: there is no room nowhere@conference.localhost\n");
    let [first] = inside.as_slice() else { panic!("{inside:?}") };
    assert_eq!((&first["role"], &first["nick"]), (&"moderator".into(), &"maker".into()));
}
