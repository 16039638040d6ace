//! Owns the words of XEP-0356 Privileged Entity, version 0.4.1, and XEP-0355 Namespace Delegation, version 0.5.0: what a
//! component may do in the name of a server and its people, and what it does in the server's place.

use crate::disco::{Identity, Info};
use crate::{BareJid, Element, IqType, ns};

/// Delegated under this name are requests of disco#info to accounts about nodes that the server does not know (XEP-0355
/// §7.2.4).
pub const REST_OF_INFO: &str = "urn:xmpp:delegation:2:bare:disco#info:*";
/// The same of disco#items, and those without a node (§7.2.5).
pub const REST_OF_ITEMS: &str = "urn:xmpp:delegation:2:bare:disco#items:*";

/// Which requests are allowed (XEP-0356 §4.1, §6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// None.
    #[default]
    None,
    /// Those that read.
    Get,
    /// Those that write.
    Set,
    /// Both.
    Both,
}

/// Whose presence is told (XEP-0356 §7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// Nobody's.
    #[default]
    None,
    /// That of the server's people.
    Managed,
    /// That of their contacts too.
    Roster,
}

/// What a component may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// The component.
    pub domain: BareJid,
    /// People's rosters.
    pub roster: Access,
    /// Whether it is told of changes of rosters.
    pub push: bool,
    /// Whether it may send messages in the name of people and of the server.
    pub message: bool,
    /// Whose presence it is told.
    pub presence: Presence,
    /// Requests in the name of people, by the namespace of what they ask.
    pub iq: Vec<(String, Access)>,
    /// What it answers in the server's place.
    pub delegated: Vec<Delegated>,
}

/// A namespace whose requests a component answers (XEP-0355 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegated {
    /// Of the request's child.
    pub ns: String,
    /// Attributes that the child must have.
    pub attributes: Vec<String>,
}

/// Of what a component says what it can do (XEP-0355 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Of the server (§7.2.1).
    Server,
    /// Of its accounts (§7.2.2).
    Account,
}

impl Delegated {
    /// The node at which the component says what it can do; none for what has no features of its own.
    #[must_use]
    pub fn node(&self, level: Level) -> Option<String> {
        let separator = match level {
            Level::Server => "::",
            Level::Account => ":bare:",
        };
        let is_rest = matches!(&*self.ns, REST_OF_INFO | REST_OF_ITEMS);
        (!is_rest).then(|| format!("{}{separator}{}", ns::DELEGATION, self.ns))
    }

    /// Leaves out what the server itself says of the namespace (§7.2.1, §7.2.3).
    pub fn leave_out(&self, info: &mut Info) {
        let is_of = |name: &str| {
            name.strip_prefix(&*self.ns)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
        };
        info.features.retain(|feature| !is_of(feature));
        info.forms.retain(|form| !form.form_type().is_some_and(is_of));
        let is_pubsub = |identity: &Identity| identity.category == "pubsub";
        info.identities.retain(|identity| self.ns != ns::PUBSUB || !is_pubsub(identity));
    }
}

impl Access {
    /// Whether a request of this type is allowed.
    #[must_use]
    pub fn allows(self, ty: IqType) -> bool {
        match ty {
            IqType::Get => matches!(self, Self::Get | Self::Both),
            IqType::Set => matches!(self, Self::Set | Self::Both),
            IqType::Result | IqType::Error => false,
        }
    }

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Get => "get",
            Self::Set => "set",
            Self::Both => "both",
        }
    }
}

impl Privileges {
    /// Whether changes of rosters are told (XEP-0356 §4.1).
    #[must_use]
    pub fn hears_of_rosters(&self) -> bool {
        self.push && self.roster.allows(IqType::Get)
    }

    /// Whether requests of this type and namespace may be made in people's names.
    #[must_use]
    pub fn may_ask(&self, ty: IqType, namespace: &str) -> bool {
        self.iq.iter().any(|(known, access)| known == namespace && access.allows(ty))
    }

    /// Whether it answers such a request in the server's place.
    #[must_use]
    pub fn answers(&self, child: &Element) -> bool {
        let fits = |it: &Delegated| {
            it.ns == child.ns() && it.attributes.iter().all(|name| child.attr(name).is_some())
        };
        self.delegated.iter().any(fits)
    }

    /// Whether it answers a request of disco to an account because nobody else does (XEP-0355 §7.2.4, §7.2.5). `knows`: the
    /// nodes that the server has of the account.
    #[must_use]
    pub fn answers_rest(&self, child: &Element, knows: impl Fn(&str) -> bool) -> bool {
        let is_known = child.attr("node").map(knows);
        let rest = match (child.ns(), is_known) {
            (ns::DISCO_INFO, Some(false)) => REST_OF_INFO,
            (ns::DISCO_ITEMS, None | Some(false)) => REST_OF_ITEMS,
            _ => return false,
        };
        child.name() == "query" && self.delegated.iter().any(|it| it.ns == rest)
    }

    /// The nodes at which it says what it can do in the server's place.
    #[must_use]
    pub fn nodes(&self) -> Vec<String> {
        let both = |it: &Delegated| [it.node(Level::Server), it.node(Level::Account)];
        self.delegated.iter().flat_map(both).flatten().collect()
    }

    /// What the component is told of what it may do (XEP-0356 §4.2, §5.2, §6.2, §7.2); none where that is nothing.
    #[must_use]
    pub fn advertised(&self) -> Option<Element> {
        let perm = |access: &str| {
            Element::new("perm", ns::PRIVILEGE).with_attr("access", access.to_owned())
        };
        let mut perms = Vec::new();
        if self.roster != Access::None {
            let push = self.hears_of_rosters().to_string();
            perms
                .push(perm("roster").with_attr("type", self.roster.name()).with_attr("push", push));
        }
        if self.message {
            perms.push(perm("message").with_attr("type", "outgoing"));
        }
        if !self.iq.is_empty() {
            let namespace = |(namespace, access): &(String, Access)| {
                Element::new("namespace", ns::PRIVILEGE)
                    .with_attr("ns", namespace.clone())
                    .with_attr("type", access.name())
            };
            perms.push(perm("iq").with_children(self.iq.iter().map(namespace)));
        }
        match self.presence {
            Presence::None => {}
            Presence::Managed => perms.push(perm("presence").with_attr("type", "managed_entity")),
            Presence::Roster => perms.push(perm("presence").with_attr("type", "roster")),
        }
        (!perms.is_empty()).then(|| Element::new("privilege", ns::PRIVILEGE).with_children(perms))
    }

    /// What the component is told of what it answers (XEP-0355 §4.2); none where that is nothing.
    #[must_use]
    pub fn delegations(&self) -> Option<Element> {
        let attribute = |name: &String| {
            Element::new("attribute", ns::DELEGATION).with_attr("name", name.clone())
        };
        let delegated = |it: &Delegated| {
            Element::new("delegated", ns::DELEGATION)
                .with_attr("namespace", it.ns.clone())
                .with_children(it.attributes.iter().map(attribute))
        };
        let all = self.delegated.iter().map(delegated);
        let element = || Element::new("delegation", ns::DELEGATION).with_children(all);
        (!self.delegated.is_empty()).then(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn privileges() -> Privileges {
        Privileges {
            domain: BareJid::parse("pubsub.capulet.lit").unwrap(),
            roster: Access::Both,
            push: true,
            message: true,
            presence: Presence::Roster,
            iq: vec![("http://jabber.org/protocol/pubsub".to_owned(), Access::Set)],
            delegated: vec![Delegated {
                ns: "urn:xmpp:mam:2".to_owned(),
                attributes: vec!["node".to_owned()],
            }],
        }
    }

    #[test]
    fn what_a_component_may_do_is_told_as_the_examples_show() {
        let told = privileges().advertised().unwrap().to_bytes();
        let wanted = "<privilege xmlns='urn:xmpp:privilege:2'>\
            <perm access='roster' type='both' push='true'/><perm access='message' type='outgoing'/>\
            <perm access='iq'><namespace ns='http://jabber.org/protocol/pubsub' type='set'/></perm>\
            <perm access='presence' type='roster'/></privilege>";
        assert_eq!(String::from_utf8(told).unwrap(), wanted);
        let told = privileges().delegations().unwrap().to_bytes();
        let wanted = "<delegation xmlns='urn:xmpp:delegation:2'><delegated namespace='urn:xmpp:mam:2'>\
            <attribute name='node'/></delegated></delegation>";
        assert_eq!(String::from_utf8(told).unwrap(), wanted);
    }

    #[test]
    fn nothing_is_allowed_that_is_not_named() {
        let all = privileges();
        assert!(all.may_ask(IqType::Set, "http://jabber.org/protocol/pubsub"));
        assert!(!all.may_ask(IqType::Get, "http://jabber.org/protocol/pubsub"));
        assert!(!all.may_ask(IqType::Set, "jabber:iq:roster"));
        let write = Privileges { roster: Access::Set, ..privileges() };
        assert!(!write.hears_of_rosters() && write.roster.allows(IqType::Set));
        let query = |ns: &'static str| Element::new("query", ns);
        assert!(!all.answers(&query("urn:xmpp:mam:2")));
        assert!(all.answers(&query("urn:xmpp:mam:2").with_attr("node", "n")));
        assert!(!all.answers(&query("urn:xmpp:other").with_attr("node", "n")));
    }
}
