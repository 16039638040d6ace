//! Addresses as weapons: parts without end, code points that hide, names that look like another's (RFC 6122, RFC 7622
//! §8). What is one address to the eye of the server is one account, and is told in one form.

use super::bystander::Bystander;
use super::wire::{FEATURES, HEADER, Wire, plain};
use crate::stage::{PASSWORD, Stage};

/// Names that log in to `juliet`, which is also how she is told what she is called.
const SAME: [&str; 5] = ["juliet", "juliet@localhost", "JULIET", "jul\u{ad}iet", "\u{ff4a}uliet"];

/// Names that look like hers and are none of hers: a Cyrillic letter, a dotless one, a space that joins nothing, a
/// turned direction, nothing at all.
const OTHERS: [&str; 8] = [
    "jul\u{456}et",
    "jul\u{131}et",
    "juliet ",
    "jul\u{202e}iet",
    "juliet/balcony",
    "jul\u{0}iet",
    "",
    "\u{e001}juliet",
];

/// A resource as the client asks for it, and as it gets it; none: it gets an error.
const RESOURCES: [(&str, Option<&str>); 9] = [
    ("balcony", Some("balcony")),
    ("Balcony", Some("Balcony")),
    ("\u{2460}", Some("1")),
    ("bal\u{ad}cony", Some("balcony")),
    ("e\u{301}", Some("\u{e9}")),
    ("a b", Some("a b")),
    ("\u{202e}ynoclab", None),
    ("\u{e001}", None),
    ("\u{fffd}", None),
];

fn log_in(stage: &Stage, name: &str) -> Result<Wire, String> {
    let mut wire = Wire::open(stage.c2s);
    wire.say(&plain(name, PASSWORD));
    let answer = wire.until(">");
    if !answer.starts_with("<success") {
        return Err(answer);
    }
    wire.say(HEADER);
    wire.until(FEATURES);
    Ok(wire)
}

fn bind(wire: &mut Wire, resource: &str) -> String {
    wire.say(&format!(
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
         <resource>{resource}</resource></bind></iq>"
    ));
    wire.until("</iq>")
}

#[test]
fn variants_of_a_name_are_one_account_and_look_alikes_are_not() {
    let stage = Stage::start("");
    stage.add_accounts(&["juliet"]);
    let bystander = Bystander::beside(&stage);
    for (number, name) in SAME.iter().enumerate() {
        let mut wire = log_in(&stage, name).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        let bound = bind(&mut wire, &format!("r{number}"));
        assert!(bound.contains(&format!("<jid>juliet@localhost/r{number}</jid>")), "{bound}");
    }
    for name in OTHERS {
        let refused = log_in(&stage, name).err().unwrap_or_else(|| panic!("{name:?} is let in"));
        assert!(refused.starts_with("<failure"), "{name:?}: {refused}");
    }
    bystander.was_not_hurt("names that look like another's");
}

#[test]
fn a_resource_is_told_in_its_one_form_and_one_that_cannot_be_is_refused() {
    let stage = Stage::start("");
    stage.add_accounts(&["juliet"]);
    let bystander = Bystander::beside(&stage);
    let longest = "x".repeat(1_023);
    let table = RESOURCES.into_iter().chain([(&longest[..], Some(&longest[..]))]);
    for (asked, expected) in table {
        let bound = bind(&mut log_in(&stage, "juliet").expect("she may"), asked);
        match expected {
            Some(resource) => {
                assert!(
                    bound.contains(&format!("<jid>juliet@localhost/{resource}</jid>")),
                    "{bound}"
                );
            }
            None => assert!(bound.contains("<bad-request "), "{asked:?}: {bound}"),
        }
    }
    let refused = bind(&mut log_in(&stage, "juliet").expect("she may"), &format!("x{longest}"));
    assert!(refused.contains("<bad-request "), "{refused}");
    bystander.was_not_hurt("resources of all kinds");
}

#[test]
fn what_is_no_address_is_written_to_by_nobody() {
    let stage = Stage::start("");
    stage.add_accounts(&["tybalt", "juliet"]);
    let bystander = Bystander::beside(&stage);
    let mut wire = Wire::bound(&stage, "tybalt", "street");
    let long = "x".repeat(1_024);
    let addresses = [
        "@localhost",
        "juliet@",
        "juliet@localhost/",
        "juliet@@localhost",
        "jul iet@localhost",
        "jul&quot;iet@localhost",
        "jul\u{202e}iet@localhost",
        "juliet@local host",
        "juliet@localhost/\u{e001}",
        "juliet@-localhost-.",
        &format!("{long}@localhost"),
        &format!("juliet@{long}"),
        &format!("juliet@localhost/{long}"),
    ];
    for address in addresses {
        wire.say(&format!(
            "<iq type='get' id='q' to='{address}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ));
        let answer = wire.until("</iq>");
        assert!(
            answer.contains("type='error'") && answer.contains("<jid-malformed "),
            "{address:?}: {answer}"
        );
    }
    wire.say("<iq type='get' id='alive'><ping xmlns='urn:xmpp:ping'/></iq>");
    wire.until("id='alive'");
    bystander.was_not_hurt("addresses that are none");
}
