//! Owns what the configuration says of accounts and of who may register them.

use std::collections::BTreeMap;

use ::accounts::Admission;
use xmpp::BareJid;

use super::{Config, ConfigError};

impl Config {
    /// Who may register, by domain.
    ///
    /// # Errors
    /// A name that is no domain.
    pub fn admissions(&self) -> Result<BTreeMap<BareJid, Admission>, ConfigError> {
        let of = |domain: &super::Domain| Ok((domain.jid()?, domain.registration));
        self.domain.iter().map(of).collect()
    }

    /// Domains that let guests in, and whom these reach (XEP-0175).
    pub(super) fn guests(&self) -> Vec<(BareJid, user::config::Reach)> {
        let reach = |domain: &super::Domain| match domain.anonymous {
            super::Anonymous::No => None,
            super::Anonymous::Local => Some((domain.jid().ok()?, user::config::Reach::Local)),
            super::Anonymous::Anywhere => Some((domain.jid().ok()?, user::config::Reach::Anywhere)),
        };
        self.domain.iter().filter_map(reach).collect()
    }

    /// Who administers which domain.
    ///
    /// # Errors
    /// A name that is no domain, or no account.
    pub fn admins(&self) -> Result<BTreeMap<BareJid, Vec<BareJid>>, ConfigError> {
        let read = |text: &String| match BareJid::parse(text) {
            Ok(jid) if jid.localpart().is_some() => Ok(jid),
            _ => Err(ConfigError::Value(format!("domain.admins {text:?} is no account"))),
        };
        let of = |domain: &super::Domain| {
            let admins = domain.admins.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            Ok((domain.jid()?, admins))
        };
        self.domain.iter().map(of).collect()
    }

    /// What people may do with their account over XMPP.
    pub(super) fn of_registered(&self) -> user::config::Registration {
        let iterations = self.auth.scram_iterations;
        user::config::Registration {
            policy: self.registration.clone(),
            iterations,
            invitations: None,
        }
    }

    pub(super) fn check_registration(&self) -> Result<(), ConfigError> {
        self.admins()?;
        let policy = &self.registration;
        let ranges = [
            ("registration.per_minute", u64::from(policy.per_minute), 1, 60),
            ("registration.invitation_days", u64::from(policy.invitation_days), 1, 365),
            ("registration.password_length", policy.password_length as u64, 1, 128),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                let what = format!("{name} is {value}, but must be between {least} and {most}");
                return Err(ConfigError::Value(what));
            }
        }
        Ok(())
    }
}
