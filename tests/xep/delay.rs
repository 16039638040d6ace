//! XEP-0203 Delayed Delivery.

use crate::stage::play;

// XEP-0203 §5
#[test]
fn a_delay_in_the_servers_name_is_taken_out_and_one_in_the_senders_stays() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>hi</body><delay xmlns='urn:xmpp:delay' from='{domain}' stamp='2002-09-10T23:08:25Z'/>
                               <delay xmlns='urn:xmpp:delay' from='{romeo}' stamp='2002-09-10T23:08:25Z'/>
                               <delay xmlns='urn:xmpp:delay' from='{juliet/garden}' stamp='2002-09-10T23:08:26Z'/></message>
        romeo/phone   receives <message><body>hi</body><delay xmlns='urn:xmpp:delay' from='{juliet/garden}' stamp='2002-09-10T23:08:26Z'/>
                               <stanza-id xmlns='urn:xmpp:sid:0'/></message>
        everyone      is quiet
    ");
}

// XEP-0203 §3, RFC 6121 §4.3.2
#[test]
fn a_message_that_waited_says_since_when_and_for_whom() {
    play("
        juliet/garden connects
        romeo/phone   logs in
        juliet/garden sends    <message to='{romeo}' type='chat'><body>hi</body></message>
        juliet/garden is quiet
        romeo/phone   connects
        romeo/phone   receives <message><body>hi</body><delay xmlns='urn:xmpp:delay' from='{domain}' stamp='{$t}'>Offline Storage</delay>…</message>
        everyone      is quiet
    ");
}

// XEP-0203 §5, XEP-0198 §4: what a sender says of a delay decides nothing.
#[test]
fn a_message_goes_on_to_who_has_not_had_it_whatever_delay_its_sender_wrote() {
    play("
        juliet/garden connects
        romeo/tablet  connects
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3'/>
        juliet/garden sends    <message to='{romeo}' type='chat' id='m1'><body>1</body><delay xmlns='urn:xmpp:delay' stamp='2099-01-01T00:00:00Z'/></message>
                               <message to='{romeo}' type='chat' id='m2'><body>2</body><delay xmlns='urn:xmpp:delay' stamp='2001-01-01T00:00:00Z'/></message>
        romeo/tablet  receives <message id='m1'>…</message>
        romeo/tablet  receives <message id='m2'>…</message>
        romeo/phone   receives <message id='m1'>…</message>
        romeo/phone   receives <message id='m2'>…</message>
        romeo/laptop  connects
        romeo/phone   vanishes
        romeo/laptop  receives <presence from='{romeo/phone}' type='unavailable'/>
        romeo/laptop  receives <message id='m1'>…</message>
        romeo/laptop  receives <message id='m2'>…</message>
        romeo/tablet  receives <presence from='{romeo/phone}' type='unavailable'/>
        romeo/laptop  is quiet
        romeo/tablet  is quiet
    ");
}
