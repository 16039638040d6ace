//! Owns stanzas and errors on the wire.

use std::sync::Arc;

use bytes::Bytes;
use xmpp::{
    Element, ErrorType, Head, IqType, Kind, MessageType, PresenceType, Stanza, StanzaCondition,
    StanzaError, StreamCondition, StreamError,
};

use super::address::{decode_jid, encode_text};
use super::{WireError, pb};

/// The kinds by their numbers, from 1 on. New ones go to the end.
const KINDS: [Kind; 17] = [
    Kind::Message(MessageType::Normal),
    Kind::Message(MessageType::Chat),
    Kind::Message(MessageType::Groupchat),
    Kind::Message(MessageType::Headline),
    Kind::Message(MessageType::Error),
    Kind::Presence(PresenceType::Available),
    Kind::Presence(PresenceType::Unavailable),
    Kind::Presence(PresenceType::Subscribe),
    Kind::Presence(PresenceType::Subscribed),
    Kind::Presence(PresenceType::Unsubscribe),
    Kind::Presence(PresenceType::Unsubscribed),
    Kind::Presence(PresenceType::Probe),
    Kind::Presence(PresenceType::Error),
    Kind::Iq(IqType::Get),
    Kind::Iq(IqType::Set),
    Kind::Iq(IqType::Result),
    Kind::Iq(IqType::Error),
];

const ERROR_TYPES: [ErrorType; 5] =
    [ErrorType::Auth, ErrorType::Cancel, ErrorType::Continue, ErrorType::Modify, ErrorType::Wait];

/// The content is shared, not copied.
pub(super) fn encode(stanza: &Stanza) -> pb::Stanza {
    let head = stanza.head();
    pb::Stanza {
        kind: encode_kind(head.kind),
        id: head.id.as_deref().map(encode_text),
        from: head.from.as_ref().map(|jid| encode_text(jid.as_str())),
        to: head.to.as_ref().map(|jid| encode_text(jid.as_str())),
        lang: head.lang.as_deref().map(encode_text),
        content: stanza.inner().clone(),
    }
}

pub(super) fn decode(message: pb::Stanza) -> Result<Stanza, WireError> {
    let pb::Stanza { kind, id, from, to, lang, content } = message;
    if str::from_utf8(&content).is_err() {
        return Err(WireError::Invalid("UTF-8 in a stanza"));
    }
    let head = Head {
        kind: decode_kind(kind)?,
        id: id.as_deref().map(decode_text).transpose()?,
        from: from.as_deref().map(decode_jid).transpose()?,
        to: to.as_deref().map(decode_jid).transpose()?,
        lang: lang.as_deref().map(decode_text).transpose()?,
    };
    Ok(Stanza::new(head, content))
}

/// Of a field that every message of its kind has.
pub(super) fn decode_some(message: Option<pb::Stanza>) -> Result<Stanza, WireError> {
    decode(message.ok_or(WireError::Missing("stanza"))?)
}

fn encode_kind(kind: Kind) -> u32 {
    let index = KINDS.iter().position(|known| *known == kind);
    index.and_then(|index| u32::try_from(index + 1).ok()).unwrap_or_default()
}

fn decode_kind(number: u32) -> Result<Kind, WireError> {
    let index = number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
    let kind = index.and_then(|index| KINDS.get(index));
    kind.copied().ok_or(WireError::Invalid("kind of stanza"))
}

fn decode_text(text: &[u8]) -> Result<Arc<str>, WireError> {
    str::from_utf8(text).map(Arc::from).map_err(|_| WireError::Invalid("UTF-8 in a stanza"))
}

pub(super) fn encode_stanza_error(error: &StanzaError) -> pb::StanzaError {
    pb::StanzaError {
        r#type: error.ty.as_str().to_owned(),
        condition: error.condition.name().to_owned(),
        text: error.text.clone(),
        detail: encode_detail(error.detail.as_deref()),
        payload: encode_detail(error.payload.as_deref()),
    }
}

pub(super) fn decode_stanza_error(
    error: Option<pb::StanzaError>,
) -> Result<StanzaError, WireError> {
    let error = error.ok_or(WireError::Missing("stanza error"))?;
    let ty = ERROR_TYPES.into_iter().find(|ty| ty.as_str() == error.r#type);
    let mut known = StanzaCondition::ALL.iter().copied();
    let condition = known.find(|condition| condition.name() == error.condition);
    Ok(StanzaError {
        ty: ty.ok_or(WireError::Invalid("type of a stanza error"))?,
        condition: condition.ok_or(WireError::Invalid("condition of a stanza error"))?,
        text: error.text,
        detail: decode_detail(error.detail)?,
        payload: decode_detail(error.payload)?,
    })
}

pub(super) fn encode_stream_error(error: &StreamError) -> pb::StreamError {
    pb::StreamError {
        condition: error.condition.name().to_owned(),
        text: error.text.clone(),
        host: error.host.clone(),
        detail: encode_detail(error.detail.as_deref()),
    }
}

pub(super) fn decode_stream_error(error: pb::StreamError) -> Result<StreamError, WireError> {
    let mut known = StreamCondition::ALL.iter().copied();
    let condition = known.find(|condition| condition.name() == error.condition);
    Ok(StreamError {
        condition: condition.ok_or(WireError::Invalid("condition of a stream error"))?,
        text: error.text,
        host: error.host,
        detail: decode_detail(error.detail)?,
    })
}

fn encode_detail(detail: Option<&Element>) -> Option<Bytes> {
    detail.map(|detail| detail.to_bytes().into())
}

fn decode_detail(detail: Option<Bytes>) -> Result<Option<Box<Element>>, WireError> {
    let parse = |bytes: Bytes| {
        let element = Element::parse(&bytes).map_err(|_| WireError::Invalid("element"))?;
        Ok(Box::new(element))
    };
    detail.map(parse).transpose()
}
