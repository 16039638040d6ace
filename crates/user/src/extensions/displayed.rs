//! XEP-0490 Message Displayed Synchronization, version 1.0.1: how far its owner has read each chat, kept on a private
//! node; also when a client says so within a message to whoever wrote (§4.5).

use entity::{Context, Extension, Passage, Verdict};
use xmpp::{Kind, MessageType, ns};

use crate::User;
use crate::pep;

/// The node, and help in writing to it.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0490",
    title: "Message Displayed Synchronization",
    version: "1.0.1",
    features: &["urn:xmpp:mds:server-assist:0"],
    outbound: Some(outbound),
    ..Extension::NONE
};

/// §4.5.3: taken out of the message, whose address is the item's id, before anybody sees it.
fn outbound(user: &mut User, passage: &mut Passage, cx: &mut Context<'_, User>) -> Verdict {
    let stanza = &passage.stanza;
    if !matches!(stanza.kind(), Kind::Message(ty) if ty != MessageType::Error) {
        return Verdict::Pass;
    }
    let Some(displayed) = stanza.child("displayed", ns::DISPLAYED) else { return Verdict::Pass };
    let chat = stanza.head().to.clone();
    passage.stanza = stanza.without(|child| child.name == "displayed" && child.ns == ns::DISPLAYED);
    let Some(chat) = chat else { return Verdict::Pass };
    let from = user.jid.clone().into();
    let outcome = pep::act(user, &from, cx, |collection, turn| {
        let item = (ns::DISPLAYED, chat.as_str(), displayed);
        pep::publish(collection, item, pep::PRIVATE, turn)
    });
    match outcome {
        Ok(outcome) => pep::finish(user, (outcome, None), cx),
        Err(error) => {
            tracing::debug!(jid = %user.jid, ?error, "how far a chat was read is not kept")
        }
    }
    Verdict::Pass
}
