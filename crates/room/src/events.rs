//! Owns what those are told who hear a room without being inside (MUC/Sub): what happens, wrapped once, and sent like
//! everything else that many are to get. Whoever is inside hears it there, whichever of their clients that is.
//!
//! What a person would want to read is a message like others: kept where nobody is there to take it. Everything else
//! is a headline, which is for whoever is there.

use entity::Context;
use store::ArchiveId;
use xmpp::room_event::{self, News, Node};
use xmpp::{BareJid, Features, Head, Jid, Kind, MessageType, Stanza};

use crate::affiliation::{Affiliation, Role};
use crate::room::Room;
use crate::rules::Standing;
use crate::tell::Audience;
use crate::{subject, tell};

/// An event, and who gets it.
pub(crate) type Event = (Stanza, Vec<Jid>);

/// Something that was said to all; none where nobody gets it.
pub(crate) fn of_message(room: &Room, id: ArchiveId, said: &Stanza) -> Option<Event> {
    if room.subscribers.is_empty() {
        return None;
    }
    let node = if subject::is_change(said) { Node::Subject } else { Node::Messages };
    let to = audience(room, node, |_| true);
    let told = Features::BODY.with(Features::ENCRYPTED);
    let is_talk = said.features().any(told) && !said.features().any(Features::NO_STORE);
    let ty = if is_talk { MessageType::Normal } else { MessageType::Headline };
    let id = room.shared.config.ids.write(id);
    (!to.is_empty()).then(|| (event(room, node, ty, &id, News::Stanza(said)), to))
}

/// Tells what has happened to those who hear of it, and may know.
pub(crate) fn tell(
    room: &Room,
    node: Node,
    news: News<'_>,
    may_know: impl Fn(&BareJid) -> bool,
    cx: &mut Context<'_, Room>,
) {
    let to = audience(room, node, may_know);
    if !to.is_empty() {
        let id = format!("{:016x}", cx.random_u64());
        let event = event(room, node, MessageType::Headline, &id, news);
        tell::tell(room, event, Audience::Listed(to), cx);
    }
}

/// Who hears of a node: not whoever is inside.
fn audience(room: &Room, node: Node, may_know: impl Fn(&BareJid) -> bool) -> Vec<Jid> {
    let outside = room.subscribers.of(node).filter(|who| !room.occupants.has_account(who));
    outside.filter(|who| may_know(who)).map(|who| who.clone().into()).collect()
}

fn event(room: &Room, node: Node, ty: MessageType, id: &str, news: News<'_>) -> Stanza {
    let head = Head {
        kind: Kind::Message(ty),
        id: Some(id.into()),
        from: Some(room.jid.clone().into()),
        to: None,
        lang: None,
    };
    Stanza::new(head, room_event::write(node, id, news))
}

/// What somebody may do who is not inside.
pub(crate) fn standing_of(room: &Room, who: &BareJid) -> Standing {
    Standing { affiliation: room.affiliation_of(who), role: Role::None }
}

/// Whether somebody who is not inside is shown real addresses: whoever would be a moderator is.
pub(crate) fn sees_addresses(room: &Room, who: &BareJid) -> bool {
    room.settings.addresses_shown || room.affiliation_of(who) >= Affiliation::Admin
}
