//! XEP-0114 Jabber Component Protocol.

use stream::Event;
use town::Login;

use super::land::{Client, Land, Proof, condition, free, hears, hears_body, log_in};
use super::program::Program;
use crate::stage::crew::Crew;
use crate::stage::{PASSWORD, Stage};

const COMPONENT: &str = "[[component]]\nname = 'irc.localhost'\ntitle = 'Chat relay'\n\
                         secret = 'secret'\nwait_seconds = 60\n";

fn stage(extra: &str) -> (Stage, std::net::SocketAddr) {
    let address = free();
    let listen = format!("[listen]\ncomponent = ['{address}']\n{extra}");
    (Stage::start(&listen), address)
}

fn romeo(stage: &Stage) -> Client {
    stage.add_accounts(&["romeo"]);
    log_in(stage, "romeo@localhost")
}

fn to(program: &str, text: &str) -> String {
    format!("<message to='{program}' type='chat'><body>{text}</body></message>")
}

#[test]
fn a_component_speaks_with_people_and_is_listed_and_what_comes_while_it_is_away_waits() {
    let (stage, address) = stage(COMPONENT);
    let mut romeo = romeo(&stage);
    romeo.send("<iq type='get' id='i' to='localhost'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>");
    let items = hears(&mut romeo, |it| it.attr("id") == Some("i"));
    let items = items.children().next().unwrap();
    let listed = items.children().find(|item| item.attr("jid") == Some("irc.localhost")).unwrap();
    assert_eq!(listed.attr("name"), Some("Chat relay"));

    romeo.send(to("x@irc.localhost", "early"));
    let mut irc = Program::connect(address, "irc.localhost");
    assert_eq!(irc.hears_body(), "early");
    let list = stage.run(&["component", "list"]).unwrap();
    assert!(list.starts_with("irc.localhost  127.0.0.1:"), "{list}");
    romeo.send(to("y@irc.localhost/r", "in"));
    let heard = irc.hears();
    assert_eq!(heard.head().from.as_ref().unwrap().as_str(), "romeo@localhost/here");
    assert_eq!(heard.head().to.as_ref().unwrap().as_str(), "y@irc.localhost/r");
    irc.say("<message from='x@irc.localhost/r' to='romeo@localhost' type='chat'><body>out</body></message>");
    let heard = hears_body(&mut romeo, "out");
    assert_eq!(heard.attr("from"), Some("x@irc.localhost/r"));

    // What it asks is answered, and what asks it is too.
    irc.say("<iq from='irc.localhost' to='localhost' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert_eq!(irc.hears().head().id.as_deref(), Some("p"));
    romeo.send("<iq type='get' id='q' to='irc.localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert_eq!(irc.hears().head().id.as_deref(), Some("q"));
    irc.say("<iq from='irc.localhost' to='romeo@localhost/here' type='result' id='q'/>");
    hears(&mut romeo, |it| it.attr("id") == Some("q") && it.attr("type") == Some("result"));
    // An address that is none: the component hears of it, and goes on.
    irc.say("<iq from='irc.localhost' to='@localhost' type='get' id='b'><q xmlns='x'/></iq>");
    assert_eq!(irc.hears().head().id.as_deref(), Some("b"));

    // What is said between two goes by one stream, in order, however many there are.
    let second = Program::connect(address, "irc.localhost");
    for number in 0..40 {
        for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            romeo.send(to(&format!("{name}@irc.localhost"), &number.to_string()));
        }
    }
    romeo.send("<presence to='irc.localhost' type='unavailable'/>");
    let mut last = std::collections::BTreeMap::<String, (usize, u32)>::new();
    let mut count = 0;
    let (mut readers, streams) = ([irc, second], [0, 1]);
    while count < 320 {
        for stream in streams {
            // Each stream has some: it is enough to read both by turns where both have something.
            let Some(Event::Stanza(stanza)) = readers[stream].soon() else { continue };
            let Some(text) = stanza.child("body", "") else { continue };
            let (name, number) = (stanza.head().to.as_ref().unwrap().to_string(), text.text());
            let number = number.parse().unwrap();
            if let Some((by, before)) = last.insert(name.clone(), (stream, number)) {
                assert_eq!((by, before + 1), (stream, number), "{name}");
            }
            count += 1;
        }
    }
    // One stream ends: the other one takes its share, as soon as that is noticed.
    let [first, mut second] = readers;
    drop(first);
    loop {
        romeo.send(to("x@irc.localhost", "again"));
        let heard = second.soon();
        let Some(Event::Stanza(stanza)) = &heard else { continue };
        if stanza.child("body", "").is_some_and(|body| body.text() == "again") {
            break;
        }
    }
}

#[test]
fn what_waits_too_long_or_finds_no_room_comes_back() {
    let short = COMPONENT.replace("60", "1").replace("title", "queue_stanzas = 3\ntitle");
    let (stage, _) = stage(&short);
    let mut romeo = romeo(&stage);
    for number in 0..4 {
        romeo.send(format!("<message to='x@irc.localhost' id='{number}'><body>m</body></message>"));
    }
    // No error for presence that is soft.
    romeo.send("<presence to='x@irc.localhost' type='unavailable'/>");
    let full = hears(&mut romeo, |it| it.attr("type") == Some("error"));
    assert_eq!(
        (full.attr("id"), condition(&full).as_deref()),
        (Some("3"), Some("resource-constraint"))
    );
    for number in ["0", "1", "2"] {
        let late = hears(&mut romeo, |it| it.attr("type") == Some("error"));
        assert_eq!(late.attr("id"), Some(number));
        assert_eq!(condition(&late).as_deref(), Some("remote-server-timeout"));
    }
}

#[test]
fn a_component_speaks_with_other_servers() {
    let address = free();
    let extra = format!(
        "[listen]\ncomponent = ['{address}']\n{}",
        COMPONENT.replace("localhost", "a.example")
    );
    let land = Land::start_with(Proof::Certificate, &extra);
    let (_romeo, mut juliet) = land.lovers();
    let mut irc = Program::connect(address, "irc.a.example");
    irc.say("<message from='x@irc.a.example' to='juliet@b.example' type='chat'><body>far</body></message>");
    hears_body(&mut juliet, "far");
    juliet.send(to("y@irc.a.example", "near"));
    assert_eq!(irc.hears().head().to.as_ref().unwrap().as_str(), "y@irc.a.example");
}

#[test]
fn whoever_does_not_know_the_secret_or_speaks_for_others_is_no_component() {
    let strict =
        "[[component]]\nname = 'far.localhost'\nsecret = 'secret'\nallow = ['192.0.2.0/24']\n";
    let (stage, address) = stage(&format!("{COMPONENT}streams = 2\n{strict}"));
    let mut romeo = romeo(&stage);
    let to_romeo = |from: &str| {
        format!("<message from='{from}' to='romeo@localhost' type='chat'><body>it</body></message>")
    };
    let mut early = Program::dial(address, "irc.localhost");
    early.say(&to_romeo("x@irc.localhost"));
    assert_eq!(early.ends_with(), "not-authorized");
    let mut guess = Program::dial(address, "irc.localhost");
    guess.prove("guess");
    assert_eq!(guess.ends_with(), "not-authorized");
    // What was right on another stream is not right on this one.
    let seen = Program::dial(address, "irc.localhost").handshake("secret");
    let mut replay = Program::dial(address, "irc.localhost");
    replay.say(&seen);
    assert_eq!(replay.ends_with(), "not-authorized");
    for unknown in ["localhost", "other.example", "far.localhost", "x@irc.localhost", ""] {
        assert_eq!(Program::dial(address, unknown).ends_with(), "host-unknown", "{unknown}");
    }
    let liars = ["romeo@localhost", "localhost", "x@sub.irc.localhost", "juliet@b.example"];
    for liar in liars {
        let mut program = Program::connect(address, "irc.localhost");
        program.say(&to_romeo(liar));
        assert_eq!(program.ends_with(), "invalid-from", "{liar}");
    }
    let mut nobody = Program::connect(address, "irc.localhost");
    nobody.say("<message to='romeo@localhost'><body>it</body></message>");
    assert_eq!(nobody.ends_with(), "improper-addressing");
    // Who guesses while it has all its streams learns nothing of that.
    let [mut first, _second] = [(); 2].map(|()| Program::connect(address, "irc.localhost"));
    let mut guess = Program::dial(address, "irc.localhost");
    guess.prove("guess");
    assert_eq!(guess.ends_with(), "not-authorized");
    let mut third = Program::dial(address, "irc.localhost");
    third.prove("secret");
    assert_eq!(third.ends_with(), "conflict");
    first.say(&to_romeo("x@irc.localhost/mine"));
    let heard = hears(&mut romeo, |it| it.name() == "message");
    assert_eq!(heard.attr("from"), Some("x@irc.localhost/mine"));
}

#[test]
fn a_component_that_is_silent_is_asked_and_one_that_does_not_answer_is_let_go() {
    let (_stage, address) = stage(&format!("{COMPONENT}ping_seconds = 1\n"));
    let mut irc = Program::connect(address, "irc.localhost");
    for _ in 0..2 {
        let ping = irc.hears();
        assert!(ping.find("ping", "urn:xmpp:ping").is_some());
        let (from, id) = (ping.head().from.clone().unwrap(), ping.head().id.clone().unwrap());
        irc.say(&format!("<iq from='irc.localhost' to='{from}' id='{id}' type='result'/>"));
    }
    irc.hears();
    assert_eq!(irc.ends_with(), "connection-timeout");
}

#[test]
fn a_component_is_told_when_the_server_stops() {
    let (stage, address) = stage(COMPONENT);
    let mut irc = Program::connect(address, "irc.localhost");
    stage.stop();
    assert_eq!(irc.ends_with(), "system-shutdown");
}

/// A client of a member.
pub(super) fn client(crew: &Crew, member: usize, name: &str) -> Client {
    let address = crew.c2s[member];
    let login = Login { address, domain: "localhost", name, password: PASSWORD };
    let mut client = Client::log_in(&login);
    client.bind("here");
    client.send("<presence/>");
    hears(&mut client, |it| it.name() == "presence");
    client
}

#[test]
fn a_component_at_one_member_hears_people_of_all_and_goes_on_when_members_die() {
    let crew = Crew::start_with(3, COMPONENT);
    let owner = crew.owner("irc.localhost");
    let [stays, holds] = [(owner + 1) % 3, (owner + 2) % 3];
    let names = (0..64).map(|number| format!("romeo{number}"));
    let name = names.into_iter().find(|name| crew.home(name) == stays).unwrap();
    crew.add_accounts(std::slice::from_ref(&name));
    let mut romeo = client(&crew, stays, &name);
    let mut irc = Program::connect(crew.component[holds], "irc.localhost");
    for number in 0..50 {
        romeo.send(to("x@irc.localhost", &number.to_string()));
    }
    for number in 0..50 {
        assert_eq!(irc.hears_body(), number.to_string());
    }
    irc.say(&format!(
        "<message from='x@irc.localhost' to='{name}@localhost'><body>out</body></message>"
    ));
    hears_body(&mut romeo, "out");

    crew.kill(owner);
    for number in 0..50 {
        romeo.send(to("x@irc.localhost", &number.to_string()));
    }
    for number in 0..50 {
        assert_eq!(irc.hears_body(), number.to_string());
    }
    // The member that holds the stream dies: the component comes back at another one, and what was said meanwhile
    // has waited, behind what the dead one may not have written.
    crew.kill(holds);
    romeo.send(to("x@irc.localhost", "meanwhile"));
    let mut irc = Program::connect(crew.component[stays], "irc.localhost");
    while irc.hears_body() != "meanwhile" {}
}

/// The addresses of those whose presence it hears, until it has heard so many of these.
fn hears_presence_of(irc: &mut Program, names: &[String]) {
    let mut missing: Vec<String> = names.iter().map(|it| format!("{it}@localhost/here")).collect();
    while !missing.is_empty() {
        let stanza = irc.hears();
        let from = stanza.head().from.as_ref().map(ToString::to_string).unwrap_or_default();
        if stanza.kind().name() == "presence" && stanza.kind().type_str().is_none() {
            missing.retain(|it| *it != from);
        }
    }
}

#[test]
fn a_component_that_comes_later_hears_who_is_at_every_member_and_again_when_one_has_died() {
    let sees = format!("{COMPONENT}privilege = {{ presence = 'managed_entity' }}\n");
    let crew = Crew::start_with(3, &sees);
    let owner = crew.owner("irc.localhost");
    let [stays, dies] = [(owner + 1) % 3, (owner + 2) % 3];
    let at = |home: usize| {
        let mut names = (0..64).map(|number| format!("romeo{number}"));
        names.find(|name| crew.home(name) == home).unwrap()
    };
    let names = [at(0), at(1), at(2)];
    crew.add_accounts(&names);
    let _clients: Vec<Client> = names.iter().map(|name| client(&crew, stays, name)).collect();
    let mut irc = Program::connect(crew.component[stays], "irc.localhost");
    hears_presence_of(&mut irc, &names);
    // Its next stream begins while what was at the dead member finds a new home.
    drop(irc);
    crew.kill(dies);
    let mut irc = Program::connect(crew.component[stays], "irc.localhost");
    hears_presence_of(&mut irc, &names);
}

#[test]
fn a_component_that_listens_is_connected_to_again_and_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = format!("connect = '{}'\n", listener.local_addr().unwrap());
    let (stage, _) = stage(&format!("{COMPONENT}{connect}"));
    let mut romeo = romeo(&stage);
    let (mut irc, name) = Program::listen(&listener);
    assert_eq!(name, "irc.localhost");
    romeo.send(to("x@irc.localhost", "early"));
    assert!(!irc.lets_in("another secret"), "who does not know it is not let in");
    drop(irc);
    let (mut irc, _) = Program::listen(&listener);
    assert!(irc.lets_in("secret"));
    assert_eq!(irc.hears_body(), "early");
    irc.say("<message from='x@irc.localhost' to='romeo@localhost' type='chat'><body>out</body></message>");
    hears_body(&mut romeo, "out");
    // It speaks for its own domain and no other.
    irc.say("<message from='x@localhost' to='romeo@localhost' type='chat'><body>forged</body></message>");
    assert_eq!(irc.ends_with(), "invalid-from");
    let (mut irc, _) = Program::listen(&listener);
    assert!(irc.lets_in("secret"));
    romeo.send(to("x@irc.localhost", "late"));
    assert_eq!(irc.hears_body(), "late");
}
