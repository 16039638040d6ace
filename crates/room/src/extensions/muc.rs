//! XEP-0045 Multi-User Chat, version 1.35.5: the requests of moderators, admins and owners, and what nobody
//! but the room may say.

use entity::extension::Who;
use entity::{Context, Extension, Iq, Passage, Verdict};
use xmpp::{Features, IqType, Stanza, ns};

use crate::extensions::clean;
use crate::{Room, admin, owner};

/// Multi-user chat.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0045",
    title: "Multi-User Chat",
    version: "1.35.5",
    features: &[ns::MUC, ns::MUC_STABLE_ID, ns::MUC_REQUEST],
    iqs: &[
        Iq {
            ty: IqType::Get,
            name: "query",
            ns: ns::MUC_ADMIN,
            who: Who::Anybody,
            handle: admin::get,
        },
        Iq {
            ty: IqType::Set,
            name: "query",
            ns: ns::MUC_ADMIN,
            who: Who::Anybody,
            handle: admin::set,
        },
        Iq {
            ty: IqType::Get,
            name: "query",
            ns: ns::MUC_OWNER,
            who: Who::Anybody,
            handle: owner::get,
        },
        Iq {
            ty: IqType::Set,
            name: "query",
            ns: ns::MUC_OWNER,
            who: Who::Anybody,
            handle: owner::set,
        },
    ],
    inbound: Some(inbound),
    ..Extension::NONE
};

fn inbound(room: &mut Room, passage: &mut Passage, _: &mut Context<'_, Room>) -> Verdict {
    passage.stanza = clean(&room.jid, &passage.stanza);
    Verdict::Pass
}

/// §17.3 rule 6: roles, affiliations, addresses and status codes are the room's to tell.
pub(crate) fn strip(stanza: &Stanza) -> Stanza {
    if !stanza.features().any(Features::MUC.with(Features::MUC_USER)) {
        return stanza.clone();
    }
    stanza.without(|child| matches!(child.ns, ns::MUC | ns::MUC_USER))
}
