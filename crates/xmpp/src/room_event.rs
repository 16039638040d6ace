//! MUC/Sub (`urn:xmpp:mucsub:0`, as ejabberd documents it): what a room tells people who are not inside, as events of
//! nodes that it has (XEP-0060 §7.1.2.1).

use crate::{Element, Kind, Stanza, forward, ns, writer};

/// What a room tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// What is said to all.
    Messages,
    /// Another subject.
    Subject,
    /// Who comes, goes, or is shown otherwise than before.
    Presence,
    /// Who is what to the room from now on.
    Affiliations,
    /// Who hears the room from now on without being inside, and who does not any more.
    Subscribers,
    /// Other settings, and the end of the room.
    Config,
}

impl Node {
    /// Every node.
    pub const ALL: [Self; 6] = [
        Self::Messages,
        Self::Subject,
        Self::Presence,
        Self::Affiliations,
        Self::Subscribers,
        Self::Config,
    ];

    /// The value of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "urn:xmpp:mucsub:nodes:messages",
            Self::Subject => "urn:xmpp:mucsub:nodes:subject",
            Self::Presence => "urn:xmpp:mucsub:nodes:presence",
            Self::Affiliations => "urn:xmpp:mucsub:nodes:affiliations",
            Self::Subscribers => "urn:xmpp:mucsub:nodes:subscribers",
            Self::Config => "urn:xmpp:mucsub:nodes:config",
        }
    }

    /// Reads the attribute.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// What an event tells.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// A stanza, as those get it who are inside.
    Stanza(&'a Stanza),
    /// Something of the protocol's own.
    Element(&'a Element),
}

/// The `<event/>` of one item.
#[must_use]
pub fn write(node: Node, id: &str, news: News<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    writer::open_start(&mut out, "event", ns::PUBSUB_EVENT, "");
    writer::open_end(&mut out);
    writer::open_start(&mut out, "items", ns::PUBSUB_EVENT, ns::PUBSUB_EVENT);
    writer::attribute(&mut out, "node", node.as_str());
    writer::open_end(&mut out);
    writer::open_start(&mut out, "item", ns::PUBSUB_EVENT, ns::PUBSUB_EVENT);
    writer::attribute(&mut out, "id", id);
    writer::open_end(&mut out);
    match news {
        News::Stanza(stanza) => stanza.write_forwarded(&mut out),
        News::Element(element) => element.write(&mut out, ns::PUBSUB_EVENT),
    }
    for name in ["item", "items", "event"] {
        writer::close(&mut out, name);
    }
    out
}

/// What became of a message that may be an event of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is none.
    Nothing,
    /// This was said to all.
    Message(Box<Stanza>),
    /// Something else has happened.
    Other,
}

/// What a room tells by a message. It speaks for itself alone: what is not of an occupant of its own is not said.
#[must_use]
pub fn read(stanza: &Stanza) -> Told {
    let is_event = stanza.features().any(crate::Features::PUBSUB_EVENT);
    let Kind::Message(_) = stanza.kind() else { return Told::Nothing };
    let Some(event) = is_event.then(|| stanza.child("event", ns::PUBSUB_EVENT)).flatten() else {
        return Told::Nothing;
    };
    let Some(items) = event.child("items", ns::PUBSUB_EVENT) else { return Told::Nothing };
    let Some(node) = items.attr("node").filter(|node| node.starts_with(NODES)) else {
        return Told::Nothing;
    };
    let item = items.child("item", ns::PUBSUB_EVENT).filter(|_| node == Node::Messages.as_str());
    let said = item.and_then(|item| item.child("message", ns::CLIENT)).and_then(forward::read);
    let room = stanza.head().from.as_ref();
    let is_its_own = |said: &Stanza| match (&said.head().from, room) {
        (Some(from), Some(room)) => from.bare_str() == room.bare_str(),
        _ => false,
    };
    said.filter(is_its_own).map_or(Told::Other, |said| Told::Message(Box::new(said)))
}

/// What the names of all nodes begin with.
const NODES: &str = "urn:xmpp:mucsub:nodes:";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Head, Jid, MessageType};

    fn message(from: &str, inner: impl Into<bytes::Bytes>) -> Stanza {
        let head = Head {
            kind: Kind::Message(MessageType::Normal),
            id: None,
            from: Some(Jid::parse(from).unwrap()),
            to: None,
            lang: None,
        };
        Stanza::new(head, inner)
    }

    #[test]
    fn what_is_told_of_a_message_is_read_again() {
        let said = message("coven@chat.x/hag", "<body>1 &lt; 2</body>");
        let event = write(Node::Messages, "7", News::Stanza(&said));
        assert_eq!(
            String::from_utf8(event.clone()).unwrap(),
            "<event xmlns='http://jabber.org/protocol/pubsub#event'>\
             <items node='urn:xmpp:mucsub:nodes:messages'><item id='7'>\
             <message xmlns='jabber:client' from='coven@chat.x/hag'><body>1 &lt; 2</body></message>\
             </item></items></event>"
        );
        let told = read(&message("coven@chat.x", event.clone()));
        assert_eq!(told, Told::Message(Box::new(said)));
        // Nobody speaks for another room's people.
        assert_eq!(read(&message("heath@chat.x", event)), Told::Other);
    }

    #[test]
    fn what_is_told_of_other_nodes_says_nothing_and_other_events_are_none() {
        let element = Element::new("subscribe", ns::MUCSUB).with_attr("nick", "hag");
        let event = write(Node::Subscribers, "7", News::Element(&element));
        assert_eq!(read(&message("coven@chat.x", event)), Told::Other);
        let other =
            "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='n'/></event>";
        assert_eq!(read(&message("coven@chat.x", other)), Told::Nothing);
        assert_eq!(read(&message("coven@chat.x", "<body>hi</body>")), Told::Nothing);
        for node in Node::ALL {
            assert_eq!(Node::parse(node.as_str()), Some(node));
        }
    }
}
