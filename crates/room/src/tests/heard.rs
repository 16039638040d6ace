//! The lists of the rooms that somebody hears.

use std::sync::Arc;

use entity::trial::Trial;
use proto::{Body, Envelope, Hosts, Route, ServiceId, ServiceKind};
use store::memory::Memory;
use store::{Error, SharedStore};
use xmpp::{BareJid, Element, Stanza, kept, ns};

use crate::subscribers::Subscription;
use crate::{Heard, Shared, directory, heard};

/// The lists of people of another server.
fn trial(memory: &Arc<Memory>) -> (Route, Trial<Heard>) {
    let bare = |text| BareJid::parse(text).unwrap();
    let id = ServiceId { service: bare("chat.x.org"), kind: ServiceKind::Rooms, by: bare("y.org") };
    let route = Route::Service(Box::new(id));
    let hosts = Hosts::new([bare("x.org")], [bare("chat.x.org")]);
    let store = Arc::clone(memory) as SharedStore;
    let trial = Trial::new(&route, Arc::new(Shared::default()), hosts, store).unwrap();
    (route, trial)
}

fn request(from: &str) -> Stanza {
    let xml = format!(
        "<iq xmlns='jabber:client' type='get' id='q' from='{from}' to='chat.x.org'><subscriptions xmlns='urn:xmpp:mucsub:0'/></iq>"
    );
    kept::read(xml.as_bytes()).unwrap()
}

/// What a room says of somebody, who is answered.
fn word(room: &str, who: &str, nick: Option<&str>) -> Stanza {
    let bare = |text| BareJid::parse(text).unwrap();
    let asked = request(&format!("{who}/pda"));
    let subscription =
        nick.map(|nick| Subscription { nick: nick.into(), nodes: Default::default() });
    let content = heard::note(subscription.as_ref(), Some(&asked.result(None)));
    directory::word(bare(room).into(), bare(who).into(), content)
}

fn stanza(sent: Vec<Envelope>) -> Stanza {
    let [envelope] = <[Envelope; 1]>::try_from(sent).unwrap();
    let Body::Stanza(stanza) = envelope.body else { panic!("not a stanza") };
    stanza
}

/// The rooms of somebody, with their nicks.
fn rooms((route, trial): &mut (Route, Trial<Heard>), who: &str) -> Vec<(String, String)> {
    let answer = trial.receive(route.clone(), Body::Stanza(request(&format!("{who}/pda"))));
    let list = stanza(answer).child("subscriptions", ns::MUCSUB).unwrap();
    let attr = |line: &Element, name| line.attr(name).unwrap().to_owned();
    list.children().map(|line| (attr(line, "jid"), attr(line, "nick"))).collect()
}

#[test]
fn each_finds_his_own_rooms_as_they_are_now() {
    let memory = Arc::new(Memory::new());
    let mut lists = trial(&memory);
    for (room, who, nick) in [
        ("coven@chat.x.org", "hag@y.org", Some("hag")),
        ("heath@chat.x.org", "hag@y.org", Some("hag")),
        ("coven@chat.x.org", "ha@y.org", Some("other")),
        ("coven@chat.x.org", "hag@y.org", Some("witch")),
        ("heath@chat.x.org", "hag@y.org", None),
    ] {
        let answer = lists.1.receive(lists.0.clone(), Body::Stanza(word(room, who, nick)));
        assert_eq!(stanza(answer).kind().type_str(), Some("result"));
    }
    let coven = |nick: &str| vec![("coven@chat.x.org".to_owned(), nick.to_owned())];
    assert_eq!(rooms(&mut lists, "hag@y.org"), coven("witch"));
    assert_eq!(rooms(&mut lists, "ha@y.org"), coven("other"));
    assert_eq!(rooms(&mut lists, "nobody@y.org"), []);
    assert_eq!(rooms(&mut trial(&memory), "hag@y.org"), coven("witch"));
}

#[test]
fn who_asked_hears_that_his_list_is_not_kept() {
    let memory = Arc::new(Memory::new());
    let (route, mut trial) = trial(&memory);
    memory.refuse_writes(Some(Error::Full("the disk")));
    let word = word("coven@chat.x.org", "hag@y.org", Some("hag"));
    let answer = stanza(trial.receive(route, Body::Stanza(word)));
    let error = answer.child("error", "").unwrap();
    assert!(error.child("resource-constraint", ns::STANZAS).is_some());
}

#[test]
fn nobody_but_a_room_says_what_somebody_hears() {
    let memory = Arc::new(Memory::new());
    let mut lists = trial(&memory);
    for from in ["hag@y.org/pda", "coven@other.x.org", "chat.x.org"] {
        let stanza = word("coven@chat.x.org", "hag@y.org", Some("hag"));
        let stanza = stanza.with_from(xmpp::Jid::parse(from).unwrap());
        lists.1.receive(lists.0.clone(), Body::Stanza(stanza));
    }
    assert_eq!(rooms(&mut lists, "hag@y.org"), []);
}
