//! Owns the judge of the simulation of a room: what does not hold.

use super::client::At;
use super::*;

/// What does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Somebody is inside who has gone, or never came.
    Ghost,
    /// Somebody is not inside who has come and not gone.
    Missing,
    /// Somebody was told that he is not inside, who has not gone.
    Evicted,
    /// Somebody was told that another one went, who did not.
    Flap,
    /// Somebody believes something else than is so of who is inside.
    Blind,
    /// All is at rest, or should be, and somebody waits for an answer.
    Unanswered,
    /// It was said to be safe, and somebody has not heard it, or not what came before.
    Lost,
    /// It was heard once more.
    Twice,
    /// It was heard behind what was said later.
    Disordered,
    /// It came back to its sender for no good reason, or came back and was heard.
    Refused,
    /// A receipt was dropped.
    Dropped,
    /// A standby hears what has changed of something that it does not have.
    Baseless,
}

/// How a history went.
pub(super) type History = seeded::History<Wrong>;

impl World {
    pub(super) fn judge(&self) {
        self.judge_rest();
        self.judge_people();
        self.judge_messages();
        self.clients.iter().for_each(|client| self.judge_hearing(client));
    }

    fn judge_rest(&self) {
        for Client { jid, at, unacknowledged, .. } in &self.clients {
            // A new owner that knows nothing of one who has left does not answer.
            let waits = *at == At::Entering || (*at == At::Leaving && self.epoch == 1);
            let is_told = !waits && unacknowledged.is_empty();
            holds(is_told, Wrong::Unanswered, || {
                format!("{jid} is {at:?}, and waits for {unacknowledged:?}")
            });
        }
        holds(self.is_at_rest(), Wrong::Unanswered, || "it does not come to rest".to_owned());
    }

    /// Room, homes and clients agree on who is inside.
    fn judge_people(&self) {
        let room = &self.stage.as_ref().unwrap().trial.entity;
        let of = |it: &crate::occupant::Occupant| {
            it.sessions
                .iter()
                .map(|session| (session.jid.to_string(), it.nick().to_owned()))
                .collect::<Vec<_>>()
        };
        let told: BTreeSet<(String, String)> = room.occupants.iter().flat_map(of).collect();
        let inside = self.clients.iter().filter(|client| client.at == At::Inside);
        let real: BTreeSet<(String, String)> =
            inside.clone().map(|it| (it.jid.to_string(), it.nick.clone())).collect();
        let about = || format!("the room has {told:?}, inside are {real:?}");
        holds(told.is_subset(&real), Wrong::Ghost, about);
        holds(real.is_subset(&told), Wrong::Missing, about);
        let nicks: BTreeSet<String> = real.iter().map(|it| it.1.clone()).collect();
        for client in inside {
            let about = || format!("{} sees {:?} of {nicks:?}", client.jid, client.people);
            holds(client.people == nicks, Wrong::Blind, about);
            let entry = &self.homes[client.home].entries[client.place];
            let knows = entry.inside == [occupant(&client.nick)];
            holds(knows, Wrong::Blind, || format!("{}'s home has {:?}", client.jid, entry.inside));
        }
    }

    /// What was acknowledged was heard, or has come back; each speaker's in order.
    fn judge_messages(&self) {
        let order = &self.clients[0].heard[0].numbers;
        for client in &self.clients {
            for number in &client.acknowledged {
                let (is_heard, is_back) = (order.contains(number), self.refused.contains(number));
                holds(is_heard || is_back, Wrong::Lost, || format!("{number} was acknowledged"));
                holds(!(is_heard && is_back), Wrong::Refused, || format!("{number} was heard"));
            }
        }
        for speaker in 0..self.clients.len() {
            let of: Vec<usize> =
                order.iter().copied().filter(|it| self.speakers[*it] == speaker).collect();
            holds(of.is_sorted(), Wrong::Disordered, || format!("of {speaker} came {of:?}"));
        }
    }

    /// Whoever was inside has heard what the first one has, without a gap, and who is still, up to now.
    fn judge_hearing(&self, client: &Client) {
        let order = &self.clients[0].heard[0].numbers;
        for heard in &client.heard {
            let place = |it: &usize| order.iter().position(|known| known == it);
            let places = heard.numbers.iter().map(|it| place(it).unwrap_or(usize::MAX));
            let mut places: Vec<usize> = places.collect();
            let about = || format!("{} heard {heard:?} of {order:?}", client.jid);
            if heard.may_repeat {
                places.sort_unstable();
                places.dedup();
            }
            holds(places.is_sorted(), Wrong::Disordered, about);
            let is_whole = places.windows(2).all(|it| it[0].checked_add(1) == Some(it[1]));
            holds(is_whole && !places.contains(&usize::MAX), Wrong::Lost, about);
        }
        if client.at == At::Inside {
            let is_up_to_now = order.last().is_none_or(|last| client.hears(*last));
            holds(is_up_to_now, Wrong::Lost, || format!("{} has not heard {order:?}", client.jid));
        }
    }
}
