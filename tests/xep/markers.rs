//! XEP-0333 Displayed Markers.

use crate::stage::play;

// XEP-0333 §4
#[test]
fn a_marker_passes_untouched_and_does_not_wait_for_anybody() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/></message>
        romeo/phone   receives <message from='{juliet/garden}' type='chat'><displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/>…</message>
        everyone      is quiet
    ");
}
