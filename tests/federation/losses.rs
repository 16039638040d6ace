//! What does not reach another server, which is away, and how both ends come to agree again (RFC 6121 §3, XEP-0198).

use std::time::Duration;

use xmpp::Element;

use super::across::play_over_deaths_with;
use super::land::{Client, Land, Proof, condition, hears, log_in};

/// Neither server waits long for the other one.
const HURRY: &str = "[s2s]\nwait_seconds = 2\n";

const ROMEO: &str = "romeo@a.example";
const JULIET: &str = "juliet@b.example";

/// Says a word about a subscription to somebody whose server is away, until that is sure.
fn says_in_vain(client: &mut Client, word: &str, to: &str) {
    client.send(format!(
        "<presence to='{to}' type='{word}'/><message to='{to}' type='chat' id='lost'><body>hi</body></message>"
    ));
    let error = hears(client, |it| it.attr("id") == Some("lost"));
    assert_eq!(condition(&error).as_deref(), Some("remote-server-timeout"), "{error:?}");
}

/// Asks for the roster until a contact stands in it so.
fn until_stands(client: &mut Client, contact: &str, subscription: &str) {
    let stands = |roster: &Element| {
        let query = roster.child("query", xmpp::ns::ROSTER).unwrap();
        let mut items = query.children();
        let item = items.find(|item| item.attr("jid") == Some(contact));
        item.is_some_and(|item| item.attr("subscription") == Some(subscription))
    };
    loop {
        client.send("<iq type='get' id='again'><query xmlns='jabber:iq:roster'/></iq>");
        if stands(&hears(client, |it| it.attr("id") == Some("again"))) {
            return;
        }
        if let Some(news) = client.poll_for(Duration::from_millis(100)) {
            client.put_back(vec![news]);
        }
    }
}

// §3.1.2, §3.1.5, §3.2.2, §3.3.2: a word that the other server has not heard is said again until it has.
#[test]
fn words_about_subscriptions_are_said_until_the_other_server_hears_them() {
    let mut land = Land::start_each(Proof::Certificate, [HURRY, HURRY]);
    let (mut romeo, _) = land.lovers();
    land.b.kill();
    says_in_vain(&mut romeo, "subscribe", JULIET);
    land.b.restart();
    let mut juliet = log_in(&land.b, JULIET);
    hears(&mut juliet, |it| it.attr("type") == Some("subscribe"));

    land.a.kill();
    says_in_vain(&mut juliet, "subscribed", ROMEO);
    land.a.restart();
    let mut romeo = log_in(&land.a, ROMEO);
    until_stands(&mut romeo, JULIET, "to");
    until_stands(&mut juliet, ROMEO, "from");

    land.b.kill();
    says_in_vain(&mut romeo, "unsubscribe", JULIET);
    land.b.restart();
    let mut juliet = log_in(&land.b, JULIET);
    until_stands(&mut juliet, ROMEO, "none");

    // The other way round, what was given is taken back.
    juliet.send(format!("<presence to='{ROMEO}' type='subscribe'/>"));
    hears(&mut romeo, |it| it.attr("type") == Some("subscribe"));
    romeo.send(format!("<presence to='{JULIET}' type='subscribed'/>"));
    until_stands(&mut juliet, ROMEO, "to");
    land.b.kill();
    says_in_vain(&mut romeo, "unsubscribed", JULIET);
    land.b.restart();
    until_stands(&mut log_in(&land.b, JULIET), ROMEO, "none");
}

// XEP-0198 §4: what has not left is not acknowledged; what came back is.
#[test]
fn a_message_to_a_server_that_has_died_is_acknowledged_when_its_author_knows() {
    play_over_deaths_with(
        HURRY,
        "
        juliet        lives on b
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3'/>
        server b dies
        juliet/garden loses the stream
        romeo/phone   sends    <message to='{juliet}' type='chat' id='m'><body>hi</body></message>
        romeo/phone   sends    <iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone   receives <iq type='result' id='p'/>
        romeo/phone   sends    <r xmlns='urn:xmpp:sm:3'/>
        romeo/phone   receives <a xmlns='urn:xmpp:sm:3' h='0'/>
        romeo/phone   finds    <message from='{juliet}' type='error' id='m'>{error wait remote-server-timeout}…</message>
        romeo/phone   sends    <r xmlns='urn:xmpp:sm:3'/>
        romeo/phone   finds    <a xmlns='urn:xmpp:sm:3' h='2'/>
    ",
    );
}
