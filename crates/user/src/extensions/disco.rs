//! XEP-0030 Service Discovery, version 2.5.0: what an account says of itself to those who may know.

use entity::extension::Handle;
use entity::{Answer, Context, Discovered, Request};
use nodes::Asker;
use xmpp::disco::{Identity, Info};
use xmpp::privilege::Level;
use xmpp::{BareJid, Element, StanzaCondition, StanzaError, ns};

use crate::extensions::{EXTENSIONS, may_know};
use crate::{User, pep};

impl Discovered for User {
    const INFO: Handle<Self> = info;
    const ITEMS: Handle<Self> = items;
}

/// §3.1, §8 rule 1: strangers learn no more than of an account that is not there, but of nodes that they may read.
fn info(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    if let Some(node) = request.payload.attr("node") {
        let (who, people) = (asker(user, request), pep::people(user));
        let asker = Asker { who: &who, now: cx.now.unix_micros, people: &people };
        let nodes = pep::collection(user).filter(|_| user.exists);
        return match nodes.map(|nodes| nodes.info(node, asker)) {
            Some(Ok(info)) => Ok(Answer::Result(info)),
            Some(Err(error)) if may_know(user, request) => Err(error),
            None if may_know(user, request) => Err(StanzaCondition::ItemNotFound.into()),
            _ => Err(StanzaCondition::ServiceUnavailable.into()),
        };
    }
    if !may_know(user, request) {
        return Err(StanzaCondition::ServiceUnavailable.into());
    }
    let account = if user.guest { "anonymous" } else { "registered" };
    let identity = |(category, ty): (&str, &str)| Identity {
        category: category.to_owned(),
        ty: ty.to_owned(),
        ..Identity::default()
    };
    let search = cx.shared.archive_search.then_some(archive::fulltext::FEATURE);
    let mut info = Info {
        identities: [("account", account), ("pubsub", "pep")].map(identity).to_vec(),
        features: EXTENSIONS.features().into_iter().chain(search).map(str::to_owned).collect(),
        ..Info::default()
    };
    cx.shared.powers.nest(Level::Account, cx.hosts.disclosed(), &mut info);
    Ok(Answer::Result(info.to_element(None)))
}

fn asker(user: &User, request: &Request) -> BareJid {
    let from = request.stanza.head().from.as_ref();
    from.map_or_else(|| user.jid.clone(), |from| from.bare())
}

/// §4.1, §8 rule 2: the available resources, for those who may see presence; the nodes that one may read
/// (XEP-0163 §6.2); of a node its items.
fn items(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let query = Element::new("query", ns::DISCO_ITEMS);
    let (who, people) = (asker(user, request), pep::people(user));
    let asker = Asker { who: &who, now: cx.now.unix_micros, people: &people };
    let nodes = pep::collection(user).filter(|_| user.exists);
    if let Some(node) = request.payload.attr("node") {
        return match nodes.map(|it| it.item_names(node, &request.payload, asker)) {
            Some(Ok(names)) => Ok(Answer::Result(names)),
            Some(Err(error)) if may_know(user, request) => Err(error),
            None if may_know(user, request) => Err(StanzaCondition::ItemNotFound.into()),
            _ => Ok(Answer::Result(query.with_attr("node", node))),
        };
    }
    let item = |jid: &str| Element::new("item", ns::DISCO_ITEMS).with_attr("jid", jid);
    let known = user.sessions.available().filter(|_| may_know(user, request));
    let resources = known.map(|entry| item(entry.jid.as_str()));
    let nodes = nodes.into_iter().flat_map(|nodes| nodes.readable(asker));
    Ok(Answer::Result(query.with_children(resources).with_children(nodes)))
}
