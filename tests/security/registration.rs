//! Strangers who register: many, and such as guess invitations.

use super::bystander::Bystander;
use super::wire::Wire;
use crate::stage::Stage;

/// Tries of one address.
const TRIES: usize = 40;

fn open(admission: &str) -> Stage {
    let domain = format!("[[domain]]\nname = 'localhost'\nregistration = '{admission}'\n");
    Stage::start(&format!("{domain}[limits]\nenabled = true"))
}

fn register(number: usize) -> String {
    format!(
        "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>bot{number}</username>\
         <password>r0m30myr0m30</password></query></iq>"
    )
}

fn preauth(number: usize) -> String {
    format!("<iq type='set' id='r'><preauth xmlns='urn:xmpp:pars:0' token='{number:026}'/></iq>")
}

/// How many of many tries were judged, each on a stream of its own.
fn judged(stage: &Stage, request: fn(usize) -> String, answer: &str) -> usize {
    let one = |number| {
        let mut wire = Wire::open(stage.c2s);
        wire.say(&request(number));
        let mut heard = wire.until("id='r'");
        if heard.contains("type='error'") {
            heard += &wire.until("</iq>");
        }
        heard.contains(answer)
    };
    (0..TRIES).filter(|number| one(*number)).count()
}

// XEP-0077 §3.1.1, XEP-0205 §4.3
#[test]
fn mass_registration_comes_to_five_accounts_a_minute_and_hurts_nobody() {
    let stage = open("open");
    let bystander = Bystander::beside(&stage);
    let made = judged(&stage, register, "type='result'");
    assert!((1..=10).contains(&made), "{made} accounts were made");
    let list = stage.run(&["account", "list"]).unwrap();
    assert_eq!(list.lines().filter(|line| line.starts_with("bot")).count(), made);
    bystander.was_not_hurt("mass registration");
}

// XEP-0379 §5.1
#[test]
fn who_guesses_invitations_is_slowed_down() {
    let stage = open("invite");
    let bystander = Bystander::beside(&stage);
    let judged = judged(&stage, preauth, "item-not-found");
    assert!((1..=10).contains(&judged), "{judged} guesses were judged");
    bystander.was_not_hurt("guessing invitations");
}
