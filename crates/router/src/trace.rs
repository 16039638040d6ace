//! Owns the spans of a sampled stanza: one for each station that it passes, each beneath the one that sent it
//! on, also over members (W3C trace context in [`Envelope::trace`]). What is not sampled costs one look at a
//! field that is empty. A span holds addresses, kinds and ids; never a body, never a secret.

use std::cell::Cell;
use std::fmt::Display;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use proto::session::{ConnectionCommand, ConnectionEvent, UserEvent};
use proto::{Body, Envelope, Route, TraceContext};
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use xmpp::Stanza;

use crate::Router;

/// The target of every span of this module, and of nothing else: by it they are exported, and kept out of logs.
pub const TARGET: &str = "rookery::station";

/// Characters of a stanza's id that a span holds; the client has chosen it.
const ID_CHARS: usize = 64;

/// Of 2^32 stanzas, so many are sampled.
static SAMPLED: AtomicU64 = AtomicU64::new(0);

/// A station's span; it ends when dropped.
#[derive(Debug)]
pub struct Span(tracing::Span);

/// Of all stanzas of clients, this share begins a trace from now on. 0: none, 1: every one. Without a
/// subscriber that exports [`TARGET`], nothing comes of it.
pub fn set_sample_ratio(ratio: f64) {
    let whole = f64::from(u32::MAX) + 1.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 2^32 by the clamp; not a number counts as 0"
    )]
    let of_all = (ratio.clamp(0.0, 1.0) * whole) as u64;
    SAMPLED.store(of_all, Ordering::Relaxed);
}

/// The first span of a trace, where this stanza is sampled. The sender on another trace is not asked: what a
/// client says of traces is not trusted.
pub fn begin(stanza: &Stanza) -> Option<Span> {
    let sampled = SAMPLED.load(Ordering::Relaxed);
    if sampled == 0 || u64::from(draw()) >= sampled {
        return None;
    }
    let span = Span::new("edge", None);
    span.note_stanza(stanza);
    Some(span)
}

/// A span beneath the one that sent something on; none where that was not sampled.
pub fn below(parent: Option<&TraceContext>, name: &str) -> Option<Span> {
    parent.map(|parent| Span::new(name, Some(parent)))
}

/// The span of an entity's turn. From here on the envelope belongs to it.
pub fn station(entity: &str, envelope: &mut Envelope) -> Option<Span> {
    let parent = envelope.trace.as_deref()?;
    let span = Span::new(&station_name(entity, &envelope.body), Some(parent));
    span.note_route(&envelope.to);
    span.note("epoch", envelope.epoch.0);
    if let Some(stanza) = stanza_of(&envelope.body) {
        span.note_stanza(stanza);
    }
    span.adopt(envelope);
    Some(span)
}

/// A stanza finds its way: the span says which.
pub(crate) fn routed(router: &Router, envelope: &mut Envelope) {
    let Body::Stanza(stanza) = &envelope.body else { return };
    let Some(span) = below(envelope.trace.as_deref(), "route") else { return };
    span.note_route(&envelope.to);
    span.note_stanza(stanza);
    span.note("member", router.member());
    if let Some(jid) = envelope.to.key() {
        span.note("shard", router.bucket(jid).shard().number());
    }
    span.adopt(envelope);
}

/// A stanza is given to the connection of a client.
pub(crate) fn delivered(
    parent: Option<&TraceContext>,
    command: &ConnectionCommand,
) -> Option<Span> {
    let (parent, ConnectionCommand::Stanza(stanza)) = (parent?, command) else { return None };
    let span = Span::new("deliver", Some(parent));
    span.note_stanza(stanza);
    Some(span)
}

impl Span {
    fn new(name: &str, parent: Option<&TraceContext>) -> Self {
        let span = tracing::info_span!(
            target: TARGET,
            parent: None,
            "station",
            otel.name = name,
            member = Empty,
            shard = Empty,
            epoch = Empty,
            route = Empty,
            jid = Empty,
            session = Empty,
            stanza = Empty,
            id = Empty,
            xep = Empty,
            peer = Empty,
            error = Empty,
        );
        if let Some(parent) = parent {
            let remote = SpanContext::new(
                TraceId::from(parent.trace_id),
                SpanId::from(parent.span_id),
                TraceFlags::SAMPLED,
                true,
                TraceState::NONE,
            );
            let context = opentelemetry::Context::new().with_remote_span_context(remote);
            // Fails where nothing exports spans; then there is nothing to hang it under.
            span.set_parent(context).unwrap_or_default();
        }
        Self(span)
    }

    /// What is sent on from here travels with this; none where nothing exports spans.
    pub fn context(&self) -> Option<Box<TraceContext>> {
        let context = self.0.context();
        let span = context.span();
        let own = span.span_context();
        own.is_sampled().then(|| {
            let trace_id = u128::from_be_bytes(own.trace_id().to_bytes());
            let span_id = u64::from_be_bytes(own.span_id().to_bytes());
            Box::new(TraceContext { trace_id, span_id })
        })
    }

    /// The envelope goes on from here. Where this member exports nothing, others may.
    pub fn adopt(&self, envelope: &mut Envelope) {
        envelope.trace = self.context().or_else(|| envelope.trace.take());
    }

    /// Notes one of the fixed fields: member, shard, epoch, route, jid, session, stanza, id, xep, peer,
    /// error. Any other name is left out.
    pub fn note(&self, field: &'static str, value: impl Display) {
        self.0.record(field, tracing::field::display(value));
    }

    /// The kind and type of a stanza, and its id.
    pub fn note_stanza(&self, stanza: &Stanza) {
        let kind = stanza.kind();
        let named = [Some(kind.name()), kind.type_str()];
        self.note("stanza", named.into_iter().flatten().collect::<Vec<_>>().join(" "));
        if let Some(id) = &stanza.head().id {
            self.note("id", id.chars().take(ID_CHARS).collect::<String>());
        }
    }

    fn note_route(&self, route: &Route) {
        self.note("route", route.name());
        if let Some(jid) = route.key() {
            self.note("jid", jid);
        }
        if let Route::Session(session) = route {
            self.note("session", session.uid);
        }
    }
}

fn station_name(entity: &str, body: &Body) -> String {
    match body {
        Body::FromConnection(..) | Body::User(UserEvent::Outbound { .. }) => {
            format!("{entity} outbound")
        }
        Body::Stanza(_) | Body::User(UserEvent::Stored { .. }) => format!("{entity} inbound"),
        Body::ToConnection(_) | Body::User(_) | Body::MemberGone(_) | Body::Woken => {
            entity.to_owned()
        }
        Body::Copy(_) | Body::Announced(_) => "copy".to_owned(),
        Body::HeldStreams(_)
        | Body::ComponentConnected(_)
        | Body::AskContacts(_)
        | Body::Disclosed(_) => "streams".to_owned(),
    }
}

fn stanza_of(body: &Body) -> Option<&Stanza> {
    match body {
        Body::Stanza(stanza)
        | Body::FromConnection(_, ConnectionEvent::Stanza(stanza))
        | Body::User(UserEvent::Outbound { stanza, .. } | UserEvent::Stored { stanza, .. }) => {
            Some(stanza)
        }
        _ => None,
    }
}

/// A number that need not be hard to guess: xorshift, begun anew on each thread.
fn draw() -> u32 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish() | 1);
    }
    let mut state = STATE.get();
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    STATE.set(state);
    u32::try_from(state >> 32).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use xmpp::{Head, Kind, MessageType};

    use super::*;

    #[test]
    fn about_as_many_are_sampled_as_was_asked_for() {
        let head = Head {
            kind: Kind::Message(MessageType::Chat),
            id: None,
            from: None,
            to: None,
            lang: None,
        };
        let stanza = Stanza::new(head, "<body>hi</body>");
        let sampled = |ratio| {
            set_sample_ratio(ratio);
            (0..10_000).filter(|_| begin(&stanza).is_some()).count()
        };
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 10_000));
        let some = sampled(0.1);
        assert!((800..1_200).contains(&some), "{some}");
        assert_eq!((sampled(f64::NAN), sampled(-1.0)), (0, 0));
    }

    #[test]
    fn nothing_travels_where_nothing_exports_spans() {
        let parent = TraceContext { trace_id: 1, span_id: 2 };
        assert!(below(None, "route").is_none());
        let span = below(Some(&parent), "route").expect("the parent was sampled");
        assert_eq!(span.context(), None);
    }
}
