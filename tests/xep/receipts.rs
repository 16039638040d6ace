//! XEP-0184 Message Delivery Receipts.

use super::muc::{enters, made};
use crate::stage::play;

// XEP-0184 §5.2
#[test]
fn a_request_and_its_receipt_pass_untouched() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>hi</body><request xmlns='urn:xmpp:receipts'/></message>
        romeo/phone   receives <message id='m1'><body>hi</body><request xmlns='urn:xmpp:receipts'/><stanza-id xmlns='urn:xmpp:sid:0'/></message>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m2'><received xmlns='urn:xmpp:receipts' id='m1'/></message>
        juliet/garden receives <message from='{romeo/phone}' id='m2'><received xmlns='urn:xmpp:receipts' id='m1'/></message>
        everyone      is quiet
    ");
}

// XEP-0184 §5.3: a room advises against nothing; it passes on what is asked of all, or of one, and what each answers.
#[test]
fn receipts_are_passed_on_by_rooms() {
    let request = "<request xmlns='urn:xmpp:receipts'/>";
    let received = "<received xmlns='urn:xmpp:receipts' id='m1'/>";
    let private = "<x xmlns='http://jabber.org/protocol/muc#user'/>";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        crone/desktop sends    <message type='groupchat' id='m1' to='{{room coven}}'><body>hi</body>{request}</message>
        crone/desktop receives <message type='groupchat' id='m1'><body>hi</body>{request}…</message>
        hag/pda       receives <message type='groupchat' id='m1' from='{{room coven}}/first'><body>hi</body>{request}…</message>
        hag/pda       sends    <message type='groupchat' id='m2' to='{{room coven}}'>{received}</message>
        hag/pda       receives <message type='groupchat' id='m2'>{received}…</message>
        crone/desktop receives <message type='groupchat' id='m2' from='{{room coven}}/hag'>{received}…</message>
        crone/desktop sends    <message type='chat' id='m1' to='{{room coven}}/hag'><body>psst</body>{request}{private}</message>
        hag/pda       receives <message type='chat' id='m1' from='{{room coven}}/first'><body>psst</body>{request}{private}…</message>
        hag/pda       sends    <message type='chat' id='m3' to='{{room coven}}/first'>{received}{private}</message>
        crone/desktop receives <message type='chat' id='m3' from='{{room coven}}/hag'>{received}{private}…</message>
        everyone      is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}
