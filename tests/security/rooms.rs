//! Attacks on rooms: rights that somebody does not have, words that only a room may say, and too much of
//! everything (XEP-0045 §14).

use super::bystander::Bystander;
use super::guarded;
use super::wire::Wire;
use crate::stage::Stage;

pub(super) const X: &str = "<x xmlns='http://jabber.org/protocol/muc'/>";
const USER: &str = "http://jabber.org/protocol/muc#user";
pub(super) const ROOM: &str = "coven@conference.localhost";

/// A room with its owner in it, and the fields of its configuration.
pub(super) fn coven(stage: &Stage, fields: &[(&str, &str)]) -> Wire {
    let mut owner = Wire::bound(stage, "crone", "desktop");
    owner.say(&format!("<presence to='{ROOM}/crone'>{X}</presence>"));
    owner.until("<subject/>");
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .collect();
    owner.say(&format!(
        "<iq type='set' id='conf' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'>{fields}</x></query></iq>"
    ));
    owner.until("id='conf'");
    owner
}

/// Says this and awaits the answer of this id, which must be this condition.
fn refused(wire: &mut Wire, stanza: &str, id: &str, condition: &str) {
    wire.say(stanza);
    let heard = wire.until(&format!("id='{id}'")) + &wire.until("</error>");
    assert!(heard.contains(&format!("<{condition} ")), "{stanza}: {heard}");
}

fn admin(id: &str, item: &str) -> String {
    format!(
        "<iq type='set' id='{id}' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query></iq>"
    )
}

fn owner(id: &str, content: &str) -> String {
    format!(
        "<iq type='set' id='{id}' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'>{content}</query></iq>"
    )
}

#[test]
fn who_has_no_rights_changes_nothing_in_a_room() {
    let stage = guarded();
    stage.add_accounts(&["crone", "tybalt", "thief"]);
    let bystander = Bystander::beside(&stage);
    let mut crone = coven(&stage, &[("muc#roomconfig_moderatedroom", "1")]);
    let mut tybalt = Wire::bound(&stage, "tybalt", "x");
    tybalt.say(&format!("<presence to='{ROOM}/tybalt'>{X}</presence>"));
    tybalt.until("<subject/>");
    let mut thief = Wire::bound(&stage, "thief", "x");
    let items = [
        "<item affiliation='owner' jid='tybalt@localhost'/>",
        "<item affiliation='admin' jid='tybalt@localhost'/>",
        "<item affiliation='member' jid='tybalt@localhost'/>",
        "<item affiliation='outcast' jid='crone@localhost'/>",
        "<item affiliation='none' jid='crone@localhost'/>",
        "<item role='moderator' nick='tybalt'/>",
        "<item role='participant' nick='tybalt'/>",
        "<item role='none' nick='crone'/>",
    ];
    for wire in [&mut tybalt, &mut thief] {
        for (number, item) in items.iter().enumerate() {
            let id = format!("a{number}");
            refused(wire, &admin(&id, item), &id, "forbidden");
        }
        let content = ["<x xmlns='jabber:x:data' type='submit'/>", "<destroy/>"];
        for (number, content) in content.iter().enumerate() {
            let id = format!("o{number}");
            refused(wire, &owner(&id, content), &id, "forbidden");
        }
        for list in ["affiliation='outcast'", "affiliation='owner'", "role='moderator'"] {
            let get = admin("l", &format!("<item {list}/>")).replace("type='set'", "type='get'");
            refused(wire, &get, "l", "forbidden");
        }
        refused(
            wire,
            &format!(
                "<iq type='set' id='v' to='{ROOM}'><vCard xmlns='vcard-temp'><FN>x</FN></vCard></iq>"
            ),
            "v",
            "forbidden",
        );
        refused(
            wire,
            &format!(
                "<iq type='set' id='m' to='{ROOM}'><moderate xmlns='urn:xmpp:message-moderate:1' id='0000000000000abc'><retract xmlns='urn:xmpp:message-retract:1'/></moderate></iq>"
            ),
            "m",
            "forbidden",
        );
    }
    let subject = |id: &str| {
        format!("<message type='groupchat' id='{id}' to='{ROOM}'><subject>mine</subject></message>")
    };
    refused(&mut tybalt, &subject("s"), "s", "forbidden");
    refused(&mut thief, &subject("s"), "s", "not-acceptable");
    let body = format!("<message type='groupchat' id='b' to='{ROOM}'><body>hi</body></message>");
    refused(&mut tybalt, &body, "b", "forbidden");
    // Words between rooms and their service come from nobody else.
    for word in ["created", "ended", "stop"] {
        thief.say(&format!("<message to='{ROOM}'><{word} xmlns='urn:rookery:rooms:0'/></message>"));
        thief.say(&format!("<message id='w' to='conference.localhost'><{word} xmlns='urn:rookery:rooms:0'/></message>"));
        thief.until("id='w'");
    }
    // The room is as it was: nobody was told anything but that tybalt has come.
    crone.say(&format!("<iq type='get' id='last' to='{ROOM}'><ping xmlns='urn:xmpp:ping'/></iq>"));
    let heard = crone.until("id='last'");
    assert_eq!(heard.matches("<presence").count(), 1, "{heard}");
    assert!(!heard.contains("<message"), "{heard}");
    bystander.was_not_hurt("rights that somebody does not have");
}

#[test]
fn forged_words_of_a_room_never_reach_anybody() {
    let stage = guarded();
    stage.add_accounts(&["crone", "tybalt"]);
    let bystander = Bystander::beside(&stage);
    let mut crone = coven(&stage, &[]);
    let mut tybalt = Wire::bound(&stage, "tybalt", "x");
    let forged = format!(
        "<x xmlns='{USER}'><item affiliation='owner' role='moderator' jid='forged@x/y'/><status code='307'/><destroy/></x>\
         <x xmlns='{USER}'><status code='forged'/></x>\
         <occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>\
         <stanza-id xmlns='urn:xmpp:sid:0' by='{ROOM}' id='forged'/>\
         <stanza-id xmlns='urn:xmpp:sid:0' by='COVEN@conference.localhost' id='forged'/>\
         <delay xmlns='urn:xmpp:delay' from='{ROOM}' stamp='forged'/>"
    );
    tybalt.say(&format!("<presence to='{ROOM}/tybalt'>{X}{forged}</presence>"));
    tybalt.until("<subject/>");
    tybalt.say(&format!("<presence to='{ROOM}/tybalt'><show>away</show>{forged}</presence>"));
    tybalt.say(&format!(
        "<message type='groupchat' id='m1' to='{ROOM}'><body>hi</body>{forged}</message>"
    ));
    tybalt.until("id='m1'");
    tybalt.say(&format!(
        "<message type='chat' id='m2' to='{ROOM}/crone'><body>hi</body>{forged}</message>"
    ));
    tybalt.say(&format!(
        "<presence type='unavailable' to='{ROOM}/tybalt'><status>bye</status>{forged}</presence>"
    ));
    let heard = crone.until("bye") + &crone.until("</presence>");
    assert!(heard.contains("id='m1'") && heard.contains("id='m2'"), "{heard}");
    assert!(
        !heard.contains("forged") && !heard.contains("'307'") && !heard.contains("destroy"),
        "{heard}"
    );
    // As somebody else: the true sender is stamped, or the stream ends.
    tybalt.say(&format!("<message type='groupchat' id='m3' from='{ROOM}/crone' to='{ROOM}'><body>hi</body></message>"));
    assert!(tybalt.rest().contains("invalid-from"));
    bystander.was_not_hurt("forged words");
}

// §14.6
#[test]
fn a_flood_of_presence_nicks_and_messages_is_slowed_and_bounded() {
    const STANZAS: usize = 1_500;
    let stage = Stage::start(
        "[room]\nstanzas_per_second = 5\nstanzas_burst = 50\n[limits]\nenabled = true\nstanzas_per_second = 100000\nstanzas_burst = 100000",
    );
    stage.add_accounts(&["crone", "tybalt"]);
    let bystander = Bystander::beside(&stage);
    let mut crone = coven(&stage, &[]);
    let mut tybalt = Wire::bound(&stage, "tybalt", "x");
    tybalt.say(&format!("<presence to='{ROOM}/tybalt'>{X}</presence>"));
    tybalt.until("<subject/>");
    let mut refusals = 0;
    for number in 0..STANZAS {
        tybalt.say(&match number % 3 {
            0 => format!("<presence id='f{number}' to='{ROOM}/tybalt{number}'/>"),
            1 => format!("<presence id='f{number}' to='{ROOM}/tybalt'><status>{number}</status></presence>"),
            _ => format!("<message type='groupchat' id='f{number}' to='{ROOM}'><body>{number}</body></message>"),
        });
        if number % 100 == 99 {
            tybalt.say(&format!(
                "<iq type='get' id='mark' to='{ROOM}'><ping xmlns='urn:xmpp:ping'/></iq>"
            ));
            refusals += tybalt.until("id='mark'").matches("<policy-violation ").count();
        }
    }
    assert!(refusals > STANZAS / 2, "{refusals} of {STANZAS} were refused");
    crone.say(&format!("<iq type='get' id='last' to='{ROOM}'><ping xmlns='urn:xmpp:ping'/></iq>"));
    let heard = crone.until("id='last'").matches("from='coven@conference.localhost/tybalt").count();
    assert!(heard < STANZAS / 2, "{heard} reached an occupant");
    assert!(bystander.growth() < 96 << 20, "{} bytes", bystander.growth());
    bystander.was_not_hurt("a flood into a room");
}

// §14.6: rooms, and people who stand at the door.
#[test]
fn nobody_makes_rooms_without_end() {
    const ROOMS: usize = 400;
    let stage = Stage::start(
        "[room]\nrooms_per_account = 20\n[limits]\nenabled = true\nstanzas_per_second = 100000\nstanzas_burst = 100000",
    );
    stage.add_accounts(&["tybalt"]);
    let bystander = Bystander::beside(&stage);
    let mut tybalt = Wire::bound(&stage, "tybalt", "x");
    let (mut made, mut refused) = (0, 0);
    for number in 0..ROOMS {
        tybalt.say(&format!(
            "<presence id='r{number}' to='flood{number}@conference.localhost/tybalt'>{X}</presence>"
        ));
        let heard = tybalt.until(&format!("id='r{number}'")) + &tybalt.until("</presence>");
        made += heard.matches("code='201'").count();
        refused += heard.matches("<error ").count();
    }
    assert_eq!((made, refused), (20, ROOMS - 20));
    assert!(bystander.growth() < 96 << 20, "{} bytes", bystander.growth());
    bystander.was_not_hurt("a flood of rooms");
}

// §14.6: coming and going costs everybody who is inside, and gives nobody a new start.
#[test]
fn a_flood_of_entries_is_slowed() {
    const ENTRIES: usize = 400;
    let stage = Stage::start(
        "[room]\nstanzas_per_second = 5\nstanzas_burst = 50\n[limits]\nenabled = true\nstanzas_per_second = 100000\nstanzas_burst = 100000",
    );
    stage.add_accounts(&["crone", "tybalt"]);
    let bystander = Bystander::beside(&stage);
    let mut crone = coven(&stage, &[]);
    let mut tybalt = Wire::bound(&stage, "tybalt", "x");
    let mut refusals = 0;
    for number in 0..ENTRIES {
        tybalt.say(&format!(
            "<presence id='e{number}' to='{ROOM}/tybalt'>{X}</presence><presence type='unavailable' to='{ROOM}/tybalt'/>"
        ));
        if number % 50 == 49 {
            tybalt
                .say("<iq type='get' id='mark' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
            refusals += tybalt.until("id='mark'").matches("<policy-violation ").count();
            tybalt.say(&format!(
                "<iq type='get' id='mark' to='{ROOM}'><ping xmlns='urn:xmpp:ping'/></iq>"
            ));
            refusals += tybalt.until("id='mark'").matches("<policy-violation ").count();
        }
    }
    assert!(refusals > ENTRIES / 2, "{refusals} of {ENTRIES} were refused");
    crone.say(&format!("<iq type='get' id='last' to='{ROOM}'><ping xmlns='urn:xmpp:ping'/></iq>"));
    let heard = crone.until("id='last'").matches("from='coven@conference.localhost/tybalt").count();
    assert!(heard < ENTRIES, "{heard} reached an occupant");
    bystander.was_not_hurt("a flood of entries");
}
