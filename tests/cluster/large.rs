//! A shard in which much lives goes to another member like any other: more than one message of what moves it takes, and
//! enough for it to be brought while it is still served (`server/handoff/leaving.rs`).

use town::{Client, Login};
use xmpp::Element;

use super::figures::home;
use super::quarters::{Quarters, Watched, member, until, until_acts};
use crate::redis::{fixture, redis};
use crate::stage::{PASSWORD, Stage};

const SM: &str = "xmlns='urn:xmpp:sm:3'";

/// Clients of one account, and what waits for each: together more than 10 MB, where a shard with 8 MiB is large.
const CLIENTS: [&str; 4] = ["balcony", "chamber", "garden", "orchard"];
const MESSAGES: usize = 44;
const BYTES: usize = 64 << 10;

fn log_in(stage: &Stage, name: &str) -> Client {
    let (address, password) = (stage.c2s, PASSWORD);
    Client::log_in(&Login { address, domain: "localhost", name, password })
}

fn arrive(stage: &Stage, name: &str, resource: &str) -> Client {
    let mut client = log_in(stage, name);
    client.bind(resource);
    client.send("<presence/>");
    client
}

fn awaits(client: &mut Client, name: &str) -> Element {
    loop {
        let next = client.next().expect("the stream goes on");
        if next.name() == name {
            return next;
        }
    }
}

#[test]
fn what_waits_for_a_client_moves_with_its_shard_however_much_it_is() {
    if !fixture::is_there() {
        return;
    }
    let (_redis, store) = redis();
    let quarters = Quarters::of(3, 3);
    let more = format!("{store}[lease]\nttl_ms = 60000\n[sm]\nqueue_bytes = {}\n", 4 << 20);
    let stages = Watched(quarters.start_all(3, &more));
    stages.iter().for_each(until_acts);
    stages[0].add_accounts(&["romeo", "juliet"]);

    let (owner, _) = home(&stages, "juliet");
    // Of a client that counts nothing no second copy is waited for.
    let _kitchen = arrive(&stages[owner], "juliet", "kitchen");
    let ids = CLIENTS.map(|resource| {
        let mut juliet = arrive(&stages[owner], "juliet", resource);
        juliet.send(format!("<enable {SM} resume='true'/>"));
        let id = awaits(&mut juliet, "enabled").attr("id").unwrap().to_owned();
        juliet.vanish();
        id
    });
    let mut romeo = arrive(&stages[1], "romeo", "phone");
    romeo.send(format!("<enable {SM}/>"));
    awaits(&mut romeo, "enabled");
    let text = "x".repeat(BYTES);
    for number in 0..MESSAGES {
        for resource in CLIENTS {
            romeo.send(format!(
                "<message to='juliet@localhost/{resource}' type='headline' id='{number}'><body>{text}</body></message>"
            ));
        }
    }
    romeo.send(format!("<r {SM}/>"));
    let all = (MESSAGES * CLIENTS.len()).to_string();
    while awaits(&mut romeo, "a").attr("h") != Some(&all) {}

    let (name, other) = (format!("m{}", owner + 1), &stages[(owner + 1) % 3]);
    other.run(&["cluster", "drain", &name]).unwrap();
    until("all shards to go", || member(other, &name).shards == 0);

    for id in ids {
        let mut juliet = log_in(other, "juliet");
        juliet.send(format!("<resume {SM} previd='{id}' h='0'/>"));
        awaits(&mut juliet, "resumed");
        for number in 0..MESSAGES {
            let heard = awaits(&mut juliet, "message");
            assert_eq!(heard.attr("id"), Some(number.to_string().as_str()));
            assert_eq!(heard.child("body", "").map(Element::text).unwrap().len(), BYTES);
        }
    }
}
