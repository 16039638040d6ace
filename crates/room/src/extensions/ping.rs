//! XEP-0199 XMPP Ping, version 2.0.1: the room is there.

use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request};
use xmpp::{IqType, StanzaError, ns};

use crate::Room;

/// Pings to a room.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0199",
    title: "XMPP Ping",
    version: "2.0.1",
    features: &[ns::PING],
    iqs: &[Iq { ty: IqType::Get, name: "ping", ns: ns::PING, who: Who::Anybody, handle: ping }],
    ..Extension::NONE
};

fn ping(_: &mut Room, _: &Request, _: &mut Context<'_, Room>) -> Result<Answer, StanzaError> {
    Ok(Answer::Done)
}
