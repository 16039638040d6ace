//! XEP-0386 Bind 2. A session that begins with the log-in.

use crate::stage::play;

const SASL2: &str = "xmlns='urn:xmpp:sasl:2'";
const BIND2: &str = "xmlns='urn:xmpp:bind:0'";

/// A client has logged in and wanted this of its session.
fn log_in(wants: &str) -> String {
    format!(
        "romeo/phone opens a stream
        romeo/phone finds <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/phone sends <authenticate {SASL2} mechanism='PLAIN'>
            <initial-response>{{plain romeo}}</initial-response><user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>
            <bind {BIND2}><tag>Swan</tag>{wants}</bind></authenticate>"
    )
}

// XEP-0386 §3.2
#[test]
fn a_session_is_bound_and_can_be_talked_to() {
    play(&format!(
        "
        juliet/garden connects
        {}
        romeo/phone   receives <success {SASL2}><authorization-identifier>{{$jid}}</authorization-identifier><bound {BIND2}/></success>
        romeo/phone   receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        juliet/garden sends    <message to='{{$jid}}' type='chat' id='m1'><body>hi</body></message>
        romeo/phone   receives <message id='m1'><body>hi</body>…</message>
        ",
        log_in("")
    ));
}

#[test]
fn stream_management_is_on_at_once() {
    play(&format!(
        "
        {}
        romeo/phone receives <success {SASL2}><authorization-identifier>{{$jid}}</authorization-identifier>
                               <bound {BIND2}><enabled xmlns='urn:xmpp:sm:3' id='{{$id}}' resume='true'/></bound></success>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/phone sends    <r xmlns='urn:xmpp:sm:3'/>
        romeo/phone receives <a xmlns='urn:xmpp:sm:3' h='0'/>
        ",
        log_in("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    ));
}

// XEP-0386 §3.2: the same client has the same address, so that its former session ends.
#[test]
fn a_client_that_comes_again_takes_the_place_of_its_former_session() {
    let again = log_in("").replace("romeo/phone", "romeo/again");
    play(&format!(
        "
        {}
        romeo/phone receives <success {SASL2}><authorization-identifier>{{$jid}}</authorization-identifier><bound {BIND2}/></success>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        {again}
        romeo/again receives <success {SASL2}><authorization-identifier>{{$jid}}</authorization-identifier><bound {BIND2}/></success>
        romeo/phone receives {{stream-error conflict}}
        romeo/phone loses the stream
        ",
        log_in("")
    ));
}

// XEP-0386 §3.1, XEP-0280 §4
#[test]
fn carbons_are_on_from_the_beginning_where_they_are_wanted() {
    play(&format!(
        "
        juliet/garden connects
        {}
        romeo/phone   receives <success {SASL2}><authorization-identifier>{{$jid}}</authorization-identifier><bound {BIND2}/></success>
        romeo/phone   receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/laptop  connects
        juliet/garden sends    <message to='{{romeo/laptop}}' type='chat' id='m1'><body>hi</body></message>
        romeo/laptop  receives <message id='m1'><body>hi</body>…</message>
        romeo/phone   receives <message><received xmlns='urn:xmpp:carbons:2'>…</received></message>
        ",
        log_in("<enable xmlns='urn:xmpp:carbons:2'/>")
    ));
}
