//! MUC/Sub: what else somebody hears of a room than what is said there.

use super::super::{configured, enters, made, made_with};
use super::{NS, event, hears, said, says, subscribes};
use crate::stage::play;

const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const USER: &str = "http://jabber.org/protocol/muc#user";

#[test]
fn who_hears_of_the_subject_and_the_configuration_hears_nothing_else() {
    let subject = event(
        "coven",
        "subject",
        "<message xmlns='jabber:client' type='groupchat' from='{room coven}/first'><subject>spells</subject>…</message>",
    );
    let config = event(
        "coven",
        "config",
        &format!(
            "<message xmlns='jabber:client' type='groupchat' from='{{room coven}}'><x xmlns='{USER}'><status code='104'/></x></message>"
        ),
    );
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        bat/cave      connects
        {}
        {}
        {}
        crone/desktop sends    <message type='groupchat' to='{{room coven}}'><subject>spells</subject></message>
        crone/desktop receives <message type='groupchat'>…<subject>spells</subject></message>
        hag/pda       receives {subject}
        {}
        crone/desktop receives <message type='groupchat'>…</message>
        hag/pda       receives {config}
        {}{}
        bat/cave      receives {}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        subscribes("hag/pda", "coven", "hag", &["subject", "config"]),
        subscribes("bat/cave", "coven", "bat", &["messages"]),
        configured("crone/desktop", "coven", &[("muc#roomconfig_roomname", "Cave")]),
        says("crone/desktop", "1"),
        hears("crone/desktop", "first", "1"),
        said("coven", "first", "1"),
    ));
}

// XEP-0045 §7.2.3, §7.2.4: real addresses for those who may see them.
#[test]
fn comings_and_goings_are_told_as_to_those_who_are_inside() {
    let shown = |kind: &str, jid: &str| {
        let presence = format!(
            "<presence xmlns='jabber:client' {kind} from='{{room coven}}/bat'>…<x xmlns='{USER}'><item jid='{jid}' affiliation='none'/></x></presence>"
        );
        event("coven", "presence", &presence)
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        wicca/tower   connects
        bat/cave      connects
        {}
        crone/desktop sends    <iq type='set' id='a' to='{{room coven}}'><query xmlns='{ADMIN}'><item affiliation='admin' jid='{{wicca}}'/></query></iq>
        crone/desktop hears    <iq type='result' id='a'/>
                               <message>…</message>
        wicca/tower   receives <message from='{{room coven}}'>…</message>
        {}
        {}
        {}
        hag/pda       receives {}
        wicca/tower   receives {}
        bat/cave      sends    <presence type='unavailable' to='{{room coven}}/bat'/>
        bat/cave      receives <presence type='unavailable'>…</presence>
        crone/desktop receives <presence type='unavailable'>…</presence>
        hag/pda       receives {}
        wicca/tower   receives {}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        subscribes("hag/pda", "coven", "hag", &["presence"]),
        subscribes("wicca/tower", "coven", "wicca", &["presence"]),
        enters("bat/cave", "coven", "bat", &["crone/desktop"]),
        shown("type='{none}'", "{none}"),
        shown("type='{none}'", "{bat/cave}"),
        shown("type='unavailable'", "{none}"),
        shown("type='unavailable'", "{bat/cave}"),
    ));
}

// XEP-0045 §9.2, §9.5: of the lists that they may see.
#[test]
fn changes_of_the_lists_are_told_to_those_who_may_see_them() {
    let told = |affiliation: &str| {
        let message = format!(
            "<message xmlns='jabber:client' from='{{room coven}}'><x xmlns='{USER}'><item affiliation='{affiliation}' jid='{{bat}}'/>…</x>…</message>"
        );
        event("coven", "affiliations", &message)
    };
    let change = |affiliation: &str| {
        format!(
            "
        crone/desktop sends    <iq type='set' id='a' to='{{room coven}}'><query xmlns='{ADMIN}'><item affiliation='{affiliation}' jid='{{bat}}'/></query></iq>
        crone/desktop hears    <iq type='result' id='a'/>
                               <message>…</message>
        bat/cave      receives <message from='{{room coven}}'>…</message>
            "
        )
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        bat/cave      connects
        {}
        crone/desktop sends    <iq type='set' id='m' to='{{room coven}}'><query xmlns='{ADMIN}'><item affiliation='member' jid='{{hag}}'/></query></iq>
        crone/desktop hears    <iq type='result' id='m'/>
                               <message>…</message>
        hag/pda       receives <message from='{{room coven}}'>…</message>
        {}
        {}
        hag/pda       receives {}
        # What they are now stands on a list that is not for members.
        {}
        hag/pda       receives {}
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_whois", "anyone")]),
        subscribes("hag/pda", "coven", "hag", &["affiliations"]),
        change("member"),
        told("member"),
        change("outcast"),
        told("none"),
    ));
}

#[test]
fn who_hears_the_room_is_told_without_addresses_where_these_are_a_secret() {
    let told = |name: &str, jid: &str, nick: &str| {
        event("coven", "subscribers", &format!("<{name} xmlns='{NS}' jid='{jid}' nick='{nick}'/>"))
    };
    let ends = format!("<unsubscribe xmlns='{NS}'/>");
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        bat/cave      connects
        {}
        {}
        {}
        hag/pda       receives {}
        {}
        bat/cave      sends    <iq type='set' id='u' to='{{room coven}}'>{ends}</iq>
        bat/cave      receives <iq type='result' id='u'/>
        hag/pda       receives {}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        subscribes("hag/pda", "coven", "hag", &["subscribers"]),
        subscribes("bat/cave", "coven", "bat", &["messages"]),
        told("subscribe", "{none}", "bat"),
        // The same nick again is no news.
        subscribes("bat/cave", "coven", "bat", &["subject"]),
        told("unsubscribe", "{none}", "bat"),
    ));
}
