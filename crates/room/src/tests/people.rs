//! Who comes in, under which nick, and as what (XEP-0045 §7.2, §7.10, §8, §9, §10.1).

use proto::Body;
use xmpp::ns;

use super::stage::Stage;
use crate::Config;
use crate::affiliation::{Affiliation, Role};
use crate::config::Create;
use crate::room::Phase;

const CRONE: &str = "crone@x.org/desktop";
const ADMIN: &str = "http://jabber.org/protocol/muc#admin";

/// Changes lists, as the owner.
fn set(stage: &mut Stage, items: &str) -> Vec<String> {
    stage.asks(CRONE, "set", &format!("<query xmlns='{ADMIN}'>{items}</query>"))
}

fn list(stage: &mut Stage, who: &str, affiliation: &str) -> Vec<String> {
    let item = format!("<query xmlns='{ADMIN}'><item affiliation='{affiliation}'/></query>");
    stage.asks(who, "get", &item)
}

fn knock(who: &str, nick: &str) -> String {
    format!(
        "<presence xmlns='jabber:client' from='{who}' to='coven@chat.x.org/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )
}

fn field(var: &str, value: &str) -> String {
    format!("<field var='{var}'><value>{value}</value></field>")
}

/// A room with these fields of its configuration.
fn room_with(fields: &[(&str, &str)]) -> Stage {
    let mut stage = Stage::absent(Config::default());
    let fields = fields.iter().map(|(var, value)| field(&format!("muc#roomconfig_{var}"), value));
    stage.made(&fields.collect::<String>());
    stage
}

/// A form for the room: as a message, or in a request for a registration.
fn form(ty: &str, kind: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(var, value)| field(var, value)).collect();
    let ty = format!("http://jabber.org/protocol/muc#{ty}");
    format!("<x xmlns='jabber:x:data' type='{kind}'>{}{fields}</x>", field("FORM_TYPE", &ty))
}

fn message(from: &str, content: &str) -> String {
    format!(
        "<message xmlns='jabber:client' id='f' from='{from}' to='coven@chat.x.org'>{content}</message>"
    )
}

fn registers(stage: &mut Stage, who: &str, nick: &str) -> Vec<String> {
    let form = form("register", "submit", &[("muc#register_roomnick", nick)]);
    stage.asks(who, "set", &format!("<query xmlns='jabber:iq:register'>{form}</query>"))
}

fn role_of(stage: &Stage, nick: &str) -> Option<Role> {
    stage.trial.entity.occupants.of_nick(nick).map(|inside| inside.role)
}

// §7.2.8: all clients of an occupant are inside, and go together.
#[test]
fn an_occupant_speaks_from_every_client_and_leaves_with_all_of_them() {
    for item in ["<item nick='hag' role='none'/>", "<item jid='hag@x.org' affiliation='outcast'/>"]
    {
        let mut stage = Stage::new();
        stage.enters("hag@x.org/pda", "hag");
        stage.enters("hag@x.org/laptop", "hag");
        let hi = "<message xmlns='jabber:client' type='groupchat' from='hag@x.org/laptop' to='coven@chat.x.org'><body>hi</body></message>";
        let all = ["crone@x.org/desktop: hi", "hag@x.org/pda: hi", "hag@x.org/laptop: hi"];
        assert_eq!(stage.gets(hi), all);
        let said = set(&mut stage, item);
        for client in ["hag@x.org/pda", "hag@x.org/laptop"] {
            assert!(said.contains(&format!("{client}: presence unavailable")), "{item}: {said:?}");
        }
        assert_eq!(stage.trial.entity.occupants.len(), 1, "{item}");
    }
}

#[test]
fn an_occupant_has_no_more_clients_than_configured() {
    let mut stage = Stage::with(Config { sessions_per_occupant: 2, ..Config::default() });
    stage.enters("hag@x.org/1", "hag");
    stage.enters("hag@x.org/2", "hag");
    let refused = ["hag@x.org/3: presence error wait service-unavailable"];
    assert_eq!(stage.gets(&knock("hag@x.org/3", "hag")), refused);
    // Who is inside already may say so again.
    stage.enters("hag@x.org/2", "hag");
}

// §7.2.8, §7.2.9, §7.10: it is the nick that somebody gets that counts, not the one that they ask for.
#[test]
fn whoever_gets_his_registered_nick_is_one_more_client_of_it_and_takes_no_place() {
    let config = Config { sessions_per_occupant: 2, occupants: 2, ..Config::default() };
    let mut stage = Stage::absent(config);
    stage.made(&field("rookery#roomconfig_nickslocked", "1"));
    registers(&mut stage, "hag@x.org/1", "third");
    stage.enters("hag@x.org/1", "one");
    // The room is full.
    let full = ["owl@x.org/tree: presence error wait service-unavailable"];
    assert_eq!(stage.gets(&knock("owl@x.org/tree", "owl")), full);
    stage.enters("hag@x.org/2", "two");
    let refused = ["hag@x.org/3: presence error wait service-unavailable"];
    assert_eq!(stage.gets(&knock("hag@x.org/3", "three")), refused);
    let inside = stage.trial.entity.occupants.of_nick("third").map(|it| it.sessions.len());
    assert_eq!((inside, stage.trial.entity.occupants.len()), (Some(2), 2));
}

// §14.6: what a room keeps of each client has a bound, whether they come in, are inside or want to make it.
#[test]
fn a_presence_that_says_too_much_is_not_kept() {
    let config = || Config { presence_bytes: 200, ..Config::default() };
    let showing = |to: &str, status: &str| {
        knock("hag@x.org/pda", to).replace("<x ", &format!("<status>{status}</status><x "))
    };
    let long = "x".repeat(200);
    let refused = ["hag@x.org/pda: presence error modify policy-violation"];
    let mut stage = Stage::with(config());
    assert_eq!(stage.gets(&showing("hag", &long)), refused);
    assert!(role_of(&stage, "hag").is_none());
    stage.gets(&showing("hag", "here"));
    for nick in ["hag", "witch"] {
        let again = showing(nick, &long).replace("<x xmlns='http://jabber.org/protocol/muc'/>", "");
        assert_eq!(stage.gets(&again), refused, "{nick}");
    }
    let hag = stage.trial.entity.occupants.of_nick("hag").unwrap();
    assert_eq!(hag.sessions[0].presence, "<status>here</status>");
    assert_eq!(Stage::absent(config()).gets(&showing("hag", &long)), refused);
}

// §7.2.8, §17.3 rule 3: who has lost track shows himself anew to all, his other clients among them.
#[test]
fn ones_own_other_clients_hear_what_one_of_them_shows_when_it_asks_for_everything_again() {
    let mut stage = Stage::new();
    stage.enters("hag@x.org/pda", "hag");
    stage.enters("hag@x.org/laptop", "hag");
    let away = |nick: &str| knock("hag@x.org/laptop", nick).replace("<x ", "<show>away</show><x ");
    let said = stage.gets(&away("hag"));
    assert_eq!(said.iter().filter(|line| *line == "hag@x.org/pda: presence").count(), 1);
    let said = stage.gets(&away("hag"));
    assert!(!said.contains(&"hag@x.org/pda: presence".to_owned()), "nothing new: {said:?}");
    let said = stage.gets(&away("witch"));
    assert!(said.contains(&"hag@x.org/pda: presence".to_owned()), "{said:?}");
}

// §9.5, §9.8: several lists come one behind the other, to whom each of them is open.
#[test]
fn several_lists_of_people_may_be_asked_for_at_once() {
    let mut stage = room_with(&[("whois", "anyone")]);
    set(&mut stage, "<item jid='hag@x.org' affiliation='member'/>");
    stage.enters("hag@x.org/pda", "hag");
    let query = |items: &str| format!("<query xmlns='{}'>{items}</query>", ADMIN);
    let lists = |kind: &str, lists: &[&str]| -> String {
        let item = |list: &&str| format!("<item {kind}='{list}'/>");
        query(&lists.iter().map(item).collect::<String>())
    };
    let mut people = |payload: &str, named: &str| {
        let answer = stage.answer(CRONE, "get", payload);
        let query = answer.child("query", ADMIN).unwrap();
        query.children().filter_map(|it| it.attr(named)).map(str::to_owned).collect::<Vec<_>>()
    };
    let all = ["owner", "admin", "member", "outcast"];
    assert_eq!(people(&lists("affiliation", &all), "jid"), ["crone@x.org", "hag@x.org"]);
    assert_eq!(people(&lists("role", &["participant", "moderator"]), "nick"), ["hag", "first"]);
    for mixed in [
        lists("affiliation", &["owner", "owner"]),
        query("<item affiliation='owner'/><item role='moderator'/>"),
        query("<item/>"),
        query(""),
    ] {
        let refused = stage.asks(CRONE, "get", &mixed);
        assert_eq!(refused, [format!("{CRONE}: iq error modify bad-request")], "{mixed}");
    }
    let hag = |stage: &mut Stage, list: &[&str]| {
        stage.asks("hag@x.org/pda", "get", &lists("affiliation", list))
    };
    assert_eq!(hag(&mut stage, &["member", "owner"]), ["hag@x.org/pda: iq result"]);
    let refused = ["hag@x.org/pda: iq error auth forbidden"];
    assert_eq!(hag(&mut stage, &["member", "outcast"]), refused);
}

/// What is sent, as text without the addresses that say to whom.
fn words(sent: Vec<proto::Envelope>) -> Vec<String> {
    let word = |envelope: proto::Envelope| {
        let Body::Stanza(stanza) = envelope.body else { return String::new() };
        let mut bytes = Vec::new();
        stanza.write(&mut bytes);
        String::from_utf8(bytes).unwrap()
    };
    sent.into_iter().map(word).collect()
}

fn locked() -> Stage {
    let mut stage = Stage::absent(Config::default());
    stage.gets(&knock(CRONE, "first"));
    stage.gets("<message xmlns='jabber:client' from='chat.x.org' to='coven@chat.x.org'><created xmlns='urn:rookery:rooms:0'/></message>");
    assert!(matches!(stage.trial.entity.phase, Phase::Locked));
    stage
}

// §17.2 rule 3: whatever a stranger sends, but to come in, is answered as if there were nothing.
#[test]
fn a_locked_room_is_told_from_none_by_no_answer() {
    let stanza = |name: &str, attrs: &str, nick: &str, content: &str| {
        format!(
            "<{name} xmlns='jabber:client' id='q' from='hag@x.org/pda' to='coven@chat.x.org{nick}'{attrs}>{content}</{name}>"
        )
    };
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    let items = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    let body = "<body>hi</body>";
    for sent in [
        stanza("message", " type='groupchat'", "", body),
        stanza("message", " type='chat'", "/first", body),
        stanza("message", " type='groupchat'", "/first", body),
        stanza("message", "", "", body),
        stanza("message", " type='error'", "", "<error/>"),
        stanza("iq", " type='get'", "", items),
        stanza("iq", " type='get'", "", info),
        stanza("iq", " type='get'", "/first", info),
        stanza("iq", " type='get'", "", ping),
        stanza("iq", " type='get'", "/first", ping),
        stanza("iq", " type='get'", "", "<vCard xmlns='vcard-temp'/>"),
        stanza("iq", " type='set'", "", "<vCard xmlns='vcard-temp'/>"),
        stanza("iq", " type='get'", "", "<query xmlns='urn:example:unknown'/>"),
        stanza("iq", " type='set'", "", "<subscribe xmlns='urn:xmpp:mucsub:0' nick='hag'/>"),
        stanza("presence", "", "/hag", ""),
        stanza("presence", " type='subscribe'", "", ""),
        stanza("presence", " type='unavailable'", "/hag", ""),
    ] {
        let nowhere = words(Stage::absent(Config::default()).sent(&sent));
        assert_eq!(words(locked().sent(&sent)), nowhere, "{sent}");
    }
}

// §10.1.1, §17.2 rule 3: to all but its maker a room that waits for its configuration is not there.
#[test]
fn before_a_locked_room_strangers_learn_nothing() {
    let mut stage = locked();
    let refused = ["hag@x.org/pda: iq error cancel item-not-found"];
    for (ty, request) in [
        ("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>"),
        ("get", "<query xmlns='urn:xmpp:mam:2'/>"),
        ("set", "<query xmlns='urn:xmpp:mam:2'/>"),
        ("get", "<metadata xmlns='urn:xmpp:mam:2'/>"),
        ("get", "<query xmlns='jabber:iq:register'/>"),
        ("get", "<query xmlns='http://jabber.org/protocol/muc#owner'/>"),
        (
            "get",
            "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member'/></query>",
        ),
        (
            "set",
            "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='hag@x.org'/></query>",
        ),
    ] {
        assert_eq!(stage.asks("hag@x.org/pda", ty, request), refused, "{request}");
    }
    let invite = "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='owl@x.org'/></x>";
    let refused = ["hag@x.org/pda: message error cancel item-not-found"];
    assert_eq!(stage.gets(&message("hag@x.org/pda", invite)), refused);
    assert_eq!(
        stage.gets(&knock("hag@x.org/pda", "hag")),
        ["hag@x.org/pda: presence error cancel item-not-found"]
    );
}

// RFC 6121 §4.7.1: only presence without a type enters.
#[test]
fn presence_of_another_type_is_no_way_in() {
    let mut stage = Stage::new();
    for ty in ["probe", "subscribe", "subscribed", "unsubscribe", "unsubscribed"] {
        let ty_attr = format!(" type='{ty}' from=");
        let presence = knock("hag@x.org/pda", "hag").replace(" from=", &ty_attr);
        let denied: &[&str] =
            if ty == "subscribe" { &["hag@x.org: presence unsubscribed"] } else { &[] };
        assert_eq!(stage.gets(&presence), denied, "{ty}");
        assert_eq!(stage.trial.entity.occupants.len(), 1, "{ty}");
    }
}

// §18.1.2 with §11.1, and what servers say of clients that are not there.
#[test]
fn whose_client_is_gone_by_any_word_for_it_is_out() {
    for condition in [
        "gone",
        "item-not-found",
        "recipient-unavailable",
        "redirect",
        "remote-server-not-found",
        "remote-server-timeout",
        "service-unavailable",
    ] {
        let mut stage = Stage::new();
        stage.enters("hag@x.org/pda", "hag");
        let error = format!(
            "<message xmlns='jabber:client' type='error' id='x' from='hag@x.org/pda' to='coven@chat.x.org/first'><error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        );
        let said = stage.gets(&error);
        assert!(said.contains(&format!("{CRONE}: presence unavailable")), "{condition}: {said:?}");
        assert_eq!(stage.trial.entity.occupants.len(), 1, "{condition}");
    }
}

// §10.1.1
#[test]
fn the_operator_says_whether_strangers_of_other_domains_make_rooms() {
    for (create, answer) in [
        (Create::Anyone, "chat.x.org: create"),
        (Create::Local, "owl@elsewhere.org/tree: presence error cancel not-allowed"),
        (Create::Admins, "owl@elsewhere.org/tree: presence error cancel not-allowed"),
    ] {
        let mut stage = Stage::absent(Config { create, ..Config::default() });
        assert_eq!(stage.gets(&knock("owl@elsewhere.org/tree", "owl")), [answer], "{create:?}");
    }
}

// §9.2, §9.5, §10.5, §10.8: a delta of several items; §8.5: of roles, all or none.
#[test]
fn changes_of_several_people_happen_together_or_not_at_all() {
    let mut stage = Stage::new();
    for (who, nick) in [("hag@x.org/pda", "hag"), ("bat@x.org/cave", "bat")] {
        stage.enters(who, nick);
    }
    let said = set(
        &mut stage,
        "<item affiliation='member' jid='hag@x.org'/><item affiliation='admin' jid='bat@x.org'/><item affiliation='outcast' jid='rat@x.org'/>",
    );
    assert!(said.contains(&format!("{CRONE}: iq result")), "{said:?}");
    let people = &stage.trial.entity.affiliations;
    let count = |affiliation| people.count(affiliation);
    assert_eq!(
        [Affiliation::Member, Affiliation::Admin, Affiliation::Outcast].map(count),
        [1, 1, 1]
    );
    let said =
        set(&mut stage, "<item nick='hag' role='visitor'/><item nick='bat' role='visitor'/>");
    assert_eq!(said, [format!("{CRONE}: iq error cancel not-allowed")]);
    assert_eq!(role_of(&stage, "hag"), Some(Role::Participant));
    set(&mut stage, "<item nick='hag' role='visitor'/><item nick='first' role='moderator'/>");
    assert_eq!(role_of(&stage, "hag"), Some(Role::Visitor));
}

// §8.4: an error names the items that it is about, and no others.
#[test]
fn who_asks_for_too_much_is_told_which_items_are_the_matter() {
    let mut stage = Stage::new();
    for (who, nick) in [("hag@x.org/pda", "hag"), ("bat@x.org/cave", "bat")] {
        stage.enters(who, nick);
    }
    set(&mut stage, "<item affiliation='admin' jid='bat@x.org'/>");
    let mut wrong = |items: &str, attr: &str| {
        let query = format!("<query xmlns='{ADMIN}'>{items}</query>");
        let answer = stage.answer(CRONE, "set", &query);
        let query = answer.child("query", ADMIN).unwrap();
        let names = query.children().map(|item| item.attr(attr).unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let roles = "<item nick='hag' role='visitor'/><item nick='bat' role='visitor'/><item nick='first' role='visitor'/>";
    assert_eq!(wrong(roles, "nick"), ["bat", "first"]);
    let people = "<item affiliation='member' jid='hag@x.org'/><item affiliation='outcast' jid='crone@x.org'/>";
    assert_eq!(wrong(people, "jid"), ["crone@x.org"]);
    let owners =
        "<item affiliation='member' jid='hag@x.org'/><item affiliation='admin' jid='crone@x.org'/>";
    assert_eq!(wrong(owners, "jid"), ["crone@x.org"], "somebody stays an owner");
}

// §9.1, §9.5, §7.12
#[test]
fn people_are_named_by_nick_and_nicks_are_taken_and_free_again() {
    let mut stage = Stage::new();
    stage.enters("hag@x.org/pda", "hag");
    set(&mut stage, "<item affiliation='member' jid='hag@x.org' nick='Witch'/>");
    let refused = ["owl@x.org/tree: presence error cancel conflict"];
    assert_eq!(
        stage.gets(&knock("owl@x.org/tree", "witch")),
        refused,
        "it is nobody's who is here"
    );
    // Without a nick, it stays; a blank one takes it.
    set(&mut stage, "<item affiliation='admin' jid='hag@x.org'/>");
    assert_eq!(stage.gets(&knock("owl@x.org/tree", "witch")), refused);
    set(&mut stage, "<item affiliation='member' jid='hag@x.org' nick=''/>");
    stage.enters("owl@x.org/tree", "witch");
    set(&mut stage, "<item affiliation='member' jid='bat@x.org' nick='Bat'/>");
    set(&mut stage, "<item affiliation='outcast' jid='bat@x.org'/>");
    stage.enters("earl@x.org/tower", "bat");
    set(&mut stage, "<item affiliation='outcast' nick='hag'/>");
    assert!(role_of(&stage, "hag").is_none());
    assert_eq!(list(&mut stage, CRONE, "outcast"), [format!("{CRONE}: iq result")]);
    assert_eq!(stage.trial.entity.affiliations.count(Affiliation::Outcast), 2);
}

// §9.5
#[test]
fn a_member_who_is_outside_reads_the_list_where_addresses_are_no_secret() {
    for (whois, answer) in [("anyone", "iq result"), ("moderators", "iq error auth forbidden")] {
        let mut stage = room_with(&[("whois", whois)]);
        set(&mut stage, "<item affiliation='member' jid='hag@x.org'/>");
        let said = list(&mut stage, "hag@x.org/pda", "member");
        assert_eq!(said, [format!("hag@x.org/pda: {answer}")]);
    }
}

// §16.5.3, `getmemberlist`: roles, and affiliations.
#[test]
fn whoever_is_named_by_role_or_affiliation_reads_the_list() {
    for (value, member, stranger) in [
        ("moderator", false, false),
        ("member", true, false),
        ("visitor", true, true),
        ("admin", false, false),
    ] {
        let mut stage =
            room_with(&[("whois", "anyone"), ("moderatedroom", "1"), ("getmemberlist", value)]);
        set(&mut stage, "<item affiliation='member' jid='hag@x.org'/>");
        for (who, nick) in [("hag@x.org/pda", "hag"), ("owl@x.org/tree", "owl")] {
            stage.enters(who, nick);
            set(&mut stage, &format!("<item nick='{nick}' role='visitor'/>"));
        }
        for (who, may) in [("hag@x.org/pda", member), ("owl@x.org/tree", stranger)] {
            let said = list(&mut stage, who, "member");
            let answer = if may { "iq result" } else { "iq error auth forbidden" };
            assert_eq!(said, [format!("{who}: {answer}")], "{value}");
        }
    }
}

// §9.2, §9.5, §10.5: a list that is not whole says so also to who has not asked for pages (XEP-0059 §2.6).
#[test]
fn a_list_that_is_cut_says_how_long_it_is() {
    let mut stage = Stage::new();
    let member = |name: &str| format!("<item affiliation='member' jid='{name}@x.org'/>");
    let all: String = (0..1_000).map(|it| member(&format!("m{it}"))).collect();
    for (more, count) in [(all, None), (member("one"), Some("1001".to_owned()))] {
        set(&mut stage, &more);
        let asked = format!("<query xmlns='{ADMIN}'><item affiliation='member'/></query>");
        let answer = stage.answer(CRONE, "get", &asked);
        let query = answer.child("query", ADMIN).unwrap();
        assert_eq!(query.children().filter(|it| it.name() == "item").count(), 1_000);
        let set = query.child("set", ns::RSM);
        assert_eq!(set.map(|set| set.child("count", ns::RSM).unwrap().text()), count);
    }
}

// §7.10
#[test]
fn registrations_that_cannot_be_are_refused() {
    let mut stage = Stage::new();
    set(&mut stage, "<item affiliation='outcast' jid='rat@x.org'/>");
    let refused = ["rat@x.org/a: iq error cancel not-allowed"];
    assert_eq!(registers(&mut stage, "rat@x.org/a", "rat"), refused);
    let mut without = Stage::absent(Config::default());
    without.made(&field("rookery#roomconfig_registration", "0"));
    set(&mut without, "<item affiliation='outcast' jid='rat@x.org'/>");
    set(&mut without, "<item affiliation='member' jid='bat@x.org'/>");
    for (who, answer) in [
        ("rat@x.org/a", "error cancel not-allowed"),
        ("hag@x.org/a", "error cancel service-unavailable"),
        ("bat@x.org/a", "result"),
    ] {
        let said = registers(&mut without, who, "rat");
        assert!(said.contains(&format!("{who}: iq {answer}")), "{said:?}");
    }
    for (nick, error) in [
        ("", "modify bad-request"),
        ("   ", "modify jid-malformed"),
        (&"x".repeat(65), "modify not-acceptable"),
        ("first", "cancel conflict"),
    ] {
        let said = registers(&mut stage, "hag@x.org/pda", nick);
        assert_eq!(said, [format!("hag@x.org/pda: iq error {error}")], "{nick:?}");
    }
    let cancel = form("register", "cancel", &[]);
    let cancel = format!("<query xmlns='jabber:iq:register'>{cancel}</query>");
    assert_eq!(stage.asks("hag@x.org/pda", "set", &cancel), ["hag@x.org/pda: iq result"]);
    assert_eq!(stage.trial.entity.affiliations.count(Affiliation::Member), 0);
}

// §9.9
#[test]
fn admins_alone_decide_about_registrations_and_may_say_no() {
    let mut stage = room_with(&[("membersonly", "1")]);
    registers(&mut stage, "hag@x.org/pda", "Hag");
    let decide = |allow: &str| {
        form(
            "register",
            "submit",
            &[("muc#register_roomnick", "Hag"), ("muc#register_allow", allow)],
        )
    };
    let said = stage.gets(&message("owl@x.org/tree", &decide("1")));
    assert_eq!(said, ["owl@x.org/tree: message error auth forbidden"]);
    assert!(stage.gets(&message(CRONE, &decide("0"))).is_empty());
    assert_eq!(stage.trial.entity.affiliations.count(Affiliation::Member), 0);
    let said = stage.gets(&message(CRONE, &decide("1")));
    assert_eq!(said, [format!("{CRONE}: message error cancel item-not-found")], "once");
}

// §7.13, §8.6
#[test]
fn voice_is_asked_for_by_visitors_and_may_be_denied() {
    let mut stage = room_with(&[("moderatedroom", "1")]);
    stage.enters("hag@x.org/pda", "hag");
    let ask = form("request", "submit", &[("muc#role", "participant")]);
    let decide = |allow: &str| {
        form("request", "submit", &[("muc#roomnick", "hag"), ("muc#request_allow", allow)])
    };
    for (who, answer) in [
        (CRONE, "message error cancel not-allowed"),
        ("owl@x.org/tree", "message error modify not-acceptable"),
    ] {
        assert_eq!(stage.gets(&message(who, &ask)), [format!("{who}: {answer}")]);
    }
    assert_eq!(stage.gets(&message("hag@x.org/pda", &ask)), [format!("{CRONE}: message")]);
    assert!(stage.gets(&message(CRONE, &decide("0"))).is_empty());
    assert_eq!(role_of(&stage, "hag"), Some(Role::Visitor));
    stage.gets(&message(CRONE, &decide("1")));
    assert_eq!(role_of(&stage, "hag"), Some(Role::Participant));
}

// §10.9, RFC 6120 §8.3.3.5
#[test]
fn a_room_that_was_destroyed_says_so_after_a_restart_too() {
    let mut stage = Stage::persistent();
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy jid='heath@chat.x.org'/></query>";
    stage.asks(CRONE, "set", destroy);
    stage.restart();
    let refused = ["hag@x.org/pda: presence error cancel gone"];
    assert_eq!(stage.gets(&knock("hag@x.org/pda", "hag")), refused);
    assert_eq!(stage.gets(&knock(CRONE, "first")), ["chat.x.org: create"], "its owner's to make");
}

/// What a newcomer is told of the hag.
fn shown_to_newcomer(stage: &mut Stage, newcomer: &str) -> String {
    let sent = stage.sent(&knock(&format!("{newcomer}@x.org/r"), newcomer));
    let told = sent.into_iter().find_map(|envelope| {
        let Body::Stanza(stanza) = envelope.body else { return None };
        let from = stanza.head().from.as_ref()?.resourcepart()?.to_owned();
        let is_it = from == "hag" && stanza.head().to.as_ref()?.as_str().starts_with(newcomer);
        let mut bytes = Vec::new();
        stanza.write(&mut bytes);
        is_it.then(|| String::from_utf8(bytes).unwrap())
    });
    told.expect("the hag is inside")
}

// §7.2.2: what others were told of him before is not told any more when it is not so.
#[test]
fn a_newcomer_is_told_of_everybody_as_he_is_now() {
    let mut stage = Stage::new();
    stage.enters("hag@x.org/pda", "hag");
    let first = shown_to_newcomer(&mut stage, "ann");
    assert!(first.contains("role='participant'") && !first.contains("jid="), "{first}");
    let same = shown_to_newcomer(&mut stage, "ben");
    assert_eq!(same.replace("ben", "ann"), first);
    stage.gets("<presence xmlns='jabber:client' from='hag@x.org/pda' to='coven@chat.x.org/hag'><show>away</show></presence>");
    let away = shown_to_newcomer(&mut stage, "cas");
    assert!(away.contains("<show>away</show>"), "{away}");
    set(&mut stage, "<item nick='hag' role='moderator'/>");
    let moderator = shown_to_newcomer(&mut stage, "dan");
    assert!(moderator.contains("role='moderator'"), "{moderator}");
    set(&mut stage, "<item jid='hag@x.org' affiliation='member'/>");
    set(&mut stage, "<item jid='eva@x.org' affiliation='admin'/>");
    let to_admin = shown_to_newcomer(&mut stage, "eva");
    assert!(to_admin.contains("affiliation='member'"), "{to_admin}");
    assert!(to_admin.contains("jid='hag@x.org/pda'"), "{to_admin}");
    stage.gets(&knock("hag@x.org/laptop", "hag"));
    set(&mut stage, "<item jid='fay@x.org' affiliation='admin'/>");
    let newest = shown_to_newcomer(&mut stage, "fay");
    assert!(newest.contains("jid='hag@x.org/laptop'") && !newest.contains("<show>"), "{newest}");
    let hidden = shown_to_newcomer(&mut stage, "gil");
    assert!(!hidden.contains("jid="), "{hidden}");
}
