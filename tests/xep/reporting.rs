//! XEP-0377 Blocking Command Reports.

use crate::stage::{Stage, play_on};

// XEP-0377 §3, §4, §6
#[test]
fn whoever_runs_the_server_is_told_why_somebody_was_blocked() {
    let stage = Stage::start("[report]\nto = ['abuse@localhost']");
    stage.add_accounts(&["abuse"]);
    let mut desk = town::Client::log_in(&town::client::Login {
        address: stage.c2s,
        domain: "localhost",
        name: "abuse",
        password: crate::stage::PASSWORD,
    });
    desk.bind("desk");
    desk.send("<presence/>");
    // Its own presence.
    desk.next();
    let report = "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'><stanza-id xmlns='urn:xmpp:sid:0' by='{romeo}' id='28482'/><text xml:lang='en'>Never came trouble to my house like this.</text></report>";
    play_on(&stage, &format!("
        romeo/phone   connects
        tybalt/inn    connects
        romeo/phone   sends    <iq type='get' id='d1' to='{{romeo}}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        romeo/phone   receives <iq type='result' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'>…<feature var='urn:xmpp:reporting:1'/>…</query></iq>
        romeo/phone   sends    <iq type='set' id='b1'><block xmlns='urn:xmpp:blocking'><item jid='{{tybalt}}'>{report}</item></block></iq>
        romeo/phone   receives <iq type='result' id='b1'/>
        tybalt/inn    sends    <message to='{{romeo}}' type='chat' id='m1'><body>hi</body></message>
        tybalt/inn    receives <message type='error' id='m1'>{{error cancel service-unavailable}}…</message>
        # A report without a reason blocks nobody.
        romeo/phone   sends    <iq type='set' id='b2'><block xmlns='urn:xmpp:blocking'><item jid='x.example'><report xmlns='urn:xmpp:reporting:1'/></item></block></iq>
        romeo/phone   receives <iq type='error' id='b2'>{{error modify bad-request}}</iq>
        everyone      is quiet
    "));
    let told = desk.next().expect("a message").to_bytes();
    let told = String::from_utf8(told).unwrap();
    for words in
        ["reports: spam", "Never came trouble", "<block ", "id='28482'", "from='localhost'"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
}
