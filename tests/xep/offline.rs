//! XEP-0160 Best Practices for Handling Offline Messages.

use crate::stage::{play, play_with};

// XEP-0160 §2
#[test]
fn messages_to_somebody_who_is_away_come_in_order_and_once() {
    play(
        "
        juliet/garden connects
        romeo/phone   logs in
        juliet/garden sends    <message to='{romeo}' type='chat' id='m1'><body>1</body></message>
                               <message to='{romeo}' id='m2'><body>2</body></message>
                               <message to='{romeo}' type='chat' id='m3'><body>3</body></message>
        juliet/garden is quiet
        romeo/phone   connects
        romeo/phone   receives <message from='{juliet/garden}' id='m1'><body>1</body>…</message>
        romeo/phone   receives <message from='{juliet/garden}' id='m2'><body>2</body>…</message>
        romeo/phone   receives <message from='{juliet/garden}' id='m3'><body>3</body>…</message>
        romeo/laptop  connects
        everyone      is quiet
    ",
    );
}

// XEP-0160 §3
#[test]
fn headlines_and_chat_states_do_not_wait() {
    play("
        juliet/garden connects
        romeo/phone   logs in
        juliet/garden sends    <message to='{romeo}' type='headline'><body>news</body></message>
        juliet/garden sends    <message to='{romeo}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>
        juliet/garden is quiet
        romeo/phone   connects
        everyone      is quiet
    ");
}

// XEP-0160 §2, RFC 6121 §8.5.2.1.1
#[test]
fn a_client_of_negative_priority_gets_no_stored_messages() {
    play(
        "
        juliet/garden connects
        romeo/phone   binds
        romeo/phone   sends    <presence><priority>-1</priority></presence>
        romeo/phone   receives <presence from='{romeo/phone}'><priority>-1</priority></presence>
        juliet/garden sends    <message to='{romeo}' type='chat' id='m1'><body>hi</body></message>
        everyone      is quiet
        romeo/phone   sends    <presence/>
        romeo/phone   receives <presence from='{romeo/phone}'/>
        romeo/phone   receives <message id='m1'><body>hi</body>…</message>
        everyone      is quiet
    ",
    );
}

// XEP-0160 §2 rule 3
#[test]
fn when_there_is_no_room_for_a_message_its_sender_is_told() {
    play_with("
        [accounts]
        offline_messages = 2
    ", "
        juliet/garden connects
        romeo/phone   logs in
        juliet/garden sends    <message to='{romeo}' type='chat' id='m1'><body>1</body></message>
        juliet/garden sends    <message to='{romeo}' type='chat' id='m2'><body>2</body></message>
        juliet/garden sends    <message to='{romeo}' type='chat' id='m3'><body>3</body></message>
        juliet/garden receives <message type='error' from='{romeo}' id='m3'>{error cancel service-unavailable}…</message>
        romeo/phone   connects
        romeo/phone   receives <message id='m1'><body>1</body>…</message>
        romeo/phone   receives <message id='m2'><body>2</body>…</message>
        everyone      is quiet
    ");
}
