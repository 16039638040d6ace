//! XEP-0030 Service Discovery, version 2.5.0: what an account says of itself to those who may know.

use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request};
use xmpp::{Element, IqType, StanzaCondition, StanzaError, ns};

use crate::User;
use crate::extensions::{EXTENSIONS, may_know};

/// Discovery of an account.
pub const EXTENSION: Extension<User> = Extension {
    number: "0030",
    title: "Service Discovery",
    version: "2.5.0",
    features: &[ns::DISCO_INFO, ns::DISCO_ITEMS],
    iqs: &[
        Iq { ty: IqType::Get, name: "query", ns: ns::DISCO_INFO, who: Who::Anybody, handle: info },
        Iq {
            ty: IqType::Get,
            name: "query",
            ns: ns::DISCO_ITEMS,
            who: Who::Anybody,
            handle: items,
        },
    ],
    ..Extension::NONE
};

/// §3.1, §8 rule 1: strangers learn no more than of an account that is not there.
fn info(
    user: &mut User,
    request: &Request,
    _: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    if !may_know(user, request) {
        return Err(StanzaCondition::ServiceUnavailable.into());
    }
    if request.payload.attr("node").is_some() {
        return Err(StanzaCondition::ItemNotFound.into());
    }
    let word = |name: &'static str| Element::new(name, ns::DISCO_INFO);
    let identity =
        word("identity").with_attr("category", "account").with_attr("type", "registered");
    let features = EXTENSIONS.features().into_iter();
    let features = features.map(|feature| word("feature").with_attr("var", feature));
    Ok(Answer::Result(word("query").with_child(identity).with_children(features)))
}

/// §4.1, §8 rule 2: the available resources, for those who may see presence; for all others nothing.
fn items(
    user: &mut User,
    request: &Request,
    _: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let query = Element::new("query", ns::DISCO_ITEMS);
    if let Some(node) = request.payload.attr("node") {
        return match may_know(user, request) {
            true => Err(StanzaCondition::ItemNotFound.into()),
            false => Ok(Answer::Result(query.with_attr("node", node))),
        };
    }
    if !may_know(user, request) {
        return Ok(Answer::Result(query));
    }
    let item = |jid: &str| Element::new("item", ns::DISCO_ITEMS).with_attr("jid", jid);
    let resources = user.sessions.available().map(|entry| item(entry.jid.as_str()));
    Ok(Answer::Result(query.with_children(resources)))
}
