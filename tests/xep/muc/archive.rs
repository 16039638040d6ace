//! XEP-0313 Message Archive Management. The archive of a room (§6.1.2).

use super::{configured, enters, made, made_with};
use crate::stage::{play, play_with};

const USER: &str = "http://jabber.org/protocol/muc#user";
const MAM: &str = "urn:xmpp:mam:2";

fn ask(who: &str, id: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .collect();
    format!(
        "{who} sends <iq type='set' id='{id}' to='{{room coven}}'><query xmlns='{MAM}' queryid='{id}'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{MAM}</value></field>{fields}</x></query></iq>"
    )
}

fn result(who: &str, id: &str, inner: &str) -> String {
    format!(
        "{who} receives <message from='{{room coven}}'><result xmlns='{MAM}' queryid='{id}'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/><message xmlns='jabber:client' to='{{none}}' type='groupchat'>{inner}</message></forwarded></result></message>
        "
    )
}

fn done(who: &str, id: &str) -> String {
    format!(
        "{who} receives <iq type='result' id='{id}'><fin xmlns='{MAM}' complete='true'>…</fin></iq>"
    )
}

// XEP-0313 §6.1.2, §4.1.1
#[test]
fn the_archive_shows_who_spoke_to_those_who_may_know() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <message type='groupchat' id='m1' to='{{room coven}}'><body>hi</body><x xmlns='{USER}'><item jid='forged@x'/></x></message>
        hag/pda       receives <message id='m1'>…</message>
        crone/desktop receives <message id='m1'>…</message>
        hag/pda       sends    <message type='groupchat' id='m2' to='{{room coven}}'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>
        hag/pda       receives <message id='m2'>…</message>
        crone/desktop receives <message id='m2'>…</message>
        {}
        {}{}
        {}
        {}{}
        {}
        {}{}
        {}
        hag/pda       receives <iq type='error' id='4'>{{error auth forbidden}}</iq>
        {}
        {}{}
        {}
        {}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        ask("hag/pda", "1", &[]),
        result(
            "hag/pda",
            "1",
            "<body>hi</body><occupant-id xmlns='urn:xmpp:occupant-id:0'/><stanza-id xmlns='urn:xmpp:sid:0'/>"
        ),
        done("hag/pda", "1"),
        ask("crone/desktop", "2", &[("with", "{hag}")]),
        result(
            "crone/desktop",
            "2",
            &format!("<body>hi</body><x xmlns='{USER}'><item affiliation='none' jid='{{hag}}'/></x>…")
        ),
        done("crone/desktop", "2"),
        ask("hag/pda", "3", &[("with", "{room coven}/hag")]),
        result("hag/pda", "3", "<body>hi</body>…"),
        done("hag/pda", "3"),
        ask("hag/pda", "4", &[("with", "{hag}")]),
        ask("crone/desktop", "5", &[("with", "{hag}"), ("end", "2999-01-01T00:00:00Z")]),
        result("crone/desktop", "5", "<body>hi</body>…"),
        done("crone/desktop", "5"),
        ask("crone/desktop", "6", &[("with", "{crone}")]),
        done("crone/desktop", "6"),
    ));
}

// XEP-0313 §6.1.2: who may enter may read.
#[test]
fn who_may_not_enter_may_not_read() {
    play(&format!(
        "
        crone/desktop connects
        earl/tower    connects
        {}
        {}
        {}
        {}
        crone/desktop receives <message type='groupchat'><x xmlns='{USER}'><status code='104'/></x></message>
        {}
        earl/tower    receives <iq type='error' id='2'>{{error auth forbidden}}</iq>
        {}
        {}
        crone/desktop receives <message type='groupchat'><x xmlns='{USER}'><status code='104'/></x></message>
        crone/desktop sends    <iq type='set' id='b' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast' jid='{{earl}}'/></query></iq>
        crone/desktop receives <iq type='result' id='b'/>
        crone/desktop receives <message><x xmlns='{USER}'>…</x>…</message>
        earl/tower    receives <message from='{{room coven}}' to='{{earl}}'><x xmlns='{USER}'><item affiliation='outcast' role='none'/><status code='101'/></x>…</message>
        {}
        earl/tower    receives <iq type='error' id='3'>{{error auth forbidden}}</iq>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        ask("earl/tower", "1", &[]),
        done("earl/tower", "1"),
        configured("crone/desktop", "coven", &[("muc#roomconfig_membersonly", "1")]),
        ask("earl/tower", "2", &[]),
        "",
        configured("crone/desktop", "coven", &[("muc#roomconfig_membersonly", "0")]),
        ask("earl/tower", "3", &[]),
    ));
}

// XEP-0313 §6.1.2, XEP-0045 §7.2.5: whoever has not given the password may not read, whatever they are to the room.
#[test]
fn a_password_protects_the_archive_too() {
    let knows = "<presence to='{room coven}/hag'><x xmlns='http://jabber.org/protocol/muc'><password>cauldron</password><history maxstanzas='0'/></x></presence>";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        crone/desktop sends    <message type='groupchat' id='m' to='{{room coven}}'><body>hi</body></message>
        crone/desktop receives <message id='m'>…</message>
        {}
        hag/pda       receives <iq type='error' id='1'>{{error auth forbidden}}</iq>
        crone/desktop sends    <iq type='set' id='a' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='{{hag}}'/></query></iq>
        crone/desktop receives <iq type='result' id='a'/>
        crone/desktop receives <message><x xmlns='{USER}'>…</x>…</message>
        hag/pda       receives <message from='{{room coven}}'><x xmlns='{USER}'><item affiliation='member'/>…</x>…</message>
        {}
        hag/pda       receives <iq type='error' id='2'>{{error auth forbidden}}</iq>
        hag/pda       sends    {knows}
        hag/pda       finds    <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        {}
        {}{}
        crone/desktop sends    <presence type='unavailable' to='{{room coven}}/first'/>
        crone/desktop receives <presence type='unavailable'>…</presence>
        hag/pda       receives <presence type='unavailable'>…</presence>
        {}
        {}{}
        everyone is quiet
    ",
        made_with(
            "crone/desktop",
            "coven",
            "first",
            &[
                ("muc#roomconfig_passwordprotectedroom", "1"),
                ("muc#roomconfig_roomsecret", "cauldron")
            ]
        ),
        ask("hag/pda", "1", &[]),
        ask("hag/pda", "2", &[]),
        ask("hag/pda", "3", &[]),
        result("hag/pda", "3", "<body>hi</body>…"),
        done("hag/pda", "3"),
        ask("crone/desktop", "4", &[]),
        result("crone/desktop", "4", "<body>hi</body>…"),
        done("crone/desktop", "4"),
    ));
}

#[test]
fn a_room_without_archive_keeps_nothing_and_says_so() {
    play(&format!(
        "
        crone/desktop connects
        {}
        crone/desktop sends    <message type='groupchat' id='m' to='{{room coven}}'><body>hi</body></message>
        crone/desktop receives <message id='m'><body>hi</body><occupant-id xmlns='urn:xmpp:occupant-id:0'/></message>
        {}
        crone/desktop receives <iq type='error' id='1'>{{error cancel service-unavailable}}</iq>
        crone/desktop sends    <iq type='get' id='2' to='{{room coven}}'><metadata xmlns='{MAM}'/></iq>
        crone/desktop receives <iq type='error' id='2'>{{error cancel service-unavailable}}</iq>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_enablearchiving", "0")]),
        ask("crone/desktop", "1", &[]),
    ));
}

/// How many rooms an account may be in.
const MOST: usize = 12;

// XEP-0045 §7.2.14, XEP-0313 §6.1.2: a client that comes back enters all its rooms at once, and reads what it has missed. It
// shows itself to so many addresses and no more (RFC 6121 §4.6.3): the next room refuses nothing, the account does.
#[test]
fn a_client_enters_many_rooms_in_one_burst_and_catches_up_in_each() {
    let rooms = |make: &dyn Fn(usize) -> String| (0..=MOST).map(make).collect::<String>();
    let made = rooms(&|number| {
        let who = ["crone/desktop", "earl/tower"][number % 2];
        made(who, &format!("r{number}"), "first")
            + &format!(
                "{who} sends <message type='groupchat' id='m' to='{{room r{number}}}'><body>{number}</body></message>
                 {who} receives <message id='m'>…</message>\n"
            )
    });
    let enter = |number: usize| {
        format!(
            "hag/pda sends <presence id='n{number}' to='{{room r{number}}}/hag'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>\n"
        )
    };
    let heard = |number: usize| match number {
        MOST => format!(
            "<presence type='error' id='n{MOST}' from='{{room r{MOST}}}/hag'>{{error wait resource-constraint}}</presence>\n"
        ),
        _ => format!(
            "<presence from='{{room r{number}}}/first'>…</presence>
             <presence id='n{number}' from='{{room r{number}}}/hag'>…</presence>
             <message type='groupchat' from='{{room r{number}}}'><subject/></message>\n"
        ),
    };
    let seen = |first: usize| {
        let rooms = (first..MOST).step_by(2);
        rooms
            .map(|it| format!("<presence from='{{room r{it}}}/hag'>…</presence>\n"))
            .collect::<String>()
    };
    let caught_up = |number: usize| {
        format!(
            "
            hag/pda sends    <iq type='set' id='q{number}' to='{{room r{number}}}'><query xmlns='{MAM}'/></iq>
            hag/pda receives <message from='{{room r{number}}}'><result xmlns='{MAM}'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/><message xmlns='jabber:client'><body>{number}</body>…</message></forwarded></result></message>
            hag/pda receives <iq type='result' id='q{number}'>…</iq>
            "
        )
    };
    play_with(&format!("[accounts]\ndirected_presence = {MOST}"),
        &format!(
            "
        crone/desktop connects
        earl/tower    connects
        hag/pda       connects
        {made}
        {}
        hag/pda       hears {}
        crone/desktop hears {}
        earl/tower    hears {}
        {}
        # Where they leave one, there is a place for another.
        hag/pda       sends    <presence type='unavailable' to='{{room r0}}/hag'/>
        hag/pda       receives <presence type='unavailable' from='{{room r0}}/hag'>…</presence>
        crone/desktop finds    <presence type='unavailable' from='{{room r0}}/hag'>…</presence>
        {}
        hag/pda       finds    <message type='groupchat' from='{{room r{MOST}}}'><subject/></message>
        crone/desktop finds    <presence from='{{room r{MOST}}}/hag'>…</presence>
        everyone is quiet
    ",
            rooms(&enter),
            rooms(&heard),
            seen(0),
            seen(1),
            (0..MOST).map(caught_up).collect::<String>(),
            enter(MOST),
        ),
    );
}

// XEP-0045 §7.2.8, §7.5: each client gets a copy, and all of them name one row of the archive of their account.
#[test]
fn a_private_message_to_two_clients_is_once_in_the_archive_of_their_account() {
    let said = |text: &str| {
        format!(
            "<message type='chat' from='{{room coven}}/first'><body>{text}</body><stanza-id xmlns='urn:xmpp:sid:0' by='{{hag}}' id='{{${text}}}'/>…</message>"
        )
    };
    let shown = |text: &str| {
        format!(
            "<message><result xmlns='urn:xmpp:mam:2' id='{{${text}}}'><forwarded xmlns='urn:xmpp:forward:0'>…<message xmlns='jabber:client'><body>{text}</body>…</message></forwarded></result></message>"
        )
    };
    let says = |text: &str| {
        format!(
            "crone/desktop sends <message type='chat' to='{{room coven}}/hag'><body>{text}</body></message>"
        )
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        hag/laptop    connects
        {}
        {}
        hag/laptop    sends    <presence to='{{room coven}}/hag'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        hag/laptop    finds    <message type='groupchat'>…<subject/></message>
        hag/pda       receives <presence from='{{room coven}}/hag'>…</presence>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        {}
        hag/pda       receives {}
        hag/laptop    receives {}
        # What is said once more, in the same words, is another message.
        {}
        hag/pda       receives {}
        hag/laptop    receives {}
        hag/pda       sends    <iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>
        hag/pda       receives {}
        hag/pda       receives {}
        hag/pda       receives <iq type='result' id='q'>…</iq>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        says("psst"),
        said("psst"),
        said("psst"),
        says("psst"),
        said("psst").replace("{$psst}", "{$again}"),
        said("psst").replace("{$psst}", "{$again}"),
        shown("psst"),
        shown("psst").replace("{$psst}", "{$again}"),
    ));
}
