//! XEP-0313 on trial.

use std::time::Duration;

use xmpp::{Element, ns};

use super::{Account, Sent, condition, to};

/// A query whose results and answer are taken apart.
struct Page {
    bodies: Vec<String>,
    ids: Vec<String>,
    results: Vec<Element>,
    answer: Element,
}

fn query(account: &mut Account, session: u64, inner: &str) -> Page {
    let xml = format!(
        "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2' queryid='f27'>{inner}</query></iq>"
    );
    let sent = account.says(session, &xml);
    assert!(sent.iter().all(|sent| sent.session == Some(session)));
    let (answer, results) = sent.split_last().unwrap();
    assert_eq!(answer.xml.name(), "iq", "the answer comes last");
    let results: Vec<Element> = results.iter().map(|sent| sent.xml.clone()).collect();
    let result = |message: &Element| message.child("result", ns::MAM).unwrap().clone();
    Page {
        bodies: results.iter().map(|message| body(message_in(message))).collect(),
        ids: results.iter().map(|m| result(m).attr("id").unwrap().to_owned()).collect(),
        results,
        answer: answer.xml.clone(),
    }
}

fn message_in(wrapper: &Element) -> &Element {
    let result = wrapper.child("result", ns::MAM).unwrap();
    let forwarded = result.child("forwarded", ns::FORWARD).unwrap();
    forwarded.child("message", ns::CLIENT).unwrap()
}

fn body(message: &Element) -> String {
    message.child("body", ns::CLIENT).map(Element::text).unwrap_or_default()
}

/// What is in the archive.
pub(super) fn archived(account: &mut Account, session: u64) -> Vec<String> {
    query(account, session, "").bodies
}

fn form(var: &str, value: &str) -> String {
    format!(
        "<x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>\
         <field var='{var}'><value>{value}</value></field></x>"
    )
}

fn hears(account: &mut Account, from: &str, text: &str) -> Vec<Sent> {
    account.trial.advance(Duration::from_secs(1));
    account.hears(&format!(
        "<message type='chat' id='m-{text}' from='{from}' to='romeo@montague.lit'>\
         <body>{text}</body></message>"
    ))
}

/// Five messages with Juliet and one of the nurse, a second apart.
fn account() -> Account {
    let mut account = Account::new();
    account.bind(1, "orchard");
    hears(&mut account, "juliet@capulet.lit/balcony", "one");
    hears(&mut account, "juliet@capulet.lit/chamber", "two");
    account.trial.advance(Duration::from_secs(1));
    account.says(
        1,
        "<message type='chat' to='juliet@capulet.lit/balcony'><body>three</body></message>",
    );
    hears(&mut account, "nurse@capulet.lit/house", "four");
    hears(&mut account, "juliet@capulet.lit/balcony", "five");
    account
}

#[test]
fn both_sides_of_a_conversation_are_kept_once_and_shown_in_order() {
    let mut account = account();
    let page = query(&mut account, 1, "");
    assert_eq!(page.bodies, ["one", "two", "three", "four", "five"]);
    let fin = page.answer.child("fin", ns::MAM).unwrap();
    assert_eq!(fin.attr("complete"), Some("true"));
    let set = fin.child("set", ns::RSM).unwrap();
    assert_eq!(set.child("first", ns::RSM).unwrap().text(), page.ids[0]);
    assert_eq!(set.child("last", ns::RSM).unwrap().text(), page.ids[4]);
    let first = &page.results[0];
    assert_eq!(first.attr("from"), Some("romeo@montague.lit"));
    assert_eq!(first.attr("to"), Some("romeo@montague.lit/orchard"));
    assert_eq!(first.child("result", ns::MAM).unwrap().attr("queryid"), Some("f27"));
    let message = message_in(first);
    assert_eq!(message.attr("from"), Some("juliet@capulet.lit/balcony"));
    assert_eq!(message.attr("to"), Some("romeo@montague.lit"));
    assert_eq!(message.attr("id"), Some("m-one"));
    assert_eq!(message_in(&page.results[2]).attr("from"), Some("romeo@montague.lit/orchard"));
}

#[test]
fn the_recipient_learns_the_id_under_which_a_message_is_kept() {
    let mut account = account();
    let sent = hears(&mut account, "juliet@capulet.lit/balcony", "six");
    let ids: Vec<_> =
        to(&sent, 1)[0].children().filter(|child| child.is("stanza-id", ns::STANZA_ID)).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(ids[0].attr("by"), Some("romeo@montague.lit"));
    let page = query(&mut account, 1, "");
    assert_eq!(page.ids.last().map(String::as_str), ids[0].attr("id"));
    let delay = page.results[5].child("result", ns::MAM).unwrap();
    let delay = delay.child("forwarded", ns::FORWARD).unwrap().child("delay", ns::DELAY).unwrap();
    let stamp = xmpp::datetime::parse(delay.attr("stamp").unwrap()).unwrap();
    assert_eq!(format!("{stamp:016x}"), page.ids[5]);
}

#[test]
fn filters_and_pages_select() {
    let mut account = account();
    let all = query(&mut account, 1, "").ids;
    let set = |inner: &str| format!("<set xmlns='{}'>{inner}</set>", ns::RSM);
    let start = xmpp::datetime::format(u64::from_str_radix(&all[3], 16).unwrap());
    let cases: [(String, &[&str]); 14] = [
        (form("with", "juliet@capulet.lit"), &["one", "two", "three", "five"]),
        (form("with", "juliet@capulet.lit/balcony"), &["one", "three", "five"]),
        (form("with", "nobody@capulet.lit"), &[]),
        (form("start", &start), &["four", "five"]),
        (form("end", &start), &["one", "two", "three", "four"]),
        (form("after-id", &all[2]), &["four", "five"]),
        (form("before-id", &all[2]), &["one", "two"]),
        (form("ids", &all[1]), &["two"]),
        (set("<max>2</max>"), &["one", "two"]),
        (set(&format!("<max>2</max><after>{}</after>", all[1])), &["three", "four"]),
        (set("<max>2</max><before/>"), &["four", "five"]),
        (set(&format!("<max>2</max><before>{}</before>", all[3])), &["two", "three"]),
        (set("<max>0</max>"), &[]),
        (format!("{}<flip-page/>", set("<max>2</max><before/>")), &["five", "four"]),
    ];
    for (inner, expected) in cases {
        assert_eq!(query(&mut account, 1, &inner).bodies, expected, "{inner}");
    }
    let page = query(&mut account, 1, &set("<max>2</max>"));
    assert_eq!(page.answer.child("fin", ns::MAM).unwrap().attr("complete"), None);
}

#[test]
fn ids_that_are_not_in_the_archive_are_not_found() {
    let mut account = account();
    let id = "0000000000000001";
    let after = format!("<set xmlns='{}'><after>{id}</after></set>", ns::RSM);
    for inner in [form("ids", id), form("after-id", id), form("before-id", id), after] {
        let page = query(&mut account, 1, &inner);
        assert!(page.bodies.is_empty());
        assert_eq!(condition(&page.answer), "item-not-found", "{inner}");
    }
    let unknown = query(&mut account, 1, &form("{urn:x}text", "love"));
    assert_eq!(condition(&unknown.answer), "feature-not-implemented");
}

#[test]
fn an_empty_archive_answers_with_nothing() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    let page = query(&mut account, 1, "");
    assert!(page.bodies.is_empty());
    let fin = page.answer.child("fin", ns::MAM).unwrap();
    assert_eq!(fin.attr("complete"), Some("true"));
    assert!(fin.child("set", ns::RSM).is_some());
    let metadata = account.asks(1, "get", "<metadata xmlns='urn:xmpp:mam:2'/>");
    assert_eq!(metadata.child("metadata", ns::MAM).unwrap().children().count(), 0);
}

#[test]
fn metadata_names_the_ends_of_the_archive() {
    let mut account = account();
    let ids = query(&mut account, 1, "").ids;
    let answer = account.asks(1, "get", "<metadata xmlns='urn:xmpp:mam:2'/>");
    let metadata = answer.child("metadata", ns::MAM).unwrap();
    let id = |name| metadata.child(name, ns::MAM).unwrap().attr("id").map(str::to_owned);
    assert_eq!((id("start"), id("end")), (Some(ids[0].clone()), Some(ids[4].clone())));
}

#[test]
fn the_form_is_given_and_nobody_else_may_ask() {
    let mut account = account();
    let form = account.asks(1, "get", "<query xmlns='urn:xmpp:mam:2'/>");
    assert!(form.child("query", ns::MAM).unwrap().child("x", ns::DATA_FORMS).is_some());
    for (ty, name) in [("set", "query"), ("get", "query"), ("get", "metadata"), ("get", "prefs")] {
        let payload = format!("<{name} xmlns='urn:xmpp:mam:2'/>");
        let answer = account.is_asked("juliet@capulet.lit/balcony", ty, &payload);
        assert_eq!(condition(&answer), "forbidden");
    }
}

#[test]
fn ids_grow_when_the_clock_stands_still() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    for text in ["a", "b", "c"] {
        account.hears(&format!(
            "<message from='juliet@capulet.lit/b' to='romeo@montague.lit'><body>{text}</body></message>"
        ));
    }
    let page = query(&mut account, 1, "");
    assert_eq!(page.bodies, ["a", "b", "c"]);
    assert!(page.ids.is_sorted());
}

#[test]
fn a_note_to_self_is_kept_once_and_found_by_ones_own_address() {
    let mut account = account();
    let note = "<message type='chat' to='romeo@montague.lit'><body>note</body></message>";
    let sent = account.says(1, note);
    let mut out: Vec<_> = sent.into_iter().filter(|sent| sent.session.is_none()).collect();
    let mut bytes = Vec::new();
    out.remove(0).stanza.write(&mut bytes);
    account.hears(str::from_utf8(&bytes).unwrap());
    assert_eq!(query(&mut account, 1, &form("with", "romeo@montague.lit")).bodies, ["note"]);
}

#[test]
fn what_must_not_be_kept_is_delivered_and_not_kept() {
    let mut account = Account::new();
    account.bind(1, "orchard");
    let sent = account.hears(
        "<message type='chat' from='juliet@capulet.lit/b' to='romeo@montague.lit/orchard'>\
         <body>secret</body><no-store xmlns='urn:xmpp:hints'/></message>",
    );
    assert_eq!(to(&sent, 1).len(), 1);
    assert!(to(&sent, 1)[0].child("stanza-id", ns::STANZA_ID).is_none());
    assert!(archived(&mut account, 1).is_empty());
}

#[test]
fn a_message_that_was_taken_is_delivered_though_the_store_refuses() {
    let mut account = account();
    account.memory.refuse_writes(Some(store::Error::Full("the disk")));
    let sent = hears(&mut account, "juliet@capulet.lit/balcony", "six");
    assert_eq!(sent.len(), 1, "delivered, and no error: {sent:?}");
    account.memory.refuse_writes(None);
    assert_eq!(archived(&mut account, 1).len(), 5);
}

#[test]
fn results_come_from_archives_and_not_from_clients() {
    let mut account = account();
    let message = |from: &str| {
        format!(
            "<message from='{from}' to='romeo@montague.lit/orchard'>\
             <result xmlns='urn:xmpp:mam:2' id='1'/></message>"
        )
    };
    let results = |sent: &[Sent]| to(sent, 1)[0].children().filter(|c| c.ns() == ns::MAM).count();
    assert_eq!(results(&account.hears(&message("tybalt@capulet.lit/sword"))), 0);
    assert_eq!(results(&account.hears(&message("room@muc.capulet.lit"))), 1);
}

// §3.1: the order in which messages came, whatever clocks say.
#[test]
fn order_is_kept_where_the_clock_is_set_back_while_the_account_sleeps() {
    let mut account = account();
    let last = query(&mut account, 1, "").ids[4].clone();
    account.trial.now.unix_micros -= 3_600_000_000;
    account.restart();
    account.bind(1, "orchard");
    hears(&mut account, "juliet@capulet.lit/balcony", "six");
    account.trial.now.unix_micros -= 3_600_000_000;
    account.restart();
    account.bind(1, "orchard");
    let message = "<message type='chat' to='juliet@capulet.lit'><body>seven</body></message>";
    account.says(1, message);
    let page = query(&mut account, 1, "");
    assert_eq!(page.bodies, ["one", "two", "three", "four", "five", "six", "seven"]);
    let behind = format!("<set xmlns='http://jabber.org/protocol/rsm'><after>{last}</after></set>");
    assert_eq!(query(&mut account, 1, &behind).bodies, ["six", "seven"]);
}
