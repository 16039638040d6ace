//! MUC/Sub (`urn:xmpp:mucsub:0`), which ejabberd documents and no XEP: requests to hear a room without being inside.

use entity::extension::Who;
use entity::{Extension, Iq};
use xmpp::{IqType, ns};

use crate::{Room, subscribe};

/// Hearing a room without being inside.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    title: "MUC/Sub",
    features: &[ns::MUCSUB],
    iqs: &[
        Iq {
            ty: IqType::Set,
            name: "subscribe",
            ns: ns::MUCSUB,
            who: Who::Anybody,
            handle: subscribe::subscribe,
        },
        Iq {
            ty: IqType::Set,
            name: "unsubscribe",
            ns: ns::MUCSUB,
            who: Who::Anybody,
            handle: subscribe::unsubscribe,
        },
        Iq {
            ty: IqType::Get,
            name: "subscriptions",
            ns: ns::MUCSUB,
            who: Who::Anybody,
            handle: subscribe::list,
        },
    ],
    ..Extension::NONE
};
