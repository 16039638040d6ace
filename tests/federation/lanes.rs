//! Several lanes to one busy domain: different members own them, and each opens a stream of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU8;

use proto::Lanes;
use xmpp::Jid;

use super::land::{Authority, Client, add, body, free, hears, hears_body, log_in, settings};
use crate::stage::Stage;
use crate::stage::crew::Crew;

const LANES: u8 = 4;
const NAMES: [&str; 2] = ["juliet", "nurse"];

/// Three members, with people whose lanes to another server differ, and that server.
struct Town {
    crew: Crew,
    /// The lanes that they use.
    lanes: BTreeSet<u8>,
    romeos: BTreeMap<String, Client>,
    friends: BTreeMap<&'static str, Client>,
    b: Stage,
    _authority: Authority,
}

impl Town {
    /// The cluster reaches the other server, or does not.
    fn start(reaches: bool) -> Self {
        let authority = Authority::new();
        let (place, way) = (free(), free());
        let way = if reaches { place } else { way };
        let files = authority.certify(&["localhost"]);
        let own = ("localhost", Some(&files));
        let of_crew =
            settings(own, "127.0.0.1:0".parse().unwrap(), ("b.example", way), &authority.file());
        let extra = format!("[s2s.lanes_of]\n'b.example' = {LANES}\n");
        let crew =
            Crew::start_with(3, &(of_crew.replace("[s2s.route]", &format!("{extra}[s2s.route]"))));
        let gateway = crew.gateway("b.example");
        // People whose homes and sockets are on a member that stays.
        let stays = (gateway + 1) % 3;
        let names = (0..64).map(|number| format!("romeo{number}"));
        let names: Vec<_> = names.filter(|name| crew.home(name) == stays).take(6).collect();
        crew.add_accounts(&names);
        let files = authority.certify(&["b.example"]);
        let own = ("b.example", Some(&files));
        let b =
            Stage::start(&settings(own, place, ("localhost", crew.s2s[stays]), &authority.file()));
        let friends = NAMES.map(|name| {
            let jid = format!("{name}@b.example");
            add(&b, &jid);
            (name, log_in(&b, &jid))
        });
        let romeos =
            names.iter().map(|name| (name.clone(), super::cluster::client(crew.c2s[stays], name)));
        let romeos = romeos.collect();
        let lanes = names.iter().flat_map(|romeo| NAMES.map(|name| lane(romeo, name))).collect();
        Self { crew, lanes, romeos, friends: friends.into(), b, _authority: authority }
    }

    /// Everybody says so many things to everybody.
    fn say(&mut self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            for romeo in self.romeos.values_mut() {
                for name in NAMES {
                    romeo.send(format!(
                        "<message to='{name}@b.example' type='chat'><body>{number}</body></message>"
                    ));
                }
            }
        }
    }

    /// Everybody has heard everything below `end` of everybody; for the first time, each thing in its turn.
    fn all_heard(&mut self, heard: &mut BTreeMap<(String, String), BTreeSet<usize>>, end: usize) {
        let whole = self.romeos.len() * end;
        for (name, friend) in &mut self.friends {
            let of = |heard: &BTreeMap<(String, String), BTreeSet<usize>>| {
                heard
                    .iter()
                    .filter(|((to, _), _)| to == name)
                    .map(|(_, it)| it.len())
                    .sum::<usize>()
            };
            while of(heard) < whole {
                let next = hears(friend, |it| it.name() == "message");
                let from = next.attr("from").unwrap().to_owned();
                let number: usize = body(&next).unwrap().parse().unwrap();
                let of_pair = heard.entry(((*name).to_owned(), from)).or_default();
                if of_pair.insert(number) {
                    assert_eq!(of_pair.len(), number + 1, "{number} came too early");
                }
            }
        }
    }
}

/// The lane of what Romeo says.
fn lane(romeo: &str, name: &str) -> u8 {
    let four = BTreeMap::from([("b.example".to_owned(), NonZeroU8::new(LANES).unwrap())]);
    let [from, to] = [format!("{romeo}@localhost"), format!("{name}@b.example")]
        .map(|jid| Jid::parse(&jid).unwrap());
    Lanes::new(NonZeroU8::MIN, four).of(Some(&from), &to)
}

#[test]
fn members_share_what_is_for_one_domain_and_each_pair_of_people_stays_in_order() {
    let mut town = Town::start(true);
    let used = town.lanes.clone();
    let owner = |town: &Town, lane| town.crew.gateway_of("b.example", lane);
    let owners: BTreeSet<usize> = used.iter().map(|lane| owner(&town, *lane)).collect();
    assert!(owners.len() > 1, "the story needs lanes of several members: {used:?}");

    let mut heard = BTreeMap::new();
    town.say(0..30);
    town.all_heard(&mut heard, 30);
    for member in 0..3 {
        let lines = town.crew.streams_to_others(member).outbound;
        let lanes: BTreeSet<u8> = lines.iter().filter_map(|line| line.lane).collect();
        let own: BTreeSet<u8> =
            used.iter().copied().filter(|lane| owner(&town, *lane) == member).collect();
        assert_eq!(lanes, own, "the lanes of member {member}");
        assert!(lines.iter().all(|line| line.state.starts_with("open")), "{lines:?}");
    }
    let list = town.b.run(&["s2s", "list"]).unwrap();
    let streams = list.lines().filter(|line| line.starts_with("from localhost")).count();
    assert_eq!(streams, used.len(), "{list}");

    // One member is gone, and with it some of the lanes.
    for romeo in town.romeos.values_mut() {
        romeo.send("<enable xmlns='urn:xmpp:sm:3'/>");
        hears(romeo, |it| it.name() == "enabled");
    }
    town.say(30..60);
    let dies = town.crew.gateway("b.example");
    town.crew.kill(dies);
    town.say(60..90);
    town.all_heard(&mut heard, 90);
}

#[test]
fn all_lanes_go_by_a_stream_of_the_other_server_where_none_can_be_opened() {
    let mut town = Town::start(false);
    assert!(town.lanes.len() > 1, "{:?}", town.lanes);
    town.say(0..10);
    let romeo = town.romeos.keys().next().unwrap().clone();
    town.friends
        .get_mut("juliet")
        .unwrap()
        .send(format!("<message to='{romeo}@localhost' type='chat'><body>hi</body></message>"));
    hears_body(town.romeos.get_mut(&romeo).unwrap(), "hi");
    let mut heard = BTreeMap::new();
    town.all_heard(&mut heard, 10);
    town.say(10..40);
    town.all_heard(&mut heard, 40);
    for member in 0..3 {
        for line in town.crew.streams_to_others(member).outbound {
            assert_eq!(line.state, "open, on a shared stream", "{line:?}");
        }
    }
}
