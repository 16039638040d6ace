//! RFC 6120 §8 and §10: addresses, ids, errors and order of stanzas.

use crate::stage::play;

// RFC 6120 §8.1.2.1
#[test]
fn what_a_client_sends_is_stamped_with_its_full_address() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <message to='{juliet/garden}' id='m1'><body>1</body></message>
        juliet/garden receives <message from='{romeo/phone}' to='{juliet/garden}' id='m1'><body>1</body>…</message>
        romeo/phone   sends    <message from='{romeo}' to='{juliet/garden}' id='m2'><body>2</body></message>
        juliet/garden receives <message from='{romeo/phone}' id='m2'><body>2</body>…</message>
        romeo/phone   sends    <message from='{romeo/phone}' to='{juliet/garden}' id='m3'><body>3</body></message>
        juliet/garden receives <message from='{romeo/phone}' id='m3'><body>3</body>…</message>
        everyone      is quiet
    ");
}

// RFC 6120 §8.1.2.1, §4.9.3.9
#[test]
fn nobody_speaks_for_another() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <message from='{juliet/garden}' to='{juliet/garden}'><body>hi</body></message>
        romeo/phone   receives {stream-error invalid-from}
        romeo/phone   loses the stream
        juliet/garden is quiet
    ");
}

// RFC 6120 §8.1.2.1: a client does not speak for another one of its account either.
#[test]
fn nobody_speaks_for_another_resource() {
    play("
        romeo/phone  connects
        romeo/laptop connects
        romeo/phone  sends    <message from='{romeo/laptop}' to='{romeo/laptop}'><body>hi</body></message>
        romeo/phone  receives {stream-error invalid-from}
        romeo/phone  loses the stream
    ");
}

// RFC 6120 §10.3.1
#[test]
fn a_message_to_nobody_goes_to_the_own_account() {
    play("
        romeo/phone  connects
        romeo/laptop connects
        romeo/phone  sends <message type='chat' id='m1'><body>note</body></message>
        romeo/phone  receives <message from='{romeo/phone}' to='{romeo}' id='m1'><body>note</body>…</message>
        romeo/laptop receives <message from='{romeo/phone}' to='{romeo}' id='m1'><body>note</body>…</message>
        everyone     is quiet
    ");
}

// RFC 6120 §8.1.1.1
#[test]
fn an_address_that_is_none_is_malformed() {
    play(
        "
        romeo/phone connects
        romeo/phone sends    <message to='@{domain}' id='m1'><body>hi</body></message>
        romeo/phone receives <message type='error' id='m1'>{error modify jid-malformed}…</message>
        romeo/phone sends    <iq type='get' to='a@@b' id='i1'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone receives <iq type='error' id='i1'>{error modify jid-malformed}…</iq>
        everyone    is quiet
    ",
    );
}

// RFC 6120 §8.2.3
#[test]
fn a_request_has_a_known_type_and_one_child() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='get' id='i1'/>
        romeo/phone receives <iq type='error' id='i1'>{error modify bad-request}…</iq>
        romeo/phone sends    <iq type='get' id='i2'><ping xmlns='urn:xmpp:ping'/><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone receives <iq type='error' id='i2'>{error modify bad-request}…</iq>
        romeo/phone sends    <iq type='subscribe' id='i3'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone receives <iq type='error' id='i3'>{error modify bad-request}…</iq>
        romeo/phone sends    <iq id='i4'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone receives <iq type='error' id='i4'>{error modify bad-request}…</iq>
        everyone    is quiet
    ");
}

// RFC 6120 §8.4
#[test]
fn a_request_that_nobody_understands_is_answered_with_service_unavailable() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='get' id='i1'><query xmlns='urn:example:unknown'/></iq>
        romeo/phone receives <iq type='error' id='i1'>{error cancel service-unavailable}…</iq>
        romeo/phone sends    <iq type='set' to='{domain}' id='i2'><query xmlns='urn:example:unknown'/></iq>
        romeo/phone receives <iq type='error' from='{domain}' id='i2'>{error cancel service-unavailable}…</iq>
        romeo/phone sends    <iq type='get' to='nobody@{domain}' id='i3'><query xmlns='urn:example:unknown'/></iq>
        romeo/phone receives <iq type='error' from='nobody@{domain}' id='i3'>{error cancel service-unavailable}…</iq>
        everyone    is quiet
    ");
}

// RFC 6120 §8.2.3, §8.3.1
#[test]
fn answers_and_errors_are_not_answered() {
    play("
        romeo/phone connects
        romeo/phone sends <iq type='result' to='{domain}' id='i1'/>
        romeo/phone sends <iq type='error' to='nobody@{domain}' id='i2'>{error cancel item-not-found}</iq>
        romeo/phone sends <message type='error' to='nobody@{domain}' id='i3'>{error cancel item-not-found}</message>
        romeo/phone sends <iq type='result' to='{romeo/elsewhere}' id='i4'/>
        everyone    is quiet
    ");
}

// RFC 6120 §10.4: no connection to others is made from here.
#[test]
fn who_lives_on_a_server_that_is_not_reached_is_not_found() {
    play("
        romeo/phone connects
        romeo/phone sends    <message to='tybalt@capulet.invalid' id='m1'><body>hi</body></message>
        romeo/phone receives <message type='error' from='tybalt@capulet.invalid' id='m1'>{error cancel remote-server-not-found}…</message>
        romeo/phone sends    <iq type='get' to='capulet.invalid' id='i1'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone receives <iq type='error' from='capulet.invalid' id='i1'>{error cancel remote-server-not-found}…</iq>
        everyone    is quiet
    ");
}

// RFC 6120 §10.1
#[test]
fn stanzas_of_one_to_another_keep_their_order() {
    let all: Vec<usize> = (0..100).collect();
    let sent: String = all
        .iter()
        .map(|n| format!("<message to='{{romeo/phone}}' id='{n}'><body>{n}</body></message>\n"))
        .collect();
    let received: String = all
        .iter()
        .map(|n| format!("romeo/phone receives <message id='{n}'><body>{n}</body>…</message>\n"))
        .collect();
    play(&format!(
        "
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends {sent}
        {received}
        everyone      is quiet
    "
    ));
}

// RFC 6120 §8.4: what extends a stanza is handed on, whoever understands it.
#[test]
fn extended_content_passes_untouched() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' xml:lang='cs'><subject>a</subject><thread parent='p'>t</thread><x xmlns='urn:example:x' a='&lt;&quot;'><y xmlns='' z='1'>&amp;</y></x></message>
        romeo/phone   receives <message xml:lang='cs'><subject>a</subject><thread parent='p'>t</thread><x xmlns='urn:example:x' a='&lt;&quot;'><y xmlns='' z='1'>&amp;</y></x></message>
        everyone      is quiet
    ");
}

// RFC 6120 §10.3.3: what is for the account itself the server answers, with the account's address or none.
#[test]
fn a_request_to_the_own_account_is_answered_for_it() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{romeo}' id='a&quot;&lt;&apos;b'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone receives <iq type='result' from='{romeo}' to='{romeo/phone}' id='a&quot;&lt;&apos;b'/>
        everyone    is quiet
    ");
}

// RFC 6120 §10.5.1, RFC 6121 §3.1.3
#[test]
fn the_server_takes_no_mail_and_no_subscriptions() {
    play("
        romeo/phone connects
        romeo/phone sends    <message to='{domain}' id='m1'><body>hi</body></message>
        romeo/phone receives <message type='error' from='{domain}' id='m1'>{error cancel service-unavailable}…</message>
        romeo/phone sends    <iq type='get' to='{domain}/resource' id='i1'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone receives <iq type='error' from='{domain}/resource' id='i1'>{error cancel service-unavailable}…</iq>
        everyone    is quiet
    ");
}

// RFC 6120 §8.1.4: the language of a stream is that of its stanzas.
#[test]
fn a_stanza_speaks_the_language_of_its_stream() {
    play("
        juliet/garden connects
        romeo/phone dials
        romeo/phone sends    <stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/phone sends    <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain romeo}</auth>
        romeo/phone receives <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
        romeo/phone starts over
        romeo/phone sends    <stream:stream to='localhost' version='1.0' xml:lang='cs' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>
        romeo/phone receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/phone receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/phone sends    <iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
        romeo/phone receives <iq type='result' id='b1'>…</iq>
        romeo/phone sends    <message to='{juliet/garden}'><body>ahoj</body></message>
        juliet/garden receives <message xml:lang='cs'><body>ahoj</body>…</message>
        romeo/phone sends    <message to='{juliet/garden}' xml:lang='en'><body>hi</body></message>
        juliet/garden receives <message xml:lang='en'><body>hi</body>…</message>
    ");
}
