//! Streams of a component at members of a cluster (XEP-0114), while members die.

use std::collections::BTreeMap;

use stream::Event;
use xmpp::ns;

use super::cluster::client;
use super::land::{Client, hears};
use super::program::Program;
use crate::stage::crew::Crew;

const COMPONENT: &str =
    "[[component]]\nname = 'irc.localhost'\nsecret = 'secret'\nwait_seconds = 60\n";
const PEOPLE: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn say(romeo: &mut Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        for name in PEOPLE {
            romeo.send(format!(
                "<message to='{name}@irc.localhost' type='chat'><body>{number}</body></message>"
            ));
        }
    }
}

/// What was heard of each, and by which stream.
type Heard = BTreeMap<String, Vec<(usize, usize)>>;

/// Hears by these streams in turn until everybody has heard everything below `end`. By one stream each comes in its turn.
/// What is below `again` may come once more.
fn hear(streams: &mut [Program], heard: &mut Heard, end: usize, again: usize) {
    let is_done =
        |heard: &Heard| heard.len() == PEOPLE.len() && heard.values().all(|it| it.len() == end);
    while !is_done(heard) {
        for (number, stream) in streams.iter_mut().enumerate() {
            let Some(Event::Stanza(stanza)) = stream.soon() else { continue };
            let Some(text) = stanza.child("body", "") else { continue };
            let said: usize = text.text().parse().unwrap();
            let of_one = heard.entry(stanza.head().to.as_ref().unwrap().to_string()).or_default();
            // Nobody has heard from the member that died what it had given of this.
            if said < again && of_one.iter().any(|(it, _)| *it == said) {
                continue;
            }
            assert!(of_one.iter().all(|(it, _)| *it != said), "{said} came twice by {number}");
            let last = of_one.iter().rev().find(|(_, by)| *by == number);
            assert!(last.is_none_or(|(before, _)| *before < said), "{said} came too late");
            of_one.push((said, number));
        }
    }
}

#[test]
fn streams_at_two_members_share_people_in_order_and_one_takes_over_when_the_other_member_dies() {
    let crew = Crew::start_with(3, COMPONENT);
    let owner = crew.owner("irc.localhost");
    let others = [(owner + 1) % 3, (owner + 2) % 3];
    let names = (0..64).map(|number| format!("romeo{number}"));
    let name = names.into_iter().find(|name| crew.home(name) == others[0]).unwrap();
    crew.add_accounts(std::slice::from_ref(&name));
    let mut romeo = client(crew.c2s[others[0]], &name);
    let connect = |member: usize| Program::connect(crew.component[member], "irc.localhost");
    let mut streams = others.map(connect);
    let mut heard = Heard::new();
    // Both are known to the owner of the queue when both have been given something.
    let mut end = 0;
    let gets = |heard: &Heard, stream| heard.values().flatten().any(|(_, by)| *by == stream);
    while !(gets(&heard, 0) && gets(&heard, 1)) {
        say(&mut romeo, end..end + 10);
        end += 10;
        hear(&mut streams, &mut heard, end, 0);
    }
    // All that was said has been heard: what is said from now on goes by the stream that is left.
    crew.kill(others[1]);
    say(&mut romeo, end..end + 20);
    hear(&mut streams[..1], &mut heard, end + 20, end);
    let last: Vec<_> = heard["a@irc.localhost"].iter().skip(end).map(|(said, _)| *said).collect();
    assert_eq!(last, (end..end + 20).collect::<Vec<_>>());
}

/// How many messages are said, half of them before the owner dies.
const COUNT: usize = 120;

/// Romeo makes a room and stays inside; from now on what he sends is kept until it is safe.
fn make(romeo: &mut Client, room: &str) {
    romeo.send(format!(
        "<enable xmlns='{}'/><presence to='{room}/romeo'><x xmlns='{}'/></presence>\
         <iq type='set' id='made' to='{room}'><query xmlns='{}'><x xmlns='jabber:x:data' type='submit'/></query></iq>",
        ns::SM,
        ns::MUC,
        ns::MUC_OWNER
    ));
    hears(romeo, |it| it.attr("id") == Some("made") && it.attr("type") == Some("result"));
}

// XEP-0045 §7.4: what a new owner says again of what the former one has said is known by who owns the component's domain.
#[test]
fn somebody_at_a_component_hears_a_room_once_whose_owner_dies() {
    let crew = Crew::start_with(3, COMPONENT);
    let owner = crew.owner("irc.localhost");
    let mut names = (0..64).map(|number| format!("romeo{number}"));
    let name = names.find(|name| crew.home(name) == owner).unwrap();
    crew.add_accounts(std::slice::from_ref(&name));
    let mut rooms = (0..64).map(|number| format!("room{number}@conference.localhost"));
    let room = rooms.find(|room| crew.owner(room) != owner).unwrap();
    let mut romeo = client(crew.c2s[owner], &name);
    make(&mut romeo, &room);
    let mut irc = Program::connect(crew.component[owner], "irc.localhost");
    irc.say(&format!(
        "<presence from='x@irc.localhost/r' to='{room}/x'><x xmlns='{}'/></presence>",
        ns::MUC
    ));
    while irc.hears().child("subject", "").is_none() {}

    let say = |romeo: &mut Client, numbers: std::ops::Range<usize>| {
        for number in numbers {
            romeo.send(format!(
                "<message to='{room}' type='groupchat'><body>{number}</body></message>"
            ));
        }
    };
    let mut heard: Vec<String> = Vec::new();
    say(&mut romeo, 0..COUNT / 2);
    heard.extend((0..5).map(|_| irc.hears_body()));
    crew.kill(crew.owner(&room));
    say(&mut romeo, COUNT / 2..COUNT);
    heard.extend((5..COUNT).map(|_| irc.hears_body()));
    assert_eq!(heard, (0..COUNT).map(|number| number.to_string()).collect::<Vec<_>>());
}
