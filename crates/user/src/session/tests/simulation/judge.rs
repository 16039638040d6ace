//! Owns the judge of the simulation of a session: what does not hold.

use seeded::holds;

use super::*;

/// What does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It was said to be safe, or all is at rest, and it never came.
    Lost,
    /// It was given, or acted on, once more.
    Twice,
    /// It was given behind what was sent later.
    Disordered,
    /// Something else has taken its place among what the client has said.
    Misplaced,
    /// Nobody has confirmed it in the end, or somebody has given it up.
    Unconfirmed,
    /// The session is no more, though its client is.
    Ended,
    /// A standby hears what has changed of something that it does not have.
    Baseless,
}

/// How a history went.
pub(super) type History = seeded::History<Wrong>;

impl World {
    /// In the end everything is where it should be, once and in order.
    pub(super) fn judge(&self) {
        holds(self.client.resumed, Wrong::Ended, || "the client is not there".to_owned());
        for (name, sender) in (1..).zip(&self.senders) {
            let of = |it: &&(u64, u64)| it.0 == name;
            let received: Vec<u64> =
                self.client.received.iter().filter(of).map(|it| it.1).collect();
            let all: Vec<u64> = (1..=sender.last).collect();
            holds(received == all, Wrong::Lost, || format!("of {name} came {received:?}"));
            let is_confirmed =
                |it: &u64| self.confirmed.messages.lock().unwrap().contains(&(name, *it));
            let are_confirmed = all.iter().all(is_confirmed);
            holds(are_confirmed, Wrong::Unconfirmed, || format!("{name} waits"));
        }
        let said: Vec<u64> = self.acted.values().copied().collect();
        let all = (1..=self.client.said).collect::<Vec<_>>();
        holds(said == all, Wrong::Lost, || format!("of the client came {said:?}"));
        let (client, session) = (self.client.unacknowledged.len(), self.unacknowledged());
        let none = client + session == 0;
        holds(none, Wrong::Unconfirmed, || format!("client waits for {client}, session {session}"));
    }
}
