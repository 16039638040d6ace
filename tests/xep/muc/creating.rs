//! XEP-0045 Multi-User Chat. Creating a room (§10.1).

use super::{enters, made};
use crate::stage::{Stage, play, play_on, play_with};

const X: &str = "<x xmlns='http://jabber.org/protocol/muc'/>";
const USER: &str = "http://jabber.org/protocol/muc#user";
const OWNER: &str = "http://jabber.org/protocol/muc#owner";

// §10.1.1, §10.1.2, §7.2.10
#[test]
fn an_instant_room_is_locked_until_its_maker_accepts_it() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        crone/desktop sends    <presence id='n' to='{{room coven}}/first'>{X}</presence>
        crone/desktop receives <presence id='n' from='{{room coven}}/first'>…<x xmlns='{USER}'><item affiliation='owner' role='moderator'/><status code='110'/><status code='201'/></x></presence>
        crone/desktop receives <message type='groupchat' from='{{room coven}}'><subject/></message>
        hag/pda       sends    <presence id='1' to='{{room coven}}/hag'>{X}</presence>
        hag/pda       receives <presence type='error' id='1'>…{{error cancel item-not-found}}</presence>
        # §17.2 rule 3
        crone/desktop sends    <message type='groupchat' id='2' to='{{room coven}}'><body>hi</body></message>
        crone/desktop receives <message type='error' id='2'>{{error cancel item-not-found}}</message>
        crone/desktop sends    <iq type='set' id='i' to='{{room coven}}'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'/></query></iq>
        crone/desktop receives <iq type='result' id='i'/>
        {}
        everyone is quiet
    ",
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §10.1.3
#[test]
fn a_reserved_room_is_configured_by_its_form() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        crone/desktop sends    <presence to='{{room coven}}/first'>{X}</presence>
        crone/desktop finds    <message type='groupchat'><subject/></message>
        hag/pda       sends    <iq type='get' id='0' to='{{room coven}}'><query xmlns='{OWNER}'/></iq>
        hag/pda       receives <iq type='error' id='0'>{{error cancel item-not-found}}</iq>
        crone/desktop sends    <iq type='get' id='1' to='{{room coven}}'><query xmlns='{OWNER}'/></iq>
        crone/desktop receives <iq type='result' id='1'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='form'>…
                               <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#roomconfig</value></field>
                               <field var='muc#roomconfig_roomname' type='text-single'>…</field>
                               <field var='muc#roomconfig_whois' type='list-single'>…<value>moderators</value></field>
                               <field var='muc#roomconfig_roomowners' type='jid-multi'><value>{{crone}}</value></field></x></query></iq>
        # A password that is blank makes no sense.
        crone/desktop sends    <iq type='set' id='2' to='{{room coven}}'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>
                               <field var='muc#roomconfig_passwordprotectedroom'><value>1</value></field></x></query></iq>
        crone/desktop receives <iq type='error' id='2'>{{error modify not-acceptable}}</iq>
        crone/desktop sends    <iq type='set' id='3' to='{{room coven}}'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>
                               <field var='muc#roomconfig_roomname'><value>A Dark Cave</value></field>
                               <field var='muc#roomconfig_roomadmins'><value>{{wicca}}</value></field></x></query></iq>
        crone/desktop hears    <iq type='result' id='3'/>
                               <message><x xmlns='{USER}'><item affiliation='admin' jid='{{wicca}}'/>…</x>…</message>
        {}
        everyone is quiet
        wicca/laptop connects
        wicca/laptop receives <message from='{{room coven}}' to='{{wicca}}'><x xmlns='{USER}'><item affiliation='admin' role='none'/><status code='101'/></x>…</message>
        wicca/laptop sends     <presence to='{{room coven}}/wicca'>{X}</presence>
        wicca/laptop receives  <presence from='{{room coven}}/first'>…</presence>
        wicca/laptop receives  <presence from='{{room coven}}/hag'>…</presence>
        wicca/laptop receives  <presence from='{{room coven}}/wicca'>…<x xmlns='{USER}'><item affiliation='admin' role='moderator'/><status code='110'/></x></presence>
    ",
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §10.1.3, last two paragraphs
#[test]
fn a_room_whose_first_configuration_is_cancelled_is_no_room() {
    play(&format!(
        "
        crone/desktop connects
        crone/desktop sends    <presence to='{{room coven}}/first'>{X}</presence>
        crone/desktop finds    <message type='groupchat'><subject/></message>
        crone/desktop sends    <iq type='set' id='1' to='{{room coven}}'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='cancel'/></query></iq>
        crone/desktop receives <presence type='unavailable' from='{{room coven}}/first'>…<x xmlns='{USER}'><item affiliation='none' role='none'/><destroy/><status code='110'/></x></presence>
        crone/desktop receives <iq type='result' id='1'/>
        crone/desktop sends    <iq type='get' id='2' to='{{room coven}}'><query xmlns='{OWNER}'/></iq>
        crone/desktop receives <iq type='error' id='2'>{{error cancel item-not-found}}</iq>
        # The maker goes before they have configured it.
        crone/desktop sends    <presence to='{{room coven}}/first'>{X}</presence>
        crone/desktop finds    <message type='groupchat'><subject/></message>
        crone/desktop sends    <presence type='unavailable' to='{{room coven}}/first'/>
        crone/desktop receives <presence type='unavailable' from='{{room coven}}/first'>…<x xmlns='{USER}'><item affiliation='none' role='none'/><destroy/><status code='110'/></x></presence>
        crone/desktop sends    <iq type='get' id='3' to='{{room coven}}'><query xmlns='{OWNER}'/></iq>
        crone/desktop receives <iq type='error' id='3'>{{error cancel item-not-found}}</iq>
        everyone is quiet
    "
    ));
}

// §10.1.1
#[test]
fn who_may_not_make_rooms_is_told_so() {
    play_with(
        "[room]\ncreate = 'admins'\nadmins = ['crone-boss@localhost']",
        &format!(
            "
        hag/pda sends    <presence id='1' to='{{room coven}}/hag'>{X}</presence>
        hag/pda receives <presence type='error' id='1'>…{{error cancel not-allowed}}</presence>
        everyone is quiet
    "
        )
        .replacen("        hag", "        hag/pda connects\n        hag", 1),
    );
}

// §14.6
#[test]
fn nobody_makes_more_rooms_than_he_may() {
    // The service may hear a moment later, from another member, that a room is none any more.
    play_on(
        &Stage::start("[room]\nrooms_per_account = 2"),
        &format!(
            "
        hag/pda connects
        {}
        {}
        hag/pda sends    <presence id='1' to='{{room third}}/hag'>{X}</presence>
        hag/pda receives <presence type='error' id='1'>…{{error cancel not-allowed}}</presence>
        hag/pda sends    <presence type='unavailable' to='{{room one}}/hag'/>
        hag/pda receives <presence type='unavailable'>…</presence>
        {}
        everyone is quiet
    ",
            made("hag/pda", "one", "hag"),
            made("hag/pda", "two", "hag"),
            made("hag/pda", "third", "hag"),
        ),
    );
}

// §14.6: however many have made them.
#[test]
fn a_service_has_no_more_rooms_than_it_may() {
    play_with("[room]\nrooms = 1",
        &format!(
            "
        crone/desktop connects
        hag/pda       connects
        {}
        hag/pda sends    <presence id='1' to='{{room heath}}/hag'>{X}</presence>
        hag/pda receives <presence type='error' id='1'>…{{error wait resource-constraint}}</presence>
        crone/desktop sends    <presence type='unavailable' to='{{room coven}}/first'/>
        crone/desktop receives <presence type='unavailable'>…</presence>
        everyone is quiet
        {}
        everyone is quiet
    ",
            made("crone/desktop", "coven", "first"),
            made("hag/pda", "heath", "hag"),
        ),
    );
}

// §10.1.1 step 5, §14.6: a room that nobody configures is taken as it is.
#[test]
fn a_room_that_nobody_configures_opens_after_a_while() {
    play_with("[room]\nunconfigured_seconds = 0",
        &format!(
            "
        crone/desktop connects
        hag/pda       connects
        crone/desktop sends    <presence to='{{room coven}}/first'>{X}</presence>
        crone/desktop finds    <message type='groupchat'><subject/></message>
        crone/desktop finds    <message type='groupchat' from='{{room coven}}'><x xmlns='{USER}'><status code='104'/></x></message>
        {}
        everyone is quiet
    ",
            enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        ),
    );
}

#[test]
fn a_new_room_is_as_the_operator_says() {
    play_with("[room.defaults]\nmembersonly = true\nnonanonymous = true\nallowpm = 'none'\nmaxusers = 7\nregistration = false\n\
         slow_mode_duration = 9\nlang = 'de'\npresencebroadcast = ['moderator']\ngetmemberlist = []\nnickslocked = true", &format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        hag/pda       sends    <iq type='get' id='1' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        hag/pda       receives <iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#info'>…<feature var='muc_membersonly'/><feature var='muc_unmoderated'/><feature var='muc_nonanonymous'/>…
                               <x xmlns='jabber:x:data'>…<field var='muc#roomconfig_allowpm'><value>none</value></field><field var='muc#roominfo_lang'><value>de</value></field>
                               <field var='muc#roominfo_slow_mode_duration'><value>9</value></field></x></query></iq>
        crone/desktop sends    <iq type='get' id='c' to='{{room coven}}'><query xmlns='{OWNER}'/></iq>
        crone/desktop receives <iq type='result' id='c'><query xmlns='{OWNER}'><x xmlns='jabber:x:data'>…<field var='muc#roomconfig_maxusers'>…<value>7</value></field>
                               <field var='muc#roomconfig_presencebroadcast'>…<value>moderator</value></field><field var='rookery#roomconfig_registration'>…<value>0</value></field>
                               <field var='rookery#roomconfig_nickslocked'>…<value>1</value></field></x></query></iq>
        hag/pda       sends    <presence to='{{room coven}}/hag' id='2'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        hag/pda       receives <presence type='error' id='2'>…{{error auth registration-required}}</presence>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
    ));
}
