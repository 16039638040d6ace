//! Owns what components have said that they can do where they answer in the server's place (XEP-0355 §7.2): one table for
//! all threads of a process. Bound: one answer for each node, and configuration says which nodes there are.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use xmpp::disco::Info;
use xmpp::{Stanza, ns};

/// The last answer about each node.
#[derive(Clone, Debug, Default)]
pub struct Disclosed(Arc<RwLock<HashMap<String, Info>>>);

impl Disclosed {
    /// Takes an answer to disco#info that names its node; anything else is passed over.
    pub fn learn(&self, answer: &Stanza) {
        let Some(query) = answer.child("query", ns::DISCO_INFO) else { return };
        let Some(node) = query.attr("node") else { return };
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(node.to_owned(), Info::read(&query));
    }

    /// What was said of a node.
    #[must_use]
    pub fn of(&self, node: &str) -> Option<Info> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(node).cloned()
    }
}
