//! Sessions as rows and back.

use std::time::Duration;

use proto::snapshot::{Counts, Resumption};
use proto::{ArbiterId, ConnectionId, MemberId};
use xmpp::FullJid;

use super::*;

const NOW: u64 = 1_700_000_000_000_000;

fn account() -> BareJid {
    BareJid::parse("romeo@x.org").unwrap()
}

fn session(uid: u64) -> SessionSnapshot {
    SessionSnapshot {
        uid,
        jid: FullJid::parse(&format!("romeo@x.org/r{uid}")).unwrap(),
        connection: None,
        resumption: Some(Resumption {
            secret: [3; 16],
            max: Duration::from_secs(600),
            deadline: Some(NOW + 5),
        }),
        stream: Some(StreamSnapshot {
            seq: 4,
            counts: Some(Counts { handled: 4, ..Counts::default() }),
            ..StreamSnapshot::default()
        }),
        entry: None,
        term: None,
    }
}

fn of_session(session: SessionSnapshot) -> EntitySnapshot {
    let route = Route::Session(SessionId { account: account(), uid: session.uid });
    entity(route, SessionState::Live(Box::new(session)).encode())
}

fn of_users_sessions(uids: &[u64]) -> EntitySnapshot {
    let kept = EntrySnapshot { attached: true, interested: true, ..EntrySnapshot::default() };
    let entry = |uid: &u64| SessionSnapshot {
        entry: Some(kept.clone()),
        stream: None,
        resumption: None,
        ..session(*uid)
    };
    let sessions = uids.iter().map(entry).collect();
    entity(Route::User(account()), UserSnapshot { sessions, ..UserSnapshot::default() }.encode())
}

fn kept(entities: &[EntitySnapshot]) -> Vec<Row> {
    let rows = rows(entities, NOW);
    let row = |write: Write| match write {
        Write::Put(Key { kind, item, .. }, value) => Row { kind, item, value },
        other => panic!("a row is put: {other:?}"),
    };
    let mut rows: Vec<_> = rows.into_iter().flat_map(|(_, writes)| writes).map(row).collect();
    rows.sort_by(|a, b| a.item.cmp(&b.item));
    rows
}

fn read_sessions(rows: &[Row]) -> Vec<SessionSnapshot> {
    rows.iter().map(|row| SessionSnapshot::decode(&row.value).unwrap()).collect()
}

#[test]
fn sessions_that_wait_go_on_in_their_order_with_what_their_user_kept() {
    let rows = kept(&[of_session(session(1)), of_users_sessions(&[9, 1]), of_session(session(9))]);
    assert_eq!(read_sessions(&rows).iter().map(|it| it.uid).collect::<Vec<_>>(), [9, 1]);
    let (entities, faults) = entities(&account(), &rows);
    assert!(faults.is_empty());
    let routes: Vec<_> = entities.iter().map(|it| it.route.clone()).collect();
    let id = |uid| Route::Session(SessionId { account: account(), uid });
    assert_eq!(routes, [Route::User(account()), id(9), id(1)]);
    let user = UserSnapshot::decode(&entities[0].state).unwrap();
    let entry = user.sessions[0].entry.as_ref().unwrap();
    assert!(!entry.attached && entry.interested);
    let SessionState::Live(nine) = SessionState::decode(&entities[1].state).unwrap() else {
        panic!("it lives");
    };
    assert_eq!(*nine, session(9));
}

#[test]
fn a_session_that_somebody_still_holds_waits_from_now_on() {
    let mut held = session(1);
    let member = MemberId(1);
    held.connection = Some(ConnectionId { member, arbiter: ArbiterId(0), number: 1 });
    held.resumption.as_mut().unwrap().deadline = None;
    let stream = held.stream.as_mut().unwrap();
    (stream.clogged, stream.resuming) = (true, Some(3));
    stream.counts.as_mut().unwrap().asked = Some(NOW);
    let mut waits = session(1);
    waits.resumption.as_mut().unwrap().deadline = Some(NOW + 600_000_000);
    let rows = kept(&[of_session(held), of_users_sessions(&[1])]);
    let read = read_sessions(&rows).remove(0);
    assert_eq!(SessionSnapshot { entry: None, ..read }, waits);
}

#[test]
fn sessions_that_cannot_be_resumed_or_that_their_user_does_not_know_are_not_kept() {
    let lost = SessionSnapshot { resumption: None, ..session(1) };
    let expired = SessionState::Expired { secret: [0; 16], h: 1 }.encode();
    let route = Route::Session(SessionId { account: account(), uid: 2 });
    let all = [
        of_session(lost),
        entity(route, expired),
        of_session(session(3)),
        of_users_sessions(&[1, 2]),
    ];
    assert!(kept(&all).is_empty());
}

#[test]
fn rows_that_cannot_be_read_are_named_and_hold_up_nobody() {
    let mut rows = kept(&[of_session(session(1)), of_users_sessions(&[1])]);
    let wrong = |value: bytes::Bytes| Row { kind: Kind::Session, item: "x".into(), value };
    rows.push(wrong("?".into()));
    rows.push(wrong(session(4).encode()));
    let other = FullJid::parse("juliet@x.org/r").unwrap();
    rows.push(wrong(SessionSnapshot { jid: other, ..session(5) }.encode()));
    let (entities, faults) = entities(&account(), &rows);
    assert_eq!(entities.len(), 2);
    let faults: Vec<_> = faults.into_iter().map(|fault| fault.0).collect();
    assert_eq!(faults, ["form", "entry", "address"]);
}
