//! What may happen between login and binding, and what is left of that afterwards.

use super::*;

#[test]
fn only_so_much_may_be_sent_ahead() {
    let mut stage = Stage::at_binding();
    stage.parser.set_limits(Limits::AFTER_LOGIN);
    stage.send(BIND);
    assert_eq!(stage.send(&"<presence/>".repeat(HELD_MAX)), "");
    assert!(stage.send("<presence/>").ends_with("[close policy-violation]"));
}

#[test]
fn a_wanted_resource_is_prepared_or_refused() {
    let wants = |resource: &str| {
        let inside = format!("<resource>{resource}</resource></bind>");
        BIND.replace("xmpp-bind'/>", &format!("xmpp-bind'>{inside}"))
    };
    assert_eq!(
        Stage::at_binding().send(&wants("a b")),
        "[Bind { resource: Some(\"a b\"), iq_id: \"b\" }]"
    );
    assert_eq!(Stage::at_binding().send(&wants("")), "[Bind { resource: None, iq_id: \"b\" }]");
    let error = "<iq type='error' id='b'><error type='modify'>\
         <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";
    assert_eq!(Stage::at_binding().send(&wants(&"x".repeat(1024))), error);
}

#[test]
fn a_refused_resource_may_be_tried_again_but_not_forever() {
    let mut stage = Stage::at_binding();
    for _ in 0..2 {
        stage.send(BIND);
        let error = StanzaCondition::Conflict.into();
        stage.machine.bind_refused(&error, "b".into(), &mut stage.effects);
        assert_eq!(
            stage.shown(),
            "<iq type='error' id='b'><error type='cancel'>\
             <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        );
    }
    let two = BIND.replace("/></iq>", "/><x xmlns='urn:x'/></iq>");
    let answer = stage.send(&two);
    assert!(answer.starts_with("<iq type='error' id='b'><error type='modify'><bad-request "));
    assert!(answer.ends_with("[close policy-violation]"), "{answer}");
}

#[test]
fn nothing_but_binding_or_resuming_is_heard_before_it() {
    for sent in [
        "<message to='a@b'/>",
        "<presence/>",
        "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
        "<iq type='get' id='1'/>",
        AUTH,
    ] {
        assert_eq!(Stage::at_binding().send(sent), stream_error(C::NotAuthorized), "{sent}");
    }
    assert_eq!(Stage::at_binding().send("<active xmlns='urn:xmpp:csi:0'/>"), "");
    assert_eq!(
        Stage::at_binding().send("<enable xmlns='urn:xmpp:sm:3'/>"),
        "<failed xmlns='urn:xmpp:sm:3'>\
         <unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
    );
}

#[test]
fn a_session_is_resumed_in_place_of_binding() {
    let resume = "<resume xmlns='urn:xmpp:sm:3' previd='p' h='7'/>";
    let mut stage = Stage::at_binding();
    assert_eq!(stage.send(&format!("{resume}<presence/>")), "[Resume { previd: \"p\", h: 7 }]");
    let jid = account().with_resource("balcony").unwrap();
    stage.machine.resumed(&jid, sm::resumed("p", 9), &mut stage.effects);
    assert_eq!(stage.shown(), "<resumed xmlns='urn:xmpp:sm:3' previd='p' h='9'/>[presence]");

    let mut stage = Stage::at_binding();
    stage.send(&format!("{resume}{BIND}"));
    let refused = StanzaCondition::ItemNotFound;
    stage.machine.resume_refused(refused, Some(9), &mut stage.effects);
    assert_eq!(
        stage.shown(),
        "<failed xmlns='urn:xmpp:sm:3' h='9'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>\
         [Bind { resource: None, iq_id: \"b\" }]"
    );
    assert!(
        Stage::at_binding()
            .send("<resume xmlns='urn:xmpp:sm:3' previd='p'/>")
            .contains("<bad-request ")
    );
}

#[test]
fn old_clients_get_the_session_that_they_have() {
    let session =
        "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
    let mut stage = Stage::at_open();
    assert_eq!(stage.send(session), "[answer <iq type='result' id='s'/>]");
    let to_server = session.replace("id='s'", "id='s' to='example.org'");
    assert!(stage.send(&to_server).starts_with("[answer <iq from='example.org' type='result'"));
    let to_other = session.replace("id='s'", "id='s' to='a@example.com'");
    assert_eq!(stage.send(&to_other), "[iq]");
}

#[test]
fn a_second_resource_is_refused() {
    let answer = Stage::at_open().send(BIND);
    assert!(answer.starts_with("[answer <iq type='error' id='b'>"), "{answer}");
    assert!(answer.contains("<not-allowed "));
}

#[test]
fn after_binding_all_else_passes() {
    let mut stage = Stage::at_open();
    assert_eq!(
        stage.send("<message to='@'/><iq type='get' id='1'><a xmlns='a'/></iq><x xmlns='urn:x'/>"),
        "[bad jid-malformed][iq][x]"
    );
    assert_eq!(
        stage.send(AUTH),
        NOT_AUTHORIZED.to_owned() + "</stream:stream>[close not-authorized]"
    );
}

// RFC 6120 §4.9.3.9
#[test]
fn who_is_known_speaks_in_nobody_elses_name() {
    let stream_from = |from: &str| {
        let mut stage = Stage::at_signin(config(Tls::Direct));
        stage.send(AUTH);
        stage.answer(success());
        stage.send(&HEADER.replace("juliet@Example.org/x", from))
    };
    let refused = stream_from("romeo@example.org");
    assert!(refused.contains("<invalid-from "), "{refused}");
    let taken = stream_from("juliet@example.org");
    assert!(taken.contains("<stream:features>"), "{taken}");
}
