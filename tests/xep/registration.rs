//! XEP-0077 In-Band Registration.

use crate::stage::{Stage, play, play_on, play_with};

/// A stream in the clear, up to its features.
const OPENED: &str = "
        stranger/x opens a stream
        stranger/x receives <stream xmlns='http://etherx.jabber.org/streams'/>
        stranger/x receives <features xmlns='http://etherx.jabber.org/streams'>…<register xmlns='http://jabber.org/features/iq-register'/>…</features>
";

/// `\0rosaline\0r0m30myr0m30`
const ROSALINE: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvc2FsaW5lAHIwbTMwbXlyMG0zMA==</auth>";

fn open() -> Stage {
    Stage::start("[[domain]]\nname = 'localhost'\nregistration = 'open'")
}

fn register(name: &str, password: &str) -> String {
    format!(
        "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>{name}</username><password>{password}</password></query></iq>"
    )
}

// XEP-0077 §3.1, §4
#[test]
fn a_stranger_registers_and_logs_in_on_the_same_stream() {
    let register = register("Rosaline", "r0m30myr0m30");
    play_on(&open(), &format!("
        {OPENED}
        stranger/x sends    <iq type='get' id='g' to='{{domain}}'><query xmlns='jabber:iq:register'/></iq>
        stranger/x receives <iq type='result' id='g' from='{{domain}}'><query xmlns='jabber:iq:register'><instructions>…</instructions><username/><password/><x xmlns='jabber:x:data' type='form'>…<field type='hidden' var='FORM_TYPE'><value>jabber:iq:register</value></field><field type='text-single' var='username'><required/></field><field type='text-private' var='password'><required/></field></x></query></iq>
        stranger/x sends    {register}
        stranger/x receives <iq type='result' id='r'/>
        stranger/x sends    {register}
        stranger/x receives <iq type='error' id='r'>{{error modify not-acceptable}}</iq>
        stranger/x sends    {ROSALINE}
        stranger/x receives <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
    "));
}

// XEP-0077 §3.1, examples 6 and 7; §3.2, table 1
#[test]
fn what_cannot_be_registered_is_named() {
    let stage = open();
    stage.run(&["account", "add", "rosaline@localhost", "--password", "r0m30myr0m30"]).unwrap();
    let refused = |sent: &str, error: &str| {
        format!(
            "
        stranger/x sends    {sent}
        stranger/x receives <iq type='error'>{{error {error}}}</iq>
        "
        )
    };
    let story = [
        refused(&register("rosaline", "another password"), "cancel conflict"),
        refused(&register("postmaster", "a good password"), "modify not-acceptable"),
        refused(&register("a b", "a good password"), "modify jid-malformed"),
        refused(&register("nurse", "short"), "modify not-acceptable"),
        refused(
            "<iq type='set' id='1'><query xmlns='jabber:iq:register'><username>nurse</username></query></iq>",
            "modify not-acceptable",
        ),
        refused(
            "<iq type='set' id='1'><query xmlns='jabber:iq:register'><remove/></query></iq>",
            "wait unexpected-request",
        ),
        refused(
            "<iq type='set' id='1'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='result'/></query></iq>",
            "modify bad-request",
        ),
    ];
    play_on(&stage, &format!("{OPENED}{}", story.concat()));
}

// RFC 6120 §4.9.3.12
#[test]
fn nobody_registers_where_it_is_closed() {
    play(&format!(
        "
        stranger/x opens a stream
        stranger/x receives <stream xmlns='http://etherx.jabber.org/streams'/>
        stranger/x receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        stranger/x sends    {}
        stranger/x receives {{stream-error not-authorized}}
        stranger/x loses the stream
    ",
        register("rosaline", "r0m30myr0m30")
    ));
}

// XEP-0077 §3.3
#[test]
fn a_password_is_changed_and_whoever_had_the_old_one_is_out() {
    let change = |name: &str, password: &str| {
        format!("<query xmlns='jabber:iq:register'><username>{name}</username>{password}</query>")
    };
    let password = "<password>much better</password>";
    // The account of a story has a number behind its name: the whole address is understood as well.
    play_with("", &format!("
        romeo/phone   connects
        romeo/laptop  connects
        romeo/phone   sends    <iq type='get' id='0'><query xmlns='jabber:iq:register'/></iq>
        romeo/phone   receives <iq type='result' id='0'><query xmlns='jabber:iq:register'><instructions>…</instructions><registered/><username>…</username><password/></query></iq>
        romeo/phone   sends    <iq type='set' id='1' to='{{domain}}'>{}</iq>
        romeo/phone   receives <iq type='error' id='1' from='{{domain}}'>{{error modify bad-request}}</iq>
        romeo/phone   sends    <iq type='set' id='2' to='{{domain}}'>{}</iq>
        romeo/phone   receives <iq type='error' id='2'>{{error modify not-acceptable}}</iq>
        romeo/phone   sends    <iq type='set' id='3' to='{{domain}}'>{}</iq>
        romeo/phone   receives <iq type='error' id='3'>{{error cancel not-allowed}}</iq>
        romeo/phone   sends    <iq type='set' id='4' to='{{domain}}'>{}</iq>
        romeo/phone   receives <iq type='result' id='4' from='{{domain}}'/>
        romeo/laptop  receives {{stream-error reset}}
        romeo/laptop  loses the stream
        romeo/phone   receives <presence type='unavailable' from='{{romeo/laptop}}'/>
        romeo/tablet  opens a stream
        romeo/tablet  receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/tablet  receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/tablet  sends    <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{{plain romeo}}</auth>
        romeo/tablet  receives <failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>
    ",
        change("{romeo}", "<password/>"),
        change("{romeo}", "<password>x</password>"),
        change("{juliet}", password),
        change("{romeo}", password),
    ));
}

// XEP-0077 §3.2; RFC 6121 §3
#[test]
fn who_removes_his_account_is_gone_for_his_clients_and_contacts() {
    play("
        romeo/phone   connects
        romeo/laptop  connects
        juliet/garden connects
        juliet/garden sends    <iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>
        juliet/garden receives <iq type='result' id='r'>…</iq>
        juliet/garden sends    <presence to='{romeo}' type='subscribe' id='s'/>
        juliet/garden receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{romeo}' subscription='none' ask='subscribe'/></query></iq>
        romeo/phone   receives <presence from='{juliet}' type='subscribe'/>
        romeo/laptop  receives <presence from='{juliet}' type='subscribe'/>
        romeo/phone   sends    <presence to='{juliet}' type='subscribed'/>
        juliet/garden hears    <presence from='{romeo}' type='subscribed'/>
                               <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{romeo}' subscription='to' ask='{none}'/></query></iq>
                               <presence from='{romeo/phone}'/>
                               <presence from='{romeo/laptop}'/>
        romeo/phone   sends    <iq type='set' id='1'><query xmlns='jabber:iq:register'><remove/><username>x</username></query></iq>
        romeo/phone   receives <iq type='error' id='1'>{error modify bad-request}</iq>
        romeo/phone   sends    <iq type='set' id='2'><query xmlns='jabber:iq:register'><remove/></query></iq>
        romeo/phone   finds    <iq type='result' id='2'/>
        romeo/phone   finds    {stream-error not-authorized}
        romeo/phone   loses the stream
        romeo/laptop  finds    {stream-error not-authorized}
        romeo/laptop  loses the stream
        juliet/garden hears    <presence from='{romeo/phone}' type='unavailable'/>
                               <presence from='{romeo/laptop}' type='unavailable'/>
                               <presence from='{romeo}' type='unsubscribed'/>
                               <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{romeo}' subscription='none' ask='{none}'/></query></iq>
        romeo/tablet  opens a stream
        romeo/tablet  receives <stream xmlns='http://etherx.jabber.org/streams'/>
        romeo/tablet  receives <features xmlns='http://etherx.jabber.org/streams'>…</features>
        romeo/tablet  sends    <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain romeo}</auth>
        romeo/tablet  receives <failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>
    ");
}
