//! Files that people of two domains send each other: by URL (XEP-0363), by way of a proxy (XEP-0065), from client to client
//! (XEP-0166, XEP-0047), and pictures of contacts (XEP-0054, XEP-0153, XEP-0398).

use town::http::get;

use super::across::{play, shared};
use super::land::{add, hears, hears_body, log_in};
use crate::xep::bytestreams::Meeting;
use crate::xep::upload::{put, status};

const UPLOAD: &str = "urn:xmpp:http:upload:0";
const PROXY: &str = "http://jabber.org/protocol/bytestreams";

// XEP-0363 §4, §7, XEP-0066: whoever is told the URL has the file.
#[test]
fn a_file_is_brought_to_ones_own_server_and_had_by_somebody_of_another_domain() {
    let land = shared();
    let (mut romeo, mut juliet) = land.lovers();
    romeo.send(format!(
        "<iq type='get' id='s' to='upload.a.example'><request xmlns='{UPLOAD}' filename='a.txt' size='9' content-type='text/plain'/></iq>"
    ));
    let answer = hears(&mut romeo, |it| it.attr("id") == Some("s"));
    let slot = answer.child("slot", UPLOAD).unwrap_or_else(|| panic!("no slot: {answer:?}"));
    let url = |name| slot.child(name, UPLOAD).unwrap().attr("url").unwrap().to_owned();
    let path = |url: &str| url.strip_prefix("https://files.example").unwrap().to_owned();
    assert_eq!(put(land.a.http, &path(&url("put")), "text/plain", "but soft!"), 201);
    let url = url("get");
    romeo.send(format!(
        "<message to='juliet@b.example' type='chat'><body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x></message>"
    ));
    let heard = hears_body(&mut juliet, &url);
    let told =
        heard.child("x", "jabber:x:oob").unwrap().child("url", "jabber:x:oob").unwrap().text();
    let had = get(land.a.http, &path(&told), "");
    assert!(status(&had) == 200 && had.ends_with("\r\n\r\nbut soft!"), "{had}");
}

// XEP-0363 §4: slots are for accounts of the server.
#[test]
fn nobody_of_another_domain_gets_a_slot() {
    play(&format!("
        juliet        lives on b
        juliet/garden connects
        juliet/garden sends    <iq type='get' to='upload.{{domain a}}' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        juliet/garden receives <iq type='result' from='upload.{{domain a}}' id='1'><query xmlns='http://jabber.org/protocol/disco#info'>…<feature var='{UPLOAD}'/>…</query></iq>
        juliet/garden sends    <iq type='get' to='upload.{{domain a}}' id='2'><request xmlns='{UPLOAD}' filename='a' size='1'/></iq>
        juliet/garden receives <iq type='error' from='upload.{{domain a}}' id='2'>…{{error auth forbidden}}</iq>
        everyone      is quiet
    "));
}

/// Requests from one client to the other one, each of which is answered.
fn exchange(from: &str, to: &str, requests: &[&str]) -> String {
    let one = |(id, request): (usize, &&str)| {
        format!(
            "{from} sends    <iq type='set' to='{{{to}}}' id='r{id}'>{request}</iq>
        {to} receives <iq type='set' from='{{{from}}}' to='{{{to}}}' id='r{id}'>{request}</iq>
        {to} sends    <iq type='result' to='{{{from}}}' id='r{id}'/>
        {from} receives <iq type='result' from='{{{to}}}' to='{{{from}}}' id='r{id}'/>
        "
        )
    };
    requests.iter().enumerate().map(one).collect()
}

/// Romeo offers a file and sends it in band (XEP-0166 §7, XEP-0234 §6, XEP-0261, XEP-0047).
const OFFER: [&str; 4] = [
    "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='{romeo/phone}' sid='851ba2'><content creator='initiator' name='a'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><name>a.txt</name><size>9</size></file></description><transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='ch3d9'/></content></jingle>",
    "<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='ch3d9' stanza='iq'/>",
    "<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='ch3d9'>YnV0IHNvZnQh</data>",
    "<close xmlns='http://jabber.org/protocol/ibb' sid='ch3d9'/>",
];

// RFC 6121 §8.5.3.1, XEP-0166 §6.1: to whom one has shown oneself; strangers do not learn that anybody is there.
#[test]
fn clients_of_two_domains_send_files_by_themselves_once_they_have_shown_themselves() {
    play(&format!("
        juliet        lives on b
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' to='{{juliet/garden}}' id='s'>{}</iq>
        romeo/phone   receives <iq type='error' from='{{juliet/garden}}' id='s'>{{error cancel service-unavailable}}</iq>
        juliet/garden sends    <presence to='{{romeo/phone}}'/>
        romeo/phone   receives <presence from='{{juliet/garden}}'/>
        romeo/phone   sends    <presence to='{{juliet/garden}}'/>
        juliet/garden receives <presence from='{{romeo/phone}}'/>
        {}{}
        everyone      is quiet
    ", OFFER[0], exchange("romeo/phone", "juliet/garden", &OFFER),
        exchange("juliet/garden", "romeo/phone", &["<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='851ba2'><reason><success/></reason></jingle>"])));
}

// XEP-0065 §4, §5.3: the two agree on the proxy of the one who asks.
#[test]
fn people_of_two_domains_agree_on_a_proxy_which_serves_its_own_people_only() {
    play(&format!("
        juliet        lives on b
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <presence to='{{romeo/phone}}'/>
        romeo/phone   receives <presence from='{{juliet/garden}}'/>
        romeo/phone   sends    <iq type='get' to='proxy.{{domain a}}' id='1'><query xmlns='{PROXY}'/></iq>
        romeo/phone   receives <iq type='result' from='proxy.{{domain a}}' id='1'><query xmlns='{PROXY}'><streamhost jid='proxy.{{domain a}}' host='127.0.0.1' port='{{$port}}'/></query></iq>
        romeo/phone   sends    <iq type='set' to='{{juliet/garden}}' id='2'><query xmlns='{PROXY}' sid='s1' mode='tcp'><streamhost jid='proxy.{{domain a}}' host='127.0.0.1' port='{{$port}}'/></query></iq>
        juliet/garden receives <iq type='set' from='{{romeo/phone}}' id='2'><query xmlns='{PROXY}' sid='s1' mode='tcp'><streamhost jid='proxy.{{domain a}}' host='127.0.0.1' port='{{$port}}'/></query></iq>
        juliet/garden sends    <iq type='result' to='{{romeo/phone}}' id='2'><query xmlns='{PROXY}' sid='s1'><streamhost-used jid='proxy.{{domain a}}'/></query></iq>
        romeo/phone   receives <iq type='result' from='{{juliet/garden}}' id='2'><query xmlns='{PROXY}' sid='s1'><streamhost-used jid='proxy.{{domain a}}'/></query></iq>
        juliet/garden sends    <iq type='get' to='proxy.{{domain a}}' id='3'><query xmlns='{PROXY}'/></iq>
        juliet/garden receives <iq type='error' from='proxy.{{domain a}}' id='3'>…{{error auth forbidden}}</iq>
        juliet/garden sends    <iq type='set' to='proxy.{{domain a}}' id='4'><query xmlns='{PROXY}' sid='s1'><activate>{{romeo/phone}}</activate></query></iq>
        juliet/garden receives <iq type='error' from='proxy.{{domain a}}' id='4'>…{{error auth forbidden}}</iq>
        everyone      is quiet
    "));
}

// XEP-0065 §6.3: it is the one who asked that lets bytes be carried; the other may be of any domain.
#[test]
fn a_proxy_carries_bytes_between_people_of_two_domains() {
    let land = shared();
    add(&land.a, "mercutio@a.example");
    let mut mercutio = log_in(&land.a, "mercutio@a.example");
    let meeting = Meeting {
        service: "proxy.a.example",
        requester: "mercutio@a.example/here",
        target: "rosaline@b.example/here",
    };
    let proxy = meeting.streamhost(&mut mercutio);
    meeting.carry(&mut mercutio, proxy);
}

// XEP-0054 §3.3, XEP-0153 §3, XEP-0398 §3: from a picture that he publishes to what her client of another domain finds.
#[test]
fn a_contact_of_another_domain_sees_the_picture_and_the_card() {
    let hash = "112b30e12063e66ac00da71d934a45b4fc6404fe";
    let picture = "R0lGODlhIG5vdCByZWFsbHk=";
    let publish = |id: &str, node: &str, inner: &str| {
        format!("romeo/phone   sends    <iq type='set' id='{id}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'><item id='{hash}'>{inner}</item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='{id}'>…</iq>
        ")
    };
    let card = |photo: &str| {
        format!("juliet/garden sends    <iq type='get' to='{{romeo}}' id='c'><vCard xmlns='vcard-temp'/></iq>
        juliet/garden receives <iq type='result' from='{{romeo}}' id='c'><vCard xmlns='vcard-temp'><FN>Romeo</FN>{photo}</vCard></iq>
        ")
    };
    play(&format!("
        juliet        lives on b
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='v'><vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard></iq>
        romeo/phone   receives <iq type='result' id='v'/>
        {}{}{}
        juliet/garden sends    <presence to='{{romeo}}' type='subscribe'/>
        romeo/phone   receives <presence from='{{juliet}}' type='subscribe'/>
        romeo/phone   sends    <presence to='{{juliet}}' type='subscribed'/>
        juliet/garden receives <presence from='{{romeo/phone}}'>…</presence>
        everyone      is quiet
        romeo/phone   sends    <presence/>
        romeo/phone   receives <presence from='{{romeo/phone}}'>…</presence>
        juliet/garden receives <presence from='{{romeo/phone}}'><x xmlns='vcard-temp:x:update'><photo>{hash}</photo></x></presence>
        {}
        juliet/garden sends    <iq type='set' to='{{romeo}}' id='w'><vCard xmlns='vcard-temp'><FN>Fool</FN></vCard></iq>
        juliet/garden receives <iq type='error' from='{{romeo}}' id='w'>{{error auth forbidden}}…</iq>
        everyone      is quiet
    ",
        publish("d", "urn:xmpp:avatar:data", &format!("<data xmlns='urn:xmpp:avatar:data'>{picture}</data>")),
        publish("m", "urn:xmpp:avatar:metadata", &format!("<metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='17' id='{hash}' type='image/gif'/></metadata>")),
        card(""),
        card(&format!("<PHOTO><TYPE>image/gif</TYPE><BINVAL>{picture}</BINVAL></PHOTO>"))));
}
