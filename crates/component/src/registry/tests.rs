//! What the owner of a component's domain does with what comes for it.

use cluster::{Lease, PlanHandle};
use proto::{Hosts, Ledger};
use router::Inbox;
use store::Memory;
use tokio::task::{LocalSet, yield_now};
use tokio::time::sleep;
use xmpp::{Head, Jid, Kind, MessageType};

use super::*;
use crate::config::{Privilege, Requests, Settings, Shown};
use crate::contacts;

/// The registry of a member that is alone, with a component that has no stream.
fn registry() -> (Rc<Registry>, Rc<Registered>) {
    let (registry, registered, _) = registry_of(Settings::default(), Arc::new(Memory::new()));
    (registry, registered)
}

/// The same, with these settings and rows, and the inbox of a thread that takes nothing.
fn registry_of(
    settings: Settings,
    store: SharedStore,
) -> (Rc<Registry>, Rc<Registered>, router::inbox::Receiver) {
    let (inbox, receiver) = Inbox::new();
    let irc = BareJid::parse("irc.x.org").unwrap();
    let hosts = Hosts::new([BareJid::parse("x.org").unwrap()], []);
    let plan = PlanHandle::fixed(Plan::new());
    let router = Router::new(MemberId(1), plan, Lease::always(), hosts, vec![inbox]);
    let settings = Settings { name: irc.to_string(), ..settings };
    let secret = Secret("secret".to_owned());
    let (domain, allow, privileges) = (irc.clone(), Vec::new(), settings.privileges(irc.clone()));
    let component = Component { domain, secret, allow, privileges, settings };
    let config = Config { components: vec![component], ..Config::default() };
    let [stopping, isolated] = [(); 2].map(|()| watch::channel(false).1);
    let (metrics, status) = Default::default();
    let registry =
        Registry::new(&config, Ground { router, store, metrics, status, stopping, isolated });
    let registered = registry.registered(&irc).unwrap();
    (registry, registered, receiver)
}

fn message(seq: u64) -> Envelope {
    let head = Head {
        kind: Kind::Message(MessageType::Chat),
        id: None,
        from: Some(Jid::parse("a@x.org/r").unwrap()),
        to: Some(Jid::parse("b@irc.x.org").unwrap()),
        lang: None,
    };
    let to = Route::Component(BareJid::parse("irc.x.org").unwrap());
    let origin = Origin::Client { session: 1, seq, part: 0 };
    let body = Body::Stanza(Stanza::new(head, ""));
    Envelope { crossed: true, ..Envelope::new(to, body, origin, Epoch::default()) }
}

#[test]
fn what_is_said_again_waits_once_and_is_as_safe_as_the_first_one() {
    let (registry, registered) = registry();
    let ledger = Ledger::new(0, || {});
    let come = |seq, again| {
        let envelope = Envelope { again, ..message(seq) };
        registry.take(envelope.with_receipt(Some(ledger.open())));
    };
    for (seq, again) in [(1, false), (1, true), (2, true)] {
        come(seq, again);
    }
    let mut waiting = registered.table.borrow_mut().waiting.drain();
    assert_eq!((waiting.len(), registry.metrics.repeats.get()), (2, 1));
    assert_eq!(ledger.standing().handled, 0);
    let mut is_written = || {
        waiting.remove(0).receipt.unwrap().release();
        ledger.standing().handled
    };
    assert_eq!([is_written(), is_written()], [2, 3], "with the one that came again");
    come(1, true);
    assert_eq!((registered.table.borrow().waiting.len(), ledger.standing().handled), (0, 4));
}

// A stream's member is gone: what it was given comes back to the owner of the domain, as if for the first time.
#[test]
fn what_comes_back_from_a_stream_is_no_repeat() {
    let (registry, registered) = registry();
    registry.take(message(1));
    let given = registered.table.borrow_mut().waiting.drain().remove(0);
    assert!(!given.again);
    registry.take(given);
    assert_eq!(registered.table.borrow().waiting.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_stream_has_contacts_asked_the_end_of_one_has_it_again_and_that_of_the_last_ends_it()
 {
    let page = contacts::A_SECOND;
    for (presence, page) in [(Shown::None, 0), (Shown::ManagedEntity, 0), (Shown::Roster, page)] {
        let store = contacts::tests::store(contacts::A_SECOND * 3).await;
        let privilege = Privilege { presence, roster: Requests::Get, ..Privilege::default() };
        let settings = Settings { privilege, streams: 2, ..Settings::default() };
        let (registry, registered, _inbox) = registry_of(settings, store);
        let open = || registry.open(&registered, "127.0.0.1:1".parse().unwrap()).unwrap();
        // The owner of the domain is told each time, too.
        let are_told = async |pages: usize, times: usize| {
            for _ in 0..20 {
                yield_now().await;
            }
            assert_eq!(registry.router.waiting(), [page * pages + times], "{presence:?}");
        };
        let story = async {
            let first = open();
            are_told(0, 1).await;
            sleep(Duration::from_millis(1_500)).await;
            are_told(1, 1).await;
            let second = open();
            sleep(Duration::from_secs(1)).await;
            are_told(2, 2).await;
            // The one that is left has all asked again.
            registry.close(&registered, &first, Vec::new());
            sleep(Duration::from_secs(60)).await;
            are_told(5, 3).await;
            registry.close(&registered, &second, Vec::new());
            sleep(Duration::from_secs(60)).await;
            are_told(5, 4).await;
            let third = open();
            sleep(Duration::from_millis(1_500)).await;
            are_told(6, 5).await;
            registry.close(&registered, &third, Vec::new());
            sleep(Duration::from_secs(60)).await;
            are_told(6, 6).await;
        };
        LocalSet::new().run_until(story).await;
    }
}
