//! XEP-0355 Namespace Delegation.

use xmpp::{Stanza, ns};

use super::land::{condition, free, hears, log_in};
use super::program::Program;
use crate::stage::Stage;

const COMPONENT: &str = "[[component]]\nname = 'archive.localhost'\nsecret = 'secret'\nwait_seconds = 1\n\
                         delegate = { 'urn:xmpp:mam:2' = ['node'], 'urn:x' = [] }\n";

/// The request within what the component gets.
fn asked(stanza: &Stanza) -> Stanza {
    let wrapper = stanza.child("delegation", ns::DELEGATION).unwrap();
    xmpp::forward::read(xmpp::forward::inner(&wrapper).unwrap()).unwrap()
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
