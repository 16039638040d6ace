//! XEP-0480 SASL Upgrade Tasks.

use std::fs;

use auth::encoding::{decode, encode};
use auth::scram::Hash;
use town::Client;
use xmpp::Element;

use crate::stage::{PASSWORD, Stage};

const SASL2: &str = "urn:xmpp:sasl:2";
const NS: &str = "urn:xmpp:scram-upgrade:0";
const UPGRADE: &str = "urn:xmpp:sasl:upgrade:0";

/// A server with an account that has come from a server which knew SHA-1 alone.
fn stage() -> Stage {
    let stage = Stage::start("");
    let all = auth::Credentials::derive(PASSWORD, 10_000, [[7; 16]; 3]).unwrap();
    let keys = all.verifiers().next().unwrap();
    let word = |name: &str, octets: &[u8]| format!("<{name}>{}</{name}>", encode(octets));
    let xml = format!(
        "<server-data xmlns='urn:xmpp:pie:0'><host jid='localhost'><user name='juliet'>\
         <scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-1'><iter-count>10000</iter-count>{}{}{}</scram-credentials>\
         </user></host></server-data>",
        word("salt", &keys.salt),
        word("server-key", &keys.server_key),
        word("stored-key", &keys.stored_key),
    );
    let file = stage.dir.join("old.xml");
    fs::write(&file, xml).unwrap();
    stage.run(&["import", file.to_str().unwrap()]).unwrap();
    stage
}

/// Begins to log in, and would do these tasks; what is answered first.
fn begin(stage: &Stage, tasks: &[&str]) -> (Client, Element) {
    let mut client = Client::open(stage.c2s, "localhost");
    let features = client.next().unwrap();
    let offered = features.child("authentication", SASL2).unwrap().children();
    let offered: Vec<String> =
        offered.filter(|it| it.is("upgrade", UPGRADE)).map(Element::text).collect();
    assert_eq!(offered, ["UPGR-SCRAM-SHA-512", "UPGR-SCRAM-SHA-256", "UPGR-SCRAM-SHA-1"]);
    let wishes = tasks.iter().map(|task| format!("<upgrade xmlns='{UPGRADE}'>{task}</upgrade>"));
    client.send(format!(
        "<authenticate xmlns='{SASL2}' mechanism='PLAIN'>{}<initial-response>{}</initial-response></authenticate>",
        wishes.collect::<String>(),
        encode(format!("\0juliet\0{PASSWORD}").as_bytes())
    ));
    let answer = client.next().unwrap();
    (client, answer)
}

fn task(answer: &Element) -> Option<String> {
    let task = answer.child("tasks", SASL2)?.child("task", SASL2)?;
    Some(task.text())
}

/// Does a task; what is answered then.
fn perform(client: &mut Client, name: &str, hash: Hash) -> Element {
    client.send(format!("<next xmlns='{SASL2}' task='{name}'/>"));
    let data = client.next().unwrap();
    let salt = data.child("salt", NS).unwrap();
    let iterations = salt.attr("iterations").unwrap().parse().unwrap();
    let salted = hash.salted_password(PASSWORD, &decode(&salt.text()).unwrap(), iterations);
    client.send(format!(
        "<task-data xmlns='{SASL2}'><hash xmlns='{NS}'>{}</hash></task-data>",
        encode(&salted)
    ));
    client.next().unwrap()
}

fn mechanisms(stage: &Stage) -> usize {
    stage.run(&["export", "juliet@localhost"]).unwrap().matches("<scram-credentials").count()
}

// XEP-0480 §2.2, §3
#[test]
fn a_client_brings_the_verifiers_that_its_account_lacks_and_no_others() {
    let stage = stage();
    assert_eq!(mechanisms(&stage), 1);
    let wanted = ["UPGR-SCRAM-SHA-1", "UPGR-SCRAM-MD5", "UPGR-SCRAM-SHA-256", "UPGR-SCRAM-SHA-512"];
    let (mut client, answer) = begin(&stage, &wanted);
    assert_eq!(task(&answer).as_deref(), Some("UPGR-SCRAM-SHA-256"), "{answer:?}");
    let answer = perform(&mut client, "UPGR-SCRAM-SHA-256", Hash::Sha256);
    assert_eq!(task(&answer).as_deref(), Some("UPGR-SCRAM-SHA-512"), "{answer:?}");
    let answer = perform(&mut client, "UPGR-SCRAM-SHA-512", Hash::Sha512);
    assert!(answer.is("success", SASL2), "{answer:?}");
    assert_eq!(mechanisms(&stage), 3);
    // PLAIN is checked against SHA-256 now; and nothing is left to do.
    let (_, answer) = begin(&stage, &wanted);
    assert!(answer.is("success", SASL2), "{answer:?}");
}

// XEP-0388 §2.6.3
#[test]
fn a_client_that_does_not_do_its_task_is_not_let_in_and_may_try_again_without() {
    let stage = stage();
    for wrong in [
        format!("<next xmlns='{SASL2}' task='UPGR-SCRAM-SHA-512'/>"),
        format!("<response xmlns='{SASL2}'/>"),
        format!("<task-data xmlns='{SASL2}'><hash xmlns='{NS}'>AAAA</hash></task-data>"),
    ] {
        let (mut client, answer) = begin(&stage, &["UPGR-SCRAM-SHA-256"]);
        assert!(task(&answer).is_some());
        client.send(&wrong);
        assert!(client.next().unwrap().is("failure", SASL2), "{wrong}");
    }
    let (mut client, _) = begin(&stage, &["UPGR-SCRAM-SHA-256"]);
    client.send(format!("<next xmlns='{SASL2}' task='UPGR-SCRAM-SHA-256'/>"));
    client.next().unwrap();
    client.send(format!("<task-data xmlns='{SASL2}'><hash xmlns='{NS}'>AAAA</hash></task-data>"));
    assert!(client.next().unwrap().is("failure", SASL2));
    assert_eq!(mechanisms(&stage), 1);
    assert!(begin(&stage, &[]).1.is("success", SASL2));
}
