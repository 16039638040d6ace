//! XEP-0359 Unique and Stable Stanza IDs, version 0.7.0: ids in the account's name that the account did
//! not give are taken out. The archive gives them.

use entity::{Context, Extension, Passage, Verdict};
use xmpp::{Features, ns, stanza_id};

use crate::User;

/// Stanza ids of an account.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0359",
    title: "Unique and Stable Stanza IDs",
    version: "0.7.0",
    features: &[ns::STANZA_ID],
    outbound: Some(strip),
    inbound: Some(strip),
    ..Extension::NONE
};

/// §3 rule 2: also where no id is added.
fn strip(user: &mut User, passage: &mut Passage, _: &mut Context<'_, User>) -> Verdict {
    if passage.stanza.features().any(Features::STANZA_ID) {
        passage.stanza = stanza_id::without_forged(&passage.stanza, &user.jid);
    }
    Verdict::Pass
}
