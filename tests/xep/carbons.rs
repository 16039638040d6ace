//! XEP-0280 Message Carbons.

use crate::stage::play;

// XEP-0280 §7
#[test]
fn a_message_to_the_phone_is_copied_to_the_laptop() {
    play("
        romeo/phone   connects
        romeo/laptop  connects
        juliet/garden connects
        romeo/laptop  sends    <iq type='set' id='c1'><enable xmlns='urn:xmpp:carbons:2'/></iq>
        romeo/laptop  receives <iq type='result' id='c1'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>hi</body></message>
        romeo/phone   receives <message from='{juliet/garden}' type='chat'><body>hi</body>…</message>
        romeo/laptop  receives <message from='{romeo}' to='{romeo/laptop}'><received xmlns='urn:xmpp:carbons:2'>…</received></message>
        everyone      is quiet
    ");
}
