//! The offline store on trial (XEP-0160, XEP-0198 §4).

use std::time::Duration;

use proto::session::UserEvent;
use proto::{Body, Ledger, Route};
use store::{ArchiveId, Error};
use xmpp::{Jid, Origin, delay, stanza_id};

use super::drain::WINDOW;
use super::refused::{FIRST, LONGEST, TRIES};
use super::{Entry, is_fleeting, store_unless_stored};
use crate::config::Accounts;
use crate::extensions::hints::may_keep_for_later;
use crate::stage::{Stage, stanza};

fn chat(text: &str) -> String {
    format!(
        "<message from='juliet@y.org/b' to='romeo@x.org' type='chat'><body>{text}</body></message>"
    )
}

fn server() -> Jid {
    Jid::parse("x.org").unwrap()
}

/// With a note of a delay.
fn noted(xml: &str, by: Option<&Jid>, unix_micros: u64) -> String {
    let note = String::from_utf8(delay::element(by, unix_micros).to_bytes()).unwrap();
    xml.replace("</message>", &format!("{note}</message>"))
}

fn messages(said: &[String]) -> Vec<&str> {
    said.iter().map(String::as_str).filter(|said| !said.contains("presence")).collect()
}

fn taken(session: u64) -> Body {
    Body::User(UserEvent::Taken { session, mark: u64::MAX })
}

fn late(said: &[String]) -> Vec<&str> {
    said.iter().filter_map(|said| said.split_once(" late: ")).map(|(_, text)| text).collect()
}

const FULL: &str = "to juliet@y.org/b: message error cancel service-unavailable";
const NOT_KEPT: &str = "to juliet@y.org/b: message error wait resource-constraint";

#[test]
fn messages_are_stored_as_their_type_and_content_say() {
    let state = "<active xmlns='http://jabber.org/protocol/chatstates'/>";
    let no_store = "<no-store xmlns='urn:xmpp:hints'/>";
    let (body, markable) = ("<body>hi</body>", "<markable xmlns='urn:xmpp:chat-markers:0'/>");
    let rows: &[(&str, &[&str], bool)] = &[
        ("chat", &[body], true),
        ("normal", &[body], true),
        ("chat", &[markable], true),
        ("chat", &[body, state], true),
        ("chat", &[state], false),
        ("chat", &[state, "<thread>t</thread>"], false),
        ("chat", &[body, no_store], false),
        ("chat", &[body, "<no-permanent-store xmlns='urn:xmpp:hints'/>"], true),
        ("groupchat", &[body], false),
        ("headline", &[body], false),
        ("error", &[body], false),
    ];
    for (ty, inner, stored) in rows {
        let xml = format!("<message type='{ty}'>{}</message>", inner.concat());
        let stanza = stanza(&xml);
        assert_eq!(may_keep_for_later(&stanza), *stored, "{xml}");
        assert_eq!(is_fleeting(&stanza), !inner.contains(&body), "{xml}");
    }
}

#[test]
fn a_stored_message_waits_for_a_session_that_takes_messages() {
    let mut stage = Stage::new();
    let came = stage.trial.now.unix_micros;
    assert_eq!(stage.gets_for(&chat("one")), (vec![], true));
    stage.gets(&chat("two"));
    stage.restart();
    let negative = stage.bind("negative");
    let said = stage.says(negative, "<presence><priority>-1</priority></presence>");
    assert!(late(&said).is_empty());
    let session = stage.bind("r");
    let event = UserEvent::Outbound { session, stanza: stanza("<presence from='romeo@x.org/r'/>") };
    let sent = stage.trial.receive(Route::User(crate::stage::romeo()), Body::User(event));
    let stored: Vec<_> = sent
        .into_iter()
        .filter_map(|envelope| match envelope.body {
            Body::User(UserEvent::Stored { stanza, .. }) => Some(stanza),
            _ => None,
        })
        .collect();
    assert_eq!(stored.iter().map(crate::stage::short).collect::<Vec<_>>(), ["one", "two"]);
    let note = delay::of(&stored[0], &server()).unwrap();
    assert_eq!(note.unix_micros.unsigned_abs(), came);
}

#[test]
fn a_stored_message_is_known_by_what_has_caused_it() {
    let mut stage = Stage::new();
    let causes = [3, 4].map(|seq| Origin::Client { session: 9, seq, part: 1 });
    let to = || Route::User(crate::stage::romeo());
    for cause in causes {
        stage.trial.receive_as(to(), Body::Stanza(stanza(&chat("one"))), cause);
    }
    stage.restart();
    let session = stage.bind("r");
    let stanza = stanza("<presence from='romeo@x.org/r'/>");
    let event = UserEvent::Outbound { session, stanza };
    let sent = stage.trial.receive(to(), Body::User(event));
    let stored = |it: &&proto::Envelope| matches!(it.body, Body::User(UserEvent::Stored { .. }));
    let known: Vec<_> = sent.iter().filter(stored).map(|it| it.origin).collect();
    assert_eq!(known, causes);
}

#[test]
fn what_the_client_does_not_have_is_there_again() {
    let mut stage = Stage::new();
    stage.gets(&chat("one"));
    let session = stage.available("r", 0);
    stage.ends(session, &[]);
    let session = stage.bind("s");
    assert_eq!(late(&stage.says(session, "<presence/>")), ["one"]);
    stage.hears(taken(session));
    stage.restart();
    let session = stage.bind("t");
    assert!(late(&stage.says(session, "<presence/>")).is_empty());
    assert_eq!(stage.trial.entity.offline.meter.count, 0);
}

#[test]
fn another_session_gets_what_the_first_one_did_not_take() {
    let mut stage = Stage::new();
    stage.gets(&chat("one"));
    let first = stage.available("first", 0);
    let second = stage.bind("second");
    assert!(late(&stage.says(second, "<presence/>")).is_empty());
    assert_eq!(late(&stage.ends(first, &[])), ["one"]);
}

#[test]
fn a_full_store_refuses_and_keeps_what_it_has() {
    let mut stage = Stage::limited(Accounts { offline_messages: 2, ..Accounts::default() });
    for text in ["one", "two"] {
        assert!(stage.gets(&chat(text)).is_empty());
    }
    assert_eq!(stage.gets_for(&chat("three")), (vec![FULL.to_owned()], true));
    stage.restart();
    assert_eq!(stage.gets(&chat("four")), [FULL]);
    let session = stage.bind("r");
    assert_eq!(late(&stage.says(session, "<presence/>")), ["one", "two"]);

    let mut stage = Stage::limited(Accounts { offline_bytes: 300, ..Accounts::default() });
    assert!(stage.gets(&chat("one")).is_empty());
    assert_eq!(stage.gets(&chat("two")), [FULL]);
}

#[test]
fn what_nobody_wrote_vanishes_and_what_may_not_be_stored_is_refused() {
    let mut stage = Stage::new();
    let to = "from='juliet@y.org/b' to='romeo@x.org' type='chat'";
    let typing = format!(
        "<message {to}><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
    );
    assert!(stage.gets(&typing).is_empty());
    let secret =
        format!("<message {to}><body>hi</body><no-store xmlns='urn:xmpp:hints'/></message>");
    assert_eq!(stage.gets(&secret), [FULL]);
    assert_eq!(stage.trial.entity.offline.meter.count, 0);
}

#[test]
fn a_store_that_refuses_is_told_to_the_sender_unless_a_session_has_the_message() {
    let mut stage = Stage::new();
    stage.memory.refuse_writes(Some(Error::Full("the disk")));
    assert_eq!(stage.gets_for(&chat("one")), (vec![NOT_KEPT.to_owned()], true));
    assert_eq!(stage.trial.entity.offline.meter.count, 0);
    stage.available("r", 0);
    assert_eq!(stage.gets_for(&chat("two")), (vec!["r: two".to_owned()], true));
    stage.memory.refuse_writes(None);
    assert_eq!(stage.gets(&chat("three")), ["r: three"]);
    stage.memory.refuse_writes(Some(Error::Full("the disk")));
    let session = stage.uid("r");
    assert!(stage.ends(session, &[&chat("four")]).is_empty(), "a session had taken it");
}

fn lost(stage: &Stage) -> u64 {
    stage.config.figures.messages_lost.get()
}

// XEP-0198 §4: what was acknowledged to its sender is not lost because the disk is full for a while.
#[test]
fn what_a_session_gives_back_waits_for_a_store_that_refuses() {
    let mut stage = Stage::new();
    let session = stage.available("r", 0);
    stage.memory.refuse_writes(Some(Error::Full("the disk")));
    assert!(stage.ends(session, &[&chat("one"), &chat("two")]).is_empty());
    assert!(!stage.trial.entity.offline.may_sleep());
    stage.trial.advance(FIRST * 2);
    // Somebody logs in before the store takes it: who is there gets it.
    let next = stage.available("s", 0);
    stage.memory.refuse_writes(None);
    let sent = stage.trial.advance(FIRST * 2);
    assert_eq!(late(&stage.told(sent)), ["one", "two"]);
    stage.hears(taken(next));
    assert!(stage.trial.entity.offline.may_sleep());
    stage.ends(next, &[]);
    stage.restart();
    let after = stage.bind("t");
    assert!(late(&stage.says(after, "<presence/>")).is_empty(), "it came twice");
    assert_eq!(lost(&stage), 0);
}

#[test]
fn what_the_store_never_takes_is_given_up_and_counted() {
    let mut stage = Stage::new();
    let session = stage.available("r", 0);
    stage.memory.refuse_writes(Some(Error::Full("the disk")));
    stage.ends(session, &[&chat("one"), &chat("two")]);
    let wait = |failures: u32| (FIRST * 2_u32.pow(failures)).min(LONGEST);
    let all: Duration = (0..TRIES).map(wait).sum();
    stage.trial.advance(all - Duration::from_millis(1));
    assert_eq!(lost(&stage), 0);
    stage.trial.advance(Duration::from_millis(1));
    assert_eq!(lost(&stage), 2);
    assert!(stage.trial.entity.offline.may_sleep());
}

#[test]
fn what_waits_for_the_store_is_bounded() {
    let mut stage = Stage::limited(Accounts { offline_bytes: 500, ..Accounts::default() });
    let session = stage.available("r", 0);
    stage.memory.refuse_writes(Some(Error::Full("the disk")));
    let long = "x".repeat(100);
    stage.ends(session, &[&chat(&long), &chat(&long), &chat(&long)]);
    assert_eq!(lost(&stage), 1);
}

#[test]
fn what_a_session_gives_back_has_twice_the_room_and_then_is_counted() {
    let mut stage = Stage::limited(Accounts { offline_messages: 2, ..Accounts::default() });
    let session = stage.available("r", 0);
    let all: Vec<String> = (0..5).map(|number| chat(&number.to_string())).collect();
    stage.ends(session, &all.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(lost(&stage), 1);
    assert_eq!(stage.gets(&chat("new")), [FULL]);
    let session = stage.bind("s");
    assert_eq!(late(&stage.says(session, "<presence/>")), ["0", "1", "2", "3"]);
}

#[test]
fn a_long_store_goes_out_a_few_at_a_time_and_in_order() {
    let mut stage = Stage::new();
    let texts: Vec<String> = (0..2 * WINDOW + 5).map(|number| number.to_string()).collect();
    for text in &texts {
        stage.gets(&chat(text));
    }
    let session = stage.bind("r");
    let said = stage.says(session, "<presence/>");
    let mut got: Vec<String> = late(&said).into_iter().map(str::to_owned).collect();
    assert_eq!(got.len(), WINDOW);
    // What comes meanwhile stands behind.
    assert!(stage.gets(&chat("new")).is_empty());
    while got.len() <= texts.len() {
        let said = stage.hears(taken(session));
        assert!(!late(&said).is_empty(), "{} of {}", got.len(), texts.len());
        got.extend(late(&said).into_iter().map(str::to_owned));
    }
    assert_eq!(got[..texts.len()], texts);
    assert_eq!(got[texts.len()..], ["new"]);
    stage.hears(taken(session));
    assert_eq!(stage.gets(&chat("direct")), ["r: direct"]);
    assert!(stage.trial.entity.offline.may_sleep());
}

// It was not among what was read, and nothing is in flight any more when that comes.
#[test]
fn what_is_stored_while_the_store_is_read_goes_out_too() {
    let mut stage = Stage::new();
    stage.gets(&chat("one"));
    let session = stage.bind("r");
    stage.trial.hold_answers();
    assert!(late(&stage.says(session, "<presence/>")).is_empty());
    assert!(stage.gets(&chat("two")).is_empty());
    let sent = stage.trial.let_answers_go();
    assert_eq!(late(&stage.told(sent)), ["one", "two"]);
    stage.hears(taken(session));
    assert_eq!(stage.gets(&chat("three")), ["r: three"]);
}

#[test]
fn what_a_former_owner_has_stored_is_not_stored_again_however_much_waits() {
    let mut stage = Stage::new();
    (0..300).for_each(|number| assert!(stage.gets(&chat(&number.to_string())).is_empty()));
    let stores = |stage: &mut Stage, unless: Option<ArchiveId>| {
        let mut stored = ArchiveId(0);
        stage.trial.act(|user, cx| {
            let id = unless.unwrap_or_else(|| user.next_id(cx.now));
            let stanza =
                stanza_id::with_id(&stanza(&chat("last")), &cx.shared.ids.write(id), &user.jid);
            let entry = Entry { stanza, writes: Vec::new(), cause: None, taken: false };
            match unless {
                Some(id) => store_unless_stored(user, id, entry, cx),
                None => super::store(user, entry, cx),
            }
            stored = id;
        });
        (stored, stage.trial.entity.offline.meter.count)
    };
    let (id, _) = stores(&mut stage, None);
    assert_eq!(stores(&mut stage, Some(id)).1, 301);
    let other = ArchiveId(id.0 - 1);
    assert_eq!(stores(&mut stage, Some(other)).1, 302, "this one it has not stored");
}

/// A message waits, and the store cannot be read just when a session is to have it.
fn unreadable() -> (Stage, u64) {
    let mut stage = Stage::new();
    stage.gets(&chat("one"));
    let session = stage.bind("r");
    stage.memory.refuse_lists(Some(Error::Closed));
    (stage, session)
}

// Also where the store cannot be read for a while nothing passes what is stored.
#[test]
fn what_cannot_be_read_is_read_again_and_nothing_passes_it() {
    let (mut stage, session) = unreadable();
    assert!(late(&stage.says(session, "<presence/>")).is_empty());
    assert!(stage.trial.advance(FIRST).is_empty(), "it cannot be read yet");
    stage.memory.refuse_lists(None);
    assert!(stage.trial.advance(FIRST).is_empty(), "it waits longer each time");
    let sent = stage.trial.advance(FIRST);
    assert_eq!(late(&stage.told(sent)), ["one"]);
    stage.memory.refuse_lists(Some(Error::Closed));
    stage.hears(taken(session));
    assert_eq!(stage.gets(&chat("two")), ["r: two"]);
}

#[test]
fn what_comes_while_the_store_cannot_be_read_is_stored_behind() {
    let (mut stage, session) = unreadable();
    stage.says(session, "<presence/>");
    assert!(stage.gets(&chat("two")).is_empty());
    stage.memory.refuse_lists(None);
    let sent = stage.trial.advance(LONGEST);
    assert_eq!(late(&stage.told(sent)), ["one", "two"]);
}

#[test]
fn large_messages_go_out_one_by_one() {
    let mut stage = Stage::new();
    let long = "x".repeat(200 << 10);
    stage.gets(&chat(&long));
    stage.gets(&chat(&long));
    let session = stage.bind("r");
    assert_eq!(late(&stage.says(session, "<presence/>")).len(), 1);
    assert_eq!(late(&stage.hears(taken(session))).len(), 1);
}

// What a session gives back (XEP-0198 §4).

#[test]
fn unacknowledged_requests_bounce_and_presence_is_forgotten() {
    let mut stage = Stage::new();
    let session = stage.bind("r");
    let iq =
        "<iq from='juliet@y.org/b' to='romeo@x.org/r' type='get' id='q'><q xmlns='urn:q'/></iq>";
    let own = "<iq from='romeo@x.org' to='romeo@x.org/r' type='set' id='p'><q xmlns='urn:q'/></iq>";
    let result = "<iq from='juliet@y.org/b' to='romeo@x.org/r' type='result' id='q'/>";
    let presence = "<presence from='juliet@y.org/b' to='romeo@x.org/r'/>";
    let said = stage.ends(session, &[iq, own, result, presence]);
    assert_eq!(said, ["to juliet@y.org/b: iq error cancel service-unavailable"]);
}

#[test]
fn unacknowledged_messages_are_stored_where_nobody_else_is_there() {
    let mut stage = Stage::new();
    let session = stage.available("r", 0);
    let to_r = chat("two").replace("romeo@x.org", "romeo@x.org/r");
    let room =
        "<message from='room@y.org/n' to='romeo@x.org/r' type='groupchat'><body>g</body></message>";
    assert!(stage.ends(session, &[&chat("one"), &to_r, room]).is_empty());
    stage.restart();
    let session = stage.bind("s");
    assert_eq!(late(&stage.says(session, "<presence/>")), ["one", "two"]);
}

#[test]
fn unacknowledged_messages_go_to_the_sessions_that_have_not_had_them() {
    let mut stage = Stage::new();
    let lost = stage.available("lost", 0);
    stage.available("before", 0);
    stage.trial.advance(Duration::from_secs(10));
    let at = stage.trial.now.unix_micros;
    let to_lost = chat("two").replace("romeo@x.org", "romeo@x.org/lost");
    stage.trial.advance(Duration::from_secs(10));
    stage.available("after", 0);
    let with_note = |xml: &str| noted(xml, Some(&server()), at);
    let said = stage.ends(lost, &[&with_note(&chat("one")), &with_note(&to_lost)]);
    assert_eq!(messages(&said), ["after: one", "before: two", "after: two"]);
}

// XEP-0203 §5: the delay that a sender writes is no reason to believe that a session had the message or not.
#[test]
fn a_delay_that_the_sender_wrote_does_not_steer_who_gets_a_message_again() {
    const YEAR: u64 = 365 * 24 * 3600 * 1_000_000;
    for written in [-1, 1] {
        let mut stage = Stage::new();
        let lost = stage.available("lost", 0);
        stage.available("before", 0);
        stage.trial.advance(Duration::from_secs(10));
        let at = stage.trial.now.unix_micros;
        let forged = at.saturating_add_signed(written * i64::try_from(YEAR).unwrap());
        stage.trial.advance(Duration::from_secs(10));
        stage.available("after", 0);
        let message = noted(&noted(&chat("one"), None, forged), Some(&server()), at);
        assert_eq!(messages(&stage.ends(lost, &[&message])), ["after: one"], "{forged}");
    }
}

// Acknowledged means kept: nothing is acknowledged before it is durable, neither stored nor archived.
#[test]
fn nothing_is_acknowledged_before_the_store_has_it() {
    let mut stage = Stage::new();
    let session = stage.available("r", 0);
    stage.trial.hold_writes();
    let archived = Ledger::new(0, || {});
    assert_eq!(stage.gets_with(&chat("one"), archived.open()), ["r: one"]);
    stage.ends(session, &[]);
    let stored = Ledger::new(0, || {});
    assert!(stage.gets_with(&chat("two"), stored.open()).is_empty());
    let handled = |ledger: &Ledger| ledger.standing().handled;
    assert_eq!((handled(&stored), handled(&archived)), (0, 0));
    let sent = stage.trial.let_writes_go();
    stage.told(sent);
    assert_eq!((handled(&stored), handled(&archived)), (1, 1));
}
