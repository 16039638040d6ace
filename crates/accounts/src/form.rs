//! XEP-0077 In-Band Registration, version 2.4: what is asked for, and what is answered, as elements alone and as
//! the data form of §4. Who may register is not known here.

use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{Element, StanzaCondition, StanzaError, ns};

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationRequest {
    /// An account, or another password for one (§3.1, §3.3).
    Set {
        /// The name as it was written.
        username: Option<String>,
        /// The password.
        password: Option<String>,
    },
    /// No account any more (§3.2).
    Remove,
    /// Nothing after all: a form that was given up.
    Cancel,
}

const CHANGE: &str = "jabber:iq:register:changepassword";
const CANCEL: &str = "jabber:iq:register:cancel";

impl RegistrationRequest {
    /// Reads the content of a set.
    ///
    /// # Errors
    /// `bad-request` as §3.2 and XEP-0004 have it.
    pub fn read(query: &Element) -> Result<Self, StanzaError> {
        if query.child("remove", ns::REGISTER).is_some() {
            let alone = query.children().count() == 1;
            return alone.then_some(Self::Remove).ok_or_else(|| StanzaCondition::BadRequest.into());
        }
        let Some(x) = query.child("x", ns::DATA_FORMS) else {
            let text = |name| query.child(name, ns::REGISTER).map(Element::text);
            return Ok(Self::Set { username: text("username"), password: text("password") });
        };
        // What stands beside the form counts for nothing (§6).
        let form = Form::parse(x)?;
        match (form.kind, form.form_type()) {
            (FormKind::Cancel, _) => Ok(Self::Cancel),
            (FormKind::Submit, Some(CANCEL)) => Ok(Self::Remove),
            (FormKind::Submit, None | Some(ns::REGISTER | CHANGE)) => {
                let text = |var| Ok::<_, StanzaError>(form.text(var)?.map(str::to_owned));
                Ok(Self::Set { username: text("username")?, password: text("password")? })
            }
            _ => Err(StanzaCondition::BadRequest.into()),
        }
    }
}

/// What a stranger is asked for (§3.1, example 2, and §4).
#[must_use]
pub fn asked(instructions: &str) -> Element {
    let field = |ty, var, label| Field::new(ty, var).with_label(label).required();
    let form = Form::new(FormKind::Form, ns::REGISTER)
        .with_title("Registration", instructions)
        .with(field(FieldType::TextSingle, "username", "Name"))
        .with(field(FieldType::TextPrivate, "password", "Password"));
    query(instructions)
        .with_child(word("username"))
        .with_child(word("password"))
        .with_child(form.to_element())
}

/// What somebody with an account is told (§3.1, example 3). The password is nowhere kept.
#[must_use]
pub fn registered(username: &str) -> Element {
    query("You have an account. Send a new password to change it.")
        .with_child(word("registered"))
        .with_child(word("username").with_text(username))
        .with_child(word("password"))
}

fn query(instructions: &str) -> Element {
    Element::new("query", ns::REGISTER).with_child(word("instructions").with_text(instructions))
}

fn word(name: &'static str) -> Element {
    Element::new(name, ns::REGISTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<RegistrationRequest, StanzaCondition> {
        let xml = format!("<query xmlns='jabber:iq:register'>{content}</query>");
        RegistrationRequest::read(&Element::parse(xml.as_bytes()).unwrap())
            .map_err(|error| error.condition)
    }

    fn set(username: Option<&str>, password: Option<&str>) -> RegistrationRequest {
        RegistrationRequest::Set {
            username: username.map(str::to_owned),
            password: password.map(str::to_owned),
        }
    }

    // §3.1, §3.2, §4, §6
    #[test]
    fn a_wish_is_read_from_elements_or_from_a_form() {
        assert_eq!(read("<username>bill</username>"), Ok(set(Some("bill"), None)));
        let form = |ty: &str, rest: &str| {
            format!(
                "<username>other</username><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
                 <value>{ty}</value></field>{rest}</x>"
            )
        };
        let fields = "<field var='username'><value>bill</value></field><field var='password'>\
                      <value>Calliope</value></field>";
        let both = set(Some("bill"), Some("Calliope"));
        assert_eq!(read(&form(ns::REGISTER, fields)), Ok(both.clone()));
        assert_eq!(read(&form(CHANGE, fields)), Ok(both));
        assert_eq!(read(&form(CANCEL, "")), Ok(RegistrationRequest::Remove));
        assert_eq!(read(&form("urn:other", "")), Err(StanzaCondition::BadRequest));
        assert_eq!(
            read("<x xmlns='jabber:x:data' type='cancel'/>"),
            Ok(RegistrationRequest::Cancel)
        );
        assert_eq!(
            read("<x xmlns='jabber:x:data' type='form'/>"),
            Err(StanzaCondition::BadRequest)
        );
    }

    // §3.2, table 1
    #[test]
    fn a_removal_stands_alone() {
        assert_eq!(read("<remove/>"), Ok(RegistrationRequest::Remove));
        let more = read("<remove/><username>bill</username>");
        assert_eq!(more, Err(StanzaCondition::BadRequest));
    }
}
