//! XEP-0356 Privileged Entity.

use town::Login;
use xmpp::{Stanza, ns};

use super::land::{Client, Land, Proof, add, free, hears, hears_body, log_in};
use super::program::Program;
use crate::stage::{PASSWORD, Stage};

const ALL: &str = "privilege = { roster = 'both', message = 'outgoing', presence = 'roster', \
                   iq = { 'urn:xmpp:ping' = 'get', 'jabber:iq:private' = 'both' } }\n";

/// A server with a component, the component's stream, and Romeo and Juliet.
struct Play {
    stage: Stage,
    program: Program,
    romeo: Client,
    juliet: Client,
}

impl Play {
    fn begin(privileges: &str) -> Self {
        let address = free();
        let component = "[[component]]\nname = 'pubsub2.localhost'\nsecret = 'secret'\n";
        let listen = format!("[listen]\ncomponent = ['{address}']\n{component}{privileges}");
        let stage = Stage::start(&listen);
        stage.add_accounts(&["romeo", "juliet"]);
        let program = Program::connect(address, "pubsub2.localhost");
        let romeo = log_in(&stage, "romeo@localhost");
        let juliet = log_in(&stage, "juliet@localhost");
        Self { stage, program, romeo, juliet }
    }

    fn asks(&mut self, ty: &str, to: &str, content: &str) {
        self.program.say(&format!(
            "<iq from='pubsub2.localhost' to='{to}' type='{ty}' id='asked'>{content}</iq>"
        ));
    }

    /// The answer to what it asked; what else comes is passed over.
    fn answer(&mut self) -> Stanza {
        self.hears(|stanza| stanza.head().id.as_deref() == Some("asked"))
    }

    fn hears(&mut self, fits: impl Fn(&Stanza) -> bool) -> Stanza {
        loop {
            let stanza = self.program.hears();
            if fits(&stanza) {
                return stanza;
            }
        }
    }
}

fn condition(stanza: &Stanza) -> Option<String> {
    let error = stanza.child("error", "")?;
    error.children().next().map(|it| it.name().to_owned())
}

const ROSTER: &str = "<query xmlns='jabber:iq:roster'/>";
const ITEM: &str = "<query xmlns='jabber:iq:roster'><item jid='romeo@localhost' name='R'/></query>";

#[test]
fn a_component_reads_and_changes_rosters_and_hears_of_changes() {
    let mut play = Play::begin(ALL);
    let told = play.hears(|stanza| stanza.find("privilege", ns::PRIVILEGE).is_some());
    let told = told.child("privilege", ns::PRIVILEGE).unwrap();
    let perms: Vec<_> = told.children().map(|it| (it.attr("access"), it.attr("type"))).collect();
    assert!(perms.contains(&(Some("roster"), Some("both"))), "{perms:?}");
    assert!(perms.contains(&(Some("presence"), Some("roster"))), "{perms:?}");

    play.asks("set", "juliet@localhost", ITEM);
    let push = play.hears(|stanza| stanza.find("query", ns::ROSTER).is_some());
    assert_eq!(push.head().from.as_ref().unwrap().as_str(), "juliet@localhost");
    play.asks("get", "juliet@localhost", ROSTER);
    let roster = play.hears(|stanza| {
        stanza.head().id.as_deref() == Some("asked") && stanza.find("query", ns::ROSTER).is_some()
    });
    let roster = roster.child("query", ns::ROSTER).unwrap();
    assert_eq!(roster.children().next().unwrap().attr("name"), Some("R"));
    hears(&mut play.juliet, |it| {
        it.child("query", ns::ROSTER).is_some_and(|q| q.children().count() == 1)
    });
    for nobody in ["nobody@localhost", "localhost"] {
        play.asks("get", nobody, ROSTER);
        assert!(condition(&play.answer()).is_some(), "{nobody}");
    }
}

#[test]
fn a_component_sends_messages_in_the_names_of_people() {
    let mut play = Play::begin(ALL);
    let wrapped = |from: &str| {
        format!(
            "<message from='pubsub2.localhost' to='localhost' id='m'><privilege xmlns='urn:xmpp:privilege:2'>\
             <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{from}' \
             to='romeo@localhost' type='chat'><body>of {from}</body></message></forwarded></privilege></message>"
        )
    };
    play.program.say(&wrapped("juliet@localhost"));
    let heard = hears_body(&mut play.romeo, "of juliet@localhost");
    assert_eq!(heard.attr("from"), Some("juliet@localhost"));
    for other in
        ["juliet@localhost/here", "juliet@b.example", "pubsub.localhost", "nobody@localhost"]
    {
        play.program.say(&wrapped(other));
        let refused = play.hears(|stanza| stanza.find("error", "").is_some());
        assert_eq!(condition(&refused).as_deref(), Some("forbidden"), "{other}");
        let head = refused.head();
        assert_eq!(
            (head.id.as_deref(), head.from.as_ref().unwrap().as_str()),
            (Some("m"), "localhost")
        );
    }
}

/// XEP-0356 §9 rule 4: no more than the account itself may do.
#[test]
fn a_component_sends_nothing_to_whom_the_account_has_blocked() {
    let mut play = Play::begin(ALL);
    play.juliet.send(
        "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='romeo@localhost'/></block></iq>",
    );
    hears(&mut play.juliet, |it| it.attr("id") == Some("b"));
    play.program.say(
        "<message from='pubsub2.localhost' to='localhost' id='asked'><privilege xmlns='urn:xmpp:privilege:2'>\
         <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='juliet@localhost' \
         to='romeo@localhost' type='chat'><body>hi</body></message></forwarded></privilege></message>",
    );
    assert_eq!(condition(&play.answer()).as_deref(), Some("not-acceptable"));
    let ping = "<privileged_iq xmlns='urn:xmpp:privilege:2'><iq xmlns='jabber:client' type='get' \
                to='romeo@localhost' id='p'><ping xmlns='urn:xmpp:ping'/></iq></privileged_iq>";
    play.asks("get", "juliet@localhost", ping);
    assert_eq!(condition(&play.answer()).as_deref(), Some("not-acceptable"));
}

/// XEP-0356 §4.3: who may read rosters does not write them, and the other way round; §4.4: who may not read them hears of no
/// change; §7.1: who may see nobody sees nobody.
#[test]
fn a_component_does_no_more_than_it_may() {
    for (roster, allowed) in [("get", ROSTER), ("set", ITEM), ("none", "")] {
        let mut play =
            Play::begin(&format!("privilege = {{ roster = '{roster}', push = false }}\n"));
        for (ty, query) in [("get", ROSTER), ("set", ITEM)] {
            play.asks(ty, "juliet@localhost", query);
            let refused = condition(&play.answer());
            let wanted = (query != allowed).then_some("forbidden");
            assert_eq!(refused.as_deref(), wanted, "{ty} by one who may {roster}");
        }
        let add = "<iq type='set' id='add'><query xmlns='jabber:iq:roster'><item jid='nurse@localhost'/></query></iq>";
        play.juliet.send(add);
        hears(&mut play.juliet, |it| it.attr("id") == Some("add"));
        play.juliet.send("<presence><show>away</show></presence>");
        hears(&mut play.juliet, |it| it.child("show", "").is_some());
        play.program.say("<iq from='pubsub2.localhost' to='localhost' type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>");
        let next = play.hears(|it| it.find("privilege", ns::PRIVILEGE).is_none());
        assert_eq!(next.head().id.as_deref(), Some("last"), "of one who may {roster}");
    }
}

/// XEP-0356 §7.1: the first presence and the last one, and none between.
#[test]
fn a_component_hears_of_a_session_twice() {
    let mut play = Play::begin("privilege = { presence = 'managed_entity' }\n");
    let is_of = |ty: Option<&'static str>| {
        move |it: &Stanza| {
            it.kind().name() == "presence"
                && it.kind().type_str() == ty
                && it.head().from.as_ref().is_some_and(|it| it.as_str() == "juliet@localhost/here")
        }
    };
    play.hears(is_of(None));
    play.juliet.send("<presence><show>away</show></presence>");
    hears(&mut play.juliet, |it| it.child("show", "").is_some());
    play.juliet.send("<presence type='unavailable'/>");
    let last = play.hears(|it| is_of(None)(it) || is_of(Some("unavailable"))(it));
    assert_eq!(last.kind().type_str(), Some("unavailable"));
}

#[test]
fn a_component_asks_in_the_names_of_people() {
    let mut play = Play::begin(ALL);
    let wrapped = |inner: &str| {
        format!("<privileged_iq xmlns='urn:xmpp:privilege:2'>{inner}</privileged_iq>")
    };
    let ping = "<iq xmlns='jabber:client' type='get' to='localhost' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";
    play.asks("get", "juliet@localhost", &wrapped(ping));
    let answer = play.answer();
    let forwarded = answer.child("privilege", ns::PRIVILEGE).unwrap();
    let inner = xmpp::forward::read(xmpp::forward::inner(&forwarded).unwrap()).unwrap();
    assert_eq!(inner.head().id.as_deref(), Some("p"));
    assert_eq!(inner.head().to.as_ref().unwrap().as_str(), "juliet@localhost");

    // What is the account's own.
    let private = "<query xmlns='jabber:iq:private'><a xmlns='urn:a'>kept</a></query>";
    let set = format!(
        "<iq xmlns='jabber:client' type='set' id='s' from='juliet@localhost'>{private}</iq>"
    );
    play.asks("set", "juliet@localhost", &wrapped(&set));
    assert!(play.answer().find("privilege", ns::PRIVILEGE).is_some());
    play.juliet.send(
        "<iq type='get' id='g'><query xmlns='jabber:iq:private'><a xmlns='urn:a'/></query></iq>",
    );
    let kept = hears(&mut play.juliet, |it| it.attr("id") == Some("g"));
    assert_eq!(kept.children().next().unwrap().children().next().unwrap().text(), "kept");

    let roster =
        "<iq xmlns='jabber:client' type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>";
    for (ty, to, inner) in [
        ("set", "juliet@localhost", ping.to_owned()),
        ("get", "juliet@localhost", roster.to_owned()),
        ("get", "juliet@localhost", ping.replace("to=", "from='romeo@localhost' to=")),
        ("get", "juliet@localhost", ping.replace("jabber:client", "urn:x")),
        ("get", "nobody@localhost", ping.to_owned()),
        ("get", "localhost", ping.to_owned()),
    ] {
        play.asks(ty, to, &wrapped(&inner));
        assert_eq!(condition(&play.answer()).as_deref(), Some("forbidden"), "{to} {inner}");
    }
}

/// XEP-0356 §6.3: for nobody but a managed entity's bare address; nobody else hears of it.
#[test]
fn what_a_component_asks_in_the_name_of_nobody_here_goes_nowhere() {
    let mut play = Play::begin(ALL);
    let ping = "<privileged_iq xmlns='urn:xmpp:privilege:2'><iq xmlns='jabber:client' type='get' \
                to='localhost' id='p'><ping xmlns='urn:xmpp:ping'/></iq></privileged_iq>";
    // So that a request would get through to her client.
    play.juliet.send("<presence to='pubsub2.localhost'><status>directed</status></presence>");
    play.hears(|it| it.child("status", "").is_some());
    for to in [
        "juliet@localhost/here",
        "localhost/here",
        "room@conference.localhost",
        "conference.localhost",
        "pubsub.localhost",
        "juliet@b.example",
        "pubsub2.localhost",
    ] {
        play.asks("get", to, ping);
        let refused = play.answer();
        assert_eq!(condition(&refused).as_deref(), Some("forbidden"), "{to}");
        assert_eq!(refused.head().from.as_ref().unwrap().as_str(), to);
    }
    play.asks("get", "juliet@localhost", ping);
    assert!(play.answer().find("privilege", ns::PRIVILEGE).is_some());
    // What came to Juliet, if any of it did, is before her answer.
    play.juliet.send("<iq type='get' to='localhost' id='last'><ping xmlns='urn:xmpp:ping'/></iq>");
    let next = hears(&mut play.juliet, |it| it.name() == "iq");
    assert_eq!(next.attr("id"), Some("last"), "{next:?}");
}

#[test]
fn a_component_hears_who_comes_and_goes() {
    let mut play = Play::begin(ALL);
    let shown = |from: &'static str, ty: Option<&'static str>| {
        move |stanza: &Stanza| {
            stanza.kind().name() == "presence"
                && stanza.kind().type_str() == ty
                && stanza.head().from.as_ref().is_some_and(|it| it.as_str() == from)
        }
    };
    let login =
        Login { address: play.stage.c2s, domain: "localhost", name: "juliet", password: PASSWORD };
    let mut balcony = Client::log_in(&login);
    balcony.bind("balcony");
    balcony.send("<presence><show>chat</show></presence>");
    let seen = play.hears(shown("juliet@localhost/balcony", None));
    assert_eq!(seen.child("show", "").unwrap().text(), "chat");
    balcony.send("<presence type='unavailable'/>");
    play.hears(shown("juliet@localhost/balcony", Some("unavailable")));
    // Those whom people see.
    play.juliet.send("<presence to='romeo@localhost' type='subscribe'/>");
    hears(&mut play.romeo, |it| it.attr("type") == Some("subscribe"));
    play.romeo.send("<presence to='juliet@localhost' type='subscribed'/>");
    play.hears(shown("romeo@localhost/here", None));
}

/// Whose presence it hears until it has the answer to a question of its own.
fn hears_until_answered(play: &mut Play) -> Vec<String> {
    play.asks("get", "juliet@localhost", ROSTER);
    let mut shown = Vec::new();
    loop {
        let stanza = play.program.hears();
        if stanza.head().id.as_deref() == Some("asked") {
            return shown;
        }
        if stanza.kind().name() == "presence" {
            shown.extend(stanza.head().from.as_ref().map(ToString::to_string));
        }
    }
}

#[test]
fn a_component_that_connects_later_is_told_once_who_is_there() {
    let mut play = Play::begin(ALL);
    // One whose client is lost and may come back; one who has not said that it is there.
    let login =
        Login { address: play.stage.c2s, domain: "localhost", name: "juliet", password: PASSWORD };
    let mut lost = Client::log_in(&login);
    lost.bind("lost");
    lost.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>");
    hears(&mut lost, |it| it.attr("from") == Some("juliet@localhost/lost"));
    drop(lost);
    let mut silent = Client::log_in(&login);
    silent.bind("silent");
    let address = play.program.hang_up();
    // What is for a stream that is not known to be over may go there.
    while play.stage.run(&["component", "list"]).unwrap().contains("pubsub2.localhost") {}
    play.program = Program::connect(address, "pubsub2.localhost");
    let mut missing =
        vec!["romeo@localhost/here", "juliet@localhost/here", "juliet@localhost/lost"];
    while !missing.is_empty() {
        let stanza = play.hears(|stanza| stanza.kind().name() == "presence");
        assert_eq!(stanza.kind().type_str(), None);
        let from = stanza.head().from.as_ref().unwrap().to_string();
        let place = missing.iter().position(|it| *it == from);
        missing.remove(place.unwrap_or_else(|| panic!("{from} is not there, or was told twice")));
    }
    assert_eq!(hears_until_answered(&mut play), Vec::<String>::new(), "each once");
}

/// XEP-0356 §7.4: "would receive if it were available".
#[test]
fn a_component_hears_of_contacts_at_other_servers_while_the_account_here_is_away() {
    let address = free();
    let component = format!(
        "[listen]\ncomponent = ['{address}']\n[[component]]\nname = 'pubsub2.a.example'\nsecret = 'secret'\n{ALL}"
    );
    let land = Land::start_with(Proof::Certificate, &component);
    let mut program = Program::connect(address, "pubsub2.a.example");
    let mut hears_presence = |from: &str, ty: Option<&str>| loop {
        let stanza = program.hears();
        let is_from = stanza.head().from.as_ref().is_some_and(|it| it.as_str() == from);
        if is_from && stanza.kind().name() == "presence" && stanza.kind().type_str() == ty {
            return stanza;
        }
    };
    let (mut romeo, mut juliet) = land.lovers();
    romeo.send("<presence to='juliet@b.example' type='subscribe'/>");
    hears(&mut juliet, |it| it.attr("type") == Some("subscribe"));
    juliet.send("<presence to='romeo@a.example' type='subscribed'/>");
    hears(&mut romeo, |it| it.attr("from") == Some("juliet@b.example/here"));
    romeo.send("</stream:stream>");
    while romeo.next().is_some() {}
    hears_presence("romeo@a.example/here", Some("unavailable"));
    assert_eq!(land.a.run(&["session", "list"]).unwrap(), "", "nobody is here");

    juliet.send("<presence><show>away</show><status>on the balcony</status></presence>");
    let seen = loop {
        let seen = hears_presence("juliet@b.example/here", None);
        if seen.child("show", "").is_some() {
            break seen;
        }
    };
    assert_eq!(seen.child("status", "").unwrap().text(), "on the balcony");
    assert_eq!(seen.head().to.as_ref().unwrap().as_str(), "pubsub2.a.example");
    juliet.send("<presence type='unavailable'/>");
    hears_presence("juliet@b.example/here", Some("unavailable"));
}

/// The next presence that fits; all else is passed over.
fn hears_presence(program: &mut Program, fits: impl Fn(&Stanza) -> bool) -> Stanza {
    loop {
        let stanza = program.hears();
        if stanza.kind().name() == "presence" && fits(&stanza) {
            return stanza;
        }
    }
}

/// Somebody subscribes to a contact, who agrees, and logs out when the contact has been seen.
fn sees_and_leaves(mut account: Client, (contact, its): (&str, &mut Client), account_jid: &str) {
    account.send(format!("<presence to='{contact}' type='subscribe'/>"));
    hears(its, |it| it.attr("type") == Some("subscribe"));
    its.send(format!("<presence to='{account_jid}' type='subscribed'/>"));
    hears(&mut account, |it| it.attr("from") == Some(&*format!("{contact}/here")));
    account.send("</stream:stream>");
    while account.next().is_some() {}
}

/// XEP-0356 §8 rule 1: "all the presences informations for connected entities it has access to".
#[test]
fn a_component_that_connects_hears_of_contacts_elsewhere_of_people_who_are_away() {
    let address = free();
    let component = |name: &str, privilege: &str| {
        format!("[[component]]\nname = '{name}.a.example'\nsecret = 'secret'\n{privilege}")
    };
    let managed = component("irc", "privilege = { presence = 'managed_entity' }\n");
    let components =
        format!("[listen]\ncomponent = ['{address}']\n{}{managed}", component("pubsub2", ALL));
    let land = Land::start_with(Proof::Certificate, &components);
    add(&land.b, "nurse@b.example");
    // What it would hear is not to wait for it.
    let mut irc = Program::connect(address, "irc.a.example");
    let mut program = Program::connect(address, "pubsub2.a.example");
    let (mut romeo, mut juliet) = land.lovers();
    let mut nurse = log_in(&land.b, "nurse@b.example");
    // She sees him, and he does not see her.
    nurse.send("<presence to='romeo@a.example' type='subscribe'/>");
    hears(&mut romeo, |it| it.attr("type") == Some("subscribe"));
    romeo.send("<presence to='nurse@b.example' type='subscribed'/>");
    hears(&mut nurse, |it| it.attr("from") == Some("romeo@a.example/here"));
    sees_and_leaves(romeo, ("juliet@b.example", &mut juliet), "romeo@a.example");
    while !land.a.run(&["session", "list"]).unwrap().is_empty() {}
    for program in [&mut irc, &mut program] {
        hears_presence(program, |it| it.kind().type_str() == Some("unavailable"));
    }

    for _ in 0..2 {
        program.hang_up();
        while land.a.run(&["component", "list"]).unwrap().contains("pubsub2") {}
        program = Program::connect(address, "pubsub2.a.example");
        let seen = hears_presence(&mut program, |_| true);
        let head = seen.head();
        assert_eq!(head.from.as_ref().unwrap().as_str(), "juliet@b.example/here");
        assert_eq!(head.to.as_ref().unwrap().as_str(), "pubsub2.a.example");
        assert_eq!(seen.kind().type_str(), None);
    }
    // Who may see nobody's contacts has heard nothing by then.
    irc.say("<iq from='irc.a.example' to='a.example' type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert_eq!(irc.hears().head().id.as_deref(), Some("last"));
}

#[test]
fn without_a_privilege_nothing_of_that_is_done_or_told() {
    let mut play = Play::begin("privilege = { roster = 'get', push = false }\n");
    play.asks("set", "juliet@localhost", ITEM);
    assert_eq!(condition(&play.answer()).as_deref(), Some("forbidden"));
    let inner = "<iq xmlns='jabber:client' type='get' to='localhost' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";
    play.asks(
        "get",
        "juliet@localhost",
        &format!("<privileged_iq xmlns='urn:xmpp:privilege:2'>{inner}</privileged_iq>"),
    );
    assert_eq!(condition(&play.answer()).as_deref(), Some("forbidden"));
    play.juliet.send(format!("<iq type='set' id='i'>{ITEM}</iq>"));
    hears(&mut play.juliet, |it| it.attr("id") == Some("i"));
    play.asks("get", "juliet@localhost", ROSTER);
    let next = play.program.hears();
    assert_eq!(next.head().id.as_deref(), Some("asked"), "neither a push nor presence");
}
