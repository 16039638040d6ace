//! Owns the people of the simulation of a room, each with a home: what they send and have not seen confirmed, what they
//! were told before, and what they heard while they were inside.

use xmpp::{Kind, MessageType, PresenceType, Stanza, ns};

use super::*;

/// Most that somebody has sent and not seen confirmed.
const WINDOW: usize = 6;

/// Windows that a home keeps of what it was told: more than there are to tell apart.
const WINDOWS: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Outside,
    /// They have asked to come in.
    Knocking,
    Inside,
    /// They have said that they go.
    Leaving,
}

/// What somebody has sent.
pub(super) struct Unconfirmed {
    pub(super) seq: u64,
    pub(super) xml: String,
    /// To this owner; to one before.
    pub(super) sent: bool,
    pub(super) again: bool,
}

pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) place: Place,
    seen: Seen,
    last: u64,
    pub(super) unconfirmed: VecDeque<Unconfirmed>,
    /// On its way from the room.
    pub(super) inbox: VecDeque<Envelope>,
    /// What they said, and what of that came back.
    pub(super) said: Vec<String>,
    pub(super) refused: BTreeSet<String>,
    /// What they heard each time they were inside.
    pub(super) stays: Vec<Vec<String>>,
}

impl Person {
    pub(super) fn new(name: &'static str) -> Self {
        let (seen, unconfirmed, inbox, said, refused, stays) = Default::default();
        let (place, last) = (Place::Outside, 0);
        Self { name, place, seen, last, unconfirmed, inbox, said, refused, stays }
    }

    /// The stage has let the owner in as `first`.
    pub(super) fn nick(&self) -> &'static str {
        if self.name == PEOPLE[0] { "first" } else { self.name }
    }

    pub(super) fn jid(&self) -> String {
        format!("{}@x.org/desktop", self.name)
    }

    fn send(&mut self, xml: String) {
        self.last += 1;
        let (sent, again) = (false, false);
        self.unconfirmed.push_back(Unconfirmed { seq: self.last, xml, sent, again });
    }

    pub(super) fn speaks(&mut self) {
        if self.place != Place::Inside || self.unconfirmed.len() >= WINDOW {
            return;
        }
        let (text, from) = (format!("{} {}", self.name, self.said.len()), self.jid());
        self.send(format!("<message xmlns='jabber:client' type='groupchat' id='{text}' from='{from}' to='coven@chat.x.org'><body>{text}</body></message>"));
        self.said.push(text);
    }

    /// Goes where they are not. What they have sent before is done with, as far as they know.
    pub(super) fn moves(&mut self) {
        if !self.unconfirmed.is_empty() {
            return;
        }
        let (from, name) = (self.jid(), self.name);
        let (place, ty, x) = match self.place {
            Place::Outside => (Place::Knocking, "", "<x xmlns='http://jabber.org/protocol/muc'/>"),
            Place::Inside => (Place::Leaving, " type='unavailable'", ""),
            Place::Knocking | Place::Leaving => return,
        };
        self.place = place;
        self.send(format!("<presence xmlns='jabber:client'{ty} from='{from}' to='coven@chat.x.org/{name}'>{x}</presence>"));
    }

    pub(super) fn kicks(&mut self, nick: &str) {
        if self.unconfirmed.len() < WINDOW {
            let query = format!(
                "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='{nick}' role='none'/></query>"
            );
            self.send(stage::request(&self.jid(), "set", &query));
        }
    }

    /// The next thing that the room has told them reaches their home.
    pub(super) fn hears(&mut self, mutant: Option<Mutant>) {
        let Some(envelope) = self.inbox.pop_front() else { return };
        let Envelope { body: Body::Stanza(stanza), origin, again, receipt, .. } = envelope else {
            panic!("a room sends stanzas alone")
        };
        receipt.into_iter().for_each(Receipt::release);
        let repeats = self.seen.see(Mark::of(origin, &stanza), again, WINDOWS);
        if !repeats || mutant == Some(Mutant::Repeats) {
            self.is_told(&stanza, mutant == Some(Mutant::Straying));
        }
    }

    /// As a home does it: who has said that they go is not inside any more, and who has not asked is not either.
    fn is_told(&mut self, stanza: &Stanza, strays: bool) {
        match stanza.kind() {
            Kind::Presence(PresenceType::Available)
                if is_own(stanza) && self.place == Place::Knocking =>
            {
                self.stays.push(Vec::new());
                self.place = Place::Inside;
            }
            Kind::Presence(PresenceType::Unavailable) if is_own(stanza) => {
                self.place = Place::Outside;
            }
            Kind::Message(MessageType::Groupchat) => {
                if let Some(body) = stanza.child("body", "") {
                    self.hears_said(body.text(), strays);
                }
            }
            Kind::Message(MessageType::Error) => {
                self.refused.extend(stanza.head().id.as_deref().map(str::to_owned));
            }
            _ => {}
        }
    }

    fn hears_said(&mut self, text: String, strays: bool) {
        match self.place {
            Place::Inside => self.stays.last_mut().unwrap().push(text),
            // A new owner may not know of who was kicked and comes in again at once.
            Place::Knocking => {}
            Place::Outside | Place::Leaving => {
                holds(!strays, Wrong::HeardOutside, || format!("{} heard {text}", self.name));
            }
        }
    }
}

/// Whether a presence tells somebody about themselves (XEP-0045 §7.2.2).
fn is_own(stanza: &Stanza) -> bool {
    let x = stanza.child("x", ns::MUC_USER);
    x.is_some_and(|x| {
        x.children().any(|it| it.name() == "status" && it.attr("code") == Some("110"))
    })
}
