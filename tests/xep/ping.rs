//! XEP-0199 XMPP Ping.

use crate::stage::play;

// XEP-0199 §4.2
#[test]
fn the_server_and_the_own_account_answer_pings() {
    play(
        "
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{domain}' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone receives <iq type='result' from='{domain}' to='{romeo/phone}' id='p1'/>
        romeo/phone sends    <iq type='get' id='p2'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone receives <iq type='result' id='p2'/>
        everyone    is quiet
    ",
    );
}

// XEP-0199 §4.4
#[test]
fn a_ping_to_a_client_of_ones_own_is_that_clients_to_answer() {
    play("
        romeo/phone  connects
        romeo/laptop connects
        romeo/phone  sends    <iq type='get' to='{romeo/laptop}' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/laptop receives <iq type='get' from='{romeo/phone}' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/laptop sends    <iq type='result' to='{romeo/phone}' id='p1'/>
        romeo/phone  receives <iq type='result' from='{romeo/laptop}' id='p1'/>
        everyone     is quiet
    ");
}
