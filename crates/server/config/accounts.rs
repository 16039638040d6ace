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

    /// Domains whose clients are sent to another host, and to which.
    pub(super) fn moved(&self) -> Vec<(BareJid, String)> {
        let moved =
            |domain: &super::Domain| Some((domain.jid().ok()?, domain.see_other_host.clone()?));
        self.domain.iter().filter_map(moved).collect()
    }

    pub(super) fn check_moved(&self) -> Result<(), ConfigError> {
        let hosts = self.domain.iter().filter_map(|domain| domain.see_other_host.as_deref());
        match hosts.into_iter().find(|host| !is_host(host)) {
            Some(host) => {
                let wrong = format!("domain.see_other_host {host:?} is no host, nor host:port");
                Err(ConfigError::Value(wrong))
            }
            None => Ok(()),
        }
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

/// Whether this is a domain or an address, with a port or without; an IPv6 address stands in brackets.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    BareJid::parse(host).is_ok_and(|jid| jid.localpart().is_none())
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn a_host_is_a_domain_or_an_address_with_a_port_or_without() {
        for right in
            ["example.org", "example.org:5222", "192.0.2.1:1", "[2001:db8::1]", "[::1]:5222"]
        {
            assert!(is_host(right), "{right}");
        }
        for wrong in
            ["", ":5222", "a@example.org", "example.org:", "example.org:0", "::1", "x:70000"]
        {
            assert!(!is_host(wrong), "{wrong}");
        }
    }
}
