//! XEP-0280 Message Carbons, version 1.0.1: copies of messages for the account's other clients, and
//! nobody else's claim to be such a copy.

use bytes::Bytes;
use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Passage, Request, Slot, SlotKind, Verdict};
use xmpp::{Features, Head, IqType, Jid, Kind, Stanza, StanzaError, forward, ns, stanza_id};

use crate::extensions::hints::{self, Way};
use crate::extensions::{archive, deliver};
use crate::{User, inbound as delivery};

/// Carbons of an account.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0280",
    title: "Message Carbons",
    version: "1.0.1",
    features: &[ns::CARBONS],
    iqs: &[
        Iq { ty: IqType::Set, name: "enable", ns: ns::CARBONS, who: Who::Owner, handle: enable },
        Iq { ty: IqType::Set, name: "disable", ns: ns::CARBONS, who: Who::Owner, handle: disable },
    ],
    outbound: Some(outbound),
    inbound: Some(inbound),
    slots: &[SlotKind::of::<Enabled>()],
    ..Extension::NONE
};

/// A session that wants copies.
struct Enabled;

impl Slot for Enabled {
    const NAME: &'static str = "carbons";

    fn encode(&self) -> Option<Bytes> {
        Some(Bytes::new())
    }

    fn decode(_: &[u8]) -> Option<Self> {
        Some(Self)
    }
}

/// §4; again is no error (§10.1).
fn enable(
    user: &mut User,
    request: &Request,
    _: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    if let Some(session) = request.session {
        begin(user, session);
    }
    Ok(Answer::Done)
}

/// From now on a session gets copies.
pub(crate) fn begin(user: &mut User, session: u64) {
    if let Some(entry) = user.sessions.get_mut(session) {
        entry.slots.get_or_make(|| Enabled);
    }
}

/// §5; again is no error (§10.1).
fn disable(
    user: &mut User,
    request: &Request,
    _: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    if let Some(entry) = request.session.and_then(|session| user.sessions.get_mut(session)) {
        entry.slots.clear::<Enabled>();
    }
    Ok(Answer::Done)
}

/// §7: whoever wants copies and does not receive the message itself gets one; of what is refused nobody.
fn inbound(user: &mut User, passage: &mut Passage, cx: &mut Context<'_, User>) -> Verdict {
    strip(passage);
    let stanza = &passage.stanza;
    let is_copied = hints::may_copy(stanza, Way::Received) && is_wanted(user);
    if !is_copied || delivery::is_refused(user, stanza, cx) {
        return Verdict::Pass;
    }
    let receiving = delivery::recipients(user, &passage.stanza);
    let from = passage.stanza.head().from.clone();
    let others: Vec<u64> = user
        .sessions
        .iter()
        .filter(|entry| entry.slots.get::<Enabled>().is_some())
        .filter(|entry| !receiving.contains(&entry.id.uid) && from.as_ref() != Some(&entry.jid))
        .map(|entry| entry.id.uid)
        .collect();
    send(user, "received", &passage.stanza, &others, cx);
    Verdict::Pass
}

/// §8: the account's other clients see what one of them sends. What goes to the account itself comes
/// back as something received.
fn outbound(user: &mut User, passage: &mut Passage, cx: &mut Context<'_, User>) -> Verdict {
    strip(passage);
    let id = archive::id_of_sent(user);
    let to_self = passage.stanza.head().to.as_ref().is_none_or(|to| to.bare() == user.jid);
    if to_self || !hints::may_copy(&passage.stanza, Way::Sent) || !is_wanted(user) {
        return Verdict::Pass;
    }
    let stanza = match id {
        // XEP-0313 §3.5: only the owner may see it.
        Some(id) => stanza_id::with_id(&passage.stanza, &cx.shared.ids.write(id), &user.jid),
        None => passage.stanza.clone(),
    };
    let others: Vec<u64> = user
        .sessions
        .iter()
        .filter(|entry| entry.slots.get::<Enabled>().is_some())
        .map(|entry| entry.id.uid)
        .filter(|session| Some(*session) != passage.session)
        .collect();
    send(user, "sent", &stanza, &others, cx);
    Verdict::Pass
}

fn is_wanted(user: &User) -> bool {
    user.sessions.iter().any(|entry| entry.slots.get::<Enabled>().is_some())
}

/// Copies are made by the account and delivered past the stages, so that what comes here with the mark
/// of a copy is forged (§11).
fn strip(passage: &mut Passage) {
    if passage.stanza.features().any(Features::CARBON) {
        passage.stanza = passage
            .stanza
            .without(|child| child.ns == ns::CARBONS && matches!(child.name, "sent" | "received"));
    }
}

/// The copies share one buffer.
fn send(user: &User, name: &str, stanza: &Stanza, to: &[u64], cx: &mut Context<'_, User>) {
    let Kind::Message(ty) = stanza.kind() else { return };
    if to.is_empty() {
        return;
    }
    let mut inner = Vec::with_capacity(stanza.len() + 512);
    forward::write_in(&mut inner, (name, ns::CARBONS), &[], stanza, None);
    let head = Head {
        kind: Kind::Message(ty),
        id: None,
        from: Some(Jid::clone(&user.jid)),
        to: None,
        lang: None,
    };
    let copy = Stanza::new(head, inner);
    for &session in to {
        if let Some(entry) = user.sessions.get(session) {
            deliver(user, session, copy.clone().with_to(Jid::clone(&entry.jid)), cx);
        }
    }
}
