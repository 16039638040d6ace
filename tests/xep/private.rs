//! XEP-0049 Private XML Storage.

use crate::stage::play;

// XEP-0049 §2.3
#[test]
fn what_one_client_keeps_another_one_finds() {
    play("
        romeo/phone  connects
        romeo/laptop connects
        romeo/phone  sends    <iq type='get' id='g1'><query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query></iq>
        romeo/phone  receives <iq type='result' id='g1'><query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query></iq>
        romeo/phone  sends    <iq type='set' id='s1'><query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'><nick>Hamlet</nick></exodus></query></iq>
        romeo/phone  receives <iq type='result' id='s1'/>
        romeo/laptop sends    <iq type='get' id='g2'><query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query></iq>
        romeo/laptop receives <iq type='result' id='g2'><query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'><nick>Hamlet</nick></exodus></query></iq>
        everyone     is quiet
    ");
}

// XEP-0049 §2.3, §3
#[test]
fn nobody_reads_or_writes_what_another_keeps() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <iq type='get' to='{romeo}' id='g1'><query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query></iq>
        juliet/garden receives <iq type='error' id='g1'>{error auth forbidden}…</iq>
        juliet/garden sends    <iq type='set' to='{romeo}' id='s1'><query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query></iq>
        juliet/garden receives <iq type='error' id='s1'>{error auth forbidden}…</iq>
        romeo/phone   sends    <iq type='get' id='g2'><query xmlns='jabber:iq:private'/></iq>
        romeo/phone   receives <iq type='error' id='g2'>{error modify not-acceptable}…</iq>
        everyone      is quiet
    ");
}
