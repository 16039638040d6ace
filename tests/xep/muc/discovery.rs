//! XEP-0045 Multi-User Chat. Discovery of services, rooms and occupants (§6).

use super::{configured, enters, made, made_with};
use crate::stage::{play, play_with};

const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
const ITEMS: &str = "<query xmlns='http://jabber.org/protocol/disco#items'/>";

// §6.1, §6.2
#[test]
fn a_server_lists_its_room_service_which_says_what_it_can_do() {
    play(&format!(
        "
        hag/pda connects
        hag/pda sends    <iq type='get' id='1' to='{{domain}}'>{ITEMS}</iq>
        hag/pda receives <iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#items'>…<item jid='conference.{{domain}}' name='Rooms'/></query></iq>
        hag/pda sends    <iq type='get' id='2' to='conference.{{domain}}'>{INFO}</iq>
        hag/pda receives <iq type='result' id='2'><query xmlns='http://jabber.org/protocol/disco#info'>…
                         <identity category='conference' type='text' name='Rooms'/>
                         <feature var='http://jabber.org/protocol/muc'/>
                         <feature var='http://jabber.org/protocol/muc#stable_id'/></query></iq>
        everyone is quiet
    "
    ));
}

// §6.3
#[test]
fn public_rooms_are_listed_by_pages_and_hidden_ones_are_not() {
    let hidden = [("muc#roomconfig_publicroom", "0")];
    let set = "<set xmlns='http://jabber.org/protocol/rsm'>";
    play_with("",
        &format!(
            "
        hag/pda connects
        {}
        {}
        {}
        hag/pda sends    <iq type='get' id='1' to='conference.{{domain}}'>{ITEMS}</iq>
        hag/pda receives <iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#items'>
                         <item jid='{{room coven}}'/><item jid='{{room heath}}'/></query></iq>
        hag/pda sends    <iq type='get' id='2' to='conference.{{domain}}'><query xmlns='http://jabber.org/protocol/disco#items'>{set}<max>1</max></set></query></iq>
        hag/pda receives <iq type='result' id='2'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='{{room coven}}'/>
                         {set}<first index='0'>{{room coven}}</first><last>{{room coven}}</last><count>2</count></set></query></iq>
        {}
        hag/pda receives <message type='groupchat'><x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>
        hag/pda sends    <iq type='get' id='3' to='conference.{{domain}}'>{ITEMS}</iq>
        hag/pda receives <iq type='result' id='3'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='{{room heath}}'/></query></iq>
        everyone is quiet
    ",
            made("hag/pda", "coven", "hag"),
            made("hag/pda", "heath", "hag"),
            made_with("hag/pda", "secret", "hag", &hidden),
            configured("hag/pda", "coven", &hidden),
        ),
    );
}

// §6.4
#[test]
fn a_room_tells_its_type_and_more_in_a_form() {
    play(&format!(
        "
        hag/pda connects
        crone/desktop connects
        {}
        crone/desktop sends    <iq type='get' id='1' to='{{room coven}}'>{INFO}</iq>
        crone/desktop receives <iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#info'>…
                      <identity category='conference' type='text' name='Cave'/>
                      <feature var='http://jabber.org/protocol/muc'/>
                      <feature var='http://jabber.org/protocol/muc#stable_id'/>
                      <feature var='muc_unsecured'/><feature var='muc_hidden'/><feature var='muc_persistent'/>
                      <feature var='muc_open'/><feature var='muc_moderated'/><feature var='muc_nonanonymous'/>
                      <feature var='urn:xmpp:mam:2'/>
                      <x xmlns='jabber:x:data' type='result'>…<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#roominfo</value></field>
                      <field var='muc#roominfo_description'><value>witches</value></field>
                      <field var='muc#roominfo_occupants'><value>1</value></field>
                      <field var='muc#roominfo_contactjid'><value>{{hag}}</value></field></x></query></iq>
        crone/desktop sends    <iq type='get' id='2' to='{{room nowhere}}'>{INFO}</iq>
        crone/desktop receives <iq type='error' id='2'>{{error cancel item-not-found}}</iq>
        everyone is quiet
    ",
        made_with(
            "hag/pda",
            "coven",
            "hag",
            &[
                ("muc#roomconfig_roomname", "Cave"),
                ("muc#roomconfig_roomdesc", "witches"),
                ("muc#roomconfig_publicroom", "0"),
                ("muc#roomconfig_persistentroom", "1"),
                ("muc#roomconfig_moderatedroom", "1"),
                ("muc#roomconfig_whois", "anyone"),
            ]
        )
    ));
}

// §6.5, §6.6
#[test]
fn who_is_inside_is_told_to_those_inside_alone() {
    play(&format!(
        "
        hag/pda connects
        crone/desktop connects
        {}
        crone/desktop sends    <iq type='get' id='1' to='{{room coven}}'>{ITEMS}</iq>
        crone/desktop receives <iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
        crone/desktop sends    <iq type='get' id='2' to='{{room coven}}/hag'>{INFO}</iq>
        crone/desktop receives <iq type='error' id='2' from='{{room coven}}/hag'>{{error modify bad-request}}</iq>
        {}
        crone/desktop sends    <iq type='get' id='3' to='{{room coven}}'>{ITEMS}</iq>
        crone/desktop receives <iq type='result' id='3'><query xmlns='http://jabber.org/protocol/disco#items'>
                               <item jid='{{room coven}}/hag'/><item jid='{{room coven}}/crone'/></query></iq>
        crone/desktop sends    <iq type='get' id='4' to='{{room coven}}/hag'>{INFO}</iq>
        hag/pda       receives <iq type='get' id='{{$passed}}' from='{{room coven}}/crone' to='{{hag/pda}}'>{INFO}</iq>
        hag/pda       sends    <iq type='result' id='{{$passed}}' to='{{room coven}}/crone'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='x'/></query></iq>
        crone/desktop receives <iq type='result' id='4' from='{{room coven}}/hag' to='{{crone/desktop}}'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='x'/></query></iq>
        # An answer that nobody has asked for goes nowhere.
        hag/pda       sends    <iq type='result' id='{{$passed}}' to='{{room coven}}/crone'/>
        everyone is quiet
    ",
        made("hag/pda", "coven", "hag"),
        enters("crone/desktop", "coven", "crone", &["hag/pda"]),
    ));
}

// §7.12, §18.1.1
#[test]
fn nodes_of_a_room_are_known_or_not() {
    play(&format!(
        "
        hag/pda connects
        {}
        hag/pda sends    <iq type='get' id='1' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/disco#info' node='http://jabber.org/protocol/muc#traffic'/></iq>
        hag/pda receives <iq type='error' id='1'>{{error cancel service-unavailable}}</iq>
        hag/pda sends    <iq type='get' id='2' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/disco#info' node='nowhere'/></iq>
        hag/pda receives <iq type='error' id='2'>{{error cancel item-not-found}}</iq>
        hag/pda sends    <iq type='get' id='3' to='{{room coven}}'><query xmlns='urn:example:unknown'/></iq>
        hag/pda receives <iq type='error' id='3'>{{error cancel service-unavailable}}</iq>
        everyone is quiet
    ",
        made("hag/pda", "coven", "hag"),
    ));
}

// §6.3, XEP-0059 §2: more rooms than one answer has.
#[test]
fn a_long_list_of_rooms_is_read_page_by_page() {
    let rooms: String =
        (100..202).map(|number| made("hag/pda", &format!("r{number}"), "hag")).collect();
    let page = |id: &str, rsm: &str, rooms: std::ops::Range<u32>, index: u32| {
        let set = "<set xmlns='http://jabber.org/protocol/rsm'>";
        let items: String =
            rooms.clone().map(|number| format!("<item jid='{{room r{number}}}'/>")).collect();
        let asked = if rsm.is_empty() { String::new() } else { format!("{set}{rsm}</set>") };
        format!(
            "
            hag/pda sends    <iq type='get' id='{id}' to='conference.{{domain}}'><query xmlns='http://jabber.org/protocol/disco#items'>{asked}</query></iq>
            hag/pda receives <iq type='result' id='{id}'><query xmlns='http://jabber.org/protocol/disco#items'>{items}{set}<first index='{index}'>{{room r{}}}</first><last>{{room r{}}}</last><count>102</count></set></query></iq>
            ",
            rooms.start,
            rooms.end - 1,
        )
    };
    play_with(
        "[room]\nrooms_per_account = 200",
        &format!(
            "
        hag/pda connects
        {rooms}
        {}
        {}
        {}
        everyone is quiet
    ",
            page("1", "", 100..200, 0),
            page("2", "<after>{room r199}</after>", 200..202, 100),
            page("3", "<max>3</max><before/>", 199..202, 99),
        ),
    );
}
