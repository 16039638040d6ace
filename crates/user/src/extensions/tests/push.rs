//! XEP-0357 on trial.

use xmpp::Element;

use super::{Account, Sent};
use crate::Config;
use crate::config::{Accounts, Push};

const ENABLE: &str = "<enable xmlns='urn:xmpp:push:0' jid='push.x.org' node='n1'/>";
const HELLO: &str = "<message type='chat' from='juliet@capulet.lit/balcony' to='romeo@montague.lit'>\
    <body>hello</body></message>";

/// A phone that has named a service; nobody is told by a socket.
fn away(config: Config) -> Account {
    let mut account = Account::with(config);
    account.bind(1, "phone");
    assert_eq!(account.asks(1, "set", ENABLE).attr("type"), Some("result"));
    account.trial.entity.sessions.get_mut(1).unwrap().attached = false;
    account
}

/// The fields of what a service is told.
fn told(sent: &[Sent]) -> Option<Vec<(String, String)>> {
    let push = sent.iter().find(|it| it.xml.attr("to") == Some("push.x.org"))?;
    let form = ["pubsub", "publish", "item", "notification", "x"]
        .iter()
        .try_fold(&push.xml, |it, name| it.children().find(|child| child.name() == *name));
    let field = |it: &Element| {
        let value = it.children().next().map(Element::text).unwrap_or_default();
        (it.attr("var").unwrap_or_default().to_owned(), value)
    };
    Some(form?.children().skip(1).map(field).collect())
}

fn refuse(account: &mut Account, sent: &[Sent], error: &str) {
    let id = sent.iter().find_map(|it| it.xml.attr("id").filter(|id| id.starts_with("push-")));
    account.hears(&format!(
        "<iq type='error' id='{}' from='push.x.org' to='romeo@montague.lit'><error {error}</error></iq>",
        id.unwrap()
    ));
}

const GONE: &str = "type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";
const AWAY: &str =
    "type='cancel'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";

fn count(number: u32) -> Option<Vec<(String, String)>> {
    Some(vec![("message-count".to_owned(), number.to_string())])
}

#[test]
fn a_session_that_waits_to_be_resumed_has_its_service_told_and_counts() {
    let mut account = away(Config::default());
    assert_eq!(told(&account.hears(HELLO)), count(1));
    assert_eq!(told(&account.hears(HELLO)), count(2));
    account.trial.entity.sessions.get_mut(1).unwrap().attached = true;
    assert_eq!(told(&account.hears(HELLO)), None);
    account.trial.entity.sessions.get_mut(1).unwrap().attached = false;
    assert_eq!(told(&account.hears(HELLO)), count(1));
}

#[test]
fn what_a_client_that_was_cut_off_has_not_acknowledged_is_told_too() {
    let mut account = away(Config::default());
    account.trial.entity.sessions.get_mut(1).unwrap().attached = true;
    assert_eq!(told(&account.hears(HELLO)), None);
    let unacknowledged = vec![super::stanza(HELLO)];
    assert_eq!(told(&account.end_with(1, unacknowledged)), count(1));
}

#[test]
fn what_a_service_is_told_beside_is_the_operators_choice() {
    let mut account = away(Config { push: Push { sender: true, body: true }, ..Config::default() });
    let told = told(&account.hears(HELLO)).unwrap();
    let (sender, body) = ("juliet@capulet.lit/balcony".to_owned(), "hello".to_owned());
    assert_eq!(
        told[1..],
        [("last-message-sender".into(), sender), ("last-message-body".into(), body)]
    );
}

#[test]
fn a_service_outlives_the_process_until_it_refuses() {
    let mut account = away(Config::default());
    account.restart();
    let sent = account.hears(HELLO);
    assert_eq!(told(&sent), count(1));
    refuse(&mut account, &sent, GONE);
    assert_eq!(told(&account.hears(HELLO)), None);
    account.restart();
    assert_eq!(told(&account.hears(HELLO)), None);
}

#[test]
fn a_service_that_is_out_of_reach_is_given_up_after_some_tries() {
    let mut account = away(Config::default());
    for number in 1..=16 {
        let sent = account.hears(HELLO);
        assert_eq!(told(&sent), count(number), "{number}");
        refuse(&mut account, &sent, AWAY);
    }
    assert_eq!(told(&account.hears(HELLO)), None);
}

#[test]
fn services_are_bounded() {
    let accounts = Accounts { push_services: 1, ..Accounts::default() };
    let mut account = away(Config::from(accounts));
    let more = ENABLE.replace("n1", "n2");
    assert_eq!(super::condition(&account.asks(1, "set", &more)), "resource-constraint");
    assert_eq!(account.asks(1, "set", ENABLE).attr("type"), Some("result"));
    let large =
        format!("<enable xmlns='urn:xmpp:push:0' jid='push.x.org' node='{}'/>", "n".repeat(9_000));
    assert_eq!(super::condition(&account.asks(1, "set", &large)), "policy-violation");
}
