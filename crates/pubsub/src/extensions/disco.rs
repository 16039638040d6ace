//! XEP-0030 Service Discovery, version 2.5.0: what a service is, which nodes it has, and what a node is (XEP-0060 §5.1
//! to §5.5). Nodes that one may not read are not listed.

use entity::extension::Handle;
use entity::{Answer, Context, Discovered, Request};
use nodes::Asker;
use xmpp::{BareJid, Element, StanzaCondition, StanzaError, ns};

use crate::people::Known;
use crate::service::Service;

impl Discovered for Service {
    const FEATURES: &'static [&'static str] = &[
        ns::DISCO_INFO,
        ns::DISCO_ITEMS,
        ns::RSM,
        "http://jabber.org/protocol/pubsub#access-open",
    ];
    const INFO: Handle<Self> = info;
    const ITEMS: Handle<Self> = items;
}

fn asker(request: &Request) -> Result<BareJid, StanzaError> {
    let from = request.stanza.head().from.as_ref().map(|from| from.bare());
    from.ok_or_else(|| StanzaCondition::BadRequest.into())
}

fn info(
    service: &mut Service,
    request: &Request,
    cx: &mut Context<'_, Service>,
) -> Result<Answer, StanzaError> {
    let people = Known { config: cx.shared, hosts: cx.hosts };
    if let Some(node) = request.payload.attr("node") {
        let asker = Asker { who: &asker(request)?, now: cx.now.unix_micros, people: &people };
        return Ok(Answer::Result(service.collection.info(node, asker)?));
    }
    let word = |name: &'static str| Element::new(name, ns::DISCO_INFO);
    let identity = word("identity")
        .with_attr("category", "pubsub")
        .with_attr("type", "service")
        .with_attr("name", "Publish-Subscribe");
    let features = super::EXTENSIONS.features().into_iter();
    let features = features.map(|var| word("feature").with_attr("var", var));
    Ok(Answer::Result(word("query").with_child(identity).with_children(features)))
}

fn items(
    service: &mut Service,
    request: &Request,
    cx: &mut Context<'_, Service>,
) -> Result<Answer, StanzaError> {
    let people = Known { config: cx.shared, hosts: cx.hosts };
    let asker = Asker { who: &asker(request)?, now: cx.now.unix_micros, people: &people };
    let query = &request.payload;
    Ok(Answer::Result(match query.attr("node") {
        Some(node) => service.collection.item_names(node, query, asker)?,
        None => service.collection.node_names(query, asker)?,
    }))
}
