//! XEP-0045 Multi-User Chat. Messages to all, to one, about the subject (§7.4, §7.5, §8.1), other nicks and
//! other availability (§7.6, §7.7).

use super::{enters, made, made_with};
use crate::stage::{play, play_with};

const USER: &str = "http://jabber.org/protocol/muc#user";
const BODY: &str = "<body>Harpier cries</body>";

// §7.4
#[test]
fn a_message_is_reflected_to_everybody_with_its_id() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <message type='groupchat' id='hysf1v37' to='{{room coven}}'>{BODY}<x xmlns='urn:example:x'/></message>
        hag/pda       receives <message type='groupchat' id='hysf1v37' from='{{room coven}}/hag' to='{{hag/pda}}'>{BODY}<x xmlns='urn:example:x'/>
                               <stanza-id xmlns='urn:xmpp:sid:0' by='{{room coven}}' id='{{$sid}}'/><occupant-id xmlns='urn:xmpp:occupant-id:0' id='{{$oid}}'/></message>
        crone/desktop receives <message type='groupchat' id='hysf1v37' from='{{room coven}}/hag' to='{{crone/desktop}}'>{BODY}<x xmlns='urn:example:x'/>
                               <stanza-id xmlns='urn:xmpp:sid:0' by='{{room coven}}' id='{{$sid}}'/><occupant-id xmlns='urn:xmpp:occupant-id:0' id='{{$oid}}'/></message>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §7.4, §17.2
#[test]
fn who_is_outside_or_has_no_voice_is_not_heard() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        earl/tower    connects
        {}
        {}
        hag/pda       sends    <message type='groupchat' id='1' to='{{room coven}}'>{BODY}</message>
        hag/pda       receives <message type='error' id='1' from='{{room coven}}'>{{error auth forbidden}}</message>
        earl/tower    sends    <message type='groupchat' id='2' to='{{room coven}}'>{BODY}</message>
        earl/tower    receives <message type='error' id='2'>{{error modify not-acceptable}}</message>
        earl/tower    sends    <message type='groupchat' id='3' to='{{room nowhere}}'>{BODY}</message>
        earl/tower    receives <message type='error' id='3'>{{error cancel item-not-found}}</message>
        crone/desktop sends    <message type='chat' id='4' to='{{room coven}}'>{BODY}</message>
        crone/desktop receives <message type='error' id='4'>{{error modify bad-request}}</message>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_moderatedroom", "1")]),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §7.5
#[test]
fn a_private_message_goes_to_one_and_is_marked() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        wicca/laptop  connects
        earl/tower    connects
        {}
        {}
        {}
        wicca/laptop  sends    <message type='chat' id='p1' to='{{room coven}}/first'><body>a wind</body></message>
        crone/desktop receives <message type='chat' id='p1' from='{{room coven}}/wicca' to='{{crone/desktop}}'><body>a wind</body><x xmlns='{USER}'/>
                               <occupant-id xmlns='urn:xmpp:occupant-id:0'/>…</message>
        wicca/laptop  sends    <message type='groupchat' id='p2' to='{{room coven}}/first'>{BODY}</message>
        wicca/laptop  receives <message type='error' id='p2' from='{{room coven}}/first'>{{error modify bad-request}}</message>
        wicca/laptop  sends    <message type='chat' id='p3' to='{{room coven}}/nobody'>{BODY}</message>
        wicca/laptop  receives <message type='error' id='p3'>{{error cancel item-not-found}}</message>
        earl/tower    sends    <message type='chat' id='p4' to='{{room coven}}/first'>{BODY}</message>
        earl/tower    receives <message type='error' id='p4'>{{error modify not-acceptable}}</message>
        # §6.1.2 of XEP-0313: nothing of it is in the archive.
        wicca/laptop  sends    <iq type='set' id='q' to='{{room coven}}'><query xmlns='urn:xmpp:mam:2'/></iq>
        wicca/laptop  receives <iq type='result' id='q'><fin xmlns='urn:xmpp:mam:2' complete='true'>…</fin></iq>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        enters("wicca/laptop", "coven", "wicca", &["crone/desktop", "hag/pda"]),
    ));
}

fn error(who: &str, to: &str, id: &str, content: &str) -> String {
    format!(
        "{who} sends <message type='error' id='{id}' to='{{room coven}}/{to}'>{content}</message>"
    )
}

const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

// §7.5, §17.4 rule 3, XEP-0191 §3.3: whoever is blocked hears it once, and nobody is removed for it.
#[test]
fn a_private_message_that_its_recipient_does_not_take_comes_back_without_his_address() {
    let refused = format!(
        "<body>psst</body><error type='cancel' by='{{hag/pda}}'><service-unavailable xmlns='{STANZAS}'/><text xmlns='{STANZAS}'>not to {{hag}}</text></error>"
    );
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        crone/desktop sends    <message type='chat' id='p' to='{{room coven}}/hag'>{BODY}</message>
        hag/pda       receives <message type='chat' id='p'>…</message>
        {}
        crone/desktop receives <message type='error' id='p' from='{{room coven}}/hag' to='{{crone/desktop}}'><error type='cancel' by='{{none}}'><service-unavailable xmlns='{STANZAS}'/></error></message>
        {}
        # As an answer to anything else it says that nobody is there.
        hag/pda       receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='none'/><status code='110'/><status code='333'/></x></presence>
        crone/desktop receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='none'/><status code='333'/></x></presence>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        error("hag/pda", "first", "p", &refused),
        error("hag/pda", "first", "p", &refused),
    ));
}

// §7.2.8, §7.5
#[test]
fn a_private_message_comes_back_when_no_client_of_its_recipient_takes_it() {
    let refused = format!("<error type='modify'><not-acceptable xmlns='{STANZAS}'/></error>");
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        hag/laptop    connects
        {}
        {}
        hag/laptop    sends    <presence to='{{room coven}}/hag'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        hag/laptop    finds    <message type='groupchat'>…<subject>…</subject></message>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…</presence>
        crone/desktop sends    <message type='chat' id='p' to='{{room coven}}/hag'>{BODY}</message>
        hag/pda       receives <message type='chat' id='p'>…</message>
        hag/laptop    receives <message type='chat' id='p'>…</message>
        {}
        everyone is quiet
        {}
        crone/desktop receives <message type='error' id='p' from='{{room coven}}/hag'>{refused}</message>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        error("hag/pda", "first", "p", &refused),
        error("hag/laptop", "first", "p", &refused),
    ));
}

// §7.4, §16.5.3 allowpm: a message to all has not failed because one client says so, and nobody writes to another
// under the name of an error.
#[test]
fn an_error_that_answers_no_private_message_ends_in_the_room() {
    let refused = format!("{BODY}<error type='modify'><not-acceptable xmlns='{STANZAS}'/></error>");
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        crone/desktop sends    <message type='groupchat' id='m' to='{{room coven}}'>{BODY}</message>
        crone/desktop receives <message type='groupchat' id='m'>…</message>
        hag/pda       receives <message type='groupchat' id='m'>…</message>
        {}
        {}
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_allowpm", "none")]),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        error("hag/pda", "first", "m", &refused),
        error("hag/pda", "first", "x", &refused),
    ));
}

// §17.4 rule 3
#[test]
fn a_request_that_fails_tells_no_address_either() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        crone/desktop sends    <iq type='get' id='v' to='{{room coven}}/hag'><query xmlns='jabber:iq:version'/></iq>
        hag/pda       receives <iq type='get' id='{{$v}}' from='{{room coven}}/first'>…</iq>
        hag/pda       sends    <iq type='error' id='{{$v}}' to='{{room coven}}/first'><error type='cancel' by='{{hag/pda}}'><gone xmlns='{STANZAS}'>xmpp:{{hag}}</gone><text xmlns='{STANZAS}'>not {{hag}}</text><out xmlns='urn:example:x'/></error></iq>
        crone/desktop receives <iq type='error' id='v' from='{{room coven}}/hag'><error type='cancel' by='{{none}}'><gone xmlns='{STANZAS}'/><out xmlns='urn:example:x'/></error></iq>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §16.5.3 allowpm
#[test]
fn private_messages_may_be_forbidden() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <message type='chat' id='p1' to='{{room coven}}/first'>{BODY}</message>
        hag/pda       receives <message type='error' id='p1'>{{error auth forbidden}}</message>
        crone/desktop sends    <message type='chat' id='p2' to='{{room coven}}/hag'>{BODY}</message>
        hag/pda       receives <message type='chat' id='p2'>{BODY}…</message>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_allowpm", "moderators")]),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §7.6
#[test]
fn a_new_nick_is_told_with_the_old_one() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <presence id='n' to='{{room coven}}/oldhag'/>
        hag/pda       receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item nick='oldhag' affiliation='none' role='participant'/><status code='110'/><status code='303'/></x></presence>
        hag/pda       receives <presence id='n' type='{{none}}' from='{{room coven}}/oldhag'>…<x xmlns='{USER}'><item role='participant'/><status code='110'/></x></presence>
        crone/desktop receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item nick='oldhag' jid='{{hag/pda}}'/><status code='303'/></x></presence>
        crone/desktop receives <presence type='{{none}}' from='{{room coven}}/oldhag'>…<x xmlns='{USER}'><item jid='{{hag/pda}}'/></x></presence>
        hag/pda       sends    <presence id='n2' to='{{room coven}}/First'/>
        hag/pda       receives <presence type='error' id='n2'>…{{error cancel conflict}}</presence>
        hag/pda       sends    <message type='groupchat' id='m' to='{{room coven}}'>{BODY}</message>
        hag/pda       receives <message id='m' from='{{room coven}}/oldhag'>…</message>
        crone/desktop receives <message id='m' from='{{room coven}}/oldhag'>…</message>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §7.7
#[test]
fn another_availability_is_told_to_all() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <presence id='a' to='{{room coven}}/hag'><show>xa</show><status>gone</status></presence>
        hag/pda       receives <presence id='a' from='{{room coven}}/hag'><show>xa</show><status>gone</status>…<x xmlns='{USER}'><item/><status code='110'/></x></presence>
        crone/desktop receives <presence from='{{room coven}}/hag'><show>xa</show><status>gone</status>…</presence>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §8.1, §7.3
#[test]
fn the_subject_is_changed_by_those_who_may() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        wicca/laptop  connects
        {}
        {}
        hag/pda       sends    <message type='groupchat' id='1' to='{{room coven}}'><subject>Mine</subject></message>
        hag/pda       receives <message type='error' id='1'>{{error auth forbidden}}</message>
        # With a body or a thread it is a message like any other.
        hag/pda       sends    <message type='groupchat' id='2' to='{{room coven}}'><subject>Mine</subject>{BODY}</message>
        hag/pda       receives <message id='2'><subject>Mine</subject>{BODY}…</message>
        crone/desktop receives <message id='2'>…</message>
        hag/pda       sends    <message type='groupchat' id='t' to='{{room coven}}'><subject>Mine</subject><thread>x</thread></message>
        hag/pda       receives <message id='t'><subject>Mine</subject><thread>x</thread>…</message>
        crone/desktop receives <message id='t'>…</message>
        crone/desktop sends    <message type='groupchat' id='3' to='{{room coven}}'><subject>Fire</subject></message>
        crone/desktop receives <message id='3' from='{{room coven}}/first'><subject>Fire</subject>…</message>
        hag/pda       receives <message id='3' from='{{room coven}}/first'><subject>Fire</subject>…</message>
        crone/desktop sends    <message type='groupchat' id='4' to='{{room coven}}'><subject/></message>
        crone/desktop receives <message id='4'><subject/>…</message>
        hag/pda       receives <message id='4'><subject/>…</message>
        wicca/laptop  sends    <presence to='{{room coven}}/wicca'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>
        wicca/laptop  receives <presence from='{{room coven}}/first'>…</presence>
        wicca/laptop  receives <presence from='{{room coven}}/hag'>…</presence>
        wicca/laptop  receives <presence from='{{room coven}}/wicca'>…</presence>
        wicca/laptop  receives <message type='groupchat' from='{{room coven}}/first'><subject/><delay xmlns='urn:xmpp:delay' from='{{room coven}}'/>…</message>
        crone/desktop receives <presence from='{{room coven}}/wicca'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/wicca'>…</presence>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §7.3: the room's owner lets everybody.
#[test]
fn participants_may_change_the_subject_where_the_owner_lets_them() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <message type='groupchat' id='1' to='{{room coven}}'><subject>Mine</subject></message>
        hag/pda       receives <message id='1' from='{{room coven}}/hag'><subject>Mine</subject>…</message>
        crone/desktop receives <message id='1' from='{{room coven}}/hag'><subject>Mine</subject>…</message>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_changesubject", "1")]),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §17.3 rule 6, §17.2: nobody speaks for the room.
#[test]
fn what_only_the_room_may_say_is_taken_out() {
    let forged = format!(
        "<x xmlns='{USER}'><item affiliation='owner' role='moderator' jid='x@y/z'/><status code='301'/></x>\
         <occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>\
         <stanza-id xmlns='urn:xmpp:sid:0' by='{{room coven}}' id='forged'/>\
         <delay xmlns='urn:xmpp:delay' from='{{room coven}}' stamp='2002-09-10T23:08:25Z'/>"
    );
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <message type='groupchat' id='m' to='{{room coven}}'>{BODY}{forged}</message>
        hag/pda       receives <message id='m'>…</message>
        crone/desktop receives <message id='m'>{BODY}<occupant-id xmlns='urn:xmpp:occupant-id:0' id='{{$oid}}'/><stanza-id xmlns='urn:xmpp:sid:0' id='{{$sid}}'/></message>
        hag/pda       sends    <presence to='{{room coven}}/hag'>{forged}</presence>
        hag/pda       receives <presence>…</presence>
        crone/desktop receives <presence from='{{room coven}}/hag'><occupant-id xmlns='urn:xmpp:occupant-id:0' id='{{$oid}}'/><x xmlns='{USER}'><item affiliation='none' role='participant' jid='{{hag/pda}}'/></x></presence>
        hag/pda       sends    <message type='chat' id='p' to='{{room coven}}/first'>{BODY}{forged}</message>
        crone/desktop receives <message id='p'>{BODY}<occupant-id xmlns='urn:xmpp:occupant-id:0' id='{{$oid}}'/><x xmlns='{USER}'/><stanza-id xmlns='urn:xmpp:sid:0' by='{{crone}}'/></message>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §7.2.13, §7.9
#[test]
fn nobody_but_an_owner_says_when_he_has_said_something() {
    let old = "<delay xmlns='urn:xmpp:delay' stamp='1999-01-01T00:00:00Z'/>";
    let other = "<delay xmlns='urn:xmpp:delay' from='earl@x.org' stamp='1999-01-01T00:00:00Z'/>";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        wicca/laptop  connects
        {}
        {}
        hag/pda       sends    <message type='groupchat' id='1' to='{{room coven}}'>{BODY}{old}{other}</message>
        hag/pda       receives <message id='1'>{BODY}<occupant-id xmlns='urn:xmpp:occupant-id:0'/><stanza-id xmlns='urn:xmpp:sid:0'/></message>
        crone/desktop receives <message id='1'>…</message>
        wicca/laptop  sends    <presence to='{{room coven}}/wicca'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        wicca/laptop  receives <presence from='{{room coven}}/first'>…</presence>
        wicca/laptop  receives <presence from='{{room coven}}/hag'>…</presence>
        wicca/laptop  receives <presence from='{{room coven}}/wicca'>…</presence>
        wicca/laptop  receives <message id='1'>{BODY}<delay xmlns='urn:xmpp:delay' from='{{room coven}}'/><occupant-id xmlns='urn:xmpp:occupant-id:0'/><stanza-id xmlns='urn:xmpp:sid:0'/></message>
        wicca/laptop  receives <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/wicca'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/wicca'>…</presence>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// An acknowledged message is in the archive: on a store that flushes, nobody hears what is not kept.
#[test]
fn a_conversation_is_in_the_archive_in_the_order_in_which_it_was_heard() {
    let say: String = (1..=20)
        .map(|number| {
            let who = if number % 2 == 0 { "hag/pda" } else { "crone/desktop" };
            format!("{who} sends <message type='groupchat' id='m{number}' to='{{room coven}}'><body>{number}</body></message>\n")
        })
        .collect();
    // What two clients say at once has one order for all, which nobody knows before.
    let hear = "crone/desktop receives <message type='groupchat'>…<stanza-id xmlns='urn:xmpp:sid:0' id='{$s}'/></message>"
        .to_owned();
    let heard: String = (1..=20)
        .map(|number| {
            let line = hear.replace("{$s}", &format!("{{$s{number}}}")) + "\n";
            line.clone() + &line.replace("crone/desktop", "hag/pda")
        })
        .collect();
    let results: String = (1..=20)
        .map(|number| {
            format!("hag/pda receives <message><result xmlns='urn:xmpp:mam:2' id='{{$s{number}}}'>…</result></message>\n")
        })
        .collect();
    play_with("[store]\nengine = 'embedded'",
        &format!(
            "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {say}
        {heard}
        hag/pda       sends    <iq type='set' id='q' to='{{room coven}}'><query xmlns='urn:xmpp:mam:2'/></iq>
        {results}
        hag/pda       receives <iq type='result' id='q'>…</iq>
        everyone is quiet
    ",
            made("crone/desktop", "coven", "first"),
            enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        ),
    );
}
