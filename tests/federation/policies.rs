//! Whom a server speaks with, by its settings, and what people hear of that, here and there.

use std::time::Duration;

use cluster::clock::BootTime;

use super::attacks::let_in;
use super::land::{Client, Land, Proof, body, condition, hears, hears_body};
use crate::cluster::figures::figure;

/// What somebody hears who says something to somebody else; at once, since what waits does so for sixty seconds.
fn refused(says: &mut Client, to: &str) -> (String, String) {
    says.send(format!("<message to='{to}' id='m' type='chat'><body>hi</body></message>"));
    let error = hears(says, |it| it.attr("id") == Some("m"));
    let kind = error.child("error", "").and_then(|it| it.attr("type")).unwrap().to_owned();
    (kind, condition(&error).unwrap())
}

fn is(kind: &str, condition: &str) -> (String, String) {
    (kind.to_owned(), condition.to_owned())
}

#[test]
fn people_hear_soon_that_the_other_server_is_not_spoken_with_and_so_do_those_there() {
    for extra in ["[s2s]\ndeny = ['b.example']", "[s2s]\nallow = ['c.example']"] {
        let land = Land::start_with(Proof::Certificate, extra);
        let (mut romeo, mut juliet) = land.lovers();
        let told = refused(&mut romeo, "juliet@b.example");
        assert_eq!(told, is("cancel", "not-allowed"), "{extra}");
        let told = refused(&mut juliet, "romeo@a.example");
        assert_eq!(told, is("cancel", "remote-server-timeout"), "{extra}");
        let list = land.b.run(&["s2s", "list"]).unwrap();
        assert!(list.contains("it refuses to speak with this server: policy-violation"), "{list}");
    }
}

#[test]
fn a_domain_that_is_on_the_list_is_spoken_with_and_one_domain_may_have_a_policy_of_its_own() {
    // Only dialback lets this one in, and only this one is let in by it.
    let lists = "[s2s]\npolicy = 'secure'\nallow = ['b.example']\n\
                 [s2s.policies]\n'b.example' = 'dialback'\n";
    let land = Land::start_with(Proof::Dialback, lists);
    let (mut romeo, mut juliet) = land.lovers();
    romeo.send("<message to='juliet@b.example' type='chat'><body>there</body></message>");
    hears_body(&mut juliet, "there");
    juliet.send("<message to='romeo@a.example' type='chat'><body>back</body></message>");
    hears_body(&mut romeo, "back");
    let told = refused(&mut romeo, "r@conference.b.example");
    assert_eq!(told, is("cancel", "not-allowed"));
}

#[test]
fn one_person_of_another_server_may_be_shut_out_alone() {
    let land = Land::start_with(Proof::Certificate, "[s2s]\ndeny = ['juliet@b.example']");
    super::land::add(&land.b, "nurse@b.example");
    let (mut romeo, mut juliet) = land.lovers();
    let mut nurse = super::land::log_in(&land.b, "nurse@b.example");
    let told = refused(&mut romeo, "juliet@b.example/here");
    assert_eq!(told, is("cancel", "not-allowed"));
    let told = refused(&mut juliet, "romeo@a.example");
    assert_eq!(told, is("cancel", "not-allowed"));
    juliet.send("<presence to='romeo@a.example' type='subscribe'/>");
    nurse.send("<message to='romeo@a.example' type='chat'><body>by the nurse</body></message>");
    let first = hears(&mut romeo, |it| it.name() != "iq");
    assert_eq!(body(&first).as_deref(), Some("by the nurse"), "{first:?}");
    romeo.send("<message to='nurse@b.example' type='chat'><body>to the nurse</body></message>");
    hears_body(&mut nurse, "to the nurse");
}

#[test]
fn a_domain_that_sends_fast_is_read_slowly_and_loses_nothing() {
    const COUNT: usize = 1_000;
    let slow = "[s2s]\ndomain_stanzas_per_second = 100\n[limits]\nenabled = true\n";
    let land = Land::start_with(Proof::Certificate, slow);
    let (mut romeo, mut juliet) = land.lovers();
    let say = |number: usize| {
        format!("<message to='romeo@a.example' type='chat'><body>{number}</body></message>")
    };
    let began = BootTime::now();
    juliet.send((0..COUNT).map(say).collect::<String>());
    for number in 0..COUNT {
        let next = hears(&mut romeo, |it| it.name() == "message");
        assert_eq!(body(&next), Some(number.to_string()));
    }
    // Five hundred come at once, the rest at a hundred a second; after the last read nobody waits.
    let took = BootTime::now().since(began);
    assert!(took > Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_domain_that_sends_fast_gains_nothing_where_its_last_stream_ends_and_another_one_begins() {
    const COUNT: usize = 500;
    let slow = "[s2s]\ndomain_stanzas_per_second = 100\n[limits]\nenabled = true\n";
    let land = Land::start_with(Proof::Certificate, slow);
    let (mut romeo, _juliet) = land.lovers();
    let say = |number: usize| {
        format!(
            "<message from='x@other.example' to='romeo@a.example' type='chat'><body>{number}</body></message>"
        )
    };
    let began = BootTime::now();
    for _ in 0..2 {
        let mut other = let_in(&land, "other.example");
        other.say(&(0..COUNT).map(say).collect::<String>());
        for number in 0..COUNT {
            let next = hears(&mut romeo, |it| it.name() == "message");
            assert_eq!(body(&next), Some(number.to_string()));
        }
        other.say("</stream:stream>");
        assert!(other.next().is_none(), "the stream has ended");
        while figure(&land.a, "rookery_federation_streams{direction=\"in\"}") > 0.0 {
            std::thread::yield_now();
        }
    }
    // As many as come at once; the second ones wait as if they had come on the same stream.
    let took = BootTime::now().since(began);
    assert!(took > Duration::from_secs(2), "{took:?}");
}
