//! Presence and blocked contacts (XEP-0191 §3).

use super::stage::Stage;
use crate::subscription::State;

fn stage() -> Stage {
    let mut stage = Stage::new(&["balcony"]);
    stage.stands("romeo@example.net", State::Both);
    stage.stands("nurse@example.com", State::Both);
    stage.stands("paris@example.org", State::NoneIn);
    stage.stands("tybalt@example.org", State::NoneOut);
    stage.sends(
        "balcony",
        "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='romeo@example.net'/>\
         <item jid='paris@example.org'/><item jid='tybalt@example.org'/></block></iq>",
    );
    stage
}

#[test]
fn a_blocked_contact_neither_sees_presence_nor_is_asked_for_it() {
    let mut stage = stage();
    for xml in ["<presence/>", "<presence type='unavailable'/>"] {
        let heard = stage.sends("balcony", xml);
        assert!(heard.0.iter().any(|line| line.contains("nurse@example.com")), "{heard:?}");
        for blocked in ["romeo@", "paris@", "tybalt@"] {
            assert!(!heard.0.iter().any(|line| line.contains(blocked)), "{blocked} in {heard:?}");
        }
    }
}

#[test]
fn a_blocked_contact_gets_no_answer_to_a_probe() {
    let mut stage = stage();
    stage.sends("balcony", "<presence/>");
    stage
        .hears("<presence from='romeo@example.net' to='juliet@example.com' type='probe'/>")
        .is(&[]);
    let nurse =
        stage.hears("<presence from='nurse@example.com' to='juliet@example.com' type='probe'/>");
    assert_eq!(nurse.0.len(), 1);
}
