//! XEP-0077 In-Band Registration. With a room (XEP-0045 §7.10, §7.12, §9.9).

use super::{configured, enters, made, made_with};
use crate::stage::{Stage, play, play_over_restarts};

const USER: &str = "http://jabber.org/protocol/muc#user";
const NICK_NODE: &str =
    "<query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'/>";

fn register(who: &str, id: &str, nick: &str) -> String {
    format!(
        "{who} sends <iq type='set' id='{id}' to='{{room coven}}'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>
        <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'><value>{nick}</value></field></x></query></iq>"
    )
}

// XEP-0045 §7.10, §7.12
#[test]
fn who_registers_becomes_a_member_and_owns_his_nick() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        earl/tower    connects
        {}
        {}
        hag/pda       sends    <iq type='get' id='1' to='{{room coven}}'><query xmlns='jabber:iq:register'/></iq>
        hag/pda       receives <iq type='result' id='1'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='form'>…<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>
                               <field var='muc#register_roomnick' type='text-single'><required/></field></x></query></iq>
        hag/pda       sends    <iq type='get' id='2' to='{{room coven}}'>{NICK_NODE}</iq>
        hag/pda       receives <iq type='result' id='2'><query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'/></iq>
        {}
        hag/pda       receives <iq type='result' id='3'/>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='member' role='participant'/>…</x></presence>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='member'/>…</x></presence>
        hag/pda       sends    <iq type='get' id='4' to='{{room coven}}'><query xmlns='jabber:iq:register'/></iq>
        hag/pda       receives <iq type='result' id='4'><query xmlns='jabber:iq:register'><registered/><username>thirdwitch</username></query></iq>
        hag/pda       sends    <iq type='get' id='5' to='{{room coven}}'>{NICK_NODE}</iq>
        hag/pda       receives <iq type='result' id='5'><query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'><identity category='conference' type='text' name='thirdwitch'/></query></iq>
        {}
        earl/tower    receives <iq type='error' id='6'>{{error cancel conflict}}</iq>
        earl/tower    sends    <presence id='7' to='{{room coven}}/ThirdWitch'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        earl/tower    receives <presence type='error' id='7'>…{{error cancel conflict}}</presence>
        hag/pda       sends    <iq type='set' id='8' to='{{room coven}}'><query xmlns='jabber:iq:register'><remove/></query></iq>
        hag/pda       receives <iq type='result' id='8'/>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='none'/>…</x></presence>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='none'/>…</x></presence>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        register("hag/pda", "3", "thirdwitch"),
        register("earl/tower", "6", "THIRDWITCH"),
    ));
}

// XEP-0045 §7.10: the errors.
#[test]
fn registration_is_refused_where_it_must_be() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        hag/pda       sends    <iq type='get' id='1' to='{{room nowhere}}'><query xmlns='jabber:iq:register'/></iq>
        hag/pda       receives <iq type='error' id='1'>{{error cancel item-not-found}}</iq>
        {}
        hag/pda       sends    <iq type='get' id='2' to='{{room heath}}'><query xmlns='jabber:iq:register'/></iq>
        hag/pda       receives <iq type='error' id='2'>{{error cancel service-unavailable}}</iq>
        {}
        hag/pda       sends    <iq type='set' id='3' to='{{room coven}}'><query xmlns='jabber:iq:register'/></iq>
        hag/pda       receives <iq type='error' id='3'>{{error modify bad-request}}</iq>
        everyone is quiet
    ",
        made_with("crone/desktop", "heath", "first", &[("rookery#roomconfig_registration", "0")]),
        made("crone/desktop", "coven", "first"),
    ));
}

// XEP-0045 §9.9
#[test]
fn in_a_members_only_room_an_admin_decides() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       receives <iq type='result' id='1'/>
        crone/desktop receives <message from='{{room coven}}'><x xmlns='jabber:x:data' type='form'>…<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>
                               <field var='muc#register_roomnick'><value>third</value></field><field var='muc#register_allow' type='boolean'><value>0</value></field></x>…</message>
        crone/desktop sends    <message to='{{room coven}}'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>
                               <field var='muc#register_roomnick'><value>third</value></field><field var='muc#register_allow'><value>1</value></field></x></message>
        crone/desktop receives <message><x xmlns='{USER}'><item affiliation='member' jid='{{hag}}'/>…</x>…</message>
        hag/pda       receives <message from='{{room coven}}'><x xmlns='{USER}'><invite from='{{room coven}}'/></x>…</message>
        {}
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_membersonly", "1")]),
        register("hag/pda", "1", "third"),
        enters("hag/pda", "coven", "third", &["crone/desktop"]),
    ));
}

// XEP-0045 §9.9: whoever may decide is asked when they come.
#[test]
fn a_registration_waits_for_an_admin_to_come() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        crone/desktop sends    <presence type='unavailable' to='{{room coven}}/first'/>
        crone/desktop receives <presence type='unavailable'>…</presence>
        {}
        hag/pda       receives <iq type='result' id='1'/>
        {}
        crone/desktop receives <message from='{{room coven}}'><x xmlns='jabber:x:data' type='form'>…<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>
                               <field var='muc#register_roomnick'><value>third</value></field>…</x>…</message>
        everyone is quiet
    ",
        made_with(
            "crone/desktop",
            "coven",
            "first",
            &[("muc#roomconfig_membersonly", "1"), ("muc#roomconfig_persistentroom", "1")]
        ),
        register("hag/pda", "1", "third"),
        enters("crone/desktop", "coven", "first", &[]),
    ));
}

// XEP-0045 §9.9: nobody has to ask again because the server was started anew before an admin came.
#[test]
fn a_registration_waits_for_an_admin_over_a_restart_of_the_server() {
    let mut stage = Stage::start("[store]\nengine = 'embedded'\n");
    play_over_restarts(
        &mut stage,
        &format!(
            "
        crone/desktop connects
        hag/pda       connects
        {}
        crone/desktop sends    <presence type='unavailable' to='{{room coven}}/first'/>
        crone/desktop receives <presence type='unavailable'>…</presence>
        {}
        hag/pda       receives <iq type='result' id='1'/>
        server        is stopped
        crone/desktop vanishes
        hag/pda       vanishes
        server        starts again
        crone/desktop connects
        {}
        {}
        {}
        crone/desktop receives <message><x xmlns='{USER}'><item affiliation='member' jid='{{hag}}'/>…</x>…</message>
        everyone      is quiet
    ",
            made_with(
                "crone/desktop",
                "coven",
                "first",
                &[("muc#roomconfig_membersonly", "1"), ("muc#roomconfig_persistentroom", "1")]
            ),
            register("hag/pda", "1", "third"),
            enters("crone/desktop", "coven", "first", &[]),
            asked("third", "hag"),
            approve("crone/desktop", "2", "third", ""),
        ),
    );
}

// XEP-0045 §7.10, §12: where nicks are locked, the room itself gives everybody their own.
#[test]
fn who_is_inside_under_another_nick_gets_his_own_when_nicks_are_locked() {
    let codes = |codes: &str| {
        format!(
            "<presence from='{{room coven}}/third' type='{{none}}'>…<x xmlns='{USER}'><item affiliation='member'/>{codes}</x></presence>"
        )
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {}
        hag/pda       receives <iq type='result' id='1'/>
        hag/pda       receives <presence from='{{room coven}}/hag'>…</presence>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        {}
        crone/desktop receives <message type='groupchat'><x xmlns='{USER}'><status code='104'/></x></message>
        hag/pda       receives <message type='groupchat'><x xmlns='{USER}'><status code='104'/></x></message>
        hag/pda       receives <presence from='{{room coven}}/hag' type='unavailable'>…<x xmlns='{USER}'><item nick='third'/><status code='110'/><status code='303'/></x></presence>
        hag/pda       receives {}
        crone/desktop receives <presence from='{{room coven}}/hag' type='unavailable'>…<x xmlns='{USER}'><item nick='third'/><status code='303'/></x></presence>
        crone/desktop receives {}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        register("hag/pda", "1", "third"),
        configured("crone/desktop", "coven", &[("rookery#roomconfig_nickslocked", "1")]),
        codes("<status code='110'/><status code='210'/>"),
        codes("<status code='210'/>"),
    ));
}

/// An admin's answer to a request for this nick; `fields`: more of it.
fn approve(who: &str, id: &str, nick: &str, fields: &str) -> String {
    format!(
        "{who} sends <message id='{id}' to='{{room coven}}'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>
        <field var='muc#register_roomnick'><value>{nick}</value></field>{fields}<field var='muc#register_allow'><value>1</value></field></x></message>"
    )
}

/// An admin is asked for this nick by somebody.
fn asked(nick: &str, who: &str) -> String {
    format!(
        "crone/desktop receives <message from='{{room coven}}'><x xmlns='jabber:x:data' type='form'>…<field var='muc#register_roomnick'><value>{nick}</value></field><field var='muc#jid'><value>{{{who}}}</value></field>…</x>…</message>"
    )
}

// XEP-0045 §5.1, §7.13: nobody takes the voice that they were not given, or that was taken.
#[test]
fn in_a_moderated_room_whoever_has_no_voice_asks_an_admin() {
    let mute = "<iq type='set' id='v' to='{room coven}'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='hag' role='visitor'/></query></iq>";
    let is = |affiliation: &str, role: &str| {
        format!(
            "<presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='{affiliation}' role='{role}'>…</item>…</x></presence>"
        )
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {}
        hag/pda       receives <iq type='result' id='1'/>
        {}
        hag/pda       sends    <message type='groupchat' id='m' to='{{room coven}}'><body>hi</body></message>
        hag/pda       receives <message type='error' id='m'>{{error auth forbidden}}</message>
        {}
        crone/desktop receives {}
        hag/pda       receives {}
        crone/desktop sends    {mute}
        crone/desktop receives <iq type='result' id='v'/>
        crone/desktop receives {}
        hag/pda       receives {}
        hag/pda       sends    <iq type='set' id='2' to='{{room coven}}'><query xmlns='jabber:iq:register'><remove/></query></iq>
        hag/pda       receives <iq type='result' id='2'/>
        hag/pda       receives {}
        crone/desktop receives {}
        {}
        hag/pda       receives <iq type='result' id='3'/>
        {}
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_moderatedroom", "1")]),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        register("hag/pda", "1", "third"),
        asked("third", "hag"),
        approve("crone/desktop", "a", "third", ""),
        is("member", "participant"),
        is("member", "participant"),
        is("member", "visitor"),
        is("member", "visitor"),
        is("none", "visitor"),
        is("none", "visitor"),
        register("hag/pda", "3", "third"),
        asked("third", "hag"),
    ));
}

// XEP-0045 §7.2.5: a stranger does not become a member of a room whose password they do not know; who is inside does.
#[test]
fn in_a_room_with_a_password_whoever_is_outside_asks_an_admin() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {}
        crone/desktop receives <message type='groupchat'><x xmlns='{USER}'><status code='104'/></x></message>
        hag/pda       receives <message type='groupchat'><x xmlns='{USER}'><status code='104'/></x></message>
        {}
        hag/pda       receives <iq type='result' id='1'/>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='member'/>…</x></presence>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='member'/>…</x></presence>
        earl/tower    connects
        {}
        earl/tower    receives <iq type='result' id='2'/>
        {}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        configured(
            "crone/desktop",
            "coven",
            &[
                ("muc#roomconfig_passwordprotectedroom", "1"),
                ("muc#roomconfig_roomsecret", "cauldron")
            ]
        ),
        register("hag/pda", "1", "third"),
        register("earl/tower", "2", "lord"),
        asked("lord", "earl"),
    ));
}

// XEP-0045 §9.9
#[test]
fn of_two_who_want_one_nick_the_one_whom_the_admin_names_gets_it() {
    let named = |who: &str| format!("<field var='muc#jid'><value>{{{who}}}</value></field>");
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        earl/tower    connects
        {}
        {}
        hag/pda       receives <iq type='result' id='1'/>
        {}
        {}
        earl/tower    receives <iq type='result' id='2'/>
        {}
        {}
        crone/desktop receives <message type='error' id='3'>{{error modify bad-request}}</message>
        {}
        crone/desktop receives <message><x xmlns='{USER}'><item affiliation='member' jid='{{earl}}'/>…</x>…</message>
        earl/tower    receives <message from='{{room coven}}'><x xmlns='{USER}'><invite from='{{room coven}}'/></x>…</message>
        # The nick is another's now.
        {}
        crone/desktop receives <message type='error' id='5'>{{error cancel conflict}}</message>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_membersonly", "1")]),
        register("hag/pda", "1", "Queen"),
        asked("Queen", "hag"),
        register("earl/tower", "2", "Queen"),
        asked("Queen", "earl"),
        approve("crone/desktop", "3", "Queen", ""),
        approve("crone/desktop", "4", "Queen", &named("earl")),
        approve("crone/desktop", "5", "Queen", &named("hag")),
    ));
}

// XEP-0045 §9.9: a ban outlasts an older request.
#[test]
fn who_was_banned_since_is_not_admitted() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       receives <iq type='result' id='1'/>
        {}
        crone/desktop sends    <iq type='set' id='b' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast' jid='{{hag}}'/></query></iq>
        crone/desktop receives <iq type='result' id='b'/>
        crone/desktop receives <message><x xmlns='{USER}'>…</x>…</message>
        hag/pda       receives <message from='{{room coven}}'><x xmlns='{USER}'><item affiliation='outcast'/>…</x>…</message>
        {}
        crone/desktop receives <message type='error' id='2'>{{error cancel not-allowed}}</message>
        crone/desktop sends    <iq type='get' id='l' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast'/></query></iq>
        crone/desktop receives <iq type='result' id='l'><query xmlns='http://jabber.org/protocol/muc#admin'><item jid='{{hag}}'/></query></iq>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_membersonly", "1")]),
        register("hag/pda", "1", "third"),
        asked("third", "hag"),
        approve("crone/desktop", "2", "third", ""),
    ));
}

// XEP-0045 §9.1, §9.2: whoever is banned has no nick of his own any more.
#[test]
fn a_ban_takes_the_registered_nick_away() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        earl/tower    connects
        {}
        {}
        hag/pda       finds    <iq type='result' id='1'/>
        {}
        earl/tower    receives <iq type='error' id='2'>{{error cancel conflict}}</iq>
        crone/desktop sends    <iq type='set' id='b' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast' jid='{{hag}}'/></query></iq>
        crone/desktop finds    <iq type='result' id='b'/>
        {}
        earl/tower    finds    <iq type='result' id='3'/>
        earl/tower    sends    <iq type='get' id='4' to='{{room coven}}'>{NICK_NODE}</iq>
        earl/tower    finds    <iq type='result' id='4'><query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'><identity category='conference' type='text' name='third'/></query></iq>
    ",
        made("crone/desktop", "coven", "first"),
        register("hag/pda", "1", "third"),
        register("earl/tower", "2", "third"),
        register("earl/tower", "3", "third"),
    ));
}
