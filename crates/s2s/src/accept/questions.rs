//! Owns how much is looked up at a time for servers that say who they are: in all, and for those from one address, so
//! that nobody who asks about servers that never answer holds up the questions of others.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::{Rc, Weak};

use meter::Subscriber;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Visit;
use crate::failure::Failure;
use crate::incoming::{Question, Verdict};
use xmpp::StanzaCondition;

/// At a time, over all streams.
const IN_ALL: usize = 256;
/// Of them, for streams from one address.
const OF_ADDRESS: usize = 8;
/// With so many addresses more, those that ask nothing are forgotten.
const LOOK_EVERY: usize = 256;

/// Whose turn it is.
pub(crate) struct Questions {
    all: Semaphore,
    of_addresses: RefCell<HashMap<Subscriber, Weak<Semaphore>>>,
}

impl Default for Questions {
    fn default() -> Self {
        Self { all: Semaphore::new(IN_ALL), of_addresses: RefCell::default() }
    }
}

impl Questions {
    /// Does something when it is the turn of this address.
    pub(super) async fn in_turn<T>(&self, address: IpAddr, work: impl Future<Output = T>) -> T {
        let of_address = self.of(address.into());
        let _own = turn(&of_address).await;
        let _of_all = turn(&self.all).await;
        work.await
    }

    fn of(&self, subscriber: Subscriber) -> Rc<Semaphore> {
        let mut known = self.of_addresses.borrow_mut();
        if let Some(turns) = known.get(&subscriber).and_then(Weak::upgrade) {
            return turns;
        }
        if known.len() % LOOK_EVERY == LOOK_EVERY - 1 {
            known.retain(|_, turns| turns.strong_count() > 0);
        }
        let turns = Rc::new(Semaphore::new(OF_ADDRESS));
        known.insert(subscriber, Rc::downgrade(&turns));
        turns
    }
}

/// None would be of a semaphore that was closed, which none is.
async fn turn(turns: &Semaphore) -> Option<SemaphorePermit<'_>> {
    turns.acquire().await.ok()
}

impl Visit {
    /// Asks the server of a domain, beside everything else, for as long as the stream is there.
    pub(super) fn ask(&mut self, question: Question) {
        let (inbound, address) = (Rc::clone(&self.inbound), self.address);
        self.asking.spawn_local(async move {
            let asking = Box::pin(inbound.dialer.ask(&question));
            let asked = inbound.questions.in_turn(address, asking).await;
            (question, asked)
        });
    }

    /// What is made of an answer, or of none.
    pub(super) fn judge(&self, question: &Question, asked: Result<Verdict, Failure>) -> Verdict {
        let why = match &asked {
            Ok(Verdict::Valid) => None,
            Ok(Verdict::Invalid) => Some("its dialback key is wrong".to_owned()),
            Ok(Verdict::Error(condition)) => Some(format!(
                "nobody can say whether its dialback key is right: {}",
                condition.name()
            )),
            Err(failure) => Some(format!("its dialback key cannot be checked: {failure}")),
        };
        if let Some(why) = why {
            self.doubt(&question.pair.remote, &why);
        }
        asked.unwrap_or_else(|failure| {
            Verdict::Error(match failure {
                Failure::NotFound(_) => StanzaCondition::RemoteServerNotFound,
                _ => StanzaCondition::RemoteServerTimeout,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_that_asks_what_nobody_answers_holds_up_itself_alone() {
        let questions = Questions::default();
        let [one, same, other] =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(|text| text.parse::<IpAddr>().unwrap());
        let mute = || questions.in_turn(one, std::future::pending::<()>());
        let mut held: Vec<_> = (0..OF_ADDRESS).map(|_| Box::pin(mute())).collect();
        for it in &mut held {
            assert!(timeout(Duration::from_millis(1), it).await.is_err());
        }
        let asks = |address| timeout(Duration::from_secs(1), questions.in_turn(address, async {}));
        assert!(asks(other).await.is_ok());
        assert!(asks(same).await.is_err(), "all of a /64 is one address");
        held.pop();
        assert!(asks(same).await.is_ok(), "whoever is gone asks nothing");
    }
}
