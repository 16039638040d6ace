//! XEP-0030 Service Discovery, version 2.5.0: what the server is, what it can do, and which services it
//! has. With the forms of XEP-0128, version 1.0.1.

use entity::extension::Handle;
use entity::{Answer, Context, Discovered, Request, command};
use xmpp::disco::Info;
use xmpp::privilege::Level;
use xmpp::{Element, StanzaCondition, StanzaError, ns};

use crate::extensions::{EXTENSIONS, caps, contact, outage};
use crate::{Config, Domain, Service, Shared};

impl Discovered for Domain {
    const INFO: Handle<Self> = info;
    const ITEMS: Handle<Self> = items;
}

/// What the server says of itself.
pub(super) fn of_server(shared: &Shared) -> Info {
    let mut features = EXTENSIONS.features();
    features.retain(|it| *it != ns::EXTERNAL_SERVICES || !shared.external.is_empty());
    features.extend(&shared.features);
    let Config { contact, data_policy, .. } = &shared.config;
    let forms = [contact::form(contact), outage::form(contact), data_policy.form()];
    let forms = forms.into_iter().flatten().collect();
    Info::new(("server", "im"), "Rookery", &features, forms)
}

fn of_service(service: &Service) -> Info {
    let mut features = vec![ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING];
    features.extend(&service.features);
    Info::new(service.identity, &service.name, &features, Vec::new())
}

/// §3.1; the one node is that of the server's capabilities, mirrored in the answer (§3.2, XEP-0115 §6.2).
fn info(
    domain: &mut Domain,
    request: &Request,
    cx: &mut Context<'_, Domain>,
) -> Result<Answer, StanzaError> {
    let node = request.payload.attr("node");
    let mut info = match cx.shared.service(&domain.jid) {
        Some(service) => of_service(service),
        None => of_server(cx.shared),
    };
    let is_server = cx.shared.service(&domain.jid).is_none();
    if is_server {
        cx.shared.powers.nest(Level::Server, cx.hosts.disclosed(), &mut info);
    }
    match node {
        None => Ok(Answer::Result(info.to_element(None))),
        Some(node) if is_server && caps::is_node(node, &info) => {
            Ok(Answer::Result(info.to_element(Some(node))))
        }
        Some(node) => {
            let asker = request.stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?;
            let command = command::info(&EXTENSIONS, domain, node, asker);
            command.unwrap_or_else(|| Err(StanzaCondition::ItemNotFound.into())).map(Answer::Result)
        }
    }
}

/// §4.1. The services of the server; what a service has is not known here.
fn items(
    domain: &mut Domain,
    request: &Request,
    cx: &mut Context<'_, Domain>,
) -> Result<Answer, StanzaError> {
    match request.payload.attr("node") {
        None => {}
        Some(ns::COMMANDS) => {
            let asker = request.stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?;
            let own = domain.jid.clone();
            let commands = command::items(&EXTENSIONS, domain, own.as_str(), asker);
            return Ok(Answer::Result(commands));
        }
        Some(_) => return Err(StanzaCondition::ItemNotFound.into()),
    }
    let query = Element::new("query", ns::DISCO_ITEMS);
    if cx.shared.service(&domain.jid).is_some() {
        return Ok(Answer::Result(query));
    }
    let item = |service: &Service| {
        Element::new("item", ns::DISCO_ITEMS)
            .with_attr("jid", service.jid.as_str())
            .with_attr("name", &service.name)
    };
    Ok(Answer::Result(query.with_children(cx.shared.services.iter().map(item))))
}
