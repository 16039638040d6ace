//! RFC 6121 §5 and §8.5: who gets which message.

use crate::stage::play;

// RFC 6121 §8.5.2.1.1
#[test]
fn a_chat_message_to_the_account_reaches_every_available_client() {
    play("
        romeo/phone   connects
        romeo/laptop  connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo}' type='chat' id='m1'><body>hi</body></message>
        romeo/phone   receives <message from='{juliet/garden}' to='{romeo}' type='chat' id='m1'><body>hi</body>…</message>
        romeo/laptop  receives <message from='{juliet/garden}' to='{romeo}' type='chat' id='m1'><body>hi</body>…</message>
        everyone      is quiet
    ");
}

// RFC 6121 §8.5.3.1
#[test]
fn a_message_to_one_client_reaches_that_client_only() {
    play("
        romeo/phone   connects
        romeo/laptop  connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>hi</body></message>
        romeo/phone   receives <message from='{juliet/garden}' to='{romeo/phone}' type='chat'><body>hi</body>…</message>
        everyone      is quiet
    ");
}

/// Juliet sends a message to Romeo's account, who has no client of non-negative priority.
fn to_account_that_takes_nothing(ty: &str, outcome: &str) {
    play(&format!(
        "
        juliet/garden connects
        romeo/phone   binds
        romeo/phone   sends    <presence><priority>-5</priority></presence>
        romeo/phone   receives <presence from='{{romeo/phone}}'><priority>-5</priority></presence>
        juliet/garden sends    <message to='{{romeo}}' type='{ty}' id='m1'><body>hi</body></message>
        {outcome}
        everyone      is quiet
        "
    ));
}

/// Juliet sends a message to a resource of Romeo's that is not there while another one is.
fn to_absent_resource(ty: &str, outcome: &str) {
    play(&format!(
        "
        juliet/garden connects
        romeo/phone   connects
        juliet/garden sends    <message to='{{romeo/gone}}' type='{ty}' id='m1'><body>hi</body></message>
        {outcome}
        everyone      is quiet
        "
    ));
}

const REFUSED: &str = "juliet/garden receives <message type='error' id='m1'>{error cancel service-unavailable}…</message>";

const COMES_LATER: &str = "
    romeo/phone   is quiet
    romeo/phone   sends    <presence/>
    romeo/phone   receives <presence from='{romeo/phone}'/>
    romeo/phone   receives <message id='m1'><body>hi</body><delay xmlns='urn:xmpp:delay'>…</delay>…</message>
";

const FORGOTTEN: &str = "
    everyone      is quiet
    romeo/phone   sends    <presence/>
    romeo/phone   receives <presence from='{romeo/phone}'/>
";

// RFC 6121 §8.5.1
#[test]
fn a_message_to_nobody_is_refused_unless_it_needs_no_answer() {
    play("
        juliet/garden connects
        juliet/garden sends    <message to='nobody@{domain}' type='chat' id='m1'><body>hi</body></message>
        juliet/garden receives <message type='error' from='nobody@{domain}' id='m1'>{error cancel service-unavailable}…</message>
        juliet/garden sends    <message to='nobody@{domain}/gone' id='m2'><body>hi</body></message>
        juliet/garden receives <message type='error' from='nobody@{domain}/gone' id='m2'>{error cancel service-unavailable}…</message>
        juliet/garden sends    <message to='nobody@{domain}' type='headline'><body>hi</body></message>
        everyone      is quiet
    ");
}

// RFC 6121 §8.5.2.1.1
#[test]
fn a_normal_message_and_a_headline_reach_clients_of_non_negative_priority() {
    for ty in ["normal", "headline"] {
        play(&format!(
            "
            juliet/garden connects
            romeo/phone   connects
            romeo/laptop  binds
            romeo/laptop  sends    <presence><priority>-1</priority></presence>
            romeo/laptop  hears    <presence from='{{romeo/laptop}}'>…</presence>
                                   <presence from='{{romeo/phone}}'/>
            romeo/phone   receives <presence from='{{romeo/laptop}}'>…</presence>
            juliet/garden sends    <message to='{{romeo}}' type='{ty}'><body>hi</body></message>
            romeo/phone   receives <message from='{{juliet/garden}}'><body>hi</body>…</message>
            everyone      is quiet
        "
        ));
    }
}

// RFC 6121 §8.5.2.1.1
#[test]
fn a_groupchat_message_to_an_account_is_refused() {
    play("
        juliet/garden connects
        romeo/phone   connects
        juliet/garden sends    <message to='{romeo}' type='groupchat' id='m1'><body>hi</body></message>
        juliet/garden receives <message type='error' from='{romeo}' id='m1'>{error cancel service-unavailable}…</message>
        everyone      is quiet
    ");
}

// RFC 6121 §8.5.2.1.1, §8.5.2.2.1
#[test]
fn what_no_client_takes_waits_or_is_refused_or_forgotten() {
    to_account_that_takes_nothing("chat", COMES_LATER);
    to_account_that_takes_nothing("normal", COMES_LATER);
    to_account_that_takes_nothing("headline", FORGOTTEN);
    to_account_that_takes_nothing("groupchat", REFUSED);
}

// RFC 6121 §8.5.3.1
#[test]
fn a_client_of_negative_priority_gets_what_is_for_it_by_name() {
    for ty in ["chat", "normal", "headline", "groupchat"] {
        play(&format!("
            juliet/garden connects
            romeo/phone   binds
            romeo/phone   sends    <presence><priority>-1</priority></presence>
            romeo/phone   receives <presence from='{{romeo/phone}}'>…</presence>
            juliet/garden sends    <message to='{{romeo/phone}}' type='{ty}'><body>hi</body></message>
            romeo/phone   receives <message from='{{juliet/garden}}' to='{{romeo/phone}}'><body>hi</body>…</message>
            everyone      is quiet
        "));
    }
}

// RFC 6121 §8.5.3.2.1
#[test]
fn a_message_to_a_client_that_is_gone_goes_to_the_account_or_nowhere() {
    to_absent_resource(
        "chat",
        "romeo/phone receives <message from='{juliet/garden}' id='m1'><body>hi</body>…</message>",
    );
    to_absent_resource("normal", REFUSED);
    to_absent_resource("groupchat", REFUSED);
    to_absent_resource("headline", "");
}

// RFC 6121 §8.5.2.1.1, §8.5.3.2.1
#[test]
fn an_error_to_a_client_that_is_gone_is_forgotten() {
    play("
        juliet/garden connects
        romeo/phone   connects
        juliet/garden sends    <message to='{romeo}' type='error'>{error cancel item-not-found}</message>
        juliet/garden sends    <message to='{romeo/gone}' type='error'>{error cancel item-not-found}</message>
        everyone      is quiet
    ");
}
