//! XEP-0175 Best Practices for Use of SASL ANONYMOUS.

use town::Client;
use town::client::Login;
use xmpp::{Element, Jid, ns};

use crate::stage::{PASSWORD, Stage, play_with};

const OPEN: &str = "[[domain]]\nname = 'localhost'\nanonymous = 'local'\n";

/// A guest's client, and its address.
fn guest(stage: &Stage) -> (Client, Jid) {
    let mut client = Client::open(stage.c2s, "localhost");
    let features = client.next().unwrap();
    assert!(town::compare::show(&features).contains("ANONYMOUS"), "{features:?}");
    client.send(format!("<auth xmlns='{}' mechanism='ANONYMOUS'/>", ns::SASL));
    let answer = client.next().unwrap();
    assert!(answer.is("success", ns::SASL), "{answer:?}");
    client.restart();
    client.open_stream("localhost");
    client.next().unwrap();
    let jid = Jid::parse(&client.bind("web")).unwrap();
    (client, jid)
}

fn ask(client: &mut Client, ty: &str, to: &str, payload: &str) -> Element {
    let to = if to.is_empty() { String::new() } else { format!(" to='{to}'") };
    client.send(format!("<iq type='{ty}' id='q'{to}>{payload}</iq>"));
    loop {
        let next = client.next().expect("an answer comes");
        if next.name() == "iq" && next.attr("id") == Some("q") {
            return next;
        }
    }
}

fn is_refused(answer: &Element) -> bool {
    let error = answer.child("error", "");
    error.is_some_and(|error| error.child("not-allowed", ns::STANZAS).is_some())
}

// XEP-0175 §3, RFC 4505 §2
#[test]
fn a_guest_is_offered_only_where_the_domain_wants_guests() {
    play_with("", "
        romeo/phone opens a stream
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-512</mechanism><mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms>…</features>
        romeo/phone sends    <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>
        romeo/phone receives <failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><invalid-mechanism/>…</failure>
    ");
    let two = format!("{OPEN}[[domain]]\nname = 'other.example'\n");
    let stage = Stage::start(&two);
    let mut client = Client::open(stage.c2s, "other.example");
    let features = town::compare::show(&client.next().unwrap());
    assert!(features.contains("PLAIN") && !features.contains("ANONYMOUS"), "{features}");
    client.send(format!("<auth xmlns='{}' mechanism='ANONYMOUS'/>", ns::SASL));
    assert_eq!(client.next().unwrap().name(), "failure");
}

// XEP-0175 §3, §5
#[test]
fn guests_have_names_of_their_own_and_speak_with_people_and_each_other() {
    let stage = Stage::start(OPEN);
    stage.add_accounts(&["juliet"]);
    let ((mut one, its), (mut two, other)) = (guest(&stage), guest(&stage));
    assert_ne!(its.bare(), other.bare());
    assert!(auth::guest::is_name(its.localpart().unwrap()));
    let (address, domain) = (stage.c2s, "localhost");
    let login = Login { address, domain, name: "juliet", password: PASSWORD };
    let mut juliet = Client::log_in(&login);
    juliet.bind("garden");
    juliet.send("<presence/>");
    juliet.next();
    for client in [&mut one, &mut two] {
        client.send("<presence/>");
        client.next();
    }
    one.send(format!("<message to='{other}' type='chat'><body>psst</body></message>"));
    let heard = two.next().unwrap();
    assert_eq!(heard.attr("from"), Some(its.as_str()));
    one.send("<message to='juliet@localhost' type='chat'><body>hail</body></message>");
    assert_eq!(juliet.next().unwrap().attr("from"), Some(its.as_str()));
    juliet.send(format!("<message to='{its}' type='chat'><body>hail yourself</body></message>"));
    assert_eq!(one.next().unwrap().attr("from"), Some("juliet@localhost/garden"));
    let info =
        ask(&mut one, "get", its.bare_str(), &format!("<query xmlns='{}'/>", ns::DISCO_INFO));
    let query = info.child("query", ns::DISCO_INFO).unwrap();
    let is_guest = |it: &Element| it.name() == "identity" && it.attr("type") == Some("anonymous");
    assert!(query.children().any(is_guest), "{info:?}");
}

// XEP-0175 §3
#[test]
fn a_guest_keeps_nothing_reaches_nobody_elsewhere_and_uses_no_services() {
    let stage = Stage::start(&format!("{OPEN}[proxy]\nlisten = ['127.0.0.1:0']\n"));
    stage.add_accounts(&["juliet"]);
    let (mut client, own) = guest(&stage);
    let own = own.bare_str().to_owned();
    let item = "<item jid='juliet@localhost'/>";
    let publish = format!(
        "<pubsub xmlns='{}'><publish node='urn:x'><item id='1'><x xmlns='urn:x'/></item></publish></pubsub>",
        ns::PUBSUB
    );
    let subscribe = format!("<pubsub xmlns='{}'><create node='n'/></pubsub>", ns::PUBSUB);
    let command = format!("<command xmlns='{}' node='urn:rookery:search#listing'/>", ns::COMMANDS);
    for (ty, to, payload) in [
        ("set", "", format!("<query xmlns='{}'>{item}</query>", ns::ROSTER)),
        ("set", "", "<query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query>".to_owned()),
        ("set", "", "<vCard xmlns='vcard-temp'><FN>N</FN></vCard>".to_owned()),
        ("set", "", publish.clone()),
        ("set", own.as_str(), publish),
        ("set", "", format!("<block xmlns='{}'>{item}</block>", ns::BLOCKING)),
        ("set", "", "<enable xmlns='urn:xmpp:push:0' jid='push.example'/>".to_owned()),
        ("set", "", format!("<query xmlns='{}'/>", ns::MAM)),
        (
            "set",
            "",
            format!(
                "<query xmlns='{}'><username>a</username><password>pencil-box</password></query>",
                ns::REGISTER
            ),
        ),
        ("set", "localhost", format!("<query xmlns='{}'><remove/></query>", ns::REGISTER)),
        ("set", "localhost", command),
        ("set", "pubsub.localhost", subscribe),
        ("set", "den@conference.localhost", format!("<query xmlns='{}'/>", ns::REGISTER)),
        (
            "get",
            "proxy.localhost",
            "<query xmlns='http://jabber.org/protocol/bytestreams'/>".to_owned(),
        ),
        ("get", "elsewhere.example", "<ping xmlns='urn:xmpp:ping'/>".to_owned()),
    ] {
        let answer = ask(&mut client, ty, to, &payload);
        assert!(is_refused(&answer), "{to} {payload}: {answer:?}");
    }
    client.send("<message to='romeo@elsewhere.example' type='chat'><body>hail</body></message>");
    assert!(is_refused(&client.next().unwrap()));
    client.send("<presence to='juliet@localhost' type='subscribe'/>");
    assert!(is_refused(&client.next().unwrap()));
    let roster = ask(&mut client, "get", "", &format!("<query xmlns='{}'/>", ns::ROSTER));
    assert_eq!(roster.child("query", ns::ROSTER).unwrap().children().count(), 0);
    assert_eq!(stage.run(&["account", "list"]).unwrap(), "juliet@localhost\n");
}

// XEP-0175 §3
#[test]
fn nobody_is_there_when_a_guest_has_left_and_nothing_waits_for_him() {
    let stage = Stage::start(OPEN);
    let ((mut one, its), (mut two, _)) = (guest(&stage), guest(&stage));
    two.send(format!("<presence to='{its}'/>"));
    one.next();
    let waits = format!("<message to='{}' type='chat'><body>later</body></message>", its.bare());
    // Here, but not available: a message to an account would be kept.
    two.send(&waits);
    let answer = two.next().unwrap();
    assert!(answer.child("error", "").is_some(), "{answer:?}");
    one.leave();
    while stage.run(&["session", "list"]).unwrap().contains(its.as_str()) {}
    two.send(&waits);
    let answer = two.next().unwrap();
    assert!(answer.child("error", "").is_some(), "{answer:?}");
}

// RFC 4505 §2
#[test]
fn what_a_guest_says_of_itself_is_short_and_makes_no_difference() {
    let stage = Stage::start(OPEN);
    let said = |trace: &str| {
        let mut client = Client::open(stage.c2s, "localhost");
        client.next().unwrap();
        let trace = auth::encoding::encode(trace.as_bytes());
        client.send(format!("<auth xmlns='{}' mechanism='ANONYMOUS'>{trace}</auth>", ns::SASL));
        client.next().unwrap().name().to_owned()
    };
    assert_eq!(said("juliet"), "success");
    assert_eq!(said(&"x".repeat(256)), "failure");
    assert!(!stage.log.lock().unwrap().contains("juliet"));
}

// XEP-0175 §3, XEP-0205 §4.3
#[test]
fn an_address_has_no_more_guests_than_strangers() {
    let stage = Stage::start(&format!(
        "{OPEN}[c2s]\nconnections_per_address = 3\n[limits]\nenabled = true\n"
    ));
    stage.add_accounts(&["juliet"]);
    let (address, domain) = (stage.c2s, "localhost");
    let login = Login { address, domain, name: "juliet", password: PASSWORD };
    let mut there = vec![guest(&stage).0, guest(&stage).0];
    // Who has an account does not count.
    there.extend((0..3).map(|_| Client::log_in(&login)));
    there.push(guest(&stage).0);
    assert!(Client::try_log_in(&login).is_err());
}
