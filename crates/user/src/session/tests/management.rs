//! Stream management on trial: counting, resumption, and the end of it (XEP-0198).

use std::time::Duration;

use proto::session::{ConnectionEvent, Gone};
use xmpp::{Jid, delay};

use super::*;
use crate::session::sm::{ASK_STANZAS, PATIENCE, SILENCE};
use entity::Entity;

// Counting (XEP-0198 §3, §4).

#[test]
fn h_rises_when_a_stanza_is_safe_and_not_when_it_is_read() {
    let mut stage = Stage::managed();
    stage.client(1, ConnectionEvent::Stanza(message("one")));
    stage.client(1, ConnectionEvent::Stanza(message("two")));
    assert_eq!(stage.said, ["user: sent two"]);
    stage.receipts.remove(1).release();
    let sent = stage.trial.settle(stage.to());
    stage.note(sent);
    assert!(stage.said.is_empty());
    stage.settles();
    assert_eq!(stage.said, ["1: handled 2, 0 open"]);
}

#[test]
fn a_session_stays_where_it_is_until_its_connection_was_told_of_what_is_safe() {
    let mut stage = Stage::managed();
    stage.client(1, ConnectionEvent::Stanza(message("one")));
    stage.receipts.drain(..).for_each(Receipt::release);
    assert!(!stage.trial.entity.is_settled(), "it was woken, and has not looked");
    stage.settles();
    assert_eq!(stage.said, ["1: handled 1, 0 open"]);
    assert!(stage.trial.entity.is_settled());
}

// XEP-0198 §4: what the connection answered for itself is a stanza like any other, and so is its answer.
#[test]
fn a_stanza_that_the_connection_answered_is_counted_both_ways() {
    let mut stage = Stage::managed();
    stage.client(1, ConnectionEvent::Answered(Some(message("faulty"))));
    assert_eq!(stage.said, ["1: faulty", "1: r"]);
    stage.settles();
    assert_eq!(stage.said, ["1: handled 1, 0 open"]);
    stage.client(1, ConnectionEvent::Answered(None));
    assert_eq!(stage.said, ["1: handled 2, 0 open"]);
    stage.client(1, ConnectionEvent::Ack { h: 1 });
    assert!(stage.said.is_empty());
}

#[test]
fn counting_begins_with_enable() {
    let mut stage = Stage::bound();
    stage.client(1, ConnectionEvent::Stanza(message("before")));
    stage.gets(message("before"));
    stage.client(1, ConnectionEvent::Enable { resume: false, max: None });
    assert_eq!(stage.said, ["1: enabled"]);
    stage.client(1, ConnectionEvent::Stanza(message("one")));
    stage.settles();
    assert_eq!(stage.said, ["1: handled 1, 0 open"]);
    stage.client(1, ConnectionEvent::Ack { h: 1 });
    assert_eq!(stage.said[0], "1: close undefined-condition handled-count-too-high");
}

#[test]
fn a_client_is_asked_at_once_and_then_now_and_again() {
    let mut stage = Stage::managed();
    stage.gets(message("m"));
    assert_eq!(stage.said, ["1: m", "1: r"]);
    for _ in 1..ASK_STANZAS {
        stage.gets(message("m"));
        assert_eq!(stage.said, ["1: m"]);
    }
    stage.gets(message("m"));
    assert_eq!(stage.said, ["1: m", "1: r"]);
    stage.gets(message("m"));
    stage.client(1, ConnectionEvent::Ack { h: 11 });
    assert_eq!(stage.said, ["1: r"]);
    stage.client(1, ConnectionEvent::Ack { h: 12 });
    assert!(stage.said.is_empty());
}

#[test]
fn an_h_that_is_too_high_ends_the_stream() {
    let mut stage = Stage::managed();
    stage.gets(message("one"));
    stage.client(1, ConnectionEvent::Ack { h: 2 });
    let close = "1: close undefined-condition handled-count-too-high";
    assert_eq!(stage.said, [close, "user: ended [one]"]);
}

#[test]
fn enabling_twice_ends_the_stream() {
    let mut stage = Stage::managed();
    stage.client(1, ConnectionEvent::Enable { resume: true, max: None });
    assert_eq!(stage.said, ["1: close policy-violation", "user: ended []"]);
}

#[test]
fn a_client_that_answers_no_question_is_taken_for_lost() {
    let mut stage = Stage::managed();
    stage.gets(message("one"));
    stage.waits(SILENCE / 2);
    stage.client(1, ConnectionEvent::Ack { h: 1 });
    stage.gets(message("two"));
    stage.waits(SILENCE / 2);
    assert!(stage.said.is_empty());
    stage.waits(SILENCE / 2);
    assert_eq!(stage.said, ["1: close connection-timeout", "user: detached"]);
}

#[test]
fn too_many_bytes_unacknowledged_end_the_session() {
    let mut stage = Stage::managed_with(Config { queue_bytes: 900, ..Config::default() });
    let long = "x".repeat(400);
    stage.gets(message(&long));
    stage.gets(message("last"));
    assert_eq!(stage.said[0], "1: close resource-constraint");
    assert_eq!(stage.given_back.len(), 2);
}

// Resumption (XEP-0198 §5).

#[test]
fn a_lost_session_comes_back_with_everything_in_order() {
    let mut stage = Stage::managed();
    stage.gets(message("one"));
    stage.gets(message("two"));
    stage.client(1, ConnectionEvent::Stanza(message("out")));
    stage.settles();
    stage.client(1, ConnectionEvent::Gone(Gone::Lost));
    stage.gets(message("three"));
    assert!(stage.said.is_empty());
    stage.resumes(2, 1);
    let back = ["2: resumed 1", "user: attached", "2: two", "2: three", "2: r"];
    assert_eq!(stage.said, back);
    stage.client(2, ConnectionEvent::Ack { h: 3 });
    stage.gets(message("four"));
    assert_eq!(stage.said, ["2: four", "2: r"]);
}

#[test]
fn a_wrong_secret_opens_nothing_and_harms_nothing() {
    let mut stage = Stage::lost_with(Config::default());
    let mut secret = stage.id.unwrap().secret;
    secret[15] ^= 1;
    stage.client(2, ConnectionEvent::Resume { secret, h: 0 });
    assert_eq!(stage.said, ["2: not resumed"]);
    stage.resumes(3, 0);
    assert_eq!(stage.said, ["3: resumed 0", "user: attached"]);
}

#[test]
fn a_session_without_resumption_cannot_be_resumed() {
    let mut stage = Stage::bound();
    stage.client(1, ConnectionEvent::Enable { resume: false, max: None });
    stage.client(2, ConnectionEvent::Resume { secret: [0; 16], h: 0 });
    assert_eq!(stage.said, ["2: not resumed"]);
    stage.client(1, ConnectionEvent::Gone(Gone::Lost));
    assert_eq!(stage.said, ["user: ended []"]);
}

#[test]
fn the_id_of_another_account_leads_to_a_session_that_is_not_there() {
    let victim = Stage::lost_with(Config::default());
    let mut stage = Stage::unstarted("thief@x.org", Config::default());
    stage.id = victim.id;
    stage.resumes(9, 0);
    assert_eq!(stage.said, ["9: not resumed", "user: ended []"]);
    assert!(stage.trial.closed);
}

#[test]
fn resumption_takes_over_from_a_connection_that_still_stands() {
    let mut stage = Stage::managed();
    stage.gets(message("one"));
    stage.resumes(2, 0);
    let taken = ["1: close conflict", "2: resumed 0", "user: attached", "2: one", "2: r"];
    assert_eq!(stage.said, taken);
    stage.client(1, ConnectionEvent::Stanza(message("late")));
    stage.client(1, ConnectionEvent::Ack { h: 1 });
    stage.client(1, ConnectionEvent::Gone(Gone::Lost));
    assert!(stage.said.is_empty());
    stage.gets(message("two"));
    assert_eq!(stage.said, ["2: two"]);
}

#[test]
fn resumption_waits_until_former_stanzas_are_safe() {
    let mut stage = Stage::managed();
    stage.client(1, ConnectionEvent::Stanza(message("one")));
    stage.resumes(2, 0);
    assert_eq!(stage.said, ["1: close conflict"]);
    stage.gets(message("in"));
    assert!(stage.said.is_empty());
    stage.settles();
    assert_eq!(stage.said, ["2: resumed 1", "user: attached", "2: in", "2: r"]);
}

#[test]
fn what_is_not_safe_after_a_while_keeps_its_place_when_it_comes_again() {
    let mut stage = Stage::managed();
    stage.client(1, ConnectionEvent::Stanza(message("one")));
    stage.resumes(2, 0);
    stage.waits(PATIENCE);
    assert_eq!(stage.said, ["2: resumed 0", "user: attached"]);
    stage.client(2, ConnectionEvent::Stanza(message("one")));
    assert_eq!(stage.origins[0], stage.origins[1]);
    stage.settles();
    assert_eq!(stage.said, ["2: handled 1, 0 open"]);
}

#[test]
fn a_dropped_receipt_ends_the_stream_so_that_the_client_sends_again() {
    let mut stage = Stage::managed();
    stage.client(1, ConnectionEvent::Stanza(message("one")));
    stage.client(1, ConnectionEvent::Stanza(message("two")));
    drop(stage.receipts.pop());
    stage.settles();
    assert_eq!(stage.said, ["1: close internal-server-error", "user: detached"]);
    stage.resumes(2, 0);
    assert_eq!(stage.said, ["2: resumed 1", "user: attached"]);
    stage.client(2, ConnectionEvent::Stanza(message("two")));
    assert_eq!(stage.origins[1], stage.origins[2]);
}

#[test]
fn an_h_that_is_too_high_ends_the_session() {
    let mut stage = Stage::managed();
    stage.gets(message("one"));
    stage.client(1, ConnectionEvent::Gone(Gone::Lost));
    stage.resumes(2, 5);
    let close = "2: close undefined-condition handled-count-too-high";
    assert_eq!(stage.said, [close, "user: ended [one]"]);
}

// What a client had asked for by a connection that it has given up may arrive long after it has come by another one.
#[test]
fn an_h_that_is_taken_back_resumes_nothing_and_harms_nothing() {
    let mut stage = Stage::managed();
    stage.gets(message("one"));
    stage.client(1, ConnectionEvent::Ack { h: 1 });
    stage.resumes(2, 0);
    assert_eq!(stage.said, ["2: not resumed, 0 handled"]);
    stage.client(1, ConnectionEvent::Gone(Gone::Lost));
    stage.resumes(3, 0);
    assert_eq!(stage.said, ["3: not resumed, 0 handled"]);
    stage.resumes(4, 1);
    assert_eq!(stage.said, ["4: resumed 0", "user: attached"]);
}

// The end of resumption (XEP-0198 §4).

#[test]
fn a_session_that_nobody_resumes_gives_back_what_it_holds() {
    let mut stage = Stage::lost_with(Config::default());
    let came = stage.trial.now.unix_micros;
    for stanza in [message("one"), query(), presence(), message("two")] {
        stage.gets(stanza);
    }
    stage.waits(Config::default().resume - Duration::from_secs(1));
    assert!(stage.said.is_empty());
    stage.waits(Duration::from_secs(1));
    assert_eq!(stage.said, ["user: ended [one iqget presence two]"]);
    let server = Jid::parse("x.org").unwrap();
    let note = delay::of(&stage.given_back[0], &server).unwrap();
    assert_eq!(note.unix_micros.unsigned_abs(), came);
    assert!(delay::of(&stage.given_back[1], &server).is_none());
}

// What others say of a delay is theirs: by when the session had it, the user decides who else had it.
#[test]
fn a_message_is_given_back_with_the_servers_time_whatever_delay_its_sender_wrote() {
    let mut stage = Stage::lost_with(Config::default());
    let came = stage.trial.now.unix_micros;
    let forged = delay::element(None, came + 1_000_000_000);
    stage.gets(message("one").with_child(&forged));
    stage.waits(Config::default().resume);
    let note = delay::of(&stage.given_back[0], &Jid::parse("x.org").unwrap()).unwrap();
    assert_eq!(note.unix_micros.unsigned_abs(), came);
}

// XEP-0198 §5: `h` in `<failed/>`.
#[test]
fn who_comes_too_late_learns_what_arrived_for_as_long_again() {
    let resume = Config::default().resume;
    let mut stage = Stage::managed();
    for text in ["one", "two"] {
        stage.client(1, ConnectionEvent::Stanza(message(text)));
    }
    stage.settles();
    stage.client(1, ConnectionEvent::Gone(Gone::Lost));
    stage.waits(resume);
    assert_eq!(stage.said, ["user: ended []"]);
    stage.client(2, ConnectionEvent::Resume { secret: [0; 16], h: 0 });
    assert_eq!(stage.said, ["2: not resumed"]);
    stage.gets(message("late"));
    assert_eq!(stage.said, ["user: ended [late]"]);
    for _ in 0..2 {
        stage.resumes(2, 0);
        assert_eq!(stage.said, ["2: not resumed, 2 handled"]);
    }
    assert!(!stage.trial.closed && !stage.trial.entity.may_sleep(stage.trial.now));
    stage.waits(resume);
    assert!(stage.said.is_empty() && stage.trial.closed);
}

#[test]
fn the_client_may_ask_for_less_time_and_not_for_more() {
    for (asked, waits) in [(10, 10), (10_000, Config::default().resume.as_secs())] {
        let mut stage = Stage::bound();
        let max = Some(Duration::from_secs(asked));
        stage.client(1, ConnectionEvent::Enable { resume: true, max });
        stage.client(1, ConnectionEvent::Gone(Gone::Lost));
        stage.waits(Duration::from_secs(waits - 1));
        assert!(stage.said.is_empty());
        stage.waits(Duration::from_secs(1));
        assert_eq!(stage.said, ["user: ended []"]);
    }
}

#[test]
fn resumption_stops_the_clock() {
    let mut stage = Stage::lost_with(Config::default());
    stage.resumes(2, 0);
    stage.waits(Config::default().resume * 2);
    assert!(stage.said.is_empty() && !stage.trial.closed);
}

#[test]
fn a_stream_that_is_closed_in_order_ends_a_resumable_session() {
    let mut stage = Stage::managed();
    stage.gets(message("one"));
    stage.client(1, ConnectionEvent::Gone(Gone::Closed));
    assert_eq!(stage.said, ["user: ended [one]"]);
}

#[test]
fn a_session_that_waits_takes_no_more_than_its_bound() {
    let mut stage = Stage::lost_with(Config { queue_stanzas: 2, ..Config::default() });
    for text in ["one", "two"] {
        stage.gets(message(text));
        assert!(stage.said.is_empty());
    }
    stage.gets(message("three"));
    assert_eq!(stage.said, ["user: ended [one two three]"]);
}

#[test]
fn a_session_that_waits_is_listed_with_its_end_until_it_is_resumed_or_ended() {
    let config = Config::default();
    let (waiting, resume) = (Arc::clone(&config.waiting), config.resume.as_secs());
    let mut stage = Stage::lost_with(config);
    let listed = waiting.list(Some("a@x.org"));
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].jid.to_string(), listed[0].until - listed[0].since),
        ("a@x.org/r".to_owned(), resume)
    );
    assert!(waiting.list(Some("a@x.org/other")).is_empty());
    stage.resumes(2, 0);
    assert!(waiting.list(None).is_empty(), "it has a connection");
    stage.client(2, ConnectionEvent::Gone(Gone::Lost));
    assert_eq!(waiting.list(None).len(), 1);
    let end = xmpp::StreamError::from(StreamCondition::Reset);
    stage.hears(Body::User(UserEvent::End(end)));
    assert!(waiting.list(None).is_empty(), "an operator has ended it");
}

#[test]
fn a_session_whose_client_has_come_and_waits_is_listed_still() {
    let config = Config::default();
    let waiting = Arc::clone(&config.waiting);
    let mut stage = Stage::managed_with(config);
    stage.client(1, ConnectionEvent::Stanza(message("one")));
    stage.client(1, ConnectionEvent::Gone(Gone::Lost));
    stage.resumes(2, 0);
    assert_eq!(waiting.list(None).len(), 1);
    stage.settles();
    assert!(waiting.list(None).is_empty());
}
