//! Logging in by the extensible profile, and what may come with it (XEP-0388, XEP-0386).

use super::*;

const SUCCESS: &str = "<success xmlns='urn:xmpp:sasl:2'>";
const FEATURES: &str = "<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>";
/// Where stream management is on already.
const NOTHING_MORE: &str = "<stream:features></stream:features>";

fn authenticate(more: &str) -> String {
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>\
         <initial-response>AGEAYg==</initial-response>{more}</authenticate>"
    )
}

/// A client that has proved who it is, with what it wants to be looked for.
fn known(more: &str) -> Stage {
    let mut stage = Stage::at_signin(config(Tls::Direct));
    let sent = format!("{}<presence/>", authenticate(more));
    assert_eq!(stage.send(&sent), "[Sasl { mechanism: \"PLAIN\", initial: \"AGEAYg==\" }]");
    let data = Some(b"v=x".to_vec());
    let outcome = SaslOutcome::Success { data, account: account() };
    stage.machine.sasl_outcome(outcome, &mut stage.effects);
    assert_eq!(stage.shown(), "[Authenticated]");
    assert!(stage.machine.is_waiting(), "nothing is heard before the shell is ready");
    stage.machine.continue_after_login(&mut stage.effects);
    stage
}

fn success(who: &str, before: &str, behind: &str) -> String {
    format!(
        "{SUCCESS}<additional-data>dj14</additional-data>{before}\
         <authorization-identifier>{who}</authorization-identifier>{behind}</success>"
    )
}

fn jid() -> xmpp::FullJid {
    account().with_resource("balcony").unwrap()
}

#[test]
fn a_client_that_wants_nothing_more_binds_in_the_same_stream() {
    let mut stage = known("");
    let features = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
                    <sm xmlns='urn:xmpp:sm:3'/></stream:features>";
    let shown = stage.shown();
    let told = format!("{}{features}", success("juliet@example.org", "", ""));
    assert!(shown.starts_with(&told), "{shown}");
    assert!(shown.contains("<not-authorized "), "the presence came before a session");
}

#[test]
fn a_client_that_wants_a_session_has_it_with_the_answer() {
    let mut stage =
        known("<bind xmlns='urn:xmpp:bind:0'><inactive xmlns='urn:xmpp:csi:0'/></bind>");
    assert_eq!(stage.shown(), "[Bind { resource: None, iq_id: \"\" }]");
    stage.machine.bound(&jid(), "".into(), &mut stage.effects);
    let told = success("juliet@example.org/balcony", "", "<bound xmlns='urn:xmpp:bind:0'/>");
    let shown = stage.shown();
    // What was sent ahead is heard then.
    assert_eq!(shown, format!("{told}{FEATURES}[inactive][presence]"));
}

// XEP-0386 §3.2: the answer of stream management stands within.
#[test]
fn stream_management_is_on_from_the_first_stanza() {
    let mut stage =
        known("<bind xmlns='urn:xmpp:bind:0'><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>");
    stage.shown();
    stage.machine.bound(&jid(), "".into(), &mut stage.effects);
    assert_eq!(stage.shown(), "[enable]");
    assert!(stage.machine.awaits_enabled() && stage.machine.is_waiting());
    let enabled = Element::new("enabled", ns::SM).with_attr("id", "s");
    stage.machine.enabled(enabled, &mut stage.effects);
    let bound = "<bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3' id='s'/></bound>";
    let told = success("juliet@example.org/balcony", "", bound);
    assert_eq!(stage.shown(), format!("{told}{NOTHING_MORE}[presence]"));
}

#[test]
fn the_resource_is_the_same_for_the_same_client_and_tells_nothing_of_it() {
    let device = "d4565fa7-4d72-4749-b3d3-740edbf87770";
    let wish = |device: &str| {
        let wish = format!(
            "<user-agent id='{device}'/><bind xmlns='urn:xmpp:bind:0'><tag>Swan</tag></bind>"
        );
        known(&wish).shown()
    };
    let resource = wish(device);
    assert!(resource.starts_with("[Bind { resource: Some(\"Swan/"), "{resource}");
    assert_eq!(resource, wish(device));
    assert_ne!(resource, wish("another"));
    assert!(!resource.contains("d4565fa7"), "{resource}");
}

#[test]
fn a_session_goes_on_with_the_answer_and_nothing_else_is_bound() {
    let wish = "<resume xmlns='urn:xmpp:sm:3' previd='p' h='7'/><bind xmlns='urn:xmpp:bind:0'/>";
    let mut stage = known(wish);
    assert_eq!(stage.shown(), "[Resume { previd: \"p\", h: 7 }]");
    let resumed = sm::resumed("p", 9);
    stage.machine.resumed(&jid(), resumed, &mut stage.effects);
    let resumed = "<resumed xmlns='urn:xmpp:sm:3' previd='p' h='9'/>";
    let told = success("juliet@example.org/balcony", resumed, "");
    // XEP-0198 §9.2: no features then.
    assert_eq!(stage.shown(), format!("{told}[presence]"));

    let mut stage = known(wish);
    stage.shown();
    let refused = StanzaCondition::ItemNotFound;
    stage.machine.resume_refused(refused, None, &mut stage.effects);
    assert_eq!(stage.shown(), "[Bind { resource: None, iq_id: \"\" }]");
    stage.machine.bound(&jid(), "".into(), &mut stage.effects);
    let failed = "<failed xmlns='urn:xmpp:sm:3'>\
                  <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";
    let bound = "<bound xmlns='urn:xmpp:bind:0'/>";
    let told = success("juliet@example.org/balcony", failed, bound);
    assert!(stage.shown().starts_with(&told));
}

// XEP-0198 §9.2.1
#[test]
fn a_resumption_that_cannot_be_understood_has_failed_and_the_rest_goes_on() {
    let mut stage =
        known("<resume xmlns='urn:xmpp:sm:3' previd='p'/><bind xmlns='urn:xmpp:bind:0'/>");
    assert_eq!(stage.shown(), "[Bind { resource: None, iq_id: \"\" }]");
    stage.machine.bound(&jid(), "".into(), &mut stage.effects);
    let shown = stage.shown();
    let failed = "<failed xmlns='urn:xmpp:sm:3'>\
                  <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";
    assert!(shown.starts_with(SUCCESS) && shown.contains(failed), "{shown}");
    assert!(shown.contains("<bound xmlns='urn:xmpp:bind:0'/>"), "{shown}");
}

#[test]
fn who_fails_may_try_again_and_has_nothing_of_what_it_wanted() {
    let mut stage = Stage::at_signin(config(Tls::Direct));
    stage.send(&authenticate("<bind xmlns='urn:xmpp:bind:0'/>"));
    stage.machine.sasl_outcome(failure("not-authorized"), &mut stage.effects);
    assert_eq!(
        stage.shown(),
        "<failure xmlns='urn:xmpp:sasl:2'>\
         <not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>"
    );
    assert_eq!(stage.send(AUTH), "[Sasl { mechanism: \"PLAIN\", initial: \"AGEAYg==\" }]");
    stage.machine.sasl_outcome(super::success(), &mut stage.effects);
    assert!(stage.shown().ends_with("[Restart]"), "the other profile goes its own way");
}

#[test]
fn a_challenge_is_answered_in_its_own_namespace_and_by_nothing_else() {
    let challenged = || {
        let mut stage = Stage::at_signin(config(Tls::Direct));
        stage.send(&authenticate(""));
        let challenge = SaslOutcome::Challenge(b"a".to_vec());
        stage.machine.sasl_outcome(challenge, &mut stage.effects);
        assert_eq!(stage.shown(), "<challenge xmlns='urn:xmpp:sasl:2'>YQ==</challenge>");
        stage
    };
    let response = "<response xmlns='urn:xmpp:sasl:2'>Yg==</response>";
    assert_eq!(challenged().send(response), "[SaslResponse(\"Yg==\")]");
    let aborted = challenged().send("<abort xmlns='urn:xmpp:sasl:2'/>");
    assert!(aborted.starts_with("[SaslAbort]<failure xmlns='urn:xmpp:sasl:2'><aborted "));
    for sent in [
        "<presence/>",
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>Yg==</response>",
        &*authenticate(""),
    ] {
        assert_eq!(challenged().send(sent), stream_error(C::NotAuthorized), "{sent}");
    }
}

#[test]
fn an_initial_response_may_be_missing_or_empty() {
    for (response, initial) in [("", ""), ("<initial-response/>", "=")] {
        let mut stage = Stage::at_signin(config(Tls::Direct));
        let sent = format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='X'>{response}</authenticate>"
        );
        assert_eq!(
            stage.send(&sent),
            format!("[Sasl {{ mechanism: \"X\", initial: \"{initial}\" }}]")
        );
    }
}
