//! Owns several pairs on one stream of ours (XEP-0220 §2.6): which stream suits another pair, and how it is asked for.
//!
//! A stream suits where it leads to the same server - to the same domain, or to the same address and port - in the same
//! lane, and where its certificate is for the other domain too, or dialback is enough for that. The other end says whether it believes
//! that we are who we are, also in the name of another domain of ours.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::config::{Dane, Policy, Rules};
use crate::dial::{Dialer, Opened, random};
use crate::pairs::{LaneId, Pair, PairId};
use crate::trust::Peer;

/// A stream of ours that more pairs may go by.
pub(crate) struct Open {
    pub(crate) id: PairId,
    lane: u8,
    pub(crate) address: SocketAddr,
    pub(crate) peer: Peer,
    /// The other end sends on it too: then it must be sure who that is.
    pub(crate) both_ways: bool,
    /// Wakes whoever writes the stream.
    pub(crate) news: Arc<Notify>,
    /// Who wants to go by it.
    wanted: RefCell<Vec<(PairId, oneshot::Sender<bool>)>>,
    asked: RefCell<HashMap<PairId, oneshot::Sender<bool>>>,
    refused: RefCell<HashSet<PairId>>,
}

/// All streams of ours.
#[derive(Default)]
pub(crate) struct Streams(RefCell<Vec<Rc<Open>>>);

impl Open {
    /// Of a stream that was opened for this lane; `news` wakes whoever writes it.
    pub(crate) fn new(
        LaneId { pair: id, lane }: LaneId,
        opened: &Opened,
        news: &Arc<Notify>,
    ) -> Rc<Self> {
        Rc::new(Self {
            id,
            lane,
            address: opened.address,
            peer: opened.peer.clone(),
            both_ways: opened.machine.is_both_ways(),
            news: Arc::clone(news),
            wanted: RefCell::default(),
            asked: RefCell::default(),
            refused: RefCell::default(),
        })
    }

    /// The pairs that are to be asked for now.
    pub(crate) fn to_ask(&self) -> Vec<PairId> {
        let wanted = self.wanted.take();
        let mut asked = self.asked.borrow_mut();
        let ids = wanted.into_iter().map(|(id, tell)| {
            asked.insert(id.clone(), tell);
            id
        });
        ids.collect()
    }

    /// What the other end says to a pair that was asked for.
    pub(crate) fn answered(&self, id: &PairId, is_valid: bool) {
        if !is_valid {
            self.refused.borrow_mut().insert(id.clone());
        }
        if let Some(tell) = self.asked.borrow_mut().remove(id) {
            // Whoever asked may have given up.
            tell.send(is_valid).ok();
        }
    }

    fn suits(&self, pair: &Pair, rules: &Rules) -> bool {
        let (id, remote) = (&pair.id, pair.id.remote.as_str());
        // What TLSA records say of another domain was not looked for.
        if self.id.remote != id.remote && rules.dane_for(remote) != Dane::Off {
            return false;
        }
        let is_known = match rules.policy_for(remote) {
            Policy::Off => false,
            Policy::Secure => self.peer.vouches_for(remote).is_ok(),
            Policy::Dialback => !self.both_ways || self.peer.vouches_for(remote).is_ok(),
        };
        is_known && self.lane == pair.lane && self.id != *id && !self.refused.borrow().contains(id)
    }
}

impl Streams {
    /// One more.
    pub(crate) fn enter(&self, open: &Rc<Open>) {
        self.0.borrow_mut().push(Rc::clone(open));
    }

    /// One has ended.
    pub(crate) fn leave(&self, open: &Rc<Open>) {
        self.0.borrow_mut().retain(|it| !Rc::ptr_eq(it, open));
    }

    /// Whether a pair may go by a stream that is there: then it has a way.
    pub(crate) async fn share(&self, dialer: &Dialer, pair: &Pair) -> bool {
        let (id, rules) = (&pair.id, &dialer.common.rules);
        let mut suit = self.0.borrow().clone();
        suit.retain(|open| open.suits(pair, rules));
        if !rules.share_streams || suit.is_empty() {
            return false;
        }
        let asking = async {
            let same = suit.iter().find(|open| open.id.remote == id.remote).cloned();
            let open = match same {
                Some(open) => open,
                None => same_place(dialer, id, &suit).await?,
            };
            let (tell, told) = oneshot::channel();
            open.wanted.borrow_mut().push((id.clone(), tell));
            open.news.notify_one();
            told.await.ok()
        };
        timeout(dialer.patience, asking).await.ok().flatten().unwrap_or(false)
    }
}

/// The stream that leads where another domain is.
async fn same_place(dialer: &Dialer, id: &PairId, open: &[Rc<Open>]) -> Option<Rc<Open>> {
    let targets = dialer.resolver.targets(id.remote.as_str(), &mut random).await.ok()?;
    for target in targets {
        let addresses = dialer.resolver.addresses(&target).await.unwrap_or_default();
        let found = open.iter().find(|open| addresses.contains(&open.address));
        if found.is_some() {
            return found.cloned();
        }
    }
    None
}
