//! What those who administer a room service do with its rooms by commands (XEP-0050 §2.4, §4.4, XEP-0045 §8.5, §9, §10):
//! rooms made, configured in two stages, ended, and their people.

use std::net::SocketAddr;

use town::Client;
use town::client::Login;
use xmpp::{Element, ns};

use super::service::{SERVICE, asks, client, makes};
use crate::stage::crew::Crew;
use crate::stage::{PASSWORD, Stage};

const ROOM: &str = "heath@conference.localhost";
const ADMINS: &str = "[room]\nadmins = ['boss@localhost']";
const COMMANDS: [&str; 6] =
    ["create", "configure", "affiliations", "affiliate", "occupants", "destroy"];

type Fields<'a> = &'a [(&'a str, &'a str)];

fn node(name: &str) -> String {
    format!("urn:rookery:rooms:0#{name}")
}

/// What is said of a command; or the conditions of an error, without the words.
fn runs(
    client: &mut Client,
    (name, how): (&str, &str),
    fields: Option<Fields<'_>>,
) -> Result<Element, String> {
    let field = |(var, value): &(&str, &str)| {
        let values: String =
            value.split('|').map(|value| format!("<value>{value}</value>")).collect();
        format!("<field var='{var}'>{values}</field>")
    };
    let form = fields.map(|fields| {
        let fields: String = fields.iter().map(field).collect();
        format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>")
    });
    let content = format!(
        "<command xmlns='{}' node='{}' {how}>{}</command>",
        ns::COMMANDS,
        node(name),
        form.unwrap_or_default()
    );
    let answer = asks(client, "set", &content);
    if let Some(error) = answer.child("error", "") {
        let conditions = error.children().filter(|it| it.name() != "text");
        return Err(conditions.map(Element::name).collect::<Vec<_>>().join(" "));
    }
    Ok(answer.child("command", ns::COMMANDS).unwrap_or_else(|| panic!("{answer:?}")).clone())
}

/// A command whose form is known is done at once (§2.4.1).
fn does(client: &mut Client, name: &str, fields: Fields<'_>) -> Result<Element, String> {
    let command = runs(client, (name, ""), Some(fields))?;
    assert_eq!(command.attr("status"), Some("completed"), "{command:?}");
    Ok(command)
}

/// The values of a field of the form in a command, each with a line feed behind.
fn asked(command: &Element, var: &str) -> String {
    assert_eq!(command.attr("status"), Some("executing"), "{command:?}");
    let x = command.child("x", ns::DATA_FORMS).unwrap();
    let field =
        x.children().find(|it| it.attr("var") == Some(var)).unwrap_or_else(|| panic!("{var}"));
    let values = field.children().filter(|it| it.name() == "value");
    values.map(|it| it.text() + "\n").collect()
}

/// What may be done at this stage, and what is usual.
fn actions(command: &Element) -> (Vec<&str>, Option<&str>) {
    let actions = command.child("actions", ns::COMMANDS).unwrap();
    (actions.children().map(Element::name).collect(), actions.attr("execute"))
}

/// The rows of a table, each as some of its columns.
fn rows(command: &Element, columns: &[&str]) -> Vec<String> {
    let x = command.child("x", ns::DATA_FORMS).unwrap();
    let cell = |row: &Element, var: &str| {
        let field = row.children().find(|field| field.attr("var") == Some(var)).unwrap();
        field.child("value", ns::DATA_FORMS).map(Element::text).unwrap_or_default()
    };
    let row =
        |row: &Element| columns.iter().map(|var| cell(row, var)).collect::<Vec<_>>().join(" ");
    x.children().filter(|it| it.name() == "item").map(row).collect()
}

/// A setting of the room as its form has it.
fn setting(boss: &mut Client, var: &str) -> String {
    let shown = runs(boss, ("configure", ""), Some(&[("room", ROOM)])).unwrap();
    let session = shown.attr("sessionid").unwrap().to_owned();
    let value = asked(&shown, var);
    runs(boss, ("configure", &format!("action='cancel' sessionid='{session}'")), None).unwrap();
    value
}

// XEP-0050 §2.1, §2.2, §4.4
#[test]
fn who_does_not_administer_the_service_finds_no_command_and_runs_none() {
    let stage = Stage::start(ADMINS);
    stage.add_accounts(&["boss", "hag"]);
    let (mut boss, mut hag) = (client(&stage, "boss"), client(&stage, "hag"));
    makes(&mut hag, "heath", &[("muc#roomconfig_persistentroom", "1")]);
    let list = format!("<query xmlns='{}' node='{}'/>", ns::DISCO_ITEMS, ns::COMMANDS);
    let found = |who: &mut Client| {
        let answer = asks(who, "get", &list);
        let query = answer.child("query", ns::DISCO_ITEMS).unwrap();
        let nodes = query.children().filter_map(|item| item.attr("node"));
        nodes.map(str::to_owned).collect::<Vec<_>>()
    };
    let (of_boss, of_hag) = (found(&mut boss), found(&mut hag));
    assert!(of_hag.is_empty(), "{of_hag:?}");
    let open = runs(&mut boss, ("configure", ""), Some(&[("room", ROOM)])).unwrap();
    let open = format!("sessionid='{}'", open.attr("sessionid").unwrap());
    for name in COMMANDS {
        assert!(of_boss.contains(&node(name)), "{name}: {of_boss:?}");
        let info = format!("<query xmlns='{}' node='{}'/>", ns::DISCO_INFO, node(name));
        let known = asks(&mut boss, "get", &info);
        let identity = known.child("query", ns::DISCO_INFO).unwrap().children().next().unwrap();
        assert_eq!(identity.attr("type"), Some("command-node"));
        let hidden = asks(&mut hag, "get", &info);
        assert!(hidden.child("error", "").unwrap().child("forbidden", ns::STANZAS).is_some());
        let owned = [("room", ROOM), ("jid", "rat@localhost"), ("affiliation", "owner")];
        for (how, fields) in [("", None), ("", Some(&owned[..])), (open.as_str(), Some(&owned))] {
            assert_eq!(runs(&mut hag, (name, how), fields).unwrap_err(), "forbidden", "{name}");
        }
    }
    let people = does(&mut boss, "affiliations", &[("room", ROOM)]).unwrap();
    assert_eq!(rows(&people, &["jid", "affiliation"]), ["hag@localhost owner"]);
}

// XEP-0045 §10.1, §10.9
#[test]
fn a_room_is_made_by_a_command_and_ended_by_another() {
    let stage = Stage::start(ADMINS);
    stage.add_accounts(&["boss", "hag"]);
    let (mut boss, mut hag) = (client(&stage, "boss"), client(&stage, "hag"));
    let shown = runs(&mut boss, ("create", ""), None).unwrap();
    assert_eq!(actions(&shown), (vec!["complete"], Some("complete")));
    assert_eq!(asked(&shown, "muc#roomconfig_publicroom"), "1\n");
    let new = [
        ("room", ROOM),
        ("muc#roomconfig_roomowners", "hag@localhost|bat@localhost"),
        ("muc#roomconfig_roomname", "Heath"),
        ("muc#roomconfig_membersonly", "1"),
    ];
    does(&mut boss, "create", &new).unwrap();
    assert_eq!(does(&mut boss, "create", &new).unwrap_err(), "conflict");
    let people = does(&mut boss, "affiliations", &[("room", ROOM)]).unwrap();
    let owners = ["bat@localhost owner", "hag@localhost owner"];
    assert_eq!(rows(&people, &["jid", "affiliation"]), owners);
    assert_eq!(setting(&mut boss, "muc#roomconfig_roomname"), "Heath\n");
    assert_eq!(setting(&mut boss, "muc#roomconfig_membersonly"), "1\n");
    assert_eq!(setting(&mut boss, "muc#roomconfig_persistentroom"), "1\n");
    // Without owners it is theirs who make it.
    does(&mut boss, "create", &[("room", "moor@conference.localhost")]).unwrap();
    let people = does(&mut boss, "affiliations", &[("room", "moor@conference.localhost")]).unwrap();
    assert_eq!(rows(&people, &["jid"]), ["boss@localhost"]);
    for (room, wrong) in [
        ("elsewhere@chat.example", "not-acceptable"),
        (SERVICE, "not-acceptable"),
        ("heath@conference.localhost/hag", "not-acceptable"),
        ("@", "bad-request bad-payload"),
        ("", "bad-request bad-payload"),
    ] {
        let fields = [("room", room), ("jid", "a@localhost"), ("affiliation", "member")];
        for name in ["create", "affiliations", "affiliate", "occupants", "destroy"] {
            assert_eq!(does(&mut boss, name, &fields).unwrap_err(), wrong, "{name} {room}");
        }
    }

    hag.send(format!("<presence to='{ROOM}/hag'><x xmlns='{}'/></presence>", ns::MUC));
    while hag.next().unwrap().name() != "message" {}
    let last =
        [("room", ROOM), ("reason", "Macbeth comes"), ("venue", "moor@conference.localhost")];
    does(&mut boss, "destroy", &last).unwrap();
    let farewell = hag.next().unwrap();
    let destroy =
        farewell.child("x", ns::MUC_USER).unwrap().child("destroy", ns::MUC_USER).unwrap();
    assert_eq!(destroy.attr("jid"), Some("moor@conference.localhost"));
    assert_eq!(destroy.child("reason", ns::MUC_USER).unwrap().text(), "Macbeth comes");
    // The command is done when nothing of it is left.
    assert_eq!(does(&mut boss, "occupants", &[("room", ROOM)]).unwrap_err(), "item-not-found");
    assert_eq!(does(&mut boss, "destroy", &last).unwrap_err(), "item-not-found");
}

// XEP-0050 §2.4.2, §2.4.3, §3.4, §4.4
#[test]
fn a_room_is_configured_in_two_stages_back_and_forth_and_by_nobody_else() {
    let stage = Stage::start(ADMINS);
    stage.add_accounts(&["boss", "hag"]);
    let (mut boss, mut hag) = (client(&stage, "boss"), client(&stage, "hag"));
    makes(&mut hag, "heath", &[("muc#roomconfig_roomname", "Heath")]);
    let first = runs(&mut boss, ("configure", "action='execute'"), None).unwrap();
    assert_eq!(actions(&first), (vec!["next"], Some("next")));
    assert_eq!(asked(&first, "room"), "");
    let session = first.attr("sessionid").unwrap().to_owned();
    let with = |action: &str| format!("action='{action}' sessionid='{session}'");
    let room: Fields<'_> = &[("room", ROOM)];
    let mut goes = |action: &str, fields: Option<Fields<'_>>| {
        runs(&mut boss, ("configure", &with(action)), fields)
    };
    for (action, fields, wrong) in [
        ("prev", None, "bad-request bad-action"),
        ("complete", Some(room), "bad-request bad-action"),
        ("dance", Some(room), "bad-request malformed-action"),
        ("next", None, "bad-request bad-payload"),
        ("next", Some(&[][..]), "bad-request bad-payload"),
        ("next", Some(&[("room", "nowhere@conference.localhost")]), "item-not-found"),
    ] {
        assert_eq!(goes(action, fields).unwrap_err(), wrong, "{action} {fields:?}");
    }
    let second = goes("next", Some(room)).unwrap();
    assert_eq!(actions(&second), (vec!["prev", "complete"], Some("complete")));
    assert_eq!(second.attr("sessionid"), Some(session.as_str()), "it stays the same one");
    assert_eq!(asked(&second, "muc#roomconfig_roomname"), "Heath\n");
    let back = goes("prev", None).unwrap();
    assert_eq!(
        (actions(&back), asked(&back, "room")),
        ((vec!["next"], Some("next")), format!("{ROOM}\n"))
    );
    goes("execute", Some(room)).unwrap();
    let named: Fields<'_> = &[("muc#roomconfig_roomname", "Moor")];
    for (action, fields, wrong) in [
        ("next", Some(named), "bad-request bad-action"),
        ("complete", None, "bad-request bad-payload"),
        ("execute", None, "bad-request bad-payload"),
        ("complete", Some(&[("FORM_TYPE", "urn:x")][..]), "bad-request bad-payload"),
        ("complete", Some(&[("muc#roomconfig_whois", "dogs")]), "not-acceptable"),
    ] {
        assert_eq!(goes(action, fields).unwrap_err(), wrong, "{action} {fields:?}");
    }
    let done = goes("complete", Some(named)).unwrap();
    assert_eq!(done.attr("status"), Some("completed"));
    assert!(done.child("note", ns::COMMANDS).is_some());
    // The session is over.
    assert_eq!(goes("complete", Some(named)).unwrap_err(), "not-allowed session-expired");
    assert_eq!(setting(&mut boss, "muc#roomconfig_roomname"), "Moor\n");
    // §10.2.1: who is inside is told.
    while hag.next().unwrap().name() != "message" {}

    let given_up = runs(&mut boss, ("configure", ""), Some(room)).unwrap();
    let session = given_up.attr("sessionid").unwrap();
    let with = |action: &str| format!("action='{action}' sessionid='{session}'");
    // It is theirs, by this client and of this command.
    let other = runs(&mut boss, ("configure", "sessionid='s'"), Some(named));
    assert_eq!(other.unwrap_err(), "bad-request bad-sessionid");
    let none = runs(&mut boss, ("configure", "action='prev'"), None);
    assert_eq!(none.unwrap_err(), "bad-request bad-sessionid");
    let ends = runs(&mut boss, ("configure", &with("cancel")), None).unwrap();
    assert_eq!(ends.attr("status"), Some("canceled"));
    for action in ["execute", "cancel"] {
        let over = runs(&mut boss, ("configure", &with(action)), Some(named));
        assert_eq!(over.unwrap_err(), "not-allowed session-expired");
    }
    assert_eq!(setting(&mut boss, "muc#roomconfig_roomname"), "Moor\n");
}

// XEP-0045 §8.5, §9, §10.3
#[test]
fn people_of_a_room_are_seen_and_changed_by_commands() {
    let stage = Stage::start(ADMINS);
    stage.add_accounts(&["boss", "hag"]);
    let (mut boss, mut hag) = (client(&stage, "boss"), client(&stage, "hag"));
    makes(&mut hag, "heath", &[]);
    let makes = |boss: &mut Client, who: &str, what: &str| {
        let fields = [("room", ROOM), ("jid", who), ("affiliation", what), ("reason", "So be it")];
        does(boss, "affiliate", &fields)
    };
    makes(&mut boss, "bat@localhost", "admin").unwrap();
    makes(&mut boss, "rat@localhost", "outcast").unwrap();
    assert_eq!(makes(&mut boss, "hag@localhost", "none").unwrap_err(), "conflict");
    for (who, what) in [("@", "member"), ("rat@localhost", "king"), ("rat@localhost", "")] {
        let refused = makes(&mut boss, who, what).unwrap_err();
        assert_eq!(refused, "bad-request bad-payload", "{who} {what}");
    }
    let mut people = |which: &str| {
        let list = does(&mut boss, "affiliations", &[("room", ROOM), ("affiliation", which)]);
        rows(&list.unwrap(), &["jid", "affiliation", "reason"])
    };
    let all =
        ["hag@localhost owner ", "bat@localhost admin So be it", "rat@localhost outcast So be it"];
    assert_eq!(people("all"), all);
    assert_eq!(people(""), all);
    assert_eq!(people("outcast"), &all[2..]);
    assert!(people("member").is_empty());

    let inside = does(&mut boss, "occupants", &[("room", ROOM)]).unwrap();
    let inside = rows(&inside, &["nick", "jid", "role", "affiliation"]);
    assert_eq!(inside, ["maker hag@localhost/desk moderator owner"]);
}

fn on(address: SocketAddr, name: &str) -> Client {
    let login = Login { address, domain: "localhost", name, password: PASSWORD };
    let mut client = Client::log_in(&login);
    client.bind("desk");
    client
}

// Whichever members the administrator, the service and the room are on.
#[test]
fn commands_find_rooms_on_every_member() {
    let crew = Crew::start_with(3, ADMINS);
    crew.add_accounts(&["boss".to_owned()]);
    let rooms: Vec<String> = (0..12).map(|number| format!("r{number}@{SERVICE}")).collect();
    for home in 0..3 {
        let is_there = |room: &&String| crew.owner(room) == home;
        assert!(rooms.iter().any(|room| is_there(&room)), "one on each member");
    }
    for (number, room) in rooms.iter().enumerate() {
        let mut boss = on(crew.c2s[number % 3], "boss");
        does(&mut boss, "create", &[("room", room)]).unwrap();
        let people = does(&mut boss, "affiliations", &[("room", room)]).unwrap();
        assert_eq!(rows(&people, &["jid"]), ["boss@localhost"]);
        let shown = runs(&mut boss, ("configure", ""), Some(&[("room", room)])).unwrap();
        let how = format!("action='complete' sessionid='{}'", shown.attr("sessionid").unwrap());
        let named = [("muc#roomconfig_roomname", "Moor")];
        let done = runs(&mut boss, ("configure", &how), Some(&named)).unwrap();
        assert_eq!(done.attr("status"), Some("completed"));
        boss.leave();
    }
}

// The service, its rooms and whoever is in the midst of a command do not notice when a member dies (XEP-0050 §3.4).
#[test]
fn a_command_goes_on_where_it_was_when_the_member_with_the_service_dies() {
    let names: Vec<String> = (0..16).map(|number| format!("boss{number}")).collect();
    let admins: Vec<String> = names.iter().map(|name| format!("'{name}@localhost'")).collect();
    let crew = Crew::start_with(3, &format!("[room]\nadmins = [{}]", admins.join(", ")));
    crew.add_accounts(&names);
    let victim = crew.owner(SERVICE);
    let name = names.iter().find(|name| crew.home(name) != victim).unwrap();
    let mut boss = on(crew.c2s[crew.home(name)], name);
    // What it sends is acknowledged, and comes again where it was not when somebody died.
    boss.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    while boss.next().expect("stream management").name() != "enabled" {}
    // One room dies with the service, others do not.
    let rooms: Vec<String> = (0..12).map(|number| format!("r{number}@{SERVICE}")).collect();
    let of = |home| rooms.iter().find(|room| crew.owner(room) == home).unwrap();
    let lost = of(victim);
    let in_their_midst: Vec<(&String, Element)> = (0..3)
        .map(|home| {
            let room = of(home);
            does(&mut boss, "create", &[("room", room)]).unwrap();
            let first = runs(&mut boss, ("configure", "action='execute'"), None).unwrap();
            let next = format!("action='next' sessionid='{}'", first.attr("sessionid").unwrap());
            (room, runs(&mut boss, ("configure", &next), Some(&[("room", room)])).unwrap())
        })
        .collect();
    let first = runs(&mut boss, ("configure", "action='execute'"), None).unwrap();

    crew.kill(victim);
    let named = [("muc#roomconfig_roomname", "Moor")];
    for (room, shown) in in_their_midst {
        let with = |action: &str| {
            format!("action='{action}' sessionid='{}'", shown.attr("sessionid").unwrap())
        };
        let back = runs(&mut boss, ("configure", &with("prev")), None).unwrap();
        assert_eq!(asked(&back, "room"), format!("{room}\n"));
        let again = runs(&mut boss, ("configure", &with("next")), Some(&[("room", room)])).unwrap();
        assert_eq!(asked(&again, "muc#roomconfig_roomname"), "\n");
        let done = runs(&mut boss, ("configure", &with("complete")), Some(&named)).unwrap();
        assert_eq!(done.attr("status"), Some("completed"));
        let over = runs(&mut boss, ("configure", &with("complete")), Some(&named));
        assert_eq!(over.unwrap_err(), "not-allowed session-expired");
    }
    let next = format!("action='next' sessionid='{}'", first.attr("sessionid").unwrap());
    let shown = runs(&mut boss, ("configure", &next), Some(&[("room", lost)])).unwrap();
    assert_eq!(asked(&shown, "muc#roomconfig_roomname"), "Moor\n");
}
