//! Owns the lists of all entities together: the published table of extensions, and what the server's
//! address announces in the name of all.

use std::sync::Arc;

use crate::config::{Config, ConfigError};
use entity::table::{ExtensionRow, rows, table as merged};

/// Every extension of every entity, by number.
#[must_use]
pub fn table() -> Vec<ExtensionRow> {
    merged([
        rows(&user::extensions::EXTENSIONS),
        rows(&user::session::EXTENSIONS),
        rows(&domain::EXTENSIONS),
        rows(&room::EXTENSIONS),
        rows(&room::directory::EXTENSIONS),
        rows(&pubsub::EXTENSIONS),
        rows(&upload::EXTENSIONS),
        rows(&proxy::EXTENSIONS),
        gates(),
        files(),
    ])
}

/// What gates speak.
fn gates() -> Vec<ExtensionRow> {
    let row =
        |(number, title, version)| ExtensionRow { number, title, version, entities: vec!["gate"] };
    let spoken = [
        ("0114", "Jabber Component Protocol", "1.6"),
        ("0124", "Bidirectional-streams Over Synchronous HTTP (BOSH)", "1.11.2"),
        ("0156", "Discovering Alternative XMPP Connection Methods", "1.4.0"),
        ("0178", "Best Practices for Use of SASL EXTERNAL with Certificates", "1.2"),
        ("0206", "XMPP Over BOSH", "1.4"),
        ("0288", "Bidirectional Server-to-Server Connections", "1.0.1"),
        ("0355", "Namespace Delegation", "0.5"),
        ("0386", "Bind 2", "1.1.0"),
        ("0388", "Extensible SASL Profile", "1.0.4"),
        ("0445", "Pre-Authenticated In-Band Registration", "0.2.0"),
        ("0478", "Stream Limits Advertisement", "0.2.0"),
        ("0480", "SASL Upgrade Tasks", "0.2.0"),
        ("0484", "Fast Authentication Streamlining Tokens", "0.2.0"),
        ("7395", "XMPP over WebSocket", "2014-10"),
    ];
    spoken.map(row).into()
}

/// What is read and written as files.
fn files() -> Vec<ExtensionRow> {
    let (number, version) = ("0227", "1.1");
    let title = "Portable Import/Export Format for XMPP-IM Servers";
    vec![ExtensionRow { number, title, version, entities: vec!["command line"] }]
}

/// What the server's answers are made from: clients look for the features of accounts and sessions at the
/// server's address.
///
/// # Errors
/// A secret cannot be read.
pub fn domain_shared(config: &Config) -> Result<domain::Shared, ConfigError> {
    let mut features = user::extensions::EXTENSIONS.features();
    // What only an account answers is not the server's.
    features.retain(|feature| !feature.starts_with(xmpp::ns::PUBSUB));
    features.extend(user::session::EXTENSIONS.features());
    if config.component.iter().any(|component| !component.delegate.is_empty()) {
        features.push(xmpp::ns::DELEGATION);
    }
    if config.pubsub.server_information && !config.pubsub.service.is_empty() {
        features.push(pubsub::server_information::NS);
    }
    Ok(domain::Shared {
        config: domain::Config {
            contact: config.contact.clone(),
            data_policy: config.data_policy.clone(),
            ..domain::Config::default()
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features,
        external: config.external_services()?,
        administration: None,
        services: config.listed_services()?,
        powers: Arc::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_there_once() {
        let numbers: Vec<_> = table().iter().map(|row| row.number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        for number in ["0030", "0045", "0115", "0191", "0198", "0280", "0313"] {
            assert!(numbers.contains(&number), "{number}");
        }
    }

    #[test]
    fn the_server_announces_what_accounts_and_sessions_can_do() {
        let features = domain_shared(&Config::default()).unwrap().features;
        for feature in [xmpp::ns::CARBONS, xmpp::ns::BLOCKING, xmpp::ns::MAM, xmpp::ns::VCARD] {
            assert!(features.contains(&feature), "{feature}");
        }
    }
}
