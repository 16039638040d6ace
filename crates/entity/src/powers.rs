//! XEP-0355 Namespace Delegation, version 0.5: requests that a component answers in the server's place, in admin mode; and
//! what components may do at all (XEP-0356).
//!
//! Nothing is remembered while the component thinks: who asked stands, sealed, in the id of what the component gets, and so
//! comes back with its answer, or with the error that it is not there.

use auth::Seal;
use proto::Disclosed;
use xmpp::disco::Info;
use xmpp::privilege::{Level, Privileges};
use xmpp::{BareJid, Head, IqType, Jid, Kind, Stanza, StanzaCondition, StanzaError, forward, ns};

/// What a sealed id is for.
const PURPOSE: &str = "delegated";

/// What components may do, and how their answers are known. Default: none may do anything.
#[derive(Clone, Debug)]
pub struct Powers {
    /// Each component that may do anything.
    pub all: Vec<Privileges>,
    /// Seals what comes back.
    pub seal: Seal,
}

impl Default for Powers {
    fn default() -> Self {
        Self { all: Vec::new(), seal: Seal::new(&[]) }
    }
}

impl Powers {
    /// What the component of this address may do.
    #[must_use]
    pub fn of(&self, jid: &Jid) -> Option<&Privileges> {
        self.all.iter().find(|it| *jid == *it.domain)
    }

    /// Whether a component answers anything in the server's place.
    #[must_use]
    pub fn delegates(&self) -> bool {
        self.all.iter().any(|it| !it.delegated.is_empty())
    }

    /// Puts what components can do in the place of what the server can do itself (§7.2). One that was never here can do
    /// nothing.
    pub fn nest(&self, level: Level, disclosed: &Disclosed, info: &mut Info) {
        for delegated in self.all.iter().flat_map(|it| &it.delegated) {
            let Some(node) = delegated.node(level) else { continue };
            delegated.leave_out(info);
            info.add(disclosed.of(&node).unwrap_or_default());
        }
    }

    /// What is to be sent instead of answering a request; none where the server answers it itself, as it does for the
    /// component that manages the namespace (§4.3.1). `server` delegates; `account`: for whom a request without `to` is.
    /// `knows`: the nodes that are the server's own (§7.2.4).
    #[must_use]
    pub fn delegate(
        &self,
        stanza: &Stanza,
        (server, account): (&BareJid, &BareJid),
        knows: impl Fn(&str) -> bool,
    ) -> Option<Stanza> {
        if self.all.is_empty() {
            return None;
        }
        let payload = crate::answer::only_child(stanza)?;
        let is_account = account.localpart().is_some();
        let answers = |it: &&Privileges| {
            it.answers(&payload) || (is_account && it.answers_rest(&payload, &knows))
        };
        let manager = self.all.iter().find(answers)?;
        let Head { id: Some(id), from: Some(from), to, .. } = stanza.head() else { return None };
        if *from == *manager.domain {
            return None;
        }
        let to = to.as_ref().map_or(account.as_str(), |to| to.as_str());
        let words = [manager.domain.as_str(), from.as_str(), to, &**id];
        let head = Head {
            kind: Kind::Iq(IqType::Set),
            id: Some(self.seal.close(PURPOSE, &words).into()),
            from: Some(server.clone().into()),
            to: Some(manager.domain.clone().into()),
            lang: None,
        };
        let mut inner = Vec::new();
        forward::write_in(&mut inner, ("delegation", ns::DELEGATION), &[], stanza, None);
        Some(Stanza::new(head, inner))
    }

    /// What whoever asked is told, from the component's answer, or from the error that it cannot be reached (§4.3); none
    /// where this answers nothing that was delegated.
    #[must_use]
    pub fn answered(&self, answer: &Stanza) -> Option<Stanza> {
        let id = answer.head().id.as_deref()?;
        let words = self.seal.open(PURPOSE, id)?;
        let [manager, asker, asked, id] = &words[..] else { return None };
        if answer.head().from.as_ref()?.as_str() != manager {
            return None;
        }
        let (asker, asked) = (Jid::parse(asker).ok()?, Jid::parse(asked).ok()?);
        let head = Head {
            kind: Kind::Iq(IqType::Result),
            id: Some(id.as_str().into()),
            from: Some(asked),
            to: Some(asker),
            lang: None,
        };
        match decapsulated(answer, &head) {
            Some(result) => Some(result.with_head(|it| *it = head)),
            None => {
                // A request of that id, so that there is something to answer with an error.
                let (from, to) = (head.to.clone(), head.from.clone());
                let asked = Head { kind: Kind::Iq(IqType::Get), from, to, ..head };
                let error = StanzaError::from(StanzaCondition::ServiceUnavailable);
                Stanza::new(asked, Vec::new()).error(&error)
            }
        }
    }
}

/// The result within a component's answer, if it is one for what was asked.
fn decapsulated(answer: &Stanza, wanted: &Head) -> Option<Stanza> {
    if answer.kind() != Kind::Iq(IqType::Result) {
        return None;
    }
    let forwarded = answer.child("delegation", ns::DELEGATION)?;
    let result = forward::read(forward::inner(&forwarded)?)?;
    let head = result.head();
    let is_it = head.kind == wanted.kind
        && head.id == wanted.id
        && head.to == wanted.to
        && (head.from.is_none() || head.from == wanted.from);
    is_it.then_some(result)
}

#[cfg(test)]
mod tests {
    use xmpp::Element;
    use xmpp::privilege::{Access, Delegated, Presence};

    use super::*;

    fn bare(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    fn powers() -> Powers {
        let delegated = Delegated { ns: "urn:x".to_owned(), attributes: Vec::new() };
        let all = vec![Privileges {
            domain: bare("pubsub.x.org"),
            roster: Access::None,
            push: false,
            message: false,
            presence: Presence::None,
            iq: Vec::new(),
            delegated: vec![delegated],
        }];
        Powers { all, seal: Seal::new(b"secret") }
    }

    fn request(from: &str, ns: &'static str) -> Stanza {
        let head = Head {
            kind: Kind::Iq(IqType::Get),
            id: Some("1".into()),
            from: Some(Jid::parse(from).unwrap()),
            to: None,
            lang: None,
        };
        Stanza::build(head, &[Element::new("query", ns)])
    }

    fn delegated(powers: &Powers) -> Stanza {
        let asked = request("juliet@x.org/balcony", "urn:x");
        powers.delegate(&asked, (&bare("x.org"), &bare("juliet@x.org")), |_| false).unwrap()
    }

    fn answer(sent: &Stanza, from: &str, content: &str) -> Stanza {
        let head = Head {
            kind: Kind::Iq(IqType::Result),
            id: sent.head().id.clone(),
            from: Some(Jid::parse(from).unwrap()),
            to: sent.head().from.clone(),
            lang: None,
        };
        let content = format!(
            "<delegation xmlns='{}'><forwarded xmlns='{}'>{content}</forwarded></delegation>",
            ns::DELEGATION,
            ns::FORWARD
        );
        Stanza::new(head, content)
    }

    #[test]
    fn a_delegated_request_is_answered_as_if_the_server_had() {
        let powers = powers();
        let sent = delegated(&powers);
        assert_eq!(sent.head().to.as_ref().unwrap().as_str(), "pubsub.x.org");
        let right = "<iq xmlns='jabber:client' to='juliet@x.org/balcony' id='1' type='result'>\
                     <query xmlns='urn:x'/></iq>";
        let told = powers.answered(&answer(&sent, "pubsub.x.org", right)).unwrap();
        assert_eq!(told.kind(), Kind::Iq(IqType::Result));
        assert_eq!(told.head().from.as_ref().unwrap().as_str(), "juliet@x.org");
        assert!(told.find("query", "urn:x").is_some());
        // Nobody else's word, nor one about something else.
        assert!(powers.answered(&answer(&sent, "evil.org", right)).is_none());
        for wrong in [
            right.replace("id='1'", "id='2'"),
            right.replace("balcony", "other"),
            right.replace("result", "set"),
            right.replace("jabber:client", "urn:y"),
            right.replace("<iq ", "<iq from='romeo@x.org' "),
            String::new(),
        ] {
            let told = powers.answered(&answer(&sent, "pubsub.x.org", &wrong)).unwrap();
            let error = told.child("error", "").unwrap();
            assert!(error.child("service-unavailable", ns::STANZAS).is_some(), "{wrong}");
            assert_eq!(told.head().to.as_ref().unwrap().as_str(), "juliet@x.org/balcony");
        }
        let away = sent.error(&StanzaCondition::RemoteServerTimeout.into()).unwrap();
        let told = powers.answered(&away).unwrap();
        assert!(told.child("error", "").is_some());
    }

    #[test]
    fn only_what_is_delegated_goes_to_the_component_and_nothing_of_its_own() {
        let powers = powers();
        let (server, account) = (bare("x.org"), bare("juliet@x.org"));
        let other = request("juliet@x.org/balcony", "urn:y");
        let delegate = |powers: &Powers, stanza: &Stanza| {
            powers.delegate(stanza, (&server, &account), |_| false)
        };
        assert!(delegate(&powers, &other).is_none());
        assert!(delegate(&powers, &request("pubsub.x.org", "urn:x")).is_none());
        assert!(delegate(&Powers::default(), &request("a@x.org/b", "urn:x")).is_none());
    }
}
