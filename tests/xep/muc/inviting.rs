//! XEP-0045 Multi-User Chat. Invitations through a room (§7.8.2, §7.9), and answers to them.

use super::{enters, made, made_with};
use crate::stage::play;

const USER: &str = "http://jabber.org/protocol/muc#user";

fn invite(who: &str, id: &str, invites: &str) -> String {
    format!(
        "{who} sends <message id='{id}' to='{{room coven}}'><x xmlns='{USER}'>{invites}</x></message>"
    )
}

// §7.8.2
#[test]
fn a_room_passes_an_invitation_on_and_the_answer_back() {
    play(&format!(
        "
        crone/desktop connects
        hecate/broom  connects
        earl/tower    connects
        {}
        {}
        hecate/broom  receives <message id='i' from='{{room coven}}' to='{{hecate}}'><x xmlns='{USER}'><invite from='{{room coven}}/first'><reason>Hey Hecate</reason></invite><password>cauldronburn</password></x>…</message>
        {}
        crone/desktop receives <message id='d' from='{{room coven}}' to='{{crone/desktop}}'><x xmlns='{USER}'><decline from='{{hecate}}'><reason>Too busy</reason></decline></x>…</message>
        # Nobody declines what they were not invited to.
        {}
        hecate/broom  receives <message type='error' id='d'>{{error cancel item-not-found}}</message>
        {}
        earl/tower    receives <message type='error' id='e'>{{error modify not-acceptable}}</message>
        everyone is quiet
    ",
        made_with(
            "crone/desktop",
            "coven",
            "first",
            &[
                ("muc#roomconfig_passwordprotectedroom", "1"),
                ("muc#roomconfig_roomsecret", "cauldronburn")
            ]
        ),
        invite("crone/desktop", "i", "<invite to='{hecate}'><reason>Hey Hecate</reason></invite>"),
        invite("hecate/broom", "d", "<decline to='{crone}'><reason>Too busy</reason></decline>"),
        invite("hecate/broom", "d", "<decline to='{crone}'/>"),
        invite("earl/tower", "e", "<invite to='{hecate}'/>"),
    ));
}

// §7.8.2: of two who have invited them, the one whom they name.
#[test]
fn an_answer_goes_to_the_inviter_whom_it_names() {
    for (whois, named) in [("moderators", "{room coven}/hag"), ("anyone", "{hag}")] {
        play(&format!(
            "
        crone/desktop connects
        hag/pda       connects
        hecate/broom  connects
        {}
        {}
        {}
        hecate/broom  receives <message id='1'>…</message>
        {}
        hecate/broom  receives <message id='2'><x xmlns='{USER}'><invite from='{named}'/></x>…</message>
        {}
        hag/pda       receives <message id='3' from='{{room coven}}' to='{{hag/pda}}'><x xmlns='{USER}'><decline from='{{hecate}}'/></x>…</message>
        {}
        crone/desktop receives <message id='4'><x xmlns='{USER}'><decline from='{{hecate}}'/></x>…</message>
        everyone is quiet
    ",
            made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_whois", whois)]),
            enters("hag/pda", "coven", "hag", &["crone/desktop"]),
            invite("crone/desktop", "1", "<invite to='{hecate}'/>"),
            invite("hag/pda", "2", "<invite to='{hecate}'/>"),
            invite("hecate/broom", "3", &format!("<decline to='{named}'/>")),
            invite("hecate/broom", "4", "<decline/>"),
        ));
    }
}

// §7.8.1, XEP-0249 §2
#[test]
fn a_direct_invitation_needs_no_room() {
    let invitation = "<x xmlns='jabber:x:conference' jid='darkcave@macbeth.shakespeare.lit' password='cauldronburn' reason='Hey Hecate'/>";
    play(&format!(
        "
        crone/desktop connects
        hecate/broom  connects
        crone/desktop sends    <message id='i' to='{{hecate}}'>{invitation}</message>
        hecate/broom  receives <message id='i' from='{{crone/desktop}}'>{invitation}…</message>
        everyone is quiet
    "
    ));
}

// §7.9: several at once, with the thread that goes on.
#[test]
fn a_chat_of_two_goes_on_in_a_room() {
    let go_on = "<continue thread='e0ffe42b'/>";
    play(&format!(
        "
        crone/desktop connects
        wicca/laptop  connects
        hag/pda       connects
        {}
        crone/desktop sends    <message type='groupchat' id='h' to='{{room coven}}'><thread>e0ffe42b</thread><body>Thrice</body><delay xmlns='urn:xmpp:delay' from='{{crone/desktop}}' stamp='2004-09-29T01:54:37Z'/></message>
        crone/desktop receives <message id='h'><thread>e0ffe42b</thread><body>Thrice</body><delay xmlns='urn:xmpp:delay' from='{{crone/desktop}}'/>…</message>
        {}
        wicca/laptop  receives <message from='{{room coven}}' to='{{wicca/laptop}}'><x xmlns='{USER}'><invite from='{{crone}}'>{go_on}</invite></x>…</message>
        hag/pda       receives <message from='{{room coven}}' to='{{hag}}'><x xmlns='{USER}'><invite from='{{crone}}'>{go_on}</invite></x>…</message>
        wicca/laptop  sends    <presence to='{{room coven}}/second'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        wicca/laptop  receives <presence from='{{room coven}}/first'>…</presence>
        wicca/laptop  receives <presence from='{{room coven}}/second'>…</presence>
        # It brings its own time.
        wicca/laptop  receives <message id='h'><thread>e0ffe42b</thread><body>Thrice</body><delay xmlns='urn:xmpp:delay' from='{{crone/desktop}}' stamp='2004-09-29T01:54:37Z'/>
                               <stanza-id xmlns='urn:xmpp:sid:0'/><occupant-id xmlns='urn:xmpp:occupant-id:0'/></message>
        wicca/laptop  receives <message type='groupchat'><subject/></message>
        crone/desktop receives <presence from='{{room coven}}/second'>…</presence>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_whois", "anyone")]),
        invite(
            "crone/desktop",
            "i",
            &format!("<invite to='{{wicca/laptop}}'>{go_on}</invite><invite to='{{hag}}'>{go_on}</invite>")
        ),
    ));
}

// §7.8.2, §9.5
#[test]
fn who_is_invited_to_a_members_only_room_may_come_if_the_inviter_may_say_so() {
    let room = |members_invite: &str| {
        made_with(
            "crone/desktop",
            "coven",
            "first",
            &[("muc#roomconfig_membersonly", "1"), ("muc#roomconfig_allowinvites", members_invite)],
        )
    };
    let hag = format!(
        "
        {}
        hag/pda       receives <message from='{{room coven}}'><x xmlns='{USER}'><invite from='{{room coven}}/first'/></x>…</message>
        crone/desktop receives <message><x xmlns='{USER}'><item affiliation='member' jid='{{hag}}'/>…</x>…</message>
        {}
        {}
        ",
        invite("crone/desktop", "i", "<invite to='{hag}'/>"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        invite("hag/pda", "j", "<invite to='{wicca}'/>"),
    );
    let people = "
        crone/desktop connects
        hag/pda       connects
        wicca/laptop  connects
        ";
    play(&format!(
        "{people}{}{hag}
        hag/pda       receives <message type='error' id='j'>{{error auth forbidden}}</message>
        everyone is quiet",
        room("0")
    ));
    play(&format!(
        "{people}{}{hag}
        wicca/laptop  receives <message from='{{room coven}}'><x xmlns='{USER}'><invite from='{{room coven}}/hag'/></x>…</message>
        crone/desktop receives <message><x xmlns='{USER}'><item affiliation='member' jid='{{wicca}}'/>…</x>…</message>
        {}
        everyone is quiet",
        room("1"),
        enters("wicca/laptop", "coven", "wicca", &["crone/desktop", "hag/pda"]),
    ));
}

// §7.8.2, last paragraph but four
#[test]
fn an_invitation_to_nobody_is_refused() {
    play(&format!(
        "
        crone/desktop connects
        {}
        {}
        crone/desktop receives <message type='error' id='1'>{{error cancel item-not-found}}</message>
        {}
        crone/desktop receives <message type='error' id='2'>{{error modify jid-malformed}}</message>
        {}
        crone/desktop receives <message type='error' id='3'>{{error modify bad-request}}</message>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        invite("crone/desktop", "1", "<invite to='{domain}'/>"),
        invite("crone/desktop", "2", "<invite to='@'/>"),
        invite("crone/desktop", "3", "<invite/>"),
    ));
}

// §7.8.2: whom there is not.
#[test]
fn who_invites_somebody_who_is_not_there_is_told() {
    play(&format!(
        "
        crone/desktop connects
        {}
        crone/desktop sends    <message id='i' to='{{room coven}}'><x xmlns='{USER}'><invite to='nobody-at-all@localhost'/></x></message>
        crone/desktop receives <message type='error' id='i' from='{{room coven}}' to='{{crone/desktop}}'>{{error cancel item-not-found}}</message>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
    ));
}

// §7.8.2, §9.5: where everybody may enter, everybody who is inside may invite, whatever is said of members.
#[test]
fn in_an_open_room_everybody_invites() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        wicca/laptop  connects
        {}
        {}
        {}
        wicca/laptop  receives <message id='i' from='{{room coven}}'><x xmlns='{USER}'><invite from='{{room coven}}/hag'/></x>…</message>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_allowinvites", "0")]),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        invite("hag/pda", "i", "<invite to='{wicca}'/>"),
    ));
}
