//! Owns the one mapping from faults of machinery to what their sender is told.

use proto::session::{ConnectionCommand, ConnectionEvent, UserEvent};
use proto::{Body, Envelope, Route, SessionId};
use router::Refusal;
use xmpp::{Jid, Kind, PresenceType, StanzaCondition, StanzaError, StreamCondition, StreamError};

/// Why an entity could not act on an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It could not go on its way.
    Way(Refusal),
    /// Too much waits for the entity already.
    Mailbox,
    /// The entity's rows could not be loaded.
    Load,
    /// The entity panicked.
    Panic,
}

/// The stanza error that tells of a fault.
pub fn stanza_error(fault: Fault) -> StanzaError {
    let (condition, text) = match fault {
        Fault::Way(Refusal::Full) | Fault::Mailbox => {
            (StanzaCondition::ResourceConstraint, "too busy, try again later")
        }
        Fault::Way(Refusal::NoOwner) => {
            (StanzaCondition::RemoteServerTimeout, "nobody answers for this address right now")
        }
        Fault::Way(Refusal::NoRemote) => {
            (StanzaCondition::RemoteServerNotFound, "this server does not reach other domains")
        }
        Fault::Way(Refusal::TooManyHops) => {
            (StanzaCondition::InternalServerError, "the way to this address goes round in circles")
        }
        Fault::Load => {
            (StanzaCondition::InternalServerError, "the account's data could not be read")
        }
        Fault::Panic => (StanzaCondition::InternalServerError, "the server failed on this stanza"),
    };
    StanzaError::from(condition).with_text(text)
}

/// What an asker is told where the store refused to keep or to read something.
pub fn store_error(error: &store::Error) -> StanzaError {
    tracing::warn!(%error, "rows were not kept or read");
    match error {
        store::Error::Full(_) => StanzaCondition::ResourceConstraint.into(),
        _ => StanzaCondition::InternalServerError.into(),
    }
}

fn stream_error(fault: Fault) -> StreamError {
    match fault {
        Fault::Way(Refusal::Full) => StreamCondition::ResourceConstraint.into(),
        _ => StreamCondition::InternalServerError.into(),
    }
}

/// What goes back for an envelope that nobody acts on. The envelope's stanza is answered, so that its
/// share of the responsibility is released with the answer.
pub fn answer(
    envelope: Envelope,
    fault: Fault,
    route: impl Fn(Option<&Jid>, &Jid) -> Route,
) -> Option<Envelope> {
    let Envelope { to, body, origin, epoch, receipt, .. } = envelope;
    let back = match body {
        // Whoever sends presence needs no answer when it does not arrive; RFC 6121 §4 has none.
        Body::Stanza(stanza) if is_plain_presence(stanza.kind()) => None,
        Body::Stanza(stanza) => stanza.error(&stanza_error(fault)).and_then(|error| {
            let head = error.head();
            let to = route(head.from.as_ref(), head.to.as_ref()?);
            Some((to, Body::Stanza(error)))
        }),
        Body::FromConnection(connection, ConnectionEvent::Bind { iq_id, .. }) => {
            let command = ConnectionCommand::BindRefused { error: stanza_error(fault), iq_id };
            Some((Route::Connection(connection), Body::ToConnection(command)))
        }
        Body::FromConnection(connection, ConnectionEvent::Resume { .. }) => {
            let command = ConnectionCommand::ResumeFailed { h: None };
            Some((Route::Connection(connection), Body::ToConnection(command)))
        }
        // What a client says cannot reach its session: its stream ends, so that it says it again elsewhere.
        Body::FromConnection(connection, event) if !matches!(event, ConnectionEvent::Gone(_)) => {
            let command = ConnectionCommand::Close(Some(stream_error(fault)));
            Some((Route::Connection(connection), Body::ToConnection(command)))
        }
        // A client's own account cannot act: the session is told, since only it is known to be there.
        Body::User(UserEvent::Outbound { session, stanza }) => match to {
            Route::User(account) => stanza.error(&stanza_error(fault)).map(|error| {
                (Route::Session(SessionId { account, uid: session }), Body::Stanza(error))
            }),
            _ => None,
        },
        Body::FromConnection(..)
        | Body::ToConnection(_)
        | Body::User(_)
        | Body::MemberGone(_)
        | Body::Woken => None,
        Body::Copy(_) | Body::Announced(_) | Body::HeldStreams(_) => None,
        Body::ComponentConnected(_) | Body::AskContacts(_) | Body::Disclosed(_) => None,
    };
    if let Some(receipt) = receipt {
        receipt.release();
    }
    back.map(|(to, body)| Envelope::new(to, body, origin, epoch))
}

fn is_plain_presence(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Presence(PresenceType::Available | PresenceType::Unavailable | PresenceType::Probe)
    )
}
