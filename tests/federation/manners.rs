//! What clients of two domains tell each other beside words, and whom they do not want to hear.

use super::across::play;

/// Juliet lives at the other domain; both are there.
const BOTH: &str = "
        juliet        lives on b
        romeo/phone   connects
        juliet/garden connects
";

// XEP-0184 §5.4, XEP-0333 §4, XEP-0085 §5.1: from one end to the other as they are.
#[test]
fn receipts_markers_and_states_pass_untouched() {
    let words = [
        "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
        "<body>hi</body><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/><active xmlns='http://jabber.org/protocol/chatstates'/>",
    ];
    let answers = [
        "<received xmlns='urn:xmpp:receipts' id='m1'/>",
        "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/>",
        "<gone xmlns='http://jabber.org/protocol/chatstates'/>",
    ];
    let says = |from: &str, to: &str, id: usize, word: &str| {
        format!("
        {from} sends    <message to='{{{to}}}' type='chat' id='m{id}'>{word}</message>
        {to} receives <message from='{{{from}}}' to='{{{to}}}' type='chat' id='m{id}'>{word}…</message>
        ")
    };
    let there =
        words.iter().enumerate().map(|(id, it)| says("romeo/phone", "juliet/garden", id, it));
    let back =
        answers.iter().enumerate().map(|(id, it)| says("juliet/garden", "romeo/phone", id, it));
    play(&format!(
        "{BOTH}{}{}everyone is quiet",
        there.collect::<String>(),
        back.collect::<String>()
    ));
}

// XEP-0280 §6, §7, §8, §11
#[test]
fn clients_get_copies_of_what_another_domain_writes_and_of_what_goes_there() {
    let copy = |kind: &str, from: &str, to: &str| {
        format!(
            "<message from='{{romeo}}' to='{{romeo/laptop}}' type='chat'><{kind} xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:client' from='{from}' to='{to}' type='chat'><body>hi</body>…</message></forwarded></{kind}></message>"
        )
    };
    play(&format!("{BOTH}
        romeo/laptop  connects
        romeo/laptop  sends    <iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>
        romeo/laptop  receives <iq type='result' id='c'/>
        juliet/garden sends    <message to='{{romeo/phone}}' type='chat'><body>hi</body></message>
        romeo/phone   receives <message from='{{juliet/garden}}'><body>hi</body>…</message>
        romeo/laptop  receives {}
        romeo/phone   sends    <message to='{{juliet/garden}}' type='chat'><body>hi</body></message>
        juliet/garden receives <message from='{{romeo/phone}}'><body>hi</body>…</message>
        romeo/laptop  receives {}
        # Only the own account sends copies.
        juliet/garden sends    <message to='{{romeo/phone}}'><body>look</body><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{{romeo}}'><body>lie</body></message></forwarded></received></message>
        romeo/phone   receives <message from='{{juliet/garden}}'><body>look</body><stanza-id xmlns='urn:xmpp:sid:0'/></message>
        romeo/laptop  receives <message from='{{romeo}}'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{{juliet/garden}}'><body>look</body><stanza-id xmlns='urn:xmpp:sid:0'/></message></forwarded></received></message>
        everyone      is quiet
    ", copy("received", "{juliet/garden}", "{romeo/phone}"), copy("sent", "{romeo/phone}", "{juliet/garden}")));
}

/// Juliet sees Romeo's presence.
const SUBSCRIBED: &str = "
        juliet/garden sends    <presence to='{romeo}' type='subscribe'/>
        romeo/phone   receives <presence from='{juliet}' type='subscribe'/>
        romeo/phone   sends    <presence to='{juliet}' type='subscribed'/>
        juliet/garden receives <presence from='{romeo/phone}'/>
";

// XEP-0191 §3.2, §3.3, §3.4, §6: one address there, or all of the domain.
#[test]
fn an_account_of_another_domain_and_a_whole_domain_are_blocked_and_let_in_again() {
    for address in ["{juliet}", "{domain b}"] {
        let list = format!("xmlns='urn:xmpp:blocking'><item jid='{address}'/>");
        play(&format!("{BOTH}{SUBSCRIBED}
        romeo/phone   sends    <iq type='set' id='b'><block {list}</block></iq>
        romeo/phone   receives <iq type='result' id='b'/>
        juliet/garden receives <presence from='{{romeo/phone}}' type='unavailable'/>
        juliet/garden sends    <message to='{{romeo}}' type='chat' id='m'><body>hi</body></message>
        juliet/garden receives <message from='{{romeo}}' type='error' id='m'>{{error cancel service-unavailable}}…</message>
        juliet/garden sends    <iq to='{{romeo}}' type='get' id='v'><vCard xmlns='vcard-temp'/></iq>
        juliet/garden receives <iq from='{{romeo}}' type='error' id='v'>{{error cancel service-unavailable}}…</iq>
        romeo/phone   sends    <message to='{{juliet}}' type='chat' id='n'><body>hi</body></message>
        romeo/phone   receives <message from='{{juliet}}' type='error' id='n'><error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><blocked xmlns='urn:xmpp:blocking:errors'/></error></message>
        romeo/phone   sends    <iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone   receives <iq type='result' id='q'><fin xmlns='urn:xmpp:mam:2' complete='true'>…</fin></iq>
        romeo/phone   sends    <iq type='set' id='u'><unblock {list}</unblock></iq>
        romeo/phone   receives <iq type='result' id='u'/>
        juliet/garden receives <presence from='{{romeo/phone}}'/>
        juliet/garden sends    <message to='{{romeo}}' type='chat' id='o'><body>hi</body></message>
        romeo/phone   receives <message from='{{juliet/garden}}' id='o'>…</message>
        everyone      is quiet
        "));
    }
}

// XEP-0012 §3, XEP-0092, XEP-0202, XEP-0199, XEP-0030: of a server, and of somebody.
#[test]
fn servers_and_contacts_of_another_domain_answer_who_may_know() {
    let asks = |to: &str, id: &str, query: &str, answer: &str| {
        format!(
            "
        juliet/garden sends    <iq type='get' to='{to}' id='{id}'>{query}</iq>
        juliet/garden receives <iq type='result' from='{to}' id='{id}'>{answer}</iq>
        "
        )
    };
    let server = "{domain a}";
    let passes = |id: &str, query: &str, answer: &str| {
        format!("
        juliet/garden sends    <iq type='get' to='{{romeo/phone}}' id='{id}'>{query}</iq>
        romeo/phone   receives <iq type='get' from='{{juliet/garden}}' to='{{romeo/phone}}' id='{id}'>{query}</iq>
        romeo/phone   sends    <iq type='result' to='{{juliet/garden}}' id='{id}'>{answer}</iq>
        juliet/garden receives <iq type='result' from='{{romeo/phone}}' id='{id}'>{answer}</iq>
        ")
    };
    play(&format!("{BOTH}
        juliet/garden sends    <iq type='get' to='{{romeo}}' id='1'><query xmlns='jabber:iq:last'/></iq>
        juliet/garden receives <iq type='error' from='{{romeo}}' id='1'>{{error auth forbidden}}…</iq>
        juliet/garden sends    <iq type='get' to='{{romeo/phone}}' id='2'><query xmlns='jabber:iq:version'/></iq>
        juliet/garden receives <iq type='error' from='{{romeo/phone}}' id='2'>{{error cancel service-unavailable}}</iq>
        {SUBSCRIBED}{}{}{}{}{}{}
        romeo/phone   sends    <presence type='unavailable'><status>to Mantua</status></presence>
        romeo/phone   receives <presence type='unavailable'>…</presence>
        juliet/garden receives <presence from='{{romeo/phone}}' type='unavailable'><status>to Mantua</status></presence>
        romeo/phone   leaves
        {}
        everyone      is quiet
    ",
        asks(server, "v", "<query xmlns='jabber:iq:version'/>", "<query xmlns='jabber:iq:version'>…<name>Rookery</name></query>"),
        asks(server, "t", "<time xmlns='urn:xmpp:time'/>", "<time xmlns='urn:xmpp:time'>…</time>"),
        asks(server, "p", "<ping xmlns='urn:xmpp:ping'/>", ""),
        asks("{romeo}", "l", "<query xmlns='jabber:iq:last'/>", "<query xmlns='jabber:iq:last' seconds='0'/>"),
        passes("w", "<query xmlns='jabber:iq:version'/>", "<query xmlns='jabber:iq:version'><name>A client</name></query>"),
        passes("u", "<time xmlns='urn:xmpp:time'/>", "<time xmlns='urn:xmpp:time'><tzo>+01:00</tzo></time>"),
        asks("{romeo}", "k", "<query xmlns='jabber:iq:last'/>", "<query xmlns='jabber:iq:last' seconds='{$s}'>to Mantua</query>"),
    ));
}
