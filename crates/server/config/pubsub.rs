//! Owns the settings of publish-subscribe services: the table `[pubsub]`.

use serde::{Deserialize, Serialize};
use xmpp::BareJid;

use super::rooms::Create;
use super::{Config, ConfigError};

/// Publish-subscribe (XEP-0060).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PubSub {
    /// The address of a domain's service; empty: there is none. Default `pubsub.{domain}`.
    pub service: String,
    /// Who may make nodes. Default `local`.
    pub create: Create,
    /// Accounts that own every node.
    pub admins: Vec<String>,
    /// Whether a node says which domains are served here (XEP-0485). Default false.
    pub server_information: bool,
    /// Most nodes of a service. Default 10,000.
    pub nodes: usize,
    /// Most nodes that one account has made and that are still there. Default 100.
    pub nodes_per_account: usize,
    /// Most items of all nodes together. Default 200,000.
    pub items: usize,
    /// Most items of a node; what `max` means in its configuration. Default 1,000.
    pub items_of_node: usize,
    /// Most bytes of an item. Default 192 KiB.
    pub item_bytes: usize,
    /// Most subscriptions, and most affiliations, of a node. Default 10,000.
    pub people_of_node: usize,
}

impl Default for PubSub {
    fn default() -> Self {
        let limits = pubsub::Config::default().limits;
        Self {
            service: "pubsub.{domain}".to_owned(),
            create: Create::Local,
            admins: Vec::new(),
            server_information: false,
            nodes: limits.nodes,
            nodes_per_account: limits.nodes_of_one,
            items: limits.items,
            items_of_node: limits.items_of_node,
            item_bytes: limits.payload_bytes,
            people_of_node: limits.people_of_node,
        }
    }
}

impl Config {
    /// The settings of services.
    ///
    /// # Errors
    /// An admin whose address is none.
    pub fn pubsub(&self) -> Result<pubsub::Config, ConfigError> {
        let set = &self.pubsub;
        let admin = |text: &String| {
            let jid = BareJid::parse(text).ok().filter(|jid| jid.localpart().is_some());
            let what = || format!("pubsub.admins has {text:?}: write it as name@domain");
            jid.ok_or_else(|| ConfigError::Value(what()))
        };
        let usual = pubsub::Config::default().limits;
        Ok(pubsub::Config {
            create: match set.create {
                Create::Local => pubsub::Create::Local,
                Create::Admins => pubsub::Create::Admins,
                Create::Anyone => pubsub::Create::Anyone,
            },
            admins: set.admins.iter().map(admin).collect::<Result<_, _>>()?,
            information: match set.server_information {
                true => Some(pubsub::server_information::payload(self.hosts()?.domains())),
                false => None,
            },
            limits: nodes::Limits {
                nodes: set.nodes,
                nodes_of_one: set.nodes_per_account,
                items: set.items,
                items_of_node: set.items_of_node,
                payload_bytes: set.item_bytes,
                people_of_node: set.people_of_node,
                ..usual
            },
        })
    }
}
