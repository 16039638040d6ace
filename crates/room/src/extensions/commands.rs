//! XEP-0050 Ad-Hoc Commands, version 1.3.0: the commands that other extensions give a room.

use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request, command};
use xmpp::{IqType, StanzaError, ns};

use crate::Room;
use crate::extensions::EXTENSIONS;

/// Commands of a room.
pub const EXTENSION: Extension<Room> = Extension {
    number: "0050",
    title: "Ad-Hoc Commands",
    version: "1.3.0",
    features: &[ns::COMMANDS],
    iqs: &[Iq {
        ty: IqType::Set,
        name: "command",
        ns: ns::COMMANDS,
        who: Who::Anybody,
        handle: answer,
    }],
    ..Extension::NONE
};

fn answer(
    room: &mut Room,
    request: &Request,
    cx: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    command::answer(&EXTENSIONS, room, request, cx)
}
