//! Owns what the engine must know of people where there is neither presence nor a roster.

use nodes::People;
use proto::Hosts;
use xmpp::BareJid;

use crate::config::{Config, Create};

/// People as a service knows them: by their addresses.
pub struct Known<'a> {
    /// The operator's settings.
    pub config: &'a Config,
    /// The served domains.
    pub hosts: &'a Hosts,
}

impl People for Known<'_> {
    fn owns_all(&self, who: &BareJid) -> bool {
        self.config.admins.contains(who)
    }

    fn sees_presence(&self, _: &BareJid) -> bool {
        false
    }

    fn is_in_group(&self, _: &BareJid, _: &[String]) -> bool {
        false
    }

    fn may_create(&self, who: &BareJid) -> bool {
        self.owns_all(who)
            || match self.config.create {
                Create::Local => who.localpart().is_some() && self.hosts.serves(who.domainpart()),
                Create::Admins => false,
                Create::Anyone => true,
            }
    }
}
