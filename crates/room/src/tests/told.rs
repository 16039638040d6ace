//! What a former owner has told, and may not have reached all, is told again by the new one as the same; what caused it
//! comes again too, and is not acted on once more.

use entity::Entity;
use proto::{Body, Envelope, Receipt, Route};
use xmpp::{BareJid, Jid, Origin};

use super::stage::{self, Stage, request};
use super::taken_over::{Standby, heir};
use crate::affiliation::Affiliation;
use crate::mirror;

const CRONE: &str = "crone@x.org/desktop";
const HAG: &str = "hag@x.org/pda";
const BAT: &str = "bat@x.org/cave";

/// To whom, by what it is known again, and what.
type Said = (String, Origin, String);

fn said(sent: &[Envelope]) -> Vec<Said> {
    let line = |envelope: &Envelope| {
        let Body::Stanza(stanza) = &envelope.body else { return None };
        let mut bytes = Vec::new();
        stanza.write(&mut bytes);
        let to = stanza.head().to.as_ref()?.to_string();
        Some((to, envelope.origin, String::from_utf8(bytes).ok()?))
    };
    sent.iter().filter_map(line).collect()
}

fn to(who: &str, said: &[Said]) -> Vec<Said> {
    said.iter().filter(|it| it.0 == who).cloned().collect()
}

/// A room with a second copy, whose owner is about to die.
struct Scene {
    stage: Stage,
    standby: Standby,
}

/// What somebody has sent, by what it is known, and what the room said to it, of which nothing has reached anybody yet.
struct Act {
    xml: String,
    origin: Origin,
    sent: Vec<Envelope>,
}

impl Scene {
    fn begin() -> Self {
        let (mut stage, mut standby) = (Stage::persistent(), Standby::default());
        standby.learns(&mut stage);
        Self { stage, standby }
    }

    /// The room is configured so, and all have heard it.
    fn keeps_an_archive(&mut self, does: bool) {
        let value = u8::from(does);
        let form = format!(
            "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_enablearchiving'><value>{value}</value></field></x></query>"
        );
        let mut set = self.act(&request(CRONE, "set", &form));
        self.settles(&mut [&mut set]);
    }

    fn act(&mut self, xml: &str) -> Act {
        let sent = self.stage.sent(xml);
        let origin = self.stage.trial.last_origin();
        self.standby.learns(&mut self.stage);
        Act { xml: xml.to_owned(), origin, sent }
    }

    fn presence(&mut self, who: &str, to: &str, more: &str) -> Act {
        self.act(&format!(
            "<presence xmlns='jabber:client' from='{who}' to='coven@chat.x.org/{to}'{more}"
        ))
    }

    fn enters(&mut self, who: &str, nick: &str) -> Act {
        self.presence(who, nick, "><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    }

    fn leaves(&mut self, who: &str, nick: &str) -> Act {
        self.presence(who, nick, " type='unavailable'/>")
    }

    fn sets(&mut self, item: &str) -> Act {
        let query = format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query>");
        self.act(&request(CRONE, "set", &query))
    }

    /// Everything has reached all, and the copy knows it.
    fn settles(&mut self, acts: &mut [&mut Act]) {
        let sent = acts.iter_mut().flat_map(|act| std::mem::take(&mut act.sent));
        sent.filter_map(|it| it.receipt).for_each(Receipt::release);
        self.stage.trial.settle(Route::Room(stage::room()));
        self.standby.learns(&mut self.stage);
    }

    /// The room at its new owner, and what that one tells at once. These say that they are inside.
    fn heir(self, claims: &[(&str, &str)]) -> (Stage, Vec<Said>) {
        let jid = |text: &str| Jid::parse(text).unwrap();
        let claim = |(who, nick): &(&str, &str)| {
            mirror::claim(&jid(who), &jid(&format!("coven@chat.x.org/{nick}")))
        };
        let claims = claims.iter().map(claim).collect();
        let (heir, sent) = heir(&self.stage, self.standby.0, claims);
        (heir, said(&sent))
    }
}

impl Act {
    fn said(&self) -> Vec<Said> {
        said(&self.sent)
    }

    /// It comes once more: what is said then.
    fn comes_again(&self, heir: &mut Stage) -> Vec<Said> {
        let body = Body::Stanza(stage::stanza(&self.xml));
        said(&heir.trial.receive_again(Route::Room(stage::room()), body, self.origin))
    }
}

fn nick_of(heir: &Stage, who: &str) -> Option<String> {
    let who = BareJid::parse(who).unwrap();
    heir.trial.entity.occupants.of_account(&who).next().map(|it| it.nick().to_owned())
}

// §8.2
#[test]
fn who_was_kicked_stays_out_though_it_is_said_again_that_he_enters() {
    let mut scene = Scene::begin();
    let enters = scene.enters(HAG, "hag");
    let kick = scene.sets("<item nick='hag' role='none'><reason>Enough</reason></item>");
    // Her home does not know it yet.
    let (mut heir, told) = scene.heir(&[(HAG, "hag")]);
    assert_eq!(to(CRONE, &told), [to(CRONE, &enters.said()), to(CRONE, &kick.said())].concat());
    assert_eq!(to(HAG, &told), to(HAG, &kick.said()));
    for act in [&enters, &kick] {
        assert_eq!(act.comes_again(&mut heir), []);
        assert_eq!(nick_of(&heir, "hag@x.org"), None);
    }
}

// §9.1, §9.2: a ban that was lifted does not hold again.
#[test]
fn what_was_done_about_a_list_is_told_again_and_not_done_again() {
    let mut scene = Scene::begin();
    let mut enters = scene.enters(HAG, "hag");
    scene.settles(&mut [&mut enters]);
    let ban = scene.sets("<item jid='hag@x.org' affiliation='outcast'/>");
    let pardon = scene.sets("<item jid='hag@x.org' affiliation='none'/>");
    let (mut heir, told) = scene.heir(&[]);
    assert_eq!(told, [ban.said(), pardon.said()].concat());
    assert_eq!([&ban, &pardon].map(|act| act.comes_again(&mut heir)), [vec![], vec![]]);
    assert_eq!(ban.comes_again(&mut heir), []);
    let hag = BareJid::parse("hag@x.org").unwrap();
    assert_eq!(heir.trial.entity.affiliation_of(&hag), Affiliation::None);
}

// §7.6, §7.14
#[test]
fn a_client_stays_where_it_is_while_its_way_there_is_told_again() {
    let mut scene = Scene::begin();
    let enters = scene.enters(HAG, "a");
    let first = scene.presence(HAG, "b", "/>");
    let second = scene.presence(HAG, "c", "/>");
    let (mut heir, told) = scene.heir(&[]);
    let acts = [&enters, &first, &second];
    let due = acts.map(|act| to(CRONE, &act.said())).concat();
    assert_eq!(to(CRONE, &told), due);
    // She may not have been told who is there, and is told once more.
    let hears = to(HAG, &told);
    assert!(hears.iter().any(|it| it.2.contains("<subject")), "{hears:?}");
    for act in acts {
        assert_eq!(act.comes_again(&mut heir), []);
        assert_eq!(nick_of(&heir, "hag@x.org").as_deref(), Some("c"));
    }
}

// §7.13: who asks for voice is not asked about twice, and not forgotten.
#[test]
fn a_request_for_voice_is_told_again_as_the_same_and_not_made_again() {
    let mut scene = Scene::begin();
    let form = |fields: &str| {
        format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>{fields}</x>"
        )
    };
    let message = |who: &str, fields: &str| {
        let form = form(fields);
        format!(
            "<message xmlns='jabber:client' from='{who}' to='coven@chat.x.org'>{form}</message>"
        )
    };
    let mut enters = scene.enters(HAG, "hag");
    let mut mute = scene.sets("<item nick='hag' role='visitor'/>");
    scene.settles(&mut [&mut enters, &mut mute]);
    let role = "<field var='muc#role'><value>participant</value></field>";
    let asks = scene.act(&message(HAG, role));
    let allow = "<field var='muc#roomnick'><value>hag</value></field><field var='muc#request_allow'><value>1</value></field>";
    let allows = scene.act(&message(CRONE, allow));
    let mutes = scene.sets("<item nick='hag' role='visitor'/>");
    assert_eq!(to(CRONE, &asks.said()).len(), 1);
    let (mut heir, told) = scene.heir(&[]);
    let due = [&asks, &allows, &mutes].map(|act| to(CRONE, &act.said())).concat();
    assert_eq!(to(CRONE, &told), due);
    for act in [&asks, &allows] {
        assert_eq!(act.comes_again(&mut heir), []);
    }
    let hag = heir.trial.entity.occupants.of_nick("hag").unwrap();
    assert_eq!(hag.role, crate::affiliation::Role::Visitor);
}

fn says(scene: &mut Scene, text: &str) -> Act {
    scene.act(&format!(
        "<message xmlns='jabber:client' type='groupchat' from='{CRONE}' to='coven@chat.x.org'><body>{text}</body></message>"
    ))
}

fn messages(said: &[Said]) -> Vec<Said> {
    said.iter().filter(|it| it.2.starts_with("<message")).cloned().collect()
}

// §7.1: her home knows that she is inside because she has heard it, behind all others; but of what follows some may be lost.
#[test]
fn who_says_that_she_is_inside_is_told_again_of_the_discussion_alone_and_as_the_same() {
    for is_kept in [true, false] {
        let mut scene = Scene::begin();
        scene.keeps_an_archive(is_kept);
        let mut before: Vec<Act> = ["one", "two"].map(|text| says(&mut scene, text)).into();
        scene.settles(&mut before.iter_mut().collect::<Vec<_>>());
        let enters = scene.enters(HAG, "hag");
        let since = says(&mut scene, "three");
        let due = messages(&to(HAG, &enters.said()));
        let texts = ["<body>one", "<body>two", "<subject"];
        assert!(due.iter().zip(texts).all(|(it, text)| it.2.contains(text)), "{due:?}");
        assert_eq!(due.len(), texts.len());
        let (_, told) = scene.heir(&[(HAG, "hag")]);
        assert_eq!(to(HAG, &told), [due, to(HAG, &since.said())].concat(), "{is_kept}");
    }
}

// Whoever does not say so may have heard nothing; and who was inside before says nothing of what she was told since
// (§17.3 rule 3).
#[test]
fn who_does_not_say_so_and_who_had_lost_track_is_told_everything_again() {
    let words = |said: &[Said]| said.iter().map(|it| it.2.clone()).collect::<Vec<_>>();
    for had_lost_track in [true, false] {
        let mut scene = Scene::begin();
        let mut first = scene.enters(HAG, "hag");
        if had_lost_track {
            scene.settles(&mut [&mut first]);
            first = scene.enters(HAG, "hag");
        }
        let claims: &[(&str, &str)] = if had_lost_track { &[(HAG, "hag")] } else { &[] };
        let (_, told) = scene.heir(claims);
        let (due, told) = (to(HAG, &first.said()), to(HAG, &told));
        assert_eq!(words(&told), words(&due), "{had_lost_track}");
        let is_new = |it: &Said| due.iter().all(|known| known.1 != it.1);
        assert!(told.iter().all(is_new), "as something new: {told:?}");
    }
}

// §7.14
#[test]
fn who_has_left_is_told_to_those_who_were_there_and_to_nobody_who_came_since() {
    let mut scene = Scene::begin();
    let enters = scene.enters(HAG, "hag");
    let leaves = scene.leaves(HAG, "hag");
    scene.enters(BAT, "bat");
    let (mut heir, told) = scene.heir(&[]);
    let of_hag = |said: &[Said]| -> Vec<Said> {
        said.iter().filter(|it| it.2.contains("coven@chat.x.org/hag")).cloned().collect()
    };
    let due = [to(CRONE, &enters.said()), leaves.said()].concat();
    assert_eq!(of_hag(&told), of_hag(&due));
    let again = [&enters, &leaves].map(|act| act.comes_again(&mut heir));
    assert_eq!(again, [vec![], vec![]]);
    assert_eq!(nick_of(&heir, "hag@x.org"), None);
    // What nobody knows is new.
    let unknown = Origin::Client { session: 5, seq: 5, part: 0 };
    Act { origin: unknown, ..enters }.comes_again(&mut heir);
    assert_eq!(nick_of(&heir, "hag@x.org").as_deref(), Some("hag"));
}

// §7.2.7: who was told that he may not come in does not find himself inside.
#[test]
fn who_was_turned_away_is_turned_away_again() {
    let mut scene = Scene::begin();
    let mut ban = scene.sets("<item jid='hag@x.org' affiliation='outcast'/>");
    let knocks = scene.enters(HAG, "hag");
    scene.settles(&mut [&mut ban]);
    let mut pardon = scene.sets("<item jid='hag@x.org' affiliation='none'/>");
    pardon.sent.clear();
    let (mut heir, told) = scene.heir(&[]);
    let error = to(HAG, &told);
    assert_eq!(error, knocks.said());
    assert!(error[0].2.contains("type='error'"), "{error:?}");
    assert_eq!(knocks.comes_again(&mut heir), []);
    assert_eq!(nick_of(&heir, "hag@x.org"), None);
}

#[test]
fn what_has_reached_all_is_not_told_again_and_what_caused_it_is_still_known() {
    let mut scene = Scene::begin();
    let mut enters = scene.enters(HAG, "hag");
    let mut leaves = scene.leaves(HAG, "hag");
    scene.settles(&mut [&mut enters, &mut leaves]);
    let (mut heir, told) = scene.heir(&[]);
    assert_eq!(told, []);
    assert_eq!(enters.comes_again(&mut heir), []);
    assert_eq!(nick_of(&heir, "hag@x.org"), None);
}

// §7.1: before he hears anything that is said he is told who is there, and that he is; of what was said before he came he
// hears as of the past alone.
#[test]
fn who_was_just_coming_in_hears_what_was_said_since_behind_his_welcome() {
    for is_kept in [true, false] {
        let mut scene = Scene::begin();
        scene.keeps_an_archive(is_kept);
        let mut before = says(&mut scene, "before");
        scene.settles(&mut [&mut before]);
        let _hag = scene.enters(HAG, "hag");
        let since = ["one", "two"].map(|text| says(&mut scene, text));
        let bat = scene.enters(BAT, "bat");
        let (_, told) = scene.heir(&[]);
        let hears = to(HAG, &told);
        let word = |it: &Said| {
            let is = |text: &str| it.2.contains(text);
            let known = [
                "<subject",
                "<body>before",
                "<body>one",
                "<body>two",
                "code='110'",
                "/first",
                "/bat",
            ];
            known.into_iter().find(|text| is(text)).map(|text| (text, is("<delay")))
        };
        let due = [
            "/first",
            "/bat",
            "code='110'",
            "<body>before",
            "<subject",
            "<body>one",
            "<body>two",
            "/bat",
        ];
        let words: Vec<_> = hears.iter().filter_map(word).collect();
        assert_eq!(words, due.map(|text| (text, text == "<body>before")), "{hears:?}");
        let live = since.iter().flat_map(|act| to(HAG, &act.said()));
        let live: Vec<Said> = live.chain(to(HAG, &bat.said())).collect();
        assert_eq!(hears[5..], live, "as the same");
    }
}

// §7.6: of the nick that he has now he is told behind the one that he had.
#[test]
fn who_was_just_coming_in_and_has_another_nick_since_is_told_of_that_in_order() {
    let mut scene = Scene::begin();
    let enters = scene.enters(HAG, "hag");
    let renames = scene.presence(HAG, "witch", "/>");
    let (heir, told) = scene.heir(&[]);
    assert_eq!(nick_of(&heir, "hag@x.org").as_deref(), Some("witch"));
    let subject = messages(&to(HAG, &enters.said()));
    assert_eq!(to(HAG, &told), [subject, to(HAG, &renames.said())].concat());
}

// What a new owner has told in words of its own, the next one tells as the same.
#[test]
fn who_has_heard_the_welcome_of_a_new_owner_is_told_the_discussion_as_the_same_by_the_next_one() {
    let mut scene = Scene::begin();
    let mut before = says(&mut scene, "before");
    scene.settles(&mut [&mut before]);
    let _under_way = (scene.enters(HAG, "hag"), says(&mut scene, "since"));
    let Scene { stage, standby } = scene;
    let mut second = stage.again();
    let sent = second.trial.act(|room, cx| {
        room.fan_outs.watch();
        room.take_over(standby.0.into_iter().collect(), Vec::new(), cx).unwrap();
    });
    let due = messages(&to(HAG, &said(&sent)));
    assert_eq!(due.len(), 3, "{due:?}");
    let mut standby = Standby::default();
    standby.learns(&mut second);
    let (_, told) = Scene { stage: second, standby }.heir(&[(HAG, "hag")]);
    assert_eq!(to(HAG, &told), due);
}

// §8, item 1: whoever has become a moderator when the owner dies is told of all others again.
#[test]
fn who_sees_addresses_since_is_told_them_by_a_new_owner_too() {
    let of_bat = |said: &[Said]| -> Vec<Said> {
        let is_it = |it: &&Said| it.2.contains("from='coven@chat.x.org/bat'");
        to(HAG, said).iter().filter(is_it).cloned().collect()
    };
    let whois = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_whois'><value>anyone</value></field></x></query>";
    let promotion = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='hag' role='moderator'/></query>";
    for (change, told_bat) in [(promotion, false), (whois, true)] {
        let mut scene = Scene::begin();
        let mut enter = [scene.enters(HAG, "hag"), scene.enters(BAT, "bat")];
        scene.settles(&mut enter.iter_mut().collect::<Vec<_>>());
        let change = scene.act(&request(CRONE, "set", change));
        let due = of_bat(&change.said());
        assert_eq!(due.len(), 1);
        assert!(due[0].2.contains("jid='bat@x.org/cave'"), "{due:?}");
        let of_others = |said: &[Said]| {
            to(BAT, said)
                .iter()
                .filter(|it| it.2.contains("/first'") && it.2.contains(" jid="))
                .count()
        };
        assert_eq!(of_others(&change.said()), usize::from(told_bat));
        let (_, told) = scene.heir(&[]);
        let told_again = of_bat(&told);
        assert_eq!(told_again.len(), 1, "{told:?}");
        assert_eq!(told_again[0].2, due[0].2);
        assert_ne!(told_again[0].1, due[0].1, "as something new");
        assert_eq!(of_others(&told), usize::from(told_bat));
    }
    // Who has heard it all is not told again.
    let mut scene = Scene::begin();
    let mut enter = [scene.enters(HAG, "hag"), scene.enters(BAT, "bat")];
    let mut change = scene.act(&request(CRONE, "set", promotion));
    let mut acts: Vec<&mut Act> = enter.iter_mut().collect();
    acts.push(&mut change);
    scene.settles(&mut acts);
    assert_eq!(scene.heir(&[]).1, []);
}
