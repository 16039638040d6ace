//! What users notice when a member dies: three members in this process (`tests/stage/crew.rs`).

use crate::stage::play_over_deaths;

#[test]
fn a_client_whose_home_dies_goes_on_and_its_messages_come_once_and_in_order() {
    play_over_deaths("
        romeo lives on a
        juliet lives on c
        romeo/phone   connects on b
        juliet/garden connects on c
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>1</body></message>
        romeo/phone   receives <message id='m1'><body>1</body>…</message>
        server        a dies
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m2'><body>2</body></message>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m3'><body>3</body></message>
        romeo/phone   receives <message id='m2'><body>2</body>…</message>
        juliet/garden receives <message id='m3'><body>3</body>…</message>
        juliet/garden sends    <message to='{romeo}' type='chat' id='m4'><body>4</body></message>
        romeo/phone   receives <message id='m4'><body>4</body>…</message>
        everyone      is quiet
    ");
}

#[test]
fn a_client_without_stream_management_keeps_its_socket_when_its_home_dies() {
    play_over_deaths("
        romeo lives on a
        juliet lives on b
        romeo/phone   connects on c
        juliet/garden connects on b
        server        a dies
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>1</body></message>
        romeo/phone   receives <message id='m1'><body>1</body>…</message>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m2'><body>2</body></message>
        juliet/garden receives <message id='m2'><body>2</body>…</message>
        everyone      is quiet
    ");
}

#[test]
fn a_client_resumes_elsewhere_with_exact_h_when_its_edge_dies() {
    play_over_deaths("
        romeo lives on b
        juliet lives on c
        juliet/garden connects on c
        romeo/phone   connects on a
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m1'><body>1</body></message>
        juliet/garden receives <message id='m1'><body>1</body>…</message>
        server        a dies
        romeo/phone   vanishes
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m2'><body>2</body></message>
        romeo/phone   logs in on c
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='1'/>
        romeo/phone   receives <message id='m2'><body>2</body>…</message>
        everyone      is quiet
    ");
}

#[test]
fn a_client_whose_home_is_its_edge_resumes_out_of_the_standbys_copy() {
    play_over_deaths("
        romeo lives on a
        juliet lives on c
        juliet/garden connects on c
        romeo/phone   connects on a
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m1'><body>1</body></message>
        juliet/garden receives <message id='m1'><body>1</body>…</message>
        romeo/phone   sends    <r xmlns='urn:xmpp:sm:3'/>
        romeo/phone   finds    <a xmlns='urn:xmpp:sm:3' h='1'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m2'><body>2</body></message>
        romeo/phone   receives <message id='m2'><body>2</body>…</message>
        juliet/garden sends    <iq type='get' id='p1' to='{romeo}'><ping xmlns='urn:xmpp:ping'/></iq>
        juliet/garden receives <iq id='p1'>…</iq>
        server        a dies
        romeo/phone   vanishes
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m3'><body>3</body></message>
        romeo/phone   logs in on b
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='1'/>
        romeo/phone   receives <message id='m2'><body>2</body>…</message>
        romeo/phone   receives <message id='m3'><body>3</body>…</message>
        everyone      is quiet
    ");
}

#[test]
fn a_client_resumes_when_first_its_edge_and_then_its_home_has_died() {
    play_over_deaths("
        romeo lives on b
        juliet lives on c
        juliet/garden connects on c
        romeo/phone   connects on a
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>1</body></message>
        romeo/phone   receives <message id='m1'><body>1</body>…</message>
        server        a dies
        romeo/phone   vanishes
        juliet/garden sends    <enable xmlns='urn:xmpp:sm:3'/>
        juliet/garden receives <enabled xmlns='urn:xmpp:sm:3'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m2'><body>2</body></message>
        juliet/garden sends    <r xmlns='urn:xmpp:sm:3'/>
        # What is acknowledged is with two members.
        juliet/garden finds    <a xmlns='urn:xmpp:sm:3' h='1'/>
        server        b dies
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m3'><body>3</body></message>
        juliet/garden sends    <iq type='get' id='p2' to='{romeo}'><ping xmlns='urn:xmpp:ping'/></iq>
        juliet/garden receives <iq id='p2'>…</iq>
        romeo/phone   logs in on c
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='1'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <message id='m2'><body>2</body>…</message>
        romeo/phone   receives <message id='m3'><body>3</body>…</message>
        everyone      is quiet
    ");
}

#[test]
fn a_client_resumes_when_first_its_home_and_then_its_edge_has_died() {
    play_over_deaths("
        romeo lives on a
        juliet lives on c
        juliet/garden connects on c
        romeo/phone   connects on b
        romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
        romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>1</body></message>
        romeo/phone   receives <message id='m1'><body>1</body>…</message>
        server        a dies
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m2'><body>2</body></message>
        romeo/phone   receives <message id='m2'><body>2</body>…</message>
        juliet/garden sends    <iq type='get' id='p1' to='{romeo}'><ping xmlns='urn:xmpp:ping'/></iq>
        juliet/garden receives <iq id='p1'>…</iq>
        server        b dies
        romeo/phone   vanishes
        juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m3'><body>3</body></message>
        romeo/phone   logs in on c
        romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='1'/>
        romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
        romeo/phone   receives <message id='m2'><body>2</body>…</message>
        romeo/phone   receives <message id='m3'><body>3</body>…</message>
        everyone      is quiet
    ");
}

#[test]
fn nobody_sees_presence_flap_and_the_copy_knows_carbons() {
    play_over_deaths("
        romeo lives on a
        romeo/phone   connects on b
        romeo/phone   sends    <iq type='set' id='c1'><enable xmlns='urn:xmpp:carbons:2'/></iq>
        romeo/phone   receives <iq type='result' id='c1'/>
        romeo/desk    connects on c
        juliet lives on c
        juliet/garden connects on c
        romeo/desk    sends    <presence to='{juliet/garden}'/>
        juliet/garden receives <presence from='{romeo/desk}'/>
        romeo/desk    sends    <enable xmlns='urn:xmpp:sm:3'/>
        romeo/desk    finds    <enabled xmlns='urn:xmpp:sm:3'/>
        # What is answered was sent behind what the copy must know.
        romeo/desk    sends    <iq type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>
        romeo/desk    finds    <iq type='result' id='p1'/>
        server        a dies
        romeo/desk    sends    <message to='{juliet/garden}' type='chat' id='m1'><body>1</body></message>
        juliet/garden receives <message id='m1'><body>1</body>…</message>
        romeo/phone   receives <message><sent xmlns='urn:xmpp:carbons:2'>…</sent></message>
        # The desk may be told what it has said so far.
        juliet/garden is quiet
        romeo/phone   is quiet
        romeo/desk    leaves
        juliet/garden receives <presence from='{romeo/desk}' type='unavailable'/>
    ");
}

// XEP-0163: nodes are rows, so that the next owner has them.
#[test]
fn an_account_whose_home_dies_has_its_nodes_still() {
    play_over_deaths("
        romeo lives on a
        juliet lives on c
        romeo/phone   connects on b
        juliet/garden connects on c
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:n'><item id='a'><e xmlns='urn:x'/></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'>
                               <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        juliet/garden sends    <iq type='set' to='{romeo}' id='s1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='urn:x:n' jid='{juliet}'/></pubsub></iq>
        juliet/garden hears    <iq type='result' id='s1'>…</iq>
                               <message from='{romeo}'>…</message>
        server        a dies
        juliet/garden sends    <iq type='get' to='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'/></pubsub></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:x:n'><item id='a'><e xmlns='urn:x'/></item></items></pubsub></iq>
        romeo/phone   sends    <iq type='set' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:x:n'><item id='b'><e xmlns='urn:x'/></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p2'>…</iq>
        juliet/garden receives <message from='{romeo}'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:x:n'><item id='b'>…</item></items></event></message>
        everyone      is quiet
    ");
}
