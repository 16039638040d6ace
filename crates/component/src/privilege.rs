//! XEP-0356 Privileged Entity, version 0.4.1, as far as the gate does it: what a component is told that it may do, and the
//! messages and requests that it sends in the names of others. Pure.

use xmpp::privilege::Privileges;
use xmpp::{
    BareJid, Element, Head, Jid, Kind, MessageType, Stanza, StanzaCondition, StanzaError, forward,
    ns,
};

/// What a component is told when it may speak (§4.2, XEP-0355 §4.2), in the name of a domain.
pub(crate) fn told(privileges: &Privileges, server: &BareJid, id: &str) -> Option<Stanza> {
    let all = [privileges.advertised(), privileges.delegations()];
    let all: Vec<Element> = all.into_iter().flatten().collect();
    let head = Head {
        kind: Kind::Message(MessageType::Normal),
        id: Some(id.into()),
        from: Some(server.clone().into()),
        to: Some(privileges.domain.clone().into()),
        lang: None,
    };
    (!all.is_empty()).then(|| Stanza::build(head, &all))
}

/// The message within a message to the server (§5.3), if it is one; where the component may not send it, why. What is in the
/// name of an account goes, still within, to that account, which alone knows whether it is there.
pub(crate) fn unwrapped(
    privileges: &Privileges,
    stanza: &Stanza,
    is_server: impl Fn(&Jid) -> bool,
) -> Option<Result<Stanza, StanzaError>> {
    let to = stanza.head().to.as_ref().filter(|to| is_server(to))?;
    if !matches!(stanza.kind(), Kind::Message(_)) {
        return None;
    }
    let wrapper = stanza.child("privilege", ns::PRIVILEGE)?;
    let forbidden = || StanzaError::from(StanzaCondition::Forbidden);
    let read = || {
        let message = forward::inner(&wrapper).and_then(forward::read).ok_or_else(forbidden)?;
        let head = message.head();
        let is_message =
            matches!(head.kind, Kind::Message(_)) && head.kind != Kind::Message(MessageType::Error);
        let is_ours = head
            .from
            .as_ref()
            .is_some_and(|from| from.is_bare() && from.domainpart() == to.domainpart());
        // Its users' names are not its own.
        let is_itself = stanza.head().from.as_ref().is_some_and(|it| *it == *privileges.domain);
        if !privileges.message || !is_itself || !is_message || !is_ours {
            return Err(forbidden());
        }
        if head.to.is_none() {
            return Err(StanzaCondition::BadRequest.into());
        }
        let account = head.from.clone().filter(|from| from.localpart().is_some());
        Ok(account.map_or(message, |account| stanza.clone().with_to(account)))
    };
    Some(read())
}

/// Whether a request in somebody's name (§6.3) is forbidden before anybody has heard of it: it is for nobody whom the server
/// manages, or of one who may ask nothing. The rest knows the account alone. `is_server`: whether a domain has accounts here.
pub(crate) fn is_forbidden(
    privileges: &Privileges,
    stanza: &Stanza,
    is_server: impl Fn(&str) -> bool,
) -> bool {
    let is_request = matches!(stanza.kind(), Kind::Iq(ty) if ty.is_request());
    if !is_request || stanza.find("privileged_iq", ns::PRIVILEGE).is_none() {
        return false;
    }
    let head = stanza.head();
    let is_account =
        |to: &Jid| to.is_bare() && to.localpart().is_some() && is_server(to.domainpart());
    let is_managed = head.to.as_ref().is_some_and(is_account);
    // Its users may not what it may.
    let is_itself = head.from.as_ref().is_some_and(|from| *from == *privileges.domain);
    !is_managed || !is_itself || privileges.iq.is_empty()
}

#[cfg(test)]
mod tests {
    use xmpp::IqType;
    use xmpp::privilege::{Access, Presence};

    use super::*;

    fn privileges() -> Privileges {
        Privileges {
            domain: BareJid::parse("pubsub.x.org").unwrap(),
            roster: Access::None,
            push: false,
            message: true,
            presence: Presence::None,
            iq: Vec::new(),
            delegated: Vec::new(),
        }
    }

    fn wrapped(to: &str, message: &str) -> Stanza {
        let head = Head {
            kind: Kind::Message(MessageType::Normal),
            id: Some("1".into()),
            from: Some(Jid::parse("pubsub.x.org").unwrap()),
            to: Some(Jid::parse(to).unwrap()),
            lang: None,
        };
        let content = format!(
            "<privilege xmlns='{}'><forwarded xmlns='{}'>{message}</forwarded></privilege>",
            ns::PRIVILEGE,
            ns::FORWARD
        );
        Stanza::new(head, content)
    }

    const RIGHT: &str = "<message xmlns='jabber:client' from='juliet@x.org' to='romeo@y.org/r' id='2'>\
                         <body>hi</body></message>";

    fn unwrap(
        privileges: &Privileges,
        to: &str,
        message: &str,
    ) -> Option<Result<Stanza, StanzaError>> {
        unwrapped(privileges, &wrapped(to, message), |to| to.as_str() == "x.org")
    }

    #[test]
    fn a_message_goes_out_in_the_name_of_one_of_the_servers_people() {
        let sent = unwrap(&privileges(), "x.org", RIGHT).unwrap().unwrap();
        assert_eq!(sent.head().to.as_ref().unwrap().as_str(), "juliet@x.org");
        assert!(sent.child("privilege", ns::PRIVILEGE).is_some(), "for the account to unwrap");
        let of_server = RIGHT.replace("juliet@x.org", "x.org");
        let sent = unwrap(&privileges(), "x.org", &of_server).unwrap().unwrap();
        assert_eq!(sent.head().from.as_ref().unwrap().as_str(), "x.org");
        assert_eq!(sent.child("body", "").unwrap().text(), "hi");
        assert!(unwrap(&privileges(), "romeo@x.org", RIGHT).is_none());
    }

    #[test]
    fn only_the_component_itself_may_and_none_of_its_users() {
        for from in ["user@pubsub.x.org", "pubsub.x.org/r", "a.pubsub.x.org"] {
            let stanza = wrapped("x.org", RIGHT)
                .with_head(|head| head.from = Some(Jid::parse(from).unwrap()));
            let is_server = |to: &Jid| to.as_str() == "x.org";
            let refused = unwrapped(&privileges(), &stanza, is_server).unwrap().unwrap_err();
            assert_eq!(refused.condition, StanzaCondition::Forbidden, "{from}");
        }
    }

    #[test]
    fn nobody_elses_name_is_taken_nor_anybodys_without_the_privilege() {
        let may_not = Privileges { message: false, ..privileges() };
        let cases = [
            (&may_not, RIGHT.to_owned()),
            (&privileges(), RIGHT.replace("juliet@x.org", "juliet@x.org/balcony")),
            (&privileges(), RIGHT.replace("juliet@x.org", "juliet@y.org")),
            (&privileges(), RIGHT.replace("juliet@x.org", "conference.x.org")),
            (&privileges(), RIGHT.replace(" from='juliet@x.org'", "")),
            (&privileges(), RIGHT.replace("message", "presence")),
            (&privileges(), RIGHT.replace("jabber:client", "urn:x")),
            (&privileges(), String::new()),
        ];
        for (privileges, message) in cases {
            let refused = unwrap(privileges, "x.org", &message).unwrap().unwrap_err();
            assert_eq!(refused.condition, StanzaCondition::Forbidden, "{message}");
        }
    }

    #[test]
    fn nobody_is_asked_in_anybodys_name_but_the_servers_people() {
        let iq = vec![("urn:xmpp:ping".to_owned(), Access::Get)];
        let may = Privileges { iq, ..privileges() };
        let is_forbidden = |privileges: &Privileges, (from, ty, to): (&str, IqType, &str), what| {
            let head = Head {
                kind: Kind::Iq(ty),
                id: Some("1".into()),
                from: Some(Jid::parse(from).unwrap()),
                to: Some(Jid::parse(to).unwrap()),
                lang: None,
            };
            let stanza = Stanza::new(head, format!("<{what} xmlns='{}'/>", ns::PRIVILEGE));
            is_forbidden(privileges, &stanza, |domain| domain == "x.org")
        };
        let (itself, what) = ("pubsub.x.org", "privileged_iq");
        for ty in [IqType::Get, IqType::Set] {
            assert!(!is_forbidden(&may, (itself, ty, "juliet@x.org"), what));
            for to in
                ["juliet@x.org/r", "x.org", "x.org/r", "a@conference.x.org", "a@y.org", itself]
            {
                assert!(is_forbidden(&may, (itself, ty, to), what), "{to}");
                assert!(!is_forbidden(&may, (itself, ty, to), "other"), "{to}");
            }
        }
        let get = IqType::Get;
        for from in ["user@pubsub.x.org", "pubsub.x.org/r"] {
            assert!(is_forbidden(&may, (from, get, "juliet@x.org"), what), "{from}");
        }
        assert!(is_forbidden(&privileges(), (itself, get, "juliet@x.org"), what));
        assert!(!is_forbidden(&may, (itself, IqType::Result, "a@y.org"), what), "no request");
    }
}
