//! Owns the mutual subscription that an invitation makes (XEP-0401 §5.3.2, §5.5): the contact is in the roster, both
//! ways, and sees who is there.

use entity::Context;
use xmpp::BareJid;

use crate::User;
use crate::presence::subscribe::show;
use crate::roster::{self, keep, push};
use crate::subscription::{Standing, State};

/// Makes it from this side; the contact's home makes it from the other.
pub(crate) fn befriend(user: &mut User, contact: BareJid, cx: &mut Context<'_, User>) {
    let before = user.roster.standing(&contact);
    let after = Standing { state: State::new(true, true, false, false), approved: false };
    if !user.exists || contact == user.jid || before == after {
        return;
    }
    if !user.roster.contains(&contact) && roster::check_room(user, cx).is_err() {
        tracing::info!(jid = %user.jid, "an invited contact finds no room in a roster");
        return;
    }
    let edit = user.roster.stand(&user.jid, &contact, (after, None), cx.now);
    keep(user, edit, cx, move |user, kept, cx| {
        let Ok(change) = kept else { return cx.fail() };
        if let Some(change) = change {
            push(user, &change, cx);
        }
        show(user, &contact, cx);
    });
}
