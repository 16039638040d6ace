//! Owns the names of rows: whose, of what kind, and which.

use bytes::Bytes;
use xmpp::BareJid;

/// What a row is about. One kind, one shape; the shape belongs to whoever writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Credentials and state of an account; one row.
    Account = 1,
    /// One row per roster item (RFC 6121 §2), and the roster's version under the empty item.
    Roster = 2,
    /// Blocked JIDs (XEP-0191).
    Block = 3,
    /// Messages that no session has taken yet (XEP-0160), by [`crate::ArchiveId`].
    Offline = 4,
    /// Private XML by namespace and name (XEP-0049).
    Private = 5,
    /// The vCard (XEP-0054); one row.
    Vcard = 6,
    /// Small settings of an account: archive preferences (XEP-0441), when it was last seen (XEP-0012).
    Setting = 7,
    /// Subscription presence that waits for a session or for its confirmation.
    Pending = 8,
    /// Sessions that wait to be resumed over a restart (XEP-0198 §5). Their end is in them: somebody
    /// must be told of it.
    Session = 9,
    /// One row per pubsub node: its configuration and affiliations (XEP-0060).
    Node = 10,
    /// One row per subscription of a node, by node and JID.
    Subscription = 11,
    /// The index of a node's items, by node and id; the payload is in [`Kind::Payload`].
    Item = 12,
    /// Payloads of items, by node and id. Large, and never loaded together.
    Payload = 13,
    /// What a room is: its birth, settings, subject, tombstone (XEP-0045).
    Room = 20,
    /// One row per affiliation of a room, by bare JID (XEP-0045 §5.2).
    Affiliation = 21,
    /// One row per room in the directory of its service.
    Listing = 22,
    /// One row per person who hears a room without being inside, by bare JID (MUC/Sub).
    Subscriber = 23,
    /// Which rooms somebody hears so, by their bare JID and the room's.
    Heard = 24,
    /// Invitations of a domain by the hash of their token, with who used them; and a name that is promised to one.
    Invitation = 30,
    /// Who is about to make an account of this name.
    Claim = 31,
    /// What others may find an account by (XEP-0055); one row of who wants to be found.
    Directory = 32,
    /// What a domain tells each of its people once (XEP-0133 §4.24).
    Notice = 33,
    /// One row per slot for a file that the account was given (XEP-0363), by the file's name.
    Upload = 40,
    /// One row per client that logs in by tokens (XEP-0484), by a hash of its name.
    Token = 41,
}

/// One row's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Whose row it is; also decides its bucket.
    pub owner: BareJid,
    /// What it is about.
    pub kind: Kind,
    /// Which of the kind; empty where there is one.
    pub item: Bytes,
}

/// A row as it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Of what kind.
    pub kind: Kind,
    /// Which of the kind.
    pub item: Bytes,
    /// What it says.
    pub value: Bytes,
}

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Account,
        Self::Roster,
        Self::Block,
        Self::Offline,
        Self::Private,
        Self::Vcard,
        Self::Setting,
        Self::Pending,
        Self::Session,
        Self::Node,
        Self::Subscription,
        Self::Item,
        Self::Payload,
        Self::Room,
        Self::Affiliation,
        Self::Listing,
        Self::Subscriber,
        Self::Heard,
        Self::Invitation,
        Self::Claim,
        Self::Directory,
        Self::Notice,
        Self::Upload,
        Self::Token,
    ];
}

impl Key {
    /// The most bytes of an item. Addresses and namespaces are shorter; nothing longer names a row.
    pub const ITEM_BYTES_MAX: usize = 16 << 10;

    /// A row's name.
    pub fn new(owner: BareJid, kind: Kind, item: impl Into<Bytes>) -> Self {
        Self { owner, kind, item: item.into() }
    }
}
