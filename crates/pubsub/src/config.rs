//! Owns the settings of services, with their defaults.

use bytes::Bytes;
use nodes::Limits;
use xmpp::BareJid;

/// Settings of the operator. Never changed while services live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who may make nodes (XEP-0060 §8.1).
    pub create: Create,
    /// Who owns every node.
    pub admins: Vec<BareJid>,
    /// How much there may be of anything.
    pub limits: Limits,
    /// What the server says of itself (XEP-0485); none: nothing.
    pub information: Option<Bytes>,
}

/// Who may make nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// Accounts of the served domains.
    Local,
    /// [`Config::admins`].
    Admins,
    /// Everybody, accounts of other servers too.
    Anyone,
}

impl Default for Config {
    fn default() -> Self {
        let limits = Limits {
            nodes: 10_000,
            nodes_of_one: 100,
            items: 200_000,
            items_of_node: 1_000,
            payload_bytes: 192 << 10,
            bytes: 4 << 30,
            people_of_node: 10_000,
        };
        Self { create: Create::Local, admins: Vec::new(), limits, information: None }
    }
}
