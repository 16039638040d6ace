//! Faults of the server itself: a turn that panics costs the session that it was for and no other, is answered with an
//! error, is counted, and is said.

use super::bystander::Bystander;
use super::wire::{Wire, dropped, get};
use crate::stage::{FAULT, Stage};

/// Whom the stanzas are for over which the server panics.
const TARGETS: [&str; 4] =
    ["juliet@localhost/balcony", "juliet@localhost", "coven@conference.localhost", "localhost"];

fn panics(stage: &Stage) -> usize {
    let page = get(stage.http, "/metrics");
    let line = page.lines().find_map(|line| line.strip_prefix("rookery_panics_total "));
    line.and_then(|count| count.parse().ok()).expect("panics are counted")
}

#[test]
fn a_panic_costs_one_session_and_is_answered_counted_and_logged() {
    let stage = Stage::start("");
    stage.add_accounts(&["tybalt", "juliet"]);
    let bystander = Bystander::beside(&stage);
    let mut juliet = Wire::bound(&stage, "juliet", "balcony");
    juliet.say("<presence/>");
    for (number, to) in TARGETS.iter().enumerate() {
        let mut tybalt = Wire::bound(&stage, "tybalt", "street");
        tybalt.say(&format!("<message to='{to}' id='m'><body>{FAULT}</body></message>"));
        let heard = tybalt.until("</message>");
        assert!(heard.contains("type='error' id='m'"), "{to}: {heard}");
        assert!(heard.contains("<internal-server-error "), "{to}: {heard}");
        assert_eq!(panics(&stage), number + 1);
        assert_eq!(dropped(stage.http, &["panic"]), number + 1);
    }
    juliet.say("<message to='juliet@localhost' id='still-here'><body>hi</body></message>");
    let heard = juliet.until("id='still-here'");
    assert!(!heard.contains(FAULT) && !heard.contains("type='error'"), "{heard}");
    stage.await_log("an entity panicked");
    bystander.was_served("panics");
}
