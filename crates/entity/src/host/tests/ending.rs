//! Entities that are to end, while something waits for them; and who waits for what they send to another server.

use store::SharedStore;
use xmpp::{Jid, Origin};

use super::*;
use crate::trial::Trial;

/// To many, who are one.
pub(super) fn abroad(cx: &mut Context<'_, Counter>) {
    let Body::Stanza(stanza) = message("hi") else { return };
    cx.send_to_all(stanza, [Jid::parse("far@y.org").unwrap()]);
}

// Another server would else wait for one that waits for it.
#[test]
fn another_server_does_not_wait_until_one_of_another_server_has_heard_of_it() {
    let client = Origin::Client { session: 7, seq: 1, part: 0 };
    for (origin, waits) in [(client, true), (Origin::of_server(7, 1), false)] {
        let (hosts, store) = (Hosts::new([BareJid::parse("x.org").unwrap()], []), Memory::new());
        let store = Arc::new(store) as SharedStore;
        let mut trial =
            Trial::<Counter>::new(&user("romeo"), Arc::default(), hosts, store).unwrap();
        let ledger = Ledger::new(0, || {});
        let receipt = Some(ledger.open());
        let sent = trial.receive_for(user("romeo"), message("abroad"), origin, receipt);
        assert!(matches!(sent[0].to, Route::Remote(_)));
        assert_eq!(ledger.standing().handled, u64::from(!waits), "{origin:?}");
        sent.into_iter().filter_map(|envelope| envelope.receipt).for_each(Receipt::release);
    }
}

// A room that is not there ends with its answer; who comes in just then would else be forgotten with it.
#[test]
fn what_is_to_end_goes_on_where_something_waits_for_it_that_needs_it() {
    for (second, next) in [("hi", "romeo 1: next"), ("stay", "romeo 3: next")] {
        Stage::play(false, |stage| async move {
            stage.says("romeo", "close");
            stage.says("romeo", second);
            stage.hears(second).await;
            stage.hears_now().await;
            stage.says("romeo", "next");
            assert!(stage.hears("next").await.contains(&next.to_owned()), "{second}");
        });
    }
}
