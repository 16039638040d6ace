//! XEP-0045 Multi-User Chat. What admins may (§9).

use super::{enters, made, made_with};
use crate::stage::play;

const USER: &str = "http://jabber.org/protocol/muc#user";
const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const X: &str = "<x xmlns='http://jabber.org/protocol/muc'/>";

/// A delta of a list.
fn set(who: &str, id: &str, items: &str) -> String {
    format!(
        "
        {who} sends <iq type='set' id='{id}' to='{{room coven}}'><query xmlns='{ADMIN}'>{items}</query></iq>
        "
    )
}

fn get(who: &str, id: &str, item: &str) -> String {
    format!(
        "
        {who} sends <iq type='get' id='{id}' to='{{room coven}}'><query xmlns='{ADMIN}'><item {item}/></query></iq>
        "
    )
}

fn two() -> String {
    format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    )
}

// §9.1, §9.2
#[test]
fn a_ban_removes_and_keeps_out_until_it_is_lifted() {
    play(&format!(
        "
        {}
        {}
        crone/desktop receives <iq type='result' id='b'/>
        crone/desktop receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='outcast' role='none'>…<reason>Treason</reason></item>…<status code='301'/></x></presence>
        hag/pda       receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='outcast' role='none'><actor nick='first'/><reason>Treason</reason></item>…<status code='110'/><status code='301'/></x></presence>
        {}
        crone/desktop receives <iq type='result' id='l'><query xmlns='{ADMIN}'><item affiliation='outcast' jid='{{hag}}' nick='{{none}}' role='{{none}}'><reason>Treason</reason></item></query></iq>
        hag/pda       sends    <presence id='1' to='{{room coven}}/hag'>{X}</presence>
        hag/pda       receives <presence type='error' id='1'>…{{error auth forbidden}}</presence>
        {}
        crone/desktop receives <iq type='result' id='u'/>
        crone/desktop receives <message><x xmlns='{USER}'><item affiliation='none' jid='{{hag}}'/>…</x>…</message>
        {}
        everyone is quiet
    ",
        two(),
        set("crone/desktop", "b", "<item affiliation='outcast' jid='{hag}'><reason>Treason</reason></item>"),
        get("crone/desktop", "l", "affiliation='outcast'"),
        set("crone/desktop", "u", "<item affiliation='none' jid='{hag}'/>"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §9.1, §9.2: nothing of a request that is wrong in one place is done.
#[test]
fn nobody_bans_himself_or_those_above_and_all_or_nothing_happens() {
    play(&format!(
        "
        {}
        {}
        crone/desktop receives <iq type='error' id='1'>…{{error cancel conflict}}</iq>
        {}
        crone/desktop receives <iq type='result' id='2'/>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='admin' role='moderator'>…</item>…</x></presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='admin' role='moderator'>…</item>…</x></presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…<x xmlns='{USER}'><item jid='{{crone/desktop}}'>…</item>…</x></presence>
        {}
        hag/pda       receives <iq type='error' id='3'>…{{error cancel not-allowed}}</iq>
        {}
        # Which of them are the matter (§8.4).
        hag/pda       receives <iq type='error' id='4' from='{{room coven}}'><query xmlns='{ADMIN}'><item affiliation='outcast' jid='{{crone}}'/></query>{{error cancel not-allowed}}</iq>
        {}
        hag/pda       receives <iq type='result' id='5'><query xmlns='{ADMIN}'/></iq>
        everyone is quiet
    ",
        two(),
        set("crone/desktop", "1", "<item affiliation='outcast' jid='{crone}'/>"),
        set("crone/desktop", "2", "<item affiliation='admin' jid='{hag}'/>"),
        set("hag/pda", "3", "<item affiliation='outcast' jid='{crone}'/>"),
        set("hag/pda", "4", "<item affiliation='outcast' jid='{earl}'/><item affiliation='outcast' jid='{crone}'/>"),
        get("hag/pda", "5", "affiliation='outcast'"),
    )
    .replace("crone/desktop connects\n", "crone/desktop connects\nearl/tower connects\n"));
}

// §9.3, §9.4
#[test]
fn membership_is_granted_and_revoked() {
    play(&format!(
        "
        {}
        {}
        hag/pda       receives <iq type='error' id='0'>…{{error auth forbidden}}</iq>
        {}
        crone/desktop receives <iq type='result' id='1'/>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='member' role='participant'>…<reason>Worthy</reason></item>…</x></presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='member'>…</item>…<status code='110'/></x></presence>
        {}
        crone/desktop receives <iq type='result' id='2'/>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='none'>…</item>…</x></presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='none'>…</item>…<status code='110'/></x></presence>
        everyone is quiet
    ",
        two(),
        set("hag/pda", "0", "<item affiliation='member' jid='{hag}'/>"),
        set("crone/desktop", "1", "<item affiliation='member' jid='{hag}'><reason>Worthy</reason></item>"),
        set("crone/desktop", "2", "<item affiliation='none' jid='{hag}/pda'/>"),
    ));
}

// §9.4, §9.5
#[test]
fn a_members_only_room_invites_new_members_and_lets_former_ones_go() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        crone/desktop receives <iq type='result' id='1'/>
        crone/desktop receives <message><x xmlns='{USER}'><item affiliation='member' jid='{{hag}}'/>…</x>…</message>
        hag/pda       receives <message from='{{room coven}}' to='{{hag}}'><x xmlns='{USER}'><invite from='{{room coven}}'/><password>x</password></x>…</message>
        hag/pda       sends    <presence to='{{room coven}}/hag'><x xmlns='http://jabber.org/protocol/muc'><password>x</password></x></presence>
        hag/pda       finds    <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        {}
        crone/desktop receives <iq type='result' id='2'/>
        crone/desktop receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='none' role='none'>…</item>…<status code='321'/></x></presence>
        hag/pda       receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='none' role='none'>…</item>…<status code='110'/><status code='321'/></x></presence>
        everyone is quiet
    ",
        made_with(
            "crone/desktop",
            "coven",
            "first",
            &[
                ("muc#roomconfig_membersonly", "1"),
                ("muc#roomconfig_passwordprotectedroom", "1"),
                ("muc#roomconfig_roomsecret", "x")
            ]
        ),
        set("crone/desktop", "1", "<item affiliation='member' jid='{hag}'/>"),
        set("crone/desktop", "2", "<item affiliation='none' jid='{hag}'/>"),
    ));
}

// §9.5, §5.2.1: who sees the lists.
#[test]
fn the_member_list_is_for_admins_and_where_addresses_are_shown_for_all() {
    let list = |shown: &str, answer: &str| {
        format!(
            "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {}
        crone/desktop receives <iq type='result' id='1'/>
        crone/desktop receives <message><x xmlns='{USER}'><item affiliation='member' jid='{{wicca}}'/>…</x>…</message>
        {}
        {}
        crone/desktop receives <iq type='result' id='2'><query xmlns='{ADMIN}'><item affiliation='member' jid='{{wicca}}' nick='Wicca'/></query></iq>
        {}
        {answer}
        everyone is quiet
        ",
            made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_whois", shown)]),
            enters("hag/pda", "coven", "hag", &["crone/desktop"]),
            set("crone/desktop", "1", "<item affiliation='member' jid='{wicca}' nick='Wicca'/>"),
            if shown == "anyone" {
                format!("hag/pda receives <message><x xmlns='{USER}'><item affiliation='member' jid='{{wicca}}'/>…</x>…</message>")
            } else {
                String::new()
            },
            get("crone/desktop", "2", "affiliation='member'"),
            get("hag/pda", "3", "affiliation='member'"),
        )
    };
    play(&list(
        "moderators",
        "hag/pda receives <iq type='error' id='3'>{error auth forbidden}</iq>",
    ));
    play(&list(
        "anyone",
        &format!(
            "hag/pda receives <iq type='result' id='3'><query xmlns='{ADMIN}'><item affiliation='member' jid='{{wicca}}'/></query></iq>"
        ),
    ));
}

// §9.6, §9.7, §9.8
#[test]
fn moderators_are_made_and_unmade_by_admins() {
    play(&format!(
        "
        {}
        {}
        crone/desktop receives <iq type='result' id='1'/>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='moderator'>…</item></x></presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='moderator'>…</item><status code='110'/></x></presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…<x xmlns='{USER}'><item jid='{{crone/desktop}}'>…</item>…</x></presence>
        {}
        crone/desktop receives <iq type='result' id='2'><query xmlns='{ADMIN}'><item nick='first' role='moderator' affiliation='owner'/><item nick='hag' role='moderator' affiliation='none' jid='{{hag/pda}}'/></query></iq>
        {}
        hag/pda       receives <iq type='error' id='3'>…{{error cancel not-allowed}}</iq>
        {}
        crone/desktop receives <iq type='error' id='4'>…{{error cancel not-allowed}}</iq>
        {}
        crone/desktop receives <iq type='result' id='5'/>
        crone/desktop receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='participant'>…</item></x></presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…<x xmlns='{USER}'><item role='participant'>…</item><status code='110'/></x></presence>
        everyone is quiet
    ",
        two(),
        set("crone/desktop", "1", "<item role='moderator' nick='hag'/>"),
        get("crone/desktop", "2", "role='moderator'"),
        set("hag/pda", "3", "<item role='participant' nick='first'/>"),
        set("crone/desktop", "4", "<item role='participant' nick='first'/>"),
        set("crone/desktop", "5", "<item role='participant' nick='hag'/>"),
    ));
}

// §18.1 item 2
#[test]
fn who_is_not_in_the_room_is_told_what_he_is_to_it_from_now_on() {
    let told = |affiliation: &str, reason: &str| {
        format!(
            "hag/pda receives <message from='{{room coven}}' to='{{hag}}'><x xmlns='{USER}'><item affiliation='{affiliation}' role='none' jid='{{none}}'>{reason}</item><status code='101'/></x>…</message>"
        )
    };
    let seen = |id: &str, affiliation: &str| {
        format!(
            "crone/desktop receives <iq type='result' id='{id}'/>
            crone/desktop receives <message><x xmlns='{USER}'><item affiliation='{affiliation}' jid='{{hag}}'/>…</x>…</message>"
        )
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {}
        {}
        {}
        {}
        {}
        # The same again is no news.
        {}
        crone/desktop receives <iq type='result' id='3'/>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        set("crone/desktop", "1", "<item affiliation='admin' jid='{hag}'/>"),
        seen("1", "admin"),
        told("admin", ""),
        set(
            "crone/desktop",
            "2",
            "<item affiliation='outcast' jid='{hag}'><reason>Treason</reason></item>"
        ),
        seen("2", "outcast"),
        told("outcast", "<reason>Treason</reason>"),
        set(
            "crone/desktop",
            "3",
            "<item affiliation='outcast' jid='{hag}'><reason>Treason</reason></item>"
        ),
    ));
}

// §9.2 (a domain on the ban list), XEP-0463 §5.2.2
#[test]
fn who_bans_a_domain_bans_all_who_are_of_it_and_of_nothing_else_here() {
    let out = "<presence type='unavailable' from='{room coven}/hag'>…<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='outcast' role='none'><actor nick='first'/><reason>Enemies</reason></item><mav xmlns='urn:xmpp:muc:affiliations:1' until='{$now}' since='{none}'/>{110}<status code='301'/></x></presence>";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        wicca/laptop  connects
        {}
        {}
        {}
        {}
        crone/desktop receives <iq type='result' id='1'/>
        crone/desktop receives <presence from='{{room coven}}/wicca'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/wicca'>…</presence>
        wicca/laptop  receives <presence from='{{room coven}}/wicca'>…</presence>
        {}
        crone/desktop receives <iq type='result' id='2'/>
        crone/desktop receives <message from='{{room coven}}'><x xmlns='{USER}'><item affiliation='outcast' jid='localhost' role='none'/><mav xmlns='urn:xmpp:muc:affiliations:1' since='{{$before}}' until='{{$now}}'/></x>…</message>
        hag/pda       receives {}
        crone/desktop receives {}
        wicca/laptop  receives {}
        hag/pda       sends    <presence to='{{room coven}}/hag' id='3'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        hag/pda       receives <presence type='error' id='3'>…{{error auth forbidden}}</presence>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        enters("wicca/laptop", "coven", "wicca", &["crone/desktop", "hag/pda"]),
        set("crone/desktop", "1", "<item affiliation='member' jid='{wicca}'/>"),
        set("crone/desktop", "2", "<item affiliation='outcast' jid='localhost'><reason>Enemies</reason></item>"),
        out.replace("{110}", "<status code='110'/>"),
        out.replace("{110}", ""),
        out.replace("{110}", ""),
    ));
}

// §9.5: a member's nick is reserved with the list, and free again by an empty one; §7.2.8.
#[test]
fn an_admin_reserves_a_nick_for_a_member_and_frees_it() {
    play(&format!(
        "
        crone/desktop connects
        earl/tower    connects
        wicca/laptop  connects
        {}
        {}
        crone/desktop finds    <iq type='result' id='1'/>
        earl/tower    sends    <presence id='2' to='{{room coven}}/Wicca'>{X}</presence>
        earl/tower    receives <presence type='error' id='2'>…{{error cancel conflict}}</presence>
        {}
        crone/desktop finds    <iq type='result' id='3'/>
        {}
        crone/desktop finds    <iq type='result' id='4'><query xmlns='{ADMIN}'><item affiliation='member' jid='{{wicca}}' nick='{{none}}'/></query></iq>
        {}
    ",
        made("crone/desktop", "coven", "first"),
        set("crone/desktop", "1", "<item affiliation='member' jid='{wicca}' nick='Wicca'/>"),
        set("crone/desktop", "3", "<item affiliation='member' jid='{wicca}' nick=''/>"),
        get("crone/desktop", "4", "affiliation='member'"),
        enters("earl/tower", "coven", "Wicca", &["crone/desktop"]),
    ));
}

// §9.5: of a members-only room nobody is let in again who is no member any more.
#[test]
fn who_was_taken_off_the_list_of_a_members_only_room_stays_outside() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        crone/desktop finds    <iq type='result' id='1'/>
        hag/pda       sends    <presence to='{{room coven}}/hag'>{X}</presence>
        hag/pda       finds    <message type='groupchat'><subject/></message>
        {}
        crone/desktop finds    <iq type='result' id='2'/>
        hag/pda       receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='none' role='none'>…</item>…<status code='110'/><status code='321'/></x></presence>
        hag/pda       sends    <presence id='3' to='{{room coven}}/hag'>{X}</presence>
        hag/pda       receives <presence type='error' id='3'>…{{error auth registration-required}}</presence>
        hag/pda       is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_membersonly", "1")]),
        set("crone/desktop", "1", "<item affiliation='member' jid='{hag}'/>"),
        set("crone/desktop", "2", "<item affiliation='none' jid='{hag}'/>"),
    ));
}
