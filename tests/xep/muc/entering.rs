//! XEP-0045 Multi-User Chat. Entering a room (§7.1, §7.2).

use super::{configured, enters, made, made_with};
use crate::stage::{Stage, play};

const X: &str = "<x xmlns='http://jabber.org/protocol/muc'/>";
const USER: &str = "http://jabber.org/protocol/muc#user";

// §7.1, §7.2.2, §7.2.4: the others, then oneself, then history, then the subject.
#[test]
fn a_newcomer_hears_of_the_others_of_himself_of_the_past_and_of_the_subject() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        crone/desktop sends    <message type='groupchat' id='m1' to='{{room coven}}'><body>Thrice the brinded cat</body></message>
        crone/desktop receives <message type='groupchat' id='m1' from='{{room coven}}/first'><body>Thrice the brinded cat</body>…</message>
        crone/desktop sends    <message type='groupchat' id='m2' to='{{room coven}}'><subject>Spells</subject></message>
        crone/desktop receives <message type='groupchat' id='m2' from='{{room coven}}/first'><subject>Spells</subject>…</message>
        hag/pda       sends    <presence id='n1' to='{{room coven}}/third'>{X}</presence>
        hag/pda       receives <presence from='{{room coven}}/first' to='{{hag/pda}}'>…<x xmlns='{USER}'><item affiliation='owner' role='moderator' jid='{{none}}'/></x></presence>
        hag/pda       receives <presence id='n1' from='{{room coven}}/third'>…<x xmlns='{USER}'><item affiliation='none' role='participant' jid='{{hag/pda}}'/><status code='110'/></x></presence>
        hag/pda       receives <message type='groupchat' id='m1' from='{{room coven}}/first'><body>Thrice the brinded cat</body><delay xmlns='urn:xmpp:delay' from='{{room coven}}'/>…</message>
        hag/pda       receives <message type='groupchat' id='m2' from='{{room coven}}/first'><subject>Spells</subject><delay xmlns='urn:xmpp:delay' from='{{room coven}}'/>…</message>
        crone/desktop receives <presence from='{{room coven}}/third'>…<x xmlns='{USER}'><item affiliation='none' role='participant' jid='{{hag/pda}}'/></x></presence>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
    ));
}

// §7.2.1, §17.1
#[test]
fn without_a_nick_nobody_enters() {
    play(&format!(
        "
        hag/pda connects
        {}
        hag/pda sends    <presence id='1' to='{{room coven}}'>{X}</presence>
        hag/pda receives <presence type='error' id='1' from='{{room coven}}'>{X}<error type='modify' by='{{room coven}}'>…<jid-malformed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>
        hag/pda sends    <presence id='2' to='{{room coven}}/{}'>{X}</presence>
        hag/pda receives <presence type='error' id='2'>…{{error modify not-acceptable}}</presence>
        everyone is quiet
    ",
        made("hag/pda", "coven", "hag"),
        "x".repeat(65),
    ));
}

// §7.2.3
#[test]
fn in_a_non_anonymous_room_everybody_sees_addresses_and_is_warned() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        wicca/laptop  connects
        {}
        {}
        wicca/laptop  sends    <presence to='{{room coven}}/wicca'>{X}</presence>
        wicca/laptop  receives <presence from='{{room coven}}/first'>…<x xmlns='{USER}'><item affiliation='owner' role='moderator' jid='{{crone/desktop}}'/></x></presence>
        wicca/laptop  receives <presence from='{{room coven}}/third'>…<x xmlns='{USER}'><item affiliation='none' role='participant' jid='{{hag/pda}}'/></x></presence>
        wicca/laptop  receives <presence from='{{room coven}}/wicca'>…<x xmlns='{USER}'><item jid='{{wicca/laptop}}'/><status code='100'/><status code='110'/><status code='170'/></x></presence>
        wicca/laptop  receives <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/wicca'>…<x xmlns='{USER}'><item jid='{{wicca/laptop}}'/></x></presence>
        hag/pda       receives <presence from='{{room coven}}/wicca'>…<x xmlns='{USER}'><item jid='{{wicca/laptop}}'/></x></presence>
        everyone is quiet
    ",
        made_with(
            "crone/desktop",
            "coven",
            "first",
            &[("muc#roomconfig_whois", "anyone"), ("muc#roomconfig_enablelogging", "1")]
        ),
        enters("hag/pda", "coven", "third", &["crone/desktop"]),
    ));
}

// §7.2.5
#[test]
fn a_password_opens_the_door() {
    let fields = [
        ("muc#roomconfig_passwordprotectedroom", "1"),
        ("muc#roomconfig_roomsecret", "cauldronburn"),
    ];
    let word = |password| {
        format!("<x xmlns='http://jabber.org/protocol/muc'><password>{password}</password></x>")
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        hag/pda       sends    <presence id='1' to='{{room coven}}/hag'>{X}</presence>
        hag/pda       receives <presence type='error' id='1'>…{{error auth not-authorized}}</presence>
        hag/pda       sends    <presence id='2' to='{{room coven}}/hag'>{}</presence>
        hag/pda       receives <presence type='error' id='2'>…{{error auth not-authorized}}</presence>
        hag/pda       sends    <presence id='3' to='{{room coven}}/hag'>{}</presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…</presence>
        hag/pda       receives <presence id='3' from='{{room coven}}/hag'>…</presence>
        hag/pda       receives <message type='groupchat'><subject/></message>
        # The password is not told to anybody.
        crone/desktop receives <presence from='{{room coven}}/hag'><occupant-id xmlns='urn:xmpp:occupant-id:0'/><x xmlns='{USER}'><item/></x></presence>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &fields),
        word("wrong"),
        word("cauldronburn"),
    ));
}

// §7.2.6, §7.2.7
#[test]
fn strangers_and_the_banned_stay_outside() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        earl/tower    connects
        {}
        hag/pda       sends    <presence id='1' to='{{room coven}}/hag'>{X}</presence>
        hag/pda       receives <presence type='error' id='1'>…{{error auth registration-required}}</presence>
        crone/desktop sends    <iq type='set' id='b' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast' jid='{{earl}}'/></query></iq>
        crone/desktop receives <iq type='result' id='b'/>
        crone/desktop receives <message from='{{room coven}}'><x xmlns='{USER}'><item affiliation='outcast' jid='{{earl}}'/>…</x>…</message>
        earl/tower    receives <message from='{{room coven}}' to='{{earl}}'><x xmlns='{USER}'><item affiliation='outcast' role='none'/><status code='101'/></x>…</message>
        earl/tower    sends    <presence id='2' to='{{room coven}}/earl'>{X}</presence>
        earl/tower    receives <presence type='error' id='2'>…{{error auth forbidden}}</presence>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_membersonly", "1")]),
    ));
}

// §7.2.8
#[test]
fn a_nick_that_looks_the_same_is_taken_but_not_for_its_owners_other_clients() {
    play(&format!(
        "
        crone/desktop connects
        crone/phone   connects
        hag/pda       connects
        {}
        hag/pda       sends    <presence id='1' to='{{room coven}}/FIRST'>{X}</presence>
        hag/pda       receives <presence type='error' id='1' from='{{room coven}}/FIRST'>…{{error cancel conflict}}</presence>
        {}
        crone/phone   sends    <presence id='2' to='{{room coven}}/first'>{X}</presence>
        crone/phone   receives <presence from='{{room coven}}/hag'>…</presence>
        crone/phone   receives <presence id='2' from='{{room coven}}/first'>…<x xmlns='{USER}'><item affiliation='owner' role='moderator'/><status code='110'/></x></presence>
        crone/phone   receives <message type='groupchat'><subject/></message>
        hag/pda       receives <presence from='{{room coven}}/first'>…</presence>
        crone/desktop receives <presence from='{{room coven}}/first'>…<x xmlns='{USER}'><item/><status code='110'/></x></presence>
        hag/pda       sends    <message type='groupchat' to='{{room coven}}' id='m'><body>hi</body></message>
        hag/pda       receives <message id='m'>…</message>
        crone/desktop receives <message id='m'>…</message>
        crone/phone   receives <message id='m'>…</message>
        # One client less, and the occupant is still there.
        crone/phone   sends    <presence type='unavailable' to='{{room coven}}/first'/>
        crone/phone   receives <presence type='unavailable' from='{{room coven}}/first'>…<x xmlns='{USER}'><item role='none'/><status code='110'/></x></presence>
        hag/pda       receives <presence type='{{none}}' from='{{room coven}}/first'>…</presence>
        crone/desktop receives <presence type='{{none}}' from='{{room coven}}/first'>…</presence>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §7.2.9
#[test]
fn a_full_room_lets_nobody_in_but_admins() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        wicca/laptop  connects
        {}
        hag/pda       sends    <presence id='1' to='{{room coven}}/hag'>{X}</presence>
        hag/pda       receives <presence type='error' id='1'>…{{error wait service-unavailable}}</presence>
        crone/desktop sends    <iq type='set' id='a' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='admin' jid='{{wicca}}'/></query></iq>
        crone/desktop receives <iq type='result' id='a'/>
        crone/desktop receives <message from='{{room coven}}'>…</message>
        {}
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_maxusers", "1")]),
        enters("wicca/laptop", "coven", "wicca", &["crone/desktop"]),
    ));
}

// §7.2.14
#[test]
fn a_newcomer_gets_as_much_history_as_he_wants() {
    let say = |id: &str| {
        format!(
            "
        crone/desktop sends    <message type='groupchat' id='{id}' to='{{room coven}}'><body>{id}</body></message>
        crone/desktop receives <message id='{id}'>…</message>
        "
        )
    };
    let enter = |wish: &str| {
        format!(
            "
        hag/pda       sends    <presence to='{{room coven}}/hag'><x xmlns='http://jabber.org/protocol/muc'><history {wish}/></x></presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…</presence>
        "
        )
    };
    let heard = |ids: &[&str]| -> String {
        let line = |id: &&str| {
            format!("hag/pda receives <message id='{id}'><body>{id}</body>…</message>\n")
        };
        ids.iter().map(line).collect()
    };
    let leave = "
        hag/pda       receives <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{room coven}/hag'>…</presence>
        hag/pda       sends    <presence type='unavailable' to='{room coven}/hag'/>
        hag/pda       receives <presence type='unavailable'>…</presence>
        crone/desktop receives <presence type='unavailable'>…</presence>
        ";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}{}{}{}
        {}{}{leave}
        {}{leave}
        {}{leave}
        {}{}{leave}
        {}{leave}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        say("m1"),
        say("m2"),
        say("m3"),
        enter("maxstanzas='2'"),
        heard(&["m2", "m3"]),
        enter("maxchars='0'"),
        enter("maxstanzas='0'"),
        enter("seconds='100' since='1970-01-01T00:00:00Z'"),
        heard(&["m1", "m2", "m3"]),
        enter("since='2999-01-01T00:00:00Z'"),
    ));
}

// §7.2.18: who believes to be an occupant learns otherwise.
#[test]
fn presence_of_somebody_outside_is_answered_by_a_kick() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        hag/pda       sends    <presence to='{{room coven}}/hag'><show>away</show></presence>
        hag/pda       receives <presence type='unavailable' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item affiliation='none' role='none'>…<reason>You are not in the room.</reason></item><status code='110'/><status code='307'/><status code='333'/></x></presence>
        hag/pda       sends    <presence to='{{room nowhere}}/hag'/>
        hag/pda       receives <presence type='unavailable' from='{{room nowhere}}/hag'>…<x xmlns='{USER}'>…<status code='333'/></x></presence>
        # §17.3 rule 5
        hag/pda       sends    <presence type='unavailable' to='{{room coven}}/hag'/>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
    ));
}

// §7.2.1, last paragraph; §17.3 rule 3
#[test]
fn a_client_that_has_lost_track_hears_everything_again() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <presence id='again' to='{{room coven}}/hag'>{X}</presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…</presence>
        hag/pda       receives <presence id='again' from='{{room coven}}/hag'>…<x xmlns='{USER}'><item/><status code='110'/></x></presence>
        hag/pda       receives <message type='groupchat'><subject/></message>
        hag/pda       sends    <presence id='away' to='{{room coven}}/hag'>{X}<show>away</show></presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…</presence>
        hag/pda       receives <presence id='away' from='{{room coven}}/hag'><show>away</show>…</presence>
        hag/pda       receives <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/hag'><show>away</show>…</presence>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// §16.5.3 presencebroadcast
#[test]
fn whose_role_is_not_broadcast_is_seen_by_himself_alone() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        wicca/laptop  connects
        {}
        {}
        wicca/laptop  sends    <presence to='{{room coven}}/wicca'>{X}</presence>
        wicca/laptop  receives <presence from='{{room coven}}/first'>…</presence>
        wicca/laptop  receives <presence from='{{room coven}}/wicca'>…<x xmlns='{USER}'><item role='participant'/><status code='110'/></x></presence>
        wicca/laptop  receives <message type='groupchat'><subject/></message>
        everyone is quiet
    ",
        made_with(
            "crone/desktop",
            "coven",
            "first",
            &[("muc#roomconfig_presencebroadcast", "moderator")]
        ),
        enters("hag/pda", "coven", "hag", &[]),
    ));
}

// §7.10, §7.6: nicks are locked.
#[test]
fn who_has_registered_a_nick_gets_it_where_nicks_are_locked() {
    let register = "<iq type='set' id='r' to='{room coven}'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>
        <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>
        <field var='muc#register_roomnick'><value>third</value></field></x></query></iq>";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        hag/pda       sends    {register}
        hag/pda       receives <iq type='result' id='r'/>
        crone/desktop receives <message><x xmlns='{USER}'><item affiliation='member' jid='{{hag}}'/>…</x>…</message>
        hag/pda       sends    <presence to='{{room coven}}/other'>{X}</presence>
        hag/pda       receives <presence from='{{room coven}}/first'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/third'>…<x xmlns='{USER}'><item affiliation='member'/><status code='110'/><status code='210'/></x></presence>
        hag/pda       receives <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/third'>…</presence>
        hag/pda       sends    <presence id='n' to='{{room coven}}/other'/>
        hag/pda       receives <presence type='error' id='n'>…{{error cancel not-acceptable}}</presence>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("rookery#roomconfig_nickslocked", "1")]),
    ));
}

// A room that stays is there after a restart, with everything that was to stay.
#[test]
fn a_persistent_room_survives_a_power_cut_and_a_temporary_one_does_not() {
    let mut stage = Stage::start("[store]\nengine = 'embedded'");
    stage.add_accounts(&["crone", "hag"]);
    let town = |stage: &Stage| town::Town {
        addresses: vec![stage.c2s],
        domains: vec!["localhost".to_owned()],
        suffix: String::new(),
        password: crate::stage::PASSWORD.to_owned(),
    };
    let before = format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {}
        crone/desktop sends    <message type='groupchat' id='m1' to='{{room coven}}'><body>kept</body></message>
        crone/desktop receives <message id='m1'>…</message>
        hag/pda       receives <message id='m1'>…</message>
        crone/desktop sends    <message type='groupchat' id='m2' to='{{room coven}}'><subject>Spells</subject></message>
        crone/desktop receives <message id='m2'>…</message>
        hag/pda       receives <message id='m2'>…</message>
        crone/desktop sends    <iq type='set' id='a' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='{{hag}}' nick='Hag'/></query></iq>
        crone/desktop receives <iq type='result' id='a'/>
        crone/desktop receives <presence from='{{room coven}}/hag'>…</presence>
        hag/pda       receives <presence from='{{room coven}}/hag'>…</presence>
        everyone is quiet
    ",
        made_with(
            "crone/desktop",
            "coven",
            "first",
            &[
                ("muc#roomconfig_persistentroom", "1"),
                ("muc#roomconfig_moderatedroom", "1"),
                ("muc#roomconfig_roomname", "Cave")
            ]
        ),
        made("crone/desktop", "heath", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    );
    town(&stage).play(&town::Story::read(&before));
    stage.kill_and_restart();
    let after = format!(
        "
        hag/pda sends    <iq type='get' id='1' to='conference.localhost'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
        hag/pda receives <iq type='result' id='1'>…</iq>
        hag/pda sends    <presence id='n' to='{{room coven}}/x'>{X}</presence>
        hag/pda receives <presence id='n' from='{{room coven}}/x'>…<x xmlns='{USER}'><item affiliation='member' role='participant'/><status code='110'/></x></presence>
        hag/pda receives <message id='m1' from='{{room coven}}/first'><body>kept</body><delay xmlns='urn:xmpp:delay'/>…</message>
        hag/pda receives <message id='m2' from='{{room coven}}/first'><subject>Spells</subject>…</message>
        hag/pda sends    <iq type='get' id='2' to='{{room heath}}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        hag/pda receives <iq type='error' id='2'>{{error cancel item-not-found}}</iq>
        # The service has looked after the room that does not stay.
        hag/pda sends    <iq type='get' id='3' to='conference.localhost'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
        hag/pda receives <iq type='result' id='3'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='{{room coven}}' name='Cave'/></query></iq>
        everyone is quiet
    "
    );
    town(&stage).play(&town::Story::read(&format!("hag/pda connects\n{after}")));
}

// A room that stays goes on when everybody has left it.
#[test]
fn an_empty_room_stays_or_ends_as_configured() {
    play(&format!(
        "
        crone/desktop connects
        {}
        {}
        {}
        {}
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_persistentroom", "1")]),
        left("crone/desktop", "coven", "first"),
        made("crone/desktop", "heath", "first"),
        left("crone/desktop", "heath", "first")
            + &configured("crone/desktop", "coven", &[("muc#roomconfig_roomname", "x")])
            + "crone/desktop sends <iq type='get' id='2' to='{room heath}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
               crone/desktop receives <iq type='error' id='2'>{error cancel item-not-found}</iq>",
    ));
}

fn left(who: &str, room: &str, nick: &str) -> String {
    format!(
        "
        {who} sends    <presence type='unavailable' to='{{room {room}}}/{nick}'/>
        {who} receives <presence type='unavailable' from='{{room {room}}}/{nick}'>…</presence>
        "
    )
}
