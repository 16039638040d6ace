//! Stories over a server that stops and starts: what of a client's session outlives it (XEP-0198 §5).

use crate::stage::{Stage, play_over_restarts};

/// A server that keeps what it stores, and whose sessions wait for so long.
fn stage(resume_seconds: u32) -> Stage {
    let resume = format!("[sm]\nresume_seconds = {resume_seconds}\n");
    Stage::start(&format!("[store]\nengine = 'embedded'\n{resume}"))
}

#[test]
fn a_client_resumes_over_a_restart_with_its_count_and_what_it_had_not_acknowledged() {
    play_over_restarts(&mut stage(600), "
        juliet/garden connects
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m1'><body>1</body></message>
        juliet/garden receives <message id='m1'><body>1</body>…</message>
        romeo/phone   sends    <iq type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone   receives <iq type='result' id='p1'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m2'><body>2</body></message>
        romeo/phone   receives <message id='m2'><body>2</body>…</message>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m3'><body>3</body></message>
        romeo/phone   receives <message id='m3'><body>3</body>…</message>
        server        is stopped
        romeo/phone   finds    {stream-error system-shutdown}
        romeo/phone   loses the stream
        romeo/phone   vanishes
        juliet/garden receives {stream-error system-shutdown}
        juliet/garden vanishes
        server        starts again
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m4'><body>4</body></message>
        juliet/garden is quiet
        romeo/phone   logs in
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='2'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='2'/>
        romeo/phone   receives <message id='m3'><body>3</body>…</message>
        romeo/phone   receives <message id='m4'><body>4</body>…</message>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m5'><body>5</body></message>
        juliet/garden receives <message from='{romeo/phone}' id='m5'><body>5</body>…</message>
        everyone      is quiet
    ");
}

// XEP-0280 §4, XEP-0191 §3.3, RFC 6121 §2.1.6, §4.2: what extensions and the account keep of a session.
#[test]
fn copies_pushes_and_presence_go_on_with_a_resumed_session() {
    play_over_restarts(&mut stage(600), "
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <presence to='{romeo}' type='subscribe'/>
        romeo/phone   receives <presence from='{juliet}' type='subscribe'/>
        romeo/phone   sends    <iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>
        romeo/phone   receives <iq type='result' id='r1'>…</iq>
        romeo/phone   sends    <presence to='{juliet}' type='subscribed'/>
        romeo/phone   receives <iq type='set'>…</iq>
        juliet/garden receives <presence from='{romeo/phone}'/>
        romeo/phone   sends    <iq type='set' id='c1'><enable xmlns='urn:xmpp:carbons:2'/></iq>
        romeo/phone   receives <iq type='result' id='c1'/>
        romeo/phone   sends    <iq type='get' id='b1'><blocklist xmlns='urn:xmpp:blocking'/></iq>
        romeo/phone   receives <iq type='result' id='b1'>…</iq>
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        server        is stopped
        romeo/phone   vanishes
        juliet/garden vanishes
        server        starts again
        romeo/phone   logs in
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        juliet/garden binds
        juliet/garden sends    <presence/>
        juliet/garden hears    <presence from='{juliet/garden}'/>
                               <presence from='{romeo/phone}'/>
        romeo/laptop  binds
        juliet/garden sends    <message to='{romeo/laptop}' type='chat' id='m1'><body>1</body></message>
        romeo/laptop  receives <message id='m1'><body>1</body>…</message>
        romeo/phone   receives <message from='{romeo}' to='{romeo/phone}'><received xmlns='urn:xmpp:carbons:2'>…</received></message>
        romeo/laptop  sends    <iq type='set' id='i1'><query xmlns='jabber:iq:roster'><item jid='tybalt@{domain}'/></query></iq>
        romeo/laptop  receives <iq type='result' id='i1'/>
        romeo/phone   receives <iq type='set'><query xmlns='jabber:iq:roster'>…</query></iq>
        romeo/laptop  sends    <iq type='set' id='b2'><block xmlns='urn:xmpp:blocking'><item jid='tybalt@{domain}'/></block></iq>
        romeo/laptop  receives <iq type='result' id='b2'/>
        romeo/phone   receives <iq type='set'><block xmlns='urn:xmpp:blocking'>…</block></iq>
        everyone      is quiet
    ");
}

// XEP-0198 §4, §5: the time to come back goes on while the server is down.
#[test]
fn who_does_not_come_back_in_time_is_gone_and_the_next_client_gets_the_messages() {
    play_over_restarts(&mut stage(1), "
        juliet/garden connects
        romeo/phone   connects
        juliet/garden sends    <presence to='{romeo}' type='subscribe'/>
        romeo/phone   receives <presence from='{juliet}' type='subscribe'/>
        romeo/phone   sends    <presence to='{juliet}' type='subscribed'/>
        juliet/garden receives <presence from='{romeo/phone}'/>
        juliet/garden sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        juliet/garden receives <enabled xmlns='urn:xmpp:sm:3' id='{$juliet}' resume='true'/>
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>1</body></message>
        romeo/phone   receives <message id='m1'><body>1</body>…</message>
        server        is stopped
        romeo/phone   vanishes
        juliet/garden vanishes
        server        starts again
        juliet/garden logs in
        romeo/laptop  connects
        romeo/laptop  finds    <message id='m1'><body>1</body><delay xmlns='urn:xmpp:delay' from='{domain}'>…</delay>…</message>
        romeo/phone   logs in
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <failed xmlns='urn:xmpp:sm:3'>…</failed>
        everyone      is quiet
    ");
}

#[test]
fn a_session_that_went_on_after_a_stop_does_not_come_back_again_after_a_power_cut() {
    play_over_restarts(&mut stage(600), "
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        server        is stopped
        romeo/phone   vanishes
        server        starts again
        romeo/phone   logs in
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   sends    <iq type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/phone   receives <iq type='result' id='p1'/>
        server        dies
        server        starts again
        romeo/phone   logs in
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='1'/>
        romeo/phone   receives <failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>
    ");
}

#[test]
fn a_session_waits_over_two_restarts() {
    play_over_restarts(&mut stage(600), "
        romeo/phone   connects
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        romeo/phone   vanishes
        server        is stopped
        server        starts again
        server        is stopped
        server        starts again
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>1</body></message>
        juliet/garden is quiet
        romeo/phone   logs in
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <message id='m1'><body>1</body>…</message>
        everyone      is quiet
    ");
}

// XEP-0045 §6.3, §10.1.1: rooms that do not stay end with those who were in them, and are not listed any more.
#[test]
fn a_temporary_room_ends_with_the_server_and_a_persistent_one_is_there_again() {
    use crate::xep::muc::{made, made_with};
    let list = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    play_over_restarts(&mut stage(0), &format!("
        crone/desktop connects
        {}
        {}
        crone/desktop sends    <iq type='get' id='1' to='conference.{{domain}}'>{list}</iq>
        crone/desktop receives <iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='{{room coven}}'/><item jid='{{room heath}}'/></query></iq>
        server        dies
        crone/desktop vanishes
        server        starts again
        crone/desktop connects
        crone/desktop sends    <iq type='get' id='2' to='conference.{{domain}}'>{list}</iq>
        crone/desktop receives <iq type='result' id='2'>…</iq>
        crone/desktop sends    <iq type='get' id='3' to='{{room coven}}'><ping xmlns='urn:xmpp:ping'/></iq>
        crone/desktop receives <iq type='error' id='3'>{{error cancel item-not-found}}</iq>
        crone/desktop sends    <iq type='get' id='4' to='conference.{{domain}}'>{list}</iq>
        crone/desktop receives <iq type='result' id='4'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='{{room heath}}'/></query></iq>
        everyone      is quiet
    ",
        made("crone/desktop", "coven", "first"),
        made_with("crone/desktop", "heath", "first", &[("muc#roomconfig_persistentroom", "1")]),
    ));
}

// XEP-0060: nodes of an account and of a service, with their items and subscriptions.
#[test]
fn nodes_outlive_a_restart() {
    play_over_restarts(&mut stage(600), "
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:n'><item id='a'><e xmlns='urn:x'/></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/phone   sends    <iq type='set' to='pubsub.{domain}' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='news'><item id='a'><e xmlns='urn:x'/></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p2'>…</iq>
        juliet/garden sends    <iq type='set' to='pubsub.{domain}' id='s1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='news' jid='{juliet}'/></pubsub></iq>
        juliet/garden hears    <iq type='result' id='s1'>…</iq>
                               <message from='pubsub.{domain}'>…</message>
        server        is stopped
        romeo/phone   finds    {stream-error system-shutdown}
        romeo/phone   loses the stream
        romeo/phone   vanishes
        juliet/garden receives {stream-error system-shutdown}
        juliet/garden vanishes
        server        starts again
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='get' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'/></pubsub></iq>
        romeo/phone   receives <iq type='result' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'><item id='a'><e xmlns='urn:x'/></item></items></pubsub></iq>
        romeo/phone   sends    <iq type='set' to='pubsub.{domain}' id='p3'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='news'><item id='b'><e xmlns='urn:x'/></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p3'>…</iq>
        juliet/garden receives <message from='pubsub.{domain}'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='news'><item id='b'>…</item></items></event></message>
        everyone      is quiet
    ");
}
