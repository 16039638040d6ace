//! XEP-0163 on trial: who gets what where the stories cannot see it, and what becomes of a refused change.

use xmpp::{Element, ns};

use super::{Account, Sent, condition, to};
use crate::config::{Accounts, Config};
use crate::pep::caps::{Cache, Caps};
use crate::pep::interest;
use crate::roster::Subscription;

const CAPS: &str = "<c xmlns='http://jabber.org/protocol/caps' node='urn:c' ver='1'/>";
const HER: &str = "juliet@capulet.lit/balcony";

fn account() -> Account {
    let mut account = Account::new();
    account.bind(1, "orchard");
    account
}

fn publish(account: &mut Account, id: &str) -> Vec<Sent> {
    account.says(1, &format!("<iq type='set' id='p'>{}</iq>", publishing(id)))
}

fn publishing(id: &str) -> String {
    format!(
        "<pubsub xmlns='{}'><publish node='urn:x:tune'><item id='{id}'><tune xmlns='urn:x:tune'/></item></publish></pubsub>",
        ns::PUBSUB
    )
}

/// Juliet's client shows itself, is asked, and answers that it wants tunes.
fn arrives(account: &mut Account, from: &str) -> Vec<Sent> {
    let presence = format!("<presence from='{from}' to='{}'>{CAPS}</presence>", super::ROMEO);
    let sent = account.hears(&presence);
    let asked = sent.iter().find(|sent| sent.xml.child("query", ns::DISCO_INFO).is_some());
    let id = asked.expect("she is asked").xml.attr("id").unwrap().to_owned();
    account.hears(&format!(
        "<iq type='result' id='{id}' from='{from}' to='{}'><query xmlns='{}'>\
         <feature var='urn:x:tune+notify'/></query></iq>",
        super::ROMEO,
        ns::DISCO_INFO
    ))
}

/// To whom events go.
fn events(sent: &[Sent]) -> Vec<&str> {
    let is_event = |sent: &&Sent| sent.xml.child("event", ns::PUBSUB_EVENT).is_some();
    sent.iter().filter(is_event).map(|sent| sent.xml.attr("to").unwrap()).collect()
}

#[test]
fn a_contact_that_has_gone_or_is_blocked_or_lost_its_subscription_gets_nothing() {
    let mut account = account();
    account.subscribe("juliet@capulet.lit");
    arrives(&mut account, HER);
    assert_eq!(events(&publish(&mut account, "a")), [HER]);
    account.hears(&format!("<presence type='unavailable' from='{HER}' to='{}'/>", super::ROMEO));
    assert!(events(&publish(&mut account, "b")).is_empty());
    assert_eq!(events(&arrives(&mut account, HER)), [HER], "the last item");
    let block = "<block xmlns='urn:xmpp:blocking'><item jid='juliet@capulet.lit'/></block>";
    account.asks(1, "set", block);
    assert!(events(&publish(&mut account, "c")).is_empty());
    account.asks(
        1,
        "set",
        &block.replace("block", "unblock").replace("xmpp:unblock", "xmpp:block"),
    );
    assert_eq!(events(&publish(&mut account, "d")), [HER]);
    account.asks(
        1,
        "set",
        "<query xmlns='jabber:iq:roster'><item jid='juliet@capulet.lit' subscription='remove'/></query>",
    );
    assert!(events(&publish(&mut account, "e")).is_empty());
}

#[test]
fn strangers_are_neither_asked_nor_told() {
    let mut account = account();
    publish(&mut account, "a");
    let presence = format!("<presence from='{HER}' to='{}'>{CAPS}</presence>", super::ROMEO);
    let sent = account.hears(&presence);
    assert!(sent.iter().all(|sent| sent.xml.name() == "presence"), "{sent:?}");
}

// An answer to a probe of a newcomer of ours: she has been there, and has seen what there was.
#[test]
fn who_answers_a_probe_is_told_of_what_is_new_since_the_account_listens() {
    let mut account = account();
    account.subscribe("juliet@capulet.lit");
    publish(&mut account, "old");
    account.trial.advance(std::time::Duration::from_secs(9));
    let now = account.trial.now.unix_micros;
    account.trial.act(|user, _| user.sessions.get_mut(1).unwrap().takes_since = Some(now));
    let probed = |account: &mut Account, from: &str| {
        let to = format!("{}/orchard", super::ROMEO);
        let sent = account.hears(&format!("<presence from='{from}' to='{to}'>{CAPS}</presence>"));
        let asked = sent.iter().find(|sent| sent.xml.child("query", ns::DISCO_INFO).is_some());
        let id = asked.expect("she is asked").xml.attr("id").unwrap().to_owned();
        account.hears(&format!(
            "<iq type='result' id='{id}' from='{from}' to='{}'><query xmlns='{}'>\
             <feature var='urn:x:tune+notify'/></query></iq>",
            super::ROMEO,
            ns::DISCO_INFO
        ))
    };
    assert!(events(&probed(&mut account, HER)).is_empty());
    account.trial.advance(std::time::Duration::from_secs(9));
    assert_eq!(events(&publish(&mut account, "new")), [HER]);
    let window = "juliet@capulet.lit/window";
    assert_eq!(events(&probed(&mut account, window)), [window]);
}

#[test]
fn when_a_former_owner_is_gone_contacts_are_asked_once_and_told_what_is_new() {
    let mut account = account();
    account.shares("juliet@capulet.lit", Subscription::Both);
    publish(&mut account, "old");
    account.trial.advance(std::time::Duration::from_secs(9));
    account.trial.act(|user, cx| interest::lose(user, cx.now.unix_micros));
    account.trial.advance(std::time::Duration::from_secs(9));
    let probes = |sent: &[Sent]| {
        let to = |sent: &Sent| sent.xml.attr("to").map(str::to_owned);
        let probes = sent.iter().filter(|sent| sent.xml.attr("type") == Some("probe"));
        probes.filter_map(to).collect::<Vec<_>>()
    };
    assert_eq!(probes(&publish(&mut account, "new")), ["juliet@capulet.lit"]);
    assert_eq!(events(&arrives(&mut account, HER)), [HER]);
    let later = publish(&mut account, "newer");
    assert!(probes(&later).is_empty());
    assert_eq!(events(&later), [HER]);
}

#[test]
fn who_has_seen_all_before_a_former_owner_was_gone_is_told_nothing_twice() {
    let mut account = account();
    account.subscribe("juliet@capulet.lit");
    publish(&mut account, "old");
    account.trial.advance(std::time::Duration::from_secs(9));
    account.trial.act(|user, cx| interest::lose(user, cx.now.unix_micros));
    assert!(events(&arrives(&mut account, HER)).is_empty());
}

#[test]
fn a_change_that_the_store_refuses_has_not_happened() {
    let mut account = account();
    publish(&mut account, "a");
    account.memory.refuse_writes(Some(store::Error::Full("test")));
    let sent = publish(&mut account, "b");
    assert_eq!(condition(to(&sent, 1)[0]), "resource-constraint");
    assert!(events(&sent).is_empty());
    account.memory.refuse_writes(None);
    let items = format!("<pubsub xmlns='{}'><items node='urn:x:tune'/></pubsub>", ns::PUBSUB);
    let answer = account.asks(1, "get", &items);
    let items = answer.child("pubsub", ns::PUBSUB).and_then(|it| it.child("items", ns::PUBSUB));
    let ids: Vec<_> = items.unwrap().children().filter_map(|item| item.attr("id")).collect();
    assert_eq!(ids, ["a"]);
    assert_eq!(account.asks(1, "set", &publishing("c")).attr("type"), Some("result"));
}

#[test]
fn nodes_and_their_items_outlive_the_process_and_have_an_end() {
    let mut account = Account::with(Config::from(Accounts { nodes: 1, ..Accounts::default() }));
    account.bind(1, "orchard");
    publish(&mut account, "a");
    account.restart();
    account.bind(1, "orchard");
    let items = format!("<pubsub xmlns='{}'><items node='urn:x:tune'/></pubsub>", ns::PUBSUB);
    let answer = account.is_asked("romeo@montague.lit/orchard", "get", &items);
    let text = String::from_utf8(answer.to_bytes()).unwrap();
    assert!(text.contains("<item id='a'><tune xmlns='urn:x:tune'/></item>"), "{text}");
    let another = publishing("a").replace("node='urn:x:tune'", "node='urn:x:mood'");
    assert_eq!(condition(&account.asks(1, "set", &another)), "resource-constraint");
}

#[test]
fn the_cache_forgets_the_oldest_hash() {
    let cache = Cache::default();
    let caps = |number: usize| Caps {
        algorithm: "sha-1".into(),
        hash: number.to_string(),
        node: format!("urn:c#{number}"),
    };
    for number in 0..=10_000 {
        cache.put(&caps(number), std::sync::Arc::new([]));
    }
    assert!(cache.get(&caps(0)).is_none() && cache.get(&caps(1)).is_some());
    assert!(cache.get(&Caps { node: "urn:xmpp:caps#sha-1.1".into(), ..caps(1) }).is_none());
}

// XEP-0115 §5.2; XEP-0390 §4.5.1
#[test]
fn hashes_of_both_kinds_are_verified() {
    let read = |inner: &str| {
        let xml = format!("<query xmlns='{}'>{inner}</query>", ns::DISCO_INFO);
        xmpp::disco::Info::read(&Element::parse(xml.as_bytes()).unwrap())
    };
    let exodus = read(
        "<identity category='client' name='Exodus 0.9.1' type='pc'/>\
         <feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>\
         <feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>",
    );
    let first = Caps {
        algorithm: "sha-1".into(),
        hash: "QgayPKawpkPSDYmwT/WM94uAlu0=".into(),
        node: "urn:c#QgayPKawpkPSDYmwT/WM94uAlu0=".into(),
    };
    assert!(first.verify(&exodus));
    assert!(!Caps { hash: "other".into(), ..first.clone() }.verify(&exodus));
    assert!(!Caps { algorithm: "md5".into(), ..first }.verify(&exodus));
    let features =
        "si bytestreams chatstates disco#info disco#items rosterx ibb si/profile/file-transfer";
    let jabber = features.split(' ').map(|it| format!("http://jabber.org/protocol/{it}"));
    let others = "urn:xmpp:ping jabber:iq:time jabber:iq:privacy jabber:iq:version urn:xmpp:time jabber:x:oob \
                  urn:xmpp:receipts jabber:iq:roster jabber:iq:last";
    let all = jabber.chain(others.split_ascii_whitespace().map(str::to_owned));
    let all: String = all.map(|var| format!("<feature var='{var}'/>")).collect();
    let bombus =
        read(&format!("<identity category='client' name='BombusMod' type='mobile'/>{all}"));
    let hash = "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=";
    let second = Caps {
        algorithm: "sha-256".into(),
        hash: hash.into(),
        node: format!("urn:xmpp:caps#sha-256.{hash}"),
    };
    assert!(second.verify(&bombus));
}

// XEP-0060 §8.6
#[test]
fn an_owner_who_was_away_is_asked_when_he_comes() {
    let mut account = account();
    let field = "<field var='pubsub#access_model'><value>authorize</value></field>";
    let options = format!(
        "<publish-options><x xmlns='jabber:x:data' type='submit'>{field}</x></publish-options>"
    );
    account.asks(1, "set", &publishing("a").replace("</publish>", &format!("</publish>{options}")));
    account.end(1);
    let subscribe = format!(
        "<pubsub xmlns='{}'><subscribe node='urn:x:tune' jid='{HER}'/></pubsub>",
        ns::PUBSUB
    );
    account.hears(&format!(
        "<iq type='set' id='s' from='{HER}' to='{}'>{subscribe}</iq>",
        super::ROMEO
    ));
    let jid = super::romeo().with_resource("window").unwrap();
    let id = proto::SessionId { account: super::romeo(), uid: 2 };
    account.trial.entity.sessions.insert(crate::sessions::SessionEntry::new(id, jid));
    let sent = account.says(2, "<presence/>");
    let asked = to(&sent, 2).into_iter().filter(|it| it.child("x", ns::DATA_FORMS).is_some());
    assert_eq!(asked.count(), 1, "{sent:?}");
}
