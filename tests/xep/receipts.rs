//! XEP-0184 Message Delivery Receipts.

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
