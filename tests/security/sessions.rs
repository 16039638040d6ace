//! Sessions and authority: what belongs to one user is neither taken, read nor changed by another.

use super::bystander::Bystander;
use super::guarded;
use super::wire::Wire;
use crate::stage::play_on;

/// Plays a story while bystanders chat.
fn attack(name: &str, story: &str) {
    let stage = guarded();
    let bystander = Bystander::beside(&stage);
    play_on(&stage, story);
    bystander.was_not_hurt(name);
}

// XEP-0198 §5, §6, §12
#[test]
fn a_session_is_resumed_by_nobody_else_and_lives_once() {
    let stage = guarded();
    stage.add_accounts(&["juliet", "tybalt"]);
    let bystander = Bystander::beside(&stage);
    let mut juliet = Wire::bound(&stage, "juliet", "balcony");
    juliet.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    let enabled = juliet.until(">");
    let id = enabled.split(" id=").nth(1).and_then(|rest| rest.get(1..33)).expect("an id");
    let resume = |id: &str| format!("<resume xmlns='urn:xmpp:sm:3' h='0' previd='{id}'/>");
    let mut tybalt = Wire::log_in(&stage, "tybalt");
    tybalt.say(&resume(id));
    assert!(tybalt.until("</failed>").contains("item-not-found"));
    let flipped = |at: usize| -> String {
        let other = |it: char| if it == 'A' { 'B' } else { 'A' };
        id.char_indices().map(|(place, it)| if place == at { other(it) } else { it }).collect()
    };
    for at in 0..id.len() - 1 {
        let mut guesser = Wire::log_in(&stage, "juliet");
        guesser.say(&resume(&flipped(at)));
        assert!(guesser.until("</failed>").contains("item-not-found"), "flipped at {at}");
    }
    let mut second = Wire::log_in(&stage, "juliet");
    second.say(&resume(id));
    second.until("<resumed");
    assert!(juliet.rest().contains("conflict"), "the first connection has lost the session");
    second.say("<a xmlns='urn:xmpp:sm:3' h='1000'/>");
    assert!(second.rest().contains("handled-count-too-high"));
    bystander.was_not_hurt("resumption");
}

// XEP-0205 §4.4; RFC 6120 §7.6.2.1
#[test]
fn an_account_has_a_bounded_number_of_sessions() {
    let stage = guarded();
    stage.add_accounts(&["tybalt"]);
    let bystander = Bystander::beside(&stage);
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    let mut held = Vec::new();
    let refused = (0..40).find_map(|_| {
        let mut wire = Wire::log_in(&stage, "tybalt");
        wire.say(bind);
        let answer = wire.until("</iq>");
        held.push(wire);
        answer.contains("resource-constraint").then_some(held.len())
    });
    assert_eq!(refused, Some(21), "the default is 20");
    bystander.was_not_hurt("many resources");
}

// RFC 6120 §8.1.2.1
#[test]
fn nobody_speaks_as_somebody_else() {
    attack(
        "spoofed senders",
        "
        juliet/garden connects
        tybalt/street connects
        tybalt/street sends    <message from='{romeo}' to='{juliet/garden}' type='chat'><body>hi</body></message>
        tybalt/street receives <stream:error xmlns:stream='http://etherx.jabber.org/streams'><invalid-from xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>
        tybalt/street loses the stream
        romeo/phone   connects
        juliet/garden is quiet
        ",
    );
}

/// What a stranger may ask of an address, and the answer.
const ASKED: &[(&str, &str, &str)] = &[
    ("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", UNAVAILABLE),
    ("get", "<query xmlns='http://jabber.org/protocol/disco#info' node='n'/>", UNAVAILABLE),
    ("get", "<query xmlns='http://jabber.org/protocol/disco#items'/>", NOTHING),
    ("get", "<query xmlns='http://jabber.org/protocol/disco#items' node='n'/>", NOTHING_AT_N),
    ("get", "<vCard xmlns='vcard-temp'/>", UNAVAILABLE),
    ("set", "<vCard xmlns='vcard-temp'><FN>Tybalt</FN></vCard>", FORBIDDEN),
    ("get", "<query xmlns='jabber:iq:last'/>", FORBIDDEN),
    ("get", "<query xmlns='jabber:iq:version'/>", UNAVAILABLE),
    ("get", "<time xmlns='urn:xmpp:time'/>", UNAVAILABLE),
    ("get", "<ping xmlns='urn:xmpp:ping'/>", UNAVAILABLE),
    (
        "get",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='n'/></pubsub>",
        NOT_FOUND,
    ),
    ("get", "<unheard xmlns='urn:x:unheard'/>", UNAVAILABLE),
    ("set", "<unheard xmlns='urn:x:unheard'/>", UNAVAILABLE),
    ("get", "<query xmlns='jabber:iq:roster'/>", FORBIDDEN),
    ("set", "<query xmlns='jabber:iq:roster'><item jid='a@x.example'/></query>", FORBIDDEN),
    ("get", "<query xmlns='jabber:iq:private'><a xmlns='b'/></query>", FORBIDDEN),
    ("get", "<blocklist xmlns='urn:xmpp:blocking'/>", FORBIDDEN),
    ("set", "<enable xmlns='urn:xmpp:carbons:2'/>", FORBIDDEN),
    ("get", "<query xmlns='urn:xmpp:mam:2'/>", FORBIDDEN),
    ("set", "<query xmlns='urn:xmpp:mam:2'/>", FORBIDDEN),
    ("get", "<metadata xmlns='urn:xmpp:mam:2'/>", FORBIDDEN),
    ("get", "<prefs xmlns='urn:xmpp:mam:2'/>", FORBIDDEN),
];

const UNAVAILABLE: &str = "{error cancel service-unavailable}…";
const NOT_FOUND: &str = "{error cancel item-not-found}…";
const FORBIDDEN: &str = "{error auth forbidden}…";
const NOTHING: &str = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
const NOTHING_AT_N: &str = "<query xmlns='http://jabber.org/protocol/disco#items' node='n'/>";

// XEP-0030 §8, XEP-0054 §3.3: names are not harvested by asking.
#[test]
fn a_stranger_who_asks_does_not_learn_who_has_an_account() {
    let mut story = "
        juliet/garden connects
        paris/park    logs in
        tybalt/street connects
    "
    .to_owned();
    for (ty, payload, answer) in ASKED {
        let to_resource = if payload.contains("iq:last") { FORBIDDEN } else { UNAVAILABLE };
        for (to, answer) in [
            ("{juliet}", *answer),
            ("{paris}", answer),
            ("{nobody}", answer),
            ("{juliet/garden}", to_resource),
            ("{paris}/park", to_resource),
            ("{nobody}/garden", to_resource),
        ] {
            let result = if answer.starts_with('<') { "result" } else { "error" };
            story.push_str(&format!(
                "
        tybalt/street sends    <iq type='{ty}' to='{to}' id='i'>{payload}</iq>
        tybalt/street receives <iq type='{result}' from='{to}' id='i'>{answer}</iq>
        "
            ));
        }
    }
    story.push_str("everyone is quiet");
    attack("harvesting", &story);
}

// RFC 6121 §2.1; XEP-0049 §6; XEP-0191 §3; XEP-0313 §8.1
#[test]
fn what_is_somebody_elses_is_neither_read_nor_changed() {
    let asked = [
        "<iq type='get' to='{juliet}' id='i'><query xmlns='jabber:iq:roster'/></iq>",
        "<iq type='set' to='{juliet}' id='i'><query xmlns='jabber:iq:roster'><item jid='{tybalt}'/></query></iq>",
        "<iq type='set' to='{juliet}' id='i'><query xmlns='urn:xmpp:mam:2'/></iq>",
        "<iq type='get' to='{juliet}' id='i'><metadata xmlns='urn:xmpp:mam:2'/></iq>",
        "<iq type='get' to='{juliet}' id='i'><query xmlns='jabber:iq:private'><a xmlns='b'/></query></iq>",
        "<iq type='set' to='{juliet}' id='i'><query xmlns='jabber:iq:private'><a xmlns='b'/></query></iq>",
        "<iq type='get' to='{juliet}' id='i'><blocklist xmlns='urn:xmpp:blocking'/></iq>",
        "<iq type='set' to='{juliet}' id='i'><block xmlns='urn:xmpp:blocking'><item jid='{tybalt}'/></block></iq>",
        "<iq type='set' to='{juliet}' id='i'><vCard xmlns='vcard-temp'><FN>Tybalt</FN></vCard></iq>",
    ];
    let mut story = "
        juliet/garden connects
        tybalt/street connects
    "
    .to_owned();
    for xml in asked {
        story.push_str(&format!(
            "
        tybalt/street sends    {xml}
        tybalt/street receives <iq type='error' from='{{juliet}}' id='i'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>…</error>…</iq>
        "
        ));
    }
    story.push_str(
        "
        juliet/garden sends    <iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>
        juliet/garden receives <iq type='result' id='r'><query xmlns='jabber:iq:roster'/></iq>
        everyone      is quiet
        ",
    );
    attack("other people's data", &story);
}

// XEP-0191 §3.3; XEP-0313 §5
#[test]
fn a_blocked_sender_reaches_neither_the_client_nor_the_archive() {
    attack(
        "a blocked sender",
        "
        juliet/garden connects
        tybalt/street connects
        juliet/garden sends    <iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='{tybalt}'/></block></iq>
        juliet/garden receives <iq type='result' id='b'/>
        tybalt/street sends    <message to='{juliet}' type='chat' id='m'><body>hi</body></message>
        tybalt/street receives <message type='error' id='m'>…</message>
        tybalt/street sends    <message to='{juliet/garden}' type='headline'><body>hi</body></message>
        tybalt/street sends    <presence to='{juliet}' type='subscribe'/>
        tybalt/street sends    <presence to='{juliet/garden}'/>
        tybalt/street sends    <iq type='get' to='{juliet/garden}' id='v'><query xmlns='jabber:iq:version'/></iq>
        tybalt/street hears    <message type='error'>…</message>
                               <iq type='error' id='v'>…</iq>
        juliet/garden sends    <iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>
        juliet/garden receives <iq type='result' id='q'>…</iq>
        juliet/garden is quiet
        ",
    );
}

// XEP-0359 §6; XEP-0280 §11; XEP-0313 §8.2; XEP-0203 §5
#[test]
fn marks_that_only_the_server_makes_are_taken_from_clients() {
    attack(
        "forged marks",
        "
        juliet/garden connects
        tybalt/street connects
        tybalt/street sends    <message to='{juliet/garden}' type='chat' id='m1'><body>1</body><stanza-id xmlns='urn:xmpp:sid:0' by='{juliet}' id='forged'/></message>
        juliet/garden receives <message from='{tybalt/street}' id='m1'><body>1</body><stanza-id xmlns='urn:xmpp:sid:0' by='{juliet}' id='{$one}'/></message>
        tybalt/street sends    <message to='{juliet/garden}' type='chat' id='m2'><body>2</body><delay xmlns='urn:xmpp:delay' from='{domain}' stamp='2001-01-01T00:00:00Z'/></message>
        juliet/garden receives <message from='{tybalt/street}' id='m2'><body>2</body><stanza-id xmlns='urn:xmpp:sid:0'/></message>
        tybalt/street sends    <message to='{juliet/garden}' id='m3'><body>3</body><result xmlns='urn:xmpp:mam:2' id='x'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{romeo}'><body>lies</body></message></forwarded></result></message>
        juliet/garden receives <message from='{tybalt/street}' id='m3'><body>3</body><stanza-id xmlns='urn:xmpp:sid:0'/></message>
        romeo/phone   connects
        everyone      is quiet
        ",
    );
}

// RFC 6121 §2.1.6, §3.1.6, appendix A.3.2; XEP-0280 §11: what only a server may say is not believed of others.
#[test]
fn pushes_approvals_and_copies_are_taken_from_nobody_else() {
    let copy = |name: &str| {
        format!(
            "<message to='{{juliet/garden}}' type='chat' id='{name}'><body>look</body>
             <{name} xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>
             <message xmlns='jabber:client' from='{{romeo}}'><body>lie</body></message></forwarded></{name}></message>"
        )
    };
    let story = format!(
        "
        juliet/garden connects
        tybalt/street connects
        juliet/garden sends    <iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>
        juliet/garden receives <iq type='result' id='r'><query xmlns='jabber:iq:roster'/></iq>
        tybalt/street sends    <iq type='set' id='push' to='{{juliet/garden}}'><query xmlns='jabber:iq:roster'><item jid='{{tybalt}}' subscription='both'/></query></iq>
        tybalt/street receives <iq type='error' id='push' from='{{juliet/garden}}'>{{error cancel service-unavailable}}…</iq>
        tybalt/street sends    <iq type='set' id='push' to='{{juliet}}'><query xmlns='jabber:iq:roster'><item jid='{{tybalt}}' subscription='both'/></query></iq>
        tybalt/street receives <iq type='error' id='push' from='{{juliet}}'>{{error auth forbidden}}…</iq>
        tybalt/street sends    <presence type='subscribed' to='{{juliet}}'/>
        tybalt/street sends    <presence type='subscribed' to='{{juliet/garden}}'/>
        tybalt/street sends    <presence type='unsubscribed' to='{{juliet}}'/>
        tybalt/street sends    <presence type='unsubscribe' to='{{juliet}}'/>
        tybalt/street sends    {}
        juliet/garden receives <message from='{{tybalt/street}}' id='received'><body>look</body><stanza-id xmlns='urn:xmpp:sid:0'/></message>
        tybalt/street sends    {}
        juliet/garden receives <message from='{{tybalt/street}}' id='sent'><body>look</body><stanza-id xmlns='urn:xmpp:sid:0'/></message>
        juliet/garden sends    <iq type='get' id='r2'><query xmlns='jabber:iq:roster'/></iq>
        juliet/garden receives <iq type='result' id='r2'><query xmlns='jabber:iq:roster'/></iq>
        romeo/phone   connects
        everyone      is quiet
        ",
        copy("received"),
        copy("sent"),
    );
    attack("forged words of the server", &story);
}

// XEP-0313 §4.1.3, §4.3.2: ids are times, so that they can be guessed; they lead into the own archive alone.
#[test]
fn an_id_of_somebody_elses_archive_leads_nowhere() {
    let field = |var: &str| {
        format!(
            "<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>
             <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>
             <field var='{var}'><value>{{$id}}</value></field></x></query>"
        )
    };
    let page = |name: &str| {
        format!(
            "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>
             <{name}>{{$id}}</{name}></set></query>"
        )
    };
    let queries =
        [field("ids"), field("after-id"), field("before-id"), page("after"), page("before")];
    let ask = |who: &str, answer: &str| -> String {
        let lines = queries.iter().map(|query| {
            format!("\n{who} sends <iq type='set' id='q'>{query}</iq>\n{who} receives {answer}")
        });
        lines.collect()
    };
    let story = format!(
        "
        juliet/garden connects
        romeo/phone   connects
        tybalt/street connects
        romeo/phone   sends    <message to='{{juliet/garden}}' type='chat' id='m'><body>secret</body></message>
        juliet/garden receives <message id='m'><body>secret</body><stanza-id xmlns='urn:xmpp:sid:0' by='{{juliet}}' id='{{$id}}'/></message>
        tybalt/street sends    <message to='{{tybalt}}' type='chat' id='n'><body>note</body></message>
        tybalt/street receives <message id='n'>…</message>
        {}
        tybalt/street is quiet
        juliet/garden sends    <iq type='set' id='q'>{}</iq>
        juliet/garden receives <message><result xmlns='urn:xmpp:mam:2' id='{{$id}}'>…</result></message>
        juliet/garden receives <iq type='result' id='q'>…</iq>
        ",
        ask("tybalt/street", "<iq type='error' id='q'>{error cancel item-not-found}…</iq>"),
        queries[0],
    );
    attack("guessed ids", &story);
}

// XEP-0313 §4.3; XEP-0059
#[test]
fn absurd_queries_of_an_archive_have_small_answers() {
    let rsm = |inner: &str| {
        format!(
            "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>{inner}</set></query>"
        )
    };
    let stage = guarded();
    stage.add_accounts(&["tybalt"]);
    let bystander = Bystander::beside(&stage);
    let mut wire = Wire::bound(&stage, "tybalt", "x");
    for _ in 0..300 {
        wire.say("<message to='tybalt@localhost' type='chat'><body>again</body></message>");
    }
    for inner in [
        "<max>999999999</max>",
        "<max>99999999999999999999999999</max>",
        "<max>-1</max>",
        "<max>x</max>",
        "<after>18446744073709551616</after>",
        "<before>' OR 1=1</before>",
        "<index>4294967295</index>",
        "<after>0</after><before>0</before>",
    ] {
        wire.say(&format!("<iq type='set' id='q'>{}</iq>", rsm(inner)));
        let heard = wire.until("id='q'");
        let rows = heard.matches("<result ").count();
        assert!(rows <= 500, "{rows} rows for {inner}");
    }
    bystander.was_not_hurt("absurd queries");
}
