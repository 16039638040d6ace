//! XEP-0313 Message Archive Management.

use crate::stage::play;

// XEP-0313 §4, §4.2
#[test]
fn both_sides_find_a_chat_in_their_archives() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo}' type='chat' id='m1'><body>hi</body></message>
        romeo/phone   receives <message id='m1'><body>hi</body><stanza-id xmlns='urn:xmpp:sid:0' by='{romeo}' id='{$id}'/></message>
        romeo/phone   sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2' queryid='f1'/></iq>
        romeo/phone   receives <message from='{romeo}'><result xmlns='urn:xmpp:mam:2' queryid='f1' id='{$id}'>
                               <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='{$t}'/>
                               <message xmlns='jabber:client' from='{juliet/garden}' to='{romeo}' type='chat' id='m1'><body>hi</body>…</message>
                               </forwarded></result></message>
        romeo/phone   receives <iq type='result' id='q1'><fin xmlns='urn:xmpp:mam:2' complete='true'>
                               <set xmlns='http://jabber.org/protocol/rsm'><first>{$id}</first><last>{$id}</last>…</set></fin></iq>
        juliet/garden sends    <iq type='set' id='q2'><query xmlns='urn:xmpp:mam:2'/></iq>
        juliet/garden receives <message><result xmlns='urn:xmpp:mam:2' id='{$other}'>
                               <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/>
                               <message xmlns='jabber:client' id='m1'><body>hi</body></message></forwarded></result></message>
        juliet/garden receives <iq type='result' id='q2'><fin xmlns='urn:xmpp:mam:2'>…</fin></iq>
        everyone      is quiet
    ");
}

// XEP-0313 §4.3.2, XEP-0059 §2.2
#[test]
fn an_archive_is_read_page_by_page_without_gap_or_repetition() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo}' type='chat'><body>1</body></message>
                               <message to='{romeo}' type='chat'><body>2</body></message>
                               <message to='{romeo}' type='chat'><body>3</body></message>
        romeo/phone   receives <message><body>1</body><stanza-id xmlns='urn:xmpp:sid:0' id='{$one}'/></message>
        romeo/phone   receives <message><body>2</body><stanza-id xmlns='urn:xmpp:sid:0' id='{$two}'/></message>
        romeo/phone   receives <message><body>3</body><stanza-id xmlns='urn:xmpp:sid:0' id='{$three}'/></message>
        romeo/phone   sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>2</max></set></query></iq>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$one}'>…</result></message>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$two}'>…</result></message>
        romeo/phone   receives <iq type='result' id='q1'><fin xmlns='urn:xmpp:mam:2' complete='{none}'>
                               <set xmlns='http://jabber.org/protocol/rsm'><first>{$one}</first><last>{$two}</last>…</set></fin></iq>
        romeo/phone   sends    <iq type='set' id='q2'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>2</max><after>{$two}</after></set></query></iq>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$three}'>…</result></message>
        romeo/phone   receives <iq type='result' id='q2'><fin xmlns='urn:xmpp:mam:2' complete='true'>…</fin></iq>
        romeo/phone   sends    <iq type='set' id='q3'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>1</max><before/></set></query></iq>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$three}'>…</result></message>
        romeo/phone   receives <iq type='result' id='q3'><fin xmlns='urn:xmpp:mam:2' complete='{none}'>…</fin></iq>
        everyone      is quiet
    ");
}

// XEP-0313 §4.3.2
#[test]
fn a_page_behind_an_unknown_id_is_not_found() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><after>nonsense</after></set></query></iq>
        romeo/phone receives <iq type='error' id='q1'>{error cancel item-not-found}…</iq>
        everyone    is quiet
    ");
}

// XEP-0313 §4.1.1
#[test]
fn a_query_can_ask_for_one_correspondent() {
    play("
        romeo/phone   connects
        juliet/garden connects
        nurse/kitchen connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>from juliet</body></message>
        romeo/phone   receives <message><body>from juliet</body>…</message>
        nurse/kitchen sends    <message to='{romeo/phone}' type='chat'><body>from the nurse</body></message>
        romeo/phone   receives <message><body>from the nurse</body>…</message>
        romeo/phone   sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='with'><value>{nurse}</value></field></x></query></iq>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/>
                               <message xmlns='jabber:client' from='{nurse/kitchen}'><body>from the nurse</body>…</message></forwarded></result></message>
        romeo/phone   receives <iq type='result' id='q1'><fin xmlns='urn:xmpp:mam:2' complete='true'>…</fin></iq>
        everyone      is quiet
    ");
}

// XEP-0313 §8.1
#[test]
fn nobody_reads_the_archive_of_another() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <iq type='set' to='{romeo}' id='q1'><query xmlns='urn:xmpp:mam:2'/></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='q1'>{error auth forbidden}…</iq>
        everyone      is quiet
    ");
}

// XEP-0313 §5
#[test]
fn metadata_names_the_ends_of_the_archive() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='get' id='d1'><metadata xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone   receives <iq type='result' id='d1'><metadata xmlns='urn:xmpp:mam:2'/></iq>
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>hi</body></message>
        romeo/phone   receives <message><body>hi</body><stanza-id xmlns='urn:xmpp:sid:0' id='{$id}'/></message>
        romeo/phone   sends    <iq type='get' id='d2'><metadata xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone   receives <iq type='result' id='d2'><metadata xmlns='urn:xmpp:mam:2'><start id='{$id}' timestamp='{$t}'/><end id='{$id}' timestamp='{$t}'/></metadata></iq>
        everyone      is quiet
    ");
}

// XEP-0313 §4.1.5
#[test]
fn a_client_learns_what_it_may_ask_for() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='get' id='f1'><query xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone receives <iq type='result' id='f1'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='form'>
                             <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='with' type='jid-single'/><field var='start'/><field var='end'/>
                             <field var='before-id'/><field var='after-id'/><field var='ids' type='list-multi'>…</field>…</x></query></iq>
        everyone    is quiet
    ");
}

// XEP-0313 §4.1.2
#[test]
fn a_query_can_be_bounded_by_time() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>hi</body></message>
        romeo/phone   receives <message><body>hi</body><stanza-id xmlns='urn:xmpp:sid:0' id='{$id}'/></message>
        romeo/phone   sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='end'><value>2010-07-10T23:08:25Z</value></field></x></query></iq>
        romeo/phone   receives <iq type='result' id='q1'><fin xmlns='urn:xmpp:mam:2' complete='true'>…</fin></iq>
        romeo/phone   sends    <iq type='set' id='q2'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='start'><value>2010-07-10T23:08:25Z</value></field></x></query></iq>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$id}'>…</result></message>
        romeo/phone   receives <iq type='result' id='q2'><fin xmlns='urn:xmpp:mam:2' complete='true'>…</fin></iq>
        romeo/phone   sends    <iq type='set' id='q3'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='start'><value>yesterday</value></field></x></query></iq>
        romeo/phone   receives <iq type='error' id='q3'>{error modify bad-request}…</iq>
        everyone      is quiet
    ");
}

// XEP-0313 §4.1.3, §4.1.4
#[test]
fn a_query_can_name_messages_or_lie_between_two() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>1</body></message>
                               <message to='{romeo/phone}' type='chat'><body>2</body></message>
                               <message to='{romeo/phone}' type='chat'><body>3</body></message>
        romeo/phone   receives <message><body>1</body><stanza-id xmlns='urn:xmpp:sid:0' id='{$one}'/></message>
        romeo/phone   receives <message><body>2</body><stanza-id xmlns='urn:xmpp:sid:0' id='{$two}'/></message>
        romeo/phone   receives <message><body>3</body><stanza-id xmlns='urn:xmpp:sid:0' id='{$three}'/></message>
        romeo/phone   sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='ids'><value>{$one}</value><value>{$three}</value></field></x></query></iq>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$one}'>…</result></message>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$three}'>…</result></message>
        romeo/phone   receives <iq type='result' id='q1'>…</iq>
        romeo/phone   sends    <iq type='set' id='q2'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='after-id'><value>{$one}</value></field><field var='before-id'><value>{$three}</value></field></x></query></iq>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$two}'>…</result></message>
        romeo/phone   receives <iq type='result' id='q2'>…</iq>
        romeo/phone   sends    <iq type='set' id='q4'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='include-groupchat'><value>false</value></field><field var='after-id'><value>{$two}</value></field></x></query></iq>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$three}'>…</result></message>
        romeo/phone   receives <iq type='result' id='q4'>…</iq>
        romeo/phone   sends    <iq type='set' id='q3'><query xmlns='urn:xmpp:mam:2'><flip-page/></query></iq>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$three}'>…</result></message>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$two}'>…</result></message>
        romeo/phone   receives <message><result xmlns='urn:xmpp:mam:2' id='{$one}'>…</result></message>
        romeo/phone   receives <iq type='result' id='q3'>…</iq>
        everyone      is quiet
    ");
}

// XEP-0313 §6.1.1
#[test]
fn what_is_no_conversation_is_not_archived() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='headline' id='m1'><body>news</body></message>
        romeo/phone   receives <message id='m1'><body>news</body></message>
        juliet/garden sends    <message to='{romeo/phone}' type='groupchat' id='m2'><body>all</body></message>
        romeo/phone   receives <message id='m2'><body>all</body></message>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m3'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>
        romeo/phone   receives <message id='m3'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>
        romeo/phone   sends    <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'/></iq>
        romeo/phone   receives <iq type='result' id='q1'><fin xmlns='urn:xmpp:mam:2' complete='true'>…</fin></iq>
        everyone      is quiet
    ");
}

// XEP-0313 §8.2
#[test]
fn a_forged_result_is_no_result() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' id='m1'><body>look</body><result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'>
                               <message xmlns='jabber:client' from='nurse@capulet.example/kitchen' to='{romeo}'><body>lie</body></message></forwarded></result></message>
        romeo/phone   receives <message id='m1'><body>look</body><stanza-id xmlns='urn:xmpp:sid:0'/></message>
        everyone      is quiet
    ");
}

// XEP-0313 §3.1: whoever knows one id cannot tell the next.
#[test]
fn ids_of_neighbours_have_nothing_in_common() {
    let stage = crate::stage::Stage::start("");
    stage.add_accounts(&["romeo", "juliet"]);
    let login = |name| town::client::Login {
        address: stage.c2s,
        domain: "localhost",
        name,
        password: crate::stage::PASSWORD,
    };
    let mut romeo = town::Client::log_in(&login("romeo"));
    let to = romeo.bind("phone");
    let mut juliet = town::Client::log_in(&login("juliet"));
    juliet.bind("garden");
    let ids: Vec<u64> = (0..8)
        .map(|_| {
            juliet.send(format!("<message to='{to}' type='chat'><body>hi</body></message>"));
            let message = romeo.next().expect("a message");
            let id = message.child("stanza-id", xmpp::ns::STANZA_ID).expect("an id");
            u64::from_str_radix(id.attr("id").expect("an id"), 16).expect("a number")
        })
        .collect();
    assert!(!ids.is_sorted(), "{ids:x?}");
    assert!(ids.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 1 << 32), "{ids:x?}");
}
