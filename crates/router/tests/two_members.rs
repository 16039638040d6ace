//! Two members in this process that reach each other over gRPC on loopback: what one sends, the other gets, and
//! confirms.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use cluster::peer::{Peers, Security, Settings};
use cluster::plan::MemberInfo;
use cluster::{HashKey, Lease, Plan, PlanHandle};
use proto::{ArbiterId, Body, Envelope, Hosts, Ledger, MemberId, Route};
use router::link::Links;
use router::link::grpc::Grpc;
use router::{Inbox, LocalHost, Refusal, Router};
use xmpp::{BareJid, Epoch, Head, Kind, MessageType, Origin, Stanza};

const PATIENCE: Duration = Duration::from_secs(30);

/// Shows what is delivered, and is done with it at once.
struct Shows(mpsc::Sender<(Body, bool)>);

impl LocalHost for Shows {
    fn deliver(&self, batch: Vec<Envelope>) {
        for envelope in batch {
            if let Some(receipt) = envelope.receipt {
                receipt.release();
            }
            self.0.send((envelope.body, envelope.crossed)).unwrap();
        }
    }

    fn refuse(&self, envelope: Envelope, refusal: Refusal) {
        panic!("{refusal:?} {envelope:?}");
    }

    fn flush(&self) {}

    fn member_gone(&self, _: MemberId) {}
}

struct Member {
    router: Router,
    delivered: mpsc::Receiver<(Body, bool)>,
    _links: Arc<Links>,
}

/// Where each of the two is.
type Places = [SocketAddr; 2];

fn places() -> Places {
    let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    free.map(|listener| listener.local_addr().unwrap())
}

fn plan(places: Places) -> Plan {
    let info = |id: u64| MemberInfo {
        addr: places[usize::try_from(id).unwrap() - 1].to_string(),
        ..MemberInfo::new(MemberId(id), format!("m{id}"))
    };
    Plan::shared_by(HashKey::new([1; 16]), [info(1), info(2)])
}

fn start(id: u64, places: Places) -> Member {
    let listen = places[usize::try_from(id).unwrap() - 1];
    let settings = Settings { name: format!("m{id}"), listen, security: Security::InsecureDev };
    let peers = Peers::open(&settings, PlanHandle::fixed(plan(places))).unwrap();
    let (inbox, receiver) = Inbox::new();
    let plan = PlanHandle::fixed(plan(places));
    let member = MemberId(id);
    let router = Router::new(member, plan.clone(), Lease::always(), Hosts::default(), vec![inbox]);
    let carrier = Grpc::new(peers.clone());
    let links = Links::start(&router, carrier.clone(), plan, peers.runtime().clone());
    carrier.serve(&links);
    let (show, delivered) = mpsc::channel();
    let its_router = router.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let host = Rc::new(Shows(show));
        let (receive, flush) = router::local::install(ArbiterId(0), its_router, host, receiver);
        runtime.block_on(async { tokio::join!(receive, flush) });
    });
    Member { router, delivered, _links: links }
}

/// An account that this member owns.
fn account_of(member: u64, plan: &Plan) -> BareJid {
    let names = (0..).map(|n| BareJid::parse(&format!("account{n}@x")).unwrap());
    let owner = |jid: &BareJid| plan.owner(plan.hash_key().bucket(jid).shard()).unwrap().0;
    names.into_iter().find(|jid| owner(jid) == MemberId(member)).unwrap()
}

fn message(to: BareJid, seq: u64) -> Envelope {
    let kind = Kind::Message(MessageType::Chat);
    let head = Head { kind, id: Some(seq.to_string().into()), from: None, to: None, lang: None };
    let body = Body::Stanza(Stanza::new(head, "<body>hi</body>"));
    Envelope::new(Route::User(to), body, Origin::Client { session: 7, seq, part: 0 }, Epoch(1))
}

#[test]
fn what_one_member_sends_the_other_gets_in_order_and_confirms() {
    let places = places();
    let (one, two) = (start(1, places), start(2, places));
    let (woken, news) = mpsc::channel();
    let ledger = Ledger::new(0, move || woken.send(()).unwrap_or_default());
    let to = account_of(2, &plan(places));
    for seq in 1..=100 {
        let envelope = message(to.clone(), seq).with_receipt(Some(ledger.open()));
        assert!(one.router.post(vec![envelope]).is_empty());
    }
    for seq in 1..=100_u64 {
        let (body, crossed) = two.delivered.recv_timeout(PATIENCE).unwrap();
        let Body::Stanza(stanza) = body else { panic!("{body:?}") };
        assert_eq!(stanza.head().id.as_deref(), Some(seq.to_string().as_str()));
        assert!(crossed);
    }
    while ledger.standing().handled < 100 {
        news.recv_timeout(PATIENCE).unwrap();
    }
    assert!(!ledger.standing().faulty);
    assert!(one.delivered.try_recv().is_err());
}
