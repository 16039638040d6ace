//! The client in the simulation: it says each h once for each question, and what it writes and its connection has not
//! read when that is lost is lost too.

use super::edge::{Down, Edge, Socket, Up};
use super::*;

/// Most messages that the client has said and not heard to be handled.
const WINDOW: usize = 20;

#[derive(Default)]
pub(super) struct Client {
    pub(super) at: Option<usize>,
    /// What it still hears by a connection that is gone.
    pub(super) left: VecDeque<Down>,
    pub(super) resumed: bool,
    /// It acknowledges unasked, too.
    volunteers: bool,
    h: u32,
    /// The h that it said last.
    said_h: u32,
    pub(super) said: u64,
    acknowledged: u32,
    pub(super) unacknowledged: VecDeque<u64>,
    pub(super) received: Vec<(u64, u64)>,
}

impl Client {
    /// By the first connection.
    pub(super) fn begins(volunteers: bool) -> Self {
        Self { at: Some(0), resumed: true, volunteers, ..Self::default() }
    }
}

impl World {
    pub(super) fn client_hears(&mut self) {
        let down = match self.client.at {
            Some(at) => &mut self.edges[at].down,
            None => &mut self.client.left,
        };
        let Some(down) = down.pop_front() else { return };
        match down {
            Down::Message(sender, number) => {
                let known = self.client.received.iter().filter(|it| it.0 == sender);
                let last = known.map(|it| it.1).max().unwrap_or(0);
                let about = || format!("{sender} said {number}, which comes behind {last}");
                let wrong = if self.client.received.contains(&(sender, number)) {
                    Wrong::Twice
                } else {
                    Wrong::Disordered
                };
                holds(number > last, wrong, about);
                self.client.received.push((sender, number));
                self.client.h = self.client.h.wrapping_add(1);
            }
            Down::Ask => self.client_acknowledges(),
            Down::Handled(h) => self.client_is_told(h),
            Down::Resumed(h) => {
                self.client_is_told(h);
                self.client.resumed = true;
                for number in self.client.unacknowledged.clone() {
                    self.write(Up::Message(number));
                }
            }
            Down::Close => self.client_goes(),
        }
    }

    fn client_is_told(&mut self, h: u32) {
        let Client { acknowledged, .. } = self.client;
        let about = || format!("it was told that {acknowledged} are safe, and now {h}");
        holds(h >= acknowledged, Wrong::Lost, about);
        while self.client.acknowledged < h {
            self.client.acknowledged += 1;
            let number = self.client.unacknowledged.pop_front();
            holds(number.is_some(), Wrong::Misplaced, || format!("it has not said {h}"));
            let place = u64::from(self.client.acknowledged);
            let safe = self.acted.get(&place) == number.as_ref();
            holds(safe, Wrong::Lost, || format!("it was told that {number:?} is safe"));
        }
    }

    pub(super) fn client_says(&mut self) {
        if self.client.resumed && self.client.unacknowledged.len() < WINDOW {
            self.client.said += 1;
            self.client.unacknowledged.push_back(self.client.said);
            self.write(Up::Message(self.client.said));
        }
    }

    /// How much of what it has said is handled?
    pub(super) fn client_asks(&mut self) {
        if !self.client.unacknowledged.is_empty() {
            self.write(Up::Ask);
        }
    }

    pub(super) fn client_volunteers(&mut self) {
        if self.client.volunteers && self.client.said_h != self.client.h {
            self.client_acknowledges();
        }
    }

    fn client_acknowledges(&mut self) {
        self.client.said_h = self.client.h;
        self.write(Up::Handled(self.client.h));
    }

    fn write(&mut self, what: Up) {
        if let Some(at) = self.client.at.filter(|_| self.client.resumed) {
            self.edges[at].unread.push_back(what);
        }
    }

    pub(super) fn client_goes(&mut self) {
        (self.client.resumed, self.client.left) = (false, VecDeque::new());
        if let Some(at) = self.client.at.take() {
            match self.chance.below(3) {
                0 if self.edges[at].socket == Socket::Open => {
                    self.edges[at].socket = Socket::HalfOpen;
                }
                _ => self.edges[at].lose(),
            }
        }
    }

    pub(super) fn client_comes(&mut self) {
        if let Some(at) = self.client.at {
            // Nobody answers any more: it tries elsewhere.
            if !self.edges[at].bound
                && self.edges[at].asks.is_none()
                && self.edges[at].down.is_empty()
            {
                self.client_goes();
            }
            return;
        }
        let at = self.chance.below(MEMBERS);
        if !self.alive[at] {
            return;
        }
        self.client_goes();
        self.numbers += 1;
        let mut edge = Edge::new(member(at), self.numbers);
        self.client.said_h = self.client.h;
        let event = ConnectionEvent::Resume { secret: self.secret, h: self.client.h };
        edge.asks = Some(event.clone());
        edge.up.push_back((event, false));
        self.edges.push(edge);
        self.client.at = Some(self.edges.len() - 1);
    }
}
