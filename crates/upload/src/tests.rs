//! A service on trial.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use entity::trial::Trial;
use files::{FileId, Key, SlotRow};
use proto::{Body, Hosts, Route, ServiceKind};
use store::{Kind as RowKind, Memory, SharedStore};
use xmpp::{BareJid, Element, Jid, Stanza, kept, ns};

use crate::{Config, EXTENSIONS, Limits, Upload};

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

struct Stage {
    trial: Trial<Upload>,
    hosts: Hosts,
}

impl Stage {
    fn new(from: &str, limits: Limits) -> Self {
        let service = (bare("upload.x.org"), ServiceKind::Upload);
        let hosts = Hosts::new([bare("x.org")], []).with_services([service]);
        let urls = HashMap::from([(bare("upload.x.org"), "https://x.org/upload".to_owned())]);
        let config = Config { limits, key: Key::new(b"secret".to_vec()), urls };
        let store: SharedStore = Arc::new(Memory::new());
        let route = Self::route(from, &hosts);
        let trial = Trial::new(&route, Arc::new(config), hosts.clone(), store).unwrap();
        Self { trial, hosts }
    }

    fn route(from: &str, hosts: &Hosts) -> Route {
        let (from, to) = (Jid::parse(from).unwrap(), Jid::parse("upload.x.org").unwrap());
        Route::between(Some(&from), &to, hosts)
    }

    /// Somebody asks for a slot; the one answer.
    fn asks(&mut self, from: &str, size: u64) -> Element {
        let xml = format!(
            "<iq xmlns='jabber:client' type='get' id='q' from='{from}' to='upload.x.org'>\
             <request xmlns='{}' filename='très cool.jpg' size='{size}'/></iq>",
            ns::UPLOAD
        );
        let stanza: Stanza = kept::read(xml.as_bytes()).unwrap();
        let route = Self::route(from, &self.hosts);
        let sent = self.trial.receive(route, Body::Stanza(stanza));
        assert_eq!(sent.len(), 1);
        let Body::Stanza(answer) = &sent[0].body else { panic!("not a stanza") };
        let mut bytes = Vec::new();
        answer.write(&mut bytes);
        Element::parse(&bytes).unwrap()
    }

    fn rows(&self) -> Vec<(FileId, SlotRow)> {
        let fence = store::Fence { bucket: xmpp::Bucket::of_hash(0), epoch: store::Epoch(1) };
        let rows = self.trial.store.scan(fence, bare("romeo@x.org"), RowKind::Upload, None, 99);
        let rows = futures(rows).unwrap();
        let read = |row: &store::Row| {
            let id = FileId::parse(std::str::from_utf8(&row.item).unwrap()).unwrap();
            (id, SlotRow::read(row.value.clone()).unwrap())
        };
        rows.iter().map(read).collect()
    }
}

/// The store in memory answers at once.
fn futures<T>(reply: store::Reply<T>) -> Result<T, store::Error> {
    let mut reply = reply;
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match reply.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(answer) => answer,
        std::task::Poll::Pending => panic!("the store did not answer"),
    }
}

fn error(answer: &Element) -> (&str, Option<String>) {
    let error = answer.child("error", "").unwrap();
    let retry = error.child("retry", ns::UPLOAD);
    let stamp = retry.map(|retry| retry.attr("stamp").unwrap().to_owned());
    (error.children().next().unwrap().name(), stamp)
}

#[test]
fn a_slot_has_two_urls_and_its_row_is_kept() {
    let mut stage = Stage::new("romeo@x.org/r", Limits::default());
    stage.trial.drowsy = true;
    let answer = stage.asks("romeo@x.org/r", 5);
    let slot = answer.child("slot", ns::UPLOAD).unwrap();
    let url = |name| slot.child(name, ns::UPLOAD).unwrap().attr("url").unwrap();
    let (id, row) = &stage.rows()[0];
    assert_eq!((row.size, row.kept), (5, false));
    let get = format!("https://x.org/upload/{id}/tr%C3%A8s%20cool.jpg");
    assert_eq!(url("get"), get);
    let key = Key::new(b"secret".to_vec()).of(*id, "très cool.jpg", "romeo@x.org");
    assert_eq!(url("put"), format!("{get}?for=romeo%40x.org&key={key}"));
}

#[test]
fn only_accounts_of_this_server_get_slots() {
    for from in ["mercutio@y.org/r", "x.org", "y.org/r"] {
        let mut stage = Stage::new(from, Limits::default());
        assert_eq!(error(&stage.asks(from, 5)).0, "forbidden", "{from}");
    }
}

#[test]
fn who_has_had_enough_is_told_when_there_is_more() {
    let limits = Limits { bytes: 10, bytes_a_day: 10, ..Limits::default() };
    let mut stage = Stage::new("romeo@x.org/r", limits);
    assert!(stage.asks("romeo@x.org/r", 10).child("slot", ns::UPLOAD).is_some());
    let answer = stage.asks("romeo@x.org/r", 1);
    // 2023-11-14T22:13:20Z, five minutes to begin, one to bring it.
    let stamp = Some("2023-11-14T22:19:21Z".to_owned());
    assert_eq!(error(&answer), ("resource-constraint", stamp));
    let answer = stage.asks("romeo@x.org/r", 11);
    assert_eq!(error(&answer).0, "not-acceptable");
    // Nothing came of the slot, so it counts no more, and its row goes.
    stage.trial.advance(Duration::from_secs(361));
    assert!(stage.asks("romeo@x.org/r", 10).child("slot", ns::UPLOAD).is_some());
    assert_eq!(stage.rows().len(), 1);
}

#[test]
fn no_two_extensions_answer_the_same_request() {
    assert_eq!(EXTENSIONS.conflicts(), []);
}
