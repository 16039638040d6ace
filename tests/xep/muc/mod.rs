//! Stories of rooms: one or more for each use case of XEP-0045 §6 to §10, by chapters.

mod administering;
mod admins;
mod archive;
mod avatar;
mod creating;
mod destroying;
mod discovery;
mod entering;
mod hats;
mod inviting;
mod leaving;
mod moderation;
mod moderators;
mod occupant_id;
mod operators;
mod owners;
mod registering;
mod retraction;
mod self_ping;
mod service;
mod showing;
mod slow_mode;
mod speaking;
mod subscribers;
mod surviving;
mod versions;

/// Makes an instant room: `who` is its owner, under this nick.
pub(crate) fn made(who: &str, room: &str, nick: &str) -> String {
    made_with(who, room, nick, &[])
}

/// Makes a room with these fields of its configuration.
pub(crate) fn made_with(who: &str, room: &str, nick: &str, fields: &[(&str, &str)]) -> String {
    format!(
        "
        {who} sends    <presence to='{{room {room}}}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        {who} finds    <message from='{{room {room}}}' type='groupchat'><subject/></message>
        {}
        ",
        configured(who, room, fields)
    )
}

/// Configures a room that `who` owns.
pub(crate) fn configured(who: &str, room: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(var, value)| {
            let values: String =
                value.split(' ').map(|value| format!("<value>{value}</value>")).collect();
            format!("<field var='{var}'>{values}</field>")
        })
        .collect();
    format!(
        "
        {who} sends    <iq type='set' id='conf' to='{{room {room}}}'><query xmlns='http://jabber.org/protocol/muc#owner'>
                       <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x></query></iq>
        {who} receives <iq type='result' id='conf' from='{{room {room}}}'/>
        "
    )
}

/// Enters a room; everybody who is inside hears of it.
pub(crate) fn enters(who: &str, room: &str, nick: &str, inside: &[&str]) -> String {
    let mut story = format!(
        "
        {who} sends    <presence to='{{room {room}}}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        {who} finds    <message type='groupchat'>…<subject>…</subject></message>
        "
    );
    for other in inside {
        story += &format!(
            "
        {other} receives <presence from='{{room {room}}}/{nick}' to='{{{other}}}'>…</presence>
        "
        );
    }
    story
}
