//! XEP-0163 Personal Eventing Protocol, version 1.2.2: every account a pubsub service, with filtered notifications.
//! What it does is in [`crate::pep`] and in the engine.

use entity::extension::{SessionEvent, Who};
use entity::{Context, Extension, Iq, Passage, SlotKind, Verdict};
use nodes::Collection;
use xmpp::{IqType, Kind, PresenceType, ns};

use crate::User;
use crate::pep::{self, interest};

/// Personal eventing.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0163",
    title: "Personal Eventing Protocol",
    version: "1.2.2",
    features: &[
        "http://jabber.org/protocol/pubsub#access-presence",
        "http://jabber.org/protocol/pubsub#auto-subscribe",
        "http://jabber.org/protocol/pubsub#filtered-notifications",
        "http://jabber.org/protocol/pubsub#last-published",
        "http://jabber.org/protocol/pubsub#presence-subscribe",
        "http://jabber.org/protocol/pubsub#pubsub-on-a-jid",
    ],
    outbound: Some(outbound),
    inbound: Some(inbound),
    session: Some(session),
    slots: &[
        pep::SLOT,
        SlotKind::of::<interest::Wants>(),
        SlotKind::of::<interest::Interests>(),
        SlotKind::of::<interest::Lost>(),
    ],
    ..Extension::NONE
};

/// The requests of publish-subscribe, which an account answers like any service.
pub(crate) const PUBSUB: Extension<User> = Extension {
    number: "0060",
    title: "Publish-Subscribe",
    version: "1.30.0",
    features: nodes::disco::FEATURES,
    iqs: &[
        request(IqType::Get, ns::PUBSUB),
        request(IqType::Set, ns::PUBSUB),
        request(IqType::Get, ns::PUBSUB_OWNER),
        request(IqType::Set, ns::PUBSUB_OWNER),
    ],
    ..Extension::NONE
};

const fn request(ty: IqType, ns: &'static str) -> Iq<User> {
    Iq { ty, name: "pubsub", ns, who: Who::Anybody, handle: pep::answer }
}

/// What the account's own clients can do.
fn outbound(user: &mut User, passage: &mut Passage, cx: &mut Context<'_, User>) -> Verdict {
    let head = passage.stanza.head();
    let shows = head.kind == Kind::Presence(PresenceType::Available) && head.to.is_none();
    if let Some(session) = passage.session.filter(|_| shows) {
        interest::see_own(user, session, &passage.stanza, cx);
    }
    Verdict::Pass
}

/// What contacts' clients can do; answers to what the account asked; its owner's word on who may subscribe.
fn inbound(user: &mut User, passage: &mut Passage, cx: &mut Context<'_, User>) -> Verdict {
    let head = passage.stanza.head();
    let to_account = head.to.as_ref().is_none_or(|to| to.is_bare());
    match head.kind {
        Kind::Presence(_) => interest::see(user, &passage.stanza, cx),
        Kind::Iq(ty)
            if to_account && !ty.is_request() && interest::answered(user, &passage.stanza, cx) =>
        {
            return Verdict::Stop;
        }
        Kind::Message(_) if to_account && is_own(user, passage) => {
            return decision(user, passage, cx);
        }
        _ => {}
    }
    Verdict::Pass
}

fn is_own(user: &User, passage: &Passage) -> bool {
    passage.stanza.head().from.as_ref().is_some_and(|from| from.bare_str() == user.jid.as_str())
}

/// XEP-0060 §8.6
fn decision(user: &mut User, passage: &Passage, cx: &mut Context<'_, User>) -> Verdict {
    let stanza = &passage.stanza;
    let Some(from) = stanza.head().from.clone() else { return Verdict::Pass };
    match stanza.child("x", ns::DATA_FORMS).filter(Collection::is_decision) {
        Some(x) => {
            pep::decide(user, &from, &x, cx);
            Verdict::Stop
        }
        None => Verdict::Pass,
    }
}

fn session(user: &mut User, session: u64, event: SessionEvent, cx: &mut Context<'_, User>) {
    if event == SessionEvent::Available {
        interest::welcome(user, session, cx);
        pep::remind(user, session, cx);
    }
}
