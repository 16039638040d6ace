//! XEP-0115 Entity Capabilities, version 1.6.0, and XEP-0390 Entity Capabilities 2.0, version 0.3.2: what clients say
//! in their presence is looked up for whoever filters by it ([`crate::pep::interest`]).

use entity::Extension;
use xmpp::ns;

use crate::User;

/// Capabilities of clients.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0115",
    title: "Entity Capabilities",
    version: "1.6.0",
    features: &[ns::CAPS],
    ..Extension::NONE
};

/// The same with hashes that cannot be forged.
pub(crate) const SECOND: Extension<User> = Extension {
    number: "0390",
    title: "Entity Capabilities 2.0",
    version: "0.3.2",
    ..Extension::NONE
};
