//! RFC 6121 §4: presence.

use crate::stage::play;

/// Juliet sees Romeo's presence.
const JULIET_SEES_ROMEO: &str = "
    romeo/phone   connects
    juliet/garden connects
    juliet/garden sends    <presence to='{romeo}' type='subscribe'/>
    romeo/phone   receives <presence from='{juliet}' type='subscribe'/>
    romeo/phone   sends    <presence to='{juliet}' type='subscribed'/>
    juliet/garden receives <presence from='{romeo/phone}'/>
    everyone      is quiet
";

// RFC 6121 §4.2.2, §4.3.2
#[test]
fn who_arrives_is_seen_and_sees_who_is_there() {
    play(&format!("{JULIET_SEES_ROMEO}
        romeo/laptop  binds
        romeo/laptop  sends    <presence><priority>5</priority></presence>
        romeo/laptop  hears    <presence from='{{romeo/laptop}}' to='{{romeo/laptop}}'><priority>5</priority></presence>
                               <presence from='{{romeo/phone}}' to='{{romeo/laptop}}'/>
        romeo/phone   receives <presence from='{{romeo/laptop}}'><priority>5</priority></presence>
        juliet/garden receives <presence from='{{romeo/laptop}}'><priority>5</priority></presence>
        juliet/window binds
        juliet/window sends    <presence/>
        juliet/window hears    <presence from='{{juliet/window}}'/>
                               <presence from='{{juliet/garden}}'/>
                               <presence from='{{romeo/phone}}' to='{{juliet/window}}'/>
                               <presence from='{{romeo/laptop}}' to='{{juliet/window}}'><priority>5</priority></presence>
        juliet/garden receives <presence from='{{juliet/window}}'/>
        everyone      is quiet
    "));
}

// RFC 6121 §4.5
#[test]
fn who_leaves_is_seen_leaving_with_the_last_words() {
    play(&format!("{JULIET_SEES_ROMEO}
        romeo/phone   sends    <presence type='unavailable'><status>to Mantua</status></presence>
        romeo/phone   receives <presence from='{{romeo/phone}}' type='unavailable'><status>to Mantua</status></presence>
        juliet/garden receives <presence from='{{romeo/phone}}' type='unavailable'><status>to Mantua</status></presence>
        romeo/phone   leaves
        everyone      is quiet
    "));
}

// RFC 6121 §4.5.2
#[test]
fn who_is_lost_is_announced_by_the_server() {
    play(&format!(
        "{JULIET_SEES_ROMEO}
        romeo/phone   vanishes
        juliet/garden receives <presence from='{{romeo/phone}}' type='unavailable'/>
        everyone      is quiet
    "
    ));
    play(&format!(
        "{JULIET_SEES_ROMEO}
        romeo/phone   leaves
        juliet/garden receives <presence from='{{romeo/phone}}' type='unavailable'/>
        everyone      is quiet
    "
    ));
}

// RFC 6121 §4.6.3
#[test]
fn directed_presence_goes_to_one_and_so_does_its_end() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <presence to='{juliet}'><status>hi</status></presence>
        juliet/garden receives <presence from='{romeo/phone}' to='{juliet}'><status>hi</status></presence>
        romeo/phone   sends    <presence><show>away</show></presence>
        romeo/phone   receives <presence from='{romeo/phone}'><show>away</show></presence>
        everyone      is quiet
        romeo/phone   vanishes
        juliet/garden receives <presence from='{romeo/phone}' type='unavailable'/>
        everyone      is quiet
    ");
}

// RFC 6121 §4.3.2 rule 1, §8.5.1
#[test]
fn a_probe_of_a_stranger_tells_nothing() {
    play(
        "
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <presence to='{romeo}' type='probe' id='p1'/>
        juliet/garden sends    <presence to='nobody@{domain}' type='probe' id='p2'/>
        everyone      is quiet
    ",
    );
}

// RFC 6121 §4.3.2 rule 4
#[test]
fn a_probe_of_a_subscriber_is_answered_with_each_resource() {
    play(&format!(
        "{JULIET_SEES_ROMEO}
        juliet/garden sends    <presence to='{{romeo}}' type='probe'/>
        juliet/garden receives <presence from='{{romeo/phone}}'/>
        everyone      is quiet
    "
    ));
}

// RFC 6121 §4.7.2.3
#[test]
fn a_priority_that_is_none_is_a_bad_request() {
    play(
        "
        romeo/phone connects
        romeo/phone sends    <presence id='p1'><priority>129</priority></presence>
        romeo/phone receives <presence type='error' id='p1'>{error modify bad-request}…</presence>
        everyone    is quiet
    ",
    );
}

// RFC 6121 §4.4.2
#[test]
fn a_change_is_seen_by_subscribers_and_own_clients() {
    play(&format!("{JULIET_SEES_ROMEO}
        romeo/phone   sends    <presence id='p2'><show>dnd</show><x xmlns='urn:example:x'/></presence>
        romeo/phone   receives <presence from='{{romeo/phone}}' id='p2'><show>dnd</show><x xmlns='urn:example:x'/></presence>
        juliet/garden receives <presence from='{{romeo/phone}}' to='{{juliet}}' id='p2'><show>dnd</show><x xmlns='urn:example:x'/></presence>
        everyone      is quiet
    "));
}

// RFC 6121 §4.6.4
#[test]
fn directed_presence_is_taken_back() {
    play(
        "
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <presence to='{juliet/garden}'/>
        juliet/garden receives <presence from='{romeo/phone}' to='{juliet/garden}'/>
        romeo/phone   sends    <presence to='{juliet/garden}' type='unavailable'/>
        juliet/garden receives <presence from='{romeo/phone}' type='unavailable'/>
        romeo/phone   vanishes
        everyone      is quiet
    ",
    );
}

// RFC 6121 §8.5.3.1: who has been shown a resource may ask it something.
#[test]
fn directed_presence_opens_a_resource_to_requests() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <iq type='get' to='{romeo/phone}' id='v1'><query xmlns='jabber:iq:version'/></iq>
        juliet/garden receives <iq type='error' from='{romeo/phone}' id='v1'>{error cancel service-unavailable}…</iq>
        romeo/phone   sends    <presence to='{juliet/garden}'/>
        juliet/garden receives <presence from='{romeo/phone}'/>
        juliet/garden sends    <iq type='get' to='{romeo/phone}' id='v2'><query xmlns='jabber:iq:version'/></iq>
        romeo/phone   receives <iq type='get' from='{juliet/garden}' id='v2'><query xmlns='jabber:iq:version'/></iq>
        romeo/phone   sends    <iq type='result' to='{juliet/garden}' id='v2'/>
        juliet/garden receives <iq type='result' from='{romeo/phone}' id='v2'/>
        everyone      is quiet
    ");
}

// RFC 6121 §4.7.1, RFC 6120 §8.3.3.1
#[test]
fn presence_of_a_type_that_nobody_knows_is_a_bad_request() {
    play(
        "
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <presence to='{juliet}' type='invisible' id='p1'/>
        romeo/phone   receives <presence type='error' id='p1'>{error modify bad-request}…</presence>
        everyone      is quiet
    ",
    );
}

// RFC 6121 §4.2.1: only an available resource is seen.
#[test]
fn a_client_that_has_only_bound_is_not_there() {
    play(
        "
        romeo/phone   connects
        romeo/laptop  binds
        romeo/phone   is quiet
        juliet/garden connects
        juliet/garden sends    <message to='{romeo}' type='chat'><body>hi</body></message>
        romeo/phone   receives <message from='{juliet/garden}'><body>hi</body>…</message>
        romeo/laptop  leaves
        everyone      is quiet
    ",
    );
}
