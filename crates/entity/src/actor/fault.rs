//! Owns the fault that a server has on demand, so that tests see what a panic does to it: built for debugging and
//! started with [`FAULT`] in its environment, it panics in each turn over a stanza with the text there.

use std::sync::OnceLock;

use proto::Body;
use proto::session::UserEvent;

/// The environment variable. Nothing reads it in what is released.
const FAULT: &str = "ROOKERY_FAULT";

/// Whether the turn over this is to panic.
pub(super) fn is_due(body: &Body) -> bool {
    static TEXT: OnceLock<Option<String>> = OnceLock::new();
    if !cfg!(debug_assertions) {
        return false;
    }
    let (Body::Stanza(stanza) | Body::User(UserEvent::Outbound { stanza, .. })) = body else {
        return false;
    };
    let text = TEXT.get_or_init(|| std::env::var(FAULT).ok()).as_deref();
    text.is_some_and(|text| str::from_utf8(stanza.inner()).is_ok_and(|it| it.contains(text)))
}
