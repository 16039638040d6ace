//! XEP-0191 Blocking Command, version 1.3: the list of blocked addresses, and what it keeps out and in.

use std::collections::HashSet;

use bytes::Bytes;
use entity::Verdict;
use entity::extension::Who;
use entity::refuse::store_error;
use entity::{Answer, Context, Extension, Iq, LoadError, Passage, Request, Slot, SlotKind};
use store::{Key, Kind, Write};
use xmpp::room_event::{self, Told};
use xmpp::{
    BareJid, Element, Features, Head, IqType, Jid, Kind as StanzaKind, MessageType, PresenceType,
    Stanza, StanzaCondition, StanzaError, ns,
};

use crate::User;
use crate::extensions::{again, deliver, is_subscriber, reply, reporting, subscribers};

/// Blocking for an account.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0191",
    title: "Blocking Command",
    version: "1.3",
    features: &[ns::BLOCKING],
    iqs: &[
        Iq { ty: IqType::Get, name: "blocklist", ns: ns::BLOCKING, who: Who::Owner, handle: list },
        Iq { ty: IqType::Set, name: "block", ns: ns::BLOCKING, who: Who::Owner, handle: block },
        Iq { ty: IqType::Set, name: "unblock", ns: ns::BLOCKING, who: Who::Owner, handle: unblock },
    ],
    outbound: Some(outbound),
    inbound: Some(inbound),
    slots: &[SlotKind::of::<Blocklist>(), SlotKind::of::<WantsPushes>()],
    ..Extension::NONE
};

/// The blocked addresses of an account.
#[derive(Default)]
struct Blocklist(HashSet<Jid>);

/// A session that asked for the list gets pushes (§3.3).
struct WantsPushes;

/// Comes out of the rows.
impl Slot for Blocklist {
    const NAME: &'static str = "blocklist";

    fn encode(&self) -> Option<Bytes> {
        None
    }

    fn decode(_: &[u8]) -> Option<Self> {
        None
    }
}

impl Slot for WantsPushes {
    const NAME: &'static str = "blocklist-pushes";

    fn encode(&self) -> Option<Bytes> {
        Some(Bytes::new())
    }

    fn decode(_: &[u8]) -> Option<Self> {
        Some(Self)
    }
}

/// Whether stanzas from and to an address are blocked: by its full, its bare or its domain's address
/// (§6). Never between resources of the account (note 1).
pub(crate) fn is_blocked(user: &User, jid: &Jid) -> bool {
    let Some(Blocklist(blocked)) = user.slots.get().filter(|list: &&Blocklist| !list.0.is_empty())
    else {
        return false;
    };
    if jid.bare_str() == user.jid.as_str() {
        return false;
    }
    let (bare, domain) = (jid.bare(), jid.domain());
    blocked.contains(jid) || blocked.contains::<Jid>(&bare) || blocked.contains::<Jid>(&domain)
}

/// Takes the account's blocked addresses out of its rows.
pub(super) fn load(user: &mut User) -> Result<(), LoadError> {
    let mut blocked = HashSet::new();
    for row in user.rows.extract_if(.., |row| row.kind == Kind::Block) {
        let text = str::from_utf8(&row.item).ok();
        let jid = text.and_then(|text| Jid::parse(text).ok());
        blocked.insert(jid.ok_or(LoadError { kind: Kind::Block })?);
    }
    if !blocked.is_empty() {
        user.slots.get_or_make(Blocklist::default).0 = blocked;
    }
    Ok(())
}

/// §3.2
fn list(
    user: &mut User,
    request: &Request,
    _: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    if let Some(entry) = request.session.and_then(|session| user.sessions.get_mut(session)) {
        entry.slots.get_or_make(|| WantsPushes);
    }
    let mut jids: Vec<&Jid> =
        user.slots.get().map(|Blocklist(all)| all.iter().collect()).unwrap_or_default();
    jids.sort_by_key(|jid| jid.as_str());
    Ok(Answer::Result(items("blocklist", jids)))
}

/// §3.3. What is blocked takes effect at once; the answer waits for the store.
fn block(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let jids = read_items(&request.payload)?;
    if jids.is_empty() {
        return Err(StanzaCondition::BadRequest.into());
    }
    let reports = reporting::read(&request.payload)?;
    let list = &mut user.slots.get_or_make(Blocklist::default).0;
    let fresh: Vec<Jid> = jids.iter().filter(|jid| !list.contains(*jid)).cloned().collect();
    if list.len() + fresh.len() > cx.shared.accounts.blocked_addresses {
        let error = StanzaError::from(StanzaCondition::ResourceConstraint);
        return Err(error.with_text("too many blocked addresses"));
    }
    let hidden = audience(user, &fresh);
    user.slots.get_or_make(Blocklist::default).0.extend(fresh.iter().cloned());
    let writes = jids.iter().map(|jid| Write::Put(key(user, jid), Bytes::new())).collect();
    let change = Change { name: "block", jids, undo: fresh, audience: hidden, reports };
    change.keep(request, writes, cx);
    Ok(Answer::Later)
}

/// §3.4, §3.5
fn unblock(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let jids = read_items(&request.payload)?;
    let list = &mut user.slots.get_or_make(Blocklist::default).0;
    let gone: Vec<Jid> = match jids.is_empty() {
        true => list.drain().collect(),
        false => jids.iter().filter_map(|jid| list.take(jid)).collect(),
    };
    let audience = audience(user, &gone);
    let writes = gone.iter().map(|jid| Write::Delete(key(user, jid))).collect();
    let change = Change { name: "unblock", jids, undo: gone, audience, reports: Vec::new() };
    change.keep(request, writes, cx);
    Ok(Answer::Later)
}

/// A change of the list that waits for the store.
struct Change {
    /// `block` or `unblock`.
    name: &'static str,
    /// As the client named them; none of them for unblock: all.
    jids: Vec<Jid>,
    /// What the list gained or lost.
    undo: Vec<Jid>,
    /// Who may see presence and sees it change.
    audience: Vec<Jid>,
    /// Items with reports (XEP-0377).
    reports: Vec<Element>,
}

impl Change {
    fn keep(self, request: &Request, writes: Vec<Write>, cx: &mut Context<'_, User>) {
        let request = again(request);
        cx.commit_then(writes, move |user, cx, result| match result {
            Ok(()) => self.announce(user, &request, cx),
            Err(error) => {
                self.take_back(user);
                reply(user, &request, Err(store_error(&error)), cx);
            }
        });
    }

    fn announce(self, user: &mut User, request: &Request, cx: &mut Context<'_, User>) {
        reply(user, request, Ok(None), cx);
        reporting::tell(user, &self.reports, cx);
        push(user, &items(self.name, &self.jids), cx);
        for session in user.sessions.available() {
            let presence = match (&session.presence, self.name) {
                (Some(presence), "unblock") => presence.clone(),
                _ => unavailable(&session.jid),
            };
            for to in
                self.audience.iter().filter(|to| is_blocked(user, to) == (self.name == "block"))
            {
                cx.send(presence.clone().with_to(to.clone()));
            }
        }
    }

    fn take_back(&self, user: &mut User) {
        let list = &mut user.slots.get_or_make(Blocklist::default).0;
        match self.name {
            "block" => list.retain(|jid| !self.undo.contains(jid)),
            _ => list.extend(self.undo.iter().cloned()),
        }
    }
}

/// Who is allowed to see the account's presence and is named by these addresses (§3.3, §3.4): contacts
/// that are subscribed, and whoever was sent directed presence. Those that are blocked already by
/// another address see no change.
fn audience(user: &User, jids: &[Jid]) -> Vec<Jid> {
    let names = |jid: &Jid| {
        jids.iter().any(|named| {
            named == jid
                || named.is_bare() && jid.bare_str() == named.as_str()
                || names_domain(named, jid)
        })
    };
    let mut audience: Vec<Jid> = subscribers(user)
        .map(|contact| Jid::clone(contact))
        .filter(|contact| names(contact))
        .collect();
    let of_contact = |jid: &&Jid| !jid.is_bare() && is_subscriber(user, &jid.bare());
    audience.extend(jids.iter().filter(of_contact).cloned());
    for jid in user.sessions.iter().flat_map(|session| &session.directed) {
        if names(jid) && !audience.contains(jid) {
            audience.push(jid.clone());
        }
    }
    audience.retain(|jid| !is_blocked(user, jid) && jid.bare() != user.jid);
    audience
}

fn names_domain(named: &Jid, jid: &Jid) -> bool {
    named.is_domain() && named.domainpart() == jid.domainpart()
}

/// What a blocked sender meets (§3.3): presence and answers vanish, messages and requests bounce. What a room
/// passes on vanishes too: if it bounced, the room would take the user for gone (XEP-0045 §18.1.2).
fn inbound(user: &mut User, passage: &mut Passage, cx: &mut Context<'_, User>) -> Verdict {
    let head = passage.stanza.head();
    if !head.from.as_ref().is_some_and(|from| is_blocked(user, from)) {
        return check_occupant(user, &passage.stanza, cx);
    }
    cx.shared.figures.drops.of("blocked").add_one();
    match head.kind {
        StanzaKind::Message(MessageType::Error | MessageType::Groupchat)
        | StanzaKind::Presence(_)
        | StanzaKind::Iq(IqType::Result | IqType::Error) => Verdict::Stop,
        StanzaKind::Message(_) if passage.stanza.features().any(OF_ROOMS) => Verdict::Stop,
        StanzaKind::Message(_) | StanzaKind::Iq(_) => {
            Verdict::Refuse(StanzaCondition::ServiceUnavailable.into())
        }
    }
}

/// Marks of what a room passes on to those who are inside, and tells those who are not (MUC/Sub).
const OF_ROOMS: Features = Features::MUC_USER.with(Features::PUBSUB_EVENT);

/// Somebody in a room may be blocked by their address there, also for whoever is not inside.
fn check_occupant(user: &User, stanza: &Stanza, cx: &Context<'_, User>) -> Verdict {
    let has_list = user.slots.get().is_some_and(|Blocklist(blocked)| !blocked.is_empty());
    let Told::Message(said) = (if has_list { room_event::read(stanza) } else { Told::Nothing })
    else {
        return Verdict::Pass;
    };
    match said.head().from.as_ref().is_some_and(|from| is_blocked(user, from)) {
        true => {
            cx.shared.figures.drops.of("blocked").add_one();
            Verdict::Stop
        }
        false => Verdict::Pass,
    }
}

/// Nothing goes to a blocked address (§3.3, example 9).
fn outbound(user: &mut User, passage: &mut Passage, _: &mut Context<'_, User>) -> Verdict {
    may_send(user, &passage.stanza).map_or_else(Verdict::Refuse, |()| Verdict::Pass)
}

/// Whether the account may send a stanza, whoever does it in its name.
///
/// # Errors
/// It is for a blocked address.
pub(super) fn may_send(user: &User, stanza: &Stanza) -> Result<(), StanzaError> {
    let to = stanza.head().to.as_ref();
    if !to.is_some_and(|to| is_blocked(user, to)) {
        return Ok(());
    }
    let error = StanzaError::from(StanzaCondition::NotAcceptable);
    let blocked = Element::new("blocked", ns::BLOCKING_ERRORS);
    Err(error.with_type(xmpp::ErrorType::Cancel).with_detail(blocked))
}

/// Tells every session that asked for the list (§3.3).
fn push(user: &User, payload: &Element, cx: &mut Context<'_, User>) {
    let wanting = user.sessions.iter().filter(|entry| entry.slots.get::<WantsPushes>().is_some());
    for entry in wanting {
        let id = format!("block-{:016x}", cx.random_u64());
        let head = Head {
            kind: StanzaKind::Iq(IqType::Set),
            id: Some(id.into()),
            from: Some(Jid::clone(&user.jid)),
            to: Some(Jid::clone(&entry.jid)),
            lang: None,
        };
        deliver(user, entry.id.uid, Stanza::build(head, std::slice::from_ref(payload)), cx);
    }
}

fn unavailable(from: &Jid) -> Stanza {
    let head = Head {
        kind: StanzaKind::Presence(PresenceType::Unavailable),
        id: None,
        from: Some(from.clone()),
        to: None,
        lang: None,
    };
    Stanza::build(head, &[])
}

fn items<'a>(name: &'static str, jids: impl IntoIterator<Item = &'a Jid>) -> Element {
    let item = |jid: &Jid| Element::new("item", ns::BLOCKING).with_attr("jid", jid.as_str());
    Element::new(name, ns::BLOCKING).with_children(jids.into_iter().map(item))
}

/// The addresses that a request names; each once.
fn read_items(payload: &Element) -> Result<Vec<Jid>, StanzaError> {
    let (mut jids, mut seen) = (Vec::new(), HashSet::new());
    for item in payload.children().filter(|child| child.is("item", ns::BLOCKING)) {
        let text = item.attr("jid").ok_or(StanzaCondition::BadRequest)?;
        let jid = Jid::parse(text).map_err(|_| StanzaCondition::JidMalformed)?;
        if seen.insert(jid.clone()) {
            jids.push(jid);
        }
    }
    Ok(jids)
}

fn key(user: &User, jid: &Jid) -> Key {
    let owner: BareJid = user.jid.clone();
    Key::new(owner, Kind::Block, jid.as_str().to_owned())
}
