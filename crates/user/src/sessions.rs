//! Owns the user's small table of its sessions: what delivery and presence must know of each.

use entity::Slots;
use proto::SessionId;
use xmpp::{FullJid, Jid, Stanza};

/// One bound resource, as its user sees it. The queue and the counters are the session's own.
pub(crate) struct SessionEntry {
    /// The session.
    pub id: SessionId,
    /// Its address.
    pub jid: FullJid,
    /// The last available presence that it broadcast, stamped with its address; none: unavailable.
    pub presence: Option<Stanza>,
    /// Of that presence (RFC 6121 §4.7.2.3); 0 while unavailable.
    pub priority: i8,
    /// It asked for the roster and gets pushes (RFC 6121 §2.1.6: an interested resource).
    pub interested: bool,
    /// Whom it sent directed presence, and has not taken back (RFC 6121 §4.6.3). Bounded.
    pub directed: Vec<Jid>,
    /// The rooms that have let it in, each as the address under which it is there.
    pub inside: Vec<Jid>,
    /// Whether a socket is attached; false while it waits to be resumed.
    pub attached: bool,
    /// Since when it takes what is sent to the account: microseconds since 1970-01-01 UTC of its first
    /// presence of non-negative priority.
    pub takes_since: Option<u64>,
    /// What extensions keep of it.
    pub slots: Slots,
    /// It was brought back: of what it did shortly before nobody here may know.
    pub(crate) is_brought_back: bool,
    /// The session does not know of it as it is now, for its second copy.
    pub(crate) is_new: bool,
}

/// The sessions of an account, oldest first. Few: bounded by
/// [`crate::config::Accounts::sessions`].
#[derive(Default)]
pub(crate) struct Sessions {
    entries: Vec<SessionEntry>,
}

impl SessionEntry {
    /// A session that has just been bound.
    pub(crate) fn new(id: SessionId, jid: FullJid) -> Self {
        Self {
            id,
            jid,
            presence: None,
            priority: 0,
            interested: false,
            directed: Vec::new(),
            inside: Vec::new(),
            attached: true,
            takes_since: None,
            slots: Slots::default(),
            is_brought_back: false,
            is_new: true,
        }
    }

    fn changing(&mut self) -> &mut Self {
        self.is_new = true;
        self
    }

    /// Whether it has sent initial presence and not taken it back (RFC 6121 §4.2).
    pub(crate) fn is_available(&self) -> bool {
        self.presence.is_some()
    }
}

impl Sessions {
    /// Every session, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &SessionEntry> {
        self.entries.iter()
    }

    /// Every session, oldest first.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut SessionEntry> {
        self.entries.iter_mut().map(SessionEntry::changing)
    }

    /// The sessions that are available (RFC 6121 §4.2).
    pub(crate) fn available(&self) -> impl Iterator<Item = &SessionEntry> {
        self.entries.iter().filter(|entry| entry.is_available())
    }

    /// By the session's number.
    pub(crate) fn get(&self, uid: u64) -> Option<&SessionEntry> {
        self.entries.iter().find(|entry| entry.id.uid == uid)
    }

    /// By the session's number.
    pub(crate) fn get_mut(&mut self, uid: u64) -> Option<&mut SessionEntry> {
        self.entries.iter_mut().find(|entry| entry.id.uid == uid).map(SessionEntry::changing)
    }

    /// The sessions that have changed since this was asked last.
    pub(crate) fn take_changed(&mut self) -> Vec<u64> {
        let changed =
            |entry: &mut SessionEntry| std::mem::take(&mut entry.is_new).then_some(entry.id.uid);
        self.entries.iter_mut().filter_map(changed).collect()
    }

    /// By resource.
    pub(crate) fn of_resource(&self, resource: &str) -> Option<&SessionEntry> {
        self.entries.iter().find(|entry| entry.jid.resource() == resource)
    }

    /// By resource.
    pub(crate) fn of_resource_mut(&mut self, resource: &str) -> Option<&mut SessionEntry> {
        let found = self.entries.iter_mut().find(|entry| entry.jid.resource() == resource);
        found.map(SessionEntry::changing)
    }

    /// Adds a session.
    pub(crate) fn insert(&mut self, entry: SessionEntry) {
        // Most accounts have one: room for more would be most of what they hold.
        self.entries.reserve_exact(1);
        self.entries.push(entry);
    }

    /// Takes a session out.
    pub(crate) fn remove(&mut self, uid: u64) -> Option<SessionEntry> {
        let index = self.entries.iter().position(|entry| entry.id.uid == uid)?;
        Some(self.entries.remove(index))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
