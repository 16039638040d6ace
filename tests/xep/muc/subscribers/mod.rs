//! MUC/Sub (`urn:xmpp:mucsub:0`, as ejabberd documents it): people who hear a room without being inside.

mod away;
mod ending;
mod events;
mod hearing;
mod lists;
mod refused;
mod surviving;

pub(crate) const NS: &str = "urn:xmpp:mucsub:0";
const EVENT: &str = "http://jabber.org/protocol/pubsub#event";

/// `<event/>` for each of these nodes.
fn nodes(nodes: &[&str]) -> String {
    let event = |node: &&str| format!("<event node='urn:xmpp:mucsub:nodes:{node}'/>");
    nodes.iter().map(event).collect()
}

/// Somebody hears a room from now on.
pub(crate) fn subscribes(who: &str, room: &str, nick: &str, to: &[&str]) -> String {
    let nodes = nodes(to);
    format!(
        "
        {who} sends    <iq type='set' id='sub' to='{{room {room}}}'><subscribe xmlns='{NS}' nick='{nick}'>{nodes}</subscribe></iq>
        {who} receives <iq type='result' id='sub' from='{{room {room}}}'><subscribe xmlns='{NS}' nick='{nick}'>{nodes}</subscribe></iq>
        "
    )
}

/// Crone is in the coven, and hag hears this of it from outside.
fn heard(to: &[&str]) -> String {
    let (made, subscribes) =
        (super::made("crone/desktop", "coven", "first"), subscribes("hag/pda", "coven", "hag", to));
    format!("crone/desktop connects\nhag/pda connects\n{made}\n{subscribes}")
}

/// Somebody asks, and gets this answer.
fn asks(who: &str, ty: &str, to: &str, payload: &str, answer: &str) -> String {
    let result = if answer.starts_with("{error") { "error" } else { "result" };
    format!(
        "
        {who} sends    <iq type='{ty}' id='ask' to='{to}'>{payload}</iq>
        {who} receives <iq type='{result}' id='ask' from='{to}'>{answer}</iq>
        "
    )
}

/// What somebody is told who hears the room `coven`.
pub(crate) fn event(room: &str, node: &str, what: &str) -> String {
    format!(
        "<message from='{{room {room}}}'><event xmlns='{EVENT}'><items node='urn:xmpp:mucsub:nodes:{node}'><item>{what}</item></items></event></message>"
    )
}

/// That somebody has said something.
pub(crate) fn said(room: &str, nick: &str, text: &str) -> String {
    let said = format!(
        "<message xmlns='jabber:client' from='{{room {room}}}/{nick}' type='groupchat'><body>{text}</body>…</message>"
    );
    event(room, "messages", &said)
}

/// Somebody says something to all.
fn says(who: &str, text: &str) -> String {
    format!(
        "{who} sends <message type='groupchat' to='{{room coven}}'><body>{text}</body></message>\n"
    )
}

/// Who is inside hears it.
fn hears(who: &str, nick: &str, text: &str) -> String {
    format!(
        "{who} receives <message type='groupchat' from='{{room coven}}/{nick}'><body>{text}</body>…</message>\n"
    )
}
