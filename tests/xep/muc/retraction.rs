//! XEP-0424 Message Retraction.

use super::{configured, enters, made, made_with};
use crate::stage::play;

const RETRACT: &str = "urn:xmpp:message-retract:1";

// XEP-0424 §3, §4, §5
#[test]
fn what_somebody_takes_back_is_a_tombstone_and_nobody_takes_back_what_is_not_his() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        wicca/laptop  connects
        {}
        {}
        hag/pda       sends    <message type='groupchat' id='m1' to='{{room coven}}'><body>oops</body></message>
        hag/pda       receives <message id='m1'><stanza-id xmlns='urn:xmpp:sid:0' id='{{$sid}}'/>…</message>
        crone/desktop receives <message id='m1'>…</message>
        crone/desktop sends    <message type='groupchat' id='r0' to='{{room coven}}'><retract xmlns='{RETRACT}' id='{{$sid}}'/></message>
        crone/desktop receives <message type='error' id='r0' from='{{room coven}}'>{{error auth forbidden}}</message>
        hag/pda       sends    <iq type='set' id='q1' to='{{room coven}}'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='ids'><value>{{$sid}}</value></field></x></query></iq>
        hag/pda       receives <message><result xmlns='urn:xmpp:mam:2' id='{{$sid}}'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/><message xmlns='jabber:client' id='m1'><body>oops</body>…</message></forwarded></result></message>
        hag/pda       receives <iq type='result' id='q1'>…</iq>
        hag/pda       sends    <message type='groupchat' id='r1' to='{{room coven}}'><retract xmlns='{RETRACT}' id='{{$sid}}'/></message>
        hag/pda       receives <message id='r1'>…</message>
        crone/desktop receives <message id='r1' from='{{room coven}}/hag'><retract xmlns='{RETRACT}' id='{{$sid}}'/>…</message>
        everyone is quiet
        hag/pda       sends    <iq type='set' id='q2' to='{{room coven}}'><query xmlns='urn:xmpp:mam:2'/></iq>
        hag/pda       receives <message><result xmlns='urn:xmpp:mam:2' id='{{$sid}}'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/>
                               <message xmlns='jabber:client' type='groupchat' id='m1' from='{{room coven}}/hag'><retracted xmlns='{RETRACT}' id='r1'/><occupant-id xmlns='urn:xmpp:occupant-id:0'/><stanza-id xmlns='urn:xmpp:sid:0'/></message></forwarded></result></message>
        hag/pda       receives <message><result xmlns='urn:xmpp:mam:2'>…</result></message>
        hag/pda       receives <iq type='result' id='q2'>…</iq>
        # A newcomer is not shown it.
        {}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        enters_quietly("wicca/laptop"),
    ));
}

// XEP-0045 §7.4: whoever may not speak learns nothing by taking back.
#[test]
fn who_is_outside_or_has_no_voice_takes_nothing_back() {
    let retract = |who: &str| {
        format!(
            "{who} sends <message type='groupchat' id='r' to='{{room coven}}'><retract xmlns='{RETRACT}' id='{{$sid}}'/></message>"
        )
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        earl/tower    connects
        {}
        {}
        crone/desktop sends    <message type='groupchat' id='m' to='{{room coven}}'><body>oops</body></message>
        crone/desktop receives <message id='m'><stanza-id xmlns='urn:xmpp:sid:0' id='{{$sid}}'/>…</message>
        hag/pda       receives <message id='m'>…</message>
        {}
        hag/pda       receives <message type='error' id='r'>{{error auth forbidden}}</message>
        {}
        earl/tower    receives <message type='error' id='r'>{{error modify not-acceptable}}</message>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_moderatedroom", "1")]),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        retract("hag/pda"),
        retract("earl/tower"),
    ));
}

// XEP-0424 §5: also where the archive was turned off since.
#[test]
fn nobody_takes_back_what_is_not_his_out_of_an_archive_that_was_turned_off() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        crone/desktop sends    <message type='groupchat' id='m' to='{{room coven}}'><body>oops</body></message>
        crone/desktop receives <message id='m'><stanza-id xmlns='urn:xmpp:sid:0' id='{{$sid}}'/>…</message>
        hag/pda       receives <message id='m'>…</message>
        {}
        crone/desktop receives <message type='groupchat'>…</message>
        hag/pda       receives <message type='groupchat'>…</message>
        hag/pda       sends    <message type='groupchat' id='r' to='{{room coven}}'><retract xmlns='{RETRACT}' id='{{$sid}}'/></message>
        hag/pda       receives <message type='error' id='r'>{{error auth forbidden}}</message>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        configured("crone/desktop", "coven", &[("muc#roomconfig_enablearchiving", "0")]),
    ));
}

// XEP-0424 §4: a tombstone names the retraction, also where its sender gave it no name.
#[test]
fn a_retraction_without_an_id_gets_one() {
    play(&format!(
        "
        hag/pda connects
        {}
        hag/pda sends    <message type='groupchat' id='m1' to='{{room coven}}'><body>oops</body></message>
        hag/pda receives <message id='m1'><stanza-id xmlns='urn:xmpp:sid:0' id='{{$sid}}'/>…</message>
        hag/pda sends    <message type='groupchat' to='{{room coven}}'><retract xmlns='{RETRACT}' id='{{$sid}}'/></message>
        hag/pda receives <message id='{{$retraction}}'><retract xmlns='{RETRACT}' id='{{$sid}}'/>…</message>
        everyone is quiet
        hag/pda sends    <iq type='set' id='q' to='{{room coven}}'><query xmlns='urn:xmpp:mam:2'/></iq>
        hag/pda receives <message><result xmlns='urn:xmpp:mam:2' id='{{$sid}}'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/>
                         <message xmlns='jabber:client' id='m1'><retracted xmlns='{RETRACT}' id='{{$retraction}}'/>…</message></forwarded></result></message>
        hag/pda receives <message><result xmlns='urn:xmpp:mam:2'>…</result></message>
        hag/pda receives <iq type='result' id='q'>…</iq>
        everyone is quiet
    ",
        made("hag/pda", "coven", "hag"),
    ));
}

// XEP-0424 §4, §5: whatever its sender says of it, and whether it is taken back itself.
#[test]
fn a_retraction_stays_in_the_archive() {
    let show = |message: &str| {
        format!(
            "hag/pda receives <message><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/><message xmlns='jabber:client' {message}…</message></forwarded></result></message>"
        )
    };
    play(&format!(
        "
        hag/pda connects
        {}
        hag/pda sends    <message type='groupchat' id='m1' to='{{room coven}}'><body>oops</body></message>
        hag/pda receives <message id='m1'><stanza-id xmlns='urn:xmpp:sid:0' id='{{$sid}}'/>…</message>
        hag/pda sends    <message type='groupchat' id='r1' to='{{room coven}}'><retract xmlns='{RETRACT}' id='{{$sid}}'/><body>gone</body><no-store xmlns='urn:xmpp:hints'/></message>
        hag/pda receives <message id='r1'><stanza-id xmlns='urn:xmpp:sid:0' id='{{$rid}}'/>…</message>
        hag/pda sends    <message type='groupchat' id='r2' to='{{room coven}}'><retract xmlns='{RETRACT}' id='{{$rid}}'/></message>
        hag/pda receives <message id='r2'>…</message>
        everyone is quiet
        hag/pda sends    <iq type='set' id='q' to='{{room coven}}'><query xmlns='urn:xmpp:mam:2'/></iq>
        {}
        {}
        {}
        hag/pda receives <iq type='result' id='q'>…</iq>
        everyone is quiet
    ",
        made("hag/pda", "coven", "hag"),
        show(&format!("id='m1'><retracted xmlns='{RETRACT}' id='r1'/>")),
        show(&format!("id='r1'><retracted xmlns='{RETRACT}' id='r2'/><retract xmlns='{RETRACT}' id='{{$sid}}'/>")),
        show(&format!("id='r2'><retract xmlns='{RETRACT}' id='{{$rid}}'/>")),
    ));
}

// XEP-0424 §5, XEP-0425 §5: by whomever it is taken back.
#[test]
fn a_subject_that_was_taken_back_is_told_to_nobody_who_comes() {
    let says = |id: &str| {
        format!(
            "
        hag/pda sends    <message type='groupchat' id='{id}' to='{{room coven}}'><subject>Fire</subject></message>
        hag/pda receives <message id='{id}'><subject>Fire</subject><stanza-id xmlns='urn:xmpp:sid:0' id='{{${id}}}'/>…</message>"
        )
    };
    let none = "
        everyone is quiet
        hag/pda sends    <presence to='{room coven}/hag'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        hag/pda receives <presence from='{room coven}/hag'>…</presence>
        hag/pda receives <message type='groupchat' from='{room coven}'><subject/></message>";
    play(&format!(
        "
        hag/pda connects
        {}
        {}
        hag/pda sends    <message type='groupchat' id='r' to='{{room coven}}'><retract xmlns='{RETRACT}' id='{{$s1}}'/></message>
        hag/pda receives <message id='r'>…</message>
        {none}
        {}
        hag/pda sends    <iq type='set' id='m' to='{{room coven}}'><moderate xmlns='urn:xmpp:message-moderate:1' id='{{$s2}}'><retract xmlns='{RETRACT}'/></moderate></iq>
        hag/pda receives <message type='groupchat' from='{{room coven}}'><retract xmlns='{RETRACT}' id='{{$s2}}'>…</retract>…</message>
        hag/pda receives <iq type='result' id='m'/>
        {none}
        everyone is quiet
    ",
        made("hag/pda", "coven", "hag"),
        says("s1"),
        says("s2"),
    ));
}

fn enters_quietly(who: &str) -> String {
    format!(
        "
        {who} sends    <presence to='{{room coven}}/wicca'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        {who} receives <presence from='{{room coven}}/first'>…</presence>
        {who} receives <presence from='{{room coven}}/hag'>…</presence>
        {who} receives <presence from='{{room coven}}/wicca'>…</presence>
        {who} receives <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/wicca'>…</presence>
        hag/pda receives <presence from='{{room coven}}/wicca'>…</presence>
        "
    )
}
