//! Owns the glance: one bit for each known direct child of a stanza, so that stages which do not
//! concern a stanza skip it without looking at its bytes.

use crate::ns;

/// A set of known children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features(u32);

impl Features {
    /// No known child.
    pub const NONE: Self = Self(0);
    /// `<body/>` (RFC 6121 §5.2.3).
    pub const BODY: Self = Self(1);
    /// `<subject/>` (RFC 6121 §5.2.4).
    pub const SUBJECT: Self = Self(1 << 1);
    /// A chat state (XEP-0085).
    pub const CHAT_STATE: Self = Self(1 << 2);
    /// A receipt or a request for one (XEP-0184).
    pub const RECEIPT: Self = Self(1 << 3);
    /// A chat marker (XEP-0333).
    pub const MARKER: Self = Self(1 << 4);
    /// `<no-store/>` (XEP-0334).
    pub const NO_STORE: Self = Self(1 << 5);
    /// `<no-permanent-store/>` (XEP-0334).
    pub const NO_PERMANENT_STORE: Self = Self(1 << 6);
    /// `<store/>` (XEP-0334).
    pub const STORE: Self = Self(1 << 7);
    /// `<no-copy/>` (XEP-0334).
    pub const NO_COPY: Self = Self(1 << 8);
    /// `<private/>` of carbons (XEP-0280).
    pub const PRIVATE: Self = Self(1 << 9);
    /// `<sent/>` or `<received/>` of carbons (XEP-0280).
    pub const CARBON: Self = Self(1 << 10);
    /// `<delay/>` (XEP-0203).
    pub const DELAY: Self = Self(1 << 11);
    /// `<stanza-id/>` (XEP-0359).
    pub const STANZA_ID: Self = Self(1 << 12);
    /// `<result/>` or `<fin/>` of an archive (XEP-0313).
    pub const ARCHIVE: Self = Self(1 << 13);
    /// `<x/>` of a room's join (XEP-0045 §7.2).
    pub const MUC: Self = Self(1 << 14);
    /// `<x/>` by which a room speaks to its occupants (XEP-0045).
    pub const MUC_USER: Self = Self(1 << 15);
    /// `<error/>` (RFC 6120 §8.3).
    pub const ERROR: Self = Self(1 << 16);
    /// Entity capabilities (XEP-0115).
    pub const CAPS: Self = Self(1 << 17);
    /// An event of a pubsub node (XEP-0060).
    pub const PUBSUB_EVENT: Self = Self(1 << 18);
    /// A call announced by message (XEP-0353).
    pub const CALL: Self = Self(1 << 19);
    /// An encrypted payload, named as such (XEP-0380, XEP-0384).
    pub const ENCRYPTED: Self = Self(1 << 20);
    /// A direct invitation to a room (XEP-0249).
    pub const INVITATION: Self = Self(1 << 21);
    /// Other content than what is named here; a message of only this kind may still matter.
    pub const OTHER: Self = Self(1 << 22);

    /// What a direct child tells. `ns` is empty for the content namespace.
    pub fn of(ns: &str, name: &str) -> Self {
        match ns {
            "" => Self::of_content(name),
            ns::CHAT_STATES => Self::CHAT_STATE,
            ns::RECEIPTS => Self::RECEIPT,
            ns::CHAT_MARKERS => Self::MARKER,
            ns::HINTS => Self::of_hint(name),
            ns::CARBONS if name == "private" => Self::PRIVATE,
            ns::CARBONS => Self::CARBON,
            ns::DELAY => Self::DELAY,
            ns::STANZA_ID if name == "stanza-id" => Self::STANZA_ID,
            ns::MAM => Self::ARCHIVE,
            ns::MUC => Self::MUC,
            ns::MUC_USER => Self::MUC_USER,
            ns::CAPS => Self::CAPS,
            ns::PUBSUB_EVENT => Self::PUBSUB_EVENT,
            ns::JINGLE_MESSAGE => Self::CALL,
            ns::EME => Self::ENCRYPTED,
            ns::CONFERENCE => Self::INVITATION,
            _ if name == "encrypted" => Self::ENCRYPTED,
            _ => Self::OTHER,
        }
    }

    fn of_content(name: &str) -> Self {
        match name {
            "body" => Self::BODY,
            "subject" => Self::SUBJECT,
            "error" => Self::ERROR,
            "thread" | "show" | "status" | "priority" => Self::NONE,
            _ => Self::OTHER,
        }
    }

    fn of_hint(name: &str) -> Self {
        match name {
            "no-store" => Self::NO_STORE,
            "no-permanent-store" => Self::NO_PERMANENT_STORE,
            "store" => Self::STORE,
            "no-copy" => Self::NO_COPY,
            _ => Self::NONE,
        }
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of `other` is in this set.
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing outside `other` is in this set.
    pub const fn only(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The bits, for the wire.
    pub const fn bits(self) -> u32 {
        self.0
    }
}
