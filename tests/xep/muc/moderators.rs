//! XEP-0045 Multi-User Chat. What moderators may (§8.2 to §8.6), and who asks them (§7.13).

use super::{enters, made, made_with};
use crate::stage::play;

const USER: &str = "http://jabber.org/protocol/muc#user";
const ADMIN: &str = "http://jabber.org/protocol/muc#admin";

fn room_of_three() -> String {
    format!(
        "
        crone/desktop connects
        hag/pda       connects
        wicca/laptop  connects
        {}
        {}
        {}
        ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        enters("wicca/laptop", "coven", "wicca", &["crone/desktop", "hag/pda"]),
    )
}

/// A change of a role, with the answer.
fn role(who: &str, id: &str, nick: &str, role: &str) -> String {
    format!(
        "
        {who} sends <iq type='set' id='{id}' to='{{room coven}}'><query xmlns='{ADMIN}'><item nick='{nick}' role='{role}'><reason>So be it</reason></item></query></iq>
        "
    )
}

// §8.2
#[test]
fn a_kick_removes_with_a_reason_and_the_name_of_who_did_it() {
    play(&format!(
        "
        {}
        {}
        hag/pda       receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='none' role='none'>…<actor nick='first'/><reason>So be it</reason></item><status code='110'/><status code='307'/></x></presence>
        # Who has asked for it hears that it is done before they see it (§8.2).
        crone/desktop receives <iq type='result' id='k'/>
        crone/desktop receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='none'>…</item><status code='307'/></x></presence>
        wicca/laptop  receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='none' jid='{{none}}'>…</item><status code='307'/></x></presence>
        # They may come again.
        {}
        everyone is quiet
    ",
        room_of_three(),
        role("crone/desktop", "k", "hag", "none"),
        enters("hag/pda", "coven", "hag", &["crone/desktop", "wicca/laptop"]),
    ));
}

// §8.2, §8.3, §8.4: those who may not, and those who are above.
#[test]
fn who_is_no_moderator_changes_nobody_and_nobody_is_changed_from_below() {
    play(&format!(
        "
        {}
        {}
        hag/pda       receives <iq type='error' id='1'>…{{error auth forbidden}}</iq>
        {}
        crone/desktop receives <iq type='result' id='2'/>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='moderator'>…</item></x></presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='moderator'>…</item><status code='110'/></x></presence>
        wicca/laptop  receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='moderator'>…</item></x></presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/wicca'>…</presence>
        {}
        hag/pda       receives <iq type='error' id='3'>…{{error cancel not-allowed}}</iq>
        {}
        hag/pda       receives <iq type='error' id='4'><query xmlns='{ADMIN}'><item nick='first' role='visitor'><reason>So be it</reason></item></query>{{error cancel not-allowed}}</iq>
        {}
        hag/pda       receives <iq type='error' id='5'>{{error cancel item-not-found}}</iq>
        {}
        hag/pda       receives <iq type='error' id='6'>…{{error cancel conflict}}</iq>
        hag/pda       sends    <iq type='set' id='7' to='{{room coven}}'><query xmlns='{ADMIN}'><item nick='wicca' role='none' affiliation='none'/></query></iq>
        hag/pda       receives <iq type='error' id='7'>{{error modify bad-request}}</iq>
        everyone is quiet
    ",
        room_of_three(),
        role("hag/pda", "1", "wicca", "none"),
        role("crone/desktop", "2", "hag", "moderator"),
        role("hag/pda", "3", "first", "none"),
        role("hag/pda", "4", "first", "visitor"),
        role("hag/pda", "5", "nobody", "none"),
        role("hag/pda", "6", "hag", "none"),
    ));
}

// §8.3, §8.4, §8.5
#[test]
fn voice_is_given_and_taken_and_listed() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {}
        crone/desktop receives <iq type='result' id='1'/>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='participant' affiliation='none'>…<reason>So be it</reason></item></x></presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='participant'>…</item><status code='110'/></x></presence>
        crone/desktop sends    <iq type='get' id='2' to='{{room coven}}'><query xmlns='{ADMIN}'><item role='participant'/></query></iq>
        crone/desktop receives <iq type='result' id='2'><query xmlns='{ADMIN}'><item nick='hag' role='participant' affiliation='none' jid='{{hag/pda}}'/></query></iq>
        hag/pda       sends    <iq type='get' id='3' to='{{room coven}}'><query xmlns='{ADMIN}'><item role='participant'/></query></iq>
        hag/pda       receives <iq type='error' id='3'>…{{error auth forbidden}}</iq>
        hag/pda       sends    <message type='groupchat' id='m' to='{{room coven}}'><body>hi</body></message>
        hag/pda       receives <message id='m'>…</message>
        crone/desktop receives <message id='m'>…</message>
        {}
        crone/desktop receives <iq type='result' id='4'/>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='visitor'>…</item></x></presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='visitor'>…</item><status code='110'/></x></presence>
        hag/pda       sends    <message type='groupchat' id='n' to='{{room coven}}'><body>hi</body></message>
        hag/pda       receives <message type='error' id='n'>{{error auth forbidden}}</message>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_moderatedroom", "1")]),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        role("crone/desktop", "1", "hag", "participant"),
        role("crone/desktop", "4", "hag", "visitor"),
    ));
}

// §8, item 1: whoever becomes a moderator, by role or by affiliation, is shown addresses, of those too who are there.
#[test]
fn a_new_moderator_is_shown_the_addresses_of_all_who_are_there() {
    let affiliation = |id: &str, affiliation: &str| {
        format!(
            "crone/desktop sends <iq type='set' id='{id}' to='{{room coven}}'><query xmlns='{ADMIN}'><item jid='{{wicca}}' affiliation='{affiliation}'/></query></iq>"
        )
    };
    let of = |who: &str, nick: &str, item: &str| {
        format!(
            "{who} receives <presence from='{{room coven}}/{nick}'>…<x xmlns='{USER}'><item {item}>…</item>…</x></presence>"
        )
    };
    play(&format!(
        "
        {}
        {}
        crone/desktop receives <iq type='result' id='1'/>
        {}
        {}
        {}
        {}
        {}
        # Who is one already is shown nothing again, nor who is one no more.
        {}
        crone/desktop receives <iq type='result' id='2'/>
        {}
        {}
        {}
        {}
        crone/desktop receives <iq type='result' id='3'/>
        {}
        {}
        {}
        {}
        {}
        everyone is quiet
    ",
        room_of_three(),
        role("crone/desktop", "1", "hag", "moderator"),
        of("crone/desktop", "hag", "role='moderator' jid='{hag/pda}'"),
        of("hag/pda", "hag", "role='moderator'"),
        of("wicca/laptop", "hag", "role='moderator' jid='{none}'"),
        of("hag/pda", "first", "role='moderator' jid='{crone/desktop}'"),
        of("hag/pda", "wicca", "role='participant' jid='{wicca/laptop}'"),
        role("crone/desktop", "2", "hag", "participant"),
        of("crone/desktop", "hag", "role='participant'"),
        of("hag/pda", "hag", "role='participant'"),
        of("wicca/laptop", "hag", "role='participant'"),
        affiliation("3", "admin"),
        of("crone/desktop", "wicca", "affiliation='admin'"),
        of("hag/pda", "wicca", "affiliation='admin' jid='{none}'"),
        of("wicca/laptop", "wicca", "affiliation='admin' role='moderator'"),
        of("wicca/laptop", "first", "jid='{crone/desktop}'"),
        of("wicca/laptop", "hag", "jid='{hag/pda}'"),
    ));
}

// §7.13, §8.6
#[test]
fn a_visitor_asks_for_voice_and_a_moderator_grants_it() {
    let form = |fields: &str| {
        format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>{fields}</x>"
        )
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <message id='v' to='{{room coven}}'>{}</message>
        crone/desktop receives <message from='{{room coven}}'><x xmlns='jabber:x:data' type='form'>…
                               <field var='muc#role'>…<value>participant</value></field><field var='muc#jid'><value>{{hag/pda}}</value></field>
                               <field var='muc#roomnick'><value>hag</value></field><field var='muc#request_allow' type='boolean'><value>0</value></field></x>…</message>
        hag/pda       sends    <message id='w' to='{{room coven}}'>{}</message>
        hag/pda       receives <message type='error' id='w'>{{error auth forbidden}}</message>
        crone/desktop sends    <message to='{{room coven}}'>{}</message>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='participant'>…</item><status code='110'/></x></presence>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='participant'>…</item></x></presence>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_moderatedroom", "1")]),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        form("<field var='muc#role'><value>participant</value></field>"),
        form("<field var='muc#roomnick'><value>hag</value></field><field var='muc#request_allow'><value>1</value></field>"),
        form("<field var='muc#role'><value>participant</value></field><field var='muc#jid'><value>{hag/pda}</value></field>\
              <field var='muc#roomnick'><value>hag</value></field><field var='muc#request_allow'><value>true</value></field>"),
    ));
}

// §8.4, §9.7: not even an owner takes voice from an admin, or makes him less than a moderator.
#[test]
fn nobody_takes_voice_from_an_admin() {
    let refused = |id: &str, role: &str| {
        format!(
            "crone/desktop receives <iq type='error' id='{id}'><query xmlns='{ADMIN}'><item nick='hag' role='{role}'><reason>So be it</reason></item></query>{{error cancel not-allowed}}</iq>"
        )
    };
    play(&format!(
        "
        {}
        crone/desktop sends    <iq type='set' id='a' to='{{room coven}}'><query xmlns='{ADMIN}'><item affiliation='admin' jid='{{hag}}'/></query></iq>
        crone/desktop receives <iq type='result' id='a'/>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…<x xmlns='{USER}'><item jid='{{crone/desktop}}'>…</item>…</x></presence>
        hag/pda       receives <presence from='{{room coven}}/wicca'>…<x xmlns='{USER}'><item jid='{{wicca/laptop}}'>…</item>…</x></presence>
        wicca/laptop  receives <presence from='{{room coven}}/hag'>…</presence>
        {}{}
        {}{}
        everyone is quiet
    ",
        room_of_three(),
        role("crone/desktop", "1", "hag", "visitor"),
        refused("1", "visitor"),
        role("crone/desktop", "2", "hag", "participant"),
        refused("2", "participant"),
    ));
}

// §9.6: a moderator who is no admin makes no others, nor unmakes them (§9.7).
#[test]
fn moderators_are_no_matter_of_moderators() {
    let seen = |nick: &str| -> String {
        let line = |who: &str| {
            format!(
                "{who} receives <presence from='{{room coven}}/{nick}'>…<x xmlns='{USER}'><item role='moderator'>…</item>…</x></presence>\n"
            )
        };
        ["crone/desktop", "hag/pda", "wicca/laptop"].map(line).concat()
    };
    // Whoever has become one is shown the others.
    let shown = |who: &str, others: [&str; 2]| {
        others
            .map(|nick| {
                format!("{who} receives <presence from='{{room coven}}/{nick}'>…</presence>\n")
            })
            .concat()
    };
    play(&format!(
        "
        {}
        {}
        crone/desktop receives <iq type='result' id='1'/>
        {}
        {}
        hag/pda       receives <iq type='error' id='2'>…{{error auth forbidden}}</iq>
        {}
        crone/desktop receives <iq type='result' id='3'/>
        {}
        {}
        hag/pda       receives <iq type='error' id='4'>…{{error auth forbidden}}</iq>
        everyone is quiet
    ",
        room_of_three(),
        role("crone/desktop", "1", "hag", "moderator"),
        seen("hag") + &shown("hag/pda", ["first", "wicca"]),
        role("hag/pda", "2", "wicca", "moderator"),
        role("crone/desktop", "3", "wicca", "moderator"),
        seen("wicca") + &shown("wicca/laptop", ["first", "hag"]),
        role("hag/pda", "4", "wicca", "participant"),
    ));
}
