//! What people of two servers do with each other (RFC 6120 §10.4, RFC 6121, XEP-0045).

use super::land::{Land, Proof, condition, hears, hears_body, hears_both};

/// Messages, a subscription, presence, requests and a room, in both directions.
fn all_that_people_do(proof: Proof) {
    let land = Land::start(proof);
    let (mut romeo, mut juliet) = land.lovers();
    romeo.send("<message to='juliet@b.example' type='chat'><body>hello</body></message>");
    let heard = hears_body(&mut juliet, "hello");
    assert_eq!(heard.attr("from"), Some("romeo@a.example/here"));
    juliet.send("<message to='romeo@a.example/here' type='chat'><body>back</body></message>");
    hears_body(&mut romeo, "back");

    romeo.send("<presence to='juliet@b.example' type='subscribe'/>");
    hears(&mut juliet, |it| it.attr("type") == Some("subscribe"));
    juliet.send("<presence to='romeo@a.example' type='subscribed'/>");
    // The roster is kept first, so that presence may overtake the word.
    let is_seen = |it: &xmpp::Element| {
        it.attr("from") == Some("juliet@b.example/here") && it.attr("type").is_none()
    };
    hears_both(&mut romeo, |it| it.attr("type") == Some("subscribed"), is_seen);
    juliet.send("<presence><show>away</show></presence>");
    hears(&mut romeo, |it| it.child("show", "").is_some());

    romeo.send("<iq type='get' to='b.example' id='v'><query xmlns='jabber:iq:version'/></iq>");
    let version = hears(&mut romeo, |it| it.attr("id") == Some("v"));
    assert_eq!(version.attr("type"), Some("result"));
    romeo.send(
        "<iq type='get' to='juliet@b.example/nowhere' id='n'><query xmlns='jabber:iq:version'/></iq>",
    );
    let nowhere = hears(&mut romeo, |it| it.attr("id") == Some("n"));
    assert_eq!(condition(&nowhere).as_deref(), Some("service-unavailable"));

    let join = |nick: &str| {
        format!(
            "<presence to='r@conference.b.example/{nick}'><x xmlns='{}'/></presence>",
            xmpp::ns::MUC
        )
    };
    juliet.send(join("juliet"));
    hears(&mut juliet, |it| it.attr("from") == Some("r@conference.b.example/juliet"));
    juliet.send(format!(
        "<iq type='set' to='r@conference.b.example' id='c'><query xmlns='{}'>\
         <x xmlns='jabber:x:data' type='submit'/></query></iq>",
        xmpp::ns::MUC_OWNER
    ));
    hears(&mut juliet, |it| it.attr("id") == Some("c") && it.attr("type") == Some("result"));
    romeo.send(join("romeo"));
    hears(&mut romeo, |it| it.attr("from") == Some("r@conference.b.example/romeo"));
    romeo.send("<message to='r@conference.b.example' type='groupchat'><body>all</body></message>");
    for client in [&mut romeo, &mut juliet] {
        let heard = hears_body(client, "all");
        assert_eq!(heard.attr("from"), Some("r@conference.b.example/romeo"));
    }
    romeo.send("<presence type='unavailable'/>");
    let left = hears(&mut juliet, |it| {
        it.attr("from") == Some("r@conference.b.example/romeo")
            && it.attr("type") == Some("unavailable")
    });
    assert_eq!(left.name(), "presence");
}

// MUC/Sub: what a room tells somebody at another server who is not inside.
#[test]
fn somebody_hears_a_room_of_another_server_without_being_inside() {
    let land = Land::start(Proof::Certificate);
    let (mut romeo, mut juliet) = land.lovers();
    let room = "r@conference.b.example";
    juliet.send(format!(
        "<presence to='{room}/juliet'><x xmlns='{}'/></presence>\
         <iq type='set' to='{room}' id='c'><query xmlns='{}'>\
         <x xmlns='jabber:x:data' type='submit'/></query></iq>",
        xmpp::ns::MUC,
        xmpp::ns::MUC_OWNER
    ));
    hears(&mut juliet, |it| it.attr("id") == Some("c") && it.attr("type") == Some("result"));
    let messages = "<event node='urn:xmpp:mucsub:nodes:messages'/>";
    romeo.send(format!(
        "<iq type='set' to='{room}' id='s'><subscribe xmlns='{}' nick='romeo'>{messages}</subscribe></iq>",
        xmpp::ns::MUCSUB
    ));
    let answer = hears(&mut romeo, |it| it.attr("id") == Some("s"));
    assert_eq!(answer.attr("type"), Some("result"));
    let list = format!("<subscriptions xmlns='{}'/>", xmpp::ns::MUCSUB);
    romeo.send(format!("<iq type='get' to='conference.b.example' id='l'>{list}</iq>"));
    let rooms = hears(&mut romeo, |it| it.attr("id") == Some("l"));
    let rooms = rooms.child("subscriptions", xmpp::ns::MUCSUB).unwrap();
    let rooms: Vec<_> = rooms.children().map(|it| it.attr("jid")).collect();
    assert_eq!(rooms, [Some(room)]);
    let say =
        |text: &str| format!("<message to='{room}' type='groupchat'><body>{text}</body></message>");
    let said = |it: &xmpp::Element| {
        let event =
            it.child("event", xmpp::ns::PUBSUB_EVENT)?.child("items", xmpp::ns::PUBSUB_EVENT)?;
        let item = event.child("item", xmpp::ns::PUBSUB_EVENT)?;
        let message = item.child("message", xmpp::ns::CLIENT)?;
        Some((message.attr("from")?.to_owned(), message.child("body", xmpp::ns::CLIENT)?.text()))
    };
    for (nick, text) in [("juliet", "one"), ("romeo", "two")] {
        let client = if nick == "juliet" { &mut juliet } else { &mut romeo };
        client.send(say(text));
        let heard = hears_body(&mut juliet, text);
        assert_eq!(heard.attr("from"), Some(&*format!("{room}/{nick}")));
        let event = hears(&mut romeo, |it| it.name() == "message");
        assert_eq!(said(&event), Some((format!("{room}/{nick}"), text.to_owned())));
    }
}

#[test]
fn people_of_two_servers_do_everything_with_each_other_by_certificates() {
    all_that_people_do(Proof::Certificate);
}

#[test]
fn people_of_two_servers_do_everything_with_each_other_by_dialback() {
    all_that_people_do(Proof::Dialback);
}

#[test]
fn a_thousand_messages_arrive_once_and_in_order() {
    let land = Land::start(Proof::Certificate);
    let (mut romeo, mut juliet) = land.lovers();
    let say = |number: usize| {
        format!("<message to='juliet@b.example' type='chat'><body>{number}</body></message>")
    };
    romeo.send((0..1_000).map(say).collect::<String>());
    for number in 0..1_000 {
        let next = hears(&mut juliet, |it| it.name() == "message");
        assert_eq!(super::land::body(&next), Some(number.to_string()));
    }
}
