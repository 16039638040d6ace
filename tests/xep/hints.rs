//! XEP-0334 Message Processing Hints.

use crate::stage::play;

// XEP-0334 §4.2
#[test]
fn a_message_that_must_not_be_stored_is_in_no_archive() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>psst</body><no-store xmlns='urn:xmpp:hints'/></message>
        romeo/phone   receives <message from='{juliet/garden}'><body>psst</body><no-store xmlns='urn:xmpp:hints'/></message>
        romeo/phone   sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone   receives <iq type='result' id='q1'><fin xmlns='urn:xmpp:mam:2' complete='true'>…</fin></iq>
        everyone      is quiet
    ");
}

// XEP-0334 §4.2
#[test]
fn a_message_that_must_not_be_stored_does_not_wait_for_a_client() {
    play("
        juliet/garden connects
        romeo/phone   logs in
        juliet/garden sends    <message to='{romeo}' type='chat' id='m1'><body>psst</body><no-store xmlns='urn:xmpp:hints'/></message>
        juliet/garden receives <message type='error' from='{romeo}' id='m1'>{error cancel service-unavailable}…</message>
        romeo/phone   connects
        everyone      is quiet
    ");
}

// XEP-0334 §4.3
#[test]
fn a_message_that_must_not_be_copied_is_not() {
    play("
        romeo/phone   connects
        romeo/laptop  connects
        juliet/garden connects
        romeo/laptop  sends    <iq type='set' id='c1'><enable xmlns='urn:xmpp:carbons:2'/></iq>
        romeo/laptop  receives <iq type='result' id='c1'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>hi</body><no-copy xmlns='urn:xmpp:hints'/></message>
        romeo/phone   receives <message from='{juliet/garden}'><body>hi</body>…</message>
        everyone      is quiet
    ");
}

// XEP-0334 §4.4
#[test]
fn a_message_that_must_be_stored_is_archived_without_a_body() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><note xmlns='urn:example:note'/><store xmlns='urn:xmpp:hints'/></message>
        romeo/phone   receives <message from='{juliet/garden}'><note xmlns='urn:example:note'/><store xmlns='urn:xmpp:hints'/><stanza-id xmlns='urn:xmpp:sid:0' by='{romeo}' id='{$id}'/></message>
        romeo/phone   sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$id}'>…</result></message>
        romeo/phone   receives <iq type='result' id='q1'><fin xmlns='urn:xmpp:mam:2'>…</fin></iq>
        everyone      is quiet
    ");
}
