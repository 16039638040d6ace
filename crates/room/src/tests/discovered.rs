//! What discovery of a room leaves out (XEP-0045 §6.4, §14.4): to whom.

use xmpp::{Element, ns};

use super::stage::Stage;

const ROOM: &str = "http://jabber.org/protocol/disco#info";

fn about(stage: &mut Stage, who: &str) -> Element {
    let answer = stage.answer(who, "get", &format!("<query xmlns='{ROOM}'/>"));
    answer.child("query", ns::DISCO_INFO).unwrap().clone()
}

fn has(query: &Element, feature: &str) -> bool {
    query.children().any(|child| child.name() == "feature" && child.attr("var") == Some(feature))
}

fn field(query: &Element, var: &str) -> Option<String> {
    let form = query.child("x", ns::DATA_FORMS).unwrap();
    let field = form.children().find(|field| field.attr("var") == Some(var))?;
    Some(field.child("value", ns::DATA_FORMS)?.text())
}

fn says_subject(stage: &mut Stage) {
    stage.gets("<message xmlns='jabber:client' type='groupchat' from='crone@x.org/desktop' to='coven@chat.x.org'><subject>Fire Burn</subject></message>");
}

#[test]
fn the_subject_of_a_closed_room_is_for_those_inside_and_its_language_for_all() {
    let closed = "<field var='muc#roomconfig_passwordprotectedroom'><value>1</value></field><field var='muc#roomconfig_roomsecret'><value>x</value></field>";
    for (fields, shown) in [("", true), (closed, false)] {
        let mut stage = Stage::absent(crate::Config::default());
        let lang = "<field var='muc#roomconfig_lang'><value>de</value></field>";
        stage.made(&format!("{lang}{fields}"));
        says_subject(&mut stage);
        let (inside, outside) =
            (about(&mut stage, "crone@x.org/desktop"), about(&mut stage, "hag@x.org/pda"));
        let subject = Some("Fire Burn".to_owned());
        assert_eq!(field(&inside, "muc#roominfo_subject"), subject);
        assert_eq!(field(&outside, "muc#roominfo_subject"), subject.filter(|_| shown));
        assert_eq!(field(&outside, "muc#roominfo_lang"), Some("de".to_owned()));
    }
}

// XEP-0424 §5
#[test]
fn a_subject_that_was_taken_back_is_not_told() {
    let mut stage = Stage::new();
    says_subject(&mut stage);
    let room = &stage.trial.entity;
    let id = room.shared.config.ids.write(room.last_id.get());
    stage.gets(&format!("<message xmlns='jabber:client' type='groupchat' from='crone@x.org/desktop' to='coven@chat.x.org'><retract xmlns='urn:xmpp:message-retract:1' id='{id}'/></message>"));
    assert_eq!(field(&about(&mut stage, "hag@x.org/pda"), "muc#roominfo_subject"), None);
}

// §7.10: what does not work for somebody is not announced to them.
#[test]
fn registration_is_announced_to_those_for_whom_it_works() {
    for (allowed, stranger) in [("1", true), ("0", false)] {
        let mut stage = Stage::absent(crate::Config::default());
        let registration = "rookery#roomconfig_registration";
        stage.made(&format!("<field var='{registration}'><value>{allowed}</value></field>"));
        for feature in [ns::REGISTER, ns::MUC_REGISTER] {
            assert!(has(&about(&mut stage, "crone@x.org/desktop"), feature));
            assert_eq!(has(&about(&mut stage, "hag@x.org/pda"), feature), stranger);
        }
        let form = "<query xmlns='jabber:iq:register'/>";
        let said = stage.asks("hag@x.org/pda", "get", form);
        let refused = said == ["hag@x.org/pda: iq error cancel service-unavailable"];
        assert_eq!(refused, !stranger, "{said:?}");
    }
}

// XEP-0313 §7, XEP-0359 §4, XEP-0424 §4, XEP-0425 §2
#[test]
fn a_room_without_archive_does_not_announce_what_needs_one() {
    for archived in [true, false] {
        let mut stage = Stage::absent(crate::Config::default());
        let value = u8::from(archived);
        stage.made(&format!(
            "<field var='muc#roomconfig_enablearchiving'><value>{value}</value></field>"
        ));
        let query = about(&mut stage, "crone@x.org/desktop");
        for feature in [
            "urn:xmpp:mam:2",
            "urn:xmpp:mam:2#extended",
            "urn:xmpp:mam:2#groupchat-field",
            "urn:xmpp:sid:0",
            "urn:xmpp:message-retract:1",
            "urn:xmpp:message-retract:1#tombstone",
            "urn:xmpp:message-moderate:1",
        ] {
            assert_eq!(has(&query, feature), archived, "{feature}");
        }
    }
}

// §4.2, §6.4, §16.5.4
#[test]
fn a_room_tells_what_it_is_by_features_and_fields() {
    let yes = ["persistentroom", "membersonly", "moderatedroom", "allowinvites", "changesubject"];
    let yes = yes.map(|var| format!("<field var='muc#roomconfig_{var}'><value>1</value></field>"));
    let other = yes.concat()
        + "<field var='muc#roomconfig_publicroom'><value>0</value></field>\
           <field var='muc#roomconfig_whois'><value>anyone</value></field>\
           <field var='muc#roomconfig_allowpm'><value>participants</value></field>\
           <field var='muc#maxhistoryfetch'><value>7</value></field>\
           <field var='muc#roomconfig_passwordprotectedroom'><value>1</value></field>\
           <field var='muc#roomconfig_roomsecret'><value>x</value></field>";
    let usual = ["unsecured", "public", "temporary", "open", "unmoderated", "semianonymous"];
    let unusual =
        ["passwordprotected", "hidden", "persistent", "membersonly", "moderated", "nonanonymous"];
    for (fields, types, others, values) in [
        ("", usual, unusual, ["20", "0", "anyone", "1"]),
        (other.as_str(), unusual, usual, ["7", "1", "participants", "1"]),
    ] {
        let mut stage = Stage::absent(crate::Config::default());
        stage.made(fields);
        let query = about(&mut stage, "crone@x.org/desktop");
        for (is, not) in types.into_iter().zip(others) {
            assert!(has(&query, &format!("muc_{is}")), "{is}");
            assert!(!has(&query, &format!("muc_{not}")), "{not}");
        }
        for (var, value) in [
            ("muc#maxhistoryfetch", values[0]),
            ("muc#roominfo_subjectmod", values[1]),
            ("muc#roominfo_changesubject", values[1]),
            ("muc#roomconfig_allowpm", values[2]),
            ("muc#roomconfig_allowinvites", values[3]),
            ("muc#roominfo_occupants", "1"),
        ] {
            assert_eq!(field(&query, var).as_deref(), Some(value), "{var}");
        }
    }
}

// XEP-0317 §3.8, XEP-0486 §3.3: rows, so a new owner has them as well.
#[test]
fn hats_and_the_picture_of_a_room_outlast_a_restart() {
    let mut stage = Stage::persistent();
    let form = |fields: &[(&str, &str)]| {
        let fields = fields
            .iter()
            .map(|(var, value)| format!("<field var='hats#{var}'><value>{value}</value></field>"));
        format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:hats:commands</value></field>{}</x>",
            fields.collect::<String>()
        )
    };
    let mut runs = |node: &str, form: String| {
        let command = format!(
            "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:{node}'>{form}</command>"
        );
        let said = stage.asks("crone@x.org/desktop", "set", &command);
        assert!(said.contains(&"crone@x.org/desktop: iq result".to_owned()), "{said:?}");
    };
    runs("create", form(&[("title", "Host"), ("uri", "urn:x:host"), ("hue", "120")]));
    runs("assign", form(&[("jid", "crone@x.org"), ("uri", "urn:x:host")]));
    let card = "<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>YWJj</BINVAL></PHOTO></vCard>";
    stage.asks("crone@x.org/desktop", "set", card);
    let known = |stage: &mut Stage| {
        let query = about(stage, "hag@x.org/pda");
        ["hats#hash", "muc#roominfo_avatarhash"].map(|var| field(&query, var))
    };
    let before = known(&mut stage);
    // The hash of the one address, and of "abc".
    let hash = "a9993e364706816aba3e25717850c26c9cd0d89d";
    assert!(before[0].as_ref().is_some_and(|it| it.len() == 40), "{before:?}");
    assert_eq!(before[1].as_deref(), Some(hash));
    stage.restart();
    assert_eq!(known(&mut stage), before);
    stage.enters("crone@x.org/desktop", "first");
    let occupant = stage.trial.entity.occupants.of_nick("first").unwrap();
    let hats = stage.trial.entity.hats.of(&occupant.who);
    assert!(str::from_utf8(&hats).unwrap().contains("urn:x:host"));
}

// XEP-0500 §5, XEP-0122 §3.2.3
#[test]
fn the_form_says_which_numbers_slow_mode_takes() {
    let mut stage = Stage::new();
    let answer = stage.answer(
        "crone@x.org/desktop",
        "get",
        "<query xmlns='http://jabber.org/protocol/muc#owner'/>",
    );
    let query = answer.child("query", ns::MUC_OWNER).unwrap();
    let form = query.child("x", ns::DATA_FORMS).unwrap();
    let slow = "muc#roomconfig_slow_mode_duration";
    let slow = form.children().find(|field| field.attr("var") == Some(slow)).unwrap();
    let validate = slow.child("validate", ns::VALIDATE).unwrap();
    assert_eq!(validate.attr("datatype"), Some("xs:integer"));
    let range = validate.child("range", ns::VALIDATE).unwrap();
    assert_eq!((range.attr("min"), range.attr("max")), (Some("0"), Some("86400")));
}

// §16.5.3, §16.5.4
#[test]
fn what_belongs_to_a_room_elsewhere_is_told_and_a_log_where_it_is_announced() {
    let fields = [
        ("muc#roomconfig_pubsub", "xmpp:pubsub.x.org?;node=coven"),
        ("rookery#roomconfig_logs", "https://x.org/logs"),
        ("rookery#roomconfig_ldapgroup", "cn=witches,dc=x"),
    ];
    for logged in ["0", "1"] {
        let mut stage = Stage::absent(crate::Config::default());
        let log = [("muc#roomconfig_enablelogging", logged)];
        let all = fields
            .iter()
            .chain(&log)
            .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"));
        stage.made(&all.collect::<String>());
        let query = about(&mut stage, "hag@x.org/pda");
        let said = |var: &str| field(&query, &format!("muc#{var}"));
        assert_eq!(said("roominfo_pubsub").as_deref(), Some(fields[0].1));
        assert_eq!(said("roomconfig_pubsub").as_deref(), Some(fields[0].1));
        assert_eq!(said("roominfo_ldapgroup").as_deref(), Some(fields[2].1));
        assert_eq!(said("roominfo_logs").as_deref(), (logged == "1").then_some(fields[1].1));
    }
    let mut stage = Stage::new();
    let query = about(&mut stage, "hag@x.org/pda");
    for var in ["pubsub", "logs", "ldapgroup"] {
        assert_eq!(field(&query, &format!("muc#roominfo_{var}")), None, "{var}");
    }
}
