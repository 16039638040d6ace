//! Subscriptions (RFC 6121 §3): what is stamped, kept, pushed, delivered and answered, in which order.

use super::stage::Stage;
use crate::config::Accounts;
use crate::subscription::State;

const PUSH: &str = "push-60a24181e4";

fn stage() -> Stage {
    let mut stage = Stage::new(&["balcony", "chamber"]);
    stage.sends("balcony", "<presence id='here'/>");
    stage.is_interested("balcony");
    stage.is_interested("chamber");
    stage
}

/// Pushes to both resources; `version` is counted from the first edit of a trial.
fn pushes(version: u64, item: &str) -> [String; 2] {
    ["balcony", "chamber"].map(|resource| {
        format!(
            "{resource}: <iq from='juliet@example.com' to='juliet@example.com/{resource}' type='set' \
             id='{PUSH}{version:03x}'><query xmlns='jabber:iq:roster' \
             ver='60a24181e4{version:03x}'>{item}</query></iq>"
        )
    })
}

#[test]
fn a_request_leaves_in_the_name_of_the_bare_address_and_is_pushed_as_pending() {
    let mut stage = stage();
    let [first, second] =
        pushes(0, "<item jid='romeo@example.net' subscription='none' ask='subscribe'/>");
    stage
        .sends(
            "balcony",
            "<presence to='romeo@example.net/orchard' type='subscribe' id='s'>\
             <status>ciao</status></presence>",
        )
        .is(&[
            "<presence from='juliet@example.com' to='romeo@example.net' type='subscribe' id='s'>\
             <status>ciao</status></presence>",
            &first,
            &second,
        ]);
    assert_eq!(stage.again().state_of("romeo@example.net"), State::NoneOut, "it is kept");
}

#[test]
fn a_request_that_is_repeated_is_routed_and_not_pushed() {
    let mut stage = stage();
    let request = "<presence to='romeo@example.net' type='subscribe'/>";
    stage.sends("balcony", request);
    stage
        .sends("balcony", request)
        .is(&["<presence from='juliet@example.com' to='romeo@example.net' type='subscribe'/>"]);
}

#[test]
fn an_approval_is_delivered_to_interested_resources_before_the_push() {
    let mut stage = stage();
    stage.stands("romeo@example.net", State::FromOut);
    let [first, second] = pushes(1, "<item jid='romeo@example.net' subscription='both'/>");
    stage
        .hears("<presence from='romeo@example.net' to='juliet@example.com' type='subscribed'/>")
        .is(&[
            "balcony: <presence from='romeo@example.net' to='juliet@example.com' type='subscribed'/>",
            "chamber: <presence from='romeo@example.net' to='juliet@example.com' type='subscribed'/>",
            &first,
            &second,
        ]);
}

#[test]
fn an_approval_that_nobody_asked_for_is_ignored() {
    let mut stage = stage();
    stage.hears("<presence from='x@y' to='juliet@example.com' type='subscribed'/>").is(&[]);
    assert_eq!(stage.roster().len(), 0);
}

#[test]
fn an_inbound_request_reaches_available_resources_once_and_makes_no_item() {
    let mut stage = stage();
    let request =
        "<presence from='romeo@example.net/o' to='juliet@example.com/x' type='subscribe'/>";
    let seen =
        "balcony: <presence from='romeo@example.net' to='juliet@example.com' type='subscribe'/>";
    stage.hears(request).is(&[seen]);
    stage.hears(request).is(&[]);
    assert_eq!(stage.roster().len(), 0);
}

#[test]
fn a_request_is_delivered_at_each_login_until_it_is_answered() {
    let mut stage = stage();
    stage.sends("balcony", "<presence type='unavailable'/>");
    let request = "<presence from='romeo@example.net' to='juliet@example.com' type='subscribe' \
                   id='r' xml:lang='it'><status>ciao</status><x xmlns='urn:x'/></presence>";
    stage.hears(request).is(&[]);
    assert_eq!(stage.again().state_of("romeo@example.net"), State::NoneIn, "it is kept");
    assert_eq!(stage.again().roster().requests().count(), 1);
    for resource in ["balcony", "chamber", "balcony"] {
        stage.sends(resource, "<presence/>").has(&format!("{resource}: {request}"));
        stage.sends(resource, "<presence type='unavailable'/>");
    }
    stage
        .sends("balcony", "<presence to='romeo@example.net' type='unsubscribed'/>")
        .is(&["<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribed'/>"]);
    assert_eq!(stage.again().roster().requests().count(), 0);
    let silent = stage.sends("balcony", "<presence/>");
    assert!(!silent.0.iter().any(|line| line.contains("romeo")));
}

#[test]
fn an_approval_makes_the_item_and_shows_the_current_presence() {
    let mut stage = stage();
    stage.hears("<presence from='romeo@example.net' to='juliet@example.com' type='subscribe'/>");
    let [first, second] = pushes(0, "<item jid='romeo@example.net' subscription='from'/>");
    stage.sends("chamber", "<presence to='romeo@example.net' type='subscribed' id='yes'/>").is(&[
        "<presence from='juliet@example.com' to='romeo@example.net' type='subscribed' id='yes'/>",
        &first,
        &second,
        "<presence from='juliet@example.com/balcony' to='romeo@example.net' id='here'/>",
    ]);
    let again = stage.again();
    assert_eq!(again.state_of("romeo@example.net"), State::From);
    assert_eq!(again.roster().requests().count(), 0);
}

#[test]
fn who_is_subscribed_already_is_told_so_and_shown_the_presence() {
    let mut stage = stage();
    stage.stands("romeo@example.net", State::Both);
    stage
        .hears(
            "<presence from='romeo@example.net' to='juliet@example.com' type='subscribe' id='a'/>",
        )
        .is(&[
            "<presence from='juliet@example.com' to='romeo@example.net' type='subscribed' id='a'/>",
            "<presence from='juliet@example.com/balcony' to='romeo@example.net' id='here'/>",
        ]);
}

#[test]
fn a_pre_approval_is_noted_not_routed_and_answers_the_request() {
    let mut stage = stage();
    let item = "<item jid='romeo@example.net' subscription='none' approved='true'/>";
    let [first, second] = pushes(0, item);
    stage
        .sends("balcony", "<presence to='romeo@example.net' type='subscribed'/>")
        .is(&[&first, &second]);
    let item = "<item jid='romeo@example.net' subscription='from' approved='true'/>";
    let [first, second] = pushes(1, item);
    stage
        .hears(
            "<presence from='romeo@example.net' to='juliet@example.com' type='subscribe' id='q'/>",
        )
        .is(&[
            &first,
            &second,
            "<presence from='juliet@example.com' to='romeo@example.net' type='subscribed' id='q'/>",
            "<presence from='juliet@example.com/balcony' to='romeo@example.net' id='here'/>",
        ]);
}

#[test]
fn a_pre_approval_taken_back_is_pushed_and_not_routed() {
    let mut stage = stage();
    stage.sends("balcony", "<presence to='romeo@example.net' type='subscribed'/>");
    let [first, second] = pushes(1, "<item jid='romeo@example.net' subscription='none'/>");
    stage
        .sends("balcony", "<presence to='romeo@example.net' type='unsubscribed'/>")
        .is(&[&first, &second]);
}

#[test]
fn a_cancellation_hides_every_resource_first() {
    let mut stage = stage();
    stage.stands("romeo@example.net", State::Both);
    let [first, second] = pushes(1, "<item jid='romeo@example.net' subscription='to'/>");
    stage.sends("chamber", "<presence to='romeo@example.net/o' type='unsubscribed'/>").is(&[
        "<presence from='juliet@example.com/balcony' to='romeo@example.net' type='unavailable'/>",
        "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribed'/>",
        &first,
        &second,
    ]);
    let later = stage.sends("balcony", "<presence><show>away</show></presence>");
    assert!(!later.0.iter().any(|line| line.contains("romeo")), "no more presence for Romeo");
}

#[test]
fn a_cancellation_of_nothing_is_silent() {
    let mut stage = stage();
    stage.sends("balcony", "<presence to='romeo@example.net' type='unsubscribed'/>").is(&[]);
    stage.hears("<presence from='x@y' to='juliet@example.com' type='unsubscribed'/>").is(&[]);
    stage.hears("<presence from='x@y' to='juliet@example.com' type='unsubscribe'/>").is(&[]);
}

#[test]
fn an_unsubscribe_of_a_contact_is_delivered_pushed_and_answered() {
    let mut stage = stage();
    stage.stands("romeo@example.net", State::Both);
    let [first, second] = pushes(1, "<item jid='romeo@example.net' subscription='to'/>");
    let word =
        "<presence from='romeo@example.net' to='juliet@example.com' type='unsubscribe' id='u'/>";
    stage.hears(word).is(&[
        &format!("balcony: {word}"),
        &format!("chamber: {word}"),
        &first,
        &second,
        "<presence from='juliet@example.com/balcony' to='romeo@example.net' type='unavailable'/>",
        "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribed' id='u'/>",
    ]);
}

#[test]
fn a_request_that_is_withdrawn_waits_no_more() {
    let mut stage = stage();
    stage.hears("<presence from='romeo@example.net' to='juliet@example.com' type='subscribe'/>");
    let heard = stage
        .hears("<presence from='romeo@example.net' to='juliet@example.com' type='unsubscribe'/>");
    heard.has("<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribed'/>");
    assert!(!heard.0.iter().any(|line| line.contains("jabber:iq:roster")), "there is no item");
    assert_eq!(stage.again().roster().requests().count(), 0);
}

#[test]
fn an_unsubscribe_of_the_account_is_routed_and_pushed() {
    let mut stage = stage();
    stage.stands("romeo@example.net", State::Both);
    let [first, second] = pushes(1, "<item jid='romeo@example.net' subscription='from'/>");
    stage.sends("balcony", "<presence to='romeo@example.net' type='unsubscribe'/>").is(&[
        "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribe'/>",
        &first,
        &second,
    ]);
}

#[test]
fn a_cancellation_by_the_contact_is_delivered_before_the_push() {
    let mut stage = stage();
    stage.stands("romeo@example.net", State::To);
    let [first, second] = pushes(1, "<item jid='romeo@example.net' subscription='none'/>");
    let word = "<presence from='romeo@example.net' to='juliet@example.com' type='unsubscribed'/>";
    stage.hears(word).is(&[
        &format!("balcony: {word}"),
        &format!("chamber: {word}"),
        &first,
        &second,
    ]);
}

#[test]
fn answers_to_a_resource_that_is_not_there_are_ignored() {
    let mut stage = stage();
    stage.stands("romeo@example.net", State::Both);
    for ty in ["subscribed", "unsubscribe", "unsubscribed"] {
        let xml =
            format!("<presence from='romeo@example.net' to='juliet@example.com/x' type='{ty}'/>");
        stage.hears(&xml).is(&[]);
    }
    assert_eq!(stage.state_of("romeo@example.net"), State::Both);
}

#[test]
fn requests_without_an_answer_are_sent_again_when_the_account_becomes_available() {
    let mut stage = stage();
    stage.sends("balcony", "<presence to='romeo@example.net' type='subscribe'/>");
    let asked = |stage: &mut Stage, resource: &str| {
        let heard = stage.sends(resource, "<presence/>");
        heard.0.iter().filter(|line| line.contains("type='subscribe' id='ask-")).count()
    };
    assert_eq!(asked(&mut stage, "chamber"), 0, "another resource is available");
    stage.sends("balcony", "<presence type='unavailable'/>");
    stage.sends("chamber", "<presence type='unavailable'/>");
    assert_eq!(asked(&mut stage, "chamber"), 1);
}

// RFC 6121 §3.1.3, last warning
#[test]
fn more_requests_than_may_wait_are_refused_until_there_is_room() {
    let mut stage = stage();
    for number in 0..Accounts::default().subscription_requests {
        stage.stands(&format!("r{number}@example.org"), State::NoneIn);
    }
    let refused = stage.hears(
        "<presence from='more@example.org' to='juliet@example.com' type='subscribe' id='m'/>",
    );
    assert_eq!(refused.0.len(), 1);
    assert!(refused.0[0].starts_with(
        "<presence from='juliet@example.com' to='more@example.org' type='error' id='m'>\
         <error type='wait'><resource-constraint"
    ));
    stage
        .hears("<presence from='r7@example.org' to='juliet@example.com' type='subscribe'/>")
        .is(&[]);
    assert_eq!(stage.state_of("more@example.org"), State::None);
    stage.sends("balcony", "<presence to='r7@example.org' type='unsubscribed'/>");
    stage.hears("<presence from='more@example.org' to='juliet@example.com' type='subscribe'/>");
    assert_eq!(stage.state_of("more@example.org"), State::NoneIn);
}

#[test]
fn what_is_not_kept_has_not_happened() {
    let mut stage = stage();
    stage.refuses_writes(true);
    let refused =
        stage.sends("balcony", "<presence to='romeo@example.net' type='subscribe' id='s'/>");
    assert_eq!(refused.0.len(), 1, "{refused:?}");
    assert!(refused.0[0].starts_with(
        "balcony: <presence from='romeo@example.net' to='juliet@example.com/balcony' type='error' id='s'>"
    ));
    stage
        .hears("<presence from='paris@example.org' to='juliet@example.com' type='subscribe'/>")
        .is(&[]);
    assert_eq!(stage.state_of("romeo@example.net"), State::None);
    assert_eq!(stage.state_of("paris@example.org"), State::None);
}

#[test]
fn an_account_cannot_subscribe_to_itself_and_a_word_needs_an_address() {
    let mut stage = stage();
    for to in ["to='juliet@example.com'", "to='juliet@example.com/balcony'", ""] {
        let refused = stage.sends("balcony", &format!("<presence {to} type='subscribe'/>"));
        assert_eq!(refused.0.len(), 1);
        assert!(refused.0[0].contains("type='error'"), "{refused:?}");
    }
}

#[test]
fn a_full_roster_takes_no_new_contact_by_subscription() {
    let mut stage = stage();
    for number in 0..8 {
        stage.stands(&format!("c{number}@example.org"), State::To);
    }
    let refused = stage.sends("balcony", "<presence to='romeo@example.net' type='subscribe'/>");
    assert!(refused.0[0].contains("<resource-constraint"), "{refused:?}");
    let known = stage.sends("balcony", "<presence to='c1@example.org' type='subscribe'/>");
    assert_eq!(known.0.len(), 1);
}
