//! Owns what is told of an occupant to whom: presence with roles, affiliations, real addresses for those who
//! may see them, and status codes (XEP-0045 §7.2, §17.3). Each presence is written at most three times, and
//! shared by all who get it.

use bytes::Bytes;
use entity::Context;
use store::ArchiveId;
use xmpp::{Element, FullJid, Head, Jid, Kind, PresenceType, Stanza, ns};

use crate::Room;
use crate::affiliation::{Affiliation, Role};
use crate::occupant::Occupant;
use crate::settings::Roles;

/// One piece of news of one occupant.
#[derive(Clone, Debug)]
pub(crate) struct News<'a> {
    /// The occupant JID that it comes from.
    pub(crate) from: FullJid,
    /// Whether he is there.
    pub(crate) kind: PresenceType,
    /// The role that is told: none of somebody who is gone.
    pub(crate) role: Role,
    /// The affiliation that is told.
    pub(crate) affiliation: Affiliation,
    /// The session that is told of, where it may be told.
    pub(crate) real: Option<FullJid>,
    /// What his client says, in canonical bytes.
    pub(crate) content: Bytes,
    /// In which language.
    pub(crate) lang: Option<std::sync::Arc<str>>,
    /// Status codes for everybody.
    pub(crate) codes: &'a [u16],
    /// Status codes for himself, beside 110.
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
    pub(crate) versions: Option<(String, String)>,
}

/// How much of it somebody is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    /// Without the real address.
    Hidden,
    /// With it.
    Shown,
    /// He himself.
    Own,
}

/// The same news as bytes, each view written when first needed.
struct Written<'a> {
    news: &'a News<'a>,
    marks: &'a Bytes,
    hats: Bytes,
    views: [Option<Bytes>; 3],
}

impl<'a> News<'a> {
    /// What there is to tell of an occupant as he is.
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

    /// That he is gone.
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
        if let Some((since, until)) = &self.versions {
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

    fn send(&mut self, view: View, to: &FullJid, cx: &mut Context<'_, Room>) {
        // The client that asked is the one that is shown since.
        let has_asked = view == View::Own && self.news.real.as_ref() == Some(to);
        let head = Head {
            kind: Kind::Presence(self.news.kind),
            id: self.news.id.clone().filter(|_| has_asked),
            from: Some(self.news.from.clone().into()),
            to: Some(to.clone().into()),
            lang: self.news.lang.clone(),
        };
        cx.send(Stanza::new(head, self.content(view)));
    }

    /// Everybody but himself, each as he may see it.
    fn send_to_others(&mut self, room: &Room, himself: u64, cx: &mut Context<'_, Room>) {
        for view in [View::Hidden, View::Shown] {
            let mut others = room.occupants.iter().filter(|it| it.number != himself);
            if !others.any(|it| view_of(room, it) == view) {
                continue;
            }
            let head = Head {
                kind: Kind::Presence(self.news.kind),
                id: None,
                from: Some(self.news.from.clone().into()),
                to: None,
                lang: self.news.lang.clone(),
            };
            let stanza = Stanza::new(head, self.content(view));
            let others = room.occupants.iter().filter(|it| it.number != himself);
            let others = others.filter(|it| view_of(room, it) == view);
            cx.send_to_all(stanza, others.flat_map(clients));
        }
    }
}

/// The addresses of somebody's clients.
fn clients(occupant: &Occupant) -> impl Iterator<Item = Jid> {
    occupant.sessions.iter().map(|session| session.jid.clone().into())
}

/// A status code (§12).
pub(crate) fn status(code: u16) -> Element {
    Element::new("status", ns::MUC_USER).with_attr("code", code.to_string())
}

/// Tells everybody, himself first. Whose role is not broadcast is told to himself alone (§16.5.3,
/// `presencebroadcast`); `before`: the role that he had.
pub(crate) fn tell_all(
    room: &Room,
    occupant: &Occupant,
    news: &News<'_>,
    before: Role,
    cx: &mut Context<'_, Room>,
) {
    let mut written = Written::new(room, occupant, news);
    for session in &occupant.sessions {
        written.send(View::Own, &session.jid, cx);
    }
    let broadcast = room.settings.broadcast;
    match (broadcast.has(before), broadcast.has(occupant.role)) {
        (false, false) => {}
        (true, false) => hide(room, occupant, cx),
        (_, true) => written.send_to_others(room, occupant.number, cx),
    }
}

/// To all others he is not there any more.
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

/// Tells everybody but himself.
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

/// Tells one session of himself.
pub(crate) fn tell_self(
    room: &Room,
    occupant: &Occupant,
    session: &FullJid,
    news: &News<'_>,
    cx: &mut Context<'_, Room>,
) {
    Written::new(room, occupant, news).send(View::Own, session, cx);
}

/// Tells one session of everybody else who is in the room (§7.2.2).
pub(crate) fn tell_of_others(
    room: &Room,
    newcomer: &Occupant,
    session: &FullJid,
    cx: &mut Context<'_, Room>,
) {
    let view = view_of(room, newcomer);
    for other in room.occupants.iter().filter(|other| other.number != newcomer.number) {
        if room.settings.broadcast.has(other.role) {
            let news = News::of(room, other);
            Written::new(room, other, &news).send(view, session, cx);
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
    cx.send_to_all(Stanza::build(head, content), room.occupants.iter().flat_map(clients));
}

/// A message to every session: only the opening tags differ.
pub(crate) fn reflect(room: &mut Room, id: ArchiveId, stanza: &Stanza, cx: &mut Context<'_, Room>) {
    let (origin, receipt) = room.fan_outs.begin(id, cx.receipt(), &cx.waker());
    let (stanza, all) = (stanza.clone(), room.occupants.iter().flat_map(clients));
    cx.caused_by(origin, receipt, |cx| cx.send_to_all(stanza, all));
}

/// The same, where a former owner may have sent it to some, or all.
pub(crate) fn reflect_again(
    room: &mut Room,
    id: ArchiveId,
    stanza: &Stanza,
    cx: &mut Context<'_, Room>,
) {
    let (origin, receipt) = room.fan_outs.begin(id, None, &cx.waker());
    let (stanza, all) = (stanza.clone(), room.occupants.iter().flat_map(clients));
    cx.caused_by(origin, receipt, |cx| cx.send_again_to_all(stanza, all));
}

/// `<x/>` with status codes alone.
pub(crate) fn codes(codes: impl IntoIterator<Item = u16>) -> Element {
    Element::new("x", ns::MUC_USER).with_children(codes.into_iter().map(status))
}
