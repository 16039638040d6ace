//! What it costs to find an actor: from an address to its route, from there to the arbiter, and all the way
//! into the hands of the arbiter's host. Figures of the last are per batch. Run by `cargo bench -p router`.

use std::hint::black_box;
use std::rc::Rc;

use cluster::{HashKey, Lease, Plan, PlanHandle};
use divan::Bencher;
use divan::counter::ItemsCount;
use proto::{ArbiterId, Body, Envelope, Hosts, MemberId, Route};
use router::{Inbox, LocalHost, Refusal, Router, local};
use xmpp::{BareJid, Epoch, Head, Jid, Kind, MessageType, Origin, Shard, Stanza};

/// Addresses of each kind that RFC 6120 §10 tells apart.
const ADDRESSES: [&str; 4] = [
    "romeo@montague.example/orchard",
    "montague.example",
    "balcony@rooms.example/j",
    "a@far.example",
];

fn main() {
    divan::main();
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("an address")
}

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).expect("an address")
}

fn router() -> (Router, router::inbox::Receiver) {
    let (inbox, receiver) = Inbox::new();
    let member = MemberId(1);
    let plan = PlanHandle::fixed(Plan::single(member, HashKey::new([7; 16])));
    let hosts = Hosts::new([bare("montague.example")], [bare("rooms.example")]);
    (Router::new(member, plan, Lease::always(), hosts, vec![inbox]), receiver)
}

#[divan::bench(args = ADDRESSES)]
fn address_to_route(bencher: Bencher<'_, '_>, address: &str) {
    let (router, _receiver) = router();
    let address = jid(address);
    bencher.bench_local(|| router.route_of(black_box(&address)));
}

#[divan::bench]
fn route_to_arbiter(bencher: Bencher<'_, '_>) {
    let (router, _receiver) = router();
    let route = Route::User(bare("romeo@montague.example"));
    bencher.bench_local(|| router.place(black_box(&route)));
}

/// Takes everything and does nothing.
struct Sink;

impl LocalHost for Sink {
    fn deliver(&self, batch: Vec<Envelope>) {
        drop(black_box(batch));
    }

    fn refuse(&self, envelope: Envelope, _: Refusal) {
        drop(black_box(envelope));
    }

    fn flush(&self) {}

    fn member_gone(&self, _: MemberId) {}
}

#[divan::bench(args = [1, 10])]
fn address_to_host(bencher: Bencher<'_, '_>, stanzas: usize) {
    let (router, receiver) = router();
    let (_receive, _flush) = local::install(ArbiterId(0), router.clone(), Rc::new(Sink), receiver);
    let address = jid("romeo@montague.example/orchard");
    let kind = Kind::Message(MessageType::Chat);
    let head = Head { kind, id: None, from: None, to: Some(address.clone()), lang: None };
    let stanza = Stanza::new(head, "<body>Good morrow, cousin.</body>");
    let shard = Shard::all().next().expect("there are shards");
    let origin = Origin::Shard { shard, epoch: Epoch(1), counter: 1 };
    bencher.counter(ItemsCount::new(stanzas)).bench_local(|| {
        let envelope = |_| {
            let body = Body::Stanza(stanza.clone());
            Envelope::new(router.route_of(black_box(&address)), body, origin, Epoch(1))
        };
        local::route((0..stanzas).map(envelope).collect());
    });
}
