//! XEP-0486 MUC Avatars.

use super::{enters, made};
use crate::stage::play;

const USER: &str = "http://jabber.org/protocol/muc#user";

// XEP-0486 §3.2, §3.3, §3.4
#[test]
fn an_owner_gives_the_room_a_picture_that_everybody_finds() {
    let card = "<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>YWJj</BINVAL></PHOTO></vCard>";
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    let changed = format!(
        "<message type='groupchat' from='{{room coven}}'><x xmlns='{USER}'><status code='104'/></x></message>"
    );
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        earl/tower    connects
        {}
        {}
        hag/pda       sends    <iq type='set' id='0' to='{{room coven}}'>{card}</iq>
        hag/pda       receives <iq type='error' id='0'>{{error auth forbidden}}</iq>
        hag/pda       sends    <iq type='get' id='1' to='{{room coven}}'><vCard xmlns='vcard-temp'/></iq>
        hag/pda       receives <iq type='error' id='1'>{{error cancel item-not-found}}</iq>
        crone/desktop sends    <iq type='set' id='2' to='{{room coven}}'>{card}</iq>
        crone/desktop receives <iq type='result' id='2'/>
        crone/desktop receives {changed}
        hag/pda       receives {changed}
        earl/tower    sends    <iq type='get' id='3' to='{{room coven}}'>{info}</iq>
        earl/tower    receives <iq type='result' id='3'><query xmlns='http://jabber.org/protocol/disco#info'>…<feature var='vcard-temp'/><x xmlns='jabber:x:data'>…<field var='muc#roominfo_avatarhash'><value>a9993e364706816aba3e25717850c26c9cd0d89d</value></field></x></query></iq>
        earl/tower    sends    <iq type='get' id='4' to='{{room coven}}'><vCard xmlns='vcard-temp'/></iq>
        earl/tower    receives <iq type='result' id='4'>{card}</iq>
        crone/desktop sends    <iq type='set' id='5' to='{{room coven}}'><vCard xmlns='vcard-temp'/></iq>
        crone/desktop receives <iq type='result' id='5'/>
        crone/desktop receives {changed}
        hag/pda       receives {changed}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}

// XEP-0045 §17.4 item 3, XEP-0153 §4: the card of an occupant is that of their account, whichever client they have.
#[test]
fn the_card_of_an_occupant_is_asked_for_through_the_room() {
    let card = "<vCard xmlns='vcard-temp'><FN>The hag</FN></vCard>";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <iq type='set' id='1'>{card}</iq>
        hag/pda       finds    <iq type='result' id='1'/>
        crone/desktop sends    <iq type='get' id='2' to='{{room coven}}/hag'><vCard xmlns='vcard-temp'/></iq>
        crone/desktop finds    <iq type='result' id='2' from='{{room coven}}/hag' to='{{crone/desktop}}'>{card}</iq>
        hag/pda       sends    <iq type='get' id='3' to='{{room coven}}/first'><vCard xmlns='vcard-temp'/></iq>
        hag/pda       finds    <iq type='error' id='3' from='{{room coven}}/first'>…</iq>
        # Nobody writes another's card.
        crone/desktop sends    <iq type='set' id='4' to='{{room coven}}/hag'>{card}</iq>
        crone/desktop finds    <iq type='error' id='4' from='{{room coven}}/hag'>…</iq>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
    ));
}
