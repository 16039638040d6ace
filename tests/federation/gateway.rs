//! XEP-0100 Gateway Interaction: what a server does for a gateway, which is a component, and for those who use it.

use std::net::SocketAddr;

use xmpp::{Element, Stanza};

use super::land::{Client, Land, Proof, condition, free, hears, hears_body, log_in};
use super::program::Program;
use crate::stage::Stage;

const ROMEO: &str = "romeo@localhost";
const HERE: &str = "romeo@localhost/here";
const GATEWAY: &str = "legacy.localhost";
/// Somebody of the other network, whose address there has a domain (XEP-0106).
const NURSE: &str = "nurse\\40aol.example@legacy.localhost";

/// A server, a gateway beside it, and Romeo.
struct Play {
    stage: Stage,
    address: SocketAddr,
    gateway: Program,
    romeo: Client,
}

impl Play {
    fn begin() -> Self {
        let address = free();
        let stage = Stage::start(&format!(
            "[listen]\ncomponent = ['{address}']\n[[component]]\nname = '{GATEWAY}'\nsecret = 'secret'\n"
        ));
        stage.add_accounts(&["romeo", "paris"]);
        let gateway = Program::connect(address, GATEWAY);
        let romeo = log_in(&stage, ROMEO);
        Self { stage, address, gateway, romeo }
    }

    /// Waits until the gateway hears presence of this type, from and to these.
    fn told(&mut self, ty: Option<&str>, from: &str, to: &str) -> Stanza {
        loop {
            let stanza = self.gateway.hears();
            if is_presence(&stanza, ty, from, to) {
                return stanza;
            }
        }
    }

    /// The gateway says this of presence; no type: that somebody is there.
    fn tells(&mut self, ty: Option<&str>, from: &str, to: &str) {
        let ty = ty.map(|ty| format!(" type='{ty}'")).unwrap_or_default();
        self.gateway.say(&format!("<presence from='{from}' to='{to}'{ty}/>"));
    }

    fn says(&mut self, ty: &str, to: &str) {
        self.romeo.send(format!("<presence to='{to}' type='{ty}'/>"));
    }

    /// Romeo hears presence of this type.
    fn hears(&mut self, ty: Option<&str>, from: &str) {
        hears(&mut self.romeo, |it| {
            it.name() == "presence" && it.attr("type") == ty && it.attr("from") == Some(from)
        });
    }

    /// Romeo's roster has this state of somebody.
    fn has(&mut self, jid: &str, subscription: &str) {
        hears(&mut self.romeo, |it| {
            let query = it.child("query", "jabber:iq:roster");
            query.is_some_and(|query| {
                query.children().any(|item| {
                    item.attr("jid") == Some(jid)
                        && item.attr("subscription") == Some(subscription)
                        && item.attr("ask").is_none()
                })
            })
        });
    }

    /// What Romeo asks of the gateway comes there as it is, and its answer to him.
    fn asks(&mut self, ty: &str, question: &str, answer: &str) -> (Element, Element) {
        self.romeo.send(format!("<iq type='{ty}' to='{GATEWAY}' id='ask'>{question}</iq>"));
        let asked = loop {
            let stanza = self.gateway.hears();
            if stanza.head().id.as_deref() == Some("ask") {
                break stanza;
            }
        };
        assert_eq!(asked.head().from.as_ref().map(|it| it.as_str()), Some(HERE));
        self.gateway
            .say(&format!("<iq type='result' from='{GATEWAY}' to='{HERE}' id='ask'>{answer}</iq>"));
        let answered = hears(&mut self.romeo, |it| it.attr("id") == Some("ask"));
        let of = |text: &str| Element::parse(text.as_bytes()).unwrap();
        let payload = asked.payload().and_then(|it| it.parse()).unwrap();
        assert_eq!(payload, of(question));
        (payload, answered)
    }

    /// A contact is deleted; whoever sees the other hears that, and that he is gone.
    fn deletes(&mut self, other: &str) {
        self.romeo.send(format!(
            "<iq type='set' id='d'><query xmlns='jabber:iq:roster'><item jid='{other}' subscription='remove'/></query></iq>"
        ));
        self.has(other, "remove");
    }

    /// What Romeo sends comes to the gateway as the next that it hears: it was told of nothing before.
    fn hears_next(&mut self, id: &str) {
        self.romeo
            .send(format!("<message to='{GATEWAY}' id='{id}'><body>after all</body></message>"));
        let next = self.gateway.hears();
        assert_eq!(next.head().id.as_deref(), Some(id), "{next:?}");
    }

    /// Each sees the presence of the other (§4.1, steps 9 to 12).
    fn befriend(&mut self, other: &str) {
        self.tells(Some("subscribe"), other, ROMEO);
        self.hears(Some("subscribe"), other);
        self.says("subscribed", other);
        self.told(Some("subscribed"), ROMEO, other);
        self.told(None, HERE, other);
        self.has(other, "from");
        self.says("subscribe", other);
        self.told(Some("subscribe"), ROMEO, other);
        self.tells(Some("subscribed"), other, ROMEO);
        self.has(other, "both");
        self.tells(None, other, ROMEO);
        self.hears(None, other);
    }
}

/// Whether a roster push says that he waits to see somebody; none where it says nothing of them.
fn asks(push: &Element, jid: &str) -> Option<bool> {
    let query = push.child("query", "jabber:iq:roster")?;
    let item = query.children().find(|item| item.attr("jid") == Some(jid))?;
    Some(item.attr("ask") == Some("subscribe"))
}

fn is_presence(stanza: &Stanza, ty: Option<&str>, from: &str, to: &str) -> bool {
    let (kind, head) = (stanza.kind(), stanza.head());
    let is = |jid: &Option<xmpp::Jid>, wanted: &str| {
        jid.as_ref().is_some_and(|jid| jid.as_str() == wanted)
    };
    kind.name() == "presence" && kind.type_str() == ty && is(&head.from, from) && is(&head.to, to)
}

// §4.1, §4.2, §6.3
#[test]
fn people_find_a_gateway_register_with_it_and_ask_it_for_addresses() {
    let mut play = Play::begin();
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    let told = "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='gateway' type='aim'/>\
                <feature var='jabber:iq:register'/><feature var='jabber:iq:gateway'/></query>";
    let (_, answered) = play.asks("get", info, told);
    let told = answered.child("query", "http://jabber.org/protocol/disco#info").unwrap();
    assert_eq!(told.children().next().unwrap().attr("category"), Some("gateway"));

    let fields = "<query xmlns='jabber:iq:register'><instructions>Who?</instructions><username/><password/></query>";
    play.asks("get", "<query xmlns='jabber:iq:register'/>", fields);
    let filled = "<query xmlns='jabber:iq:register'><username>RomeoMyRomeo</username><password>ILoveJuliet</password></query>";
    play.asks("set", filled, "");
    play.asks("set", &filled.replace("ILoveJuliet", "B4lc0ny"), "");

    let prompt = "<query xmlns='jabber:iq:gateway'><prompt>nurse@aol.example</prompt></query>";
    let jid = format!("<query xmlns='jabber:iq:gateway'><jid>{NURSE}</jid></query>");
    play.asks("get", "<query xmlns='jabber:iq:gateway'/>", prompt);
    let (_, answered) = play.asks("set", prompt, &jid);
    let query = answered.child("query", "jabber:iq:gateway").unwrap();
    assert_eq!(query.child("jid", "jabber:iq:gateway").unwrap().text(), NURSE);

    // What is wrong with it, the gateway says (§4.1.2).
    play.romeo.send(format!("<iq type='set' to='{GATEWAY}' id='bad'>{filled}</iq>"));
    let asked = play.gateway.hears();
    assert_eq!(asked.head().id.as_deref(), Some("bad"));
    play.gateway.say(&format!(
        "<iq type='error' from='{GATEWAY}' to='{HERE}' id='bad'><error type='modify'>\
         <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ));
    let refused = hears(&mut play.romeo, |it| it.attr("id") == Some("bad"));
    assert_eq!(condition(&refused).as_deref(), Some("not-acceptable"));
}

// §4.3 to §4.7
#[test]
fn a_gateway_hears_who_comes_and_goes_and_who_wants_to_see_whom() {
    let mut play = Play::begin();
    play.romeo.send(format!(
        "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='{GATEWAY}' name='AIM'/></query></iq>"
    ));
    play.has(GATEWAY, "none");
    play.befriend(GATEWAY);
    play.befriend(NURSE);

    // Whoever changes, goes and comes is seen by the gateway and by those behind it.
    for (said, ty) in [
        ("<presence><show>dnd</show></presence>", None),
        ("<presence type='unavailable'/>", Some("unavailable")),
        ("<presence/>", None),
    ] {
        play.romeo.send(said);
        let mut missing = vec![GATEWAY, NURSE];
        while !missing.is_empty() {
            let stanza = play.gateway.hears();
            missing.retain(|to| !is_presence(&stanza, ty, HERE, to));
        }
    }
    // Who is no contact may log in and out by presence to the gateway alone, also by losing the connection.
    let mut paris = log_in(&play.stage, "paris@localhost");
    paris.send(format!("<presence to='{GATEWAY}'/>"));
    play.told(None, "paris@localhost/here", GATEWAY);
    drop(paris);
    play.told(Some("unavailable"), "paris@localhost/here", GATEWAY);

    // A contact is deleted (§4.7).
    play.romeo.send(format!(
        "<iq type='set' id='d'><query xmlns='jabber:iq:roster'><item jid='{NURSE}' subscription='remove'/></query></iq>"
    ));
    let mut missing = vec![
        (Some("unsubscribe"), ROMEO),
        (Some("unsubscribed"), ROMEO),
        (Some("unavailable"), HERE),
    ];
    while !missing.is_empty() {
        let stanza = play.gateway.hears();
        missing.retain(|(ty, from)| !is_presence(&stanza, *ty, from, NURSE));
    }
    // The gateway ends it (§4.3): what Romeo does is no concern of it any more.
    play.tells(Some("unsubscribe"), GATEWAY, ROMEO);
    play.told(Some("unavailable"), HERE, GATEWAY);
    play.told(Some("unsubscribed"), ROMEO, GATEWAY);
    play.tells(Some("unsubscribed"), GATEWAY, ROMEO);
    play.has(GATEWAY, "none");
    play.romeo.send("<presence><show>away</show></presence>");
    play.romeo.send(format!("<message to='{GATEWAY}'><body>after all</body></message>"));
    let next = play.gateway.hears();
    assert_eq!(next.kind().name(), "message", "{next:?}");
}

// §4.3: he has had enough of it.
#[test]
fn who_unregisters_is_let_go_by_the_gateway_and_by_those_behind_it() {
    let mut play = Play::begin();
    play.befriend(GATEWAY);
    play.befriend(NURSE);
    play.asks("set", "<query xmlns='jabber:iq:register'><remove/></query>", "");
    // It cancels what was between them, and is not there any more for him.
    for ty in ["unsubscribe", "unsubscribed", "unavailable"] {
        play.tells(Some(ty), GATEWAY, ROMEO);
    }
    play.has(GATEWAY, "none");
    play.hears(Some("unavailable"), GATEWAY);
    play.told(Some("unavailable"), HERE, GATEWAY);
    // His client deletes it and all that it had brought.
    play.deletes(GATEWAY);
    play.deletes(NURSE);
    let mut missing = vec![
        (Some("unsubscribe"), ROMEO),
        (Some("unsubscribed"), ROMEO),
        (Some("unavailable"), HERE),
    ];
    while !missing.is_empty() {
        let stanza = play.gateway.hears();
        missing.retain(|(ty, from)| !is_presence(&stanza, *ty, from, NURSE));
    }
    play.romeo.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    let roster = hears(&mut play.romeo, |it| it.attr("id") == Some("r"));
    let roster = roster.child("query", "jabber:iq:roster").unwrap();
    assert_eq!(roster.children().count(), 0, "{roster:?}");
    play.romeo.send("<presence><show>away</show></presence>");
    play.hears_next("last");
}

// §4.6.2
#[test]
fn somebody_of_the_other_network_may_decline_to_be_seen() {
    let mut play = Play::begin();
    play.says("subscribe", NURSE);
    hears(&mut play.romeo, |it| asks(it, NURSE) == Some(true));
    play.told(Some("subscribe"), ROMEO, NURSE);
    play.tells(Some("unsubscribed"), NURSE, ROMEO);
    // The roster does not say any more that he waits.
    play.has(NURSE, "none");
    // Nor is anything of him shown to her.
    play.romeo.send("<presence><show>away</show></presence>");
    play.hears_next("last");
    // He may ask again.
    play.says("subscribe", NURSE);
    play.told(Some("subscribe"), ROMEO, NURSE);
}

// §4.8
#[test]
fn what_cannot_be_written_to_somebody_there_comes_back_with_the_gateways_reason() {
    let mut play = Play::begin();
    for (condition_there, ty) in [
        ("item-not-found", "cancel"),
        ("registration-required", "auth"),
        ("service-unavailable", "cancel"),
        ("remote-server-timeout", "wait"),
    ] {
        play.romeo.send(format!(
            "<message to='{NURSE}' type='chat' id='{condition_there}'><body>Art thou there?</body></message>"
        ));
        let written = play.gateway.hears();
        let head = written.head();
        assert_eq!(head.id.as_deref(), Some(condition_there), "{written:?}");
        assert_eq!(head.from.as_ref().map(|it| it.as_str()), Some(HERE));
        assert_eq!(head.to.as_ref().map(|it| it.as_str()), Some(NURSE));
        play.gateway.say(&format!(
            "<message type='error' from='{NURSE}' to='{HERE}' id='{condition_there}'><error type='{ty}'>\
             <{condition_there} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        ));
        let refused = hears(&mut play.romeo, |it| it.attr("id") == Some(condition_there));
        assert_eq!(refused.attr("type"), Some("error"));
        assert_eq!(refused.attr("from"), Some(NURSE));
        assert_eq!(condition(&refused).as_deref(), Some(condition_there));
    }
}

// §8, rule 6; §5
#[test]
fn a_gateway_that_starts_again_learns_who_is_there_and_people_of_its_network_write_and_ask() {
    let mut play = Play::begin();
    play.befriend(GATEWAY);
    play.gateway.hang_up();
    play.gateway = Program::connect(play.address, GATEWAY);
    play.tells(Some("probe"), GATEWAY, ROMEO);
    play.told(None, HERE, GATEWAY);
    play.tells(None, GATEWAY, ROMEO);
    play.hears(None, GATEWAY);

    // Somebody there wants to see him; he denies it, and then does not (§5.1).
    play.tells(Some("subscribe"), NURSE, ROMEO);
    play.hears(Some("subscribe"), NURSE);
    play.says("unsubscribed", NURSE);
    play.told(Some("unsubscribed"), ROMEO, NURSE);
    play.befriend(NURSE);
    // And gives him up again (§5.2).
    for ty in ["unsubscribe", "unsubscribed", "unavailable"] {
        play.tells(Some(ty), NURSE, ROMEO);
    }
    play.has(NURSE, "none");

    // Who is away finds what was written to him (§5.3).
    play.romeo.send("</stream:stream>");
    while play.romeo.next().is_some() {}
    play.told(Some("unavailable"), HERE, GATEWAY);
    play.gateway.say(&format!(
        "<message from='{NURSE}' to='{ROMEO}' type='chat'><body>Art thou not Romeo?</body></message>"
    ));
    play.gateway.say(&format!(
        "<iq type='get' from='{GATEWAY}' to='localhost' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"
    ));
    while play.gateway.hears().head().id.as_deref() != Some("p") {}
    play.romeo = super::land::arrive(&play.stage, ROMEO);
    let heard = hears_body(&mut play.romeo, "Art thou not Romeo?");
    assert_eq!(heard.attr("from"), Some(NURSE));
    // He has logged in with the gateway by that (§4.4).
    play.told(None, HERE, GATEWAY);
}

// RFC 6120 §8.3.3.17: a gateway has no server that says its requests again for it.
#[test]
fn a_gateway_hears_that_its_request_does_not_arrive() {
    let address = free();
    let extra = format!(
        "[listen]\ncomponent = ['{address}']\n[[component]]\nname = 'irc.a.example'\nsecret = 'secret'\n\
         [s2s]\nwait_seconds = 1\n[s2s.route]\n'c.example' = '{}'\n",
        free()
    );
    let _land = Land::start_with(Proof::Certificate, &extra);
    let mut gateway = Program::connect(address, "irc.a.example");
    gateway.say("<presence from='irc.a.example' to='romeo@c.example' type='subscribe' id='s'/>");
    let error = gateway.hears();
    assert!(is_presence(&error, Some("error"), "romeo@c.example", "irc.a.example"), "{error:?}");
    let error = error.child("error", "").unwrap();
    assert_eq!(error.children().next().unwrap().name(), "remote-server-timeout");
}
