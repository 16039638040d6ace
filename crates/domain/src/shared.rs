//! Owns what the server's answers are made from, and its settings.

use std::sync::Arc;

use accounts::Administration;
use entity::Powers;
use serde::{Deserialize, Serialize};
use xmpp::BareJid;

use crate::extensions::data_policy::DataPolicy;
use crate::external::ExternalService;

/// What all served domains share.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// Settings.
    pub config: Config,
    /// The version of the software.
    pub version: String,
    /// What accounts and gates can do, which clients look for at the server's address (XEP-0191 §3.1,
    /// XEP-0280 §3).
    pub features: Vec<&'static str>,
    /// Services outside of XMPP, such as relays for calls (XEP-0215).
    pub external: Vec<ExternalService>,
    /// What operators' words are done with (XEP-0133, XEP-0401); none: nothing is administered over XMPP.
    pub administration: Option<Arc<Administration>>,
    /// The services of the server, such as rooms.
    pub services: Vec<Service>,
    /// What components may do (XEP-0355, XEP-0356).
    pub powers: Arc<Powers>,
}

/// A service with an address of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its address, a domain.
    pub jid: BareJid,
    /// Its identity: category and type (XEP-0030 §3.1).
    pub identity: (&'static str, &'static str),
    /// Its name for people.
    pub name: String,
    /// What it can do.
    pub features: Vec<&'static str>,
}

/// Settings of the server's own answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The operating system that XEP-0092 tells. Default: it is not told.
    pub os: Option<String>,
    /// Whom people may turn to. Default: nobody is named.
    pub contact: Contact,
    /// What becomes of people's data. Default: nothing is said.
    pub data_policy: DataPolicy,
}

/// Addresses as URIs, such as `mailto:` and `xmpp:` (XEP-0157).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "each list is named by the word of XEP-0157")]
pub struct Contact {
    pub abuse: Vec<String>,
    pub admin: Vec<String>,
    pub feedback: Vec<String>,
    pub sales: Vec<String>,
    pub security: Vec<String>,
    pub status: Vec<String>,
    pub support: Vec<String>,
    /// Files elsewhere that say how the service is (XEP-0455).
    pub external_status: Vec<String>,
}

impl Contact {
    /// Every address in every list.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let Self { abuse, admin, feedback, sales, security, status, support, external_status } =
            self;
        let lists = [abuse, admin, feedback, sales, security, status, support, external_status];
        lists.into_iter().flatten().map(String::as_str)
    }
}

impl Shared {
    /// The service that has this address.
    pub fn service(&self, jid: &BareJid) -> Option<&Service> {
        self.services.iter().find(|service| service.jid == *jid)
    }
}
