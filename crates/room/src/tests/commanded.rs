//! A room service in the midst of commands (XEP-0050): whose answer is whose, and what outlasts sleep and death.

use std::sync::Arc;
use std::time::Duration;

use entity::trial::Trial;
use entity::{Copy, Entity, Mirror};
use proto::{Body, Hosts, Route};
use store::memory::Memory;
use xmpp::{BareJid, Element, Epoch, Stanza, ns};

use super::stage::stanza;
use crate::{Config, Directory, Shared};

const BOSS: &str = "boss@x.org/desk";
const NODE: &str = "urn:rookery:rooms:0#configure";
const SUBMIT: &str = "<x xmlns='jabber:x:data' type='submit'><field var='room'><value>coven@chat.x.org</value></field></x>";
/// What a room answers.
const FORM: &str = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='form'><field type='boolean' var='muc#roomconfig_publicroom'><value>1</value></field></x></query>";

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn service() -> Trial<Directory> {
    let hosts = Hosts::new([bare("x.org")], [bare("chat.x.org")]);
    let config = Config { admins: vec![bare("boss@x.org")], ..Config::default() };
    let shared = Arc::new(Shared::new(config));
    let route = Route::Room(bare("chat.x.org"));
    Trial::new(&route, shared, hosts, Arc::new(Memory::new())).unwrap()
}

/// What the service sends because of this.
fn gets(service: &mut Trial<Directory>, xml: &str) -> Vec<Stanza> {
    let sent = service.receive(Route::Room(bare("chat.x.org")), Body::Stanza(stanza(xml)));
    let stanza = |body| match body {
        Body::Stanza(stanza) => stanza,
        other => panic!("not a stanza: {other:?}"),
    };
    sent.into_iter().map(|envelope| stanza(envelope.body)).collect()
}

fn runs(service: &mut Trial<Directory>, id: &str, how: &str, form: &str) -> Stanza {
    let mut sent = gets(
        service,
        &format!(
            "<iq xmlns='jabber:client' type='set' id='{id}' from='{BOSS}' to='chat.x.org'><command xmlns='{}' {how} node='{NODE}'>{form}</command></iq>",
            ns::COMMANDS
        ),
    );
    assert_eq!(sent.len(), 1);
    sent.remove(0)
}

/// A room answers what it was asked.
fn answers(asked: &Stanza, from: &str, content: &str) -> String {
    let id = asked.head().id.as_deref().unwrap();
    let ty = if content.contains("<error") { "error" } else { "result" };
    format!(
        "<iq xmlns='jabber:client' type='{ty}' id='{id}' from='{from}' to='chat.x.org'>{content}</iq>"
    )
}

fn command(stanza: &Stanza) -> Element {
    stanza.child("command", ns::COMMANDS).unwrap_or_else(|| panic!("{stanza:?}"))
}

/// The conditions of an error, which has come to whom it is for.
fn refused(sent: &[Stanza]) -> String {
    let [stanza] = sent else { panic!("{sent:?}") };
    assert_eq!(stanza.head().to.as_ref().unwrap().as_str(), BOSS);
    let error = stanza.child("error", "").unwrap();
    error.children().map(Element::name).collect::<Vec<_>>().join(" ")
}

/// Begins to configure a room; what the room is asked, and the name of the session.
fn begun(service: &mut Trial<Directory>) -> (Stanza, String) {
    let first = command(&runs(service, "1", "action='execute'", ""));
    let session = first.attr("sessionid").unwrap().to_owned();
    let asked = runs(service, "2", &format!("action='next' sessionid='{session}'"), SUBMIT);
    let head = asked.head();
    let from_to = [&head.from, &head.to].map(|jid| jid.as_ref().unwrap().to_string());
    assert_eq!(from_to, ["chat.x.org", "coven@chat.x.org"]);
    (asked, session)
}

#[test]
fn only_the_room_that_was_asked_answers_and_whoever_asked_is_told() {
    let mut service = service();
    let (asked, session) = begun(&mut service);
    assert!(gets(&mut service, &answers(&asked, "moor@chat.x.org", FORM)).is_empty());
    assert!(gets(&mut service, &answers(&asked, "coven@chat.x.org/bat", FORM)).is_empty());
    let id = asked.head().id.as_deref().unwrap();
    let forged = answers(&asked, "coven@chat.x.org", FORM).replace(id, "order-1");
    assert!(gets(&mut service, &forged).is_empty());
    let told = gets(&mut service, &answers(&asked, "coven@chat.x.org", FORM));
    let head = told[0].head();
    assert_eq!((head.id.as_deref(), head.to.as_ref().unwrap().as_str()), (Some("2"), BOSS));
    let second = command(&told[0]);
    assert_eq!(second.attr("status"), Some("executing"));
    assert_eq!(second.attr("sessionid"), Some(session.as_str()));

    let error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    let told = gets(&mut service, &answers(&asked, "coven@chat.x.org", error));
    assert_eq!(refused(&told), "item-not-found");
    assert_eq!(told[0].head().id.as_deref(), Some("2"));
}

#[test]
fn what_was_given_up_or_took_too_long_does_not_go_on() {
    let mut service = service();
    let (asked, session) = begun(&mut service);
    let cancel = runs(&mut service, "3", &format!("action='cancel' sessionid='{session}'"), "");
    assert_eq!(command(&cancel).attr("status"), Some("canceled"));
    let late = gets(&mut service, &answers(&asked, "coven@chat.x.org", FORM));
    assert_eq!(refused(&late), "not-allowed session-expired");

    let (asked, session) = begun(&mut service);
    gets(&mut service, &answers(&asked, "coven@chat.x.org", FORM));
    let complete = format!("action='complete' sessionid='{session}'");
    service.advance(Duration::from_secs(1_799));
    assert!(!service.entity.may_sleep(service.now));
    service.advance(Duration::from_secs(1));
    assert!(service.entity.may_sleep(service.now));
    let over = runs(&mut service, "4", &complete, SUBMIT);
    assert_eq!(refused(&[over]), "not-allowed session-expired");
}

#[test]
fn a_command_outlasts_sleep_and_the_death_of_the_owner() {
    let mut service = service();
    assert_eq!(service.mirror(true).0, Mirror::Nothing);
    let (asked, session) = begun(&mut service);
    let first = service.mirror(false).0;
    gets(&mut service, &answers(&asked, "coven@chat.x.org", FORM));
    let complete = format!("action='complete' sessionid='{session}'");
    let (Mirror::Whole(whole), _) = service.mirror(false) else { panic!("nothing is copied") };
    assert_ne!(first, Mirror::Whole(whole.clone()), "it has gone on");
    assert_eq!(service.mirror(false).0, Mirror::Same);
    assert_eq!(service.mirror(true).0, Mirror::Whole(whole.clone()));
    service.drowsy = true;
    service.nap();

    let mut heir = self::service();
    heir.now = service.now;
    let copy = Copy { epoch: Epoch(1), whole, changes: Vec::new(), of_socket: false };
    heir.take_over(vec![copy]).unwrap();
    for owner in [&mut service, &mut heir] {
        let asked = runs(owner, "5", &complete, SUBMIT.replace("room", "x").as_str());
        assert!(asked.find("query", ns::MUC_OWNER).is_some(), "{asked:?}");
        let done = gets(owner, &answers(&asked, "coven@chat.x.org", ""));
        assert_eq!(command(&done[0]).attr("status"), Some("completed"));
    }
    assert_eq!(service.mirror(false).0, Mirror::Nothing);
    let copy = Copy { epoch: Epoch(1), whole: "?".into(), changes: Vec::new(), of_socket: false };
    assert!(heir.take_over(vec![copy]).is_err());
}
