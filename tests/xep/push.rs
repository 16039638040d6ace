//! XEP-0357 Push Notifications. The service of these stories is an account: all that matters is what it is told.

use crate::stage::play;

const NS: &str = "urn:xmpp:push:0";
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
const SECRET: &str = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='secret'><value>s1</value></field></x>";

/// What the service gets: how many messages, and nothing of them.
fn told(count: u32) -> String {
    format!(
        "app/server    receives <iq type='set' id='{{$push{count}}}' from='{{romeo}}'><pubsub xmlns='{PUBSUB}'><publish node='n1'><item><notification xmlns='{NS}'><x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:push:summary</value></field><field var='message-count'><value>{count}</value></field></x></notification></item></publish><publish-options>{SECRET}</publish-options></pubsub></iq>"
    )
}

// XEP-0357 §4.1, §5, §7
#[test]
fn a_service_is_told_of_messages_while_its_client_is_away_and_only_then() {
    play(&format!("
        app/server    connects
        app/server    sends    <presence to='{{romeo}}'/>
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <iq type='get' id='d1' to='{{romeo}}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        romeo/phone   receives <iq type='result' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'>…<feature var='{NS}'/>…</query></iq>
        romeo/phone   sends    <iq type='set' id='e1'><enable xmlns='{NS}' jid='{{app/server}}' node='n1'>{SECRET}</enable></iq>
        romeo/phone   receives <iq type='result' id='e1'/>
        juliet/garden sends    <message to='{{romeo}}' type='chat'><body>here</body></message>
        romeo/phone   receives <message>…</message>
        romeo/phone   sends    <presence to='{{juliet/garden}}'/>
        juliet/garden receives <presence from='{{romeo/phone}}' type='{{none}}'/>
        romeo/phone   leaves
        # Now their home knows.
        juliet/garden receives <presence from='{{romeo/phone}}' type='unavailable'/>
        juliet/garden sends    <message to='{{romeo}}' type='chat'><body>away</body></message>
        {}
        app/server    sends    <iq type='result' id='{{$push1}}' to='{{romeo}}'/>
        juliet/garden sends    <message to='{{romeo}}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>
        juliet/garden sends    <message to='{{romeo}}' type='chat'><body>still away</body></message>
        {}
        romeo/phone   logs in
        romeo/phone   binds
        juliet/garden sends    <message to='{{romeo/phone}}' type='chat'><body>here again</body></message>
        romeo/phone   finds    <message>…<body>here again</body>…</message>
        everyone      is quiet
    ", told(1), told(2)));
}

// XEP-0357 §7
#[test]
fn a_service_is_not_told_of_what_is_refused() {
    play(&format!("
        app/server    connects
        app/server    sends    <presence to='{{romeo}}'/>
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='e1'><enable xmlns='{NS}' jid='{{app/server}}' node='n1'>{SECRET}</enable></iq>
        romeo/phone   receives <iq type='result' id='e1'/>
        romeo/phone   sends    <presence to='{{juliet/garden}}'/>
        juliet/garden receives <presence from='{{romeo/phone}}' type='{{none}}'/>
        romeo/phone   leaves
        juliet/garden receives <presence from='{{romeo/phone}}' type='unavailable'/>
        juliet/garden sends    <message to='{{romeo/phone}}' id='m1'><body>away</body></message>
        juliet/garden receives <message type='error' id='m1'>{{error cancel service-unavailable}}…</message>
        juliet/garden sends    <message to='{{romeo}}' type='chat'><body>away</body></message>
        {}
        everyone      is quiet
    ", told(1)));
}

// XEP-0357 §7, XEP-0198 §5
#[test]
fn a_service_is_told_of_what_a_client_was_given_and_has_not_acknowledged_when_it_is_cut_off() {
    play(&format!("
        app/server    connects
        app/server    sends    <presence to='{{romeo}}'/>
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='e1'><enable xmlns='{NS}' jid='{{app/server}}' node='n1'>{SECRET}</enable></iq>
        romeo/phone   receives <iq type='result' id='e1'/>
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' resume='true'/>
        juliet/garden sends    <message to='{{romeo/phone}}' type='chat'><body>here?</body></message>
        romeo/phone   receives <message>…<body>here?</body>…</message>
        romeo/phone   vanishes
        {}
        everyone      is quiet
    ", told(1)));
}

// XEP-0357 §6, §7.1
#[test]
fn a_service_that_refuses_or_is_disabled_is_told_nothing_more() {
    let refusal = "<iq type='error' id='{$push1}' to='{romeo}'>{error cancel item-not-found}</iq>";
    play(&format!("
        app/server    connects
        app/server    sends    <presence to='{{romeo}}'/>
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='e1'><enable xmlns='{NS}' jid='{{app/server}}' node='n1'>{SECRET}</enable></iq>
        romeo/phone   receives <iq type='result' id='e1'/>
        romeo/phone   sends    <presence to='{{juliet/garden}}'/>
        juliet/garden receives <presence from='{{romeo/phone}}' type='{{none}}'/>
        romeo/phone   leaves
        # Now their home knows.
        juliet/garden receives <presence from='{{romeo/phone}}' type='unavailable'/>
        juliet/garden sends    <message to='{{romeo}}' type='chat'><body>1</body></message>
        {}
        app/server    sends    {refusal}
        app/server    sends    <iq type='get' id='p1' to='{{romeo}}'><ping xmlns='urn:xmpp:ping'/></iq>
        app/server    receives <iq id='p1'>…</iq>
        juliet/garden sends    <message to='{{romeo}}' type='chat'><body>2</body></message>
        romeo/tablet  connects
        romeo/tablet  finds    <message>…<body>2</body>…</message>
        romeo/tablet  sends    <iq type='set' id='e2'><enable xmlns='{NS}' jid='{{app/server}}' node='n1'/></iq>
        romeo/tablet  receives <iq type='result' id='e2'/>
        romeo/tablet  sends    <iq type='set' id='e3'><disable xmlns='{NS}' jid='{{app/server}}'/></iq>
        romeo/tablet  receives <iq type='result' id='e3'/>
        romeo/tablet  sends    <presence to='{{juliet/garden}}'/>
        juliet/garden receives <presence from='{{romeo/tablet}}' type='{{none}}'/>
        romeo/tablet  leaves
        juliet/garden receives <presence from='{{romeo/tablet}}' type='unavailable'/>
        juliet/garden sends    <message to='{{romeo}}' type='chat'><body>3</body></message>
        everyone      is quiet
    ", told(1)));
}

// XEP-0357 §5
#[test]
fn what_is_no_service_is_refused() {
    play(&format!("
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='1'><enable xmlns='{NS}'/></iq>
        romeo/phone   receives <iq type='error' id='1'>{{error modify bad-request}}</iq>
        romeo/phone   sends    <iq type='set' id='2'><enable xmlns='{NS}' jid='a@@b'/></iq>
        romeo/phone   receives <iq type='error' id='2'>{{error modify jid-malformed}}</iq>
        romeo/phone   sends    <iq type='set' id='3'><enable xmlns='{NS}' jid='{{romeo}}'/></iq>
        romeo/phone   receives <iq type='error' id='3'>{{error modify not-acceptable}}</iq>
        juliet/garden sends    <iq type='set' id='4' to='{{romeo}}'><enable xmlns='{NS}' jid='x.example'/></iq>
        juliet/garden receives <iq type='error' id='4'>…</iq>
        everyone      is quiet
    "));
}
