//! Snapshots written and read, by chance and by hand.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use xmpp::{BareJid, Head, IqType, MessageType, Origin, PresenceType, Shard};

use super::*;
use crate::member::{ArbiterId, MemberId};
use crate::route::SessionId;
use crate::seen::Mark;

fn stanza() -> impl Strategy<Value = Stanza> {
    let kind = prop_oneof![
        Just(xmpp::Kind::Message(MessageType::Chat)),
        Just(xmpp::Kind::Message(MessageType::Normal)),
        Just(xmpp::Kind::Iq(IqType::Get)),
        Just(xmpp::Kind::Presence(PresenceType::Unavailable)),
    ];
    (kind, "[a-z'<&\"\n ]{0,8}", "[a-zé<>&\"' \n\t]{0,20}").prop_map(|(kind, id, text)| {
        let from = Jid::parse("a@x.org/r").ok();
        let head = Head { kind, id: Some(id.into()), from, to: None, lang: Some("en".into()) };
        let body = xmpp::Element::new("body", "").with_text(text);
        Stanza::build(head, &[body, xmpp::Element::new("x", "urn:x")])
    })
}

fn presence() -> Stanza {
    let kind = xmpp::Kind::Presence(PresenceType::Available);
    let head = Head { kind, id: None, from: Jid::parse("a@x.org/r").ok(), to: None, lang: None };
    Stanza::new(head, "<priority>-3</priority>")
}

fn queued() -> impl Strategy<Value = QueuedStanza> {
    (stanza(), any::<u64>(), any::<Option<u64>>(), option::of(origin()))
        .prop_map(|(stanza, at, mark, origin)| QueuedStanza { stanza, at, mark, origin })
}

fn origin() -> impl Strategy<Value = Origin> {
    (any::<(u64, u64, u16)>(), option::of(0..Shard::COUNT)).prop_map(
        |((cause, number, part), shard)| match shard.and_then(Shard::new) {
            Some(shard) => Origin::Shard { shard, epoch: Epoch(cause), counter: number },
            None => Origin::Client { session: cause, seq: number, part },
        },
    )
}

fn seen() -> impl Strategy<Value = Seen> {
    vec(origin(), 0..4).prop_map(|origins| {
        let mut seen = Seen::default();
        for origin in origins {
            seen.see(Mark::new(origin, Some("a@x")), false, WINDOWS);
        }
        seen
    })
}

fn slot() -> impl Strategy<Value = SlotSnapshot> {
    ("[a-z]{1,9}", vec(any::<u8>(), 0..9))
        .prop_map(|(name, value)| SlotSnapshot { name, value: value.into() })
}

fn connection() -> impl Strategy<Value = ConnectionId> {
    (any::<u64>(), any::<u16>(), any::<u64>()).prop_map(|(member, arbiter, number)| ConnectionId {
        member: MemberId(member),
        arbiter: ArbiterId(arbiter),
        number,
    })
}

fn resumption() -> impl Strategy<Value = Resumption> {
    (any::<[u8; 16]>(), any::<u32>(), any::<Option<u64>>()).prop_map(|(secret, max, deadline)| {
        Resumption { secret, max: Duration::from_micros(max.into()), deadline }
    })
}

fn counts() -> impl Strategy<Value = Counts> {
    (any::<u32>(), any::<Option<u64>>(), any::<(u32, u32)>(), any::<bool>()).prop_map(
        |(handled, asked, unasked, listening)| Counts {
            handled: handled.into(),
            asked,
            unasked,
            listening,
        },
    )
}

fn stream() -> impl Strategy<Value = StreamSnapshot> {
    let queues = (vec(queued(), 0..4), vec(queued(), 0..3), any::<proptest::sample::Index>());
    let flags = (any::<(bool, bool)>(), seen());
    (option::of(counts()), any::<(u32, u32)>(), queues, flags).prop_map(
        |(counts, (before, acked), (queue, held, handed), ((inactive, clogged), seen))| {
            StreamSnapshot {
                seq: counts.map_or(0, |counts| counts.handled) + u64::from(before),
                counts,
                acked: acked.into(),
                handed: u32::try_from(handed.index(queue.len() + 1)).unwrap(),
                queue,
                held,
                state: if inactive { ClientState::Inactive } else { ClientState::Active },
                clogged,
                resuming: None,
                marks: vec![(acked.into(), before.into())],
                let_out: !clogged,
                seen,
                again_until: before.into(),
            }
        },
    )
}

fn drain() -> impl Strategy<Value = DrainSnapshot> {
    (any::<Option<u64>>(), vec(any::<(u64, u64)>(), 0..4), any::<bool>())
        .prop_map(|(after, under_way, caught_up)| DrainSnapshot { after, under_way, caught_up })
}

fn entry() -> impl Strategy<Value = EntrySnapshot> {
    let times = (any::<Option<u64>>(), option::of(drain()));
    (any::<(bool, i8, bool, bool)>(), times, vec(slot(), 0..3), 0..3_usize).prop_map(
        |((available, priority, interested, attached), (takes_since, drain), slots, directed)| {
            EntrySnapshot {
                available,
                presence: available.then(presence),
                priority,
                interested,
                directed: (0..directed)
                    .map(|i| Jid::parse(&format!("c{i}@y/é")).unwrap())
                    .collect(),
                inside: (1..directed).map(|i| Jid::parse(&format!("c{i}@y/é")).unwrap()).collect(),
                attached,
                takes_since,
                slots,
                drain,
            }
        },
    )
}

fn session() -> impl Strategy<Value = SessionSnapshot> {
    let term = option::of(any::<(u64, u64)>());
    let parts = (option::of(stream()), option::of(entry()), term);
    (any::<u64>(), option::of(connection()), option::of(resumption()), parts).prop_map(
        |(uid, connection, resumption, (stream, entry, term))| SessionSnapshot {
            uid,
            jid: FullJid::parse("a@x.org/balcony ☃").unwrap(),
            connection,
            resumption,
            stream,
            entry,
            term: term.map(|(epoch, since)| Term { epoch: Epoch(epoch), since }),
        },
    )
}

proptest! {
    #[test]
    fn a_session_reads_back_as_it_was_written(session in session()) {
        prop_assert_eq!(SessionSnapshot::decode(&session.encode()), Ok(session));
    }

    #[test]
    fn a_user_reads_back_as_it_was_written(
        session in session(), slots in vec(slot(), 0..3), last_id in any::<u64>(),
        refused in vec(stanza(), 0..3), failures in any::<u32>()
    ) {
        let user = UserSnapshot { sessions: vec![session], last_id, slots, refused, failures };
        prop_assert_eq!(UserSnapshot::decode(&user.encode()), Ok(user));
    }

    #[test]
    fn chance_bytes_are_refused_or_read_and_do_no_harm(bytes in vec(any::<u8>(), 0..200)) {
        drop(SessionSnapshot::decode(&bytes));
        drop(UserSnapshot::decode(&bytes));
        drop(EntitySnapshot::decode(&bytes));
    }

    #[test]
    fn one_wrong_byte_does_no_harm(
        session in session(), at in any::<proptest::sample::Index>(), byte in any::<u8>()
    ) {
        let mut bytes = session.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = SessionSnapshot::decode(&bytes) {
            prop_assert_eq!(SessionSnapshot::decode(&read.encode()), Ok(read));
        }
    }
}

fn account() -> BareJid {
    BareJid::parse("a@x.org").unwrap()
}

fn plain() -> SessionSnapshot {
    SessionSnapshot {
        uid: 7,
        jid: FullJid::parse("romeo@montague.example/orchard-1f").unwrap(),
        connection: Some(ConnectionId {
            member: MemberId(1 << 60),
            arbiter: ArbiterId(3),
            number: 9,
        }),
        resumption: Some(Resumption {
            secret: *b"0123456789abcdef",
            max: Duration::from_secs(600),
            deadline: None,
        }),
        stream: Some(StreamSnapshot::default()),
        entry: Some(EntrySnapshot {
            available: true,
            presence: Some(presence()),
            priority: -3,
            attached: true,
            directed: vec![Jid::parse("room@conference.x.org/n").unwrap()],
            inside: vec![Jid::parse("room@conference.x.org/n").unwrap()],
            ..EntrySnapshot::default()
        }),
        term: Some(Term { epoch: Epoch(1 << 32), since: 9_000_000 }),
    }
}

#[test]
fn a_stub_says_who_is_there_and_whom_it_told_in_about_200_bytes() {
    let stub = plain().stub();
    let bytes = stub.encode();
    assert!(bytes.len() <= 200, "{} bytes", bytes.len());
    let read = SessionSnapshot::decode(&bytes).unwrap();
    let entry = read.entry.unwrap();
    assert!(read.stream.is_none() && entry.presence.is_none());
    assert_eq!((entry.directed.len(), entry.inside.len()), (1, 1));
    assert!(entry.available && entry.attached && entry.priority == -3);
    assert_eq!((read.connection, read.resumption), (plain().connection, plain().resumption));
}

#[test]
fn an_entity_reads_back_with_its_timers() {
    let timers = vec![TimerSnapshot { name: "expire".into(), number: 2, due: 9 }];
    let id = SessionId { account: account(), uid: 7 };
    for route in [Route::User(account()), Route::Session(id), Route::Room(account())] {
        let (state, timers) = ("s".into(), timers.clone());
        let entity = EntitySnapshot { route, state, timers, handed_over: Some(7) };
        assert_eq!(EntitySnapshot::decode(&entity.encode().unwrap()), Ok(entity));
    }
    let domain = Route::Domain(BareJid::parse("x.org").unwrap());
    let entity = EntitySnapshot { route: domain, state: "".into(), timers, handed_over: None };
    assert_eq!(entity.encode(), None);
}

#[test]
fn a_session_that_nobody_resumed_reads_back() {
    let expired = SessionState::Expired { secret: *b"0123456789abcdef", h: 7 };
    let live = SessionState::Live(Box::new(plain()));
    for state in [expired, live] {
        assert!(SessionState::decode(&state.encode()) == Ok(state));
    }
    assert!(SessionState::decode(b"") == Err(SnapshotError("form")));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let wrong = |change: fn(&mut SessionSnapshot)| {
        let mut session = plain();
        change(&mut session);
        SessionSnapshot::decode(&session.encode()).unwrap_err().0
    };
    let stream = |session: &mut SessionSnapshot, change: fn(&mut StreamSnapshot)| {
        change(session.stream.as_mut().unwrap());
    };
    assert_eq!(wrong(|it| it.stream.as_mut().unwrap().handed = 1), "count");
    assert_eq!(wrong(|it| it.stream.as_mut().unwrap().acked = u64::MAX), "count");
    let ahead = Counts { handled: 1, ..Counts::default() };
    let mut session = plain();
    stream(&mut session, |stream| stream.seq = 0);
    session.stream.as_mut().unwrap().counts = Some(ahead);
    assert_eq!(SessionSnapshot::decode(&session.encode()), Err(SnapshotError("count")));
    assert_eq!(wrong(|it| it.entry.as_mut().unwrap().available = false), "presence");
    let resuming_nobody = |it: &mut SessionSnapshot| {
        it.connection = None;
        it.stream.as_mut().unwrap().resuming = Some(3);
    };
    assert_eq!(wrong(resuming_nobody), "connection");
    let twice = UserSnapshot { sessions: vec![plain(), plain()], ..UserSnapshot::default() };
    assert_eq!(UserSnapshot::decode(&twice.encode()), Err(SnapshotError("sessions")));
}

#[test]
fn a_stanza_that_is_not_whole_is_refused() {
    let item =
        |stanza: &'static str| pb::Item { stanza: stanza.into(), at: 0, mark: None, origin: None };
    for torn in ["", "<message", "<message xmlns='jabber:client'><body></message>", "<x/>", "a"] {
        let stream = pb::Stream { queue: vec![item(torn)], ..pb::Stream::default() };
        assert_eq!(StreamSnapshot::try_from(stream), Err(SnapshotError("stanza")), "{torn}");
    }
}

#[test]
fn the_secret_is_not_in_the_debug_form() {
    assert!(!format!("{:?}", plain()).contains("48, 49"));
}
