//! Owns `<stream:features/>`: what is offered in each phase of a client's stream (RFC 6120 §4.3.2).

use xmpp::{BareJid, Element, ns};

use crate::machine::sasl2::{BIND2, FAST, SASL2, UPGRADE};

/// The namespace of the feature of registration before login (XEP-0077 §8).
const REGISTER: &str = "http://jabber.org/features/iq-register";
/// The namespace of the feature of registration with an invitation (XEP-0445 §3).
const REGISTER_BY_TOKEN: &str = "urn:xmpp:ibr-token:0";

/// What is offered beside STARTTLS, SASL and binding, which every stream goes through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Domains with registration before login (XEP-0077 §8, XEP-0445 §3): such requests are handed to the shell there.
    pub register: Vec<BareJid>,
    /// Domains that let guests in (XEP-0175); the others do not offer it.
    pub guests: Vec<BareJid>,
    /// The session of RFC 3921 §3, marked as optional: old clients wait for it.
    pub session: bool,
    /// Stream management (XEP-0198 §2).
    pub sm: bool,
    /// Client state indication (XEP-0352).
    pub csi: bool,
    /// Carbons with a session that begins with the log-in (XEP-0386 §3.1, XEP-0280).
    pub carbons: bool,
    /// Roster versioning (RFC 6121 §2.6).
    pub roster_versioning: bool,
    /// Pre-approval of subscriptions (RFC 6121 §3.4).
    pub pre_approval: bool,
    /// Capabilities of the server (XEP-0115 §6.3).
    pub caps: Option<Caps>,
    /// Limits before login (XEP-0478).
    pub limits_before_login: Option<StreamLimits>,
    /// Limits from then on (XEP-0478).
    pub limits: Option<StreamLimits>,
    /// More, as they stand, after login.
    pub more: Vec<Element>,
}

/// Capabilities of the server (XEP-0115).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The software, as a URI.
    pub node: String,
    /// The hash of its features, by SHA-1.
    pub ver: String,
}

/// What is announced of the limits of a stream (XEP-0478 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Bytes of a first-level element.
    pub max_bytes: usize,
    /// Seconds without traffic after which the server looks, or closes.
    pub idle_seconds: Option<u32>,
}

/// What SASL offers on one stream; names, the preferred first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaslOffer {
    /// Mechanisms (RFC 6120 §6.3.3).
    pub mechanisms: Vec<String>,
    /// Types of channel binding (XEP-0440).
    pub bindings: Vec<String>,
    /// Mechanisms of tokens (XEP-0484).
    pub tokens: Vec<String>,
    /// Tasks by which clients bring verifiers (XEP-0480).
    pub upgrades: Vec<String>,
}

/// Whether STARTTLS is offered on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartTls {
    Required,
    Optional,
    Absent,
}

impl Features {
    /// What is offered before login at a domain. Where TLS is required, nothing else is (RFC 6120 §5.3.1).
    pub(crate) fn before_login(
        &self,
        domain: Option<&BareJid>,
        tls: StartTls,
        sasl: &SaslOffer,
    ) -> Vec<Element> {
        let mut offered = Vec::new();
        let starttls = Element::new("starttls", ns::TLS);
        match tls {
            StartTls::Required => {
                return vec![starttls.with_child(Element::new("required", ns::TLS))];
            }
            StartTls::Optional => offered.push(starttls),
            StartTls::Absent => {}
        }
        let sasl = match domain.is_some_and(|domain| self.guests.contains(domain)) {
            true => sasl.clone(),
            false => sasl.without("ANONYMOUS"),
        };
        offered.extend(sasl.to_elements());
        offered.extend(self.authentication(&sasl));
        if self.registers_at(domain) {
            offered.extend([REGISTER_BY_TOKEN, REGISTER].map(|ns| Element::new("register", ns)));
        }
        offered.extend(self.limits_before_login.map(StreamLimits::to_element));
        offered
    }

    /// Whether anybody may register at a domain.
    pub(crate) fn registers_at(&self, domain: Option<&BareJid>) -> bool {
        domain.is_some_and(|domain| self.register.contains(domain))
    }

    /// Logging in and what may come with it at once (XEP-0388 §2.1, XEP-0386 §3.1).
    fn authentication(&self, sasl: &SaslOffer) -> Option<Element> {
        if sasl.mechanisms.is_empty() {
            return None;
        }
        let mechanism = |name: &String| Element::new("mechanism", SASL2).with_text(name.clone());
        let inline_of_bind =
            [(self.sm, ns::SM), (self.csi, ns::CSI), (self.carbons, ns::CARBONS)].into_iter();
        let inline_of_bind = inline_of_bind
            .filter(|(on, _)| *on)
            .map(|(_, var)| Element::new("feature", BIND2).with_attr("var", var));
        let bind = Element::new("bind", BIND2)
            .with_child(Element::new("inline", BIND2).with_children(inline_of_bind));
        let inline = Element::new("inline", SASL2)
            .with_child(bind)
            .with_children(self.sm.then(|| Element::new("sm", ns::SM)))
            .with_children(sasl.fast());
        let mechanisms = sasl.mechanisms.iter().map(mechanism);
        let upgrade = |name: &String| Element::new("upgrade", UPGRADE).with_text(name.clone());
        let authentication = Element::new("authentication", SASL2).with_children(mechanisms);
        Some(authentication.with_child(inline).with_children(sasl.upgrades.iter().map(upgrade)))
    }

    /// What is offered once a session is bound in the same stream: not what is `done` then, by its namespaces.
    pub(crate) fn after_binding(&self, done: &[&str]) -> Vec<Element> {
        self.after_login().into_iter().filter(|it| !done.contains(&it.ns())).collect()
    }

    /// What is offered after login, before binding.
    pub(crate) fn after_login(&self) -> Vec<Element> {
        let optional = Element::new("optional", ns::SESSION);
        let session = Element::new("session", ns::SESSION).with_child(optional);
        let simple = [
            (true, Element::new("bind", ns::BIND)),
            (self.session, session),
            (self.sm, Element::new("sm", ns::SM)),
            (self.csi, Element::new("csi", ns::CSI)),
            (self.roster_versioning, Element::new("ver", ns::ROSTER_VERSIONING)),
            (self.pre_approval, Element::new("sub", ns::PRE_APPROVAL)),
        ];
        let offered = simple.into_iter().filter(|(on, _)| *on).map(|(_, element)| element);
        offered
            .chain(self.caps.as_ref().map(Caps::to_element))
            .chain(self.limits.map(StreamLimits::to_element))
            .chain(self.more.iter().cloned())
            .collect()
    }
}

impl Caps {
    fn to_element(&self) -> Element {
        Element::new("c", ns::CAPS)
            .with_attr("hash", "sha-1")
            .with_attr("node", self.node.clone())
            .with_attr("ver", self.ver.clone())
    }
}

impl StreamLimits {
    fn to_element(self) -> Element {
        let number = |name, value: String| Element::new(name, ns::STREAM_LIMITS).with_text(value);
        Element::new("limits", ns::STREAM_LIMITS)
            .with_child(number("max-bytes", self.max_bytes.to_string()))
            .with_children(self.idle_seconds.map(|s| number("idle-seconds", s.to_string())))
    }
}

impl SaslOffer {
    fn without(&self, mechanism: &str) -> Self {
        let mut rest = self.clone();
        rest.mechanisms.retain(|name| name != mechanism);
        rest
    }

    /// XEP-0484 §3.1
    fn fast(&self) -> Option<Element> {
        let mechanism = |name: &String| Element::new("mechanism", FAST).with_text(name.clone());
        let mechanisms = self.tokens.iter().map(mechanism);
        let offered = !self.tokens.is_empty();
        offered.then(|| Element::new("fast", FAST).with_children(mechanisms))
    }

    fn to_elements(&self) -> impl Iterator<Item = Element> {
        let binding = |name: &String| {
            Element::new("channel-binding", ns::CHANNEL_BINDING).with_attr("type", name.clone())
        };
        let bindings = Element::new("sasl-channel-binding", ns::CHANNEL_BINDING)
            .with_children(self.bindings.iter().map(binding));
        let mechanism = |name: &String| Element::new("mechanism", ns::SASL).with_text(name.clone());
        let mechanisms = Element::new("mechanisms", ns::SASL)
            .with_children(self.mechanisms.iter().map(mechanism));
        // Either list must have an entry where it stands at all.
        [bindings, mechanisms].into_iter().filter(|list| list.children().next().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xml(elements: &[Element]) -> String {
        let bytes: Vec<u8> = elements.iter().flat_map(Element::to_bytes).collect();
        String::from_utf8(bytes).unwrap()
    }

    fn sasl() -> SaslOffer {
        SaslOffer {
            mechanisms: vec!["SCRAM-SHA-1-PLUS".to_owned(), "SCRAM-SHA-1".to_owned()],
            bindings: vec!["tls-exporter".to_owned()],
            tokens: Vec::new(),
            upgrades: Vec::new(),
        }
    }

    fn domain() -> BareJid {
        BareJid::parse("capulet.example").unwrap()
    }

    #[test]
    fn required_tls_stands_alone() {
        let features = Features { register: vec![domain()], ..Features::default() };
        assert_eq!(
            xml(&features.before_login(Some(&domain()), StartTls::Required, &sasl())),
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
        );
    }

    #[test]
    fn sasl_and_registration_are_offered_before_login() {
        let features = Features {
            register: vec![domain()],
            limits_before_login: Some(StreamLimits { max_bytes: 16_384, idle_seconds: None }),
            ..Features::default()
        };
        assert_eq!(
            xml(&features.before_login(Some(&domain()), StartTls::Absent, &sasl())),
            "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>\
             <channel-binding type='tls-exporter'/></sasl-channel-binding>\
             <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
             <mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-1</mechanism></mechanisms>\
             <authentication xmlns='urn:xmpp:sasl:2'><mechanism>SCRAM-SHA-1-PLUS</mechanism>\
             <mechanism>SCRAM-SHA-1</mechanism><inline><bind xmlns='urn:xmpp:bind:0'><inline/></bind>\
             </inline></authentication>\
             <register xmlns='urn:xmpp:ibr-token:0'/>\
             <register xmlns='http://jabber.org/features/iq-register'/>\
             <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>16384</max-bytes></limits>"
        );
        let other = BareJid::parse("montague.example").unwrap();
        let elsewhere = xml(&features.before_login(Some(&other), StartTls::Absent, &sasl()));
        assert!(!elsewhere.contains("<register"), "{elsewhere}");
        let optional =
            Features::default().before_login(None, StartTls::Optional, &SaslOffer::default());
        assert_eq!(xml(&optional), "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    }

    #[test]
    fn binding_and_what_is_on_are_offered_after_login() {
        assert_eq!(
            xml(&Features::default().after_login()),
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
        );
        let all = Features {
            guests: Vec::new(),
            register: vec![domain()],
            session: true,
            sm: true,
            csi: true,
            carbons: true,
            roster_versioning: true,
            pre_approval: true,
            caps: Some(Caps { node: "urn:n".to_owned(), ver: "v=".to_owned() }),
            limits_before_login: None,
            limits: Some(StreamLimits { max_bytes: 1, idle_seconds: Some(2) }),
            more: vec![Element::new("more", "urn:m")],
        };
        assert_eq!(
            xml(&all.after_login()),
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
             <session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>\
             <sm xmlns='urn:xmpp:sm:3'/><csi xmlns='urn:xmpp:csi:0'/>\
             <ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/>\
             <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:n' ver='v='/>\
             <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>1</max-bytes>\
             <idle-seconds>2</idle-seconds></limits><more xmlns='urn:m'/>"
        );
    }
}
