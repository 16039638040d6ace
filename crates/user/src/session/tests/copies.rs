//! Second copies of a session: what they learn, and how a session goes on from them.

use bytes::Bytes;
use entity::{Copy, Entity, Mirror};
use proto::session::PLACED;
use proto::snapshot::{EntrySnapshot, NOBODY, SessionSnapshot, SessionState, Term};
use xmpp::Epoch;

use super::*;
use crate::session::sm::{PATIENCE, SILENCE};

const FAR: u64 = 100;

/// As a standby keeps it, or a connection.
#[derive(Default)]
struct Kept {
    whole: Option<Bytes>,
    changes: Vec<Bytes>,
    /// What the connection was told.
    states: Vec<SessionSnapshot>,
}

impl Stage {
    /// As [`Stage::managed`], by a connection of this number.
    fn managed_by(number: u64) -> Self {
        let mut stage = Self::unmanaged_by(number);
        stage.client(number, ConnectionEvent::Enable { resume: true, max: None });
        stage
    }

    /// The same, and nothing is counted.
    fn unmanaged_by(number: u64) -> Self {
        let mut stage = Self::unstarted("a@x.org", Config::default());
        stage.trial.drowsy = false;
        let jid = FullJid::parse("a@x.org/r").unwrap();
        let connection = connection(number);
        stage.hears(Body::User(UserEvent::Start { connection, jid, iq_id: "b".into() }));
        stage
    }

    /// The end of a turn. A connection that is told something has it at once.
    fn mirrors(&mut self, kept: &mut Kept) {
        let receipts = self.tells_copies(kept);
        let has_told = !receipts.is_empty();
        receipts.into_iter().for_each(Receipt::release);
        if has_told {
            self.tells_copies(kept).into_iter().for_each(Receipt::release);
        }
    }

    /// The end of a turn: what the connection must have for these to be released.
    fn tells_copies(&mut self, kept: &mut Kept) -> Vec<Receipt> {
        let (mirror, sent) = self.trial.mirror(kept.whole.is_none());
        let mut receipts = Vec::new();
        for envelope in sent {
            receipts.extend(envelope.receipt);
            match envelope.body {
                Body::ToConnection(ConnectionCommand::Keep(session)) => kept.states.push(*session),
                // Of a connection that has lost the session.
                Body::ToConnection(ConnectionCommand::Close(Some(_))) => {}
                body => panic!("unexpected {body:?}"),
            }
        }
        match mirror {
            Mirror::Whole(whole) => {
                *kept = Kept { whole: Some(whole), changes: vec![], ..std::mem::take(kept) };
            }
            Mirror::Change(change) => kept.changes.push(change),
            Mirror::Same => {}
            Mirror::Nothing => panic!("a session that lives has a copy"),
        }
        receipts
    }

    /// Another session that goes on from copies.
    fn taking_over(copies: Vec<Copy>) -> Self {
        let mut stage = Self::unstarted("a@x.org", Config::default());
        stage.trial.drowsy = false;
        let sent = stage.trial.take_over(copies).unwrap();
        stage.note(sent);
        stage
    }
}

impl Kept {
    /// As it stands.
    fn copied(&self) -> Copy {
        let whole = self.whole.clone().expect("there is a copy");
        Copy { epoch: Epoch(1), whole, changes: self.changes.clone(), of_socket: false }
    }

    fn copy(self) -> Copy {
        let whole = self.whole.expect("there is a copy");
        Copy { epoch: Epoch(1), whole, changes: self.changes, of_socket: false }
    }
}

/// As a connection says it.
fn copy_of(session: SessionSnapshot) -> Copy {
    let whole = SessionState::Live(Box::new(session)).encode();
    Copy { epoch: Epoch(1), whole, changes: Vec::new(), of_socket: true }
}

fn entry() -> Body {
    let entry = EntrySnapshot { available: true, priority: 3, ..EntrySnapshot::default() };
    let jid = FullJid::parse("a@x.org/r").unwrap();
    let (connection, resumption, stream, term) = Default::default();
    let session =
        SessionSnapshot { uid: UID, jid, connection, resumption, stream, entry: Some(entry), term };
    Body::User(UserEvent::Kept(Box::new(session)))
}

#[test]
fn a_standby_learns_turn_by_turn_what_a_session_needs_to_be_resumed() {
    let (mut stage, mut kept) = (Stage::managed_by(1), Kept::default());
    stage.mirrors(&mut kept);
    for text in ["one", "two", "three"] {
        stage.gets(message(text));
        stage.mirrors(&mut kept);
    }
    stage.hears(entry());
    stage.mirrors(&mut kept);
    stage.client(1, ConnectionEvent::Ack { h: 1 });
    stage.mirrors(&mut kept);
    assert_eq!(kept.changes.len(), 5, "each turn is a change");
    let id = stage.id;
    let mut stage = Stage::taking_over(vec![kept.copy()]);
    assert_eq!(stage.said, ["user: kept, priority 3, waits"]);
    stage.id = id;
    stage.resumes(2, 2);
    assert_eq!(stage.said, ["2: resumed 0", "user: attached", "2: three", "2: r"]);
}

// Else whoever goes on from that copy takes the session for one of somebody who is not there, and gives it nothing.
#[test]
fn the_first_copy_of_a_session_that_has_moved_has_what_its_user_keeps_of_it() {
    for connection in [1, FAR] {
        let mut stage = Stage::managed_by(connection);
        stage.hears(entry());
        stage.mirrors(&mut Kept::default());
        stage.trial.nap();
        let mut kept = Kept::default();
        stage.mirrors(&mut kept);
        let copy = match kept.states.pop() {
            Some(state) => copy_of(SessionSnapshot { connection: None, ..state }),
            None => kept.copy(),
        };
        assert_eq!(Stage::taking_over(vec![copy]).said, ["user: kept, priority 3, waits"]);
    }
}

#[test]
fn a_turn_that_changes_nothing_says_nothing() {
    let (mut stage, mut kept) = (Stage::managed_by(1), Kept::default());
    stage.mirrors(&mut kept);
    stage.client(1, ConnectionEvent::Ack { h: 0 });
    stage.mirrors(&mut kept);
    assert!(kept.changes.is_empty());
}

#[test]
fn a_connection_elsewhere_is_told_only_what_it_does_not_see() {
    let (mut stage, mut kept) = (Stage::managed_by(FAR), Kept::default());
    stage.mirrors(&mut kept);
    assert_eq!(kept.states.len(), 1, "where it begins");
    stage.gets(message("seen"));
    stage.client(FAR, ConnectionEvent::Ack { h: 1 });
    stage.mirrors(&mut kept);
    assert_eq!(kept.states.len(), 1, "it sees that itself");
    stage.client(FAR, ConnectionEvent::Clogged);
    stage.gets(message("waits"));
    stage.mirrors(&mut kept);
    let stream = kept.states[1].stream.as_ref().unwrap();
    assert_eq!((kept.states.len(), stream.queue.len()), (2, 1));
    stage.hears(entry());
    stage.mirrors(&mut kept);
    assert_eq!((kept.states.len(), kept.states[2].entry.is_some()), (3, true));
    assert!(kept.states[2].stream.as_ref().unwrap().queue.is_empty());
    let SessionState::Live(stub) = SessionState::decode(&kept.whole.unwrap()).unwrap() else {
        panic!("it lives");
    };
    assert!(stub.stream.is_none() && stub.entry.unwrap().available, "the standby has a stub");
}

#[test]
fn the_client_hears_of_what_is_handled_when_the_standby_knows_it() {
    let (mut stage, mut kept) = (Stage::managed_by(1), Kept::default());
    stage.mirrors(&mut kept);
    stage.client(1, ConnectionEvent::Stanza(message("out")));
    stage.settles();
    assert!(stage.said.is_empty(), "{:?}", stage.said);
    stage.mirrors(&mut kept);
    assert_eq!(kept.changes.len(), 1);
    // The trial confirms at once what the copy was told.
    stage.settles();
    assert_eq!(stage.said, ["1: handled 1, 0 open"]);
}

// It is asked of each session of a shard that is to move.
#[test]
fn a_client_that_does_not_count_waits_for_no_standby_and_one_that_begins_to_does() {
    let mut stage = Stage::unmanaged_by(1);
    let mut kept = Kept::default();
    stage.mirrors(&mut kept);
    assert!(stage.trial.entity.is_settled());
    stage.gets(message("one"));
    stage.mirrors(&mut kept);
    assert!(stage.trial.entity.is_settled());
    stage.client(1, ConnectionEvent::Enable { resume: true, max: None });
    stage.mirrors(&mut kept);
    assert!(!stage.trial.entity.is_settled(), "the standby is told so");
    stage.settles();
    assert!(stage.trial.entity.is_settled());
}

#[test]
fn the_client_is_given_only_what_the_standby_knows() {
    let (mut stage, mut kept) = (Stage::managed_by(1), Kept::default());
    stage.mirrors(&mut kept);
    stage.gets(message("one"));
    assert!(stage.said.is_empty(), "{:?}", stage.said);
    stage.mirrors(&mut kept);
    stage.settles();
    assert_eq!(stage.said, ["1: one", "1: r"]);
    stage.gets(message("two"));
    assert!(stage.said.is_empty(), "{:?}", stage.said);
    stage.mirrors(&mut kept);
    stage.settles();
    assert_eq!(stage.said, ["1: two"]);
}

#[test]
fn what_the_client_has_or_will_get_is_not_given_once_more_when_it_comes_again() {
    for (number, given) in [(1, 1), (1, 0), (FAR, 1), (FAR, 0)] {
        let (mut stage, mut kept) = (Stage::managed_by(number), Kept::default());
        stage.mirrors(&mut kept);
        let mut far = (number == FAR).then(|| kept.states.remove(0));
        for (seq, text) in [(1, "one"), (2, "two")] {
            let origin = stage.gets_from(seq, text, false);
            stage.mirrors(&mut kept);
            if let Some(copy) = &mut far {
                copy.given((&message(text), origin), 0);
            }
        }
        stage.settles();
        stage.client(number, ConnectionEvent::Ack { h: given });
        stage.mirrors(&mut kept);
        if let Some(copy) = &mut far {
            copy.acknowledged(given);
            // Its member has died as well.
            copy.connection = None;
        }
        let id = stage.id;
        let mut stage = Stage::taking_over(vec![far.map_or_else(|| kept.copy(), copy_of)]);
        stage.id = id;
        for (seq, text) in [(1, "one"), (2, "two"), (3, "three")] {
            stage.gets_from(seq, text, true);
        }
        stage.resumes(2, given);
        let rest = ["2: one", "2: two", "2: three"];
        let rest = &rest[usize::try_from(given).unwrap()..];
        assert_eq!(stage.said, [&["2: resumed 0", "user: attached"], rest, &["2: r"]].concat());
    }
}

#[test]
fn whoever_sends_once_more_waits_until_the_copy_knows_what_it_repeats() {
    let (mut stage, mut kept) = (Stage::managed_by(1), Kept::default());
    stage.mirrors(&mut kept);
    stage.gets_from(1, "one", false);
    stage.mirrors(&mut kept);
    stage.gets_from(1, "one", true);
    stage.mirrors(&mut kept);
    assert_eq!(kept.changes.len(), 2, "what it says carries the responsibility along");
}

#[test]
fn what_a_client_says_after_a_death_is_marked_as_said_again() {
    let (mut stage, mut kept) = (Stage::managed_by(1), Kept::default());
    stage.mirrors(&mut kept);
    stage.client(1, ConnectionEvent::Stanza(message("out")));
    let id = stage.id;
    let mut stage = Stage::taking_over(vec![kept.copy()]);
    stage.id = id;
    stage.resumes(2, 0);
    stage.client(2, ConnectionEvent::Stanza(message("out")));
    let origin = Origin::Client { session: UID, seq: 1, part: 0 };
    assert_eq!((&stage.origins[..], stage.again), (&[origin][..], true));
}

// Nobody tells a connection what of that a process that is gone has acted on, so its way there says all of it again.
#[test]
fn what_a_client_says_that_does_not_count_keeps_its_place_when_it_comes_again() {
    let mut stage = Stage::unstarted("a@x.org", Config::default());
    stage.trial.drowsy = false;
    let jid = FullJid::parse("a@x.org/r").unwrap();
    let far = connection(FAR);
    stage.hears(Body::User(UserEvent::Start { connection: far, jid, iq_id: "b".into() }));
    let mut kept = Kept::default();
    stage.mirrors(&mut kept);
    let mut copy = kept.states.remove(0);
    let placed = |seq| Origin::Client { session: 9, seq, part: PLACED };
    let says = |text| Body::FromConnection(far, ConnectionEvent::Stanza(message(text)));
    for (seq, text) in [(1, "one"), (2, "two")] {
        stage.trial.receive_as(stage.to(), says(text), placed(seq));
    }
    let answer = Origin::Client { session: UID, seq: 2, part: 0 };
    copy.given((&message("answer"), answer), 0);
    // The connection has said three.
    (copy.connection, copy.stream.as_mut().unwrap().seq) = (Some(far), 3);
    let mut stage = Stage::taking_over(vec![copy_of(copy)]);
    for (seq, text) in [(2, "two"), (3, "three")] {
        let sent = stage.trial.receive_again(stage.to(), says(text), placed(seq));
        stage.note(sent);
        let origin = Origin::Client { session: UID, seq, part: 0 };
        assert_eq!((stage.origins.pop(), stage.again), (Some(origin), true));
    }
    let sent = stage.trial.receive_again(stage.to(), Body::Stanza(message("answer")), answer);
    assert!(sent.is_empty(), "the client has it");
    let sent = stage.trial.receive_as(stage.to(), says("four"), placed(4));
    stage.note(sent);
    let origin = Origin::Client { session: UID, seq: 4, part: 0 };
    assert_eq!((stage.origins.pop(), stage.again), (Some(origin), false));
}

#[test]
fn what_a_connection_announces_goes_on_where_it_was() {
    let (mut stage, mut kept) = (Stage::managed_by(FAR), Kept::default());
    stage.mirrors(&mut kept);
    let mut copy = kept.states.remove(0);
    copy.given((&message("given"), NOBODY), 0);
    copy.connection = Some(connection(FAR + 1));
    if let Some(stream) = &mut copy.stream {
        stream.queue.push(proto::snapshot::QueuedStanza {
            stanza: message("waits"),
            at: 5,
            mark: None,
            origin: None,
        });
    }
    let mut stage = Stage::taking_over(vec![copy_of(copy)]);
    assert_eq!(stage.said, ["user: kept, priority 0, attached", "101: waits", "101: r"]);
    stage.client(FAR + 1, ConnectionEvent::Stanza(message("out")));
    assert_eq!(stage.origins, [Origin::Client { session: UID, seq: 1, part: 0 }]);
    // Whatever comes of the connection's former name is late.
    stage.client(FAR, ConnectionEvent::Stanza(message("late")));
    assert_eq!(stage.said, ["100: close conflict"]);
}

// Whether it has answered died with the owner that had asked: nobody may wait for that in vain.
#[test]
fn a_client_whose_owner_has_died_is_asked_anew_and_not_held_for_silent() {
    let (mut stage, mut kept) = (Stage::managed_by(FAR), Kept::default());
    stage.mirrors(&mut kept);
    stage.gets(message("one"));
    assert_eq!(stage.said[..2], ["100: one", "100: r"]);
    stage.hears(entry());
    stage.mirrors(&mut kept);
    let [mut copy, news] = kept.states.try_into().unwrap();
    copy.given((&message("one"), NOBODY), 0);
    copy.absorb(news);
    copy.connection = Some(connection(FAR + 1));
    let answered = {
        let mut copy = copy.clone();
        copy.acknowledged(1);
        copy
    };
    for (copy, asks) in [(copy, &["101: r"][..]), (answered, &[])] {
        let mut stage = Stage::taking_over(vec![copy_of(copy)]);
        assert_eq!(stage.said[0], "user: kept, priority 3, attached");
        assert_eq!(stage.said[1..], *asks);
        stage.said.clear();
        stage.waits(SILENCE);
        assert_eq!(stage.said.is_empty(), asks.is_empty(), "{:?}", stage.said);
    }
}

#[test]
fn of_two_copies_the_one_with_the_later_term_counts() {
    let (mut stage, mut kept) = (Stage::managed_by(FAR), Kept::default());
    stage.mirrors(&mut kept);
    let id = stage.id;
    let copy = |since, text: &str, connection| {
        let mut copy = kept.states[0].clone();
        copy.term = Some(Term { epoch: Epoch(1), since });
        copy.connection = connection;
        copy.given((&message(text), NOBODY), 0);
        copy_of(copy)
    };
    // It was on the connection's own member, which has handed it over to one that died before the connection had a copy.
    let old = copy(5, "old", Some(connection(FAR + 1)));
    let new = Copy { of_socket: false, ..copy(6, "new", Some(connection(FAR))) };
    let mut stage = Stage::taking_over(vec![old, new]);
    // Its client is to come again: nobody knows what it has.
    assert_eq!(stage.said, ["101: close resource-constraint", "user: kept, priority 0, waits"]);
    stage.id = id;
    stage.resumes(2, 0);
    assert_eq!(stage.said, ["2: resumed 0", "user: attached", "2: new", "2: r"]);
}

#[test]
fn a_session_of_which_a_stub_is_left_is_there_until_its_time_is_over() {
    let (mut stage, mut kept) = (Stage::managed_by(FAR), Kept::default());
    stage.hears(entry());
    stage.mirrors(&mut kept);
    let id = stage.id;
    let mut stage = Stage::taking_over(vec![kept.copy()]);
    assert_eq!(stage.said, ["user: kept, priority 3, waits"]);
    stage.id = id;
    stage.resumes(2, 0);
    assert_eq!(stage.said, ["2: not resumed"]);
    let max = Config::default().resume;
    stage.waits(max - Duration::from_secs(1));
    assert!(stage.said.is_empty());
    stage.gets(message("for later"));
    stage.waits(Duration::from_secs(1));
    assert_eq!(stage.said, ["user: ended [for later]"]);
}

#[test]
fn a_client_that_has_more_than_its_copy_knew_is_resumed_all_the_same() {
    let (mut stage, mut kept) = (Stage::managed_by(1), Kept::default());
    stage.gets(message("one"));
    stage.mirrors(&mut kept);
    let id = stage.id;
    let mut stage = Stage::taking_over(vec![kept.copy()]);
    stage.id = id;
    stage.resumes(2, 2);
    assert_eq!(stage.said, ["2: resumed 0", "user: attached"]);
    stage.gets(message("three"));
    stage.client(2, ConnectionEvent::Ack { h: 3 });
    assert!(stage.said.is_empty(), "{:?}", stage.said);
}

// The owner may be gone before the connection has what it was told.
#[test]
fn the_standby_keeps_all_it_has_until_the_connection_has_it() {
    let (mut stage, mut kept) = (Stage::managed_by(1), Kept::default());
    stage.gets(message("one"));
    stage.mirrors(&mut kept);
    stage.settles();
    let id = stage.id;
    stage.resumes(FAR, 0);
    let receipts = stage.tells_copies(&mut kept);
    assert_eq!((kept.states.len(), receipts.len()), (1, 1));
    let mut heir = Stage::taking_over(vec![kept.copied()]);
    heir.id = id;
    heir.resumes(2, 0);
    assert_eq!(heir.said, ["2: resumed 0", "user: attached", "2: one", "2: r"]);
    receipts.into_iter().for_each(Receipt::release);
    stage.tells_copies(&mut kept);
    let SessionState::Live(stub) = SessionState::decode(&kept.whole.unwrap()).unwrap() else {
        panic!("it lives");
    };
    assert!(stub.stream.is_none(), "the connection has the rest");
}

#[test]
fn a_connection_that_may_not_have_what_it_was_told_is_told_all_once_more() {
    let (mut stage, mut kept) = (Stage::managed_by(FAR), Kept::default());
    drop(stage.tells_copies(&mut kept));
    stage.gets(message("one"));
    assert!(stage.tells_copies(&mut kept).is_empty() && kept.whole.is_none());
    stage.mirrors(&mut kept);
    let stream = kept.states.pop().unwrap().stream.unwrap();
    assert_eq!((kept.states.len(), stream.queue.len()), (1, 0), "it was given that");
    assert!(kept.whole.is_some());
}

#[test]
fn a_client_that_comes_by_another_connection_is_answered_when_a_standby_has_all() {
    for number in [FAR + 1, 1] {
        let (mut stage, mut kept) = (Stage::managed_by(FAR), Kept::default());
        stage.mirrors(&mut kept);
        stage.resumes(number, 0);
        assert!(stage.said.is_empty(), "{:?}", stage.said);
        stage.mirrors(&mut kept);
        let SessionState::Live(whole) = SessionState::decode(kept.whole.as_ref().unwrap()).unwrap()
        else {
            panic!("it lives");
        };
        assert!(whole.stream.is_some(), "the standby has all");
        stage.settles();
        let resumed = [format!("{number}: resumed 0"), "user: attached".to_owned()];
        assert_eq!(stage.said, resumed);
        // The former connection keeps its copy until the other one has it.
        let receipts = stage.tells_copies(&mut kept);
        assert_eq!(receipts.len(), usize::from(number != 1));
        receipts.into_iter().for_each(Receipt::release);
    }
}

// What it was told before would be more than whoever takes over knew: it says its next stanzas under numbers that are taken.
#[test]
fn a_client_that_resumes_is_told_nothing_that_the_standby_does_not_know_however_long_that_takes() {
    for is_seen in [true, false] {
        let (mut stage, mut kept) = (Stage::managed_by(1), Kept::default());
        stage.mirrors(&mut kept);
        stage.client(1, ConnectionEvent::Stanza(message("out")));
        stage.receipts.drain(..).for_each(Receipt::release);
        if is_seen {
            stage.settles();
        }
        stage.resumes(2, 0);
        stage.waits(2 * PATIENCE);
        assert_eq!(stage.said, [] as [&str; 0]);
        stage.mirrors(&mut kept);
        stage.settles();
        assert_eq!(stage.said, ["2: resumed 1", "user: attached"]);
    }
}

// A former standby may have left a copy of the same entity by the same epoch.
#[test]
fn another_standby_has_the_better_copy() {
    let (mut stage, mut old, mut new) = (Stage::managed_by(1), Kept::default(), Kept::default());
    stage.mirrors(&mut old);
    stage.waits(Duration::from_millis(1));
    stage.gets(message("one"));
    stage.mirrors(&mut new);
    let id = stage.id;
    for copies in [[old.copied(), new.copied()], [new.copied(), old.copied()]] {
        let mut stage = Stage::taking_over(copies.into());
        stage.id = id;
        stage.resumes(2, 0);
        assert_eq!(stage.said, ["2: resumed 0", "user: attached", "2: one", "2: r"]);
    }
}

// What it had told a standby that is gone does not count, and what there is need not grow before the next one knows it.
#[test]
fn a_client_that_resumes_gets_all_when_another_standby_has_it() {
    let (mut stage, mut kept) = (Stage::managed_by(1), Kept::default());
    stage.mirrors(&mut kept);
    stage.gets(message("one"));
    stage.mirrors(&mut kept);
    // Before that is confirmed there is no standby any more, and then another one.
    stage.trial.has_standby = false;
    stage.client(1, ConnectionEvent::Ack { h: 0 });
    stage.settles();
    let mut other = Kept::default();
    stage.mirrors(&mut other);
    stage.resumes(2, 0);
    let mut said = stage.said.clone();
    stage.mirrors(&mut other);
    stage.settles();
    said.append(&mut stage.said);
    assert!(said.contains(&"2: one".to_owned()), "{said:?}");
}

#[test]
fn copies_that_cannot_be_read_are_no_session() {
    let (whole, changes) = (Bytes::from_static(b"x"), Vec::new());
    let copy = Copy { epoch: Epoch(1), whole, changes, of_socket: false };
    let mut stage = Stage::unstarted("a@x.org", Config::default());
    assert!(stage.trial.take_over(vec![copy]).is_err());
}
