//! XEP-0157 Contact Addresses for XMPP Services, version 1.1.1: whom people may turn to, as a form in the
//! server's disco answer.

use entity::Extension;
use xmpp::forms::{Field, FieldType, Form, FormKind};

use crate::{Contact, Domain};

/// Contact addresses of the server.
pub const EXTENSION: Extension<Domain> = Extension {
    number: "0157",
    title: "Contact Addresses for XMPP Services",
    version: "1.1.1",
    ..Extension::NONE
};

const FORM_TYPE: &str = "http://jabber.org/network/serverinfo";

/// The form; none where nobody is named (§7.1).
pub(super) fn form(contact: &Contact) -> Option<Form> {
    let lists = [
        ("abuse-addresses", &contact.abuse),
        ("admin-addresses", &contact.admin),
        ("feedback-addresses", &contact.feedback),
        ("sales-addresses", &contact.sales),
        ("security-addresses", &contact.security),
        ("status-addresses", &contact.status),
        ("support-addresses", &contact.support),
    ];
    let named = lists.into_iter().filter(|(_, addresses)| !addresses.is_empty());
    let field =
        |(var, list): (&str, &Vec<String>)| Field::new(FieldType::ListMulti, var).with_values(list);
    let fields: Vec<Field> = named.map(field).collect();
    if fields.is_empty() {
        return None;
    }
    Some(fields.into_iter().fold(Form::new(FormKind::Result, FORM_TYPE), Form::with))
}
