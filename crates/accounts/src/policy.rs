//! Owns who may register an account, under which names, with which passwords (XEP-0077 §3.1.1, §11).

use auth::{Credentials, saslprep};
use serde::{Deserialize, Serialize};
use xmpp::{StanzaCondition, StanzaError, prep};

/// Who may register at a domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Admission {
    /// Nobody. The default.
    #[default]
    Closed,
    /// Whoever was invited.
    Invite,
    /// Anybody.
    Open,
}

/// What holds for registration at every domain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Tries to register from one address in a minute. Default 5.
    pub per_minute: u32,
    /// Least characters of a password that is set over XMPP. Default 8.
    pub password_length: usize,
    /// Names that nobody may register, beside those that always are ([`RESERVED`]).
    pub reserved: Vec<String>,
    /// Whether people may change their password over XMPP. Default true.
    pub change_password: bool,
    /// Days for which an invitation can be used. Default 7.
    pub invitation_days: u32,
    /// Whether whom people invite as a contact may make an account here (XEP-0401 §5.1); whom administrators invite
    /// may, unless registration is closed. Default false.
    pub people_invite: bool,
    /// Whether people may remove their account over XMPP. Default true.
    pub cancel: bool,
}

/// Names by which people expect to reach whoever runs a service (RFC 2142), and names that programs use.
pub const RESERVED: [&str; 26] = [
    "abuse",
    "admin",
    "administrator",
    "anonymous",
    "contact",
    "everyone",
    "help",
    "hostmaster",
    "info",
    "mailer-daemon",
    "moderator",
    "nobody",
    "noc",
    "noreply",
    "operator",
    "owner",
    "postmaster",
    "root",
    "security",
    "server",
    "service",
    "staff",
    "support",
    "sysadmin",
    "system",
    "webmaster",
];

/// More characters are no better password, and cost more.
const PASSWORD_LONGEST: usize = 1_024;

impl Default for Policy {
    fn default() -> Self {
        Self {
            per_minute: 5,
            password_length: 8,
            reserved: Vec::new(),
            change_password: true,
            invitation_days: 7,
            people_invite: false,
            cancel: true,
        }
    }
}

impl Policy {
    /// The name of a new account, prepared.
    ///
    /// # Errors
    /// `jid-malformed`, or `not-acceptable` for one that is reserved.
    pub fn name(&self, wanted: &str) -> Result<String, StanzaError> {
        let malformed = |_| {
            let error = StanzaError::from(StanzaCondition::JidMalformed);
            error.with_text("this cannot be the name of an account")
        };
        prep::new_localpart(wanted).map_err(malformed)?;
        let name = prep::localpart(wanted).map_err(|_| StanzaCondition::JidMalformed)?.into_owned();
        let own = self.reserved.iter().map(String::as_str);
        if RESERVED.into_iter().chain(own).any(|reserved| reserved.eq_ignore_ascii_case(&name)) {
            return Err(unacceptable("this name is reserved"));
        }
        if auth::guest::is_name(&name) {
            return Err(unacceptable("such names are for guests"));
        }
        Ok(name)
    }

    /// Whether a password may be set for an account of this name.
    ///
    /// # Errors
    /// `not-acceptable`, and why.
    pub fn password(&self, name: &str, password: &str) -> Result<(), StanzaError> {
        let prepared = saslprep::stored(password)
            .map_err(|_| unacceptable("the password has characters that are not allowed"))?;
        let length = prepared.chars().count();
        if length < self.password_length.max(1) {
            let text = format!("the password needs {} characters at least", self.password_length);
            return Err(StanzaError::from(StanzaCondition::NotAcceptable).with_text(text));
        }
        if length > PASSWORD_LONGEST {
            return Err(unacceptable("the password is too long"));
        }
        if prepared.eq_ignore_ascii_case(name) {
            return Err(unacceptable("the password must not be the name"));
        }
        Ok(())
    }
}

/// The credentials of a new password, with fresh salts. Takes some milliseconds of CPU: call it where blocking is
/// allowed. None: the password cannot be used, or the system has no random octets.
#[must_use]
pub fn credentials(password: &str, iterations: u32) -> Option<Credentials> {
    let mut salts = [[0; 16]; 3];
    for salt in &mut salts {
        getrandom::fill(salt).ok()?;
    }
    Credentials::derive(password, iterations, salts).ok()
}

fn unacceptable(text: &str) -> StanzaError {
    StanzaError::from(StanzaCondition::NotAcceptable).with_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_prepared_and_reserved_ones_refused() {
        let policy = Policy { reserved: vec!["Verona".into()], ..Policy::default() };
        assert_eq!(policy.name("Juliet"), Ok("juliet".to_owned()));
        for (name, condition) in [
            ("Admin", StanzaCondition::NotAcceptable),
            ("verona", StanzaCondition::NotAcceptable),
            ("", StanzaCondition::JidMalformed),
            ("a b", StanzaCondition::JidMalformed),
            ("juliet@capulet.example", StanzaCondition::JidMalformed),
        ] {
            assert_eq!(policy.name(name).unwrap_err().condition, condition, "{name:?}");
        }
    }

    // XEP-0077 §3.3
    #[test]
    fn weak_passwords_are_refused() {
        let policy = Policy::default();
        assert_eq!(policy.password("juliet", "r0m30myr0m30"), Ok(()));
        let long = "x".repeat(PASSWORD_LONGEST + 1);
        for password in ["", "short", "Juliet-C", "with a \n line", &long] {
            let refused = policy.password("juliet-c", password).unwrap_err();
            assert_eq!(refused.condition, StanzaCondition::NotAcceptable, "{password:?}");
        }
        let none = Policy { password_length: 0, ..policy };
        assert!(none.password("juliet", "").is_err());
    }
}
