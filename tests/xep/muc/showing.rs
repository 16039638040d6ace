//! Stories of rooms: who is shown to whom, and heard by whom, when something changes (XEP-0045 §7.5, §7.6, §16.5.3).

use super::{configured, enters, made, made_with};
use crate::stage::play;

const USER: &str = "http://jabber.org/protocol/muc#user";
const ADMIN: &str = "http://jabber.org/protocol/muc#admin";

// §16.5.3 presencebroadcast, §17.3
#[test]
fn who_drops_out_of_the_shown_roles_is_gone_for_others_and_comes_back_with_them() {
    let role = |id: &str, role: &str| {
        format!(
            "<iq type='set' id='{id}' to='{{room coven}}'><query xmlns='{ADMIN}'><item nick='hag' role='{role}'/></query></iq>"
        )
    };
    let own = |role: &str| {
        format!(
            "<presence from='{{room coven}}/hag' type='{{none}}'>…<x xmlns='{USER}'><item role='{role}'>…</item><status code='110'/></x></presence>"
        )
    };
    let gone = format!(
        "<presence from='{{room coven}}/hag' type='unavailable'>…<x xmlns='{USER}'><item role='none'/></x></presence>"
    );
    let changed = format!(
        "<message type='groupchat' from='{{room coven}}'><x xmlns='{USER}'><status code='104'/></x></message>"
    );
    let there = "<presence from='{room coven}/hag' type='{none}'>…</presence>";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        crone/desktop sends    {}
        crone/desktop receives <iq type='result' id='1'/>
        crone/desktop receives {gone}
        hag/pda       receives {}
        # They go and come, and nobody hears of it.
        hag/pda       sends    <presence to='{{room coven}}/hag'><show>away</show></presence>
        hag/pda       receives {}
        crone/desktop sends    {}
        crone/desktop receives <iq type='result' id='2'/>
        crone/desktop receives {there}
        hag/pda       receives {}
        # The setting itself.
        {}
        crone/desktop receives {changed}
        hag/pda       receives {changed}
        crone/desktop receives {gone}
        {}
        crone/desktop receives {changed}
        hag/pda       receives {changed}
        crone/desktop receives {there}
        everyone is quiet
    ",
        made_with(
            "crone/desktop",
            "coven",
            "first",
            &[("muc#roomconfig_presencebroadcast", "moderator participant")]
        ),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        role("1", "visitor"),
        own("visitor"),
        own("visitor"),
        role("2", "participant"),
        own("participant"),
        configured("crone/desktop", "coven", &[("muc#roomconfig_presencebroadcast", "moderator")]),
        configured(
            "crone/desktop",
            "coven",
            &[("muc#roomconfig_presencebroadcast", "moderator participant visitor")]
        ),
    ));
}

// §7.6 with §7.2.8: one of several clients of an occupant changes the nick; the other one vanishes.
#[test]
fn a_client_whose_nick_another_one_changed_is_not_forgotten() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        hag/laptop    binds
        {}
        {}
        hag/laptop    sends    <presence to='{{room coven}}/hag'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        hag/laptop    finds    <message type='groupchat'>…<subject>…</subject></message>
        hag/pda       receives <presence from='{{room coven}}/hag'>…</presence>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        hag/pda       sends    <presence to='{{room coven}}/witch'/>
        hag/pda       receives <presence from='{{room coven}}/hag' type='unavailable'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/witch'>…</presence>
        hag/laptop    receives <presence from='{{room coven}}/hag' type='unavailable'>…</presence>
        hag/laptop    receives <presence from='{{room coven}}/witch'>…</presence>
        crone/desktop receives <presence from='{{room coven}}/hag' type='unavailable'>…</presence>
        crone/desktop receives <presence from='{{room coven}}/witch'>…</presence>
        hag/laptop    leaves
        hag/pda       sends    <presence type='unavailable' to='{{room coven}}/witch'/>
        hag/pda       receives <presence from='{{room coven}}/witch' type='unavailable'>…</presence>
        crone/desktop finds    <presence from='{{room coven}}/witch' type='unavailable'>…</presence>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §7.5: what a client could not take comes back to who sent it, in the name of the occupant.
#[test]
fn an_error_to_a_private_message_reaches_its_sender() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        crone/desktop sends    <message type='chat' id='m1' to='{{room coven}}/hag'><body>hi</body></message>
        hag/pda       receives <message id='m1' from='{{room coven}}/first'>…</message>
        hag/pda       sends    <message type='error' id='m1' to='{{room coven}}/first'>{{error cancel not-acceptable}}</message>
        crone/desktop receives <message type='error' id='m1' from='{{room coven}}/hag'>{{error cancel not-acceptable}}</message>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}
