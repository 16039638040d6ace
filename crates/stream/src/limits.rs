//! Owns the limits of a stream: how much of anything a peer may send before the stream ends with
//! `<policy-violation/>` (RFC 6120 §4.9.3.14, §13.12).

/// The limits of one stream. They may change while it is open, from the next byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one first-level element, as it came and in canonical form, whichever is more; also of the
    /// stream header. Before login 16,384, then 262,144.
    pub stanza_bytes: usize,
    /// Levels of elements, the first-level element being the first. 64; never over 100, so that
    /// [`xmpp::Element::parse`] can read what was let in.
    pub depth: usize,
    /// Attributes of one element, declarations of namespaces aside. 256.
    pub attributes: usize,
    /// Declarations of namespaces in scope at one place, and so also on one element. 256.
    pub namespaces: usize,
    /// Bytes of one element name, attribute name or namespace name. 1,024.
    pub name_bytes: usize,
    /// Bytes that the peer may send in all, over restarts of the stream too; none for no limit. Before
    /// login 65,536, then none.
    pub total_bytes: Option<u64>,
}

impl Limits {
    /// What holds until the peer has proved who it is.
    pub const BEFORE_LOGIN: Self =
        Self { stanza_bytes: 16_384, total_bytes: Some(65_536), ..Self::AFTER_LOGIN };

    /// What holds from then on.
    pub const AFTER_LOGIN: Self = Self {
        stanza_bytes: 262_144,
        depth: 64,
        attributes: 256,
        namespaces: 256,
        name_bytes: 1024,
        total_bytes: None,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::AFTER_LOGIN
    }
}
