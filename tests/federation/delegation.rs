//! XEP-0355 Namespace Delegation.

use std::collections::BTreeSet;

use xmpp::{Element, Stanza, ns};

use super::component::client;
use super::land::{Client, condition, free, hears, log_in};
use super::program::Program;
use crate::stage::Stage;
use crate::stage::crew::Crew;

const COMPONENT: &str = "[[component]]\nname = 'archive.localhost'\nsecret = 'secret'\nwait_seconds = 1\n\
                         delegate = { 'urn:xmpp:mam:2' = ['node'], 'urn:x' = [] }\n";

/// The request within what the component gets.
fn asked(stanza: &Stanza) -> Stanza {
    let wrapper = stanza.child("delegation", ns::DELEGATION).unwrap();
    xmpp::forward::read(xmpp::forward::inner(&wrapper).unwrap()).unwrap()
}

/// The node of a question about what the component can do.
fn node_of(stanza: &Stanza) -> String {
    let query = stanza.child("query", ns::DISCO_INFO).unwrap();
    query.attr("node").unwrap().to_owned()
}

/// The component's answer to it.
fn answer(stanza: &Stanza, inner: &str) -> String {
    let head = stanza.head();
    let (id, server) = (head.id.as_deref().unwrap(), head.from.as_ref().unwrap());
    format!(
        "<iq from='archive.localhost' to='{server}' id='{id}' type='result'>\
         <delegation xmlns='urn:xmpp:delegation:2'><forwarded xmlns='urn:xmpp:forward:0'>{inner}\
         </forwarded></delegation></iq>"
    )
}

#[test]
fn a_component_answers_in_the_servers_place() {
    let address = free();
    let stage = Stage::start(&format!("[listen]\ncomponent = ['{address}']\n{COMPONENT}"));
    stage.add_accounts(&["romeo", "juliet"]);
    let mut program = Program::connect(address, "archive.localhost");
    let told = program.hears().child("delegation", ns::DELEGATION).unwrap();
    assert_eq!(told.children().count(), 2);
    // What it is asked about itself it leaves unanswered.
    for node in ["::urn:x", ":bare:urn:x", "::urn:xmpp:mam:2", ":bare:urn:xmpp:mam:2"] {
        assert_eq!(node_of(&program.hears()), format!("{}{node}", ns::DELEGATION));
    }
    let mut juliet = log_in(&stage, "juliet@localhost");
    let query =
        |id: &str, to: &str, content: &str| format!("<iq type='get' id='{id}'{to}>{content}</iq>");

    for (id, to, from) in [
        ("own", "", "juliet@localhost"),
        ("bare", " to='juliet@localhost'", "juliet@localhost"),
        ("server", " to='localhost'", "localhost"),
        ("other", " to='romeo@localhost'", "romeo@localhost"),
    ] {
        juliet.send(query(id, to, "<query xmlns='urn:x'/>"));
        let sent = program.hears();
        let inner = asked(&sent);
        assert_eq!(inner.head().from.as_ref().unwrap().as_str(), "juliet@localhost/here");
        program.say(&answer(&sent, &format!(
            "<iq xmlns='jabber:client' to='juliet@localhost/here' id='{id}' type='result'><done xmlns='urn:x'/></iq>"
        )));
        let heard = hears(&mut juliet, |it| it.attr("id") == Some(id));
        assert!(heard.child("done", "urn:x").is_some(), "{id}");
        assert!(heard.attr("from").is_none_or(|it| it == from), "{id} {:?}", heard.attr("from"));
    }
    // Without the attribute the server answers itself.
    juliet.send("<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2'/></iq>");
    let heard = hears(&mut juliet, |it| it.attr("id") == Some("mam"));
    assert!(heard.child("fin", "urn:xmpp:mam:2").is_some());
    juliet.send("<iq type='set' id='node'><query xmlns='urn:xmpp:mam:2' node='n'/></iq>");
    let sent = program.hears();
    // An answer to somebody else.
    program.say(&answer(
        &sent,
        "<iq xmlns='jabber:client' to='romeo@localhost/here' id='node' type='result'/>",
    ));
    let heard = hears(&mut juliet, |it| it.attr("id") == Some("node"));
    assert_eq!(condition(&heard).as_deref(), Some("service-unavailable"));
    // What the component itself asks is not given back to it.
    program.say("<iq from='archive.localhost' to='localhost' type='get' id='self'><query xmlns='urn:x'/></iq>");
    assert_eq!(program.hears().head().id.as_deref(), Some("self"));
    // It goes away.
    drop(program);
    juliet.send(query("away", "", "<query xmlns='urn:x'/>"));
    let heard = hears(&mut juliet, |it| it.attr("id") == Some("away"));
    assert_eq!(condition(&heard).as_deref(), Some("service-unavailable"));
}

/// What somebody discovers of an address.
fn discovers(client: &mut Client, to: &str, query: &str) -> Element {
    client.send(format!("<iq type='get' id='disco' to='{to}'>{query}</iq>"));
    let heard = hears(client, |it| it.attr("id") == Some("disco"));
    heard.children().next().unwrap().clone()
}

const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

fn features(info: &Element) -> BTreeSet<String> {
    let features = info.children().filter(|it| it.name() == "feature");
    features.map(|it| it.attr("var").unwrap().to_owned()).collect()
}

/// The component answers so many questions about what it can do, by their nodes behind the namespace of delegation.
fn discloses(program: &mut Program, count: usize, says: impl Fn(&str) -> String) {
    for _ in 0..count {
        let asked = program.hears();
        let head = asked.head();
        let [id, server, own] = [
            head.id.as_deref().unwrap(),
            head.from.as_ref().unwrap().as_str(),
            head.to.as_ref().unwrap().as_str(),
        ];
        let node = node_of(&asked);
        let said = says(node.strip_prefix(ns::DELEGATION).unwrap());
        program.say(&format!(
            "<iq from='{own}' to='{server}' id='{id}' type='result'>\
             <query xmlns='http://jabber.org/protocol/disco#info' node='{node}'>{said}</query></iq>"
        ));
    }
}

/// §7.2.1 to §7.2.3.
#[test]
fn what_a_component_can_do_stands_in_the_place_of_what_the_server_can() {
    let address = free();
    let component = "[[component]]\nname = 'pubsub2.localhost'\nsecret = 'secret'\n\
                     delegate = { 'http://jabber.org/protocol/pubsub' = ['node'], 'urn:x' = [] }\n";
    let stage = Stage::start(&format!("[listen]\ncomponent = ['{address}']\n{component}"));
    stage.add_accounts(&["juliet"]);
    let mut juliet = log_in(&stage, "juliet@localhost");
    // One that was never here can do nothing.
    let before = discovers(&mut juliet, "juliet@localhost", INFO);
    assert!(!features(&before).iter().any(|it| it.starts_with(PUBSUB)), "{before:?}");
    assert!(!before.children().any(|it| it.attr("category") == Some("pubsub")), "{before:?}");
    assert!(features(&discovers(&mut juliet, "localhost", INFO)).contains(ns::DELEGATION));

    let mut program = Program::connect(address, "pubsub2.localhost");
    program.hears();
    let pep = "<identity category='pubsub' type='pep'/>";
    let form = "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:x</value>\
                </field><field var='a'><value>1</value></field></x>";
    discloses(&mut program, 4, |node| match node {
        "::http://jabber.org/protocol/pubsub" => format!("<feature var='{PUBSUB}#of-server'/>"),
        ":bare:http://jabber.org/protocol/pubsub" => {
            format!("{pep}<feature var='{PUBSUB}#of-account'/>")
        }
        "::urn:x" => format!("<feature var='urn:x'/>{form}"),
        _ => String::new(),
    });
    // What it says next is taken after all that.
    program.say("<iq from='pubsub2.localhost' to='localhost' type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>");
    program.hears();
    let server = discovers(&mut juliet, "localhost", INFO);
    let of_server = features(&server);
    assert!(
        of_server.contains(&format!("{PUBSUB}#of-server")) && of_server.contains("urn:x"),
        "{of_server:?}"
    );
    assert!(of_server.contains(ns::BLOCKING), "what is not delegated stays");
    let forms = server.children().filter(|it| it.ns() == ns::DATA_FORMS);
    assert!(forms.flat_map(Element::children).any(|it| it.attr("var") == Some("a")), "{server:?}");
    let account = discovers(&mut juliet, "juliet@localhost", INFO);
    let of_pubsub: Vec<_> =
        features(&account).into_iter().filter(|it| it.starts_with(PUBSUB)).collect();
    assert_eq!(of_pubsub, [format!("{PUBSUB}#of-account")]);
    let identities = account.children().filter(|it| it.name() == "identity");
    assert_eq!(
        identities.map(|it| it.attr("category").unwrap()).collect::<Vec<_>>(),
        ["account", "pubsub"]
    );
}

/// §7.2.4, §7.2.5.
#[test]
fn a_component_answers_for_nodes_of_people_that_the_server_does_not_know() {
    let address = free();
    let component = "[[component]]\nname = 'archive.localhost'\nsecret = 'secret'\n\
                     delegate = { 'urn:xmpp:delegation:2:bare:disco#info:*' = [], \
                     'urn:xmpp:delegation:2:bare:disco#items:*' = [] }\n";
    let stage = Stage::start(&format!("[listen]\ncomponent = ['{address}']\n{component}"));
    stage.add_accounts(&["juliet"]);
    let mut juliet = log_in(&stage, "juliet@localhost");
    juliet.send(
        "<iq type='set' id='known'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='known'>\
         <item id='1'><a xmlns='urn:a'/></item></publish></pubsub></iq>",
    );
    hears(&mut juliet, |it| it.attr("id") == Some("known"));
    let mut program = Program::connect(address, "archive.localhost");
    program.hears();
    for (of, node, is_delegated) in [
        ("info", " node='unknown'", true),
        ("info", " node='known'", false),
        ("info", "", false),
        ("items", " node='unknown'", true),
        ("items", " node='known'", false),
        ("items", "", true),
    ] {
        let query = format!("<query xmlns='http://jabber.org/protocol/disco#{of}'{node}/>");
        juliet.send(format!("<iq type='get' id='q' to='juliet@localhost'>{query}</iq>"));
        if is_delegated {
            let sent = program.hears();
            assert!(
                asked(&sent)
                    .find("query", &format!("http://jabber.org/protocol/disco#{of}"))
                    .is_some()
            );
            program.say(&answer(&sent, &format!(
                "<iq xmlns='jabber:client' to='juliet@localhost/here' id='q' type='result'>\
                 <query xmlns='http://jabber.org/protocol/disco#{of}'{node}><by-component xmlns='urn:c'/></query></iq>"
            )));
        }
        let heard = hears(&mut juliet, |it| it.attr("id") == Some("q"));
        let answered = heard.children().next().unwrap().child("by-component", "urn:c").is_some();
        assert_eq!(answered, is_delegated, "{of}{node}: {heard:?}");
    }
    // Nor does it answer for the server.
    let nothing = "<query xmlns='http://jabber.org/protocol/disco#info' node='unknown'/>";
    juliet.send(format!("<iq type='get' id='s' to='localhost'>{nothing}</iq>"));
    let heard = hears(&mut juliet, |it| it.attr("id") == Some("s"));
    assert_eq!(condition(&heard).as_deref(), Some("item-not-found"));
}

#[test]
fn what_a_component_can_do_is_said_at_every_member_whichever_has_its_stream() {
    let component = "[[component]]\nname = 'x.localhost'\nsecret = 'secret'\n\
                     delegate = { 'urn:x' = [] }\n";
    let crew = Crew::start_with(3, component);
    let of = |home: usize| {
        let mut names = (0..64).map(|number| format!("romeo{number}"));
        names.find(|name| crew.home(name) == home).unwrap()
    };
    let names = [of(0), of(1), of(2)];
    crew.add_accounts(&names);
    let mut program = Program::connect(crew.component[0], "x.localhost");
    program.hears();
    discloses(&mut program, 2, |node| match node {
        "::urn:x" => "<feature var='urn:x#of-server'/>".to_owned(),
        _ => "<feature var='urn:x#of-account'/>".to_owned(),
    });
    for (member, name) in names.iter().enumerate() {
        let mut romeo = client(&crew, member, name);
        let mut until_said = |to: &str, feature: &str| {
            while !features(&discovers(&mut romeo, to, INFO)).contains(feature) {}
        };
        until_said("localhost", "urn:x#of-server");
        until_said(&format!("{name}@localhost"), "urn:x#of-account");
    }
}
