//! Owns what is told of an occupant to whom: presence with roles, affiliations, real addresses for those who
//! may see them, and status codes (XEP-0045 §7.2, §17.3). Each presence is written at most three times, and
//! shared by all who get it.

use std::cell::RefCell;

use bytes::Bytes;
use entity::Context;
use store::ArchiveId;
use xmpp::room_event::{self, Node};
use xmpp::{BareJid, Element, FullJid, Head, Jid, Kind, PresenceType, Stanza, ns};

use crate::affiliation::{Affiliation, Role};
use crate::extensions::affiliation_versions::Versions;
use crate::occupant::{Occupant, Session};
use crate::settings::Roles;
use crate::tell::{self, Audience, Newcomers, tell};
use crate::{Room, events};

/// One piece of news of one occupant.
#[derive(Clone, Debug)]
pub(crate) struct News<'a> {
    /// The occupant JID that it comes from.
    pub(crate) from: FullJid,
    /// Whether they are there.
    pub(crate) kind: PresenceType,
    /// The role that is told: none of somebody who is gone.
    pub(crate) role: Role,
    /// The affiliation that is told.
    pub(crate) affiliation: Affiliation,
    /// The session that is told of, where it may be told.
    pub(crate) real: Option<FullJid>,
    /// What their client says, in canonical bytes.
    pub(crate) content: Bytes,
    /// In which language.
    pub(crate) lang: Option<std::sync::Arc<str>>,
    /// Status codes for everybody.
    pub(crate) codes: &'a [u16],
    /// Status codes for the occupant, beside 110.
    pub(crate) own_codes: &'a [u16],
    /// The id of the presence that asked, for the client that sent it (§7.2.2).
    pub(crate) id: Option<std::sync::Arc<str>>,
    /// The new nick (§7.6).
    pub(crate) nick: Option<&'a str>,
    /// Who did it (§8.2).
    pub(crate) actor: Option<&'a str>,
    /// Why, in words for people.
    pub(crate) reason: Option<&'a str>,
    /// The version of the list of affiliations, before and after (XEP-0463 §5.2.2).
    pub(crate) versions: Option<Versions>,
}

/// How much of it somebody is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    /// Without the real address.
    Hidden,
    /// With it.
    Shown,
    /// The occupant.
    Own,
}

/// The same news as bytes, each view written when first needed.
struct Written<'a> {
    news: &'a News<'a>,
    marks: &'a Bytes,
    hats: Bytes,
    views: [Option<Bytes>; 3],
}

/// Everything about an occupant that others are told of him as he is, but what never changes.
#[derive(Clone, Debug)]
struct Looks {
    jid: FullJid,
    role: Role,
    affiliation: Affiliation,
    shown: Option<Session>,
    hats: Bytes,
}

/// What newcomers were told of an occupant last: with his real address, and without.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastWritten(RefCell<[Option<(Looks, Stanza)>; 2]>);

impl Looks {
    fn of(room: &Room, occupant: &Occupant) -> Self {
        Self {
            jid: occupant.jid.clone(),
            role: occupant.role,
            affiliation: room.affiliation_of(&occupant.who),
            shown: occupant.shown().cloned(),
            hats: room.hats.of(&occupant.who),
        }
    }

    /// Whether he looks so. Next to always he does, and then nothing is cloned and no content compared.
    fn are_still_of(&self, room: &Room, occupant: &Occupant) -> bool {
        let is_same =
            |a: &Bytes, b: &Bytes| a.len() == b.len() && (a.as_ptr() == b.as_ptr() || a == b);
        let is_shown = match (&self.shown, occupant.shown()) {
            (Some(Session { jid, presence, lang }), Some(now)) => {
                *jid == now.jid && is_same(presence, &now.presence) && *lang == now.lang
            }
            (before, now) => before.is_none() && now.is_none(),
        };
        is_shown
            && self.jid == occupant.jid
            && self.role == occupant.role
            && self.affiliation == room.affiliation_of(&occupant.who)
            && is_same(&self.hats, &room.hats.of(&occupant.who))
    }
}

impl<'a> News<'a> {
    /// What there is to tell of an occupant as they are.
    pub(crate) fn of(room: &Room, occupant: &Occupant) -> Self {
        let shown = occupant.shown();
        Self {
            from: occupant.jid.clone(),
            kind: PresenceType::Available,
            role: occupant.role,
            affiliation: room.affiliation_of(&occupant.who),
            real: shown.map(|session| session.jid.clone()),
            content: shown.map(|session| session.presence.clone()).unwrap_or_default(),
            lang: shown.and_then(|session| session.lang.clone()),
            codes: &[],
            own_codes: &[],
            id: None,
            nick: None,
            actor: None,
            reason: None,
            versions: None,
        }
    }

    /// That they are gone.
    pub(crate) fn gone(room: &Room, occupant: &Occupant) -> Self {
        let (kind, role) = (PresenceType::Unavailable, Role::None);
        Self { kind, role, content: Bytes::new(), lang: None, ..Self::of(room, occupant) }
    }

    /// `<x/>` with everything that only the room may say.
    fn x(&self, view: View) -> Element {
        let word = |name: &'static str| Element::new(name, ns::MUC_USER);
        let real = self.real.as_ref().filter(|_| view != View::Hidden);
        let mut item = word("item")
            .with_attr("affiliation", self.affiliation.as_str())
            .with_attr("role", self.role.as_str())
            .with_attr_opt("jid", real.map(|jid| jid.as_str()))
            .with_attr_opt("nick", self.nick);
        if let Some(actor) = self.actor {
            item.push(word("actor").with_attr("nick", actor));
        }
        if let Some(reason) = self.reason {
            item.push(word("reason").with_text(reason));
        }
        let own: &[u16] = if view == View::Own { &[110] } else { &[] };
        let own_codes = if view == View::Own { self.own_codes } else { &[] };
        let mut codes: Vec<u16> = [self.codes, own, own_codes].concat();
        codes.sort_unstable();
        let mut x = word("x").with_child(item);
        if let Some(Versions { since, until }) = &self.versions {
            x.push(
                Element::new("mav", ns::AFFILIATIONS)
                    .with_attr_opt("since", (since != until).then_some(since.as_str()))
                    .with_attr("until", until),
            );
        }
        x.with_children(codes.into_iter().map(status))
    }
}

impl<'a> Written<'a> {
    fn new(room: &Room, occupant: &'a Occupant, news: &'a News<'a>) -> Self {
        let hats = match news.kind {
            PresenceType::Available => room.hats.of(&occupant.who),
            _ => Bytes::new(),
        };
        Self { news, marks: &occupant.marks, hats, views: [None, None, None] }
    }

    fn content(&mut self, view: View) -> Bytes {
        let (news, marks, hats) = (self.news, self.marks, &self.hats);
        let written = self.views[view as usize].get_or_insert_with(|| {
            let mut bytes = [&news.content[..], &marks[..], &hats[..]].concat();
            news.x(view).write(&mut bytes, "");
            bytes.into()
        });
        written.clone()
    }

    /// For one of their own clients.
    fn own(&mut self, client: &FullJid) -> Stanza {
        // The client that asked is the one that is shown since.
        let has_asked = self.news.real.as_ref() == Some(client);
        let head = Head { id: self.news.id.clone().filter(|_| has_asked), ..self.head() };
        Stanza::new(head, self.content(View::Own))
    }

    fn head(&self) -> Head {
        Head {
            kind: Kind::Presence(self.news.kind),
            id: None,
            from: Some(self.news.from.clone().into()),
            to: None,
            lang: self.news.lang.clone(),
        }
    }

    /// Everybody but themselves, each as they may see it.
    fn send_to_others(&mut self, room: &Room, himself: u64, cx: &mut Context<'_, Room>) {
        for view in [View::Hidden, View::Shown] {
            let mut others = room.occupants.iter().filter(|it| it.number != himself);
            if room.subscribers.is_empty() && !others.any(|it| view_of(room, it) == view) {
                continue;
            }
            let stanza = Stanza::new(self.head(), self.content(view));
            let shown = view == View::Shown;
            let may_know = |who: &BareJid| events::sees_addresses(room, who) == shown;
            let news = room_event::News::Stanza(&stanza);
            events::tell(room, Node::Presence, news, may_know, cx);
            tell(room, stanza, Audience::Others { but: himself, shown: Some(shown) }, cx);
        }
    }
}

/// A status code (§12).
pub(crate) fn status(code: u16) -> Element {
    Element::new("status", ns::MUC_USER).with_attr("code", code.to_string())
}

/// Tells everybody, the occupant first. Whose role is not broadcast hears of it alone (§16.5.3,
/// `presencebroadcast`); `before`: the role that they had.
pub(crate) fn tell_all(
    room: &Room,
    occupant: &Occupant,
    news: &News<'_>,
    before: Role,
    cx: &mut Context<'_, Room>,
) {
    let mut written = Written::new(room, occupant, news);
    for session in &occupant.sessions {
        tell(room, written.own(&session.jid), Audience::One(session.jid.clone()), cx);
    }
    let broadcast = room.settings.broadcast;
    match (broadcast.has(before), broadcast.has(occupant.role)) {
        (false, false) => {}
        (true, false) => hide(room, occupant, cx),
        (_, true) => written.send_to_others(room, occupant.number, cx),
    }
}

/// To all others they are not there any more.
fn hide(room: &Room, occupant: &Occupant, cx: &mut Context<'_, Room>) {
    let gone = News::gone(room, occupant);
    Written::new(room, occupant, &gone).send_to_others(room, occupant.number, cx);
}

/// Other roles are broadcast than before: some people appear, some disappear (§16.5.3).
pub(crate) fn show_and_hide(room: &Room, before: Roles, cx: &mut Context<'_, Room>) {
    for occupant in room.occupants.iter() {
        match (before.has(occupant.role), room.settings.broadcast.has(occupant.role)) {
            (true, false) => hide(room, occupant, cx),
            (false, true) => tell_others(room, occupant, &News::of(room, occupant), cx),
            _ => {}
        }
    }
}

/// Tells everybody but the occupant.
pub(crate) fn tell_others(
    room: &Room,
    occupant: &Occupant,
    news: &News<'_>,
    cx: &mut Context<'_, Room>,
) {
    let mut written = Written::new(room, occupant, news);
    if !room.settings.broadcast.has(occupant.role) {
        return;
    }
    written.send_to_others(room, occupant.number, cx);
}

/// Tells everybody but one client of the occupant, who was told otherwise.
pub(crate) fn tell_all_but(
    room: &Room,
    occupant: &Occupant,
    client: &FullJid,
    news: &News<'_>,
    cx: &mut Context<'_, Room>,
) {
    tell_others(room, occupant, news, cx);
    for other in occupant.sessions.iter().filter(|other| other.jid != *client) {
        tell_self(room, occupant, &other.jid, news, cx);
    }
}

/// Tells one session of its own occupant.
pub(crate) fn tell_self(
    room: &Room,
    occupant: &Occupant,
    session: &FullJid,
    news: &News<'_>,
    cx: &mut Context<'_, Room>,
) {
    let own = Written::new(room, occupant, news).own(session);
    tell(room, own, Audience::One(session.clone()), cx);
}

/// What a newcomer is told of himself (§7.2.2).
pub(crate) fn of_himself(
    room: &Room,
    occupant: &Occupant,
    session: &FullJid,
    news: &News<'_>,
) -> Stanza {
    Written::new(room, occupant, news).own(session).with_to(session.clone().into())
}

/// Tells one session of everybody else who is in the room (§7.2.2).
pub(crate) fn tell_of_others(
    room: &Room,
    newcomer: &Occupant,
    session: &FullJid,
    cx: &mut Context<'_, Room>,
) {
    let (view, to) = (view_of(room, newcomer), Jid::from(session.clone()));
    for other in room.occupants.iter().filter(|other| other.number != newcomer.number) {
        if room.settings.broadcast.has(other.role) {
            tell::also(room, as_he_is(room, other, view).with_to(to.clone()), cx);
        }
    }
}

/// What there is to tell of an occupant to who may know his address; to nobody yet.
pub(crate) fn with_address(room: &Room, occupant: &Occupant) -> Stanza {
    as_he_is(room, occupant, View::Shown)
}

/// What there is to tell of an occupant as he is: written anew when something about him is another than it was, since
/// everybody who comes is told the same.
fn as_he_is(room: &Room, occupant: &Occupant, view: View) -> Stanza {
    let mut known = occupant.written.0.borrow_mut();
    let known = &mut known[usize::from(view == View::Shown)];
    match known {
        Some((looks, stanza)) if looks.are_still_of(room, occupant) => stanza.clone(),
        _ => {
            let news = News::of(room, occupant);
            let mut written = Written::new(room, occupant, &news);
            let stanza = Stanza::new(written.head(), written.content(view));
            known.insert((Looks::of(room, occupant), stanza)).1.clone()
        }
    }
}

fn view_of(room: &Room, occupant: &Occupant) -> View {
    match room.shows_addresses_to(occupant) {
        true => View::Shown,
        false => View::Hidden,
    }
}

/// A message from the room itself to every session (§10.2.1).
pub(crate) fn announce(room: &Room, content: &[Element], cx: &mut Context<'_, Room>) {
    let head = Head {
        kind: Kind::Message(xmpp::MessageType::Groupchat),
        id: None,
        from: Some(Jid::from(room.jid.clone())),
        to: None,
        lang: None,
    };
    let stanza = Stanza::build(head, content);
    events::tell(room, Node::Config, room_event::News::Stanza(&stanza), |_| true, cx);
    tell(room, stanza, Audience::Others { but: 0, shown: None }, cx);
}

/// A message to every session: only the opening tags differ. Whoever gets the event of it (MUC/Sub) gets nothing else,
/// so that both may be known by the same origin.
pub(crate) fn reflect(room: &mut Room, id: ArchiveId, stanza: &Stanza, cx: &mut Context<'_, Room>) {
    let (origin, receipt) = room.fan_outs.begin(id, cx.receipt(), &cx.waker());
    if let Some((event, all)) = events::of_message(room, id, stanza) {
        cx.caused_by(origin, receipt.clone(), |cx| cx.send_to_all(event, all));
    }
    let (stanza, all) = (stanza.clone(), room.occupants.iter().flat_map(Occupant::clients));
    cx.caused_by(origin, receipt, |cx| cx.send_to_all(stanza, all));
}

/// The same to whoever was inside by then, where a former owner may have sent it to some, or all.
pub(crate) fn reflect_again(
    room: &mut Room,
    id: ArchiveId,
    stanza: &Stanza,
    newcomers: &Newcomers,
    cx: &mut Context<'_, Room>,
) {
    let (origin, receipt) = room.fan_outs.begin(id, None, &cx.waker());
    if let Some((event, all)) = events::of_message(room, id, stanza) {
        cx.caused_by(origin, receipt.clone(), |cx| cx.send_again_to_all(event, all));
    }
    let all = room.occupants.iter().flat_map(Occupant::clients);
    let all = all.filter(|client| newcomers.had_come(client, id));
    cx.caused_by(origin, receipt, |cx| cx.send_again_to_all(stanza.clone(), all));
}

/// `<x/>` with status codes alone.
pub(crate) fn codes(codes: impl IntoIterator<Item = u16>) -> Element {
    Element::new("x", ns::MUC_USER).with_children(codes.into_iter().map(status))
}
