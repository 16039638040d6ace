//! RFC 6121 §3: the life of a subscription.

use crate::stage::play;

/// Romeo has asked for Juliet's presence and she has agreed; both have asked for their rosters. He hears of the approval
/// before he sees who is there (§3.1.5).
const ROMEO_SEES_JULIET: &str = "
    romeo/phone   connects
    juliet/garden connects
    romeo/phone   sends    <iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>
    romeo/phone   receives <iq type='result' id='r1'>…</iq>
    juliet/garden sends    <iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>
    juliet/garden receives <iq type='result' id='r1'>…</iq>
    romeo/phone   sends    <presence to='{juliet}' type='subscribe' id='s1'/>
    romeo/phone   receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{juliet}' subscription='none' ask='subscribe'/></query></iq>
    juliet/garden receives <presence from='{romeo}' to='{juliet}' type='subscribe' id='s1'/>
    juliet/garden sends    <presence to='{romeo}' type='subscribed' id='s2'/>
    juliet/garden receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{romeo}' subscription='from' ask='{none}'/></query></iq>
    romeo/phone   receives <presence from='{juliet}' to='{romeo}' type='subscribed' id='s2'/>
    romeo/phone   receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{juliet}' subscription='to' ask='{none}'/></query></iq>
    romeo/phone   receives <presence from='{juliet/garden}'/>
    everyone      is quiet
";

// RFC 6121 §3.1
#[test]
fn a_request_is_approved_and_presence_flows() {
    play(&format!(
        "{ROMEO_SEES_JULIET}
        juliet/garden sends    <presence><show>away</show></presence>
        juliet/garden receives <presence from='{{juliet/garden}}'><show>away</show></presence>
        romeo/phone   receives <presence from='{{juliet/garden}}'><show>away</show></presence>
        everyone      is quiet
    "
    ));
}

// RFC 6121 §3.1
#[test]
fn two_subscriptions_make_both() {
    play(&format!("{ROMEO_SEES_JULIET}
        juliet/garden sends    <presence to='{{romeo}}' type='subscribe'/>
        juliet/garden receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{{romeo}}' subscription='from' ask='subscribe'/></query></iq>
        romeo/phone   receives <presence from='{{juliet}}' type='subscribe'/>
        romeo/phone   sends    <presence to='{{juliet}}' type='subscribed'/>
        romeo/phone   receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{{juliet}}' subscription='both' ask='{{none}}'/></query></iq>
        juliet/garden hears    <presence from='{{romeo}}' type='subscribed'/>
                               <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{{romeo}}' subscription='both' ask='{{none}}'/></query></iq>
                               <presence from='{{romeo/phone}}'/>
        everyone      is quiet
    "));
}

// RFC 6121 §3.1.3, §3.1.6
#[test]
fn a_request_that_is_denied_leaves_nothing() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>
        romeo/phone   receives <iq type='result' id='r1'>…</iq>
        romeo/phone   sends    <presence to='{juliet}' type='subscribe'/>
        romeo/phone   receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{juliet}' subscription='none' ask='subscribe'/></query></iq>
        juliet/garden receives <presence from='{romeo}' type='subscribe'/>
        juliet/garden sends    <presence to='{romeo}' type='unsubscribed'/>
        romeo/phone   hears    <presence from='{juliet}' type='unsubscribed'/>
                               <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{juliet}' subscription='none' ask='{none}'/></query></iq>
        everyone      is quiet
    ");
}

// RFC 6121 §3.2
#[test]
fn a_subscription_that_is_cancelled_ends_with_unavailable_presence() {
    play(&format!("{ROMEO_SEES_JULIET}
        juliet/garden sends    <presence to='{{romeo}}' type='unsubscribed'/>
        juliet/garden receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{{romeo}}' subscription='none'/></query></iq>
        romeo/phone   hears    <presence from='{{juliet/garden}}' type='unavailable'/>
                               <presence from='{{juliet}}' type='unsubscribed'/>
                               <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{{juliet}}' subscription='none'/></query></iq>
        juliet/garden sends    <presence><show>away</show></presence>
        juliet/garden receives <presence from='{{juliet/garden}}'><show>away</show></presence>
        everyone      is quiet
    "));
}

// RFC 6121 §3.3
#[test]
fn who_unsubscribes_sees_no_more() {
    play(&format!("{ROMEO_SEES_JULIET}
        romeo/phone   sends    <presence to='{{juliet}}' type='unsubscribe'/>
        romeo/phone   hears    <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{{juliet}}' subscription='none'/></query></iq>
                               <presence from='{{juliet/garden}}' type='unavailable'/>
        juliet/garden hears    <presence from='{{romeo}}' type='unsubscribe'/>
                               <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{{romeo}}' subscription='none'/></query></iq>
        everyone      is quiet
    "));
}

// RFC 6121 §3.1.3 rule 4
#[test]
fn a_request_waits_until_it_is_answered() {
    play("
        romeo/phone   connects
        juliet/garden logs in
        romeo/phone   sends    <presence to='{juliet}' type='subscribe'><status>It is Romeo</status></presence>
        romeo/phone   is quiet
        juliet/garden binds
        juliet/garden sends    <presence/>
        juliet/garden hears    <presence from='{juliet/garden}'/>
                               <presence from='{romeo}' type='subscribe'><status>It is Romeo</status></presence>
        juliet/garden leaves
        juliet/window binds
        juliet/window sends    <presence/>
        juliet/window hears    <presence from='{juliet/window}'/>
                               <presence from='{romeo}' type='subscribe'><status>It is Romeo</status></presence>
        juliet/window sends    <presence to='{romeo}' type='subscribed'/>
        romeo/phone   receives <presence from='{juliet/window}'/>
        juliet/window leaves
        romeo/phone   receives <presence from='{juliet/window}' type='unavailable'/>
        juliet/garden binds
        juliet/garden sends    <presence/>
        juliet/garden receives <presence from='{juliet/garden}'/>
        romeo/phone   receives <presence from='{juliet/garden}'/>
        everyone      is quiet
    ");
}

// RFC 6121 §3.4
#[test]
fn who_is_approved_beforehand_need_not_wait() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>
        juliet/garden receives <iq type='result' id='r1'>…</iq>
        juliet/garden sends    <presence to='{romeo}' type='subscribed'/>
        juliet/garden receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{romeo}' subscription='none' approved='true'/></query></iq>
        everyone      is quiet
        romeo/phone   sends    <presence to='{juliet}' type='subscribe'/>
        romeo/phone   receives <presence from='{juliet/garden}'/>
        juliet/garden receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{romeo}' subscription='from'/></query></iq>
        everyone      is quiet
    ");
}

// RFC 6121 §2.5.2
#[test]
fn who_is_removed_from_the_roster_loses_both_subscriptions() {
    play(&format!("{ROMEO_SEES_JULIET}
        juliet/garden sends    <iq type='set' id='x1'><query xmlns='jabber:iq:roster'><item jid='{{romeo}}' subscription='remove'/></query></iq>
        juliet/garden receives <iq type='result' id='x1'/>
        juliet/garden receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{{romeo}}' subscription='remove'/></query></iq>
        romeo/phone   hears    <presence from='{{juliet/garden}}' type='unavailable'/>
                               <presence from='{{juliet}}' type='unsubscribed'/>
                               <iq type='set'><query xmlns='jabber:iq:roster'><item jid='{{juliet}}' subscription='none'/></query></iq>
        everyone      is quiet
    "));
}

// RFC 6121 §3.1.1, §3.1.2
#[test]
fn a_request_names_a_contact_that_is_not_oneself() {
    play(
        "
        romeo/phone connects
        romeo/phone sends    <presence type='subscribe' id='s1'/>
        romeo/phone receives <presence type='error' id='s1'>{error modify bad-request}…</presence>
        romeo/phone sends    <presence to='{romeo}' type='subscribe' id='s2'/>
        romeo/phone receives <presence type='error' id='s2'>{error cancel not-allowed}…</presence>
        everyone    is quiet
    ",
    );
}

// RFC 6121 §3.1.3: a request to a full address is one to the account.
#[test]
fn a_request_goes_from_account_to_account() {
    play(
        "
        romeo/phone   connects
        juliet/garden connects
        juliet/window connects
        romeo/phone   sends    <presence to='{juliet/garden}' type='subscribe' id='s1'/>
        juliet/garden receives <presence from='{romeo}' to='{juliet}' type='subscribe' id='s1'/>
        juliet/window receives <presence from='{romeo}' to='{juliet}' type='subscribe' id='s1'/>
        everyone      is quiet
    ",
    );
}

// RFC 6121 §3.1.3 rule 2
#[test]
fn who_is_subscribed_already_is_told_so_without_asking_anybody() {
    play(&format!(
        "{ROMEO_SEES_JULIET}
        romeo/phone   sends    <presence to='{{juliet}}' type='subscribe'/>
        juliet/garden is quiet
    "
    ));
}

// RFC 6121 A.3.4: what nobody asked for changes nothing.
#[test]
fn an_approval_that_nobody_asked_for_changes_nothing() {
    play(
        "
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>
        romeo/phone   receives <iq type='result' id='r1'>…</iq>
        juliet/garden sends    <presence to='{romeo}' type='subscribed'/>
        juliet/garden sends    <presence to='{romeo}' type='unsubscribe'/>
        everyone      is quiet
        romeo/phone   sends    <iq type='get' id='r2'><query xmlns='jabber:iq:roster'/></iq>
        romeo/phone   receives <iq type='result' id='r2'><query xmlns='jabber:iq:roster'/></iq>
        everyone      is quiet
    ",
    );
}

// RFC 6121 §3.1.3: nobody waits for the answer of an account that is not there.
#[test]
fn a_request_to_nobody_is_silent_or_denied() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>
        romeo/phone receives <iq type='result' id='r1'>…</iq>
        romeo/phone sends    <presence to='nobody@{domain}' type='subscribe'/>
        romeo/phone receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='nobody@{domain}' subscription='none' ask='subscribe'/></query></iq>
        everyone    is quiet
    ");
}
