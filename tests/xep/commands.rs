//! XEP-0050 Ad-Hoc Commands.

use super::muc::made;
use crate::stage::play;

const COMMANDS: &str = "http://jabber.org/protocol/commands";
const NODE: &str = "urn:xmpp:hats:commands";

// XEP-0050 §2.1, §2.2, §2.4, §4.4
#[test]
fn commands_of_a_room_are_found_shown_and_refused_by_the_book() {
    let assign = format!("{NODE}:assign");
    let ask = |id: &str, content: &str| {
        format!("crone/desktop sends <iq type='set' id='{id}' to='{{room coven}}'>{content}</iq>")
    };
    let refused = |id: &str, what: &str| {
        format!(
            "crone/desktop receives <iq type='error' id='{id}'><error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>…<{what} xmlns='{COMMANDS}'/></error></iq>"
        )
    };
    let with = |attributes: &str, content: &str| {
        format!("<command xmlns='{COMMANDS}' node='{assign}' {attributes}>{content}</command>")
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        crone/desktop sends    <iq type='get' id='1' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'/></iq>
        crone/desktop receives <iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'><item node='{NODE}:create' jid='{{room coven}}'/><item node='{NODE}:destroy'/><item node='{NODE}:list'/><item node='{assign}'/><item node='{NODE}:unassign'/><item node='{NODE}:list-assigned'/></query></iq>
        hag/pda       sends    <iq type='get' id='2' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'/></iq>
        hag/pda       receives <iq type='result' id='2'><query xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'/></iq>
        crone/desktop sends    <iq type='get' id='3' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/disco#info' node='{assign}'/></iq>
        crone/desktop receives <iq type='result' id='3'><query xmlns='http://jabber.org/protocol/disco#info' node='{assign}'><identity category='automation' type='command-node'/><feature var='{COMMANDS}'/><feature var='jabber:x:data'/></query></iq>
        hag/pda       sends    <iq type='get' id='4' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/disco#info' node='{assign}'/></iq>
        hag/pda       receives <iq type='error' id='4'>{{error cancel forbidden}}</iq>
        {}
        crone/desktop receives <iq type='result' id='5'><command xmlns='{COMMANDS}' node='{assign}' sessionid='s' status='executing'><actions execute='complete'><complete/></actions><x xmlns='jabber:x:data' type='form'>…</x></command></iq>
        {}
        crone/desktop receives <iq type='result' id='6'><command xmlns='{COMMANDS}' node='{assign}' sessionid='s' status='canceled'/></iq>
        {}
        {}
        {}
        {}
        {}
        {}
        {}
        {}
        crone/desktop sends    <iq type='set' id='x' to='{{room coven}}'><command xmlns='{COMMANDS}' node='dance'/></iq>
        crone/desktop receives <iq type='error' id='x'>{{error cancel item-not-found}}</iq>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        ask("5", &with("sessionid='s'", "")),
        ask("6", &with("sessionid='s' action='cancel'", "")),
        ask("7", &with("action='dance'", "")), refused("7", "malformed-action"),
        ask("8", &with("action='prev'", "")), refused("8", "bad-action"),
        ask("9", &with("sessionid=''", "")), refused("9", "bad-sessionid"),
        ask("a", &with("", "<x xmlns='jabber:x:data' type='submit'/>")), refused("a", "bad-payload"),
    ));
}
