//! XEP-0203 Delayed Delivery, version 2.0: notes of a delay in the name of the account or of its server
//! are written by them alone.

use entity::{Context, Extension, Passage, Verdict};
use xmpp::{Features, delay, ns};

use crate::User;

/// Notes of a delay at an account.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0203",
    title: "Delayed Delivery",
    version: "2.0",
    features: &[ns::DELAY],
    inbound: Some(strip),
    ..Extension::NONE
};

/// §5
fn strip(user: &mut User, passage: &mut Passage, _: &mut Context<'_, User>) -> Verdict {
    if passage.stanza.features().any(Features::DELAY) {
        let clean = delay::without_forged(&passage.stanza, &user.jid);
        passage.stanza = delay::without_forged(&clean, &user.jid.domain());
    }
    Verdict::Pass
}
