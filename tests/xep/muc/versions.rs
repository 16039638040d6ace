//! XEP-0463 MUC Affiliations Versioning.

use super::{enters, made_with};
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
        crone/desktop receives <iq type='result' id='1'/>
        crone/desktop receives <message><x xmlns='{USER}'><item affiliation='member' jid='{{wicca}}'/><mav xmlns='{MAV}' since='{{$first}}' until='{{$second}}'/></x>…</message>
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

// XEP-0463 §5.2.1, §5.2.3: whoever may see one list hears of no other, neither as it changes nor when they come.
#[test]
fn who_may_not_ask_for_a_list_is_not_told_of_it() {
    let set = |id: &str, item: &str| {
        format!(
            "crone/desktop sends <iq type='set' id='{id}' to='{{room coven}}'><query xmlns='{ADMIN}'>{item}</query></iq>
            crone/desktop hears <iq type='result' id='{id}'/>
            "
        )
    };
    let news = |affiliation: &str, jid: &str, versions: &str| {
        format!(
            "<message from='{{room coven}}'><x xmlns='{USER}'><item affiliation='{affiliation}' jid='{{{jid}}}'/><mav xmlns='{MAV}' {versions}/></x><no-store xmlns='urn:xmpp:hints'/></message>\n"
        )
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       finds    <message type='groupchat'>…<subject>…</subject></message>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        # Banned from the start.
        {}                     {}
        # A member first: they are one no more.
        {}                     {}
        hag/pda       receives {}
        {}                     {}
        hag/pda       receives {}
        hag/pda       sends    <presence type='unavailable' to='{{room coven}}/hag'/>
        hag/pda       receives <presence type='unavailable'>…</presence>
        crone/desktop receives <presence type='unavailable'>…</presence>
        {}                     {}
        {}
        # There is nothing that may be told.
        hag/pda       receives <presence from='{{room coven}}/first'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><mav xmlns='{MAV}' until='{{$v5}}'/>…</x></presence>
        hag/pda       receives <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_whois", "anyone")]),
        knock("hag/pda", ""),
        set("1", "<item affiliation='outcast' jid='{earl}'/>"),
        news("outcast", "earl", "since='{$v1}' until='{$v2}'"),
        set("2", "<item affiliation='member' jid='{wicca}'/>"),
        news("member", "wicca", "since='{$v2}' until='{$v3}'"),
        news("member", "wicca", "since='{$v2}' until='{$v3}'"),
        set("3", "<item affiliation='outcast' jid='{wicca}'/>"),
        news("outcast", "wicca", "since='{$v3}' until='{$v4}'"),
        news("none", "wicca", "since='{$v3}' until='{$v4}'"),
        set("4", "<item affiliation='outcast' jid='{hecate}'/>"),
        news("outcast", "hecate", "since='{$v4}' until='{$v5}'"),
        knock("hag/pda", &format!("<mav xmlns='{MAV}' since='{{$v4}}'/>")),
    ));
}

// XEP-0463 §5.2.1: whoever was away is told what they would have been told.
#[test]
fn who_was_banned_or_removed_meanwhile_is_on_no_list_any_more() {
    let set = |id: &str, item: &str| {
        format!(
            "crone/desktop sends <iq type='set' id='{id}' to='{{room coven}}'><query xmlns='{ADMIN}'>{item}</query></iq>
            crone/desktop hears <iq type='result' id='{id}'/>
                                <message>…</message>
            "
        )
    };
    let knows = |since: &str, items: &str| {
        format!(
            "
        {}
        hag/pda       receives <message from='{{room coven}}'><x xmlns='{USER}'><mav xmlns='{MAV}' since='{since}' until='{{$now}}'/>{items}</x>…</message>
        hag/pda       finds    <message type='groupchat'>…<subject/></message>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        hag/pda       sends    <presence type='unavailable' to='{{room coven}}/hag'/>
        hag/pda       receives <presence type='unavailable'>…</presence>
        crone/desktop receives <presence type='unavailable'>…</presence>
            ",
            knock("hag/pda", &format!("<mav xmlns='{MAV}' since='{since}'/>"))
        )
    };
    let gone = "<item affiliation='none' jid='{wicca}'/><item affiliation='none' jid='{bat}'/>";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}{}{}
        {}
        hag/pda       receives <message from='{{room coven}}'><x xmlns='{USER}'><mav xmlns='{MAV}' until='{{$before}}'/><item affiliation='owner'/><item affiliation='member' jid='{{wicca}}'/><item affiliation='member' jid='{{bat}}'/><item affiliation='member' jid='{{earl}}'/></x>…</message>
        hag/pda       finds    <message type='groupchat'>…<subject/></message>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        hag/pda       sends    <presence type='unavailable' to='{{room coven}}/hag'/>
        hag/pda       receives <presence type='unavailable'>…</presence>
        crone/desktop receives <presence type='unavailable'>…</presence>
        {}{}{}{}
        {}
        # Whoever knows that hears nothing of a ban that ends.
        {}{}
        {}
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_whois", "anyone")]),
        set("1", "<item affiliation='member' jid='{wicca}'/>"),
        set("2", "<item affiliation='member' jid='{bat}'/>"),
        set("3", "<item affiliation='member' jid='{earl}'/>"),
        knock("hag/pda", &format!("<mav xmlns='{MAV}'/>")),
        set("4", "<item affiliation='outcast' jid='{wicca}'/>"),
        set("5", "<item affiliation='none' jid='{bat}'/>"),
        // No ban of a stranger is told.
        set("6", "<item affiliation='outcast' jid='{hecate}'/>"),
        set("7", "<item affiliation='outcast' jid='{bat}'/>"),
        knows("{$before}", gone).replace("{$now}", "{$after}"),
        set("8", "<item affiliation='none' jid='{wicca}'/>"),
        set("9", "<item affiliation='none' jid='{earl}'/>"),
        knows("{$after}", "<item affiliation='none' jid='{earl}'/>"),
    ));
}

// XEP-0045 §9.5: where members are for moderators alone to list, others do not hear who becomes one.
#[test]
fn a_list_for_moderators_is_told_to_moderators() {
    let member = "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='{earl}'/></query>";
    let told = format!(
        "<message><x xmlns='{USER}'><item affiliation='member' jid='{{earl}}'/>…</x>…</message>"
    );
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        crone/desktop sends    <iq type='set' id='1' to='{{room coven}}'>{member}</iq>
        crone/desktop hears    <iq type='result' id='1'/>
                               {told}
        everyone is quiet
    ",
        made_with(
            "crone/desktop",
            "coven",
            "first",
            &[("muc#roomconfig_whois", "anyone"), ("muc#roomconfig_getmemberlist", "moderator")]
        ),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
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
