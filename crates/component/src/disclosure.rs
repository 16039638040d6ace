//! XEP-0355 Namespace Delegation, version 0.5, §7.2: what a component that answers in the server's place is asked about itself
//! when its stream begins (§9 rule 2), and what it says. Pure.

use xmpp::disco::Info;
use xmpp::privilege::Privileges;
use xmpp::{BareJid, Element, Head, IqType, Kind, Stanza, ns};

/// One question for each node, in the name of a domain. Their ids begin with one that nobody can guess.
pub(crate) fn questions(privileges: &Privileges, server: &BareJid, id: &str) -> Vec<Stanza> {
    let question = |(number, node): (usize, String)| {
        let head = Head {
            kind: Kind::Iq(IqType::Get),
            id: Some(format!("{id}-{number}").into()),
            from: Some(server.clone().into()),
            to: Some(privileges.domain.clone().into()),
            lang: None,
        };
        Stanza::build(head, &[Element::new("query", ns::DISCO_INFO).with_attr("node", node)])
    };
    privileges.nodes().into_iter().enumerate().map(question).collect()
}

/// The node that an answer is about, and the answer with that node; none where it answers none of the questions. A component
/// that answers with an error can do nothing.
pub(crate) fn answered(
    privileges: &Privileges,
    id: &str,
    answer: &Stanza,
) -> Option<(String, Stanza)> {
    let number = answer.head().id.as_deref()?.strip_prefix(id)?.strip_prefix('-')?;
    let node = privileges.nodes().into_iter().nth(number.parse().ok()?)?;
    let said = answer.child("query", ns::DISCO_INFO);
    let is_result = answer.kind() == Kind::Iq(IqType::Result);
    let info = said.filter(|_| is_result).map(|query| Info::read(&query)).unwrap_or_default();
    let head = Head { kind: Kind::Iq(IqType::Result), ..answer.head().clone() };
    Some((node.clone(), Stanza::build(head, &[info.to_element(Some(&node))])))
}
