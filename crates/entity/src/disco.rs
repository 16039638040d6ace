//! XEP-0030 Service Discovery, version 2.5.0: the two questions; what is answered is the entity's own.

use xmpp::{Element, IqType, StanzaCondition, StanzaError, ns};

use crate::context::Context;
use crate::entity::Entity;
use crate::extension::{Answer, Extension, Handle, Iq, Request, Who};

/// An entity that says what it is and what it has.
pub trait Discovered: Entity {
    /// What it can do because of that.
    const FEATURES: &'static [&'static str] = &[ns::DISCO_INFO, ns::DISCO_ITEMS];
    /// Says what it is, or what a node of it is (§3).
    const INFO: Handle<Self>;
    /// Says what it has, or what a node of it has (§4); nothing, where it does not say otherwise.
    const ITEMS: Handle<Self> = no_items;
}

impl<E: Discovered> Extension<E> {
    /// Discovery of the entity.
    pub const DISCO: Self = Self {
        number: "0030",
        title: "Service Discovery",
        version: "2.5.0",
        features: E::FEATURES,
        iqs: &[asks(ns::DISCO_INFO, E::INFO), asks(ns::DISCO_ITEMS, E::ITEMS)],
        ..Self::NONE
    };
}

const fn asks<E: Entity>(ns: &'static str, handle: Handle<E>) -> Iq<E> {
    Iq { ty: IqType::Get, name: "query", ns, who: Who::Anybody, handle }
}

fn no_items<E: Entity>(
    _: &mut E,
    request: &Request,
    _: &mut Context<'_, E>,
) -> Result<Answer, StanzaError> {
    no_node(request)?;
    Ok(Answer::Result(Element::new("query", ns::DISCO_ITEMS)))
}

/// Of what has no nodes, none can be asked for (§3.2).
///
/// # Errors
/// `item-not-found` where one is asked for.
pub fn no_node(request: &Request) -> Result<(), StanzaError> {
    match request.payload.attr("node") {
        None => Ok(()),
        Some(_) => Err(StanzaCondition::ItemNotFound.into()),
    }
}
