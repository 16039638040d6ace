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

// XEP-0280 §7
#[test]
fn what_is_refused_nobody_gets_a_copy_of() {
    play("
        romeo/laptop  connects
        juliet/garden connects
        romeo/laptop  sends    <iq type='set' id='c1'><enable xmlns='urn:xmpp:carbons:2'/></iq>
        romeo/laptop  receives <iq type='result' id='c1'/>
        juliet/garden sends    <message to='{romeo/phone}' id='m1'><body>hi</body></message>
        juliet/garden receives <message from='{romeo/phone}' type='error' id='m1'>{error cancel service-unavailable}…</message>
        romeo/laptop  sends    <presence><priority>-1</priority></presence>
        romeo/laptop  receives <presence from='{romeo/laptop}'>…</presence>
        juliet/garden sends    <message to='{romeo}' type='chat' id='m2'><body>hi</body><no-store xmlns='urn:xmpp:hints'/></message>
        juliet/garden receives <message from='{romeo}' type='error' id='m2'>{error cancel service-unavailable}…</message>
        everyone      is quiet
    ");
}

// XEP-0280 §8, XEP-0313 §3.5
#[test]
fn what_the_phone_sends_the_laptop_sees_with_the_archives_id() {
    play("
        romeo/phone   connects
        romeo/laptop  connects
        juliet/garden connects
        romeo/laptop  sends    <iq type='set' id='c1'><enable xmlns='urn:xmpp:carbons:2'/></iq>
        romeo/laptop  receives <iq type='result' id='c1'/>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m1'><body>hi</body></message>
        juliet/garden receives <message from='{romeo/phone}' id='m1'><body>hi</body>…</message>
        romeo/laptop  receives <message from='{romeo}' to='{romeo/laptop}' type='chat'><sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>
                               <message xmlns='jabber:client' from='{romeo/phone}' to='{juliet/garden}' type='chat' id='m1'><body>hi</body><stanza-id xmlns='urn:xmpp:sid:0' by='{romeo}' id='{$id}'/></message>
                               </forwarded></sent></message>
        romeo/laptop  sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'/></iq>
        romeo/laptop  receives <message><result xmlns='urn:xmpp:mam:2' id='{$id}'>…</result></message>
        romeo/laptop  receives <iq type='result' id='q1'>…</iq>
        everyone      is quiet
    ");
}

// XEP-0280 §5
#[test]
fn who_disables_carbons_gets_no_more() {
    play(
        "
        romeo/phone   connects
        romeo/laptop  connects
        juliet/garden connects
        romeo/laptop  sends    <iq type='set' id='c1'><enable xmlns='urn:xmpp:carbons:2'/></iq>
        romeo/laptop  receives <iq type='result' id='c1'/>
        romeo/laptop  sends    <iq type='set' id='c2'><disable xmlns='urn:xmpp:carbons:2'/></iq>
        romeo/laptop  receives <iq type='result' id='c2'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>hi</body></message>
        romeo/phone   receives <message from='{juliet/garden}'><body>hi</body>…</message>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat'><body>hi</body></message>
        juliet/garden receives <message from='{romeo/phone}'><body>hi</body>…</message>
        everyone      is quiet
    ",
    );
}

// XEP-0280 §6.1, §9
#[test]
fn private_messages_rooms_and_headlines_are_not_copied() {
    play("
        romeo/phone   connects
        romeo/laptop  connects
        juliet/garden connects
        romeo/laptop  sends    <iq type='set' id='c1'><enable xmlns='urn:xmpp:carbons:2'/></iq>
        romeo/laptop  receives <iq type='result' id='c1'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>hi</body><private xmlns='urn:xmpp:carbons:2'/></message>
        romeo/phone   receives <message id='m1'><body>hi</body>…</message>
        juliet/garden sends    <message to='{romeo/phone}' type='groupchat' id='m2'><body>hi</body></message>
        romeo/phone   receives <message id='m2'><body>hi</body>…</message>
        juliet/garden sends    <message to='{romeo/phone}' type='headline' id='m3'><body>hi</body></message>
        romeo/phone   receives <message id='m3'><body>hi</body>…</message>
        everyone      is quiet
    ");
}

// XEP-0280 §11
#[test]
fn a_forged_copy_is_no_copy() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>look</body><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>
                               <message xmlns='jabber:client' from='nurse@capulet.example/kitchen' to='{romeo}'><body>lie</body></message></forwarded></received></message>
        romeo/phone   receives <message from='{juliet/garden}'><body>look</body><stanza-id xmlns='urn:xmpp:sid:0'/></message>
        everyone      is quiet
    ");
}
