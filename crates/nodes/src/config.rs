//! Owns the configuration of a node (XEP-0060 §16.4.4), and what holds where nobody has said.

use xmpp::Jid;

use crate::collection::Place;

/// The configuration of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of XEP-0060 §16.4.4")]
pub struct Config {
    pub title: String,
    pub description: String,
    pub language: String,
    /// The semantic type of what is published.
    pub ty: String,
    pub contact: Vec<Jid>,
    pub access: AccessModel,
    /// With [`AccessModel::Roster`].
    pub roster_groups: Vec<String>,
    pub publish: PublishModel,
    pub full: FullNode,
    pub subscribe: bool,
    pub deliver_notifications: bool,
    pub deliver_payloads: bool,
    pub notify_config: bool,
    pub notify_delete: bool,
    pub notify_retract: bool,
    pub notify_sub: bool,
    pub persist_items: bool,
    pub max_items: UpTo,
    /// Seconds.
    pub item_expire: UpTo,
    /// Bytes; 0: what the server allows.
    pub max_payload_size: u64,
    pub send_last: SendLast,
    pub notification: NotificationType,
}

/// Who may subscribe and read (§4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of XEP-0060 table 6")]
pub enum AccessModel {
    Open,
    Presence,
    Roster,
    Authorize,
    Whitelist,
}

/// Who may publish beside publishers and owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of XEP-0060 §16.4.4")]
pub enum PublishModel {
    Publishers,
    Subscribers,
    Open,
}

/// What happens when a node has all the items it may have (§7.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of XEP-0060 §7.1.2.5")]
pub enum FullNode {
    RetractOldest,
    DiscardOldest,
    Reject,
}

/// When the last item is sent (§16.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of XEP-0060 §16.4.4")]
pub enum SendLast {
    Never,
    OnSub,
    OnSubAndPresence,
}

/// The type of the messages that carry events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 6121 §5.2.2")]
pub enum NotificationType {
    Normal,
    Headline,
}

/// A number, or as much as the server allows (§16.4.4, `config-node-max`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum UpTo {
    Number(u64),
    Max,
}

impl UpTo {
    /// The number, within what the server allows.
    #[must_use]
    pub fn within(self, most: u64) -> u64 {
        match self {
            Self::Number(number) => number.min(most),
            Self::Max => most,
        }
    }
}

impl Config {
    /// What holds for a node of this place (XEP-0060 §4.5, XEP-0163 §5).
    #[must_use]
    pub fn of(place: Place) -> Self {
        let account = place == Place::Account;
        Self {
            title: String::new(),
            description: String::new(),
            language: String::new(),
            ty: String::new(),
            contact: Vec::new(),
            access: if account { AccessModel::Presence } else { AccessModel::Open },
            roster_groups: Vec::new(),
            publish: PublishModel::Publishers,
            full: FullNode::RetractOldest,
            subscribe: true,
            deliver_notifications: true,
            deliver_payloads: true,
            notify_config: false,
            notify_delete: true,
            notify_retract: true,
            notify_sub: false,
            persist_items: true,
            max_items: UpTo::Number(if account { 1 } else { 20 }),
            item_expire: UpTo::Max,
            max_payload_size: 0,
            send_last: if account { SendLast::OnSubAndPresence } else { SendLast::OnSub },
            notification: NotificationType::Headline,
        }
    }
}
