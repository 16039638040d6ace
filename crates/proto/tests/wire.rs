//! Tests of what travels between members: everything that can be sent comes back as it was, and nothing else does
//! harm.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod properties;

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use prost::Message as _;
use proto::session::{ClientState, ConnectionCommand, ConnectionEvent, Gone, UserEvent};
use proto::snapshot::SessionSnapshot;
use proto::wire::{self, Crossing, WireError, pb};
use proto::{
    Announced, ArbiterId, Body, ConnectionId, CopyId, CopyUpdate, Envelope, HeldStreams, Ledger,
    MemberId, RemoteId, Route, ServiceId, ServiceKind, SessionId, StreamId, TraceContext,
};
use xmpp::{
    BareJid, Bucket, Element, Epoch, ErrorType, FullJid, Head, Jid, Kind, MessageType, Origin,
    Shard, Stanza, StanzaCondition, StanzaError, StreamCondition, StreamError,
};

fn jids() -> impl Strategy<Value = Jid> {
    prop_oneof![
        "[a-z]{1,8}@[a-z]{1,8}(/[a-zA-Z ]{0,8}[a-z])?",
        "[a-z]{1,9}",
        "é@bücher\\.example/☃"
    ]
    .prop_map(|text| Jid::parse(&text).unwrap())
}

fn bares() -> impl Strategy<Value = BareJid> {
    jids().prop_map(|jid| jid.bare())
}

fn fulls() -> impl Strategy<Value = FullJid> {
    (bares(), "[a-z☃]{1,9}").prop_map(|(bare, resource)| bare.with_resource(&resource).unwrap())
}

fn texts() -> impl Strategy<Value = Arc<str>> {
    ".{0,12}".prop_map(Arc::from)
}

fn kinds() -> impl Strategy<Value = Kind> {
    const TYPES: [(&str, &[&str]); 3] = [
        ("message", &["", "chat", "groupchat", "headline", "error"]),
        (
            "presence",
            &[
                "",
                "unavailable",
                "subscribe",
                "subscribed",
                "unsubscribe",
                "unsubscribed",
                "probe",
                "error",
            ],
        ),
        ("iq", &["get", "set", "result", "error"]),
    ];
    let all: Vec<Kind> = TYPES
        .iter()
        .flat_map(|(name, types)| {
            types.iter().map(|ty| Kind::parse(name, (!ty.is_empty()).then_some(ty)).unwrap())
        })
        .collect();
    prop::sample::select(all)
}

fn elements() -> impl Strategy<Value = Element> {
    ("[a-z]{1,5}", "(urn:[a-z]{1,3})?", ".{0,9}").prop_map(|(name, ns, text)| {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        let element = Element::new(name, ns).with_attr("a", "<'>");
        if text.is_empty() { element } else { element.with_text(text) }
    })
}

fn stanzas() -> impl Strategy<Value = Stanza> {
    let head = (kinds(), of(texts()), of(jids()), of(jids()), of(texts()))
        .prop_map(|(kind, id, from, to, lang)| Head { kind, id, from, to, lang });
    (head, vec(elements(), 0..6)).prop_map(|(head, content)| Stanza::build(head, &content))
}

fn connections() -> impl Strategy<Value = ConnectionId> {
    any::<(u64, u16, u64)>().prop_map(|(member, arbiter, number)| ConnectionId {
        member: MemberId(member),
        arbiter: ArbiterId(arbiter),
        number,
    })
}

fn sessions() -> impl Strategy<Value = SessionId> {
    (bares(), any::<u64>()).prop_map(|(account, uid)| SessionId { account, uid })
}

fn stanza_errors() -> impl Strategy<Value = StanzaError> {
    const TYPES: [ErrorType; 5] = [
        ErrorType::Auth,
        ErrorType::Cancel,
        ErrorType::Continue,
        ErrorType::Modify,
        ErrorType::Wait,
    ];
    let conditions = prop::sample::select(StanzaCondition::ALL);
    let elements = (of(elements()), of(elements()));
    (prop::sample::select(&TYPES[..]), conditions, of(".{0,9}"), elements).prop_map(
        |(ty, condition, text, (detail, payload))| StanzaError {
            ty,
            condition,
            text,
            detail: detail.map(Box::new),
            payload: payload.map(Box::new),
        },
    )
}

fn stream_errors() -> impl Strategy<Value = StreamError> {
    (prop::sample::select(StreamCondition::ALL), of(".{0,9}"), of(".{0,9}"), of(elements()))
        .prop_map(|(condition, text, host, detail)| StreamError {
            condition,
            text,
            host,
            detail: detail.map(Box::new),
        })
}

fn durations() -> impl Strategy<Value = Duration> {
    (0..u64::MAX / 2).prop_map(Duration::from_micros)
}

fn states() -> impl Strategy<Value = ClientState> {
    prop_oneof![Just(ClientState::Active), Just(ClientState::Inactive)]
}

fn connection_events() -> impl Strategy<Value = ConnectionEvent> {
    prop_oneof![
        (of(texts()), texts(), any::<bool>()).prop_map(|(resource, iq_id, carbons)| {
            ConnectionEvent::Bind { resource, iq_id, carbons }
        }),
        any::<([u8; 16], u32)>().prop_map(|(secret, h)| ConnectionEvent::Resume { secret, h }),
        stanzas().prop_map(ConnectionEvent::Stanza),
        of(stanzas()).prop_map(ConnectionEvent::Answered),
        (any::<bool>(), of(durations()))
            .prop_map(|(resume, max)| ConnectionEvent::Enable { resume, max }),
        any::<u32>().prop_map(|h| ConnectionEvent::Ack { h }),
        states().prop_map(ConnectionEvent::ClientState),
        Just(ConnectionEvent::Drained),
        Just(ConnectionEvent::Clogged),
        Just(ConnectionEvent::Gone(Gone::Closed)),
        Just(ConnectionEvent::Gone(Gone::Lost)),
    ]
}

fn connection_commands() -> impl Strategy<Value = ConnectionCommand> {
    prop_oneof![
        (sessions(), fulls(), texts()).prop_map(|(session, jid, iq_id)| ConnectionCommand::Bound {
            session,
            jid,
            iq_id
        }),
        (stanza_errors(), texts())
            .prop_map(|(error, iq_id)| ConnectionCommand::BindRefused { error, iq_id }),
        (sessions(), fulls(), any::<u32>(), texts()).prop_map(|(session, jid, h, previd)| {
            ConnectionCommand::Resumed { session, jid, h, previd }
        }),
        of(any::<u32>()).prop_map(|h| ConnectionCommand::ResumeFailed { h }),
        (of(texts()), durations()).prop_map(|(id, max)| ConnectionCommand::Enabled { id, max }),
        stanzas().prop_map(ConnectionCommand::Stanza),
        "<r/>|☃{0,3}".prop_map(|bytes| ConnectionCommand::Nonza(bytes.into_bytes().into())),
        any::<(u32, usize)>().prop_map(|(h, open)| ConnectionCommand::Handled { h, open }),
        kept().prop_map(ConnectionCommand::Keep),
        of(stream_errors()).prop_map(ConnectionCommand::Close),
    ]
}

fn kept() -> impl Strategy<Value = Box<SessionSnapshot>> {
    (any::<u64>(), fulls()).prop_map(|(uid, jid)| {
        let (connection, resumption, stream, entry, term) = Default::default();
        Box::new(SessionSnapshot { uid, jid, connection, resumption, stream, entry, term })
    })
}

fn copy_updates() -> impl Strategy<Value = CopyUpdate> {
    let bytes = || vec(any::<u8>(), 0..9).prop_map(bytes::Bytes::from);
    prop_oneof![
        bytes().prop_map(CopyUpdate::Whole),
        bytes().prop_map(CopyUpdate::Change),
        Just(CopyUpdate::Forget),
        (any::<u64>(), bytes(), vec(bytes(), 0..3), any::<Option<u64>>()).prop_map(
            |(epoch, whole, changes, by)| {
                let by = by.map(MemberId);
                CopyUpdate::Kept { epoch: Epoch(epoch), whole, changes, by }
            }
        ),
        bytes().prop_map(CopyUpdate::Claim),
    ]
}

fn announced() -> impl Strategy<Value = Announced> {
    any::<(u64, u64, u16, u16)>().prop_map(|(by, plan, arbiter, arbiters)| Announced {
        by: MemberId(by),
        plan,
        arbiter: ArbiterId(arbiter),
        arbiters,
    })
}

fn held_streams() -> impl Strategy<Value = HeldStreams> {
    let numbers = || vec(any::<u64>(), 0..4);
    (any::<u64>(), numbers(), of(bares()), numbers()).prop_map(|(member, numbers, local, spare)| {
        HeldStreams { member: MemberId(member), numbers, local, spare }
    })
}

fn user_events() -> impl Strategy<Value = UserEvent> {
    prop_oneof![
        (connections(), fulls(), texts()).prop_map(|(connection, jid, iq_id)| UserEvent::Start {
            connection,
            jid,
            iq_id
        }),
        stream_errors().prop_map(UserEvent::End),
        (any::<u64>(), stanzas())
            .prop_map(|(session, stanza)| UserEvent::Outbound { session, stanza }),
        (any::<u64>(), vec(stanzas(), 0..4))
            .prop_map(|(session, unacknowledged)| UserEvent::Ended { session, unacknowledged }),
        (any::<u64>(), stanzas()).prop_map(|(mark, stanza)| UserEvent::Stored { mark, stanza }),
        any::<(u64, u64)>().prop_map(|(session, mark)| UserEvent::Taken { session, mark }),
        (any::<u64>(), states())
            .prop_map(|(session, state)| UserEvent::ClientState { session, state }),
        kept().prop_map(UserEvent::Kept),
        Just(UserEvent::AccountChanged),
        bares().prop_map(UserEvent::Befriend),
        any::<(u64, bool)>().prop_map(|(session, attached)| {
            UserEvent::Attached { session, attached, unacknowledged: Vec::new() }
        }),
    ]
}

fn bodies() -> impl Strategy<Value = Body> {
    prop_oneof![
        stanzas().prop_map(Body::Stanza),
        (connections(), connection_events())
            .prop_map(|(connection, event)| Body::FromConnection(connection, event)),
        connection_commands().prop_map(Body::ToConnection),
        user_events().prop_map(Body::User),
        copy_updates().prop_map(Body::Copy),
        announced().prop_map(Body::Announced),
        held_streams().prop_map(Body::HeldStreams),
        stanzas().prop_map(Body::Disclosed),
        Just(Body::ComponentConnected(BareJid::parse("irc.example.org").unwrap())),
        Just(Body::AskContacts(BareJid::parse("irc.example.org").unwrap())),
    ]
}

fn routes() -> impl Strategy<Value = Route> {
    prop_oneof![
        bares().prop_map(Route::User),
        sessions().prop_map(Route::Session),
        bares().prop_map(Route::Room),
        services(),
        bares().prop_map(Route::Domain),
        (bares(), any::<u8>()).prop_map(|(domain, lane)| Route::Remote(RemoteId { domain, lane })),
        bares().prop_map(Route::Component),
        (bares(), any::<(u64, u64)>()).prop_map(|(domain, (member, number))| {
            Route::Stream(Box::new(StreamId { domain, member: MemberId(member), number }))
        }),
        connections().prop_map(Route::Connection),
        (any::<u64>(), copied()).prop_map(|(member, of)| {
            Route::Copy(CopyId { member: MemberId(member), of: Box::new(of) })
        }),
        any::<u64>().prop_map(|member| Route::Member(MemberId(member))),
    ]
}

fn services() -> impl Strategy<Value = Route> {
    let kinds = [ServiceKind::Upload, ServiceKind::Proxy, ServiceKind::Rooms];
    let kinds = prop::sample::select(kinds.to_vec());
    (bares(), kinds, bares())
        .prop_map(|(service, kind, by)| Route::Service(Box::new(ServiceId { service, kind, by })))
}

fn copied() -> impl Strategy<Value = Route> {
    prop_oneof![
        bares().prop_map(Route::User),
        sessions().prop_map(Route::Session),
        bares().prop_map(Route::Room),
    ]
}

fn origins() -> impl Strategy<Value = Origin> {
    prop_oneof![
        any::<(u64, u64, u16)>().prop_map(|(session, seq, part)| Origin::Client {
            session,
            seq,
            part
        }),
        (0..Shard::COUNT, any::<u64>(), any::<u64>()).prop_map(|(shard, epoch, counter)| {
            Origin::Shard { shard: Shard::new(shard).unwrap(), epoch: Epoch(epoch), counter }
        }),
    ]
}

fn envelopes() -> impl Strategy<Value = (Envelope, Crossing)> {
    let trace = of(any::<(u128, u64)>());
    let crossing = (0..Bucket::COUNT, any::<u64>(), any::<(bool, bool)>());
    (routes(), bodies(), origins(), any::<(u64, u8, bool)>(), trace, crossing).prop_map(
        |(to, body, origin, (epoch, hops, again), trace, (bucket, target, (receipt, anew)))| {
            let bucket = to.key().and_then(|_| Bucket::new(bucket));
            let mut envelope = Envelope::new(to, body, origin, Epoch(epoch));
            (envelope.hops, envelope.again) = (hops, again);
            envelope.trace =
                trace.map(|(trace_id, span_id)| Box::new(TraceContext { trace_id, span_id }));
            (envelope, Crossing { bucket, epoch: Epoch(target), receipt, anew })
        },
    )
}

fn bytes_of(envelope: &Envelope, crossing: Crossing) -> Vec<u8> {
    wire::encode(envelope, crossing).unwrap().encode_to_vec()
}

fn message() -> Envelope {
    let head = Head {
        kind: Kind::Message(MessageType::Chat),
        id: Some("1".into()),
        from: Some(Jid::parse("romeo@x.example/orchard").unwrap()),
        to: Some(Jid::parse("juliet@x.example").unwrap()),
        lang: None,
    };
    let stanza = Stanza::new(head, "<body>hi</body><x xmlns='urn:x'><body/></x>");
    let to = Route::User(BareJid::parse("juliet@x.example").unwrap());
    let origin = Origin::Client { session: 7, seq: 1, part: 0 };
    Envelope::new(to, Body::Stanza(stanza), origin, Epoch(3))
}

fn crossing() -> Crossing {
    Crossing { bucket: Bucket::new(9), epoch: Epoch(2), receipt: true, anew: false }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn everything_that_can_be_said_comes_back_as_it_was((envelope, crossing) in envelopes()) {
        let (read, same) = wire::decode_bytes(bytes_of(&envelope, crossing).into()).unwrap();
        prop_assert_eq!(crossing, same);
        prop_assert_eq!(&envelope.body, &read.body);
        prop_assert_eq!(format!("{envelope:?}"), format!("{read:?}"));
    }

    #[test]
    fn bytes_that_chance_has_changed_do_no_harm(
        (envelope, crossing) in envelopes(),
        changes in vec(any::<(prop::sample::Index, u8)>(), 1..6),
    ) {
        let mut bytes = bytes_of(&envelope, crossing);
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        properties::what_is_read_is_written_and_read_again(&bytes);
        bytes.truncate(changes[0].0.index(bytes.len()));
        properties::what_is_read_is_written_and_read_again(&bytes);
    }

    #[test]
    fn bytes_of_chance_do_no_harm(bytes in vec(any::<u8>(), 0..200)) {
        properties::what_is_read_is_written_and_read_again(&bytes);
    }
}

#[test]
fn a_stanza_is_read_where_its_bytes_lie() {
    let bytes = bytes::Bytes::from(bytes_of(&message(), crossing()));
    let range = bytes.as_ptr() as usize..bytes.as_ptr() as usize + bytes.len();
    let (read, _) = wire::decode_bytes(bytes).unwrap();
    let Body::Stanza(stanza) = read.body else { panic!("a stanza was sent") };
    assert!(range.contains(&(stanza.inner().as_ptr() as usize)), "the content was copied");
    let Route::User(jid) = read.to else { panic!("it was for a user") };
    let to = stanza.head().to.as_ref().unwrap();
    assert_eq!(jid.as_str().as_ptr(), to.as_str().as_ptr(), "the address is there twice");
}

#[test]
fn what_lacks_something_or_has_it_wrong_is_no_envelope() {
    let wrong = |change: fn(&mut pb::Envelope)| {
        let mut message = wire::encode(&message(), crossing()).unwrap();
        change(&mut message);
        wire::decode(message).unwrap_err()
    };
    let with = |change: fn(&mut pb::Stanza)| {
        let mut message = wire::encode(&message(), crossing()).unwrap();
        if let Some(pb::envelope::Body::Stanza(stanza)) = &mut message.body {
            change(stanza);
        }
        wire::decode(message).unwrap_err()
    };
    assert_eq!(wrong(|it| it.body = None), WireError::Missing("body"));
    assert_eq!(wrong(|it| it.to = None), WireError::Missing("route"));
    assert_eq!(wrong(|it| it.origin = None), WireError::Missing("origin"));
    assert_eq!(wrong(|it| it.bucket = 16_384), WireError::Invalid("bucket"));
    assert_eq!(wrong(|it| it.hops = 256), WireError::Invalid("hops"));
    assert_eq!(
        wrong(|it| it.to = Some(pb::envelope::To::User(b"Juliet@x.example"[..].into()))),
        WireError::Invalid("normalised address")
    );
    assert_eq!(
        wrong(|it| it.to = Some(pb::envelope::To::User(b"juliet@x.example/r"[..].into()))),
        WireError::Invalid("bare address")
    );
    assert_eq!(with(|it| it.kind = 0), WireError::Invalid("kind of stanza"));
    assert_eq!(with(|it| it.kind = 18), WireError::Invalid("kind of stanza"));
    assert_eq!(with(|it| it.from = Some(b"@"[..].into())), WireError::Invalid("address"));
    assert_eq!(
        with(|it| it.content = b"<body>\xff</body>"[..].into()),
        WireError::Invalid("UTF-8 in a stanza")
    );
    assert_eq!(
        with(|it| it.id = Some(b"\xff"[..].into())),
        WireError::Invalid("UTF-8 in a stanza")
    );
}

#[test]
fn a_receipt_stays_with_its_envelope_on_the_way_there_and_back() {
    let ledger = Ledger::new(0, || {});
    let sent = message().with_receipt(Some(ledger.open()));
    let read = wire::there_and_back(sent).unwrap();
    assert_eq!(ledger.standing().handled, 0);
    read.receipt.unwrap().release();
    assert_eq!(ledger.standing(), proto::receipt::Standing { handled: 1, faulty: false, open: 0 });
}

#[test]
fn what_an_actor_tells_itself_does_not_travel() {
    let woken = Envelope { body: Body::Woken, ..message() };
    assert!(wire::encode(&woken, crossing()).is_none());
    assert_eq!(wire::there_and_back(woken).unwrap().body, Body::Woken);
}

#[test]
fn an_envelope_for_many_is_one_message_and_each_copy_is_as_if_it_were_sent_alone() {
    let hosts = proto::Hosts::new([BareJid::parse("x.example").unwrap()], []);
    let target = |jid: &str, part| proto::Target { jid: Jid::parse(jid).unwrap(), part };
    let all = [("b@x.example/2", 1), ("a@x.example/1", 0), ("b@x.example/1", 0)];
    let all: Vec<_> = all.map(|(jid, part)| target(jid, part)).into();
    let ledger = Ledger::new(0, || {});
    let sent = message().with_receipt(Some(ledger.open()));
    let origin = sent.origin;
    let sent = sent.with_recipients(all.clone(), &hosts).unwrap();
    let read = wire::there_and_back(sent).unwrap();
    assert_eq!(read.recipients().count(), 3);
    let copies = read.expand(&hosts);
    for (copy, target) in copies.into_iter().zip(all) {
        assert!(copy.targets.is_empty());
        assert_eq!(copy.to, Route::User(target.jid.bare()));
        assert_eq!(copy.origin, origin.later(target.part));
        let Body::Stanza(stanza) = copy.body else { panic!("a stanza was sent") };
        assert_eq!(stanza.head().to.as_ref(), Some(&target.jid));
        assert_eq!(ledger.standing().handled, 0);
        copy.receipt.unwrap().release();
    }
    assert_eq!(ledger.standing(), proto::receipt::Standing { handled: 1, faulty: false, open: 0 });
    let mut word = wire::encode(&message(), crossing()).unwrap();
    word.targets.push(pb::Target { jid: b"a@x.example"[..].into(), part: 1 << 16 });
    assert_eq!(wire::decode(word).unwrap_err(), WireError::Invalid("part"));
}
