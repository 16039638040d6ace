//! XEP-0055 Jabber Search.

use crate::stage::{Stage, play_on};

const LISTING: &str = "urn:rookery:search#listing";

fn list(fields: &str) -> String {
    format!(
        "<iq type='set' id='l' to='{{domain}}'><command xmlns='http://jabber.org/protocol/commands' node='{LISTING}'><x xmlns='jabber:x:data' type='submit'>{fields}</x></command></iq>"
    )
}

// XEP-0055 §2.1, §3
#[test]
fn people_find_those_who_want_to_be_found_and_no_others() {
    let named = "<field var='first'><value>Juliet</value></field><field var='last'><value>Capulet</value></field>";
    let found = "<command xmlns='http://jabber.org/protocol/commands' node='urn:rookery:search#listing' status='completed'>…</command>";
    let search = "<iq type='set' id='s' to='{domain}'><query xmlns='jabber:iq:search'><last>cap</last></query></iq>";
    play_on(&Stage::start(""), &format!("
        juliet/garden connects
        tybalt/hall   connects
        romeo/phone   connects
        romeo/phone   sends    <iq type='get' id='g' to='{{domain}}'><query xmlns='jabber:iq:search'/></iq>
        romeo/phone   receives <iq type='result' id='g'><query xmlns='jabber:iq:search'><instructions>…</instructions><first/><last/><nick/><email/><x xmlns='jabber:x:data' type='form'>…</x></query></iq>
        romeo/phone   sends    {search}
        romeo/phone   receives <iq type='result' id='s'><query xmlns='jabber:iq:search'/></iq>
        juliet/garden sends    {}
        juliet/garden receives <iq type='result' id='l'>{found}</iq>
        romeo/phone   sends    {search}
        romeo/phone   receives <iq type='result' id='s'><query xmlns='jabber:iq:search'><item jid='{{juliet}}'><first>Juliet</first><last>Capulet</last></item></query></iq>
        romeo/phone   sends    <iq type='set' id='f' to='{{domain}}'><query xmlns='jabber:iq:search'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:search</value></field><field var='first'><value>JUL</value></field></x></query></iq>
        romeo/phone   receives <iq type='result' id='f'><query xmlns='jabber:iq:search'><x xmlns='jabber:x:data' type='result'>…<field var='FORM_TYPE'><value>jabber:iq:search</value></field><reported>…</reported><item>…<field var='jid'><value>{{juliet}}</value></field></item></x></query></iq>
        romeo/phone   sends    <iq type='set' id='n' to='{{domain}}'><query xmlns='jabber:iq:search'/></iq>
        romeo/phone   receives <iq type='error' id='n'>{{error modify not-acceptable}}</iq>
        juliet/garden sends    {}
        juliet/garden receives <iq type='result' id='l'>{found}</iq>
        romeo/phone   sends    {search}
        romeo/phone   receives <iq type='result' id='s'><query xmlns='jabber:iq:search'/></iq>
        everyone      is quiet
    ", list(named), list("<field var='first'><value/></field>")));
}
