//! The whole on Redis: accounts, conversations and archives are there after a restart, and the store can move
//! from the data directory to Redis and back.

#[path = "../crates/store/src/redis/fixture.rs"]
#[expect(dead_code, reason = "what breaks a cluster is for the tests of the store")]
#[expect(clippy::disallowed_methods, reason = "a test that waits has a limit by the clock")]
pub(crate) mod fixture;

use town::Client;
use town::client::Login;
use xmpp::Element;

use crate::commands::get;
use crate::stage::{PASSWORD, Stage};
pub(crate) use fixture::Server;

/// Options of a Redis server whose promise is the disk, and which wants this password.
pub(crate) const OPTIONS: &str = "--appendonly yes --appendfsync always --requirepass secret";
pub(crate) const SECRET: &str = "secret";

/// Such a server, and the configuration that uses it.
pub(crate) fn redis() -> (Server, String) {
    let server = Server::start(OPTIONS);
    let url = format!("redis://:{SECRET}@127.0.0.1:{}", server.port);
    let config = format!("[store]\nengine = 'redis'\nurl = '{url}'\ndurability = 'fsync'\n");
    (server, config)
}

pub(crate) fn log_in(stage: &Stage, name: &str) -> Client {
    let login = Login { address: stage.c2s, domain: "localhost", name, password: PASSWORD };
    let mut client = Client::log_in(&login);
    client.bind("x");
    client
}

/// Sends the client's stanza of this number and waits until the server has taken responsibility for it
/// (XEP-0198 §4).
fn say(from: &mut Client, to: &str, (body, number): (&str, usize)) {
    from.send(format!("<message to='{to}@localhost' type='chat'><body>{body}</body></message>"));
    from.send("<r xmlns='urn:xmpp:sm:3'/>");
    let number = number.to_string();
    while from.next().expect("an acknowledgement").attr("h") != Some(&number) {}
}

/// The bodies in an account's archive, read page by page (XEP-0313 §4, XEP-0059 §2.2).
pub(crate) fn archive(client: &mut Client) -> Vec<String> {
    archive_at(client, "")
}

/// The same of the archive of a room.
pub(crate) fn archive_of(client: &mut Client, room: &str) -> Vec<String> {
    archive_at(client, &format!("to='{room}'"))
}

fn archive_at(client: &mut Client, to: &str) -> Vec<String> {
    let (mut bodies, mut after) = (Vec::new(), String::new());
    loop {
        client.send(format!(
            "<iq type='set' id='q' {to}><query xmlns='urn:xmpp:mam:2'>\
             <set xmlns='http://jabber.org/protocol/rsm'><max>100</max>{after}</set></query></iq>"
        ));
        let end = loop {
            let next = client.next().expect("the archive is read");
            if next.attr("id") == Some("q") {
                break next;
            }
            bodies.extend(body(&next));
        };
        let fin = end.child("fin", "urn:xmpp:mam:2").unwrap_or_else(|| panic!("{end:?}"));
        if fin.attr("complete") == Some("true") {
            return bodies;
        }
        let set = fin.child("set", "http://jabber.org/protocol/rsm").expect("where it goes on");
        let last = set.child("last", "http://jabber.org/protocol/rsm").expect("a last one").text();
        after = format!("<after>{last}</after>");
    }
}

fn body(message: &Element) -> Option<String> {
    let forwarded =
        message.child("result", "urn:xmpp:mam:2")?.child("forwarded", xmpp::ns::FORWARD)?;
    let message = forwarded.child("message", xmpp::ns::CLIENT)?;
    Some(message.child("body", xmpp::ns::CLIENT)?.text())
}

/// Romeo and Juliet talk; what each archive must have.
pub(crate) fn talk(stage: &Stage, round: usize) -> Vec<String> {
    let [mut romeo, mut juliet] = ["romeo", "juliet"].map(|name| {
        let mut client = log_in(stage, name);
        client.send("<presence/>");
        client.send("<enable xmlns='urn:xmpp:sm:3'/>");
        while !client.next().expect("is enabled").is("enabled", xmpp::ns::SM) {}
        client
    });
    (0..5)
        .flat_map(|number| {
            let [hers, his] = ["hers", "his"].map(|whose| format!("{whose} {round} {number}"));
            say(&mut juliet, "romeo", (&hers, number + 1));
            say(&mut romeo, "juliet", (&his, number + 1));
            [hers, his]
        })
        .collect()
}

#[test]
fn two_accounts_talk_on_redis_and_find_it_after_the_server_and_redis_were_killed() {
    if !fixture::is_there() {
        return;
    }
    let (mut server, config) = redis();
    let mut stage = Stage::start(&config);
    stage.add_accounts(&["romeo", "juliet"]);
    let mut said = talk(&stage, 1);
    stage.kill();
    server.kill();
    server.restart();
    stage.kill_and_restart();
    said.extend(talk(&stage, 2));
    for name in ["romeo", "juliet"] {
        assert_eq!(archive(&mut log_in(&stage, name)), said, "{name}'s archive");
    }
    let list = stage.run(&["account", "list"]).unwrap();
    assert_eq!(list, "juliet@localhost\nromeo@localhost\n");
}

#[test]
fn emptied_data_are_refused_at_the_next_start_and_so_are_those_of_another_cluster() {
    if !fixture::is_there() {
        return;
    }
    let (server, config) = redis();
    let mut stage = Stage::start(&config);
    stage.add_accounts(&["romeo"]);
    let mut other = Stage::start("");
    // Without a server the command looks at Redis itself.
    other.kill();
    stage.kill();
    let list = ["account", "list"];
    assert_eq!(stage.run(&list).unwrap(), "romeo@localhost\n");
    std::fs::copy(stage.dir.join("rookery.toml"), other.dir.join("rookery.toml")).unwrap();
    let foreign = other.run(&list).unwrap_err();
    assert!(foreign.contains("belong to another cluster"), "{foreign}");
    server.cli(&["-a", "secret", "FLUSHALL"]);
    let emptied = stage.run(&list).unwrap_err();
    assert!(emptied.contains("emptied or exchanged"), "{emptied}");
}

/// Sends a message of this id, and says whether it was taken: an error to it comes before the answer to a ping.
fn is_taken(from: &mut Client, id: &str) -> bool {
    from.send(format!(
        "<message to='juliet@localhost' type='chat' id='{id}'><body>{id}</body></message>\
         <iq type='get' id='p{id}' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"
    ));
    let (answer, mut is_taken) = (format!("p{id}"), true);
    loop {
        let next = from.next().expect("the stream stays open");
        is_taken &= !(next.attr("id") == Some(id) && next.attr("type") == Some("error"));
        if next.attr("id") == Some(&answer) {
            return is_taken;
        }
    }
}

#[test]
fn while_redis_has_no_memory_messages_are_refused_and_nobody_hears_them() {
    if !fixture::is_there() {
        return;
    }
    let (server, config) = redis();
    let stage = Stage::start(&config);
    stage.add_accounts(&["romeo", "juliet"]);
    let [mut romeo, mut juliet] = ["romeo", "juliet"].map(|name| log_in(&stage, name));
    juliet.send("<presence/>");
    assert!(is_taken(&mut romeo, "before"));
    let set = |bytes| server.cli(&["-a", SECRET, "CONFIG", "SET", "maxmemory", bytes]);
    set("1");
    stage.await_log("a Redis server refuses writes");
    assert!(!is_taken(&mut romeo, "unheard"), "what is not archived was acknowledged");
    set("0");
    stage.await_log("a Redis server takes writes again");
    assert!(is_taken(&mut romeo, "after"));
    loop {
        let heard = juliet.next().expect("what was said");
        assert_ne!(heard.attr("id"), Some("unheard"));
        if heard.attr("id") == Some("after") {
            break;
        }
    }
    assert_eq!(archive(&mut juliet), ["before", "after"]);
}

#[test]
fn a_server_is_not_ready_while_redis_hangs_nor_when_it_was_emptied() {
    if !fixture::is_there() {
        return;
    }
    let (server, config) = redis();
    let stage = Stage::start(&config);
    let ready = || get(&stage, "/healthz/ready");
    server.signal("STOP");
    stage.await_log("no server of Redis answers");
    let (status, words) = ready();
    server.signal("CONT");
    assert!(status == 503 && words.contains("no server of Redis answers"), "{words}");
    assert_eq!(get(&stage, "/healthz/live").0, 200);
    stage.await_log("store is well again");
    assert_eq!(ready().0, 200);
    server.cli(&["-a", "secret", "FLUSHALL"]);
    stage.await_log("not ready for clients error=\"the data in Redis were emptied or exchanged\"");
    let (status, words) = ready();
    assert!(status == 503 && words.contains("emptied or exchanged"), "{words}");
}

#[test]
fn the_store_moves_to_redis_and_back_and_is_the_same() {
    if !fixture::is_there() {
        return;
    }
    let (server, redis) = redis();
    let url = format!("redis://:secret@127.0.0.1:{}", server.port);
    let mut stage = Stage::start("[store]\nengine = 'embedded'\n");
    stage.add_accounts(&["romeo", "juliet"]);
    let said = talk(&stage, 1);
    let data = stage.dir.join("data").display().to_string();
    let there = ["store", "migrate", "--from", &data, "--to", &url, "--durability", "fsync"];
    let running = stage.run(&there).unwrap_err();
    assert!(running.contains("another process"), "{running}");
    stage.kill();

    let told = stage.run(&there).unwrap();
    assert!(told.starts_with("2 owners") && told.contains("(0 were before)"), "{told}");
    let again = stage.run(&there).unwrap();
    assert!(again.contains("(2 were before)"), "{again}");

    let file = stage.dir.join("rookery.toml");
    let embedded = std::fs::read_to_string(&file).unwrap();
    let mut table: toml::Table = embedded.parse().unwrap();
    table.extend(redis.parse::<toml::Table>().unwrap());
    std::fs::write(&file, toml::to_string(&table).unwrap()).unwrap();
    stage.kill_and_restart();
    assert_eq!(archive(&mut log_in(&stage, "romeo")), said);
    let more = talk(&stage, 2);
    stage.kill();

    let back =
        ["store", "migrate", "--from", &url, "--to", &data, "--durability", "fsync", "--json"];
    let told = stage.run(&back).unwrap();
    let lines: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0]["digest"].as_str().unwrap().len() == 32, "{told}");
    assert_eq!(lines.last().unwrap()["owners"], 2, "{told}");
    std::fs::write(&file, embedded).unwrap();
    drop(server);
    stage.kill_and_restart();
    let all = [said, more].concat();
    assert_eq!(archive(&mut log_in(&stage, "juliet")), all);
}
