//! A cluster of real processes as one of two servers: whoever holds the stream to the other one is killed while people talk.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use town::{Client, Login};
use xmpp::Element;

use super::quarters::{PATIENT, Quarters, Watched, member, until, until_acts};
use crate::federation::land::{Authority, add, body, hears, log_in, settings};
use crate::redis::{fixture, redis};
use crate::stage::{PASSWORD, Stage, free};

/// Messages of each, half of them before the end of the member.
const COUNT: usize = 120;

/// Logs in, and says that it counts.
fn client(address: SocketAddr, name: &str) -> Client {
    let login = Login { address, domain: "localhost", name, password: PASSWORD };
    let mut client = Client::log_in(&login);
    client.bind("here");
    client.send("<enable xmlns='urn:xmpp:sm:3'/><presence/>");
    hears(&mut client, |it| it.name() == "presence");
    client
}

fn say(to: &str, number: usize) -> String {
    format!("<message to='{to}' type='chat'><body>{number}</body></message>")
}

/// Hears all that are left. What was not confirmed may come twice, but for the first time each comes in its turn.
fn hears_all(client: &mut Client, heard: &mut BTreeSet<usize>, count: usize) {
    while heard.len() < count {
        // Romeo may hear, too, that nobody is there.
        let next = hears(client, |it| it.name() == "message" && it.attr("type") == Some("chat"));
        let number: usize = body(&next).unwrap().parse().unwrap();
        if heard.insert(number) {
            assert_eq!(heard.len(), number + 1, "{number} came too early");
        }
    }
}

/// The member that owns the queue to `b.example`, as soon as something waits there.
fn gateway(stage: &Stage) -> usize {
    let mut found = None;
    until("a queue to the other server", || {
        let list = stage.run(&["s2s", "list", "--json"]).unwrap();
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let line = list["outbound"].as_array().unwrap().first();
        let name = line.and_then(|line| line["member"].as_str()).unwrap_or_default();
        found = name.strip_prefix('m').and_then(|number| number.parse::<usize>().ok());
        found.is_some()
    });
    found.unwrap() - 1
}

fn is_word(element: &Element, name: &str, h: usize) -> bool {
    element.name() == name && element.attr("h") == Some(h.to_string().as_str())
}

#[test]
fn people_talk_on_in_order_when_the_member_with_the_stream_to_their_server_is_killed() {
    if !fixture::is_there() {
        return;
    }
    let (_redis, store) = redis();
    let authority = Authority::new();
    let (of_cluster, of_b) = (authority.certify(&["localhost"]), authority.certify(&["b.example"]));
    let (ports, b) = ([free(), free(), free()], free());
    let quarters = Quarters::of(3, 3);
    let starting: Vec<_> = (1..=3)
        .map(|number| {
            let own = ("localhost", Some(&of_cluster));
            let more = settings(own, ports[number - 1], ("b.example", b), &authority.file());
            let more = more.replace("[store]\nengine = 'embedded'\n", &store);
            quarters.start(number, &format!("{PATIENT}{more}"))
        })
        .collect();
    let stages = starting.into_iter().map(|starting| starting.join().unwrap()).collect();
    let mut stages = Watched(stages);
    stages.iter().for_each(until_acts);
    until("standbys", || {
        (1..=3).all(|it| member(&stages[0], &format!("m{it}")).standby_shards > 0)
    });
    stages[0].add_accounts(&["romeo"]);

    // Where the queue is shows when something waits in it: the other server is not there yet.
    let mut scout = client(stages[0].c2s, "romeo");
    scout.send("<message to='nobody@b.example'><body>0</body></message>");
    let victim = gateway(&stages[0]);
    drop(scout);
    let stays = (victim + 1) % 3;
    let own = ("b.example", Some(&of_b));
    let route = ("localhost", ports[stays]);
    let other = Stage::start(&settings(own, b, route, &authority.file()));
    add(&other, "juliet@b.example");
    let mut juliet = log_in(&other, "juliet@b.example");
    juliet.send("<enable xmlns='urn:xmpp:sm:3'/>");
    hears(&mut juliet, |it| it.name() == "enabled");
    let mut romeo = client(stages[stays].c2s, "romeo");

    let (mut by_juliet, mut by_romeo) = (BTreeSet::new(), BTreeSet::new());
    let say_all = |romeo: &mut Client, juliet: &mut Client, from, to| {
        for number in from..to {
            romeo.send(say("juliet@b.example", number));
            juliet.send(say("romeo@localhost/here", number));
        }
    };
    say_all(&mut romeo, &mut juliet, 0, COUNT / 2);
    hears_all(&mut juliet, &mut by_juliet, 5);
    stages[victim].kill();
    say_all(&mut romeo, &mut juliet, COUNT / 2, COUNT);
    hears_all(&mut juliet, &mut by_juliet, COUNT);
    hears_all(&mut romeo, &mut by_romeo, COUNT);
    // All of it is acknowledged in the end: the messages, and the presence.
    romeo.send("<r xmlns='urn:xmpp:sm:3'/>");
    hears(&mut romeo, |it| is_word(it, "a", COUNT + 1));
    juliet.send("<r xmlns='urn:xmpp:sm:3'/>");
    hears(&mut juliet, |it| is_word(it, "a", COUNT));
}
