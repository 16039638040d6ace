//! XEP-0463 MUC Affiliations Versioning.

use super::made_with;
use crate::stage::play;

const USER: &str = "http://jabber.org/protocol/muc#user";
const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const MAV: &str = "urn:xmpp:muc:affiliations:1";

fn knock(who: &str, mav: &str) -> String {
    format!(
        "{who} sends <presence to='{{room coven}}/hag'><x xmlns='http://jabber.org/protocol/muc'>{mav}</x></presence>"
    )
}

// XEP-0463 §5.1, §5.2
#[test]
fn a_client_is_told_what_has_changed_since_it_was_here() {
    let inside = format!(
        "
        hag/pda       receives <presence from='{{room coven}}/first'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><mav xmlns='{MAV}' until='{{$now}}'/><item/><status code='100'/><status code='110'/></x></presence>
        hag/pda       receives <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        hag/pda       sends    <presence type='unavailable' to='{{room coven}}/hag'/>
        hag/pda       receives <presence type='unavailable'>…</presence>
        crone/desktop receives <presence type='unavailable'>…</presence>
        "
    );
    let set = |id: &str, item: &str| {
        format!(
            "crone/desktop sends <iq type='set' id='{id}' to='{{room coven}}'><query xmlns='{ADMIN}'>{item}</query></iq>"
        )
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       receives <message from='{{room coven}}'><x xmlns='{USER}'><mav xmlns='{MAV}' since='{{none}}' until='{{$first}}'/><item affiliation='owner' jid='{{crone}}'/></x>…</message>
        {}
        {}
        crone/desktop hears    <iq type='result' id='1'/>
                               <message><x xmlns='{USER}'><item affiliation='member' jid='{{wicca}}'/><mav xmlns='{MAV}' since='{{$first}}' until='{{$second}}'/></x>…</message>
        {}
        hag/pda       receives <message from='{{room coven}}'><x xmlns='{USER}'><mav xmlns='{MAV}' since='{{$first}}' until='{{$second}}'/><item affiliation='member' jid='{{wicca}}'/></x>…</message>
        {}
        # Nothing has changed: nothing is told but the version.
        {}
        {}
        # An unknown version: everything.
        {}
        hag/pda       receives <message from='{{room coven}}'><x xmlns='{USER}'><mav xmlns='{MAV}' since='{{none}}' until='{{$second}}'/><item affiliation='owner'/><item affiliation='member'/></x>…</message>
        {}
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_whois", "anyone")]),
        knock("hag/pda", &format!("<mav xmlns='{MAV}'/>")),
        inside.replace("{$now}", "{$first}"),
        set("1", "<item affiliation='member' jid='{wicca}'/>"),
        knock("hag/pda", &format!("<mav xmlns='{MAV}' since='{{$first}}'/>")),
        inside.replace("{$now}", "{$second}"),
        knock("hag/pda", &format!("<mav xmlns='{MAV}' since='{{$second}}'/>")),
        inside.replace("{$now}", "{$second}"),
        knock("hag/pda", &format!("<mav xmlns='{MAV}' since='never'/>")),
        inside.replace("{$now}", "{$second}"),
    ));
}

// XEP-0463 §5.2.3
#[test]
fn where_addresses_are_a_secret_so_are_the_lists() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       receives <message type='error' from='{{room coven}}'>{{error auth forbidden}}</message>
        hag/pda       receives <presence from='{{room coven}}/first'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item/><status code='110'/></x></presence>
        hag/pda       receives <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[]),
        knock("hag/pda", &format!("<mav xmlns='{MAV}'/>")),
    ));
}
