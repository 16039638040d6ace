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
