//! XEP-0455 Service Outage Status, version 0.4.0: where a file outside of the server says how it is, as a form in
//! its disco answer; clients remember it for when they cannot log in.

use entity::Extension;
use xmpp::forms::{Field, FieldType, Form, FormKind};

use crate::{Contact, Domain};

/// Where the state of the service is told.
pub const EXTENSION: Extension<Domain> = Extension {
    number: "0455",
    title: "Service Outage Status",
    version: "0.4.0",
    ..Extension::NONE
};

/// The form (§2.1); none where there is no such file.
pub(super) fn form(contact: &Contact) -> Option<Form> {
    if contact.external_status.is_empty() {
        return None;
    }
    let addresses = Field::new(FieldType::ListMulti, "external-status-addresses");
    let addresses = addresses.with_values(&contact.external_status);
    Some(Form::new(FormKind::Result, "urn:xmpp:sos:0").with(addresses))
}
