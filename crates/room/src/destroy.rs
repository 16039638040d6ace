//! Owns the end of a room (XEP-0045 §10.9): those who are in it are told, its rows and its archive are
//! erased, and where it was to stay, a tombstone says where people went.

use entity::Context;
use xmpp::room_event::{News, Node};
use xmpp::{Element, Head, Jid, Kind, PresenceType, Stanza, StanzaCondition, ns};

use crate::birth::{self, NS, Tombstone};
use crate::exit::send_unavailable;
use crate::iq::reply;
use crate::keep::keep;
use crate::presence::status;
use crate::room::{Phase, Room};
use crate::{affiliation::Affiliation, directory, events, hold, subscribe};

/// Where people may go instead, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Farewell {
    venue: Option<Jid>,
    reason: Option<String>,
    password: Option<String>,
}

impl Farewell {
    /// Reads `<destroy/>`; an address that is none is not passed on.
    pub(crate) fn read(destroy: &Element) -> Self {
        let text = |name| destroy.child(name, destroy.ns().to_owned().as_str()).map(Element::text);
        Self {
            venue: destroy.attr("jid").and_then(|jid| Jid::parse(jid).ok()),
            reason: text("reason").filter(|reason| !reason.is_empty()),
            password: text("password").filter(|password| !password.is_empty()),
        }
    }

    fn to_element(&self) -> Element {
        let word = |name: &'static str| Element::new(name, ns::MUC_USER);
        let venue = self.venue.as_ref().map(|venue| venue.as_str());
        let mut destroy = word("destroy").with_attr_opt("jid", venue);
        for (name, text) in [("reason", &self.reason), ("password", &self.password)] {
            if let Some(text) = text {
                destroy.push(word(name).with_text(text));
            }
        }
        destroy
    }
}

/// An owner destroys the room. When it is kept that it is none any more, those who are inside are told; the request is
/// answered when nothing is left. Where it is not kept, the room goes on.
pub(crate) fn destroy(
    room: &mut Room,
    farewell: &Farewell,
    request: Stanza,
    cx: &mut Context<'_, Room>,
) {
    let owners = room.affiliations.of_affiliation(Affiliation::Owner);
    let stone = Tombstone {
        venue: farewell.venue.as_ref().map(ToString::to_string),
        reason: farewell.reason.clone(),
        at: cx.now.unix_micros,
        owners: owners.map(|(jid, _)| jid.clone()).take(100).collect(),
    };
    let stays = room.settings.persistent && matches!(room.phase, Phase::Open);
    let (stone, farewell) = (Some(stone).filter(|_| stays), farewell.clone());
    // Without this row nobody loads a room, whatever else is not erased yet.
    let mut writes = vec![birth::delete(&room.jid, birth::BIRTH)];
    writes.extend(stone.as_ref().map(|it| it.put(&room.jid)));
    keep(room, writes, request.clone(), cx, move |room, cx| {
        dismiss_all(room, &farewell, cx);
        end(room, stone, Some(request), cx);
    });
}

/// The maker of a room has left before it was one (§10.1.3, last paragraph).
pub(crate) fn give_up(room: &mut Room, cx: &mut Context<'_, Room>) {
    dismiss_all(room, &Farewell::default(), cx);
    end(room, None, None, cx);
}

fn dismiss_all(room: &mut Room, farewell: &Farewell, cx: &mut Context<'_, Room>) {
    for occupant in room.occupants.clear() {
        let item = Element::new("item", ns::MUC_USER)
            .with_attr("affiliation", Affiliation::None.as_str())
            .with_attr("role", "none");
        let x = Element::new("x", ns::MUC_USER)
            .with_child(item)
            .with_child(farewell.to_element())
            .with_child(status(110));
        for session in &occupant.sessions {
            let x = std::slice::from_ref(&x);
            send_unavailable(room, occupant.jid.clone(), &session.jid, x, cx);
        }
    }
    let head = Head {
        kind: Kind::Presence(PresenceType::Unavailable),
        id: None,
        from: Some(room.jid.clone().into()),
        to: None,
        lang: None,
    };
    let x = Element::new("x", ns::MUC_USER).with_child(farewell.to_element());
    let end = Stanza::build(head, &[x]);
    events::tell(room, Node::Config, News::Stanza(&end), |_| true, cx);
}

/// Nothing is left of the room but its tombstone, if there is one. Until then, who comes waits.
pub(crate) fn end(
    room: &mut Room,
    stone: Option<Tombstone>,
    request: Option<Stanza>,
    cx: &mut Context<'_, Room>,
) {
    subscribe::end_all(room, cx);
    // Nobody goes on from a copy of a room that is none.
    hold::let_all_out(room, cx);
    let mut nothing = Room::absent(room.jid.clone(), std::sync::Arc::clone(&room.shared));
    std::mem::swap(&mut nothing.queue, &mut room.queue);
    nothing.phase = Phase::Ending;
    nothing.stay_open();
    *room = nothing;
    room.queue.block();
    cx.cancel_timer(crate::create::UNCONFIGURED);
    // What was written before is written before the rows are erased.
    cx.commit_then(Vec::new(), move |room, cx, _| {
        let owner = room.jid.clone();
        cx.read(
            move |store, fence| store.erase(fence, owner),
            move |room, cx, erased| bury(room, stone, request, erased, cx),
        );
    });
}

fn bury(
    room: &mut Room,
    stone: Option<Tombstone>,
    request: Option<Stanza>,
    erased: Result<(), store::Error>,
    cx: &mut Context<'_, Room>,
) {
    let writes = stone.iter().map(|it| it.put(&room.jid)).collect();
    cx.commit_then(writes, move |room, cx, kept| {
        let done = erased.and(kept);
        if let Err(error) = &done {
            tracing::error!(jid = %room.jid, %error, "a room that has ended was not erased");
        }
        room.phase = match stone {
            Some(stone) => Phase::Destroyed(Box::new(stone)),
            None => Phase::Absent,
        };
        directory::tell(room, Element::new("ended", NS), cx);
        if let Some(request) = request {
            let answer = done.map(|()| None);
            let answer = answer.map_err(|_| StanzaCondition::InternalServerError.into());
            reply(room, &request, answer, cx);
        }
        room.queue.unblock();
        room.drain(cx);
    });
}
