//! Owns the way of envelopes between members: each as a message of `proto/envelope.proto` and back. What
//! comes in is checked to the last field; nothing that a peer sends makes it panic.
//!
//! | module | owns |
//! |---|---|
//! | [`pb`] | the messages |
//! | `address` | routes, addresses and origins |
//! | `copies` | second copies of entities |
//! | `stanza` | stanzas and errors |
//! | `session` | what connections, sessions and users tell each other |
//!
//! Not checked is whether a stanza's content is canonical, since that means to parse it: members prove to each
//! other who they are, and what they send has been through [`xmpp::writer`]. The list of direct children is made
//! from the content itself, so that the two cannot disagree.

mod address;
mod copies;
mod session;
mod stanza;

use bytes::Bytes;
use prost::Message as _;
use xmpp::{Bucket, Epoch};

use crate::envelope::{Body, Envelope, TraceContext};
use pb::envelope::Body as Payload;

/// The messages of `proto/envelope.proto`. Receipts are no part of them.
#[expect(missing_docs, reason = "generated code; the comments are in the .proto")]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/rookery.envelope.rs"));
}

/// What an envelope carries only between members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// The bucket of the address; none where the route says which member is meant.
    pub bucket: Option<Bucket>,
    /// The epoch of the bucket's shard, as the sender knows it.
    pub epoch: Epoch,
    /// The sender waits until what the envelope causes is safe.
    pub receipt: bool,
    /// The first of those for its bucket that came back and are sent anew.
    pub anew: bool,
}

/// What a peer sent is no envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// It is no message.
    #[error("not a message")]
    Message(#[from] prost::DecodeError),
    /// Something that every envelope of its kind has is not there.
    #[error("no {0}")]
    Missing(&'static str),
    /// Something has a value that it cannot have.
    #[error("no valid {0}")]
    Invalid(&'static str),
}

/// An envelope as a message; none for what never leaves its actor.
#[must_use]
pub fn encode(envelope: &Envelope, crossing: Crossing) -> Option<pb::Envelope> {
    let body = match &envelope.body {
        Body::Stanza(stanza) => Payload::Stanza(stanza::encode(stanza)),
        Body::FromConnection(connection, event) => {
            Payload::ConnectionEvent(session::encode_event(*connection, event))
        }
        Body::ToConnection(command) => Payload::ConnectionCommand(session::encode_command(command)),
        Body::User(event) => Payload::UserEvent(session::encode_user(event)),
        Body::Copy(update) => Payload::CopyUpdate(copies::encode(update)),
        Body::Announced(announced) => Payload::Announced(copies::encode_announced(*announced)),
        Body::HeldStreams(held) => Payload::HeldStreams(copies::encode_held_streams(held)),
        Body::Disclosed(answer) => Payload::Disclosed(stanza::encode(answer)),
        Body::ComponentConnected(domain) => {
            Payload::ComponentConnected(address::encode_text(domain.as_str()))
        }
        Body::AskContacts(domain) => Payload::AskContacts(address::encode_text(domain.as_str())),
        Body::MemberGone(_) | Body::Woken => return None,
    };
    Some(pb::Envelope {
        bucket: crossing.bucket.map_or(0, |bucket| bucket.number().into()),
        target_epoch: crossing.epoch.0,
        epoch: envelope.epoch.0,
        origin: Some(address::encode_origin(envelope.origin)),
        hops: envelope.hops.into(),
        receipt: crossing.receipt,
        anew: crossing.anew,
        again: envelope.again,
        trace: envelope.trace.as_deref().map(encode_trace),
        targets: envelope.targets.iter().map(address::encode_target).collect(),
        lane: address::encode_lane(&envelope.to),
        to: Some(address::encode_route(&envelope.to)),
        body: Some(body),
    })
}

/// An envelope from a message. It has no receipt: whoever takes it gives it one.
///
/// # Errors
/// [`WireError`], where a field is missing or wrong.
pub fn decode(message: pb::Envelope) -> Result<(Envelope, Crossing), WireError> {
    let body = match message.body.ok_or(WireError::Missing("body"))? {
        Payload::Stanza(stanza) => Body::Stanza(stanza::decode(stanza)?),
        Payload::ConnectionEvent(event) => {
            let (connection, event) = session::decode_event(event)?;
            Body::FromConnection(connection, event)
        }
        Payload::ConnectionCommand(command) => {
            Body::ToConnection(session::decode_command(command)?)
        }
        Payload::UserEvent(event) => Body::User(session::decode_user(event)?),
        Payload::CopyUpdate(update) => Body::Copy(copies::decode(update)?),
        Payload::Announced(announced) => Body::Announced(copies::decode_announced(&announced)?),
        Payload::HeldStreams(held) => Body::HeldStreams(copies::decode_held_streams(held)?),
        Payload::Disclosed(answer) => Body::Disclosed(stanza::decode(answer)?),
        Payload::ComponentConnected(domain) => {
            Body::ComponentConnected(address::decode_bare(&domain)?)
        }
        Payload::AskContacts(domain) => Body::AskContacts(address::decode_bare(&domain)?),
    };
    let near = match &body {
        Body::Stanza(stanza) => stanza.head().to.as_ref(),
        _ => None,
    };
    let to = message.to.ok_or(WireError::Missing("route"))?;
    let to = address::decode_route(to, message.lane, near)?;
    let origin = message.origin.ok_or(WireError::Missing("origin"))?;
    let mut envelope =
        Envelope::new(to, body, address::decode_origin(origin)?, Epoch(message.epoch));
    envelope.hops = u8::try_from(message.hops).map_err(|_| WireError::Invalid("hops"))?;
    envelope.again = message.again;
    let targets = message.targets.into_iter().map(address::decode_target);
    envelope.targets = targets.collect::<Result<_, _>>()?;
    if !envelope.targets.is_empty() && !matches!(envelope.body, Body::Stanza(_)) {
        return Err(WireError::Invalid("targets"));
    }
    envelope.trace = message.trace.map(|trace| Box::new(decode_trace(trace)));
    let bucket = match envelope.to.key() {
        Some(_) => Some(address::decode_bucket(message.bucket)?),
        None => None,
    };
    let (epoch, receipt, anew) = (Epoch(message.target_epoch), message.receipt, message.anew);
    let crossing = Crossing { bucket, epoch, receipt, anew };
    Ok((envelope, crossing))
}

/// As [`decode`], from the bytes of a message.
///
/// # Errors
/// [`WireError`], also where the bytes are no message.
pub fn decode_bytes(bytes: Bytes) -> Result<(Envelope, Crossing), WireError> {
    decode(pb::Envelope::decode(bytes)?)
}

/// The envelope as another member would read it, with its receipt. For builds that check themselves: what does
/// not survive the way between members is found wherever it is sent.
///
/// # Errors
/// [`WireError`], where an envelope's own message cannot be read, which is a fault of this module.
pub fn there_and_back(envelope: Envelope) -> Result<Envelope, WireError> {
    let crossing =
        Crossing { bucket: Bucket::new(0), epoch: Epoch(0), receipt: false, anew: false };
    let Some(message) = encode(&envelope, crossing) else { return Ok(envelope) };
    let (mut read, _) = decode_bytes(message.encode_to_vec().into())?;
    read.crossed = envelope.crossed;
    Ok(read.with_receipt(envelope.receipt))
}

fn encode_trace(trace: &TraceContext) -> pb::Trace {
    let [high, low] = halves(trace.trace_id);
    pb::Trace { high, low, span: trace.span_id }
}

fn decode_trace(trace: pb::Trace) -> TraceContext {
    let trace_id = u128::from(trace.high) << 64 | u128::from(trace.low);
    TraceContext { trace_id, span_id: trace.span }
}

#[expect(clippy::cast_possible_truncation, reason = "each half is what is wanted")]
fn halves(whole: u128) -> [u64; 2] {
    [(whole >> 64) as u64, whole as u64]
}
