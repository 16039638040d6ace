//! What is said in a room: what of it goes on as it is, is kept, is shown to newcomers, and what is refused.

use proto::{Body, Envelope};
use store::{ArchiveQuery, ArchiveRow, Store};
use xmpp::{Element, Origin, Stanza, kept, ns};

use super::stage::{self, Stage, request};
use super::taken_over::Standby;
use crate::{Config, Rates};

const CRONE: &str = "crone@x.org/desktop";

fn groupchat(who: &str, content: &str) -> String {
    format!(
        "<message xmlns='jabber:client' type='groupchat' id='m' from='{who}' to='coven@chat.x.org'>{content}</message>"
    )
}

/// What a client is sent.
fn to(sent: Vec<Envelope>, who: &str) -> Vec<Stanza> {
    let stanza = |envelope: Envelope| match envelope.body {
        Body::Stanza(stanza) => Some(stanza),
        _ => None,
    };
    let is_his = |it: &Stanza| it.head().to.as_ref().is_some_and(|to| to.as_str() == who);
    sent.into_iter().filter_map(stanza).filter(is_his).collect()
}

/// What a newcomer is sent.
fn shown(stage: &mut Stage, who: &str) -> Vec<Stanza> {
    let knock = format!(
        "<presence xmlns='jabber:client' from='{who}' to='coven@chat.x.org/new'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    );
    to(stage.sent(&knock), who)
}

/// The rows of the archive, oldest first, each with its name.
fn named(stage: &Stage) -> Vec<(String, String)> {
    let query = ArchiveQuery { limit: 100, ..ArchiveQuery::default() };
    let page = stage.memory.query(stage::fence(), stage::room(), query);
    let ids = &stage.trial.entity.shared.config.ids;
    let row =
        |row: &ArchiveRow| (ids.write(row.id), String::from_utf8(row.stanza.to_vec()).unwrap());
    stage::block_on(page).unwrap().rows.iter().map(row).collect()
}

/// The same without their names.
fn archived(stage: &Stage) -> Vec<String> {
    named(stage).into_iter().map(|(_, row)| row).collect()
}

/// The name of the last message in the archive.
fn last_name(stage: &Stage) -> String {
    let room = &stage.trial.entity;
    room.shared.config.ids.write(room.last_id.get())
}

// §16.5.3 allowpm
#[test]
fn private_messages_go_to_whoever_the_owner_lets_send_some() {
    for (who, moderator, participant, visitor) in [
        ("anyone", true, true, true),
        ("participants", true, true, false),
        ("moderators", true, false, false),
        ("none", false, false, false),
    ] {
        let mut stage = Stage::absent(Config::default());
        let allow = format!("<field var='muc#roomconfig_allowpm'><value>{who}</value></field>");
        stage.made(&allow);
        stage.enters("hag@x.org/pda", "hag");
        stage.enters("bat@x.org/cave", "bat");
        stage.asks(CRONE, "set", "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='bat' role='visitor'/></query>");
        let mut passes = |from: &str, to: &str| {
            let said = stage.gets(&format!("<message xmlns='jabber:client' type='chat' id='p' from='{from}' to='coven@chat.x.org/{to}'><body>psst</body></message>"));
            let refused = said == [format!("{from}: message error auth forbidden")];
            assert!(refused || said[0].ends_with(": psst"), "{said:?}");
            !refused
        };
        let passed =
            [passes(CRONE, "hag"), passes("hag@x.org/pda", "bat"), passes("bat@x.org/cave", "hag")];
        assert_eq!(passed, [moderator, participant, visitor], "{who}");
    }
}

// §8.1: with a body or a thread it is a message like any other.
#[test]
fn a_subject_beside_a_body_or_a_thread_is_no_new_subject() {
    let mut stage = Stage::new();
    stage.enters("hag@x.org/pda", "hag");
    for beside in ["<thread>t</thread>", "<body>hi</body>"] {
        let said =
            stage.gets(&groupchat("hag@x.org/pda", &format!("<subject>Fire</subject>{beside}")));
        assert_eq!(said.len(), 2, "{beside}: {said:?}");
        assert!(stage.trial.entity.subject.is_none(), "{beside}");
    }
}

// RFC 6121 §5.2.3
#[test]
fn the_language_of_a_message_stays_with_it() {
    let mut stage = Stage::new();
    let said = groupchat(CRONE, "<body>Hallo</body>").replace(" id='m'", " id='m' xml:lang='de'");
    let langs = |all: Vec<Stanza>| {
        let with_body = all.into_iter().filter(|it| it.child("body", "").is_some());
        with_body.map(|it| it.head().lang.as_deref().map(str::to_owned)).collect::<Vec<_>>()
    };
    let de = [Some("de".to_owned())];
    assert_eq!(langs(to(stage.sent(&said), CRONE)), de);
    assert_eq!(langs(shown(&mut stage, "hag@x.org/pda")), de);
}

// XEP-0184 §5.3: whether receipts are of use in a room is not the room's to say; they are nothing to keep.
#[test]
fn receipts_go_through_a_room_as_they_are() {
    let mut stage = Stage::new();
    for word in
        ["<request xmlns='urn:xmpp:receipts'/>", "<received xmlns='urn:xmpp:receipts' id='m'/>"]
    {
        let [heard] = &to(stage.sent(&groupchat(CRONE, word)), CRONE)[..] else { panic!("{word}") };
        let expected = Element::parse(word.as_bytes()).unwrap();
        assert_eq!(heard.child(expected.name(), "urn:xmpp:receipts"), Some(expected));
        assert!(heard.child("stanza-id", ns::STANZA_ID).is_none(), "it is in no archive");
    }
    assert!(stage.trial.entity.history.is_empty());
}

// §7.2.13: what shows nothing to newcomers is kept too, and there may be much more of it than of messages.
#[test]
fn what_was_said_before_many_markers_is_shown_when_the_room_is_loaded_again() {
    let rates = Rates { enabled: false, ..Config::default().rates };
    let mut stage = Stage::absent(Config { rates, ..Config::default() });
    stage.made("<field var='muc#roomconfig_persistentroom'><value>1</value></field>");
    stage.gets(&groupchat(CRONE, "<body>first</body>"));
    let mut shown_behind = |markers: usize| {
        stage.enters(CRONE, "first");
        for _ in 0..markers {
            stage.gets(&groupchat(CRONE, "<displayed xmlns='urn:xmpp:chat-markers:0' id='m'/>"));
        }
        stage.gets(&groupchat(CRONE, "<body>last</body>"));
        stage.restart();
        let bodies = shown(&mut stage, "owl@x.org/tree").into_iter();
        bodies.filter_map(|it| Some(it.child("body", "")?.text())).collect::<Vec<_>>()
    };
    assert_eq!(shown_behind(100), ["first", "last"]);
    assert_eq!(shown_behind(1_500), ["first", "last", "last"]);
    assert_eq!(shown_behind(3_000), ["last"; 2], "so far it is looked for, and no farther");
}

// XEP-0313 §6.1.2, XEP-0334 §4.2, §5: whoever speaks can be moderated, whatever he says of keeping it.
#[test]
fn what_must_not_be_stored_is_kept_where_it_is_said_in_words_and_shown_to_no_newcomer() {
    for hint in ["no-store", "no-permanent-store"] {
        let hint = format!("<{hint} xmlns='urn:xmpp:hints'/>");
        let mut stage = Stage::persistent();
        let mut is_kept = |word: &str| {
            let said = to(stage.sent(&groupchat(CRONE, &format!("{word}{hint}"))), CRONE);
            said[0].child("stanza-id", ns::STANZA_ID).is_some()
        };
        let kept =
            ["<body>DM me</body>", "<subject>Fire</subject>", "<note xmlns='urn:example:n'/>"];
        assert_eq!(kept.map(&mut is_kept), [true, true, false], "{hint}");
        assert_eq!(archived(&stage).len(), 2, "{hint}");
        if hint.contains("no-store") {
            let words = shown(&mut stage, "owl@x.org/tree");
            assert!(words.iter().all(|it| it.child("body", "").is_none()));
        }
        let (name, _) = named(&stage).remove(0);
        let moderate = format!(
            "<moderate xmlns='urn:xmpp:message-moderate:1' id='{name}'><retract xmlns='urn:xmpp:message-retract:1'/></moderate>"
        );
        let said = stage.asks(CRONE, "set", &moderate);
        assert!(said.contains(&format!("{CRONE}: iq result")), "{said:?}");
        assert!(archived(&stage).iter().all(|row| !row.contains("DM me")));
    }
}

// XEP-0425 §4
#[test]
fn newcomers_are_spared_what_a_moderator_took_back() {
    let mut stage = Stage::persistent();
    stage.enters("hag@x.org/pda", "hag");
    stage.gets(&groupchat("hag@x.org/pda", "<body>DM me</body>"));
    let moderate = format!(
        "<moderate xmlns='urn:xmpp:message-moderate:1' id='{}'><retract xmlns='urn:xmpp:message-retract:1'/></moderate>",
        last_name(&stage)
    );
    let said = stage.asks(CRONE, "set", &moderate);
    assert!(said.contains(&format!("{CRONE}: iq result")), "{said:?}");
    let bodies = |all: Vec<Stanza>| all.iter().filter(|it| it.child("body", "").is_some()).count();
    assert_eq!(bodies(shown(&mut stage, "owl@x.org/tree")), 0);
    stage.restart();
    assert_eq!(bodies(shown(&mut stage, "owl@x.org/tree")), 0);
}

// XEP-0424 §4, XEP-0425 §4: also of what stood where only ids should.
#[test]
fn nothing_of_what_was_said_is_left_in_a_tombstone() {
    let says = |stage: &mut Stage, id: &str| {
        let secret = format!(
            "<retract xmlns='urn:xmpp:message-retract:1' id='{id}'>secret<x xmlns='urn:example:x'>secret</x></retract><stanza-id xmlns='urn:xmpp:sid:0' by='elsewhere' id='secret'>secret</stanza-id><body>secret</body>"
        );
        stage.gets(&groupchat("hag@x.org/pda", &secret));
        last_name(stage)
    };
    let mut stage = Stage::persistent();
    stage.enters("hag@x.org/pda", "hag");
    let first = says(&mut stage, "secret");
    let second = says(&mut stage, &first);
    stage.gets(&groupchat(
        "hag@x.org/pda",
        &format!("<retract xmlns='urn:xmpp:message-retract:1' id='{second}'/>"),
    ));
    let moderate = format!(
        "<moderate xmlns='urn:xmpp:message-moderate:1' id='{first}'><retract xmlns='urn:xmpp:message-retract:1'/></moderate>"
    );
    stage.asks(CRONE, "set", &moderate);
    let rows = archived(&stage);
    assert!(rows.iter().all(|row| !row.contains("secret")), "{rows:?}");
    let stands = |row: &str, id: &str| {
        row.contains(&format!("id=\"{id}\"")) || row.contains(&format!("id='{id}'"))
    };
    let [one, two, ..] = &rows[..] else { panic!("{rows:?}") };
    assert!(one.contains("<retracted ") && stands(one, &first) && !one.contains("<retract "));
    assert!(two.contains("<retracted ") && stands(two, &second));
    assert!(two.contains("<retract ") && stands(two, &first), "it takes back what it took back");
}

// XEP-0425 §3.1: whoever reads the archive believes the room alone.
#[test]
fn what_a_moderator_took_back_stays_so_whatever_becomes_of_the_word() {
    let mut stage = Stage::persistent();
    stage.gets(&groupchat(CRONE, "<body>oops</body>"));
    for _ in 0..2 {
        let (name, _) = named(&stage).pop().unwrap();
        let moderate = format!(
            "<moderate xmlns='urn:xmpp:message-moderate:1' id='{name}'><retract xmlns='urn:xmpp:message-retract:1'/><reason>private</reason></moderate>"
        );
        stage.asks(CRONE, "set", &moderate);
    }
    let [_, word, _] = &archived(&stage)[..] else { panic!("three rows") };
    let stone = kept::read(word.as_bytes()).unwrap();
    let retract = stone.child("retract", ns::RETRACT).unwrap();
    assert!(retract.child("moderated", ns::MODERATE).is_some());
    assert!(
        retract.child("reason", ns::RETRACT).is_none()
            && stone.child("retracted", ns::RETRACT).is_some()
    );
}

// XEP-0424 §5: the subject of a moment before is another one, and stays.
#[test]
fn a_retraction_waits_for_what_was_said_before_it() {
    let mut stage = Stage::persistent();
    stage.gets(&groupchat(CRONE, "<subject>Fire</subject>"));
    let name = last_name(&stage);
    stage.trial.hold_writes();
    stage.gets(&groupchat(CRONE, "<subject>Burn</subject>"));
    let retract = format!("<retract xmlns='urn:xmpp:message-retract:1' id='{name}'/>");
    stage.gets(&groupchat(CRONE, &retract));
    stage.trial.let_writes_go();
    assert!(stage.trial.entity.queue.is_idle());
    stage.restart();
    let subject = stage.trial.entity.subject.as_ref().and_then(|it| it.child("subject", ""));
    assert_eq!(subject.map(|it| it.text()).as_deref(), Some("Burn"));
}

// XEP-0313 §4.1.5, §5
#[test]
fn the_archive_tells_its_ends_and_its_form_and_pages_by_id() {
    let mut stage = Stage::persistent();
    let names: Vec<String> = (0..3)
        .map(|number| {
            stage.gets(&groupchat(CRONE, &format!("<body>{number}</body>")));
            last_name(&stage)
        })
        .collect();
    let mam = |name: &'static str, answer: &Element| answer.child(name, ns::MAM).unwrap().clone();
    let ends = mam("metadata", &stage.answer(CRONE, "get", "<metadata xmlns='urn:xmpp:mam:2'/>"));
    for (end, name) in [("start", &names[0]), ("end", &names[2])] {
        assert_eq!(ends.child(end, ns::MAM).unwrap().attr("id"), Some(name.as_str()));
    }
    let form = mam("query", &stage.answer(CRONE, "get", "<query xmlns='urn:xmpp:mam:2'/>"));
    let form = form.child("x", ns::DATA_FORMS).unwrap().clone();
    let vars: Vec<_> = form.children().filter_map(|field| field.attr("var")).collect();
    for var in ["with", "start", "end", "before-id", "after-id", "ids"] {
        assert!(vars.contains(&var), "{vars:?}");
    }
    let mut found = |query: String| {
        let said = to(stage.sent(&format!("<iq xmlns='jabber:client' type='set' id='q' from='{CRONE}' to='coven@chat.x.org'><query xmlns='urn:xmpp:mam:2'>{query}</query></iq>")), CRONE);
        let results = said.iter().filter_map(|it| it.child("result", ns::MAM));
        let ids = results.filter_map(|it| it.attr("id").map(str::to_owned));
        ids.collect::<Vec<_>>()
    };
    let field = |var: &str, id: &str| {
        format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='{var}'><value>{id}</value></field></x>"
        )
    };
    let set = |inner: String| format!("<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>");
    assert_eq!(found(field("after-id", &names[0])), names[1..]);
    assert_eq!(found(field("before-id", &names[2])), names[..2]);
    assert_eq!(found(set(format!("<after>{}</after>", names[1]))), names[2..]);
    assert_eq!(found(set("<max>1</max><before/>".to_owned())), names[2..]);
    assert_eq!(found(set(format!("<max>1</max><before>{}</before>", names[2]))), names[1..2]);
}

// Two servers would else wait for each other's acknowledgements.
#[test]
fn another_server_is_told_that_a_stanza_is_safe_before_what_it_causes_has_arrived() {
    const HAG: &str = "hag@y.org/pda";
    for is_copied in [false, true] {
        let (mut stage, mut standby) = (Stage::persistent(), Standby::default());
        if is_copied {
            standby.learns(&mut stage);
        }
        stage.enters(HAG, "hag");
        stage.enters("bat@y.org/cave", "bat");
        stage.asks(CRONE, "set", "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='admin' jid='hag@y.org'/></query>");
        let item = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='bat' role='visitor'/></query>";
        for (seq, xml) in [
            "<message xmlns='jabber:client' type='chat' from='hag@y.org/pda' to='coven@chat.x.org/bat'><body>psst</body></message>",
            "<iq xmlns='jabber:client' type='get' id='q' from='hag@y.org/pda' to='coven@chat.x.org/bat'><query xmlns='jabber:iq:version'/></iq>",
            &request(HAG, "set", item),
        ]
        .into_iter()
        .enumerate()
        {
            let client = Origin::Client { session: 1, seq: seq as u64, part: 0 };
            let server = Origin::of_server(1, seq as u64);
            for (origin, is_safe) in [(client, false), (server, true)] {
                let (sent, safe) = stage.sent_by(origin, xml);
                assert!(!sent.is_empty());
                assert_eq!(safe, is_safe, "{xml} {origin:?}");
                sent.into_iter().for_each(|envelope| drop(stage::word(envelope)));
            }
        }
    }
}
