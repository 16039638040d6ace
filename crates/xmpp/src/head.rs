//! Owns the head of a stanza: kind, type, id, addresses and language (RFC 6120 §8.1).

use std::sync::Arc;

use crate::jid::Jid;

/// What a stanza is and says of itself in its opening tag (RFC 6120 §8.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// `message`, `presence` or `iq`, with its type.
    pub kind: Kind,
    /// The `id` as its sender wrote it.
    pub id: Option<Arc<str>>,
    /// The sender. Stamped by the server; a client's own word is checked, never trusted.
    pub from: Option<Jid>,
    /// The intended recipient; none means the sender's own account (RFC 6120 §10.3).
    pub to: Option<Jid>,
    /// `xml:lang`, the stream's where the stanza has none (RFC 6120 §8.1.5).
    pub lang: Option<Arc<str>>,
}

/// A stanza's element name and its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>` (RFC 6121 §5).
    Message(MessageType),
    /// `<presence/>` (RFC 6121 §4).
    Presence(PresenceType),
    /// `<iq/>` (RFC 6120 §8.2.3).
    Iq(IqType),
}

/// The types of a message (RFC 6121 §5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// `normal`, also where the type is absent or unknown.
    Normal,
    /// `chat`
    Chat,
    /// `groupchat`
    Groupchat,
    /// `headline`
    Headline,
    /// `error`
    Error,
}

/// The types of a presence (RFC 6121 §4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PresenceType {
    /// No `type`: available.
    Available,
    /// `unavailable`
    Unavailable,
    /// `subscribe`
    Subscribe,
    /// `subscribed`
    Subscribed,
    /// `unsubscribe`
    Unsubscribe,
    /// `unsubscribed`
    Unsubscribed,
    /// `probe`
    Probe,
    /// `error`
    Error,
}

/// The types of an IQ (RFC 6120 §8.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IqType {
    /// `get`
    Get,
    /// `set`
    Set,
    /// `result`
    Result,
    /// `error`
    Error,
}

impl Kind {
    /// Reads element name and `type`. An unknown message type counts as `normal` (RFC 6121 §5.2.2);
    /// unknown types of presence and IQ are errors.
    pub fn parse(name: &str, ty: Option<&str>) -> Result<Self, UnknownKind> {
        match name {
            "message" => Ok(Self::Message(MessageType::parse(ty))),
            "presence" => PresenceType::parse(ty).map(Self::Presence),
            "iq" => IqType::parse(ty).map(Self::Iq),
            _ => Err(UnknownKind::Name),
        }
    }

    /// The element's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Presence(_) => "presence",
            Self::Iq(_) => "iq",
        }
    }

    /// The value of the `type` attribute; none where the default is meant.
    pub fn type_str(self) -> Option<&'static str> {
        match self {
            Self::Message(MessageType::Normal) | Self::Presence(PresenceType::Available) => None,
            Self::Message(MessageType::Chat) => Some("chat"),
            Self::Message(MessageType::Groupchat) => Some("groupchat"),
            Self::Message(MessageType::Headline) => Some("headline"),
            Self::Message(MessageType::Error)
            | Self::Presence(PresenceType::Error)
            | Self::Iq(IqType::Error) => Some("error"),
            Self::Presence(PresenceType::Unavailable) => Some("unavailable"),
            Self::Presence(PresenceType::Subscribe) => Some("subscribe"),
            Self::Presence(PresenceType::Subscribed) => Some("subscribed"),
            Self::Presence(PresenceType::Unsubscribe) => Some("unsubscribe"),
            Self::Presence(PresenceType::Unsubscribed) => Some("unsubscribed"),
            Self::Presence(PresenceType::Probe) => Some("probe"),
            Self::Iq(IqType::Get) => Some("get"),
            Self::Iq(IqType::Set) => Some("set"),
            Self::Iq(IqType::Result) => Some("result"),
        }
    }

    /// Whether the stanza is of type `error`; such a stanza is never answered (RFC 6120 §8.3.1).
    pub fn is_error(self) -> bool {
        self.type_str() == Some("error")
    }

    /// The same kind of stanza, of type `error`.
    pub fn to_error(self) -> Self {
        match self {
            Self::Message(_) => Self::Message(MessageType::Error),
            Self::Presence(_) => Self::Presence(PresenceType::Error),
            Self::Iq(_) => Self::Iq(IqType::Error),
        }
    }
}

/// Why an element is no stanza that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownKind {
    /// The element is not message, presence or iq: `<unsupported-stanza-type/>` (RFC 6120 §4.9.3.24).
    #[error("unknown stanza name")]
    Name,
    /// The `type` of a presence or IQ is missing or unknown: `<bad-request/>` (RFC 6120 §8.2.3).
    #[error("unknown stanza type")]
    Type,
}

impl MessageType {
    fn parse(ty: Option<&str>) -> Self {
        match ty {
            Some("chat") => Self::Chat,
            Some("groupchat") => Self::Groupchat,
            Some("headline") => Self::Headline,
            Some("error") => Self::Error,
            _ => Self::Normal,
        }
    }
}

impl PresenceType {
    fn parse(ty: Option<&str>) -> Result<Self, UnknownKind> {
        Ok(match ty {
            None => Self::Available,
            Some("unavailable") => Self::Unavailable,
            Some("subscribe") => Self::Subscribe,
            Some("subscribed") => Self::Subscribed,
            Some("unsubscribe") => Self::Unsubscribe,
            Some("unsubscribed") => Self::Unsubscribed,
            Some("probe") => Self::Probe,
            Some("error") => Self::Error,
            Some(_) => return Err(UnknownKind::Type),
        })
    }
}

impl IqType {
    fn parse(ty: Option<&str>) -> Result<Self, UnknownKind> {
        match ty {
            Some("get") => Ok(Self::Get),
            Some("set") => Ok(Self::Set),
            Some("result") => Ok(Self::Result),
            Some("error") => Ok(Self::Error),
            _ => Err(UnknownKind::Type),
        }
    }

    /// Whether an answer is owed (RFC 6120 §8.2.3).
    pub fn is_request(self) -> bool {
        matches!(self, Self::Get | Self::Set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_back_what_it_writes() {
        let types = [
            ("message", &["chat", "groupchat", "headline", "error"][..]),
            (
                "presence",
                &[
                    "unavailable",
                    "subscribe",
                    "subscribed",
                    "unsubscribe",
                    "unsubscribed",
                    "probe",
                    "error",
                ],
            ),
            ("iq", &["get", "set", "result", "error"]),
        ];
        for (name, types) in types {
            for ty in types {
                let kind = Kind::parse(name, Some(ty)).unwrap();
                assert_eq!((kind.name(), kind.type_str()), (name, Some(*ty)));
            }
        }
    }

    #[test]
    fn unknown_types_are_normal_for_messages_and_errors_elsewhere() {
        assert_eq!(Kind::parse("message", Some("x")), Ok(Kind::Message(MessageType::Normal)));
        assert_eq!(Kind::parse("presence", Some("x")), Err(UnknownKind::Type));
        assert_eq!(Kind::parse("iq", None), Err(UnknownKind::Type));
        assert_eq!(Kind::parse("foo", None), Err(UnknownKind::Name));
    }
}
