//! A message to 5,000 in one room, who sit on three members: with `ROOKERY_ASSEMBLY=huge`. Their presence is not
//! broadcast, as in a room of that size it should not be.

use cluster::clock::BootTime;
use town::Client;
use town::client::Login;
use xmpp::ns;

use super::super::quarters::{Quarters, until_acts};
use super::super::report;
use crate::redis;
use crate::stage::PASSWORD;

const ROOM: &str = "crowd@conference.localhost";
const ACCOUNTS: usize = 50;
const SESSIONS: usize = 100;
const CONFIG: &str =
    "[room]\noccupants = 6000\n[accounts]\nsessions = 100\n[lease]\nttl_ms = 60000\n";

/// Logs in with a resource, and enters under a nick of its own.
fn enters((address, name): (std::net::SocketAddr, &str), number: usize) -> Client {
    let login = Login { address, domain: "localhost", name, password: PASSWORD };
    let mut client = Client::log_in(&login);
    client.bind(&format!("r{number}"));
    client.send(format!(
        "<presence to='{ROOM}/n{number}'><x xmlns='{}'><history maxstanzas='0'/></x></presence>",
        ns::MUC
    ));
    while client.next().expect("the room answers").child("subject", "").is_none() {}
    client
}

#[test]
fn five_thousand_in_a_room_on_three_members_hear_a_message() {
    if std::env::var("ROOKERY_ASSEMBLY").as_deref() != Ok("huge") {
        redis::fixture::skipped("ROOKERY_ASSEMBLY=huge plays a room of thousands");
        return;
    }
    let (_redis, store) = redis::redis();
    let quarters = Quarters::of(3, 3);
    let stages = quarters.start_all(3, &format!("{store}{CONFIG}"));
    stages.iter().for_each(until_acts);
    let names: Vec<String> = (0..ACCOUNTS).map(|number| format!("person{number}")).collect();
    stages[0].add_accounts(&names);
    let mut maker = enters((stages[0].c2s, &names[0]), 0);
    maker.send(format!(
        "<iq type='set' id='c' to='{ROOM}'><query xmlns='{}'><x xmlns='jabber:x:data' type='submit'>\
         <field var='muc#roomconfig_presencebroadcast'><value/></field>\
         <field var='muc#roomconfig_maxusers'><value>none</value></field></x></query></iq>",
        ns::MUC_OWNER
    ));
    while maker.next().expect("an answer").attr("id") != Some("c") {}
    let place = |number: usize| (stages[number % 3].c2s, names[number % ACCOUNTS].as_str());
    let begun = BootTime::now();
    let mut all: Vec<Client> = (1..ACCOUNTS * SESSIONS).map(|it| enters(place(it), it)).collect();
    let entered = BootTime::now().since(begun);
    all.push(maker);
    let mut took = Vec::new();
    for round in 0..3 {
        let (begun, text) = (BootTime::now(), format!("to all, {round}"));
        all[round]
            .send(format!("<message type='groupchat' to='{ROOM}'><body>{text}</body></message>"));
        for client in &mut all {
            let heard = loop {
                let next = client.next().expect("a stream stays open");
                if next.name() == "message" {
                    break next;
                }
            };
            assert_eq!(heard.child("body", "").map(xmpp::Element::text), Some(text.clone()));
        }
        took.push(BootTime::now().since(begun));
    }
    let findings = format!(
        "{} people in one room, inside after {entered:.0?}. Of three messages each reached all of them after {took:.2?}.\n",
        all.len()
    );
    let command = "benches/run-cluster rooms";
    report::write("huge-room", "A message to 5,000 in one room", command, &findings);
}
