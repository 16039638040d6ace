//! What those who administer a room service do with commands (XEP-0050 §2.1, XEP-0045 §10.9).

use town::Client;
use town::client::Login;
use xmpp::{Element, ns};

use crate::stage::{PASSWORD, Stage};

pub(super) const SERVICE: &str = "conference.localhost";
const LIST: &str = "urn:rookery:rooms:0#list";
const DESTROY: &str = "urn:rookery:rooms:0#destroy";

pub(super) fn client(stage: &Stage, name: &str) -> Client {
    let mut client = Client::log_in(&Login {
        address: stage.c2s,
        domain: "localhost",
        name,
        password: PASSWORD,
    });
    client.bind("desk");
    client
}

/// Makes a room, and stays inside as its maker.
pub(super) fn makes(client: &mut Client, room: &str, fields: &[(&str, &str)]) {
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .collect();
    let room = format!("{room}@{SERVICE}");
    client.send(format!(
        "<presence to='{room}/maker'><x xmlns='{}'/></presence>\
         <iq type='set' id='c' to='{room}'><query xmlns='{}'><x xmlns='jabber:x:data' type='submit'>{fields}</x></query></iq>",
        ns::MUC,
        ns::MUC_OWNER
    ));
    while client.next().expect("an answer").attr("id") != Some("c") {}
}

/// The answer to a command with this form.
fn runs(client: &mut Client, node: &str, fields: &[(&str, &str)]) -> Element {
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .collect();
    asks(
        client,
        "set",
        &format!(
            "<command xmlns='{}' node='{node}'><x xmlns='jabber:x:data' type='submit'>{fields}</x></command>",
            ns::COMMANDS
        ),
    )
}

/// The answer of the service to a request; what comes before it is passed over.
pub(super) fn asks(client: &mut Client, ty: &str, content: &str) -> Element {
    client.send(format!("<iq type='{ty}' id='q' to='{SERVICE}'>{content}</iq>"));
    loop {
        let next = client.next().expect("an answer");
        if next.attr("id") == Some("q") {
            return next;
        }
    }
}

/// The rooms that a command lists, each as its name for people.
fn listed(answer: &Element) -> Vec<String> {
    let command = answer.child("command", ns::COMMANDS).unwrap_or_else(|| panic!("{answer:?}"));
    assert_eq!(command.attr("status"), Some("completed"));
    let x = command.child("x", ns::DATA_FORMS).unwrap();
    let rows = x.children().filter(|row| row.name() == "item");
    let name = |row: &Element| {
        let field = row.children().find(|field| field.attr("var") == Some("name")).unwrap();
        field.child("value", ns::DATA_FORMS).unwrap().text()
    };
    rows.map(name).collect()
}

#[test]
fn who_administers_a_room_service_lists_all_its_rooms_and_ends_one() {
    let stage = Stage::start("[room]\nadmins = ['boss@localhost']");
    stage.add_accounts(&["boss", "hag"]);
    let (mut boss, mut hag) = (client(&stage, "boss"), client(&stage, "hag"));
    makes(&mut hag, "heath", &[("muc#roomconfig_roomname", "Heath")]);
    let hidden = [("muc#roomconfig_roomname", "Moor"), ("muc#roomconfig_publicroom", "0")];
    makes(&mut hag, "moor", &hidden);

    let nodes = format!("<query xmlns='{}' node='{}'/>", ns::DISCO_ITEMS, ns::COMMANDS);
    let found = |answer: &Element| {
        let query = answer.child("query", ns::DISCO_ITEMS).unwrap();
        query.children().filter_map(|item| item.attr("node")).map(str::to_owned).collect::<Vec<_>>()
    };
    let known = found(&asks(&mut boss, "get", &nodes));
    assert!([LIST, DESTROY].iter().all(|node| known.iter().any(|it| it == node)), "{known:?}");
    assert!(found(&asks(&mut hag, "get", &nodes)).is_empty());

    assert_eq!(listed(&runs(&mut boss, LIST, &[])), ["Heath", "Moor"]);
    assert_eq!(listed(&runs(&mut boss, LIST, &[("words", "MOO")])), ["Moor"]);
    for (node, fields) in [(LIST, &[][..]), (DESTROY, &[("room", "moor@conference.localhost")])] {
        let refused = runs(&mut hag, node, fields);
        let error = refused.child("error", "").unwrap_or_else(|| panic!("{refused:?}"));
        assert!(error.child("forbidden", ns::STANZAS).is_some());
    }
    let nowhere = runs(&mut boss, DESTROY, &[("room", "nowhere@conference.localhost")]);
    assert!(nowhere.child("error", "").unwrap().child("item-not-found", ns::STANZAS).is_some());

    let moor = [("room", "moor@conference.localhost"), ("reason", "Macbeth comes")];
    let done = runs(&mut boss, DESTROY, &moor);
    assert_eq!(done.child("command", ns::COMMANDS).unwrap().attr("status"), Some("completed"));
    let farewell = loop {
        let next = hag.next().expect("a farewell");
        if next.attr("type") == Some("unavailable") {
            break next;
        }
    };
    let x = farewell.child("x", ns::MUC_USER).unwrap();
    let destroy = x.child("destroy", ns::MUC_USER).unwrap();
    assert_eq!(destroy.child("reason", ns::MUC_USER).unwrap().text(), "Macbeth comes");
    // The directory hears of the end from the room itself, when nothing of it is left.
    while listed(&runs(&mut boss, LIST, &[])) != ["Heath"] {}
}
