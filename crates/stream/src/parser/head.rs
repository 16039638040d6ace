//! Owns what the opening tag of a stanza says: reading it into a [`Head`], and what a stanza error must
//! answer (RFC 6120 §8.1, §8.2.3). Such faults never end the stream.

use std::sync::Arc;

use xmpp::{Head, IqType, Jid, Kind, MessageType, PresenceType, StanzaCondition};

/// What the opening tag of a stanza says, as it was written.
pub(super) struct Attributes<'a> {
    pub(super) name: &'a str,
    pub(super) to: Option<&'a str>,
    pub(super) from: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    pub(super) ty: Option<&'a str>,
    pub(super) lang: Option<&'a str>,
}

/// Reads the head. Where a part of it is at fault, that part is left out, an unknown type is replaced by
/// one that may be answered, and the condition says what was wrong.
pub(super) fn read(
    attributes: &Attributes<'_>,
    lang: Option<&Arc<str>>,
) -> (Head, Option<StanzaCondition>) {
    let mut fault = None;
    let to = address(attributes.to, &mut fault);
    let from = address(attributes.from, &mut fault);
    let id = attributes.id.map(Arc::from);
    let lang = attributes.lang.map(Arc::from).or_else(|| lang.cloned());
    let kind = Kind::parse(attributes.name, attributes.ty).unwrap_or_else(|_| {
        fault = Some(StanzaCondition::BadRequest);
        answerable(attributes.name)
    });
    if id.is_none() && matches!(kind, Kind::Iq(_)) {
        fault = Some(StanzaCondition::BadRequest);
    }
    let head = Head { kind, id, from, to, lang };
    (head, fault)
}

/// What is wrong with the number of an IQ's children (RFC 6120 §8.2.3).
pub(super) fn count_fault(kind: Kind, children: usize) -> Option<StanzaCondition> {
    let fits = match kind {
        Kind::Iq(IqType::Get | IqType::Set) => children == 1,
        Kind::Iq(IqType::Result) => children <= 1,
        _ => true,
    };
    (!fits).then_some(StanzaCondition::BadRequest)
}

fn address(text: Option<&str>, fault: &mut Option<StanzaCondition>) -> Option<Jid> {
    match Jid::parse(text?) {
        Ok(jid) => Some(jid),
        Err(_) => {
            *fault = Some(StanzaCondition::JidMalformed);
            None
        }
    }
}

fn answerable(name: &str) -> Kind {
    match name {
        "iq" => Kind::Iq(IqType::Get),
        "presence" => Kind::Presence(PresenceType::Available),
        _ => Kind::Message(MessageType::Normal),
    }
}
