//! XEP-0441 Message Archive Management Preferences.

use crate::stage::{Stage, play, play_over_restarts};

// XEP-0441 §2.1
#[test]
fn who_wants_no_archive_has_none() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='p1'><prefs xmlns='urn:xmpp:mam:2' default='never'><always/><never/></prefs></iq>
        romeo/phone   receives <iq type='result' id='p1'><prefs xmlns='urn:xmpp:mam:2' default='never'><always/><never/></prefs></iq>
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>hi</body></message>
        romeo/phone   receives <message from='{juliet/garden}'><body>hi</body></message>
        romeo/phone   sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone   receives <iq type='result' id='q1'><fin xmlns='urn:xmpp:mam:2' complete='true'>…</fin></iq>
        everyone      is quiet
    ");
}

// XEP-0441 §2.1
#[test]
fn one_contact_can_be_left_out_of_the_archive() {
    play("
        romeo/phone   connects
        juliet/garden connects
        nurse/kitchen connects
        romeo/phone   sends    <iq type='set' id='p1'><prefs xmlns='urn:xmpp:mam:2' default='always'><never><jid>{nurse}</jid></never></prefs></iq>
        romeo/phone   receives <iq type='result' id='p1'><prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never><jid>{nurse}</jid></never></prefs></iq>
        nurse/kitchen sends    <message to='{romeo/phone}' type='chat'><body>psst</body></message>
        romeo/phone   receives <message from='{nurse/kitchen}'><body>psst</body></message>
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>hi</body></message>
        romeo/phone   receives <message from='{juliet/garden}'><body>hi</body>…</message>
        romeo/phone   sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/>
                               <message xmlns='jabber:client' from='{juliet/garden}'><body>hi</body>…</message></forwarded></result></message>
        romeo/phone   receives <iq type='result' id='q1'><fin xmlns='urn:xmpp:mam:2' complete='true'>…</fin></iq>
        romeo/phone   sends    <iq type='get' id='p2'><prefs xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone   receives <iq type='result' id='p2'><prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never><jid>{nurse}</jid></never></prefs></iq>
        everyone      is quiet
    ");
}

// XEP-0441 §2.1: "roster" keeps what goes between contacts, "always" and "never" go before it, and all of it outlives
// the server.
#[test]
fn the_roster_decides_where_no_list_does_also_after_a_restart() {
    let mut stage = Stage::start("[store]\nengine = 'embedded'");
    play_over_restarts(&mut stage, "
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='r1'><query xmlns='jabber:iq:roster'><item jid='{juliet}'/></query></iq>
        romeo/phone   finds    <iq type='result' id='r1'/>
        juliet/garden sends    <presence type='subscribe' to='{romeo}'/>
        romeo/phone   finds    <presence type='subscribe' from='{juliet}'/>
        romeo/phone   sends    <presence type='subscribed' to='{juliet}'/>
        juliet/garden finds    <presence from='{romeo/phone}' type='{none}'/>
        romeo/phone   sends    <iq type='set' id='p1'><prefs xmlns='urn:xmpp:mam:2' default='roster'><always><jid>{nurse}</jid></always></prefs></iq>
        romeo/phone   finds    <iq type='result' id='p1'><prefs xmlns='urn:xmpp:mam:2' default='roster'><always><jid>{nurse}</jid></always><never/></prefs></iq>
        server        dies
        romeo/phone   vanishes
        juliet/garden vanishes
        server        starts again
        romeo/phone   connects
        juliet/garden connects
        nurse/kitchen connects
        tybalt/street connects
        romeo/phone   sends    <iq type='get' id='p2'><prefs xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone   finds    <iq type='result' id='p2'><prefs xmlns='urn:xmpp:mam:2' default='roster'><always><jid>{nurse}</jid></always><never/></prefs></iq>
        tybalt/street sends    <message to='{romeo/phone}' type='chat' id='t'><body>you!</body></message>
        romeo/phone   finds    <message id='t'><body>you!</body></message>
        nurse/kitchen sends    <message to='{romeo/phone}' type='chat' id='n'><body>psst</body></message>
        romeo/phone   finds    <message id='n'><body>psst</body>…</message>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='j'><body>hi</body></message>
        romeo/phone   finds    <message id='j'><body>hi</body>…</message>
        romeo/phone   sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/>
                               <message xmlns='jabber:client' id='n'>…</message></forwarded></result></message>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/>
                               <message xmlns='jabber:client' id='j'>…</message></forwarded></result></message>
        romeo/phone   receives <iq type='result' id='q1'><fin xmlns='urn:xmpp:mam:2' complete='true'>…</fin></iq>
    ");
}
