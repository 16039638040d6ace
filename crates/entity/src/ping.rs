//! XEP-0199 XMPP Ping, version 2.0.1: who is asked is there. For entities of which anybody may know; others have an
//! answer of their own.

use xmpp::{IqType, StanzaError, ns};

use crate::context::Context;
use crate::entity::Entity;
use crate::extension::{Answer, Extension, Iq, Request, Who};

impl<E: Entity> Extension<E> {
    /// Pings to the entity.
    pub const PING: Self = Self {
        number: "0199",
        title: "XMPP Ping",
        version: "2.0.1",
        features: &[ns::PING],
        iqs: &[Iq { ty: IqType::Get, name: "ping", ns: ns::PING, who: Who::Anybody, handle: ping }],
        ..Self::NONE
    };
}

fn ping<E: Entity>(_: &mut E, _: &Request, _: &mut Context<'_, E>) -> Result<Answer, StanzaError> {
    Ok(Answer::Done)
}
