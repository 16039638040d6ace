//! XEP-0388 Extensible SASL Profile. Logging in without a new stream, and with a session at once.

use crate::stage::play;

const SASL2: &str = "xmlns='urn:xmpp:sasl:2'";
const SM: &str = "xmlns='urn:xmpp:sm:3'";

fn authenticate(more: &str) -> String {
    format!(
        "<authenticate {SASL2} mechanism='PLAIN'><initial-response>{{plain romeo}}</initial-response>{more}</authenticate>"
    )
}

// XEP-0388 §2.1, §2.6.1
#[test]
fn who_logs_in_goes_on_in_the_same_stream() {
    play(&format!(
        "
        romeo/phone opens a stream
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'>
                               <authentication {SASL2}><mechanism>PLAIN</mechanism><inline>
                                 <sm {SM}/><bind xmlns='urn:xmpp:bind:0'>…</bind>
                                 <fast xmlns='urn:xmpp:fast:0'><mechanism>HT-SHA-256-NONE</mechanism></fast></inline>…</authentication>…
                             </features>
        romeo/phone sends    {}
        romeo/phone receives <success {SASL2}><authorization-identifier>{{romeo}}</authorization-identifier></success>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>…</features>
        romeo/phone sends    <iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>phone</resource></bind></iq>
        romeo/phone receives <iq type='result' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{{romeo/phone}}</jid></bind></iq>
        ",
        authenticate("")
    ));
}

#[test]
fn a_wrong_password_is_a_failure_of_the_profile() {
    play(&format!(
        "
        romeo/phone opens a stream
        romeo/phone finds    <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/phone sends    <authenticate {SASL2} mechanism='PLAIN'><initial-response>AHJvbWVvAHdyb25n</initial-response></authenticate>
        romeo/phone receives <failure {SASL2}><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>
        "
    ));
}

// XEP-0388 §2.6.1, XEP-0198 §5, §9.2: the stream goes on at once, without features
#[test]
fn a_lost_session_goes_on_with_the_log_in() {
    let resume = authenticate(&format!("<resume {SM} previd='{{$id}}' h='0'/>"));
    play(&format!(
        "
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <enable {SM} resume='true'/>
        romeo/phone   receives <enabled {SM} id='{{$id}}' resume='true'/>
        romeo/phone   vanishes
        juliet/garden sends    <message to='{{romeo/phone}}' type='chat' id='m1'><body>1</body></message>
        juliet/garden is quiet
        romeo/phone   opens a stream
        romeo/phone   finds    <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/phone   sends    {resume}
        romeo/phone   receives <success {SASL2}><authorization-identifier>{{$jid}}</authorization-identifier>
                                 <resumed {SM} previd='{{$id}}' h='0'/></success>
        romeo/phone   receives <message id='m1'><body>1</body>…</message>
        "
    ));
}

// XEP-0198 §9.2.1
#[test]
fn a_resumption_that_cannot_be_understood_is_told_with_the_new_session() {
    let more = format!("<resume {SM} previd='p'/><bind xmlns='urn:xmpp:bind:0'/>");
    play(&format!(
        "
        romeo/phone opens a stream
        romeo/phone finds    <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/phone sends    {}
        romeo/phone receives <success {SASL2}><authorization-identifier>{{$jid}}</authorization-identifier>
                               <failed {SM}><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed><bound xmlns='urn:xmpp:bind:0'>…</bound></success>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        ",
        authenticate(&more)
    ));
}
