//! XEP-0030 Service Discovery, version 2.5.0: what a room service is and can do (XEP-0045 §6.2), and its
//! public rooms (§6.3), by pages (XEP-0059).

use entity::extension::Handle;
use entity::{Answer, Context, Discovered, Request, command};
use xmpp::rsm;
use xmpp::{Element, StanzaCondition, StanzaError, ns};

use super::Directory;

impl Discovered for Directory {
    const FEATURES: &'static [&'static str] = &[ns::DISCO_INFO, ns::DISCO_ITEMS, ns::RSM];
    const INFO: Handle<Self> = info;
    const ITEMS: Handle<Self> = items;
}

/// What every room of the service can do, and clients look for here (§7.4, XEP-0421 §4, XEP-0486 §3.1).
const OF_ROOMS: &[&str] = &[ns::MUC, ns::MUC_STABLE_ID, ns::OCCUPANT_ID, ns::VCARD];
/// Most rooms of one page.
const PAGE_MOST: u32 = 100;

fn info(
    directory: &mut Directory,
    request: &Request,
    _: &mut Context<'_, Directory>,
) -> Result<Answer, StanzaError> {
    if let Some(node) = request.payload.attr("node") {
        let from = request.stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?;
        let command = command::info(&super::EXTENSIONS, directory, node, from);
        let command = command.unwrap_or_else(|| Err(StanzaCondition::ItemNotFound.into()));
        return command.map(Answer::Result);
    }
    let word = |name: &'static str| Element::new(name, ns::DISCO_INFO);
    let identity = word("identity")
        .with_attr("category", "conference")
        .with_attr("type", "text")
        .with_attr("name", "Rooms");
    let features = super::EXTENSIONS.features().into_iter().chain(OF_ROOMS.iter().copied());
    let features = features.map(|var| word("feature").with_attr("var", var));
    Ok(Answer::Result(word("query").with_child(identity).with_children(features)))
}

/// §6.3: hidden rooms are not there. A list that is not whole says so.
fn items(
    directory: &mut Directory,
    request: &Request,
    _: &mut Context<'_, Directory>,
) -> Result<Answer, StanzaError> {
    match request.payload.attr("node") {
        None => {}
        Some(ns::COMMANDS) => {
            let from = request.stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?;
            let own = directory.jid.as_str();
            let commands = command::items(&super::EXTENSIONS, directory, own, from);
            return Ok(Answer::Result(commands));
        }
        Some(_) => return Err(StanzaCondition::ItemNotFound.into()),
    }
    let public: Vec<_> = directory.rooms.iter().filter(|(_, it)| it.public).collect();
    let asked = rsm::Request::parse(&request.payload)?;
    let is_partial = public.len() > PAGE_MOST as usize;
    let request = asked.clone().unwrap_or_default();
    let (range, set) = request.page(&public, |(jid, _)| jid.as_str(), PAGE_MOST)?;
    let items = public[range].iter().map(|(jid, listing)| {
        let name = match listing.name.as_str() {
            "" => jid.localpart().unwrap_or_default(),
            name => name,
        };
        Element::new("item", ns::DISCO_ITEMS).with_attr("jid", jid.as_str()).with_attr("name", name)
    });
    let query = Element::new("query", ns::DISCO_ITEMS).with_children(items);
    Ok(Answer::Result(match asked.is_some() || is_partial {
        true => query.with_child(set.to_element()),
        false => query,
    }))
}
