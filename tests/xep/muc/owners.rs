//! XEP-0045 Multi-User Chat. What owners may (§10.2 to §10.8).

use super::{configured, enters, made_with};
use crate::stage::{Stage, play};

const USER: &str = "http://jabber.org/protocol/muc#user";
const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const OWNER: &str = "http://jabber.org/protocol/muc#owner";

fn set(who: &str, id: &str, items: &str) -> String {
    format!(
        "
        {who} sends <iq type='set' id='{id}' to='{{room coven}}'><query xmlns='{ADMIN}'>{items}</query></iq>
        "
    )
}

fn two(fields: &[(&str, &str)]) -> String {
    format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        ",
        made_with("crone/desktop", "coven", "first", fields),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    )
}

/// Everybody hears these status codes.
fn told(codes: &[u16]) -> String {
    let codes: String = codes.iter().map(|code| format!("<status code='{code}'/>")).collect();
    let line = |who| {
        format!(
            "{who} receives <message type='groupchat' from='{{room coven}}'><x xmlns='{USER}'>{codes}</x></message>\n"
        )
    };
    line("crone/desktop") + &line("hag/pda")
}

// §10.2
#[test]
fn only_owners_see_and_change_the_configuration() {
    play(&format!(
        "
        {}
        hag/pda       sends    <iq type='get' id='1' to='{{room coven}}'><query xmlns='{OWNER}'/></iq>
        hag/pda       receives <iq type='error' id='1'>…{{error auth forbidden}}</iq>
        hag/pda       sends    <iq type='set' id='2' to='{{room coven}}'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'/></query></iq>
        hag/pda       receives <iq type='error' id='2'>…{{error auth forbidden}}</iq>
        crone/desktop sends    <iq type='set' id='3' to='{{room coven}}'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='cancel'/></query></iq>
        crone/desktop receives <iq type='result' id='3'/>
        crone/desktop sends    <iq type='set' id='4' to='{{room coven}}'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_whois'><value>dogs</value></field></x></query></iq>
        crone/desktop receives <iq type='error' id='4'>{{error modify not-acceptable}}</iq>
        crone/desktop sends    <iq type='get' id='5' to='{{room coven}}'><query xmlns='{OWNER}'/></iq>
        crone/desktop receives <iq type='result' id='5'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='form'>…<field var='muc#roomconfig_roomname'><value>Cave</value></field></x></query></iq>
        everyone is quiet
    ",
        two(&[("muc#roomconfig_roomname", "Cave")]),
    ));
}

// §10.2.1
#[test]
fn changes_that_matter_to_privacy_have_codes_of_their_own() {
    play(&format!(
        "
        {}
        {}{}
        {}{}
        {}{}
        {}{}
        {}{}
        everyone is quiet
    ",
        two(&[]),
        configured("crone/desktop", "coven", &[("muc#roomconfig_enablelogging", "1")]),
        told(&[170]),
        configured("crone/desktop", "coven", &[("muc#roomconfig_enablelogging", "0")]),
        told(&[171]),
        configured("crone/desktop", "coven", &[("muc#roomconfig_whois", "anyone")]),
        told(&[172])
            + &format!(
                "hag/pda receives <presence from='{{room coven}}/first'>…<x xmlns='{USER}'><item role='moderator' jid='{{crone/desktop}}'/></x></presence>"
            ),
        configured("crone/desktop", "coven", &[("muc#roomconfig_whois", "moderators")]),
        told(&[173]),
        configured("crone/desktop", "coven", &[("muc#roomconfig_roomname", "New")]),
        told(&[104]),
    ));
}

// §10.2, last paragraph
#[test]
fn strangers_go_when_a_room_becomes_members_only() {
    play(&format!(
        "
        {}
        {}
        {}
        crone/desktop receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='none'/><status code='322'/></x></presence>
        hag/pda       receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='none'/><status code='110'/><status code='322'/></x></presence>
        everyone is quiet
    ",
        two(&[]),
        configured("crone/desktop", "coven", &[("muc#roomconfig_membersonly", "1")]),
        told(&[104]),
    ));
}

// §10.2: the lists of admins and owners in the form.
#[test]
fn the_form_makes_and_unmakes_admins() {
    play(&format!(
        "
        {}
        crone/desktop sends    <iq type='set' id='a' to='{{room coven}}'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_roomadmins'><value>{{hag}}</value></field></x></query></iq>
        crone/desktop hears    <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='admin' role='moderator'>…</item>…</x></presence>
                               <iq type='result' id='a'/>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='admin' role='moderator'>…</item>…</x></presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…<x xmlns='{USER}'><item jid='{{crone/desktop}}'>…</item>…</x></presence>
        crone/desktop sends    <iq type='set' id='b' to='{{room coven}}'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_roomadmins'/></x></query></iq>
        crone/desktop hears    <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='member' role='participant'>…</item>…</x></presence>
                               <iq type='result' id='b'/>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='member' role='participant'>…</item>…</x></presence>
        crone/desktop sends    <iq type='set' id='c' to='{{room coven}}'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_roomowners'/></x></query></iq>
        crone/desktop receives <iq type='error' id='c'>{{error cancel conflict}}</iq>
        everyone is quiet
    ",
        two(&[]),
    ));
}

// §10.2, §10.4
#[test]
fn the_form_makes_and_unmakes_owners() {
    let owners = |id: &str, who: &str| {
        format!(
            "crone/desktop sends <iq type='set' id='{id}' to='{{room coven}}'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'>
             <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_roomowners'>{who}</field></x></query></iq>"
        )
    };
    let is = |nick: &str, affiliation: &str| {
        format!(
            "<presence from='{{room coven}}/{nick}'>…<x xmlns='{USER}'><item affiliation='{affiliation}' role='moderator'>…</item>…</x></presence>"
        )
    };
    play(&format!(
        "
        {}
        {}
        crone/desktop hears    {}
                               <iq type='result' id='1'/>
        hag/pda       receives {}
        hag/pda       receives <presence from='{{room coven}}/first'>…<x xmlns='{USER}'><item jid='{{crone/desktop}}'>…</item>…</x></presence>
        {}
        crone/desktop hears    {}
                               <iq type='result' id='2'/>
        hag/pda       receives {}
        everyone is quiet
    ",
        two(&[]),
        owners("1", "<value>{crone}</value><value>{hag}</value>"),
        is("hag", "owner"),
        is("hag", "owner"),
        owners("2", "<value>{crone}</value>"),
        is("hag", "admin"),
        is("hag", "admin"),
    ));
}

// §10.3, §10.4, §10.5
#[test]
fn owners_are_made_and_the_last_one_stays() {
    play(&format!(
        "
        {}
        {}
        crone/desktop receives <iq type='error' id='1'>…{{error cancel conflict}}</iq>
        {}
        hag/pda       receives <iq type='error' id='2'>…{{error auth forbidden}}</iq>
        {}
        crone/desktop receives <iq type='result' id='3'/>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='owner' role='moderator'>…</item>…</x></presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='owner' role='moderator'>…</item>…</x></presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…<x xmlns='{USER}'><item jid='{{crone/desktop}}'>…</item>…</x></presence>
        hag/pda       sends    <iq type='get' id='4' to='{{room coven}}'><query xmlns='{ADMIN}'><item affiliation='owner'/></query></iq>
        hag/pda       receives <iq type='result' id='4'><query xmlns='{ADMIN}'><item affiliation='owner' jid='{{crone}}'/><item affiliation='owner' jid='{{hag}}'/></query></iq>
        {}
        crone/desktop receives <iq type='result' id='5'/>
        crone/desktop receives <presence from='{{room coven}}/first'>…<x xmlns='{USER}'><item affiliation='admin' role='moderator'>…</item>…<status code='110'/></x></presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…<x xmlns='{USER}'><item affiliation='admin' role='moderator'>…</item>…</x></presence>
        crone/desktop sends    <iq type='get' id='6' to='{{room coven}}'><query xmlns='{ADMIN}'><item affiliation='owner'/></query></iq>
        crone/desktop receives <iq type='error' id='6'>{{error auth forbidden}}</iq>
        everyone is quiet
    ",
        two(&[]),
        set("crone/desktop", "1", "<item affiliation='admin' jid='{crone}'/>"),
        set("hag/pda", "2", "<item affiliation='owner' jid='{hag}'/>"),
        set("crone/desktop", "3", "<item affiliation='owner' jid='{hag}'/>"),
        set("crone/desktop", "5", "<item affiliation='admin' jid='{crone}'/>"),
    ));
}

// §10.6, §10.7, §10.8
#[test]
fn admins_are_made_and_unmade_by_owners() {
    play(&format!(
        "
        {}
        {}
        crone/desktop receives <iq type='result' id='1'/>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='admin' role='moderator'>…</item>…</x></presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='admin' role='moderator'>…</item>…</x></presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…<x xmlns='{USER}'><item jid='{{crone/desktop}}'>…</item>…</x></presence>
        {}
        hag/pda       receives <iq type='error' id='2'>…{{error auth forbidden}}</iq>
        crone/desktop sends    <iq type='get' id='3' to='{{room coven}}'><query xmlns='{ADMIN}'><item affiliation='admin'/></query></iq>
        crone/desktop receives <iq type='result' id='3'><query xmlns='{ADMIN}'><item affiliation='admin' jid='{{hag}}'/></query></iq>
        {}
        crone/desktop receives <iq type='result' id='4'/>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='none' role='participant'>…</item>…</x></presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='none' role='participant'>…</item>…</x></presence>
        everyone is quiet
    ",
        two(&[]),
        set("crone/desktop", "1", "<item affiliation='admin' jid='{hag}'/>"),
        set("hag/pda", "2", "<item affiliation='admin' jid='{wicca}'/>"),
        set("crone/desktop", "4", "<item affiliation='none' jid='{hag}'/>"),
    )
    .replacen("crone/desktop connects", "wicca/laptop connects\ncrone/desktop connects", 1));
}

// §5.1: where nobody needs voice any more, everybody has it.
#[test]
fn visitors_may_speak_when_a_room_is_not_moderated_any_more() {
    play(&format!(
        "
        {}
        {}
        {}
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='participant'/></x></presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='participant'/><status code='110'/></x></presence>
        everyone is quiet
    ",
        two(&[("muc#roomconfig_moderatedroom", "1")]),
        configured("crone/desktop", "coven", &[("muc#roomconfig_moderatedroom", "0")]),
        told(&[104]),
    ));
}

// The operator's own admins.
#[test]
fn who_administers_the_service_owns_every_room() {
    let stage = Stage::start("[room]\nadmins = ['boss@localhost']");
    stage.add_accounts(&["boss", "crone"]);
    let town = town::Town {
        addresses: vec![stage.c2s],
        domains: vec!["localhost".to_owned()],
        suffix: String::new(),
        password: crate::stage::PASSWORD.to_owned(),
    };
    town.play(&town::Story::read(&format!(
        "
        crone/desktop connects
        boss/office   connects
        {}
        boss/office   sends    <presence to='{{room coven}}/boss'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        boss/office   receives <presence from='{{room coven}}/first'>…</presence>
        boss/office   receives <presence from='{{room coven}}/boss'>…<x xmlns='{USER}'><item affiliation='owner' role='moderator'/><status code='110'/></x></presence>
        boss/office   receives <message><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/boss'>…</presence>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_membersonly", "1")]),
    )));
}

// §10.3, §10.4, §10.7, §10.8: whoever is no owner, though an admin, sees and changes neither list.
#[test]
fn the_lists_of_owners_and_admins_are_for_owners_alone() {
    let forbidden = |id: &str| {
        format!("hag/pda receives <iq type='error' id='{id}'>…{{error auth forbidden}}</iq>")
    };
    let asks = |id: &str, affiliation: &str| {
        format!(
            "hag/pda sends <iq type='get' id='{id}' to='{{room coven}}'><query xmlns='{ADMIN}'><item affiliation='{affiliation}'/></query></iq>"
        )
    };
    play(&format!(
        "
        wicca/laptop connects
        {}
        {}
        crone/desktop finds    <iq type='result' id='1'/>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='admin' role='moderator'>…</item>…</x></presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…<x xmlns='{USER}'><item jid='{{crone/desktop}}'>…</item>…</x></presence>
        {}
        {}
        {}
        {}
        {}
        {}
        {}
        {}
        {}
        {}
        {}
        {}
        hag/pda       is quiet
    ",
        two(&[]),
        set("crone/desktop", "1", "<item affiliation='admin' jid='{hag}'/><item affiliation='admin' jid='{wicca}'/>"),
        set("hag/pda", "2", "<item affiliation='none' jid='{wicca}'/>"),
        forbidden("2"),
        set("hag/pda", "3", "<item affiliation='admin' jid='{crone}'/>"),
        forbidden("3"),
        set("hag/pda", "4", "<item affiliation='owner' jid='{wicca}'/>"),
        forbidden("4"),
        set("hag/pda", "5", "<item affiliation='none' jid='{hag}'/>"),
        forbidden("5"),
        asks("6", "admin"),
        forbidden("6"),
        asks("7", "owner"),
        forbidden("7"),
    ));
}
