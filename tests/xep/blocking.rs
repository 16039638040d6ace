//! XEP-0191 Blocking Command.

use super::muc::{enters, made};
use crate::stage::play;

// XEP-0191 §3.3, §3.5
#[test]
fn a_blocked_contact_gets_an_error_and_a_cleared_list_lets_it_in_again() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='b1'><block xmlns='urn:xmpp:blocking'><item jid='{juliet}'/></block></iq>
        romeo/phone   receives <iq type='result' id='b1'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>hi</body></message>
        juliet/garden receives <message type='error' from='{romeo/phone}' id='m1'>{error cancel service-unavailable}…</message>
        romeo/phone   is quiet
        romeo/phone   sends    <iq type='set' id='b2'><unblock xmlns='urn:xmpp:blocking'/></iq>
        romeo/phone   receives <iq type='result' id='b2'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m2'><body>hi</body></message>
        romeo/phone   receives <message id='m2'><body>hi</body>…</message>
        everyone      is quiet
    ");
}

// XEP-0191 §3.3
#[test]
fn what_a_contact_had_written_before_it_was_blocked_does_not_come_any_more() {
    play("
        juliet/garden  connects
        mercutio/phone connects
        juliet/garden  sends    <message to='{romeo}' type='chat' id='m1'><body>hi</body></message>
        mercutio/phone sends    <message to='{romeo}' type='chat' id='m2'><body>hi</body></message>
        juliet/garden  sends    <message to='{romeo}' type='chat' id='m3'><body>hi</body></message>
        juliet/garden  is quiet
        mercutio/phone is quiet
        romeo/phone    logs in
        romeo/phone    binds
        romeo/phone    sends    <iq type='set' id='b1'><block xmlns='urn:xmpp:blocking'><item jid='{juliet}'/></block></iq>
        romeo/phone    receives <iq type='result' id='b1'/>
        romeo/phone    sends    <presence/>
        romeo/phone    receives <presence from='{romeo/phone}'/>
        romeo/phone    receives <message id='m2'>…</message>
        romeo/phone    sends    <iq type='set' id='b2'><unblock xmlns='urn:xmpp:blocking'/></iq>
        romeo/phone    receives <iq type='result' id='b2'/>
        everyone       is quiet
    ");
}

// XEP-0191 §3.2
#[test]
fn who_blocks_a_contact_cannot_write_to_it() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='b1'><block xmlns='urn:xmpp:blocking'><item jid='{juliet}'/></block></iq>
        romeo/phone   receives <iq type='result' id='b1'/>
        romeo/phone   sends    <message to='{juliet}' type='chat' id='m1'><body>hi</body></message>
        romeo/phone   receives <message type='error' id='m1'><error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>
                               <blocked xmlns='urn:xmpp:blocking:errors'/></error>…</message>
        everyone      is quiet
    ");
}

// XEP-0191 §3.2, §3.3
#[test]
fn clients_that_asked_for_the_list_hear_of_its_changes() {
    play("
        romeo/phone  connects
        romeo/laptop connects
        romeo/tablet connects
        romeo/phone  sends    <iq type='get' id='l1'><blocklist xmlns='urn:xmpp:blocking'/></iq>
        romeo/phone  receives <iq type='result' id='l1'><blocklist xmlns='urn:xmpp:blocking'/></iq>
        romeo/laptop sends    <iq type='set' id='b1'><block xmlns='urn:xmpp:blocking'><item jid='tybalt@capulet.example'/></block></iq>
        romeo/laptop receives <iq type='result' id='b1'/>
        romeo/phone  receives <iq type='set' to='{romeo/phone}'><block xmlns='urn:xmpp:blocking'><item jid='tybalt@capulet.example'/></block></iq>
        romeo/laptop sends    <iq type='get' id='l2'><blocklist xmlns='urn:xmpp:blocking'/></iq>
        romeo/laptop receives <iq type='result' id='l2'><blocklist xmlns='urn:xmpp:blocking'><item jid='tybalt@capulet.example'/></blocklist></iq>
        everyone     is quiet
    ");
}

// XEP-0191 §3.3
#[test]
fn a_block_without_an_item_is_a_bad_request() {
    play(
        "
        romeo/phone connects
        romeo/phone sends    <iq type='set' id='b1'><block xmlns='urn:xmpp:blocking'/></iq>
        romeo/phone receives <iq type='error' id='b1'>{error modify bad-request}…</iq>
        everyone    is quiet
    ",
    );
}

// XEP-0191 §3.3, §3.4
#[test]
fn a_contact_that_is_blocked_sees_the_account_leave_and_come_back_when_it_is_unblocked() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <presence to='{romeo}' type='subscribe'/>
        romeo/phone   receives <presence from='{juliet}' type='subscribe'/>
        romeo/phone   sends    <presence to='{juliet}' type='subscribed'/>
        juliet/garden receives <presence from='{romeo/phone}'/>
        romeo/phone   sends    <iq type='set' id='b1'><block xmlns='urn:xmpp:blocking'><item jid='{juliet}'/></block></iq>
        romeo/phone   receives <iq type='result' id='b1'/>
        juliet/garden receives <presence from='{romeo/phone}' type='unavailable'/>
        romeo/phone   sends    <presence><show>away</show></presence>
        romeo/phone   receives <presence from='{romeo/phone}'><show>away</show></presence>
        everyone      is quiet
        romeo/phone   sends    <iq type='set' id='b2'><unblock xmlns='urn:xmpp:blocking'><item jid='{juliet}'/></unblock></iq>
        romeo/phone   receives <iq type='result' id='b2'/>
        juliet/garden receives <presence from='{romeo/phone}'><show>away</show></presence>
        everyone      is quiet
    ");
}

// XEP-0191 §3.2
#[test]
fn requests_of_a_blocked_contact_are_refused_and_its_presence_vanishes() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='b1'><block xmlns='urn:xmpp:blocking'><item jid='{juliet}'/></block></iq>
        romeo/phone   receives <iq type='result' id='b1'/>
        juliet/garden sends    <iq type='get' to='{romeo}' id='v1'><vCard xmlns='vcard-temp'/></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='v1'>{error cancel service-unavailable}…</iq>
        juliet/garden sends    <presence to='{romeo}' type='subscribe'/>
        juliet/garden sends    <presence to='{romeo/phone}'/>
        everyone      is quiet
    ");
}

// XEP-0191 §6
#[test]
fn one_resource_can_be_blocked_and_the_others_not() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/window connects
        romeo/phone   sends    <iq type='set' id='b1'><block xmlns='urn:xmpp:blocking'><item jid='{juliet/garden}'/></block></iq>
        romeo/phone   receives <iq type='result' id='b1'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>hi</body></message>
        juliet/garden receives <message type='error' id='m1'>{error cancel service-unavailable}…</message>
        juliet/window sends    <message to='{romeo/phone}' type='chat' id='m2'><body>hi</body></message>
        romeo/phone   receives <message from='{juliet/window}' id='m2'><body>hi</body>…</message>
        everyone      is quiet
    ");
}

// XEP-0191 §3.3; a room would take a client for gone that bounces what it says (XEP-0045 §18.1.2).
#[test]
fn who_blocks_an_occupant_stays_in_the_room() {
    let block = "<block xmlns='urn:xmpp:blocking'><item jid='{room coven}/first'/></block>";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <iq type='set' id='b1'>{block}</iq>
        hag/pda       receives <iq type='result' id='b1'/>
        crone/desktop sends    <message type='groupchat' id='m1' to='{{room coven}}'><body>to all</body></message>
        crone/desktop receives <message type='groupchat' id='m1'>…</message>
        crone/desktop sends    <message type='chat' id='m2' to='{{room coven}}/hag'><body>to one</body></message>
        hag/pda       sends    <message type='groupchat' id='m3' to='{{room coven}}'><body>still here</body></message>
        hag/pda       receives <message type='groupchat' id='m3'>…</message>
        crone/desktop receives <message type='groupchat' id='m3'>…</message>
        everyone      is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}
