//! Somebody of another domain, while members are killed: she stays inside of a room, and hears everything once, there and from
//! single people.

use std::ops::Range;

use town::{Client, Login};
use xmpp::ns;

use super::federation::{Holder, holder};
use super::quarters::{Quarters, Watched, ask, member, until, until_acts};
use crate::federation::land::{Authority, add, body, hears, log_in, settings};
use crate::redis::{Server, fixture, redis};
use crate::stage::{PASSWORD, Stage, free};

/// Three members, and another server; on each side somebody who is in one room of the cluster.
struct Abroad {
    stages: Watched,
    room: String,
    /// Who owns the room; neither the streams between the servers nor Romeo's end with it.
    victim: usize,
    romeo: Client,
    juliet: Client,
    _other: Stage,
    _quarters: Quarters,
    _authority: Authority,
    _redis: Server,
}

/// Messages of each, half of them before the owner dies.
const COUNT: usize = 120;

/// Speakers of whom one lives on the member that dies, all but surely.
const FRIARS: usize = 8;

/// Rooms of which one has an owner of its own, all but surely.
const ROOMS: usize = 32;

fn enter(client: &mut Client, room: &str, nick: &str) {
    client.send(format!("<presence to='{room}/{nick}'><x xmlns='{}'/></presence>", ns::MUC));
    hears(client, |it| it.name() == "message" && it.child("subject", "").is_some());
}

/// Makes a room, and stays inside.
fn make(client: &mut Client, room: &str) {
    enter(client, room, "romeo");
    client.send(format!(
        "<iq type='set' id='{room}' to='{room}'><query xmlns='{}'>\
         <x xmlns='jabber:x:data' type='submit'/></query></iq>",
        ns::MUC_OWNER
    ));
    hears(client, |it| it.attr("id") == Some(room) && it.attr("type") == Some("result"));
}

/// The member that owns a room in which somebody is.
fn owner(stage: &Stage, room: &str) -> usize {
    let mut owner = None;
    until("the room's owner", || {
        let rooms: serde_json::Value =
            serde_json::from_slice(&ask(stage, "/api/v1/rooms?limit=100")).unwrap();
        let found = rooms.as_array().and_then(|all| all.iter().find(|it| it["jid"] == room));
        let name = found.and_then(|it| it["member"].as_str()?.strip_prefix('m'));
        owner = name.and_then(|number| number.parse::<usize>().ok());
        owner.is_some()
    });
    owner.unwrap() - 1
}

impl Abroad {
    fn start() -> Self {
        let (redis, store) = redis();
        let authority = Authority::new();
        let of_cluster = authority.certify(&["localhost", "conference.localhost"]);
        let (ports, b) = ([free(), free(), free()], free());
        let quarters = Quarters::of(3, 3);
        let starting: Vec<_> = (1..=3)
            .map(|number| {
                let own = ("localhost", Some(&of_cluster));
                let more = settings(own, ports[number - 1], ("b.example", b), &authority.file());
                quarters.start(number, &more.replace("[store]\nengine = 'embedded'\n", &store))
            })
            .collect();
        let stages = starting.into_iter().map(|starting| starting.join().unwrap()).collect();
        let stages = Watched(stages);
        stages.iter().for_each(until_acts);
        let has_standbys = |it| member(&stages[0], &format!("m{it}")).standby_shards > 0;
        until("standbys", || (1..=3).all(has_standbys));
        stages[0].add_accounts(&["romeo"]);

        let gateway = gateway_to_b(&stages[0]);
        let mut romeo = arrive(&stages[gateway]);
        count(&mut romeo);
        let (room, victim) = room_of_another(&stages, &mut romeo, gateway);
        let of_b = authority.certify(&["b.example"]);
        let (own, by) = (("b.example", Some(&of_b)), ports[3 - gateway - victim]);
        let other = Stage::start(&settings(own, b, ("localhost", by), &authority.file()));
        add(&other, "juliet@b.example");
        let mut juliet = log_in(&other, "juliet@b.example");
        enter(&mut juliet, &room, "juliet");
        hears(&mut romeo, |it| it.attr("from") == Some(format!("{room}/juliet").as_str()));
        Self {
            stages,
            room,
            victim,
            romeo,
            juliet,
            _other: other,
            _quarters: quarters,
            _authority: authority,
            _redis: redis,
        }
    }

    /// Both say what has these numbers.
    fn say(&mut self, numbers: Range<usize>) {
        for (client, who) in [(&mut self.romeo, "romeo"), (&mut self.juliet, "juliet")] {
            for number in numbers.clone() {
                client.send(format!(
                    "<message to='{}' type='groupchat'><body>{who}{number}</body></message>",
                    self.room
                ));
            }
        }
    }
}

/// Romeo's client of a member.
fn arrive(stage: &Stage) -> Client {
    arrive_as(stage, "romeo")
}

fn arrive_as(stage: &Stage, name: &str) -> Client {
    let (address, domain) = (stage.c2s, "localhost");
    let mut client = Client::log_in(&Login { address, domain, name, password: PASSWORD });
    client.bind("here");
    client
}

/// From now on what the client sends is kept until it is safe, whichever member dies.
fn count(client: &mut Client) {
    client.send("<enable xmlns='urn:xmpp:sm:3'/>");
    hears(client, |it| it.name() == "enabled");
}

/// Who speaks with the other server, which is not there yet.
fn gateway_to_b(stage: &Stage) -> usize {
    let mut scout = arrive(stage);
    // Nobody answers that.
    scout.send("<message to='nobody@b.example' type='headline'><body>0</body></message>");
    holder(stage, Holder::Queue)
}

/// Makes rooms until there is one that this member does not own; that, and its owner.
fn room_of_another(stages: &[Stage], maker: &mut Client, member: usize) -> (String, usize) {
    let mut rooms = (0..ROOMS).map(|number| format!("room{number}@conference.localhost"));
    let found = rooms.find_map(|room| {
        make(maker, &room);
        let owner = owner(&stages[member], &room);
        (owner != member).then_some((room, owner))
    });
    found.expect("a room of another member")
}

/// Hears so many messages in all. Nobody goes, and nothing comes back.
fn listen(client: &mut Client, heard: &mut Vec<String>, count: usize) {
    while heard.len() < count {
        let next = client.next().expect("the stream goes on");
        let is_bad = matches!(next.attr("type"), Some("unavailable" | "error"));
        assert!(!is_bad, "{next:?} after {heard:?}");
        if next.attr("type") == Some("groupchat") {
            heard.extend(body(&next));
        }
    }
}

#[test]
fn somebody_of_another_domain_stays_in_a_room_whose_owner_is_killed_and_hears_all_once() {
    if !fixture::is_there() {
        return;
    }
    let mut abroad = Abroad::start();
    let (mut by_romeo, mut by_juliet) = (Vec::new(), Vec::new());
    abroad.say(0..COUNT / 2);
    listen(&mut abroad.juliet, &mut by_juliet, 5);
    let victim = abroad.victim;
    abroad.stages[victim].kill();
    abroad.say(COUNT / 2..COUNT);
    listen(&mut abroad.romeo, &mut by_romeo, 2 * COUNT);
    listen(&mut abroad.juliet, &mut by_juliet, 2 * COUNT);

    // All of them, once and in one order; each speaker's in their own.
    assert_eq!(by_romeo, by_juliet);
    for who in ["romeo", "juliet"] {
        let said: Vec<String> = (0..COUNT).map(|number| format!("{who}{number}")).collect();
        let heard = by_juliet.iter().filter(|it| it.starts_with(who));
        assert_eq!(heard.cloned().collect::<Vec<_>>(), said);
    }
    // She is inside, and nothing more comes to her; then she goes, and is seen to go only now.
    let Abroad { room, romeo, juliet, .. } = &mut abroad;
    juliet.send(format!(
        "<iq type='get' id='p' to='{room}/juliet'><ping xmlns='urn:xmpp:ping'/></iq>"
    ));
    let next = juliet.next().expect("an answer");
    assert_eq!((next.attr("id"), next.attr("type")), (Some("p"), Some("result")), "{next:?}");
    juliet.send(format!("<presence type='unavailable' to='{room}/juliet'/>"));
    let next = hears(romeo, |it| it.name() == "presence");
    assert_eq!(next.attr("type"), Some("unavailable"), "{next:?}");
}

/// Each friar says what has these numbers to Juliet.
fn preach(friars: &mut [Client], numbers: Range<usize>) {
    for (who, friar) in friars.iter_mut().enumerate() {
        for number in numbers.clone() {
            friar.send(format!(
                "<message to='juliet@b.example' type='chat'><body>{who} {number}</body></message>"
            ));
        }
    }
}

/// Hears so many words of friars in all; those of each.
fn hear_friars(client: &mut Client, heard: &mut [Vec<usize>], count: usize) {
    while heard.iter().map(Vec::len).sum::<usize>() < count {
        let next = hears(client, |it| it.name() == "message" && it.attr("type") == Some("chat"));
        let words = body(&next).unwrap();
        let (who, number) = words.split_once(' ').unwrap();
        heard[who.parse::<usize>().unwrap()].push(number.parse().unwrap());
    }
}

#[test]
fn somebody_of_another_domain_hears_once_what_people_say_whose_home_is_killed() {
    if !fixture::is_there() {
        return;
    }
    let mut abroad = Abroad::start();
    let (stays, names) = ((abroad.victim + 1) % 3, (0..FRIARS).map(|it| format!("friar{it}")));
    let names: Vec<String> = names.collect();
    abroad.stages[0].add_accounts(&names);
    let mut friars: Vec<Client> =
        names.iter().map(|name| arrive_as(&abroad.stages[stays], name)).collect();
    friars.iter_mut().for_each(count);
    let mut heard = vec![Vec::new(); FRIARS];
    preach(&mut friars, 0..COUNT / 2);
    hear_friars(&mut abroad.juliet, &mut heard, 5);
    let victim = abroad.victim;
    abroad.stages[victim].kill();
    preach(&mut friars, COUNT / 2..COUNT);
    hear_friars(&mut abroad.juliet, &mut heard, FRIARS * COUNT);
    let said: Vec<usize> = (0..COUNT).collect();
    assert!(heard.iter().all(|it| *it == said), "{heard:?}");
}
