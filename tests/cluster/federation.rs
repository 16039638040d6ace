//! A cluster of real processes as one of two servers: whoever holds the stream to the other one, or that of the other one, is
//! killed, or drained, while people talk.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use town::{Client, Login};
use xmpp::Element;

use super::figures::figure;
use super::quarters::{Quarters, Watched, member, status, until, until_acts};
use crate::federation::land::{Authority, add, body, hears, hears_body, log_in, settings};
use crate::federation::program::Program;
use crate::federation::zone::Zone;
use crate::redis::{fixture, redis};
use crate::stage::{PASSWORD, Stage, free};

/// Messages of each, half of them before the end of the member.
const COUNT: usize = 120;

/// Logs in, and says that it counts.
fn client(address: SocketAddr, name: &str) -> Client {
    let login = Login { address, domain: "a.example", name, password: PASSWORD };
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

/// Who has something to do with `b.example`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// Owns the queue to it, as soon as something waits there.
    Queue,
    /// Has taken its stream.
    Stream,
}

/// The member that it is.
pub(super) fn holder(stage: &Stage, what: Holder) -> usize {
    let key = if what == Holder::Queue { "outbound" } else { "inbound" };
    let mut found = None;
    until("a member that speaks with the other server", || {
        let list = stage.run(&["s2s", "list", "--json"]).unwrap();
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let line = list[key].as_array().unwrap().first();
        let name = line.and_then(|line| line["member"].as_str()).unwrap_or_default();
        found = name.strip_prefix('m').and_then(|number| number.parse::<usize>().ok());
        found.is_some()
    });
    found.unwrap() - 1
}

/// A name server that knows all members of `a.example`, each as good as the other.
fn names(ports: &[SocketAddr]) -> SocketAddr {
    let zone = Zone::new().has_address("mx.example", Ipv4Addr::LOCALHOST.into());
    let service = "_xmpp-server._tcp.a.example";
    let all = |zone: Zone, port: &SocketAddr| zone.serves(service, (1, "mx.example", port.port()));
    ports.iter().fold(zone, all).serve()
}

/// `b.example`, which finds the cluster by this name server, and Juliet there.
fn other(authority: &Authority, b: SocketAddr, names: SocketAddr) -> (Stage, Client) {
    let files = authority.certify(&["b.example"]);
    let own = ("b.example", Some(&files));
    let settings = settings(own, b, ("c.example", free()), &authority.file());
    let private = settings.replace("[s2s]\n", "[s2s]\nallow_private = true\n");
    let other = Stage::start(&format!("{private}[dns]\nservers = ['{names}']\n"));
    add(&other, "juliet@b.example");
    let mut juliet = log_in(&other, "juliet@b.example");
    juliet.send("<enable xmlns='urn:xmpp:sm:3'/>");
    hears(&mut juliet, |it| it.name() == "enabled");
    (other, juliet)
}

/// A stream of another server that has begun, and no more.
fn stream_to(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let header = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                  from='b.example' to='localhost' version='1.0'>";
    stream.write_all(header.as_bytes()).unwrap();
    stream
}

/// Waits until the other end has closed a stream.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut bytes = [0; 4096];
    match stream.read(&mut bytes) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn other_servers_and_components_are_sent_elsewhere_by_a_member_that_may_not_act() {
    let authority = Authority::new();
    let certified = authority.certify(&["localhost"]);
    let (ports, b) = ([free(), free(), free()], free());
    let components = [free(), free(), free()];
    let quarters = Quarters::of(3, 3);
    let starting: Vec<_> = (1..=3)
        .map(|number| {
            let own = ("localhost", Some(&certified));
            let more = settings(own, ports[number - 1], ("b.example", b), &authority.file());
            let listen = format!("[listen]\ncomponent = ['{}']\n", components[number - 1]);
            let more = more.replace("[listen]\n", &listen);
            let memory = "[store]\nengine = 'memory'\n[c2s]\nisolation_seconds = 2\n\
                          [[component]]\nname = 'irc.localhost'\nsecret = 'secret'\n";
            quarters.start(number, &more.replace("[store]\nengine = 'embedded'\n", memory))
        })
        .collect();
    let stages: Vec<_> = starting.into_iter().map(|it| it.join().unwrap()).collect();
    let stages = Watched(stages);
    stages.iter().for_each(until_acts);
    let stream = stream_to(ports[0]);
    let mut byte = [0];
    (&stream).read_exact(&mut byte).unwrap();
    let mut irc = Program::connect(components[0], "irc.localhost");
    stages.iter().skip(1).for_each(|stage| stage.signal("STOP"));
    until("the end of the stream", || is_closed(&stream));
    assert_eq!(irc.ends_with(), "system-shutdown");
    assert!(!status(&stages[0]).lease);
    let next = stream_to(ports[0]);
    until("the end of another one", || is_closed(&next));
    stages.iter().skip(1).for_each(|stage| stage.signal("CONT"));
    until_acts(&stages[0]);
    until("a stream that is served", || {
        let mut next = stream_to(ports[0]);
        next.read_exact(&mut byte).is_ok()
    });
    Program::connect(components[0], "irc.localhost");
}

#[test]
fn members_that_do_not_answer_are_named_where_streams_are_listed_or_begin_anew() {
    let authority = Authority::new();
    let certified = authority.certify(&["localhost"]);
    let quarters = Quarters::of(3, 3);
    let starting: Vec<_> = (1..=3)
        .map(|number| {
            let (own, other) = (("localhost", Some(&certified)), ("b.example", free()));
            let more = settings(own, free(), other, &authority.file());
            // Longer than one is waited for.
            let memory = "[store]\nengine = 'memory'\n[lease]\nttl_ms = 60000\n";
            quarters.start(number, &more.replace("[store]\nengine = 'embedded'\n", memory))
        })
        .collect();
    let stages = Watched(starting.into_iter().map(|it| it.join().unwrap()).collect());
    stages.iter().for_each(until_acts);
    let silent = |words: &[&str]| {
        let (done, told) = stages[0].hear(&[words, &["--json"]].concat());
        let done: serde_json::Value = serde_json::from_str(&done).unwrap();
        (done["silent"].clone(), told)
    };
    let [list, reset, of_domain]: [&[&str]; 3] =
        [&["s2s", "list"], &["s2s", "reset"], &["s2s", "reset", "b.example"]];
    let nobody = (serde_json::json!([]), String::new());
    assert_eq!([silent(list), silent(reset)], [nobody.clone(), nobody]);
    stages[2].signal("STOP");
    for (words, what) in
        [(list, "are missing"), (reset, "may be as they were"), (of_domain, "may be as they were")]
    {
        let (members, told) = silent(words);
        assert_eq!(members, serde_json::json!(["m3"]), "{words:?}");
        let line = format!("m3 does not answer: its streams {what}\n");
        // It may say before that it waits.
        assert!(told.ends_with(&line), "{words:?}: {told}");
    }
    stages[2].signal("CONT");
}

// XEP-0220 §1.3: who is asked about a key is another machine than the one that has given it, and knows the same secret.
#[test]
fn a_member_that_has_not_called_another_server_knows_the_key_of_the_one_that_has() {
    let authority = Authority::new();
    let (ports, b) = ([free(), free(), free()], free());
    let components = [free(), free(), free()];
    let quarters = Quarters::of(3, 3);
    let starting: Vec<_> = (1..=3)
        .map(|number| {
            let other = ("b.example", b);
            let more = settings(("a.example", None), ports[number - 1], other, &authority.file());
            let listen = format!("[listen]\ncomponent = ['{}']\n", components[number - 1]);
            let more = more.replace("[listen]\n", &listen);
            let memory = "[store]\nengine = 'memory'\n[[component]]\nname = 'irc.a.example'\n\
                          secret = 'secret'\n";
            quarters.start(number, &more.replace("[store]\nengine = 'embedded'\n", memory))
        })
        .collect();
    let stages = Watched(starting.into_iter().map(|it| it.join().unwrap()).collect());
    stages.iter().for_each(until_acts);
    // It shows who calls when something waits for the other server, which is not there yet.
    let mut irc = Program::connect(components[0], "irc.a.example");
    let say = |to: &str, text: &str| {
        format!("<message from='irc.a.example' to='{to}@b.example'><body>{text}</body></message>")
    };
    irc.say(&say("nobody", "first"));
    let calls = holder(&stages[0], Holder::Queue);
    let is_asked = (calls + 1) % 3;
    let (own, way) = (("b.example", None), ("a.example", ports[is_asked]));
    let other = Stage::start(&settings(own, b, way, &authority.file()));
    add(&other, "juliet@b.example");
    let mut juliet = log_in(&other, "juliet@b.example");
    irc.say(&say("juliet", "by key"));
    hears_body(&mut juliet, "by key");
    assert_eq!(figure(&other, "rookery_federation_keys_checked_total{verdict=\"valid\"}"), 1.0);
    assert_eq!(holder(&stages[0], Holder::Queue), calls);
}

fn is_word(element: &Element, name: &str, h: usize) -> bool {
    element.name() == name && element.attr("h") == Some(h.to_string().as_str())
}

/// People talk on in order while a member that has something to do with their server ends like this. DNS names all members, so
/// the other server calls whichever it likes, and another one when that is gone.
fn talk_on(whose: Holder, ends: impl FnOnce(&mut Stage)) {
    if !fixture::is_there() {
        return;
    }
    let (_redis, store) = redis();
    let authority = Authority::new();
    let of_cluster = authority.certify(&["a.example"]);
    let (ports, b) = ([free(), free(), free()], free());
    let quarters = Quarters::of(3, 3);
    let starting: Vec<_> = (1..=3)
        .map(|number| {
            let own = ("a.example", Some(&of_cluster));
            let more = settings(own, ports[number - 1], ("b.example", b), &authority.file());
            let more = more.replace("[store]\nengine = 'embedded'\n", &store);
            quarters.start(number, &more)
        })
        .collect();
    let stages = starting.into_iter().map(|starting| starting.join().unwrap()).collect();
    let mut stages = Watched(stages);
    stages.iter().for_each(until_acts);
    until("standbys", || {
        (1..=3).all(|it| member(&stages[0], &format!("m{it}")).standby_shards > 0)
    });
    add(&stages[0], "romeo@a.example");

    let names = names(&ports);
    // Where the queue is shows when something waits in it: the other server is not there yet.
    let mut scout = (whose == Holder::Queue).then(|| client(stages[0].c2s, "romeo"));
    if let Some(scout) = &mut scout {
        scout.send("<message to='nobody@b.example'><body>0</body></message>");
        holder(&stages[0], Holder::Queue);
    }
    let (_other, mut juliet) = other(&authority, b, names);
    // Whom it calls shows when it has called.
    let asked = (whose == Holder::Stream).then_some("<message to='nobody@a.example' id='first'/>");
    let first = usize::from(asked.is_some());
    if let Some(asked) = asked {
        juliet.send(asked);
    }
    let victim = holder(&stages[0], whose);
    drop(scout);
    let stays = (victim + 1) % 3;
    let mut romeo = client(stages[stays].c2s, "romeo");

    let (mut by_juliet, mut by_romeo) = (BTreeSet::new(), BTreeSet::new());
    let say_all = |romeo: &mut Client, juliet: &mut Client, from, to| {
        for number in from..to {
            romeo.send(say("juliet@b.example", number));
            juliet.send(say("romeo@a.example/here", number));
        }
    };
    say_all(&mut romeo, &mut juliet, 0, COUNT / 2);
    hears_all(&mut juliet, &mut by_juliet, 5);
    ends(&mut stages[victim]);
    say_all(&mut romeo, &mut juliet, COUNT / 2, COUNT);
    hears_all(&mut juliet, &mut by_juliet, COUNT);
    hears_all(&mut romeo, &mut by_romeo, COUNT);
    // All of it is acknowledged in the end: the messages, and the presence.
    romeo.send("<r xmlns='urn:xmpp:sm:3'/>");
    hears(&mut romeo, |it| is_word(it, "a", COUNT + 1));
    juliet.send("<r xmlns='urn:xmpp:sm:3'/>");
    hears(&mut juliet, |it| is_word(it, "a", COUNT + first));
}

#[test]
fn people_talk_on_in_order_when_the_member_with_the_stream_to_their_server_is_killed() {
    talk_on(Holder::Queue, Stage::kill);
}

#[test]
fn people_talk_on_in_order_while_the_member_with_the_stream_to_their_server_is_drained() {
    talk_on(Holder::Queue, |stage| drop(stage.run(&["cluster", "drain"]).unwrap()));
}

#[test]
fn people_talk_on_in_order_when_the_member_that_their_server_has_called_is_killed() {
    talk_on(Holder::Stream, Stage::kill);
}

#[test]
fn people_talk_on_in_order_while_the_member_that_their_server_has_called_is_drained() {
    talk_on(Holder::Stream, |stage| drop(stage.run(&["cluster", "drain"]).unwrap()));
}
