//! XEP-0352 Client State Indication, version 1.0.0. What may wait while nobody looks at a client, and
//! the stanzas that do. Pure.
//!
//! While a client is inactive, or while its session waits to be resumed, the last presence of each sender,
//! messages that only tell that somebody types, and events of pubsub nodes are held back (§3.2). Any
//! other stanza lets out what was held before it, so that whatever comes of one sender keeps its order:
//! the radio is awake then anyway.
//!
//! Bound: [`MAX_STANZAS`] and [`MAX_BYTES`]. Full: everything is let out.

use entity::Extension;
use xmpp::{Element, Features, Kind, MessageType, PresenceType, Stanza, ns};

use super::Session;
use super::queue::Item;

pub(super) const EXTENSION: Extension<Session> = Extension {
    number: "0352",
    title: "Client State Indication",
    version: "1.0.0",
    ..Extension::NONE
};

/// Most stanzas that are held back.
pub(super) const MAX_STANZAS: usize = 256;

/// Most bytes of them.
pub(super) const MAX_BYTES: usize = 64 << 10;

/// The stanzas that are held back, oldest first.
#[derive(Debug, Default)]
pub(super) struct Held {
    items: Vec<Item>,
    bytes: usize,
}

impl Held {
    /// Holds an item back; gives it back where there is no room.
    pub(super) fn hold(&mut self, item: Item) -> Option<Item> {
        self.forget_presence_before(&item.stanza);
        if self.items.len() >= MAX_STANZAS || self.bytes + item.cost() > MAX_BYTES {
            return Some(item);
        }
        self.bytes += item.cost();
        self.items.push(item);
        None
    }

    /// What was held back in a snapshot.
    pub(super) fn restored(items: Vec<Item>) -> Self {
        Self { bytes: items.iter().map(Item::cost).sum(), items }
    }

    /// Everything, oldest first.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }

    /// Whether nothing is held back.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Everything, oldest first.
    pub(super) fn take(&mut self) -> Vec<Item> {
        self.bytes = 0;
        std::mem::take(&mut self.items)
    }

    fn forget_presence_before(&mut self, stanza: &Stanza) {
        if !matches!(stanza.kind(), Kind::Presence(_)) {
            return;
        }
        let same = |item: &Item| {
            matches!(item.stanza.kind(), Kind::Presence(_))
                && item.stanza.head().from == stanza.head().from
        };
        if let Some(index) = self.items.iter().position(same) {
            let before = self.items.remove(index);
            self.bytes = self.bytes.saturating_sub(before.cost());
        }
    }
}

/// Whether a stanza may wait until somebody looks at the client.
pub(super) fn may_wait(stanza: &Stanza) -> bool {
    match stanza.kind() {
        Kind::Presence(PresenceType::Available | PresenceType::Unavailable) => true,
        Kind::Message(MessageType::Error) | Kind::Presence(_) | Kind::Iq(_) => false,
        Kind::Message(MessageType::Headline) => {
            stanza.features().any(Features::PUBSUB_EVENT) && !stanza.features().any(Features::BODY)
        }
        Kind::Message(_) if stanza.features().any(Features::CARBON) => is_copy_of_state(stanza),
        Kind::Message(_) => is_only_state(stanza.features()),
    }
}

/// Whether a message only tells that somebody types (XEP-0085), and says nothing that a person would read.
fn is_only_state(features: Features) -> bool {
    const BESIDE: Features = Features::CHAT_STATE
        .with(Features::NO_STORE)
        .with(Features::NO_PERMANENT_STORE)
        .with(Features::NO_COPY)
        .with(Features::PRIVATE)
        .with(Features::DELAY)
        .with(Features::STANZA_ID);
    features.any(Features::CHAT_STATE) && features.only(BESIDE)
}

/// A carbon (XEP-0280) of such a message.
fn is_copy_of_state(stanza: &Stanza) -> bool {
    let wrapper = stanza.children().find(|child| child.ns == ns::CARBONS);
    let Some(wrapper) = wrapper.and_then(|child| child.parse()) else {
        return false;
    };
    let copied = wrapper
        .child("forwarded", ns::FORWARD)
        .and_then(|forwarded| forwarded.child("message", ns::CLIENT));
    let features = |message: &Element| {
        message.children().fold(Features::NONE, |all, child| {
            let ns = if child.ns() == ns::CLIENT { "" } else { child.ns() };
            all.with(Features::of(ns, child.name()))
        })
    };
    copied.is_some_and(|message| is_only_state(features(message)))
}

#[cfg(test)]
mod tests {
    use xmpp::{Head, IqType, Jid};

    use super::*;

    const STATE: &str = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
    const BODY: &str = "<body>hi</body>";

    fn stanza(kind: Kind, from: &str, inner: &str) -> Stanza {
        let from = Jid::parse(from).ok();
        Stanza::new(Head { kind, id: None, from, to: None, lang: None }, inner.to_owned())
    }

    fn chat(inner: &str) -> Stanza {
        stanza(Kind::Message(MessageType::Chat), "a@x/r", inner)
    }

    fn carbon(inner: &str) -> Stanza {
        chat(&format!(
            "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:client' type='chat'>{inner}</message></forwarded></received>"
        ))
    }

    fn presence(from: &str) -> Stanza {
        stanza(Kind::Presence(PresenceType::Available), from, "")
    }

    fn hold(held: &mut Held, stanza: Stanza) -> Option<Item> {
        held.hold(Item { stanza, at: 0, mark: None, origin: None, again: false })
    }

    #[test]
    fn only_what_nobody_misses_may_wait() {
        let event = "<event xmlns='http://jabber.org/protocol/pubsub#event'/>";
        let headline = Kind::Message(MessageType::Headline);
        let rows = [
            (presence("a@x/r"), true),
            (stanza(Kind::Presence(PresenceType::Unavailable), "a@x/r", ""), true),
            (stanza(Kind::Presence(PresenceType::Subscribe), "a@x", ""), false),
            (stanza(Kind::Presence(PresenceType::Error), "a@x", ""), false),
            (stanza(Kind::Iq(IqType::Get), "a@x/r", "<ping xmlns='urn:xmpp:ping'/>"), false),
            (chat(STATE), true),
            (chat(&format!("{STATE}<thread>t</thread>")), true),
            (chat(&format!("{BODY}{STATE}")), false),
            (chat(&format!("{STATE}<x xmlns='urn:x'/>")), false),
            (chat(BODY), false),
            (chat("<received xmlns='urn:xmpp:receipts' id='1'/>"), false),
            (stanza(Kind::Message(MessageType::Error), "a@x/r", STATE), false),
            (carbon(STATE), true),
            (carbon(BODY), false),
            (stanza(headline, "a@x", event), true),
            (stanza(headline, "a@x", BODY), false),
        ];
        for (stanza, waits) in rows {
            assert_eq!(may_wait(&stanza), waits, "{stanza:?}");
        }
    }

    #[test]
    fn of_each_sender_the_last_presence_is_held() {
        let mut held = Held::default();
        for from in ["a@x/r", "b@x/r", "a@x/r"] {
            assert!(hold(&mut held, presence(from)).is_none());
        }
        assert!(hold(&mut held, chat(STATE)).is_none());
        let bytes: usize = held.items.iter().map(Item::cost).sum();
        assert_eq!(held.bytes, bytes);
        let from: Vec<_> =
            held.take().iter().map(|item| item.stanza.head().from.clone().unwrap()).collect();
        assert_eq!(from, ["b@x/r", "a@x/r", "a@x/r"]);
        assert!(held.is_empty() && held.bytes == 0);
    }

    #[test]
    fn more_than_the_bound_is_not_held() {
        let mut held = Held::default();
        let mut taken = 0;
        while hold(&mut held, chat(STATE)).is_none() {
            taken += 1;
        }
        assert!(taken > 0 && taken <= MAX_STANZAS && held.bytes <= MAX_BYTES, "{taken}");
    }
}
