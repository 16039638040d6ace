//! A cluster as one of two servers: one member speaks with the other server for all, and another one when it is gone.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;

use town::Login;

use super::land::{Authority, Client, add, body, free, hears, hears_body, log_in, settings};
use super::program::Program;
use crate::stage::crew::Crew;
use crate::stage::{PASSWORD, Stage, merge};

/// Three members and another server, Romeo of the ones and Juliet of the other.
struct Town {
    crew: Crew,
    /// Who speaks with the other server.
    gateway: usize,
    romeo: Client,
    juliet: Client,
    /// Romeo's address.
    from: String,
    stage: Stage,
    _authority: Authority,
}

impl Town {
    fn start() -> Self {
        Self::start_with(true)
    }

    /// The cluster reaches the other server, or does not.
    fn start_with(reaches: bool) -> Self {
        Self::start_of(reaches, "")
    }

    /// The same, with this laid over the cluster's settings.
    fn start_of(reaches: bool, extra: &str) -> Self {
        let authority = Authority::new();
        let b = free();
        let way = if reaches { b } else { free() };
        let files = authority.certify(&["localhost"]);
        let own = ("localhost", Some(&files));
        let of_crew =
            settings(own, "127.0.0.1:0".parse().unwrap(), ("b.example", way), &authority.file());
        let all = merge(of_crew.parse().unwrap(), extra.parse().unwrap());
        let crew = Crew::start_with(3, &toml::to_string(&all).unwrap());
        let gateway = crew.gateway("b.example");
        // Somebody whose home and socket are on members that stay.
        let stays = (gateway + 1) % 3;
        let names = (0..64).map(|number| format!("romeo{number}"));
        let name = names.into_iter().find(|name| crew.home(name) == stays).unwrap();
        crew.add_accounts(std::slice::from_ref(&name));
        let files = authority.certify(&["b.example"]);
        let own = ("b.example", Some(&files));
        let route = ("localhost", crew.s2s[stays]);
        let stage = Stage::start(&settings(own, b, route, &authority.file()));
        add(&stage, "juliet@b.example");
        let juliet = log_in(&stage, "juliet@b.example");
        let romeo = client(crew.c2s[stays], &name);
        let from = format!("{name}@localhost/here");
        Self { crew, gateway, romeo, juliet, from, stage, _authority: authority }
    }
}

/// A client of a member.
pub(super) fn client(address: SocketAddr, name: &str) -> Client {
    let login = Login { address, domain: "localhost", name, password: PASSWORD };
    let mut client = Client::log_in(&login);
    client.bind("here");
    client.send("<presence/>");
    hears(&mut client, |it| it.name() == "presence");
    client
}

fn say(text: &str) -> String {
    format!("<message to='juliet@b.example' type='chat'><body>{text}</body></message>")
}

/// Romeo says numbers, and in their midst the member dies that speaks with the other server: some have arrived then, some are
/// on their way. What was not confirmed may come twice, but for the first time each comes in its turn.
fn all_comes_over_a_death(town: &mut Town, numbers: Range<usize>) {
    let Town { crew, gateway, romeo, juliet, .. } = town;
    let (midst, end) = (numbers.end / 2, numbers.end);
    for number in numbers.start..midst {
        romeo.send(say(&number.to_string()));
    }
    hears_body(juliet, "5");
    crew.kill(*gateway);
    for number in midst..end {
        romeo.send(say(&number.to_string()));
    }
    let mut heard: BTreeSet<usize> = (0..=5).collect();
    while heard.len() < end {
        let next = hears(juliet, |it| it.name() == "message");
        let number: usize = body(&next).unwrap().parse().unwrap();
        if heard.insert(number) {
            assert_eq!(heard.len(), number + 1, "{number} came too early");
        }
    }
}

#[test]
fn one_member_speaks_with_another_server_and_another_one_takes_that_over() {
    let Town { crew, gateway, romeo, juliet, from, .. } = &mut Town::start();
    romeo.send(say("through the gateway"));
    let heard = hears_body(juliet, "through the gateway");
    assert_eq!(heard.attr("from"), Some(from.as_str()));
    juliet.send(format!("<message to='{from}' type='chat'><body>back</body></message>"));
    hears_body(romeo, "back");

    crew.kill(*gateway);
    assert_ne!(crew.gateway("b.example"), *gateway);
    for text in ["after its death", "and once more"] {
        romeo.send(say(text));
        hears_body(juliet, text);
    }
    juliet.send(format!("<message to='{from}' type='chat'><body>still here</body></message>"));
    hears_body(romeo, "still here");
}

#[test]
fn nothing_that_a_client_counts_is_lost_when_the_member_dies_that_speaks_with_another_server() {
    let mut town = Town::start();
    let romeo = &mut town.romeo;
    romeo.send("<enable xmlns='urn:xmpp:sm:3'/>");
    hears(romeo, |it| it.name() == "enabled");
    all_comes_over_a_death(&mut town, 0..120);
}

#[test]
fn a_stream_that_one_member_holds_serves_whoever_owns_the_queue() {
    let mut town = Town::start_with(false);
    let Town { romeo, juliet, from, .. } = &mut town;
    romeo.send("<enable xmlns='urn:xmpp:sm:3'/>");
    hears(romeo, |it| it.name() == "enabled");
    romeo.send(say("0"));
    juliet.send(format!("<message to='{from}' type='chat'><body>hi</body></message>"));
    hears_body(romeo, "hi");
    hears_body(juliet, "0");
    // Another member owns the queue then, and learns of the stream.
    all_comes_over_a_death(&mut town, 1..60);
}

/// A component hears that each of these is there.
fn hear_all(program: &mut Program, contacts: &[String]) {
    let mut missing = contacts.to_vec();
    while !missing.is_empty() {
        let stanza = program.hears();
        if stanza.kind().name() == "presence" && stanza.kind().type_str().is_none() {
            let from = stanza.head().from.as_ref().unwrap();
            missing.retain(|contact| from.as_str() != contact);
        }
    }
}

/// XEP-0356 §8 rule 1, whoever owns the accounts: each of them sees somebody else.
#[test]
fn a_component_at_one_member_hears_of_contacts_elsewhere_of_people_of_all_members_who_are_away() {
    let component = "[[component]]\nname = 'pubsub2.localhost'\nsecret = 'secret'\n\
                     privilege = { roster = 'get', push = false, presence = 'roster' }\n";
    let town = Town::start_of(true, component);
    let crew = &town.crew;
    let mut program = Program::connect(crew.component[0], "pubsub2.localhost");
    let (mut contacts, mut clients) = (Vec::new(), Vec::new());
    for home in 0..3 {
        let names = (0..64).map(|number| format!("tybalt{number}"));
        let name = names.into_iter().find(|name| crew.home(name) == home).unwrap();
        crew.add_accounts(std::slice::from_ref(&name));
        let contact = format!("nurse{home}@b.example");
        add(&town.stage, &contact);
        let mut nurse = log_in(&town.stage, &contact);
        let mut tybalt = client(crew.c2s[home], &name);
        let jid = format!("{name}@localhost");
        tybalt.send(format!("<presence to='{contact}' type='subscribe'/>"));
        hears(&mut nurse, |it| it.attr("type") == Some("subscribe"));
        nurse.send(format!("<presence to='{jid}' type='subscribed'/>"));
        nurse.send(format!("<presence to='{jid}' type='subscribe'/>"));
        hears(&mut tybalt, |it| it.attr("type") == Some("subscribe"));
        tybalt.send(format!("<presence to='{contact}' type='subscribed'/>"));
        hears(&mut nurse, |it| it.attr("from") == Some(&*format!("{jid}/here")));
        tybalt.send("</stream:stream>");
        hears(&mut nurse, |it| it.attr("type") == Some("unavailable"));
        contacts.push(format!("{contact}/here"));
        clients.push(nurse);
    }
    // By another stream than that by which it has heard of them.
    hear_all(&mut program, &contacts);
    program.hang_up();
    hear_all(&mut Program::connect(crew.component[0], "pubsub2.localhost"), &contacts);
}
