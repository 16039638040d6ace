//! MUC/Sub (`urn:xmpp:mucsub:0`), which ejabberd documents and no XEP: who asks for the rooms that they hear is answered
//! by the list that is kept with them.

use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request};
use proto::{Body, Route, ServiceId, ServiceKind};
use xmpp::{IqType, StanzaCondition, StanzaError, ns};

use super::Directory;

/// The rooms that somebody hears without being inside.
pub(super) const EXTENSION: Extension<Directory> = Extension {
    title: "MUC/Sub",
    features: &[ns::MUCSUB],
    iqs: &[Iq {
        ty: IqType::Get,
        name: "subscriptions",
        ns: ns::MUCSUB,
        who: Who::Anybody,
        handle: hand_on,
    }],
    ..Extension::NONE
};

fn hand_on(
    directory: &mut Directory,
    request: &Request,
    cx: &mut Context<'_, Directory>,
) -> Result<Answer, StanzaError> {
    let from = request.stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?;
    let id = ServiceId::of(directory.jid.clone(), ServiceKind::Rooms, from, cx.hosts);
    cx.tell(Route::Service(Box::new(id)), Body::Stanza(request.stanza.clone()));
    Ok(Answer::Later)
}
