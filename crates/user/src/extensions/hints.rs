//! XEP-0334 Message Processing Hints, version 1.0.0: what of a message may be archived, kept for later,
//! or copied to other clients. The one place that decides it.

use entity::Extension;
use xmpp::room_event::{self, Told};
use xmpp::{Features, Kind, MessageType, Stanza, ns};

use crate::User;

/// Hints, honoured by the archive, carbons and offline messages.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0334",
    title: "Message Processing Hints",
    version: "1.0.0",
    features: &[ns::HINTS],
    ..Extension::NONE
};

/// Which way a message goes, seen from the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From a client of the account.
    Sent,
    /// To the account.
    Received,
}

/// Content that tells people something even where there is no body.
const CONTENT: Features = Features::BODY
    .with(Features::ENCRYPTED)
    .with(Features::STORE)
    .with(Features::INVITATION)
    .with(Features::CALL);

/// Whether a message belongs into the account's archive (XEP-0313 §6.1.1): conversation, not state.
/// Rooms keep their own; hints are heeded (XEP-0334 §4), but not in errors (§5).
pub(crate) fn may_archive(stanza: &Stanza) -> bool {
    let all = stanza.features();
    let ty = match stanza.kind() {
        Kind::Message(ty) => ty,
        Kind::Presence(_) | Kind::Iq(_) => return false,
    };
    if all.any(NEVER_KEPT.with(Features::NO_PERMANENT_STORE)) {
        return false;
    }
    match ty {
        MessageType::Chat => all.any(CONTENT),
        MessageType::Normal => all.any(CONTENT) || is_mediated_invitation(stanza),
        MessageType::Headline => all.any(Features::STORE),
        MessageType::Groupchat | MessageType::Error => false,
    }
}

/// Whether a message may wait for a client of the account to come (XEP-0160 §3): `normal` and `chat`,
/// if there is more in it than a chat state. What a room tells somebody who is not inside waits if it is something that
/// was said there; the room has an archive of its own ([`may_archive`]).
pub(crate) fn may_keep_for_later(stanza: &Stanza) -> bool {
    match stanza.kind() {
        Kind::Message(MessageType::Normal | MessageType::Chat) => {}
        _ => return false,
    }
    let said = match room_event::read(stanza) {
        Told::Nothing => return !stanza.features().any(NEVER_KEPT) && !is_chat_state_alone(stanza),
        Told::Message(said) => said.features(),
        Told::Other => return false,
    };
    let all = said.with(stanza.features());
    !all.any(NEVER_KEPT) && said.any(Features::BODY.with(Features::ENCRYPTED))
}

/// Whether a message is eligible for carbons (XEP-0280 §6.1), and neither it nor a hint forbids it (§9,
/// XEP-0334 §4.3).
pub(crate) fn may_copy(stanza: &Stanza, way: Way) -> bool {
    let Kind::Message(ty) = stanza.kind() else {
        return false;
    };
    let all = stanza.features();
    if all.any(Features::PRIVATE) || (ty != MessageType::Error && all.any(Features::NO_COPY)) {
        return false;
    }
    let from_occupant = way == Way::Received && is_of_occupant(stanza);
    let conversation = all.any(IM_PAYLOADS);
    match ty {
        MessageType::Groupchat => false,
        MessageType::Chat => !from_occupant,
        MessageType::Normal => {
            (conversation || all.any(Features::BODY) || is_mediated_invitation(stanza))
                && !from_occupant
        }
        MessageType::Headline => conversation && !from_occupant,
        // An error is eligible as what it answers was, which it may show (RFC 6120 §8.3.1).
        MessageType::Error => (conversation || all.any(Features::BODY)) && !from_occupant,
    }
}

/// Payloads of instant messaging (XEP-0280 §6.1).
const IM_PAYLOADS: Features = Features::RECEIPT
    .with(Features::CHAT_STATE)
    .with(Features::MARKER)
    .with(Features::INVITATION)
    .with(Features::ENCRYPTED)
    .with(Features::CALL);

/// What is never kept at all: the sender's wish, and results of an archive.
const NEVER_KEPT: Features = Features::NO_STORE.with(Features::ARCHIVE);

/// An invitation that a room passes on (XEP-0045 §7.8.2) comes from the room itself.
fn is_mediated_invitation(stanza: &Stanza) -> bool {
    stanza.features().any(Features::MUC_USER)
        && stanza.head().from.as_ref().is_some_and(|from| from.is_bare())
}

/// A private message of an occupant comes from a full address and says so (XEP-0045 §7.5).
fn is_of_occupant(stanza: &Stanza) -> bool {
    stanza.features().any(Features::MUC_USER)
        && stanza.head().from.as_ref().is_some_and(|from| !from.is_bare())
}

/// Chat states, hints and ids are all that there is (XEP-0160 §3: such a message is not kept).
fn is_chat_state_alone(stanza: &Stanza) -> bool {
    let aside = |ns: &str| {
        matches!(ns, ns::CHAT_STATES | ns::HINTS | ns::STANZA_ID | ns::CARBONS | ns::DELAY)
    };
    let unimportant = |name: &str, ns: &str| aside(ns) || ns.is_empty() && name == "thread";
    stanza.children().all(|child| unimportant(child.name, child.ns))
        && !stanza.features().any(Features::STORE)
}

#[cfg(test)]
mod tests {
    use xmpp::{Head, Jid};

    use super::*;

    fn message(ty: MessageType, from: &str, inner: &'static str) -> Stanza {
        let head = Head {
            kind: Kind::Message(ty),
            id: None,
            from: Some(Jid::parse(from).unwrap()),
            to: Some(Jid::parse("juliet@capulet.lit").unwrap()),
            lang: None,
        };
        Stanza::new(head, inner)
    }

    const BODY: &str = "<body>hi</body>";
    const ACTIVE: &str = "<active xmlns='http://jabber.org/protocol/chatstates'/>\
        <origin-id xmlns='urn:xmpp:sid:0' id='1'/><no-store xmlns='urn:xmpp:hints'/><thread>t</thread>";
    const STATE: &str = "<active xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread>\
        <origin-id xmlns='urn:xmpp:sid:0' id='1'/>";
    const RECEIPT: &str = "<received xmlns='urn:xmpp:receipts' id='1'/>";
    const STORED_RECEIPT: &str =
        "<received xmlns='urn:xmpp:receipts' id='1'/><store xmlns='urn:xmpp:hints'/>";
    const PASSING: &str = "<body>hi</body><no-permanent-store xmlns='urn:xmpp:hints'/>";
    const SECRET: &str = "<body>hi</body><no-store xmlns='urn:xmpp:hints'/>";
    const OMEMO: &str = "<encrypted xmlns='eu.siacs.conversations.axolotl'/>";
    const MUC_USER: &str = "<body>hi</body><x xmlns='http://jabber.org/protocol/muc#user'/>";
    const INVITE: &str = "<x xmlns='http://jabber.org/protocol/muc#user'><invite/></x>";
    const DIRECT: &str = "<x xmlns='jabber:x:conference' jid='r@m'/>";

    const ROMEO: &str = "romeo@montague.lit/orchard";
    const ROOM: &str = "room@muc.lit";
    const OCCUPANT: &str = "room@muc.lit/nick";

    use MessageType::{Chat, Error, Groupchat, Headline, Normal};

    #[test]
    fn archives_hold_conversations_and_not_states() {
        let cases = [
            (Chat, BODY, true),
            (Normal, BODY, true),
            (Headline, BODY, false),
            (Groupchat, BODY, false),
            (Error, BODY, false),
            (Chat, ACTIVE, false),
            (Chat, STATE, false),
            (Chat, RECEIPT, false),
            (Chat, STORED_RECEIPT, true),
            (Headline, STORED_RECEIPT, true),
            (Error, STORED_RECEIPT, false),
            (Chat, PASSING, false),
            (Chat, SECRET, false),
            (Chat, OMEMO, true),
            (Normal, DIRECT, true),
            (Chat, "<result xmlns='urn:xmpp:mam:2'/><body>hi</body>", false),
        ];
        for (ty, inner, archived) in cases {
            assert_eq!(may_archive(&message(ty, ROMEO, inner)), archived, "{ty:?} {inner}");
        }
        assert!(may_archive(&message(Normal, ROOM, INVITE)));
    }

    #[test]
    fn messages_wait_for_a_client_unless_they_tell_nothing_or_must_not_be_kept() {
        let cases = [
            (Chat, BODY, true),
            (Normal, "", false),
            (Normal, BODY, true),
            (Headline, BODY, false),
            (Groupchat, BODY, false),
            (Error, BODY, false),
            (Chat, STATE, false),
            (Chat, ACTIVE, false),
            (Chat, RECEIPT, true),
            (Chat, PASSING, true),
            (Chat, SECRET, false),
            (Chat, OMEMO, true),
        ];
        for (ty, inner, kept) in cases {
            assert_eq!(may_keep_for_later(&message(ty, ROMEO, inner)), kept, "{ty:?} {inner}");
        }
    }

    #[test]
    fn of_what_a_room_tells_outside_people_wait_for_what_was_said() {
        let event = |node: &str, inner: &str| {
            format!(
                "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:mucsub:nodes:{node}'>\
                 <item><message xmlns='jabber:client' from='{OCCUPANT}' type='groupchat'>{inner}</message></item>\
                 </items></event>"
            )
        };
        let told = |from: &str, node: &str, inner: &str| {
            let stanza = message(Normal, from, "");
            stanza.with_child_bytes(event(node, inner).as_bytes())
        };
        for (node, inner, kept) in [
            ("messages", BODY, true),
            ("messages", OMEMO, true),
            ("messages", STATE, false),
            ("messages", SECRET, false),
            ("subject", BODY, false),
            ("presence", "", false),
        ] {
            let stanza = told(ROOM, node, inner);
            assert_eq!(may_keep_for_later(&stanza), kept, "{node} {inner}");
            assert!(!may_archive(&stanza));
        }
        assert!(!may_keep_for_later(&told("other@muc.lit", "messages", BODY)));
    }

    #[test]
    fn carbons_follow_the_recommended_rules() {
        let private = "<body>hi</body><private xmlns='urn:xmpp:carbons:2'/>";
        let no_copy = "<body>hi</body><no-copy xmlns='urn:xmpp:hints'/>";
        let cases = [
            (Chat, ROMEO, BODY, true),
            (Chat, ROMEO, STATE, true),
            (Normal, ROMEO, BODY, true),
            (Normal, ROMEO, RECEIPT, true),
            (Normal, ROMEO, "<x xmlns='urn:x'/>", false),
            (Headline, ROMEO, BODY, false),
            (Groupchat, ROMEO, BODY, false),
            (Error, ROMEO, BODY, true),
            (Error, ROMEO, "", false),
            (Error, ROMEO, no_copy, true),
            (Chat, ROMEO, private, false),
            (Chat, ROMEO, no_copy, false),
            (Normal, ROMEO, DIRECT, true),
            (Normal, ROOM, INVITE, true),
            (Chat, OCCUPANT, MUC_USER, false),
        ];
        for (ty, from, inner, copied) in cases {
            let stanza = message(ty, from, inner);
            assert_eq!(may_copy(&stanza, Way::Received), copied, "{ty:?} {from} {inner}");
        }
        assert!(may_copy(&message(Chat, ROMEO, MUC_USER), Way::Sent));
    }
}
