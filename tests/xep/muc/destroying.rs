//! XEP-0045 Multi-User Chat. The end of a room (§10.9), by its owner and by an operator.

use super::{enters, made, made_with};
use crate::stage::{Stage, play, play_on};

const USER: &str = "http://jabber.org/protocol/muc#user";
const OWNER: &str = "http://jabber.org/protocol/muc#owner";
const X: &str = "<x xmlns='http://jabber.org/protocol/muc'/>";

// §10.9
#[test]
fn everybody_is_told_where_to_go_and_the_name_points_there() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <iq type='set' id='0' to='{{room heath}}'><query xmlns='{OWNER}'><destroy/></query></iq>
        hag/pda       receives <iq type='error' id='0'>{{error auth forbidden}}</iq>
        crone/desktop sends    <iq type='set' id='1' to='{{room heath}}'><query xmlns='{OWNER}'><destroy jid='{{room coven}}'><reason>Macbeth comes</reason><password>x</password></destroy></query></iq>
        crone/desktop receives <presence type='unavailable' from='{{room heath}}/first'>…<x xmlns='{USER}'><item affiliation='none' role='none'/><destroy jid='{{room coven}}'><reason>Macbeth comes</reason><password>x</password></destroy><status code='110'/></x></presence>
        crone/desktop receives <iq type='result' id='1'/>
        hag/pda       receives <presence type='unavailable' from='{{room heath}}/hag'>…<x xmlns='{USER}'><item affiliation='none' role='none'/><destroy jid='{{room coven}}'><reason>Macbeth comes</reason><password>x</password></destroy><status code='110'/></x></presence>
        hag/pda       sends    <presence id='2' to='{{room heath}}/hag'>{X}</presence>
        hag/pda       receives <presence type='error' id='2'>…<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:{{room coven}}?join</gone><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Macbeth comes</text></error></presence>
        # Its owner may make it anew.
        {}
        {}
        everyone is quiet
    ",
        made_with("crone/desktop", "heath", "first", &[("muc#roomconfig_persistentroom", "1")]),
        enters("hag/pda", "heath", "hag", &["crone/desktop"]),
        made("crone/desktop", "heath", "first"),
        enters("hag/pda", "heath", "hag", &["crone/desktop"]),
    ));
}

// §10.9: nothing of it is left.
#[test]
fn another_room_of_the_same_name_knows_nothing_of_the_first() {
    play(&format!(
        "
        crone/desktop connects
        {}
        crone/desktop sends    <message type='groupchat' id='m' to='{{room heath}}'><body>secret</body></message>
        crone/desktop receives <message id='m'>…</message>
        crone/desktop sends    <iq type='set' id='1' to='{{room heath}}'><query xmlns='{OWNER}'><destroy/></query></iq>
        crone/desktop receives <presence type='unavailable'>…</presence>
        crone/desktop receives <iq type='result' id='1'/>
        crone/desktop sends    <presence to='{{room heath}}/first'>{X}</presence>
        crone/desktop receives <presence from='{{room heath}}/first'>…<status xmlns='{USER}' code='201'/></presence>
        crone/desktop receives <message type='groupchat'><subject/></message>
        crone/desktop sends    <iq type='set' id='2' to='{{room heath}}'><query xmlns='urn:xmpp:mam:2'/></iq>
        crone/desktop receives <iq type='result' id='2'><fin xmlns='urn:xmpp:mam:2' complete='true'>…</fin></iq>
        everyone is quiet
    ",
        made("crone/desktop", "heath", "first"),
    )
    .replace(&format!("<status xmlns='{USER}' code='201'/>"), &format!("<x xmlns='{USER}'><item/><status code='110'/><status code='201'/></x>")));
}

#[test]
fn operators_list_show_and_destroy_rooms() {
    let stage = Stage::start("");
    play_on(
        &stage,
        &format!(
            "
        crone/desktop connects
        {}
        crone/desktop sends    <message type='groupchat' id='m' to='{{room coven}}'><subject>Spells</subject></message>
        crone/desktop receives <message id='m'>…</message>
    ",
            made_with(
                "crone/desktop",
                "coven",
                "first",
                &[("muc#roomconfig_persistentroom", "1"), ("muc#roomconfig_roomname", "Cave")]
            ),
        ),
    );
    let list = stage.run(&["room", "list"]).unwrap();
    let jid = list.split_whitespace().next().unwrap().to_owned();
    assert!(
        jid.ends_with("@conference.localhost") && list.contains("persistent  public"),
        "{list}"
    );
    let list = stage.run(&["room", "list", "--json"]).unwrap();
    assert!(list.contains("\"name\": \"Cave\""), "{list}");
    let shown = stage.run(&["room", "show", &jid]).unwrap();
    assert!(shown.contains("Spells") && shown.contains("owners          crone"), "{shown}");
    let shown = stage.run(&["room", "show", &jid, "--json"]).unwrap();
    assert!(shown.contains("\"subject\": \"Spells\""), "{shown}");
    stage.run(&["room", "destroy", &jid, "--reason", "tidied up"]).unwrap();
    let gone = std::iter::repeat_with(|| stage.run(&["room", "show", &jid]));
    let error = gone.take(200).find_map(Result::err).expect("the room ends");
    assert_eq!(error, format!("rookery: there is no room {jid}\n"));
    assert_eq!(stage.run(&["room", "list"]).unwrap(), "");
    assert!(stage.run(&["room", "destroy", &jid]).is_err());
}
