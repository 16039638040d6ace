//! Owns the settings of accounts and sessions, with their defaults.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use archive::Ids;
use entity::Powers;
use serde::{Deserialize, Serialize};
use xmpp::BareJid;

use crate::figures::Figures;
use crate::pep::caps::Cache;

/// Settings of accounts and sessions. Shared by all of them, never changed while they live.
#[derive(Clone, Debug)]
pub struct Config {
    /// How much an account may have of anything.
    pub accounts: Accounts,
    /// Whether messages are archived where the account's owner has not said (XEP-0441).
    pub archive_default: ArchiveDefault,
    /// Most messages of one page of an archive; at most [`archive::PAGE_MOST`].
    pub archive_page: usize,
    /// Whether texts of archives are searched (XEP-0431).
    pub archive_search: bool,
    /// What the rows of archives are called.
    pub ids: Ids,
    /// How long a session with a lost connection waits to be resumed (XEP-0198 §5).
    pub resume: Duration,
    /// Most stanzas of a session that its client has not acknowledged.
    pub queue_stanzas: usize,
    /// Most bytes of them.
    pub queue_bytes: usize,
    /// What services for push notifications are told (XEP-0357).
    pub push: Push,
    /// What people may do with their account over XMPP (XEP-0077).
    pub registration: Registration,
    /// What capability hashes stand for.
    pub caps: Arc<Cache>,
    /// Who is told of reports of spam and abuse (XEP-0377).
    pub report_to: Vec<BareJid>,
    /// Domains that let guests in (XEP-0175), and whom these reach.
    pub guests: crate::extensions::guests::Guests,
    /// What components may do with accounts (XEP-0355, XEP-0356).
    pub powers: Arc<Powers>,
    /// Removes the files of an account that is removed; none where there are none.
    pub files: Option<Files>,
    /// Where they count.
    pub figures: Arc<Figures>,
    /// Sessions that wait to be resumed.
    pub waiting: Arc<crate::waiting::Waiting>,
}

/// Removes the files of an account (XEP-0363).
#[derive(Clone)]
pub struct Files(pub Forget);

/// Does it, and says so in the log where it cannot.
pub type Forget = Arc<dyn Fn(BareJid) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files")
    }
}

/// Whom guests reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// People and rooms of this server.
    Local,
    /// Other servers and components too.
    Anywhere,
}

/// What people may do with their account over XMPP (XEP-0077), and whom they have invited.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Whether they may, and which passwords are good.
    pub policy: accounts::Policy,
    /// Iterations of new SCRAM verifiers.
    pub iterations: u32,
    /// Where invitations are looked up (XEP-0379); none: nowhere.
    pub invitations: Option<accounts::Accounts>,
}

/// How much an account may have of anything.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    /// Most sessions at a time. Default 20.
    pub sessions: usize,
    /// Most items of a roster. Default 2,000.
    pub roster_items: usize,
    /// Most subscription requests of others that wait for an answer (RFC 6121 §3.1.3). Default 256.
    pub subscription_requests: usize,
    /// Most addresses that one session has sent directed presence to. Default 200.
    pub directed_presence: usize,
    /// Most blocked addresses (XEP-0191). Default 1,000.
    pub blocked_addresses: usize,
    /// Most messages kept while all clients are away (XEP-0160). Default 1,000.
    pub offline_messages: usize,
    /// Most bytes of them. Default 16 MiB.
    pub offline_bytes: usize,
    /// Most elements of private XML (XEP-0049). Default 200.
    pub private_items: usize,
    /// Most bytes of them together. Default 1 MiB.
    pub private_bytes: usize,
    /// Most bytes of a vCard (XEP-0054). Default 128 KiB.
    pub vcard_bytes: usize,
    /// Most addresses in both lists of archiving preferences together (XEP-0441). Default 500.
    pub archive_preferences: usize,
    /// Most services for push notifications (XEP-0357). Default 20.
    pub push_services: usize,
    /// Most nodes (XEP-0163). Default 256.
    pub nodes: usize,
    /// Most items of a node; what `max` means in its configuration. Default 1,000.
    pub items_of_node: usize,
    /// Most items of all nodes together. Default 5,000.
    pub items: usize,
    /// Most bytes of an item. Default 192 KiB.
    pub item_bytes: usize,
    /// Most bytes of all items together. Default 16 MiB.
    pub items_bytes: usize,
    /// Most subscriptions, and most affiliations, of a node. Default 1,000.
    pub people_of_node: usize,
}

/// What services for push notifications, which belong to others, are told of a message beside that there is one.
/// Default: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Push {
    /// From whom it is.
    pub sender: bool,
    /// Its text, where it is not encrypted.
    pub body: bool,
}

/// What is archived of an account whose owner has not said (XEP-0441).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveDefault {
    /// Everything.
    Always,
    /// Conversations with contacts of the roster.
    Roster,
    /// Nothing.
    Never,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            accounts: Accounts::default(),
            archive_default: ArchiveDefault::Always,
            archive_page: archive::PAGE_MOST as usize,
            archive_search: false,
            ids: Ids::default(),
            resume: Duration::from_secs(600),
            queue_stanzas: 1_000,
            queue_bytes: 1 << 20,
            guests: Arc::default(),
            files: None,
            push: Push::default(),
            registration: Registration::default(),
            caps: Arc::default(),
            report_to: Vec::new(),
            powers: Arc::default(),
            figures: Arc::default(),
            waiting: Arc::default(),
        }
    }
}

impl Default for Registration {
    fn default() -> Self {
        let iterations = auth::credentials::DEFAULT_ITERATIONS;
        Self { policy: accounts::Policy::default(), iterations, invitations: None }
    }
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            sessions: 20,
            roster_items: 2_000,
            subscription_requests: 256,
            directed_presence: 200,
            blocked_addresses: 1_000,
            offline_messages: 1_000,
            offline_bytes: 16 << 20,
            private_items: 200,
            private_bytes: 1 << 20,
            vcard_bytes: 128 << 10,
            archive_preferences: 500,
            push_services: 20,
            nodes: 256,
            items_of_node: 1_000,
            items: 5_000,
            item_bytes: 192 << 10,
            items_bytes: 16 << 20,
            people_of_node: 1_000,
        }
    }
}

impl Accounts {
    /// How much the engine of nodes may take in.
    #[must_use]
    pub fn of_nodes(&self) -> nodes::Limits {
        nodes::Limits {
            nodes: self.nodes,
            nodes_of_one: self.nodes,
            items: self.items,
            items_of_node: self.items_of_node,
            payload_bytes: self.item_bytes,
            bytes: self.items_bytes,
            people_of_node: self.people_of_node,
        }
    }
}

impl From<Accounts> for Config {
    fn from(accounts: Accounts) -> Self {
        Self { accounts, ..Self::default() }
    }
}
