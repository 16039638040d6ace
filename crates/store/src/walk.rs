//! Owns where a walk over owners stands: one that goes over all of them, however many there are, and needs no order.

use xmpp::BareJid;

/// Where a walk goes on. Default: where it begins. Good only for the engine that has given it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The number of a bucket; 0 where an engine does not go by buckets.
    pub(crate) bucket: u16,
    /// Behind this one.
    pub(crate) after: Option<BareJid>,
}

/// Some of a walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Who comes next, in whatever order.
    pub owners: Vec<BareJid>,
    /// Where it goes on; none: nobody is left.
    pub next: Option<Cursor>,
}

impl Walked {
    /// Owners of this bucket; where there are as many as were asked for, there may be more.
    pub(crate) fn of(bucket: u16, owners: Vec<BareJid>, limit: usize) -> Self {
        let last = owners.last().filter(|_| owners.len() >= limit).cloned();
        let next = last.map(|last| Cursor { bucket, after: Some(last) });
        Self { owners, next }
    }
}
