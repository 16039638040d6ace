//! People whose clients are on three members: they chat, meet and are administered as if there were one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::quarters::{Quarters, until_acts};
use crate::redis::{self, Server};
use crate::stage::{Stage, play_among};
use crate::telemetry::collector::Collector;
use crate::telemetry::traces::{chat, is_whole, trace_of};

/// Three members on one Redis.
struct Trio {
    stages: Vec<Stage>,
    _quarters: Quarters,
    _redis: Server,
}

impl Trio {
    fn start() -> Self {
        Self::with("")
    }

    /// With this laid over the configuration of each.
    fn with(more: &str) -> Self {
        let (redis, store) = redis::redis();
        let quarters = Quarters::of(3, 3);
        let stages = quarters.start_all(3, &format!("{store}{more}"));
        stages.iter().for_each(until_acts);
        Self { stages, _quarters: quarters, _redis: redis }
    }
}

#[test]
fn people_on_three_members_become_contacts_see_each_other_and_chat() {
    if !redis::fixture::is_there() {
        return;
    }
    let trio = Trio::start();
    play_among(
        &trio.stages,
        "
        romeo/phone     connects
        juliet/garden   connects
        mercutio/square connects
        romeo/phone     sends    <presence to='{juliet}' type='subscribe'/>
        juliet/garden   finds    <presence from='{romeo}' type='subscribe'/>
        juliet/garden   sends    <presence to='{romeo}' type='subscribed'/>
        romeo/phone     finds    <presence from='{juliet/garden}'/>
        juliet/garden   sends    <presence><show>away</show></presence>
        romeo/phone     finds    <presence from='{juliet/garden}'><show>away</show></presence>
        romeo/phone     sends    <message to='{juliet}' type='chat' id='1'><body>hi</body></message>
        juliet/garden   finds    <message from='{romeo/phone}' id='1'><body>hi</body>…</message>
        mercutio/square sends    <message to='{romeo/phone}' type='chat' id='2'><body>ho</body></message>
        romeo/phone     finds    <message from='{mercutio/square}' id='2'><body>ho</body>…</message>
        juliet/garden   leaves
        romeo/phone     finds    <presence from='{juliet/garden}' type='unavailable'/>
        ",
    );
    play_among(
        &trio.stages,
        "
        romeo/phone   connects
        juliet/garden connects
        tybalt/hall   connects
        romeo/phone   sends <presence to='{room square}/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        romeo/phone   finds <message from='{room square}' type='groupchat'><subject/></message>
        romeo/phone   sends <iq to='{room square}' type='set' id='o'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>
        romeo/phone   finds <iq type='result' id='o'/>
        juliet/garden sends <presence to='{room square}/juliet'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        juliet/garden finds <message from='{room square}' type='groupchat'><subject/></message>
        tybalt/hall   sends <presence to='{room square}/tybalt'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        tybalt/hall   finds <message from='{room square}' type='groupchat'><subject/></message>
        tybalt/hall   sends <message to='{room square}' type='groupchat' id='1'><body>what, drawn</body></message>
        romeo/phone   finds <message from='{room square}/tybalt' type='groupchat' id='1'><body>what, drawn</body>…</message>
        juliet/garden finds <message from='{room square}/tybalt' type='groupchat' id='1'><body>what, drawn</body>…</message>
        tybalt/hall   finds <message from='{room square}/tybalt' type='groupchat' id='1'><body>what, drawn</body>…</message>
        ",
    );
}

#[test]
fn accounts_and_sessions_are_administered_from_any_member() {
    if !redis::fixture::is_there() {
        return;
    }
    let trio = Trio::start();
    let [first, second, third] = &trio.stages[..] else { panic!("three members") };
    let names: Vec<String> = (0..12).map(|number| format!("page{number}")).collect();
    first.add_accounts(&names);
    let listed = second.run(&["account", "list"]).unwrap();
    assert_eq!(listed.lines().count(), names.len());
    let sessions = |stage: &Stage| -> Vec<(String, String)> {
        let list: Vec<Value> =
            serde_json::from_str(&stage.run(&["session", "list", "--json"]).unwrap()).unwrap();
        let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        list.iter().map(|row| (text(row, "jid"), text(row, "member"))).collect()
    };
    let mut clients: Vec<_> = names
        .iter()
        .zip(trio.stages.iter().cycle())
        .map(|(name, stage)| redis::log_in(stage, name))
        .collect();
    let all = sessions(third);
    assert_eq!(all.len(), names.len());
    assert!(all.contains(&("page1@localhost/x".to_owned(), "m2".to_owned())), "{all:?}");
    assert_eq!(all, sessions(first));
    for name in &names {
        third.run(&["session", "kick", &format!("{name}@localhost")]).unwrap();
    }
    for (name, client) in names.iter().zip(&mut clients) {
        while client.await_next().unwrap_or_else(|why| panic!("{name}: {why}")).is_some() {}
    }
    second.run(&["account", "disable", "page0@localhost"]).unwrap();
    second.run(&["account", "disable", "page1@localhost"]).unwrap();
    let listed = first.run(&["account", "list", "--json"]).unwrap();
    assert_eq!(listed.matches("false").count(), 2, "{listed}");
}

const ROOMS: usize = 30;

#[test]
fn rooms_and_who_is_inside_are_seen_from_any_member() {
    if !redis::fixture::is_there() {
        return;
    }
    let trio = Trio::start();
    let names = ["page0".to_owned(), "page1".to_owned(), "page2".to_owned()];
    trio.stages[0].add_accounts(&names);
    let mut clients: Vec<_> =
        names.iter().zip(&trio.stages).map(|(name, stage)| redis::log_in(stage, name)).collect();
    // So many that each member acts for some, in all but one of 60,000 ways to share them.
    for number in 0..ROOMS {
        let room = format!("room{number}@conference.localhost");
        for (client, name) in clients.iter_mut().zip(&names) {
            let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
            client.send(format!("<presence to='{room}/{name}'>{x}</presence>"));
            while client.next().expect("the room").child("subject", "").is_none() {}
            if name == "page0" {
                let form = "<x xmlns='jabber:x:data' type='submit'/>";
                let owner = "http://jabber.org/protocol/muc#owner";
                client.send(format!(
                    "<iq type='set' id='f' to='{room}'><query xmlns='{owner}'>{form}</query></iq>"
                ));
                while client.next().expect("an answer").attr("id") != Some("f") {}
            }
        }
    }
    let rooms = |stage: &Stage| -> Vec<Value> {
        serde_json::from_str(&stage.run(&["room", "list", "--json"]).unwrap()).unwrap()
    };
    let seen = rooms(&trio.stages[0]);
    assert_eq!(seen.len(), ROOMS, "{seen:?}");
    assert!(seen.iter().all(|room| room["occupants"] == 3), "{seen:?}");
    for member in ["m1", "m2", "m3"] {
        assert!(seen.iter().any(|room| room["member"] == member), "{member}: {seen:?}");
    }
    assert_eq!(seen, rooms(&trio.stages[1]));
    let shown = trio.stages[2].run(&["room", "show", "room0@conference.localhost"]).unwrap();
    assert!(shown.contains("occupants       3"), "{shown}");
    // Each is asked on the member that acts for it.
    for number in 0..ROOMS {
        let room = format!("room{number}@conference.localhost");
        let inside = trio.stages[0].run(&["room", "occupants", &room]).unwrap();
        assert_eq!(inside.lines().count(), 3, "{inside}");
        assert!(inside.starts_with("moderator    owner     page0@localhost/"), "{inside}");
    }
}

#[test]
fn a_message_between_members_is_one_trace() {
    if !redis::fixture::is_there() {
        return;
    }
    const IDS: [&str; 3] = ["first", "second", "third"];
    let collector = Collector::start();
    let trio = Trio::with(&collector.settings(1.0));
    // Each has accounts of its own: of so many, some live on other members than their clients are at.
    for id in IDS {
        play_among(&trio.stages, &chat(id));
    }
    let spans = collector.spans(|spans| IDS.iter().all(|id| is_whole(&trace_of(spans, id))));
    let mut most = 0;
    for id in IDS {
        let trace = trace_of(&spans, id);
        let ids: BTreeSet<&[u8]> = trace.iter().map(|span| span.span_id.as_slice()).collect();
        let roots: Vec<_> =
            trace.iter().filter(|span| !ids.contains(span.parent_span_id.as_slice())).collect();
        assert_eq!(roots.iter().map(|span| &span.name[..]).collect::<Vec<_>>(), ["edge"]);
        let at =
            |name| trace.iter().find(|span| span.name == name).map(|it| collector.member_of(it));
        assert_ne!(at("edge"), at("deliver"), "their clients are at two members");
        let members: BTreeSet<_> = trace.iter().map(|span| collector.member_of(span)).collect();
        most = most.max(members.len());
    }
    assert!(most >= 2, "{most}");
}
