//! XEP-0012 Last Activity.

use crate::stage::{play, play_alone};

// XEP-0012 §3
#[test]
fn a_contact_learns_how_long_somebody_has_been_gone_and_the_last_words() {
    // The end of a session that another member keeps is heard of a little later.
    play_alone("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <presence to='{romeo}' type='subscribe'/>
        romeo/phone   receives <presence from='{juliet}' type='subscribe'/>
        romeo/phone   sends    <presence to='{juliet}' type='subscribed'/>
        juliet/garden receives <presence from='{romeo/phone}'/>
        romeo/phone   sends    <presence type='unavailable'><status>to Mantua</status></presence>
        romeo/phone   receives <presence type='unavailable'>…</presence>
        juliet/garden receives <presence from='{romeo/phone}' type='unavailable'><status>to Mantua</status></presence>
        romeo/phone   leaves
        juliet/garden sends    <iq type='get' to='{romeo}' id='l1'><query xmlns='jabber:iq:last'/></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='l1'><query xmlns='jabber:iq:last' seconds='{$s}'>to Mantua</query></iq>
        everyone      is quiet
    ");
}

// XEP-0012 §4
#[test]
fn strangers_learn_nothing() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <iq type='get' to='{romeo}' id='l1'><query xmlns='jabber:iq:last'/></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='l1'>{error auth forbidden}…</iq>
        everyone      is quiet
    ");
}

// XEP-0012 §5
#[test]
fn the_server_says_how_long_it_has_been_up() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{domain}' id='l1'><query xmlns='jabber:iq:last'/></iq>
        romeo/phone receives <iq type='result' from='{domain}' id='l1'><query xmlns='jabber:iq:last' seconds='{$s}'/></iq>
        everyone    is quiet
    ");
}
