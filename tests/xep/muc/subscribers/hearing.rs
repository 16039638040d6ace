//! MUC/Sub: what somebody hears, and says, without being inside, and when they come in.

use super::super::{enters, made, made_with};
use super::{EVENT, heard, hears, said, says, subscribes};
use crate::stage::play;

#[test]
fn somebody_who_is_not_inside_hears_what_is_said_and_speaks() {
    let item = "<item id='{$id}'><message xmlns='jabber:client' from='{room coven}/first' type='groupchat' id='m1'><body>1</body><stanza-id xmlns='urn:xmpp:sid:0' id='{$id}' by='{room coven}'/>…</message></item>";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        hag/laptop    connects
        {}
        {}
        crone/desktop sends    <message type='groupchat' id='m1' to='{{room coven}}'><body>1</body></message>
        crone/desktop receives <message type='groupchat' id='m1' from='{{room coven}}/first'>…</message>
        # Every client of theirs does.
        hag/pda       receives <message from='{{room coven}}' to='{{hag}}' type='{{none}}' id='{{$id}}'><event xmlns='{EVENT}'><items node='urn:xmpp:mucsub:nodes:messages'>{item}</items></event></message>
        hag/laptop    receives <message from='{{room coven}}' to='{{hag}}'>…<event xmlns='{EVENT}'>…</event></message>
        {}{}
        hag/pda       receives {}
        hag/laptop    receives {}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        subscribes("hag/pda", "coven", "hag", &["messages"]),
        says("hag/laptop", "2"),
        hears("crone/desktop", "hag", "2"),
        said("coven", "hag", "2"),
        said("coven", "hag", "2"),
    ));
}

// XEP-0421 §4.1, XEP-0313: they are known, and what they say is kept, as if they were inside.
#[test]
fn what_somebody_says_who_is_not_inside_is_his_like_what_he_says_inside() {
    let mark = "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='{$hag}'/>";
    let mam = "urn:xmpp:mam:2";
    play(&format!(
        "
        {}
        {}
        crone/desktop receives <message type='groupchat' from='{{room coven}}/hag'><body>1</body>{mark}…</message>
        hag/pda       receives {}
        {}
        hag/pda       sends    <message type='groupchat' to='{{room coven}}'><body>2</body></message>
        crone/desktop receives <message type='groupchat' from='{{room coven}}/hag'><body>2</body>{mark}…</message>
        hag/pda       receives <message type='groupchat' from='{{room coven}}/hag'>…</message>
        hag/pda       sends    <iq type='set' id='q' to='{{room coven}}'><query xmlns='{mam}'/></iq>
        hag/pda       receives <message><result xmlns='{mam}'><forwarded xmlns='urn:xmpp:forward:0'>…<message xmlns='jabber:client' from='{{room coven}}/hag'><body>1</body>…</message></forwarded></result></message>
        hag/pda       receives <message><result xmlns='{mam}'>…</result></message>
        hag/pda       receives <iq type='result' id='q'>…</iq>
        everyone is quiet
    ",
        heard(&["messages"]),
        says("hag/pda", "1"),
        said("coven", "hag", "1"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

#[test]
fn who_comes_in_hears_the_room_there_and_is_shown_no_past_that_he_has_heard() {
    let mut entering = enters("hag/pda", "coven", "hag", &["crone/desktop"]);
    entering = entering.replace(
        "hag/pda finds    <message type='groupchat'>…<subject>…</subject></message>",
        "hag/pda receives <presence from='{room coven}/first'>…</presence>
         hag/pda receives <presence from='{room coven}/hag'>…</presence>
         hag/pda receives <message type='groupchat'><subject/></message>",
    );
    play(&format!(
        "
        {}
        {}{}
        hag/pda       receives {}
        {entering}
        {}{}{}
        hag/pda       sends    <presence type='unavailable' to='{{room coven}}/hag'/>
        hag/pda       receives <presence type='unavailable' from='{{room coven}}/hag'>…</presence>
        crone/desktop receives <presence type='unavailable' from='{{room coven}}/hag'>…</presence>
        {}{}
        hag/pda       receives {}
        everyone is quiet
    ",
        heard(&["messages"]),
        says("crone/desktop", "1"),
        hears("crone/desktop", "first", "1"),
        said("coven", "first", "1"),
        says("crone/desktop", "2"),
        hears("crone/desktop", "first", "2"),
        hears("hag/pda", "first", "2"),
        says("crone/desktop", "3"),
        hears("crone/desktop", "first", "3"),
        said("coven", "first", "3"),
    ));
}

// XEP-0045 §7.4, §8.3: who would only listen inside, only listens.
#[test]
fn who_has_no_voice_has_none_outside_either() {
    let silent = "{error auth forbidden}…";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        bat/cave      connects
        {}
        {}
        {}
        hag/pda       receives <message type='error' from='{{room coven}}'>{silent}</message>
        # Whoever does not hear the room has nothing to say to it.
        {}
        bat/cave      receives <message type='error' from='{{room coven}}'>{{error modify not-acceptable}}…</message>
        crone/desktop sends    <iq type='set' id='v' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='{{hag}}'/></query></iq>
        crone/desktop hears    <iq type='result' id='v'/>
                               <message><x xmlns='http://jabber.org/protocol/muc#user'>…</x>…</message>
        hag/pda       receives <message><x xmlns='http://jabber.org/protocol/muc#user'>…</x>…</message>
        {}{}
        hag/pda       receives {}
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_moderatedroom", "1")]),
        subscribes("hag/pda", "coven", "hag", &["messages"]),
        says("hag/pda", "1"),
        says("bat/cave", "1"),
        says("hag/pda", "2"),
        hears("crone/desktop", "hag", "2"),
        said("coven", "hag", "2"),
    ));
}
