//! Rooms with very many people: what a list of 100,000 members costs (XEP-0045 §14.6 item 5).

use std::time::Duration;

use town::Client;
use town::client::Login;
use xmpp::{Element, ns};

use crate::security::bystander::{cpu_time, memory};
use crate::stage::{PASSWORD, Stage};

const ROOM: &str = "coven@conference.localhost";
const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const MEMBERS: usize = 100_000;

/// What the list may take of the server's memory: some hundred bytes for each.
const BYTES_MOST: u64 = 400 << 20;

/// The longest that the server's threads may work on all pages; in a debug build.
const WORK_MOST: Duration = Duration::from_secs(60);

fn crone(stage: &Stage) -> Client {
    let login =
        Login { address: stage.c2s, domain: "localhost", name: "crone", password: PASSWORD };
    let mut crone = Client::log_in(&login);
    crone.bind("desktop");
    crone
}

fn maker(stage: &Stage) -> Client {
    stage.add_accounts(&["crone"]);
    let mut crone = crone(stage);
    let persistent = "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
                      <field var='muc#roomconfig_persistentroom'><value>1</value></field>";
    crone.send(format!(
        "<presence to='{ROOM}/first'><x xmlns='http://jabber.org/protocol/muc'/></presence>\
         <iq type='set' id='c' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'>{persistent}</x></query></iq>\
         <presence type='unavailable' to='{ROOM}/first'/>"
    ));
    while crone.next().expect("a farewell").attr("type") != Some("unavailable") {}
    crone
}

fn ask(client: &mut Client, ty: &str, content: &str) -> Element {
    client.send(format!(
        "<iq type='{ty}' id='q' to='{ROOM}'><query xmlns='{ADMIN}'>{content}</query></iq>"
    ));
    let answer = client.next().expect("an answer");
    assert_eq!(answer.attr("type"), Some("result"), "{answer:?}");
    answer
}

/// How many there are, as a page says.
fn count(page: &Element) -> String {
    let set = page.child("query", ADMIN).and_then(|query| query.child("set", ns::RSM));
    set.and_then(|set| set.child("count", ns::RSM)).expect("a count").text()
}

// §9.5, §9.6 with XEP-0059 §2.2; §14.6 item 5
#[test]
fn a_hundred_thousand_members_are_listed_in_pages_and_there_again_after_a_restart() {
    let mut stage = Stage::start("[store]\nengine = 'embedded'\n");
    let mut owner = maker(&stage);
    let before = memory(stage.pid());
    for thousand in 0..MEMBERS / 1_000 {
        // The maker has an affiliation too.
        let numbers = thousand * 1_000..((thousand + 1) * 1_000).min(MEMBERS - 1);
        let item = |number| format!("<item affiliation='member' jid='m{number:06}@x.example'/>");
        ask(&mut owner, "set", &numbers.map(item).collect::<String>());
    }
    let bytes = memory(stage.pid()).saturating_sub(before);
    assert!(bytes < BYTES_MOST, "{bytes} bytes");
    let begun = cpu_time(stage.pid());
    let (mut listed, mut last) = (0, String::new());
    loop {
        let after = format!("<set xmlns='{}'><max>1000</max><after>{last}</after></set>", ns::RSM);
        let after = if last.is_empty() { String::new() } else { after };
        let answer = ask(&mut owner, "get", &format!("<item affiliation='member'/>{after}"));
        let query = answer.child("query", ADMIN).unwrap();
        let items = query.children().filter(|child| child.name() == "item").count();
        assert!(items <= 1_000);
        if items == 0 {
            break;
        }
        listed += items;
        assert_eq!(count(&answer), (MEMBERS - 1).to_string());
        let set = query.child("set", ns::RSM).unwrap();
        last = set.child("last", ns::RSM).unwrap().text();
    }
    assert_eq!(listed, MEMBERS - 1);
    let work = cpu_time(stage.pid()).saturating_sub(begun);
    assert!(work < WORK_MOST, "{work:?}");
    println!("{} MiB, {work:?}", bytes >> 20);
    stage.kill_and_restart();
    let page = ask(&mut crone(&stage), "get", "<item affiliation='member'/>");
    assert_eq!(count(&page), (MEMBERS - 1).to_string());
}
