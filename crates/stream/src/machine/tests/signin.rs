//! What may happen before login, and what SASL and STARTTLS come to.

use super::*;

#[test]
fn what_is_sent_behind_starttls_in_the_clear_is_not_heard() {
    let mut stage = Stage::at_signin(config(Tls::Required));
    let injected = format!("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{AUTH}<presence/>");
    assert_eq!(
        stage.send(&injected),
        "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>[StartTls]"
    );
    stage.machine.tls_started(offer());
    assert!(stage.send(HEADER).ends_with("</stream:features>"));
}

#[test]
fn nothing_but_tls_and_sasl_is_heard_before_login() {
    for sent in [
        "<message to='a@b'><body>x</body></message>",
        "<presence/>",
        BIND,
        "<iq type='get' id='1'/>",
        "<iq type='set' id='a'><query xmlns='jabber:iq:auth'/></iq>",
        "<iq type='set' id='r'><query xmlns='jabber:iq:register'/></iq>",
        "<enable xmlns='urn:xmpp:sm:3'/>",
        "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>",
        "<compress xmlns='http://jabber.org/protocol/compress'/>",
        "<db:result xmlns:db='jabber:server:dialback' to='a' from='b'>x</db:result>",
    ] {
        let mut stage = Stage::at_signin(config(Tls::Direct));
        assert_eq!(stage.send(sent), stream_error(C::NotAuthorized), "{sent}");
        assert_eq!(stage.send(AUTH), "", "nothing is heard after the end");
    }
}

#[test]
fn registration_is_heard_before_login_where_it_is_offered() {
    let mut open = config(Tls::Optional);
    open.features.register = open.domains.clone();
    let request = "<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>";
    let mut stage = Stage::at_signin(open.clone());
    assert!(stage.send(request).starts_with("[Register("));
    assert_eq!(stage.send(AUTH), "", "it waits for the answer");
    let result = Stanza::build(
        xmpp::Head {
            kind: xmpp::Kind::Iq(xmpp::IqType::Result),
            id: Some("r".into()),
            from: None,
            to: None,
            lang: None,
        },
        &[],
    );
    stage.machine.registered(&result, &mut stage.effects);
    assert!(stage.shown().starts_with("<iq type='result' id='r'/>[Sasl"));
    stage = Stage::at_signin(open.clone());
    let elsewhere = request.replace("type='get'", "type='get' to='example.com'");
    assert_eq!(stage.send(&elsewhere), stream_error(C::NotAuthorized));
    open.tls = Tls::Required;
    assert_eq!(Stage::at_signin(open).send(request), stream_error(C::NotAuthorized));
}

#[test]
fn login_in_the_clear_is_refused_where_tls_is_required() {
    let mut stage = Stage::at_signin(config(Tls::Required));
    assert_eq!(stage.send(AUTH), sasl_failure("encryption-required"));
    assert!(!stage.machine.is_waiting());
}

#[test]
fn starttls_that_was_not_offered_fails_and_closes() {
    let failure =
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>[close in order]";
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    assert_eq!(Stage::at_signin(config(Tls::Direct)).send(starttls), failure);
    assert_eq!(Stage::at_binding().send(starttls), failure);
    assert_eq!(Stage::at_open().send(starttls), failure);
    let proceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    assert_eq!(Stage::at_signin(config(Tls::Required)).send(proceed), failure);
}

#[test]
fn challenges_and_responses_alternate() {
    let mut stage = Stage::at_signin(config(Tls::Direct));
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X'/>";
    assert_eq!(stage.send(auth), "[Sasl { mechanism: \"X\", initial: \"\" }]");
    assert_eq!(
        stage.answer(SaslOutcome::Challenge(Vec::new())),
        "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
    );
    let response = "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AA==</response>";
    assert_eq!(stage.send(response), "[SaslResponse(\"AA==\")]");
    assert_eq!(
        stage.answer(SaslOutcome::Challenge(b"x".to_vec())),
        "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>eA==</challenge>"
    );
    assert_eq!(
        stage.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
        "[SaslResponse(\"\")]"
    );
    let data = Some(Vec::new());
    assert_eq!(
        stage.answer(SaslOutcome::Success { data, account: account() }),
        "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>=</success>[Restart]"
    );
}

#[test]
fn what_breaks_the_order_of_sasl_fails() {
    let ns = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
    for (sent, condition) in [
        (format!("<response {ns}>AA==</response>"), "malformed-request"),
        (format!("<auth {ns}/>"), "invalid-mechanism"),
        (format!("<auth {ns} mechanism='X'><x/></auth>"), "malformed-request"),
        (format!("<success {ns}/>"), "malformed-request"),
        (format!("<abort {ns}/>"), "aborted"),
    ] {
        let mut stage = Stage::at_signin(config(Tls::Direct));
        assert_eq!(stage.send(&sent), sasl_failure(condition), "{sent}");
    }
}

#[test]
fn an_abort_or_another_auth_ends_the_negotiation_under_way() {
    let mut stage = Stage::at_signin(config(Tls::Direct));
    stage.send(AUTH);
    stage.answer(SaslOutcome::Challenge(Vec::new()));
    let abort = "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    assert_eq!(stage.send(abort), format!("[SaslAbort]{}", sasl_failure("aborted")));
    stage.send(AUTH);
    stage.answer(SaslOutcome::Challenge(Vec::new()));
    assert!(stage.send(AUTH).starts_with("[SaslAbort][Sasl {"));
    stage.answer(SaslOutcome::Challenge(Vec::new()));
    let answer = stage.send(AUTH);
    assert!(answer.starts_with("[SaslAbort]<stream:error><policy-violation "), "{answer}");
}

#[test]
fn too_many_failures_close_the_stream() {
    let mut stage = Stage::at_signin(config(Tls::Direct));
    for _ in 0..2 {
        stage.send(AUTH);
        assert_eq!(stage.answer(failure("not-authorized")), sasl_failure("not-authorized"));
    }
    stage.send(AUTH);
    let answer = stage.answer(failure("not-authorized"));
    let rest = answer.strip_prefix(&sasl_failure("not-authorized")).unwrap();
    assert!(rest.starts_with("<stream:error><policy-violation "), "{rest}");
    assert!(rest.ends_with("[close policy-violation]"));
}

#[test]
fn a_failure_may_carry_words() {
    let mut stage = Stage::at_signin(config(Tls::Direct));
    stage.send(AUTH);
    let outcome = SaslOutcome::Failure {
        condition: "account-disabled".into(),
        text: Some("call <us>".to_owned()),
    };
    assert_eq!(
        stage.answer(outcome),
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><account-disabled/>\
         <text xml:lang='en'>call &lt;us&gt;</text></failure>"
    );
}

#[test]
fn what_is_sent_ahead_waits_for_the_answer() {
    let mut stage = Stage::at_signin(config(Tls::Direct));
    assert!(stage.send(&AUTH.repeat(2)).starts_with("[Sasl {"));
    assert_eq!(stage.effects.len(), 0);
    let answer = stage.answer(failure("not-authorized"));
    assert!(answer.starts_with(&(sasl_failure("not-authorized") + "[Sasl {")), "{answer}");
    assert_eq!(stage.answer(success()).matches("[Restart]").count(), 1);
    assert_eq!(stage.answer(success()), "", "an answer nobody waits for is nothing");
}

#[test]
fn what_was_sent_ahead_of_success_belongs_to_the_stream_before() {
    let mut stage = Stage::at_signin(config(Tls::Direct));
    stage.send(&format!("{AUTH}<message to='a@b'/>"));
    let answer = stage.answer(success());
    assert!(answer.ends_with("[Restart]"), "{answer}");
    assert!(stage.send(HEADER).ends_with("</stream:features>"));
}
